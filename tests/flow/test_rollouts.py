"""Baselines that are brought to many accounts: planned, applied, stopped, crashed and gone on with.

Over an organization in memory, whose Identity Center takes its time; some of it over moto's.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from keyward import operating, planner, rollouts
from keyward.actions import AssignAccess
from keyward.errors import RequestError
from keyward.events import RolloutStep, check_message
from keyward.findings import FindingRecord, State
from keyward.rollout import Pair, Rollout, RolloutState
from tests.faults.estate import ROOT, Crash, Desk, Estate, EstateServices
from tests.flow.accounts import MISSING, Accounts, the_accounts
from tests.flow.world import HUB, World

DEVELOPERS = ("Developers", "Developer")
EVERYBODY = ("Everybody", "ReadOnly")
AUDITORS = ("Auditors", "SecurityAudit")
BOTH = {DEVELOPERS, EVERYBODY}


def baseline(*assignments: tuple[str, str], **changes: Any) -> dict[str, Any]:
    """A baseline for the unit Workloads, unless changed."""
    wanted = [{"group": group, "permission_set": name} for group, name in assignments]
    return {"accounts": [{"unit": "Workloads"}], "assignments": wanted} | changes


WORKLOADS = baseline(DEVELOPERS, EVERYBODY)
LIMITED = {"ceiling": "enforce", "account_baselines": {"changes_without_apply": 0}}


@pytest.fixture
def desk() -> Desk:
    """Three accounts in the unit Workloads and one in Sandbox; groups and sets; no baseline yet."""
    estate = Estate()
    workloads, sandbox = estate.unit("Workloads"), estate.unit("Sandbox")
    for number in range(3):
        estate.account(workloads, name=f"workload-{number}")
    estate.account(sandbox, name="sandbox")
    for group, name in (DEVELOPERS, EVERYBODY, AUDITORS):
        estate.group(group)
        estate.permission_set(name)
    return Desk(EstateServices(estate))


def workloads(desk: Desk) -> list[str]:
    return [id_ for id_, it in desk.estate.accounts.items() if it["name"].startswith("workload")]


def sandbox(desk: Desk) -> str:
    (found,) = [id_ for id_, it in desk.estate.accounts.items() if it["name"] == "sandbox"]
    return found


def planned(desk: Desk, scope: str = "everything", *, automatic: bool = False) -> Rollout:
    """A plan, as somebody asks for it."""
    begun = rollouts.begin(
        scope,
        automatic=automatic,
        by="ana",
        reason="asked for a plan",
        services=desk.services,
        now=desk.services.clock(),
    )
    desk.follow()
    found = desk.services.ledger.rollout(begun.id)
    assert found is not None
    return found


def applied(desk: Desk, rollout: Rollout, **follow: Any) -> Rollout:
    rollouts.apply(rollout.id, by="ana", services=desk.services, now=desk.services.clock())
    desk.follow(**follow)
    found = desk.services.ledger.rollout(rollout.id)
    assert found is not None
    return found


def swept(desk: Desk, **follow: Any) -> Rollout:
    """What the sweep brings."""
    desk.sweep()
    desk.follow(**follow)
    return desk.rollout()


def kinds(desk: Desk) -> list[str]:
    return [it.kind for it in desk.notices()]


def states(desk: Desk) -> dict[str, State]:
    return {it.account: it.state for it in desk.findings()}


def is_each_made_once(desk: Desk) -> bool:
    return set(desk.estate.created.values()) <= {1} and not desk.estate.overlaps


# The plan


def test_plan_only_reads(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    plan = planned(desk)
    assert (plan.state, plan.total, plan.accounts) == (RolloutState.PLANNED, 6, 3)
    assert set(plan.missing) == set(workloads(desk))
    assert desk.estate.calls["CreateAccountAssignment"] == 0
    assert (desk.findings(), desk.notices()) == ([], [])


def test_plan_leaves_out_what_accounts_have(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    first, second, third = workloads(desk)
    estate = desk.estate
    for group, name in BOTH:
        estate.hold(first, estate.sets[name], estate.groups[group])
    estate.hold(second, estate.sets["ReadOnly"], estate.groups["Everybody"])
    plan = planned(desk)
    assert plan.total == 3
    assert {account: len(pairs) for account, pairs in plan.missing.items()} == {second: 1, third: 2}


def test_plan_of_one_account_reads_no_other(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    first, *_ = workloads(desk)
    plan = planned(desk, f"account {first}")
    assert (plan.total, set(plan.missing)) == (2, {first})
    assert desk.estate.calls["ListAccountsForParent"] == 0


def test_plan_of_an_account_of_others_says_so(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    plan = planned(desk, "account 999988887777")
    assert (plan.state, plan.total) == (RolloutState.PLANNED, 0)
    assert plan.skipped == {"999988887777": "it is no member of the organization"}


def test_plan_of_a_unit_is_about_accounts_below_it(desk: Desk) -> None:
    estate = desk.estate
    workloads_unit = estate.units[ROOT]["Workloads"]
    production = estate.unit("Production", workloads_unit)
    below = estate.account(production)
    desk.settings({"everybody": baseline(EVERYBODY, accounts=[{"everything": True}])})
    assert set(planned(desk, f"unit {production}").missing) == {below}
    assert set(planned(desk, f"unit {workloads_unit}").missing) == {below, *workloads(desk)}


def test_plan_of_a_baseline_is_about_no_other(desk: Desk) -> None:
    desk.settings(
        {"workloads": WORKLOADS, "audit": baseline(AUDITORS, accounts=[{"everything": True}])}
    )
    plan = planned(desk, "baseline audit")
    assert {pair.group_name for pair in plan.pairs} == {"Auditors"}
    assert (plan.total, plan.accounts) == (4, 4)


def test_baselines_add_up_and_each_assignment_names_those_that_want_it(desk: Desk) -> None:
    desk.settings(
        {"workloads": WORKLOADS, "all": baseline(EVERYBODY, accounts=[{"everything": True}])}
    )
    plan = planned(desk)
    assert plan.total == 7
    wants = {(pair.group_name, pair.baselines) for pair in plan.pairs}
    assert wants == {
        ("Developers", ("workloads",)),
        ("Everybody", ("all", "workloads")),
        ("Everybody", ("all",)),
    }
    assert applied(desk, plan).state is RolloutState.DONE
    assert is_each_made_once(desk)


def test_accounts_that_are_suspended_or_closed_are_skipped_and_recorded(desk: Desk) -> None:
    first, second, third = workloads(desk)
    desk.estate.accounts[first]["state"] = "SUSPENDED"
    desk.estate.accounts[second]["state"] = "PENDING_CLOSURE"
    desk.settings({"workloads": WORKLOADS})
    over = swept(desk)
    assert over.skipped == {first: "it is SUSPENDED", second: "it is PENDING_CLOSURE"}
    assert desk.estate.holds(third) == BOTH
    assert desk.estate.holds(first) == set()


def test_excluded_accounts_get_nothing(desk: Desk) -> None:
    first, *others = workloads(desk)
    desk.settings({"workloads": WORKLOADS | {"exclude": [{"ids": [first]}]}})
    assert set(planned(desk).missing) == set(others)


def test_tags_are_read_only_where_they_decide(desk: Desk) -> None:
    first, second, third = workloads(desk)
    desk.estate.tags[first] = {"team": "payments"}
    desk.estate.tags[second] = {"team": "search"}
    selector = {"unit": "Workloads", "tags": {"team": "payments"}}
    desk.settings({"payments": baseline(DEVELOPERS, accounts=[selector, {"ids": [third]}])})
    assert set(planned(desk).missing) == {first, third}
    assert desk.estate.calls["ListTagsForResource"] == 2


def test_accounts_with_an_excluded_tag_get_nothing(desk: Desk) -> None:
    first, second, third = workloads(desk)
    desk.estate.tags[second] = {"frozen": "yes"}
    desk.settings({"workloads": WORKLOADS | {"exclude": [{"tags": {"frozen": "*"}}]}})
    assert set(planned(desk).missing) == {first, third}


def test_management_and_shared_accounts_are_given_access_only_by_their_ids(desk: Desk) -> None:
    estate = desk.estate
    estate.accounts[HUB] = {"name": "hub", "unit": ROOT, "state": "ACTIVE"}
    audit = estate.account(ROOT, name="audit")
    everything = baseline(EVERYBODY, accounts=[{"everything": True}])
    settings = {"ceiling": "enforce", "account_baselines": {"shared_accounts": [audit]}}
    desk.settings({"all": everything}, settings=settings)
    assert set(planned(desk).missing) == {*workloads(desk), sandbox(desk)}
    named = baseline(AUDITORS, accounts=[{"ids": [audit, HUB]}])
    desk.settings({"named": named}, settings=settings)
    plan = planned(desk)
    assert set(plan.missing) == {audit, HUB}
    assert plan.total == 1, "in the management account settings don't let Keyward act"
    assert "management account" in plan.skipped[HUB]
    assert applied(desk, plan).state is RolloutState.DONE
    assert (estate.holds(audit), estate.holds(HUB)) == ({AUDITORS}, set())


def test_unknown_names_hold_up_nobody_and_are_told_once(desk: Desk) -> None:
    desk.settings({"workloads": baseline(DEVELOPERS, ("Ghosts", "ReadOnly"), ("Everybody", "No"))})
    over = swept(desk)
    assert (over.state, over.assigned) == (RolloutState.DONE, 3)
    assert set(over.unknown) == {
        "group Ghosts (baseline workloads)",
        "permission set No (baseline workloads)",
    }
    assert all(desk.estate.holds(account) == {DEVELOPERS} for account in workloads(desk))
    desk.services.clock.sleep(3600)
    desk.sweep("sweep-2")
    desk.follow()
    told = [it for it in desk.notices() if it.kind == "baseline-name-unknown"]
    assert sorted(it.title.rpartition(": ")[2] for it in told) == sorted(over.unknown)
    assert {it.severity.value for it in told} == {"high"}


def test_where_no_baseline_is_in_force_the_rollout_ends_silently(desk: Desk) -> None:
    desk.settings({})
    over = planned(desk, automatic=True)
    assert over.state is RolloutState.DONE
    assert (desk.findings(), desk.notices()) == ([], [])


def test_baselines_that_change_while_they_are_planned_are_planned_anew(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})

    def change(operation: str, _asked: dict[str, Any]) -> None:
        if operation == "ListAccountsForParent" and desk.estate.calls[operation] == 1:
            desk.services.clock.sleep(45)  # the step ends, and the next one has other settings
            desk.settings({"workloads": baseline(AUDITORS)})

    desk.estate.after = change
    plan = planned(desk)
    assert {pair.group_name for pair in plan.pairs} == {"Auditors"}
    assert plan.total == 3


# Whose word it takes


def test_few_changes_are_made_without_a_word_and_told_together(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    over = swept(desk)
    assert (over.state, over.assigned, over.done) == (RolloutState.DONE, 6, 3)
    assert all(desk.estate.holds(account) == BOTH for account in workloads(desk))
    assert desk.estate.holds(sandbox(desk)) == set()
    assert is_each_made_once(desk)
    assert {(it.state, it.follows) for it in desk.findings()} == {(State.ACTED, True)}
    (notice,) = desk.notices()
    assert notice.kind == "baseline-done"
    assert "6 assignments made in 3 accounts" in notice.title


def test_more_than_a_few_wait_and_the_notice_says_how_to_go_on(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS}, settings=LIMITED)
    plan = swept(desk)
    assert (plan.state, plan.total) == (RolloutState.PLANNED, 6)
    assert desk.estate.calls["CreateAccountAssignment"] == 0
    (notice,) = desk.notices()
    assert notice.kind == "baseline-waits"
    assert "6 assignments in 3 accounts" in notice.title
    assert f"keyward baseline apply {plan.id}" in notice.text
    assert f"keyward baseline stop {plan.id}" in notice.text
    assert "about 1 min" in notice.text
    assert applied(desk, plan).assigned == 6


def test_what_somebody_plans_is_never_carried_out_without_a_word(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    plan = planned(desk)
    assert (plan.state, plan.total) == (RolloutState.PLANNED, 6)
    assert desk.services.queue.next() is None


def test_where_nothing_is_missing_the_sweep_ends_silently(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    swept(desk)
    told = len(desk.notices())
    desk.services.clock.sleep(3600)
    desk.sweep("sweep-2")
    desk.follow()
    assert (desk.rollout().state, desk.rollout().total) == (RolloutState.DONE, 0)
    assert len(desk.notices()) == told
    assert len(desk.services.ledger.rollouts()) == 2


def test_what_is_taken_away_by_hand_comes_back_with_the_next_sweep(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    swept(desk)
    first, *_ = workloads(desk)
    desk.estate.unhold(first, "ReadOnly", "Everybody")
    desk.services.clock.sleep(3600)
    desk.sweep("sweep-2")
    desk.follow()
    assert desk.rollout().assigned == 1
    assert desk.estate.holds(first) == BOTH
    assert states(desk)[first] is State.ACTED


def test_where_the_rule_only_reports_nothing_is_assigned_and_findings_tell(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS}, settings=LIMITED | {"ceiling": "report"})
    over = swept(desk)
    assert over.state is RolloutState.DONE
    assert desk.estate.calls["CreateAccountAssignment"] == 0
    assert states(desk) == dict.fromkeys(workloads(desk), State.OPEN)
    assert all(it.untold is not None for it in desk.findings())
    assert desk.notices() == []


def test_once_the_rule_enforces_what_was_reported_is_given(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS}, settings={"ceiling": "report"})
    swept(desk)
    desk.services.clock.sleep(3600)
    desk.settings({"workloads": WORKLOADS})
    desk.sweep("sweep-2")
    desk.follow()
    assert states(desk) == dict.fromkeys(workloads(desk), State.ACTED)


def test_a_plan_is_applied_once_and_one_that_is_over_never(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    plan = planned(desk)
    services, now = desk.services, desk.services.clock()
    running = rollouts.apply(plan.id, by="ana", services=services, now=now)
    again = rollouts.apply(plan.id, by="bob", services=services, now=now)
    assert (running.state, again.by) == (RolloutState.RUNNING, "ana")
    assert desk.follow() > 0
    with pytest.raises(RequestError, match="done"):
        rollouts.apply(plan.id, by="ana", services=services, now=services.clock())
    with pytest.raises(RequestError, match="unknown"):
        rollouts.apply("20200101T000000-abcdef", by="ana", services=services, now=now)
    assert is_each_made_once(desk)


def test_a_plan_that_was_made_long_ago_is_looked_at_again_before_it_is_carried_out(
    desk: Desk,
) -> None:
    desk.settings({"workloads": WORKLOADS})
    plan = planned(desk)
    estate = desk.estate
    first, second, third = workloads(desk)
    estate.hold(first, estate.sets["ReadOnly"], estate.groups["Everybody"])
    estate.accounts[second]["unit"] = estate.units[ROOT]["Sandbox"]
    desk.services.clock.sleep(3600)
    over = applied(desk, plan)
    assert (over.state, over.assigned, over.total) == (RolloutState.DONE, 3, 3)
    assert "moved" in over.skipped[second]
    assert (estate.holds(first), estate.holds(second), estate.holds(third)) == (BOTH, set(), BOTH)


# Others beside it


def test_a_new_rollout_supersedes_a_plan_of_the_same_scope(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    first, other = planned(desk), planned(desk, "baseline workloads")
    desk.services.clock.sleep(60)
    second = planned(desk)
    found = {it.id: it for it in desk.services.ledger.rollouts()}
    assert found[first.id].state is RolloutState.STOPPED
    assert second.id in (found[first.id].outcome or "")
    assert found[other.id].state is RolloutState.PLANNED
    assert found[second.id].state is RolloutState.PLANNED


def test_a_plan_that_is_superseded_while_it_is_made_ends(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})

    def begin(operation: str, _asked: dict[str, Any]) -> None:
        if operation == "ListAccountsForParent" and desk.estate.calls[operation] == 1:
            desk.services.clock.sleep(1)
            rollouts.begin(
                "everything",
                automatic=False,
                by="bob",
                reason="asked for a plan",
                services=desk.services,
                now=desk.services.clock(),
            )

    desk.estate.after = begin
    first = planned(desk)
    assert first.state is RolloutState.STOPPED
    assert desk.rollout().state is RolloutState.PLANNED
    assert desk.services.queue.dead == []


def test_the_same_event_begins_one_rollout_however_often_it_comes(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    for _ in range(3):
        desk.sweep()
    desk.follow()
    desk.sweep()
    desk.follow()
    assert len(desk.services.ledger.rollouts()) == 1


def test_a_plan_that_waits_is_not_made_anew_by_the_next_sweep(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS}, settings=LIMITED)
    plan = swept(desk)
    desk.services.clock.sleep(3600)
    desk.sweep("sweep-2")
    desk.follow()
    assert [it.id for it in desk.services.ledger.rollouts()] == [plan.id]
    desk.services.clock.sleep(24 * 3600)
    desk.sweep("sweep-3")
    desk.follow()
    assert [it.state for it in desk.services.ledger.rollouts()] == [
        RolloutState.STOPPED,
        RolloutState.PLANNED,
    ]


def test_a_plan_of_other_settings_is_made_anew_by_the_next_sweep(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS}, settings=LIMITED)
    swept(desk)
    desk.services.clock.sleep(3600)
    desk.settings({"workloads": baseline(AUDITORS)}, settings=LIMITED)
    desk.sweep("sweep-2")
    desk.follow()
    assert {pair.group_name for pair in desk.rollout().pairs} == {"Auditors"}


def test_one_that_waits_wakes_one_whose_message_is_lost(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    first, second = planned(desk, "baseline workloads"), planned(desk)
    services = desk.services
    rollouts.apply(first.id, by="ana", services=services, now=services.clock())
    desk.follow(most=1)
    services.queue.messages.clear()
    services.clock.sleep(600)
    assert applied(desk, second).state is RolloutState.DONE
    gone_on = services.ledger.rollout(first.id)
    assert gone_on is not None
    assert (gone_on.state, gone_on.assigned) == (RolloutState.DONE, 6)


def test_two_that_run_do_so_one_after_the_other(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    first, second = planned(desk, "baseline workloads"), planned(desk)
    services = desk.services
    for it in (first, second):
        rollouts.apply(it.id, by="ana", services=services, now=services.clock())
    desk.follow(most=4)
    one, other = (services.ledger.rollout(it.id) for it in (first, second))
    assert one is not None
    assert other is not None
    running, waiting = (one, other) if one.started_at else (other, one)
    assert (waiting.state, waiting.started_at) == (RolloutState.RUNNING, None)
    assert waiting.outcome == f"waits until rollout {running.id} is over"
    desk.follow()
    done = [services.ledger.rollout(it.id) for it in (first, second)]
    assert {it.state for it in done if it} == {RolloutState.DONE}
    assert sum(it.assigned for it in done if it) == 6
    assert is_each_made_once(desk)
    later = services.ledger.rollout(waiting.id)
    assert later is not None
    assert later.started_at is not None
    assert later.ended_at is not None
    assert later.ended_at - later.started_at < timedelta(minutes=1)
    ended = next(it.ended_at for it in done if it and it.id == running.id)
    assert ended is not None
    assert later.started_at - ended < timedelta(seconds=10)


def test_a_plan_about_everything_stands_for_others_that_wait(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS}, settings=LIMITED)
    waiting = planned(desk, "baseline workloads", automatic=True)
    assert waiting.state is RolloutState.PLANNED
    every = applied(desk, planned(desk))
    assert (every.state, every.assigned) == (RolloutState.DONE, 6)
    superseded = desk.services.ledger.rollout(waiting.id)
    assert superseded is not None
    assert superseded.state is RolloutState.STOPPED
    assert superseded.outcome == f"superseded by {every.id}"


def test_the_next_sweep_waits_for_a_rollout_that_runs_and_finds_nothing_left(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS}, settings=LIMITED)
    plan = planned(desk)
    rollouts.apply(plan.id, by="ana", services=desk.services, now=desk.services.clock())
    desk.follow(most=2)
    desk.sweep()
    desk.follow()
    assert is_each_made_once(desk)
    assert "baseline-waits" not in kinds(desk)
    assert {it.state for it in desk.services.ledger.rollouts()} == {RolloutState.DONE}


def test_an_account_that_an_event_is_about_is_left_to_that(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    plan = planned(desk)
    first, *_ = workloads(desk)
    desk.services.queue.put(an_account_check(desk, first))
    desk.follow(most=1)
    assert states(desk) == {first: State.ACTING}
    over = applied(desk, plan)
    assert (over.state, over.assigned, over.skipped) == (RolloutState.DONE, 4, {})
    assert all(desk.estate.holds(account) == BOTH for account in workloads(desk))
    assert states(desk) == dict.fromkeys(workloads(desk), State.ACTED)
    assert is_each_made_once(desk)


def test_what_an_event_brought_since_the_plan_is_not_asked_for_again(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    plan = planned(desk)
    first, *_ = workloads(desk)
    desk.services.queue.put(an_account_check(desk, first))
    desk.follow()
    assert states(desk) == {first: State.ACTED}
    over = applied(desk, plan)
    assert (over.state, over.assigned, over.skipped) == (RolloutState.DONE, 4, {})
    assert is_each_made_once(desk)


def test_an_event_leaves_an_account_to_the_rollout_that_is_at_it(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    plan = planned(desk)
    rollouts.apply(plan.id, by="ana", services=desk.services, now=desk.services.clock())
    desk.follow(most=1)
    first, *_ = workloads(desk)
    assert states(desk)[first] is State.ACTING
    desk.services.queue.put(an_account_check(desk, first))
    desk.follow()
    assert desk.rollout().assigned == 6
    assert is_each_made_once(desk)


def test_an_account_that_somebody_else_holds_is_left_out_in_the_end(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    first, *_ = workloads(desk)
    crashed_act(desk, first)
    (record,) = desk.findings()
    held = {"claim_until": desk.services.clock() + timedelta(hours=12)}
    more = record.model_copy(update=held | {"version": record.version + 1})
    desk.services.ledger.finish(more, replacing=record)
    desk.services.clock.sleep(60)
    over = swept(desk)
    assert (over.state, over.assigned) == (RolloutState.DONE, 4)
    assert over.skipped == {first: "something else is being done about it"}


def test_what_a_crash_left_half_done_is_taken_over_with_all_that_is_missing_now(
    desk: Desk,
) -> None:
    desk.settings({"workloads": baseline(DEVELOPERS)})
    first, *_ = workloads(desk)
    crashed_act(desk, first)
    desk.services.clock.sleep(600)
    desk.settings({"workloads": WORKLOADS})
    assert swept(desk).assigned == 6
    (record,) = [it for it in desk.findings() if it.account == first]
    assert isinstance(record.action, AssignAccess)
    given = {(it.principal_name, it.permission_set_name) for it in record.action.assignments}
    assert (record.state, given) == (State.ACTED, BOTH)


def crashed_act(desk: Desk, account: str) -> None:
    """An event's act on the account dies before it asks for anything, and isn't gone on with."""

    def crash(operation: str, _asked: dict[str, Any]) -> None:
        if operation == "CreateAccountAssignment":
            raise Crash

    desk.estate.before = crash
    desk.services.queue.put(an_account_check(desk, account))
    desk.follow(most=1)
    desk.estate.before = lambda _operation, _asked: None
    desk.services.queue.messages.clear()
    assert states(desk) == {account: State.ACTING}


def an_account_check(desk: Desk, account: str) -> str:
    return check_message(
        id_="check-1",
        account=HUB,
        region="us-east-1",
        time=desk.services.clock(),
        why="AccountCheck",
        parameters={"account": account},
    )


# Accounts that are let be


def test_an_exempt_account_is_recorded_and_not_counted(desk: Desk) -> None:
    first, *others = workloads(desk)
    exemption = {
        "owner": "team@example.com",
        "reason": "is wound up",
        "ticket": "SEC-1",
        "until": (desk.services.clock() + timedelta(days=30)).isoformat(),
        "account": first,
        "unique_id": f"{first}/access",
        "rules": [MISSING],
    }
    desk.settings({"workloads": WORKLOADS}, exemptions={"wound-up": exemption})
    over = swept(desk)
    assert (over.assigned, over.total) == (4, 4)
    assert over.skipped == {first: "exemption wound-up covers it"}
    assert desk.estate.holds(first) == set()
    assert states(desk) == {first: State.EXEMPT, **dict.fromkeys(others, State.ACTED)}


def test_an_account_that_somebody_else_takes_access_from_over_and_over_is_left(desk: Desk) -> None:
    """The fifth time within an hour, Keyward stops to argue."""
    desk.settings({"workloads": WORKLOADS})
    first, *_ = workloads(desk)
    for number in range(7):
        desk.sweep(f"sweep-{number}")
        desk.follow()
        if "ReadOnly" in {name for _, name in desk.estate.holds(first)}:
            desk.estate.unhold(first, "ReadOnly", "Everybody")
        desk.services.clock.sleep(60)
    over = desk.rollout()
    assert over.state is RolloutState.DONE
    assert "somebody else disagrees" in over.skipped[first]
    assert desk.estate.holds(first) == {DEVELOPERS}


def test_sweeps_tell_nothing_of_accounts_that_are_let_be(desk: Desk) -> None:
    test_an_exempt_account_is_recorded_and_not_counted(desk)
    told = kinds(desk)
    for number in range(2, 5):
        desk.services.clock.sleep(3600)
        desk.sweep(f"sweep-{number}")
        desk.follow()
    assert kinds(desk) == told


def released(desk: Desk, record: FindingRecord) -> None:
    """An operator releases the finding."""
    ledger, now = desk.services.ledger, desk.services.clock()
    begun = planner.releasing(record, by="ana", reason="agreed", now=now, claim_seconds=90)
    ledger.release_begins(
        begun,
        replacing=record,
        unique_ids=(record.held_as,),
        until=now + timedelta(days=7),
        by="ana",
    )


def test_a_released_account_is_left(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    swept(desk)
    first, *_ = workloads(desk)
    released(desk, next(it for it in desk.findings() if it.account == first))
    for group, name in BOTH:
        desk.estate.unhold(first, name, group)
    desk.services.clock.sleep(3600)
    desk.sweep("sweep-2")
    desk.follow()
    assert desk.rollout().state is RolloutState.DONE
    assert "released" in desk.rollout().skipped[first]
    assert desk.estate.holds(first) == set()


def test_an_account_that_is_released_while_it_is_given_access_is_left(desk: Desk) -> None:
    wanted = [(f"Group {number}", "ReadOnly") for number in range(20)]
    for group, _ in wanted:
        desk.estate.group(group)
    first, *_ = workloads(desk)
    desk.settings({"many": baseline(*wanted, accounts=[{"ids": [first]}])})
    plan = planned(desk)
    rollouts.apply(plan.id, by="ana", services=desk.services, now=desk.services.clock())
    desk.follow(most=1)
    (record,) = desk.findings()
    released(desk, record)
    desk.follow()
    over = desk.rollout()
    assert over.state is RolloutState.DONE
    assert "released" in over.skipped[first]
    assert desk.estate.calls["CreateAccountAssignment"] == 12
    assert states(desk) == {first: State.RELEASING}


# Stopped


def many(desk: Desk) -> Rollout:
    """A rollout of twenty assignments in each of three accounts, that has begun to assign."""
    wanted = [(f"Group {number}", "ReadOnly") for number in range(20)]
    for group, _ in wanted:
        desk.estate.group(group)
    desk.settings({"many": baseline(*wanted)})
    plan = planned(desk)
    rollouts.apply(plan.id, by="ana", services=desk.services, now=desk.services.clock())
    desk.follow(most=1)
    assert desk.estate.calls["CreateAccountAssignment"] == 12
    return desk.rollout()


def is_stopped_as_it_should_be(desk: Desk, why: str) -> bool:
    """What was asked for is there, nothing else; the account that was at hand tells of it."""
    over = desk.rollout()
    first, *_ = workloads(desk)
    (finding,) = desk.findings()
    assert over.state is RolloutState.STOPPED
    assert over.assigned == 12 == sum(desk.estate.created.values())
    assert why in (over.outcome or "")
    assert (finding.account, finding.state) == (first, State.FAILED)
    assert why in (finding.outcome or "")
    assert finding.untold is not None
    (notice,) = desk.notices()
    assert notice.kind == "baseline-stopped"
    assert why in notice.text
    return desk.services.queue.next() is None


def test_who_stops_it_has_nothing_more_asked_for(desk: Desk) -> None:
    running = many(desk)
    rollouts.stop(running.id, by="ana: wrong", services=desk.services, now=desk.services.clock())
    desk.follow()
    assert is_stopped_as_it_should_be(desk, "stopped by ana: wrong")


def test_it_is_stopped_between_two_calls_too(desk: Desk) -> None:
    running = many(desk)

    def stop(operation: str, _asked: dict[str, Any]) -> None:
        if operation == "ListAccountAssignmentCreationStatus":
            desk.estate.after = lambda _operation, _asked: None
            now = desk.services.clock()
            rollouts.stop(running.id, by="ana", services=desk.services, now=now)

    desk.estate.after = stop
    desk.follow()
    over = desk.rollout()
    assert over.state is RolloutState.STOPPED
    assert 12 <= sum(desk.estate.created.values()) == over.assigned < 60
    assert desk.services.queue.dead == []


def test_a_pause_stops_it(desk: Desk) -> None:
    many(desk)
    accepted = desk.services.ledger.accepted()
    assert accepted is not None
    until = desk.services.clock() + timedelta(hours=4)
    desk.settings(accepted.baselines, paused_until=until)
    desk.follow()
    assert is_stopped_as_it_should_be(desk, "only reports now")


def test_an_account_that_has_all_when_it_is_stopped_is_done(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    plan = planned(desk)
    services = desk.services
    rollouts.apply(plan.id, by="ana", services=services, now=services.clock())
    desk.follow(most=1)
    rollouts.stop(plan.id, by="ana", services=services, now=services.clock())
    desk.follow()
    assert desk.rollout().state is RolloutState.STOPPED
    assert states(desk) == dict.fromkeys(workloads(desk), State.ACTED)


def test_a_plan_is_stopped_at_once_and_silently(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    plan = planned(desk)
    services = desk.services
    stopped = rollouts.stop(plan.id, by="ana", services=services, now=services.clock())
    assert (stopped.state, stopped.outcome) == (RolloutState.STOPPED, "stopped by ana")
    again = rollouts.stop(plan.id, by="bob", services=services, now=services.clock())
    assert again.outcome == "stopped by ana"
    assert (desk.notices(), services.queue.next()) == ([], None)
    with pytest.raises(RequestError):
        rollouts.stop("20200101T000000-abcdef", by="ana", services=services, now=services.clock())


def test_what_a_changed_baseline_wants_no_more_is_not_asked_for(desk: Desk) -> None:
    running = many(desk)
    groups = [f"Group {number}" for number in range(12)]
    desk.settings({"many": baseline(*((group, "ReadOnly") for group in groups))})
    desk.follow()
    over = desk.services.ledger.rollout(running.id)
    assert over is not None
    assert over.state is RolloutState.DONE
    assert sum(desk.estate.created.values()) == 12


# What AWS does


def test_conflicts_and_failures_that_pass_by_are_asked_again(desk: Desk) -> None:
    desk.estate.conflicts, desk.estate.failures = 0.5, 0.5
    desk.settings({"workloads": WORKLOADS})
    over = swept(desk)
    assert (over.assigned, over.failed) == (6, {})
    assert desk.estate.refused["ConflictException"] > 0
    assert desk.estate.failed > 0
    assert is_each_made_once(desk)


def test_an_account_that_is_not_ready_yet_is_asked_for_again(desk: Desk) -> None:
    first, *_ = workloads(desk)
    desk.estate.ready_at[first] = desk.services.clock() + timedelta(minutes=20)
    desk.settings({"workloads": WORKLOADS})
    over = swept(desk)
    assert (over.assigned, over.failed) == (6, {})
    assert desk.estate.holds(first) == BOTH


def test_an_account_that_never_gets_ready_is_told_of_after_half_an_hour(desk: Desk) -> None:
    first, *_ = workloads(desk)
    began = desk.services.clock()
    desk.estate.ready_at[first] = began + timedelta(days=1)
    desk.settings({"workloads": WORKLOADS})
    over = swept(desk)
    assert over.ended_at is not None
    assert timedelta(minutes=30) < over.ended_at - began < timedelta(minutes=45)
    assert (over.assigned, len(over.failed[first])) == (4, 2)
    failed = next(it for it in desk.findings() if it.account == first)
    assert failed.state is State.FAILED
    assert failed.untold is not None
    (notice,) = desk.notices()
    assert f"({first})" in notice.text


def test_what_always_fails_is_asked_four_times_within_half_an_hour(desk: Desk) -> None:
    first, *_ = workloads(desk)
    desk.estate.full.add(first)
    began = desk.services.clock()
    desk.settings({"workloads": WORKLOADS})
    over = swept(desk)
    assert over.ended_at is not None
    assert timedelta(minutes=30) < over.ended_at - began < timedelta(minutes=45)
    assert desk.estate.calls["CreateAccountAssignment"] == 4 + 4 * 2
    assert all("quota of roles" in text for text in over.failed[first])


@pytest.mark.parametrize("tells_late", [True, False])
def test_a_group_that_goes_meanwhile_holds_up_nobody(desk: Desk, *, tells_late: bool) -> None:
    desk.estate.tells_late = tells_late
    desk.settings({"workloads": WORKLOADS})
    plan = planned(desk)
    desk.estate.groups.pop("Developers")
    over = applied(desk, plan)
    assert (over.state, over.assigned, over.total) == (RolloutState.DONE, 3, 3)
    assert over.unknown == ("group Developers (baseline workloads)",)
    assert desk.services.ledger.known_ids("group", ["Developers"]) == {}
    assert states(desk) == dict.fromkeys(workloads(desk), State.ACTED)
    assert "baseline-name-unknown" in kinds(desk)


def test_a_permission_set_that_goes_meanwhile_holds_up_nobody(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    plan = planned(desk)
    desk.estate.sets.pop("Developer")
    over = applied(desk, plan)
    assert (over.assigned, over.unknown) == (3, ("permission set Developer (baseline workloads)",))


def test_it_slows_down_where_others_have_much_under_way(desk: Desk) -> None:
    estate = desk.estate
    others = [estate.account(ROOT) for _ in range(15)]
    for account in others:
        asked = {"TargetId": account, "PermissionSetArn": estate.sets["ReadOnly"]}
        estate.create(asked | {"PrincipalId": estate.groups["Auditors"]})
    desk.settings({"workloads": WORKLOADS})
    assert swept(desk).assigned == 6
    assert estate.refused["ThrottlingException"] == 0
    assert is_each_made_once(desk)


def refusing(desk: Desk, operation: str, code: str, times: int) -> None:
    """Lets the next calls of an operation be refused."""
    left = [code] * times

    def refuse(called: str, _asked: dict[str, Any]) -> None:
        if called == operation and left:
            raise desk.estate.error(left.pop(), operation)

    desk.estate.before = refuse


@pytest.mark.parametrize(
    "operation",
    [
        "ListRoots",
        "ListAccountsForParent",
        "ListOrganizationalUnitsForParent",
        "GetGroupId",
        "ListAccountAssignments",
        "ListAccountAssignmentCreationStatus",
        "CreateAccountAssignment",
        "ListInstances",
    ],
)
def test_throttling_anywhere_only_delays_it(desk: Desk, operation: str) -> None:
    refusing(desk, operation, "ThrottlingException", 3)
    desk.settings({"workloads": WORKLOADS})
    over = swept(desk)
    assert (over.state, over.assigned) == (RolloutState.DONE, 6)
    assert desk.estate.refused["ThrottlingException"] == 3
    assert (desk.crashes, is_each_made_once(desk)) == (0, True)


def test_where_aws_takes_on_no_more_nothing_more_is_asked_for_until_later(desk: Desk) -> None:
    refusing(desk, "CreateAccountAssignment", "ThrottlingException", 1)
    desk.settings({"workloads": WORKLOADS})
    plan = planned(desk)
    rollouts.apply(plan.id, by="ana", services=desk.services, now=desk.services.clock())
    desk.follow(most=1)
    assert desk.estate.calls["CreateAccountAssignment"] == 1
    ((due, *_),) = desk.services.queue.messages
    assert due - desk.services.clock() >= timedelta(seconds=10)
    desk.follow()
    assert desk.rollout().assigned == 6


def test_what_aws_refuses_for_half_an_hour_is_given_up_and_told(desk: Desk) -> None:
    refusing(desk, "ListRoots", "ThrottlingException", 1000)
    desk.settings({"workloads": WORKLOADS})
    began = desk.services.clock()
    over = swept(desk)
    assert over.state is RolloutState.STOPPED
    assert desk.services.clock() - began > timedelta(minutes=30)
    assert kinds(desk) == ["baseline-stopped"]


def test_a_plan_that_aws_denies_is_told_of(desk: Desk) -> None:
    refusing(desk, "ListAccountsForParent", "AccessDeniedException", 1)
    desk.settings({"workloads": WORKLOADS})
    over = swept(desk)
    assert over.state is RolloutState.STOPPED
    assert "AccessDenied" in (over.outcome or "")
    assert kinds(desk) == ["baseline-stopped"]


def test_an_assignment_that_aws_denies_fails_and_no_other(desk: Desk) -> None:
    refusing(desk, "CreateAccountAssignment", "AccessDeniedException", 1)
    desk.settings({"workloads": WORKLOADS})
    over = swept(desk)
    first, *others = workloads(desk)
    assert (over.state, over.assigned) == (RolloutState.DONE, 5)
    assert states(desk) == {first: State.FAILED, **dict.fromkeys(others, State.ACTED)}


def test_where_aws_denies_looking_at_what_it_made_that_is_told(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    plan = planned(desk)
    refusing(desk, "ListAccountAssignments", "AccessDeniedException", 1)
    over = applied(desk, plan)
    assert over.state is RolloutState.STOPPED
    assert states(desk) == dict.fromkeys(workloads(desk), State.FAILED)


@pytest.mark.parametrize("is_effective", [True, False])
@pytest.mark.parametrize("creation_seconds", [2, 200])
def test_an_answer_that_is_lost_makes_nothing_twice(
    desk: Desk, creation_seconds: int, *, is_effective: bool
) -> None:
    """`creation_seconds`: how long AWS is at that one."""
    estate = desk.estate
    usual = estate.creation_seconds

    def lose(operation: str, _asked: dict[str, Any]) -> None:
        estate.creation_seconds = usual
        if operation == "CreateAccountAssignment" and estate.calls[operation] == 3:
            raise ReadTimeoutError(endpoint_url="https://sso.example.com")

    def take_long(operation: str, _asked: dict[str, Any]) -> None:
        if operation == "CreateAccountAssignment" and estate.calls[operation] == 3:
            estate.creation_seconds = creation_seconds, creation_seconds

    if is_effective:
        estate.before, estate.after = take_long, lose
    else:
        estate.before = lose
    desk.settings({"workloads": WORKLOADS})
    over = swept(desk)
    assert (over.state, over.assigned, over.failed) == (RolloutState.DONE, 6, {})
    assert is_each_made_once(desk)


# Crashes, and messages that come twice or not at all


def fresh() -> Desk:
    estate = Estate()
    unit = estate.unit("Workloads")
    for number in range(2):
        estate.account(unit, name=f"workload-{number}")
    for group, name in (DEVELOPERS, EVERYBODY):
        estate.group(group)
        estate.permission_set(name)
    return Desk(EstateServices(estate))


@pytest.mark.parametrize("is_effective", [True, False])
def test_it_is_gone_on_with_after_a_crash_at_any_call_to_aws(*, is_effective: bool) -> None:
    whole = fresh()
    whole.settings({"workloads": WORKLOADS})
    swept(whole)
    for number in range(1, whole.estate.calls.total() + 1):
        desk = fresh()
        desk.settings({"workloads": WORKLOADS})

        def crash(
            _operation: str, _asked: dict[str, Any], at: int = number, of: Desk = desk
        ) -> None:
            if of.estate.calls.total() == at:
                of.estate.before = of.estate.after = lambda _operation, _asked: None
                raise Crash

        if is_effective:
            desk.estate.after = crash
        else:
            desk.estate.before = crash
        over = swept(desk)
        assert desk.crashes == 1
        assert_all_is_well(desk, over)


@pytest.mark.parametrize("is_effective", [True, False])
def test_it_is_gone_on_with_after_a_crash_at_any_write_to_the_ledger(*, is_effective: bool) -> None:
    whole = fresh()
    whole.settings({"workloads": WORKLOADS})
    before = whole.services.slow_table.writes
    swept(whole)
    for number in range(whole.services.slow_table.writes - before):
        desk = fresh()
        desk.settings({"workloads": WORKLOADS})
        desk.services.slow_table.crash_at(number, after=is_effective)
        over = swept(desk)
        assert desk.crashes == 1
        assert_all_is_well(desk, over)


def test_it_is_gone_on_with_where_a_message_could_not_be_sent() -> None:
    whole = fresh()
    whole.settings({"workloads": WORKLOADS})
    swept(whole)
    for number in range(2, whole.services.queue.sent):
        desk = fresh()
        desk.settings({"workloads": WORKLOADS})
        desk.services.queue.fails_at = number
        over = swept(desk)
        assert desk.crashes == 1
        assert_all_is_well(desk, over)


def assert_all_is_well(desk: Desk, over: Rollout) -> None:
    assert (over.state, over.failed, over.skipped) == (RolloutState.DONE, {}, {})
    assert is_each_made_once(desk)
    assert desk.estate.created.total() == 4
    assert states(desk) == dict.fromkeys(workloads(desk), State.ACTED)
    assert all(it.follows for it in desk.findings())
    assert desk.services.queue.dead == []
    assert kinds(desk) == ["baseline-done"]


def test_each_message_may_come_twice(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    once = Desk(desk.services)

    def twice(body: str) -> None:
        once.deliver(body)

    over = swept(desk, each=twice)
    assert (over.state, over.assigned) == (RolloutState.DONE, 6)
    assert is_each_made_once(desk)
    assert kinds(desk) == ["baseline-done"]


def test_a_message_that_comes_while_it_is_in_hand_does_nothing() -> None:
    whole = fresh()
    whole.settings({"workloads": WORKLOADS})
    swept(whole)
    for number in range(1, whole.estate.calls.total() + 1):
        desk = fresh()
        desk.settings({"workloads": WORKLOADS})
        bodies: list[str] = []

        def again(
            _operation: str,
            _asked: dict[str, Any],
            at: int = number,
            of: Desk = desk,
            in_hand: list[str] = bodies,
        ) -> None:
            if of.estate.calls.total() == at:
                of.deliver(in_hand[-1])

        desk.estate.after = again
        over = swept(desk, each=bodies.append)
        assert desk.crashes == 0
        assert_all_is_well(desk, over)


def test_a_lost_message_is_sent_again_by_the_next_sweep_and_by_apply(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    plan = planned(desk)
    services = desk.services
    rollouts.apply(plan.id, by="ana", services=services, now=services.clock())
    desk.follow(most=1)
    services.queue.messages.clear()
    rollouts.apply(plan.id, by="ana", services=services, now=services.clock())
    assert services.queue.messages == [], "its claim is alive: the message may only be late"
    services.clock.sleep(600)
    rollouts.apply(plan.id, by="ana", services=services, now=services.clock())
    desk.follow(most=1)
    services.queue.messages.clear()
    services.clock.sleep(600)
    desk.sweep()
    desk.follow()
    done = services.ledger.rollout(plan.id)
    assert done is not None
    assert done.state is RolloutState.DONE
    assert is_each_made_once(desk)


def test_late_messages_do_nothing(desk: Desk) -> None:
    desk.settings({"workloads": WORKLOADS})
    plan = planned(desk)
    services = desk.services
    running = rollouts.apply(plan.id, by="ana", services=services, now=services.clock())
    calls = desk.estate.calls.total()
    for ticket in (0, running.ticket - 1, running.ticket + 1):
        late = RolloutStep(id=plan.id, ticket=ticket)
        rollouts.step(late, rules=(), services=services, now=services.clock())
    none = RolloutStep(id="20200101T000000-abcdef", ticket=1)
    rollouts.step(none, rules=(), services=services, now=services.clock())
    assert desk.estate.calls.total() == calls


# How long it takes, and how large it is


def test_no_step_outlasts_a_lambda_however_long_lists_of_accounts_take(desk: Desk) -> None:
    estate = desk.estate
    estate.page_size = 1
    estate.call_milliseconds = 900, 1100
    for _ in range(90):
        estate.account(estate.units[ROOT]["Workloads"])
    desk.settings({"all": baseline(EVERYBODY, accounts=[{"everything": True}])})
    plan = planned(desk)
    assert (plan.state, plan.accounts) == (RolloutState.PLANNED, 94)
    assert timedelta(seconds=35) < desk.longest < timedelta(seconds=60)


def test_no_step_outlasts_a_lambda_however_long_tags_take(desk: Desk) -> None:
    estate = desk.estate
    estate.call_milliseconds = 900, 1100
    for _ in range(90):
        estate.account(estate.units[ROOT]["Workloads"])
    desk.settings({"all": baseline(EVERYBODY, accounts=[{"tags": {"team": "*"}}])})
    assert planned(desk).total == 0
    assert estate.calls["ListTagsForResource"] == 94
    assert timedelta(seconds=35) < desk.longest < timedelta(seconds=60)


def test_no_step_outlasts_a_lambda_however_few_calls_are_allowed(desk: Desk) -> None:
    """Lists of a group's assignments go on by the page."""
    estate = desk.estate
    estate.page_size = 1
    for _ in range(60):
        estate.account(estate.units[ROOT]["Workloads"])
    slow = {
        "ceiling": "enforce",
        "identity_center": {"calls_per_second": 1},
        "account_baselines": {"changes_without_apply": 1000},
    }
    desk.settings({"workloads": WORKLOADS}, settings=slow)
    over = swept(desk)
    assert (over.state, over.assigned) == (RolloutState.DONE, 126)
    assert desk.longest < timedelta(seconds=60)
    assert desk.longest > timedelta(seconds=35), "else nothing had to go on"
    assert is_each_made_once(desk)


