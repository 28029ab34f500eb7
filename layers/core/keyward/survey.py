"""What an account's IAM shows at a glance, and what of it is to be looked at more closely. Pure.

A snapshot has every user, but no key ids, and what it says of keys and passwords is up to four
hours old. So it only makes suspects: who is one, and since when, is decided here; what is so is
read again before anything is recorded.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from keyward.actions import (
    DENY_ALL_ARN,
    MARKER_TAG,
    QUARANTINE_GROUP,
    DeactivateAccessKeys,
    DeactivateCredential,
    QuarantineUser,
)
from keyward.findings import Containment, Finding, FindingRecord, State
from keyward.model import (
    AccessKey,
    AccountId,
    ConsolePassword,
    Contained,
    CredentialKind,
    Hint,
    IamPrincipal,
    IamUser,
    OfIam,
    PolicyDocument,
    RootAccessKey,
    StaticCredential,
    UserPolicy,
)
from keyward.planner import OUT_OF_REACH
from keyward.policy import aws_managed, contributes
from keyward.policy.document import read
from keyward.rule import AnyRule, InForce, judge
from keyward.settings import Mode
from keyward.sweep import Looked

LAG = timedelta(minutes=5)
"""What was recorded within so long is not held against a list that may not show it yet.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html (eventual consistency)
"""

SAME = timedelta(seconds=2)
"""Two lists tell the same moment by whole seconds, each in its own way."""

ROOT = "root"
"""In place of a user: the account's root user."""

NO_API_SHOWS_IT = frozenset({"iam-access-key-for-other-user"})
"""Rules that object to who did it: no state bears them out, or refutes them."""

DENY_ALL = PolicyDocument(
    name="keyward-deny-all",
    text='{"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}',
)
"""What the quarantine group says."""

