"""The settings guard against Parameter Store and a ledger, under moto."""

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import moto
import pytest

from keyward import services as services_module
from keyward.errors import GatewayError
from keyward.findings import Notice
from keyward.gateways.ssm import SsmGateway
from keyward.ledger import Ledger
from keyward.rules import every
from keyward.services import Environment, Services
from keyward.settings import Accepted, Mode
from keyward.settling import settle
from tests.flow.world import aws_error, create_ledger

HUB = "123456789012"
REGION = "us-east-1"
RULE = "/keyward/rules/iam-user-created"
CHANGE = {"Records": [{"messageId": "1", "body": "{}"}, {"messageId": "2", "body": "no JSON"}]}


@dataclass
class Context:
    function_name: str = "keyward-settings-guard"
    function_version: str = "$LATEST"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = f"arn:aws:lambda:{REGION}:{HUB}:function:keyward-settings-guard"
    aws_request_id: str = "11111111-2222-3333-4444-555555555555"


@dataclass
class Guard:
    handler: ModuleType
    ssm: Any
    services: Services

    @property
    def ledger(self) -> Ledger:
        return self.services.ledger

    def put(self, name: str, value: object) -> None:
        text = value if isinstance(value, str) else json.dumps(value)
        self.ssm.put_parameter(Name=name, Value=text, Type="String", Overwrite=True)

    def run(self) -> object:
        return self.handler.handler(CHANGE, Context())

    @staticmethod
    def soon() -> datetime:
        return datetime.now(UTC) + timedelta(minutes=1)

    def in_force(self) -> Accepted:
        found = self.ledger.accepted()
        assert found is not None
        return found

    def notices(self) -> list[Notice]:
        return [
            one
            for one in self.ledger.untold(before=self.soon(), limit=100)
            if isinstance(one, Notice)
        ]


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guard]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with moto.mock_aws():
        create_ledger()
        here = Services(
            environment=Environment(
                table="keyward-ledger", hub_account=HUB, function="keyward-settings-guard"
            )
        )
        monkeypatch.setattr(services_module, "_services", here)
        yield Guard(
            handler=the_handler(), ssm=boto3.client("ssm", region_name=REGION), services=here
        )


