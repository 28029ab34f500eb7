"""Each role allows every call that its function makes, and nothing that no call needs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from moto.iam.models import iam_backends

from keyward import ingress, operating, redriving, reporting, rules, settling, sweeps, telling
from keyward.actions import DENY_ALL_ARN, MARKER_TAG, QUARANTINE_GROUP, RestorePermissionSet
from keyward.door import Door, DoorEnvironment
from keyward.events import SweepPart, SweepStep, check_message, sweep_message
from keyward.findings import FindingRecord, Notice, Severity, State
from keyward.gateways.organization import MEMBER_ROLE
from keyward.people import Caller
from keyward.redriving import DEAD
from keyward.rollout import RolloutState
from keyward.sweep import IDENTITY_CENTER, SweepState
from tests.contract.authorizing import Asked, Statement, allowed, like, trusted
from tests.contract.recording import GROUP, ORGANIZATION, REPLAYED, Recorder, a_recorder
from tests.contract.templates import ROOT, Stack, deployed
from tests.flow.accounts import FIRST_USER, MISSING, STALE, Accounts, accounts_of
from tests.flow.center import ADMINISTRATOR_ACCESS, READ_ONLY_ACCESS, Center, a_center
from tests.flow.operated import PLACE, Operated
from tests.flow.slack_server import Slack, a_slack
from tests.flow.test_ingress import SECRET, a_request
from tests.flow.test_pressing import Pressing
from tests.flow.test_quarantine import CERTIFICATE
from tests.flow.test_reporting import ID as A_REPORT
from tests.flow.world import HUB, REGION, World, a_world

# The flows are recorded once a process.
pytestmark = pytest.mark.xdist_group("least-privilege")

FUNCTIONS = [
    "IamGuard",
    "IdentityCenterGuard",
    "AccountBaseline",
    "Sweep",
    "SettingsGuard",
    "Notifier",
    "Operator",
    "SlackIngress",
    "Report",
]
ACTING = ["IamGuard", "IdentityCenterGuard", "AccountBaseline", "Operator"]
ENTERING = ["IamGuard", "Operator"]
"""Those of them that enter other accounts: Identity Center is in the hub's alone."""
READS = ("iam:GenerateCredentialReport", "iam:Get", "iam:List")
BUCKET = f"keyward-inventory-{HUB}-{REGION}"
REPORTS = f"keyward-reports-{HUB}-{REGION}"
SLACK_SECRET = f"arn:aws:secretsmanager:{REGION}:{HUB}:secret:keyward/slack-AbCdEf"
SIGNING_SECRET = f"arn:aws:secretsmanager:{REGION}:{HUB}:secret:keyward/signing-AbCdEf"
FURTHER_TOPIC = f"arn:aws:sns:{REGION}:{HUB}:production-alerts"
SENDER = "keyward@example.com"
CHANNEL = "C0ALERTS0"
ANA, BEN = "U0ANA0000", "U0BEN0000"
PEOPLE = [
    {"name": "Ana", "slack_user": ANA, "session": "ana"},
    {"name": "Ben", "slack_user": BEN, "session": "ben"},
]
OTHER = "444455556666"
"""An account in which the member role is looked at, without any flow."""

