"""What people hear: a queue that gets every alert of the hub's topic, and when it is complete."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from local.organization import Organization

IAM_GUARD = "keyward-iam-guard"
IAM_SWEEP = "keyward-iam-sweep"
IDENTITY_CENTER_GUARD = "keyward-identity-center-guard"
ACCOUNT_BASELINE = "keyward-account-baseline"
SETTINGS_GUARD = "keyward-settings-guard"
# Without those that change Identity Center: they come back to what AWS has not finished.
AT_ONCE = (IAM_GUARD, SETTINGS_GUARD)
LEDGER = "keyward-ledger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """An alert as a subscriber of the topic gets it."""

    subject: str
    body: str
    attributes: dict[str, str]


@dataclass(slots=True)
class Inbox:
    """Subscribes to the alerts on creation, and keeps what nobody has read."""

    organization: Organization
    unread: list[Heard] = field(default_factory=list)
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
        """Return the alerts that came since the last look."""
        return self.take(lambda _: True)

    def take(self, wanted: Callable[[Heard], bool]) -> list[Heard]:
        """Return the wanted ones of those that nobody has read; the others stay unread."""
        self.unread += self._received()
        taken = [heard for heard in self.unread if wanted(heard)]
        self.unread = [heard for heard in self.unread if not wanted(heard)]
        return taken

    def wait_for(self, about: str, seconds: float = 45) -> list[Heard]:
        """Return the alerts with these words in their subject as soon as there is one.

        Raises:
            TimeoutError: there is none.

        """
        return self.wait_to_hear(lambda heard: about in heard.subject, about, seconds)

    def wait_to_hear(
        self, wanted: Callable[[Heard], bool], about: str, seconds: float = 45
    ) -> list[Heard]:
        """Return the wanted alerts as soon as there is one; `about` says which those are.

        Raises:
            TimeoutError: there is none.

        """
        found: list[Heard] = []

        def arrived() -> bool:
            found.extend(self.take(wanted))
            return bool(found)

        wait_until(arrived, f"there is an alert about {about}", seconds)
        return found

    def read_when_quiet(self, seconds: float = 30, guards: Iterable[str] = AT_ONCE) -> list[Heard]:
        """Return what was told once the guards have done all they were given, and all is told.

        Raises:
            TimeoutError: something was still to be done, or to be told.

        """
        self.wait_until_quiet(seconds, guards)
        return self.read()

    def wait_until_quiet(self, seconds: float = 30, guards: Iterable[str] = AT_ONCE) -> None:
        """Return once the guards have done all they were given, and all is told.

        Raises:
            TimeoutError: something was still to be done, or to be told.

        """
        for guard in guards:
            self.wait_until_few(guard, seconds=seconds)
        wait_until(lambda: all_told(self.organization), "every finding is told", seconds)

    def wait_until_few(
        self, guard: str, left: int = 0, *, in_hand: bool = True, seconds: float = 30
    ) -> None:
        """Return once a guard has no more than so many messages left to look at.

        Raises:
            TimeoutError: it has more.

        """
        wait_until(
            lambda: unfinished(self.organization, guard, in_hand=in_hand) <= left,
            f"{guard} is done",
            seconds,
        )

    def wait_until_idle(self, guard: str, seconds: float = 30) -> None:
        """Return once a guard has taken all that it was given; what it put off may be left.

        Raises:
            TimeoutError: it has not; the rest is in hand, or nobody took it.

        """
        at_hand = ("", "NotVisible")
        wait_until(
            lambda: sum(counts(self.organization, guard)[it] for it in at_hand) == 0,
            f"{guard} is idle",
            seconds,
        )

    def _received(self) -> list[Heard]:
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
        return new


def unfinished(organization: Organization, guard: str, *, in_hand: bool = True) -> int:
    """Return how many messages a guard has waiting, put off, or in hand.

    In hand is also what a function gave back as failed, until SQS shows it again.
    """
    found = counts(organization, guard)
    return sum(number for state, number in found.items() if in_hand or state != "NotVisible")


def counts(organization: Organization, guard: str) -> dict[str, int]:
    """Return a guard's messages by what SQS calls their state: none, Delayed, or NotVisible."""
    sqs, common = organization.hub.sqs, "ApproximateNumberOfMessages"
    found = sqs.get_queue_attributes(
        QueueUrl=sqs.get_queue_url(QueueName=guard)["QueueUrl"],
        AttributeNames=[
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesDelayed",
            "ApproximateNumberOfMessagesNotVisible",
        ],
    )["Attributes"]
    return {name.removeprefix(common): int(number) for name, number in found.items()}


def dead_letters(organization: Organization) -> int:
    """Return how many messages lie in all dead-letter queues together."""
    sqs = organization.hub.sqs
    total = 0
    for queue in sqs.list_queues(QueueNamePrefix="keyward-")["QueueUrls"]:
        if queue.endswith("dead-letters"):
            found = sqs.get_queue_attributes(
                QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"]
            )
            total += int(found["Attributes"]["ApproximateNumberOfMessages"])
    return total


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
