"""The part of the demo that plays in Identity Center: what its owners wrote down is what holds.

What takes time runs side by side: Keyward waits ten seconds for the rest of a console save, AWS
takes some for an assignment, and a changed catalogue is looked at once every function knows it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local.center import ADMINISTRATOR
from local.emulator import PROJECT
from local.inbox import IDENTITY_CENTER_GUARD
from local.story import show, verb

if TYPE_CHECKING:
    from pathlib import Path

    from local.cloudtrail import Record
    from local.story import Story

CATALOGUE = PROJECT / "settings/permission-sets"
ENFORCED = (
    *("idc-assignment-to-user", "idc-permission-set-admin-equivalent"),
    *("idc-permission-set-drift", "idc-session-too-long"),
)
STAGING = "shop-staging"
# Which group has which permission set, and where.
ACCESS = (
    ("Developer", ("sandbox-ben", STAGING)),
    ("PowerUser", ("shared-services",)),
    ("ReadOnly", ("shop-prod", "payments-prod", "data-prod")),
    ("SecurityAudit", ("audit",)),
)
DEVELOPERS = "group aws-developers"
BILLING = "arn:aws:iam::aws:policy/job-function/Billing"
DOWNLOAD = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
    }
)


def written(name: str) -> dict[str, Any]:
    """Return what the owners wrote down about a permission set."""
    entry: dict[str, Any] = json.loads((CATALOGUE / f"{name}.json").read_text())
    return entry


def catalogue() -> dict[str, Path]:
    """Return the files of the sample catalogue by the name of their permission set."""
    return {file.stem: file for file in sorted(CATALOGUE.glob("*.json"))}


def wanted_policies(name: str) -> set[str]:
    """Return the policies that the catalogue gives a permission set, as `Center.policies` does."""
    entry = written(name)
    managed = {arn.rpartition("/")[2] for arn in entry.get("managed_policies", ())}
    return managed | ({"inline policy"} if entry.get("inline_policy") else set())


def duration(hours: float) -> str:
    """Return a session's length as Identity Center writes it."""
    return f"PT{hours:g}H"


def status_of(event: Record) -> str:
    """Return what AWS answered to the request for an assignment."""
    match event:
        case {
            "detail": {"responseElements": {"accountAssignmentCreationStatus": {"status": status}}}
        }:
            return str(status)
        case _:
            return "refused"


def parts(text: str, *wanted: str) -> list[str]:
    """Return which of these a text has in it."""
    return [part for part in wanted if part in text]


# The steps


def bootstrap(story: Story) -> None:
    """The groups and permission sets of the catalogue are made: first the plan, then the deed."""
    center = story.center
    groups = {written(name)["group"] for name in catalogue()}
    plan = planned(story)
    story.expect("permission sets that are planned", set(catalogue()), plan["permission-set"])
    story.expect("groups that are planned", groups, plan["group"])
    story.expect("permission sets, so far", set(), center.names())
    story.keyward("bootstrap", "--yes")
    story.expect("alerts", {"bootstrapped"}, {it.attributes["kind"] for it in story.told()})
    story.expect("groups that are lacking", set(), groups - center.groups().keys())
    wanted = {f"{name} {duration(written(name)['session_hours'])}" for name in catalogue()}
    made = {f"{name} {center.described(name)['SessionDuration']}" for name in center.names()}
    story.expect("permission sets and their sessions", wanted, made)
    story.expect("a second plan", set(), set().union(*planned(story).values()))


def planned(story: Story) -> dict[str, set[str]]:
    """Return the permission sets and groups that a bootstrap would make now, or would speak of."""
    plan = json.loads(story.keyward("bootstrap", "--plan", "--json"))["plan"]
    return {
        kind: {step["name"] for step in plan if step["kind"] == kind}
        for kind in ("permission-set", "group")
    }


def access(story: Story) -> None:
    """Groups get access, and people join them, as it should be: nobody is told anything."""
    center = story.center
    events = [center.joining(written("Developer")["group"], "ben")]
    events += [
        center.assigning(name, account, group=written(name)["group"])
        for name, accounts in ACCESS
        for account in accounts
    ]
    for event in events:
        story.organization.driver.deliver(event)
    center.wait_for_assignments()
    story.expect(
        "who has Developer in shop-staging", {DEVELOPERS}, center.holders("Developer", STAGING)
    )
    story.expect("where ReadOnly is", set(dict(ACCESS)["ReadOnly"]), center.accounts("ReadOnly"))


def owner(story: Story) -> None:
    """An owner writes a shorter session of SecurityAudit into the catalogue."""
    center, hub = story.center, story.organization.hub
    name = "/keyward/permission-sets/SecurityAudit"
    entry = written("SecurityAudit") | {"session_hours": 2}
    hub.ssm.put_parameter(Name=name, Value=json.dumps(entry), Type="String", Overwrite=True)
    story.organization.driver.parameter_changed(hub, name)
    story.expect("settings refused", 0, len(story.told()))
    was = duration(written("SecurityAudit")["session_hours"])
    now = center.described("SecurityAudit")["SessionDuration"]
    story.expect("the session, for now", was, now)