# What a role allows and no code of ours calls: Lambda itself does, with the function's role.
FOR_LAMBDA = {
    # Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    # Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    # Source: https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
}
FED_BY = {
    "IamGuard": {"logs", "sqs"},
    "IdentityCenterGuard": {"logs", "sqs"},
    "AccountBaseline": {"logs", "sqs"},
    "Sweep": {"logs", "sqs"},
    "SettingsGuard": {"logs", "sqs"},
    "Notifier": {"logs", "dynamodb"},
    "Operator": {"logs", "sqs"},
    "SlackIngress": {"logs"},
    "Report": {"logs"},
}
ENDING_IN_DEAD_LETTERS = {"Notifier", "Operator", "Report"}
"""Lambda sends there what they fail at.

Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""


@cache
def the_hub(*, acts: bool = False) -> Stack:
    parameters = {
        "OrganizationId": ORGANIZATION,
        "OrganizationRootId": ROOT,
        "ActInManagementAccount": str(acts).lower(),
        "SlackSecretArn": SLACK_SECRET,
        "SlackSigningSecretArn": SIGNING_SECRET,
        "RoutedTopicArns": FURTHER_TOPIC,
        "SendToSecurityHub": "true",
        "MailFrom": SENDER,
    }
    return deployed("template.yaml", HUB, REGION, parameters)


@cache
def the_member(account: str) -> Stack:
    parameters = {"HubAccountId": HUB, "HubRegion": REGION, "OrganizationId": ORGANIZATION}
    return deployed("member/template.yaml", account, REGION, parameters)


def statements(function: str, account: str, *, acts: bool) -> list[Statement]:
    """Of the role that a function has in an account."""
    if account == HUB:
        return list(the_hub(acts=acts).statements(f"{function}Role"))
    return list(the_member(account).statements("MemberRole"))


def refused(
    function: str, asked: list[tuple[str, Asked]], *, acts: bool = True
) -> list[tuple[str, Asked]]:
    return [
        (account, one)
        for account, one in asked
        if not allowed(statements(function, account, acts=acts), one)
    ]


# ---------------------------------------------------------------- what the functions do


@dataclass
class Story:
    """Acts of people, unrecorded, and of Keyward, recorded."""

    world: World
    recorder: Recorder
    account: str
    center: Center
    chosen: dict[str, Any]
    """The settings in force at first."""
    users: Iterator[str] = field(default_factory=lambda: map("user-{}".format, range(1000)))

    @cached_property
    def accounts(self) -> Accounts:
        """Units, groups and permission sets that baselines name: made once they are asked for."""
        return accounts_of(self.center)

    def choose(self, **changes: Any) -> None:
        """Puts other settings in force."""
        self.world.settings(**(self.chosen | changes))

    @property
    def iam(self) -> Any:
        return self.world.iam(self.account)

    def do(self, operation: str, **params: Any) -> dict[str, Any]:
        # moto dates what it makes by the wall clock: none of it may be younger than its event.
        soon = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=5)
        self.world.now = max(self.world.now, soon)
        return self.world.do(operation, account=self.account, at=self.world.now, **params)

    def event(self, operation: str, *about: dict[str, Any], **more: Any) -> dict[str, Any]:
        """The event of a call that nobody made."""
        return self.world.event(operation, *about, at=self.world.now, **more)

    def a_user(self) -> tuple[str, dict[str, Any]]:
        """A user below a path, with an active key: its name, and the event of its creation."""
        name = next(self.users)
        event = self.do("CreateUser", UserName=name, Path="/people/finance/")
        user = next(
            one for one in iam_backends[self.account]["aws"].users.values() if one.name == name
        )
        user.id = f"AIDA{name.replace('-', '').upper():0<17}"
        self.iam.create_access_key(UserName=name)
        event["detail"]["responseElements"]["user"]["userId"] = user.id
        return name, event

    def deliver(self, event: dict[str, Any]) -> None:
        with self.recorder.on():
            self.world.deliver(event)

    def contained(self, event: dict[str, Any]) -> FindingRecord:
        """The finding of an event that is acted upon."""
        before = {record.key for record in self.world.findings()}
        self.deliver(event)
        (found,) = [record for record in self.world.findings() if record.key not in before]
        assert found.state is State.ACTED, found
        return found

    def ask(self, act: str, **more: object) -> dict[str, Any]:
        request = {"act": act, "by": "arn:aws:iam::1:user/op", **more}
        with self.recorder.on():
            answer = operating.answer(request, services=self.world.services, now=self.world.now)
        assert answer["ok"], answer
        return answer

    def settle(self, message: dict[str, Any] | str) -> None:
        """Delivers what happened in Identity Center, and what the guard then sends itself."""
        with self.recorder.on():
            self.center.deliver(message)
        self.follow()

    def follow(self) -> None:
        """Delivers what the guard was sent by itself and by others."""
        while (message := self.center.next_message()) is not None:
            with self.recorder.on():
                self.center.deliver(message)

    def settled(self, message: dict[str, Any]) -> FindingRecord:
        """The finding of what happened in Identity Center, which is acted upon."""
        before = {(record.key, record.episode) for record in self.world.findings()}
        self.settle(message)
        found, *others = [
            record for record in self.world.findings() if (record.key, record.episode) not in before
        ]
        assert not others, others
        assert found.state is State.ACTED, found
        return found

    def bring(self, message: dict[str, Any]) -> None:
        """Delivers what happened to accounts, and what account_baseline then sends itself."""
        with self.recorder.on():
            self.accounts.deliver(message)
        self.bring_the_rest()

    def bring_the_rest(self) -> None:
        """Delivers what account_baseline was sent by itself and by others."""
        while (message := self.accounts.next_message()) is not None:
            with self.recorder.on():
                self.accounts.deliver(message)

    def taken(self, queue: str) -> str | None:
        """The next message of a queue; None where none is."""
        client, url = self.center.sqs, f"{PLACE}/{queue}"
        found = client.receive_message(QueueUrl=url, MaxNumberOfMessages=1).get("Messages", [])
        for one in found:
            client.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
        return str(found[0]["Body"]) if found else None

    def look(self, account: str, *, full: bool = False) -> None:
        """A sweep of one account, and everything that iam_guard sends itself for that."""
        part = SweepPart.ACCOUNT
        step = SweepStep(id="20261120T061700", part=part, account=account, full=full)
        message: str | None = sweep_message(step)
        while message is not None:
            with self.recorder.on():
                self.world.deliver(message)
            message = self.taken("keyward-iam-sweep")
        assert self.world.ledger.last_seen_in(account) is not None

    def taken_back(self, record: FindingRecord) -> None:
        """A release of what account_baseline did, which it ends."""
        self.release_begins(record)
        self.bring_the_rest()
        assert self.state_of(record) is State.RELEASED, self.world.ledger.finding(record.key)

    def check(self, name: str) -> dict[str, Any]:
        """What makes the guard look at a permission set of this name."""
        return self.word("Sweep", permissionSetName=name)

    def word(self, why: str, **parameters: str) -> dict[str, Any]:
        """What makes a guard look at what is."""
        message: dict[str, Any] = json.loads(
            check_message(
                id_="sweep-1",
                account=HUB,
                region=REGION,
                time=self.world.now,
                why=why,
                parameters=parameters,
            )
        )
        return message

    def named(self, name: str) -> str:
        """The ARN of the permission set of this name."""
        arn = self.center.named(name)
        assert arn is not None
        return arn

    def state_of(self, record: FindingRecord) -> State | None:
        """The state of a finding by now."""
        found = self.world.ledger.finding(record.key)
        return None if found is None else found.state

    def tag(self, record: FindingRecord, **tags: str) -> None:
        """What somebody does to the permission set of a finding, without an event."""
        name = record.subject.rpartition(" ")[2]
        self.center.admin.tag_resource(
            InstanceArn=self.center.instance,
            ResourceArn=self.named(name),
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )

    def release_begins(self, record: FindingRecord) -> None:
        """What the operator does of a release, which is another function."""
        request = {"act": "release", "by": "op", "finding": record.key, "reason": "agreed"}
        assert operating.answer(request, services=self.world.services, now=self.world.now)["ok"]

    def fill(self, *, policies: bool = True, groups: bool = False) -> None:
        """Leaves new users no slot on a rung of the ladder."""
        self.world.extension.policy_slots = 0 if policies else 10
        self.world.extension.group_slots = 0 if groups else 10

    def contain_in_every_way(self) -> list[FindingRecord]:
        """Each action, each rung of the ladder."""
        found = []
        for kind in ("ssh", "certificate", "service"):
            name, _ = self.a_user()
            found.append(self.contained(self.credential(kind, name)))
        name, _ = self.a_user()
        found.append(self.contained(self.do("CreateAccessKey", UserName=name)))
        name, event = self.a_user()
        self.iam.tag_user(UserName=name, Tags=[{"Key": MARKER_TAG, "Value": "by hand"}])
        found.append(self.contained(event))
        name, _ = self.a_user()
        found.append(self.contained(self.do("CreateLoginProfile", UserName=name, Password="S-1x")))
        for groups in (False, True):
            self.fill(groups=groups)
            found.append(self.contained(self.a_user()[1]))
        self.fill(policies=False)
        return found

    def credential(self, kind: str, name: str) -> dict[str, Any]:
        match kind:
            case "ssh":
                return self.do("UploadSSHPublicKey", UserName=name, SSHPublicKeyBody="ssh-rsa AAAA")
            case "certificate":
                return self.do(
                    "UploadSigningCertificate", UserName=name, CertificateBody=CERTIFICATE
                )
        return self.do(
            "CreateServiceSpecificCredential",
            UserName=name,
            ServiceName="codecommit.amazonaws.com",
        )


def guard(story: Story) -> None:
    """Every rule, every action; what is taken away put back; what is gone, or nobody's."""
    story.contain_in_every_way()

    name, event = story.a_user()
    story.contained(event)
    story.contained(story.do("DetachUserPolicy", UserName=name, PolicyArn=DENY_ALL_ARN))
    story.deliver(story.do("UntagUser", UserName=name, TagKeys=[MARKER_TAG]))

    name, _ = story.a_user()
    leaked = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
    story.contained(story.do("AttachUserPolicy", UserName=name, PolicyArn=leaked))
    nothing = json.dumps(NOTHING)
    story.deliver(story.do("PutUserPolicy", UserName=name, PolicyName="x", PolicyDocument=nothing))
    grant_in_every_way(story)

    name, _ = story.a_user()
    gone = story.do("CreateAccessKey", UserName=name)
    for key in story.iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        story.iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    story.iam.delete_user(UserName=name)
    story.deliver(gone)

    root = {
        "type": "Root",
        "principalId": story.account,
        "arn": f"arn:aws:iam::{story.account}:root",
        "accountId": story.account,
    }
    key = {"AccessKey": {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "Status": "Active"}}
    story.deliver(story.event("CreateAccessKey", {}, key, account=story.account, actor=root))
    story.deliver(story.event("DeleteRole", {"RoleName": "keyward-member"}))
    stranger = "999988887777"
    story.deliver(story.event("CreateUser", {"UserName": "eve"}, account=stranger))

    story.look(story.account, full=True)
    story.look(story.account)
    assert story.world.services.inventory is not None
    assert list(story.world.services.inventory.keys("inventory/"))

    story.fill()
    story.contained(story.a_user()[1])
    story.deliver(
        story.do("DeleteGroupPolicy", GroupName=QUARANTINE_GROUP, PolicyName="keyward-deny-all")
    )


def grant_in_every_way(story: Story) -> None:
    """A user, a role and a group that become admin: by AWS's policy, by one of theirs, inline."""
    iam = story.iam
    everything = json.dumps(EVERYTHING)
    name, _ = story.a_user()
    inline = {"PolicyName": "all", "PolicyDocument": everything}
    story.deliver(story.do("PutUserPolicy", UserName=name, **inline))

    ours = iam.create_policy(PolicyName="deploy", Path="/ci/", PolicyDocument=json.dumps(NOTHING))
    arn = ours["Policy"]["Arn"]
    iam.create_role(RoleName="deployer", Path="/ci/", AssumeRolePolicyDocument=everything)
    iam.attach_role_policy(RoleName="deployer", PolicyArn=arn)
    iam.put_role_policy(RoleName="deployer", **inline)
    story.deliver(story.do("AttachRolePolicy", RoleName="deployer", PolicyArn=ADMINISTRATOR_ACCESS))

    iam.create_group(GroupName="operators", Path="/ci/")
    iam.put_group_policy(GroupName="operators", **inline)
    story.deliver(story.do("AttachGroupPolicy", GroupName="operators", PolicyArn=arn))

    version = {"PolicyArn": arn, "PolicyDocument": everything, "SetAsDefault": True}
    story.deliver(story.do("CreatePolicyVersion", **version))
    granted = [one for one in story.world.findings() if one.rule == "iam-admin-granted"]
    assert {one.subject: one.state for one in granted} == {
        f"IAM user {name}": State.ACTED,
        "IAM role deployer": State.OPEN,
        "IAM group operators": State.OPEN,
    }


