"""Accounts that come, move or change, as events claim them. Pure.

Control Tower tells by lifecycle events how what it was asked to do has ended. The calls that ask
for it have the same names and no `serviceEventDetails`: they are let be. A retry, or the enrolment
of an account that exists, ends in UpdateManagedAccount.
Source: https://docs.aws.amazon.com/controltower/latest/userguide/lifecycle-events.html
Organizations tells of accounts that come without Control Tower.
Source: https://docs.aws.amazon.com/organizations/latest/userguide/orgs_cloudtrail-integration.html
Only whom an event is about is read strictly. The times in it are in several formats: the event's
own is the one that counts.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from keyward.baselines import UNIT_ID, Baselines, need_tags
from keyward.errors import EventError
from keyward.events import KEYWARD
from keyward.model import AccountAccess, AccountId, AccountLifecycle, Hint, PrincipalKind

ACCOUNT_CHECK = "AccountCheck"
"""Why Keyward looks at one account of which it knows since when it matters: `account` says which.

What it looks at for any other reason, such as a sweep, nobody knows since when it is so.
"""

FINISHED = frozenset(
    ("controltower.amazonaws.com", name)
    for name in ("CreateManagedAccount", "UpdateManagedAccount")
)
"""The events by which Control Tower says that it has finished an account."""

GRACE_OVER = "GraceOver"
"""Why Keyward looks at an account whose first user's own access was to stay until now."""

NAME_GONE = "NameGone"
"""Why Keyward looks at an account once more: a name that a baseline has stood for what is gone, and
may stand for another group or permission set by now."""

BASELINE_CHANGED = "BaselineChanged"
"""Why Keyward looks at all accounts of a baseline that is new or was changed: `baseline` names it.
"""

BASELINE_SWEEP = "BaselineSweep"
"""Why Keyward looks at all accounts of all baselines."""

SUCCEEDED = "SUCCEEDED"
UNKNOWN = "UNKNOWN"
"""The state of a lifecycle event that has none, or none that can be read."""

VALUE_LENGTH = 200
"""So many characters of a value that only describes are kept."""

_ACCOUNT_ID = re.compile(r"[0-9]{12}", re.ASCII)
_TARGET = re.compile(
    r"arn:aws[a-z-]*:organizations::[0-9]{12}:"
    r"(?:account/o-[a-z0-9]+/(?P<account>[0-9]{12})"
    r"|(?:ou|root)/o-[a-z0-9]+/(?P<unit>(?:ou|r)-[a-z0-9-]+))",
    re.ASCII,
)
"""Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsorganizations.html"""

