"""What an operator asks for, answered and recorded."""

from __future__ import annotations

import json
import zlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from keyward import operating, routing
from keyward.findings import Notice
from keyward.settings import Accepted, Mode
from tests.flow.test_access_keys import a_key, release

if TYPE_CHECKING:
    from tests.flow.world import World


def ask(world: World, act: str, **more: object) -> dict[str, Any]:
    request = {"act": act, "by": "arn:aws:iam::123456789012:user/ana", **more}
    return operating.answer(request, services=world.services, now=world.now)


def test_findings_are_listed_and_shown(world: World) -> None:
    world.deliver(a_key(world)[1])
    listed = ask(world, "findings", states=["acted"])["findings"]
    assert [item["rule"] for item in listed] == ["iam-access-key-created"]
    shown = ask(world, "finding", finding=listed[0]["key"])["finding"]
    assert shown == listed[0]
    json.dumps(shown)


def test_findings_are_filtered_by_rule_account_and_state(world: World) -> None:
    world.deliver(a_key(world)[1])
    assert ask(world, "findings", states=["open"])["findings"] == []
    assert ask(world, "findings", account=world.other_member)["findings"] == []
    also = ask(world, "findings", rule="iam-access-key-for-other-user")["findings"]
    assert len(also) == 1


def test_findings_come_in_pages_to_the_last(world: World) -> None:
    world.settings(settings={"ceiling": "report"})
    for number in range(5):
        world.deliver(a_key(world, f"ci-{number}")[1])
    seen, after = [], None
    while True:
        page = ask(world, "findings", limit=2, after=after)
        seen += [item["key"] for item in page["findings"]]
        after = page["next"]
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 5


def test_pause_stops_enforcement_and_ends_by_itself(world: World) -> None:
    answer = ask(world, "pause", hours=4, reason="a migration")
    assert answer["ok"] is True
    world.services._settings = None
    key_id, event = a_key(world)
    world.deliver(event)
    assert world.key_status("ci", key_id) == "Active"
    assert ask(world, "status")["ceiling"] == "report"

    world.later(hours=5)
    other_id, other = a_key(world, "cd")
    world.deliver(other)
    assert world.key_status("cd", other_id) == "Inactive"
    assert ask(world, "status")["ceiling"] == "enforce"


def test_resume_ends_a_pause_early(world: World) -> None:
    ask(world, "pause", hours=4, reason="a migration")
    ask(world, "resume", reason="done early")
    assert ask(world, "status")["paused_until"] is None


def test_released_key_is_no_longer_counted_as_contained(world: World) -> None:
    world.deliver(a_key(world)[1])
    assert ask(world, "status")["contained"] == 1
    release(world, world.finding("iam-access-key-created").key)
    assert ask(world, "status")["contained"] == 0


def test_release_is_recorded_with_who_and_why(world: World) -> None:
    world.deliver(a_key(world)[1])
    release(world, world.finding("iam-access-key-created").key)
    notes = " ".join(moment.note for moment in world.finding("iam-access-key-created").history)
    assert "user/op" in notes
    assert "agreed" in notes


def test_uninstall_plan_names_what_is_contained_and_how_to_release_it(world: World) -> None:
    world.deliver(a_key(world)[1])
    plan = ask(world, "uninstall-plan")
    key = world.finding("iam-access-key-created").key
    assert [item["finding"] for item in plan["contained"]] == [key]
    assert any(f"keyward release {key}" in step for step in plan["steps"])


def test_test_alert_is_published(world: World) -> None:
    with world.recorded() as calls:
        assert ask(world, "test-alert")["message_id"]
    # What was asked for is kept before and after; settings name the places.
    names = [name for name, _ in calls if name != "GetItem"]
    assert names == ["TransactWriteItems", "Publish", "TransactWriteItems"]


def test_test_alert_reaches_every_place_even_in_quiet_hours(world: World) -> None:
    named = {
        "slack": "slack:C0123456",
        "routes": [{"to": ["webhook:security", "slack:C0123456"], "severity": "critical"}],
        "quiet_hours": {"begin": "00:00", "end": "00:00"},
    }
    world.settings(settings={"alerts": named})
    answer = ask(world, "test-alert")
    assert answer["places"] == ["topic", "slack:C0123456", "webhook:security"]
    ask(world, "test-alert")
    first, second = world.untold()
    assert isinstance(first, Notice)
    assert first.to == ("slack:C0123456", "webhook:security")
    assert "nothing happened" in first.title
    alerts = world.services.accepted(world.now).settings.alerts
    assert not routing.is_held_back(first, alerts, world.now)
    assert first != second


@pytest.mark.parametrize(
    "request_",
    [
        None,
        [],
        {},
        {"act": "delete-everything", "by": "x"},
        {"act": 7, "by": "x"},
        {"act": "release", "by": "x", "finding": "f", "reason": ""},
        {"act": "pause", "by": "x", "hours": 1e9, "reason": "for ever"},
        {"act": "status"},
        {"act": "status", "by": "x", "extra": 1},
    ],
)
def test_bad_requests_get_one_line_and_change_nothing(world: World, request_: object) -> None:
    with world.recorded() as calls:
        answer = operating.answer(request_, services=world.services, now=world.now)
    assert answer["ok"] is False
    assert "\n" not in str(answer["error"])
    assert calls == []


def test_exemption_in_the_past_is_refused_with_its_field(world: World) -> None:
    world.settings(settings={"ceiling": "report"})
    world.deliver(a_key(world)[1])
    answer = ask(
        world,
        "exempt",
        finding=world.finding("iam-access-key-created").key,
        owner="ana@example.com",
        reason="legacy",
        ticket="SEC-1",
        until=(world.now - timedelta(days=1)).isoformat(),
    )
    assert answer["ok"] is False


def test_settings_that_this_version_cannot_read_only_report_and_can_be_replaced(
    world: World,
) -> None:
    stored = world.ledger.accepted()
    assert stored is not None
    value = json.loads(stored.model_dump_json())
    value["settings"]["of_another_version"] = 1
    boto3.client("dynamodb").update_item(
        TableName="keyward-ledger",
        Key={"pk": {"S": "settings"}, "sk": {"S": "accepted"}},
        UpdateExpression="SET body = :b",
        ExpressionAttributeValues={":b": {"B": zlib.compress(json.dumps(value).encode())}},
    )
    found = world.ledger.accepted()
    assert found is not None
    assert found.ceiling(world.now) is Mode.REPORT
    world.ledger.accept(Accepted(version=found.version + 1), replacing=found.version)