BILLING = "arn:aws:iam::aws:policy/job-function/Billing"
NOTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}],
}
PASSING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*"}],
}
EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
CATALOGUE: dict[str, dict[str, Any]] = {
    "Developer": {
        "description": "Builds and runs things",
        "managed_policies": [READ_ONLY_ACCESS],
        "customer_policies": [{"name": "Workloads"}],
        "boundary": {"managed_policy_arn": READ_ONLY_ACCESS},
        "session_hours": 4,
        "tags": {"team": "platform", "cost": "4711"},
    },
    "Reader": {
        "description": "Reads",
        "managed_policies": [READ_ONLY_ACCESS],
        "group": "Readers",
    },
    "Billing": {
        "description": "Pays",
        "managed_policies": [BILLING],
        "inline_policy": NOTHING,
    },
}


def act_in_identity_center(story: Story) -> list[FindingRecord]:
    """Each action there."""
    _, _, removed = people_with_access(story)
    return [removed, *act_on_permission_sets(story)]


def identity_center_guard(story: Story) -> None:
    """Every rule that reads, every action, what AWS ends later; releases that the guard ends."""
    center = story.center
    group, user, _ = people_with_access(story)
    profile = {"profileId": "p-1", "accessorId": user, "accessorType": "USER"}
    story.settle(center.event("AssociateProfile", profile))
    story.settle(elsewhere(story, center.event("AssociateProfile", profile)))
    joined = {"GroupId": group, "MemberId": {"UserId": user}}
    center.directory.create_group_membership(IdentityStoreId=center.store, **joined)
    store = "identitystore.amazonaws.com"
    story.settle(center.event("CreateGroupMembership", joined, source=store))

    billing = story.named("Billing")
    for description in ("Pays all", "Pays"):
        edit(story, billing, "update_permission_set", Description=description)
    assert center.stale(billing) == [story.account]
    story.settled(story.check("Billing"))

    for record in act_on_permission_sets(story):
        center.behaviour.looks_in_progress = 0
        story.release_begins(record)
        if isinstance(record.action, RestorePermissionSet):
            story.tag(record, **record.action.wanted.tags)
        story.follow()
        center.behaviour.looks_in_progress = 2

    read_all_of_identity_center(story)

    contractors = story.named("Contractors")
    passing = {"PermissionSetArn": contractors, "InlinePolicy": json.dumps(PASSING)}
    story.settle(center.do("PutInlinePolicyToPermissionSet", None, **passing))


def read_all_of_identity_center(story: Story) -> None:
    """A full sweep: what it suspects is looked at here, and what baselines are about elsewhere."""
    center, elsewhere_too = story.center, story.world.other_member
    auditors = center.group("Auditors")
    for name in ("Billing", "Developer"):
        center.assigned(story.named(name), "GROUP", auditors, elsewhere_too)
        center.assigned(story.named(name), "GROUP", auditors, HUB)
    wanted = [{"group": "Auditors", "permission_set": "Billing"}]
    somewhere = [{"tags": {"env": "production"}}]
    story.choose(baselines={"audit": {"accounts": somewhere, "assignments": wanted}})
    part = SweepPart.IDENTITY_CENTER
    story.settle(sweep_message(SweepStep(id="20261120T061700", part=part, full=True)))
    story.choose()
    swept = story.world.ledger.last_seen_in(IDENTITY_CENTER)
    assert swept is not None
    assert swept.ok, swept.why
    assert story.world.services.inventory is not None
    assert list(story.world.services.inventory.keys("inventory/"))
    assert story.taken("keyward-account-baseline")


def elsewhere(story: Story, event: dict[str, Any]) -> dict[str, Any]:
    """The same event from another account, such as one that administers Identity Center, too."""
    account = story.world.other_member
    return event | {"account": account, "detail": event["detail"] | {"recipientAccountId": account}}


def edit(story: Story, arn: str, operation: str, **params: Any) -> None:
    """What somebody does in the console, without an event."""
    center = story.center
    getattr(center.admin, operation)(InstanceArn=center.instance, PermissionSetArn=arn, **params)


def delete(story: Story, name: str) -> dict[str, Any]:
    """What somebody does to a set that groups hold; and what the event history says of it."""
    center, arn = story.center, story.named(name)
    center.behaviour.looks_in_progress = 0
    trail = []
    for kind, principal in center.principals(arn, story.account):
        event = center.do(
            "DeleteAccountAssignment",
            PermissionSetArn=arn,
            PrincipalType=kind,
            PrincipalId=principal,
            TargetType="AWS_ACCOUNT",
            TargetId=story.account,
        )
        trail.append(event["detail"])
    center.behaviour.looks_in_progress = 2
    event = center.do("DeletePermissionSet", PermissionSetArn=arn)
    story.world.extension.trail = [*trail, event["detail"]]
    return event


def people_with_access(story: Story) -> tuple[str, str, FindingRecord]:
    """A group that holds every set of the catalogue, and a person who held one: their ids."""
    center = story.center
    group, user = center.group("AWSControlTowerAdmins"), center.user("jane")
    for name in CATALOGUE:
        story.settled(story.check(name))
        center.assigned(story.named(name), "GROUP", group, story.account)
        story.settle(story.check(name))
    removed = story.settled(center.assign_user(story.named("Developer"), user, story.account))
    return group, user, removed


def act_on_permission_sets(story: Story) -> Iterator[FindingRecord]:
    """Each attribute put back where it is too much and where it is lacking; a set made anew."""
    center, other = story.center, {"Name": "Other", "Path": "/"}
    developer, billing = story.named("Developer"), story.named("Billing")
    ours = {"Name": "Workloads", "Path": "/"}
    reference = "CustomerManagedPolicyReference"
    for operation, params in (
        ("attach_managed_policy_to_permission_set", {"ManagedPolicyArn": BILLING}),
        ("detach_managed_policy_from_permission_set", {"ManagedPolicyArn": READ_ONLY_ACCESS}),
        ("attach_customer_managed_policy_reference_to_permission_set", {reference: other}),
        ("detach_customer_managed_policy_reference_from_permission_set", {reference: ours}),
        ("delete_permissions_boundary_from_permission_set", {}),
        ("put_inline_policy_to_permission_set", {"InlinePolicy": json.dumps(NOTHING)}),
    ):
        edit(story, developer, operation, **params)
    shop = [{"Key": "team", "Value": "shop"}]
    center.admin.tag_resource(InstanceArn=center.instance, ResourceArn=developer, Tags=shop)
    center.admin.untag_resource(
        InstanceArn=center.instance, ResourceArn=developer, TagKeys=["cost"]
    )
    yield story.settled(
        center.do("UpdatePermissionSet", PermissionSetArn=developer, SessionDuration="PT12H")
    )

    boundary = {"ManagedPolicyArn": READ_ONLY_ACCESS}
    edit(story, billing, "put_permissions_boundary_to_permission_set", PermissionsBoundary=boundary)
    gone = center.do("DeleteInlinePolicyFromPermissionSet", PermissionSetArn=billing)
    yield story.settled(gone)

    unlisted = {"PermissionSetArn": center.permission_set("Contractors", READ_ONLY_ACCESS)}
    attached = {**unlisted, "ManagedPolicyArn": ADMINISTRATOR_ACCESS}
    yield story.settled(center.do("AttachManagedPolicyToPermissionSet", None, **attached))

    yield story.settled(delete(story, "Reader"))