type Reader = Callable[[Hint, Baselines], AccountAccess | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """How something ended, as a lifecycle event has it.

    `account` is the one that it is about; `unit` the OU, where it is about all accounts of one.
    `called` is what else tells it from others of its kind.
    """

    state: str
    account: AccountId | None = None
    unit: str | None = None
    called: str | None = None
    message: str | None = None

    @property
    def may_be_done(self) -> bool:
        """Whether there is something to look at: a state that can't be read may be this one."""
        return self.state in {SUCCEEDED, UNKNOWN}


def claimed(hint: Hint, baselines: Baselines) -> tuple[AccountAccess | AccountLifecycle, ...]:
    """The account whose access the event may have to do with; how its making ended.

    Without baselines nobody wants any access. Raises EventError where nobody can tell which account
    or OU the event is about.
    """
    if hint.event_source == KEYWARD:
        access = _checked(hint) if baselines else None
        return () if access is None else (access,)
    if (outcome := _outcome(hint)) is not None:
        return tuple(_ended(hint, outcome, baselines))
    reader = _READERS.get((hint.event_source, hint.event_name)) if baselines else None
    access = reader(hint, baselines) if reader else None
    return () if access is None else (access,)


def scope(hint: Hint, baselines: Baselines) -> str | None:
    """What many accounts the event is about, as a rollout has it; None where it is about others.

    Raises EventError where a finished lifecycle event doesn't tell its OU or account.
    """
    if not baselines or hint.error_code is not None:
        return None
    if hint.event_source == KEYWARD:
        name = _text(hint.parameters, "baseline")
        if hint.event_name == BASELINE_CHANGED and name in baselines:
            return f"baseline {name}"
        return "everything" if hint.event_name == BASELINE_SWEEP else None
    outcome = _outcome(hint)
    if outcome is None or not outcome.may_be_done or outcome.account is not None:
        return None
    if outcome.unit is None:
        raise _lacking(hint, "the account or OU")
    return f"unit {outcome.unit}"


def _ended(
    hint: Hint, outcome: _Outcome, baselines: Baselines
) -> Iterator[AccountAccess | AccountLifecycle]:
    if baselines and outcome.may_be_done:
        if outcome.account is not None:
            yield _access(hint, outcome.account)
        elif outcome.unit is None:
            raise _lacking(hint, "the account or OU")
    if outcome.state == SUCCEEDED:
        return
    name = outcome.account or outcome.unit or outcome.called
    if name is None:
        raise _lacking(hint, "the account or OU")
    yield AccountLifecycle(
        account=outcome.account or hint.account,
        name=name,
        change=hint.event_name,
        state=outcome.state,
        message=outcome.message,
        since=hint.time,
    )


def _outcome(hint: Hint) -> _Outcome | None:
    """How it ended; None where the event is none that tells it, as the call of the same name."""
    known = _LIFECYCLE.get((hint.event_source, hint.event_name))
    if known is None or (not hint.details and hint.actor.type != "AWSService"):
        return None
    name, reader = known
    status = hint.details.get(name)
    if not isinstance(status, Mapping):
        raise _lacking(hint, name)
    return reader(status)


def _of_managed_account(status: Mapping[str, object]) -> _Outcome:
    """Reads {Create,Update}ManagedAccount; where it came to no account, its name is what is left.

    Two accounts that were to be in one OU would otherwise be told as one.
    """
    return _Outcome(
        state=_state(status, "state"),
        account=_account(status, "account", "accountId"),
        called=_described(status, "account", "accountName")
        or _described(status, "organizationalUnit", "organizationalUnitId"),
        message=_described(status, "message"),
    )


def _of_unit(status: Mapping[str, object]) -> _Outcome:
    unit = _text(status, "organizationalUnit", "organizationalUnitId") or ""
    return _Outcome(
        state=_state(status, "state"),
        unit=unit if UNIT_ID.fullmatch(unit) else None,
        called=_described(status, "organizationalUnit", "organizationalUnitName"),
        message=_described(status, "message"),
    )


def _of_baseline(status: Mapping[str, object]) -> _Outcome:
    """Reads {Enable,ResetEnabled,UpdateEnabled}Baseline: there is no `state` and no account's id.

    Source: https://docs.aws.amazon.com/controltower/latest/APIReference/API_EnabledBaselineDetails.html
    """
    found = status.get("enabledBaselineDetails")
    details = found if isinstance(found, Mapping) else {}
    target = _TARGET.fullmatch(_text(details, "targetIdentifier") or "")
    unit = (target and target["unit"]) or ""
    return _Outcome(
        state=_state(details, "statusSummary", "status"),
        account=target and target["account"],
        unit=unit if UNIT_ID.fullmatch(unit) else None,
        called=_described(details, "targetIdentifier") or _described(details, "arn"),
    )


def _of_creation(status: Mapping[str, object]) -> _Outcome:
    """Reads CreateAccountResult: where it came to no account, the request's id (car-...) tells.

    Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_CreateAccountStatus.html
    """
    return _Outcome(
        state=_state(status, "state"),
        account=_account(status, "accountId"),
        called=_described(status, "id"),
        message=_described(status, "failureReason"),
    )


def _checked(hint: Hint) -> AccountAccess | None:
    """Reads Keyward's word to itself to look at one account."""
    if "account" not in hint.parameters:
        return None
    account = _account(hint.parameters, "account")
    if account is None:
        raise _lacking(hint, "account")
    if hint.event_name == GRACE_OVER:
        finished = _time(hint.parameters, "finished")
        return AccountAccess(account=account, grace_over=True, finished=finished, since=hint.time)
    since = hint.time if hint.event_name == ACCOUNT_CHECK else None
    return AccountAccess(account=account, moved=hint.event_name != NAME_GONE, since=since)


def _moved(hint: Hint, _baselines: Baselines) -> AccountAccess:
    account = _account(hint.parameters, "accountId")
    if account is None:
        raise _lacking(hint, "accountId")
    return _access(hint, account, moved=True)


def _joined(hint: Hint, _baselines: Baselines) -> AccountAccess:
    """Reads AccountJoinedOrganization, of which AWS documents that it has the account's id.

    Under which name is a guess: no real event was seen.
    Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_AcceptHandshake.html
    """
    inner = (value for value in hint.details.values() if isinstance(value, Mapping))
    for values in (hint.details, *inner, hint.parameters, hint.response):
        for name in ("accountId", "memberAccountId", "joinedAccountId", "account"):
            if (account := _account(values, name)) is not None:
                return _access(hint, account)
    raise _lacking(hint, "accountId")


def _accepted(hint: Hint, _baselines: Baselines) -> AccountAccess | None:
    """Reads AcceptHandshake, which accepts other things than an invitation, too.

    Who was invited by an address stands there by that alone: then it is the account that accepts,
    since no other can. Shape from the API model, no real event was seen.
    Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_Handshake.html
    """
    action = _text(hint.response, "handshake", "action")
    if action is not None and action.casefold() != "invite":
        return None
    handshake = hint.response.get("handshake")
    parties = handshake.get("parties") if isinstance(handshake, Mapping) else None
    for party in parties if isinstance(parties, list) else ():
        if isinstance(party, Mapping) and (_text(party, "type") or "").casefold() == "account":
            account = _account(party, "id")
            if account is not None:
                return _access(hint, account)
    caller = hint.actor.account or ""
    return _access(hint, caller if _ACCOUNT_ID.fullmatch(caller) else hint.account)


def _tagged(hint: Hint, baselines: Baselines) -> AccountAccess | None:
    """Reads the tags of an account that change: only where a baseline selects by one of them.

    OUs, policies and the root have tags, too: their ids are no account's. Shape from the API model,
    no real event was seen.
    Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_TagResource.html
    """
    resource = _text(hint.parameters, "resourceId")
    if resource is None:
        raise _lacking(hint, "resourceId")
    if not _ACCOUNT_ID.fullmatch(resource) or not need_tags(baselines.values()):
        return None
    changed = _tag_keys(hint)
    named = {
        key
        for baseline in baselines.values()
        for selector in (*baseline.accounts, *baseline.exclude)
        for key in selector.tags
    }
    if changed and named.isdisjoint(changed):
        return None
    return _access(hint, resource, moved=True)


def _tag_keys(hint: Hint) -> tuple[str, ...]:
    """The keys of the tags that change; () where they can't all be read."""
    tags, keys = hint.parameters.get("tags"), hint.parameters.get("tagKeys")
    listed = keys if isinstance(keys, list) else []
    put = tags if isinstance(tags, list) else []
    found = [*listed, *(tag.get("key") if isinstance(tag, Mapping) else None for tag in put)]
    known = tuple(key for key in found if isinstance(key, str))
    return known if len(known) == len(found) else ()


def _unassigned(hint: Hint, _baselines: Baselines) -> AccountAccess | None:
    """Reads DeleteAccountAssignment. Baselines are about groups; what people lose is none of it."""
    if _text(hint.parameters, "targetType") not in {None, "AWS_ACCOUNT"}:
        return None
    kind = _text(hint.parameters, "principalType")
    if kind not in {None, PrincipalKind.GROUP}:
        return None
    status = hint.response.get("accountAssignmentDeletionStatus")
    answer = status if isinstance(status, Mapping) else {}
    account = _account(hint.parameters, "targetId") or _account(answer, "targetId")
    if account is None:
        raise _lacking(hint, "targetId")
    arn = _text(hint.parameters, "permissionSetArn")
    group = _text(hint.parameters, "principalId")
    return AccountAccess(
        account=account,
        removed=(arn, group) if arn and group and kind else None,
        request_id=_text(answer, "requestId"),
        since=hint.time,
    )


def _access(hint: Hint, account: AccountId, *, moved: bool = False) -> AccountAccess:
    return AccountAccess(account=account, moved=moved, since=hint.time)


def _state(values: Mapping[str, object], *path: str) -> str:
    state = (_described(values, *path) or "").strip().upper()
    return state or UNKNOWN


def _account(values: Mapping[str, object], *path: str) -> AccountId | None:
    """The account id at `path`; None for anything else that stands there."""
    found = _text(values, *path) or ""
    return found if _ACCOUNT_ID.fullmatch(found) else None


def _described(values: Mapping[str, object], *path: str) -> str | None:
    """The text at `path`, as much of it as people need; None where there is none."""
    return (_text(values, *path) or "")[:VALUE_LENGTH] or None


def _text(values: Mapping[str, object], *path: str) -> str | None:
    """The text at `path`; None for anything else that stands there."""
    value: object = values
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else None


def _time(values: Mapping[str, object], *path: str) -> datetime | None:
    """The time at `path`, with its zone; None for anything else that stands there."""
    try:
        time = datetime.fromisoformat(_text(values, *path) or "")
    except ValueError:
        return None
    return None if time.tzinfo is None else time


def _lacking(hint: Hint, what: str) -> EventError:
    return EventError(
        f"event {hint.event_id}: {hint.event_name} in {hint.account} lacks {what}: look by hand"
    )


_CONTROL_TOWER = "controltower.amazonaws.com"
_ORGANIZATIONS = "organizations.amazonaws.com"
_LIFECYCLE: dict[tuple[str, str], tuple[str, Callable[[Mapping[str, object]], _Outcome]]] = {
    (_CONTROL_TOWER, "CreateManagedAccount"): ("createManagedAccountStatus", _of_managed_account),
    (_CONTROL_TOWER, "UpdateManagedAccount"): ("updateManagedAccountStatus", _of_managed_account),
    (_CONTROL_TOWER, "RegisterOrganizationalUnit"): ("registerOrganizationalUnitStatus", _of_unit),
    (_CONTROL_TOWER, "EnableBaseline"): ("enableBaselineStatus", _of_baseline),
    (_CONTROL_TOWER, "ResetEnabledBaseline"): ("resetEnabledBaselineStatus", _of_baseline),
    (_CONTROL_TOWER, "UpdateEnabledBaseline"): ("updateEnabledBaselineStatus", _of_baseline),
    (_ORGANIZATIONS, "CreateAccountResult"): ("createAccountStatus", _of_creation),
}
"""The events that tell an outcome, and under which name of `serviceEventDetails` they do."""

_READERS: dict[tuple[str, str], Reader] = {
    (_ORGANIZATIONS, "AccountJoinedOrganization"): _joined,
    (_ORGANIZATIONS, "AcceptHandshake"): _accepted,
    (_ORGANIZATIONS, "MoveAccount"): _moved,
    (_ORGANIZATIONS, "TagResource"): _tagged,
    (_ORGANIZATIONS, "UntagResource"): _tagged,
    ("sso.amazonaws.com", "DeleteAccountAssignment"): _unassigned,
}
