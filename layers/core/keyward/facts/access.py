"""What accounts have of what their baselines want, as it is now.

An account that has nothing yet costs four calls, however much its baselines want: what it is, where
it is, which permission sets are provisioned in it, and its tags where they may decide. Names cost
calls only the first time.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from keyward import resolving
from keyward.actions import RequestKind
from keyward.baselines import (
    SELECTED,
    Baselines,
    Names,
    Place,
    baselines_of,
    names_in,
    need_tags,
    selecting,
    unknown_units,
    wanted,
)
from keyward.catalogue import catalogue_of
from keyward.errors import GatewayError
from keyward.findings import State
from keyward.gateways.identity_center import Principal
from keyward.model import (
    Access,
    AccountAccess,
    AccountAssignment,
    Expectation,
    PermissionSet,
    PrincipalKind,
)
from keyward.principals import CONTROL_TOWER_SETS

if TYPE_CHECKING:
    from keyward.gateways.identity_center import IdentityCenterGateway
    from keyward.gateways.reach import Reach
    from keyward.ledger import Ledger
    from keyward.settings import Accepted

NOT_YET = "PENDING_ACTIVATION"
"""The state of an account that AWS still makes.

Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_Account.html
"""

PATIENCE = timedelta(minutes=30)
"""So long an account may take to get its access before somebody hears that it hasn't."""

type Held = Mapping[str, frozenset[Principal]]
"""Who holds which permission sets in one account, by ARN."""


def identified(
    subjects: Iterable[AccountAccess], *, reach: "Reach", ledger: "Ledger"
) -> tuple[list[AccountAccess], list[AccountAccess]]:
    """The accounts that can be given access, with their names; and those that are skipped.

    Skipped are accounts that are suspended, closed or no members: that is logged. So is, without a
    call, what lost an assignment that no baseline wants. Raises GatewayError(retryable), code
    NotReady, while AWS still makes the account.
    """
    found, skipped = [], []
    for subject in subjects:
        if subject.removed is not None and not _may_be_wanted(subject.removed, reach, ledger):
            skipped.append(subject)
            continue
        described = reach.organization().account(subject.account)
        state = described.state if described is not None else "NOT A MEMBER"
        if state == NOT_YET:
            message = f"AWS is still making account {subject.account}"
            raise GatewayError(message, code="NotReady", retryable=True)
        if described is None or state != SELECTED:
            _log_skipped(subject.account, state)
            skipped.append(subject)
            continue
        found.append(replace(subject, name=described.name or None, state=state))
    return found, skipped


def current(
    subjects: Iterable[AccountAccess], *, reach: "Reach", ledger: "Ledger", now: datetime
) -> list[AccountAccess | AccountAssignment]:
    """Each account as it is, and beside it the assignments there that baselines object to.

    What is stale is looked for where other baselines may select the account than before. Names that
    baselines have and nobody knows are told. Raises GatewayError(retryable) while AWS still removes
    the assignment that an event reports, code InProgress; and for PATIENCE while the account's
    first days are over but it is still being given its access, code NotInPlace.
    """
    found: list[AccountAccess | AccountAssignment] = []
    for subject in subjects:
        account, held, names = _read(subject, reach=reach, ledger=ledger)
        baselines = baselines_of(reach.accepted().baselines)
        for text in (*account.unknown, *unknown_units(baselines, names)):
            ledger.notice(resolving.unknown(text, now=now))
        is_early = subject.grace_over and now < (subject.since or now) + PATIENCE
        if is_early and account.missing and _is_being_given(account, ledger):
            message = f"account {account.account} has not all of its access yet"
            raise GatewayError(message, code="NotInPlace", retryable=True)
        found += [
            account,
            *_stale(account, held, names, reach),
            *_first_users(account, held, names, reach),
        ]
    return found


def _is_being_given(account: AccountAccess, ledger: "Ledger") -> bool:
    """Whether somebody is at what the account lacks: else to wait for it would be in vain."""
    held = ledger.containment(account.account, account.unique_id or "")
    record = ledger.finding(held.finding) if held is not None else None
    return record is not None and record.state is State.ACTING


