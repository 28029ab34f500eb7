"""Faults in every call of what an operator asks for, by a button or an order, once and always.

A press is redelivered by its queue, and so is the order that it sends to the guard. Whatever fails:
the user is as was asked for in the end, or as before and somebody hears why; nobody hears that it
is done while it isn't; there is one act, and one alert for what comes of it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import boto3
import pytest
from moto.sqs.models import sqs_backends
from moto.ssm.models import ssm_backends

from keyward import ordering, pressing, telling
from keyward.errors import GatewayError
from keyward.findings import FindingRecord, State
from keyward.gateways.dynamodb import Item, Write
from keyward.gateways.slack import SlackGateway
from keyward.gateways.translate import translated
from keyward.ledger import Ledger
from tests.faults.injection import (
    ELSEWHERE,
    IAM_WRITES,
    Crash,
    FaultKind,
    Injection,
    LastingClients,
    Run,
    Snapshot,
    Striking,
    injections,
    is_read,
)
from tests.faults.memory import MemoryTable
from tests.faults.scenarios import (
    USER,
    Case,
    a_key,
    a_user,
    as_it_was,
    contained,
    denied_by,
    keys_inactive,
    the_user,
)
from tests.flow.slack_server import Answer, Slack, a_slack, down, hangs_up, rate_limited, refused
from tests.flow.test_ingress import SECRET, Secrets
from tests.flow.test_pressing import SIGNING, signed
from tests.flow.world import HUB, IAM_SWEEP_QUEUE, REGION, Call, World, a_world

JANE = "U0123456"
CHANNEL = "C0123456"
REASON = "the key is on a public page"
TRIES = 4
"""So often a queue delivers, and no more."""

FAULTS = [
    pytest.param(kind, lasting, id=f"{kind}-{'always' if lasting else 'once'}")
    for kind in FaultKind
    for lasting in (False, True)
    if not (kind is FaultKind.CRASH_BEFORE and not lasting)
]
"""Who dies before a call once leaves what he leaves who is throttled there."""


@dataclass(frozen=True, kw_only=True)
class Act:
    """What somebody asks for. `prepare` makes the situation, with the message under "press" or
    "check"; `is_so` says whether the user and the record are as was asked for."""

    name: str
    prepare: Callable[[World], Case]
    is_so: Callable[[World, Case], bool]
    quarantines: bool = False


def settings_of(world: World, ceiling: str) -> None:
    """Jane may press buttons; alerts go to a channel as well."""
    settings = {
        "ceiling": ceiling,
        "operators": {"people": [{"name": "Jane", "slack_user": JANE}], "two_people": False},
    }
    world.settings(settings=settings)
    boto3.client("ssm", region_name=REGION).put_parameter(
        Name="/keyward/settings", Value=json.dumps(settings), Type="String", Overwrite=True
    )


def a_key_of_somebody_known(world: World) -> Case:
    """A key whose owner has an id as IAM gives it: an exemption names that."""
    world.do("CreateUser", UserName=USER)
    the_user(world).id = "AIDAEXAMPLE0000000001"
    event = world.do("CreateAccessKey", UserName=USER)
    return {
        "event": event,
        "keys": [event["detail"]["responseElements"]["accessKey"]["accessKeyId"]],
    }


def reported(situation: Callable[[World], Case]) -> Callable[[World], Case]:
    """The situation under rules that report, found and told."""

    def prepare(world: World) -> Case:
        settings_of(world, "report")
        case = situation(world)
        world.deliver(case["event"])
        for item in world.untold():
            world.ledger.told(item)
        (finding,) = [it for it in world.findings() if it.state is State.OPEN]
        world.later(minutes=10)
        return case | {"finding": finding.key}

    return prepare


def ordered(situation: Callable[[World], Case]) -> Callable[[World], Case]:
    """An order was given, and its message is on the way."""

    def prepare(world: World) -> Case:
        case = reported(situation)(world)
        ordering.order(
            record_of(world, case), by="jane", reason=REASON, services=world.services, now=world.now
        )
        (message,) = taken()
        return case | {"check": message}

    return prepare


def pressed(act: str, situation: Callable[[World], Case], **fields: str) -> Callable[[World], Case]:
    """Somebody sends the form of an act, or presses a button that needs none."""

    def prepare(world: World) -> Case:
        case = situation(world)
        at = int(world.now.timestamp())
        value = f"{case['finding']}:1"
        payload: dict[str, Any] = {
            "type": "block_actions",
            "user": {"id": JANE},
            "channel": {"id": CHANNEL},
            "container": {"is_ephemeral": True},
            "actions": [{"action_id": f"keyward:{act}", "value": value}],
        }
        if fields:
            nonce = f"{at}-{'c' * 32}"
            confirm = {"action_id": f"keyward:{act}:confirm", "value": f"{value}:{nonce}"}
            payload["actions"] = [confirm]
            bound = f"{act} {case['finding']} 1 {JANE}"
            until = world.now + pressing.REMEMBERED
            assert world.ledger.once("form", nonce, holder=bound, until=until), "shown"
            payload["state"] = {
                "values": {
                    name: {
                        "value": {"selected_option": {"value": value}}
                        if name == "days"
                        else {"value": value}
                    }
                    for name, value in fields.items()
                }
            }
        return case | {"press": signed(payload, world.now)}

    return prepare


def held(world: World) -> Case:
    """A key that Keyward deactivated, and told so."""
    settings_of(world, "enforce")
    return contained(a_key)(world)


def record_of(world: World, case: Case) -> FindingRecord:
    record = world.ledger.finding(case["finding"])
    assert record is not None
    return record


def is_in(*states: State) -> Callable[[World, Case], bool]:
    return lambda world, case: record_of(world, case).state in states


def key_done(world: World, case: Case) -> bool:
    return keys_inactive(world, case) and is_in(State.ACTED)(world, case)


def user_done(world: World, case: Case) -> bool:
    return denied_by("policy")(world, case) and is_in(State.ACTED)(world, case)


def released(world: World, case: Case) -> bool:
    return as_it_was(world, case) and is_in(State.RELEASED)(world, case)


def exempted(world: World, case: Case) -> bool:
    accepted = world.ledger.accepted()
    is_written = accepted is not None and bool(accepted.exemptions)
    return is_written and as_it_was(world, case) and is_in(State.EXEMPT)(world, case)


def acknowledged(world: World, case: Case) -> bool:
    return as_it_was(world, case) and record_of(world, case).acknowledged is not None


ACTS = (
    Act(name="order-key", prepare=ordered(a_key), is_so=key_done, quarantines=True),
    Act(name="order-user", prepare=ordered(a_user), is_so=user_done, quarantines=True),
    Act(
        name="press-quarantine",
        prepare=pressed("quarantine", reported(a_key), reason=REASON),
        is_so=key_done,
        quarantines=True,
    ),
    Act(
        name="press-release",
        prepare=pressed("release", held, reason="it was a test"),
        is_so=released,
    ),
    Act(
        name="press-acknowledge",
        prepare=pressed("acknowledge", reported(a_key)),
        is_so=acknowledged,
    ),
    Act(
        name="press-exempt",
        prepare=pressed(
            "exempt",
            reported(a_key_of_somebody_known),
            reason="needed by a tool",
            ticket="SEC-1",
            days="30",
        ),
        is_so=exempted,
    ),
)


def taken() -> list[str]:
    """The messages on iam_guard's lane for looks; they are gone afterwards. Past the API."""
    queue = sqs_backends[HUB][REGION].queues[IAM_SWEEP_QUEUE]
    found = [str(it.body) for it in queue._messages]
    queue._messages.clear()
    return found


