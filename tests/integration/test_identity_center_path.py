"""The deployed guard of Identity Center: from the event of a real call to what is so there."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local.center import ADMINISTRATOR, Center, center_of
from local.inbox import Heard, Inbox
from local.organization import run
from tests.integration import in_force

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.cloudtrail import Record
    from local.organization import Organization

AWS = "arn:aws:iam::aws:policy"
READ_ONLY = f"{AWS}/ReadOnlyAccess"
BILLING = f"{AWS}/job-function/Billing"
GUARD = "keyward-identity-center-guard"
MADE_BEFORE = ("Builders", "Readers", "Watchers")
CATALOGUE = {
    name: {"description": f"For {name}", "managed_policies": [READ_ONLY], "session_hours": 4}
    for name in MADE_BEFORE
} | {
    "Auditing": {
        "description": "For auditors",
        "managed_policies": [f"{AWS}/SecurityAudit"],
        "session_hours": 8,
        "group": "auditing",
    }
}
SETTINGS: dict[str, dict[str, Any]] = {
    "/keyward/settings": in_force.BASE,
    **{
        f"/keyward/rules/{rule}": {"mode": "enforce"}
        for rule in (
            "idc-assignment-to-user",
            "idc-permission-set-admin-equivalent",
            "idc-permission-set-drift",
        )
    },
    **{f"/keyward/permission-sets/{name}": entry for name, entry in CATALOGUE.items()},
}


@dataclass(frozen=True, slots=True)
class Stage:
    """Identity Center while rules are in force, and what people hear."""

    organization: Organization
    center: Center
    inbox: Inbox

    def after(self, about: str, *events: Record) -> list[Heard]:
        """Deliver events, and return the alerts with these words once there is one."""
        for event in events:
            self.organization.driver.deliver(event)
        return self.inbox.wait_for(about)

    def assigned(self, name: str, account: str, *, group: str = "", person: str = "") -> Record:
        """Assign a permission set, wait for AWS to make that so, and return the event."""
        event = self.center.assigning(name, account, group=group, person=person)
        self.center.wait_for_assignments()
        return event

    def keyward(self, *arguments: str) -> Any:
        endpoint = self.organization.emulator.endpoint
        done = run(Path(sys.executable), "-m", "keyward_cli", *arguments, endpoint=endpoint)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def stage(organization: Organization) -> Iterator[Stage]:
    hub, center = organization.hub, center_of(organization)
    for name in MADE_BEFORE:
        made = hub.sso_admin.create_permission_set(
            InstanceArn=center.instance,
            Name=name,
            Description=f"For {name}",
            SessionDuration="PT4H",
        )["PermissionSet"]["PermissionSetArn"]
        hub.sso_admin.attach_managed_policy_to_permission_set(
            InstanceArn=center.instance, PermissionSetArn=made, ManagedPolicyArn=READ_ONLY
        )
    inbox = Inbox(organization)
    for name, value in SETTINGS.items():
        hub.ssm.put_parameter(Name=name, Value=json.dumps(value), Type="String", Overwrite=True)
    organization.driver.parameter_changed(hub, "/keyward/settings")
    assert inbox.read_when_quiet() == []
    organization.emulator.identity_center.tell("set", seconds_in_progress=0.5)
    yield Stage(organization, center, inbox)
    organization.emulator.identity_center.tell("set", seconds_in_progress=3)


def test_what_the_catalogue_has_and_identity_center_lacks_is_made_once(stage: Stage) -> None:
    made = stage.keyward("bootstrap", "--yes", "--json")["made"]
    assert {step["name"] for step in made} == {"Auditing", "auditing"}
    assert stage.center.policies("Auditing") == {"SecurityAudit"}
    assert stage.center.described("Auditing")["SessionDuration"] == "PT8H"
    assert "auditing" in stage.center.groups()
    planned = stage.keyward("bootstrap", "--plan", "--json")["plan"]
    assert [step for step in planned if step["does"] != "differs"] == []


def test_person_assigned_directly_is_removed_and_the_group_keeps_its_access(stage: Stage) -> None:
    stage.assigned("Builders", "shop-staging", group="Developers")
    event = stage.assigned("Builders", "shop-staging", person="ben")
    told = stage.after("Assignment removed", event)
    assert stage.center.holders("Builders", "shop-staging") == {"group Developers"}
    assert len(told) == 1
    assert told[0].attributes["state"] == "acted"
    for part in ("ben@example.com", "may live until", "identity-admin/frida", "keyward release"):
        assert part in told[0].body


def test_release_gives_the_assignment_back_and_holds(stage: Stage) -> None:
    event = stage.assigned("Builders", "sandbox-ben", person="emil")
    told = stage.after("Assignment removed", event)
    assert stage.center.holders("Builders", "sandbox-ben") == set()
    stage.keyward(
        "release", told[0].attributes["finding"], "--reason", "on call", "--yes", "--json"
    )
    stage.inbox.wait_for("Released")
    assert stage.center.holders("Builders", "sandbox-ben") == {"user emil"}
    other = stage.assigned("Builders", "sandbox-ben", person="ana")
    stage.after("Assignment removed", event, other)
    assert stage.center.holders("Builders", "sandbox-ben") == {"user emil"}


def test_removal_that_aws_fails_each_time_is_told_with_its_reason(stage: Stage) -> None:
    event = stage.assigned("Builders", "data-prod", person="chris")
    for _ in range(3):
        stage.organization.emulator.identity_center.tell(
            "fail", operation="DeleteAccountAssignment", reason="The role is in use"
        )
    told = stage.after("NOT DONE", event)
    assert stage.center.holders("Builders", "data-prod") == {"user chris"}
    assert told[0].attributes["severity"] == "critical"
    assert "The role is in use" in told[0].body


def test_conflict_puts_a_removal_off(stage: Stage) -> None:
    event = stage.assigned("Builders", "shop-prod", person="dana")
    stage.organization.emulator.identity_center.tell(
        "refuse", operation="DeleteAccountAssignment", code="ConflictException"
    )
    stage.after("Assignment removed", event)
    assert stage.center.holders("Builders", "shop-prod") == set()


def test_what_the_guard_may_not_do_is_told(stage: Stage) -> None:
    iam = stage.organization.hub.iam
    event = stage.assigned("Watchers", "audit", person="dana")
    policy = iam.get_role_policy(RoleName=GUARD, PolicyName="change-identity-center")
    iam.delete_role_policy(RoleName=GUARD, PolicyName="change-identity-center")
    try:
        told = stage.after("NOT DONE", event)
    finally:
        iam.put_role_policy(
            RoleName=GUARD,
            PolicyName="change-identity-center",
            PolicyDocument=json.dumps(policy["PolicyDocument"]),
        )
    assert stage.center.holders("Watchers", "audit") == {"user dana"}
    assert "AccessDenied" in told[0].body


def test_admin_policy_is_detached_and_the_accounts_have_it_so(stage: Stage) -> None:
    for account in ("network", "log-archive"):
        stage.assigned("Watchers", account, group="Viewers")
    event = stage.center.event(
        "AttachManagedPolicyToPermissionSet", "Watchers", ManagedPolicyArn=ADMINISTRATOR
    )
    assert stage.center.accounts("Watchers", stale=True) >= {"network", "log-archive"}
    told = stage.after("Policy detached", event)
    assert stage.center.policies("Watchers") == {"ReadOnlyAccess"}
    assert stage.center.accounts("Watchers", stale=True) == set()
    assert told[0].attributes["severity"] == "critical"
    assert "AdministratorAccess" in told[0].body


def test_console_save_is_one_alert_with_its_diff_and_undone(stage: Stage) -> None:
    center = stage.center
    stage.assigned("Readers", "shop-prod", group="Viewers")
    told = stage.after(
        "Restored: permission set Readers",
        center.event("UpdatePermissionSet", "Readers", Description="Mine", SessionDuration="PT12H"),
        center.event("AttachManagedPolicyToPermissionSet", "Readers", ManagedPolicyArn=BILLING),
        center.event("DetachManagedPolicyFromPermissionSet", "Readers", ManagedPolicyArn=READ_ONLY),
    )
    found = center.described("Readers")
    assert (found["Description"], found["SessionDuration"]) == ("For Readers", "PT4H")
    assert center.policies("Readers") == {"ReadOnlyAccess"}
    assert center.accounts("Readers", stale=True) == set()
    assert len(told) == 1
    for line in (
        "- description: Mine",
        "- session: 12 h",
        "+ session: 4 h",
        f"- managed policy: {BILLING}",
        f"+ managed policy: {READ_ONLY}",
    ):
        assert line in told[0].body


def test_who_joins_a_privileged_group_is_told_and_nobody_else(stage: Stage) -> None:
    hub, store = stage.organization.hub, stage.organization.directory.store_id
    hub.identitystore.create_group(IdentityStoreId=store, DisplayName="AWSControlTowerAdmins")
    told = stage.after(
        "AWSControlTowerAdmins",
        stage.center.joining("Viewers", "ben"),
        stage.center.joining("AWSControlTowerAdmins", "ben"),
    )
    assert len(told) == 1
    found = stage.keyward("findings", "list", "--rule", "idc-privileged-group-joined", "--json")
    assert [finding["key"] for finding in found] == [told[0].attributes["finding"]]
