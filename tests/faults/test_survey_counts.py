"""What sweeping the IAM of 12, 100 and 1,000 accounts costs. `pytest -s` shows the figures."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyward import events, pipeline, rules
from keyward.events import SweepPart, SweepStep
from keyward.gateways.forwarders import ForwarderGateway
from keyward.gateways.iam_report import IamReportGateway
from keyward.gateways.organization import AccountDescription, OrganizationGateway
from keyward.gateways.sqs import SqsGateway
from keyward.gateways.translate import translated
from keyward.services import Visit
from keyward.settings import Accepted
from tests.faults.memory import MemoryServices
from tests.flow.world import HUB, aws_error

NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
GUARD = rules.of_guard("iam_guard")
COLUMNS = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,"
    "password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,"
    "access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,"
    "access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,"
    "access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,"
    "cert_1_last_rotated,cert_2_active,cert_2_last_rotated"
)


@dataclass
class SimulatedIam:
    """IAM and EventBridge of one account: so many users, of whom every second has a key."""

    account: str
    users: int
    calls: Counter[str] = field(default_factory=Counter)

    def _name(self, number: int) -> str:
        return f"user-{number}"

    def _arn(self, number: int) -> str:
        return f"arn:aws:iam::{self.account}:user/{self._name(number)}"

    def generate_credential_report(self) -> dict[str, Any]:
        self.calls["GenerateCredentialReport"] += 1
        return {"State": "COMPLETE"}

    def get_credential_report(self) -> dict[str, Any]:
        self.calls["GetCredentialReport"] += 1
        made = (NOW - timedelta(days=3)).isoformat()
        rows = [
            f"{self._name(number)},{self._arn(number)},{made},false,N/A,N/A,N/A,false,"
            f"{'true' if number % 2 else 'false'},{made if number % 2 else 'N/A'},N/A,N/A,N/A,"
            "false,N/A,N/A,N/A,N/A,false,N/A,false,N/A"
            for number in range(self.users)
        ]
        return {"Content": "\n".join([COLUMNS, *rows]).encode(), "GeneratedTime": NOW}

    def get_paginator(self, operation: str) -> SimulatedIam:
        assert operation == "get_account_authorization_details"
        return self

    def paginate(self, **_asked: Any) -> list[dict[str, Any]]:
        self.calls["GetAccountAuthorizationDetails"] += 1
        users = [
            {
                "UserName": self._name(number),
                "UserId": f"AIDA{self.account}{number}",
                "Arn": self._arn(number),
                "Path": "/",
                "CreateDate": NOW - timedelta(days=3),
            }
            for number in range(self.users)
        ]
        return [{"UserDetailList": users}]

    def list_service_specific_credentials(self, **asked: Any) -> dict[str, Any]:
        assert asked == {"AllUsers": True}
        self.calls["ListServiceSpecificCredentials"] += 1
        return {"ServiceSpecificCredentials": []}

    def describe_rule(self, **_asked: Any) -> dict[str, Any]:
        return {"State": "ENABLED"}

    def list_targets_by_rule(self, **_asked: Any) -> dict[str, Any]:
        return {"Targets": [{"Arn": f"arn:aws:events:us-east-1:{HUB}:event-bus/keyward"}]}


class Sent(SqsGateway):
    """A queue that keeps what is sent."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    def send(self, body: str, *, delay_seconds: int = 0) -> None:
        assert delay_seconds >= 0
        self.bodies.append(body)

    def send_all(self, bodies: Any) -> None:
        self.bodies += bodies


class Members(OrganizationGateway):
    """An organization whose accounts all joined long ago."""

    def __init__(self) -> None:
        """Asks nobody."""

    def account(self, account: str) -> AccountDescription:
        return AccountDescription(id=account, name="", state="ACTIVE")


