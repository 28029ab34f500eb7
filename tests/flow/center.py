"""Identity Center in the organization under moto, asynchronous as AWS's, and its guard's queue.

Messages that the guard sends itself are taken from the real queue; their delays are not waited
for: the world's clock goes on by them.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import boto3

from keyward import pipeline, rules
from local.cloudtrail import envelope, shaped
from local.sso_admin import Behaviour, install, uninstall
from tests.flow.world import CENTER_QUEUE, HUB, REGION, UNCOUNTED, World, an_administrator

RULES = rules.of_guard("identity_center_guard")
ADMINISTRATOR_ACCESS = "arn:aws:iam::aws:policy/AdministratorAccess"
READ_ONLY_ACCESS = "arn:aws:iam::aws:policy/ReadOnlyAccess"
POWER_USER_ACCESS = "arn:aws:iam::aws:policy/PowerUserAccess"
DEVELOPER: dict[str, Any] = {
    "description": "Builds and runs things",
    "managed_policies": [READ_ONLY_ACCESS],
    "session_hours": 4,
}


@dataclass
class Center:
    """The instance, by an administrator of the management account; and the guard's queue."""

    world: World
    behaviour: Behaviour
    admin: Any
    directory: Any
    sqs: Any
    instance: str
    store: str
    delays: list[int] = field(default_factory=list)
    baseline_delays: list[int] = field(default_factory=list)

    # What people do

    def user(self, name: str) -> str:
        return str(
            self.directory.create_user(
                IdentityStoreId=self.store,
                UserName=name,
                DisplayName=name,
                Name={"GivenName": name, "FamilyName": "Example"},
            )["UserId"]
        )

    def group(self, name: str) -> str:
        made = self.directory.create_group(IdentityStoreId=self.store, DisplayName=name)
        return str(made["GroupId"])

    def permission_set(
        self, name: str, *policies: str, hours: int = 4, description: str = "Builds and runs things"
    ) -> str:
        arn = self.admin.create_permission_set(
            InstanceArn=self.instance,
            Name=name,
            Description=description,
            SessionDuration=f"PT{hours}H",
        )["PermissionSet"]["PermissionSetArn"]
        for policy in policies:
            self.admin.attach_managed_policy_to_permission_set(
                InstanceArn=self.instance, PermissionSetArn=arn, ManagedPolicyArn=policy
            )
        return str(arn)

    def developer(self) -> str:
        """The set that the catalogue of `settings` names, as it should be."""
        return self.permission_set("Developer", READ_ONLY_ACCESS)

    def assigned(self, arn: str, kind: str, principal: str, account: str | None = None) -> None:
        """An assignment that stands, however long AWS takes otherwise."""
        looks, self.behaviour.looks_in_progress = self.behaviour.looks_in_progress, 0
        self.admin.create_account_assignment(
            InstanceArn=self.instance,
            PermissionSetArn=arn,
            PrincipalType=kind,
            PrincipalId=principal,
            TargetType="AWS_ACCOUNT",
            TargetId=account or self.world.member,
        )
        self.behaviour.looks_in_progress = looks

    def do(self, operation: str, at: datetime | None = None, **params: Any) -> dict[str, Any]:
        """A real call of an administrator, and the event that CloudTrail would make of it."""
        names = self.admin.meta.method_to_api_mapping
        method = next(name for name, api in names.items() if api == operation)
        answer = getattr(self.admin, method)(InstanceArn=self.instance, **params)
        return self.event(operation, {"InstanceArn": self.instance, **params}, answer, at=at)

    def assign_user(self, arn: str, user: str, account: str | None = None) -> dict[str, Any]:
        """Somebody assigns a person directly, and AWS has finished that."""
        looks, self.behaviour.looks_in_progress = self.behaviour.looks_in_progress, 0
        event = self.do(
            "CreateAccountAssignment",
            PermissionSetArn=arn,
            PrincipalType="USER",
            PrincipalId=user,
            TargetType="AWS_ACCOUNT",
            TargetId=account or self.world.member,
        )
        self.behaviour.looks_in_progress = looks
        return event

    def event(
        self,
        operation: str,
        params: dict[str, Any],
        answer: dict[str, Any] | None = None,
        *,
        source: str = "sso.amazonaws.com",
        actor: dict[str, Any] | None = None,
        at: datetime | None = None,
    ) -> dict[str, Any]:
        """An event of the management account."""
        when = at or self.world.now
        return envelope(
            {
                "eventVersion": "1.11",
                "userIdentity": actor or an_administrator(HUB),
                "eventTime": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "eventSource": source,
                "eventName": operation,
                "awsRegion": REGION,
                "sourceIPAddress": "192.0.2.44",
                "userAgent": "aws-cli/2.31.0",
                "requestParameters": shaped(params) or None,
                "responseElements": shaped(answer or {}, response=True) or None,
                "requestID": str(uuid.uuid4()),
                "eventID": str(uuid.uuid4()),
                "recipientAccountId": HUB,
            }
        )

    # What the guard does

    def deliver(self, message: dict[str, Any] | str) -> None:
        """One delivery to identity_center_guard; errors come through, as SQS would see them."""
        body = message if isinstance(message, str) else json.dumps(message)
        pipeline.enforce(body, rules=RULES, services=self.world.services, now=self.world.now)

    def follow(self, *, most: int = 200) -> int:
        """Delivers what the guard sent itself, until nothing is left; says how many those were."""
        for number in range(most):
            if (body := self.next_message()) is None:
                return number
            self.deliver(body)
        message = f"still messages after {most}"
        raise AssertionError(message)

    def next_message(self) -> str | None:
        """The guard's next message to itself, at the time when it is due; None where none is."""
        client = self.sqs
        url = self.world.services.environment.center_queue_url
        found = client.receive_message(QueueUrl=url, MaxNumberOfMessages=1).get("Messages", [])
        if not found:
            return None
        client.delete_message(QueueUrl=url, ReceiptHandle=found[0]["ReceiptHandle"])
        if self.delays:
            self.world.later(seconds=self.delays.pop(0))
        return str(found[0]["Body"])

    def settle(self, event: dict[str, Any]) -> None:
        """Delivers an event, and everything that follows from it."""
        self.deliver(event)
        self.follow()

    def counted(self, event: dict[str, Any]) -> Counter[str]:
        """The AWS calls of one delivery, once warm."""
        with self.world.recorded():
            self.deliver(event)
        return Counter(name for name, _ in self.world.calls if name not in UNCOUNTED)

    # What is so

    def principals(self, arn: str, account: str | None = None) -> set[tuple[str, str]]:
        found = self.admin.list_account_assignments(
            InstanceArn=self.instance, PermissionSetArn=arn, AccountId=account or self.world.member
        )["AccountAssignments"]
        return {(str(item["PrincipalType"]), str(item["PrincipalId"])) for item in found}

    def policies(self, arn: str) -> set[str]:
        found = self.admin.list_managed_policies_in_permission_set(
            InstanceArn=self.instance, PermissionSetArn=arn
        )["AttachedManagedPolicies"]
        return {str(item["Arn"]) for item in found}

    def described(self, arn: str) -> dict[str, Any]:
        found = self.admin.describe_permission_set(InstanceArn=self.instance, PermissionSetArn=arn)
        return dict(found["PermissionSet"])

    def named(self, name: str) -> str | None:
        """The ARN of the set of this name."""
        for arn in self.admin.list_permission_sets(InstanceArn=self.instance)["PermissionSets"]:
            if self.described(arn)["Name"] == name:
                return str(arn)
        return None

    def stale(self, arn: str) -> list[str]:
        """The accounts that hold an older version of the set."""
        return list(
            self.admin.list_accounts_for_provisioned_permission_set(
                InstanceArn=self.instance,
                PermissionSetArn=arn,
                ProvisioningStatus="LATEST_PERMISSION_SET_NOT_PROVISIONED",
            )["AccountIds"]
        )