DEVELOPERS, AUDITORS, EVERYBODY, OPERATORS = (
    ("Developers", "Developer"),
    ("Auditors", "SecurityAudit"),
    ("Everybody", "ReadOnly"),
    ("Operators", "PowerUser"),
)
FIRST_SET = "AWSAdministratorAccess"


def baselines_in(story: Story) -> dict[str, dict[str, Any]]:
    """Baselines by OU, by tag and by id, the one by OU exclusive."""
    baseline = story.accounts.baseline
    return {
        "production": baseline(DEVELOPERS, AUDITORS, accounts=[{"unit": "Workloads/Production"}]),
        "tagged": baseline(EVERYBODY, accounts=[{"tags": {"env": "production"}}]),
        "sandbox": baseline(AUDITORS, accounts=[{"unit": "Sandbox"}], exclusive=True),
        "named": baseline(OPERATORS, accounts=[{"ids": [HUB]}], exclusive=True),
    }


def production_in(story: Story) -> str:
    """A unit in the unit Workloads."""
    made = story.accounts.organizations.create_organizational_unit(
        ParentId=story.accounts.workloads, Name="Production"
    )
    return str(made["OrganizationalUnit"]["Id"])


def account_baseline(story: Story) -> None:
    """Every rule and action, releases, names that come and go, and rollouts."""
    center, sets, groups = story.center, story.accounts.sets, story.accounts.groups
    production = production_in(story)
    sets[FIRST_SET] = center.permission_set(FIRST_SET, hours=1)
    groups["first-user"] = center.user("first-user")
    # Sessions that sets of Control Tower's opened are denied only where they are in the catalogue.
    first_set = {"description": "Control Tower's", "managed_policies": [], "session_hours": 1}
    denying = {**story.chosen["settings"], "identity_center": {"deny_live_sessions": True}}
    story.chosen |= {
        "settings": denying,
        "permission_sets": CATALOGUE | {FIRST_SET: first_set},
        "baselines": baselines_in(story),
    }
    story.choose()
    if story.account != HUB:
        give_and_take(story, production)
        look_for_names(story, production)
        roll_out_to_many(story)
    else:
        give_and_take_in_hub(story)
    roll_out(story, production)


def acted(story: Story, rule: str, account: str | None = None) -> FindingRecord:
    """The latest finding of a rule in an account: it is acted upon."""
    account = account or story.account
    found = [it for it in story.accounts.found(rule) if it.account == account]
    latest = max(found, key=lambda it: it.last_seen)
    assert latest.state is State.ACTED, latest
    return latest


def give_and_take(story: Story, production: str) -> None:
    """A moved, tagged and finished account; its first user; what its old place wanted."""
    center, accounts, world = story.center, story.accounts, story.world
    center.behaviour.fail("CreateAccountAssignment", "Received a 409 from IAM")
    story.bring(accounts.move(production))
    tags = {"ResourceId": story.account, "Tags": [{"Key": "env", "Value": "production"}]}
    accounts.organizations.tag_resource(**tags)
    story.bring(accounts.event("TagResource", tags))
    acted(story, MISSING)
    assert accounts.held() == {DEVELOPERS, AUDITORS, EVERYBODY}
    first_user(story)
    story.bring(elsewhere(story, accounts.unassign(*DEVELOPERS)))
    assert DEVELOPERS in accounts.held()
    world.later(minutes=6)  # for less, a warm function knows where the account is
    story.bring(accounts.move(accounts.sandbox))
    assert DEVELOPERS not in accounts.held()
    story.taken_back(acted(story, STALE))
    story.taken_back(acted(story, MISSING))
    story.bring(accounts.enrolled(state="FAILED"))
    trail, source = {"Name": "organization"}, "cloudtrail.amazonaws.com"
    story.bring(elsewhere(story, center.event("StopLogging", trail, source=source)))
    assert {"account-lifecycle-failed", "trail-stopped"} <= {it.rule for it in world.findings()}


def first_user(story: Story) -> None:
    """Account Factory's, whose set a group holds, too; and whose sessions are denied."""
    center, accounts = story.center, story.accounts
    arn = accounts.sets[FIRST_SET]
    for kind, name in (("USER", "first-user"), ("GROUP", "Operators")):
        center.assigned(arn, kind, accounts.groups[name], story.account)
    story.bring(accounts.enrolled(story.account))
    story.taken_back(acted(story, FIRST_USER))


def give_and_take_in_hub(story: Story) -> None:
    """The same in the management account, which one baseline names."""
    center, accounts = story.center, story.accounts
    center.assigned(accounts.sets["Developer"], "GROUP", accounts.groups["Developers"], HUB)
    first_user(story)
    tags = {"ResourceId": HUB, "Tags": [{"Key": "env", "Value": "production"}]}
    story.bring(accounts.event("TagResource", tags))
    story.taken_back(acted(story, STALE))
    story.taken_back(acted(story, MISSING))


def look_for_names(story: Story, production: str) -> None:
    """A group that is gone, and names that nothing has."""
    accounts, center = story.accounts, story.center
    center.directory.delete_group(
        IdentityStoreId=center.store, GroupId=accounts.groups.pop("Auditors")
    )
    unknown = accounts.baseline(("Nobody", "Developer"), ("Developers", "Nothing"))
    story.choose(baselines=story.chosen["baselines"] | {"unknown": unknown})
    story.bring(accounts.move(production, story.world.other_member))
    record = accounts.missing(story.world.other_member)
    assert "group Auditors is gone" in str(record.outcome)
    story.bring(story.word("AccountCheck", account=story.world.other_member))
    assert accounts.held(story.world.other_member) == {DEVELOPERS}


def roll_out(story: Story, production: str) -> None:
    """What a changed baseline, a unit and an operator bring; what AWS doesn't do at once."""
    accounts, center, world = story.accounts, story.center, story.world
    world.later(days=8)  # so long what is released is left alone
    wanted = [{"ids": [story.account]}, {"unit": production}]
    one_more = accounts.baseline(DEVELOPERS, EVERYBODY, accounts=wanted)
    story.choose(baselines={"one-more": one_more})
    center.behaviour.refuse("CreateAccountAssignment", "ResourceNotFoundException")
    for _ in range(2):
        center.behaviour.fail("CreateAccountAssignment", "Received a 409 from IAM")
    story.bring(story.word("BaselineChanged", baseline="one-more"))
    unit = {"organizationalUnitId": production, "organizationalUnitName": "Production"}
    status = {"organizationalUnit": unit, "state": "SUCCEEDED"}
    registered = {"registerOrganizationalUnitStatus": status}
    story.bring(accounts.lifecycle("RegisterOrganizationalUnit", registered))
    story.bring(story.word("BaselineSweep"))
    done = [it for it in world.ledger.rollouts() if it.state is RolloutState.DONE]
    assert len(done) == 3, world.ledger.rollouts()
    assert {DEVELOPERS, EVERYBODY} <= accounts.held(story.account)


def roll_out_to_many(story: Story) -> None:
    """A plan for so many that the assignments of groups are listed: it waits for a word."""
    accounts, names = story.accounts, [f"Team{number}" for number in range(26)]
    for name in names:
        story.center.permission_set(name)
    everybody = (("Everybody", name) for name in names)
    many = accounts.baseline(*everybody, accounts=[{"everything": True}])
    story.choose(baselines={"many": many})
    story.bring(story.word("BaselineChanged", baseline="many"))
    (waiting,) = story.world.ledger.rollouts()
    assert waiting.state is RolloutState.PLANNED, waiting


