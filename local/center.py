"""Identity Center as an administrator sees it: real calls, their events, and what is so now.

He administers the organization, too: to move an account is to change who has access to it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local import cloudtrail
from local.emulator import MANAGEMENT_ACCOUNT
from local.inbox import wait_until

if TYPE_CHECKING:
    from mypy_boto3_sso_admin.type_defs import PermissionSetTypeDef

    from local.caller import Caller
    from local.cloudtrail import Record
    from local.organization import Organization

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
ROLE = "identity-admin"


@dataclass(slots=True)
class Center:
    """Identity Center, as somebody sees it who may administer it."""

    organization: Organization
    caller: Caller
    known: dict[str, str] = field(default_factory=dict)
    """ARNs of permission sets by name, as far as they were asked for."""

    @property
    def instance(self) -> str:
        """The ARN of the instance."""
        return self.organization.directory.instance_arn

    def arn(self, name: str) -> str:
        """Return the ARN of a permission set."""
        if name not in self.known:
            self.names()
        return self.known[name]

    def names(self) -> set[str]:
        """Return the names of all permission sets."""
        admin = self.caller.sso_admin
        arns = admin.list_permission_sets(InstanceArn=self.instance)["PermissionSets"]
        self.known = {
            admin.describe_permission_set(InstanceArn=self.instance, PermissionSetArn=arn)[
                "PermissionSet"
            ]["Name"]: arn
            for arn in arns
        }
        return set(self.known)

    def groups(self) -> dict[str, str]:
        """Return the ids of all groups by name."""
        store, client = self.organization.directory.store_id, self.caller.identitystore
        pages = client.get_paginator("list_groups").paginate(IdentityStoreId=store)
        found = (group for page in pages for group in page["Groups"])
        return {group["DisplayName"]: group["GroupId"] for group in found}

    def joining(self, group: str, person: str) -> Record:
        """Let a person join a group, and return the event of it, not delivered yet."""
        return cloudtrail.envelope(
            cloudtrail.recorded(
                self.caller,
                self.caller.identitystore,
                "CreateGroupMembership",
                IdentityStoreId=self.organization.directory.store_id,
                GroupId=self.groups()[group],
                MemberId={"UserId": self.organization.directory.people[person]},
            )
        )

    def event(self, operation: str, name: str, **parameters: object) -> Record:
        """Change a permission set by a real call, and return its event, not delivered yet."""
        return cloudtrail.envelope(
            cloudtrail.recorded(
                self.caller,
                self.caller.sso_admin,
                operation,
                InstanceArn=self.instance,
                PermissionSetArn=self.arn(name),
                **parameters,
            )
        )

    def assigning(self, name: str, account: str, *, group: str = "", person: str = "") -> Record:
        """Begin an assignment to a group or a person, and return its event, not delivered yet."""
        people = self.organization.directory.people
        return self.event(
            "CreateAccountAssignment",
            name,
            PrincipalType="GROUP" if group else "USER",
            PrincipalId=self.groups()[group] if group else people[person],
            TargetType="AWS_ACCOUNT",
            TargetId=self.organization.accounts[account],
        )

    def unassigning(self, name: str, account: str, *, group: str) -> Record:
        """Begin to take a group's assignment away, and return its event, not delivered yet."""
        return self.event(
            "DeleteAccountAssignment",
            name,
            PrincipalType="GROUP",
            PrincipalId=self.groups()[group],
            TargetType="AWS_ACCOUNT",
            TargetId=self.organization.accounts[account],
        )

    def moving(self, account: str, unit: str) -> Record:
        """Move an account into an OU, and return the event of it, not delivered yet."""
        organizations = self.caller.organizations
        id_ = self.organization.accounts[account]
        (parent,) = organizations.list_parents(ChildId=id_)["Parents"]
        return cloudtrail.envelope(
            cloudtrail.recorded(
                self.caller,
                organizations,
                "MoveAccount",
                AccountId=id_,
                SourceParentId=parent["Id"],
                DestinationParentId=self.organization.units[unit],
            )
        )

    def access(self, account: str) -> set[str]:
        """Return who holds what in an account, as "group aws-developers: Developer"."""
        arns = self.caller.sso_admin.list_permission_sets_provisioned_to_account(
            InstanceArn=self.instance, AccountId=self.organization.accounts[account]
        )["PermissionSets"]
        if not set(arns) <= set(self.known.values()):
            self.names()
        return {
            f"{holder}: {name}"
            for name, arn in self.known.items()
            if arn in arns
            for holder in self.holders(name, account)
        }

    def wait_for_assignments(self) -> None:
        """Return when AWS has ended all assignments that it was asked for.

        Raises:
            TimeoutError: it has not.

        """

        def ended() -> bool:
            found = self.caller.sso_admin.list_account_assignment_creation_status(
                InstanceArn=self.instance, Filter={"Status": "IN_PROGRESS"}
            )
            return not found["AccountAssignmentsCreationStatus"]

        wait_until(ended, "every assignment has ended")

    def described(self, name: str) -> PermissionSetTypeDef:
        """Return description, session and relay state of a permission set."""
        return self.caller.sso_admin.describe_permission_set(
            InstanceArn=self.instance, PermissionSetArn=self.arn(name)
        )["PermissionSet"]

    def policies(self, name: str) -> set[str]:
        """Return the names of the managed policies of a permission set, and of its inline one."""
        managed = self.caller.sso_admin.list_managed_policies_in_permission_set(
            InstanceArn=self.instance, PermissionSetArn=self.arn(name)
        )["AttachedManagedPolicies"]
        inline = self.caller.sso_admin.get_inline_policy_for_permission_set(
            InstanceArn=self.instance, PermissionSetArn=self.arn(name)
        ).get("InlinePolicy")
        return {it["Name"] for it in managed} | ({"inline policy"} if inline else set())

    def holders(self, name: str, account: str) -> set[str]:
        """Return who holds a permission set in an account, groups and people by name."""
        found = self.caller.sso_admin.list_account_assignments(
            InstanceArn=self.instance,
            AccountId=self.organization.accounts[account],
            PermissionSetArn=self.arn(name),
        )["AccountAssignments"]
        names = {id_: f"group {group}" for group, id_ in self.groups().items()}
        people = self.organization.directory.people
        names |= {id_: f"user {person}" for person, id_ in people.items()}
        return {names[it["PrincipalId"]] for it in found}

    def accounts(self, name: str, *, stale: bool = False) -> set[str]:
        """Return where a permission set is provisioned; `stale`: where in an older version."""
        status = {"ProvisioningStatus": "LATEST_PERMISSION_SET_NOT_PROVISIONED"} if stale else {}
        found = self.caller.sso_admin.list_accounts_for_provisioned_permission_set(
            InstanceArn=self.instance,
            PermissionSetArn=self.arn(name),
            **status,  # type: ignore[arg-type]  # the one literal that it may be
        )["AccountIds"]
        return {account for account, id_ in self.organization.accounts.items() if id_ in found}


def center_of(organization: Organization) -> Center:
    """Return Identity Center as an administrator sees it who signed in to the hub's account."""
    hub, role = organization.hub, f"arn:aws:iam::{MANAGEMENT_ACCOUNT}:role/{ROLE}"
    if ROLE not in {it["RoleName"] for it in hub.iam.list_roles()["Roles"]}:
        trust = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{MANAGEMENT_ACCOUNT}:root"},
            "Action": "sts:AssumeRole",
        }
        hub.iam.create_role(
            RoleName=ROLE,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )
        hub.iam.attach_role_policy(RoleName=ROLE, PolicyArn=ADMINISTRATOR)
    return Center(organization, hub.assuming(role, "frida"))
