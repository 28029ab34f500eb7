"""What other programs are told of findings and acts, as documents. Pure: a record in, JSON out.

docs/events-out.md describes them; docs/schemas/ has the JSON Schemas. A field is never taken away
and never changes its meaning within a `schema` version; new ones may come.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

from keyward.findings import FindingRecord, Severity, State
from keyward.text import clean

FINDING = "keyward.finding"
ACTION = "keyward.action"
"""The events' detail-types."""

TEXT_LENGTH = 1000
"""No text is longer: a whole event holds at most 256 KB.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
"""

NAME_LENGTH = 500
LIST_LENGTH = 20
"""So many members of a list are named; a count tells how many there are."""

ENDS = {State.ACTED: "done", State.FAILED: "failed", State.RELEASED: "released"}
"""States in which an act has ended, and how."""


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


Time = Annotated[AwareDatetime, PlainSerializer(_written, when_used="json")]


class _Detail(BaseModel):
    model_config = ConfigDict(frozen=True, validate_by_name=True, serialize_by_alias=True)

    version: Literal["1"] = Field(
        default="1", alias="schema", description="Version of this document's schema."
    )
    id: str = Field(
        description="The same however often this change is sent: by it readers know what they had."
    )


class FindingDetail(_Detail):
    """A `keyward.finding`: a finding as it is now, sent each time that it changed."""

    finding: str = Field(description="The finding's key: the same for each of its changes.")
    episode: int = Field(description="1, and one more each time that it comes back.")
    at: Time = Field(description="When it changed. An older one that comes later is out of date.")
    state: State = Field(description="open, acted, failed, exempt, released, resolved ...")
    severity: Severity = Field(description="How soon somebody must look.")
    rule: str = Field(description="The rule that is broken.")
    also: tuple[str, ...] = Field(description="Other rules that the same subject breaks, some.")
    also_count: int = Field(description="How many these are.")
    account: str = Field(description="The account that the subject lives in.")
    subject: str = Field(description="Who or what it is about, in words.")
    subject_kind: str = Field(description="IamUser, AccessKey, PermissionSet ...")
    unique_id: str = Field(description="The subject's unique id, where it has one.")
    reason: str = Field(description="Why the rule objects.")
    fix: str = Field(description="What to do about it.")
    actor: str = Field(description="Who did it; Keyward where a sweep found it.")
    source_ip: str | None = Field(description="From where.")
    event_name: str = Field(description="What CloudTrail calls what was done.")
    event_id: str = Field(description="CloudTrail's id of it.")
    event_time: Time = Field(description="When it was done.")
    region: str = Field(description="The region of the event.")
    mode: str = Field(description="The rule's mode then: report or enforce.")
    action: str | None = Field(description="What Keyward does or did about it, if anything.")
    outcome: str | None = Field(description="What came of it, in words.")
    held: str | None = Field(description="Why nothing was done although the rule asks for it.")
    owner: str | None = Field(description="Who answers for the subject, as far as known.")
    exempt_by: str | None = Field(description="The exemption that covers it.")
    acknowledged_by: str | None = Field(description="The operator who said that he has seen it.")
    first_seen: Time = Field(description="When Keyward saw it first.")
    last_seen: Time = Field(description="When Keyward saw it last.")
    seen: int = Field(description="How often it was seen.")
    way_back: str | None = Field(description="The command that undoes what was done.")


class ActionDetail(_Detail):
    """A `keyward.action`: something that Keyward did has ended, or could not be done."""

    finding: str = Field(description="The key of the finding for whose sake it was done.")
    episode: int = Field(description="The finding's episode.")
    at: Time = Field(description="When it ended.")
    action: str = Field(description="What was done: quarantine-user, deactivate-access-key ...")
    outcome: Literal["done", "failed", "released"] = Field(
        description="done: read back and so. failed: not or not wholly done. released: undone."
    )
    text: str = Field(description="What came of it, in words.")
    seconds_from_event: float | None = Field(
        description="From CloudTrail's eventTime to the verified act; null for what a sweep found."
    )
    severity: Severity = Field(description="The finding's severity.")
    rule: str = Field(description="The rule that is broken.")
    account: str = Field(description="The account that the subject lives in.")
    subject: str = Field(description="Who or what it was done to, in words.")
    subject_kind: str = Field(description="IamUser, AccessKey, PermissionSet ...")
    unique_id: str = Field(description="The subject's unique id, where it has one.")
    way_back: str | None = Field(description="The command that undoes it.")


