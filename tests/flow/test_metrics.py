"""What functions count, as CloudWatch gets it: embedded metrics, no account id among dimensions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from keyward import telling
from keyward.errors import GatewayError
from keyward.observability import count, count_by, metrics
from tests.flow.test_access_keys import a_key
from tests.flow.world import aws_error

if TYPE_CHECKING:
    from tests.flow.world import World

ACCOUNT = re.compile(r"[0-9]{12}")
type Emitted = dict[tuple[str, tuple[str, ...]], list[float]]


@pytest.fixture
def emitted(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], Emitted]]:
    """The values of each metric since the test began, by name and its dimensions' values."""
    metrics.clear_metrics()
    capsys.readouterr()

    def read() -> Emitted:
        metrics.flush_metrics()
        found: Emitted = {}
        for line in capsys.readouterr().out.splitlines():
            document = json.loads(line)
            if "_aws" in document:
                _collect(document, found)
        return found

    yield read
    metrics.clear_metrics()


def _collect(document: dict[str, Any], found: Emitted) -> None:
    for directive in document["_aws"]["CloudWatchMetrics"]:
        assert directive["Namespace"] == "Keyward"
        for names in directive["Dimensions"]:
            values = tuple(str(document[name]) for name in names)
            assert not any(ACCOUNT.search(value) for value in values), "billed for each account"
            for metric in directive["Metrics"]:
                numbers = document[metric["Name"]]
                numbers = numbers if isinstance(numbers, list) else [numbers]
                found.setdefault((metric["Name"], values), []).extend(numbers)


def test_finding_is_counted_by_rule_and_by_severity_and_never_by_account(
    world: World, emitted: Callable[[], Emitted]
) -> None:
    world.deliver(a_key(world)[1])
    finding = world.finding("iam-access-key-created")
    found = emitted()
    assert found["FindingsRecorded", ("keyward",)] == [1]
    assert found["FindingsRecorded", ("keyward", finding.rule)] == [1]
    assert found["FindingsRecorded", ("keyward", finding.severity.value)] == [1]
    assert found["BudgetUsed", ("keyward",)] == [1]
    assert found["ActionsVerified", ("keyward",)] == [1]


def test_time_to_contain_counts_from_cloudtrails_time_to_the_verified_act(
    world: World, emitted: Callable[[], Emitted]
) -> None:
    key_id, event = a_key(world)
    world.later(seconds=95)
    world.services.clock = lambda: world.now
    world.deliver(event)
    assert world.key_status("ci", key_id) == "Inactive"
    since = world.now - world.finding("iam-access-key-created").evidence.event_time
    (seconds,) = emitted()["TimeToContain", ("keyward",)]
    assert seconds == since.total_seconds() > 90


def test_what_was_only_reported_took_no_time_and_no_budget(
    world: World, emitted: Callable[[], Emitted]
) -> None:
    world.settings(settings={"ceiling": "report"})
    world.deliver(a_key(world)[1])
    found = emitted()
    assert found["FindingsRecorded", ("keyward",)] == [1]
    assert not {"TimeToContain", "BudgetUsed", "ActionsVerified"} & {name for name, _ in found}


def test_act_that_fails_is_counted_and_took_no_time(
    world: World, emitted: Callable[[], Emitted]
) -> None:
    def denied(operation: str, _params: object, call: Any) -> object:
        if operation == "UpdateAccessKey":
            raise aws_error("AccessDenied", operation, 403)
        return call()

    event = a_key(world)[1]
    world.fault = denied
    with world.recorded():
        world.deliver(event)
    found = emitted()
    assert found["ActionsFailed", ("keyward",)] == [1]
    assert "TimeToContain" not in {name for name, _ in found}


def test_alert_that_is_told_folded_or_fails_is_counted(
    world: World, emitted: Callable[[], Emitted]
) -> None:
    alerts = {"single_per_window": 1, "routes": [{"to": ["webhook:nowhere"]}]}
    world.settings(settings={"ceiling": "enforce", "alerts": alerts})
    world.deliver(a_key(world)[1])
    world.deliver(a_key(world, "other")[1])
    telling.tell(world.untold(), services=world.services, now=world.now)
    found = emitted()
    assert found["AlertsTold", ("keyward",)] == [1]
    assert found["AlertsFailed", ("keyward",)] == [1]
    assert found["AlertsFolded", ("keyward",)] == [1]


def test_each_dimension_is_a_metric_of_its_own(emitted: Callable[[], Emitted]) -> None:
    count("Tried")
    count_by("Tried", colour="red", size="big")
    count_by("Tried", colour="red")
    assert emitted() == {
        ("Tried", ("keyward",)): [1],
        ("Tried", ("keyward", "red")): [1, 1],
        ("Tried", ("keyward", "big")): [1],
    }


def test_alert_that_no_place_took_counts_as_failed_and_not_as_told(
    world: World, emitted: Callable[[], Emitted]
) -> None:
    world.deliver(a_key(world)[1])

    def failing(operation: str, _params: dict[str, Any], call: Callable[[], Any]) -> Any:
        if operation == "Publish":
            raise aws_error("InternalError", operation, 500)
        return call()

    world.fault = failing
    emitted()
    with world.recorded(), pytest.raises(GatewayError):
        telling.tell(world.untold(), services=world.services, now=world.now)
    found = emitted()
    assert found["AlertsFailed", ("keyward",)] == [1]
    assert ("AlertsTold", ("keyward",)) not in found