@contextmanager
def a_center(world: World, monkeypatch: Any) -> Iterator[Center]:
    """Identity Center in the management account of the world, and settings with a catalogue."""
    behaviour = Behaviour(owner=HUB, home_region=REGION)
    install(behaviour)
    try:
        admin = boto3.client("sso-admin", region_name=REGION)
        (instance,) = admin.list_instances()["Instances"]
        center = Center(
            world=world,
            behaviour=behaviour,
            admin=admin,
            directory=boto3.client("identitystore", region_name=REGION),
            sqs=boto3.client("sqs", region_name=REGION),
            instance=instance["InstanceArn"],
            store=instance["IdentityStoreId"],
        )
        _without_delays(center, monkeypatch)
        world.settings(permission_sets={"Developer": DEVELOPER})
        yield center
    finally:
        uninstall()


def _without_delays(center: Center, monkeypatch: Any) -> None:
    """moto's queue waits by the wall clock: the world's goes on instead."""
    inner = vars(boto3.client("sqs", region_name=REGION).__class__.__mro__[1])["_make_api_call"]

    def undelayed(client: Any, operation: str, params: dict[str, Any]) -> Any:
        if operation == "SendMessage":
            is_center = CENTER_QUEUE in params["QueueUrl"]
            delays = center.delays if is_center else center.baseline_delays
            delays.append(params.get("DelaySeconds", 0))
            params = {**params, "DelaySeconds": 0}
        return inner(client, operation, params)

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", undelayed)
