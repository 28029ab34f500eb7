"""Dead letters, and what EventBridge kept: as the operator function takes and sends them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import moto
import pytest
from botocore.stub import Stubber

from keyward.errors import GatewayError, NotFoundError
from keyward.gateways.events import EventsGateway
from keyward.gateways.sqs import BATCH_SIZE, MARK, Letter, SqsGateway
from keyward.services import Environment, Services

REGION = "eu-central-1"
HUB = "123456789012"
PREFIX = f"arn:aws:events:{REGION}:{HUB}:"
NOW = datetime(2027, 1, 31, 12, tzinfo=UTC)
LETTER = Letter(id="1", receipt="r", body="text", attributes={})


@dataclass
class Queue:
    """A queue, and our gateway to it."""

    client: Any
    url: str

    @property
    def gateway(self) -> SqsGateway:
        return SqsGateway(client=self.client, url=self.url)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """A client of a service of an account in which there is nothing."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with moto.mock_aws():
        yield lambda service: boto3.client(service, region_name=REGION)  # type: ignore[call-overload]  # the service is a variable


@pytest.fixture
def queue(aws: Callable[[str], Any]) -> Queue:
    client = aws("sqs")
    return Queue(client, client.create_queue(QueueName="keyward-test-dead-letters")["QueueUrl"])


def test_letters_are_hidden_from_others_until_they_are_deleted(queue: Queue) -> None:
    for number in range(BATCH_SIZE + 2):
        queue.gateway.send(str(number))
    first = queue.gateway.receive(hidden_seconds=60)
    second = queue.gateway.receive(hidden_seconds=60)
    assert (len(first), len(second)) == (BATCH_SIZE, 2)
    assert {it.body for it in (*first, *second)} == {str(n) for n in range(BATCH_SIZE + 2)}
    assert queue.gateway.receive(hidden_seconds=60) == []
    assert queue.gateway.length() == BATCH_SIZE + 2
    for letter in first:
        queue.gateway.delete(letter)
    assert queue.gateway.length() == 2


def test_a_letter_that_is_not_deleted_is_seen_again(queue: Queue) -> None:
    queue.gateway.send("text")
    (first,) = queue.gateway.receive(hidden_seconds=0)
    (again,) = queue.gateway.receive(hidden_seconds=60)
    assert (first.id, again.body) == (again.id, "text")


def test_a_message_that_waits_for_its_delay_counts(queue: Queue) -> None:
    queue.gateway.send("text", delay_seconds=600)
    assert queue.gateway.length() == 1


def test_a_mark_comes_with_the_message(queue: Queue) -> None:
    queue.gateway.send_marked("text", mark="2027-01-31T12:00:00")
    (letter,) = queue.gateway.receive(hidden_seconds=60)
    assert letter.attributes == {MARK: "2027-01-31T12:00:00"}


def test_what_eventbridge_wrote_on_a_letter_is_read(queue: Queue) -> None:
    queue.client.send_message(
        QueueUrl=queue.url,
        MessageBody="text",
        MessageAttributes={
            "TARGET_ARN": {"DataType": "String", "StringValue": "arn"},
            "RETRY_ATTEMPTS": {"DataType": "Number", "StringValue": "185"},
            "OTHER": {"DataType": "Binary", "BinaryValue": b"x"},
        },
    )
    (letter,) = queue.gateway.receive(hidden_seconds=60)
    assert letter.attributes == {"TARGET_ARN": "arn", "RETRY_ATTEMPTS": "185", "OTHER": ""}


CALLS: dict[str, Callable[[SqsGateway], object]] = {
    "receive_message": lambda it: it.receive(hidden_seconds=1),
    "send_message": lambda it: it.send_marked("text", mark="now"),
    "delete_message": lambda it: it.delete(LETTER),
    "get_queue_attributes": lambda it: it.length(),
}


@pytest.mark.parametrize(
    ("code", "retryable"), [("ThrottlingException", True), ("AccessDenied", False)]
)
@pytest.mark.parametrize("operation", CALLS)
def test_a_refusal_is_the_gateways_error(
    queue: Queue, operation: str, code: str, *, retryable: bool
) -> None:
    with Stubber(queue.client) as stub:
        stub.add_client_error(operation, code)
        with pytest.raises(GatewayError) as raised:
            CALLS[operation](queue.gateway)
    assert (raised.value.code, raised.value.retryable) == (code, retryable)


def services() -> Services:
    place = f"https://sqs.{REGION}.amazonaws.com/{HUB}"
    return Services(
        environment=Environment(
            table="keyward-ledger",
            hub_account=HUB,
            function="keyward-operator",
            topic_arn=f"arn:aws:sns:{REGION}:{HUB}:keyward-alerts",
            center_queue_url=f"{place}/keyward-identity-center-guard",
        )
    )


def test_a_queue_is_found_by_its_name(queue: Queue) -> None:
    queue.gateway.send("text")
    assert services().queue_named("keyward-test-dead-letters").length() == 1


def test_the_archive_is_replayed_onto_the_bus_that_it_is_of(aws: Callable[[str], Any]) -> None:
    client = aws("events")
    bus = client.create_event_bus(Name="keyward")["EventBusArn"]
    archive = client.create_archive(ArchiveName="keyward", EventSourceArn=bus)["ArchiveArn"]
    events = services().events
    start, end = NOW - timedelta(hours=2), NOW - timedelta(hours=1)
    events.start_replay("keyward-1", start=start, end=end)
    made = client.describe_replay(ReplayName="keyward-1")
    assert archive.startswith(made["EventSourceArn"])
    assert made["Destination"] == {"Arn": bus}
    found = events.replay("keyward-1")
    assert (found.start, found.end, found.last) == (start, end, None)
    assert (found.state, found.over) == ("COMPLETED", True)


@pytest.mark.parametrize(
    ("state", "over"),
    [
        ("STARTING", False),
        ("RUNNING", False),
        ("CANCELLING", False),
        ("COMPLETED", True),
        ("CANCELLED", True),
        ("FAILED", True),
    ],
)
def test_a_replay_says_how_far_it_is(aws: Callable[[str], Any], state: Any, *, over: bool) -> None:
    client = aws("events")
    with Stubber(client) as stub:
        stub.add_response(
            "describe_replay",
            {
                "ReplayName": "keyward-1",
                "State": state,
                "StateReason": "so it is",
                "EventStartTime": NOW,
                "EventEndTime": NOW,
                "EventLastReplayedTime": NOW,
            },
            {"ReplayName": "keyward-1"},
        )
        found = EventsGateway(client=client, prefix=PREFIX).replay("keyward-1")
    assert (found.state, found.reason, found.last, found.over) == (state, "so it is", NOW, over)


@pytest.mark.parametrize(
    ("code", "kind"),
    [("ResourceNotFoundException", NotFoundError), ("AccessDeniedException", GatewayError)],
)
def test_what_eventbridge_refuses_is_the_gateways_error(
    aws: Callable[[str], Any], code: str, kind: type[GatewayError]
) -> None:
    client = aws("events")
    gateway = EventsGateway(client=client, prefix=PREFIX)
    calls: dict[str, Callable[[], object]] = {
        "start_replay": lambda: gateway.start_replay("keyward-1", start=NOW, end=NOW),
        "describe_replay": lambda: gateway.replay("keyward-1"),
    }
    for operation, call in calls.items():
        with Stubber(client) as stub:
            stub.add_client_error(operation, code)
            with pytest.raises(kind) as raised:
                call()
        assert raised.value.code == code
