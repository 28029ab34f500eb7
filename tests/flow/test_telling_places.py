"""Places that fail, come back, are slow, or never heard the beginning: nothing lost, nothing twice.

The ledger's table is the one in memory, which test_flood.py holds against moto's.
"""

from __future__ import annotations

import itertools
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from keyward import planner, telling
from keyward.errors import GatewayError, NotFoundError
from keyward.findings import FindingRecord, Notice, Severity, State
from keyward.gateways.events import EventsGateway
from keyward.gateways.security_hub import SecurityHubGateway
from keyward.gateways.slack import Block, Posted, SlackGateway
from keyward.gateways.sns import SnsGateway
from keyward.ledger import told_document
from keyward.settings import Accepted, Mode
from keyward.told import Delivered
from tests.builders import MEMBER, OTHER_MEMBER, a_key, an_iam_user
from tests.core.test_planner import in_mode, planned
from tests.faults.memory import MemoryServices

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIVE_MINUTES = timedelta(minutes=5)
OTHER = "sns:arn:aws:sns:us-east-1:111122223333:other"
CHANNEL = "slack:C0123456"
UNIT = "ou-ab12-cdefgh34"

DOWN = GatewayError("it is down", code="ServiceUnavailable", retryable=True)
WRONG = GatewayError("no such channel", code="channel_not_found")


@dataclass
class World:
    """What each place heard, in order, and which of them are out of order, and how."""

    heard: list[tuple[str, str]] = field(default_factory=list)
    tried: Counter[str] = field(default_factory=Counter)
    out: dict[str, GatewayError] = field(default_factory=dict)
    entries: list[dict[str, Any]] = field(default_factory=list)
    meanwhile: Any = None
    """What happens while something is told, once."""

    def tell(self, place: str, text: str) -> None:
        self.tried[place] += 1
        if place in self.out:
            raise self.out[place]
        self.heard.append((place, text))
        act, self.meanwhile = self.meanwhile, None
        if act is not None:
            act()

    def at(self, place: str) -> list[str]:
        return [text for heard, text in self.heard if heard == place]


class Topics(SnsGateway):
    def __init__(self, world: World) -> None:
        self.world = world

    def publish(
        self,
        *,
        subject: str,
        body: str,  # noqa: ARG002 - the subject tells enough
        attributes: Mapping[str, str],  # noqa: ARG002 - the same
        topic_arn: str | None = None,
        by_https: str | None = None,  # noqa: ARG002 - the same
    ) -> str:
        self.world.tell("topic" if topic_arn is None else f"sns:{topic_arn}", subject)
        return "1"


class Bus(EventsGateway):
    def __init__(self, world: World) -> None:
        self.world = world

    def put(self, bus: str, entries: Sequence[tuple[str, str]]) -> None:
        self.world.tell("bus", bus)
        self.world.entries += [json.loads(detail) for _, detail in entries]


