"""Gives accounts the access that they lack: asks AWS for all of it at once, and follows it.

AWS takes its time for each assignment, lets fifteen be under way at once, and refuses while a new
account isn't ready. What is asked for is counted with one call, whatever its number; what came of
it is read back with one call for each permission set.
Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_CreateAccountAssignment.html
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime

from keyward.actions import AssignAccess, AssignmentTarget, Done, Pending, Request, RequestKind
from keyward.converging import OUTSTANDING, PATIENCE, about_of, each, is_gone
from keyward.errors import GatewayError, NotFoundError
from keyward.gateways.identity_center import CONFLICT, IdentityCenterGateway, Principal
from keyward.ledger import Ledger
from keyward.text import many

type Wanted = Callable[[], Collection[tuple[str, str]]]
"""Finds out what an account's baselines want by now: permission set and group of each."""


INCOMPLETE = "Incomplete"
"""The code of what can't be given in full, since a group or permission set is gone."""


class NotGivenError(GatewayError):
    """An account doesn't get all of its access. `not_made` is what it lacks of it, as it was read.

    What that is about is said as in `about_of`. It is empty where AWS may still make it.
    """

    def __init__(self, message: str, *, code: str, not_made: Iterable[str] = ()) -> None:
        super().__init__(message, code=code)
        self.not_made = frozenset(not_made)


def give(  # noqa: PLR0913 - all of it by name
    action: AssignAccess,
    *,
    pending: Pending | None,
    wanted: Wanted,
    center: IdentityCenterGateway,
    ledger: Ledger,
    now: datetime,
) -> Done | Pending:
    """Asks for all that the account lacks, looks whether it has it, asks again for what failed.

    The first look trusts what was read just before. Later ones ask for nothing that the account's
    baselines want no more: it may have been moved meanwhile, or they were changed. An account that
    isn't ready yet refuses for a while: that is borne for PATIENCE. What can never be, since group
    or set is gone, holds up nothing else. Raises GatewayError; once all else is there, or PATIENCE
    is over, a NotGivenError.
    """
    state = pending or Pending(since=now, stage="begins")
    targets = {
        about: it for it in action.assignments if (about := about_of(it)) not in state.unwanted
    }
    asked_for = center.under_way()
    under_way = tuple(it for it in state.requests if it.id in asked_for)
    to_ask = [about for about in targets if about not in state.asked | state.refused.keys()]
    is_first = state.looks == 0 and not state.requests
    is_over = now - state.since > PATIENCE
    is_read = not is_first and not under_way and (is_over or not to_ask or not state.asked)
    if is_read:
        to_ask = _lacking(targets, state, center)
        state = _with_reasons(to_ask, targets, state, center=center, ledger=ledger)
        to_ask = [about for about in to_ask if about not in state.refused]
    if to_ask and pending is not None:
        still = wanted()
        gone = {about for about in to_ask if _key(targets[about]) not in still}
        to_ask = [about for about in to_ask if about not in gone]
        state = state.model_copy(update={"unwanted": state.unwanted | gone})
    if is_read:
        if not to_ask:
            return _all_given(action, state)
        if is_over:
            raise _unfinished(action, to_ask, state, not_made={*to_ask, *_never(state)})
        there = targets.keys() - _never(state) - set(to_ask)
        state = state.model_copy(update={"asked": frozenset(there), "requests": ()})
    if under_way and is_over:
        raise _unfinished(action, [it.about for it in under_way], state, not_made=_never(state))
    room = OUTSTANDING[RequestKind.ASSIGNMENT_CREATION] - len(asked_for)
    state = state.model_copy(update={"looks": state.looks + 1})
    return _asked(targets, to_ask[: max(room, 0)], state, center=center, ledger=ledger)


def _key(target: AssignmentTarget) -> tuple[str, str]:
    return target.permission_set_arn, target.principal_id


def _never(state: Pending) -> frozenset[str]:
    """What is not asked for any more, and was not made."""
    return state.unwanted | state.refused.keys()


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
    number = len(targets.keys() - state.unwanted) - len(refused)
    stage = f"{len(asked)} of {number} assignments are asked for"
    return state.model_copy(
        update={
            "stage": f"{stage}; {waits}" if waits and len(asked) < number else stage,
            "requests": tuple(requests),
            "asked": frozenset(asked),
            "refused": refused,
            "waits": waits,
        }
    )


def _lacking(
    targets: Mapping[str, AssignmentTarget], state: Pending, center: IdentityCenterGateway
) -> list[str]:
    """Those that the account doesn't have. One call for each permission set.

    Nobody has one that is gone: what Identity Center says of its absence is no word on the account.
    """
    hoped_for = {about: it for about, it in targets.items() if about not in state.refused}
    first = {(it.account, it.permission_set_arn) for it in hoped_for.values()}
    held = {key: _holders(*key, center) for key in sorted(first)}
    return [
        about
        for about, it in hoped_for.items()
        if Principal(kind=it.principal_kind, id=it.principal_id)
        not in held[it.account, it.permission_set_arn]
    ]


def _holders(account: str, arn: str, center: IdentityCenterGateway) -> frozenset[Principal]:
    try:
        return center.principals_of(account, arn)
    except NotFoundError:
        return frozenset()


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
    number = len(action.assignments) - len(_never(state))
    text = f"account {action.target.account} has the {many(number, 'assignment')} that it lacked"
    if state.unwanted:
        text = f"{text}; {len(state.unwanted)} are not wanted there any more"
    if state.refused:
        why = "; ".join(sorted(set(state.refused.values())))
        message = f"{text}, but {len(state.refused)} can't be made: {why}"
        raise NotGivenError(message, code=INCOMPLETE, not_made=_never(state))
    return Done(text=text, not_made=_never(state))


def _unfinished(
    action: AssignAccess, lacking: Sequence[str], state: Pending, *, not_made: Iterable[str]
) -> NotGivenError:
    why = "; ".join(filter(None, (state.waits, *sorted(set(state.refused.values())))))
    message = (
        f"account {action.target.account} still lacks {len(lacking)} of "
        f"{len(action.assignments)} assignments after {PATIENCE.seconds // 60} minutes: "
        f"{why or 'AWS gives no reason'}"
    )
    return NotGivenError(message, code="NotFinished", not_made=not_made)


def take_away(
    action: AssignAccess, *, pending: Pending | None, center: IdentityCenterGateway, now: datetime
) -> list[str] | Pending:
    """Does the next step of taking away what `give` gave, as `give` does.

    What AWS is still at comes first: it would be there again otherwise.
    """
    state = pending or Pending(since=now, stage="begins")
    begun = [it for it in state.requests if it.kind is RequestKind.ASSIGNMENT_CREATION]
    if begun:
        asked_for = center.under_way()
        still = tuple(it for it in begun if it.id in asked_for)
        state = state.model_copy(update={"requests": still, "looks": state.looks + 1})
        if still and now - state.since <= PATIENCE:
            return state.model_copy(update={"stage": f"{len(still)} are still being made"})
        state = state.model_copy(update={"requests": (), "looks": 0})
    state = each(action.assignments, RequestKind.ASSIGNMENT_DELETION, state, center, now)
    if state.requests:
        return state
    number, account = len(action.assignments), action.target.account
    made = many(number, "assignment")
    return [f"gone again in account {account}: the {made} that Keyward made"]
