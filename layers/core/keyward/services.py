"""The only place that builds clients. Each is made on first use and kept for the next event."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from keyward import proving, resolving
from keyward.errors import GatewayError
from keyward.gateways.access_analyzer import AccessAnalyzerGateway
from keyward.gateways.callers import CallersGateway
from keyward.gateways.dynamodb import DynamoDbGateway
from keyward.gateways.events import EventsGateway
from keyward.gateways.forwarders import ForwarderGateway
from keyward.gateways.functions import FunctionsGateway
from keyward.gateways.iam import IamGateway
from keyward.gateways.iam_report import IamReportGateway
from keyward.gateways.identity_center import IdentityCenterGateway
from keyward.gateways.mail import MailGateway
from keyward.gateways.organization import OrganizationGateway, Session, StsGateway
from keyward.gateways.reach import Reach
from keyward.gateways.s3 import S3Gateway
from keyward.gateways.secrets import SecretsGateway
from keyward.gateways.security_hub import SecurityHubGateway
from keyward.gateways.slack import SlackGateway
from keyward.gateways.sns import SnsGateway
from keyward.gateways.sqs import SqsGateway
from keyward.gateways.ssm import SsmGateway
from keyward.gateways.trail import TrailGateway
from keyward.gateways.visiting import Visitor
from keyward.ledger import Ledger
from keyward.observability import logger
from keyward.rules import guard_of
from keyward.settings import Accepted
from keyward.sweep import Heard
from keyward.throttle import Bucket

if TYPE_CHECKING:
    from boto3.session import Session as BotoSession
    from botocore.config import Config

SETTINGS_SECONDS = 30
"""The accepted settings are read again after this long."""

MEMBERSHIP_SECONDS = 300
"""Whether an account is an active member, and in which OUs, is asked again after this long."""

NAME_SECONDS = 3600
"""What an account is called is asked again after this long, also where it couldn't be read."""

EXPIRY_MARGIN = timedelta(minutes=5)
"""Credentials are renewed so long before they end."""

IAM_REGION = "us-east-1"
"""Where IAM's global endpoint signs.

Source: https://docs.aws.amazon.com/general/latest/gr/iam-service.html
"""