def by_hand(story: Story) -> None:
    """Then people change Identity Center by hand, in the console and past it."""
    center = story.center
    story.inbox.wait_until_few(IDENTITY_CENTER_GUARD, 1)
    ben = center.assigning("Developer", STAGING, person="ben")
    events = [
        ben,
        center.event(
            "AttachManagedPolicyToPermissionSet", "Developer", ManagedPolicyArn=ADMINISTRATOR
        ),
        center.event("UpdatePermissionSet", "PowerUser", SessionDuration="PT12H"),
        center.event("UpdatePermissionSet", "ReadOnly", Description="For the audit"),
        center.event("AttachManagedPolicyToPermissionSet", "ReadOnly", ManagedPolicyArn=BILLING),
        center.event("PutInlinePolicyToPermissionSet", "ReadOnly", InlinePolicy=DOWNLOAD),
    ]
    story.kept["ben"] = ben
    story.expect("Developer for ben himself, AWS says", "IN_PROGRESS", status_of(ben))
    story.expect(
        "policies of Developer",
        wanted_policies("Developer") | {"AdministratorAccess"},
        center.policies("Developer"),
    )
    now = center.described("PowerUser")["SessionDuration"]
    story.expect("session of PowerUser", "PT12H", now)
    story.expect(
        "policies of ReadOnly",
        wanted_policies("ReadOnly") | {"Billing", "inline policy"},
        center.policies("ReadOnly"),
    )
    for event in events:
        story.organization.driver.deliver(event)


def person_removed(story: Story) -> None:
    """The assignment to ben himself is removed, and told; that of his group stays."""
    center = story.center
    told = story.inbox.wait_for("Assignment removed")
    story.expect("alerts", 1, len(told))
    story.expect(
        "who has Developer in shop-staging",
        {DEVELOPERS},
        center.holders("Developer", STAGING),
    )
    story.kept["removed"] = {"key": told[0].attributes["finding"]}
    done = next(line for line in told[0].body.splitlines() if line.startswith("Done:"))
    story.note(f"Done: ... {done.partition('; ')[2]}")
    story.expect(
        "the alert says how long sessions may live",
        ["may live until"],
        parts(done, "may live until"),
    )


def detached(story: Story) -> None:
    """AdministratorAccess is off Developer; its other policies stay."""
    center = story.center
    told = story.inbox.wait_for("Policy detached")
    story.expect("alerts", ["critical"], [alert.attributes["severity"] for alert in told])
    story.expect(
        "policies of Developer", wanted_policies("Developer"), center.policies("Developer")
    )
    story.expect("accounts with an older version", set(), center.accounts("Developer", stale=True))


def session(story: Story) -> None:
    """The session of twelve hours is put back to what the catalogue says."""
    center = story.center
    told = story.inbox.wait_for("permission set PowerUser")
    story.expect("what the alert says", ["Restored"], [verb(alert) for alert in told])
    wanted = duration(written("PowerUser")["session_hours"])
    now = center.described("PowerUser")["SessionDuration"]
    story.expect("session of PowerUser", wanted, now)
    story.expect("accounts with an older version", set(), center.accounts("PowerUser", stale=True))


def console_save(story: Story) -> None:
    """A save in the console, three calls, is one alert with its diff, and undone everywhere."""
    center = story.center
    told = story.inbox.wait_for("permission set ReadOnly")
    show(story, told[0])
    story.expect("alerts", 1, len(told))
    diff = ["- description: For the audit", f"- managed policy: {BILLING}", "- inline policy:"]
    story.expect("the diff names", diff, parts(told[0].body, *diff))
    story.expect("policies of ReadOnly", wanted_policies("ReadOnly"), center.policies("ReadOnly"))
    description = center.described("ReadOnly")["Description"]
    story.expect("its description", written("ReadOnly")["description"], description)
    story.expect("where it is", set(dict(ACCESS)["ReadOnly"]), center.accounts("ReadOnly"))
    story.expect("accounts with an older version", set(), center.accounts("ReadOnly", stale=True))


def given_back(story: Story) -> None:
    """A release gives ben his assignment back, and holds: he is on call this week."""
    center = story.center
    finding = str(story.kept["removed"]["key"])
    story.keyward("release", finding, "--reason", "on call this week, OPS-12", "--yes")
    told = story.inbox.wait_for("Released")
    story.expect("alerts", 1, len(told))
    story.expect(
        "who has Developer in shop-staging",
        {DEVELOPERS, "user ben"},
        center.holders("Developer", STAGING),
    )
    story.organization.driver.deliver(story.kept["ben"])


def followed(story: Story) -> None:
    """Meanwhile Identity Center has what the owner wrote into the catalogue."""
    center = story.center
    told = story.inbox.wait_for("permission set SecurityAudit")
    story.expect("what the alert says", ["Restored"], [verb(alert) for alert in told])
    now = center.described("SecurityAudit")["SessionDuration"]
    story.expect("session of SecurityAudit", "PT2H", now)
    story.expect(
        "accounts with an older version", set(), center.accounts("SecurityAudit", stale=True)
    )
    story.expect(
        "ben, whose event came again",
        {DEVELOPERS, "user ben"},
        center.holders("Developer", STAGING),
    )


GIVEN = (bootstrap, owner, access)
CHANGED = (by_hand, person_removed, detached, given_back, session, console_save, followed)