def ask_about_baselines(story: Story, accounts: Accounts) -> set[str]:
    """What they bring: looked at, planned, applied, stopped, and released. The acts, by name."""
    tagged = accounts.baseline(EVERYBODY, accounts=[{"tags": {"env": "production"}}])
    named = accounts.baseline(DEVELOPERS, accounts=[{"ids": [story.account]}])
    by_unit = accounts.baseline(AUDITORS, accounts=[{"unit": "Workloads/Production"}])
    accounts.move(production_in(story), story.account)
    story.choose(baselines={"tagged": tagged, "named": named, "by-unit": by_unit})
    answers = {
        "baseline-account": story.ask("baseline-account", account=story.account),
        "status": story.ask("status", account=story.account),
    }
    wanted = answers["baseline-account"]["wanted"]
    assert DEVELOPERS in {(it["group"], it["permission_set"]) for it in wanted}, answers
    for end, more in (("baseline-apply", {}), ("baseline-stop", {"reason": "not now"})):
        answers["baseline-plan"] = story.ask("baseline-plan", scope="everything")
        id_ = answers["baseline-plan"]["rollout"]["id"]
        accounts.follow()
        answers["baseline-rollout"] = story.ask("baseline-rollout", id=id_, accounts=True)
        answers[end] = story.ask(end, id=id_, **more)
        accounts.follow()
    answers["baseline-rollouts"] = story.ask("baseline-rollouts")
    states = [it["state"] for it in answers["baseline-rollouts"]["rollouts"]]
    assert states == ["stopped", "done"], states
    release(story, acted(story, MISSING))
    return set(answers)


def release(story: Story, record: FindingRecord) -> None:
    """A release, asked for until it is done."""
    assert story.ask("release", finding=record.key, reason="agreed")["restored"]
    while story.state_of(record) is State.RELEASING:
        story.world.later(minutes=3)
        story.ask("release", finding=record.key, reason="is it done?")


def operator(story: Story) -> None:
    """Every act; releases of every action and rung."""
    accounts = story.accounts  # made before Identity Center has sets of the same names
    found = _unrecorded(story, story.contain_in_every_way)
    found += _unrecorded(story, lambda: act_in_identity_center(story))
    _, spared = story.a_user()
    exempt = _unrecorded(story, lambda: story.contained(spared))
    asked: dict[str, dict[str, Any]] = {
        # Before what reads the settings anew: there are none but those in force.
        "bootstrap": {"plan": True},
        "status": {},
        "findings": {"account": story.account, "limit": 5},
        "finding": {"finding": found[0].key},
        "exempt": {
            "finding": exempt.key,
            "owner": "platform@example.com",
            "reason": "legacy build",
            "ticket": "SEC-1",
            "until": (story.world.now + timedelta(days=30)).isoformat(),
        },
        "pause": {"hours": 1, "reason": "maintenance"},
        "resume": {"reason": "done"},
        "test-alert": {},
        "uninstall-plan": {},
        "permission-sets": {},
    }
    for record in found:
        if isinstance(record.action, RestorePermissionSet):
            story.tag(record, **record.action.wanted.tags)
        release(story, record)
        story.center.follow()
    about_baselines = ask_about_baselines(story, accounts)
    about_sweeps = ask_about_sweeps(story)
    about_alerts = answer_alerts(story)
    others = {*about_baselines, *about_sweeps, *about_alerts, "release"}
    assert {*asked, *others} == set(operating.ACTS)
    for act, more in asked.items():
        answer = story.ask(act, **more)
        if act == "bootstrap":
            made = story.ask(act, plan=False, catalogue=answer["catalogue"])
            assert {step["name"] for step in made["steps"]} >= {"Reader", "Readers"}


def answer_alerts(story: Story) -> set[str]:
    """What people press under an alert, and what they ask for instead; reports, too."""
    world = story.world
    record = _left_alone(story, lambda: story.contained(story.a_user()[1]))
    boto3.client("s3", region_name=REGION).create_bucket(Bucket=REPORTS)
    with a_slack() as slack:
        _with_operators(story, slack)
        _left_alone(story, lambda: _only_report(story))
        left = _left_alone(story, lambda: reported(story))
        held = world.ledger.finding(record.key)
        assert held is not None
        grave = {"severity": Severity.CRITICAL, "version": held.version + 1}
        world.ledger.finish(held.model_copy(update=grave), replacing=held)
        pressing = Pressing(world, slack)
        with story.recorder.on():
            pressing.press("acknowledge", record)
        for act, who in (("release", ANA), ("approve", BEN)):
            caller = Caller(
                via="slack", identity=who, label=who, proven=True, at=world.now, id=f"{act}-{who}"
            )
            request = {"act": act, "by": who, "finding": record.key}
            request |= {"reason": "agreed"} if act == "release" else {}
            with story.recorder.on():
                answer = operating.answer(
                    request, services=world.services, now=world.now, caller=caller
                )
            assert answer["ok"], answer
        assert story.state_of(record) is State.RELEASED
        story.ask("acknowledge", finding=left.key, note="seen")
        story.ask("quarantine", finding=left.key, reason="a stranger's")
        story.ask("acts", day=f"{world.now:%Y-%m-%d}")
        made = story.ask("report-start")["report"]
        assert story.ask("report", report=made)["links"] is None
        services = world.services
        _left_alone(story, lambda: reporting.make(made, by="ana", services=services, now=world.now))
        _followed(story, story.ask("report", report=made)["links"])
    return {"acknowledge", "approve", "quarantine", "acts", "report-start", "report"}


def reported(story: Story) -> FindingRecord:
    """A finding that nothing is done about."""
    before = {record.key for record in story.world.findings()}
    story.deliver(story.a_user()[1])
    (found,) = [record for record in story.world.findings() if record.key not in before]
    assert found.state is State.OPEN, found
    return found


def _only_report(story: Story) -> None:
    """All rules only report from here on."""
    settings = story.world.services.accepted(story.world.now).settings
    told = settings.model_dump(mode="json")
    rules_ = {rule.id: {"mode": "report"} for rule in rules.every()}
    story.choose(settings=told, rules=rules_)
    story.world.restart()


def _left_alone[T](story: Story, acts: Callable[[], T]) -> T:
    """What another function does meanwhile."""
    before = list(story.recorder.asked)
    found = acts()
    story.recorder.asked[:] = before
    return found


def ask_about_sweeps(story: Story) -> set[str]:
    """A plan that is confirmed, sweeps, inventories, dead letters, replays. The acts, by name."""
    world, sqs = story.world, story.center.sqs
    rule = "iam-access-key-created"
    last = Operated(world=world, sqs=sqs).swept()
    assert world.services.inventory is not None
    lines = [{"kind": "user", "account": HUB, "name": "eve"}]
    world.services.inventory.put_lines(f"inventory/{last.id}/iam/{HUB}.jsonl", lines)
    assert story.ask("inventory")["lines"]

    world.settings(settings={"ceiling": "report"}, enforcing_since={})
    _, event = story.a_user()
    name = event["detail"]["requestParameters"]["userName"]
    story.world.deliver(story.do("CreateAccessKey", UserName=name))
    (plan,) = story.ask("sweep-plan", rule=rule)["plans"]
    story.ask("sweep-confirm", rule=rule, digest=plan["digest"])
    story.choose()

    begun = story.ask("sweep-start")["sweep"]
    story.ask("sweep", id=begun["id"])

    letter = story.word("Sweep", account=HUB)
    for of in (*redriving.QUEUES, redriving.RULES):
        dead = {"QueueUrl": f"{PLACE}/{of}{DEAD}", "MessageBody": json.dumps(letter)}
        target = f"arn:aws:sqs:{REGION}:{HUB}:{redriving.QUEUES[0]}"
        attribute = {"DataType": "String", "StringValue": target}
        sqs.send_message(**dead, MessageAttributes={"TARGET_ARN": attribute})
    for of in (*redriving.QUEUES, redriving.RULES):
        assert story.ask("redrive", name=of, run="1")["moved"], of
    story.ask("redrive")

    bus = boto3.client("events", region_name=REGION)
    arn = bus.create_event_bus(Name="keyward")["EventBusArn"]
    bus.create_archive(ArchiveName="keyward", EventSourceArn=arn)
    start, end = world.now - timedelta(hours=2), world.now - timedelta(hours=1)
    replay = story.ask("replay", start=start.isoformat(), end=end.isoformat())["replay"]
    story.ask("replayed", replay=replay)
    return {
        *("inventory", "sweep-plan", "sweep-confirm", "sweep-start", "sweep"),
        *("redrive", "replay", "replayed"),
    }


