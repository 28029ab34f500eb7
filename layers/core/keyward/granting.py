"""Carries a rollout out: asks for what is missing, follows it, and reads back whether it is there.

There is no second way round the pipeline: before an account is given anything, its finding is
judged, planned and recorded like any other, and says what became of it.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from keyward import planner
from keyward import rollout as rolling
from keyward.actions import (
    Action,
    AssignAccess,
    AssignmentTarget,
    Before,
    Pending,
    RequestKind,
)
from keyward.errors import GatewayError, NotFoundError
from keyward.facts import access
from keyward.findings import FindingRecord, State
from keyward.gateways.identity_center import CONFLICT
from keyward.ledger import Begun
from keyward.model import PrincipalKind
from keyward.planner import Plan
from keyward.releasing import LONGEST_WAIT_SECONDS
from keyward.rollout import Again, RolloutState, digests, in_scope
from keyward.settings import Mode
from keyward.stepping import CONTENTION, RULE, Step, why_not

HOLD = timedelta(hours=12)
"""So long a rollout holds the findings of accounts that it is at, unless it ends before."""

FRESH = timedelta(minutes=1)
"""What was read longer ago is read again before anything is done by it."""

LOST = timedelta(minutes=5)
"""After so long AWS is through with what nobody knows whether it took on."""

OTHERS_WAIT = timedelta(minutes=5)
"""So much later an account is looked at again that somebody else is at."""

CHANGED = (
    "since it was planned it was moved or tagged, or its baselines want something else: whatever "
    "event brought that sees to it"
)

BUSY = frozenset({"Busy", CONTENTION})
"""Codes by which the ledger says that somebody else is at a finding."""

FULL = frozenset(
    {
        CONTENTION,
        "RateLimited",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
"""Codes by which AWS, or Keyward's own line for its calls, takes on nothing more for now."""


def run(step: Step) -> int:
    """Goes on assigning; returns after how many seconds to go on."""
    if step.rollout.started_at is None and not _start(step):
        return LONGEST_WAIT_SECONDS
    if step.rollout.reports:
        return _report(step)
    _heed_settings(step)
    if not _look_through(step):
        return 1
    _poll(step)
    if accounts := rolling.to_verify(step.rollout, step.at):
        unseen = {account: step.rollout.sent[account] for account in accounts}
        looks = rolling.looks_for(unseen, step.rollout.pairs)
        step.put(unverified=accounts, looks=looks)
        if not _look_through(step):
            return 1
    _finish(step)
    if step.rollout.stopping is None:
        _ask(step)
    return _how_long(step)


def _start(step: Step) -> bool:
    """Begins to assign, unless another rollout does: then what is so by now is read anew."""
    has_waited = step.rollout.outcome is not None
    if step.has_to_wait():
        return False
    step.rollout = rolling.started(step.rollout, step.at)
    if has_waited or step.at - (step.rollout.looked_at or step.at) > FRESH:
        step.look_at(step.rollout.missing)
    return True


def _report(step: Step) -> int:
    """Records what is missing, where the rule only reports: the notifier folds what is told."""
    left = dict(step.rollout.missing)
    try:
        while left and step.has_time():
            account = next(iter(left))
            planned = step.planned(account, left[account])
            if planned is not None:
                told = replace(planned, action=None, spend=None)
                with _unless_busy():
                    step.ledger.begin(told, before=None, now=step.at)
            del left[account]
    finally:
        step.put(missing=left)
    if left:
        return 1
    step.end(RolloutState.DONE, f"rule {RULE} only reports")
    return 0


def _heed_settings(step: Step) -> None:
    """Stops where the rule only reports by now; leaves out what no baseline wants any more."""
    now = digests(in_scope(step.settings.baselines, step.rollout.scope))
    same = {name for name, it in step.rollout.baselines.items() if now.get(name) == it}
    if same != step.rollout.baselines.keys():
        pairs = enumerate(step.rollout.pairs)
        dropped = [number for number, pair in pairs if not same.intersection(pair.baselines)]
        step.rollout = rolling.without(step.rollout, dropped, sent=False)
    if step.settings.mode(RULE, step.at) is not Mode.ENFORCE:
        step.put(stopping=step.rollout.stopping or f"rule {RULE} only reports now")
    if step.rollout.stopping is not None:
        step.rollout = rolling.halted(step.rollout)


def _look_through(step: Step) -> bool:
    """Whether all lists are read that were to be; what they don't show is asked for again."""
    if step.rollout.looks:
        step.look()
    if step.rollout.looks:
        return False
    step.rollout = rolling.after_looks(step.rollout, step.at)
    return True


def _poll(step: Step) -> None:
    """Finds out what is under way no more, with one call; and why, of what failed before."""
    if not step.rollout.asked and not any(rolling.to_ask(step.rollout, step.at)):
        step.room = 0
        return
    under_way = step.center.under_way()
    step.room = rolling.UNDER_WAY - len(under_way)
    ours = {it.request for it in step.rollout.asked}
    before = len(step.rollout.asked)
    for it in step.rollout.asked:
        if it.request in under_way:
            continue
        unknown = not it.request and under_way - ours
        if unknown and step.at - (it.at or step.at) < LOST:
            continue
        _see_end_of(step, it.account, it.pair, it.request)
    after = len(step.rollout.asked)
    step.put(pace_seconds=rolling.paced(step.rollout, before=before, after=after))


