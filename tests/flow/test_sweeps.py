"""The function sweep: who is asked to look at what, whatever happens to it on the way.

Most of it over an organization, a ledger and queues in memory, whose clock goes on by each call.
"""

from __future__ import annotations

import heapq
import importlib.util
import itertools
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from keyward import events, sweeps
from keyward import services as services_module
from keyward.errors import EventError, GatewayError
from keyward.events import Follow, SweepPart, SweepStep
from keyward.findings import Notice, Severity, State
from keyward.gateways.dynamodb import Item, Write
from keyward.gateways.organization import AccountDescription, OrganizationGateway
from keyward.gateways.sqs import BATCH_SIZE, SqsGateway, follow_message
from keyward.ledger import Ledger, told_document
from keyward.model import Hint
from keyward.observability import metrics
from keyward.services import Environment, Services
from keyward.settings import Accepted
from keyward.sweep import IDENTITY_CENTER, LONGEST, Sweep, SweepState, Swept
from tests.faults.memory import MemoryTable
from tests.faults.observing import Context
from tests.flow.test_access_keys import a_key, release
from tests.flow.world import HUB, REGION, World, aws_error

BEGIN = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
VISIBLE_AGAIN = timedelta(seconds=360)
RECEIVES = 5
PAGE = 20
CALL_SECONDS = 0.1
SCHEDULED = SweepStep(id="scheduled", part=SweepPart.START)


class Crash(BaseException):
    """The function died."""


@dataclass
class Desk:
    """Everything that the function sweep talks to. `fault` is called round each call of it."""

    accounts: dict[str, str]
    """Their states."""
    now: datetime = BEGIN
    silent: frozenset[str] = frozenset()
    """Accounts, or Identity Center, that say nothing."""
    failing: frozenset[str] = frozenset()
    guards_work: bool = True
    calls: list[str] = field(default_factory=list)
    fault: Callable[[int, str], str | None] = lambda _number, _call: None
    waiting: list[tuple[datetime, int, str, str, datetime, int]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    asked: Counter[str] = field(default_factory=Counter)
    """How often each account, or Identity Center, was asked for."""
    heard: list[object] = field(default_factory=list)
    """All other messages."""
    steps: int = 0
    dead: list[str] = field(default_factory=list)
    table: MemoryTable = field(default_factory=MemoryTable)
    tokens_end: int | None = None
    """With this call of ListAccounts all tokens end that were given before it."""

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.table, claim_seconds=90)
        self.services = SweepServices(self)

    @contextmanager
    def called(self, call: str) -> Iterator[None]:
        """One call of the function: time goes on, and it may be the last."""
        number = len(self.calls)
        self.calls.append(call)
        self.now += timedelta(seconds=CALL_SECONDS)
        match self.fault(number, call):
            case "crash before":
                raise Crash
            case "throttled":
                raise GatewayError(call, code="ThrottlingException", retryable=True)
            case "denied":
                raise GatewayError(call, code="AccessDenied")
            case "crash after":
                yield
                raise Crash
            case _:
                yield

    def put(self, lane: str, body: str, *, delay_seconds: float = 0) -> None:
        due = self.now + timedelta(seconds=delay_seconds)
        heapq.heappush(self.waiting, (due, next(self.numbers), lane, body, self.now, 0))

    def start(self, *, full: bool = False) -> None:
        """The schedule asks for a sweep."""
        step = SweepStep(id="scheduled", part=SweepPart.START, full=full)
        self.put("sweep", events.sweep_message(step))

    def run(self, *, full: bool = False) -> Sweep:
        self.start(full=full)
        self.drain()
        return self.sweep()

    def drain(self, most: int = 20_000) -> None:
        for _ in range(most):
            if not self.waiting:
                return
            self.next()
        raise AssertionError(self.waiting[:3])

    def next(self) -> None:
        due, _, lane, body, sent, receives = heapq.heappop(self.waiting)
        self.now = max(self.now, due)
        if lane != "sweep":
            self.guard(lane, body)
            return
        self.steps += 1
        began = self.now
        try:
            sweeps.hear(body, sent=sent, services=self.services, now=self.now)
        except (Crash, GatewayError):
            self.services = SweepServices(self)
            if receives + 1 == RECEIVES:
                self.dead.append(body)
                return
            again = began + VISIBLE_AGAIN
            heapq.heappush(
                self.waiting, (again, next(self.numbers), lane, body, sent, receives + 1)
            )
        assert self.now - began < timedelta(seconds=60), "the function ran out of time"

    def guard(self, lane: str, body: str) -> None:
        """A guard does what it is asked for, and says so."""
        word = events.message(events.loads(body))
        if not isinstance(word, SweepStep):
            self.heard.append(word)
            return
        about = IDENTITY_CENTER if lane == "identity-center" else str(word.account)
        self.asked[about] += 1
        assert word.part is (
            SweepPart.IDENTITY_CENTER if about == IDENTITY_CENTER else SweepPart.ACCOUNT
        )
        if about not in self.silent and self.guards_work:
            ok = about not in self.failing
            self.ledger.saw(Swept(sweep=word.id, account=about, at=self.now, ok=ok))

    def sweep(self) -> Sweep:
        newest = self.ledger.newest_sweep()
        assert newest is not None
        return newest

    def notices(self) -> list[Notice]:
        found = [
            told_document(item)
            for (pk, _), item in self.table.items.items()
            if pk.startswith("notice#")
        ]
        return [it for it in found if isinstance(it, Notice)]

    @property
    def active(self) -> set[str]:
        return {id_ for id_, state in self.accounts.items() if state == "ACTIVE"}


