"""An organization under moto, with what moto lacks, every call counted, and faults on demand.

What moto lacks of IAM (permissions boundaries of users, service-specific credentials, the quotas
of policies and groups, credential reports that know root and grow old) stands in `Extension`;
everything else is moto's.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import moto
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto.iam.models import AWSManagedPolicy, get_account_id_from, iam_backends

from keyward import pipeline, rules
from keyward.actions import DENY_ALL_ARN, QUARANTINE_GROUP
from keyward.findings import FindingRecord, Notice, State
from keyward.ledger import Ledger
from keyward.own import HUB_FORWARDERS, MEMBER_FORWARDERS
from keyward.services import Environment, Services
from keyward.settings import Accepted
from local.cloudtrail import envelope, shaped

HUB = "123456789012"
REGION = "us-east-1"
CENTER_QUEUE = "keyward-identity-center-guard"
BASELINE_QUEUE = "keyward-account-baseline"
IAM_SWEEP_QUEUE = "keyward-iam-sweep"
BUS = f"arn:aws:events:{REGION}:{HUB}:event-bus/keyward"
UNCOUNTED = {"AssumeRole", "GetCallerIdentity", "DescribeAccount"}
"""Paid once for an account and credential lifetime, not for an event."""

Call = tuple[str, dict[str, Any]]
Fault = Callable[[str, dict[str, Any], Callable[[], Any]], Any]


@dataclass
class Extension:
    """What IAM does and moto doesn't: an in-memory part of the same accounts."""

    boundaries: dict[tuple[str, str], str] = field(default_factory=dict)
    credentials: dict[tuple[str, str], dict[str, dict[str, Any]]] = field(default_factory=dict)
    trail: list[dict[str, Any]] = field(default_factory=list)
    opinion: dict[str, Any] = field(default_factory=lambda: {"result": "PASS"})
    doubts: list[dict[str, str]] = field(default_factory=list)
    policy_slots: int = 10
    group_slots: int = 10
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    roots_with_keys: set[str] = field(default_factory=set)
    reports: dict[str, tuple[datetime, bytes]] = field(default_factory=dict)
    reports_are_kept: bool = False
    """As AWS keeps a credential report for four hours; else one that was read is forgotten."""

    def answer(
        self, account: str, operation: str, params: dict[str, Any], call: Callable[[], Any]
    ) -> Any:
        name = params.get("UserName", "")
        key = (account, name)
        match operation:
            case "PutUserPermissionsBoundary":
                self.boundaries[key] = params["PermissionsBoundary"]
                return {}
            case "DeleteUserPermissionsBoundary":
                if self.boundaries.pop(key, None) is None:
                    raise aws_error("NoSuchEntity", operation, 404)
                return {}
            case "GetUser":
                answer = call()
                if key in self.boundaries:
                    answer["User"]["PermissionsBoundary"] = {
                        "PermissionsBoundaryType": "Policy",
                        "PermissionsBoundaryArn": self.boundaries[key],
                    }
                return answer
            case "CreateServiceSpecificCredential":
                credential = {
                    "ServiceSpecificCredentialId": f"ACCA{uuid.uuid4().hex[:16].upper()}",
                    "ServiceName": params["ServiceName"],
                    "UserName": name,
                    "Status": "Active",
                    "CreateDate": datetime.now(UTC),
                }
                held = self.credentials.setdefault(key, {})
                held[credential["ServiceSpecificCredentialId"]] = credential
                return {"ServiceSpecificCredential": dict(credential)}
            case "GenerateCredentialReport" | "GetCredentialReport":
                return self._credential_report(account, operation, call)
            case "GetAccountSummary":
                answer = call()
                keys = 1 if account in self.roots_with_keys else 0
                return answer | {
                    "SummaryMap": answer["SummaryMap"] | {"AccountAccessKeysPresent": keys}
                }
            case "GetAccountAuthorizationDetails":
                answer = call()
                for detail in answer["UserDetailList"]:
                    if boundary := self.boundaries.get((account, detail["UserName"])):
                        detail["PermissionsBoundary"] = {"PermissionsBoundaryArn": boundary}
                # moto takes AWS's own policies for the account's.
                mine = [it for it in answer["Policies"] if f"::{account}:" in it["Arn"]]
                return answer | {"Policies": mine}
            case "ListServiceSpecificCredentials" if params.get("AllUsers"):
                return {
                    "ServiceSpecificCredentials": [
                        dict(item)
                        for (of, _), held in self.credentials.items()
                        for item in held.values()
                        if of == account
                    ]
                }
            case "ListServiceSpecificCredentials":
                return {
                    "ServiceSpecificCredentials": [
                        dict(item) for item in self.credentials.get(key, {}).values()
                    ]
                }
            case "UpdateServiceSpecificCredential":
                held = self.credentials.get(key, {})
                if params["ServiceSpecificCredentialId"] not in held:
                    raise aws_error("NoSuchEntity", operation, 404)
                held[params["ServiceSpecificCredentialId"]]["Status"] = params["Status"]
                return {}
            case "GetAccessKeyLastUsed":
                for user in iam_backends[account]["aws"].users.values():
                    if params["AccessKeyId"] in {k.access_key_id for k in user.access_keys}:
                        return {"UserName": user.name, "AccessKeyLastUsed": {}}
                raise aws_error("NoSuchEntity", operation, 404)
            case "AttachUserPolicy":
                attached = iam_backends[account]["aws"].get_user(name).managed_policies
                if len(attached) >= self.policy_slots and params["PolicyArn"] not in attached:
                    raise aws_error("LimitExceeded", operation, 409)
            case "AddUserToGroup":
                groups = iam_backends[account]["aws"].get_groups_for_user(name)
                if len(groups) >= self.group_slots:
                    raise aws_error("LimitExceeded", operation, 409)
            case _:
                pass
        return call()

    def _credential_report(self, account: str, operation: str, call: Callable[[], Any]) -> Any:
        if operation == "GenerateCredentialReport":
            state = "COMPLETE" if account in self.reports else "STARTED"
            if state == "STARTED":
                call()
                self.reports[account] = (self.clock(), self._report(account))
            return {"State": state}
        if account not in self.reports:
            raise aws_error("ReportNotPresent", operation, 410)
        made, content = self.reports[account]
        if not self.reports_are_kept:
            del self.reports[account]
        return {"Content": content, "ReportFormat": "text/csv", "GeneratedTime": made}

    def _report(self, account: str) -> bytes:
        """moto's credential report as it is now, and the root user's line, which moto lacks."""
        report: str = iam_backends[account]["aws"].get_credential_report()
        header, _, users = report.partition("\n")
        root = dict.fromkeys(header.split(","), "N/A") | {
            "user": "<root_account>",
            "arn": f"arn:aws:iam::{account}:root",
            "user_creation_time": "2020-01-01T00:00:00+00:00",
            "password_enabled": "not_supported",
            "password_last_used": "no_information",
            "password_last_changed": "not_supported",
            "mfa_active": "true",
            "access_key_1_active": "true" if account in self.roots_with_keys else "false",
            "access_key_2_active": "false",
            "cert_1_active": "false",
            "cert_2_active": "false",
        }
        return "\n".join([header, ",".join(root.values()), users]).encode()


