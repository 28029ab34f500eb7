"""What keeps the organization's accounts in check, as events tell of its change. Pure.

Better a word with less in it than none: what an event doesn't tell is left empty.
Source: https://docs.aws.amazon.com/organizations/latest/userguide/orgs_cloudtrail-integration.html
Source: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

import re
from collections.abc import Callable, Mapping

from keyward.model import AccountId, Governed, Hint, OrganizationChange

VALUE_LENGTH = 200
"""So many characters of a value are kept."""

_ACCOUNT_ID = re.compile(r"[0-9]{12}", re.ASCII)

type Reader = Callable[[Hint], OrganizationChange]


def claimed(hint: Hint) -> tuple[OrganizationChange, ...]:
    """Which membership, policy or trail the event changes; mostly none."""
    reader = _READERS.get((hint.event_source, hint.event_name))
    return (reader(hint),) if reader else ()


def _left(hint: Hint) -> OrganizationChange:
    return _membership(hint, hint.account)


def _removed(hint: Hint) -> OrganizationChange:
    return _membership(hint, _account(hint.parameters, "accountId"))


def _departed(hint: Hint) -> OrganizationChange:
    """Reads AccountDepartedOrganization, of which AWS documents method and time.

    Under which name it has the account's id is a guess: no real event was seen.
    Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_RemoveAccountFromOrganization.html
    """
    inner = [value for value in hint.details.values() if isinstance(value, Mapping)]
    names = ("accountId", "memberAccountId", "departedAccountId", "account")
    places = [hint.details, *inner]
    found = (account for at in places for name in names if (account := _account(at, name)))
    methods = (method for at in places if (method := _text(at, "departureMethod")))
    return _membership(hint, next(found, None), departureMethod=next(methods, None))


def _membership(hint: Hint, account: AccountId | None, **values: str | None) -> OrganizationChange:
    return _change(hint, Governed.MEMBERSHIP, account or "", account=account, **values)


def _policy_on_target(hint: Hint) -> OrganizationChange:
    """Reads AttachPolicy and DetachPolicy, which don't tell of what type the policy is."""
    policy, target = _text(hint.parameters, "policyId"), _text(hint.parameters, "targetId")
    return _change(hint, Governed.POLICY, " on ".join(filter(None, (policy, target))))


def _policy(hint: Hint) -> OrganizationChange:
    summary = ("policy", "policySummary")
    return _change(
        hint,
        Governed.POLICY,
        _text(hint.parameters, "policyId") or "",
        name=_text(hint.response, *summary, "name"),
        type=_text(hint.response, *summary, "type"),
    )


def _policy_type(hint: Hint) -> OrganizationChange:
    kind = _text(hint.parameters, "policyType")
    root = _text(hint.parameters, "rootId")
    return _change(hint, Governed.POLICY_TYPE, kind or "", type=kind, rootId=root)


def _trail(hint: Hint) -> OrganizationChange:
    """Reads a change of a trail, which is called by its name or its ARN."""
    called = _text(hint.parameters, "name") or _text(hint.parameters, "trailName") or ""
    return _change(hint, Governed.TRAIL, called.rpartition(":trail/")[2])


def _change(
    hint: Hint,
    what: Governed,
    called: str,
    /,
    *,
    account: AccountId | None = None,
    **values: str | None,
) -> OrganizationChange:
    return OrganizationChange(
        account=account or hint.account,
        what=what,
        name=called,
        change=hint.event_name,
        values={name: value for name, value in values.items() if value is not None},
        since=hint.time,
    )


def _account(values: Mapping[str, object], name: str) -> AccountId | None:
    found = _text(values, name) or ""
    return found if _ACCOUNT_ID.fullmatch(found) else None


def _text(values: Mapping[str, object], *path: str) -> str | None:
    """The text at `path`, as much of it as people need; None for anything else there."""
    value: object = values
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value[:VALUE_LENGTH] if isinstance(value, str) and value else None


_ORGANIZATIONS = "organizations.amazonaws.com"
_CLOUDTRAIL = "cloudtrail.amazonaws.com"
_READERS: dict[tuple[str, str], Reader] = {
    (_ORGANIZATIONS, "LeaveOrganization"): _left,
    (_ORGANIZATIONS, "RemoveAccountFromOrganization"): _removed,
    (_ORGANIZATIONS, "AccountDepartedOrganization"): _departed,
    (_ORGANIZATIONS, "AttachPolicy"): _policy_on_target,
    (_ORGANIZATIONS, "DetachPolicy"): _policy_on_target,
    (_ORGANIZATIONS, "UpdatePolicy"): _policy,
    (_ORGANIZATIONS, "DeletePolicy"): _policy,
    (_ORGANIZATIONS, "DisablePolicyType"): _policy_type,
    (_CLOUDTRAIL, "StopLogging"): _trail,
    (_CLOUDTRAIL, "DeleteTrail"): _trail,
    (_CLOUDTRAIL, "UpdateTrail"): _trail,
    (_CLOUDTRAIL, "PutEventSelectors"): _trail,
}