ACCOUNTS_KEPT = 50
"""So many accounts' clients are kept: one takes some 400 KB, and a sweep comes to all accounts."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What the template tells a function."""

    table: str
    hub_account: str
    function: str
    topic_arn: str = ""
    center_queue_url: str = ""
    baseline_queue_url: str = ""
    iam_sweep_queue_url: str = ""
    sweep_queue_url: str = ""
    inventory_bucket: str = ""
    out_bus: str = ""
    security_hub: bool = False
    slack_secret_arn: str = ""
    slack_signing_secret_arn: str = ""
    slack_url: str = ""
    mail_from: str = ""
    reports_bucket: str = ""
    report_function: str = ""
    region: str = "unknown"
    claim_seconds: float = 90.0

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> "Environment":
        """The environment in these variables. Raises KeyError naming what the template forgot."""
        return cls(
            table=variables["KEYWARD_TABLE"],
            hub_account=variables["KEYWARD_HUB_ACCOUNT"],
            function=variables.get("AWS_LAMBDA_FUNCTION_NAME", "keyward"),
            topic_arn=variables.get("KEYWARD_TOPIC_ARN", ""),
            center_queue_url=variables.get("KEYWARD_IDENTITY_CENTER_QUEUE_URL", ""),
            baseline_queue_url=variables.get("KEYWARD_BASELINE_QUEUE_URL", ""),
            iam_sweep_queue_url=variables.get("KEYWARD_IAM_SWEEP_QUEUE_URL", ""),
            sweep_queue_url=variables.get("KEYWARD_SWEEP_QUEUE_URL", ""),
            inventory_bucket=variables.get("KEYWARD_INVENTORY_BUCKET", ""),
            out_bus=variables.get("KEYWARD_OUT_BUS", ""),
            security_hub=variables.get("KEYWARD_SECURITY_HUB", "") == "true",
            slack_secret_arn=variables.get("KEYWARD_SLACK_SECRET_ARN", ""),
            slack_signing_secret_arn=variables.get("KEYWARD_SLACK_SIGNING_SECRET_ARN", ""),
            slack_url=variables.get("KEYWARD_SLACK_URL", ""),
            mail_from=variables.get("KEYWARD_MAIL_FROM", ""),
            reports_bucket=variables.get("KEYWARD_REPORTS_BUCKET", ""),
            report_function=variables.get("KEYWARD_REPORT_FUNCTION", ""),
            region=variables.get("AWS_REGION", "unknown"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """An account that is read as a whole: its IAM, and the forwarders in a region of it."""

    iam: IamReportGateway
    forwarders: Callable[[str], ForwarderGateway]


@dataclass(kw_only=True)
class Services:
    """Gateways for one function, each built when it is first asked for."""

    environment: Environment
    sleep: Any = time.sleep
    clock: Any = _utc_now
    _settings: tuple[datetime, Accepted | None] | None = field(default=None, init=False)
    _members: dict[str, tuple[datetime, bool]] = field(default_factory=dict, init=False)
    _parents: dict[str, tuple[datetime, tuple[str, ...]]] = field(default_factory=dict, init=False)
    _names: dict[str, tuple[datetime, str | None]] = field(default_factory=dict, init=False)
    _accounts: dict[str, tuple[datetime, IamGateway]] = field(default_factory=dict, init=False)
    _documents: dict[tuple[str, str], str] = field(default_factory=dict, init=False)
    _center: IdentityCenterGateway | None = field(default=None, init=False)
    heard: dict[str, Heard] = field(default_factory=dict, init=False)
    """The newest event of each account that this process heard, until the ledger has it."""
    digested: str | None = field(default=None, init=False)
    """The day whose digest this process knows to be made."""

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger."""
        table = DynamoDbGateway(client=self._client("dynamodb"), table=self.environment.table)
        return Ledger(table, claim_seconds=self.environment.claim_seconds)

    @cached_property
    def organization(self) -> OrganizationGateway:
        """The organization."""
        return OrganizationGateway(self._client("organizations"))

    @cached_property
    def sns(self) -> SnsGateway:
        """The alert topic."""
        return SnsGateway(client=self._client("sns"), topic_arn=self.environment.topic_arn)

    @cached_property
    def center_queue(self) -> SqsGateway:
        """The queue of identity_center_guard."""
        return SqsGateway(client=self._sqs, url=self.environment.center_queue_url)

    @cached_property
    def baseline_queue(self) -> SqsGateway:
        """The queue of account_baseline."""
        return SqsGateway(client=self._sqs, url=self.environment.baseline_queue_url)

    @cached_property
    def iam_sweep_queue(self) -> SqsGateway:
        """The queue by which iam_guard sweeps: events have another, and never wait for a sweep."""
        return SqsGateway(client=self._sqs, url=self.environment.iam_sweep_queue_url)

    @cached_property
    def sweep_queue(self) -> SqsGateway:
        """The queue of the function sweep."""
        return SqsGateway(client=self._sqs, url=self.environment.sweep_queue_url)

    def queue_named(self, name: str) -> SqsGateway:
        """Any of Keyward's queues, dead letters too: all are where Identity Center's is."""
        place = self.environment.center_queue_url.rpartition("/")[0]
        return SqsGateway(client=self._sqs, url=f"{place}/{name}")

    @cached_property
    def _sqs(self) -> Any:  # noqa: ANN401 - a boto3 client
        return self._client("sqs")

    @cached_property
    def events(self) -> EventsGateway:
        """The hub's bus, and its archive: where the alert topic is."""
        _, partition, _, region, account, *_ = self.environment.topic_arn.split(":")
        prefix = f"arn:{partition}:events:{region}:{account}:"
        return EventsGateway(client=self._client("events"), prefix=prefix)

    def queue_of(self, rule: str) -> SqsGateway:
        """The queue of the guard that follows what is done for this rule's sake."""
        match guard_of(rule):
            case "account_baseline":
                return self.baseline_queue
            case "iam_guard":
                return self.iam_sweep_queue
            case _:
                return self.center_queue

    @cached_property
    def inventory(self) -> S3Gateway | None:
        """The bucket of inventories; None where the function has none."""
        bucket = self.environment.inventory_bucket
        return S3Gateway(client=self._client("s3"), bucket=bucket) if bucket else None

    @cached_property
    def reports(self) -> S3Gateway:
        """The bucket of reports."""
        return S3Gateway(client=self._client("s3"), bucket=self.environment.reports_bucket)

    @cached_property
    def functions(self) -> FunctionsGateway:
        """Lambda, to have a report made."""
        return FunctionsGateway(self._client("lambda"))

    @cached_property
    def secrets(self) -> SecretsGateway:
        """Secrets Manager; each secret is read again after some minutes: it may be rotated."""
        return SecretsGateway(client=self._client("secretsmanager"), clock=self.clock)

    @cached_property
    def slack(self) -> SlackGateway:
        """Slack, by what the secret says; nothing is read before it is used."""
        return SlackGateway(
            secret=lambda: self.secrets.document(self.environment.slack_secret_arn),
            url=self.environment.slack_url or None,
            clock=self.clock,
        )

    @cached_property
    def security_hub(self) -> SecurityHubGateway:
        """Security Hub in the hub's region."""
        return SecurityHubGateway(self._client("securityhub"))

    @cached_property
    def mail(self) -> MailGateway:
        """E-mail, from the address that the template names."""
        return MailGateway(client=self._client("sesv2"), sender=self.environment.mail_from)

    @cached_property
    def trail(self) -> TrailGateway:
        """CloudTrail's event history of the management account."""
        return TrailGateway(self._client("cloudtrail"))

    @cached_property
    def access_analyzer(self) -> AccessAnalyzerGateway:
        """IAM Access Analyzer in the hub's region, to be asked only where settings allow it."""
        # What is only a second opinion must not use up a function's time.
        client = self._client("accessanalyzer", attempts=1)
        return AccessAnalyzerGateway(client=client, account=self.environment.hub_account)

    def identity_center(self, now: datetime) -> IdentityCenterGateway:
        """Identity Center, which lives in the management account and in the hub's region."""
        if self._center is None:
            self._center = IdentityCenterGateway(
                admin=self._client("sso-admin"),
                directory=self._client("identitystore"),
                hub_account=self.environment.hub_account,
                take=Bucket(
                    ledger=self.ledger,
                    calls_per_second=lambda: (
                        self.accepted(now).settings.identity_center.calls_per_second
                    ),
                    sleep=self.sleep,
                    clock=self.clock,
                ).take,
            )
        return self._center

    def reach(self, account: str, now: datetime) -> Reach:
        """What an event of this account may need."""
        return Reach(
            iam=lambda: self.iam(account, now),
            hub_iam=lambda: self.iam(self.environment.hub_account, now),
            identity_center=lambda: self.identity_center(now),
            trail=lambda: self.trail,
            access_analyzer=lambda: (
                self.access_analyzer
                if self.accepted(now).settings.identity_center.second_opinion
                else None
            ),
            parents=lambda of: self.parents(of, now),
            organization=lambda: self.organization,
            accepted=lambda: self.accepted(now),
        )

    @cached_property
    def ssm(self) -> SsmGateway:
        """Parameter Store."""
        return SsmGateway(self._client("ssm"))

    @cached_property
    def sts(self) -> StsGateway:
        """The function's own credentials."""
        return StsGateway(self._client("sts"))

    @cached_property
    def callers(self) -> CallersGateway:
        """STS of this region, asked by what callers signed; on a local AWS where that has it."""
        return CallersGateway(
            lambda: proving.endpoint(client=self.sts.endpoint, region=self.environment.region)
        )

    def accepted(self, now: datetime) -> Accepted:
        """The settings in force, at most SETTINGS_SECONDS old. None ever compiled: report only.

        Raises GatewayError when the ledger is out of reach: then nothing can be recorded either.
        """
        if self._settings is None or now - self._settings[0] >= timedelta(seconds=SETTINGS_SECONDS):
            self._settings = (now, self.ledger.accepted())
        return self._settings[1] or Accepted()

    def is_member(self, account: str, now: datetime) -> bool:
        """Whether the account is an active member of the organization, at most 5 minutes old.

        The management account is one without being asked for.
        """
        if account == self.environment.hub_account:
            return True
        known = self._members.get(account)
        if known is None or now - known[0] >= timedelta(seconds=MEMBERSHIP_SECONDS):
            known = (now, self.organization.is_active_member(account))
            self._members[account] = known
        return known[1]

    def account_name(self, account: str, now: datetime) -> str | None:
        """What the account is called; None where that can't be read. Asked once in NAME_SECONDS."""
        known = self._names.get(account)
        if known is None or now - known[0] >= timedelta(seconds=NAME_SECONDS):
            try:
                described = self.organization.account(account)
            except GatewayError as error:
                logger.warning("account name not read", account=account, reason=str(error))
                described = None
            known = (now, None if described is None else described.name or None)
            self._names[account] = known
        return known[1]

    def parents(self, account: str, now: datetime) -> tuple[str, ...]:
        """The ids of the account's OUs and root, at most 5 minutes old. Raises GatewayError."""
        known = self._parents.get(account)
        if known is None or now - known[0] >= timedelta(seconds=MEMBERSHIP_SECONDS):
            above = resolving.above(account, organization=self.organization, ledger=self.ledger)
            known = (now, above)
            self._parents[account] = known
        return known[1]

    def iam(self, account: str, now: datetime) -> IamGateway:
        """IAM of the account, by the member role; of the management account by our own.

        The credentials are checked to be the account's before anything is done with them. Raises
        GatewayError.
        """
        known = self._accounts.get(account)
        if known is not None and now < known[0]:
            return known[1]
        if account == self.environment.hub_account:
            self.sts.require_account(account)
            known = (datetime.max.replace(tzinfo=now.tzinfo), self._iam(account, None))
        else:
            session = self.sts.assume_member_role(
                account=account,
                hub_account=self.environment.hub_account,
                caller=self.environment.function,
            )
            StsGateway(self._client("sts", session)).require_account(account)
            known = (session.expires_at - EXPIRY_MARGIN, self._iam(account, session))
        self._accounts.pop(account, None)
        if len(self._accounts) >= ACCOUNTS_KEPT:
            del self._accounts[next(iter(self._accounts))]
        self._accounts[account] = known
        return known[1]

    def visit(self, account: str) -> Visit:
        """The account, to be read as a whole; entering the next one ends the visit.

        The credentials are checked to be the account's. Raises GatewayError.
        """
        client: Callable[[str, str], Any]
        if account == self.environment.hub_account:
            self.sts.require_account(account)
            client = self._client_in
        else:
            session = self.sts.assume_member_role(
                account=account,
                hub_account=self.environment.hub_account,
                caller=self.environment.function,
            )
            self._visitor.enter(session)
            StsGateway(self._visitor.client("sts", IAM_REGION)).require_account(account)
            client = self._visitor.client
        return Visit(
            iam=IamReportGateway(account=account, client=client("iam", IAM_REGION)),
            forwarders=lambda region: ForwarderGateway(
                account=account, region=region, client=client("events", region)
            ),
        )

    @cached_property
    def _visitor(self) -> Visitor:
        return Visitor(_config())

    def _client_in(self, service: str, region: str) -> Any:  # noqa: ANN401 - a boto3 client of any service
        return self._client(service, region=region)

    def forget(self, account: str) -> None:
        """Lets the account's credentials go: AWS refuses them once the role was made anew."""
        self._accounts.pop(account, None)

    def _iam(self, account: str, session: Session | None) -> IamGateway:
        return IamGateway(
            account=account,
            client=self._client("iam", session, IAM_REGION),
            documents=self._documents,
        )

    @cached_property
    def _boto(self) -> "BotoSession":
        import boto3  # noqa: PLC0415 - importing it costs as much as everything else

        return boto3.session.Session()

    def _client(
        self,
        service: str,
        session: Session | None = None,
        region: str | None = None,
        *,
        attempts: int = 3,
    ) -> Any:  # noqa: ANN401 - a boto3 client of any service
        credentials = (
            {}
            if session is None
            else {
                "aws_access_key_id": session.access_key_id,
                "aws_secret_access_key": session.secret_access_key,
                "aws_session_token": session.session_token,
            }
        )
        config = _config(attempts)
        if service == "s3":
            config = config.merge(_signed_links())
        return self._boto.client(service, region_name=region, config=config, **credentials)  # type: ignore[call-overload]  # the service is a variable


def _config(attempts: int = 3) -> "Config":
    from botocore.config import Config  # noqa: PLC0415 - on first use only

    return Config(
        connect_timeout=3,
        read_timeout=10,
        retries={"mode": "standard", "max_attempts": attempts},
    )


def _signed_links() -> "Config":
    """Links to objects signed like calls: botocore still signs them by version 2 in old regions.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
    """
    from botocore.config import Config  # noqa: PLC0415 - on first use only

    return Config(signature_version="s3v4")


_services: Services | None = None


def services() -> Services:
    """The function's services, made on first use and kept while the function is warm."""
    global _services  # noqa: PLW0603 - what a warm function keeps
    if _services is None:
        _services = Services(environment=Environment.of(os.environ))
    return _services
