"""The queue by which a guard comes back to what AWS has not finished."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING

from keyward.errors import GatewayError
from keyward.gateways.translate import translated

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

LONGEST_DELAY_SECONDS = 900
"""Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-timers.html"""

BATCH_SIZE = 10
"""SendMessageBatch takes no more messages at once.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
"""

BATCH_ATTEMPTS = 4
"""So often messages of a batch are sent that SQS doesn't take."""


def follow_message(finding: str, *, ticket: int) -> str:
    """The message that has somebody look how far the act on this finding is."""
    return json.dumps({"keyward": "follow", "finding": finding, "ticket": ticket})


MARK = "keyward-redriven"
"""The message attribute that says when a dead letter was moved back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message as it lies among dead letters, with what EventBridge or Keyward wrote on it."""

    id: str
    receipt: str
    body: str
    attributes: Mapping[str, str]


class SqsGateway:
    """One queue. Every method raises GatewayError."""

    def __init__(self, *, client: "SQSClient", url: str) -> None:
        self._client, self._url = client, url

    def send(self, body: str, *, delay_seconds: int = 0) -> None:
        """Puts a message on the queue, to be seen after the delay; 15 minutes at most."""
        with translated("SendMessage to Keyward's own queue"):
            self._client.send_message(
                QueueUrl=self._url,
                MessageBody=body,
                DelaySeconds=min(delay_seconds, LONGEST_DELAY_SECONDS),
            )

    def send_all(self, bodies: Iterable[str]) -> None:
        """Puts all of these on the queue, ten a call; what SQS doesn't take is sent again.

        Raises GatewayError where some are refused for good, or some times: others are there then.
        """
        for some in batched(bodies, BATCH_SIZE, strict=False):
            left = {str(number): body for number, body in enumerate(some)}
            for _ in range(BATCH_ATTEMPTS):
                with translated("SendMessageBatch to Keyward's own queue"):
                    answer = self._client.send_message_batch(
                        QueueUrl=self._url,
                        Entries=[{"Id": id_, "MessageBody": it} for id_, it in left.items()],
                    )
                refused = answer.get("Failed", [])
                left = {it["Id"]: left[it["Id"]] for it in refused}
                if not left or any(it["SenderFault"] for it in refused):
                    break
            if left:
                code = refused[0]["Code"]
                message = f"SendMessageBatch to Keyward's own queue: {code}"
                is_ours = any(it["SenderFault"] for it in refused)
                raise GatewayError(message, code=code, retryable=not is_ours)

    def roll(self, rollout: str, *, ticket: int, delay_seconds: int) -> None:
        """Takes the next step of this rollout after the delay."""
        message = {"keyward": "rollout", "id": rollout, "ticket": ticket}
        self.send(json.dumps(message), delay_seconds=delay_seconds)

    def follow(self, finding: str, *, ticket: int, delay_seconds: int) -> None:
        """Comes back to the act on this finding after the delay."""
        self.send(follow_message(finding, ticket=ticket), delay_seconds=delay_seconds)

    # Dead letters

    def receive(self, *, hidden_seconds: int) -> list[Letter]:
        """Some of the messages that can be seen, ten at most; nobody else sees them for so long.

        It waits a moment for them, so that all of SQS's servers are asked.
        Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html
        """
        with translated("ReceiveMessage of Keyward's dead letters"):
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=BATCH_SIZE,
                VisibilityTimeout=hidden_seconds,
                WaitTimeSeconds=1,
                MessageAttributeNames=["All"],
            )
        return [
            Letter(
                id=it["MessageId"],
                receipt=it["ReceiptHandle"],
                body=it["Body"],
                attributes={
                    name: str(value.get("StringValue", ""))
                    for name, value in it.get("MessageAttributes", {}).items()
                },
            )
            for it in answer.get("Messages", [])
        ]

    def send_marked(self, body: str, *, mark: str) -> None:
        """Puts a message on the queue that bears a mark: it keeps it, wherever SQS moves it."""
        with translated("SendMessage to Keyward's own queue"):
            self._client.send_message(
                QueueUrl=self._url,
                MessageBody=body,
                MessageAttributes={MARK: {"DataType": "String", "StringValue": mark}},
            )

    def delete(self, letter: Letter) -> None:
        """Takes a message off the queue for good."""
        with translated("DeleteMessage of Keyward's dead letters"):
            self._client.delete_message(QueueUrl=self._url, ReceiptHandle=letter.receipt)

    def length(self) -> int:
        """About how many messages there are, those that somebody is at among them."""
        with translated("GetQueueAttributes of Keyward's own queue"):
            answer = self._client.get_queue_attributes(
                QueueUrl=self._url,
                AttributeNames=[
                    "ApproximateNumberOfMessages",
                    "ApproximateNumberOfMessagesNotVisible",
                    "ApproximateNumberOfMessagesDelayed",
                ],
            )
        return sum(map(int, answer["Attributes"].values()))