def test_what_is_left_is_told_by_how_fast_it_went(desk: Desk) -> None:
    running = many(desk)
    now = desk.services.clock()
    guess = rollouts.remaining(running, now)
    assert guess is not None
    desk.follow(most=6)
    later = desk.rollout()
    measured = rollouts.remaining(later, desk.services.clock())
    assert later.started_at is not None
    assert measured is not None
    asked = desk.estate.calls["CreateAccountAssignment"]
    went = asked - len(later.asked)
    per_one = (desk.services.clock() - later.started_at) / went
    assert abs(measured - (60 - went) * per_one) < timedelta(seconds=1)
    desk.follow()
    assert rollouts.remaining(desk.rollout(), desk.services.clock()) is None


@pytest.mark.parametrize("share", [1, 0.5])
def test_seven_thousand_accounts_with_twenty_assignments_fit_into_an_item(share: float) -> None:
    """`share`: so much of what is wanted is missing, in each account something else.

    Source of the limit: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
    """
    chance = random.Random(1)
    services = EstateServices(Estate())
    accounts = [f"{chance.randrange(10**11, 10**12)}" for _ in range(7000)]
    units = [f"ou-abcd-{chance.getrandbits(40):010x}" for _ in range(300)]
    words = ["payments", "search", "identity", "ledger", "mobile", "risk", "billing", "data"]
    everything = tuple(range(20))
    missing = {
        account: tuple(n for n in everything if share == 1 or chance.random() < share)
        for account in accounts
    }
    now = services.clock()
    rollout = Rollout(
        id="20261120T090000-abcdef",
        scope="everything",
        by="ana",
        reason="asked for a plan",
        created_at=now,
        pairs=tuple(
            Pair(
                group_id=f"{number:08x}-0000-4000-8000-000000000000",
                permission_set_arn=f"arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-{number:016x}",
                group_name=f"Group {number}",
                permission_set_name=f"Set-{number}",
                baselines=("everything",),
            )
            for number in everything
        ),
        names={it: f"{chance.choice(words)}-{chance.getrandbits(32):08x}" for it in accounts},
        places={it: (chance.choice(units), "ou-abcd-11111111", ROOT) for it in accounts},
        wanted=dict.fromkeys(accounts, everything),
        missing=missing,
        sent={account: missing[account] for account in accounts[:700] if missing[account]},
        begun={account: f"{chance.getrandbits(80):020x}" for account in accounts[:700]},
        skipped=dict.fromkeys(accounts[:200], "it is SUSPENDED"),
        failed=dict.fromkeys(accounts[-200:], ("permission set Set-0 for group Group 0: why",)),
    )
    services.ledger.save_rollout(rollout, replacing=None)
    item = services.table.items["rollouts", rollout.id]
    assert len(item["body"]["B"]) < 390_000
    assert services.ledger.rollout(rollout.id) == rollout


