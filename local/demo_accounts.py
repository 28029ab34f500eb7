"""The part of the demo that plays in accounts: who has access there from the first day on.

What takes time runs side by side: AWS takes some for an assignment, a changed baseline is looked
at once every function knows it, and an account's first user is looked at again a little later.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

from local.control_tower import FIRST_ACCESS, ControlTower
from local.inbox import wait_until
from local.story import printed, show, verb

if TYPE_CHECKING:
    from local.inbox import Heard
    from local.story import Story

MISSING = "baseline-assignment-missing"
STALE = "baseline-assignment-stale"
FIRST_USER = "account-factory-user-assignment"
ENFORCED = (MISSING, STALE, FIRST_USER)
PRODUCTION, STAGING = "Workloads/Production", "Workloads/Staging"
# Which groups have which permission sets in which OU.
BASELINES = {
    "workloads": (
        "Workloads",
        {"aws-read-only": "ReadOnly", "aws-security-audit": "SecurityAudit"},
    ),
    "production": (PRODUCTION, {"aws-power-users": "PowerUser"}),
    "staging": (STAGING, {"aws-developers": "Developer"}),
}
# More than that waits for somebody's word, in accounts that were there before.
CHANGES_WITHOUT_APPLY = 0
WAITING = {"shop-prod", "payments-prod", "data-prod", "shop-staging", "payments-staging"}
# Short enough to wait for three, one after another, and long enough to see them come.
SECONDS_IN_PROGRESS = 1.5
NEW, OLD = "orders-staging", "payments-staging"
EVERYWHERE = {f"group {group}: {name}" for group, name in BASELINES["workloads"][1].items()}
IN_STAGING = EVERYWHERE | {"group aws-developers: Developer"}
FACTORY = f"user chris: {FIRST_ACCESS}"
SECONDS = 45


def written() -> dict[str, dict[str, Any]]:
    """Return the baselines as files of a settings folder."""
    return {
        f"baseline/{name}.json": {
            "accounts": [{"unit": unit}],
            "assignments": [
                {"group": group, "permission_set": permission_set}
                for group, permission_set in assigned.items()
            ],
        }
        for name, (unit, assigned) in BASELINES.items()
    }


def rules() -> dict[str, dict[str, Any]]:
    """Return the rules' settings as files of a settings folder: nobody waits for an hour here."""
    more = {FIRST_USER: {"grace_minutes": 0}}
    return {f"rules/{rule}.json": {"mode": "enforce", **more.get(rule, {})} for rule in ENFORCED}


def heard(story: Story, rule: str, account: str) -> list[Heard]:
    """Return the alerts of a rule about an account, as soon as there is one."""
    id_ = story.organization.accounts[account]
    return story.inbox.wait_to_hear(
        lambda it: it.attributes.get("rule") == rule and id_ in it.body,
        f"{rule} in {account}",
        SECONDS,
    )


def has(story: Story, account: str) -> str:
    """Return how much of what its baselines want an account has: 1 of 3."""
    id_ = story.organization.accounts[account]
    shown = story.keyward("baseline", "show", id_, "--json", silent=True)
    wanted = json.loads(shown)["wanted"]
    return f"{sum(it['has'] for it in wanted)} of {len(wanted)}"


# The steps


def enrolled(story: Story) -> None:
    """Control Tower makes an account for chris: the groups of its OU have access a moment later."""
    center, tower = story.center, ControlTower(story.organization)
    story.organization.emulator.identity_center.tell("set", seconds_in_progress=SECONDS_IN_PROGRESS)
    tower.make_account(NEW, STAGING, person="chris")
    story.expect("who has access, so far", {FACTORY}, center.access(NEW))
    grown = [has(story, NEW)]
    story.expect("assignments that it has", "0 of 3", grown[0])
    started = time.monotonic()
    story.organization.driver.deliver(tower.made(NEW, STAGING))

    def complete() -> bool:
        grown.append(has(story, NEW))
        return grown[-1] == "3 of 3"

    wait_until(complete, f"{NEW} has what its baselines want", SECONDS)
    seen = ", ".join(dict.fromkeys(grown))
    story.note(f"assignments, as they come: {seen}; {time.monotonic() - started:.0f} s")
    story.expect("and now", "3 of 3", grown[-1])
    told = heard(story, MISSING, NEW)
    story.expect("what the alerts say", ["Access given"], [verb(alert) for alert in told])
    show(story, told[0])
    story.expect("who has access", IN_STAGING, center.access(NEW) - {FACTORY})


def planned(story: Story) -> None:
    """In accounts that were there before, baselines change nothing until somebody has looked."""
    center = story.center
    told: list[Heard] = []

    def all_told() -> bool:
        told.extend(story.inbox.take(lambda it: it.attributes.get("kind") == "baseline-waits"))
        return len(told) >= len(BASELINES)

    wait_until(all_told, "each baseline waits for a word", SECONDS)
    for alert in told:
        story.note(alert.subject)
    story.expect("alerts", len(BASELINES), len(told))
    story.expect("who has access to payments-staging", set(), center.access(OLD))
    shown = story.keyward("baseline", "plan")
    printed(story, shown)
    (rollout,) = set(re.findall(r"keyward baseline apply (\S+)", shown))
    waiting = {name for name in story.organization.accounts if f" {name} " in shown}
    story.expect("accounts in the plan", WAITING, waiting)
    reply = json.loads(story.keyward("baseline", "apply", rollout, "--yes", "--json"))
    done = reply["rollout"]
    story.expect("assignments made", "11 of 11", f"{done['assigned']} of {done['total']}")
    told = story.inbox.wait_to_hear(
        lambda it: it.attributes.get("kind") == "baseline-done", "what was made", SECONDS
    )
    story.expect("alerts", 1, len(told))
    story.expect("who has access to payments-staging", IN_STAGING, center.access(OLD))


def first_user(story: Story) -> None:
    """The groups can work there now: what Account Factory gave chris himself is removed."""
    told = heard(story, FIRST_USER, NEW)
    story.expect("what the alerts say", ["Assignment removed"], [verb(alert) for alert in told])
    story.expect("who has access", IN_STAGING, story.center.access(NEW))


def moved(story: Story) -> None:
    """The account goes into production: what that place wants is added, the rest is reported."""
    center = story.center
    events = [
        center.moving(NEW, PRODUCTION),
        center.unassigning("SecurityAudit", OLD, group="aws-security-audit"),
    ]
    for event in events:
        story.organization.driver.deliver(event)
    added = heard(story, MISSING, NEW)
    story.expect("what the alerts say", ["Access given"], [verb(alert) for alert in added])
    told = heard(story, STALE, NEW)
    story.expect("and of the rest", ["Reported"], [verb(alert) for alert in told])
    story.expect("that is", ["group aws-developers"], parts(told))
    wanted = IN_STAGING | {"group aws-power-users: PowerUser"}
    story.expect("who has access", wanted, center.access(NEW))


def given_back(story: Story) -> None:
    """Meanwhile somebody took the auditors' access to payments-staging away: it is back."""
    told = heard(story, MISSING, OLD)
    story.expect("what the alerts say", ["Access given"], [verb(alert) for alert in told])
    story.expect("who has access", IN_STAGING, story.center.access(OLD))
    printed(story, story.keyward("status", "--account", story.organization.accounts[OLD]))


def parts(told: list[Heard]) -> list[str]:
    """Return the groups that the subjects of alerts name."""
    return [f"group {it.subject.partition(' to group ')[2].split()[0]}" for it in told]


STEPS = (enrolled, planned, first_user, moved, given_back)