class CalledTable(MemoryTable):
    """The ledger's table as the function sees it: each call of it counts."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.items, self.stream = desk.table.items, desk.table.stream

    def get(self, pk: str, sk: str) -> Item | None:
        with self.desk.called(f"get {pk.partition('#')[0]}"):
            return super().get(pk, sk)

    def query(self, pk: str) -> Iterator[Item]:
        with self.desk.called(f"query {pk.partition('#')[0]}"):
            yield from super().query(pk)

    def query_index(self, **asked: Any) -> tuple[list[Item], Item | None]:
        with self.desk.called(f"query index {asked['value']}"):
            return super().query_index(**asked)

    def write(self, *writes: Write) -> None:
        with self.desk.called("write"):
            super().write(*writes)


class Lane(SqsGateway):
    """A queue. Ten messages are one call, and they are there as soon as it is made."""

    def __init__(self, desk: Desk, name: str) -> None:
        self._desk, self._name = desk, name

    def send(self, body: str, *, delay_seconds: int = 0) -> None:
        assert delay_seconds <= 900
        with self._desk.called(f"send {self._name}"):
            self._desk.put(self._name, body, delay_seconds=delay_seconds)

    def send_all(self, bodies: Iterable[str]) -> None:
        for some in itertools.batched(bodies, BATCH_SIZE, strict=False):
            with self._desk.called(f"send {self._name}"):
                for body in some:
                    self._desk.put(self._name, body)


class Pages(OrganizationGateway):
    """The organization's accounts, page by page."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def some_accounts(
        self, *, after: str | None
    ) -> tuple[tuple[AccountDescription, ...], str | None]:
        with self._desk.called("ListAccounts"):
            number = self._desk.calls.count("ListAccounts")
            given, _, begins = (after or f"{number}:0").partition(":")
            if int(given) < (self._desk.tokens_end or 0) <= number:
                raise GatewayError("ListAccounts", code="InvalidInputException")
            begin = int(begins)
            every = list(self._desk.accounts.items())
            found = tuple(
                AccountDescription(id=id_, name=id_, state=state)
                for id_, state in every[begin : begin + PAGE]
            )
            is_last = begin + PAGE >= len(every)
            return found, None if is_last else f"{number}:{begin + PAGE}"


