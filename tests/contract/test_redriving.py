"""What the operator function believes of queues, archive and schedules is what the template has."""

from __future__ import annotations

from keyward.alive import WAYS
from keyward.gateways.events import NAME
from keyward.redriving import ADVICE, ARCHIVE_DAYS, DEAD, EVERY, QUEUES
from keyward.standing import ALARMS, CANARY_AGE, CENTER, ROLE, SOURCES
from tests.contract.templates import PROJECT, hub

HUB = hub()
QUEUE_TYPE = "AWS::SQS::Queue"
PRESSES = "keyward-operator"
"""What somebody pressed and nobody did then is not done later: he may have changed his mind."""


def test_every_queue_of_dead_letters_is_known() -> None:
    names = {it["QueueName"] for it in HUB.of_type(QUEUE_TYPE).values()}
    assert {name for name in names if name.endswith(DEAD)} == {name + DEAD for name in EVERY}


def test_what_goes_back_goes_to_the_queue_whose_dead_letters_they_are() -> None:
    arns = {
        it["QueueName"]: it["RedrivePolicy"]["deadLetterTargetArn"].rpartition(":")[2]
        for it in HUB.of_type(QUEUE_TYPE).values()
        if "RedrivePolicy" in it
    }
    assert arns == {name: name + DEAD for name in (*QUEUES, PRESSES)}


def test_dead_letters_that_go_nowhere_are_those_of_no_queue() -> None:
    fed_by_queue = {
        it["EventSourceArn"].rpartition(":")[2]
        for it in HUB.of_type("AWS::Lambda::EventSourceMapping").values()
        if ":sqs:" in it["EventSourceArn"]
    }
    assert fed_by_queue == {*QUEUES, PRESSES}
    assert fed_by_queue & ADVICE.keys() == {PRESSES}


def test_the_archive_is_replayed_as_far_back_as_it_keeps_events() -> None:
    (archive,) = HUB.of_type("AWS::Events::Archive").values()
    assert (archive["ArchiveName"], archive["RetentionDays"]) == (NAME, ARCHIVE_DAYS)
    buses = {bus["Name"] for bus in HUB.of_type("AWS::Events::EventBus").values()}
    assert buses == {NAME, f"{NAME}-out"}


def test_every_way_of_a_canary_is_a_source_that_status_shows() -> None:
    assert set(SOURCES) == set(WAYS)
    assert CANARY_AGE.total_seconds() >= 3 * 600


def test_what_status_says_to_look_up_is_in_the_runbook() -> None:
    runbook = (PROJECT / "docs/operations.md").read_text().replace("*", "")
    assert [it for it in (ROLE, CENTER, f"## {ALARMS}") if it not in runbook] == []
