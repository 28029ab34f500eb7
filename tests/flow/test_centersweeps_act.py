"""What a sweep of Identity Center leads to, by all guards, under moto: no event ever comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from keyward.events import SweepPart, SweepStep, check_message, sweep_message
from keyward.findings import FindingRecord, State
from keyward.sweep import IDENTITY_CENTER
from tests.flow.accounts import FIRST_USER, MISSING, STALE, Accounts
from tests.flow.center import READ_ONLY_ACCESS
from tests.flow.sweeping import Sweeping, the_sweeping
from tests.flow.world import HUB, REGION

USER = "idc-assignment-to-user"


class Swept:
    """Accounts, and the guards that sweep them."""

    def __init__(self, accounts: Accounts, sweeping: Sweeping) -> None:
        self.accounts, self.sweeping = accounts, sweeping
        self.center, self.world = accounts.center, accounts.world
        self.number = 0

    def settings(self, **changes: Any) -> None:
        """All rules of Identity Center's assignments and of baselines enforce."""
        enforced = (USER, MISSING, STALE, FIRST_USER)
        rules = {rule: {"mode": "enforce"} for rule in enforced}
        self.world.settings(**{"rules": rules, **changes})

    def sweep(self, *, full: bool = False) -> None:
        """A sweep of Identity Center, and all that follows from it."""
        self.number += 1
        self.world.later(hours=6)
        id_ = f"sweep-{self.number}"
        step = SweepStep(id=id_, part=SweepPart.IDENTITY_CENTER, full=full)
        self.sweeping.line.put("identity-center", sweep_message(step))
        self.sweeping.drain()
        (swept,) = self.world.ledger.seen_by(id_)
        assert (swept.account, swept.ok, swept.why) == (IDENTITY_CENTER, True, None)

    def learn(self) -> None:
        """Account_baseline looks at all accounts, and so up what baselines name."""
        message = check_message(
            id_="learn",
            account=HUB,
            region=REGION,
            time=self.world.now,
            why="BaselineSweep",
            parameters={},
        )
        self.sweeping.line.put("accounts", message)
        self.sweeping.drain()

    def found(self, rule: str) -> list[FindingRecord]:
        return [it for it in self.sweeping.records() if rule == it.rule]


@pytest.fixture
def swept(accounts: Accounts) -> Iterator[Swept]:
    with the_sweeping(accounts.world) as sweeping:
        made = Swept(accounts, sweeping)
        made.settings()
        yield made


def test_what_came_between_two_sweeps_is_taken_back_and_what_was_there_is_told(
    swept: Swept,
) -> None:
    center, arn = swept.center, swept.accounts.sets["Developer"]
    old, new = center.user("jane"), center.user("john")
    center.assigned(arn, "USER", old)
    swept.sweep()
    center.assigned(arn, "USER", new)
    swept.sweep()
    assert center.principals(arn) == {("USER", old)}
    states = {it.subject.rpartition(" ")[2]: it.state for it in swept.found(USER)}
    assert states == {"jane": State.OPEN, "john": State.ACTED}
    swept.sweep()
    assert len(swept.found(USER)) == 2


def test_what_it_took_back_and_is_there_again_is_taken_back_again(swept: Swept) -> None:
    center, arn = swept.center, swept.accounts.sets["Developer"]
    user = center.user("jane")
    swept.sweep()
    for _ in range(2):
        center.assigned(arn, "USER", user)
        swept.sweep()
        assert center.principals(arn) == set()
    (record,) = swept.found(USER)
    assert (record.state, record.episode) == (State.ACTED, 2)


def test_while_a_tool_may_have_assigned_it_for_a_time_it_is_told_only(swept: Swept) -> None:
    tool = "arn:aws:iam::123456789012:role/elevator"
    swept.settings(rules={USER: {"mode": "enforce", "just_in_time": [tool]}})
    center, arn = swept.center, swept.accounts.sets["Developer"]
    user = center.user("jane")
    swept.sweep()
    center.assigned(arn, "USER", user)
    swept.sweep()
    assert center.principals(arn) == {("USER", user)}
    (record,) = swept.found(USER)
    assert record.state is State.OPEN


