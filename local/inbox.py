"""What people hear: a queue that gets every alert of the hub's topic, and when it is complete."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.organization import Organization

GUARDS = ("keyward-iam-guard", "keyward-settings-guard")
LEDGER = "keyward-ledger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """An alert as a subscriber of the topic gets it."""

    subject: str
    body: str
    attributes: dict[str, str]


@dataclass(slots=True)
class Inbox:
    """Subscribes to the alerts on creation, and keeps all that arrive."""

    organization: Organization
    heard: list[Heard] = field(default_factory=list)
    _queue: str = field(init=False)

    def __post_init__(self) -> None:
        """Make the queue, let the topic send to it, subscribe it."""
        hub = self.organization.hub
        topic = self.organization.outputs()["AlertsTopicArn"]
        self._queue = hub.sqs.create_queue(QueueName=f"inbox-{time.time_ns()}")["QueueUrl"]
        found = hub.sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        arn = found["Attributes"]["QueueArn"]
        allowed = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        hub.sqs.set_queue_attributes(QueueUrl=self._queue, Attributes={"Policy": policy})
        hub.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def read(self) -> list[Heard]:
        """Return the alerts that came since the last look, and keep them in `heard`."""
        sqs = self.organization.hub.sqs
        new = []
        while messages := sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get(
            "Messages", []
        ):
            for message in messages:
                told = json.loads(message["Body"])
                attributes = told.get("MessageAttributes", {})
                new.append(
                    Heard(
                        subject=told.get("Subject", ""),
                        body=told["Message"],
                        attributes={name: a["Value"] for name, a in attributes.items()},
                    )
                )
                sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        self.heard += new
        return new

    def read_when_quiet(self, seconds: float = 30) -> list[Heard]:
        """Return what was told once the guards have done all they were given, and all is told.

        Raises:
            TimeoutError: something was still to be done, or to be told.

        """
        wait_until(lambda: at_rest(self.organization), "the guards are done", seconds)
        wait_until(lambda: all_told(self.organization), "every finding is told", seconds)
        return self.read()


def at_rest(organization: Organization) -> bool:
    """Return whether no guard has a message waiting or in hand."""
    sqs = organization.hub.sqs
    for name in GUARDS:
        found = sqs.get_queue_attributes(
            QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"],
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )
        if any(int(number) for number in found["Attributes"].values()):
            return False
    return True


def all_told(organization: Organization) -> bool:
    """Return whether the ledger holds nothing that people must still hear of."""
    found = organization.hub.dynamodb.query(
        TableName=LEDGER,
        IndexName="untold",
        KeyConditionExpression="untold = :untold",
        ExpressionAttributeValues={":untold": {"S": "untold"}},
        Select="COUNT",
    )
    return found["Count"] == 0


def wait_until(is_so: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Return when it is so.

    Raises:
        TimeoutError: it was not within the seconds; the message names what was waited for.

    """
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            message = f"after {seconds} s it is still not so: {what}"
            raise TimeoutError(message)
        time.sleep(0.1)
