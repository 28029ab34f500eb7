"""The deployed guard of accounts: from what AWS tells of one to who has access to it."""

from __future__ import annotations

import json
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local.center import Center, center_of
from local.control_tower import FIRST_ACCESS, ControlTower
from local.inbox import ACCOUNT_BASELINE, Heard, Inbox, wait_until
from local.organization import run
from tests.integration import in_force

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.cloudtrail import Record
    from local.organization import Organization

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
SECONDS = 90
MISSING = "baseline-assignment-missing"
STALE = "baseline-assignment-stale"
FIRST_USER = "account-factory-user-assignment"
FAILED = "account-lifecycle-failed"
NAME = uuid.uuid4().hex[:6]
ROOT, BLUE, GREEN, RED, GREY = (
    f"Teams-{NAME}{unit}" for unit in ("", "/Blue", "/Green", "/Red", "/Grey")
)
INTERNS = f"interns-{NAME}"
SETS = {kind: f"{kind}-{NAME}" for kind in ("Audit", "Build", "Run")}
EVERYWHERE = f"group Auditors: {SETS['Audit']}"
IN_BLUE = {
    EVERYWHERE,
    f"group Developers: {SETS['Build']}",
    f"group Operators: {SETS['Run']}",
}
IN_GREEN = {EVERYWHERE, f"group Viewers: {SETS['Build']}"}


def baseline(unit: str, **assignments: str) -> dict[str, Any]:
    """Return a baseline for an OU: which groups have which kinds of permission sets there."""
    return {
        "accounts": [{"unit": unit}],
        "assignments": [
            {"group": group, "permission_set": SETS[kind]} for group, kind in assignments.items()
        ],
    }


SETTINGS: dict[str, dict[str, Any]] = {
    # What baselines bring by themselves would come in between.
    "/keyward/settings": in_force.BASE | {"account_baselines": {"changes_without_apply": 0}},
    **{f"/keyward/rules/{rule}": {"mode": "enforce"} for rule in (MISSING, STALE)},
    f"/keyward/rules/{FIRST_USER}": {"mode": "enforce", "grace_minutes": 0},
    f"/keyward/baseline/all-{NAME}": baseline(ROOT, Auditors="Audit"),
    f"/keyward/baseline/blue-{NAME}": baseline(BLUE, Developers="Build", Operators="Run"),
    f"/keyward/baseline/green-{NAME}": baseline(GREEN, Viewers="Build"),
    f"/keyward/baseline/red-{NAME}": baseline(RED, Operators="Audit", Billing="Run"),
    f"/keyward/baseline/grey-{NAME}": baseline(GREY, **{INTERNS: "Run"}),
}


@dataclass(frozen=True, slots=True)
class Stage:
    """Accounts in two OUs while baselines are in force, and what people hear."""

    organization: Organization
    center: Center
    tower: ControlTower
    inbox: Inbox

    def account(self, unit: str, person: str = "") -> str:
        """Make an account of which nobody has been told yet, and return its name."""
        name = f"team-{uuid.uuid4().hex[:8]}"
        self.tower.make_account(name, unit, person=person)
        return name

    def finished(self, unit: str, person: str = "") -> str:
        """Make an account, tell of it, and return its name once it has its access."""
        name = self.account(unit, person)
        self.told(MISSING, name, self.tower.made(name, unit))
        return name

    def told(self, rule: str, account: str, *events: Record) -> list[Heard]:
        """Deliver events, and return a rule's alerts about an account once there is one."""
        for event in events:
            self.organization.driver.deliver(event)
        return self.inbox.wait_to_hear(
            lambda heard: heard.attributes.get("rule") == rule and self.of(account) in heard.body,
            f"{rule} in {account}",
            SECONDS,
        )

    def quiet(self) -> None:
        """Return once everything was taken, and told, that there is to do now."""
        self.inbox.wait_until_idle(ACCOUNT_BASELINE, SECONDS)
        self.inbox.wait_until_quiet(SECONDS)

    def wait_for_access(self, account: str, wanted: set[str]) -> None:
        """Return once this is who has access to an account, and nobody else."""
        wait_until(lambda: self.center.access(account) == wanted, f"{account}: {wanted}", SECONDS)

    def keyward(self, *arguments: str) -> Any:
        endpoint = self.organization.emulator.endpoint
        done = run(Path(sys.executable), "-m", "keyward_cli", *arguments, endpoint=endpoint)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def of(self, name: str) -> str:
        return self.organization.accounts[name]