def described(subject: AccountAccess, *, reach: "Reach", ledger: "Ledger") -> AccountAccess:
    """The account as it is, for people to read. Raises GatewayError."""
    return _read(subject, reach=reach, ledger=ledger)[0]


def wanted_now(account: str, *, reach: "Reach", ledger: "Ledger") -> frozenset[tuple[str, str]]:
    """Permission set and group of each assignment that the account's baselines want by now.

    One call, and one for its tags where they may decide: by what names stood for when they were
    looked up last. Raises GatewayError.
    """
    baselines = baselines_of(reach.accepted().baselines)
    names = resolving.recalled(names_in(baselines.values()), ledger)
    place = _place(account, baselines, reach=reach, ledger=ledger)
    access, _ = wanted(baselines, selecting(baselines, place, names), names)
    return frozenset(it.key for it in access)


def _read(
    subject: AccountAccess, *, reach: "Reach", ledger: "Ledger"
) -> tuple[AccountAccess, Held, Names]:
    accepted, center = reach.accepted(), reach.identity_center()
    baselines = baselines_of(accepted.baselines)
    _has_ended(subject, center)
    names = resolving.resolved(
        _all_names(subject, baselines, accepted),
        center=center,
        organization=reach.organization(),
        ledger=ledger,
    )
    place = _place(subject.account, baselines, reach=reach, ledger=ledger)
    selected = selecting(baselines, place, names)
    access, unknown = wanted(baselines, selected, names)
    everywhere, _ = wanted(baselines, baselines, names)
    interesting = {it.permission_set_arn for it in everywhere}
    if subject.grace_over:
        interesting |= _known(CONTROL_TOWER_SETS, names)
    if any(baselines[name].exclusive for name in selected):
        interesting |= _known(accepted.permission_sets, names)
    held = {
        arn: center.principals_of(subject.account, arn)
        for arn in center.provisioned_in(subject.account)
        if arn in interesting
    }
    account = replace(
        subject,
        parents=place.parents,
        instance_arn=center.instance_arn(),
        baselines=selected,
        wanted=access,
        missing=tuple(it for it in access if _group(it) not in held.get(it.permission_set_arn, ())),
        unknown=unknown,
    )
    return account, held, names


def _all_names(subject: AccountAccess, baselines: Baselines, accepted: "Accepted") -> Names:
    """What has to be looked up: of the catalogue only where a baseline wants nothing else of it."""
    names = names_in(baselines.values())
    others: set[str] = set()
    if any(baseline.exclusive for baseline in baselines.values()):
        others |= set(accepted.permission_sets)
    if subject.grace_over:
        others |= CONTROL_TOWER_SETS
    return replace(names, permission_sets={**names.permission_sets, **dict.fromkeys(others, "")})


def _known(sets: Iterable[str], names: Names) -> set[str]:
    return {names.permission_sets[name] for name in sets if name in names.permission_sets}


def _place(account: str, baselines: Baselines, *, reach: "Reach", ledger: "Ledger") -> Place:
    """Where the account is: asked each time, since it may just have been moved."""
    shared = reach.accepted().settings.account_baselines.shared_accounts
    hub = reach.identity_center().hub_account
    return Place(
        account=account,
        parents=resolving.above(account, organization=reach.organization(), ledger=ledger),
        tags=reach.organization().tags(account) if need_tags(baselines.values()) else None,
        by_id_only=account == hub or account in shared,
    )


def _group(access: Access) -> Principal:
    return Principal(kind=PrincipalKind.GROUP, id=access.group_id)


def _may_be_wanted(removed: tuple[str, str], reach: "Reach", ledger: "Ledger") -> bool:
    """Whether a baseline wants it anywhere; whatever names nobody looked up yet may mean it."""
    baselines = baselines_of(reach.accepted().baselines)
    names = names_in(baselines.values())
    known = resolving.recalled(names, ledger)
    if known.groups.keys() != names.groups.keys():
        return True
    if known.permission_sets.keys() != names.permission_sets.keys():
        return True
    everywhere, _ = wanted(baselines, baselines, known)
    return removed in {it.key for it in everywhere}


