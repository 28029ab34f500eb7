"""What was wrong with account_baseline once, and how it was found: each was seen to fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from keyward import releasing, rollouts
from keyward.findings import State
from keyward.rollout import Rollout
from tests.flow.accounts import FIRST_USER, MISSING, STALE, Accounts

DEVELOPERS, AUDITORS, EVERYBODY = (
    ("Developers", "Developer"),
    ("Auditors", "SecurityAudit"),
    ("Everybody", "ReadOnly"),
)
CATALOGUE = {
    name: {"description": "Works", "managed_policies": [], "session_hours": 4}
    for name in ("Developer", "PowerUser")
}


def two_units(accounts: Accounts) -> Accounts:
    """Workloads wants one access, Sandbox another, the root none."""
    accounts.settings(
        {
            "workloads": accounts.baseline(DEVELOPERS),
            "sandbox": accounts.baseline(AUDITORS, accounts=[{"unit": accounts.sandbox}]),
        }
    )
    return accounts


@contextmanager
def at_once(accounts: Accounts) -> Iterator[None]:
    """AWS finishes at once what people ask for within the block."""
    behaviour = accounts.center.behaviour
    looks, behaviour.looks_in_progress = behaviour.looks_in_progress, 0
    yield
    behaviour.looks_in_progress = looks


def take_away(accounts: Accounts, assignment: tuple[str, str], account: str) -> None:
    group, name = assignment
    with at_once(accounts):
        accounts.center.admin.delete_account_assignment(
            InstanceArn=accounts.center.instance,
            PermissionSetArn=accounts.sets[name],
            PrincipalType="GROUP",
            PrincipalId=accounts.groups[group],
            TargetType="AWS_ACCOUNT",
            TargetId=account,
        )


def delete_set(accounts: Accounts, name: str) -> None:
    accounts.center.admin.delete_permission_set(
        InstanceArn=accounts.center.instance, PermissionSetArn=accounts.sets.pop(name)
    )


def release(accounts: Accounts) -> None:
    """An operator releases the account's finding, and all that follows from it."""
    world = accounts.world
    releasing.release(
        accounts.missing(),
        by="jane",
        reason="not here",
        days=7,
        services=world.services,
        now=world.now,
    )
    accounts.follow()


def crash_before_asking(accounts: Accounts, event: dict[str, Any]) -> None:
    """The intent is written, and AWS is asked for nothing. The claim runs out meanwhile."""

    def crashing(operation: str, _params: object, call: object) -> object:
        if operation == "CreateAccountAssignment":
            raise KeyboardInterrupt
        return call()  # type: ignore[operator]  # a call

    accounts.world.fault = crashing
    with accounts.world.recorded(), pytest.raises(KeyboardInterrupt):
        accounts.deliver(event)
    accounts.world.fault = None
    accounts.world.restart()
    accounts.world.later(minutes=7)


# An account that is moved, or wanted otherwise, while it is given access


def test_what_only_the_old_place_wants_is_asked_for_no_more(accounts: Accounts) -> None:
    two_units(accounts)
    refused = "ResourceNotFoundException"
    accounts.center.behaviour.refuse("CreateAccountAssignment", refused, times=1)
    accounts.deliver(accounts.move(accounts.workloads))
    accounts.settle(accounts.move(accounts.root))
    assert accounts.held() == set()
    assert "not wanted there any more" in (accounts.missing().outcome or "")


def test_what_a_changed_baseline_wants_no_more_is_not_asked_for(accounts: Accounts) -> None:
    spared = [{"ids": [accounts.world.member]}]
    accounts.settings({"workloads": accounts.baseline(DEVELOPERS)})
    refused = "ResourceNotFoundException"
    accounts.center.behaviour.refuse("CreateAccountAssignment", refused, times=1)
    accounts.deliver(accounts.move(accounts.workloads))
    accounts.settings({"workloads": accounts.baseline(DEVELOPERS, exclude=spared)})
    accounts.follow()
    assert accounts.held() == set()


def test_account_that_moved_after_a_crash_gets_what_its_new_place_wants(
    accounts: Accounts,
) -> None:
    two_units(accounts)
    crash_before_asking(accounts, accounts.move(accounts.workloads))
    accounts.settle(accounts.move(accounts.sandbox))
    assert accounts.held() == {AUDITORS}
    assert accounts.acted()
    release(accounts)
    assert accounts.held() == set()