# By what operators and events ask for, over moto's organization


@pytest.fixture
def accounts(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Accounts]:
    """Two accounts, one of them in the unit Workloads, whose baseline wants two assignments."""
    with the_accounts(world, monkeypatch) as made:
        made.move(made.workloads)
        made.settings({"workloads": made.baseline(DEVELOPERS, EVERYBODY)})
        yield made


def ask(of: Accounts, act: str, **more: object) -> dict[str, Any]:
    world = of.world
    request = {"act": act, "by": "arn:aws:iam::123456789012:user/ana", **more}
    return operating.answer(request, services=world.services, now=world.now)


def test_an_operator_plans_looks_and_applies(accounts: Accounts) -> None:
    begun = ask(accounts, "baseline-plan", scope="everything")
    assert begun["ok"], begun
    id_ = begun["rollout"]["id"]
    accounts.follow()
    shown = ask(accounts, "baseline-rollout", id=id_, accounts=True)
    assert (shown["rollout"]["state"], shown["rollout"]["total"]) == ("planned", 2)
    (row,) = shown["accounts"]
    assert (row["account"], row["name"]) == (accounts.world.member, "workload")
    assert accounts.held() == set()
    answer = ask(accounts, "baseline-apply", id=id_, total=2)
    assert answer["ok"], answer
    accounts.follow()
    assert accounts.held() == BOTH
    over = ask(accounts, "baseline-rollout", id=id_)["rollout"]
    assert (over["state"], over["assigned"]) == ("done", 2)
    assert accounts.acted()