class Simulated(MemoryServices):
    """Services of iam_guard over so many accounts; those out of reach are `denied`."""

    def __init__(self, *, accounts: int, users: int) -> None:
        super().__init__()
        self.organization_of = [
            f"{number:012}" for number in range(300_000_000_001, 300_000_000_001 + accounts)
        ]
        self.simulated = {it: SimulatedIam(account=it, users=users) for it in self.organization_of}
        self.denied: set[str] = set()
        self.environment = replace(self.environment, region="us-east-1")
        self.sent = Sent()
        self.__dict__["iam_sweep_queue"] = self.sent
        self.__dict__["organization"] = Members()
        every = [rule.id for rule in rules.every()]
        self.ledger.accept(
            Accepted.model_validate_json(
                json.dumps({"version": 1, "rules": {rule: {"mode": "report"} for rule in every}})
            ),
            replacing=0,
        )

    def visit(self, account: str) -> Visit:
        client: Any = self.simulated[account]
        if account in self.denied:
            raise_denied(account)
        return Visit(
            iam=IamReportGateway(account=account, client=client),
            forwarders=lambda region: ForwarderGateway(
                account=account, region=region, client=client
            ),
        )

    def calls(self) -> Counter[str]:
        """The calls to IAM so far, in all accounts."""
        total: Counter[str] = Counter()
        for it in self.simulated.values():
            total += it.calls
        return total


def raise_denied(account: str) -> None:
    """What AWS answers where the role is missing, or a policy of the organization denies."""
    with translated(f"AssumeRole keyward/keyward-member in {account}"):
        raise aws_error("AccessDenied", "AssumeRole", 403)


def sweep(services: Simulated, number: int, *, full: bool = False) -> None:
    """The messages of one sweep, an account each."""
    for account in services.organization_of:
        step = SweepStep(id=f"sweep-{number}", part=SweepPart.ACCOUNT, full=full, account=account)
        pipeline.enforce(
            events.sweep_message(step),
            rules=GUARD,
            services=services,
            now=NOW + timedelta(hours=6 * number),
        )


@pytest.mark.parametrize(("accounts", "users"), [(12, 1), (12, 200), (100, 20), (1000, 4)])
def test_an_account_costs_at_most_five_calls_of_iam_whatever_its_number_of_users(
    accounts: int, users: int
) -> None:
    services = Simulated(accounts=accounts, users=users)
    sweep(services, 1)
    first, asked = services.calls().total(), len(services.sent.bodies)
    sweep(services, 2)
    second = services.calls().total() - first
    print(  # noqa: T201 - the figures are what people want of it
        f"{accounts} accounts x {users} users: {first} IAM calls, {first / accounts:.1f} an "
        f"account; again {second}; users to be looked at {asked}, then "
        f"{len(services.sent.bodies) - asked}"
    )
    assert max(it.calls.total() for it in services.simulated.values()) <= 2 * 5
    assert first == second == 4 * accounts
    assert asked == accounts * users
    assert len(services.sent.bodies) == asked


def test_full_sweep_asks_again_for_everybody_suspected_and_for_ssh_keys() -> None:
    services = Simulated(accounts=2, users=120)
    sweep(services, 1)
    services.sent.bodies.clear()
    sweep(services, 2, full=True)
    steps = [it for it in services.sent.bodies if '"ssh-keys"' in it]
    assert len(steps) == 2 * 3
    assert len(services.sent.bodies) - len(steps) == 2 * 120


def test_accounts_out_of_reach_are_findings_and_the_sweep_goes_on() -> None:
    services = Simulated(accounts=12, users=3)
    services.denied = set(services.organization_of[3:5])
    sweep(services, 1)
    seen = {it.account: it.ok for it in services.ledger.seen_by("sweep-1")}
    assert seen == {it: it not in services.denied for it in services.organization_of}
    for account in services.denied:
        (record,) = services.ledger.open_in(account)
        assert record.rule == "keyward-tampered"
    services.denied = set()
    sweep(services, 2)
    assert all(services.ledger.open_in(it) == [] for it in services.organization_of)
