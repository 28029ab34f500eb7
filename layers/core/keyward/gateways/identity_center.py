"""Identity Center: permission sets, assignments, principals. The only caller of its APIs.

Every call to sso-admin takes a token first: AWS lets an account make 20 calls in a second over all
its operations, and others need some, too.
Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/limits.html
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from keyward.actions import AssignmentTarget, RequestKind
from keyward.model import (
    AccountId,
    Boundary,
    CustomerPolicy,
    PermissionSetAttributes,
    PrincipalKind,
)

if TYPE_CHECKING:
    from mypy_boto3_identitystore import IdentityStoreClient
    from mypy_boto3_sso_admin import SSOAdminClient


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestStatus:
    """How far an asynchronous request is. `reason` is AWS's word on a failure."""

    state: Literal["IN_PROGRESS", "SUCCEEDED", "FAILED", "UNKNOWN"]
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A user or group that holds an assignment."""

    kind: PrincipalKind
    id: str


class IdentityCenterGateway:
    """The organization's instance. Every method raises GatewayError.

    NotFoundError for what is gone; conflicts, throttling and used-up queues are retryable.
    """

    def __init__(
        self,
        *,
        admin: "SSOAdminClient",
        directory: "IdentityStoreClient",
        hub_account: AccountId,
        take: Callable[[], None],
    ) -> None:
        """`take` waits for a token of the shared bucket before each call to sso-admin."""
        self._admin, self._directory = admin, directory
        self._hub_account, self._take = hub_account, take

    def instance_arn(self) -> str:
        """The ARN of the organization's instance; asked once. Another account's is refused."""
        raise NotImplementedError

    def name_of(self, arn: str) -> str:
        """The name of the permission set of this ARN. One call."""
        raise NotImplementedError(arn)

    def names(self) -> dict[str, str]:
        """The ARNs of all permission sets by name. One call for each set, and for each page."""
        raise NotImplementedError

    def attributes(self, arn: str) -> tuple[str, PermissionSetAttributes]:
        """The name of the permission set, and all of its attributes."""
        raise NotImplementedError(arn)

    def accounts_of(self, arn: str, *, stale: bool = False) -> tuple[AccountId, ...]:
        """The accounts that it is provisioned in; `stale`: that hold an older version."""
        raise NotImplementedError(arn, stale)

    def principals_of(self, account: AccountId, arn: str) -> frozenset[Principal]:
        """Who holds the permission set in the account."""
        raise NotImplementedError(account, arn)

    def principal_name(self, kind: PrincipalKind, principal_id: str) -> str | None:
        """What people call a user or group; None where it is gone."""
        raise NotImplementedError(kind, principal_id)

    def group_id(self, name: str) -> str | None:
        """The id of the group of this name; None where there is none."""
        raise NotImplementedError(name)

    def create_group(self, name: str, description: str) -> str:
        """Makes a group, and returns its id."""
        raise NotImplementedError(name, description)

    def is_member(self, group_id: str, user_id: str) -> bool:
        """Whether the user is in the group now."""
        raise NotImplementedError(group_id, user_id)

    def create(self, name: str, wanted: PermissionSetAttributes) -> str:
        """Makes a set with description, session, relay state and tags; returns its ARN."""
        raise NotImplementedError(name, wanted)

    def set_details(self, arn: str, wanted: PermissionSetAttributes) -> None:
        """Makes description, session and relay state as wanted."""
        raise NotImplementedError(arn, wanted)

    def attach_policy(self, arn: str, policy: str | CustomerPolicy) -> None:
        """Attaches a managed policy by ARN, or a customer managed one. Done already: fine."""
        raise NotImplementedError(arn, policy)

    def detach_policy(self, arn: str, policy: str | CustomerPolicy) -> None:
        """Detaches a managed policy by ARN, or a customer managed one. Done already: fine."""
        raise NotImplementedError(arn, policy)

    def set_inline_policy(self, arn: str, text: str | None) -> None:
        """Puts the inline policy, or takes it away. Done already: fine."""
        raise NotImplementedError(arn, text)

    def set_boundary(self, arn: str, boundary: Boundary | None) -> None:
        """Puts the permissions boundary, or takes it away. Done already: fine."""
        raise NotImplementedError(arn, boundary)

    def set_tags(self, arn: str, tags: Mapping[str, str]) -> None:
        """Puts these tags, beside the others."""
        raise NotImplementedError(arn, tags)

    def remove_tags(self, arn: str, keys: Iterable[str]) -> None:
        """Takes these tags away."""
        raise NotImplementedError(arn, keys)

    def delete(self, arn: str) -> None:
        """Deletes a permission set that nobody is assigned."""
        raise NotImplementedError(arn)

    def assign(self, target: AssignmentTarget) -> str:
        """Asks for the assignment; returns the request's id."""
        raise NotImplementedError(target)

    def unassign(self, target: AssignmentTarget) -> str:
        """Asks for the assignment's end; returns the request's id."""
        raise NotImplementedError(target)

    def provision(self, arn: str) -> str:
        """Asks to bring the set into all accounts that have it; returns the request's id."""
        raise NotImplementedError(arn)

    def status(self, kind: RequestKind, request_id: str) -> RequestStatus:
        """How far a request is; UNKNOWN where AWS has forgotten it."""
        raise NotImplementedError(kind, request_id)

    def outstanding(self, kind: RequestKind) -> int:
        """How many requests of this kind are under way, whoever made them."""
        raise NotImplementedError(kind)
