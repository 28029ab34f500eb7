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

from keyward import rules
from keyward.errors import EventError, GatewayError
from keyward.events import Follow, RolloutStep, loads, message
from keyward.gateways.sqs import BATCH_ATTEMPTS, LONGEST_DELAY_SECONDS, SqsGateway
from keyward.services import Environment, Services

REGION = "us-east-1"
ROLLOUT = "20260301T120000-one"
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


def test_the_next_step_of_a_rollout_is_one_that_keyward_reads(queue: Queue) -> None:
    queue.gateway.roll(ROLLOUT, ticket=3, delay_seconds=0)
    (received,) = queue.client.receive_message(QueueUrl=queue.url)["Messages"]
    assert message(loads(received["Body"])) == RolloutStep(id=ROLLOUT, ticket=3)
    assert json.loads(received["Body"]) == {"keyward": "rollout", "id": ROLLOUT, "ticket": 3}


@pytest.mark.parametrize("id_", ["a", "x" * 64, ROLLOUT])
@pytest.mark.parametrize("ticket", [0, 10**9])
def test_any_step_of_a_rollout_is_read(id_: str, ticket: int) -> None:
    asked = {"keyward": "rollout", "id": id_, "ticket": ticket}
    assert message(asked) == RolloutStep(id=id_, ticket=ticket)


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": ""},
        {"id": "x" * 65},
        {"id": "one\ntwo"},
        {"id": "über"},
        {"id": None},
        {"id": 1},
        {"id": ["one"]},
        {"ticket": -1},
        {"ticket": None},
        {"ticket": 1.5},
        {"ticket": "soon"},
        {"more": 1},
        {"keyward": "rollouts"},
        {"keyward": ["rollout"]},
    ],
)
def test_a_step_of_a_rollout_that_is_none_goes_to_the_dead_letters(wrong: dict[str, Any]) -> None:
    with pytest.raises(EventError):
        message({"keyward": "rollout", "id": ROLLOUT, "ticket": 1} | wrong)


@pytest.mark.parametrize("missing", ["id", "ticket"])
def test_a_step_of_a_rollout_says_which_and_when(missing: str) -> None:
    asked = {"keyward": "rollout", "id": ROLLOUT, "ticket": 1}
    del asked[missing]
    with pytest.raises(EventError):
        message(asked)


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


def received(queue: Queue) -> list[str]:
    bodies: list[str] = []
    while messages := queue.client.receive_message(QueueUrl=queue.url, MaxNumberOfMessages=10).get(
        "Messages"
    ):
        bodies += [it["Body"] for it in messages]
        for it in messages:
            queue.client.delete_message(QueueUrl=queue.url, ReceiptHandle=it["ReceiptHandle"])
    return bodies


@pytest.mark.parametrize(("number", "calls"), [(0, 0), (1, 1), (10, 1), (11, 2), (25, 3)])
def test_many_are_sent_ten_a_call(queue: Queue, number: int, calls: int) -> None:
    batches: list[object] = []
    queue.client.meta.events.register(
        "provide-client-params.sqs.SendMessageBatch",
        lambda params, **_: batches.append(params),
    )
    bodies = [f"message {n}" for n in range(number)]
    queue.gateway.send_all(iter(bodies))
    assert sorted(received(queue)) == sorted(bodies)
    assert len(batches) == calls


def entries(*bodies: tuple[str, str]) -> list[dict[str, str]]:
    return [{"Id": id_, "MessageBody": body} for id_, body in bodies]


def taken(*ids: str) -> list[dict[str, str]]:
    return [{"Id": id_, "MessageId": id_, "MD5OfMessageBody": "0" * 32} for id_ in ids]


def refused(*ids: str, ours: bool = False) -> list[dict[str, object]]:
    return [{"Id": id_, "SenderFault": ours, "Code": "InternalError"} for id_ in ids]


def test_what_sqs_does_not_take_is_sent_again_and_nothing_else(queue: Queue) -> None:
    with Stubber(queue.client) as stub:
        stub.add_response(
            "send_message_batch",
            {"Successful": taken("0"), "Failed": refused("1", "2")},
            {"QueueUrl": queue.url, "Entries": entries(("0", "a"), ("1", "b"), ("2", "c"))},
        )
        stub.add_response(
            "send_message_batch",
            {"Successful": taken("1"), "Failed": refused("2")},
            {"QueueUrl": queue.url, "Entries": entries(("1", "b"), ("2", "c"))},
        )
        stub.add_response(
            "send_message_batch",
            {"Successful": taken("2"), "Failed": []},
            {"QueueUrl": queue.url, "Entries": entries(("2", "c"))},
        )
        queue.gateway.send_all(["a", "b", "c"])
        stub.assert_no_pending_responses()


def test_what_sqs_never_takes_is_an_error_that_a_later_try_may_mend(queue: Queue) -> None:
    with Stubber(queue.client) as stub:
        for _ in range(BATCH_ATTEMPTS):
            stub.add_response("send_message_batch", {"Successful": [], "Failed": refused("0")})
        with pytest.raises(GatewayError) as raised:
            queue.gateway.send_all(["a"])
        stub.assert_no_pending_responses()
    assert (raised.value.code, raised.value.retryable) == ("InternalError", True)


def test_what_is_our_fault_is_not_sent_again(queue: Queue) -> None:
    with Stubber(queue.client) as stub:
        failed = [*refused("1"), *refused("0", ours=True)]
        stub.add_response("send_message_batch", {"Successful": [], "Failed": failed})
        with pytest.raises(GatewayError) as raised:
            queue.gateway.send_all(["a", "b"])
        stub.assert_no_pending_responses()
    assert not raised.value.retryable


@pytest.mark.parametrize(
    ("code", "retryable"), [("ThrottlingException", True), ("AccessDenied", False)]
)
def test_a_refusal_of_many_is_the_gateways_error(
    queue: Queue, code: str, *, retryable: bool
) -> None:
    with Stubber(queue.client) as stub:
        stub.add_client_error("send_message_batch", code)
        with pytest.raises(GatewayError) as raised:
            queue.gateway.send_all(["text"])
    assert (raised.value.code, raised.value.retryable) == (code, retryable)


@pytest.mark.parametrize("guard", ["account_baseline", "identity_center_guard"])
def test_what_is_done_is_followed_on_the_queue_of_its_own_guard(
    guard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with moto.mock_aws():
        client = boto3.client("sqs", region_name=REGION)
        urls = {
            name: client.create_queue(QueueName=name)["QueueUrl"]
            for name in ("account_baseline", "identity_center_guard")
        }
        services = Services(
            environment=Environment(
                table="keyward-ledger",
                hub_account="123456789012",
                function="keyward-operator",
                center_queue_url=urls["identity_center_guard"],
                baseline_queue_url=urls["account_baseline"],
                region=REGION,
            ),
            sleep=lambda _seconds: None,
        )
        followed = rules.of_guard(guard)
        for rule in followed:
            services.queue_of(rule.id).follow(FINDING, ticket=1, delay_seconds=0)
        waiting = {
            name: int(
                client.get_queue_attributes(
                    QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
                )["Attributes"]["ApproximateNumberOfMessages"]
            )
            for name, url in urls.items()
        }
    assert followed
    assert waiting == {name: len(followed) if name == guard else 0 for name in urls}
