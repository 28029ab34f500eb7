"""Sweeps over the organization under moto: every queue in one line, delivered as they are due.

Delays are not waited for: the world's clock goes on by them. A delivery that fails comes again
after the visibility timeout, five times, and then lies among the dead letters.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import boto3

from keyward import events, pipeline, rules, sweeps, telling
from keyward.errors import GatewayError
from keyward.events import SweepPart, SweepStep
from keyward.findings import FindingRecord
from keyward.gateways.s3 import S3Gateway
from keyward.gateways.sqs import SqsGateway
from keyward.ledger import Ledger
from keyward.services import Services
from keyward.sweep import Sweep
from tests.faults.memory import MemoryTable
from tests.flow.world import REGION, World, prepare

VISIBLE_AGAIN = timedelta(seconds=360)
RECEIVES = 5
BUCKET = "keyward-inventory"

GUARDS = {
    "iam": rules.of_guard("iam_guard"),
    "identity-center": rules.of_guard("identity_center_guard"),
    "accounts": rules.of_guard("account_baseline"),
}


@dataclass
class Line:
    """All messages that wait, by when they are due."""

    clock: Callable[[], datetime]
    waiting: list[tuple[datetime, int, str, str, int]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    sent: Counter[str] = field(default_factory=Counter)

    def put(self, lane: str, body: str, *, delay_seconds: float = 0, receives: int = 0) -> None:
        due = self.clock() + timedelta(seconds=delay_seconds)
        heapq.heappush(self.waiting, (due, next(self.numbers), lane, body, receives))
        self.sent[lane] += 1


class Lane(SqsGateway):
    """One queue of the line."""

    def __init__(self, line: Line, name: str) -> None:
        self._line, self._name = line, name

    def send(self, body: str, *, delay_seconds: int = 0) -> None:
        self._line.put(self._name, body, delay_seconds=delay_seconds)

    def send_all(self, bodies: Iterable[str]) -> None:
        for body in bodies:
            self.send(body)


LANES = {
    "iam_sweep_queue": "iam",
    "center_queue": "identity-center",
    "baseline_queue": "accounts",
    "sweep_queue": "sweep",
}


@dataclass
class Sweeping:
    """The function sweep, the guards, and the line between them."""

    world: World
    line: Line
    table: MemoryTable
    dead: list[tuple[str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    delivered: Counter[str] = field(default_factory=Counter)

    def start(self, *, full: bool = False) -> None:
        """The schedule asks for a sweep."""
        step = SweepStep(id="scheduled", part=SweepPart.START, full=full)
        self.line.put("sweep", events.sweep_message(step))

    def run(self, *, full: bool = False, most: int = 20_000) -> Sweep:
        """A whole sweep, and everything that follows from it; how it ended."""
        self.start(full=full)
        self.drain(most=most)
        return self.world.ledger.sweeps()[-1]

    def drain(self, *, most: int = 20_000) -> None:
        """Delivers what waits until nothing is left."""
        for _ in range(most):
            if not self.waits():
                return
            self.next()
        message = f"still messages after {most}: {self.line.waiting[:3]}"
        raise AssertionError(message)

    def waits(self) -> bool:
        return bool(self.line.waiting)

    def next(self) -> None:
        """Delivers the message that is due first."""
        due, _, lane, body, receives = heapq.heappop(self.line.waiting)
        self.world.now = max(self.world.now, due)
        self.delivered[lane] += 1
        try:
            self.deliver(lane, body)
        except GatewayError as error:
            self.errors.append(str(error))
            if receives + 1 >= RECEIVES:
                self.dead.append((lane, body))
            else:
                again = VISIBLE_AGAIN.total_seconds()
                self.line.put(lane, body, delay_seconds=again, receives=receives + 1)

    def deliver(self, lane: str, body: str) -> None:
        """One delivery; errors come through."""
        services, now = self.world.services, self.world.now
        if lane == "sweep":
            step = events.message(events.loads(body))
            assert isinstance(step, SweepStep)
            sweeps.step(step, services=services, now=now)
            return
        pipeline.enforce(body, rules=GUARDS[lane], services=services, now=now)

    def tell(self) -> list[str]:
        """What notifier tells of all that is untold: the subjects of its messages."""
        topic = _Topic()
        self.world.services.__dict__["sns"] = topic
        untold = self.world.ledger.untold(before=self.world.now + timedelta(days=1), limit=10_000)
        telling.tell(untold, services=self.world.services, now=self.world.now)
        while self.world.untold():
            self.world.later(minutes=5)
            telling.tell_the_rest(services=self.world.services, now=self.world.now)
        return topic.subjects

    def records(self) -> list[FindingRecord]:
        """Every finding, however many."""
        return [
            FindingRecord.model_validate_json(item["doc"]["S"])
            for (pk, _), item in self.table.items.items()
            if pk.startswith("finding#")
        ]


class _Topic:
    def __init__(self) -> None:
        self.subjects: list[str] = []

    def publish(
        self,
        *,
        subject: str,
        body: str,
        attributes: dict[str, str],
        topic_arn: str | None = None,
    ) -> None:
        assert topic_arn is None
        assert body
        assert attributes
        self.subjects.append(subject)


@contextmanager
def the_sweeping(world: World, base: type[Services] = Services) -> Iterator[Sweeping]:
    """The queues of the world in one line, a ledger in memory, and a bucket for inventories.

    `base` is whose clients and credentials the functions have.
    """
    boto3.client("s3", region_name=REGION).create_bucket(Bucket=BUCKET)
    line = Line(clock=lambda: world.now)
    table = MemoryTable()

    class OfThisLine(base):  # type: ignore[misc, valid-type]  # whichever services the test has
        """Services whose queues are lanes, and whose clock is the world's."""

        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            self.clock = lambda: world.now
            for name, lane in LANES.items():
                self.__dict__[name] = Lane(line, lane)
            claim_seconds = self.environment.claim_seconds
            self.__dict__["ledger"] = Ledger(table, claim_seconds=claim_seconds)
            client = boto3.client("s3", region_name=REGION)
            self.__dict__["inventory"] = S3Gateway(client=client, bucket=BUCKET)

    world.services_type = OfThisLine
    world.restart()
    world.services._settings = None
    yield Sweeping(world=world, line=line, table=table)


def more_accounts(world: World, number: int) -> list[str]:
    """So many accounts more, as ready as the two that every world has."""
    organizations = boto3.client("organizations", region_name=REGION)
    made = [
        organizations.create_account(Email=f"more{index}@example.com", AccountName=f"more-{index}")[
            "CreateAccountStatus"
        ]["AccountId"]
        for index in range(number)
    ]
    for account in made:
        prepare(world, account)
    return made
