"""Acts in Identity Center, which takes its time: each look does the next step that is open.

Every function here looks at the present state first and does what is still lacking, whatever came
before: a crash, a lost status, a second delivery. What AWS has not finished comes back as Pending,
and is looked at again by a later message. No Lambda waits.
"""

import contextlib
import math
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from keyward import drift
from keyward.actions import (
    AssignmentTarget,
    Before,
    DetachPolicy,
    Done,
    IdentityCenterAction,
    Pending,
    PermissionSetTarget,
    ProvisionPermissionSet,
    RecreatePermissionSet,
    RemoveAssignment,
    Request,
    RequestKind,
    RestorePermissionSet,
)
from keyward.drift import Attribute, Difference
from keyward.errors import GatewayError, NotFoundError
from keyward.gateways.identity_center import IdentityCenterGateway, Principal
from keyward.ledger import Ledger
from keyward.livedeny import LiveDeny, with_denies
from keyward.model import (
    CustomerPolicy,
    PermissionSetAttributes,
    PolicyDocument,
    PrincipalKind,
)

DELAYS_SECONDS = (2, 4, 8, 15, 30, 60)
"""Waits before each look at what AWS does; the last one from then on."""

PATIENCE = timedelta(minutes=30)
"""After so long an act that AWS has not finished counts as failed, and people are told."""

ATTEMPTS = 3
"""So often a request that AWS began and did not finish is made anew."""

RENEWAL = timedelta(minutes=5)
"""A deny that stands already is made to last longer only where it ends so much too early."""

OUTSTANDING = {
    RequestKind.ASSIGNMENT_CREATION: 15,
    RequestKind.ASSIGNMENT_DELETION: 15,
    RequestKind.PROVISIONING: 3,
}
"""So many requests of a kind may be under way at once; creations and deletions count together.

Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/limits.html
"""


type ConvergingAction = (
    RemoveAssignment
    | DetachPolicy
    | RestorePermissionSet
    | RecreatePermissionSet
    | ProvisionPermissionSet
)
"""What is done here; what gives accounts their access is in assigning.py."""

NOT_SHOWN = "waits: AWS doesn't show the effect yet"
FULL = "waits: as many assignments as AWS allows are under way"


def delay_seconds(pending: Pending, now: datetime) -> int:
    """How long to wait before the next look; longer than a queue can, it looks in between."""
    if pending.not_before is not None:
        return max(math.ceil((pending.not_before - now).total_seconds()), 1)
    return DELAYS_SECONDS[min(pending.looks, len(DELAYS_SECONDS) - 1)]


def put_off(pending: Pending, error: GatewayError, now: datetime) -> Pending | None:
    """What waits while AWS throttles or conflicts: the same, later; None after long enough."""
    if not error.retryable or now - pending.since > PATIENCE:
        return None
    return _later(pending, str(error))


def carry_out(
    action: ConvergingAction,
    *,
    pending: Pending | None,
    center: IdentityCenterGateway,
    ledger: Ledger,
    now: datetime,
) -> Done | Pending:
    """Does the next step. What is done, in words, once AWS shows all of it; else what it awaits.

    Raises NotFoundError where the object is gone, GatewayError: retryable too.
    """
    state = pending or Pending(since=now, stage="begins")
    match action:
        case RemoveAssignment(target=target):
            done = _unassigned(target, state, center, now)
            if not isinstance(done, Pending):
                return _sessions_ended(action, done, state, center=center, ledger=ledger, now=now)
            what = ""
        case DetachPolicy(target=target, policy=policy):
            denies = ledger.live_denies(_arn(target), now=now)
            _take_off(_arn(target), policy, denies, center)
            done = _provisioned(_arn(target), state, center, now)
            what = f"{_called(policy)} is off permission set {target.permission_set_name}"
        case RestorePermissionSet(target=target):
            denies = ledger.live_denies(_arn(target), now=now)

            def wanted(actual: PermissionSetAttributes) -> PermissionSetAttributes:
                return _as_asked(action, actual, denies)

            done = _put_right(_arn(target), wanted, state, center, now)
            what = f"permission set {target.permission_set_name} is as wanted again"
        case RecreatePermissionSet():
            return _recreated(action, state, center=center, ledger=ledger, now=now)
        case ProvisionPermissionSet(target=target):
            done = _provisioned(_arn(target), state, center, now)
            what = f"permission set {target.permission_set_name} is up to date"
    return done if isinstance(done, Pending) else Done(text=f"{what}; {done}")