def _see_end_of(step: Step, account: str, number: int, request: str) -> None:
    """A request has ended. Of those that failed once before AWS is asked what became of it."""
    again = step.rollout.again.get(f"{account}/{number}")
    status = None
    if request and again is not None and again.tries:
        status = step.center.status(RequestKind.ASSIGNMENT_CREATION, request)
    step.rollout = rolling.ended(step.rollout, account, number)
    if status is None or status.state != "FAILED":
        return
    pair = step.rollout.pairs[number]
    if not step.drop_what_is_gone(pair.group_id, pair.permission_set_arn):
        why = status.reason or "AWS gives no reason"
        step.rollout = rolling.not_made(step.rollout, account, number, why, step.at)


def _ask(step: Step) -> None:
    """Asks for as much as there is room for: first it is written down, then AWS is asked."""
    before = set(step.rollout.asked)
    for account, numbers in rolling.to_ask(step.rollout, step.at):
        if step.room <= 0 or not step.has_time():
            break
        chosen = _askable(step, account, numbers)[: step.room]
        if not chosen:
            continue
        step.room -= len(chosen)
        step.rollout = rolling.asking(step.rollout, account, chosen, step.at)
    new = [it for it in step.rollout.asked if it not in before]
    if new:
        step.save()
    for it in new:
        if step.full is not None or not step.has_time():
            step.rollout = rolling.not_sent(step.rollout, it.account, it.pair)
        elif it in step.rollout.asked:
            _ask_for(step, it.account, it.pair)


def _askable(step: Step, account: str, numbers: tuple[int, ...]) -> tuple[int, ...]:
    """What of it AWS may be asked for; nothing where the account is somebody else's.

    What it was asked for before is looked at again: much may have changed since.
    """
    if account not in step.rollout.begun:
        return numbers if _take(step, account) else ()
    if not step.is_ours(step.ledger.finding(step.rollout.begun[account])):
        why = "somebody released it, or is at it, meanwhile"
        step.rollout = rolling.skipping(step.rollout, account, why)
        return ()
    if not rolling.was_put_off(step.rollout, account, numbers):
        return numbers
    try:
        gone = _unwanted(step, account, numbers)
    except GatewayError as error:
        if error.retryable:
            raise
        step.rollout = rolling.failed(step.rollout, account, numbers, str(error))
        return ()
    step.rollout = rolling.given_up(step.rollout, account, gone)
    return tuple(number for number in numbers if number not in gone)


def _ask_for(step: Step, account: str, number: int) -> None:
    """Asks AWS for one assignment; says what to do where it doesn't take it on."""
    pair = step.rollout.pairs[number]
    target = AssignmentTarget(
        account=account,
        instance_arn=step.center.instance_arn(),
        permission_set_arn=pair.permission_set_arn,
        permission_set_name=pair.permission_set_name or pair.permission_set_arn,
        principal_kind=PrincipalKind.GROUP,
        principal_id=pair.group_id,
        principal_name=pair.group_name,
    )
    try:
        request = step.center.assign(target)
    except NotFoundError as error:
        step.rollout = rolling.not_sent(step.rollout, account, number)
        if not step.drop_what_is_gone(pair.group_id, pair.permission_set_arn):
            step.rollout = rolling.refused(step.rollout, account, None, str(error), step.at)
    except GatewayError as error:
        if error.retryable and error.code not in {CONFLICT, *FULL}:
            return  # nobody knows whether AWS took it on
        step.rollout = rolling.not_sent(step.rollout, account, number)
        if error.code in FULL:
            step.full = str(error)
        elif error.code == CONFLICT:
            step.rollout = rolling.refused(step.rollout, account, number, str(error), step.at)
        else:
            step.rollout = rolling.failed(step.rollout, account, (number,), str(error))
    else:
        step.rollout = rolling.taken_on(step.rollout, account, number, request)


def _how_long(step: Step) -> int:
    """After how many seconds to go on; ends the rollout where nothing is left to do."""
    rollout = step.rollout
    if not rollout.missing and not rollout.asked and not rollout.begun:
        step.end(
            RolloutState.DONE if rollout.stopping is None else RolloutState.STOPPED,
            rollout.stopping,
        )
        return 0
    if set(rollout.missing) == set(rollout.others) and not rollout.begun:
        times = [rollout.again[account].not_before for account in rollout.others]
        seconds = round((max(times) - step.at).total_seconds())
        if seconds <= 0:
            step.put(others=())
            step.look_at(rollout.missing)
        return max(1, min(seconds, LONGEST_WAIT_SECONDS))
    return rolling.seconds_to_wait(rollout, step.at, longest=LONGEST_WAIT_SECONDS)


