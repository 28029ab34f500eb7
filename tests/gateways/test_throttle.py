"""The bucket for calls to Identity Center, and what the ledger keeps of permission sets' names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import moto
import pytest

from keyward.errors import GatewayError
from keyward.gateways.dynamodb import DynamoDbGateway, Write
from keyward.ledger import LINE_ATTEMPTS, LINE_SECONDS, Ledger
from keyward.throttle import CALLS_AT_ONCE, Bucket
from tests.flow.world import REGION, create_ledger

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SET = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-0123456789abcdef"
OTHER_SET = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-fedcba9876543210"


@dataclass
class Time:
    """A clock that goes on only while somebody sleeps."""

    now: datetime = NOW

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += timedelta(seconds=seconds)

    def clock(self) -> datetime:
        return self.now

    @property
    def passed(self) -> float:
        return (self.now - NOW).total_seconds()


@dataclass
class Table(DynamoDbGateway):
    """The table, its calls counted; `before_write` happens before each write."""

    client: Any
    operations: list[str] = field(default_factory=list)
    before_write: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        super().__init__(client=self.client, table="keyward-ledger")
        self.client.meta.events.register("before-call", self._noted)

    def _noted(self, model: Any, **_: object) -> None:
        self.operations.append(model.name)

    def write(self, *writes: Write) -> None:
        if self.before_write is not None:
            self.before_write()
        super().write(*writes)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    with moto.mock_aws():
        create_ledger()
        yield Table(boto3.client("dynamodb", region_name=REGION))


def a_ledger(table: DynamoDbGateway) -> Ledger:
    return Ledger(table, claim_seconds=90)


def a_bucket(table: Table, time: Time, *, per_second: int = 10) -> Bucket:
    """A function's own, as after a cold start."""
    return Bucket(
        ledger=a_ledger(table),
        calls_per_second=lambda: per_second,
        sleep=time.sleep,
        clock=time.clock,
    )


def take(bucket: Bucket, times: int) -> None:
    for _ in range(times):
        bucket.take()


def leased_until(table: Table) -> int:
    item = table.get("bucket#identity-center", "bucket")
    assert item is not None
    return int(item["leased_until_ms"]["N"])


# The bucket


def test_the_first_calls_wait_for_nothing(table: Table) -> None:
    time = Time()
    take(a_bucket(table, time), CALLS_AT_ONCE)
    assert time.passed == 0


@pytest.mark.parametrize(("per_second", "seconds"), [(10, 4.5), (20, 2.25), (1, 45)])
def test_calls_come_at_the_rate_that_is_set(table: Table, per_second: int, seconds: float) -> None:
    time = Time()
    take(a_bucket(table, time, per_second=per_second), 10 * CALLS_AT_ONCE)
    assert time.passed == pytest.approx(seconds, abs=0.01)


def test_a_write_is_paid_for_every_few_calls_and_nothing_is_read(table: Table) -> None:
    take(a_bucket(table, Time()), 10 * CALLS_AT_ONCE)
    assert table.operations == ["TransactWriteItems"] * 10


def test_functions_share_one_rate(table: Table) -> None:
    time = Time()
    one, other = a_bucket(table, time), a_bucket(table, time)
    for _ in range(5 * CALLS_AT_ONCE):
        one.take()
        other.take()
    assert time.passed == pytest.approx(4.5, abs=0.01)


def test_a_cold_start_stands_behind_what_others_leased(table: Table) -> None:
    time = Time()
    take(a_bucket(table, time), 1)
    take(a_bucket(table, time), 1)
    assert time.passed == pytest.approx(0.5, abs=0.01)


def test_who_was_slower_stands_behind_who_was_faster(table: Table) -> None:
    time, others = Time(), a_ledger(DynamoDbGateway(client=table.client, table="keyward-ledger"))
    bucket = a_bucket(table, time)
    take(bucket, CALLS_AT_ONCE)
    faster = iter(range(3))

    def lease() -> None:
        if next(faster, None) is not None:
            others.lease_calls(CALLS_AT_ONCE, per_second=10, seen=None, now=time.now)

    table.before_write = lease
    bucket.take()
    assert time.passed == pytest.approx(0.5 * 4, abs=0.01)


def test_who_is_slower_each_time_comes_again(table: Table) -> None:
    time, others = Time(), a_ledger(DynamoDbGateway(client=table.client, table="keyward-ledger"))

    def lease() -> None:
        others.lease_calls(1, per_second=20, seen=None, now=time.now)

    table.before_write = lease
    with pytest.raises(GatewayError) as raised:
        a_bucket(table, time).take()
    assert (raised.value.code, raised.value.retryable) == ("Contention", True)
    assert leased_until(table) == NOW.timestamp() * 1000 + LINE_ATTEMPTS * 50


