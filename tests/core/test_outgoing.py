"""What other programs are told: allowed fields only, cut to size, by ids that readers can trust."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from keyward import planner, published
from keyward.findings import FindingRecord, State
from tests.builders import KEY_ID, MEMBER, NOW
from tests.core.test_text_and_alerts import HOSTILE, a_record

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
LIMIT = 256 * 1024


def detail(record: FindingRecord) -> dict[str, object]:
    return dict(json.loads(published.finding(record).model_dump_json()))


def an_action(record: FindingRecord) -> dict[str, object]:
    told = published.action(record)
    assert told is not None
    return dict(json.loads(told.model_dump_json()))


MODELS: dict[str, type[BaseModel]] = {
    "finding": published.FindingDetail,
    "action": published.ActionDetail,
}


def fits(name: str, document: dict[str, object]) -> bool:
    """Whether it has the fields of the published schema, and is what the model takes."""
    schema = json.loads((SCHEMAS / f"event-{name}.json").read_text(encoding="utf-8"))
    try:
        MODELS[name].model_validate_json(json.dumps(document), strict=True)
    except ValidationError:
        return False
    return set(document) == set(schema["properties"])


def test_finding_says_what_where_who_and_the_way_back() -> None:
    record = a_record(State.ACTED)
    told = detail(record)
    assert told["schema"] == "1"
    assert told["finding"] == record.key
    assert (told["account"], told["unique_id"]) == (MEMBER, KEY_ID)
    assert (told["state"], told["severity"]) == ("acted", record.severity.value)
    assert told["source_ip"] == "192.0.2.44"
    assert told["action"] == "deactivate-access-key"
    assert told["way_back"] == f'keyward release {record.key} --reason "..."'


@pytest.mark.parametrize("state", list(State))
def test_every_state_makes_a_document_of_the_published_schema(state: State) -> None:
    record = a_record(state)
    assert fits("finding", detail(record))
    assert not fits("finding", detail(record) | {"episode": "one"})
    if published.action(record) is not None:
        assert fits("action", an_action(record))


@given(HOSTILE, HOSTILE)
def test_text_of_events_is_harmless_there_too(subject: str, reason: str) -> None:
    told = json.dumps(detail(a_record(subject=subject, reason=reason, owner=reason)))
    assert not set("<>&") & set(told)


@given(st.integers(min_value=1, max_value=3))
def test_however_much_a_finding_holds_its_document_fits_an_event(times: int) -> None:
    much = "\u00e4" * 200_000 * times
    record = a_record(
        State.ACTED,
        subject=much,
        reason=much,
        fix=much,
        owner=much,
        outcome=much,
        unique_id=much,
        also=tuple(f"rule-{number}" for number in range(5_000)),
        details=(much,) * 10,
    )
    told = detail(record)
    assert len(json.dumps(told).encode()) < LIMIT
    assert len(json.dumps(an_action(record)).encode()) < LIMIT
    assert (len(told["also"]), told["also_count"]) == (20, 5_000)  # type: ignore[arg-type]  # a list


def test_same_change_has_the_same_id_and_another_has_another() -> None:
    record = a_record(State.ACTED, untold=NOW)
    again = record.model_copy(update={"seen": 7, "version": 9, "untold": None})
    assert detail(again)["id"] == detail(record)["id"]
    later = NOW + timedelta(seconds=1)
    seen = planner.acknowledged(record, by="jane", note="", now=later)
    assert detail(seen)["id"] != detail(record)["id"]
    other = record.model_copy(update={"episode": 2})
    assert detail(other)["id"] != detail(record)["id"]


def test_act_has_one_id_however_often_its_finding_changes_after_it() -> None:
    record = a_record(State.ACTED)
    seen = planner.acknowledged(record, by="jane", note="", now=NOW + timedelta(hours=1))
    assert detail(seen)["acknowledged_by"] == "jane"
    assert an_action(seen) == an_action(record)


def test_ids_of_a_failed_act_and_of_its_success_differ() -> None:
    failed = a_record(State.FAILED)
    done = planner.finished(failed, State.ACTED, outcome="it is", now=NOW + timedelta(minutes=1))
    assert (an_action(failed)["outcome"], an_action(done)["outcome"]) == ("failed", "done")
    assert an_action(failed)["id"] != an_action(done)["id"]


@pytest.mark.parametrize("state", [State.OPEN, State.ACTING, State.RESOLVED, State.EXEMPT])
def test_what_is_no_ended_act_is_none(state: State) -> None:
    assert published.action(a_record(state)) is None


def test_finding_that_nobody_acts_on_has_no_act_and_no_way_back() -> None:
    record = a_record(State.FAILED, action=None)
    assert published.action(record) is None
    assert detail(record)["way_back"] is None


def test_seconds_are_counted_from_the_event_to_the_end_of_the_act() -> None:
    record = a_record()
    at = record.evidence.event_time + timedelta(seconds=41.5)
    done = planner.finished(record, State.ACTED, outcome="done", now=at)
    assert an_action(done)["seconds_from_event"] == 41.5


def test_seconds_are_unknown_of_what_a_sweep_found_and_of_what_failed() -> None:
    record = a_record(State.ACTED)
    swept = record.evidence.model_copy(update={"actor": "Keyward"})
    assert an_action(record.model_copy(update={"evidence": swept}))["seconds_from_event"] is None
    assert an_action(a_record(State.FAILED))["seconds_from_event"] is None


def test_fields_are_those_that_are_documented_and_no_secret_or_whole_event_is_one() -> None:
    page = (SCHEMAS.parent / "events-out.md").read_text(encoding="utf-8")
    for model in (published.FindingDetail, published.ActionDetail):
        for name, field in model.model_fields.items():
            assert f"`{field.alias or name}`" in page, f"docs/events-out.md doesn't say {name}"