def test_where_existing_is_enforced_by_now_what_was_told_is_taken_back(swept: Swept) -> None:
    center, arn = swept.center, swept.accounts.sets["Developer"]
    center.assigned(arn, "USER", center.user("jane"))
    swept.sweep()
    swept.settings(rules={USER: {"mode": "enforce", "existing": "enforce"}})
    swept.sweep()
    assert center.principals(arn) == set()


@pytest.mark.parametrize("exclusive", [False, True])
def test_what_is_stale_in_an_account_is_found_and_resolved(
    swept: Swept, *, exclusive: bool
) -> None:
    accounts = swept.accounts
    wanted = accounts.baseline(("Developers", "Developer"))
    here = accounts.baseline(
        ("Everybody", "ReadOnly"), accounts=[{"unit": "Sandbox"}], exclusive=exclusive
    )
    swept.settings(baselines={"workloads": wanted, "sandbox": here})
    accounts.move(accounts.sandbox)
    group, arn = accounts.groups["Developers"], accounts.sets["Developer"]
    swept.center.assigned(arn, "GROUP", group)
    swept.center.assigned(accounts.sets["ReadOnly"], "GROUP", accounts.groups["Everybody"])
    swept.learn()
    swept.sweep()
    swept.sweep()
    (record,) = swept.found(STALE)
    assert (record.state, record.account) == (State.OPEN, swept.world.member)
    accounts.move(accounts.workloads)
    swept.sweep()
    states = {it.unique_id.rpartition("/")[2]: it.state for it in swept.found(STALE)}
    assert states == {group: State.RESOLVED, accounts.groups["Everybody"]: State.OPEN}
    assert swept.center.principals(arn) == {("GROUP", group)}


def test_an_account_that_only_lacks_something_is_none_of_its_business(swept: Swept) -> None:
    accounts = swept.accounts
    swept.settings(baselines={"workloads": accounts.baseline(("Developers", "Developer"))})
    accounts.move(accounts.workloads)
    swept.sweep()
    swept.sweep()
    assert swept.found(MISSING) == []


def an_account_with_its_first_user(swept: Swept) -> tuple[str, str]:
    """Account Factory's assignment in an account that a baseline selects; set and user."""
    accounts, center = swept.accounts, swept.center
    swept.settings(baselines={"workloads": accounts.baseline(("Developers", "Developer"))})
    accounts.move(accounts.workloads)
    swept.learn()
    swept.sweep()
    arn = center.permission_set("AWSAdministratorAccess", READ_ONLY_ACCESS)
    user = center.user("owner")
    center.assigned(arn, "USER", user)
    return arn, user


def test_account_factorys_first_user_loses_its_access_once_the_first_days_are_over(
    swept: Swept,
) -> None:
    arn, _ = an_account_with_its_first_user(swept)
    swept.sweep()
    assert swept.center.principals(arn) == set()
    (first,) = swept.found(FIRST_USER)
    assert first.state is State.ACTED
    swept.sweep()
    assert {it.state for it in swept.found(USER)} == {State.RESOLVED}


def test_in_an_account_that_was_there_before_the_rule_it_is_told_and_resolved_when_gone(
    swept: Swept,
) -> None:
    center = swept.center
    arn, user = an_account_with_its_first_user(swept)
    swept.world.later(hours=1)
    swept.settings(
        baselines=swept.world.services.accepted(swept.world.now).baselines, since=swept.world.now
    )
    swept.sweep()
    swept.sweep()
    assert center.principals(arn) == {("USER", user)}
    (first,) = swept.found(FIRST_USER)
    assert (first.state, first.episode) == (State.OPEN, 1)
    center.behaviour.looks_in_progress = 0
    center.admin.delete_account_assignment(
        InstanceArn=center.instance,
        PermissionSetArn=arn,
        PrincipalType="USER",
        PrincipalId=user,
        TargetType="AWS_ACCOUNT",
        TargetId=swept.world.member,
    )
    swept.sweep()
    assert {it.state for it in swept.found(FIRST_USER)} == {State.RESOLVED}
    assert {it.state for it in swept.found(USER)} == {State.RESOLVED}
