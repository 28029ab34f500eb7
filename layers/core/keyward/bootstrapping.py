"""Makes in Identity Center what the catalogue has and the instance lacks: groups, permission sets.

What is there already is never touched: where a permission set is other than the catalogue has it,
that is drift, and the guard's. A set that is being made bears a tag until it is complete, so that
the next call finishes what a crash left. Nothing is assigned to anybody.

An instance may have thousands of sets, and a function one minute. Each call therefore does as much
as fits and says where the next one goes on.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from keyward import converging, drift
from keyward.catalogue import CatalogueEntry, entries_of
from keyward.errors import GatewayError, NotFoundError, RequestError
from keyward.livedeny import with_denies
from keyward.model import PermissionSetAttributes

if TYPE_CHECKING:
    from keyward.gateways.identity_center import IdentityCenterGateway
    from keyward.ledger import Ledger
    from keyward.services import Services
    from keyward.settings import Accepted

UNFINISHED = "keyward:bootstrap"
"""Tag on a permission set that is not complete yet; it is made with it, and loses it in the end."""

STEP_SECONDS = 10.0
"""After so long a call begins nothing new: what it has begun must end within the function's minute,
even at one call to Identity Center in a second."""

type Kind = Literal["group", "permission-set"]
type Does = Literal["create", "finish", "differs", "elsewhere"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something that the catalogue has: a group or a permission set. `entry` is None of a group."""

    kind: Kind
    name: str
    entry: CatalogueEntry | None = None

    @property
    def key(self) -> str:
        """Unique in a catalogue."""
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is to be said or done about an item that is not as the catalogue has it.

    `create` and `finish` are done; `differs` and `elsewhere` (in the identity provider) are told.
    `lines` is a readable diff. `outcome` says what was done, None as long as it is a plan; `failed`
    that it could not be.
    """

    kind: Kind
    name: str
    does: Does
    lines: tuple[str, ...] = ()
    outcome: str | None = None
    failed: bool = False

    @property
    def is_to_do(self) -> bool:
        """Whether Keyward does it, when asked to."""
        return self.does in {"create", "finish"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What one call found or did. The next one goes on after `next`; `waits` says for what.

    Both None: nothing is left.
    """

    steps: tuple[Step, ...]
    next: str | None = None
    waits: str | None = None


def items(entries: Mapping[str, CatalogueEntry]) -> tuple[Item, ...]:
    """All that the catalogue has, each once, groups first. Pure."""
    groups = {entry.group for entry in entries.values() if entry.group is not None}
    return (
        *(Item(kind="group", name=name) for name in sorted(groups)),
        *(
            Item(kind="permission-set", name=name, entry=entry)
            for name, entry in sorted(entries.items())
        ),
    )


def of_group(name: str, *, exists: bool, external_idp: bool) -> Step | None:
    """What is to be done about a group; None where it is there. Pure."""
    if exists:
        return None
    return Step(kind="group", name=name, does="elsewhere" if external_idp else "create")


def of_set(
    name: str, actual: PermissionSetAttributes | None, wanted: PermissionSetAttributes
) -> Step | None:
    """What is to be done about a permission set, None of which is not there. Pure.

    What denies live sessions is Keyward's own, and no difference here.
    """
    nothing = PermissionSetAttributes()
    found = drift.differences(with_denies(actual or nothing, ()), wanted)
    if actual is None:
        return Step(kind="permission-set", name=name, does="create", lines=drift.lines(found))
    if UNFINISHED in actual.tags:
        return Step(kind="permission-set", name=name, does="finish", lines=drift.lines(found))
    if found:
        return Step(kind="permission-set", name=name, does="differs", lines=drift.lines(found))
    return None


