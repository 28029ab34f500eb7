"""Keyward as an operator finds it: every queue, a bucket of inventories, and sweeps that were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import boto3

from keyward import redriving
from keyward.alive import WAYS
from keyward.redriving import DEAD
from keyward.sweep import IDENTITY_CENTER, CanaryMark, Sweep, SweepState, Swept, sweep_id
from tests.flow.world import HUB, REGION, World

BUCKET = "keyward-inventory"
PLACE = f"https://sqs.{REGION}.amazonaws.com/{HUB}"


@dataclass
class Operated:
    """The organization, and what only an operator looks at."""

    world: World
    sqs: Any

    def put(self, queue: str, body: str, **attributes: str) -> None:
        """A message as another service, or SQS itself, would leave it there."""
        self.sqs.send_message(
            QueueUrl=f"{PLACE}/{queue}",
            MessageBody=body,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value}
                for name, value in attributes.items()
            },
        )

    def length(self, queue: str) -> int:
        """How many messages there are, whether they can be seen or not."""
        return self.world.services.queue_named(queue).length()

    def taken(self, queue: str) -> list[str]:
        """The bodies of all messages that can be seen: they are gone afterwards."""
        bodies: list[str] = []
        url = f"{PLACE}/{queue}"
        while found := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for it in found:
                bodies.append(it["Body"])
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=it["ReceiptHandle"])
        return bodies

    def swept(
        self,
        *,
        ended_at: datetime | None = None,
        accounts: Iterable[str] | None = None,
        **changes: Any,
    ) -> Sweep:
        """A sweep that was everywhere, and found all as it should be."""
        world = self.world
        ended = ended_at or world.now - timedelta(hours=1)
        asked = sorted(accounts or {HUB, world.member, world.other_member})
        sweep = Sweep(
            id=sweep_id(ended - timedelta(minutes=20)),
            state=SweepState.DONE,
            started_at=ended - timedelta(minutes=20),
            listed_at=ended - timedelta(minutes=19),
            ended_at=ended,
            asked=len(asked),
            complete=True,
        ).model_copy(update=changes)
        world.ledger.save_sweep(sweep, replacing=None, asked=asked)
        for account in (*asked, IDENTITY_CENTER):
            self.saw(sweep, account)
        return sweep

    def saw(self, sweep: Sweep, account: str, **changes: Any) -> None:
        """What the sweep saw in one account."""
        seen = Swept(
            sweep=sweep.id,
            account=account,
            at=sweep.ended_at or self.world.now,
            forwarders={"keyward-forward@us-east-1": ""} if account != IDENTITY_CENTER else {},
            users=3,
        )
        self.world.ledger.saw(seen.model_copy(update=changes))

    def canaries(self, *, age: timedelta = timedelta(minutes=5)) -> None:
        """One that came along each way, so long ago."""
        sent = self.world.now - age
        for way in WAYS:
            self.world.ledger.canary_came(
                CanaryMark(way=way, sent=sent, arrived=sent + timedelta(seconds=2))
            )


@contextmanager
def an_operated(world: World) -> Iterator[Operated]:
    """Every queue as template.yaml names it, and the bucket."""
    sqs = boto3.client("sqs", region_name=REGION)
    for name in redriving.EVERY:
        sqs.create_queue(QueueName=name + DEAD)
    for name in redriving.QUEUES:
        sqs.create_queue(QueueName=name)
    boto3.client("s3", region_name=REGION).create_bucket(Bucket=BUCKET)
    services = world.services
    services.environment = replace(
        services.environment,
        sweep_queue_url=f"{PLACE}/keyward-sweep",
        iam_sweep_queue_url=f"{PLACE}/keyward-iam-sweep",
        inventory_bucket=BUCKET,
    )
    yield Operated(world=world, sqs=sqs)
