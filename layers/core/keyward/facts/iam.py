"""IAM users, their credentials and policies: as an event claims them, and as they are now."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

from keyward import events
from keyward.actions import (
    AWS_QUARANTINE_ARN,
    DENY_ALL_ARN,
    MARKER_TAG,
    QUARANTINE_GROUP,
    Before,
    DeactivateAccessKeys,
    DeactivateCredential,
    IamAction,
    QuarantineUser,
)
from keyward.errors import EventError, NotFoundError
from keyward.events import text_of
from keyward.findings import Containment, State
from keyward.model import (
    AccessKey,
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
    Subject,
    UserPolicy,
)

if TYPE_CHECKING:
    from keyward.gateways.iam import IamGateway
    from keyward.ledger import Ledger

CLOCK_SKEW = timedelta(seconds=5)
"""CloudTrail and IAM tell whole seconds, each by its own clock."""

OUR_GROUP_CHANGES = (
    "DeleteGroup",
    "DeleteGroupPolicy",
    "DetachGroupPolicy",
    "PutGroupPolicy",
    "UpdateGroup",
)
"""What somebody may do to the quarantine group itself."""


EVERYBODY = "*"
"""In place of a name: everybody whom a changed policy or group concerns."""

ALL = "*"
"""In place of an id: all of the kind that the user has."""

USER_CHECK = events.USER_CHECK
"""Keyward's word to itself to look at one IAM user, as a sweep gives it.