def _has_ended(subject: AccountAccess, center: "IdentityCenterGateway") -> None:
    """Raises GatewayError(retryable) while AWS still removes what an event reports as removed.

    Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_DeleteAccountAssignment.html
    """
    if subject.request_id is None:
        return
    state = center.status(RequestKind.ASSIGNMENT_DELETION, subject.request_id).state
    if state == "IN_PROGRESS":
        message = f"AWS is still removing an assignment in {subject.account}"
        raise GatewayError(message, code="InProgress", retryable=True)


def _stale(
    account: AccountAccess, held: Held, names: Names, reach: "Reach"
) -> list[AccountAssignment]:
    """The assignments to groups that no baseline wants here: exclusive ones, or those elsewhere."""
    accepted = reach.accepted()
    baselines = baselines_of(accepted.baselines)
    if not account.moved or baselines.keys() != accepted.baselines.keys():
        return []  # what nobody can read may want it
    if account.unknown or unknown_units(baselines, names):
        return []  # and so may what nobody knows by name
    everywhere, _ = wanted(baselines, baselines, names)
    elsewhere = {it.key: it.baselines for it in everywhere}
    here = {it.key for it in account.wanted or ()}
    sets = functools.cache(functools.partial(_permission_set, account=account, reach=reach))
    exclusive = any(baselines[name].exclusive for name in account.baselines)
    of_catalogue = _known(catalogue_of(accepted.permission_sets), names)
    return [
        _assignment(
            account,
            sets(arn),
            principal,
            reach,
            Expectation(
                exclusive=exclusive and arn in of_catalogue,
                elsewhere=elsewhere.get((arn, principal.id), ()),
                in_place=_in_place(account),
            ),
        )
        for arn, principals in sorted(held.items())
        for principal in sorted(principals, key=lambda it: it.id)
        if principal.kind is PrincipalKind.GROUP
        and (arn, principal.id) not in here
        and ((exclusive and arn in of_catalogue) or (arn, principal.id) in elsewhere)
    ]


def _first_users(
    account: AccountAccess, held: Held, names: Names, reach: "Reach"
) -> list[AccountAssignment]:
    """The assignments to people of Control Tower's sets, once the account's first days are over.

    None where no baseline selects the account: it gets nothing in place of them.
    """
    if not account.grace_over or not account.baselines:
        return []
    expected = Expectation(in_place=_in_place(account), grace_over=True)
    sets = functools.cache(functools.partial(_permission_set, account=account, reach=reach))
    return [
        _assignment(
            replace(account, since=account.finished),
            sets(arn),
            principal,
            reach,
            expected,
        )
        for arn in sorted(held.keys() & _known(CONTROL_TOWER_SETS, names))
        for principal in sorted(held[arn], key=lambda it: it.id)
        if principal.kind is PrincipalKind.USER
    ]


def _in_place(account: AccountAccess) -> bool:
    """Whether the account has access by its baselines, all of it: it has if they want any."""
    return bool(account.wanted) and not account.missing and not account.unknown


def _permission_set(arn: str, *, account: AccountAccess, reach: "Reach") -> PermissionSet:
    """The permission set as it is. Six calls."""
    center = reach.identity_center()
    name, attributes = center.attributes(arn)
    return PermissionSet(
        account=center.hub_account,
        instance_arn=account.instance_arn,
        arn=arn,
        name=name,
        attributes=attributes,
    )


def _assignment(
    account: AccountAccess,
    permission_set: PermissionSet,
    principal: Principal,
    reach: "Reach",
    expected: Expectation,
) -> AccountAssignment:
    center = reach.identity_center()
    try:
        called = center.principal_name(principal.kind, principal.id)
    except GatewayError as error:
        if error.retryable:
            raise
        called = None
    return AccountAssignment(
        account=account.account,
        permission_set_arn=permission_set.arn or "",
        principal_kind=principal.kind,
        principal_id=principal.id,
        instance_arn=account.instance_arn,
        permission_set=permission_set,
        principal_name=called,
        parents=account.parents,
        expected=expected,
        since=account.since,
    )


def _log_skipped(account: str, state: str) -> None:
    from keyward.observability import count, logger  # noqa: PLC0415 - explain does without it

    logger.info("account skipped", account=account, state=state)
    count("AccountsSkipped")