class Hub(SecurityHubGateway):
    def __init__(self, world: World) -> None:
        self.world = world

    def import_findings(self, findings: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        for found in findings:
            self.world.tell("security-hub", f"{found['RecordState']} {found['Title']}")
        return {}


class Slack(SlackGateway):
    def __init__(self, world: World) -> None:
        self.world = world

    def post(
        self,
        channel: str,
        *,
        text: str,
        blocks: Sequence[Block],  # noqa: ARG002 - the text tells enough
        thread: str | None = None,
        broadcast: bool = False,
    ) -> Posted:
        assert not (broadcast and thread is None)
        where = f"slack:{channel}" if thread is None else f"thread:{channel}/{thread}"
        self.world.tell(where, text)
        return Posted(channel=channel, ts=thread or str(len(self.world.heard)))

    def update(self, posted: Posted, *, text: str, blocks: Sequence[Block]) -> None:  # noqa: ARG002 - as above
        self.world.tell(f"update:{posted.channel}/{posted.ts}", text)


class Places(MemoryServices):
    """Services whose places are the world's."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.environment = replace(
            self.environment,
            topic_arn="arn:aws:sns:us-east-1:111122223333:keyward-alerts",
            slack_secret_arn="arn:aws:secretsmanager:us-east-1:111122223333:secret:slack",
            region="us-east-1",
        )
        self.__dict__["sns"] = Topics(world)
        self.__dict__["events"] = Bus(world)
        self.__dict__["security_hub"] = Hub(world)
        self.__dict__["slack"] = Slack(world)
        self.unit_error: GatewayError | None = None

    def account_name(self, account: str, now: datetime) -> str | None:  # noqa: ARG002 - none has one
        return None

    def parents(self, account: str, now: datetime) -> tuple[str, ...]:  # noqa: ARG002 - they stay
        if self.unit_error is not None:
            raise self.unit_error
        return (UNIT,) if account == MEMBER else ()

    def settle(self, **alerts: object) -> None:
        """Puts settings of alerts in force."""
        stored = self.ledger.accepted()
        version = stored.version if stored else 0
        body = {"version": version + 1, "settings": {"alerts": alerts}}
        self.ledger.accept(Accepted.model_validate_json(json.dumps(body)), replacing=version)
        self._settings = None

    def found(
        self, number: int, now: datetime, *, account: str = MEMBER, mode: Mode = Mode.REPORT
    ) -> FindingRecord:
        """A finding that has just come up."""
        user = an_iam_user(f"user-{number}", user_id=f"AIDA{number:016}", account=account)
        plan = planned(a_key(user, key_id=f"AKIA{number:016}"), settings=_in(mode))
        begun = self.ledger.begin(plan, before=None, now=now)
        assert begun.record is not None
        return begun.record

    def now_is(self, record: FindingRecord) -> FindingRecord:
        found = self.ledger.finding(record.key)
        assert found is not None
        return found

    def resolve(self, record: FindingRecord, now: datetime) -> None:
        assert self.ledger.resolve(self.now_is(record), why="it is gone", now=now)

    def grows(self, record: FindingRecord, severity: Severity) -> None:
        """The record with another severity, as it was written from the beginning."""
        old = self.now_is(record)
        self.ledger.finish(
            old.model_copy(update={"severity": severity, "version": old.version + 1}),
            replacing=old,
        )

    def stream(self, now: datetime) -> int:
        """The stream's records since the last time, as Lambda has them; how many failed."""
        failed = 0
        written, self.table.stream = self.table.stream, []
        for item in written:
            if item.get("untold", {}).get("S") != "untold":
                continue
            try:
                telling.tell([told_document(item)], services=self, now=now)
            except GatewayError:
                failed += 1
        return failed

    def scheduled(self, now: datetime) -> int:
        try:
            return telling.tell_the_rest(services=self, now=now)
        finally:
            self.stream(now)

    def still(self, when: str = "untold") -> list[FindingRecord | Notice]:
        late = START + timedelta(days=999)
        return self.ledger.untold(before=late, limit=9999, when=when)  # type: ignore[arg-type]  # one of them


_in = cache(in_mode)


@pytest.fixture
def services() -> Places:
    return Places(World())


def hours_of(services: Places, begin: datetime, hours: float = 1) -> datetime:
    """Scheduled runs for so long; when the last one was."""
    now, end = begin, begin + timedelta(hours=hours)
    while now < end:
        now += FIVE_MINUTES
        try:
            services.scheduled(now)
        except GatewayError:
            continue
    return now


# A place is down


def test_topic_that_is_down_for_an_hour_gets_all_once_and_others_hear_it_at_once(
    services: Places,
) -> None:
    world = services.world
    services.settle(routes=[{"to": [OTHER]}], daily_digest=None)
    world.out["topic"] = DOWN
    services.found(1, START)
    assert services.stream(START) == 1
    assert len(world.at(OTHER)) == 1, "the other topic doesn't wait for it"
    now = hours_of(services, START)
    assert world.at("topic") == []
    assert len(services.still()) == 1, "nothing is lost"
    del world.out["topic"]
    services.scheduled(now + FIVE_MINUTES)
    services.scheduled(now + 2 * FIVE_MINUTES)
    assert (len(world.at("topic")), len(world.at(OTHER))) == (1, 1)
    assert services.still() == []


def test_topic_that_is_down_holds_up_no_digest_of_another_place(services: Places) -> None:
    world = services.world
    services.settle(routes=[{"to": [OTHER]}], daily_digest=None, single_per_window=1)
    world.out["topic"] = DOWN
    for number in range(6):
        services.found(number, START)
    services.stream(START)
    for run in (1, 2):
        with pytest.raises(GatewayError):
            services.scheduled(START + run * FIVE_MINUTES)
    assert sum(_covered(text) for text in world.at(OTHER)) == 6
    del world.out["topic"]
    services.scheduled(START + 3 * FIVE_MINUTES)
    services.scheduled(START + 4 * FIVE_MINUTES)
    for place in ("topic", OTHER):
        assert sum(_covered(text) for text in world.at(place)) == 6


@pytest.mark.parametrize("error", [DOWN, WRONG], ids=["down", "refuses"])
@pytest.mark.parametrize("place", [OTHER, CHANNEL])
def test_other_place_that_fails_for_an_hour_gets_all_once_and_the_topic_waits_for_nothing(
    services: Places, place: str, error: GatewayError
) -> None:
    world = services.world
    services.settle(routes=[{"to": [place]}], daily_digest=None)
    world.out[place] = error
    for number in range(30):
        services.found(number, START + timedelta(minutes=number))
        assert services.stream(START + timedelta(minutes=number)) == 0
    told = len(world.at("topic"))
    now = hours_of(services, START + timedelta(minutes=30))
    heard = len(world.at("topic"))
    del world.out[place]
    for _ in range(3):
        services.scheduled(now := now + FIVE_MINUTES)
    assert told <= heard == len(world.at("topic")), "the topic heard nothing twice"
    assert 0 < len(world.at(place)) <= 8
    assert services.still() == services.still("later") == []


def test_storm_while_all_is_down_ends_in_few_messages_and_nothing_is_left(
    services: Places,
) -> None:
    world = services.world
    services.settle(routes=[{"to": [OTHER]}], daily_digest=None)
    world.out = {"topic": DOWN, OTHER: DOWN}
    for number in range(600):
        now = START + number * FIVE_MINUTES / 600
        services.found(number, now)
        services.stream(now)
    now = hours_of(services, START)
    world.out = {}
    for _ in range(4):
        services.scheduled(now := now + FIVE_MINUTES)
    for place in ("topic", OTHER):
        assert 0 < len(world.at(place)) <= 20
        assert sum(_covered(text) for text in world.at(place)) == 600
    assert services.still() == services.still("later") == []


def test_storm_is_few_messages_to_each_place_and_programs_hear_each_finding(
    services: Places, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A tenth of ten thousand in five minutes, with digests that hold a tenth of theirs."""
    monkeypatch.setattr(telling, "DIGEST_SIZE", telling.DIGEST_SIZE // 10)
    caplog.set_level(logging.CRITICAL, logger="keyward")
    world = services.world
    services.environment = replace(services.environment, out_bus="keyward-out")
    services.settle(slack=CHANNEL, routes=[{"to": [OTHER]}], daily_digest=None)
    number, findings = 1_000, set[str]()
    for at in range(number):
        now = START + at * FIVE_MINUTES / number
        findings.add(services.found(at, now).key)
        services.stream(now)
    for run in range(1, 6):
        services.scheduled(START + FIVE_MINUTES + run * FIVE_MINUTES)
    assert services.still() == services.still("later") == []
    for place in ("topic", OTHER, CHANNEL):
        assert 0 < len(world.at(place)) <= 20
    assert sum(_covered(text) for text in world.at("topic")) == number
    assert not [place for place, _ in world.heard if place.startswith("thread:")]
    assert len(findings) == number
    assert {it["finding"] for it in world.entries} == findings
    assert len(world.entries) == number


def _covered(subject: str) -> int:
    """How many findings a message tells of."""
    return int(subject.split()[1]) if "folded" in subject else 1


def test_what_is_out_of_order_is_tried_few_times_a_run(services: Places) -> None:
    world = services.world
    services.settle(routes=[{"to": [OTHER]}], daily_digest=None, single_per_window=100)
    world.out[OTHER] = DOWN
    for number in range(50):
        services.found(number, START)
    services.stream(START)
    now = hours_of(services, START, 0.5)
    world.tried.clear()
    services.scheduled(now + FIVE_MINUTES)
    assert world.tried[OTHER] <= 1


def test_digests_of_a_place_that_is_down_do_not_pile_up(services: Places) -> None:
    world = services.world
    services.settle(routes=[{"to": [OTHER]}], daily_digest=None, single_per_window=1)
    world.out[OTHER] = DOWN
    now = START
    for number in range(36):
        services.found(number, now)
        services.stream(now)
        if number % 3 == 2:
            services.scheduled(now := now + FIVE_MINUTES)
    del world.out[OTHER]
    for _ in range(3):
        services.scheduled(now := now + FIVE_MINUTES)
    assert len(world.at(OTHER)) <= 3
    assert sum(_covered(text) for text in world.at(OTHER)) == 36


def test_place_that_refuses_for_days_is_given_up_and_the_topic_never_is(
    services: Places,
) -> None:
    world = services.world
    services.settle(routes=[{"to": [OTHER]}], daily_digest=None)
    world.out[OTHER] = WRONG
    services.found(1, START)
    services.stream(START)
    services.scheduled(START + timedelta(days=2, hours=23))
    assert len(services.still("later")) == 1
    services.scheduled(START + timedelta(days=3, minutes=1))
    assert services.still("later") == []
    world.out["topic"] = WRONG
    services.found(2, START)
    services.stream(START)
    with pytest.raises(GatewayError):
        services.scheduled(START + timedelta(days=30))
    assert len(services.still()) == 1


def test_place_that_settings_name_no_more_keeps_no_digest_waiting(services: Places) -> None:
    world = services.world
    services.settle(routes=[{"to": [OTHER]}], daily_digest=None)
    world.out[OTHER] = DOWN
    for number in range(12):
        services.found(number, START)
    services.stream(START)
    now = hours_of(services, START, 0.5)
    services.settle(daily_digest=None)
    services.scheduled(now + FIVE_MINUTES)
    assert services.still() == services.still("later") == []


# Programs


@pytest.mark.parametrize("place", ["bus", "security-hub"])
def test_programs_that_are_down_keep_no_person_waiting_and_hear_it_later(
    services: Places, place: str
) -> None:
    world = services.world
    services.environment = replace(services.environment, out_bus="keyward-out", security_hub=True)
    world.out[place] = DOWN
    services.found(1, START)
    assert services.stream(START) == 0
    assert len(world.at("topic")) == 1
    now = hours_of(services, START)
    del world.out[place]
    services.scheduled(now + FIVE_MINUTES)
    services.scheduled(now + 2 * FIVE_MINUTES)
    assert len(world.at("bus")) == len(world.at("security-hub")) == len(world.at("topic")) == 1
    assert services.still("later") == []


def test_programs_hear_in_quiet_hours_and_of_what_is_folded(services: Places) -> None:
    world = services.world
    services.environment = replace(services.environment, out_bus="keyward-out")
    services.settle(quiet_hours={"begin": "00:00", "end": "00:00"}, daily_digest=None)
    first = services.found(1, START)
    services.grows(first, Severity.LOW)
    services.stream(START)
    assert (len(world.entries), world.at("topic")) == (1, [])
    services.settle(daily_digest=None, single_per_window=1)
    for number in range(2, 12):
        services.found(number, START)
    services.stream(START)
    assert len({it["finding"] for it in world.entries}) == 11
    assert len({it["id"] for it in world.entries}) == len(world.entries) == 11


def test_programs_hear_of_a_step_that_came_while_another_place_was_down(
    services: Places,
) -> None:
    world = services.world
    services.environment = replace(services.environment, out_bus="keyward-out", security_hub=True)
    services.settle(routes=[{"to": [OTHER]}], daily_digest=None)
    world.out[OTHER] = DOWN
    record = services.found(1, START)
    services.stream(START)
    services.resolve(record, START + timedelta(minutes=2))
    services.stream(START + timedelta(minutes=2))
    assert [it["state"] for it in world.entries] == ["open", "resolved"]
    assert [text.split()[0] for text in world.at("security-hub")] == ["ACTIVE", "ARCHIVED"]
    assert len(world.at("topic")) == 1


# In order, and how it goes on


def test_thread_hears_each_step_in_order_and_the_topic_only_alerts(services: Places) -> None:
    world = services.world
    services.settle(slack=CHANNEL, daily_digest=None)
    record = services.found(1, START)
    services.stream(START)
    seen = planner.acknowledged(
        services.now_is(record), by="jane", note="mine", now=START + timedelta(minutes=1)
    )
    services.ledger.finish(seen, replacing=services.now_is(record))
    services.stream(START + timedelta(minutes=1))
    services.resolve(record, START + timedelta(minutes=2))
    services.stream(START + timedelta(minutes=2))
    (ts,) = {place.rpartition("/")[2] for place, _ in world.heard if place.startswith("thread:")}
    assert len(world.at(CHANNEL)) == len(world.at("topic")) == 1
    assert len(world.at(f"thread:C0123456/{ts}")) == 2
    assert services.still() == services.still("later") == []


def test_step_that_comes_while_the_beginning_is_told_is_told_after_it(services: Places) -> None:
    world = services.world
    services.environment = replace(services.environment, out_bus="keyward-out")
    services.settle(slack=CHANNEL, daily_digest=None)
    record = services.found(1, START)
    later = START + timedelta(seconds=20)

    def resolved_meanwhile() -> None:
        world.meanwhile = lambda: services.resolve(record, later)

    world.meanwhile = resolved_meanwhile
    services.stream(START)
    services.stream(later)
    services.stream(later)
    assert [it["state"] for it in world.entries] == ["open", "resolved"]
    assert len(world.at(CHANNEL)) == len(world.at("topic")) == 1
    assert sum(place.startswith("thread:") for place, _ in world.heard) == 1
    assert services.still() == services.still("later") == []


def test_place_that_never_heard_the_beginning_of_an_episode_hears_no_end_of_it(
    services: Places,
) -> None:
    world = services.world
    services.settle(slack=CHANNEL, daily_digest=None)
    record = services.found(1, START)
    services.stream(START)
    services.resolve(record, START + timedelta(minutes=1))
    services.stream(START + timedelta(minutes=1))
    world.out[CHANNEL] = DOWN
    services.found(1, START + HOUR)
    services.stream(START + HOUR)
    again = services.now_is(record)
    assert again.episode == 2
    services.ledger.told(again)
    services.resolve(again, START + 2 * HOUR)
    del world.out[CHANNEL]
    heard = len(world.heard)
    services.stream(START + 2 * HOUR)
    assert world.heard[heard:] == []
    assert services.now_is(record).untold is None


def test_finding_that_moves_on_before_it_could_be_told_is_told_as_it_is(
    services: Places,
) -> None:
    world = services.world
    world.out["topic"] = DOWN
    record = services.found(1, START)
    services.stream(START)
    acted = planner.finished(
        services.now_is(record), State.FAILED, outcome="denied", now=START + HOUR
    )
    services.ledger.finish(acted, replacing=services.now_is(record))
    del world.out["topic"]
    services.stream(START + HOUR)
    assert len(world.at("topic")) == 1
    assert world.at("topic")[0].startswith("[CRITICAL]")


# Twice


def test_stream_that_repeats_itself_and_runs_at_once_tell_once(services: Places) -> None:
    world = services.world
    services.settle(routes=[{"to": [OTHER]}], daily_digest=None)
    services.found(1, START)
    images = [item for item in services.table.stream if "untold" in item]
    services.stream(START)
    for image in images * 3:
        telling.tell([told_document(image)], services=services, now=START)
    assert (len(world.at("topic")), len(world.at(OTHER))) == (1, 1)


def test_two_functions_at_once_tell_a_thing_once(services: Places) -> None:
    world = services.world
    services.settle(routes=[{"to": [OTHER]}], daily_digest=None)
    record = services.found(1, START)
    later = START + FIVE_MINUTES
    world.meanwhile = lambda: telling.tell([record], services=services, now=later)
    services.scheduled(later)
    assert (len(world.at("topic")), len(world.at(OTHER))) == (1, 1)
    assert services.still() == []


def test_function_that_died_while_it_told_keeps_others_from_it_for_no_longer_than_it_could(
    services: Places,
) -> None:
    world = services.world
    record = services.found(1, START)
    assert services.ledger.begin_telling(record, now=START)
    services.stream(START + timedelta(seconds=60))
    assert world.at("topic") == []
    services.scheduled(START + FIVE_MINUTES)
    assert len(world.at("topic")) == 1


def test_record_that_is_gone_is_not_told(services: Places) -> None:
    record = services.found(1, START)
    del services.table.items[f"finding#{record.key}", "finding"]
    telling.tell([record], services=services, now=START)
    assert services.world.heard == []


# Digests


def test_item_is_folded_for_one_place_and_single_at_another(services: Places) -> None:
    world = services.world
    services.settle(
        routes=[{"to": [OTHER], "accounts": [OTHER_MEMBER]}], daily_digest=None, single_per_window=1
    )
    services.found(0, START)
    services.stream(START)
    for number in range(1, 6):
        services.found(number, START)
    services.found(6, START, account=OTHER_MEMBER)
    services.stream(START)
    services.scheduled(START + FIVE_MINUTES)
    services.scheduled(START + 2 * FIVE_MINUTES)
    assert len(world.at("topic")) == 2
    assert "6 Keyward alerts, folded" in world.at("topic")[1]
    (single,) = world.at(OTHER)
    assert "folded" not in single
    assert services.still() == []


def test_digest_that_a_place_did_not_take_is_told_as_it_was(services: Places) -> None:
    world = services.world
    services.settle(daily_digest=None, single_per_window=1)
    for number in range(6):
        services.found(number, START)
    services.stream(START)
    world.out["topic"] = DOWN
    with pytest.raises(GatewayError):
        services.scheduled(START + FIVE_MINUTES)
    del world.out["topic"]
    services.found(7, START + FIVE_MINUTES)
    services.stream(START + 2 * FIVE_MINUTES)
    services.scheduled(START + 3 * FIVE_MINUTES)
    assert sum(_covered(text) for text in world.at("topic")) == 7
    assert services.still() == []


def test_notice_for_some_places_goes_there_alone_and_once(services: Places) -> None:
    world = services.world
    services.settle(slack=CHANNEL, routes=[{"to": [OTHER]}], daily_digest=None)
    notice = Notice(
        kind="report",
        id="1",
        title="The report",
        text="is there",
        severity=Severity.LOW,
        at=START,
        to=(OTHER,),
    )
    assert services.ledger.notice(notice)
    services.stream(START)
    services.stream(START)
    assert [place for place, _ in world.heard] == [OTHER]


# When


def test_quiet_hours_hold_back_what_is_light_and_tell_it_after_them_once(
    services: Places,
) -> None:
    world = services.world
    services.settle(quiet_hours={"begin": "08:00", "end": "11:00"}, daily_digest=None)
    light, grave = services.found(1, START), services.found(2, START)
    services.grows(light, Severity.MEDIUM)
    services.stream(START)
    assert len(world.at("topic")) == 1
    now = hours_of(services, START, 1.9)
    assert len(world.at("topic")) == 1
    assert [it.key for it in services.still("quiet") if isinstance(it, FindingRecord)] == [
        light.key
    ]
    hours_of(services, now, 0.5)
    assert len(world.at("topic")) == 2
    assert services.now_is(grave).untold is services.now_is(light).untold is None


def test_what_waits_for_the_morning_and_gets_grave_is_told_at_once(services: Places) -> None:
    world = services.world
    services.settle(quiet_hours={"begin": "00:00", "end": "00:00"}, daily_digest=None)
    record = services.found(1, START)
    services.grows(record, Severity.LOW)
    services.stream(START)
    assert world.at("topic") == []
    services.grows(record, Severity.CRITICAL)
    services.stream(START)
    assert len(world.at("topic")) == 1


@pytest.mark.parametrize(
    ("error", "other"),
    [(DOWN, 0), (NotFoundError("gone", code="AccountNotFoundException"), 0), (None, 1)],
)
def test_account_whose_units_nobody_can_tell_keeps_nobody_from_the_alert(
    services: Places, error: GatewayError | None, other: int
) -> None:
    world = services.world
    services.settle(routes=[{"to": [OTHER], "units": [UNIT]}], daily_digest=None)
    services.unit_error = error
    services.found(1, START)
    assert services.stream(START) == 0
    assert (len(world.at("topic")), len(world.at(OTHER))) == (1, other)
    services.unit_error = None
    services.scheduled(START + FIVE_MINUTES)
    services.scheduled(START + 2 * FIVE_MINUTES)
    assert len(world.at("topic")) == 1
    assert len(world.at(OTHER)) == (0 if isinstance(error, NotFoundError) else 1)


def test_what_a_place_was_told_of_another_news_does_not_count(services: Places) -> None:
    record = services.found(1, START)
    old = Delivered(news=START - HOUR)
    services.ledger.delivered(record, "topic", old, now=START)
    services.stream(START)
    assert len(services.world.at("topic")) == 1


def test_function_that_dies_after_it_made_a_digest_tells_no_finding_in_a_second(
    services: Places,
) -> None:
    """More is found before the next run, so that its digest is another."""
    world = services.world
    services.settle(routes=[{"to": [OTHER]}], daily_digest=None, single_per_window=1)
    for number in range(60):
        services.found(number, START)
    services.table.stream.clear()
    for dies_after in ("fold", "notice", "told_together"):
        with pytest.MonkeyPatch.context() as patch:
            _dies_after(patch, services, dies_after)
            with pytest.raises(DeadError):
                telling.tell_the_rest(services=services, now=START + FIVE_MINUTES)
            services.table.stream.clear()
    for number in range(60, 70):
        services.found(number, START + FIVE_MINUTES)
    services.table.stream.clear()
    now = START + FIVE_MINUTES
    for _ in range(4):
        services.scheduled(now := now + FIVE_MINUTES)
    for place in ("topic", OTHER):
        assert sum(_covered(text) for text in world.at(place)) == 70
    assert services.still() == services.still("later") == []


class DeadError(Exception):
    """The function ended here."""


def _dies_after(patch: pytest.MonkeyPatch, services: Places, name: str) -> None:
    """Ends the run once the ledger did this the first time."""
    act = getattr(services.ledger, name)

    def once(*args: Any, **more: Any) -> None:
        act(*args, **more)
        raise DeadError

    patch.setattr(services.ledger, name, once)


def test_item_that_is_told_by_itself_meanwhile_is_in_no_digest(services: Places) -> None:
    """The stream tries again what it failed at, while a scheduled run is at work."""
    world = services.world
    services.settle(daily_digest=None)
    records = [services.found(number, START) for number in range(5)]
    services.table.stream.clear()
    read = services.ledger.deliveries_of
    now = START + FIVE_MINUTES

    def slow(items: Any) -> Any:
        found = read(items)
        if items:
            telling.tell([records[0]], services=services, now=now)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(services.ledger, "deliveries_of", slow)
        telling.tell_the_rest(services=services, now=now)
    assert sum(_covered(text) for text in world.at("topic")) == 5, world.heard


def test_route_that_is_added_later_brings_nothing_that_was_told(services: Places) -> None:
    world = services.world
    services.settle(routes=[{"to": [CHANNEL]}], daily_digest=None)
    single = services.found(0, START)
    services.stream(START)
    for number in range(1, 30):
        services.found(number, START)
    services.table.stream.clear()
    services.scheduled(START + FIVE_MINUTES)
    services.settle(routes=[{"to": [CHANNEL, OTHER]}], daily_digest=None)
    services.scheduled(START + 2 * FIVE_MINUTES)
    services.resolve(single, START + 2 * FIVE_MINUTES)
    services.stream(START + 2 * FIVE_MINUTES)
    services.scheduled(START + 4 * FIVE_MINUTES)
    assert world.at(OTHER) == []
    assert len([it for it in world.heard if it[0].startswith("thread:")]) == 1


def test_run_ends_in_time_and_the_next_tells_the_rest_in_order(services: Places) -> None:
    world = services.world
    services.settle(slack=CHANNEL, daily_digest=None, single_per_window=100)
    records = [services.found(number, START) for number in range(9)]
    services.stream(START)
    for record in records:
        services.resolve(record, START + timedelta(minutes=1))
    services.table.stream.clear()
    told: list[int] = []
    for run in range(6):
        seconds = itertools.count()
        services.clock = lambda ticks=seconds: START + timedelta(seconds=15 * next(ticks))
        services.scheduled(START + timedelta(minutes=10 + 5 * run))
        told.append(sum(place.startswith("thread:") for place, _ in world.heard))
    assert 0 < told[0] < len(records)
    assert told == sorted(told)
    assert told[-1] == len(records)
    assert services.still() == services.still("later") == []


def test_what_the_stream_tries_again_takes_no_second_place_among_single_alerts(
    services: Places,
) -> None:
    world = services.world
    services.settle(daily_digest=None, single_per_window=2)
    world.out["topic"] = DOWN
    first = services.found(1, START)
    for _ in range(3):
        with pytest.raises(GatewayError):
            telling.tell([first], services=services, now=START)
    del world.out["topic"]
    for finding in (first, services.found(2, START)):
        telling.tell([finding], services=services, now=START)
    assert len(world.at("topic")) == 2
    assert services.still() == []