def aws_error(code: str, operation: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]  # as much as Keyward reads
        operation,
    )


@dataclass
class World:
    """The organization, the functions' services, and a clock that the test holds."""

    member: str
    other_member: str
    now: datetime
    extension: Extension = field(default_factory=Extension)
    calls: list[Call] = field(default_factory=list)
    recording: bool = False
    fault: Fault | None = None
    services_type: type[Services] = Services
    more: dict[str, Any] = field(default_factory=dict)
    """What the functions' environment has beside."""
    services: Services = field(init=False)
    _administrators: dict[str, Any] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.extension.clock = lambda: self.now
        self.restart()

    def restart(self) -> None:
        """A cold start: nothing is cached."""
        self.services = self.services_type(
            environment=Environment(
                table="keyward-ledger",
                hub_account=HUB,
                function="keyward-iam-guard",
                topic_arn=f"arn:aws:sns:{REGION}:{HUB}:keyward-alerts",
                center_queue_url=f"https://sqs.{REGION}.amazonaws.com/{HUB}/{CENTER_QUEUE}",
                baseline_queue_url=f"https://sqs.{REGION}.amazonaws.com/{HUB}/{BASELINE_QUEUE}",
                iam_sweep_queue_url=f"https://sqs.{REGION}.amazonaws.com/{HUB}/{IAM_SWEEP_QUEUE}",
                region=REGION,
                **self.more,
            ),
            sleep=lambda _seconds: None,
        )

    @property
    def ledger(self) -> Ledger:
        return self.services.ledger

    def iam(self, account: str | None = None) -> Any:
        """IAM of an account, by an administrator of it."""
        account = account or self.member
        if account not in self._administrators:
            self._administrators[account] = self.administrator(account, "iam")
        return self._administrators[account]

    def administrator(self, account: str, service: str) -> Any:
        """A client of an administrator of the account."""
        credentials = boto3.client("sts", region_name=REGION).assume_role(
            RoleArn=f"arn:aws:iam::{account}:role/OrganizationAccountAccessRole",
            RoleSessionName="admin",
        )["Credentials"]
        return boto3.client(  # type: ignore[call-overload]  # the service is a variable
            service,
            region_name=REGION,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )

    def do(
        self,
        operation: str,
        *,
        account: str | None = None,
        actor: dict[str, Any] | None = None,
        at: datetime | None = None,
        **params: Any,
    ) -> dict[str, Any]:
        """A real call in the account, and the event that CloudTrail would make of it."""
        account = account or self.member
        client = self.iam(account)
        names = client.meta.method_to_api_mapping
        method = next(name for name, api in names.items() if api == operation)
        answer = getattr(client, method)(**params)
        return self.event(operation, params, answer, account=account, actor=actor, at=at)

    def event(
        self,
        operation: str,
        params: dict[str, Any],
        answer: dict[str, Any] | None = None,
        *,
        account: str | None = None,
        actor: dict[str, Any] | None = None,
        at: datetime | None = None,
    ) -> dict[str, Any]:
        account = account or self.member
        when = at or datetime.now(UTC) + timedelta(seconds=1)
        return envelope(
            {
                "eventVersion": "1.11",
                "userIdentity": actor or an_administrator(account),
                "eventTime": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "eventSource": "iam.amazonaws.com",
                "eventName": operation,
                "awsRegion": REGION,
                "sourceIPAddress": "192.0.2.44",
                "userAgent": "aws-cli/2.31.0",
                "requestParameters": shaped(params) or None,
                "responseElements": shaped(answer or {}, response=True) or None,
                "requestID": str(uuid.uuid4()),
                "eventID": str(uuid.uuid4()),
                "recipientAccountId": account,
            }
        )

    def deliver(self, event: dict[str, Any] | str) -> None:
        """One delivery to iam_guard; errors come through, as SQS would see them."""
        body = event if isinstance(event, str) else json.dumps(event)
        pipeline.enforce(
            body, rules=rules.of_guard("iam_guard"), services=self.services, now=self.now
        )

    def counted(self, event: dict[str, Any]) -> Counter[str]:
        """The AWS calls of one delivery, once warm."""
        with self.recorded():
            self.deliver(event)
        return Counter(name for name, _ in self.calls if name not in UNCOUNTED)

    @contextmanager
    def recorded(self) -> Iterator[list[Call]]:
        """Records Keyward's calls within the block."""
        self.calls.clear()
        self.recording = True
        try:
            yield self.calls
        finally:
            self.recording = False

    def settings(self, *, since: datetime | None = None, **changes: Any) -> None:
        """Puts settings in force: all rules enforce under a ceiling of enforce, unless changed.

        One person is enough for every release, unless `settings` say something of operators.
        """
        stored = self.ledger.accepted()
        every = [rule.id for rule in rules.every()]
        began = since or datetime(2020, 1, 1, tzinfo=UTC)
        base: dict[str, Any] = {
            "version": (stored.version if stored else 0) + 1,
            "compiled_at": self.now,
            "settings": {"ceiling": "enforce"},
            "rules": {rule: {"mode": "enforce"} for rule in every},
            "enforcing_since": dict.fromkeys(every, began),
        }
        chosen = base | changes
        chosen["settings"] = {"operators": {"two_people": False}} | chosen["settings"]
        self.ledger.accept(
            Accepted.model_validate_json(json.dumps(chosen, default=str)),
            replacing=stored.version if stored else 0,
        )
        self.services._settings = None

    def findings(self) -> list[FindingRecord]:
        return [
            record for state in State for record in self.ledger.findings_in(state, limit=500)[0]
        ]

    def finding(self, rule: str) -> FindingRecord:
        """The one finding of this rule."""
        (found,) = [record for record in self.findings() if rule in {record.rule, *record.also}]
        return found

    def untold(self) -> list[FindingRecord | Notice]:
        return self.ledger.untold(before=self.now + timedelta(days=9999), limit=500)

    def key_status(self, user: str, key_id: str, account: str | None = None) -> str:
        keys = self.iam(account).list_access_keys(UserName=user)["AccessKeyMetadata"]
        return {str(key["AccessKeyId"]): str(key["Status"]) for key in keys}[key_id]

    def is_denied(self, user: str, account: str | None = None) -> bool:
        attached = self.iam(account).list_attached_user_policies(UserName=user)
        return DENY_ALL_ARN in {item["PolicyArn"] for item in attached["AttachedPolicies"]}

    def later(self, **delta: float) -> None:
        self.now += timedelta(**delta)