def test_crashed_act_of_an_account_that_moved_away_gives_nothing(accounts: Accounts) -> None:
    two_units(accounts)
    crash_before_asking(accounts, accounts.move(accounts.workloads))
    accounts.settle(accounts.move(accounts.root))
    assert accounts.held() == set()


def test_what_goes_while_it_is_being_verified_comes_back(accounts: Accounts) -> None:
    accounts.settings({"workloads": accounts.baseline(DEVELOPERS)})
    accounts.deliver(accounts.move(accounts.workloads))
    seen: list[str] = []

    def meddling(operation: str, _params: object, call: object) -> Any:
        answer: Any = call()  # type: ignore[operator]  # a call
        if operation == "ListAccountAssignments" and answer["AccountAssignments"] and not seen:
            seen.append(operation)
            with at_once(accounts):
                event = accounts.unassign(*DEVELOPERS)
            accounts.deliver(event)
        return answer

    accounts.world.fault = meddling
    with accounts.world.recorded():
        accounts.follow()
    assert seen
    assert accounts.held() == {DEVELOPERS}


def test_who_waits_for_an_act_looks_ever_less(accounts: Accounts) -> None:
    accounts.settings({"workloads": accounts.baseline(DEVELOPERS)})
    refused = "ResourceNotFoundException"
    accounts.center.behaviour.refuse("CreateAccountAssignment", refused, times=9999)
    accounts.deliver(accounts.move(accounts.workloads))
    accounts.settings({"workloads": accounts.baseline(DEVELOPERS, AUDITORS)})
    accounts.world.later(minutes=1)
    accounts.deliver(accounts.move(accounts.workloads))
    with accounts.world.recorded() as calls:
        accounts.follow(most=1000)
    assert len(accounts.missing().details) == 2
    assert [name for name, _ in calls].count("ListPermissionSetsProvisionedToAccount") < 20


# Permission sets that are gone


def test_permission_set_that_is_gone_holds_up_nobody_else(accounts: Accounts) -> None:
    accounts.settings({"workloads": accounts.baseline(DEVELOPERS, EVERYBODY)})
    other = accounts.world.other_member
    accounts.settle(accounts.move(accounts.workloads, other))
    take_away(accounts, DEVELOPERS, other)
    delete_set(accounts, "Developer")
    accounts.settle(accounts.move(accounts.workloads))
    assert accounts.held() == {EVERYBODY}
    record = accounts.missing()
    assert record.state is State.FAILED
    assert "permission set Developer is gone" in (record.outcome or "")


def test_permission_set_that_was_made_anew_by_its_name_is_found(accounts: Accounts) -> None:
    accounts.settings({"workloads": accounts.baseline(DEVELOPERS, EVERYBODY)})
    other = accounts.world.other_member
    accounts.settle(accounts.move(accounts.workloads, other))
    take_away(accounts, DEVELOPERS, other)
    delete_set(accounts, "Developer")
    accounts.sets["Developer"] = accounts.center.permission_set("Developer")
    accounts.settle(accounts.move(accounts.workloads))
    assert accounts.held() == {DEVELOPERS, EVERYBODY}
    assert accounts.acted()


# What is told


def test_finding_says_what_the_account_lacks_now(accounts: Accounts) -> None:
    two_units(accounts)
    denied = "AccessDeniedException"
    accounts.center.behaviour.refuse("CreateAccountAssignment", denied, times=9999)
    accounts.settle(accounts.move(accounts.workloads))
    assert accounts.missing().state is State.FAILED
    accounts.center.behaviour.refusals.clear()
    accounts.settle(accounts.move(accounts.sandbox))
    assert accounts.acted()
    assert accounts.missing().details == (
        "permission set SecurityAudit for group Auditors: sandbox",
    )


def test_account_whose_baselines_want_more_and_more_is_no_quarrel(accounts: Accounts) -> None:
    wanted = [(group, name) for group in ("Developers", "Auditors") for name in accounts.sets][:7]
    for number in range(1, len(wanted) + 1):
        accounts.settings({"workloads": accounts.baseline(*wanted[:number])})
        accounts.settle(accounts.move(accounts.workloads))
    assert accounts.held() == set(wanted)