Parameters: `userName`; `userId` and `createdAt`, as far as they are known, by which a namesake is
told apart; `since`, from when on that is new which has no date of its own. `looks` says at what
(LOOKS); `root` needs no name. `keys`, `credentials` (kind:id) and `policies` are the ids of those
about which findings are open: these are settled where the thing is gone or inactive. Lists have
commas between; a comma within an id is %2C.
"""

LOOKS = frozenset(
    (
        *("user", "keys", "password", "credentials"),
        *("policies", "principal", "containment", "root"),
    )
)
"""What a check looks at. Of a principal that is what it may do."""


def claimed(hint: Hint) -> tuple[OfIam, ...]:
    """The subjects that the event speaks of, as it claims them. No AWS call.

    Raises EventError where the event lacks what it must have: CloudTrail leaves out request and
    response over 100 KB, and such an event must reach a human and not be overlooked.
    Source: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
    """
    if hint.event_source == events.KEYWARD:
        return tuple(_checked(hint)) if hint.event_name == USER_CHECK else ()
    reader = _READERS.get((hint.event_source, hint.event_name))
    return reader(hint) if reader else ()


def identified(  # noqa: C901 - a case each
    subjects: Iterable[OfIam], *, hint: Hint, iam: "IamGateway", ledger: "Ledger", now: datetime
) -> tuple[list[OfIam], list[OfIam]]:
    """The claimed subjects with their owners as IAM knows them now, exact; and the gone ones.

    Gone is also whose name another user took over: one whose unique id differs from the event's,
    or who was created after the event. A claimed containment becomes those that the ledger holds,
    if any. One GetUser for each user, one query of the ledger at most. Where Keyward looks by
    itself, all of a kind become each that there is: one list for each kind.
    """
    subjects = tuple(subjects)
    held = (
        ledger.contained(hint.account, now=now)
        if any(isinstance(subject, Contained) for subject in subjects)
        else []
    )
    users: dict[str, IamUser | None] = {}

    def present(owner: IamUser) -> IamUser | None:
        if owner.name not in users:
            users[owner.name] = _present(owner, hint, iam)
        return users[owner.name]

    if hint.origin != "event":
        return _found_by_check(subjects, held=held, present=present, iam=iam, ledger=ledger)
    found: list[OfIam] = []
    gone: list[OfIam] = []
    for subject in subjects:
        match subject:
            case RootAccessKey():
                found.append(subject)
            case IamPrincipal():
                here = _principals(subject, hint, iam)
                found += here
                gone += [] if here else [subject]
            case Contained():
                found += [
                    replace(
                        subject,
                        of=of,
                        finding=containment.finding,
                        was_active=containment.before.statuses.get(of.unique_id or "", True),
                    )
                    for containment in held
                    if (of := _contained_of(subject, containment, present)) is not None
                    and not _never_held(containment, of, ledger)
                ]
            case AccessKey() if user := present(subject.owner) or _renamed(subject, iam):
                found.append(replace(subject, owner=user))
            case _ if (user := present(subject.owner)) is None:
                gone.append(subject)
            case IamUser():
                found.append(user)
            case _:
                found.append(replace(subject, owner=user))
    return found, gone


def _found_by_check(  # noqa: C901 - a case each
    subjects: Iterable[OfIam],
    *,
    held: Iterable[Containment],
    present: Callable[[IamUser], IamUser | None],
    iam: "IamGateway",
    ledger: "Ledger",
) -> tuple[list[OfIam], list[OfIam]]:
    """Whom a check is about, each subject once; gone is also a containment that nobody holds."""
    found: dict[tuple[type[OfIam], str | None], OfIam] = {}
    gone: list[OfIam] = []
    for subject in subjects:
        user = None if subject.owner is None else present(subject.owner)
        here: list[OfIam] = []
        match subject:
            case RootAccessKey():
                here = [subject]
            case AccessKey() if not _is_all(subject):
                owner = user or _renamed(subject, iam)
                here = [] if owner is None else [replace(subject, owner=owner)]
            case _ if user is None:
                pass
            case IamUser():
                here = [user]
            case IamPrincipal():
                here = [replace(iam.principal("user", user.name), since=subject.since)]
            case Contained():
                here = list(_held(subject, user, held, ledger))
            case AccessKey() | StaticCredential() | UserPolicy() if _is_all(subject):
                here = list(_all_of(subject, user, iam))
            case _:
                here = [replace(subject, owner=user)]
        for it in here:
            found.setdefault((type(it), it.unique_id), it)
        if not here and not _is_all(subject):
            gone.append(subject)
    return list(found.values()), gone


def _is_all(subject: OfIam) -> bool:
    match subject:
        case AccessKey(key_id=id_) | StaticCredential(credential_id=id_) | UserPolicy(name=id_):
            return id_ == ALL
        case _:
            return False


def _all_of(
    claim: AccessKey | StaticCredential | UserPolicy, user: IamUser, iam: "IamGateway"
) -> Iterator[OfIam]:
    """All of this kind that the user has and that works."""
    match claim:
        case AccessKey():
            yield from (key for key in _keys(user, iam).values() if key.active)
        case StaticCredential(kind=kind):
            yield from (it for it in iam.credentials(user, kind).values() if it.active)
        case UserPolicy(arn=only):
            for arn in sorted(iam.attached_policies(user.name)):
                if arn.startswith(AWS_QUARANTINE_ARN) is (only is not None):
                    name = arn.rpartition("/")[2]
                    yield UserPolicy(owner=user, name=name, arn=arn, since=claim.since)
            for name in sorted(iam.inline_policies(user.name)) if only is None else ():
                yield UserPolicy(owner=user, name=name, since=claim.since)


def _keys(owner: IamUser, iam: "IamGateway") -> dict[str, AccessKey]:
    """The user's access keys by id; of each, when the newest that is active and newer was made."""
    keys = iam.access_keys(owner)
    made = [key.created_at for key in keys.values() if key.active and key.created_at is not None]
    newest = max(made, default=None)
    return {
        id_: replace(key, newer_since=newest)
        if newest is not None and key.created_at is not None and key.created_at < newest
        else key
        for id_, key in keys.items()
    }


def _held(
    claim: Contained, user: IamUser, held: Iterable[Containment], ledger: "Ledger"
) -> Iterator[Contained]:
    """What the ledger holds contained of the user; of a claimed credential, just that.

    The keys of a user in quarantine are part of that.
    """
    for containment in held:
        target, of = containment.user, list[IamUser | AccessKey | StaticCredential]()
        if target is None or target.user_id != user.user_id:
            continue
        match containment.action:
            case QuarantineUser():
                of = [user]
            case DeactivateAccessKeys(key_ids=ids):
                named = dict.fromkeys((*(ids or ()), *containment.before.statuses))
                of = [AccessKey(owner=user, key_id=id_, active=True) for id_ in named]
            case DeactivateCredential(kind=kind, credential_id=id_):
                of = [StaticCredential(owner=user, kind=kind, credential_id=id_, active=True)]
            case _:
                continue
        for it in of:
            is_meant = isinstance(claim.of, IamUser) or claim.of.unique_id == it.unique_id
            if is_meant and not _never_held(containment, it, ledger):
                yield replace(
                    claim,
                    of=it,
                    finding=containment.finding,
                    was_active=containment.before.statuses.get(it.unique_id or "", True),
                )


