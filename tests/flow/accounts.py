"""Accounts of the organization under moto, and account_baseline with its queue.

Messages that it sends itself are taken from the real queue; their delays are not waited for: the
world's clock goes on by them.
"""

from __future__ import annotations

import heapq
import itertools
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import boto3

from keyward import pipeline, rules
from keyward.findings import FindingRecord, State
from local.cloudtrail import envelope
from tests.flow.center import READ_ONLY_ACCESS, Center, a_center
from tests.flow.world import HUB, REGION, World, an_administrator

RULES = rules.of_guard("account_baseline")
MISSING = "baseline-assignment-missing"
STALE = "baseline-assignment-stale"
FIRST_USER = "account-factory-user-assignment"
UNCOUNTED = {"GetItem", "BatchGetItem", "PutItem", "TransactWriteItems", "UpdateItem", "Query"}
"""The ledger's calls, which are none to what is judged."""

CONTROL_TOWER: dict[str, Any] = {"accountId": HUB, "invokedBy": "AWS Internal"}


@dataclass
class Accounts:
    """The organization's units and accounts, the groups and sets that baselines name."""

    center: Center
    organizations: Any
    root: str
    workloads: str
    sandbox: str
    groups: dict[str, str]
    sets: dict[str, str]
    sent: list[tuple[datetime, int, str]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def world(self) -> World:
        return self.center.world

    # What people do

    def baseline(self, *assignments: tuple[str, str], **changes: Any) -> dict[str, Any]:
        """A baseline for the unit Workloads, unless changed."""
        wanted = [{"group": group, "permission_set": name} for group, name in assignments]
        return {"accounts": [{"unit": "Workloads"}], "assignments": wanted} | changes

    def settings(self, baselines: dict[str, dict[str, Any]], **changes: Any) -> None:
        self.world.settings(baselines=baselines, **changes)

    def move(self, unit: str, account: str | None = None) -> dict[str, Any]:
        """Somebody moves the account: the event as CloudTrail has it."""
        account = account or self.world.member
        (parent,) = self.organizations.list_parents(ChildId=account)["Parents"]
        params = {
            "AccountId": account,
            "SourceParentId": parent["Id"],
            "DestinationParentId": unit,
        }
        self.organizations.move_account(**params)
        return self.event("MoveAccount", params)

    def event(
        self,
        operation: str,
        params: dict[str, Any],
        *,
        actor: dict[str, Any] | None = None,
        at: datetime | None = None,
    ) -> dict[str, Any]:
        """An event of Organizations."""
        event = self.center.event(
            operation, params, source="organizations.amazonaws.com", actor=actor, at=at
        )
        event["detail"]["responseElements"] = None
        return event

    def enrolled(self, account: str | None = None, state: str = "SUCCEEDED") -> dict[str, Any]:
        """Control Tower has finished a new account."""
        account = account or self.world.member
        return self.lifecycle(
            "CreateManagedAccount",
            {
                "createManagedAccountStatus": {
                    "organizationalUnit": {
                        "organizationalUnitName": "Workloads",
                        "organizationalUnitId": self.workloads,
                    },
                    "account": {"accountName": "workload", "accountId": account},
                    "state": state,
                    "message": "AWS Control Tower successfully created an enrolled account.",
                    "requestedTimestamp": "2026-11-20T08:00:00+0000",
                    "completedTimestamp": "2026-11-20T08:30:00+0000",
                }
            },
        )

    def lifecycle(self, name: str, details: dict[str, Any]) -> dict[str, Any]:
        """A service event of Control Tower."""
        return envelope(
            {
                "eventVersion": "1.11",
                "userIdentity": CONTROL_TOWER,
                "eventTime": self.world.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "eventSource": "controltower.amazonaws.com",
                "eventName": name,
                "awsRegion": REGION,
                "sourceIPAddress": "AWS Internal",
                "userAgent": "AWS Internal",
                "requestParameters": None,
                "responseElements": None,
                "eventID": str(uuid.uuid4()),
                "eventType": "AwsServiceEvent",
                "recipientAccountId": HUB,
                "serviceEventDetails": details,
            }
        )

    def unassign(
        self, group: str, name: str, *, actor: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Somebody takes an assignment away."""
        params = {
            "InstanceArn": self.center.instance,
            "TargetId": self.world.member,
            "TargetType": "AWS_ACCOUNT",
            "PermissionSetArn": self.sets[name],
            "PrincipalType": "GROUP",
            "PrincipalId": self.groups[group],
        }
        answer = self.center.admin.delete_account_assignment(**params)
        return self.center.event("DeleteAccountAssignment", params, answer, actor=actor)

    # What account_baseline does

    def deliver(self, message: dict[str, Any] | str) -> None:
        """One delivery to account_baseline; errors come through, as SQS would see them."""
        body = message if isinstance(message, str) else json.dumps(message)
        pipeline.enforce(body, rules=RULES, services=self.world.services, now=self.world.now)

    def next_message(self) -> str | None:
        """Its next message to itself, at the time when it is due; None where none is."""
        client, url = self.center.sqs, self.world.services.environment.baseline_queue_url
        while found := client.receive_message(QueueUrl=url).get("Messages", []):
            client.delete_message(QueueUrl=url, ReceiptHandle=found[0]["ReceiptHandle"])
            delay = self.center.baseline_delays.pop(0) if self.center.baseline_delays else 0
            due = self.world.now + timedelta(seconds=delay)
            heapq.heappush(self.sent, (due, next(self.numbers), str(found[0]["Body"])))
        if not self.sent:
            return None
        due, _, body = heapq.heappop(self.sent)
        self.world.now = max(self.world.now, due)
        return body

    def follow(self, *, most: int = 300) -> int:
        """Delivers what it sent itself, until nothing is left; says how many those were."""
        for number in range(most):
            if (body := self.next_message()) is None:
                return number
            self.deliver(body)
        message = f"still messages after {most}"
        raise AssertionError(message)

    def settle(self, event: dict[str, Any] | str) -> None:
        """Delivers an event, and everything that follows from it."""
        self.deliver(event)
        self.follow()

    def counted(self, event: dict[str, Any]) -> Counter[str]:
        """The AWS calls of one delivery, but for the ledger's."""
        with self.world.recorded():
            self.deliver(event)
        return Counter(name for name, _ in self.world.calls if name not in UNCOUNTED)

    # What is so

    def held(self, account: str | None = None) -> set[tuple[str, str]]:
        """Who holds what in the account, by name."""
        groups = {id_: name for name, id_ in self.groups.items()}
        return {
            (groups.get(principal, principal), name)
            for name, arn in self.sets.items()
            for _, principal in self.center.principals(arn, account or self.world.member)
        }

    def found(self, rule: str) -> list[FindingRecord]:
        return [record for record in self.world.findings() if rule in {record.rule, *record.also}]

    def missing(self, account: str | None = None) -> FindingRecord:
        """The one finding about missing access of the account."""
        account = account or self.world.member
        found, *others = (it for it in self.found(MISSING) if it.account == account)
        assert others == []
        return found

    def acted(self) -> bool:
        return self.missing().state is State.ACTED


@contextmanager
def the_accounts(world: World, monkeypatch: Any) -> Iterator[Accounts]:
    """Two units, a member in the root, four groups, four permission sets; no baseline yet."""
    with a_center(world, monkeypatch) as center:
        yield accounts_of(center)


def accounts_of(center: Center) -> Accounts:
    """What `the_accounts` yields, made in an Identity Center that is there."""
    organizations = boto3.client("organizations", region_name=REGION)
    (root,) = organizations.list_roots()["Roots"]
    units = {
        name: organizations.create_organizational_unit(ParentId=root["Id"], Name=name)[
            "OrganizationalUnit"
        ]["Id"]
        for name in ("Workloads", "Sandbox")
    }
    names = ("Developer", "ReadOnly", "SecurityAudit", "PowerUser")
    return Accounts(
        center=center,
        organizations=organizations,
        root=root["Id"],
        workloads=units["Workloads"],
        sandbox=units["Sandbox"],
        groups={
            name: center.group(name)
            for name in ("Developers", "Everybody", "Auditors", "Operators")
        },
        sets={name: center.permission_set(name, READ_ONLY_ACCESS) for name in names},
    )


def an_operator_of_keyward(role: str = "keyward-identity-center-guard") -> dict[str, Any]:
    """One of Keyward's own functions, as CloudTrail has it."""
    actor = an_administrator(HUB)
    actor["arn"] = f"arn:aws:sts::{HUB}:assumed-role/{role}/{role}"
    actor["sessionContext"]["sessionIssuer"] = {
        "type": "Role",
        "arn": f"arn:aws:iam::{HUB}:role/keyward/{role}",
        "accountId": HUB,
        "userName": role,
    }
    return actor
