"""The queue by which a guard comes back to what AWS has not finished."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import moto
import pytest
from botocore.stub import Stubber

from keyward.errors import GatewayError
from keyward.events import Follow, loads, message
from keyward.gateways.sqs import LONGEST_DELAY_SECONDS, SqsGateway

REGION = "us-east-1"
FINDING = "0123456789abcdef0123"


@dataclass
class Queue:
    """A queue, and what was asked of it."""

    client: Any
    url: str
    asked: list[dict[str, Any]] = field(default_factory=list)

    @property
    def gateway(self) -> SqsGateway:
        return SqsGateway(client=self.client, url=self.url)


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    with moto.mock_aws():
        client = boto3.client("sqs", region_name=REGION)
        queue = Queue(client, client.create_queue(QueueName="keyward-test")["QueueUrl"])
        client.meta.events.register(
            "provide-client-params.sqs.SendMessage",
            lambda params, **_: queue.asked.append(params),
        )
        yield queue


def test_what_is_sent_at_once_is_there_as_it_was_sent(queue: Queue) -> None:
    queue.gateway.send("text")
    (received,) = queue.client.receive_message(QueueUrl=queue.url)["Messages"]
    assert received["Body"] == "text"


def test_a_word_to_itself_is_one_that_keyward_reads(queue: Queue) -> None:
    queue.gateway.follow(FINDING, ticket=3, delay_seconds=0)
    (received,) = queue.client.receive_message(QueueUrl=queue.url)["Messages"]
    assert message(loads(received["Body"])) == Follow(finding=FINDING, ticket=3)
    assert json.loads(received["Body"]) == {"keyward": "follow", "finding": FINDING, "ticket": 3}


@pytest.mark.parametrize(
    ("asked", "given"),
    [(0, 0), (30, 30), (LONGEST_DELAY_SECONDS, 900), (LONGEST_DELAY_SECONDS + 1, 900)],
)
def test_a_delay_is_never_longer_than_sqs_allows(queue: Queue, asked: int, given: int) -> None:
    queue.gateway.follow(FINDING, ticket=1, delay_seconds=asked)
    assert [it["DelaySeconds"] for it in queue.asked] == [given]


@pytest.mark.parametrize(
    ("code", "retryable"), [("ThrottlingException", True), ("AccessDenied", False)]
)
def test_a_refusal_is_the_gateways_error(queue: Queue, code: str, *, retryable: bool) -> None:
    with Stubber(queue.client) as stub:
        stub.add_client_error("send_message", code)
        with pytest.raises(GatewayError) as raised:
            queue.gateway.send("text")
    assert (raised.value.code, raised.value.retryable) == (code, retryable)