def take_back(
    action: IdentityCenterAction,
    *,
    pending: Pending,
    center: IdentityCenterGateway,
    ledger: Ledger,
    now: datetime,
) -> Pending | None:
    """Takes back what was to stand only for a while, as `carry_out` does; None once that is done.

    Raises NotFoundError where the object is gone, GatewayError: retryable too.
    """
    if not isinstance(action, RemoveAssignment):
        return None
    if pending.not_before is not None and now < pending.not_before:
        return pending
    if pending.not_before is not None:
        pending = Pending(since=now, stage="lifts the deny of sessions that have ended")
    arn = action.target.permission_set_arn
    state = _with_denies(arn, ledger.live_denies(arn, now=now), pending, center)
    done = _provisioned(arn, state, center, now)
    return done if isinstance(done, Pending) else None


def undo(  # noqa: PLR0913 - all of it by name
    action: ConvergingAction,
    *,
    before: Before,
    pending: Pending | None,
    center: IdentityCenterGateway,
    ledger: Ledger,
    now: datetime,
) -> list[str] | Pending:
    """Does the next step of putting back what was there before the act, as `carry_out` does.

    Raises NotFoundError where what it is about is gone, GatewayError: retryable too.
    """
    state = pending or Pending(since=now, stage="begins")
    match action:
        case RemoveAssignment(target=target):
            if action.deny_sessions:
                state = _deny_lifted(target, state, center=center, ledger=ledger, now=now)
            done = _assigned_without_deny(action, state, center, now)
            what = ""
        case DetachPolicy(target=target, policy=policy):
            denies = ledger.live_denies(_arn(target), now=now)

            def with_it(actual: PermissionSetAttributes) -> PermissionSetAttributes:
                return _with_policy(policy, actual, denies)

            state = _made_like(_arn(target), with_it, state, center)
            done = _provisioned(_arn(target), state, center, now)
            what = f"{_called(policy)} is on permission set {target.permission_set_name} again; "
        case RestorePermissionSet(target=target):
            was, denies = before.attributes, ledger.live_denies(_arn(target), now=now)
            if was is None:
                return []

            def undone(actual: PermissionSetAttributes) -> PermissionSetAttributes:
                return _as_before(action, was, actual, denies)

            state = _made_like(_arn(target), undone, state, center, exact=True)
            done = _provisioned(_arn(target), state, center, now)
            what = (
                f"what was put back of permission set {target.permission_set_name} is as it was; "
            )
        case RecreatePermissionSet():
            return _unmade(action, state, center, now)
        case ProvisionPermissionSet():
            return []
    return done if isinstance(done, Pending) else [f"{what}{done}"]


# Sessions that have begun