def sweep(story: Story) -> None:
    """A sweep that hears from some and not from others, finds what was interrupted, and ends."""
    world = story.world
    until = world.now + timedelta(days=2)
    ending = {
        "owner": "build@example.com",
        "reason": "moves",
        "ticket": "SEC-2",
        "account": HUB,
        "user_id": "AIDAEXAMPLE",
        "rules": ["iam-user-created"],
        "until": until.isoformat(),
    }
    story.choose(exemptions={"ending": ending})
    acted_on = story.contained(story.a_user()[1])
    story.release_begins(acted_on)
    held = world.ledger.finding(acted_on.key)
    assert held is not None
    left = held.model_copy(
        update={
            "version": held.version + 1,
            "state": State.ACTING,
            "claim_until": world.now - timedelta(hours=1),
        }
    )
    world.ledger.finish(left, replacing=held)
    story.recorder.asked.clear()
    world.restart()

    start = SweepStep(id="scheduled", part=SweepPart.START, full=True)
    message: str | None = sweep_message(start)
    while message is not None:
        with story.recorder.on():
            sweeps.hear(message, sent=world.now, services=world.services, now=world.now)
        world.later(minutes=30)
        message = story.taken("keyward-sweep")
    (ended,) = world.ledger.sweeps()
    assert (ended.state, ended.silent) == (SweepState.DONE, ended.asked + 1)
    assert any("exempt" in str(it.kind) for it in world.untold() if isinstance(it, Notice))
    assert story.taken("keyward-iam-sweep")


def settings_guard(story: Story) -> None:
    """A tree of which a part is refused, and then one that is as it was."""
    ssm = boto3.client("ssm", region_name=REGION)
    reader = {**CATALOGUE["Reader"], "session_hours": 2, "inline_policy": NOTHING}
    newer = {**reader, "managed_policies": ["arn:aws:iam::aws:policy/NewerThanThisVersion"]}
    tree = {
        "settings": {"ceiling": "report", "identity_center": {"second_opinion": True}},
        "rules/no-such-rule": {},
        "permission-sets/Reader": reader,
        "permission-sets/Newer": newer,
        "baseline/readers": {
            "accounts": [{"everything": True}],
            "assignments": [{"group": "Readers", "permission_set": "Reader"}],
        },
    }
    for name, value in tree.items():
        ssm.put_parameter(Name=f"/keyward/{name}", Value=json.dumps(value), Type="String")
    services = story.world.services
    for changed in (True, False):
        with story.recorder.on():
            settled = settling.settle(
                ssm=services.ssm,
                ledger=services.ledger,
                rules=rules.every(),
                now=story.world.now,
                hub=services,
            )
        assert settled.changed is changed
        assert settled.refused


def notifier(story: Story) -> None:
    """Findings and notices, one by one; then a storm. All places hear of them."""
    ses = boto3.client("sesv2", region_name=REGION)
    ses.create_email_identity(EmailIdentity=SENDER)
    story.center.directory.create_user(
        IdentityStoreId=story.center.store,
        UserName="jane@example.com",
        DisplayName="Jane",
        Name={"GivenName": "Jane", "FamilyName": "Doe"},
        Emails=[{"Value": "jane@example.com", "Type": "work", "Primary": True}],
    )
    with a_slack() as slack:
        _with_operators(story, slack)
        _tell_everybody(story, slack)


def _with_operators(story: Story, slack: Slack) -> None:
    """Slack, a further topic, other programs, mail and reports, as functions are told of them."""
    client = boto3.client("secretsmanager", region_name=REGION)
    made = client.create_secret(Name="keyward/slack", SecretString=json.dumps(slack.secret))
    boto3.client("sns", region_name=REGION).create_topic(Name="production-alerts")
    boto3.client("events", region_name=REGION).create_event_bus(Name="keyward-out")
    signing = client.create_secret(
        Name="keyward/signing", SecretString=json.dumps({"signing_secret": SECRET})
    )
    story.recorder.names |= {made["ARN"]: SLACK_SECRET, signing["ARN"]: SIGNING_SECRET}
    story.world.more |= {
        "slack_secret_arn": made["ARN"],
        "slack_signing_secret_arn": signing["ARN"],
        "slack_url": slack.url,
        "out_bus": "keyward-out",
        "mail_from": SENDER,
        "reports_bucket": REPORTS,
        "report_function": "keyward-report",
        "security_hub": True,
    }
    settings = {
        **story.chosen["settings"],
        "alerts": {
            "slack": f"slack:{CHANNEL}",
            "routes": [
                {"to": [f"sns:{FURTHER_TOPIC}"]},
                {"to": [f"slack:{CHANNEL}"], "units": ["ou-exam-12345678"]},
            ],
            "daily_digest": "00:00",
        },
        "operators": {"people": PEOPLE, "two_people": True},
        "concerned": {"text": "Keys leak: use roles instead.", "domains": ["example.com"]},
    }
    story.choose(settings=settings)
    story.world.restart()


def _tell_everybody(story: Story, slack: Slack) -> None:
    jane = (
        f"arn:aws:sts::{story.account}:assumed-role/"
        "AWSReservedSSO_AdministratorAccess_0123456789abcdef/jane@example.com"
    )
    record = _unrecorded(story, lambda: story.contained(story.a_user()[1]))
    evidence = record.evidence.model_copy(update={"actor": jane})
    theirs = record.model_copy(update={"version": record.version + 1, "evidence": evidence})
    story.world.ledger.finish(theirs, replacing=record)
    for number in range(30):
        notice = Notice(
            kind="stranger",
            id=str(number),
            title="x",
            text="y",
            severity=Severity.HIGH,
            at=story.world.now,
        )
        story.world.ledger.notice(notice)
    services = story.world.services
    with story.recorder.on():
        telling.tell(story.world.untold(), services=services, now=story.world.now)
        story.world.later(minutes=5)
        assert telling.tell_the_rest(services=services, now=story.world.now) > 1
    assert slack.channel(CHANNEL)


def slack_ingress(story: Story) -> None:
    """A press that Slack signed."""
    client = boto3.client("secretsmanager", region_name=REGION)
    text = json.dumps({"signing_secret": SECRET})
    made = client.create_secret(Name="keyward/signing", SecretString=text)
    story.recorder.names[made["ARN"]] = SIGNING_SECRET
    queue = story.center.sqs.create_queue(QueueName="keyward-operator")["QueueUrl"]
    environment = DoorEnvironment(operator_queue_url=queue, slack_signing_secret_arn=made["ARN"])
    at = int(story.world.now.timestamp())
    with story.recorder.on():
        answer = ingress.answer(
            a_request(at=at), services=Door(environment=environment), now=story.world.now
        )
    assert answer["statusCode"] == HTTPStatus.OK
    assert story.taken("keyward-operator")


def report(story: Story) -> None:
    """The week's report, by an inventory, and one that somebody asked for."""
    _unrecorded(story, lambda: story.contained(story.a_user()[1]))
    client = boto3.client("s3", region_name=REGION)
    client.create_bucket(Bucket=REPORTS)
    last = Operated(world=story.world, sqs=story.center.sqs).swept()
    line = {"kind": "user", "account": HUB, "user": "eve", "created_at": None}
    client.put_object(
        Bucket=BUCKET, Key=f"inventory/{last.id}/iam/{HUB}.jsonl", Body=json.dumps(line)
    )
    story.world.more |= {"reports_bucket": REPORTS}
    story.world.restart()
    services, now = story.world.services, story.world.now
    with story.recorder.on():
        reporting.make_weekly(services=services, now=now)
        files = reporting.make(A_REPORT, by="ana", services=services, now=now)
    assert client.get_object(Bucket=REPORTS, Key=files["html"])["Body"].read()
    (told,) = [it for it in story.world.untold() if isinstance(it, Notice) and it.kind == "report"]
    _followed(story, told.links)


