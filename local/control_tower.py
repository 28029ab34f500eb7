"""Control Tower, as far as others see it: accounts that it makes or enrols, and what it tells.

No emulator has it. What it does to an account is done here by real calls; how it ends is told by
its lifecycle events, in the shapes that AWS documents.
Source: https://docs.aws.amazon.com/controltower/latest/userguide/lifecycle-events.html
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from local import cloudtrail
from local.emulator import MANAGEMENT_ACCOUNT, REGION
from local.inbox import wait_until
from local.organization import create_account, join

if TYPE_CHECKING:
    from local.cloudtrail import Record
    from local.organization import Organization

SOURCE = "controltower.amazonaws.com"
# What Account Factory's user gets in the account that was made for him.
# Source: https://docs.aws.amazon.com/controltower/latest/userguide/provision-as-end-user.html
FIRST_ACCESS = "AWSAdministratorAccess"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


@dataclass(frozen=True, slots=True)
class ControlTower:
    """Control Tower in its home region."""

    organization: Organization

    def make_account(self, name: str, unit: str, *, person: str = "", **tags: str) -> str:
        """Make an account in an OU, put there what every account gets, and return its id.

        `person` is the Account Factory user. He has his access by himself, through a private API:
        there is no event of that which anybody knows of.
        """
        organization, client = self.organization, self.organization.hub.organizations
        account = create_account(client, name, **tags)
        client.move_account(
            AccountId=account,
            SourceParentId=organization.root_id,
            DestinationParentId=organization.units[unit],
        )
        organization.accounts[name] = account
        join(organization, name)
        if person:
            self._assign(account, person)
        return account

    def made(self, name: str, unit: str, *, state: str = "SUCCEEDED") -> Record:
        """Return the event of an account that was made; FAILED is a state, too."""
        return self._managed("CreateManagedAccount", name, unit, state)

    def updated(self, name: str, unit: str, *, state: str = "SUCCEEDED") -> Record:
        """Return the event of an account that was enrolled, or updated."""
        return self._managed("UpdateManagedAccount", name, unit, state)

    def registered(self, unit: str) -> Record:
        """Return the event of an OU that was registered, with all accounts in it."""
        status: Record = {
            "organizationalUnit": self._unit(unit),
            "state": "SUCCEEDED",
            "message": "AWS Control Tower successfully registered an organizational unit.",
            **timestamps(),
        }
        return self._event("RegisterOrganizationalUnit", registerOrganizationalUnitStatus=status)

    def _managed(self, operation: str, name: str, unit: str, state: str) -> Record:
        done = {"CreateManagedAccount": "created", "UpdateManagedAccount": "updated"}[operation]
        said = f"successfully {done}" if state == "SUCCEEDED" else "failed to complete"
        status: Record = {
            "organizationalUnit": self._unit(unit),
            "account": {"accountName": name, "accountId": self.organization.accounts[name]},
            "state": state,
            "message": f"AWS Control Tower {said} an enrolled account.",
            **timestamps(),
        }
        key = f"{operation[0].lower()}{operation[1:]}Status"
        return self._event(operation, **{key: status})

    def _unit(self, path: str) -> Record:
        return {
            "organizationalUnitName": path.rpartition("/")[2],
            "organizationalUnitId": self.organization.units[path],
        }

    def _event(self, name: str, **details: Record) -> Record:
        return cloudtrail.envelope(
            cloudtrail.service_event(MANAGEMENT_ACCOUNT, REGION, SOURCE, name, {**details})
        )

    def _assign(self, account: str, person: str) -> None:
        """Give Account Factory's user administrator's access to his account, and wait for AWS."""
        client, directory = self.organization.hub.sso_admin, self.organization.directory
        request = client.create_account_assignment(
            InstanceArn=directory.instance_arn,
            PermissionSetArn=self._first_access(),
            PrincipalType="USER",
            PrincipalId=directory.people[person],
            TargetType="AWS_ACCOUNT",
            TargetId=account,
        )["AccountAssignmentCreationStatus"]["RequestId"]

        def assigned() -> bool:
            found = client.describe_account_assignment_creation_status(
                InstanceArn=directory.instance_arn, AccountAssignmentCreationRequestId=request
            )
            return found["AccountAssignmentCreationStatus"]["Status"] == "SUCCEEDED"

        wait_until(assigned, f"{person} has access to {account}")

    def _first_access(self) -> str:
        """Return the ARN of the permission set, which Control Tower makes when it is set up."""
        client, instance = self.organization.hub.sso_admin, self.organization.directory.instance_arn
        pages = client.get_paginator("list_permission_sets").paginate(InstanceArn=instance)
        for arn in (arn for page in pages for arn in page["PermissionSets"]):
            found = client.describe_permission_set(InstanceArn=instance, PermissionSetArn=arn)
            if found["PermissionSet"]["Name"] == FIRST_ACCESS:
                return arn
        made = client.create_permission_set(
            InstanceArn=instance,
            Name=FIRST_ACCESS,
            Description="Provides full access to AWS services and resources",
        )["PermissionSet"]["PermissionSetArn"]
        client.attach_managed_policy_to_permission_set(
            InstanceArn=instance, PermissionSetArn=made, ManagedPolicyArn=ADMINISTRATOR
        )
        return made


def timestamps() -> Record:
    """Return the times in a status, which are not written as the event's own is."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
    return {"requestedTimestamp": now, "completedTimestamp": now}