def _sessions_ended(  # noqa: PLR0913 - all of it by name
    action: RemoveAssignment,
    done: str,
    state: Pending,
    *,
    center: IdentityCenterGateway,
    ledger: Ledger,
    now: datetime,
) -> Done | Pending:
    """What becomes of sessions that began before the removal, which ends none of them.

    A deny that stands since an earlier removal is lifted in any case.
    Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/revoke-user-permissions.html
    """
    target, arn = action.target, action.target.permission_set_arn
    until = now + timedelta(seconds=action.session_seconds)
    live = f"{done}; sessions begun before may live until {until:%Y-%m-%d %H:%M} UTC"
    denies = ledger.live_denies(arn, now=now)
    stands = next((it for it in denies if _isabout_of(it, target)), None)
    if not action.deny_sessions or target.principal_kind is not PrincipalKind.USER:
        return _let_be(live, stands)
    accounts = center.accounts_of(arn)
    if target.account not in accounts:
        gone = f"{done}; its role is gone from the account, and sessions with it"
        return _let_be(gone, stands)
    if (why := _why_not_denied(action, accounts, center)) is not None:
        if stands is not None:
            stands = replace(stands, until=now)
            ledger.deny_session(arn, stands)
        return _let_be(f"{live}: they are not denied, since {why}", stands)
    mine = LiveDeny(account=target.account, user_id=target.principal_id, until=until)
    if stands is None or stands.until < until - RENEWAL:
        ledger.deny_session(arn, mine)
        denies = [*(it for it in denies if it is not stands), mine]
    else:
        mine = stands
    try:
        state = _with_denies(arn, denies, state, center)
        through = _provisioned(arn, state, center, now)
    except GatewayError as error:
        if error.retryable or isinstance(error, NotFoundError):
            raise
        mine = replace(mine, until=now)
        ledger.deny_session(arn, mine)
        return _let_be(f"{live}: they could not be denied ({error})", mine)
    if isinstance(through, Pending):
        return through
    ends = f"{mine.until:%Y-%m-%d %H:%M} UTC"
    return _let_be(f"{done}; sessions begun before are denied until {ends}", mine)


def _let_be(text: str, deny: LiveDeny | None) -> Done:
    """The removal is done; a deny is lifted when it ends."""
    if deny is None:
        return Done(text=text)
    until = deny.until
    return Done(text=text, aftercare=Pending(since=until, stage="lifts the deny", not_before=until))


def _why_not_denied(
    action: RemoveAssignment, accounts: Container[str | None], center: IdentityCenterGateway
) -> str | None:
    """Why what is left of the sessions is let be; None where it is to be denied."""
    if action.spared in accounts:
        return "the management account has the permission set, and settings spare it"
    if _has_it_by_group(action.target, center):
        return "access through a group stays"
    return None


def _has_it_by_group(target: AssignmentTarget, center: IdentityCenterGateway) -> bool:
    """Whether the person has the set there through a group, too: a deny would take that as well.

    Else whoever may assign could lock everybody out. Where the identity store doesn't tell, it may
    be so.
    """
    holders = center.principals_of(target.account, target.permission_set_arn)
    groups = [holder.id for holder in holders if holder.kind is PrincipalKind.GROUP]
    try:
        return any(center.is_member(group, target.principal_id) for group in groups)
    except GatewayError as error:
        if error.retryable:
            raise
        return True


def _isabout_of(deny: LiveDeny, target: AssignmentTarget) -> bool:
    return deny.account == target.account and deny.user_id == target.principal_id


def _with_denies(
    arn: str, denies: Iterable[LiveDeny], state: Pending, center: IdentityCenterGateway
) -> Pending:
    """Makes the set's inline policy hold exactly these denies, beside what else it holds."""
    _, actual = center.attributes(arn)
    wanted = with_denies(actual, denies)
    if drift.same_policy(actual.inline_policy, wanted.inline_policy):
        return state
    center.set_inline_policy(arn, wanted.inline_policy)
    return state.model_copy(update={"requests": ()})


def _deny_lifted(
    target: AssignmentTarget,
    state: Pending,
    *,
    center: IdentityCenterGateway,
    ledger: Ledger,
    now: datetime,
) -> Pending:
    """Lifts the deny in the set; accounts have it until that is brought there."""
    arn = target.permission_set_arn
    mine = [it for it in ledger.live_denies(arn, now=now) if _isabout_of(it, target)]
    for deny in mine:
        ledger.deny_session(arn, replace(deny, until=now))
    return _with_denies(arn, ledger.live_denies(arn, now=now), state, center)