PASSES = (OUT_OF_REACH, "the action budget", "exemption ")
"""How what held Keyward back begins, where that passes by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySlot:
    """One of the two access keys that a user can have, as a credential report has it: without id.

    `changed_at` is when it was made or changed last, None where there is none, or none active.
    `used_at` is when it was used last, None where it never was; `used_by` in which service.
    """

    active: bool
    changed_at: datetime | None = None
    used_at: datetime | None = None
    used_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A user's line of a credential report. `certificates` tells which of the two are active."""

    user_name: str
    arn: str
    created_at: datetime | None
    password: bool
    password_changed_at: datetime | None = None
    password_used_at: datetime | None = None
    mfa: bool = False
    keys: tuple[KeySlot, ...] = ()
    certificates: tuple[bool, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialReport:
    """A credential report: users by ARN, and the root user. It may be hours old."""

    generated_at: datetime
    users: Mapping[str, Credentials]
    root: Credentials | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A user, or a group (`user` is None), with its own policies: ARNs, and inline ones by text."""

    name: str
    unique_id: str
    attached: tuple[str, ...] = ()
    inline: tuple[PolicyDocument, ...] = ()
    groups: tuple[str, ...] = ()
    user: IamUser | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorizations:
    """All users and groups, and the account's own managed policies by ARN."""

    users: tuple[Holder, ...]
    groups: Mapping[str, Holder] = field(default_factory=dict)
    policies: Mapping[str, PolicyDocument] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """An account's IAM as read at `at`. `credentials` are service-specific ones, by user name."""

    account: AccountId
    at: datetime
    report: CredentialReport
    authorizations: Authorizations
    credentials: Mapping[str, tuple[StaticCredential, ...]] = field(default_factory=dict)

    def line_of(self, user: IamUser) -> Credentials | None:
        """The user's line of the report; None where the user is newer than the report.

        A name that was given away and taken again is told by when the user was made.
        """
        line = self.report.users.get(user.arn or "")
        if line is None or line.created_at is None or user.created_at is None:
            return line
        return line if abs(line.created_at - user.created_at) <= SAME else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A user, or root (`user` is None), with all that rules object to in it.

    `facts` are digits for each objection, with the key of the finding: others, once it is to be
    looked at anew. `findings` are by their key. `marks` are digits for what IAM tells no date of,
    suspected or not, by the subject's unique id.
    """

    user: IamUser | None
    facts: Mapping[str, str]
    findings: Mapping[str, Finding]
    marks: Mapping[str, str] = field(default_factory=dict)

    def looks(self, keys: Iterable[str]) -> frozenset[str]:
        """The parts that show what is objected to by these findings."""
        told = [self.findings[key] for key in keys if key in self.findings]
        parts = frozenset(_LOOKS[type(it.subject).__name__] for it in told)
        return parts | _UNREPORTED if NO_LINE in keys else parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A look at one user, or at root: at which parts, and by name at what is on record.

    `since` is for what has no date of its own: it isn't older than that. None: nobody knows.
    """

    id: str
    user: IamUser | None
    looks: tuple[str, ...]
    since: datetime | None = None
    keys: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What follows from a snapshot: whom to look at, what is over, and what to remember."""

    asks: tuple[Ask, ...]
    over: tuple[tuple[FindingRecord, str], ...]
    looked: Looked


def survey(  # noqa: PLR0913 - all of it by name
    snapshot: Snapshot,
    *,
    rules: Iterable[AnyRule],
    settings: InForce,
    hint: Hint,
    contained: Iterable[Containment],
    open_findings: Iterable[FindingRecord],
    before: Looked | None,
    full: bool,
) -> Survey:
    """Compares a snapshot with what is on record, and with the last survey of the account.

    Asked to be looked at is who is suspected of something new; in a `full` survey everybody who is
    suspected; and whose finding waits for what may be over by now.
    """
    records = _by_user(open_findings, snapshot)
    suspects = _suspects(
        snapshot, rules=tuple(rules), settings=settings, hint=hint, contained=contained
    )
    asks: list[Ask] = []
    users: dict[str, str] = {}
    for id_, suspect in suspects.items():
        known, facts = _Known.read(before, id_), suspect.facts.keys()
        users[id_] = f"{','.join(facts)}:{','.join(suspect.marks.values())}"
        new = frozenset(suspect.facts[it] for it in facts if full or it not in known.facts)
        mine = records.get(id_, [])
        due = [it for it in mine if _is_due(it, settings=settings, at=snapshot.at)]
        if facts and not known.facts <= facts:
            due += [it for it in mine if _is_one_of_several(it, suspect)]
        if full:
            due += [it for it in mine if _kind_of(it) is CredentialKind.SSH_PUBLIC_KEY]
        asks += _asks(suspect, id_, new=new, known=known, records=mine, due=due)
    asked = {ask.id for ask in asks}
    over = [
        (record, why)
        for id_, some in records.items()
        for record in some
        if record.last_seen < snapshot.at - LAG
        and (
            why := _over(
                record,
                suspects.get(id_),
                snapshot=snapshot,
                is_asked=id_ in asked,
                is_judged=_is_judged(record, settings, snapshot.at),
            )
        )
    ]
    return Survey(asks=tuple(asks), over=tuple(over), looked=Looked(at=snapshot.at, users=users))


def _by_user(
    records: Iterable[FindingRecord], snapshot: Snapshot
) -> dict[str, list[FindingRecord]]:
    """The findings about IAM, by the unique id of their user as far as anybody knows it, or root.

    What was recorded where IAM could not be read has a name alone, as the caller spelt it: IAM
    tells names apart without regard to case.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    by_name = {it.name.casefold(): it.unique_id for it in snapshot.authorizations.users}
    found: dict[str, list[FindingRecord]] = {}
    for record in records:
        if record.subject_kind in _KINDS:
            id_ = record.user_id or by_name.get((record.user_name or "").casefold(), "")
            is_root = record.subject_kind == "RootAccessKey"
            found.setdefault(ROOT if is_root else id_, []).append(record)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the last survey, at `at`, knew of a user; nothing where it didn't come upon it."""

    at: datetime | None = None
    facts: frozenset[str] = frozenset()
    marks: frozenset[str] = frozenset()

    @classmethod
    def read(cls, before: Looked | None, id_: str) -> "_Known":
        if before is None or id_ not in before.users:
            return cls()
        facts, _, marks = before.users[id_].partition(":")
        return cls(
            at=before.at, facts=frozenset(facts.split(",")), marks=frozenset(marks.split(","))
        )


def _is_one_of_several(record: FindingRecord, suspect: Suspect) -> bool:
    """Whether only a look tells if it is this one that is gone, since the user has another."""
    kinds = {type(it.subject).__name__ for it in suspect.findings.values()}
    has_id = _kind_of(record) is CredentialKind.SERVICE_SPECIFIC
    is_such = record.subject_kind in {"AccessKey", "StaticCredential"} and not has_id
    return is_such and record.subject_kind in kinds


_UNREPORTED = frozenset({"keys", "password", "credentials"})
"""What is not known of a user that is newer than the report."""

READABLE = "IAM of the account can be read again: what is so is recorded of the user"

NO_LINE = "no line of the report"

ALL_HELD = "*"
"""In place of a policy's name: all policies of a user, whether they lead anywhere or not."""

_KINDS = frozenset(it.__name__ for it in OfIam.__args__)

_LOOKS: Mapping[str, str] = {
    "IamUser": "user",
    "AccessKey": "keys",
    "ConsolePassword": "password",
    "StaticCredential": "credentials",
    "UserPolicy": "policies",
    "IamPrincipal": "principal",
    "Contained": "containment",
    "RootAccessKey": "root",
}
"""Kind of subject -> the part of a user that shows it."""


def _suspects(
    snapshot: Snapshot,
    *,
    rules: tuple[AnyRule, ...],
    settings: InForce,
    hint: Hint,
    contained: Iterable[Containment],
) -> dict[str, Suspect]:
    """Every user by unique id, and root, with what rules object to in it, if anything."""
    held: dict[str, list[Containment]] = {}
    for containment in contained:
        if containment.user is not None:
            held.setdefault(containment.user.user_id, []).append(containment)
    policies = _Policies(snapshot.authorizations)
    found: dict[str, Suspect] = {}
    for holder in snapshot.authorizations.users:
        user = holder.user
        if user is None:
            continue
        line = snapshot.line_of(user)
        subjects = list(_subjects(holder, user, line, snapshot, policies))
        subjects += _broken(holder, user, line, snapshot, held.get(holder.unique_id, ()))
        suspect = _judged(user, subjects, rules=rules, settings=settings, hint=hint)
        if line is None:
            suspect = replace(
                suspect,
                facts={**suspect.facts, _short(NO_LINE): NO_LINE},
            )
        found[holder.unique_id] = replace(suspect, marks=_marks(holder, user, policies))
    root = snapshot.report.root
    has_key = root is not None and any(key.active for key in root.keys)
    roots: list[tuple[OfIam, str]] = (
        [(RootAccessKey(account=snapshot.account), "root")] if has_key else []
    )
    found[ROOT] = _judged(None, roots, rules=rules, settings=settings, hint=hint)
    return found


def _judged(
    user: IamUser | None,
    subjects: Iterable[tuple[OfIam, str]],
    *,
    rules: tuple[AnyRule, ...],
    settings: InForce,
    hint: Hint,
) -> Suspect:
    """What rules object to in the subjects, each with a fact that tells it from what was before."""
    told = list(subjects)
    what = {id(subject): fact for subject, fact in told}
    facts: dict[str, str] = {}
    findings: dict[str, Finding] = {}
    for finding in judge(rules, [subject for subject, _ in told], hint=hint, settings=settings):
        subject, rule = finding.subject, settings.rules[finding.rule]
        findings[finding.key] = finding
        mode = settings.mode(finding.rule, hint.time)
        exempt = settings.exemption(rule=finding.rule, subject=subject, now=hint.time)
        it = f"{finding.rule} {finding.reason.code} {what[id(subject)]}"
        facts[_short(f"{it} {mode} {rule.existing} {exempt}")] = finding.key
    return Suspect(user=user, facts=facts, findings=findings)


def _subjects(  # noqa: C901 - a kind each
    holder: Holder,
    user: IamUser,
    line: Credentials | None,
    snapshot: Snapshot,
    policies: "_Policies",
) -> Iterator[tuple[OfIam, str]]:
    """What a snapshot shows of a user, as rules judge it, each with what tells it from others."""
    yield user, ""
    for arn in holder.attached:
        yield UserPolicy(owner=user, name=arn.rpartition("/")[2], arn=arn), arn
    for document in holder.inline:
        yield UserPolicy(owner=user, name=document.name), document.name
    for credential in snapshot.credentials.get(user.name, ()):
        it = replace(credential, owner=user)
        yield it, f"{it.credential_id} {it.active}"
    principal = policies.of(holder, user)
    if principal is not None:
        yield principal, policies.fact(holder, user)
    if line is None:
        return
    if line.password:
        password = ConsolePassword(
            owner=user,
            since=line.password_changed_at,
            used_at=line.password_used_at,
            use_known=True,
        )
        yield password, f"password {line.password_changed_at}"
    for number, key in enumerate(line.keys, 1):
        if key.active:
            others = [it for it in line.keys if it is not key and it.active]
            yield _key(user, number, key, others), f"key {number} {key.changed_at}"
    for number, active in enumerate(line.certificates, 1):
        if active:
            certificate = StaticCredential(
                owner=user,
                kind=CredentialKind.SIGNING_CERTIFICATE,
                credential_id=f"{holder.unique_id}/certificate {number}",
                active=True,
            )
            yield certificate, f"certificate {number}"


def _key(user: IamUser, number: int, key: KeySlot, others: Iterable[KeySlot]) -> AccessKey:
    """A key by its place, since nobody knows its id; made when it was changed last, or before."""
    newer = [
        it.changed_at
        for it in others
        if it.changed_at is not None and key.changed_at is not None
        if it.changed_at > key.changed_at
    ]
    return AccessKey(
        owner=user,
        key_id=f"{user.user_id}/key {number}",
        active=key.active,
        since=key.changed_at,
        created_at=key.changed_at,
        used_at=key.used_at,
        use_known=True,
        newer_since=max(newer, default=None),
    )


class _Policies:
    """Whether what users hold may lead to more: by text, or by name where a policy is AWS's own.

    Groups and managed policies are read once, however many users have them.
    """

    def __init__(self, authorizations: Authorizations) -> None:
        self._known = authorizations
        self._contributes: dict[str, bool] = {}

    def of(self, holder: Holder, user: IamUser) -> IamPrincipal | None:
        """The user with all its policies; with None for them where AWS's own ones must be read.

        None: nothing that it has leads anywhere.
        """
        documents, unread = self._held(holder)
        if denies_all(holder, self._known) or not (
            unread or any(self._leads(it) for it in documents)
        ):
            return None
        boundary, is_unread = self._boundary(user)
        principal = IamPrincipal(
            account=user.account,
            kind="user",
            name=user.name,
            principal_id=user.user_id,
            arn=user.arn,
            user=user,
        )
        if unread or is_unread:
            return principal
        return replace(principal, policies=documents, boundary=boundary)

    def fact(self, holder: Holder, user: IamUser) -> str:
        """Hexadecimal digits for all that a user may do: others once that is changed."""
        _, unread = self._held(holder)
        return self._digits(holder, user, unread)

    def held(self, holder: Holder, user: IamUser) -> str:
        """The same with what leads nowhere, as far as anybody knows: another version may know."""
        return self._digits(
            holder, user, {arn for it in self._holders(holder) for arn in it.attached}
        )

    def _digits(self, holder: Holder, user: IamUser, arns: Iterable[str]) -> str:
        documents, _ = self._held(holder)
        boundary, _ = self._boundary(user)
        texts = [f"{it.name} {it.text}" for it in documents]
        limit = boundary.text if boundary is not None else ""
        return _short("\n".join([*sorted(texts), *sorted(arns), limit, f"{user.boundary_arn}"]))

    def _holders(self, holder: Holder) -> list[Holder]:
        groups = (self._known.groups.get(it) for it in holder.groups)
        return [holder, *(it for it in groups if it is not None)]

    def _held(self, holder: Holder) -> tuple[tuple[PolicyDocument, ...], tuple[str, ...]]:
        """Its policies and its groups' by text; and what may lead to more, and must be read.

        That is AWS's own by ARN, and a group that the lists of just now don't have.
        """
        holders = self._holders(holder)
        documents = [document for it in holders for document in it.inline]
        unread = [f"group {it}" for it in holder.groups if it not in self._known.groups]
        for arn in dict.fromkeys(arn for it in holders for arn in it.attached):
            if arn in self._known.policies:
                documents.append(self._known.policies[arn])
            elif not aws_managed.harmless(arn):
                unread.append(arn)
        return tuple(documents), tuple(unread)

    def _boundary(self, user: IamUser) -> tuple[PolicyDocument | None, bool]:
        if user.boundary_arn is None:
            return None, False
        known = self._known.policies.get(user.boundary_arn)
        return known, known is None

    def _leads(self, document: PolicyDocument) -> bool:
        if document.text not in self._contributes:
            self._contributes[document.text] = contributes(document)
        return self._contributes[document.text]


def denies_all(holder: Holder, known: Authorizations) -> bool:
    """Whether the user is denied everything by any rung of a quarantine."""
    if DENY_ALL_ARN in holder.attached:
        return True
    if holder.user is not None and holder.user.boundary_arn == DENY_ALL_ARN:
        return True
    group = known.groups.get(QUARANTINE_GROUP) if QUARANTINE_GROUP in holder.groups else None
    return group is not None and any(_is_deny_all(it) for it in group.inline)


def _is_deny_all(document: PolicyDocument) -> bool:
    """Whether it is what member/template.yaml puts into the quarantine group."""
    found = read(document).statements
    (wanted,) = read(DENY_ALL).statements
    return len(found) == 1 and replace(found[0], policy=wanted.policy, label=wanted.label) == wanted


def _broken(
    holder: Holder,
    user: IamUser,
    line: Credentials | None,
    snapshot: Snapshot,
    held: Iterable[Containment],
) -> Iterator[tuple[OfIam, str]]:
    """What Keyward has contained and what may not be contained any more.

    A report that was made before the act says nothing of it.
    """
    for containment in held:
        is_newer = snapshot.report.generated_at > containment.contained_at
        keys = line.keys if line is not None and is_newer else ()
        active = sum(key.active for key in keys)
        match containment.action:
            case QuarantineUser():
                lacks = [] if denies_all(holder, snapshot.authorizations) else ["nothing denies it"]
                lacks += [f"{active} access keys are active"] if active else []
                lacks += ["the marker tag is gone"] if MARKER_TAG not in (user.tags or {}) else []
                of: list[IamUser | AccessKey | StaticCredential] = [user]
            case DeactivateAccessKeys(key_ids=ids):
                # Which of two keys is active no report says: it may be ours.
                ours = tuple(containment.before.statuses) or ids or ()
                which = [f"key {number}" for number, key in enumerate(keys, 1) if key.active]
                lacks = [f"{' and '.join(which)} may be active again"] if active else []
                of = [AccessKey(owner=user, key_id=it, active=True) for it in ours]
            case DeactivateCredential(kind=kind, credential_id=id_):
                is_active = _credential_is_active(
                    kind, id_, user, line if is_newer else None, snapshot
                )
                lacks = [f"{kind} is active"] if is_active else []
                of = [StaticCredential(owner=user, kind=kind, credential_id=id_, active=is_active)]
            case _:
                continue
        for it in of if lacks else ():
            yield (
                Contained(of=it, finding=containment.finding, holds=False, broken=tuple(lacks)),
                f"{it.unique_id} {lacks}",
            )


def _credential_is_active(
    kind: CredentialKind,
    id_: str,
    user: IamUser,
    line: Credentials | None,
    snapshot: Snapshot,
) -> bool:
    if kind is CredentialKind.SERVICE_SPECIFIC:
        listed = snapshot.credentials.get(user.name, ())
        return any(it.active for it in listed if it.credential_id == id_)
    # Which of two certificates is active no report says, either.
    return (
        kind is CredentialKind.SIGNING_CERTIFICATE and line is not None and all(line.certificates)
    )


def _marks(holder: Holder, user: IamUser, policies: _Policies) -> dict[str, str]:
    """What wasn't there in the last survey is no older than that, whoever is suspected when."""
    names = [*holder.attached, *(it.name for it in holder.inline)]
    return {
        holder.unique_id: policies.fact(holder, user),
        f"{holder.unique_id}/{ALL_HELD}": policies.held(holder, user),
        **{f"{holder.unique_id}/{name}": _short(name) for name in names},
    }


def _asks(  # noqa: PLR0913 - all of it by name
    suspect: Suspect,
    id_: str,
    *,
    new: frozenset[str],
    known: _Known,
    records: Iterable[FindingRecord],
    due: Iterable[FindingRecord],
) -> list[Ask]:
    """The looks at a user: several where of what IAM tells no date of some is newer than the rest.

    What is on record as newer than the rule's enforcing stays so, whatever held Keyward back.
    """
    on_record = {record.key: record for record in records}
    due_keys = {record.key for record in due}
    made = suspect.user.created_at if suspect.user is not None else None
    younger: dict[datetime, list[Finding]] = {}
    others: list[Finding] = []
    for key, finding in suspect.findings.items():
        if key in new | due_keys and isinstance(finding.subject, UserPolicy | IamPrincipal):
            since = _since(finding, on_record.get(key), suspect=suspect, known=known)
            is_younger = since is not None and (made is None or since > made)
            (younger.setdefault(since, []) if since and is_younger else others).append(finding)
    # Policies are named each: "all of them" would make the old ones as new as the others.
    looks = suspect.looks(new) | {_LOOKS[it.subject_kind] for it in due}
    rest = looks - {"policies", "principal"}
    asks = []
    for since, some in sorted(younger.items()):
        name = "new" if since == known.at else f"{since:%Y%m%dT%H%M%S%f}"
        asks.append(_ask(suspect, f"{id_}-{name}", frozenset(), since=since, undated=some))
    if others or rest or due_keys - {it.key for some in younger.values() for it in some}:
        named = [it for it in records if it.key not in suspect.findings or not _is_undated(it)]
        asks.append(_ask(suspect, id_, rest, since=made, undated=others, records=named))
    return asks


def _since(
    finding: Finding, record: FindingRecord | None, *, suspect: Suspect, known: _Known
) -> datetime | None:
    """Since when at the earliest is so what IAM tells no date of; None where nobody knows.

    What once was recorded as newer than the rule's enforcing was there when it was recorded.
    """
    if record is not None:
        return _recorded_at(record) if _is_undated(record) else None
    id_ = finding.subject.unique_id or ""
    marks = {suspect.marks.get(id_, "")}
    if isinstance(finding.subject, IamPrincipal):
        marks.add(suspect.marks.get(f"{id_}/{ALL_HELD}", ""))
    return known.at if not marks & known.marks else None


def _is_undated(record: FindingRecord) -> bool:
    """Whether it is about what has no date, and came about after its rule began to enforce."""
    is_such = record.subject_kind in {"UserPolicy", "IamPrincipal"}
    return is_such and record.would is not None and not record.would.existed


def _recorded_at(record: FindingRecord) -> datetime:
    """When this episode of an open finding began, or later where its history is too long."""
    if record.episode == 1:
        return record.first_seen
    at = record.last_seen
    for moment in reversed(record.history):
        if moment.state not in {State.OPEN, State.ACTING, State.FAILED}:
            break
        at = moment.at
    return at


def _ask(  # noqa: C901, PLR0912, PLR0913 - a kind each
    suspect: Suspect,
    id_: str,
    looks: frozenset[str],
    *,
    since: datetime | None,
    undated: Iterable[Finding],
    records: Iterable[FindingRecord] = (),
) -> Ask:
    """A look, which settles all open findings: what is gone, no list shows, so that it is named."""
    keys, credentials, policies = [], [], []
    for finding in undated:
        match finding.subject:
            case UserPolicy(name=name, arn=arn):
                policies.append(arn or name)
            case _:
                looks |= {"principal"}
    for record in records:
        match record.subject_kind:
            case "AccessKey":
                keys.append(record.unique_id)
            case "StaticCredential" if (kind := _kind_of(record)) is not None:
                credentials.append(f"{kind}:{record.unique_id}")
            case "UserPolicy" if record.user_id is not None:
                policies.append(record.unique_id.removeprefix(f"{record.user_id}/"))
            case kind_of_subject:
                looks |= {_LOOKS[kind_of_subject]} - {"policies"}
    if "containment" in looks:
        for finding in suspect.findings.values():
            match finding.subject:
                case Contained(of=AccessKey(key_id=id_of_key)):
                    keys.append(id_of_key)
                case Contained(of=StaticCredential() as it):
                    credentials.append(f"{it.kind}:{it.credential_id}")
                case _:
                    pass
    return Ask(
        id=id_,
        user=suspect.user,
        looks=tuple(sorted(looks)),
        since=since,
        keys=tuple(dict.fromkeys(keys)),
        credentials=tuple(dict.fromkeys(credentials)),
        policies=tuple(dict.fromkeys(policies)),
    )


def _kind_of(record: FindingRecord) -> CredentialKind | None:
    """The kind of a credential: how the finding's subject is called begins with it."""
    return next((it for it in CredentialKind if record.subject.startswith(f"{it} ")), None)


def _is_due(record: FindingRecord, *, settings: InForce, at: datetime) -> bool:
    """Whether what a finding waits for may be over: grace, a budget, a role that was missing."""
    if record.rule not in settings.rules or settings.mode(record.rule, at) is not Mode.ENFORCE:
        return (record.held or "").startswith(OUT_OF_REACH)
    is_graced = record.grace_until is not None and record.grace_until <= at
    is_held = (record.held or "").startswith(PASSES)
    return is_graced or is_held or record.state is State.FAILED


def _is_judged(record: FindingRecord, settings: InForce, at: datetime) -> bool:
    return record.rule in settings.rules and settings.mode(record.rule, at) is not Mode.OFF


def _over(  # noqa: C901, PLR0911 - a case each
    record: FindingRecord,
    suspect: Suspect | None,
    *,
    snapshot: Snapshot,
    is_asked: bool,
    is_judged: bool,
) -> str | None:
    """Why an open finding is so no more, as far as the snapshot tells; None where it may be so.

    A look at the user settles it (`is_asked`), but for what was recorded by name alone: of that the
    look makes another finding. A user that is gone is gone anyway.
    """
    report = snapshot.report
    is_newer = report.generated_at > record.last_seen
    if record.subject_kind == "RootAccessKey":
        has_no_key = report.root is not None and not any(it.active for it in report.root.keys)
        return "the root user has no active access key" if has_no_key and is_newer else None
    if record.user_id is None and record.user_name is None:
        return _group_is_gone(record, snapshot)
    if suspect is None or suspect.user is None:
        return "the IAM user is gone"
    has_id = record.subject_kind in {"AccessKey", "StaticCredential"}
    if is_judged and record.user_id is None and not has_id:
        return READABLE
    if is_asked or not is_judged or record.key in suspect.findings:
        return None
    line = snapshot.line_of(suspect.user)
    told = line if is_newer else None
    match record.subject_kind:
        case "AccessKey":
            if told is None:
                return None
            if not any(key.active for key in told.keys):
                return "the user has no active access key"
            rules = {finding.rule for finding in suspect.findings.values()}
            is_so = record.rule in rules | NO_API_SHOWS_IT
            return None if is_so else "no access key of the user is so any more"
        case "ConsolePassword":
            return "the user's console password is not so any more" if told is not None else None
        case "StaticCredential":
            return _credential_is_over(record, told)
        case "Contained" if told is None:
            return None
        case _:
            return "it is not so any more"


def _credential_is_over(record: FindingRecord, told: Credentials | None) -> str | None:
    kind = _kind_of(record)
    if kind is CredentialKind.SERVICE_SPECIFIC:
        return "the credential is gone or inactive"
    if kind is CredentialKind.SIGNING_CERTIFICATE and told is not None:
        return None if any(told.certificates) else "the user has no active signing certificate"
    return None


def _group_is_gone(record: FindingRecord, snapshot: Snapshot) -> str | None:
    """Of groups and roles a survey tells only which groups are gone.

    What users may do was recorded like that where not even who they are could be read.
    """
    if record.subject.startswith("IAM user "):
        return READABLE
    is_group = record.subject.startswith("IAM group ")
    ids = {group.unique_id for group in snapshot.authorizations.groups.values()}
    is_gone = is_group and record.unique_id not in {*ids, record.subject}
    return "the IAM group is gone" if is_gone else None


def _short(text: str, length: int = 16) -> str:
    """Digits, more than anybody can find another text for: policies are written by those judged."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


def inventory(snapshot: Snapshot) -> Iterator[dict[str, object]]:
    """What the account's users hold, one line each. No secrets; times are ISO."""
    for holder in snapshot.authorizations.users:
        if holder.user is None:
            continue
        user, line = holder.user, snapshot.line_of(holder.user)
        of: dict[str, object] = {"account": snapshot.account, "user": user.name}
        yield {
            "kind": "user",
            **of,
            "user_id": user.user_id,
            "arn": user.arn,
            "created": _iso(user.created_at),
            "mfa": line.mfa if line is not None else None,
            "policies": [*holder.attached, *(it.name for it in holder.inline)],
            "groups": list(holder.groups),
            "boundary": user.boundary_arn,
        }
        yield from (
            {
                "kind": "credential",
                **of,
                "credential": it.kind,
                "id": it.credential_id,
                "service": it.service,
                "active": it.active,
                "created": _iso(it.since),
            }
            for it in snapshot.credentials.get(user.name, ())
        )
        if line is not None:
            yield from _of_report(line, of)
    if snapshot.report.root is not None:
        yield from _of_report(
            snapshot.report.root, {"account": snapshot.account, "user": "<root_account>"}
        )


def _of_report(line: Credentials, of: Mapping[str, object]) -> Iterator[dict[str, object]]:
    if line.password:
        yield {
            "kind": "password",
            **of,
            "changed": _iso(line.password_changed_at),
            "used": _iso(line.password_used_at),
            "mfa": line.mfa,
        }
    for number, key in enumerate(line.keys, 1):
        if key.active or key.changed_at is not None:
            yield {
                "kind": "access-key",
                **of,
                "number": number,
                "active": key.active,
                "changed": _iso(key.changed_at),
                "used": _iso(key.used_at),
                "used_by": key.used_by,
            }
    for number, active in enumerate(line.certificates, 1):
        if active:
            kind = CredentialKind.SIGNING_CERTIFICATE
            yield {"kind": "credential", **of, "credential": kind, "number": number, "active": True}


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
