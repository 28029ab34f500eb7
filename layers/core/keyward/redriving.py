"""Dead letters go back to their queues, and the archive sends events again.

Both are harmless by construction: events are hints, what is done depends on what is so now, and the
ledger knows what was done and told already.
"""

from collections import Counter
from datetime import datetime, timedelta

from keyward import events
from keyward.errors import EventError, GatewayError, NotFoundError, RequestError
from keyward.gateways.sqs import MARK, Letter
from keyward.observability import logger
from keyward.services import Services

DEAD = "-dead-letters"

SETTINGS_QUEUE = "keyward-settings-guard"
"""What its messages say doesn't matter: each compiles the whole tree."""

QUEUES = (
    "keyward-account-baseline",
    "keyward-iam-guard",
    "keyward-iam-sweep",
    "keyward-identity-center-guard",
    SETTINGS_QUEUE,
    "keyward-sweep",
)
"""The queues whose dead letters go back."""

RULES = "keyward-rule"
"""What EventBridge could not deliver: it says on each where it should have gone."""

ADVICE = {
    "keyward-notifier": (
        "no events: the ledger knows what is untold, and tells it every 5 minutes. Look at the log "
        "of keyward-notifier, then delete them"
    ),
    "keyward-operator": (
        "requests that somebody sent without waiting for the answer, and presses of buttons: ask "
        "again, then delete them"
    ),
    "keyward-report": "reports that could not be made: ask for another, then delete them",
}
"""Dead letters that go nowhere, by what they are of, and what to do instead."""

EVERY = (*QUEUES, RULES, *ADVICE)
"""What has dead letters, by the name of which DEAD is the end."""

BATCHES = 20
"""So often ten messages are fetched for one answer: a call of the operator lasts some seconds."""

HIDDEN_SECONDS = 120
"""So long nobody else sees what is being moved; a message that stays is seen again after it."""

ARCHIVE_DAYS = 90
"""The archive keeps events for so long."""

ARCHIVING = timedelta(minutes=10)
"""What came within the last minutes may not be in the archive yet.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-archive.html
"""

REPLAYS = "LimitExceededException"
"""EventBridge runs ten replays at once.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-replay-archived-event.html
"""


def waiting(services: Services) -> list[dict[str, object]]:
    """How many dead letters there are of what, and where they go. Raises GatewayError."""
    return [
        {
            "of": name,
            "dead_letters": services.queue_named(name + DEAD).length(),
            "advice": ADVICE.get(name),
        }
        for name in EVERY
    ]


def redrive(name: str, *, run: str, services: Services) -> dict[str, object]:
    """Moves some dead letters back to where they belong; `more` where it isn't through.

    `run` tells this time from others: what it moved and comes back meanwhile stays. Each is sent
    before it is taken away, so that one may come twice, and none is lost. What nobody can read, or
    what goes nowhere, stays and is named. Raises RequestError and GatewayError.
    """
    if name in ADVICE:
        message = f"{name}{DEAD}: {ADVICE[name]}"
        raise RequestError(message)
    if name not in EVERY:
        known = ", ".join((*QUEUES, RULES))
        message = f"nothing called {name} has dead letters: expected one of {known}"
        raise RequestError(message)
    source = services.queue_named(name + DEAD)
    moved: Counter[str] = Counter()
    kept: dict[str, str] = {}
    again, more = 0, True
    for _ in range(BATCHES):
        letters = source.receive(hidden_seconds=HIDDEN_SECONDS)
        if not letters:
            more = False
            break
        for letter in letters:
            target = _target(name, letter, services)
            why = _why_it_stays(name, target, letter, run)
            if why is not None or target is None:
                kept[letter.id] = why or "nobody knows where it belongs"
                continue
            services.queue_named(target).send_marked(letter.body, mark=run)
            source.delete(letter)
            moved[target] += 1
            again += MARK in letter.attributes
    logger.info("dead letters moved", of=name, moved=moved.total(), kept=len(kept), again=again)
    return {"moved": dict(moved), "again": again, "kept": kept, "more": more}


def _target(name: str, letter: Letter, services: Services) -> str | None:
    """The queue that a dead letter belongs to; None where EventBridge meant something else."""
    if name != RULES:
        return name
    parts = letter.attributes.get("TARGET_ARN", "").split(":")
    where, meant = parts[:-1], parts[-1]
    is_ours = where[2:3] == ["sqs"] and where[4:] == [services.environment.hub_account]
    return meant if is_ours and meant in QUEUES else None


def _why_it_stays(name: str, target: str | None, letter: Letter, run: str) -> str | None:
    """Why a dead letter isn't moved, and what to do about it; None where it is."""
    if target is None:
        return _undelivered(letter.attributes.get("TARGET_ARN", "nowhere"))
    if letter.attributes.get(MARK) == run:
        return f"it came back at once: the log of {name.replace('keyward-', '')} says why"
    if target == SETTINGS_QUEUE:
        return None
    try:
        events.message(events.loads(letter.body))
    except EventError as error:
        return f"this version can't read it, so that it would come back: {error}"
    return None


def _undelivered(arn: str) -> str:
    """What to do about what was bound for something else than a queue of Keyward's."""
    kind = arn.split(":")[2:3]
    if kind == ["sns"]:
        return "an alert that didn't reach the topic: read it, then delete it"
    if kind == ["lambda"]:
        return "a schedule's call of a function, which comes again by itself: delete it"
    if kind == ["events"]:
        return "an event that didn't reach the bus: keyward sweep finds what it was about"
    return f"bound for {arn}, which is no queue of Keyward's: look at it by hand"


def replay(
    *, start: datetime, end: datetime, services: Services, now: datetime
) -> dict[str, object]:
    """Has the archive send again what came between these times. Raises RequestError, GatewayError.

    What comes again is judged by what is so by now, as after any other late event.
    """
    earliest = now - timedelta(days=ARCHIVE_DAYS)
    if end > now:
        message = f"to {end.isoformat()} is still to come; expected a time that has passed"
        raise RequestError(message)
    if start >= end:
        message = f"from {start.isoformat()} isn't before to {end.isoformat()}"
        raise RequestError(message)
    if start < earliest:
        message = (
            f"from {start.isoformat()}: the archive keeps {ARCHIVE_DAYS} days; "
            f"expected {earliest.isoformat(timespec='seconds')} or later"
        )
        raise RequestError(message)
    name = f"keyward-{now:%Y%m%dT%H%M%S}"
    try:
        services.events.start_replay(name, start=start, end=end)
    except NotFoundError as error:
        message = "there is no archive keyward here: the stack was deployed without one"
        raise RequestError(message) from error
    except GatewayError as error:
        if error.code != REPLAYS:
            raise
        message = "ten replays run already, which is all that EventBridge takes: try again later"
        raise RequestError(message) from error
    return {"replay": name, "incomplete": now - end < ARCHIVING}


def replayed(name: str, services: Services) -> dict[str, object]:
    """How far a replay is. Raises RequestError for one that there isn't, and GatewayError."""
    try:
        found = services.events.replay(name)
    except NotFoundError as error:
        message = f"no replay is called {name}"
        raise RequestError(message) from error
    return {
        "replay": name,
        "state": found.state,
        "over": found.over,
        "reason": found.reason,
        "start": found.start.isoformat(),
        "end": found.end.isoformat(),
        "last": found.last.isoformat() if found.last else None,
    }