def _assigned_without_deny(
    action: RemoveAssignment, state: Pending, center: IdentityCenterGateway, now: datetime
) -> str | Pending:
    """Makes the assignment; and where a deny stood, its account gets the set as it is by now.

    Not where the account to be spared has the set: no deny was put in then, either.
    """
    target, arn = action.target, action.target.permission_set_arn
    done = _assigned(target, state, center, now)
    if isinstance(done, Pending) or not action.deny_sessions:
        return done
    if target.account not in center.accounts_of(arn, stale=True):
        return done
    if action.spared in center.accounts_of(arn):
        return done
    through = _provisioned(arn, state, center, now)
    return through if isinstance(through, Pending) else done


# Assignments


def _unassigned(
    target: AssignmentTarget, state: Pending, center: IdentityCenterGateway, now: datetime
) -> str | Pending:
    gone = f"the {_named(target)} is gone"
    if any(request.kind is RequestKind.PROVISIONING for request in state.requests):
        return gone  # and what is under way is the deny of what is left of its sessions
    state, busy, is_through = _looked(state, center, now)
    if busy:
        return state
    if not _is_assigned(target, center):
        return gone
    if is_through:
        return _later(state, NOT_SHOWN, anew=True)
    if _is_full(RequestKind.ASSIGNMENT_DELETION, center):
        return _later(state, FULL)
    request = Request(kind=RequestKind.ASSIGNMENT_DELETION, id=center.unassign(target))
    return _begun(state, "AWS removes the assignment", request)


def _assigned(
    target: AssignmentTarget, state: Pending, center: IdentityCenterGateway, now: datetime
) -> str | Pending:
    state, busy, is_through = _looked(state, center, now)
    if busy:
        return state
    if _is_assigned(target, center):
        return f"the {_named(target)} is there"
    if is_through:
        return _later(state, NOT_SHOWN, anew=True)
    if _is_full(RequestKind.ASSIGNMENT_CREATION, center):
        return _later(state, FULL)
    request = Request(kind=RequestKind.ASSIGNMENT_CREATION, id=center.assign(target))
    return _begun(state, "AWS makes the assignment", request)


def _is_assigned(target: AssignmentTarget, center: IdentityCenterGateway) -> bool:
    principal = Principal(kind=target.principal_kind, id=target.principal_id)
    return principal in center.principals_of(target.account, target.permission_set_arn)


def _stands(target: AssignmentTarget, center: IdentityCenterGateway, *, should_be: bool) -> bool:
    """Whether it is there; what is to be gone is so, too, where its permission set is."""
    try:
        return _is_assigned(target, center)
    except NotFoundError:
        if should_be:
            raise
        return False


def is_gone(target: AssignmentTarget, center: IdentityCenterGateway) -> bool:
    """Whether the principal is there no more; where the identity store doesn't tell, AWS will."""
    try:
        return center.principal_name(target.principal_kind, target.principal_id) is None
    except GatewayError:
        return False


def _named(target: AssignmentTarget) -> str:
    who = target.principal_name or target.principal_id
    return (
        f"assignment of permission set {target.permission_set_name} to "
        f"{target.principal_kind.lower()} {who} in {target.account}"
    )


# Permission sets


def _arn(target: PermissionSetTarget) -> str:
    if target.arn is None:
        message = f"permission set {target.permission_set_name} is gone"
        raise NotFoundError(message, code="ResourceNotFoundException")
    return target.arn


def _called(policy: PolicyDocument | CustomerPolicy) -> str:
    return policy.name if isinstance(policy, PolicyDocument) else f"{policy.path}{policy.name}"


