"""Gives accounts the access that they lack: asks AWS for all of it at once, and follows it.

AWS takes its time for each assignment, lets fifteen be under way at once, and refuses while a new
account isn't ready. What is asked for is counted with one call, whatever its number; what came of
it is read back with one call for each permission set.
Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_CreateAccountAssignment.html
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from keyward.actions import AssignAccess, AssignmentTarget, Done, Pending, Request, RequestKind
from keyward.converging import OUTSTANDING, PATIENCE, about_of, each, is_gone
from keyward.errors import GatewayError, NotFoundError
from keyward.gateways.identity_center import CONFLICT, IdentityCenterGateway, Principal
from keyward.ledger import Ledger


def give(
    action: AssignAccess,
    *,
    pending: Pending | None,
    center: IdentityCenterGateway,
    ledger: Ledger,
    now: datetime,
) -> Done | Pending:
    """Asks for all that the account lacks, looks whether it has it, asks again for what failed.

    The first look trusts what was read just before. An account that isn't ready yet refuses for a
    while: that is borne for PATIENCE. What can never be, since group or set is gone, holds up
    nothing else. Raises GatewayError once all else is there, or PATIENCE is over.
    """
    state = pending or Pending(since=now, stage="begins")
    targets = {about_of(it): it for it in action.assignments}
    asked_for = center.under_way()
    under_way = tuple(it for it in state.requests if it.id in asked_for)
    to_ask = [about for about in targets if about not in state.asked | state.refused.keys()]
    is_first = state.looks == 0 and not state.requests
    if not is_first and not under_way and (not to_ask or not state.asked):
        to_ask = _lacking(targets, center)
        state = _with_reasons(to_ask, targets, state, center=center, ledger=ledger)
        to_ask = [about for about in to_ask if about not in state.refused]
        if not to_ask:
            return _all_given(action, state)
        if now - state.since > PATIENCE:
            raise _unfinished(action, to_ask, state)
        state = state.model_copy(update={"asked": frozenset(), "requests": ()})
        under_way = ()
    if under_way and now - state.since > PATIENCE:
        raise _unfinished(action, [it.about for it in under_way], state)
    room = OUTSTANDING[RequestKind.ASSIGNMENT_CREATION] - len(asked_for)
    state = state.model_copy(update={"looks": state.looks + 1})
    return _asked(targets, to_ask[: max(room, 0)], state, center=center, ledger=ledger)


def _asked(
    targets: Mapping[str, AssignmentTarget],
    to_ask: Iterable[str],
    state: Pending,
    *,
    center: IdentityCenterGateway,
    ledger: Ledger,
) -> Pending:
    """The state after AWS was asked for these, as far as it takes them: nothing asked is lost."""
    requests = list(state.requests)
    asked, refused, waits = set(state.asked), dict(state.refused), state.waits
    for about in to_ask:
        target = targets[about]
        try:
            id_ = center.assign(target)
        except GatewayError as error:
            gone = _what_is_gone(target, center, ledger) if isinstance(error, NotFoundError) else ""
            if gone:
                refused[about] = gone
                continue
            waits = str(error)
            if error.retryable and error.code != CONFLICT:
                break
        else:
            requests.append(Request(kind=RequestKind.ASSIGNMENT_CREATION, id=id_, about=about))
            asked.add(about)
    stage = f"{len(asked)} of {len(targets) - len(refused)} assignments are asked for"
    return state.model_copy(
        update={
            "stage": f"{stage}; {waits}" if waits and len(asked) < len(targets) else stage,
            "requests": tuple(requests),
            "asked": frozenset(asked),
            "refused": refused,
            "waits": waits,
        }
    )


def _lacking(targets: Mapping[str, AssignmentTarget], center: IdentityCenterGateway) -> list[str]:
    """Those that the account doesn't have. One call for each permission set."""
    first = {(it.account, it.permission_set_arn) for it in targets.values()}
    held = {key: center.principals_of(*key) for key in sorted(first)}
    return [
        about
        for about, it in targets.items()
        if Principal(kind=it.principal_kind, id=it.principal_id)
        not in held[it.account, it.permission_set_arn]
    ]


def _with_reasons(
    lacking: Iterable[str],
    targets: Mapping[str, AssignmentTarget],
    state: Pending,
    *,
    center: IdentityCenterGateway,
    ledger: Ledger,
) -> Pending:
    """The state with AWS's word on what it began and did not finish."""
    waits, refused, lacking = state.waits, dict(state.refused), set(lacking)
    for request in state.requests:
        if request.about not in lacking:
            continue
        status = center.status(request.kind, request.id)
        if status.state != "FAILED":
            continue
        if gone := _what_is_gone(targets[request.about], center, ledger):
            refused[request.about] = gone
        else:
            waits = status.reason or "AWS gives no reason"
    return state.model_copy(update={"waits": waits, "refused": refused})


def _what_is_gone(target: AssignmentTarget, center: IdentityCenterGateway, ledger: Ledger) -> str:
    """Whether group or set is gone, in words; "" where neither is: the account isn't ready yet.

    What a name stood for is forgotten then: it may stand for another one by now.
    """
    if is_gone(target, center):
        name = target.principal_name
        if name is not None:
            ledger.forget_id("group", name)
        return f"group {name or target.principal_id} is gone"
    try:
        center.name_of(target.permission_set_arn)
    except NotFoundError:
        ledger.forget_id("permission-set", target.permission_set_name)
        return f"permission set {target.permission_set_name} is gone"
    return ""


def _all_given(action: AssignAccess, state: Pending) -> Done:
    number = len(action.assignments) - len(state.refused)
    text = f"account {action.target.account} has the {number} assignments that it lacked"
    if state.refused:
        why = "; ".join(sorted(set(state.refused.values())))
        message = f"{text}, but {len(state.refused)} can't be made: {why}"
        raise GatewayError(message, code="Incomplete")
    return Done(text=text)


def _unfinished(action: AssignAccess, lacking: Sequence[str], state: Pending) -> GatewayError:
    why = "; ".join(filter(None, (state.waits, *sorted(set(state.refused.values())))))
    message = (
        f"account {action.target.account} still lacks {len(lacking)} of "
        f"{len(action.assignments)} assignments after {PATIENCE.seconds // 60} minutes: "
        f"{why or 'AWS gives no reason'}"
    )
    return GatewayError(message, code="NotFinished")


def take_away(
    action: AssignAccess, *, pending: Pending | None, center: IdentityCenterGateway, now: datetime
) -> list[str] | Pending:
    """Does the next step of taking away what `give` gave, as `give` does."""
    state = pending or Pending(since=now, stage="begins")
    state = each(action.assignments, RequestKind.ASSIGNMENT_DELETION, state, center, now)
    if state.requests:
        return state
    number, account = len(action.assignments), action.target.account
    return [f"the {number} assignments that Keyward made in account {account} are gone again"]