def an_administrator(account: str) -> dict[str, Any]:
    """A person in an Identity Center session of the account."""
    role = "AWSReservedSSO_AdministratorAccess_0123456789abcdef"
    return {
        "type": "AssumedRole",
        "principalId": "AROAEXAMPLE:jane@example.com",
        "arn": f"arn:aws:sts::{account}:assumed-role/{role}/jane@example.com",
        "accountId": account,
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "arn": f"arn:aws:iam::{account}:role/aws-reserved/sso.amazonaws.com/{role}",
                "accountId": account,
                "userName": role,
            }
        },
    }


@contextmanager
def a_world(monkeypatch: Any) -> Iterator[World]:
    """An organization of a hub and two members, with the ledger and the quarantine group."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with moto.mock_aws():
        organizations = boto3.client("organizations", region_name=REGION)
        organizations.create_organization(FeatureSet="ALL")
        members = [
            organizations.create_account(Email=f"{name}@example.com", AccountName=name)[
                "CreateAccountStatus"
            ]["AccountId"]
            for name in ("workload", "sandbox")
        ]
        for account in (HUB, *members):
            _prepare(account)
        create_ledger()
        boto3.client("sns", region_name=REGION).create_topic(Name="keyward-alerts")
        for queue in (CENTER_QUEUE, BASELINE_QUEUE, IAM_SWEEP_QUEUE):
            boto3.client("sqs", region_name=REGION).create_queue(QueueName=queue)
        now = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=5)
        world = World(member=members[0], other_member=members[1], now=now)
        for account in (HUB, *members):
            _add_quarantine_group(world, account)
            _add_forwarders(world, account)
        _intercept(world, monkeypatch)
        yield world


def prepare(world: World, account: str) -> None:
    """Makes an account of the organization as ready as the two that every world has."""
    _prepare(account)
    _add_quarantine_group(world, account)
    _add_forwarders(world, account)


def _add_quarantine_group(world: World, account: str) -> None:
    """What member/template.yaml puts into every account."""
    everything = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    world.iam(account).create_group(GroupName=QUARANTINE_GROUP)
    world.iam(account).put_group_policy(
        GroupName=QUARANTINE_GROUP,
        PolicyName="keyward-deny-all",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [everything]}),
    )


def _add_forwarders(world: World, account: str) -> None:
    """The rules that put an account's events onto the hub's bus."""
    client = world.administrator(account, "events")
    for rule in ("keyward-forward", *HUB_FORWARDERS) if account == HUB else MEMBER_FORWARDERS:
        client.put_rule(Name=rule, EventPattern=json.dumps({"source": ["aws.iam"]}))
        client.put_targets(Rule=rule, Targets=[{"Id": "hub", "Arn": BUS}])


def _prepare(account: str) -> None:
    """AWSDenyAll exists in every account; moto loads AWS's own policies only all at once."""
    backend = iam_backends[account]["aws"]
    everything = {"Sid": "Everything", "Effect": "Allow", "Action": "*", "Resource": "*"}
    little = everything | {"Sid": "Little", "Action": "s3:GetObject"}
    says = {
        "AWSDenyAll": [everything | {"Effect": "Deny"}],
        "AWSCompromisedKeyQuarantineV3": [everything | {"Effect": "Deny", "Action": "iam:*"}],
        "AdministratorAccess": [everything],
        "PowerUserAccess": [little],
        "ReadOnlyAccess": [little],
    }
    for name, statements in says.items():
        policy = AWSManagedPolicy.from_data(
            name,
            account,
            REGION,
            {
                "DefaultVersionId": "v1",
                "Path": "/",
                "Document": {"Version": "2012-10-17", "Statement": statements},
                "CreateDate": "2020-01-01T00:00:00+00:00",
                "UpdateDate": "2020-01-01T00:00:00+00:00",
            },
        )
        backend.managed_policies[policy.arn] = policy