def _take_off(
    arn: str,
    policy: PolicyDocument | CustomerPolicy,
    denies: Iterable[LiveDeny],
    center: IdentityCenterGateway,
) -> None:
    """Takes the one policy off, should it still be there: an inline one only if it is the same.

    Denies that stand in an inline policy stay.
    """
    _, actual = center.attributes(arn)
    match policy:
        case CustomerPolicy():
            if policy in actual.customer_policies:
                center.detach_policy(arn, policy)
        case PolicyDocument(arn=str() as of_policy):
            if of_policy in actual.managed_policies:
                center.detach_policy(arn, of_policy)
        case PolicyDocument(text=text):
            if actual.inline_policy and drift.same_policy(actual.inline_policy, text):
                bare = replace(actual, inline_policy=None)
                center.set_inline_policy(arn, with_denies(bare, denies).inline_policy)


def _as_asked(
    action: RestorePermissionSet, actual: PermissionSetAttributes, denies: Iterable[LiveDeny]
) -> PermissionSetAttributes:
    """What the set shall be: the denies that stand by now belong to it, whatever the action knew.

    Of what is wanted in part all else is as it is: somebody may have changed it since.
    """
    if not action.only:
        return with_denies(action.wanted, denies)
    return replace(actual, **{name: getattr(action.wanted, name) for name in action.only})


def _put_right(
    arn: str,
    wanted_of: Callable[[PermissionSetAttributes], PermissionSetAttributes],
    state: Pending,
    center: IdentityCenterGateway,
    now: datetime,
) -> str | Pending:
    """Makes the set as wanted, and brings it into the accounts.

    What could be put right is brought there all the same where something else could not; then that
    is raised.
    """
    problem = None
    try:
        state = _made_like(arn, wanted_of, state, center)
    except GatewayError as error:
        if error.retryable or isinstance(error, NotFoundError):
            raise
        problem = error
    done = _provisioned(arn, state, center, now)
    if problem is not None and not isinstance(done, Pending):
        raise problem
    return done


def _as_before(
    action: RestorePermissionSet,
    was: PermissionSetAttributes,
    actual: PermissionSetAttributes,
    denies: Iterable[LiveDeny],
) -> PermissionSetAttributes:
    """What a release makes of the set: what the act changed is as it was, but for denies."""
    if action.only:
        return replace(actual, **{name: getattr(was, name) for name in action.only})
    plain, before, wanted = (with_denies(it, ()) for it in (actual, was, action.wanted))
    return with_denies(drift.reverted(plain, before=before, wanted=wanted), denies)


def _with_policy(
    policy: PolicyDocument | CustomerPolicy,
    actual: PermissionSetAttributes,
    denies: Iterable[LiveDeny],
) -> PermissionSetAttributes:
    """What a release makes of the set: the one policy that was taken off is on again."""
    match policy:
        case CustomerPolicy():
            held = actual.customer_policies
            return replace(actual, customer_policies=tuple({*held, policy}))
        case PolicyDocument(arn=str() as arn):
            return replace(actual, managed_policies=tuple({*actual.managed_policies, arn}))
        case PolicyDocument(text=text):
            return with_denies(replace(actual, inline_policy=text), denies)


def _made_like(
    arn: str,
    wanted_of: Callable[[PermissionSetAttributes], PermissionSetAttributes],
    state: Pending,
    center: IdentityCenterGateway,
    *,
    exact: bool = False,
) -> Pending:
    """Makes the set as wanted; what was asked of AWS before that change is then of no use.

    `wanted_of` says what that is of a set that is so.
    """
    _, actual = center.attributes(arn)
    wanted = wanted_of(actual)
    found = drift.differences(actual, wanted)
    surplus = sorted(set(actual.tags) - set(wanted.tags)) if exact else []
    if surplus:
        center.remove_tags(arn, surplus)
    if not found and not surplus:
        return state
    apply(arn, found, wanted, center)
    return state.model_copy(update={"requests": ()})


