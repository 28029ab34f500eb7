"""A sweep in Identity Center: reads who holds what, by the cheapest way, message by message.

Each message takes one step: it claims the sweep, goes on for some seconds, saves how far it got,
and sends the next message. A step that crashes is taken again by the redelivery of its message.
What it suspects goes the way of every event: a check on the queue of the guard that judges it,
which reads just that again before anything is done. What a step does is in centerreading.py and
centerjudging.py, what is decided by what is known in centersweep.py.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from keyward import centerjudging, centerreading, centersweep
from keyward.centerstep import Step
from keyward.centersweep import CenterSweep, Phase
from keyward.errors import GatewayError
from keyward.events import SweepPart, SweepStep, sweep_message
from keyward.findings import Notice, Severity
from keyward.observability import count, logger
from keyward.rule import AnyRule
from keyward.services import Services
from keyward.sweep import IDENTITY_CENTER, Swept
from keyward.text import many

CALLS_A_CHECK = 9
"""A check takes about so many calls, for which the next step waits: else checks would stand in line
for longer than they are patient, and events with them."""

LINES = 10_000
"""So many lines are in one file of the inventory."""


def step(of: SweepStep, *, rules: Iterable[AnyRule], services: Services, now: datetime) -> None:
    """Goes on reading for some seconds, and sends the message that goes on. Raises GatewayError.

    A second or a late message changes nothing.
    """
    state = _claimed(of, services, now)
    if state is None:
        return
    work = Step(state=state, rules=tuple(rules), services=services, now=now, began=services.clock())
    wait = 0
    try:
        while work.goes_on():
            _PHASES[state.phase](work)
    except GatewayError as error:
        wait = _put_off(work, error)
    else:
        rate = work.accepted.settings.identity_center.calls_per_second
        wait = math.ceil(work.sent * CALLS_A_CHECK / rate)
    state.calls += work.center.calls_made - work.made
    _save(work, wait)


def _claimed(of: SweepStep, services: Services, now: datetime) -> CenterSweep | None:
    """How far the sweep is, ours alone until the claim ends; None: the message is one too many."""
    kept = services.ledger.center_sweep(of.id)
    if kept is None:
        state = CenterSweep(id=of.id, full=of.full, started_at=now, ticket=of.ticket)
    else:
        state = CenterSweep.unpacked(kept[1], version=kept[0])
    if not centersweep.is_due(state, of.ticket, now=now):
        return None
    state.ticket += 1
    state.version += 1
    state.claim_until = now + timedelta(seconds=services.environment.claim_seconds)
    try:
        services.ledger.save_center_sweep(of.id, state.packed(), version=state.version, now=now)
    except GatewayError as error:
        if error.code != "Contention":
            raise
        return None  # who was faster goes on, or has sent the message that does
    return state


def _save(work: Step, wait: int) -> None:
    """Saves how far the sweep is, and sends the message that goes on from there."""
    state = work.state
    try:
        state.packed()
    except ValueError as error:
        _fail(work, str(error))
        state.forget()
    is_done = state.phase is Phase.DONE
    state.ticket += 1
    state.version += 1
    # Where the message can't be sent, this one comes again: by then nothing holds it up.
    held = min(wait, centersweep.PAUSES_SECONDS[-1])
    claim = timedelta(seconds=held + work.services.environment.claim_seconds)
    state.claim_until = None if is_done else work.at + claim
    work.ledger.save_center_sweep(state.id, state.packed(), version=state.version, now=work.at)
    if not is_done:
        following = SweepStep(
            id=state.id, part=SweepPart.IDENTITY_CENTER, full=state.full, ticket=state.ticket
        )
        work.services.center_queue.send(sweep_message(following), delay_seconds=wait)


def _put_off(work: Step, error: GatewayError) -> int:
    """How long to wait after an error; what no wait mends ends the sweep, and so does its age."""
    state = work.state
    if not error.retryable or work.at - state.started_at > centersweep.LONGEST:
        _fail(work, str(error))
        return 0
    state.waits_since = state.waits_since or work.at
    pauses = centersweep.PAUSES_SECONDS
    wait = pauses[min(state.refusals, len(pauses) - 1)]
    state.refusals += 1
    logger.warning("sweep put off", sweep=state.id, phase=state.phase, reason=str(error))
    return wait


def _fail(work: Step, why: str) -> None:
    """Ends the sweep before its time: what was found until then is being looked at."""
    logger.error("sweep of identity center failed", sweep=work.state.id, reason=why)
    count("CenterSweepsFailed")
    work.state.unread.append(IDENTITY_CENTER)
    work.state.why.insert(0, why)
    _finish(work)


def _finish(work: Step) -> None:
    """Says that the sweep is through, and tells what it could not read: once a day."""
    state = work.state
    state.phase = Phase.DONE
    why = "; ".join(state.why)
    if state.unread:
        why = f"{many(len(state.unread), 'thing')} could not be read: {why}"
        work.ledger.notice(
            Notice(
                kind="center-unread",
                id=f"{work.at:%Y-%m-%d}",
                title="A sweep could not read all of Identity Center",
                text=(
                    f"{why}. What it holds against these was neither found nor closed. Is it what "
                    "KMS or the role keyward-identity-center-guard may do? The next sweep reads "
                    "them again: keyward sweep."
                ),
                severity=Severity.HIGH,
                at=work.at,
            )
        )
    work.ledger.saw(
        Swept(
            sweep=state.id,
            account=IDENTITY_CENTER,
            at=work.at,
            full=state.full,
            ok=not state.unread,
            why=why or None,
            users=state.groups + state.users,
            suspected=state.checks,
            calls=state.calls + work.center.calls_made - work.made,
        )
    )


# The end


def _end(work: Step) -> None:
    """Leaves the inventory, and says that the sweep is through."""
    _write_inventory(work)
    _finish(work)
    count("CenterSweeps")
    logger.info(
        "sweep of identity center done",
        sweep=work.state.id,
        way=work.state.way,
        assignments=len(work.every),
        checks=work.state.checks,
        unread=len(work.state.unread),
    )


def _write_inventory(work: Step) -> None:
    bucket = work.services.inventory
    if bucket is None:
        return
    state = work.state
    place = f"inventory/{state.id}/identity-center"
    bucket.put_lines(f"{place}/0.jsonl", _lines_of_sets(state))
    every = work.every
    for number in range(math.ceil(len(every) / LINES) or 1):
        some = every[number * LINES : (number + 1) * LINES]
        bucket.put_lines(
            f"{place}/{number + 1}.jsonl",
            (
                {
                    "kind": "assignment",
                    "account": account,
                    "permission_set": seen.name or seen.arn,
                    "permission_set_arn": seen.arn,
                    "principal_type": holder.kind.value,
                    "principal_id": holder.id,
                    "principal": holder.name,
                }
                for holder, account, seen in some
            ),
        )
    exemptions = [
        {
            "kind": "exemption",
            "id": name,
            "account": it.account,
            "rules": list(it.rules),
            "owner": it.owner,
            "reason": it.reason,
            "ticket": it.ticket,
            "until": it.until.isoformat(),
        }
        for name, it in sorted(work.settings.exemptions.items())
    ]
    bucket.put_lines(f"{place}/exemptions.jsonl", exemptions)


def _lines_of_sets(state: CenterSweep) -> Iterator[dict[str, object]]:
    for seen in state.sets:
        if seen.name is not None:
            yield {
                "kind": "permission-set",
                "name": seen.name,
                "arn": seen.arn,
                "accounts": len(seen.accounts),
            }


_PHASES: dict[Phase, Callable[[Step], None]] = {
    Phase.LISTING: centerreading.list_sets,
    Phase.SETS: centerreading.read_set,
    Phase.COUNTING: centerreading.count_principals,
    Phase.READING: centerreading.read_held,
    Phase.NAMING: centerreading.name_holders,
    Phase.PLACES: centerreading.find_places,
    Phase.JUDGING: centerjudging.judge_held,
    Phase.BASELINES: centerjudging.judge_by_baselines,
    Phase.TOKENS: centerjudging.judge_tokens,
    Phase.SETTLING: centerjudging.settle,
    Phase.ENDING: _end,
}