def the_handler() -> ModuleType:
    file = Path(__file__).parents[2] / "functions" / "settings_guard" / "handler.py"
    spec = importlib.util.spec_from_file_location("settings_guard_handler", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_tree_of_more_than_one_page_is_in_force(guard: Guard) -> None:
    guard.put("/keyward/settings", {"ceiling": "enforce"})
    for number in range(25):
        guard.put(
            f"/keyward/exemptions/build-{number}",
            {
                "owner": "team@example.com",
                "reason": "keys only",
                "ticket": "SEC-1",
                "until": "2099-01-01T00:00:00Z",
                "account": "444455556666",
                "user_id": "AIDAEXAMPLE",
                "rules": ["iam-user-created"],
            },
        )
    assert guard.run() == {"batchItemFailures": []}
    found = guard.in_force()
    assert (found.version, found.settings.ceiling) == (1, Mode.ENFORCE)
    assert len(found.exemptions) == 25


def test_nothing_is_written_where_nothing_changed(guard: Guard) -> None:
    guard.put(RULE, {"mode": "off"})
    guard.run()
    before = guard.in_force()
    guard.run()
    assert guard.in_force() == before


def test_a_bad_value_changes_nothing_and_is_told_once(guard: Guard) -> None:
    guard.put(RULE, {"mode": "off"})
    guard.run()
    before = guard.in_force()
    guard.put(RULE, {"mode": "enfroce"})
    guard.run()
    guard.run()
    assert guard.in_force() == before
    (notice,) = guard.notices()
    assert notice.kind == "setting-refused"
    for what in (RULE, "version 2", "field mode", "'off', 'report' or 'enforce'"):
        assert what in notice.text


def test_every_bad_version_is_told(guard: Guard) -> None:
    for value in ({"mode": "a"}, {"mode": "b"}, {"mood": "off"}):
        guard.put(RULE, value)
        guard.run()
    assert len(guard.notices()) == 3


def test_a_bad_parameter_made_anew_is_told_again(guard: Guard) -> None:
    guard.put(RULE, {"mode": "a"})
    guard.run()
    guard.ssm.delete_parameter(Name=RULE)
    guard.put(RULE, {"mood": "a"})
    guard.run()
    assert len(guard.notices()) == 2


def test_a_secret_parameter_is_refused_unread(guard: Guard) -> None:
    guard.ssm.put_parameter(Name=RULE, Value='{"mode": "off"}', Type="SecureString")
    guard.run()
    assert guard.in_force().rules == {}
    assert len(guard.notices()) == 1


def test_settings_that_cannot_be_read_leave_the_old_ones_in_force(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard.put("/keyward/settings", {"ceiling": "enforce"})
    guard.run()
    before = guard.in_force()
    monkeypatch.setattr(SsmGateway, "parameters", throttled)
    with pytest.raises(GatewayError) as failed:
        guard.run()
    assert failed.value.retryable
    assert guard.in_force() == before


def throttled(_self: SsmGateway, _path: str) -> dict[str, object]:
    message = "GetParametersByPath /keyward: ThrottlingException"
    raise GatewayError(message, code="ThrottlingException", retryable=True)


def test_whoever_is_slower_tries_again(guard: Guard) -> None:
    guard.put(RULE, {"mode": "off"})

    class Slow(SsmGateway):
        """Somebody else compiles between our two calls."""

        def parameters(self, path: str) -> Any:
            found = super().parameters(path)
            guard.run()
            return found

    with pytest.raises(GatewayError) as failed:
        settle(ssm=Slow(guard.ssm), ledger=guard.ledger, rules=every(), now=datetime.now(UTC))
    assert failed.value.retryable
    assert guard.in_force().version == 1


def test_a_pause_outlives_a_change_of_settings(guard: Guard) -> None:
    guard.put(RULE, {"mode": "off"})
    guard.run()
    until = datetime.now(UTC) + timedelta(hours=4)
    paused = guard.in_force().model_copy(update={"paused_until": until, "version": 2})
    guard.ledger.accept(paused, replacing=1)
    guard.put(RULE, {"mode": "report"})
    guard.run()
    found = guard.in_force()
    assert (found.paused_until, found.version) == (until, 3)


def test_exemptions_are_written_once_and_deleted_twice(guard: Guard) -> None:
    ssm = guard.services.ssm
    assert ssm.put_exemption("build", "{}") == "/keyward/exemptions/build"
    with pytest.raises(GatewayError) as taken:
        ssm.put_exemption("build", "{}")
    assert (taken.value.code, taken.value.retryable) == ("ParameterAlreadyExists", False)
    ssm.delete("/keyward/exemptions/build")
    ssm.delete("/keyward/exemptions/build")
    assert ssm.parameters("/keyward") == {}


@pytest.mark.parametrize(("size", "tier"), [(4096, "Standard"), (4097, "Advanced")])
def test_a_long_parameter_is_an_advanced_one(guard: Guard, size: int, tier: str) -> None:
    guard.services.ssm.put("/keyward/settings", "x" * size, replace=False)
    (found,) = guard.ssm.describe_parameters()["Parameters"]
    assert found["Tier"] == tier


@pytest.mark.usefixtures("guard")
def test_a_delete_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(**_arguments: object) -> None:
        raise aws_error("InternalServerError", "DeleteParameter", 500)

    client = boto3.client("ssm", region_name=REGION)
    monkeypatch.setattr(client, "delete_parameter", failing)
    with pytest.raises(GatewayError) as failed:
        SsmGateway(client).delete("/keyward/settings")
    assert failed.value.retryable