def apply(
    arn: str,
    found: Iterable[Difference],
    wanted: PermissionSetAttributes,
    center: IdentityCenterGateway,
) -> None:
    """The boundary first, then what is too much, then what is lacking: never more than before.

    What can't be put right keeps nothing from being taken away; but no policy is added then. Raises
    the first GatewayError, after that.
    """
    found = tuple(found)
    problems = []
    for step in _steps(arn, found, wanted, center):
        try:
            step()
        except GatewayError as error:
            if error.retryable or isinstance(error, NotFoundError):
                raise
            problems.append(error)
    if problems:
        raise problems[0]
    for difference in found:
        if difference.attribute in _POLICIES:
            match difference.lacking:
                case str() | CustomerPolicy() as policy:
                    center.attach_policy(arn, policy)


_POLICIES = (Attribute.MANAGED_POLICY, Attribute.CUSTOMER_POLICY)


def _steps(
    arn: str,
    found: Iterable[Difference],
    wanted: PermissionSetAttributes,
    center: IdentityCenterGateway,
) -> Iterator[Callable[[], None]]:
    """All but the policies that are lacking, in order."""
    found = tuple(found)
    attributes = {difference.attribute for difference in found}
    if Attribute.BOUNDARY in attributes:
        yield partial(center.set_boundary, arn, wanted.boundary)
    for difference in found:
        if difference.attribute in _POLICIES:
            match difference.extra:
                case str() | CustomerPolicy() as policy:
                    yield partial(center.detach_policy, arn, policy)
    if Attribute.INLINE_POLICY in attributes:
        yield partial(center.set_inline_policy, arn, wanted.inline_policy)
    if attributes & {Attribute.DESCRIPTION, Attribute.SESSION, Attribute.RELAY_STATE}:
        yield partial(center.set_details, arn, wanted)
    if Attribute.TAG in attributes:
        yield partial(center.set_tags, arn, wanted.tags)


def _provisioned(
    arn: str, state: Pending, center: IdentityCenterGateway, now: datetime
) -> str | Pending:
    """Brings the set into the accounts that have it: an edit alone does nothing there.

    Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_ProvisionPermissionSet.html
    """
    is_through = False
    if state.requests:
        state, busy, is_through = _looked(state, center, now)
        if busy:
            return state
    if is_through:
        if not center.accounts_of(arn, stale=True):
            return "every account that has it has it so"
        return _later(state, "waits: accounts still hold an older version", anew=True)
    if not center.accounts_of(arn):
        return "no account has it"
    if _is_full(RequestKind.PROVISIONING, center):
        return _later(state, "waits: as much is being provisioned as AWS allows")
    request = Request(kind=RequestKind.PROVISIONING, id=center.provision(arn))
    return _begun(state, "AWS brings it into the accounts", request)


def _recreated(
    action: RecreatePermissionSet,
    state: Pending,
    *,
    center: IdentityCenterGateway,
    ledger: Ledger,
    now: datetime,
) -> Done | Pending:
    name = action.target.permission_set_name
    arn = action.made or state.arn or center.names().get(name)
    if arn is None:
        arn = center.create(name, action.wanted)
    ledger.remember_set(arn, name)
    state = state.model_copy(update={"arn": arn})
    wanted_now = with_denies(action.wanted, ledger.live_denies(arn, now=now))
    state = _made_like(arn, lambda _: wanted_now, state, center)
    wanted = [
        target.model_copy(update={"permission_set_arn": arn})
        for target in action.assignments or ()
        if not is_gone(target, center)
    ]
    state = each(wanted, RequestKind.ASSIGNMENT_CREATION, state, center, now)
    if state.requests:
        return state
    given = f"{len(wanted)} groups have it again" if wanted else "nobody is assigned it"
    return Done(text=f"permission set {name} is there again; {given}; its ARN is {arn}", arn=arn)


def _unmade(
    action: RecreatePermissionSet, state: Pending, center: IdentityCenterGateway, now: datetime
) -> list[str] | Pending:
    """Takes away the set that was made, and not another that has its name by now."""
    name, arn = action.target.permission_set_name, action.made
    if arn is None:
        return [f"nothing tells that Keyward made permission set {name}: it stays"]
    if arn not in center.arns():
        return [f"the permission set {name} that Keyward made is gone"]
    made = [
        target.model_copy(update={"permission_set_arn": arn}) for target in action.assignments or ()
    ]
    state = each(made, RequestKind.ASSIGNMENT_DELETION, state, center, now)
    if state.requests:
        return state
    with contextlib.suppress(NotFoundError):
        center.delete(arn)
    return [f"permission set {name} is gone again"]