def _take(step: Step, account: str) -> bool:
    """Records the account's finding, as one that this rollout acts on; False where it mustn't.

    Nothing is done where its baselines want something else by now, or it is exempt, released or out
    of bounds; one that somebody else is at, or was since it was looked at, is left for later.
    """
    if why := _changed(step, account):
        step.rollout = rolling.skipping(step.rollout, account, why)
        return False
    planned = step.planned(account, step.rollout.missing[account])
    if planned is None:
        step.rollout = rolling.skipping(step.rollout, account, why_not(planned))
        return False
    before = step.ledger.finding(planned.finding.key)
    is_newer = before is not None and before.last_seen > (step.rollout.looked_at or step.at)
    if is_newer and not step.is_ours(before):
        _leave(step, account)
        return False
    try:
        begun = _begun(step, planned)
    except GatewayError as error:
        if error.code not in BUSY:
            raise
        _leave(step, account)
        return False
    if step.is_ours(begun.record):
        step.put(begun=step.rollout.begun | {account: planned.finding.key})
        return True
    if begun.released:
        step.rollout = rolling.skipping(step.rollout, account, "an operator released it")
    elif begun.record is not None and begun.record.state in {State.OPEN, State.EXEMPT}:
        why = begun.record.held or why_not(planned)
        step.rollout = rolling.skipping(step.rollout, account, why)
    else:
        _leave(step, account)
    return False


def _begun(step: Step, planned: Plan) -> Begun:
    """Writes the intent, and that this rollout is at it."""
    begun = step.ledger.begin(planned, before=Before(), now=step.at)
    record = begun.record
    if not begun.proceed or record is None:
        return begun
    held = record.model_copy(
        update={
            "pending": Pending(stage=step.stage, since=step.at),
            "claim_until": step.at + HOLD,
            "version": record.version + 1,
        }
    )
    step.ledger.finish(held, replacing=record)
    return replace(begun, record=held)


def _leave(step: Step, account: str) -> None:
    """Leaves an account to somebody else: it is looked at once more when all else is done."""
    why = "something else is being done about it"
    if account in step.rollout.again:
        step.rollout = rolling.skipping(step.rollout, account, why)
        return
    later = Again(why=why, since=step.at, not_before=step.at + OTHERS_WAIT)
    step.put(others=(*step.rollout.others, account), again=step.rollout.again | {account: later})


def _changed(step: Step, account: str) -> str | None:
    """Why an account is not to be given what was planned; None where it still wants all of it."""
    try:
        gone = _unwanted(step, account, step.rollout.missing[account])
    except GatewayError as error:
        if error.retryable:
            raise
        return str(error)
    return CHANGED if gone else None


def _unwanted(step: Step, account: str, numbers: Iterable[int]) -> set[int]:
    """What of this the account's baselines want no more, as where it was moved or tagged since."""
    reach = step.services.reach(account, step.at)
    still = access.wanted_now(account, reach=reach, ledger=step.ledger)
    return {number for number in numbers if step.rollout.pairs[number].access.key not in still}


def _finish(step: Step) -> None:
    """Records what became of the accounts that have all they can get.

    That it went well is told once, at the end; what failed is told by its finding.
    """
    through = []
    for account in rolling.through(step.rollout):
        if not step.has_time():
            break
        try:
            _record_end(step, account)
        except GatewayError as error:
            if error.code != CONTENTION:
                raise
        else:
            through.append(account)
    step.rollout = rolling.finished(step.rollout, through)


def _record_end(step: Step, account: str) -> None:
    record = step.ledger.finding(step.rollout.begun[account])
    if record is None or not step.is_ours(record):
        return
    failures = step.rollout.failed.get(account, ())
    state = State.FAILED if failures else State.ACTED
    over = planner.finished(record, state, outcome=_outcome(failures), now=step.at)
    over = over.model_copy(update={"action": _made(step, account, record)})
    if not failures:
        over = over.model_copy(update={"follows": True})
    step.ledger.finish(over, replacing=record)
    step.outcomes["ActionsFailed" if failures else "ActionsVerified"] += 1


def _made(step: Step, account: str, record: FindingRecord) -> Action | None:
    """The act as far as it was done: a release takes back no more, whoever made the rest."""
    if not isinstance(record.action, AssignAccess):
        return record.action
    pairs = (step.rollout.pairs[number] for number in step.rollout.unmade.get(account, ()))
    others = {(pair.permission_set_arn, pair.group_id) for pair in pairs}
    made = tuple(
        it
        for it in record.action.assignments
        if (it.permission_set_arn, it.principal_id) not in others
    )
    return record.action.model_copy(update={"assignments": made})


def _outcome(failures: tuple[str, ...]) -> str:
    if not failures:
        return "the account has all that it lacked and its baselines want"
    return f"{len(failures)} assignments came to nothing: {'; '.join(failures)}"


@contextmanager
def _unless_busy() -> Iterator[None]:
    """What somebody else is at is left to him."""
    try:
        yield
    except GatewayError as error:
        if error.code not in BUSY:
            raise