def digest(accepted: "Accepted") -> str:
    """What the catalogue in force is known by, so that what was planned is what is done."""
    text = json.dumps(accepted.permission_sets, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def carry_on(  # noqa: PLR0913 - all of it by name
    accepted: "Accepted",
    *,
    plan: bool,
    after: str | None,
    services: "Services",
    now: datetime,
    clock: Callable[[], float] = time.monotonic,
) -> Progress:
    """The next steps after that item, as a plan or done; as many as fit into one call.

    Raises RequestError where the catalogue is empty, GatewayError where AWS refuses to be asked.
    """
    entries = entries_of(accepted.permission_sets)
    if not entries:
        message = "the catalogue in force has no permission set: keyward settings push"
        raise RequestError(message)
    ends = clock() + STEP_SECONDS
    rule = accepted.rules.get("idc-local-identity-created", {})
    work = _Work(
        center=services.identity_center(now),
        ledger=services.ledger,
        external_idp=rule.get("external_idp") is True,
        plan=plan,
    )
    steps: list[Step] = []
    remaining = [item for item in items(entries) if after is None or _rank(item.key) > _rank(after)]
    try:
        if remaining and (waits := work.know_names(is_over=lambda: clock() >= ends)) is not None:
            return Progress(steps=(), next=after, waits=waits)
        for number, item in enumerate(remaining):
            if number and clock() >= ends:
                return Progress(steps=tuple(steps), next=after)
            steps += work.step(item)
            after = item.key
    except GatewayError as error:
        if not error.retryable:
            raise
        return Progress(steps=tuple(steps), next=after, waits=str(error))
    return Progress(steps=tuple(steps))


@dataclass(frozen=True, slots=True, kw_only=True)
class Existing:
    """A permission set that is there; one that can't be read has neither name nor attributes."""

    arn: str
    name: str | None = None
    attributes: PermissionSetAttributes | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The permission sets that one call read; `next` and `waits` as of `Progress`."""

    sets: tuple[Existing, ...]
    next: str | None = None
    waits: str | None = None


def listed(
    *,
    after: str | None,
    services: "Services",
    now: datetime,
    clock: Callable[[], float] = time.monotonic,
) -> Listed:
    """The permission sets after that ARN, without what denies live sessions in them.

    As many as fit into one call. Raises GatewayError.
    """
    ends = clock() + STEP_SECONDS
    center = services.identity_center(now)
    found: list[Existing] = []
    try:
        for arn in sorted(center.arns()):
            if after is not None and arn <= after:
                continue
            if found and clock() >= ends:
                return Listed(sets=tuple(found), next=after)
            found += _existing(arn, center)
            after = arn
    except GatewayError as error:
        if not error.retryable:
            raise
        return Listed(sets=tuple(found), next=after, waits=str(error))
    return Listed(sets=tuple(found))


def _existing(arn: str, center: "IdentityCenterGateway") -> list[Existing]:
    """The set of this ARN; none where it went after the list was made."""
    try:
        name, attributes = center.attributes(arn)
    except NotFoundError:
        return []
    except GatewayError as error:
        if error.retryable:
            raise
        return [Existing(arn=arn, error=str(error))]
    return [Existing(arn=arn, name=name, attributes=with_denies(attributes, ()))]


@dataclass(slots=True, kw_only=True)
class _Work:
    """What one call works with."""

    center: "IdentityCenterGateway"
    ledger: "Ledger"
    external_idp: bool
    plan: bool
    arns: Mapping[str, str] = field(default_factory=dict, init=False)

    def know_names(self, *, is_over: Callable[[], bool]) -> str | None:
        """Finds the ARN of every set by its name. What was asked once, the ledger knows.

        Where that takes longer than a call it says how far it came, and the next one comes further.
        """
        every = self.center.arns()
        found: dict[str, str] = {}
        for number, arn in enumerate(every):
            name = self.ledger.name_of_set(arn)
            if name is None:
                if is_over():
                    return f"asks for names: {number} of {len(every)} permission sets are known"
                try:
                    name = self.center.name_of(arn)
                except NotFoundError:
                    continue
                self.ledger.remember_set(arn, name)
            found[name] = arn
        self.arns = found
        return None

    def step(self, item: Item) -> Iterator[Step]:
        """The step that the item needs, if any: planned, or done."""
        if item.entry is None:
            exists = self.center.group_id(item.name) is not None
            step = of_group(item.name, exists=exists, external_idp=self.external_idp)
            wanted = PermissionSetAttributes()
        else:
            wanted = item.entry.attributes()
            step = of_set(item.name, self._actual(item.name), wanted)
        if step is None:
            return
        yield step if self.plan or not step.is_to_do else self._done(step, wanted)

    def _actual(self, name: str) -> PermissionSetAttributes | None:
        arn = self.arns.get(name)
        try:
            return None if arn is None else self.center.attributes(arn)[1]
        except NotFoundError:
            return None

    def _done(self, step: Step, wanted: PermissionSetAttributes) -> Step:
        try:
            outcome = (
                self._make_group(step.name)
                if step.kind == "group"
                else self._make_set(step.name, wanted)
            )
        except GatewayError as error:
            if error.retryable:
                raise
            return replace(step, outcome=str(error), failed=True)
        return replace(step, outcome=outcome)

    def _make_group(self, name: str) -> str:
        made = self.center.create_group(name, "For a permission set of Keyward's catalogue")
        return f"is there, as {made}"

    def _make_set(self, name: str, wanted: PermissionSetAttributes) -> str:
        """Makes the set, or goes on with it; reads it back; and only then takes the mark away."""
        arn = self.arns.get(name)
        if arn is None:
            marked = replace(wanted, tags={UNFINISHED: "unfinished"})
            arn = self.center.create(name, marked)
        self.ledger.remember_set(arn, name)
        converging.apply(arn, self._lacking(arn, wanted), wanted, self.center)
        if left := self._lacking(arn, wanted):
            message = f"permission set {name} is not yet as wanted: {'; '.join(drift.lines(left))}"
            raise GatewayError(message, code="NotYet", retryable=True)
        self.center.remove_tags(arn, [UNFINISHED])
        return f"is there, as {arn}"

    def _lacking(self, arn: str, wanted: PermissionSetAttributes) -> Iterable[drift.Difference]:
        return drift.differences(self.center.attributes(arn)[1], wanted)


def _rank(key: str) -> tuple[bool, str]:
    """The place of an item's key in the order of `items`."""
    return key.startswith("permission-set/"), key
