"""A canary walks the way that the template has; whatever is taken out of it, an alarm is on."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from keyward import alive
from keyward import services as services_module
from keyward.events import Canary
from keyward.model import Hint
from keyward.observability import metrics
from tests.builders import a_hint
from tests.contract.templates import Resource, Stack, hub, matches
from tests.faults.observing import Context
from tests.flow.sweeping import the_sweeping
from tests.flow.world import HUB, REGION, World

if TYPE_CHECKING:
    from types import ModuleType

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

FUNCTIONS = Path(__file__).parents[2] / "functions"
type Counted = tuple[str, frozenset[tuple[str, str]]]
"""A metric and its dimensions."""

# What is taken out, and the alarms that notice.
ON_THE_WAY: dict[str, dict[str, tuple[str, ...]]] = {
    "iam": {
        "keyward-canary-iam": (
            *("CanaryIamSchedule", "ForwardRule", "CanaryIamRule"),
            *("IamGuardQueue", "IamGuardArrivals", "IamGuard"),
        ),
    },
    "identity-center": {
        "keyward-canary-identity-center": (
            *("CanaryIdentityCenterSchedule", "ForwardIdentityCenterRule"),
            *("CanaryIdentityCenterRule", "IdentityCenterGuardQueue"),
            *("IdentityCenterGuardArrivals", "IdentityCenterGuard"),
        ),
    },
    "accounts": {
        "keyward-canary-accounts": (
            *("CanaryAccountsSchedule", "ForwardControlTowerRule", "CanaryAccountsRule"),
            *("AccountBaselineQueue", "AccountBaselineArrivals", "AccountBaseline"),
        ),
        "keyward-canary-told": ("NotifierFindings", "Notifier"),
    },
}
"""Of each way a canary walks: alarm -> what it notices the lack of."""

BESIDE_IT: dict[str, tuple[str, ...]] = {
    "keyward-settings-runs": ("SettingsScheduleRule", "SettingsGuardArrivals", "SettingsGuard"),
    "keyward-retell-runs": ("NotifierEveryFiveMinutes", "Notifier"),
    "keyward-sweep-completed": ("SweepSchedule", "SweepSteps", "Sweep", "IamGuardSweeps"),
    "keyward-full-sweep-completed": ("FullSweepSchedule",),
}
"""What no canary walks: alarm -> what it notices the lack of, by what then isn't counted."""

NOTICED = {
    part
    for alarms in (*ON_THE_WAY.values(), BESIDE_IT)
    for parts in alarms.values()
    for part in parts
}

UNWALKED = {
    "ForwardAccessAnalyzerRule",
    "ForwardSettingsRule",
    "ForwardTrailsRule",
    "ReportEveryWeek",
    "WatchEventSourceMappingsRule",
    "WatchFunctionsRule",
    "WatchRulesRule",
    "WatchSchedulesRule",
    "WatchStacksRule",
    "WatchStoresRule",
}
"""Rules without a canary where everything is at home: keyward-watch-rules tells of them, and
keyward-watch-watchers of that one."""


def on_call() -> set[str]:
    """What must always run; who asks the operator, or for a report, sees that it doesn't."""
    stack = hub()
    feeding = [
        *stack.of_type("AWS::Lambda::EventSourceMapping"),
        *stack.of_type("AWS::Scheduler::Schedule"),
        *stack.of_type("AWS::Lambda::Function"),
        *(
            name
            for name, rule in stack.of_type("AWS::Events::Rule").items()
            if "ScheduleExpression" in rule
            or any(":event-bus/" in target["Arn"] for target in rule["Targets"])
        ),
    ]
    return set(feeding) - {"Operator", "OperatorPresses", "Report"}


