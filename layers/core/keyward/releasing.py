"""Releases what Keyward did: what was there before comes back, and is left alone for some days.

An operator begins a release; what Identity Center has not finished then, the guard follows.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from keyward import converging, executor, planner
from keyward.actions import (
    AssignAccess,
    Before,
    IamAction,
    Pending,
    RecreatePermissionSet,
    RequestKind,
)
from keyward.errors import GatewayError, NotFoundError
from keyward.findings import Containment, FindingRecord, State
from keyward.observability import count
from keyward.services import Services

LONGEST_WAIT_SECONDS = 240
"""A queue could hold a message back for 900: but then its age would raise the queue's alarm.

And where the next message can't be sent, the one that is being worked on comes again after the
queue's visibility timeout: the claim, which lasts for 90 seconds more, must have run out by then.
"""

GONE = (
    "nothing of that name is what Keyward acted on: nothing to restore where it is deleted; where "
    "it was renamed, give it its name back and release it again"
)


def release(  # noqa: PLR0913 - all of it by name
    record: FindingRecord, *, by: str, reason: str, days: int, services: Services, now: datetime
) -> tuple[FindingRecord, list[str]]:
    """Records that a release begins, restores, reads back, and records that it is done.

    A second call finishes what a crash left half done. Where AWS takes longer, the record still
    says so, and the guard finishes it. Raises GatewayError.
    """
    held = services.ledger.containment(record.account, record.held_as)
    begun = planner.releasing(
        record,
        by=by,
        reason=reason,
        now=now,
        claim_seconds=services.environment.claim_seconds,
    )
    waits = begun.pending
    if waits is not None and (
        record.state is not State.RELEASING or now - waits.since > converging.PATIENCE
    ):  # an act's, or a release's that waited too long
        begun = begun.model_copy(update={"pending": _what_aws_is_at(record, waits, now)})
    services.ledger.release_begins(
        begun,
        replacing=record,
        unique_ids=freed(record, held),
        until=now + timedelta(days=days),
        by=by,
    )
    return _restore(begun, held, note=f"released for {days} days", services=services, now=now)


def _what_aws_is_at(record: FindingRecord, waits: Pending, now: datetime) -> Pending | None:
    """What of an act's requests AWS may still do: of an account's access, to be awaited first."""
    if record.state is State.RELEASING or not isinstance(record.action, AssignAccess):
        return None
    return Pending(
        since=now,
        stage="begins",
        requests=tuple(it for it in waits.requests if it.kind is RequestKind.ASSIGNMENT_CREATION),
    )


def resume(record: FindingRecord, *, services: Services, now: datetime) -> FindingRecord:
    """Looks how far a release is that waits for Identity Center, or that a crash left.

    Where AWS doesn't let this function put an IAM user back, an operator must, and is told. Raises
    GatewayError.
    """
    held = services.ledger.containment(record.account, record.held_as)
    notes = record.pending.notes if record.pending else ()
    note = notes[0] if notes else "released"
    try:
        return _restore(record, held, note=note, services=services, now=now)[0]
    except GatewayError as error:
        if error.retryable or held is None or not isinstance(held.action, IamAction):
            raise
        outcome = f"a release was interrupted and is not finished: {error}; release it again"
        failed = planner.finished(record, State.FAILED, outcome=outcome, now=now)
        services.ledger.finish(failed, replacing=record)
        return failed


def _restore(
    begun: FindingRecord,
    held: Containment | None,
    *,
    note: str,
    services: Services,
    now: datetime,
) -> tuple[FindingRecord, list[str]]:
    unique_ids = freed(begun, held)
    restored: list[str] | Pending = []
    if held is not None:
        is_made = isinstance(begun.action, RecreatePermissionSet | AssignAccess)
        action = begun.action if is_made and begun.action else held.action
        try:
            restored = executor.undo(
                action,
                before=held.before,
                pending=begun.pending,
                reach=services.reach(begun.account, now),
                ledger=services.ledger,
                sleep=services.sleep,
                now=now,
            )
        except NotFoundError:
            restored, unique_ids = [GONE], ()
        except GatewayError as error:
            state = begun.pending or Pending(since=now, stage="begins")
            later = converging.put_off(state, error, now)
            if isinstance(held.action, IamAction) or later is None:
                raise
            restored = later
    if isinstance(restored, Pending):
        waits = follow(
            begun, restored.model_copy(update={"notes": (note,)}), services=services, now=now
        )
        return waits, [f"under way: {restored.stage}"]
    ended = planner.finished(
        begun,
        State.RELEASED,
        outcome=f"{note}: {'; '.join(restored) or 'nothing had been changed'}",
        now=now,
    )
    for sibling in services.ledger.findings_of(begun.account, begun.held_as):
        _release_sibling(sibling, begun.key, services, now)
    services.ledger.release_ends(ended, replacing=begun, unique_ids=unique_ids)
    count("Releases")
    return ended, restored


def follow(
    record: FindingRecord,
    pending: Pending,
    *,
    services: Services,
    now: datetime,
    replacing: FindingRecord | None = None,
) -> FindingRecord:
    """Records what an act or a release waits for, and sees to it that somebody looks again.

    The message goes out last: where it fails, the delivery that is being worked on comes again.
    """
    delay = min(converging.delay_seconds(pending, now), LONGEST_WAIT_SECONDS)
    waits = planner.waiting(
        record,
        pending,
        delay_seconds=delay,
        now=now,
        claim_seconds=services.environment.claim_seconds,
    )
    services.ledger.finish(waits, replacing=replacing or record)
    ticket = waits.pending.ticket if waits.pending is not None else 0
    services.queue_of(record.rule).follow(record.key, ticket=ticket, delay_seconds=delay)
    return waits


def freed(record: FindingRecord, held: Containment | None) -> Iterable[str]:
    """The ids of the subject, and of the keys that a release makes active again."""
    before = held.before if held else Before()
    return (record.held_as, *(id_ for id_, active in before.statuses.items() if active))


def _release_sibling(key: str, lead: str, services: Services, now: datetime) -> None:
    """Another finding for whose sake the subject was contained: released with it.

    Who was told of it hears that; it is no alert of its own.
    """
    sibling = services.ledger.finding(key)
    if key == lead or sibling is None or sibling.state not in {State.ACTED, State.FAILED}:
        return
    released = planner.finished(
        sibling, State.RELEASED, outcome=f"released with finding {lead}", now=now
    )
    services.ledger.finish(released.model_copy(update={"follows": True}), replacing=sibling)
