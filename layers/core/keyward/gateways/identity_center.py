"""Identity Center: permission sets, assignments, principals. The only caller of its APIs.

Every call to sso-admin takes a token first: AWS lets an account make 20 calls in a second over all
its operations, and others need some, too.
Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/limits.html
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from keyward.actions import AssignmentTarget, RequestKind
from keyward.errors import GatewayError, NotFoundError
from keyward.gateways.translate import translated
from keyward.model import (
    AccountId,
    Boundary,
    CustomerPolicy,
    PermissionSetAttributes,
    PrincipalKind,
)

if TYPE_CHECKING:
    from mypy_boto3_identitystore import IdentityStoreClient
    from mypy_boto3_identitystore.type_defs import (
        ListGroupsRequestTypeDef,
        ListUsersRequestTypeDef,
    )
    from mypy_boto3_sso_admin import SSOAdminClient
    from mypy_boto3_sso_admin.type_defs import (
        AccountAssignmentForPrincipalTypeDef,
        AccountAssignmentOperationStatusTypeDef,
        CreatePermissionSetRequestTypeDef,
        ListAccountAssignmentsForPrincipalRequestTypeDef,
        PermissionSetProvisioningStatusTypeDef,
        PermissionSetTypeDef,
        UpdatePermissionSetRequestTypeDef,
    )

PAGE_SIZE = 100
"""Every list of sso-admin gives so many at most; tags come in pages of AWS's own size.

Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_ListAccountAssignments.html
"""

DEFAULT_SESSION_SECONDS = 3600
"""What a set has that says nothing of its session.

Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/howtosessionduration.html
"""

CONFLICT = "ConflictException"

_DURATION = re.compile(
    r"P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)(?P<part>\.\d+)?S)?)?",
    re.ASCII,
)


def session_seconds(text: str) -> int:
    """The seconds of a session's ISO 8601 duration, rounded up: PT1H30M is 5400.

    Raises ValueError for what is none, and for years and months, which have no length of their own.
    """
    found = _DURATION.fullmatch(text)
    if found is None or text[-1] in "PT":
        message = f"{text!r} is no duration of a session: write it like PT1H30M"
        raise ValueError(message)
    weeks, days, hours, minutes, seconds = (
        int(found[unit] or 0) for unit in ("weeks", "days", "hours", "minutes", "seconds")
    )
    whole = (((weeks * 7 + days) * 24 + hours) * 60 + minutes) * 60 + seconds
    return whole + bool((found["part"] or "").strip(".0"))


def session_duration(seconds: int) -> str:
    """The ISO 8601 duration of exactly so many seconds, one or more: 5400 is PT1H30M."""
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    parts = ((hour, "H"), (minute, "M"), (second, "S"))
    return "PT" + "".join(f"{number}{unit}" for number, unit in parts if number)


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
        self._instance: tuple[str, str] | None = None
        self._names: dict[str, str] = {}
        self._calls_made = 0

    @property
    def calls_made(self) -> int:
        """So many calls were made by this gateway, but for those that only read a principal."""
        return self._calls_made

    # The instance

    @property
    def hub_account(self) -> AccountId:
        """The account that the instance, and with it each permission set, belongs to."""
        return self._hub_account

    def instance_arn(self) -> str:
        """The ARN of the organization's instance; asked once. Another account's is refused."""
        return self._known_instance()[0]

    def _store(self) -> str:
        """The id of the instance's identity store."""
        return self._known_instance()[1]

    def _known_instance(self) -> tuple[str, str]:
        """ARN and identity store of the instance that the hub's account owns and that is ACTIVE.

        A member account may have an instance of its own, and an organization's is shown to others.
        Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_ListInstances.html
        """
        if self._instance is None:
            pages = self._pages("ListInstances", self._admin.list_instances)
            for instance in (instance for page in pages for instance in page["Instances"]):
                arn, store = instance.get("InstanceArn"), instance.get("IdentityStoreId")
                owner, status = instance.get("OwnerAccountId"), instance.get("Status")
                if (owner, status) == (self._hub_account, "ACTIVE") and arn and store:
                    self._instance = arn, store
                    break
            else:
                message = (
                    f"account {self._hub_account} has no active instance of IAM Identity Center in "
                    "this region: deploy Keyward in the region where it is enabled, in the "
                    "organization's management account"
                )
                raise GatewayError(message, code="NoInstance")
        return self._instance

    # Permission sets, as they are

    def name_of(self, arn: str) -> str:
        """The name of the permission set of this ARN. One call."""
        return self._described(arn)[0]

    def arns(self) -> tuple[str, ...]:
        """The ARNs of all permission sets. One call for each page."""
        pages = self._pages(
            "ListPermissionSets",
            self._admin.list_permission_sets,
            InstanceArn=self.instance_arn(),
            MaxResults=PAGE_SIZE,
        )
        return tuple(arn for page in pages for arn in page["PermissionSets"])

    def names(self) -> dict[str, str]:
        """The ARNs of all permission sets by name. One call for each set, and for each page.

        A set keeps its name, so that a warm function asks only for those that it doesn't know yet.
        """
        found = {}
        for arn in self.arns():
            try:
                found[self._names.get(arn) or self.name_of(arn)] = arn
            except NotFoundError:
                continue  # it went after the list was made
        return found

    def attributes(self, arn: str) -> tuple[str, PermissionSetAttributes]:
        """The name of the permission set, and all of its attributes.

        Six calls, and one more for each further page of a list. The tags come last: a set that went
        meanwhile is not found there, while no boundary looks the same as no set.
        """
        name, described = self._described(arn)
        return name, PermissionSetAttributes(
            description=described.get("Description") or None,
            session_seconds=_seconds_of(described, arn),
            relay_state=described.get("RelayState") or None,
            managed_policies=self._managed_policies(arn),
            customer_policies=self._customer_policies(arn),
            inline_policy=self._inline_policy(arn),
            boundary=self._boundary(arn),
            tags=self._tags(arn),
        )

    def _described(self, arn: str) -> tuple[str, "PermissionSetTypeDef"]:
        with self._call(f"DescribePermissionSet {arn}"):
            described = self._admin.describe_permission_set(
                InstanceArn=self.instance_arn(), PermissionSetArn=arn
            )["PermissionSet"]
        name = described.get("Name", "")
        self._names[arn] = name
        return name, described

    def _managed_policies(self, arn: str) -> tuple[str, ...]:
        pages = self._pages(
            f"ListManagedPoliciesInPermissionSet {arn}",
            self._admin.list_managed_policies_in_permission_set,
            InstanceArn=self.instance_arn(),
            PermissionSetArn=arn,
            MaxResults=PAGE_SIZE,
        )
        return tuple(
            policy["Arn"]
            for page in pages
            for policy in page["AttachedManagedPolicies"]
            if "Arn" in policy
        )

    def _customer_policies(self, arn: str) -> tuple[CustomerPolicy, ...]:
        pages = self._pages(
            f"ListCustomerManagedPolicyReferencesInPermissionSet {arn}",
            self._admin.list_customer_managed_policy_references_in_permission_set,
            InstanceArn=self.instance_arn(),
            PermissionSetArn=arn,
            MaxResults=PAGE_SIZE,
        )
        return tuple(
            CustomerPolicy(name=policy["Name"], path=policy.get("Path", "/"))
            for page in pages
            for policy in page["CustomerManagedPolicyReferences"]
        )

    def _inline_policy(self, arn: str) -> str | None:
        """The inline policy; AWS answers an empty text where there is none."""
        with self._call(f"GetInlinePolicyForPermissionSet {arn}"):
            answer = self._admin.get_inline_policy_for_permission_set(
                InstanceArn=self.instance_arn(), PermissionSetArn=arn
            )
        return answer.get("InlinePolicy") or None

    def _boundary(self, arn: str) -> Boundary | None:
        """The permissions boundary; AWS doesn't find it where there is none.

        Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_GetPermissionsBoundaryForPermissionSet.html
        """
        try:
            with self._call(f"GetPermissionsBoundaryForPermissionSet {arn}"):
                boundary = self._admin.get_permissions_boundary_for_permission_set(
                    InstanceArn=self.instance_arn(), PermissionSetArn=arn
                ).get("PermissionsBoundary", {})
        except NotFoundError:
            return None
        if (reference := boundary.get("CustomerManagedPolicyReference")) is not None:
            policy = CustomerPolicy(name=reference["Name"], path=reference.get("Path", "/"))
            return Boundary(customer_policy=policy)
        managed = boundary.get("ManagedPolicyArn")
        return None if managed is None else Boundary(managed_policy_arn=managed)

    def _tags(self, arn: str) -> dict[str, str]:
        pages = self._pages(
            f"ListTagsForResource {arn}",
            self._admin.list_tags_for_resource,
            InstanceArn=self.instance_arn(),
            ResourceArn=arn,
        )
        return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}

    # Who has them, and where

    def accounts_of(self, arn: str, *, stale: bool = False) -> tuple[AccountId, ...]:
        """The accounts that it is provisioned in; `stale`: that hold an older version."""
        status = {"ProvisioningStatus": "LATEST_PERMISSION_SET_NOT_PROVISIONED"} if stale else {}
        pages = self._pages(
            f"ListAccountsForProvisionedPermissionSet {arn}",
            self._admin.list_accounts_for_provisioned_permission_set,
            InstanceArn=self.instance_arn(),
            PermissionSetArn=arn,
            MaxResults=PAGE_SIZE,
            **status,
        )
        return tuple(account for page in pages for account in page["AccountIds"])

    def provisioned_in(self, account: AccountId) -> tuple[str, ...]:
        """The ARNs of the permission sets that are provisioned in the account.

        Nobody holds another there. One call for each page.
        Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_ListPermissionSetsProvisionedToAccount.html
        """
        pages = self._pages(
            f"ListPermissionSetsProvisionedToAccount {account}",
            self._admin.list_permission_sets_provisioned_to_account,
            InstanceArn=self.instance_arn(),
            AccountId=account,
            MaxResults=PAGE_SIZE,
        )
        return tuple(arn for page in pages for arn in page.get("PermissionSets", ()))

    def principals_of(self, account: AccountId, arn: str) -> frozenset[Principal]:
        """Who holds the permission set in the account."""
        pages = self._pages(
            f"ListAccountAssignments of {arn} in {account}",
            self._admin.list_account_assignments,
            InstanceArn=self.instance_arn(),
            AccountId=account,
            PermissionSetArn=arn,
            MaxResults=PAGE_SIZE,
        )
        return frozenset(
            Principal(kind=PrincipalKind(held["PrincipalType"]), id=held["PrincipalId"])
            for page in pages
            for held in page["AccountAssignments"]
            if "PrincipalType" in held and "PrincipalId" in held
        )

    def assignments_of(
        self, kind: PrincipalKind, principal_id: str
    ) -> tuple[tuple[AccountId, str], ...]:
        """Account and permission set of each assignment of its own: not those of its groups.

        Only the management account may ask.
        Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_ListAccountAssignmentsForPrincipal.html
        """
        pages = self._pages(
            f"ListAccountAssignmentsForPrincipal {principal_id}",
            self._admin.list_account_assignments_for_principal,
            InstanceArn=self.instance_arn(),
            PrincipalType=kind.value,
            PrincipalId=principal_id,
            MaxResults=PAGE_SIZE,
        )
        return tuple(
            own for page in pages for own in _own(page["AccountAssignments"], kind, principal_id)
        )

    def some_assignments_of(
        self, kind: PrincipalKind, principal_id: str, *, after: str | None
    ) -> tuple[tuple[tuple[AccountId, str], ...], str | None]:
        """One page of `assignments_of`, and where the next one begins. One call."""
        request: ListAccountAssignmentsForPrincipalRequestTypeDef = {
            "InstanceArn": self.instance_arn(),
            "PrincipalType": kind.value,
            "PrincipalId": principal_id,
            "MaxResults": PAGE_SIZE,
        }
        if after is not None:
            request["NextToken"] = after
        with self._call(f"ListAccountAssignmentsForPrincipal {principal_id}"):
            page = self._admin.list_account_assignments_for_principal(**request)
        found = _own(page["AccountAssignments"], kind, principal_id)
        return found, page.get("NextToken") or None

    # The identity store: its limit is one for each operation, and takes no token

    def some_principals(
        self, kind: PrincipalKind, *, after: str | None
    ) -> tuple[tuple[tuple[str, str], ...], str | None]:
        """Id and name of some groups or users, and where the next ones begin. One call.

        Source: https://docs.aws.amazon.com/singlesignon/latest/IdentityStoreAPIReference/API_ListUsers.html
        Source: https://docs.aws.amazon.com/singlesignon/latest/IdentityStoreAPIReference/API_ListGroups.html
        """
        store, self._calls_made = self._store(), self._calls_made + 1
        if kind is PrincipalKind.GROUP:
            groups: ListGroupsRequestTypeDef = {"IdentityStoreId": store, "MaxResults": PAGE_SIZE}
            if after is not None:
                groups["NextToken"] = after
            with translated("ListGroups"):
                some = self._directory.list_groups(**groups)
            named = ((it["GroupId"], it.get("DisplayName") or "") for it in some["Groups"])
            return tuple(named), some.get("NextToken") or None
        users: ListUsersRequestTypeDef = {"IdentityStoreId": store, "MaxResults": PAGE_SIZE}
        if after is not None:
            users["NextToken"] = after
        with translated("ListUsers"):
            page = self._directory.list_users(**users)
        named = ((it["UserId"], it.get("UserName") or "") for it in page["Users"])
        return tuple(named), page.get("NextToken") or None

    def principal_name(self, kind: PrincipalKind, principal_id: str) -> str | None:
        """What people call a user or group; None where it is gone. A nameless one has its id."""
        store = self._store()
        try:
            if kind is PrincipalKind.GROUP:
                with translated(f"DescribeGroup {principal_id}"):
                    group = self._directory.describe_group(
                        IdentityStoreId=store, GroupId=principal_id
                    )
                return group.get("DisplayName") or principal_id
            with translated(f"DescribeUser {principal_id}"):
                user = self._directory.describe_user(IdentityStoreId=store, UserId=principal_id)
        except NotFoundError:
            return None
        return user.get("UserName") or principal_id

    def email_of(self, user_name: str) -> str | None:
        """The primary e-mail address of the user of this name; None where there is neither.

        Source: https://docs.aws.amazon.com/singlesignon/latest/IdentityStoreAPIReference/API_GetUserId.html
        """
        store = self._store()
        try:
            with translated("GetUserId"):
                user_id = self._directory.get_user_id(
                    IdentityStoreId=store,
                    AlternateIdentifier={
                        "UniqueAttribute": {
                            "AttributePath": "userName",
                            "AttributeValue": user_name,  # type: ignore[typeddict-item]  # any JSON is a document, text too
                        }
                    },
                )["UserId"]
            with translated("DescribeUser"):
                user = self._directory.describe_user(IdentityStoreId=store, UserId=user_id)
        except NotFoundError:
            return None
        emails = sorted(user.get("Emails", []), key=lambda it: not it.get("Primary", False))
        return emails[0].get("Value") if emails else None

    def group_id(self, name: str) -> str | None:
        """The id of the group of this name; None where there is none.

        Whether another case finds it, too, AWS doesn't say: the name is asked for as it stands.
        Source: https://docs.aws.amazon.com/singlesignon/latest/IdentityStoreAPIReference/API_GetGroupId.html
        """
        store = self._store()
        try:
            with translated(f"GetGroupId {name}"):
                return self._directory.get_group_id(
                    IdentityStoreId=store,
                    AlternateIdentifier={
                        "UniqueAttribute": {
                            "AttributePath": "displayName",
                            "AttributeValue": name,  # type: ignore[typeddict-item]  # any JSON is a document, text too
                        }
                    },
                )["GroupId"]
        except NotFoundError:
            return None

    def create_group(self, name: str, description: str) -> str:
        """Makes a group, and returns its id. There already: its id, and it stays as it is."""
        store = self._store()
        try:
            with translated(f"CreateGroup {name}"):
                return self._directory.create_group(
                    IdentityStoreId=store, DisplayName=name, Description=description
                )["GroupId"]
        except GatewayError as error:
            known = self.group_id(name) if error.code == CONFLICT else None
            if known is None:
                raise
            return known

    def is_member(self, group_id: str, user_id: str) -> bool:
        """Whether the user is in the group now; not where one of the two is gone."""
        store = self._store()
        try:
            with translated(f"IsMemberInGroups {user_id} in {group_id}"):
                results = self._directory.is_member_in_groups(
                    IdentityStoreId=store, MemberId={"UserId": user_id}, GroupIds=[group_id]
                )["Results"]
        except NotFoundError:
            return False
        return any(result.get("MembershipExists", False) for result in results)

    # Permission sets, as they shall be

    def create(self, name: str, wanted: PermissionSetAttributes) -> str:
        """Makes a set with description, session, relay state and tags; returns its ARN.

        A name that is taken is a conflict, and retryable: the next look finds the set by its name.
        """
        request: CreatePermissionSetRequestTypeDef = {
            "Name": name,
            "InstanceArn": self.instance_arn(),
            "SessionDuration": session_duration(wanted.session_seconds),
            "Tags": [{"Key": key, "Value": value} for key, value in wanted.tags.items()],
        }
        if wanted.description:
            request["Description"] = wanted.description
        if wanted.relay_state:
            request["RelayState"] = wanted.relay_state
        with self._call(f"CreatePermissionSet {name}"):
            made = self._admin.create_permission_set(**request)["PermissionSet"]
        return made["PermissionSetArn"]

    def set_details(self, arn: str, wanted: PermissionSetAttributes) -> None:
        """Makes description, session and relay state as wanted.

        A relay state that is left out is cleared; nothing else clears it, since it can't be empty.
        Source: https://github.com/hashicorp/terraform-provider-aws/issues/17411
        A description that is left out stays, and AWS has no way to take it away: one that isn't
        wanted is no drift either.
        Source: https://github.com/hashicorp/terraform-provider-aws/issues/41897
        """
        request: UpdatePermissionSetRequestTypeDef = {
            "InstanceArn": self.instance_arn(),
            "PermissionSetArn": arn,
            "SessionDuration": session_duration(wanted.session_seconds),
        }
        if wanted.description:
            request["Description"] = wanted.description
        if wanted.relay_state:
            request["RelayState"] = wanted.relay_state
        with self._call(f"UpdatePermissionSet {arn}"):
            self._admin.update_permission_set(**request)

    def attach_policy(self, arn: str, policy: str | CustomerPolicy) -> None:
        """Attaches a managed policy by ARN, or a customer managed one. Done already: fine.

        AWS calls that a conflict, as it does an earlier write that still spreads: the list decides.
        Raises SlotsFullError when the set has as many as it may.
        Source: https://github.com/hashicorp/terraform-provider-aws/issues/26138
        """
        try:
            with self._unless_gone(arn, policy):
                self._attach(arn, policy)
        except GatewayError as error:
            if error.code != CONFLICT or not self._has(arn, policy):
                raise

    def _attach(self, arn: str, policy: str | CustomerPolicy) -> None:
        instance = self.instance_arn()
        if isinstance(policy, CustomerPolicy):
            with self._call(f"AttachCustomerManagedPolicyReferenceToPermissionSet {arn}"):
                self._admin.attach_customer_managed_policy_reference_to_permission_set(
                    InstanceArn=instance,
                    PermissionSetArn=arn,
                    CustomerManagedPolicyReference={"Name": policy.name, "Path": policy.path},
                )
        else:
            with self._call(f"AttachManagedPolicyToPermissionSet {policy} to {arn}"):
                self._admin.attach_managed_policy_to_permission_set(
                    InstanceArn=instance, PermissionSetArn=arn, ManagedPolicyArn=policy
                )

    def detach_policy(self, arn: str, policy: str | CustomerPolicy) -> None:
        """Detaches a managed policy by ARN, or a customer managed one. Done already: fine."""
        instance = self.instance_arn()
        try:
            if isinstance(policy, CustomerPolicy):
                with self._call(f"DetachCustomerManagedPolicyReferenceFromPermissionSet {arn}"):
                    self._admin.detach_customer_managed_policy_reference_from_permission_set(
                        InstanceArn=instance,
                        PermissionSetArn=arn,
                        CustomerManagedPolicyReference={"Name": policy.name, "Path": policy.path},
                    )
            else:
                with self._call(f"DetachManagedPolicyFromPermissionSet {policy} from {arn}"):
                    self._admin.detach_managed_policy_from_permission_set(
                        InstanceArn=instance, PermissionSetArn=arn, ManagedPolicyArn=policy
                    )
        except NotFoundError:
            self._described(arn)

    def _has(self, arn: str, policy: str | CustomerPolicy) -> bool:
        if isinstance(policy, CustomerPolicy):
            return policy in self._customer_policies(arn)
        return policy in self._managed_policies(arn)

    def set_inline_policy(self, arn: str, text: str | None) -> None:
        """Puts the inline policy, or takes it away. Done already: fine.

        Raises SlotsFullError when it is longer than AWS takes.
        """
        instance = self.instance_arn()
        if text is not None:
            with self._call(f"PutInlinePolicyToPermissionSet {arn}"):
                self._admin.put_inline_policy_to_permission_set(
                    InstanceArn=instance, PermissionSetArn=arn, InlinePolicy=text
                )
            return
        try:
            with self._call(f"DeleteInlinePolicyFromPermissionSet {arn}"):
                self._admin.delete_inline_policy_from_permission_set(
                    InstanceArn=instance, PermissionSetArn=arn
                )
        except NotFoundError:
            self._described(arn)

    def set_boundary(self, arn: str, boundary: Boundary | None) -> None:
        """Puts the permissions boundary, or takes it away. Done already: fine."""
        if boundary is not None:
            with self._unless_gone(arn, boundary.customer_policy or boundary.managed_policy_arn):
                self._put_boundary(arn, boundary)
            return
        instance = self.instance_arn()
        try:
            with self._call(f"DeletePermissionsBoundaryFromPermissionSet {arn}"):
                self._admin.delete_permissions_boundary_from_permission_set(
                    InstanceArn=instance, PermissionSetArn=arn
                )
        except NotFoundError:
            self._described(arn)

    def _put_boundary(self, arn: str, boundary: Boundary) -> None:
        instance, customer = self.instance_arn(), boundary.customer_policy
        with self._call(f"PutPermissionsBoundaryToPermissionSet {arn}"):
            self._admin.put_permissions_boundary_to_permission_set(
                InstanceArn=instance,
                PermissionSetArn=arn,
                PermissionsBoundary={"ManagedPolicyArn": boundary.managed_policy_arn or ""}
                if customer is None
                else {
                    "CustomerManagedPolicyReference": {
                        "Name": customer.name,
                        "Path": customer.path,
                    }
                },
            )

    def set_tags(self, arn: str, tags: Mapping[str, str]) -> None:
        """Puts these tags, beside the others."""
        if not tags:
            return
        instance = self.instance_arn()
        with self._call(f"TagResource {arn}"):
            self._admin.tag_resource(
                InstanceArn=instance,
                ResourceArn=arn,
                Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            )

    def remove_tags(self, arn: str, keys: Iterable[str]) -> None:
        """Takes these tags away."""
        if not (gone := list(keys)):
            return
        instance = self.instance_arn()
        with self._call(f"UntagResource {arn}"):
            self._admin.untag_resource(InstanceArn=instance, ResourceArn=arn, TagKeys=gone)

    def delete(self, arn: str) -> None:
        """Deletes a permission set that nobody is assigned; a conflict, retryable, where some are.

        Raises NotFoundError where it is gone.
        """
        instance = self.instance_arn()
        with self._call(f"DeletePermissionSet {arn}"):
            self._admin.delete_permission_set(InstanceArn=instance, PermissionSetArn=arn)

    # What Identity Center does asynchronously

    def assign(self, target: AssignmentTarget) -> str:
        """Asks for the assignment; returns the request's id. Never in another instance."""
        instance = self._same_instance(target)
        with self._call(f"CreateAccountAssignment in {target.account}"):
            status = self._admin.create_account_assignment(
                InstanceArn=instance,
                TargetId=target.account,
                TargetType="AWS_ACCOUNT",
                PermissionSetArn=target.permission_set_arn,
                PrincipalType=target.principal_kind.value,
                PrincipalId=target.principal_id,
            )["AccountAssignmentCreationStatus"]
        return status.get("RequestId", "")

    def unassign(self, target: AssignmentTarget) -> str:
        """Asks for the assignment's end; returns the request's id. Never in another instance."""
        instance = self._same_instance(target)
        with self._call(f"DeleteAccountAssignment in {target.account}"):
            status = self._admin.delete_account_assignment(
                InstanceArn=instance,
                TargetId=target.account,
                TargetType="AWS_ACCOUNT",
                PermissionSetArn=target.permission_set_arn,
                PrincipalType=target.principal_kind.value,
                PrincipalId=target.principal_id,
            )["AccountAssignmentDeletionStatus"]
        return status.get("RequestId", "")

    def _same_instance(self, target: AssignmentTarget) -> str:
        instance = self.instance_arn()
        if target.instance_arn != instance:
            message = (
                f"the assignment is one of instance {target.instance_arn}, and the organization's "
                f"is {instance}: nothing is done"
            )
            raise GatewayError(message, code="OtherInstance")
        return instance

    def provision(self, arn: str) -> str:
        """Asks to bring the set into all accounts that have it; returns the request's id."""
        instance = self.instance_arn()
        with self._call(f"ProvisionPermissionSet {arn}"):
            status = self._admin.provision_permission_set(
                InstanceArn=instance,
                PermissionSetArn=arn,
                TargetType="ALL_PROVISIONED_ACCOUNTS",
            )["PermissionSetProvisioningStatus"]
        return status.get("RequestId", "")

    def status(self, kind: RequestKind, request_id: str) -> RequestStatus:
        """How far a request is; UNKNOWN where AWS has forgotten it."""
        try:
            described = self._status(kind, request_id)
        except NotFoundError:
            return RequestStatus(state="UNKNOWN")
        return RequestStatus(
            state=described.get("Status", "UNKNOWN"), reason=described.get("FailureReason")
        )

    def _status(
        self, kind: RequestKind, request_id: str
    ) -> "AccountAssignmentOperationStatusTypeDef | PermissionSetProvisioningStatusTypeDef":
        instance = self.instance_arn()
        with self._call(f"looking at {kind} {request_id}"):
            match kind:
                case RequestKind.ASSIGNMENT_CREATION:
                    return self._admin.describe_account_assignment_creation_status(
                        InstanceArn=instance, AccountAssignmentCreationRequestId=request_id
                    )["AccountAssignmentCreationStatus"]
                case RequestKind.ASSIGNMENT_DELETION:
                    return self._admin.describe_account_assignment_deletion_status(
                        InstanceArn=instance, AccountAssignmentDeletionRequestId=request_id
                    )["AccountAssignmentDeletionStatus"]
                case RequestKind.PROVISIONING:
                    return self._admin.describe_permission_set_provisioning_status(
                        InstanceArn=instance, ProvisionPermissionSetRequestId=request_id
                    )["PermissionSetProvisioningStatus"]

    def under_way(self) -> frozenset[str]:
        """The ids of the requests for assignments that AWS has not finished, whoever made them.

        One call for each page.
        Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_ListAccountAssignmentCreationStatus.html
        """
        pages = self._in_progress(
            "listing assignment-creation in progress",
            self._admin.list_account_assignment_creation_status,
        )
        return frozenset(
            status["RequestId"]
            for page in pages
            for status in page["AccountAssignmentsCreationStatus"]
            if "RequestId" in status
        )

    def outstanding(self, kind: RequestKind) -> int:
        """How many requests of this kind are under way, whoever made them."""
        what = f"listing {kind} in progress"
        match kind:
            case RequestKind.ASSIGNMENT_CREATION:
                created = self._in_progress(
                    what, self._admin.list_account_assignment_creation_status
                )
                return sum(len(page["AccountAssignmentsCreationStatus"]) for page in created)
            case RequestKind.ASSIGNMENT_DELETION:
                deleted = self._in_progress(
                    what, self._admin.list_account_assignment_deletion_status
                )
                return sum(len(page["AccountAssignmentsDeletionStatus"]) for page in deleted)
            case RequestKind.PROVISIONING:
                brought = self._in_progress(
                    what, self._admin.list_permission_set_provisioning_status
                )
                return sum(len(page["PermissionSetsProvisioningStatus"]) for page in brought)

    def _in_progress[P: Mapping[str, object]](
        self, what: str, operation: Callable[..., P]
    ) -> Iterator[P]:
        return self._pages(
            what,
            operation,
            InstanceArn=self.instance_arn(),
            MaxResults=PAGE_SIZE,
            Filter={"Status": "IN_PROGRESS"},
        )

    # Calls

    @contextmanager
    def _call(self, what: str) -> Iterator[None]:
        """One call to sso-admin: a token first, then Keyward's errors for AWS's."""
        self._take()
        self._calls_made += 1
        with translated(what):
            yield

    def _pages[P: Mapping[str, object]](
        self, what: str, operation: Callable[..., P], **asked: object
    ) -> Iterator[P]:
        """The pages of a list of sso-admin to the last one, a token for each."""
        token: dict[str, object] = {}
        while True:
            with self._call(what):
                page = operation(**asked, **token)
            yield page
            if not (following := page.get("NextToken")):
                return
            token = {"NextToken": following}

    @contextmanager
    def _unless_gone(self, arn: str, policy: str | CustomerPolicy | None) -> Iterator[None]:
        """Tells a policy that AWS doesn't find from a permission set that is gone."""
        try:
            yield
        except NotFoundError as error:
            self._described(arn)
            message = f"{error}: there is no policy {policy}: correct the catalogue"
            raise GatewayError(message, code="NoSuchPolicy") from error


def _own(
    assignments: "Iterable[AccountAssignmentForPrincipalTypeDef]",
    kind: PrincipalKind,
    principal_id: str,
) -> tuple[tuple[AccountId, str], ...]:
    """Account and permission set of those that are the principal's own, and no group's."""
    return tuple(
        (held["AccountId"], held["PermissionSetArn"])
        for held in assignments
        if "AccountId" in held and "PermissionSetArn" in held
        if (held.get("PrincipalType"), held.get("PrincipalId")) == (kind.value, principal_id)
    )


def _seconds_of(described: "PermissionSetTypeDef", arn: str) -> int:
    text = described.get("SessionDuration")
    if not text:
        return DEFAULT_SESSION_SECONDS
    try:
        return session_seconds(text)
    except ValueError as error:
        message = f"DescribePermissionSet {arn}: {error}"
        raise GatewayError(message, code="UnreadableSession") from error
