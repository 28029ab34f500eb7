"""Brings baselines to many accounts, message by message: plans, waits for a word, assigns.

Each message takes one step: it claims the rollout, goes on for some seconds, saves how far it got,
and sends the next message. A step that crashes is taken again by the redelivery of its message:
what AWS was to be asked for is in the ledger before AWS is asked. What a step does is in
charting.py and granting.py, what is decided by what is known in rollout.py.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from keyward import charting, granting
from keyward.errors import GatewayError, RequestError
from keyward.events import RolloutStep
from keyward.observability import count, logger
from keyward.rollout import Rollout, RolloutState, is_claimed, over, remaining, waits_for
from keyward.rule import AnyRule
from keyward.services import Services
from keyward.settings import Accepted
from keyward.stepping import ATTEMPTS, CONTENTION, GOING, RULE, Step, TakenError, wake

__all__ = ["apply", "begin", "remaining", "step", "stop"]

KEPT = timedelta(hours=12)
"""So long a plan that waits for a word is not made anew by the next sweep."""


# What operators and events ask for


def begin(  # noqa: PLR0913 - all of it by name
    scope: str, *, automatic: bool, by: str, reason: str, services: Services, now: datetime
) -> Rollout:
    """Begins to plan a rollout; the rest follows by messages. Raises GatewayError.

    Others of the same scope that have not begun to assign are stopped: it plans from what is so
    now. One that an event begins is not begun twice for the same event, nor where a plan of the
    same settings waits for somebody's word.
    """
    accepted = services.accepted(now)
    known = services.ledger.rollouts()
    for it in known:
        wake(it, services, now)
    same = [it for it in known if it.scope == scope]
    for it in same:
        if automatic and _stands_for(it, reason, accepted, now):
            return it
    identity = f"{scope}\n{by}\n{reason}\n{now.isoformat()}"
    digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()
    made = Rollout(
        id=f"{now:%Y%m%dT%H%M%S}-{digest[:6]}",
        ticket=1,
        scope=scope,
        automatic=automatic,
        limit=accepted.settings.account_baselines.changes_without_apply,
        by=by,
        reason=reason,
        created_at=now,
        claim_until=now + timedelta(seconds=services.environment.claim_seconds),
    )
    services.ledger.save_rollout(made, replacing=None)
    for it in same:
        if it.state in {RolloutState.PLANNING, RolloutState.PLANNED}:
            _end_at_once(it.id, f"superseded by {made.id}", services, now)
    services.baseline_queue.roll(made.id, ticket=made.ticket, delay_seconds=0)
    logger.info("rollout begun", rollout=made.id, scope=scope, automatic=automatic)
    return made


def apply(id_: str, *, by: str, services: Services, now: datetime) -> Rollout:
    """Lets a plan that waits be carried out; one that runs already goes on.

    A plan about everything stands for all others that wait.
    Raises RequestError where there is none, or it does not wait; GatewayError.
    """
    rollout = services.ledger.rollout(id_)
    if rollout is not None and rollout.state is RolloutState.RUNNING:
        wake(rollout, services, now)
        return rollout
    if rollout is None or rollout.state is not RolloutState.PLANNED:
        state = "unknown" if rollout is None else rollout.state.value
        message = f"rollout {id_} is {state}: keyward baseline plan makes a new one"
        raise RequestError(message)
    claim = timedelta(seconds=services.environment.claim_seconds)
    running = rollout.model_copy(
        update={
            "state": RolloutState.RUNNING,
            "by": by,
            "version": rollout.version + 1,
            "ticket": rollout.ticket + 1,
            "claim_until": now + claim,
        }
    )
    services.ledger.save_rollout(running, replacing=rollout)
    services.baseline_queue.roll(id_, ticket=running.ticket, delay_seconds=0)
    if running.scope == "everything":
        for it in services.ledger.rollouts():
            if it.state is RolloutState.PLANNED:
                _end_at_once(it.id, f"superseded by {id_}", services, now)
    logger.info("rollout applied", rollout=id_, total=running.total)
    return running


def stop(id_: str, *, by: str, services: Services, now: datetime) -> Rollout:
    """Lets nothing more be asked for; what AWS is at is followed to its end.

    Raises RequestError where there is no such rollout; GatewayError.
    """
    return _end_at_once(id_, f"stopped by {by}", services, now)


def step(of: RolloutStep, *, rules: Iterable[AnyRule], services: Services, now: datetime) -> None:
    """Takes the next step of a rollout, unless another message does. Raises GatewayError."""
    claimed = _claimed(of, services, now)
    if claimed is None:
        return
    work = Step(
        rollout=claimed,
        stored=claimed,
        rules=tuple(rule for rule in rules if rule.id == RULE),
        services=services,
        now=now,
        began=services.clock(),
    )
    try:
        _take(work)
    except TakenError:
        logger.info("rollout is over, or another's", rollout=claimed.id)


def _take(step: Step) -> None:
    """Goes on, saves how far that came, and sends the message that goes on from there."""
    is_planned = step.rollout.state is not RolloutState.PLANNING
    try:
        wait = granting.run(step) if is_planned else charting.plan(step)
    except GatewayError as error:
        wait = step.put_off(error)
    else:
        wait = max(wait, step.pause(step.full))
    for name, number in step.outcomes.items():
        count(name, number)
    is_going = step.rollout.state in GOING
    claim = timedelta(seconds=wait + step.services.environment.claim_seconds)
    step.put(ticket=step.rollout.ticket + 1, claim_until=step.at + claim if is_going else None)
    step.save()
    if is_going:
        step.services.baseline_queue.roll(
            step.rollout.id, ticket=step.rollout.ticket, delay_seconds=wait
        )
    else:
        _wake_those_who_wait(step)


def _wake_those_who_wait(step: Step) -> None:
    """Lets others go on at once that wait until this one is over."""
    for it in step.ledger.rollouts():
        if it.state in GOING and it.outcome == waits_for(step.rollout.id):
            step.services.baseline_queue.roll(it.id, ticket=it.ticket, delay_seconds=0)


def _stands_for(rollout: Rollout, reason: str, accepted: Accepted, now: datetime) -> bool:
    """Whether an event need not begin a rollout beside this one of the same scope."""
    if rollout.automatic and rollout.reason == reason:
        return True
    return (
        rollout.automatic
        and rollout.state is RolloutState.PLANNED
        and rollout.settings_version == accepted.version
        and now - rollout.created_at < KEPT
    )


def _end_at_once(id_: str, why: str, services: Services, now: datetime) -> Rollout:
    """Ends a rollout that has assigned nothing; one that has is told to stop."""
    for _ in range(ATTEMPTS):
        rollout = services.ledger.rollout(id_)
        if rollout is None:
            message = f"there is no rollout {id_}"
            raise RequestError(message)
        if rollout.state.over:
            return rollout
        if rollout.started_at is None:
            ended = over(rollout, RolloutState.STOPPED, why, now)
        else:
            ended = rollout.model_copy(update={"stopping": rollout.stopping or why})
        ended = ended.model_copy(update={"version": rollout.version + 1})
        try:
            services.ledger.save_rollout(ended, replacing=rollout)
        except GatewayError as error:
            if error.code != CONTENTION:
                raise
        else:
            wake(ended, services, now)
            logger.info("rollout stopped", rollout=id_, why=why)
            return ended
    message = f"rollout {id_}: others were faster {ATTEMPTS} times: try again"
    raise GatewayError(message, code=CONTENTION, retryable=True)


def _claimed(of: RolloutStep, services: Services, now: datetime) -> Rollout | None:
    """The rollout, ours alone until the claim ends; None where this message is one too many."""
    for _ in range(ATTEMPTS):
        rollout = services.ledger.rollout(of.id)
        if rollout is None or rollout.state not in GOING:
            return None
        if rollout.ticket != of.ticket and is_claimed(rollout, now):
            return None
        claim = timedelta(seconds=services.environment.claim_seconds)
        claimed = rollout.model_copy(
            update={
                "version": rollout.version + 1,
                "ticket": rollout.ticket + 1,
                "claim_until": now + claim,
            }
        )
        try:
            services.ledger.claim_rollout(claimed, replacing=rollout)
        except GatewayError as error:
            if error.code != CONTENTION:
                raise
        else:
            return claimed
    message = f"rollout {of.id}: others were faster {ATTEMPTS} times"
    raise GatewayError(message, code=CONTENTION, retryable=True)