class StruckTable(MemoryTable):
    """The ledger's table in memory, whose calls the world counts and strikes as it does AWS's."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def get(self, pk: str, sk: str) -> Item | None:
        return self._called("GetItem", lambda: super(StruckTable, self).get(pk, sk))

    def get_all(self, keys: Iterable[tuple[str, str]]) -> Iterator[Item]:
        inner = super().get_all
        yield from self._called("BatchGetItem", lambda: list(inner(keys)))

    def query(self, pk: str) -> Iterator[Item]:
        inner = super().query
        yield from self._called("Query", lambda: list(inner(pk)))

    def query_index(self, **asked: Any) -> tuple[list[Item], Item | None]:
        inner = super().query_index
        return self._called("Query", lambda: inner(**asked))

    def write(self, *writes: Write) -> None:
        inner = super().write
        params = {"TransactItems": list(writes)}
        self._called("TransactWriteItems", lambda: inner(*writes), params)

    def _called[T](
        self, operation: str, call: Callable[[], T], params: dict[str, Any] | None = None
    ) -> T:
        world = self.world
        if not world.recording:
            return call()
        params = params or {}
        world.calls.append((operation, {**params, "_account": HUB}))
        with translated(operation):
            found: T = world.fault(operation, params, call) if world.fault else call()
        return found


@dataclass(frozen=True)
class Start:
    """What an act begins from, to go back to."""

    aws: Snapshot
    items: dict[tuple[str, str], Item]
    case: Case
    calls: list[Call]


@dataclass
class Place:
    """The organization, its ledger in memory, and Slack."""

    world: World
    table: StruckTable
    slack: Slack
    blank: Start | None = None
    starts: dict[str, Start] = field(default_factory=dict)

    def start(self, case: Case, calls: list[Call]) -> Start:
        return Start(Snapshot.of(self.world), dict(self.table.items), case, calls)

    def go_back(self, start: Start) -> None:
        self.table.items = dict(start.items)
        self.table.stream.clear()
        start.aws.restore(self.world)
        taken()
        parameters = ssm_backends[HUB][REGION]._parameters
        for name in [it for it in parameters if it.startswith("/keyward/exemptions")]:
            del parameters[name]
        self.slack.messages.clear()
        self.slack.fault = None


@contextmanager
def a_place() -> Iterator[Place]:
    with (
        pytest.MonkeyPatch.context() as patch,
        a_world(patch) as world,
        a_slack() as slack,
    ):
        table = StruckTable(world)

        class InMemory(LastingClients):
            @cached_property
            def ledger(self) -> Ledger:
                return Ledger(table, claim_seconds=self.environment.claim_seconds)

            @cached_property
            def secrets(self) -> Any:
                return Secrets(signing_secret=SECRET)

            @cached_property
            def slack(self) -> SlackGateway:
                return SlackGateway(
                    secret=lambda: slack.secret, url=slack.url, clock=lambda: world.now
                )

        world.services_type = InMemory
        world.more = {"slack_signing_secret_arn": SIGNING}
        world.restart()
        world.settings()
        place = Place(world=world, table=table, slack=slack)
        place.blank = place.start({}, [])
        yield place


@dataclass
class Trial:
    """One act under one fault."""

    place: Place
    act: Act
    case: Case
    run: Run = field(default_factory=Run)
    dead: list[Callable[[], None]] = field(default_factory=list)

    @property
    def world(self) -> World:
        return self.place.world

    def all_of_it(self) -> None:
        """The press, and what it sends to the guard: each as often as its queue delivers."""
        if "press" in self.case:
            self._until_taken(self._press)
        else:
            self._until_taken(lambda: self.world.deliver(self.case["check"]))
        for message in taken():
            self._until_taken(lambda it=message: self.world.deliver(it))  # type: ignore[misc]  # bound now

    def redriven(self) -> None:
        """Somebody moves dead letters back once all is well."""
        dead, self.dead = self.dead, []
        for step in dead:
            self._until_taken(step)
        for message in taken():
            self._until_taken(lambda it=message: self.world.deliver(it))  # type: ignore[misc]  # bound now

    def _press(self) -> None:
        world = self.world
        pressing.pressed(self.case["press"], id_="m-1", services=world.services, now=world.now)

    def _until_taken(self, step: Callable[[], None]) -> None:
        for _ in range(TRIES):
            error: BaseException | None = None
            with self.world.recorded() as calls:
                try:
                    step()
                except (GatewayError, Crash) as caught:
                    error = caught
                self.run.calls += calls
            if isinstance(error, Crash):
                self.world.restart()
            self.run.raised.append(error)
            self._tell()
            self.world.later(minutes=2)
            if error is None:
                return
        self.dead.append(step)

    def _tell(self) -> None:
        """What the ledger's stream hands to the notifier, without any fault; counted."""
        fault, self.world.fault = self.world.fault, None
        for item in self.world.untold():
            with self.world.recorded() as calls:
                telling.tell([item], services=self.world.services, now=self.world.now)
                published = [params for name, params in calls if name == "Publish"]
            assert len(published) <= 1
            if published and isinstance(item, FindingRecord):
                self.run.told[item.key, str(item.episode), item.state.value] += 1
        self.world.fault = fault

    @property
    def is_so(self) -> bool:
        return self.act.is_so(self.world, self.case)

    @property
    def said(self) -> str:
        """What whoever pressed was shown."""
        return json.dumps([it.blocks for it in self.place.slack.whispers(JANE)])

    def problems(self, *, lasting: bool) -> list[str]:
        """What does not hold, after all was delivered."""
        found = []
        record = record_of(self.world, self.case)
        is_shown = record.state is State.FAILED or record.held is not None
        if not self.is_so and not (self.dead or "Nothing was done" in self.said or is_shown):
            found.append(f"nobody hears that it isn't so: {record.state} {self.said}")
        if self.dead and not lasting:
            found.append("a passing fault became a dead letter")
        claims = ("Released.", "Exempted.", "Acknowledged.")
        if not self.is_so and any(claim in self.said for claim in claims):
            found.append(f"said that it is done while it isn't: {self.said}")
        return found + self._of_the_act(record)

    def _of_the_act(self, record: FindingRecord) -> list[str]:
        found = []
        begun = [it for it in record.history if it.note.startswith("ordered by")]
        acts = [it for it in begun if it.state is State.ACTING]
        if len(acts) > 1 or record.episode != 1:
            found.append(f"{len(acts)} acts, episode {record.episode}")
        if acts and record.mode != "report":
            found.append(f"mode {record.mode} is told of an order")
        for operation, params in self.run.calls:
            where = params["_account"], params.get("UserName")
            if operation in IAM_WRITES:
                if where != (self.world.member, USER):
                    found.append(f"{operation} written at {where}")
            elif not is_read(operation) and operation not in ELSEWHERE | {"SendMessage"}:
                found.append(f"{operation} called")
        found += [f"told {n} times: {what}" for what, n in self.run.told.items() if n > 1]
        return found


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with a_place() as made:
        yield made