def _followed(story: Story, links: dict[str, str]) -> None:
    """Whoever follows a link asks for what it names with the rights of who made it."""
    assert links
    for link in links.values():
        key = urlsplit(link).path.removeprefix(f"/{REPORTS}").removeprefix("/")
        asked = Asked("s3:GetObject", f"arn:aws:s3:::{REPORTS}/{key}")
        story.recorder.asked.append((HUB, asked))


def _unrecorded[T](story: Story, acts: Callable[[], T]) -> T:
    """What another function does first."""
    found = acts()
    story.recorder.asked.clear()
    story.world.restart()
    return found


STORIES: dict[str, Callable[[Story], None]] = {
    "IamGuard": guard,
    "IdentityCenterGuard": identity_center_guard,
    "AccountBaseline": account_baseline,
    "Sweep": sweep,
    "SettingsGuard": settings_guard,
    "Notifier": notifier,
    "Operator": operator,
    "SlackIngress": slack_ingress,
    "Report": report,
}


@contextmanager
def a_story(*, in_hub: bool) -> Iterator[Story]:
    with (
        pytest.MonkeyPatch.context() as patch,
        a_world(patch) as world,
        a_center(world, patch) as center,
    ):
        plenty = {"window_minutes": 60, "organization": 500, "account": 500}
        chosen: dict[str, Any] = {
            "ceiling": "enforce",
            "budgets": plenty,
            "identity_center": {"second_opinion": True},
            "operators": {"two_people": False},
        }
        if in_hub:
            chosen["act_in_management_account"] = HUB
        all_of_it = {"mode": "enforce", "existing": "enforce"}
        every = {rule.id: all_of_it for rule in rules.every()}
        chosen = {"settings": chosen, "rules": every, "permission_sets": CATALOGUE}
        world.more = {"sweep_queue_url": f"{PLACE}/keyward-sweep", "inventory_bucket": BUCKET}
        world.restart()
        for name in (*redriving.QUEUES, *(of + DEAD for of in redriving.EVERY)):
            center.sqs.create_queue(QueueName=name)
        boto3.client("s3", region_name=REGION).create_bucket(Bucket=BUCKET)
        world.settings(**chosen)
        in_a_unit(world.member)
        with a_recorder(world, patch) as recorder:
            yield Story(world, recorder, HUB if in_hub else world.member, center, chosen)


def in_a_unit(account: str) -> None:
    """Moves the account from the root into an OU."""
    client = boto3.client("organizations", region_name=REGION)
    root = client.list_roots()["Roots"][0]["Id"]
    unit = client.create_organizational_unit(ParentId=root, Name="Estate")
    to = unit["OrganizationalUnit"]["Id"]
    client.move_account(AccountId=account, SourceParentId=root, DestinationParentId=to)


@cache
def calls_of(function: str, *, in_hub: bool) -> list[tuple[str, Asked]]:
    """What a function asks of IAM, in whose account, when users of a member or the hub matter."""
    with a_story(in_hub=in_hub) as story:
        STORIES[function](story)
        assert story.recorder.asked
        return story.recorder.asked


# ---------------------------------------------------------------- every call is allowed


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_call_is_allowed_by_the_role_that_makes_it(function: str) -> None:
    assert refused(function, calls_of(function, in_hub=False), acts=False) == []


@pytest.mark.parametrize("function", ACTING)
def test_every_call_in_the_management_account_is_allowed_where_keyward_may_act_there(
    function: str,
) -> None:
    assert refused(function, calls_of(function, in_hub=True)) == []


def test_the_guard_reads_the_management_account_but_changes_nothing_unless_it_may() -> None:
    denied = {one for _, one in refused("IamGuard", calls_of("IamGuard", in_hub=True), acts=False)}
    asked = {one for account, one in calls_of("IamGuard", in_hub=True) if account == HUB}
    writes = {
        one for one in asked if one.action.startswith("iam:") and not one.action.startswith(READS)
    }
    assert denied == writes
    assert writes


@pytest.mark.parametrize("function", ["IdentityCenterGuard", "AccountBaseline"])
def test_identity_center_changes_no_access_to_the_management_account_unless_keyward_may(
    function: str,
) -> None:
    calls = calls_of(function, in_hub=True)
    denied = {one for _, one in refused(function, calls, acts=False)}
    assert {one.action.removeprefix("iam:") for one in denied} == {
        call for calls in REPLAYED.values() for call in calls
    }


def test_users_of_the_management_account_are_judged_without_a_right_to_change_them() -> None:
    with a_story(in_hub=False) as story:
        event = story.world.do(
            "CreateUser", account=HUB, at=story.world.now, UserName="eve", Path="/people/"
        )
        story.deliver(event)
        (record,) = story.world.findings()
        assert record.state is State.OPEN
        asked = list(story.recorder.asked)
        story.recorder.asked.clear()
        story.ask("release", finding=record.key, reason="agreed")
        assert refused("Operator", story.recorder.asked, acts=False) == []
    assert refused("IamGuard", asked, acts=False) == []


def test_the_member_role_is_assumed_as_its_trust_demands() -> None:
    roles = [
        (function, one)
        for function in FUNCTIONS
        for _, one in calls_of(function, in_hub=False)
        if one.action == "sts:AssumeRole"
    ]
    assert {function for function, _ in roles} == set(ENTERING)
    for function, one in roles:
        account = one.resource.split(":")[4]
        assert one.resource == f"arn:aws:iam::{account}:role/{MEMBER_ROLE}"
        assert is_trusted(function, external_id=one.context["sts:ExternalId"][0])


def is_trusted(
    function: str, *, external_id: str = f"keyward:{HUB}", hub: str = HUB, of: str = ORGANIZATION
) -> bool:
    role = the_hub().properties(f"{function}Role")
    trust = the_member(OTHER).properties("MemberRole")["AssumeRolePolicyDocument"]
    return trusted(
        trust["Statement"],
        account=hub,
        context={
            "aws:PrincipalArn": (f"arn:aws:iam::{hub}:role{role['Path']}{role['RoleName']}",),
            "aws:PrincipalOrgID": (of,),
            "sts:ExternalId": (external_id,),
        },
    )


def test_nobody_else_assumes_the_member_role() -> None:
    assert is_trusted("IamGuard")
    assert not is_trusted("IdentityCenterGuard")
    assert not is_trusted("AccountBaseline")
    assert not is_trusted("Notifier")
    assert not is_trusted("SettingsGuard")
    assert not is_trusted("IamGuard", external_id="keyward:444455556666")
    assert not is_trusted("IamGuard", hub="999988887777")
    assert not is_trusted("IamGuard", of="o-somebodyelse")


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    "key", ["id#group", "finding#1", "settings", "subject#1", "rollouts", None]
)
def test_nothing_leaves_the_ledger_but_what_names_stand_for(function: str, key: str | None) -> None:
    table = f"arn:aws:dynamodb:{REGION}:{HUB}:table/keyward-ledger"
    context = {} if key is None else {"dynamodb:LeadingKeys": (key,)}
    deleted = Asked("dynamodb:DeleteItem", table, context)
    is_name = function == "AccountBaseline" and key == "id#group"
    assert allowed(statements(function, HUB, acts=True), deleted) is is_name


# ---------------------------------------------------------------- nothing more is allowed


def granted(role: list[Statement]) -> set[tuple[str, str]]:
    return {
        (action, resource)
        for one in role
        if one["Effect"] == "Allow"
        for action in one["Action"]
        for resource in one["Resource"]
    }


def unused(role: list[Statement], asked: list[Asked]) -> set[tuple[str, str]]:
    """What a role grants and no call needs."""
    return {
        (action, resource)
        for action, resource in granted(role)
        if not any(one.action == action and like(one.resource, resource) for one in asked)
    }


