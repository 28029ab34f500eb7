"""The queue by which a guard comes back to what AWS has not finished."""

import json
from typing import TYPE_CHECKING

from keyward.gateways.translate import translated

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

LONGEST_DELAY_SECONDS = 900
"""Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-timers.html"""


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

    def roll(self, rollout: str, *, ticket: int, delay_seconds: int) -> None:
        """Takes the next step of this rollout after the delay."""
        message = {"keyward": "rollout", "id": rollout, "ticket": ticket}
        self.send(json.dumps(message), delay_seconds=delay_seconds)

    def follow(self, finding: str, *, ticket: int, delay_seconds: int) -> None:
        """Comes back to the act on this finding after the delay."""
        message = {"keyward": "follow", "finding": finding, "ticket": ticket}
        self.send(json.dumps(message), delay_seconds=delay_seconds)