def recorded(
    subjects: Iterable[OfIam], *, hint: Hint, ledger: "Ledger", now: datetime
) -> list[OfIam]:
    """The claimed subjects as far as the ledger alone knows them, where IAM can't be read.

    A claimed containment that the ledger doesn't hold is left out; so is of a sweep's look what has
    no id: nobody could tell later on that it is the same.
    """
    subjects = tuple(subjects)
    if hint.origin != "event":
        subjects = tuple(it for it in subjects if it.unique_id is not None and not _is_all(it))
    held = (
        ledger.contained(hint.account, now=now)
        if any(isinstance(subject, Contained) for subject in subjects)
        else []
    )
    found: list[OfIam] = []
    for subject in subjects:
        if not isinstance(subject, Contained):
            found.append(subject)
            continue
        found += [
            replace(subject, of=of, finding=containment.finding)
            for containment in held
            if (of := _contained_of(subject, containment, _named_like(containment))) is not None
        ]
    return found


def _named_like(containment: Containment) -> Callable[[IamUser], IamUser | None]:
    """Who a user is, if it still is the contained one: its name is all that tells."""
    target = containment.user

    def named(owner: IamUser) -> IamUser | None:
        if target is None or owner.name != target.user_name:
            return None
        return replace(owner, user_id=target.user_id, arn=target.user_arn)

    return named


def _never_held(
    containment: Containment, of: IamUser | AccessKey | StaticCredential, ledger: "Ledger"
) -> bool:
    """Whether a credential's own containment is still being made, or failed: nobody undid it.

    The finding about the credential itself then sees to it.
    """
    if isinstance(of, IamUser) or containment.unique_id != of.unique_id:
        return False
    record = ledger.finding(containment.finding)
    return record is not None and record.state in {State.ACTING, State.FAILED}


def _present(owner: IamUser, hint: Hint, iam: "IamGateway") -> IamUser | None:
    try:
        user = iam.user(owner.name)
    except NotFoundError:
        return None
    if owner.user_id is not None:
        return user if user.user_id == owner.user_id else None
    if hint.origin != "event" and owner.created_at is not None and user.created_at is not None:
        return user if abs(user.created_at - owner.created_at) <= CLOCK_SKEW else None
    is_later = user.created_at is not None and user.created_at > hint.time + CLOCK_SKEW
    return None if is_later else user


def _principals(claim: IamPrincipal, hint: Hint, iam: "IamGateway") -> list[IamPrincipal]:
    """Who it is now; of a policy's new version, everybody who has the policy.

    Left out is whose name was given to another after the event.
    """
    named = [(claim.kind, claim.name)]
    if claim.name == EVERYBODY:
        arn = claim.added.arn if claim.added is not None else None
        named = list(iam.holders(arn)) if arn is not None else []
    found = []
    for kind, name in named:
        try:
            principal = iam.principal(kind, name)
        except NotFoundError:
            continue
        since = principal.user.created_at if principal.user is not None else None
        if since is None or since <= hint.time + CLOCK_SKEW:
            found.append(replace(principal, added=claim.added, since=claim.since))
    return found


def _renamed(key: AccessKey, iam: "IamGateway") -> IamUser | None:
    """The owner of a key whose name is another now; None where the key is gone. Two calls more."""
    name = iam.user_of_key(key.key_id)
    if name is None or name == key.owner.name:
        return None
    try:
        return iam.user(name)
    except NotFoundError:
        return None


def _contained_of(
    claim: Contained, held: Containment, present: Callable[[IamUser], IamUser | None]
) -> IamUser | AccessKey | StaticCredential | None:
    """What of the claim the ledger holds contained, by unique id; None where it doesn't."""
    target = held.user
    if target is None:
        return None
    match claim.of:
        case AccessKey() | StaticCredential() as credential:
            identifier = credential.unique_id or ""
            ours = identifier in held.before.statuses or held.unique_id == identifier
            owner = replace(credential.owner, user_id=target.user_id, arn=target.user_arn)
            return replace(credential, owner=owner) if ours else None
        case IamUser() as user if isinstance(held.action, QuarantineUser):
            if user.name == EVERYBODY:
                user = replace(user, name=target.user_name, user_id=target.user_id)
            now = present(user)
            return now if now is not None and now.user_id == target.user_id else None
        case _:
            return None


