"""Carries out actions, and their undoing: act, read back, and only then say that it is done.

Every step is harmless when it is done already, so that a second pass finishes what a crash left.
What Identity Center does asynchronously is in converging.py.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

from keyward import assigning, converging
from keyward.actions import (
    DENY_ALL_ARN,
    MARKER_TAG,
    QUARANTINE_GROUP,
    Action,
    AssignAccess,
    AssignmentTarget,
    Before,
    DeactivateAccessKeys,
    DeactivateCredential,
    Done,
    IamAction,
    Pending,
    QuarantineUser,
    RecreatePermissionSet,
)
from keyward.errors import GatewayError, NotFoundError
from keyward.facts import access as access_facts
from keyward.facts import iam as iam_facts
from keyward.gateways.iam import IamGateway
from keyward.gateways.reach import Reach
from keyward.ledger import Ledger
from keyward.model import IamUser, PermissionSet, Subject

PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0)
"""Waits between reading back: IAM is eventually consistent, with no stated bound.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_general.html
"""

type Sleep = Callable[[float], None]


class CannotContainError(GatewayError):
    """No rung of the ladder holds: the user is not contained. A human must act."""


def look(action: Action, *, subject: Subject, reach: Reach) -> tuple[Action, Before]:
    """What an undo will need, read before the act; and the action, with its objects named.

    Raises GatewayError.
    """
    match action:
        case DeactivateAccessKeys() | DeactivateCredential() | QuarantineUser():
            if subject.owner is None:
                message = f"{subject.label} belongs to no IAM user"
                raise GatewayError(message, code="NoOwner")
            return _look_at_user(action, user=subject.owner, iam=reach.iam())
        case RecreatePermissionSet(assignments=None, target=target, former_arn=former_arn):
            had: tuple[AssignmentTarget, ...] = ()
            if former_arn is not None:
                at = subject.since
                had = reach.trail().groups_removed(former_arn, target, deleted_at=at)
            mine = tuple(it for it in had if it.account != action.spared)
            return action.model_copy(update={"assignments": mine}), Before()
        case _:
            attributes = subject.attributes if isinstance(subject, PermissionSet) else None
            return action, Before(attributes=attributes)


def carry_out(  # noqa: PLR0913 - all of it by name
    action: Action,
    *,
    before: Before,
    pending: Pending | None,
    reach: Reach,
    ledger: Ledger,
    sleep: Sleep,
    now: datetime,
) -> Done | Pending:
    """Does it, reads back, and says in words what is now so; or what it waits for.

    Raises NotFoundError when the object is gone, CannotContainError when no rung holds, and
    GatewayError: retryable too where AWS doesn't show the effect yet.
    """
    match action:
        case DeactivateAccessKeys() | DeactivateCredential() | QuarantineUser():
            return Done(text=_contain(action, before=before, iam=reach.iam(), sleep=sleep))
        case AssignAccess():
            account = action.target.account
            return assigning.give(
                action,
                pending=pending,
                wanted=lambda: access_facts.wanted_now(account, reach=reach, ledger=ledger),
                center=reach.identity_center(),
                ledger=ledger,
                now=now,
            )
        case _:
            center = reach.identity_center()
            return converging.carry_out(
                action, pending=pending, center=center, ledger=ledger, now=now
            )


def _contain(action: IamAction, *, before: Before, iam: IamGateway, sleep: Sleep) -> str:
    target = action.target
    match action:
        case DeactivateAccessKeys():
            ids = action.key_ids or ()
            gone = _deactivate(ids, target.user_name, iam)
            if ids and gone == set(ids):
                message = f"access key {', '.join(ids)} in {iam.account} is gone"
                raise NotFoundError(message, code="NoSuchEntity")
            done = f"access key {', '.join(id_ for id_ in ids if id_ not in gone)} is inactive"
        case DeactivateCredential():
            iam.set_credential(target.user_name, action.kind, action.credential_id, active=False)
            done = f"{action.kind} {action.credential_id} is inactive"
        case QuarantineUser():
            done = _quarantine(action, before=before, iam=iam)
    _verify(action, iam=iam, sleep=sleep)
    return done


def _look_at_user(action: IamAction, *, user: IamUser, iam: IamGateway) -> tuple[IamAction, Before]:
    match action:
        case DeactivateAccessKeys(key_ids=None):
            statuses = {key_id: key.active for key_id, key in iam.access_keys(user).items()}
            return action.model_copy(update={"key_ids": tuple(statuses)}), Before(statuses=statuses)
        case DeactivateAccessKeys(key_ids=key_ids):
            return action, Before(statuses=dict.fromkeys(key_ids or (), True))
        case DeactivateCredential(credential_id=credential_id):
            return action, Before(statuses={credential_id: True})
        case QuarantineUser():
            denied = DENY_ALL_ARN in iam.attached_policies(user.name)
            marker = (user.tags or {}).get(MARKER_TAG)
            statuses = {key_id: key.active for key_id, key in iam.access_keys(user).items()}
            # Asked only where it may be so already: it costs a call.
            may_be = not denied and not any(statuses.values())
            in_group = may_be and iam.in_quarantine_group(user.name)
            return action, Before(
                statuses=statuses,
                deny_attached=denied,
                in_group=in_group,
                boundary_arn=user.boundary_arn,
                marker=marker,
            )


def look_again(action: Action, before: Before, reach: Reach) -> Before:
    """What there is before an act is taken over: what came since the first look is acted on, too.

    For the act only: an undo needs what was there before the first. Raises NotFoundError where the
    name belongs to another user by now; GatewayError.
    """
    if not isinstance(action, IamAction):
        return before
    target, iam = action.target, reach.iam()
    user = iam.user(target.user_name)
    if user.user_id != target.user_id:
        message = f"IAM user {target.user_name} in {iam.account} is another user by now"
        raise NotFoundError(message, code="OtherUser")
    if not isinstance(action, QuarantineUser):
        return before
    _, now = _look_at_user(action, user=user, iam=iam)
    return now


def _quarantine(action: QuarantineUser, *, before: Before, iam: IamGateway) -> str:
    """The deny first, then the keys, then the marker: each makes the user safer than before."""
    name = action.target.user_name
    try:
        rung = (
            "AWSDenyAll is in force already" if before.deny_attached else _deny(name, before, iam)
        )
    except NotFoundError:
        raise
    except GatewayError:
        _deactivate_active(before, name, iam)
        raise
    keys = _deactivate_active(before, name, iam)
    marked = _mark(name, action.marker, iam)
    return f"IAM user {name} is quarantined: {rung}; {keys}{marked}"


def _mark(name: str, marker: str, iam: IamGateway) -> str:
    """The marker is for people to read: where a policy or a quota forbids it, the deny holds."""
    try:
        iam.set_marker(name, marker)
    except NotFoundError:
        raise
    except GatewayError as error:
        if error.retryable:
            raise
        return f"; not marked: {error}"
    return ""


def _deny(name: str, before: Before, iam: IamGateway) -> str:
    """The first rung of the ladder that takes: policy, group, boundary.

    A rung that a policy of the organization forbids gives way to the next, as a full one does.
    """
    refused = []
    try:
        iam.attach_deny(name)
    except NotFoundError:
        raise
    except GatewayError as error:
        refused.append(_refusal(error))
    else:
        return "AWSDenyAll is attached"
    try:
        if iam.quarantine_group_denies():
            iam.join_quarantine_group(name)
            return f"it is in group {QUARANTINE_GROUP} ({'; '.join(refused)})"
        refused.append(f"group {QUARANTINE_GROUP} does not deny")
    except GatewayError as error:
        refused.append(_refusal(error))
    if before.boundary_arn in {None, DENY_ALL_ARN}:
        try:
            iam.set_deny_boundary(name)
        except NotFoundError:
            raise
        except GatewayError as error:
            refused.append(_refusal(error))
        else:
            return f"AWSDenyAll is its permissions boundary ({'; '.join(refused)})"
    else:
        refused.append("it has a permissions boundary of its own")
    message = (
        f"cannot contain IAM user {name}: {'; '.join(refused)}; its keys are inactive, act by hand"
    )
    raise CannotContainError(message, code="CannotContain")


def _refusal(error: GatewayError) -> str:
    """Why a rung does not take. Raises `error` again where a later try may do better."""
    if error.retryable:
        raise error
    return str(error)


def _deactivate_active(before: Before, name: str, iam: IamGateway) -> str:
    active = [key_id for key_id, was_active in before.statuses.items() if was_active]
    _deactivate(active, name, iam)
    return f"inactive keys: {', '.join(active)}" if active else "it had no active key"


def _deactivate(key_ids: Iterable[str], name: str, iam: IamGateway) -> set[str]:
    """Makes each key inactive, and says which are gone: one that is gone keeps no other active."""
    gone = set()
    for key_id in key_ids:
        try:
            iam.set_access_key(name, key_id, active=False)
        except NotFoundError:
            gone.add(key_id)
    return gone


def _verify(action: IamAction, *, iam: IamGateway, sleep: Sleep) -> None:
    lacks = _until_nothing(lambda: iam_facts.lacking(action, iam), sleep)
    if lacks:
        message = f"{action.name} in {iam.account} is not verified: {'; '.join(lacks)}"
        raise GatewayError(message, code="NotVerified", retryable=True)


def _until_nothing(look_again: Callable[[], tuple[str, ...]], sleep: Sleep) -> tuple[str, ...]:
    """What is still lacking after the last look."""
    lacks = look_again()
    for pause in PAUSES_SECONDS:
        if not lacks:
            break
        sleep(pause)
        lacks = look_again()
    return lacks


def undo(  # noqa: PLR0913 - all of it by name
    action: Action,
    *,
    before: Before,
    pending: Pending | None,
    reach: Reach,
    ledger: Ledger,
    sleep: Sleep,
    now: datetime,
) -> list[str] | Pending:
    """Puts back exactly what was there before, reads back, and says in words what was restored.

    What is gone meanwhile stays gone. What was inactive before stays inactive. What Identity Center
    has not finished comes back as Pending. Raises GatewayError: retryable where AWS doesn't show
    the effect yet, NotFoundError where no user of this name is the contained one.
    """
    if isinstance(action, AssignAccess):
        center = reach.identity_center()
        return assigning.take_away(action, pending=pending, center=center, now=now)
    if not isinstance(action, IamAction):
        center = reach.identity_center()
        return converging.undo(
            action, before=before, pending=pending, center=center, ledger=ledger, now=now
        )
    iam = reach.iam()
    restored = _put_back(action, before=before, iam=iam)
    lacks = _until_nothing(lambda: iam_facts.not_restored(action, before, iam), sleep)
    if lacks:
        message = f"release in {iam.account} is not verified: {'; '.join(lacks)}"
        raise GatewayError(message, code="NotVerified", retryable=True)
    return restored


def _put_back(action: IamAction, *, before: Before, iam: IamGateway) -> list[str]:
    name = action.target.user_name
    restored: list[str] = []
    user = iam.user(name)
    if user.user_id != action.target.user_id:
        message = f"IAM user {name} is another user now: nothing is restored"
        raise NotFoundError(message, code="OtherUser")
    match action:
        case DeactivateCredential():
            if before.statuses.get(action.credential_id) and action.credential_id in (
                iam.credentials(user, action.kind)
            ):
                iam.set_credential(name, action.kind, action.credential_id, active=True)
                restored.append(f"{action.kind} {action.credential_id} is active again")
        case DeactivateAccessKeys():
            restored += _restore_keys(before, user, iam)
        case QuarantineUser():
            if not before.deny_attached and DENY_ALL_ARN in iam.attached_policies(name):
                iam.detach_deny(name)
                restored.append("AWSDenyAll is detached")
            if not before.in_group and iam.in_quarantine_group(name):
                iam.leave_quarantine_group(name)
                restored.append("it left group keyward-quarantine")
            if before.boundary_arn is None and user.boundary_arn == DENY_ALL_ARN:
                iam.delete_boundary(name)
                restored.append("the boundary AWSDenyAll is gone")
            restored += _restore_keys(before, user, iam)
            if before.marker is None:
                iam.remove_marker(name)
            else:
                iam.set_marker(name, before.marker)
    return restored


def _restore_keys(before: Before, user: IamUser, iam: IamGateway) -> list[str]:
    present = iam.access_keys(user)
    restored = []
    for key_id, was_active in before.statuses.items():
        if was_active and key_id in present and not present[key_id].active:
            iam.set_access_key(user.name, key_id, active=True)
            restored.append(f"access key {key_id} is active again")
    return restored
