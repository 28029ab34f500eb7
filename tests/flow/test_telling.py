"""The ledger's stream and schedule tell everything once, and fold a storm."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from keyward import telling
from keyward.errors import GatewayError
from keyward.findings import Notice, Severity
from tests.flow.test_access_keys import a_key
from tests.flow.world import HUB, REGION, aws_error

if TYPE_CHECKING:
    from tests.flow.world import World


def messages(world: World) -> list[dict[str, Any]]:
    """What Keyward published while `world.recorded()`."""
    return [params for name, params in world.calls if name == "Publish"]


def a_notice(world: World, number: int) -> Notice:
    notice = Notice(
        kind="setting-refused",
        id=str(number),
        title=f"Bad {number}",
        text="why",
        severity=Severity.HIGH,
        at=world.now,
    )
    assert world.ledger.notice(notice)
    return notice


def test_finding_is_told_once_however_often_the_stream_repeats_it(world: World) -> None:
    world.deliver(a_key(world)[1])
    items = world.untold()
    with world.recorded():
        for _ in range(3):
            telling.tell(items, services=world.services, now=world.now)
    assert len(messages(world)) == 1
    assert world.untold() == []


def test_notice_is_kept_and_told_once(world: World) -> None:
    notice = a_notice(world, 1)
    assert not world.ledger.notice(notice)
    with world.recorded():
        telling.tell([notice], services=world.services, now=world.now)
        telling.tell([notice], services=world.services, now=world.now)
    assert len(messages(world)) == 1


def test_what_could_not_be_told_is_told_later(world: World) -> None:
    world.deliver(a_key(world)[1])

    def down(operation: str, _params: object, call: Any) -> object:
        if operation == "Publish":
            raise aws_error("ServiceUnavailable", operation, 503)
        return call()

    world.fault = down
    with world.recorded(), pytest.raises(GatewayError):
        telling.tell(world.untold(), services=world.services, now=world.now)
    assert len(world.untold()) == 1

    world.fault = None
    world.later(minutes=5)
    with world.recorded():
        assert telling.tell_the_rest(services=world.services, now=world.now) == 1
    assert len(messages(world)) == 1
    assert world.untold() == []


def test_storm_is_folded_into_a_digest(world: World) -> None:
    notices = [a_notice(world, number) for number in range(40)]
    with world.recorded():
        telling.tell(notices, services=world.services, now=world.now)
        world.later(minutes=5)
        telling.tell_the_rest(services=world.services, now=world.now)
    sent = messages(world)
    assert len(sent) == 9
    assert sent[-1]["Subject"] == "[HIGH] 32 Keyward alerts, folded"
    assert world.untold() == []


def test_what_just_changed_is_left_to_the_stream(world: World) -> None:
    a_notice(world, 1)
    assert telling.tell_the_rest(services=world.services, now=world.now) == 0


def test_finding_that_changes_while_it_is_told_stays_to_be_told(world: World) -> None:
    key_id, event = a_key(world)
    world.deliver(event)
    (stale,) = world.untold()
    world.iam().update_access_key(UserName="ci", AccessKeyId=key_id, Status="Active")
    world.later(minutes=5)
    world.deliver(event)
    world.ledger.told(stale)
    assert len(world.untold()) == 1


def test_programs_get_findings_and_acts_by_the_bus_and_security_hub(world: World) -> None:
    boto3.client("events", region_name=REGION).create_event_bus(Name="keyward-out")
    hub = boto3.client("securityhub", region_name=REGION)
    hub.enable_security_hub()
    world.more = {"out_bus": "keyward-out", "security_hub": True}
    world.restart()
    world.deliver(a_key(world)[1])
    finding = world.finding("iam-access-key-created")
    with world.recorded() as calls:
        telling.tell(world.untold(), services=world.services, now=world.now)
    (entries,) = [params["Entries"] for name, params in calls if name == "PutEvents"]
    assert {(it["Source"], it["EventBusName"]) for it in entries} == {("keyward", "keyward-out")}
    assert [it["DetailType"] for it in entries] == ["keyward.finding", "keyward.action"]
    assert {json.loads(it["Detail"])["finding"] for it in entries} == {finding.key}
    (imported,) = hub.get_findings()["Findings"]
    assert imported["Id"] == f"keyward/{world.member}/{finding.key}"
    assert (imported["AwsAccountId"], imported["RecordState"]) == (HUB, "ACTIVE")


def test_alert_for_chat_applications_has_two_forms_and_e_mail_gets_the_plain_one(
    world: World,
) -> None:
    """What Amazon Q Developer in chat applications makes of it was not tried."""
    for chat in (False, True):
        world.settings(settings={"ceiling": "report", "alerts": {"chat_applications": chat}})
        world.deliver(a_key(world, user=f"user-{chat}")[1])
        with world.recorded() as calls:
            telling.tell(world.untold(), services=world.services, now=world.now)
        (told,) = [params for name, params in calls if name == "Publish"]
        assert ("MessageStructure" in told) is chat
    parts = json.loads(told["Message"])
    assert parts.keys() == {"default", "https"}
    assert parts["default"].startswith("MEDIUM: ") or "Way back: " in parts["default"]
    assert json.loads(parts["https"])["source"] == "custom"
    assert told["Subject"].isascii()