def current(
    subjects: Iterable[OfIam], *, iam: "IamGateway", unsure: Collection[Subject] = ()
) -> list[OfIam]:
    """Just those subjects, as they are in AWS now; left out are those that are gone.

    Expects them identified. `since` of an access key or credential that was switched on again
    stays the event's: the violation began then. Of active keys among `unsure` the last use is
    read, too: one call more for each.
    """
    found: list[OfIam] = []
    for subject in subjects:
        try:
            present = _now(subject, iam)
            if isinstance(present, AccessKey) and present.active and subject in unsure:
                used_at = iam.key_used_at(present.key_id)
                present = replace(present, used_at=used_at, use_known=True)
        except NotFoundError:
            present = None
        found += [present] if present is not None else []
    return found


def _now(subject: OfIam, iam: "IamGateway") -> OfIam | None:  # noqa: PLR0911 - a case each
    match subject:
        case IamUser():
            return subject
        case IamPrincipal():
            return iam.with_policies(subject)
        case AccessKey():
            key = _keys(subject.owner, iam).get(subject.key_id)
            return key and replace(key, since=_later(key.since, subject.since))
        case ConsolePassword(owner=owner):
            password = iam.console_password(owner)
            known = owner.created_at is not None
            return password and replace(password, used_at=owner.password_used_at, use_known=known)
        case StaticCredential():
            found = iam.credentials(subject.owner, subject.kind).get(subject.credential_id)
            return found and replace(found, since=_later(found.since, subject.since))
        case UserPolicy(arn=None):
            held = subject.name in iam.inline_policies(subject.owner.name)
            return subject if held else None
        case UserPolicy():
            held = subject.arn in iam.attached_policies(subject.owner.name)
            return subject if held else None
        case RootAccessKey():
            return subject if iam.root_has_access_keys() else None
        case Contained():
            lacks = _no_longer(subject, iam)
            return replace(subject, holds=not lacks, broken=lacks)


def _no_longer(contained: Contained, iam: "IamGateway") -> tuple[str, ...]:
    match contained.of:
        case AccessKey(key_id=key_id, owner=owner):
            key = iam.access_keys(owner).get(key_id)
            return (f"access key {key_id} is active again",) if key and key.active else ()
        case StaticCredential() as credential:
            found = iam.credentials(credential.owner, credential.kind).get(credential.credential_id)
            return (f"{credential.label} is active again",) if found and found.active else ()
        case IamUser() as user:
            lacks = lacking_of_quarantine(user, iam)
            marked = user.tags is None or MARKER_TAG in user.tags
            return lacks if marked else (*lacks, "the marker tag is gone")


def lacking(action: IamAction, iam: "IamGateway") -> tuple[str, ...]:
    """What, in words, AWS does not show of an action's effect: () where all of it is verified."""
    target = action.target
    owner = IamUser(account=target.account, name=target.user_name, user_id=target.user_id)
    match action:
        case DeactivateAccessKeys():
            keys = iam.access_keys(owner)
            ids = action.key_ids if action.key_ids is not None else tuple(keys)
            return tuple(
                f"access key {key_id} is active"
                for key_id in ids
                if key_id in keys and keys[key_id].active
            )
        case DeactivateCredential():
            found = iam.credentials(owner, action.kind).get(action.credential_id)
            return (
                (f"{action.kind} {action.credential_id} is active",)
                if found and found.active
                else ()
            )
        case QuarantineUser():
            return lacking_of_quarantine(owner, iam)