def changed_at(record: FindingRecord) -> datetime:
    """When the record changed last, of what others hear: its news, or a later step of its life."""
    steps = [it.at for it in record.history[-1:]]
    return max([*steps, *([record.untold] if record.untold else [])], default=record.last_seen)


def ended_at(record: FindingRecord) -> datetime:
    """When the record came into its state: a step that leaves the state as it is doesn't count."""
    at = record.last_seen
    for step in reversed(record.history):
        if step.state is not record.state:
            break
        at = step.at
    return at


def seconds_to_contain(record: FindingRecord) -> float | None:
    """From the event to the verified act; None where nobody's act was seen, or none was done."""
    if record.state is not State.ACTED or record.evidence.by_itself:
        return None
    return max(0.0, (ended_at(record) - record.evidence.event_time).total_seconds())


def finding(record: FindingRecord) -> FindingDetail:
    """The finding as others hear of it. Text of events is cleaned and cut."""
    at = changed_at(record)
    evidence = record.evidence
    return FindingDetail(
        id=f"{record.key}:{record.episode}:{_written(at)}",
        finding=record.key,
        episode=record.episode,
        at=at,
        state=record.state,
        severity=record.severity,
        rule=record.rule,
        also=_some(record.also),
        also_count=len(record.also),
        account=record.account,
        subject=_text(record.subject),
        subject_kind=record.subject_kind,
        unique_id=_name(record.unique_id),
        reason=_text(record.reason),
        fix=_text(record.fix),
        actor=_name(evidence.actor),
        source_ip=None if evidence.source_ip is None else _name(evidence.source_ip),
        event_name=_name(evidence.event_name),
        event_id=_name(evidence.event_id),
        event_time=evidence.event_time,
        region=_name(evidence.region),
        mode=record.mode,
        action=None if record.action is None else record.action.name,
        outcome=None if record.outcome is None else _text(record.outcome),
        held=None if record.held is None else _text(record.held),
        owner=None if record.owner is None else _name(record.owner),
        exempt_by=record.exempt_by,
        acknowledged_by=(None if record.acknowledged is None else _name(record.acknowledged.by)),
        first_seen=record.first_seen,
        last_seen=record.last_seen,
        seen=record.seen,
        way_back=_way_back(record),
    )


def action(record: FindingRecord) -> ActionDetail | None:
    """The act that has ended with this state of the record; None where none has."""
    outcome = ENDS.get(record.state)
    if outcome is None or record.action is None:
        return None
    at = ended_at(record)
    return ActionDetail(
        id=f"{record.key}:{record.episode}:{outcome}:{_written(at)}",
        finding=record.key,
        episode=record.episode,
        at=at,
        action=record.action.name,
        outcome=outcome,
        text=_text(record.outcome or ""),
        seconds_from_event=seconds_to_contain(record),
        severity=record.severity,
        rule=record.rule,
        account=record.account,
        subject=_text(record.subject),
        subject_kind=record.subject_kind,
        unique_id=_name(record.unique_id),
        way_back=_way_back(record),
    )


def _way_back(record: FindingRecord) -> str | None:
    if record.action is None or record.state not in {State.ACTED, State.FAILED, State.ACTING}:
        return None
    return f'keyward release {record.key} --reason "..."'


def _text(value: str) -> str:
    return clean(value, limit=TEXT_LENGTH)


def _name(value: str) -> str:
    return clean(value, limit=NAME_LENGTH)


def _some(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(_name, values[:LIST_LENGTH]))
