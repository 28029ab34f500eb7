"""The settings guard against Parameter Store and a ledger, under moto."""

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import moto
import pytest
from moto.iam.models import AWSManagedPolicy, iam_backends

from keyward import services as services_module
from keyward.compiling import BEING_WRITTEN, Parameter
from keyward.errors import GatewayError
from keyward.events import KEYWARD, message
from keyward.facts.accounts import BASELINE_CHANGED
from keyward.facts.identity_center import CATALOGUE_CHANGED
from keyward.findings import Notice
from keyward.gateways.iam import IamGateway
from keyward.gateways.sqs import SqsGateway
from keyward.gateways.ssm import SsmGateway
from keyward.ledger import Ledger
from keyward.model import Actor, Hint
from keyward.rules import every
from keyward.services import SETTINGS_SECONDS, Environment, Services
from keyward.settings import Accepted, Mode
from keyward.settling import settle
from tests.flow.world import BASELINE_QUEUE, CENTER_QUEUE, aws_error, create_ledger

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

    def checks(self) -> list[dict[str, Any]]:
        """What identity_center_guard was told to look at; each only once."""
        return self.received(self.services.environment.center_queue_url)

    def looks(self) -> list[dict[str, Any]]:
        """What account_baseline was told to look at; each only once."""
        return self.received(self.services.environment.baseline_queue_url)

    @staticmethod
    def received(url: str) -> list[dict[str, Any]]:
        client = boto3.client("sqs", region_name=REGION)
        found = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600)
        return [json.loads(one["Body"]) for one in found.get("Messages", [])]

    def checked(self) -> list[str]:
        return sorted(check["parameters"]["permissionSetName"] for check in self.checks())

    def looked_at(self) -> list[str]:
        return sorted(look["parameters"]["baseline"] for look in self.looks())

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
        sqs = boto3.client("sqs", region_name=REGION)
        here = Services(
            environment=Environment(
                table="keyward-ledger",
                hub_account=HUB,
                function="keyward-settings-guard",
                center_queue_url=sqs.create_queue(QueueName=CENTER_QUEUE)["QueueUrl"],
                baseline_queue_url=sqs.create_queue(QueueName=BASELINE_QUEUE)["QueueUrl"],
                region=REGION,
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


# The catalogue of permission sets

SETS = "/keyward/permission-sets"
DEVELOPER = f"{SETS}/Developer"
READ_ONLY = {"managed_policies": ["arn:aws:iam::aws:policy/ReadOnlyAccess"]}
NEWER = "arn:aws:iam::aws:policy/AWSNewerThanThisVersionAccess"


@pytest.fixture
def delays(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The delays of messages, which moto would wait for by the wall clock."""
    found: list[int] = []
    send = SqsGateway.send

    def undelayed(gateway: SqsGateway, body: str, *, delay_seconds: int = 0) -> None:
        found.append(delay_seconds)
        send(gateway, body)

    monkeypatch.setattr(SqsGateway, "send", undelayed)
    assert guard.checks() == []
    assert guard.looks() == []
    return found


def test_a_changed_permission_set_is_looked_at_once_every_guard_knows_of_it(
    guard: Guard, delays: list[int]
) -> None:
    guard.run()
    guard.put(DEVELOPER, READ_ONLY)
    guard.run()
    (check,) = guard.checks()
    found = guard.in_force()
    assert found.compiled_at is not None
    assert message(check) == Hint(
        event_id="settings-2-Developer",
        event_source=KEYWARD,
        event_name=CATALOGUE_CHANGED,
        time=found.compiled_at,
        account=HUB,
        region=REGION,
        actor=Actor(type="Keyward", invoked_by="Keyward"),
        parameters={"permissionSetName": "Developer"},
        response={},
        origin="sweep",
    )
    assert delays == [SETTINGS_SECONDS + 5]
    assert found.unchecked == {}


@pytest.mark.usefixtures("delays")
def test_only_what_is_new_or_other_than_before_is_looked_at(guard: Guard) -> None:
    for name in ("Developer", "ReadOnly", "Billing"):
        guard.put(f"{SETS}/{name}", READ_ONLY)
    guard.run()
    assert guard.checked() == ["Billing", "Developer", "ReadOnly"]
    guard.put(DEVELOPER, READ_ONLY | {"session_hours": 4})
    guard.put(f"{SETS}/ReadOnly", READ_ONLY | {"$comment": "the same"})
    guard.put(f"{SETS}/Auditor", READ_ONLY)
    guard.ssm.delete_parameter(Name=f"{SETS}/Billing")
    guard.run()
    assert guard.checked() == ["Auditor", "Developer"]
    guard.put(RULE, {"mode": "off"})
    guard.run()
    assert guard.checked() == []


@pytest.mark.usefixtures("delays")
def test_a_check_that_could_not_be_sent_is_sent_by_the_next_run(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard.put(DEVELOPER, READ_ONLY)
    with monkeypatch.context() as crash:
        crash.setattr(SqsGateway, "send", out_of_reach)
        with pytest.raises(GatewayError):
            guard.run()
    assert guard.in_force().permission_sets == {"Developer": READ_ONLY}
    assert guard.checked() == []
    guard.run()
    assert guard.checked() == ["Developer"]
    guard.run()
    assert guard.checked() == []


@pytest.mark.usefixtures("delays")
def test_a_crash_after_sending_sends_again_and_loses_nothing(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard.put(DEVELOPER, READ_ONLY)
    accept = Ledger.accept

    def crashing(ledger: Ledger, accepted: Accepted, *, replacing: int) -> None:
        if not accepted.unchecked:
            out_of_reach(ledger)
        accept(ledger, accepted, replacing=replacing)

    with monkeypatch.context() as crash:
        crash.setattr(Ledger, "accept", crashing)
        with pytest.raises(GatewayError):
            guard.run()
    assert guard.checked() == ["Developer"]
    guard.run()
    assert guard.checked() == ["Developer"]
    guard.run()
    assert guard.checked() == []


@pytest.mark.usefixtures("delays")
def test_what_an_operator_brings_into_force_settings_guard_has_looked_at(guard: Guard) -> None:
    guard.put(DEVELOPER, READ_ONLY)
    settle(ssm=guard.services.ssm, ledger=guard.ledger, rules=every(), now=datetime.now(UTC))
    assert guard.in_force().permission_sets == {"Developer": READ_ONLY}
    assert guard.checked() == []
    guard.run()
    assert guard.checked() == ["Developer"]


def out_of_reach(*_arguments: object, **_named: object) -> None:
    message = "InternalServerError"
    raise GatewayError(message, code="InternalServerError", retryable=True)


def test_a_policy_newer_than_this_version_is_accepted_where_iam_has_it(guard: Guard) -> None:
    policy = AWSManagedPolicy.from_data(
        NEWER.rpartition("/")[2],
        HUB,
        REGION,
        {
            "DefaultVersionId": "v1",
            "Path": "/",
            "Document": {"Version": "2012-10-17", "Statement": []},
            "CreateDate": "2020-01-01T00:00:00+00:00",
            "UpdateDate": "2020-01-01T00:00:00+00:00",
        },
    )
    iam_backends[HUB]["aws"].managed_policies[policy.arn] = policy
    guard.put(DEVELOPER, {"managed_policies": [NEWER]})
    guard.run()
    assert set(guard.in_force().permission_sets) == {"Developer"}
    assert guard.notices() == []


def test_a_policy_that_iam_does_not_have_is_refused_and_told(guard: Guard) -> None:
    guard.put(DEVELOPER, {"managed_policies": [NEWER.replace("Newer", "No")]})
    guard.run()
    assert guard.in_force().permission_sets == {}
    (notice,) = guard.notices()
    assert "field managed_policies.0: AWS has no managed policy" in notice.text


def test_while_iam_does_not_answer_only_that_entry_waits(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard.put(DEVELOPER, {"managed_policies": [NEWER]})
    guard.put(f"{SETS}/ReadOnly", READ_ONLY)
    guard.put(RULE, {"mode": "off"})
    with monkeypatch.context() as outage:
        outage.setattr(IamGateway, "has_policy", out_of_reach)
        with pytest.raises(GatewayError) as failed:
            guard.run()
    assert failed.value.retryable
    found = guard.in_force()
    assert (set(found.permission_sets), set(found.rules)) == ({"ReadOnly"}, {"iam-user-created"})
    assert guard.notices() == []
    monkeypatch.setattr(IamGateway, "has_policy", lambda *_arguments: True)
    guard.run()
    assert set(guard.in_force().permission_sets) == {"Developer", "ReadOnly"}


def test_an_operator_who_cannot_ask_iam_refuses_without_telling(guard: Guard) -> None:
    guard.put(DEVELOPER, {"managed_policies": [NEWER]})
    settle(ssm=guard.services.ssm, ledger=guard.ledger, rules=every(), now=datetime.now(UTC))
    assert guard.in_force().permission_sets == {}
    assert guard.notices() == []


def test_a_policy_that_is_being_written_in_parts_is_told_only_when_it_stays_so(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard.put(DEVELOPER, READ_ONLY)
    guard.run()
    guard.put(f"{DEVELOPER}/inline-policy/1", '{"Version": "2012-')
    guard.run()
    assert guard.in_force().permission_sets == {"Developer": READ_ONLY}
    assert guard.notices() == []
    read = SsmGateway.parameters

    def later(gateway: SsmGateway, path: str) -> dict[str, Parameter]:
        written = datetime.now(UTC) - BEING_WRITTEN - timedelta(seconds=1)
        return {name: replace(it, modified=written) for name, it in read(gateway, path).items()}

    monkeypatch.setattr(SsmGateway, "parameters", later)
    guard.run()
    assert guard.in_force().permission_sets == {"Developer": READ_ONLY}
    (notice,) = guard.notices()
    assert "not valid JSON" in notice.text


# Baselines

EVERYONE = "/keyward/baseline/everyone"
A_BASELINE = {
    "accounts": [{"everything": True}],
    "assignments": [{"group": "aws-developers", "permission_set": "Developer"}],
}


def test_the_accounts_of_a_changed_baseline_are_looked_at_once_every_guard_knows_of_it(
    guard: Guard, delays: list[int]
) -> None:
    guard.run()
    guard.put(EVERYONE, A_BASELINE)
    guard.run()
    (look,) = guard.looks()
    found = guard.in_force()
    assert found.compiled_at is not None
    assert message(look) == Hint(
        event_id="baseline-2-everyone",
        event_source=KEYWARD,
        event_name=BASELINE_CHANGED,
        time=found.compiled_at,
        account=HUB,
        region=REGION,
        actor=Actor(type="Keyward", invoked_by="Keyward"),
        parameters={"baseline": "everyone"},
        response={},
        origin="sweep",
    )
    assert delays == [SETTINGS_SECONDS + 5]
    assert (found.baselines, found.unrolled) == ({"everyone": A_BASELINE}, {})
    assert guard.checks() == []


@pytest.mark.usefixtures("delays")
def test_only_baselines_that_are_new_or_other_than_before_are_looked_at(guard: Guard) -> None:
    for name in ("a", "b", "c"):
        guard.put(f"/keyward/baseline/{name}", A_BASELINE)
    guard.run()
    assert guard.looked_at() == ["a", "b", "c"]
    guard.put("/keyward/baseline/a", A_BASELINE | {"exclude": [{"ids": ["111122223333"]}]})
    guard.put("/keyward/baseline/b", A_BASELINE | {"$comment": "the same"})
    guard.ssm.delete_parameter(Name="/keyward/baseline/c")
    guard.put(EVERYONE, A_BASELINE)
    guard.run()
    assert guard.looked_at() == ["a", "everyone"]
    assert set(guard.in_force().baselines) == {"a", "b", "everyone"}
    guard.put(RULE, {"mode": "off"})
    guard.run()
    assert guard.looked_at() == []


def test_a_refused_baseline_is_told_by_its_field_and_the_last_one_stays(guard: Guard) -> None:
    guard.put(EVERYONE, A_BASELINE)
    guard.run()
    assert guard.looked_at() == []  # moto keeps it for its delay
    before = guard.in_force()
    guard.put(EVERYONE, A_BASELINE | {"accounts": [{}]})
    guard.run()
    guard.run()
    assert guard.in_force() == before
    (notice,) = guard.notices()
    assert notice.kind == "setting-refused"
    assert f"{EVERYONE} version 2: field accounts.0: it selects nothing" in notice.text


@pytest.mark.usefixtures("delays")
def test_where_one_queue_is_out_of_reach_nothing_is_lost_of_either(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard.put(DEVELOPER, READ_ONLY)
    guard.put(EVERYONE, A_BASELINE)
    send = SqsGateway.send

    def only_the_center(gateway: SqsGateway, body: str, *, delay_seconds: int = 0) -> None:
        if BASELINE_CHANGED in body:
            out_of_reach()
        send(gateway, body, delay_seconds=delay_seconds)

    with monkeypatch.context() as crash:
        crash.setattr(SqsGateway, "send", only_the_center)
        with pytest.raises(GatewayError):
            guard.run()
    assert set(guard.in_force().unrolled) == {"everyone"}
    assert (guard.checked(), guard.looked_at()) == (["Developer"], [])
    guard.run()
    assert (guard.checked(), guard.looked_at()) == (["Developer"], ["everyone"])
    guard.run()
    assert (guard.checked(), guard.looked_at()) == ([], [])


@pytest.mark.usefixtures("delays")
def test_a_crash_after_the_look_was_asked_for_asks_again_and_loses_nothing(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard.put(EVERYONE, A_BASELINE)
    accept = Ledger.accept

    def crashing(ledger: Ledger, accepted: Accepted, *, replacing: int) -> None:
        if not accepted.unrolled:
            out_of_reach(ledger)
        accept(ledger, accepted, replacing=replacing)

    with monkeypatch.context() as crash:
        crash.setattr(Ledger, "accept", crashing)
        with pytest.raises(GatewayError):
            guard.run()
    assert guard.looked_at() == ["everyone"]
    guard.run()
    assert guard.looked_at() == ["everyone"]
    guard.run()
    assert guard.looked_at() == []


@pytest.mark.usefixtures("delays")
def test_a_baseline_that_an_operator_brings_into_force_settings_guard_has_looked_at(
    guard: Guard,
) -> None:
    guard.put(EVERYONE, A_BASELINE)
    settle(ssm=guard.services.ssm, ledger=guard.ledger, rules=every(), now=datetime.now(UTC))
    assert guard.in_force().baselines == {"everyone": A_BASELINE}
    assert guard.looked_at() == []
    guard.run()
    assert guard.looked_at() == ["everyone"]