def started(place: Place, act: Act) -> Start:
    """What the act begins from, and its calls where nothing disturbs it: once for a place."""
    if act.name not in place.starts:
        assert place.blank is not None
        place.go_back(place.blank)
        before = place.start(act.prepare(place.world), [])
        place.go_back(before)
        trial = Trial(place=place, act=act, case=before.case)
        trial.all_of_it()
        assert trial.run.raised == [None] * len(trial.run.raised), trial.run.raised
        assert trial.is_so, trial.said
        assert trial.problems(lasting=False) == []
        place.starts[act.name] = replace(before, calls=trial.run.calls)
    return place.starts[act.name]


@pytest.mark.parametrize(("kind", "always"), FAULTS)
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
def test_fault_leaves_nothing_done_halfway_and_silent(
    act: Act, kind: FaultKind, *, always: bool, place: Place
) -> None:
    start = started(place, act)
    cases = injections(start.calls, kind, lasting=always)
    assert cases
    found = []
    for injection in cases:
        place.go_back(start)
        trial = Trial(place=place, act=act, case=start.case)
        found += [f"{injection}: {it}" for it in tried(trial, injection)]
    assert found == []


def tried(trial: Trial, injection: Injection) -> list[str]:
    """What does not hold under this fault, and afterwards without it."""
    world = trial.world
    fault = Striking(injection)
    world.fault = fault
    trial.all_of_it()
    world.fault = None
    found = trial.problems(lasting=injection.lasting)
    if not fault.struck:
        found.append("never struck")
    if trial.dead:
        trial.redriven()
        if trial.dead:
            found.append("the dead letter, redriven, dies again")
        found += trial.problems(lasting=injection.lasting)
    if trial.is_so:
        before, told = record_of(world, trial.case), Counter(trial.run.told)
        trial.run.calls.clear()
        trial.all_of_it()
        if record_of(world, trial.case) != before or trial.run.told != told or not trial.is_so:
            found.append("one more delivery changes or tells something")
        if any(name in IAM_WRITES for name, _ in trial.run.calls):
            found.append("one more delivery writes")
    return found


