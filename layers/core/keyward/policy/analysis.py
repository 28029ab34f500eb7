"""Says what policies grant, all that one principal holds taken together: which paths lead to more.

Every path of the table is asked for concrete examples of resources, and each answer is evaluated as
AWS does: some Allow matches and no Deny does, in any of the documents, and a boundary allows it,
too. A conditional Deny counts where its condition is understood (conditions.py) and holds for
whoever tries; a conditional Allow counts unless its condition is understood and does not.

What is decided, where AWS's evaluation alone does not say:

- All or some. A path's own reach needs a grant on any resource of the kind: `*`, or a pattern with
  a wildcard that prescribes at most two characters of the name. A grant on named resources, by name
  or path or beginning, reaches what these happen to be: INDIRECT. Where the principal makes the
  resource itself (CreateRole and AttachRolePolicy on the same names), named is as good as all.
- Oneself. `user/${aws:username}` is nobody else, so a key or password for it leads nowhere; a
  policy on it does.
- Untouchable roles. Service-linked roles and those of Identity Center count as no roles.
- Few accounts. What works only in the management account or a delegated administrator's counts in
  full where a policy names the service. Who holds it by a grant of everything but something, as
  PowerUserAccess does, has it where the account lets it: INDIRECT.
- Account numbers say nothing: the same documents are analysed wherever they are attached. A Deny
  for one account leaves the others.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import groupby

from keyward.model import PolicyDocument
from keyward.policy.conditions import BOUNDARY, PASSED_TO, Request, Value, holds
from keyward.policy.document import Statement, read
from keyward.policy.globs import matches
from keyward.policy.paths import (
    ACTIONS,
    ENOUGH,
    ON_OTHERS,
    PATHS,
    PERHAPS_ENOUGH,
    UNHEARD_OF,
    Kind,
    Need,
    Path,
    Reach,
    Way,
)
from keyward.policy.scopes import Breadth, Example, anything, examples, in_common


def _rank(reach: Reach) -> int:
    return reach.rank


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One path that is open: how far it leads, in words, and by which policies and statements.

    `path` is the stable id of the row in the table. `policies` are the names of all documents that
    grant a part of it, `statements` are named with their policy, by Sid or by number.
    """

    reach: Reach
    path: str
    text: str
    policies: tuple[str, ...]
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """The open paths, gravest first; and which documents are no policy, in whole or in part."""

    grants: tuple[Grant, ...]
    unreadable: tuple[str, ...] = ()

    @property
    def reach(self) -> Reach:
        """How far the gravest one leads."""
        return max((it.reach for it in self.grants), key=_rank, default=Reach.NONE)


def analyse(
    documents: Iterable[PolicyDocument], *, boundary: PolicyDocument | None = None
) -> Analysis:
    """What these documents grant to who holds them all. Never raises.

    `boundary` limits them. One that is no policy is taken for none: it is told as unreadable.
    What many principals hold alike is analysed once.
    """
    return _analysed(tuple(documents), boundary)


@lru_cache(maxsize=256)
def _analysed(documents: tuple[PolicyDocument, ...], boundary: PolicyDocument | None) -> Analysis:
    statements: list[Statement] = []
    unreadable: list[str] = []
    limits: list[Statement] | None = None
    for document in documents:
        readout = read(document)
        statements.extend(readout.statements)
        if not readout.readable:
            unreadable.append(document.name)
    if boundary is not None:
        readout = read(boundary)
        if readout.readable:
            limits = list(readout.statements)
        else:
            unreadable.append(boundary.name)
    principal = _Principal.holding(statements, limits)
    found = [grant for path in PATHS if (grant := _grant(path, principal)) is not None]
    return Analysis(
        grants=tuple(sorted(found, key=lambda it: -it.reach.rank)),
        unreadable=tuple(dict.fromkeys(unreadable)),
    )