@pytest.fixture(scope="module")
def stage(organization: Organization) -> Iterator[Stage]:
    hub, center = organization.hub, center_of(organization)
    for path in (ROOT, BLUE, GREEN, RED, GREY):
        parent, _, name = path.rpartition("/")
        made = hub.organizations.create_organizational_unit(
            ParentId=organization.units[parent], Name=name
        )
        organization.units[path] = made["OrganizationalUnit"]["Id"]
    for name in SETS.values():
        made_set = hub.sso_admin.create_permission_set(
            InstanceArn=center.instance, Name=name, Description=f"For {name}"
        )["PermissionSet"]["PermissionSetArn"]
        hub.sso_admin.attach_managed_policy_to_permission_set(
            InstanceArn=center.instance, PermissionSetArn=made_set, ManagedPolicyArn=READ_ONLY
        )
    hub.identitystore.create_group(
        IdentityStoreId=organization.directory.store_id, DisplayName=INTERNS
    )
    inbox = Inbox(organization)
    for name, value in SETTINGS.items():
        hub.ssm.put_parameter(Name=name, Value=json.dumps(value), Type="String", Overwrite=True)
    organization.driver.parameter_changed(hub, "/keyward/settings")
    assert inbox.read_when_quiet() == []
    organization.emulator.identity_center.tell("set", seconds_in_progress=0.5)
    found = Stage(organization, center, ControlTower(organization), inbox)
    yield found
    organization.emulator.identity_center.tell("set", seconds_in_progress=3)
    for name in SETTINGS:
        if "baseline/" in name:
            hub.ssm.delete_parameter(Name=name)
    organization.driver.parameter_changed(hub, "/keyward/settings")
    found.quiet()


def test_new_account_has_its_access_and_one_alert_says_so(stage: Stage) -> None:
    name = stage.account(BLUE)
    event = stage.tower.made(name, BLUE)
    assert stage.center.access(name) == set()
    told = stage.told(MISSING, name, event)
    assert stage.center.access(name) == IN_BLUE
    assert len(told) == 1
    assert told[0].attributes["state"] == "acted"
    for part in (name, stage.of(name), *SETS.values(), "keyward release"):
        assert part in told[0].body


def test_second_deliveries_change_and_tell_nothing(stage: Stage) -> None:
    name = stage.account(BLUE)
    event = stage.tower.made(name, BLUE)
    told = stage.told(MISSING, name, event, event)
    stage.organization.driver.deliver(event)
    stage.organization.driver.deliver(stage.tower.updated(name, BLUE))
    stage.quiet()
    told += [heard for heard in stage.inbox.read() if stage.of(name) in heard.body]
    assert len(told) == 1
    assert stage.center.access(name) == IN_BLUE


def test_account_that_is_not_ready_has_its_access_once_it_is(stage: Stage) -> None:
    name = stage.account(GREEN)
    stage.organization.emulator.identity_center.tell("not_ready", account=stage.of(name))
    told = stage.told(MISSING, name, stage.tower.made(name, GREEN))
    assert stage.center.access(name) == IN_GREEN
    assert [heard.attributes["state"] for heard in told] == ["acted"]


def test_call_that_begins_an_account_is_not_its_end(stage: Stage) -> None:
    name = stage.account(BLUE)
    event = stage.tower.made(name, BLUE)
    call: Record = {"eventType": "AwsApiCall", "serviceEventDetails": None}
    detail = event["detail"]
    assert isinstance(detail, dict)
    begun = event | {"detail-type": "AWS API Call via CloudTrail", "detail": detail | call}
    reached = stage.organization.driver.deliver(begun)
    assert not [delivery for delivery in reached if ACCOUNT_BASELINE in delivery.target]
    ended = stage.organization.driver.deliver(event)
    assert [it.rule for it in ended if ACCOUNT_BASELINE in it.target] == [
        "keyward-account-lifecycle"
    ]
    stage.wait_for_access(name, IN_BLUE)


def test_first_user_goes_once_the_groups_have_their_access(stage: Stage) -> None:
    name = stage.account(GREEN, "ana")
    assert stage.center.access(name) == {f"user ana: {FIRST_ACCESS}"}
    told = stage.told(FIRST_USER, name, stage.tower.made(name, GREEN))
    assert stage.center.access(name) == IN_GREEN
    assert [heard.attributes["state"] for heard in told] == ["acted"]
    assert "ana@example.com" in told[0].body


def test_moved_account_has_what_its_new_place_wants_and_the_rest_is_told(stage: Stage) -> None:
    name = stage.finished(BLUE)
    stage.told(MISSING, name, stage.center.moving(name, GREEN))
    assert stage.center.access(name) == IN_BLUE | IN_GREEN
    stage.quiet()
    told = stage.told(STALE, name)
    assert {it.attributes["state"] for it in told} == {"open"}
    text = "\n".join(heard.body for heard in told)
    for part in ("Developers", "Operators", f"blue-{NAME}"):
        assert part in text


def test_access_that_is_taken_away_by_hand_comes_back(stage: Stage) -> None:
    name = stage.finished(BLUE)
    event = stage.center.unassigning(SETS["Build"], name, group="Developers")
    told = stage.told(MISSING, name, event)
    assert stage.center.access(name) == IN_BLUE
    assert "identity-admin/frida" in told[0].body