def not_restored(action: IamAction, before: Before, iam: "IamGateway") -> tuple[str, ...]:
    """What, in words, AWS does not show of an undo's effect: () where all of it is verified.

    What is gone meanwhile needs no restoring.
    """
    target = action.target
    owner = IamUser(account=target.account, name=target.user_name, user_id=target.user_id)
    active = {id_ for id_, was_active in before.statuses.items() if was_active}
    if isinstance(action, DeactivateCredential):
        found = iam.credentials(owner, action.kind).values()
        inactive = {item.credential_id for item in found if not item.active}
    else:
        keys = iam.access_keys(owner).values()
        inactive = {key.key_id for key in keys if not key.active}
    lacks = [f"{id_} is inactive" for id_ in sorted(active & inactive)]
    if isinstance(action, QuarantineUser) and not before.deny_attached:
        if DENY_ALL_ARN in iam.attached_policies(owner.name):
            lacks.append("AWSDenyAll is attached")
        if not before.in_group and iam.in_quarantine_group(owner.name):
            lacks.append(f"it is in group {QUARANTINE_GROUP}")
        if before.boundary_arn is None and iam.user(owner.name).boundary_arn == DENY_ALL_ARN:
            lacks.append("AWSDenyAll is its permissions boundary")
    return tuple(lacks)


def lacking_of_quarantine(user: IamUser, iam: "IamGateway") -> tuple[str, ...]:
    """What a quarantined user can still use: a deny by any rung holds, every key is inactive."""
    lacks = [] if _is_denied(user, iam) else ["nothing denies the user"]
    lacks += [
        f"access key {key.key_id} is active" for key in iam.access_keys(user).values() if key.active
    ]
    return tuple(lacks)


def _is_denied(user: IamUser, iam: "IamGateway") -> bool:
    if DENY_ALL_ARN in iam.attached_policies(user.name):
        return True
    if iam.in_quarantine_group(user.name) and iam.quarantine_group_denies():
        return True
    return iam.user(user.name).boundary_arn == DENY_ALL_ARN


def _later(created: datetime | None, claimed: datetime | None) -> datetime | None:
    known = [at for at in (created, claimed) if at is not None]
    return max(known, default=None)


def _checked(hint: Hint) -> Iterator[OfIam]:  # noqa: C901 - a look each
    """Reads Keyward's word to itself to look at one user; what has an id of its own comes first."""
    looks = _listed(hint, "looks")
    if unknown := sorted(looks - LOOKS):
        message = f"event {hint.event_id}: nobody knows how to look at {unknown[0]!r}"
        raise EventError(message)
    since = _date(hint, "since")
    if "root" in looks:
        yield RootAccessKey(account=hint.account, since=since)
    keys, policies = _listed(hint, "keys"), _listed(hint, "policies")
    known = [_credential(hint, it) for it in sorted(_listed(hint, "credentials"))]
    if not (looks - {"root"} or keys or policies or known):
        return
    user = IamUser(
        account=hint.account,
        name=_user_name(hint),
        user_id=text_of(hint.parameters, "userId"),
        created_at=_date(hint, "createdAt"),
    )
    by_id: tuple[AccessKey | StaticCredential, ...] = (
        *(AccessKey(owner=user, key_id=id_, active=True) for id_ in sorted(keys)),
        *(
            StaticCredential(owner=user, kind=kind, credential_id=id_, active=True)
            for kind, id_ in known
        ),
    )
    yield from by_id
    yield from (_policy(user, id_, since) for id_ in sorted(policies))
    if "user" in looks:
        yield user
    if "keys" in looks:
        yield AccessKey(owner=user, key_id=ALL, active=True)
    if "password" in looks:
        yield ConsolePassword(owner=user)
    if "credentials" in looks:
        for kind in CredentialKind:
            yield StaticCredential(owner=user, kind=kind, credential_id=ALL, active=True)
    if "policies" in looks:
        yield UserPolicy(owner=user, name=ALL, since=since)
        yield UserPolicy(owner=user, name=ALL, arn=AWS_QUARANTINE_ARN, since=since)
    if "principal" in looks:
        yield IamPrincipal(
            account=hint.account,
            kind="user",
            name=user.name,
            principal_id=user.user_id,
            user=user,
            since=since,
        )
    if "containment" in looks:
        for of in (user, *by_id):
            yield Contained(of=of, finding=None, holds=None, since=since)


def _credential(hint: Hint, text: str) -> tuple[CredentialKind, str]:
    kind, _, id_ = text.partition(":")
    if kind not in list(CredentialKind) or not id_:
        message = f"event {hint.event_id}: {text[:64]!r} is no kind:id of a credential"
        raise EventError(message)
    return CredentialKind(kind), id_


