"""Who belongs to the organization, and the credentials to enter an account."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from keyward.errors import GatewayError, NotFoundError
from keyward.gateways.translate import translated

if TYPE_CHECKING:
    from mypy_boto3_organizations import OrganizationsClient
    from mypy_boto3_organizations.type_defs import (
        AccountTypeDef,
        ListAccountsForParentRequestTypeDef,
        ListAccountsRequestTypeDef,
    )
    from mypy_boto3_sts import STSClient

MEMBER_ROLE = "keyward/keyward-member"
"""Path and name of the role that member/template.yaml puts into every member account."""

ROOT = "r-"
"""How the id of a root begins.

Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_Root.html
"""

ACCOUNTS_PAGE = 20
"""ListAccounts gives no more at once."""

SESSION_SECONDS = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDescription:
    """An account, as Organizations has it. `state` is ACTIVE, SUSPENDED, PENDING_CLOSURE ...

    `joined` is when it became part of the organization.
    """

    id: str
    name: str
    state: str
    joined: datetime | None = field(default=None, compare=False)


def _description(account: "AccountTypeDef") -> AccountDescription:
    """`State` replaces `Status`, which was due to be retired in September 2026; both are read.

    Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_Account.html
    """
    return AccountDescription(
        id=account.get("Id", ""),
        name=account.get("Name", ""),
        state=account.get("State") or account.get("Status") or "UNKNOWN",
        joined=account.get("JoinedTimestamp"),
    )


class OrganizationGateway:
    """The organization's accounts, as the management account sees them."""

    def __init__(self, client: "OrganizationsClient") -> None:
        self._client = client

    def is_active_member(self, account: str) -> bool:
        """Whether the account is an ACTIVE member of the organization. Raises GatewayError."""
        found = self.account(account)
        return found is not None and found.state == "ACTIVE"

    def account(self, account: str) -> AccountDescription | None:
        """What Organizations says of the account; None where it is no member. Raises GatewayError.

        Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_DescribeAccount.html
        """
        try:
            with translated(f"DescribeAccount {account}"):
                described = self._client.describe_account(AccountId=account)["Account"]
        except NotFoundError:
            return None
        return _description(described)

    def tags(self, account: str) -> dict[str, str]:
        """The account's tags. One call for each page. Raises GatewayError.

        Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListTagsForResource.html
        """
        pages = self._pages(
            f"ListTagsForResource {account}",
            self._client.list_tags_for_resource,
            ResourceId=account,
        )
        return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}

    def root(self) -> str:
        """The id of the organization's root: it has one. Raises GatewayError."""
        pages = self._pages("ListRoots", self._client.list_roots)
        return next(root["Id"] for page in pages for root in page["Roots"])

    def units_in(self, parent: str) -> dict[str, str]:
        """The ids of the OUs right below an OU or root, by name: no two there have the same.

        One call for each page of 20. Raises GatewayError.
        Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListOrganizationalUnitsForParent.html
        """
        pages = self._pages(
            f"ListOrganizationalUnitsForParent {parent}",
            self._client.list_organizational_units_for_parent,
            ParentId=parent,
        )
        return {unit["Name"]: unit["Id"] for page in pages for unit in page["OrganizationalUnits"]}

    def some_accounts_in(
        self, parent: str, *, after: str | None
    ) -> tuple[tuple[AccountDescription, ...], str | None]:
        """Some accounts right in an OU or root, in whatever state; and where the next ones begin.

        One call, which gives 20 at most: who has no time for all goes on from there. Raises
        GatewayError.
        Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccountsForParent.html
        """
        request: ListAccountsForParentRequestTypeDef = {"ParentId": parent}
        if after is not None:
            request["NextToken"] = after
        with translated(f"ListAccountsForParent {parent}"):
            page = self._client.list_accounts_for_parent(**request)
        found = tuple(_description(account) for account in page["Accounts"])
        return found, page.get("NextToken") or None

    def some_accounts(
        self, *, after: str | None
    ) -> tuple[tuple[AccountDescription, ...], str | None]:
        """Some accounts of the organization, in whatever state; and where the next ones begin.

        The management account is among them. One call, which gives 20 at most. Raises GatewayError:
        code InvalidInputException where `after` counts no longer.
        Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccounts.html
        """
        request: ListAccountsRequestTypeDef = {"MaxResults": ACCOUNTS_PAGE}
        if after is not None:
            request["NextToken"] = after
        with translated("ListAccounts"):
            page = self._client.list_accounts(**request)
        found = tuple(_description(account) for account in page["Accounts"])
        return found, page.get("NextToken") or None

    def _pages[P: Mapping[str, Any]](
        self, what: str, operation: Callable[..., P], **asked: object
    ) -> Iterator[P]:
        """The pages of a list to the last one: AWS may send an empty one before."""
        token: dict[str, object] = {}
        while True:
            with translated(what):
                page = operation(**asked, **token)
            yield page
            if not (following := page.get("NextToken")):
                return
            token = {"NextToken": following}

    def parents(
        self,
        account: str,
        *,
        known: Callable[[str], str | None] = lambda _: None,
        remember: Callable[[str, str], None] = lambda _child, _parent: None,
    ) -> tuple[str, ...]:
        """The ids of the OUs that the account is in, from the nearest up, and last of the root.

        One call for the account, and for each OU whose parent is not `known`: an account has
        exactly one parent at a time, an OU one for ever, and OUs are nested five deep at most.
        Raises GatewayError.
        Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListParents.html
        """
        found = [self._parent(account)]
        while not found[-1].startswith(ROOT):
            unit = found[-1]
            parent = known(unit)
            if parent is None:
                parent = self._parent(unit)
                remember(unit, parent)
            found.append(parent)
        return tuple(found)

    def _parent(self, child: str) -> str:
        pages = self._pages(f"ListParents of {child}", self._client.list_parents, ChildId=child)
        return next(parent["Id"] for page in pages for parent in page["Parents"])


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

    @property
    def endpoint(self) -> str:
        """Where this client finds STS."""
        return self._client.meta.endpoint_url

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