def test_access_that_no_baseline_wants_may_be_taken_away(stage: Stage) -> None:
    name = stage.finished(GREEN)
    kept = stage.center.access(name)
    stage.center.assigning(SETS["Run"], name, group="Billing")
    stage.center.wait_for_assignments()
    event = stage.center.unassigning(SETS["Run"], name, group="Billing")
    stage.organization.driver.deliver(event)
    stage.wait_for_access(name, kept)
    stage.quiet()
    assert stage.center.access(name) == kept


def test_release_takes_away_what_was_given_and_holds(stage: Stage) -> None:
    name = stage.account(GREEN)
    event = stage.tower.made(name, GREEN)
    told = stage.told(MISSING, name, event)
    finding = told[0].attributes["finding"]
    stage.keyward("release", finding, "--reason", "not this one", "--yes", "--json")
    stage.wait_for_access(name, set())
    stage.inbox.wait_for("Released", SECONDS)
    stage.organization.driver.deliver(event)
    stage.organization.driver.deliver(stage.tower.updated(name, GREEN))
    stage.quiet()
    assert stage.center.access(name) == set()


def test_closed_account_is_left_alone(stage: Stage) -> None:
    name = stage.account(GREEN)
    stage.organization.hub.organizations.close_account(AccountId=stage.of(name))
    stage.organization.driver.deliver(stage.tower.made(name, GREEN))
    stage.quiet()
    assert stage.center.access(name) == set()


def test_account_that_could_not_be_made_is_told(stage: Stage) -> None:
    name = stage.account(GREEN)
    told = stage.told(FAILED, name, stage.tower.made(name, GREEN, state="FAILED"))
    assert len(told) == 1
    assert "failed to complete" in told[0].body
    assert stage.center.access(name) == set()


def test_what_the_guard_may_not_look_at_is_told(stage: Stage) -> None:
    iam, name = stage.organization.hub.iam, stage.account(GREEN)
    denied = {
        "Effect": "Deny",
        "Action": "sso:ListPermissionSetsProvisionedToAccount",
        "Resource": "*",
    }
    iam.put_role_policy(
        RoleName=ACCOUNT_BASELINE,
        PolicyName="denied",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [denied]}),
    )
    try:
        told = stage.told(MISSING, name, stage.tower.made(name, GREEN))
    finally:
        iam.delete_role_policy(RoleName=ACCOUNT_BASELINE, PolicyName="denied")
    assert stage.center.access(name) == set()
    assert "could not look" in told[0].body
    assert "AccessDenied" in told[0].body


def test_group_that_was_made_anew_is_found_by_its_name(stage: Stage) -> None:
    store, people = stage.organization.directory.store_id, stage.organization.hub.identitystore
    wanted = {EVERYWHERE, f"group {INTERNS}: {SETS['Run']}"}
    assert stage.center.access(stage.finished(GREY)) == wanted
    people.delete_group(IdentityStoreId=store, GroupId=stage.center.groups()[INTERNS])
    people.create_group(IdentityStoreId=store, DisplayName=INTERNS)
    name = stage.account(GREY)
    told = stage.told(MISSING, name, stage.tower.made(name, GREY))
    assert f"group {INTERNS} is gone" in told[0].body
    stage.organization.driver.deliver(stage.tower.updated(name, GREY))
    stage.wait_for_access(name, wanted)


def test_account_shows_what_it_has_of_what_is_wanted(stage: Stage) -> None:
    name = stage.account(BLUE)
    before = stage.keyward("baseline", "show", stage.of(name), "--json")
    assert {it["group"] for it in before["wanted"]} == {"Auditors", "Developers", "Operators"}
    assert [it["has"] for it in before["wanted"]] == [False, False, False]
    stage.told(MISSING, name, stage.tower.made(name, BLUE))
    after = stage.keyward("baseline", "show", stage.of(name), "--json")
    assert [it["has"] for it in after["wanted"]] == [True, True, True]


def test_plan_brings_accounts_what_they_lack_once_it_is_applied(stage: Stage) -> None:
    names = {stage.account(RED) for _ in range(2)}
    found = stage.keyward("baseline", "plan", "--baseline", f"red-{NAME}", "--json")
    planned = {(it["name"], it["group"], it["permission_set"]) for it in found["plan"]}
    wanted = {("Operators", SETS["Audit"]), ("Billing", SETS["Run"])}
    assert planned == {(name, *pair) for name in names for pair in wanted}
    assert [stage.center.access(name) for name in names] == [set(), set()]
    stage.keyward("baseline", "apply", found["rollout"]["id"], "--yes", "--json")
    assigned = {f"group {group}: {permission_set}" for group, permission_set in wanted}
    assert [stage.center.access(name) for name in names] == [assigned, assigned]
    again = stage.keyward("baseline", "plan", "--baseline", f"red-{NAME}", "--json")
    assert again["plan"] == []