def contributes(document: PolicyDocument) -> bool:
    """Whether it says anything about any part of any path; a lone iam:PassRole does, and a Deny.

    False means that no analysis comes out differently with it than without. What cannot be read
    is said to contribute.
    """
    readout = read(document)
    if not readout.readable:
        return True
    return any(_speaks_of(it, action) for it in readout.statements for action in _covers(it))


@dataclass(frozen=True, slots=True, eq=False)
class _Allow:
    """A statement that allows an action; `on_purpose`: not by allowing every action there is."""

    statement: Statement
    on_purpose: bool


@dataclass(frozen=True, slots=True)
class _Leave:
    """That needs are met on one resource: for how many it stands, by which allows, how surely.

    `limited`: not for all that could be asked for, but for something that may be enough.
    """

    breadth: Breadth
    allows: tuple[_Allow, ...]
    certain: bool
    limited: bool

    @property
    def on_purpose(self) -> bool:
        """Whether anything that was meant to allow it does."""
        return any(it.on_purpose for it in self.allows)

    @property
    def everywhere(self) -> bool:
        """Whether it stands for all that one could want."""
        return self.breadth is Breadth.ALL and not self.limited


@dataclass(frozen=True, slots=True)
class _Principal:
    """Who holds the statements: what they allow and deny, by action."""

    allows: Mapping[str, list[_Allow]]
    denies: Mapping[str, list[Statement]]
    limits: Mapping[str, list[_Allow]] | None
    asked: dict[tuple[Need, str], _Leave | None] = field(default_factory=dict)
    found_on: dict[tuple[int, str], bool] = field(default_factory=dict)

    @classmethod
    def holding(
        cls, statements: Iterable[Statement], limits: Iterable[Statement] | None
    ) -> "_Principal":
        """Who holds these statements, within the limits of a boundary if there is one."""
        allows: dict[str, list[_Allow]] = {}
        denies: dict[str, list[Statement]] = {}
        within: dict[str, list[_Allow]] = {}
        for every, into in ((statements, allows), (limits or (), within)):
            for statement in every:
                on_purpose = _on_purpose(statement) if statement.allows else frozenset()
                for action in _covers(statement):
                    if statement.allows:
                        allow = _Allow(statement, action in on_purpose)
                        into.setdefault(action, []).append(allow)
                    else:
                        denies.setdefault(action, []).append(statement)
        return cls(allows, denies, None if limits is None else within)

    def may(self, need: Need, arn: str) -> _Leave | None:
        """By what it may do what the need asks, on that resource; None if it may not."""
        key = (need, arn)
        if key not in self.asked:
            self.asked[key] = self._evaluate(need, arn)
        return self.asked[key]

    def patterns(self, kind: Kind, needs: Iterable[Need]) -> Iterator[str]:
        """The patterns of resources that matter to these needs; only Allows mean names."""
        for need in needs:
            action = need.action.lower()
            limits = () if self.limits is None else self.limits.get(action, ())
            for allow in (*self.allows.get(action, ()), *(() if kind.only_names else limits)):
                if not allow.statement.every_resource_but:
                    yield from allow.statement.resources
            for deny in () if kind.only_names else self.denies.get(action, ()):
                if deny.every_resource_but:
                    yield from deny.resources

    def must_agree(self, needs: tuple[Need, ...]) -> bool:
        """Whether more than one pattern must match a resource for the needs to be met on it."""
        return (
            len(needs) > 1
            or self.limits is not None
            or any(it.every_resource_but for it in self.denies.get(needs[0].action.lower(), ()))
        )

    def is_on(self, statement: Statement, arn: str) -> bool:
        """Whether the statement is about the resource."""
        key = (id(statement), arn)
        if key not in self.found_on:
            matched = any(matches(it, arn) for it in statement.resources)
            self.found_on[key] = matched != statement.every_resource_but
        return self.found_on[key]

    def _evaluate(self, need: Need, arn: str) -> _Leave | None:
        action = need.action.lower()
        allows = [it for it in self.allows.get(action, ()) if self.is_on(it.statement, arn)]
        if not allows:
            return None
        denies = [it for it in self.denies.get(action, ()) if self.is_on(it, arn)]
        limits = (
            None
            if self.limits is None
            else [it for it in self.limits.get(action, ()) if self.is_on(it.statement, arn)]
        )
        for limited, requests in enumerate(_requests(need)):
            granting: dict[_Allow, bool] = {}
            for request in requests:
                if any(holds(it, request) for it in denies):
                    continue
                if limits is not None and not any(_lets(it, request) for it in limits):
                    continue
                for allow in allows:
                    answer = holds(allow.statement, request)
                    if answer is not False:
                        granting[allow] = granting.get(allow, False) or bool(answer)
            if granting:
                certain = any(granting.values())
                return _Leave(Breadth.ALL, tuple(granting), certain, bool(limited))
        return None