def each(
    targets: Iterable[AssignmentTarget],
    kind: RequestKind,
    state: Pending,
    center: IdentityCenterGateway,
    now: datetime,
) -> Pending:
    """Asks for what is lacking of many, as far as AWS takes it; no request left: all is done.

    Raises NotFoundError where a permission set is gone that somebody is to have.
    """
    should_be = kind is RequestKind.ASSIGNMENT_CREATION
    state, _, _ = _looked(state, center, now)
    lacking = [it for it in targets if _stands(it, center, should_be=should_be) is not should_be]
    if not lacking and not state.requests:
        return state
    under_way = {request.about for request in state.requests}
    room = OUTSTANDING[kind] - _outstanding(kind, center)
    made = [
        Request(kind=kind, id=(center.assign if should_be else center.unassign)(it), about=about)
        for it in lacking[: max(room, 0)]
        if (about := about_of(it)) not in under_way
    ]
    stage = f"{len(lacking)} assignments are still to do"
    if made:
        return _begun(state, stage, *state.requests, *made)
    waits = Request(kind=kind, id="", about="waits for AWS")
    return _later(state.model_copy(update={"requests": state.requests or (waits,)}), stage)


def about_of(target: AssignmentTarget) -> str:
    """What a request for it is about: account, permission set and principal."""
    return f"{target.account}/{target.permission_set_arn}/{target.principal_id}"


# Requests that AWS has taken on


def _looked(
    state: Pending, center: IdentityCenterGateway, now: datetime
) -> tuple[Pending, bool, bool]:
    """The requests that are under way, whether there are any, and whether AWS finished some.

    Raises GatewayError where AWS failed too often, or takes too long.
    """
    if now - state.since > PATIENCE:
        message = f"AWS has not finished in {PATIENCE.seconds // 60} minutes: {state.stage}"
        raise GatewayError(message, code="NotFinished")
    under_way, failures, is_through, reason = [], state.failures, False, ""
    for request in state.requests:
        if not request.id:
            continue
        status = center.status(request.kind, request.id)
        match status.state:
            case "IN_PROGRESS":
                under_way.append(request)
            case "SUCCEEDED":
                is_through = True
            case "FAILED":
                failures += 1
                reason = status.reason or "AWS gives no reason"
            case "UNKNOWN":
                continue
    if failures >= ATTEMPTS:
        message = f"AWS failed {failures} times: {reason}"
        raise GatewayError(message, code="RequestFailed")
    state = state.model_copy(update={"requests": tuple(under_way), "failures": failures})
    return (_later(state, state.stage) if under_way else state), bool(under_way), is_through


def _later(state: Pending, stage: str, *, anew: bool = False) -> Pending:
    """The state to look at again later; `anew` with no request, so that it is made again."""
    kept = () if anew else state.requests
    return state.model_copy(update={"stage": stage, "looks": state.looks + 1, "requests": kept})


def _begun(state: Pending, stage: str, *requests: Request) -> Pending:
    """The state once AWS took requests on: it is looked at soon again."""
    return state.model_copy(update={"stage": stage, "looks": 0, "requests": requests})


def _is_full(kind: RequestKind, center: IdentityCenterGateway) -> bool:
    return _outstanding(kind, center) >= OUTSTANDING[kind]


def _outstanding(kind: RequestKind, center: IdentityCenterGateway) -> int:
    if kind is RequestKind.PROVISIONING:
        return center.outstanding(kind)
    return center.outstanding(RequestKind.ASSIGNMENT_CREATION) + center.outstanding(
        RequestKind.ASSIGNMENT_DELETION
    )
