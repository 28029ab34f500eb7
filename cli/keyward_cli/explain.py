"""What Keyward thinks of events: pure and offline, by the same code as in production."""

from collections.abc import Iterator, Mapping
from functools import cache

from keyward import events, facts
from keyward.actions import Enforcement
from keyward.errors import EventError
from keyward.findings import Finding, Reason
from keyward.model import Hint
from keyward.rule import AnyRule, InForce, judge
from keyward.rules import every, guard_of
from keyward_cli.reading import Unreadable, read_events

type Answer = dict[str, object]
"""One JSON object for each event, as docs/operations.md has it; the contract is kept stable."""


def answers(path: str, settings: InForce) -> Iterator[Answer]:
    """An answer for each event of the file, in its order.

    `{"line": n, "error": ...}` for what can't be read. Raises RequestError where the file can't
    be opened.
    """
    for read in read_events(path):
        if isinstance(read.event, Unreadable):
            yield {"line": read.line, "error": read.event.error}
            continue
        try:
            yield answer(read.event, settings)
        except EventError as error:
            yield {"line": read.line, "error": str(error)}


def answer(event: object, settings: InForce) -> Answer:
    """What Keyward would do about an event at the time that it bears. Raises EventError."""
    hint = _hint(event)
    subjects = facts.claimed(hint, settings.catalogue, settings.baselines)
    rules = {rule.id: rule for rule in _rules()}
    return {
        "event_id": hint.event_id,
        "event_source": hint.event_source,
        "event_name": hint.event_name,
        "account": hint.account,
        "region": hint.region,
        "actor": hint.actor.label,
        "handled_by": _handled_by(hint),
        "findings": [
            {
                "rule": finding.rule,
                "severity": finding.severity.value,
                "subject": finding.subject.label,
                "reason": finding.reason.text,
                "mode": settings.mode(finding.rule, hint.time).value,
                "action": _action(finding).value,
                "exempt_by": settings.exemption(
                    rule=finding.rule, subject=finding.subject, now=hint.time
                ),
            }
            | _needs(rules[finding.rule].needs, finding.reason)
            for finding in judge(rules.values(), subjects, hint=hint, settings=settings)
        ],
    }


def _action(finding: Finding) -> Enforcement:
    """What mode enforce would do."""
    return Enforcement.REPORT if finding.reason.report_only else finding.enforcement


def _hint(event: object) -> Hint:
    """The hint in an envelope or a bare record; whatever looks like neither is read as a record."""
    envelope = isinstance(event, Mapping) and ("detail" in event or "detail-type" in event)
    return events.parse(event) if envelope else events.parse_record(event)


def _handled_by(hint: Hint) -> str | None:
    """The guard whose patterns let the event in; a failed call changed nothing and passes none."""
    if hint.error_code is not None:
        return None
    return _guards().get((hint.event_source, hint.event_name))


def _needs(needs: str | None, reason: Reason) -> Answer:
    """What must be read before the finding is certain; nothing where the event tells it all."""
    needs = "state" if needs is None and reason.maybe else needs
    return {} if needs is None else {"needs": needs}


@cache
def _rules() -> tuple[AnyRule, ...]:
    return every()


@cache
def _guards() -> dict[tuple[str, str], str]:
    return {
        (source, name): guard_of(rule.id)
        for rule in _rules()
        for source, names in rule.triggers.items()
        for name in names
    }