# Releases


def test_release_takes_away_the_rest_where_a_permission_set_is_gone(accounts: Accounts) -> None:
    accounts.settings({"workloads": accounts.baseline(DEVELOPERS, EVERYBODY)})
    accounts.settle(accounts.move(accounts.workloads))
    take_away(accounts, DEVELOPERS, accounts.world.member)
    delete_set(accounts, "Developer")
    release(accounts)
    assert accounts.held() == set()


def test_release_awaits_what_aws_is_still_making(accounts: Accounts) -> None:
    accounts.settings({"workloads": accounts.baseline(DEVELOPERS, AUDITORS)})
    accounts.center.behaviour.looks_in_progress = 8
    accounts.deliver(accounts.move(accounts.workloads))
    release(accounts)
    assert accounts.missing().state is State.RELEASED
    for _ in range(9):
        accounts.center.admin.list_account_assignment_creation_status(
            InstanceArn=accounts.center.instance
        )
    assert accounts.held() == set()


def test_release_leaves_what_somebody_else_gave_after_keyward_failed(accounts: Accounts) -> None:
    accounts.settings({"workloads": accounts.baseline(DEVELOPERS, AUDITORS)})
    denied = "AccessDeniedException"
    accounts.center.behaviour.refuse("CreateAccountAssignment", denied, times=9999)
    accounts.settle(accounts.move(accounts.workloads))
    assert accounts.missing().state is State.FAILED
    accounts.center.behaviour.refusals.clear()
    accounts.center.assigned(accounts.sets["Developer"], "GROUP", accounts.groups["Developers"])
    release(accounts)
    assert accounts.held() == {DEVELOPERS}


# What is let be


def exempt(accounts: Accounts, rule: str) -> dict[str, dict[str, Any]]:
    """Exemptions with one: that rule lets all of the member's access be."""
    member = accounts.world.member
    return {
        "taken-apart": {
            "owner": "jane@example.com",
            "reason": "is taken apart",
            "ticket": "OPS-1",
            "until": (accounts.world.now + timedelta(days=9)).isoformat(),
            "rules": [rule],
            "account": member,
            "unique_id": f"{member}/access",
        }
    }


def exclusive_sandbox(accounts: Accounts) -> dict[str, dict[str, Any]]:
    unit = [{"unit": accounts.sandbox}]
    return {
        "workloads": accounts.baseline(DEVELOPERS),
        "sandbox": accounts.baseline(AUDITORS, accounts=unit, exclusive=True),
    }


def test_account_that_is_exempt_from_one_rule_loses_nothing_by_it(accounts: Accounts) -> None:
    baselines = exclusive_sandbox(accounts)
    accounts.settings(baselines, permission_sets=CATALOGUE, exemptions=exempt(accounts, STALE))
    accounts.settle(accounts.move(accounts.workloads))
    accounts.settle(accounts.move(accounts.sandbox))
    assert accounts.held() == {DEVELOPERS, AUDITORS}
    accounts.settings(baselines, permission_sets=CATALOGUE)
    accounts.settle(accounts.move(accounts.sandbox))
    assert accounts.held() == {AUDITORS}


def test_nothing_is_stale_while_nobody_knows_an_ou_by_its_path(accounts: Accounts) -> None:
    baselines = {
        "all": accounts.baseline(EVERYBODY, accounts=[{"everything": True}], exclusive=True),
        "prod": accounts.baseline(DEVELOPERS, accounts=[{"unit": "Workloads/Prod"}]),
    }
    made = accounts.organizations.create_organizational_unit(
        ParentId=accounts.workloads, Name="Prod"
    )
    prod = made["OrganizationalUnit"]["Id"]
    accounts.settings(baselines, permission_sets=CATALOGUE)
    accounts.settle(accounts.move(prod))
    assert accounts.held() == {DEVELOPERS, EVERYBODY}
    accounts.organizations.update_organizational_unit(OrganizationalUnitId=prod, Name="Production")
    accounts.world.ledger.forget_id("unit", "Workloads/Prod")  # as the next plan does
    accounts.settle(accounts.move(prod))
    assert accounts.held() == {DEVELOPERS, EVERYBODY}