def is_for_lambda(function: str, action: str, resource: str) -> bool:
    """Whether Lambda itself needs the right, to run the function."""
    if action == "sqs:SendMessage":
        return function in ENDING_IN_DEAD_LETTERS and resource.endswith("-dead-letters")
    return action in FOR_LAMBDA and action.partition(":")[0] in FED_BY[function]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_right_of_a_function_is_used(function: str) -> None:
    asked = [
        one
        for in_hub in ((False, True) if function in ACTING else (False,))
        for account, one in calls_of(function, in_hub=in_hub)
        if account == HUB
    ]
    role = statements(function, HUB, acts=True)
    left = {
        action
        for action, resource in unused(role, asked)
        if not is_for_lambda(function, action, resource)
    }
    assert left == set()


def test_every_right_of_the_member_role_is_used_by_the_guard_or_the_operator() -> None:
    asked = [
        replace(one, resource=one.resource.replace(account, OTHER))
        for function in ENTERING
        for account, one in calls_of(function, in_hub=False)
        if account != HUB
    ]
    assert unused(member_role(), asked) == set()


# ---------------------------------------------------------------- the member role, case by case

POLICY = "iam:PolicyARN"
BOUNDARY = "iam:PermissionsBoundary"
TAGS = "aws:TagKeys"
USER = f"arn:aws:iam::{OTHER}:user/people/finance/eve"
ROLE = f"arn:aws:iam::{OTHER}:role/deployer"
OURS = f"arn:aws:iam::{OTHER}:{GROUP}"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
NAMESAKE = f"arn:aws:iam::{OTHER}:policy/AWSDenyAll"


def member_role() -> list[Statement]:
    return statements("", OTHER, acts=False)


def case(action: str, resource: str = USER, **context: tuple[str, ...]) -> Asked:
    keys = {"policy": POLICY, "boundary": BOUNDARY, "tags": TAGS}
    return Asked(f"iam:{action}", resource, {keys[key]: value for key, value in context.items()})


def spelt(asked: Asked) -> str:
    told = [asked.action.removeprefix("iam:"), asked.resource.rpartition(":")[2]]
    return "-".join([*told, *(value for values in asked.context.values() for value in values)])


CONTAINING = [
    case("AttachUserPolicy", policy=(DENY_ALL_ARN,)),
    case("AttachUserPolicy", policy=(DENY_ALL_ARN,), boundary=(ADMINISTRATOR,)),
    case("DetachUserPolicy", policy=(DENY_ALL_ARN,)),
    case("PutUserPermissionsBoundary", boundary=(DENY_ALL_ARN,)),
    case("DeleteUserPermissionsBoundary", boundary=(DENY_ALL_ARN,)),
    case("AddUserToGroup", OURS),
    case("RemoveUserFromGroup", OURS),
    case("TagUser", tags=(MARKER_TAG,)),
    case("UntagUser", tags=(MARKER_TAG,)),
    case("UpdateAccessKey", f"arn:aws:iam::{OTHER}:user/eve"),
]
GRANTING = [
    case("AttachUserPolicy", policy=(ADMINISTRATOR,)),
    case("AttachUserPolicy", policy=(NAMESAKE,)),
    case("AttachUserPolicy"),
    case("DetachUserPolicy", policy=(ADMINISTRATOR,)),
    case("DetachUserPolicy", policy=(NAMESAKE,)),
    case("PutUserPermissionsBoundary", boundary=(ADMINISTRATOR,)),
    case("PutUserPermissionsBoundary", boundary=(NAMESAKE,)),
    case("DeleteUserPermissionsBoundary", boundary=(ADMINISTRATOR,)),
    case("DeleteUserPermissionsBoundary"),
    case("TagUser", tags=("team",)),
    case("TagUser", tags=(MARKER_TAG, "team")),
    case("TagUser"),
    case("UntagUser", tags=("team",)),
    case("UntagUser", tags=("xkeyward:quarantined",)),
    case("TagRole", ROLE, tags=(MARKER_TAG,)),
    case("AddUserToGroup", f"arn:aws:iam::{OTHER}:group/administrators"),
    case("AddUserToGroup", f"arn:aws:iam::{OTHER}:group/keyward-quarantine"),
    case("RemoveUserFromGroup", f"arn:aws:iam::{OTHER}:group/administrators"),
    case("PutGroupPolicy", OURS),
    case("DeleteGroupPolicy", OURS),
    case("DeleteGroup", OURS),
    case("PutUserPolicy"),
    case("DeleteUserPolicy"),
    case("CreateUser"),
    case("DeleteUser"),
    case("UpdateUser"),
    case("CreateAccessKey"),
    case("DeleteAccessKey"),
    case("CreateLoginProfile"),
    case("UpdateLoginProfile"),
    case("DeleteLoginProfile"),
    case("CreateServiceSpecificCredential"),
    case("ResetServiceSpecificCredential"),
    case("UploadSSHPublicKey"),
    case("UploadSigningCertificate"),
    case("EnableMFADevice"),
    case("DeactivateMFADevice"),
    case("CreateRole", ROLE),
    case("DeleteRole", ROLE),
    case("PassRole", ROLE),
    case("PutRolePolicy", ROLE),
    case("AttachRolePolicy", ROLE, policy=(DENY_ALL_ARN,)),
    case("DetachRolePolicy", ROLE, policy=(DENY_ALL_ARN,)),
    case("UpdateAssumeRolePolicy", ROLE),
    case("PutRolePermissionsBoundary", ROLE, boundary=(DENY_ALL_ARN,)),
    case("AttachUserPolicy", ROLE, policy=(DENY_ALL_ARN,)),
    case("AttachGroupPolicy", OURS, policy=(DENY_ALL_ARN,)),
    case("CreatePolicyVersion", NAMESAKE),
]


@pytest.mark.parametrize("asked", CONTAINING, ids=spelt)
def test_the_member_role_contains_users_and_undoes_that(asked: Asked) -> None:
    assert allowed(member_role(), asked)


@pytest.mark.parametrize("asked", GRANTING, ids=spelt)
def test_the_member_role_grants_nothing_to_anybody(asked: Asked) -> None:
    assert not allowed(member_role(), asked)


@pytest.mark.parametrize("function", ACTING)
@pytest.mark.parametrize("asked", GRANTING, ids=spelt)
def test_no_function_grants_anything_to_anybody_of_the_management_account(
    function: str, asked: Asked
) -> None:
    here = replace(
        asked,
        resource=asked.resource.replace(OTHER, HUB),
        context={
            key: tuple(value.replace(OTHER, HUB) for value in values)
            for key, values in asked.context.items()
        },
    )
    assert not allowed(statements(function, HUB, acts=True), here)


@pytest.mark.parametrize(
    "asked",
    [
        case("DetachRolePolicy", f"arn:aws:iam::{OTHER}:role/{MEMBER_ROLE}"),
        case("UpdateAssumeRolePolicy", f"arn:aws:iam::{OTHER}:role/keyward/keyward-forwarder"),
        Asked("events:DisableRule", f"arn:aws:events:us-east-1:{OTHER}:rule/keyward-forward"),
        Asked("events:DeleteEventBus", f"arn:aws:events:us-east-1:{HUB}:event-bus/keyward"),
        Asked("ssm:PutParameter", f"arn:aws:ssm:us-east-1:{HUB}:parameter/keyward/settings"),
        Asked(
            "lambda:UpdateFunctionCode",
            f"arn:aws:lambda:us-east-1:{HUB}:function:keyward-iam-guard",
        ),
    ],
    ids=spelt,
)
def test_the_member_role_is_kept_from_keyward_itself_whatever_it_is_given_later(
    asked: Asked,
) -> None:
    everything = {"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}
    assert allowed([everything], asked)
    assert not allowed([everything, *member_role()], asked)