def _policy(user: IamUser, id_: str, since: datetime | None) -> UserPolicy:
    """The policy of a finding's unique id, with or without the user's own before it."""
    policy = id_.removeprefix(f"{user.user_id}/")
    arn = policy if policy.startswith("arn:") else None
    return UserPolicy(owner=user, name=policy.rpartition("/")[2], arn=arn, since=since)


def _listed(hint: Hint, name: str) -> frozenset[str]:
    items = (text_of(hint.parameters, name) or "").split(",")
    return frozenset(unquote(item.strip()) for item in items if item.strip())


def _date(hint: Hint, name: str) -> datetime | None:
    text = text_of(hint.parameters, name)
    if text is None:
        return None
    try:
        date = datetime.fromisoformat(text)
        if date.tzinfo is not None:
            return date.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        message = f"event {hint.event_id}: {name} is no time"
        raise EventError(message) from error
    message = f"event {hint.event_id}: {name} lacks a time zone"
    raise EventError(message)


def _created_user(hint: Hint) -> tuple[OfIam, ...]:
    user = IamUser(
        account=hint.account,
        name=_required(hint, "userName", hint.response, "user", "userName"),
        user_id=text_of(hint.response, "user", "userId"),
        arn=text_of(hint.response, "user", "arn"),
        path=text_of(hint.response, "user", "path"),
        created_at=hint.time,
    )
    return (user,)


def _created_key(hint: Hint) -> tuple[OfIam, ...]:
    key_id = text_of(hint.response, "accessKey", "accessKeyId")
    owner = text_of(hint.response, "accessKey", "userName")
    if owner is None and _is_roots_own(hint):
        return (RootAccessKey(account=hint.account, key_id=key_id, since=hint.time),)
    return _key(
        hint, owner or _user_name(hint), key_id, text_of(hint.response, "accessKey", "status")
    )


def _updated_key(hint: Hint) -> tuple[OfIam, ...]:
    key_id = text_of(hint.parameters, "accessKeyId")
    status = text_of(hint.parameters, "status")
    if _is_roots_own(hint):
        active = _is_active(status)
        root = RootAccessKey(account=hint.account, key_id=key_id, since=hint.time)
        return (root,) if active else ()
    subjects = _key(hint, _user_name(hint), key_id, status)
    return (*subjects, *_containments(hint, subjects))


def _key(hint: Hint, owner: str, key_id: str | None, status: str | None) -> tuple[OfIam, ...]:
    if key_id is None:
        raise _lacking(hint, "accessKeyId")
    user = IamUser(account=hint.account, name=owner)
    return (AccessKey(owner=user, key_id=key_id, active=_is_active(status), since=hint.time),)


def _password(hint: Hint) -> tuple[OfIam, ...]:
    user = IamUser(account=hint.account, name=_user_name(hint))
    return (ConsolePassword(owner=user, since=hint.time),)


def _created_credential(
    kind: CredentialKind, element: str, identifier: str
) -> Callable[[Hint], tuple[OfIam, ...]]:
    def read(hint: Hint) -> tuple[OfIam, ...]:
        credential_id = text_of(hint.response, element, identifier)
        if credential_id is None:
            raise _lacking(hint, identifier)
        owner = text_of(hint.response, element, "userName") or _user_name(hint)
        return (
            StaticCredential(
                owner=IamUser(account=hint.account, name=owner),
                kind=kind,
                credential_id=credential_id,
                active=_is_active(text_of(hint.response, element, "status")),
                service=text_of(hint.response, element, "serviceName"),
                since=hint.time,
            ),
        )

    return read


def _updated_credential(
    kind: CredentialKind, identifier: str
) -> Callable[[Hint], tuple[OfIam, ...]]:
    def read(hint: Hint) -> tuple[OfIam, ...]:
        credential_id = text_of(hint.parameters, identifier)
        if credential_id is None:
            raise _lacking(hint, identifier)
        credential = StaticCredential(
            owner=IamUser(account=hint.account, name=_user_name(hint)),
            kind=kind,
            credential_id=credential_id,
            active=_is_active(text_of(hint.parameters, "status")),
            since=hint.time,
        )
        return (credential, *_containments(hint, (credential,)))

    return read


