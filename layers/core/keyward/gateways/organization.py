"""Who belongs to the organization, and the credentials to enter an account."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from keyward.errors import GatewayError, NotFoundError
from keyward.gateways.translate import translated

if TYPE_CHECKING:
    from mypy_boto3_organizations import OrganizationsClient
    from mypy_boto3_sts import STSClient

MEMBER_ROLE = "keyward/keyward-member"
"""Path and name of the role that member/template.yaml puts into every member account."""

SESSION_SECONDS = 3600


class OrganizationGateway:
    """The organization's accounts, as the management account sees them."""

    def __init__(self, client: "OrganizationsClient") -> None:
        self._client = client

    def is_active_member(self, account: str) -> bool:
        """Whether the account is an ACTIVE member of the organization. Raises GatewayError.

        `State` replaces `Status`, which was due to be retired in September 2026; both are read.
        Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_Account.html
        """
        try:
            with translated(f"DescribeAccount {account}"):
                described = self._client.describe_account(AccountId=account)["Account"]
        except NotFoundError:
            return False
        return (described.get("State") or described.get("Status")) == "ACTIVE"

    def parents(self, account: str) -> tuple[str, ...]:
        """The ids of the OUs that the account is in, from the nearest up, and last of the root.

        One call for each of them: an OU, as an account, has exactly one parent, and OUs are nested
        five deep at most. Raises GatewayError.
        Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListParents.html
        """
        found: list[str] = []
        child = account
        while True:
            with translated(f"ListParents of {child}"):
                (parent,) = self._client.list_parents(ChildId=child)["Parents"]
            found.append(child := parent["Id"])
            if parent["Type"] == "ROOT":
                return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Temporary credentials of the member role, and when they end."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: datetime

    def __repr__(self) -> str:
        """Never shows the secret."""
        return f"Session({self.access_key_id}, expires_at={self.expires_at})"


class StsGateway:
    """The way into member accounts."""

    def __init__(self, client: "STSClient") -> None:
        self._client = client

    def assume_member_role(self, *, account: str, hub_account: str, caller: str) -> Session:
        """Credentials of the member role of `account` for an hour. Raises GatewayError.

        An hour is the most that role chaining allows.
        Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining
        """
        with translated(f"AssumeRole {MEMBER_ROLE} in {account}"):
            credentials = self._client.assume_role(
                RoleArn=f"arn:aws:iam::{account}:role/{MEMBER_ROLE}",
                RoleSessionName=caller,
                ExternalId=f"keyward:{hub_account}",
                DurationSeconds=SESSION_SECONDS,
            )["Credentials"]
        return Session(
            access_key_id=credentials["AccessKeyId"],
            secret_access_key=credentials["SecretAccessKey"],
            session_token=credentials["SessionToken"],
            expires_at=credentials["Expiration"],
        )

    def require_account(self, account: str) -> None:
        """Raises GatewayError unless these credentials belong to `account`."""
        with translated(f"GetCallerIdentity for {account}"):
            found = self._client.get_caller_identity()["Account"]
        if found != account:
            message = f"credentials for account {account} belong to {found}: nothing is done there"
            raise GatewayError(message, code="WrongAccount")