def test_only_a_move_or_other_tags_make_access_stale(accounts: Accounts) -> None:
    baselines = {"workloads": accounts.baseline(DEVELOPERS, exclusive=True)}
    accounts.settings(baselines, permission_sets=CATALOGUE)
    accounts.move(accounts.workloads)
    accounts.center.assigned(accounts.sets["PowerUser"], "GROUP", accounts.groups["Operators"])
    accounts.settle(accounts.enrolled())
    assert accounts.held() == {DEVELOPERS, ("Operators", "PowerUser")}
    assert accounts.found(STALE) == []


def test_permission_set_of_which_much_is_stale_is_described_once(accounts: Accounts) -> None:
    baselines = {"workloads": accounts.baseline(EVERYBODY, exclusive=True)}
    accounts.settings(baselines, permission_sets=CATALOGUE)
    for number in range(4):
        group = accounts.center.group(f"Team{number}")
        accounts.center.assigned(accounts.sets["PowerUser"], "GROUP", group)
    assert accounts.counted(accounts.move(accounts.workloads))["ListTagsForResource"] == 1
    assert len(accounts.found(STALE)) == 4


# Account Factory's first user


FIRST = ("first-user", "AWSAdministratorAccess")


def with_first_user(accounts: Accounts) -> None:
    arn = accounts.center.permission_set("AWSAdministratorAccess")
    accounts.sets["AWSAdministratorAccess"] = arn
    accounts.groups["first-user"] = accounts.center.user("first-user")
    accounts.center.assigned(arn, "USER", accounts.groups["first-user"])


def test_exempt_first_user_stays(accounts: Accounts) -> None:
    with_first_user(accounts)
    baselines = {"workloads": accounts.baseline(DEVELOPERS)}
    accounts.settings(baselines, exemptions=exempt(accounts, FIRST_USER))
    accounts.move(accounts.workloads)
    accounts.settle(accounts.enrolled())
    assert accounts.held() == {DEVELOPERS, FIRST}


def test_first_user_of_an_account_without_baseline_is_not_told(accounts: Accounts) -> None:
    with_first_user(accounts)
    unit = [{"unit": accounts.sandbox}]
    accounts.settings({"elsewhere": accounts.baseline(DEVELOPERS, accounts=unit)})
    accounts.settle(accounts.enrolled())
    assert accounts.found(FIRST_USER) == []


def test_first_user_of_an_account_that_was_finished_before_the_rule_enforced_stays(
    accounts: Accounts,
) -> None:
    with_first_user(accounts)
    began = dict.fromkeys((MISSING, STALE), accounts.world.now - timedelta(days=9))
    began[FIRST_USER] = accounts.world.now + timedelta(minutes=30)
    accounts.settings({"workloads": accounts.baseline(DEVELOPERS)}, enforcing_since=began)
    accounts.move(accounts.workloads)
    accounts.settle(accounts.enrolled())
    assert accounts.held() == {DEVELOPERS, FIRST}
    (found,) = accounts.found(FIRST_USER)
    assert found.held == "existed before the rule began to enforce"


def test_nobody_waits_for_access_that_is_only_reported(accounts: Accounts) -> None:
    rules = {rule: {"mode": "report"} for rule in (MISSING, STALE, FIRST_USER)}
    accounts.settings({"workloads": accounts.baseline(DEVELOPERS)}, rules=rules)
    accounts.move(accounts.workloads)
    accounts.deliver(accounts.enrolled())
    with accounts.world.recorded() as calls:
        accounts.follow()
    assert [name for name, _ in calls].count("ListPermissionSetsProvisionedToAccount") == 1


def test_event_that_comes_again_has_the_account_looked_at_once(accounts: Accounts) -> None:
    accounts.settings({"workloads": accounts.baseline(DEVELOPERS)})
    accounts.move(accounts.workloads)
    states = iter(["PENDING_ACTIVATION"] * 10)

    def pending(operation: str, _params: object, call: object) -> Any:
        answer: Any = call()  # type: ignore[operator]  # a call
        if operation == "DescribeAccount" and (state := next(states, None)):
            answer["Account"]["State"] = state
        return answer

    accounts.world.fault = pending
    looks = []
    with accounts.world.recorded():
        accounts.deliver(accounts.enrolled())
        while (body := accounts.next_message()) is not None:
            if "GraceOver" in body:
                looks.append(accounts.world.now)
            accounts.deliver(body)
    assert accounts.acted()
    assert len(set(looks)) == len(looks)