class SweepServices(Services):
    """The function has just started."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(
            environment=Environment(
                table="memory", hub_account=HUB, function="keyward-sweep", region="us-east-1"
            ),
            clock=lambda: desk.now,
        )
        self.__dict__["ledger"] = Ledger(CalledTable(desk), claim_seconds=90)
        self.__dict__["organization"] = Pages(desk)
        for queue, lane in (
            ("iam_sweep_queue", "iam"),
            ("center_queue", "identity-center"),
            ("baseline_queue", "accounts"),
            ("sweep_queue", "sweep"),
        ):
            self.__dict__[queue] = Lane(desk, lane)


def accounts(number: int) -> dict[str, str]:
    """So many, the management account first; every seventh is suspended."""
    others = {
        f"{200000000000 + n}": "SUSPENDED" if n % 7 == 3 else "ACTIVE" for n in range(number - 1)
    }
    return {HUB: "ACTIVE", **others}


def is_whole(desk: Desk) -> bool:
    """Whether everybody was asked for, and nobody else."""
    return set(desk.asked) == desk.active | {IDENTITY_CENTER}


# A sweep from its beginning to its end


def test_each_active_account_and_identity_center_are_asked_for_once() -> None:
    desk = Desk(accounts(47))
    sweep = desk.run()
    assert is_whole(desk)
    assert set(desk.asked.values()) == {1}
    assert (sweep.state, sweep.complete, sweep.number) == (SweepState.DONE, True, 1)
    assert (sweep.asked, sweep.failed, sweep.silent) == (len(desk.active), 0, 0)
    assert desk.notices() == []


def test_hub_is_asked_for_and_a_suspended_account_is_not() -> None:
    desk = Desk({HUB: "ACTIVE", "200000000001": "SUSPENDED", "200000000002": "PENDING_CLOSURE"})
    desk.run()
    assert is_whole(desk)
    assert set(desk.asked) == {HUB, IDENTITY_CENTER}


def test_baselines_are_looked_at_once_a_sweep() -> None:
    desk = Desk(accounts(3))
    sweep = desk.run()
    (word,) = desk.heard
    assert isinstance(word, Hint)
    assert (word.event_name, word.account, word.event_id) == (
        "BaselineSweep",
        HUB,
        f"sweep-{sweep.id}",
    )


@pytest.mark.parametrize("full", [False, True])
def test_a_sweep_says_whether_it_is_full(*, full: bool) -> None:
    desk = Desk(accounts(3))
    words = []
    guard = desk.guard

    def noting(lane: str, body: str) -> None:
        words.append(events.message(events.loads(body)))
        guard(lane, body)

    desk.guard = noting  # type: ignore[method-assign]  # to see what passes
    assert desk.run(full=full).full is full
    assert {word.full for word in words if isinstance(word, SweepStep)} == {full}


def test_an_account_that_fails_is_counted_and_holds_up_nothing() -> None:
    desk = Desk(accounts(5), failing=frozenset({"200000000001", IDENTITY_CENTER}))
    sweep = desk.run()
    assert (sweep.complete, sweep.failed, sweep.silent) == (True, 2, 0)
    assert desk.notices() == []


def test_who_says_nothing_is_told_once_after_five_hours() -> None:
    desk = Desk(accounts(5), silent=frozenset({"200000000001", IDENTITY_CENTER}))
    sweep = desk.run()
    assert sweep.ended_at is not None
    assert sweep.ended_at - sweep.started_at >= LONGEST
    assert (sweep.state, sweep.complete, sweep.silent) == (SweepState.DONE, False, 2)
    (notice,) = desk.notices()
    assert (notice.kind, notice.id) == ("sweep-silent", sweep.id)
    assert "200000000001" in notice.text
    assert "Identity Center" in notice.text
    assert "200000000000" not in notice.text


def test_many_who_say_nothing_are_one_notice_that_can_be_read() -> None:
    desk = Desk(accounts(900), guards_work=False)
    desk.run()
    (notice,) = desk.notices()
    assert f"{len(desk.active) + 1} parts" in notice.title
    assert len(notice.text) < 2000


def test_waiting_for_the_guards_costs_ever_less() -> None:
    desk = Desk(accounts(5), guards_work=False)
    desk.run()
    assert desk.steps < LONGEST.total_seconds() / 200


@pytest.mark.parametrize("number", [12, 100, 1000, 5000])
def test_calls_grow_with_the_pages_and_steps_with_the_time_they_take(number: int) -> None:
    desk = Desk(accounts(number))
    sweep = desk.run()
    assert is_whole(desk)
    assert set(desk.asked.values()) == {1}
    assert sweep.complete
    pages = -(-number // PAGE)
    calls = Counter(desk.calls)
    assert calls["ListAccounts"] == pages
    assert calls["send iam"] <= 2 * pages
    assert len(desk.calls) <= 4 * pages + 10 * desk.steps + 10
    seconds = pages * 4 * CALL_SECONDS
    assert seconds // 40 <= desk.steps <= 5 + seconds // 30


def test_exemptions_that_end_are_told_once_for_each_stage() -> None:
    desk = Desk(accounts(3))
    exempt = {
        "owner": "team@example.com",
        "reason": "the vendor has no roles",
        "ticket": "SEC-7",
        "until": (BEGIN + timedelta(days=15)).isoformat(),
        "account": HUB,
        "unique_id": "AROAEXAMPLE",
        "rules": ["iam-admin-granted"],
    }
    broken = exempt | {"until": "soon"}
    settings = Accepted.model_validate({"exemptions": {"vendor": exempt, "broken": broken}})
    desk.ledger.accept(settings, replacing=0)
    for number in range(18 * 4):
        desk.now = BEGIN + timedelta(hours=6 * number)
        desk.run()
    notices = sorted(desk.notices(), key=lambda it: it.at)
    assert [((it.at - BEGIN).days, it.severity) for it in notices] == [
        (1, Severity.LOW),
        (12, Severity.MEDIUM),
        (15, Severity.HIGH),
    ]
    assert {it.kind for it in notices} == {"exemption-ends"}


# Whatever happens on the way


def crashes(at: int, kind: str) -> Callable[[int, str], str | None]:
    return lambda number, _call: kind if number == at else None


@pytest.fixture(scope="module")
def calls() -> int:
    """How many calls a sweep of 47 accounts makes."""
    desk = Desk(accounts(47))
    desk.run()
    return len(desk.calls)


@pytest.mark.parametrize("kind", ["crash before", "crash after", "throttled"])
def test_no_account_is_left_out_whatever_call_fails(calls: int, kind: str) -> None:
    for at in range(calls):
        desk = Desk(accounts(47), fault=crashes(at, kind))
        sweep = desk.run()
        what = f"{kind} {desk.calls[at]} (call {at})"
        assert is_whole(desk), what
        assert sweep.complete, what
        assert len(desk.ledger.sweeps()) == 1, what
        assert (desk.notices(), desk.dead) == ([], []), what
        assert sum(desk.asked.values()) <= len(desk.active) + 1 + PAGE + 1, f"asked twice: {what}"


@pytest.mark.parametrize("seed", range(30))
def test_no_account_is_left_out_however_much_fails(seed: int) -> None:
    dice = random.Random(seed)
    kinds = ("crash before", "crash after", "throttled")

    def fault(_number: int, _call: str) -> str | None:
        return dice.choice(kinds) if dice.random() < 0.03 else None

    desk = Desk(accounts(60), fault=fault)
    for _ in range(4):  # later schedules wake what got lost
        desk.start()
        for _ in range(1000):
            if not desk.waiting:
                break
            desk.next()
        if desk.ledger.newest_sweep() is not None and desk.sweep().complete:
            break
        desk.now += timedelta(hours=1)
    assert desk.sweep().complete
    assert is_whole(desk)


def test_a_message_that_comes_while_it_is_worked_on_changes_nothing(calls: int) -> None:
    taken = sweeps.step
    for at in range(calls):
        desk = Desk(accounts(47))
        words: list[SweepStep] = []

        def again(number: int, _call: str) -> str | None:
            if number == at and words:  # noqa: B023 - it is called before the next desk
                sweeps.step(words[-1], services=SweepServices(desk), now=desk.now)  # noqa: B023
            return None

        def noting(of: SweepStep, **given: Any) -> None:
            words.append(of)  # noqa: B023 - as above
            taken(of, **given)

        desk.fault = again
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sweeps, "step", noting)
            sweep = desk.run()
        assert sweep.complete
        assert is_whole(desk)
        assert len(desk.ledger.sweeps()) == 1
        assert set(desk.asked.values()) == {1}, desk.calls[at]


def test_messages_that_come_twice_do_not_become_ever_more() -> None:
    desk = Desk(accounts(5), guards_work=False)
    put = desk.put

    def twice(lane: str, body: str, *, delay_seconds: float = 0) -> None:
        for _ in range(2):
            put(lane, body, delay_seconds=delay_seconds)

    desk.put = twice  # type: ignore[method-assign]  # a queue that delivers twice
    desk.run()
    assert desk.steps < 2 * LONGEST.total_seconds() / 200


@pytest.mark.parametrize("seed", range(20))
def test_messages_that_come_twice_or_late_change_nothing(seed: int) -> None:
    dice = random.Random(seed)
    desk = Desk(accounts(47))
    put = desk.put

    def twice(lane: str, body: str, *, delay_seconds: float = 0) -> None:
        put(lane, body, delay_seconds=delay_seconds)
        if lane == "sweep" and '"part":"start"' not in body.replace(" ", ""):
            for _ in range(dice.randrange(3)):
                put(lane, body, delay_seconds=delay_seconds + dice.choice((0, 1, 100, 5000)))

    desk.put = twice  # type: ignore[method-assign]  # a queue that delivers more than once
    sweep = desk.run()
    assert is_whole(desk)
    assert set(desk.asked.values()) == {1}
    assert (sweep.complete, sweep.asked) == (True, len(desk.active))
    assert len(desk.ledger.sweeps()) == 1


def test_a_start_that_comes_twice_begins_one_sweep() -> None:
    desk = Desk(accounts(30))
    desk.start()
    due, number, lane, body, sent, receives = desk.waiting[0]
    for seconds in (0, 10, 7200):
        again = (due + timedelta(seconds=seconds), number + 1000 + seconds, lane, body)
        heapq.heappush(desk.waiting, (*again, sent, receives + 1))
    desk.drain()
    assert len(desk.ledger.sweeps()) == 1
    assert set(desk.asked.values()) == {1}


def test_two_starts_at_once_begin_one_sweep() -> None:
    desk = Desk(accounts(3))
    inside = False

    def fault(_number: int, call: str) -> str | None:
        nonlocal inside
        if call == "write" and not inside:  # the other is faster by just this write
            inside = True
            other = SweepServices(desk)
            sweeps.begin(full=False, by="ana", services=other, now=desk.now - timedelta(seconds=9))
        return None

    desk.fault = fault
    begun = sweeps.begin(full=False, by="schedule", services=desk.services, now=desk.now)
    assert begun.by == "ana"
    desk.drain()
    assert len(desk.ledger.sweeps()) == 1
    assert set(desk.asked.values()) == {1}


def test_a_page_that_counts_no_longer_begins_the_list_anew() -> None:
    desk = Desk(accounts(70), tokens_end=3)
    sweep = desk.run()
    assert is_whole(desk)
    assert sweep.complete
    assert sweep.asked == len(desk.active)


def test_what_organizations_forbids_lies_among_the_dead_letters_and_the_next_start_tells() -> None:
    desk = Desk(accounts(30), fault=lambda _n, call: "denied" if call == "ListAccounts" else None)
    desk.run()
    assert len(desk.dead) == 1
    desk.now = BEGIN + timedelta(hours=6)
    desk.fault = lambda _number, _call: None
    sweep = desk.run()
    (notice,) = desk.notices()
    first, second = desk.ledger.sweeps()
    assert (notice.kind, notice.id) == ("sweep-silent", first.id)
    assert "not read to its end" in notice.text
    assert (first.state, first.complete) == (SweepState.DONE, False)
    assert (second.id, second.complete, second.number) == (sweep.id, True, 2)


# When a sweep begins


def test_one_follows_the_other() -> None:
    desk = Desk(accounts(3))
    first = desk.run()
    desk.now += timedelta(hours=6)
    second = desk.run()
    assert (first.complete, second.complete) == (True, True)
    assert (first.number, second.number) == (1, 2)
    assert set(desk.asked.values()) == {2}


def test_a_sweep_that_is_under_way_stands_for_another() -> None:
    desk = Desk(accounts(3), guards_work=False)
    desk.start()
    for _ in range(12):
        desk.next()
    desk.start()
    desk.drain()
    assert len(desk.ledger.sweeps()) == 1


def test_a_full_sweep_comes_after_one_that_is_under_way() -> None:
    desk = Desk(accounts(3), silent=frozenset({"200000000001"}))
    desk.start()
    for _ in range(12):
        desk.next()
    desk.start(full=True)
    desk.drain()
    first, second = desk.ledger.sweeps()
    assert (first.full, second.full) == (False, True)
    assert first.ended_at is not None
    assert second.started_at >= first.ended_at


def test_a_full_sweep_that_is_asked_for_often_comes_once() -> None:
    desk = Desk(accounts(3), silent=frozenset({"200000000001"}))
    desk.start()
    for _ in range(12):
        desk.next()
    for _ in range(5):
        desk.start(full=True)
    desk.drain()
    assert [it.full for it in desk.ledger.sweeps()] == [False, True]


@pytest.mark.parametrize(("full", "number"), [(False, 1), (True, 2)])
def test_a_word_that_was_sent_before_a_sweep_began_means_that_one_unless_it_is_to_be_full(
    *, full: bool, number: int
) -> None:
    desk = Desk(accounts(3))
    sent = desk.now
    desk.now += timedelta(minutes=1)
    desk.run()
    start = events.sweep_message(SweepStep(id="scheduled", part=SweepPart.START, full=full))
    sweeps.hear(start, sent=sent, services=desk.services, now=desk.now)
    desk.drain()
    assert (desk.sweep().number, desk.sweep().full) == (number, full)


def test_an_operator_gets_the_sweep_that_is_under_way() -> None:
    desk = Desk(accounts(3))
    begun = sweeps.begin(full=False, by="ana", services=desk.services, now=desk.now)
    again = sweeps.begin(full=False, by="eve", services=desk.services, now=desk.now)
    assert (begun.by, again.id) == ("ana", begun.id)
    desk.drain()
    assert desk.sweep().complete
    desk.now += timedelta(seconds=1)
    third = sweeps.begin(full=True, by="eve", services=desk.services, now=desk.now)
    assert (third.number, third.full) == (2, True)


@pytest.mark.parametrize(("silent", "soon"), [((), True), (("200000000001",), False)])
def test_a_sweep_that_is_followed_ends_once_every_part_is_done(
    *, silent: tuple[str, ...], soon: bool
) -> None:
    desk = Desk(accounts(3), silent=frozenset(silent))
    desk.start()
    while len(desk.waiting) > 1 or desk.steps < 2:
        desk.next()
    waiting = desk.sweep()
    seen = desk.ledger.seen_by(waiting.id)
    for _ in range(3):
        sweeps.wake(waiting, seen=seen, services=desk.services)
    assert (waiting.state, len(desk.waiting)) == (SweepState.WAITING, 4 if soon else 1)
    desk.next()
    assert (desk.sweep().state is SweepState.DONE) == soon
    assert (desk.now - waiting.started_at < timedelta(seconds=sweeps.SOONEST_SECONDS)) == soon
    desk.drain()
    assert [it.complete for it in desk.ledger.sweeps()] == [soon]


def test_a_sweep_whose_message_got_lost_is_woken_by_the_next_start() -> None:
    desk = Desk(accounts(30))
    desk.start()
    desk.next()
    desk.waiting.clear()
    desk.now += timedelta(hours=1)
    sweep = desk.run()
    assert (sweep.number, sweep.complete) == (1, True)
    assert is_whole(desk)


@pytest.mark.parametrize(
    "body",
    [
        events.sweep_message(SweepStep(id="x", part=SweepPart.ACCOUNT, account=HUB)),
        events.sweep_message(SweepStep(id="x", part=SweepPart.IDENTITY_CENTER)),
        '{"keyward": "follow", "finding": "0123456789abcdef0123", "ticket": 1}',
        "{}",
        "no JSON",
    ],
)
def test_what_is_no_step_of_its_own_goes_to_the_dead_letters(body: str) -> None:
    desk = Desk(accounts(3))
    with pytest.raises(EventError):
        sweeps.hear(body, sent=desk.now, services=desk.services, now=desk.now)
    assert desk.calls == []


@pytest.mark.parametrize("part", [SweepPart.LIST, SweepPart.CLOSE])
def test_a_step_of_a_sweep_that_nobody_knows_does_nothing(part: SweepPart) -> None:
    desk = Desk(accounts(3))
    sweeps.step(SweepStep(id="20260101T000000", part=part), services=desk.services, now=desk.now)
    assert desk.table.items == {}
    assert desk.waiting == []


# Over moto's organization, queues and IAM


@dataclass
class Queues:
    """The queues that the function sends to, under moto."""

    world: World
    client: Any
    urls: dict[str, str]

    def take(self, name: str) -> list[str]:
        """The bodies of what lies there to be received, which is then gone."""
        bodies: list[str] = []
        url = self.urls[name]
        while messages := self.client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            bodies += [it["Body"] for it in messages]
            for it in messages:
                self.client.delete_message(QueueUrl=url, ReceiptHandle=it["ReceiptHandle"])
        return bodies

    def delayed(self, name: str) -> int:
        asked = self.client.get_queue_attributes(
            QueueUrl=self.urls[name], AttributeNames=["ApproximateNumberOfMessagesDelayed"]
        )
        return int(asked["Attributes"]["ApproximateNumberOfMessagesDelayed"])

    def sweep(self) -> list[Follow]:
        """Begins a sweep; what it has followed in IAM."""
        sweeps.begin(full=False, by="ana", services=self.world.services, now=self.world.now)
        for body in self.take("sweep"):
            word = events.message(events.loads(body))
            assert isinstance(word, SweepStep)
            sweeps.step(word, services=self.world.services, now=self.world.now)
        words = [events.message(events.loads(body)) for body in self.take("iam-sweep")]
        return [word for word in words if isinstance(word, Follow)]

    def follow(self) -> None:
        """The same, and iam_guard looks at them."""
        for follow in self.sweep():
            self.world.deliver(follow_message(follow.finding, ticket=follow.ticket))


@pytest.fixture
def queues(world: World) -> Queues:
    client = boto3.client("sqs", region_name=REGION)
    names = ("sweep", "iam-sweep", "identity-center-guard", "account-baseline")
    urls = {name: client.create_queue(QueueName=f"keyward-{name}")["QueueUrl"] for name in names}
    world.services.environment = replace(
        world.services.environment,
        sweep_queue_url=urls["sweep"],
        iam_sweep_queue_url=urls["iam-sweep"],
        center_queue_url=urls["identity-center-guard"],
        baseline_queue_url=urls["account-baseline"],
    )
    return Queues(world, client, urls)


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_the_function_asks_for_all_accounts_and_one_bad_record_fails_alone(queues: Queues) -> None:
    world = queues.world
    boto3.client("organizations", region_name=REGION).close_account(AccountId=world.other_member)
    start = events.sweep_message(SCHEDULED)
    assert invoked(world, start, "no JSON") == {1}
    (onward,) = queues.take("sweep")
    assert invoked(world, onward) == set()

    asked = [events.message(events.loads(body)) for body in queues.take("iam-sweep")]
    assert {it.account for it in asked if isinstance(it, SweepStep)} == {HUB, world.member}
    (center,) = queues.take("identity-center-guard")
    newest = world.ledger.newest_sweep()
    assert newest is not None
    assert events.message(events.loads(center)) == SweepStep(
        id=newest.id, part=SweepPart.IDENTITY_CENTER
    )
    assert len(queues.take("account-baseline")) == 1
    assert (newest.state, newest.asked) == (SweepState.WAITING, 2)
    assert queues.delayed("sweep") == 1
    assert world.ledger.asked(newest.id) == {HUB, world.member}


def test_the_ledger_keeps_a_sweep_as_memory_does(queues: Queues) -> None:
    world = queues.world
    begun = sweeps.begin(full=False, by="ana", services=world.services, now=world.now)
    assert world.ledger.sweeps() == [begun]
    assert world.ledger.newest_sweep() == begun
    with pytest.raises(GatewayError) as raised:
        world.ledger.begin_sweep(begun.model_copy(update={"id": "another"}))
    assert (raised.value.code, raised.value.retryable) == ("Contention", True)
    world.ledger.begin_sweep(begun.model_copy(update={"id": "another", "number": 2}))
    newest = world.ledger.newest_sweep()
    assert newest is not None
    assert newest.id == "another"


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_the_end_of_a_sweep_is_a_metric(queues: Queues, capsys: pytest.CaptureFixture[str]) -> None:
    world = queues.world
    world.now = datetime.now(UTC) - timedelta(minutes=10)
    begun = sweeps.begin(full=False, by="ana", services=world.services, now=world.now)
    invoked(world, *queues.take("sweep"))
    newest = world.ledger.newest_sweep()
    assert newest is not None
    for part in (HUB, world.member, world.other_member, IDENTITY_CENTER):
        world.ledger.saw(Swept(sweep=begun.id, account=part, at=world.now))
    capsys.readouterr()
    again = SweepStep(id=begun.id, part=SweepPart.CLOSE, ticket=newest.ticket)
    assert invoked(world, events.sweep_message(again)) == set()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (metric,) = [line for line in lines if "_aws" in line]
    assert metric["SweepCompleted"] == [1]
    assert metric["SweepSeconds"][0] >= 600
    assert metric["service"] == "keyward"
    assert set(metric) == {"_aws", "SweepCompleted", "SweepSeconds", "service"}


def invoked(world: World, *bodies: str) -> set[int]:
    """One invocation of the function, as SQS makes it; the positions of what it sends back."""
    metrics.clear_metrics()
    file = Path(__file__).parents[2] / "functions" / "sweep" / "handler.py"
    spec = importlib.util.spec_from_file_location("sweep_handler", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sent = {"SentTimestamp": str(int(datetime.now(UTC).timestamp() * 1000))}
    records = [
        {"messageId": str(number), "body": body, "eventSource": "aws:sqs", "attributes": sent}
        for number, body in enumerate(bodies)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(services_module, "_services", world.services)
        answer = module.handler({"Records": records}, Context(function_name="keyward-sweep"))
    return {int(failure["itemIdentifier"]) for failure in answer["batchItemFailures"]}


def crashing(world: World, wanted: str, *, after: bool) -> None:
    """The function dies at this call."""

    def fault(operation: str, _params: object, call: Callable[[], object]) -> object:
        if operation != wanted:
            return call()
        if after:
            call()
        raise Crash

    world.fault = fault


def a_crashed_act(world: World, *, after: bool) -> str:
    """A key whose deactivation was left by a crash; its id."""
    key_id, event = a_key(world, "build")
    crashing(world, "UpdateAccessKey", after=after)
    with world.recorded(), pytest.raises(Crash):
        world.deliver(event)
    world.fault = None
    assert world.finding("iam-access-key-created").state is State.ACTING
    world.later(minutes=30)
    return key_id


def a_crashed_release(world: World, *, after: bool) -> str:
    """A key whose release was left by a crash; its id."""
    key_id, event = a_key(world, "build")
    world.deliver(event)
    key = world.finding("iam-access-key-created").key
    crashing(world, "UpdateAccessKey", after=after)
    with world.recorded(), pytest.raises(Crash):
        release(world, key)
    world.fault = None
    assert world.finding("iam-access-key-created").state is State.RELEASING
    world.later(minutes=30)
    return key_id


@pytest.mark.parametrize("after", [False, True])
def test_an_act_that_a_crash_left_is_finished(queues: Queues, *, after: bool) -> None:
    world = queues.world
    key_id = a_crashed_act(world, after=after)
    queues.follow()
    assert world.key_status("build", key_id) == "Inactive"
    finding = world.finding("iam-access-key-created")
    assert (finding.state, finding.outcome) == (
        State.ACTED,
        f"access key {key_id} is inactive",
    )
    assert world.untold() == [finding]


@pytest.mark.parametrize("after", [False, True])
def test_a_release_that_a_crash_left_is_finished(queues: Queues, *, after: bool) -> None:
    world = queues.world
    key_id = a_crashed_release(world, after=after)
    queues.follow()
    assert world.key_status("build", key_id) == "Active"
    assert world.finding("iam-access-key-created").state is State.RELEASED
    assert world.ledger.contained(world.member, now=world.now) == []


def test_a_release_that_the_guard_may_not_finish_is_told_and_can_be_done_again(
    queues: Queues,
) -> None:
    world = queues.world
    key_id = a_crashed_release(world, after=False)

    def denied(operation: str, _params: object, call: Callable[[], object]) -> object:
        if operation == "UpdateAccessKey":
            raise aws_error("AccessDenied", operation, 403)
        return call()

    with world.recorded():
        world.fault = denied
        queues.follow()
    world.fault = None
    finding = world.finding("iam-access-key-created")
    assert finding.state is State.FAILED
    assert "release it again" in str(finding.outcome)
    assert finding.untold is not None
    assert release(world, finding.key)["ok"] is True
    assert world.key_status("build", key_id) == "Active"


def test_an_act_that_is_exempt_by_now_is_closed(queues: Queues) -> None:
    world = queues.world
    key_id = a_crashed_act(world, after=False)
    until = (world.now + timedelta(days=90)).isoformat()
    exempt = {
        "owner": "team@example.com",
        "reason": "agreed meanwhile",
        "ticket": "SEC-7",
        "until": until,
        "account": world.member,
        "user_pattern": "build",
        "signed_by": "ciso@example.com",
        "rules": ["iam-access-key-created", "iam-access-key-for-other-user"],
    }
    world.settings(exemptions={"build": exempt})
    queues.follow()
    assert world.key_status("build", key_id) == "Active"
    finding = world.finding("iam-access-key-created")
    assert finding.state is State.FAILED
    assert "exemption build covers it now" in str(finding.outcome)


def test_an_act_whose_rule_only_reports_by_now_is_closed(queues: Queues) -> None:
    world = queues.world
    key_id = a_crashed_act(world, after=False)
    world.settings(settings={"ceiling": "report"})
    queues.follow()
    assert world.key_status("build", key_id) == "Active"
    assert world.finding("iam-access-key-created").state is State.FAILED


def test_an_act_whose_user_is_gone_is_closed(queues: Queues) -> None:
    world = queues.world
    key_id = a_crashed_act(world, after=False)
    world.iam().delete_access_key(UserName="build", AccessKeyId=key_id)
    world.iam().delete_user(UserName="build")
    queues.follow()
    assert world.finding("iam-access-key-created").state is State.RESOLVED


def test_an_act_that_somebody_may_still_be_at_is_let_be(queues: Queues) -> None:
    world = queues.world
    a_crashed_act(world, after=False)
    claim_until = world.finding("iam-access-key-created").claim_until
    assert claim_until is not None
    world.now = claim_until + sweeps.INTERRUPTED - timedelta(seconds=30)
    assert queues.sweep() == []


def test_an_act_of_a_rule_that_is_no_more_holds_up_nothing(queues: Queues) -> None:
    world = queues.world
    a_crashed_act(world, after=False)
    known = world.finding("iam-access-key-created")
    gone = known.model_copy(update={"key": "0" * 20, "rule": "retired-rule", "version": 1})
    world.ledger.finish(gone, replacing=known.model_copy(update={"version": 0}))
    assert [it.finding for it in queues.sweep()] == [known.key]