def _grant(path: Path, principal: _Principal) -> Grant | None:
    """The path as far as it is open to the principal, by the ways that lead furthest."""
    open_ways = [it for it in (_open(path, way, principal) for way in path.ways) if it is not None]
    if not open_ways:
        return None
    reach = max((it.reach for it in open_ways), key=_rank)
    best = [it for it in open_ways if it.reach is reach]
    statements = list(
        dict.fromkeys(
            (it.statement.policy, it.statement.label) for way in best for it in way.allows
        )
    )
    first = next((it for it in best if it.certain), best[0])
    return Grant(
        reach=reach,
        path=path.id,
        text=_text(path, first),
        policies=tuple(dict.fromkeys(policy for policy, _ in statements)),
        statements=tuple(f"{policy}: {label}" for policy, label in statements),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _OpenWay:
    way: Way
    reach: Reach
    everywhere: bool
    certain: bool
    allows: tuple[_Allow, ...]


def _open(path: Path, way: Way, principal: _Principal) -> _OpenWay | None:
    if any(need.action.lower() not in principal.allows for need in way):
        return None
    everywhere = certain = True
    allows: list[_Allow] = []
    reach = path.reach
    for kind, needs in _by_kind(way):
        found = _furthest(path, kind, needs, principal)
        reach = min(reach, found.reach, key=_rank)
        everywhere = everywhere and any(it.everywhere for it in found.leaves)
        certain = certain and any(it.certain for it in found.leaves)
        allows.extend(allow for leave in found.leaves for allow in leave.allows)
    if reach is Reach.NONE:
        return None
    return _OpenWay(
        way=way, reach=reach, everywhere=everywhere, certain=certain, allows=tuple(allows)
    )


@cache
def _by_kind(way: Way) -> tuple[tuple[Kind, tuple[Need, ...]], ...]:
    """Needs that must be met on one and the same resource."""
    strict = sorted(
        (it for it in way if not it.on.loose), key=lambda it: (it.on.services, it.on.prefix)
    )
    return (
        *((kind, tuple(needs)) for kind, needs in groupby(strict, key=lambda it: it.on)),
        *((need.on, (need,)) for need in way if need.on.loose),
    )


@dataclass(frozen=True, slots=True)
class _Furthest:
    """How far a path leads by some of its needs, and all leaves by which it leads as far."""

    reach: Reach
    leaves: list[_Leave]


def _furthest(path: Path, kind: Kind, needs: tuple[Need, ...], principal: _Principal) -> _Furthest:
    patterns = list(dict.fromkeys(principal.patterns(kind, needs)))
    found = [*_met(anything(kind), needs, principal)]
    for pattern in patterns:
        found.extend(_met(examples(kind, pattern), needs, principal))
    reach = max((_leads(path, it) for it in found), key=_rank, default=Reach.NONE)
    if reach is not path.reach and principal.must_agree(needs):
        found.extend(_met(in_common(kind, patterns), needs, principal))
        reach = max((_leads(path, it) for it in found), key=_rank, default=Reach.NONE)
    return _Furthest(reach, [it for it in found if _leads(path, it) is reach])


def _leads(path: Path, leave: _Leave) -> Reach:
    reach = path.reach if leave.everywhere else path.narrow
    if leave.limited:
        reach = min(reach, Reach.INDIRECT, key=_rank)
    if path.if_sweeping is not None and not leave.on_purpose:
        reach = min(reach, path.if_sweeping, key=_rank)
    return reach


def _met(
    resources: Iterable[Example], needs: tuple[Need, ...], principal: _Principal
) -> Iterator[_Leave]:
    for resource in resources:
        leaves = []
        for need in needs:
            leave = principal.may(need, resource.arn)
            if leave is None or (resource.breadth is Breadth.OWN and need.action in ON_OTHERS):
                break
            leaves.append(leave)
        if len(leaves) == len(needs):
            yield _Leave(
                Breadth.ALL if resource.breadth is Breadth.OWN else resource.breadth,
                tuple(allow for leave in leaves for allow in leave.allows),
                all(it.certain for it in leaves),
                any(it.limited for it in leaves),
            )


@cache
def _requests(need: Need) -> tuple[tuple[Request, ...], tuple[Request, ...]]:
    """What whoever tries would ask for; and what may be enough where that is not granted."""
    always: Request = {BOUNDARY: Value.UNKNOWN} if need.bounded else {}
    if need.action == "iam:PassRole":
        services = need.passed_to or (Value.UNKNOWN,)
        return tuple({**always, PASSED_TO: it} for it in services), ()
    if need.action not in ENOUGH:
        return (always,), ()
    key, values = ENOUGH[need.action]
    perhaps = ({**always, key: PERHAPS_ENOUGH[key]},) if key in PERHAPS_ENOUGH else ()
    return tuple({**always, key: it} for it in values), perhaps


def _lets(limit: _Allow, request: Request) -> bool:
    return holds(limit.statement, request) is not False


@lru_cache(maxsize=8192)
def _matched(pattern: str) -> frozenset[str]:
    """Those actions of the table that the pattern matches."""
    if "*" not in pattern and "?" not in pattern:
        return frozenset({pattern}) & ACTIONS
    return frozenset(it for it in ACTIONS if matches(pattern, it))


def _covers(statement: Statement) -> frozenset[str]:
    named = frozenset[str]().union(*(_matched(it) for it in statement.actions))
    return ACTIONS - named if statement.every_action_but else named


def _on_purpose(statement: Statement) -> frozenset[str]:
    """What it names; of what NotAction leaves, that is nothing."""
    narrow = (it for it in map(_matched, statement.actions) if UNHEARD_OF not in it)
    return frozenset[str]().union(*narrow)


_KINDS: Mapping[str, frozenset[Kind]] = {
    action: frozenset(
        need.on
        for path in PATHS
        for way in path.ways
        for need in way
        if need.action.lower() == action
    )
    for action in ACTIONS
}


def _speaks_of(statement: Statement, action: str) -> bool:
    """Whether it can matter to the action: it denies it, or is about resources that it is on."""
    if not statement.allows:
        return True
    if statement.every_resource_but:
        return "*" not in statement.resources
    return any(
        pattern == "*" or examples(kind, pattern)
        for kind in _KINDS[action]
        for pattern in statement.resources
    )


def _text(path: Path, found: _OpenWay) -> str:
    """One sentence for an alert."""
    actions = "" if path.reach is Reach.ADMIN else ", ".join(it.action for it in found.way)
    remarks = [
        actions,
        "" if found.everywhere else "for some resources only",
        "" if found.certain else "under a condition",
    ]
    inside = "; ".join(it for it in remarks if it)
    return f"{path.text} ({inside})." if inside else f"{path.text}."