def function(name: str) -> ModuleType:
    """The code of a function of this name, as Lambda loads it."""
    folder = name.removeprefix("keyward-").replace("-", "_")
    spec = importlib.util.spec_from_file_location(
        f"{folder}_alive", FUNCTIONS / folder / "handler.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Way:
    """What a stack has, with the functions' code and the world's ledger."""

    def __init__(self, stack: Stack, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        self.stack, self.world, self.capsys = stack, world, capsys

    def counted(self) -> set[Counted]:
        """What was counted since this was asked last."""
        lines = [json.loads(line) for line in self.capsys.readouterr().out.splitlines() if line]
        return {
            (metric["Name"], frozenset((name, line[name]) for name in dimensions))
            for line in lines
            if "_aws" in line
            for group in line["_aws"]["CloudWatchMetrics"]
            if group["Namespace"] == "Keyward"
            for dimensions in group["Dimensions"]
            for metric in group["Metrics"]
            if any(line[metric["Name"]])
        }

    def walk(self, way: str) -> set[Counted]:
        """What is counted when the schedule of this way comes round."""
        metrics.clear_metrics()  # of tests that counted without a handler
        for schedule in self.stack.of_type("AWS::Scheduler::Schedule").values():
            if schedule["Name"] == f"keyward-canary-{way}" and schedule["State"] == "ENABLED":
                self.put(self.sent_by(schedule))
        return self.counted()

    def sent_by(self, schedule: Resource) -> Resource:
        target = schedule["Target"]
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert target["Arn"].endswith(":event-bus/default")
        return {
            "version": "0",
            "id": "7bf73129-1428-4cd3-a780-95db273d1602",
            "detail-type": target["EventBridgeParameters"]["DetailType"],
            "source": target["EventBridgeParameters"]["Source"],
            "account": self.stack.account,
            "time": now,
            "region": REGION,
            "resources": [],
            "detail": json.loads(target["Input"].replace("<aws.scheduler.scheduled-time>", now)),
        }

    def put(self, event: Resource, bus: str = "default") -> None:
        """What EventBridge does with an event on a bus, and Lambda with what comes of it."""
        for rule in self.stack.of_type("AWS::Events::Rule").values():
            is_on_it = rule.get("EventBusName", "default") == bus and "EventPattern" in rule
            if not is_on_it or not matches(rule["EventPattern"], event):
                continue
            for target in rule["Targets"]:
                if target["Arn"].endswith(":event-bus/keyward"):
                    self.put(event, "keyward")
                elif ":sqs:" in target["Arn"]:
                    self.deliver(target["Arn"], event)

    def deliver(self, queue: str, event: Resource) -> None:
        """What Lambda takes from a queue that there is, and gives to a function that there is."""
        names = {one["QueueName"] for one in self.stack.of_type("AWS::SQS::Queue").values()}
        record = {"messageId": "1", "body": json.dumps(event), "eventSource": "aws:sqs"}
        for name in self.fed_by(queue) if queue.rpartition(":")[2] in names else ():
            assert self.invoke(name, record | {"attributes": {}, "eventSourceARN": queue}) == []
            self.stream()

    def stream(self) -> None:
        """What the ledger's stream brings of the canaries in it."""
        items = boto3.client("dynamodb", region_name=REGION).query(
            TableName="keyward-ledger",
            KeyConditionExpression="pk = :canary",
            ExpressionAttributeValues={":canary": {"S": "canary"}},
        )["Items"]
        for source in self.stack.of_type("AWS::Lambda::EventSourceMapping").values():
            for item in items if "/stream/" in source["EventSourceArn"] else ():
                record = {"eventName": "MODIFY", "eventID": "1", "dynamodb": {"NewImage": item}}
                wanted = [json.loads(it["Pattern"]) for it in source["FilterCriteria"]["Filters"]]
                if any(matches(pattern, record) for pattern in wanted) and self.has(source):
                    assert self.invoke(source["FunctionName"], record) == []

    def fed_by(self, queue: str) -> list[str]:
        return [
            source["FunctionName"]
            for source in self.stack.of_type("AWS::Lambda::EventSourceMapping").values()
            if source["EventSourceArn"] == queue and self.has(source)
        ]

    def has(self, source: Resource) -> bool:
        functions = self.stack.of_type("AWS::Lambda::Function").values()
        return source["FunctionName"] in {one["FunctionName"] for one in functions}

    def invoke(self, name: str, record: Resource) -> list[object]:
        """The records that failed."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(services_module, "_services", self.world.services)
            answer = function(name).handler({"Records": [record]}, Context(function_name=name))
        failed: list[object] = answer["batchItemFailures"]
        return failed


def without(stack: Stack, part: str) -> Stack:
    """The stack where somebody has deleted this; what refers to it is left."""
    assert part in stack.resources, part
    return replace(stack, resources={k: v for k, v in stack.resources.items() if k != part})


def alarmed(stack: Stack, name: str) -> Counted:
    """What an alarm of this name misses: it tells by itself that nothing is counted."""
    (alarm,) = [
        one for one in stack.of_type("AWS::CloudWatch::Alarm").values() if one["AlarmName"] == name
    ]
    assert alarm["Namespace"] == "Keyward"
    assert alarm["TreatMissingData"] == "breaching"
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert alarm["AlarmActions"] == [stack.outputs["AlertsTopicArn"]]
    dimensions = frozenset((one["Name"], one["Value"]) for one in alarm["Dimensions"])
    return alarm["MetricName"], dimensions


@pytest.fixture
def way(world: World, capsys: pytest.CaptureFixture[str]) -> Iterator[Way]:
    capsys.readouterr()
    yield Way(hub(), world, capsys)
    metrics.clear_metrics()


@pytest.mark.parametrize("home", ["us-east-1", "eu-central-1"])
@pytest.mark.parametrize("tower", ["", "eu-west-1"])
def test_a_canary_walks_each_way_wherever_keyward_is_at_home(
    way: Way, home: str, tower: str
) -> None:
    way.stack = hub(region=home, ControlTowerRegion=tower)
    told = alarmed(way.stack, "keyward-canary-told")
    for name in alive.WAYS:
        assert way.walk(name) == {alarmed(way.stack, f"keyward-canary-{name}"), told}
    marks = way.world.ledger.canaries()
    assert {mark.way for mark in marks} == set(alive.WAYS)
    assert all(mark.sent <= mark.arrived for mark in marks)


@pytest.mark.parametrize("name", ON_THE_WAY)
def test_whatever_is_missing_on_a_way_an_alarm_misses_its_canary(way: Way, name: str) -> None:
    whole = way.stack
    assert way.walk(name) >= {alarmed(whole, alarm) for alarm in ON_THE_WAY[name]}
    for alarm, parts in ON_THE_WAY[name].items():
        for part in parts:
            way.stack = without(whole, part)
            assert alarmed(whole, alarm) not in way.walk(name), part


def test_settings_guard_and_notifier_count_that_they_came_round(way: Way) -> None:
    alarms = {name: alarmed(way.stack, name) for name in BESIDE_IT}
    way.invoke("keyward-settings-guard", {})
    assert alarms["keyward-settings-runs"] in way.counted()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(services_module, "_services", way.world.services)
        function("keyward-notifier").handler({}, Context())
    assert alarms["keyward-retell-runs"] in way.counted()


@pytest.mark.parametrize("full", [False, True])
def test_sweep_that_all_accounts_answered_is_counted(way: Way, *, full: bool) -> None:
    names = ("keyward-sweep-completed", "keyward-full-sweep-completed")
    completed, completed_full = (alarmed(way.stack, name) for name in names)
    with the_sweeping(way.world) as sweeping:
        sweeping.run(full=full)
    metrics.flush_metrics()
    counted = way.counted()
    assert completed in counted
    assert (completed_full in counted) is full


def test_sweep_that_nobody_answers_is_missed(way: Way) -> None:
    with the_sweeping(way.world) as sweeping:
        sweeping.start()
        while sweeping.waits():
            if sweeping.line.waiting[0][2] == "sweep":
                sweeping.next()
            else:
                sweeping.line.waiting.pop(0)
    metrics.flush_metrics()
    assert alarmed(way.stack, "keyward-sweep-completed") not in way.counted()


def test_everything_that_must_always_run_is_noticed_when_it_does_not() -> None:
    assert on_call() - NOTICED == UNWALKED
    watched = hub().patterns("default")["keyward-watch-rules"]
    for part in UNWALKED:
        stopped = {
            "source": "aws.events",
            "detail": {
                "eventSource": "events.amazonaws.com",
                "eventName": "DisableRule",
                "requestParameters": {"name": hub().properties(part)["Name"]},
            },
        }
        assert matches(watched, stopped), part


def test_a_late_canary_says_nothing(way: Way) -> None:
    services, now = way.world.services, way.world.now
    late = Canary(sent=now - timedelta(minutes=16), way="iam")
    alive.arrived(late, services=services, now=now)
    alive.arrived(Canary(sent=now, way="trails"), services=services, now=now)
    assert way.counted() == set()
    assert way.world.ledger.canaries() == []


def heard(world: World) -> dict[str, str]:
    return {it.account: it.event_name for it in world.ledger.heard()}


def test_what_was_heard_is_in_the_ledger_once_a_canary_came(world: World) -> None:
    services, now = world.services, world.now

    def an_event(name: str, account: str, **more: Any) -> Hint:
        return replace(a_hint(name, account=account), **({"time": now} | more))

    with world.recorded() as calls:
        alive.hear(an_event("CreateUser", world.member), services)
        alive.hear(an_event("DeleteUser", world.member, time=now - timedelta(1)), services)
        alive.hear(an_event("TagUser", world.other_member), services)
        alive.hear(an_event("UserCheck", HUB, origin="sweep"), services)
        assert calls == []
    alive.arrived(Canary(sent=now, way="iam"), services=services, now=now)
    assert heard(world) == {world.member: "CreateUser", world.other_member: "TagUser"}
    assert services.heard == {}


def test_a_process_remembers_only_so_many_accounts(world: World) -> None:
    services = world.services
    for number in range(alive.ACCOUNTS + 5):
        alive.hear(replace(a_hint(), account=f"{number:012}"), services)
    assert len(services.heard) == alive.ACCOUNTS


def test_older_word_than_the_ledgers_is_let_be(world: World) -> None:
    services, now = world.services, world.now
    for name, ago in (("TagUser", 0), ("CreateUser", 5)):
        hint = replace(a_hint(name), account=world.member, time=now - timedelta(minutes=ago))
        alive.hear(hint, services)
        alive.arrived(Canary(sent=now, way="iam"), services=services, now=now)
    assert heard(world) == {world.member: "TagUser"}