def test_a_release_takes_back_what_a_rollout_gave_and_the_next_one_leaves_it(
    accounts: Accounts,
) -> None:
    accounts.settle(a_check(accounts, "BaselineSweep"))
    assert accounts.held() == BOTH
    answer = ask(
        accounts, "release", finding=accounts.missing().key, reason="agreed with its owner"
    )
    assert answer["ok"], answer
    accounts.follow()
    assert accounts.held() == set()
    accounts.world.later(hours=1)
    accounts.settle(a_check(accounts, "BaselineSweep"))
    assert accounts.held() == set()
    assert accounts.missing().state is State.RELEASED


def test_a_changed_baseline_is_brought_to_its_accounts(accounts: Accounts) -> None:
    accounts.settings(
        {
            "workloads": accounts.baseline(DEVELOPERS),
            "audit": accounts.baseline(AUDITORS, accounts=[{"everything": True}]),
        }
    )
    accounts.settle(a_check(accounts, "BaselineChanged", baseline="audit"))
    assert accounts.held() == {AUDITORS}
    assert accounts.held(accounts.world.other_member) == {AUDITORS}
    assert accounts.held(HUB) == set()


def test_a_unit_that_comes_under_governance_has_its_accounts_looked_at(
    accounts: Accounts,
) -> None:
    accounts.settle(
        accounts.lifecycle(
            "RegisterOrganizationalUnit",
            {
                "registerOrganizationalUnitStatus": {
                    "organizationalUnit": {
                        "organizationalUnitName": "Workloads",
                        "organizationalUnitId": accounts.workloads,
                    },
                    "state": "SUCCEEDED",
                }
            },
        )
    )
    assert accounts.held() == BOTH
    (rollout,) = accounts.world.ledger.rollouts()
    assert rollout.scope == f"unit {accounts.workloads}"


def a_check(accounts: Accounts, why: str, **parameters: str) -> str:
    now = accounts.world.now
    return check_message(
        id_=f"check-{now.isoformat()}",
        account=HUB,
        region="us-east-1",
        time=now,
        why=why,
        parameters=parameters,
    )