def _attached_policy(hint: Hint) -> tuple[OfIam, ...]:
    arn = text_of(hint.parameters, "policyArn")
    if arn is None:
        raise _lacking(hint, "policyArn")
    user = IamUser(account=hint.account, name=_user_name(hint))
    return (UserPolicy(owner=user, name=arn.rpartition("/")[2], arn=arn, since=hint.time),)


def _inline_policy(hint: Hint) -> tuple[OfIam, ...]:
    name = text_of(hint.parameters, "policyName")
    if name is None:
        raise _lacking(hint, "policyName")
    user = IamUser(account=hint.account, name=_user_name(hint))
    return (UserPolicy(owner=user, name=name, since=hint.time),)


def _granted(
    kind: Literal["user", "role", "group"], parameter: str
) -> Callable[[Hint], tuple[OfIam, ...]]:
    """Reads Attach*Policy and Put*Policy: who was given which policy."""

    def read(hint: Hint) -> tuple[OfIam, ...]:
        name = text_of(hint.parameters, parameter)
        if name is None:
            raise _lacking(hint, parameter)
        arn = text_of(hint.parameters, "policyArn")
        called = text_of(hint.parameters, "policyName") or (arn or "").rpartition("/")[2]
        text = text_of(hint.parameters, "policyDocument") or ""
        return (
            IamPrincipal(
                account=hint.account,
                kind=kind,
                name=name,
                added=PolicyDocument(name=called, text=text, arn=arn),
                since=hint.time,
            ),
        )

    return read


def _joined_group(hint: Hint) -> tuple[OfIam, ...]:
    return (
        IamPrincipal(account=hint.account, kind="user", name=_user_name(hint), since=hint.time),
    )


def _new_version(hint: Hint) -> tuple[OfIam, ...]:
    """Reads CreatePolicyVersion and SetDefaultPolicyVersion; only a default version counts."""
    arn = text_of(hint.parameters, "policyArn")
    if arn is None:
        raise _lacking(hint, "policyArn")
    if hint.event_name == "CreatePolicyVersion" and not hint.parameters.get("setAsDefault"):
        return ()
    text = text_of(hint.parameters, "policyDocument") or ""
    return (
        IamPrincipal(
            account=hint.account,
            kind="user",
            name=EVERYBODY,
            added=PolicyDocument(name=arn.rpartition("/")[2], text=text, arn=arn),
            since=hint.time,
        ),
    )


def _both(
    one: Callable[[Hint], tuple[OfIam, ...]], other: Callable[[Hint], tuple[OfIam, ...]]
) -> Callable[[Hint], tuple[OfIam, ...]]:
    return lambda hint: (*one(hint), *other(hint))


def _detached_policy(hint: Hint) -> tuple[OfIam, ...]:
    return _user_containment(hint) if _names(hint, "policyArn", DENY_ALL_ARN) else ()


def _left_group(hint: Hint) -> tuple[OfIam, ...]:
    return _user_containment(hint) if _names_our_group(hint) else ()


def _boundary_changed(hint: Hint) -> tuple[OfIam, ...]:
    return () if _names(hint, "permissionsBoundary", DENY_ALL_ARN) else _user_containment(hint)


def _tags_changed(hint: Hint) -> tuple[OfIam, ...]:
    """Reads TagUser and UntagUser: only the marker matters."""
    tags = hint.parameters.get("tags")
    keys = hint.parameters.get("tagKeys")
    named = (
        [tag.get("key") for tag in tags if isinstance(tag, Mapping)]
        if isinstance(tags, list)
        else []
    )
    named += keys if isinstance(keys, list) else []
    return _user_containment(hint) if MARKER_TAG in named else ()


def _group_changed(hint: Hint) -> tuple[OfIam, ...]:
    """Reads changes of the quarantine group: whoever is contained by it may no longer be."""
    if not _names_our_group(hint):
        return ()
    everybody = IamUser(account=hint.account, name=EVERYBODY)
    return (Contained(of=everybody, finding=None, holds=None, since=hint.time),)


def _user_containment(hint: Hint) -> tuple[OfIam, ...]:
    user = IamUser(account=hint.account, name=_user_name(hint))
    return (Contained(of=user, finding=None, holds=None, since=hint.time),)


def _containments(hint: Hint, subjects: Iterable[OfIam]) -> tuple[OfIam, ...]:
    return tuple(
        Contained(of=subject, finding=None, holds=None, since=hint.time)
        for subject in subjects
        if isinstance(subject, (AccessKey, StaticCredential)) and subject.active
    )