def test_a_long_line_is_not_waited_for_and_nothing_is_taken(table: Table) -> None:
    time = Time()
    busy = a_ledger(table)
    busy.lease_calls(10 * LINE_SECONDS + 1, per_second=10, seen=None, now=NOW)
    # Nobody has leased so much at once: the others would have to be so many.
    time.now = NOW + timedelta(milliseconds=50)
    before = leased_until(table)
    bucket = a_bucket(table, time)
    with pytest.raises(GatewayError) as raised:
        bucket.take()
    assert (raised.value.code, raised.value.retryable) == ("RateLimited", True)
    assert leased_until(table) == before
    assert time.passed == pytest.approx(0.05)
    time.now += timedelta(seconds=1)
    bucket.take()
    assert time.passed == pytest.approx(LINE_SECONDS + 0.1, abs=0.01)


def test_a_wait_as_long_as_the_longest_is_waited_for(table: Table) -> None:
    time = Time()
    a_ledger(table).lease_calls(10 * LINE_SECONDS, per_second=10, seen=None, now=NOW)
    a_bucket(table, time).take()
    assert time.passed == LINE_SECONDS


def test_what_a_wrong_clock_leased_is_no_line(table: Table) -> None:
    time = Time()
    a_ledger(table).lease_calls(5, per_second=10, seen=None, now=NOW + timedelta(hours=1))
    a_bucket(table, time).take()
    assert time.passed == 0
    assert leased_until(table) == NOW.timestamp() * 1000 + 500


def test_tokens_of_a_function_that_slept_lapse(table: Table) -> None:
    time = Time()
    bucket = a_bucket(table, time)
    bucket.take()
    time.sleep(1)
    bucket.take()
    assert len(table.operations) == 1
    time.sleep(60)
    bucket.take()
    assert len(table.operations) == 2


def test_a_new_rate_holds_from_the_next_tokens_on(table: Table) -> None:
    time, rates = Time(), iter([10, 1, 1])
    bucket = Bucket(
        ledger=a_ledger(table),
        calls_per_second=lambda: next(rates),
        sleep=time.sleep,
        clock=time.clock,
    )
    take(bucket, 2 * CALLS_AT_ONCE + 1)
    assert time.passed == pytest.approx(0.5 + 5, abs=0.01)


def test_a_clock_that_lags_behind_what_was_slept_never_ends_in_a_refusal(table: Table) -> None:
    slept: list[float] = []
    bucket = Bucket(
        ledger=a_ledger(table),
        calls_per_second=lambda: 10,
        sleep=slept.append,
        clock=lambda: NOW,
    )
    take(bucket, 40 * CALLS_AT_ONCE)
    assert sum(slept) == pytest.approx(19.5, abs=0.01)


@pytest.mark.parametrize("retryable", [True, False])
def test_without_the_ledger_no_call_is_made(table: Table, *, retryable: bool) -> None:
    def refuse() -> None:
        message = "no ledger"
        raise GatewayError(message, code="Denied", retryable=retryable)

    bucket = a_bucket(table, Time())
    table.before_write = refuse
    for _ in range(2):
        with pytest.raises(GatewayError) as raised:
            bucket.take()
        assert (raised.value.code, raised.value.retryable) == ("Denied", retryable)


# Names of permission sets


def test_a_name_is_remembered_for_when_the_set_is_gone(table: Table) -> None:
    a_ledger(table).remember_set(SET, "Developer")
    assert a_ledger(table).name_of_set(SET) == "Developer"
    assert a_ledger(table).name_of_set(OTHER_SET) is None


def test_a_name_is_written_once_in_a_warm_function(table: Table) -> None:
    ledger = a_ledger(table)
    ledger.remember_set(SET, "Developer")
    ledger.remember_set(SET, "Developer")
    assert table.operations == ["TransactWriteItems"]
    ledger.remember_set(OTHER_SET, "ReadOnly")
    assert table.operations == ["TransactWriteItems"] * 2


def test_a_cold_start_finds_the_name_there_already(table: Table) -> None:
    a_ledger(table).remember_set(SET, "Developer")
    a_ledger(table).remember_set(SET, "Developer")
    assert a_ledger(table).name_of_set(SET) == "Developer"


def test_a_name_that_could_not_be_written_is_tried_again(table: Table) -> None:
    def refuse() -> None:
        message = "no ledger"
        raise GatewayError(message, retryable=True)

    ledger = a_ledger(table)
    table.before_write = refuse
    with pytest.raises(GatewayError):
        ledger.remember_set(SET, "Developer")
    table.before_write = None
    ledger.remember_set(SET, "Developer")
    assert ledger.name_of_set(SET) == "Developer"