def create_ledger() -> None:
    """The table as template.yaml makes it."""
    boto3.client("dynamodb", region_name=REGION).create_table(
        TableName="keyward-ledger",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"}
            for name in (*("pk", "sk", "gsi_state", "untold", "updated_at", "open_in", "open_of"),)
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [
                    {"AttributeName": attribute, "KeyType": "HASH"},
                    {"AttributeName": order, "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
            for index, attribute, order in (
                ("by_state", "gsi_state", "updated_at"),
                ("untold", "untold", "updated_at"),
                ("open_in", "open_in", "open_of"),
            )
        ],
    )


def _intercept(world: World, monkeypatch: Any) -> None:
    """Every call passes here: session hooks would miss other sessions."""
    original = vars(BaseClient)["_make_api_call"]

    def intercepted(client: BaseClient, operation: str, params: dict[str, Any]) -> Any:
        def call() -> Any:
            if operation == "LookupEvents":
                return {
                    "Events": [{"CloudTrailEvent": json.dumps(it)} for it in world.extension.trail]
                }
            if operation == "CheckAccessNotGranted":
                return world.extension.opinion
            if operation == "ValidatePolicy":
                return {"findings": world.extension.doubts}
            if client.meta.service_model.service_name != "iam":
                return original(client, operation, params)
            account = _account_of(client)
            return world.extension.answer(
                account, operation, params, lambda: original(client, operation, params)
            )

        if not world.recording:
            return call()
        world.calls.append((operation, {**params, "_account": _account_of(client)}))
        if world.fault is not None:
            return world.fault(operation, params, call)
        return call()

    monkeypatch.setattr(BaseClient, "_make_api_call", intercepted)


def _account_of(client: BaseClient) -> str:
    key = client._request_signer._credentials.access_key  # type: ignore[attr-defined]
    return str(get_account_id_from(key))