def _user_name(hint: Hint) -> str:
    """The user that a request names, or the caller, who may leave itself out."""
    name = text_of(hint.parameters, "userName")
    if name is None and hint.actor.type == "IAMUser":
        name = hint.actor.user_name
    if name is None:
        raise _lacking(hint, "userName")
    return name


def _required(hint: Hint, parameter: str, values: Mapping[str, object], *path: str) -> str:
    found = text_of(values, *path) or text_of(hint.parameters, parameter)
    if found is None:
        raise _lacking(hint, parameter)
    return found


def _lacking(hint: Hint, field: str) -> EventError:
    return EventError(
        f"event {hint.event_id}: {hint.event_name} in {hint.account} lacks {field}: look by hand"
    )


def _is_active(status: str | None) -> bool:
    """Whether a status means usable. An absent one does: what cannot be told is looked at."""
    return status is None or status.casefold() == "active"


def _names(hint: Hint, parameter: str, value: str) -> bool:
    return text_of(hint.parameters, parameter) == value


def _names_our_group(hint: Hint) -> bool:
    """IAM tells names apart without regard to case.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    return (text_of(hint.parameters, "groupName") or "").casefold() == QUARANTINE_GROUP


def _is_roots_own(hint: Hint) -> bool:
    """Whether root speaks of itself: it then leaves the user's name out."""
    return hint.actor.type == "Root" and text_of(hint.parameters, "userName") is None


_IAM = "iam.amazonaws.com"
_READERS: dict[tuple[str, str], Callable[[Hint], tuple[OfIam, ...]]] = {
    (_IAM, "CreateUser"): _created_user,
    (_IAM, "CreateAccessKey"): _created_key,
    (_IAM, "UpdateAccessKey"): _updated_key,
    (_IAM, "CreateLoginProfile"): _password,
    (_IAM, "UpdateLoginProfile"): _password,
    (_IAM, "CreateServiceSpecificCredential"): _created_credential(
        CredentialKind.SERVICE_SPECIFIC, "serviceSpecificCredential", "serviceSpecificCredentialId"
    ),
    (_IAM, "UploadSSHPublicKey"): _created_credential(
        CredentialKind.SSH_PUBLIC_KEY, "sSHPublicKey", "sSHPublicKeyId"
    ),
    (_IAM, "UploadSigningCertificate"): _created_credential(
        CredentialKind.SIGNING_CERTIFICATE, "certificate", "certificateId"
    ),
    (_IAM, "UpdateServiceSpecificCredential"): _updated_credential(
        CredentialKind.SERVICE_SPECIFIC, "serviceSpecificCredentialId"
    ),
    (_IAM, "UpdateSSHPublicKey"): _updated_credential(
        CredentialKind.SSH_PUBLIC_KEY, "sSHPublicKeyId"
    ),
    (_IAM, "UpdateSigningCertificate"): _updated_credential(
        CredentialKind.SIGNING_CERTIFICATE, "certificateId"
    ),
    (_IAM, "AttachUserPolicy"): _both(_attached_policy, _granted("user", "userName")),
    (_IAM, "PutUserPolicy"): _both(_inline_policy, _granted("user", "userName")),
    (_IAM, "AttachRolePolicy"): _granted("role", "roleName"),
    (_IAM, "PutRolePolicy"): _granted("role", "roleName"),
    (_IAM, "AttachGroupPolicy"): _granted("group", "groupName"),
    (_IAM, "AddUserToGroup"): _joined_group,
    (_IAM, "CreatePolicyVersion"): _new_version,
    (_IAM, "SetDefaultPolicyVersion"): _new_version,
    (_IAM, "DetachUserPolicy"): _detached_policy,
    (_IAM, "RemoveUserFromGroup"): _left_group,
    (_IAM, "DeleteUserPermissionsBoundary"): _boundary_changed,
    (_IAM, "PutUserPermissionsBoundary"): _boundary_changed,
    (_IAM, "TagUser"): _tags_changed,
    (_IAM, "UntagUser"): _tags_changed,
    **{(_IAM, name): _group_changed for name in OUR_GROUP_CHANGES},
    (_IAM, "PutGroupPolicy"): _both(_group_changed, _granted("group", "groupName")),
}