# Rollouts


def begin(accounts: Accounts, *, automatic: bool = True) -> Rollout:
    world = accounts.world
    return rollouts.begin(
        "everything",
        automatic=automatic,
        by="ana",
        reason="asked for a plan",
        services=world.services,
        now=world.now,
    )


def planned(accounts: Accounts) -> Rollout:
    """A plan that somebody asked for, some minutes ago."""
    made = begin(accounts, automatic=False)
    accounts.follow()
    accounts.world.later(minutes=2)
    return made


def apply(accounts: Accounts, made: Rollout) -> None:
    world = accounts.world
    rollouts.apply(made.id, by="ana", services=world.services, now=world.now)


def until_it_asks(accounts: Accounts, made: Rollout) -> None:
    """Delivers its messages until it has begun to act on the member's finding."""
    for _ in range(20):
        body = accounts.next_message()
        assert body is not None
        accounts.deliver(body)
        rollout = accounts.world.ledger.rollout(made.id)
        assert rollout is not None
        if rollout.begun:
            return
    pytest.fail("it never began")


def test_rollout_gives_nothing_to_an_account_that_was_moved_since_the_plan(
    accounts: Accounts,
) -> None:
    two_units(accounts)
    accounts.move(accounts.workloads)
    made = planned(accounts)
    apply(accounts, made)
    accounts.settle(accounts.move(accounts.sandbox))
    assert accounts.held() == {AUDITORS}
    rollout = accounts.world.ledger.rollout(made.id)
    assert rollout is not None
    assert "moved" in rollout.skipped[accounts.world.member]


def test_rollout_gives_nothing_to_an_account_that_is_tagged_otherwise_since(
    accounts: Accounts,
) -> None:
    params = {"ResourceId": accounts.world.member, "Tags": [{"Key": "env", "Value": "prod"}]}
    accounts.organizations.tag_resource(**params)
    tagged = [{"tags": {"env": "prod"}}]
    accounts.settings({"prod": accounts.baseline(DEVELOPERS, accounts=tagged)})
    made = planned(accounts)
    accounts.organizations.untag_resource(ResourceId=accounts.world.member, TagKeys=["env"])
    apply(accounts, made)
    accounts.follow()
    assert accounts.held() == set()


def test_rollout_asks_no_more_for_an_account_that_moves_while_it_waits(
    accounts: Accounts,
) -> None:
    two_units(accounts)
    accounts.move(accounts.workloads)
    refused = "ResourceNotFoundException"
    accounts.center.behaviour.refuse("CreateAccountAssignment", refused, times=1)
    made = begin(accounts)
    until_it_asks(accounts, made)
    accounts.settle(accounts.move(accounts.root))
    assert accounts.held() == set()
    assert accounts.missing().state is State.ACTED


def test_release_leaves_what_somebody_gave_before_the_rollout_did(accounts: Accounts) -> None:
    accounts.settings({"workloads": accounts.baseline(DEVELOPERS, EVERYBODY)})
    accounts.move(accounts.workloads)
    made = planned(accounts)
    accounts.center.assigned(accounts.sets["Developer"], "GROUP", accounts.groups["Developers"])
    apply(accounts, made)
    accounts.follow()
    assert accounts.held() == {DEVELOPERS, EVERYBODY}
    release(accounts)
    assert accounts.held() == {DEVELOPERS}


def test_release_leaves_what_somebody_gave_after_the_rollout_failed(accounts: Accounts) -> None:
    accounts.settings({"workloads": accounts.baseline(DEVELOPERS, EVERYBODY)})
    accounts.move(accounts.workloads)
    denied = "AccessDeniedException"
    accounts.center.behaviour.refuse("CreateAccountAssignment", denied, times=99)
    begin(accounts)
    accounts.follow()
    assert accounts.missing().state is State.FAILED
    accounts.center.behaviour.refusals.clear()
    accounts.center.assigned(accounts.sets["Developer"], "GROUP", accounts.groups["Developers"])
    release(accounts)
    assert accounts.held() == {DEVELOPERS}