# Telling while Slack is in trouble

TROUBLES: dict[str, Answer] = {
    "throttled": rate_limited(),
    "denied": refused("not_in_channel"),
    "timeout-after-effect": Answer(status=0, taken=True),
    "down": down(),
    "hangs-up": hangs_up(),
}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("always", [False, True], ids=["once", "for-an-hour"])
def test_slack_in_trouble_keeps_nobody_else_from_hearing_and_hears_it_once(
    place: Place, trouble: str, *, always: bool
) -> None:
    assert place.blank is not None
    place.go_back(place.blank)
    world, slack = place.world, place.slack
    alerts = {"slack": f"slack:{CHANNEL}", "daily_digest": None}
    world.settings(settings={"ceiling": "report", "alerts": alerts})
    world.more = {"slack_secret_arn": f"arn:aws:secretsmanager:{REGION}:{HUB}:secret:slack"}
    world.restart()
    world.deliver(a_key(world)["event"])
    struck: list[str] = []

    def faulty(call: Any) -> Answer | None:
        if struck and not always:
            return None
        struck.append(call.method)
        return TROUBLES[trouble]

    slack.fault = faulty
    assert len(_told_in_an_hour(world)) == 1
    assert struck
    slack.fault = None
    assert _told_in_an_hour(world) == []
    assert world.untold() == []
    heard = len(slack.channel(CHANNEL))
    # Of what Slack took without saying so nobody can know it.
    assert heard == 1 if trouble != "timeout-after-effect" else 2 <= heard <= len(struck) + 1
    world.more = {"slack_signing_secret_arn": SIGNING}
    world.restart()


def _told_in_an_hour(world: World) -> list[str]:
    """What the alert topic got by the stream and by the schedule."""
    with world.recorded() as calls:
        for item in world.untold():
            telling.tell([item], services=world.services, now=world.now)
        for _ in range(12):
            world.later(minutes=5)
            telling.tell_the_rest(services=world.services, now=world.now)
        return [str(params["Subject"]) for name, params in calls if name == "Publish"]
