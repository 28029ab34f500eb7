"""Accounts get the access of their baselines, keep it, and lose what is stale."""

from __future__ import annotations

import contextlib
import json
from datetime import timedelta

import pytest

from keyward import planner, releasing
from keyward.errors import GatewayError
from keyward.findings import Notice, State
from tests.flow.accounts import FIRST_USER, MISSING, STALE, Accounts, an_operator_of_keyward
from tests.flow.world import HUB, aws_error

DEVELOPERS, AUDITORS, EVERYBODY = (
    ("Developers", "Developer"),
    ("Auditors", "SecurityAudit"),
    ("Everybody", "ReadOnly"),
)


@pytest.fixture
def workloads(accounts: Accounts) -> Accounts:
    """Two baselines that add up in the unit Workloads, where the member is."""
    accounts.settings(
        {
            "workloads": accounts.baseline(DEVELOPERS, AUDITORS),
            "all": accounts.baseline(EVERYBODY, accounts=[{"everything": True}]),
        }
    )
    accounts.move(accounts.workloads)
    return accounts


# What is lacking is given


def test_new_account_has_all_its_access_and_one_alert_tells(workloads: Accounts) -> None:
    workloads.settle(workloads.enrolled())
    assert workloads.held() == {DEVELOPERS, AUDITORS, EVERYBODY}
    record = workloads.missing()
    assert record.state is State.ACTED
    assert record.outcome is not None
    assert "3 assignments" in record.outcome
    assert [it.key for it in workloads.world.untold() if not isinstance(it, Notice)] == [record.key]


def test_it_is_told_while_it_is_under_way(workloads: Accounts) -> None:
    workloads.deliver(workloads.enrolled())
    record = workloads.missing()
    assert record.state is State.ACTING
    assert record.pending is not None
    assert record.pending.stage == "3 of 3 assignments are asked for"
    assert len(record.details) == len(workloads.held() | {1, 2, 3})


def test_new_account_costs_five_calls_and_one_for_each_assignment(workloads: Accounts) -> None:
    workloads.settle(workloads.enrolled(workloads.world.other_member))  # names are known then
    workloads.world.restart()
    calls = workloads.counted(workloads.enrolled())
    calls.pop("SendMessage", None)
    assert calls["CreateAccountAssignment"] == 3
    assert sum(calls.values()) <= 3 + 6, calls


def test_account_that_is_in_order_is_no_finding(workloads: Accounts) -> None:
    workloads.settle(workloads.enrolled())
    seen = workloads.missing().seen
    workloads.settle(workloads.enrolled())
    assert workloads.missing().seen == seen


def test_event_without_any_baseline_costs_no_call(accounts: Accounts) -> None:
    accounts.settings({})
    assert accounts.counted(accounts.enrolled()) == {}
    assert accounts.counted(accounts.move(accounts.workloads)) == {}


def test_removal_of_what_no_baseline_wants_costs_no_call(workloads: Accounts) -> None:
    workloads.settle(workloads.enrolled())
    workloads.center.assigned(workloads.sets["PowerUser"], "GROUP", workloads.groups["Operators"])
    assert workloads.counted(workloads.unassign("Operators", "PowerUser")) == {}


def test_report_mode_tells_and_gives_nothing(workloads: Accounts) -> None:
    accepted = workloads.world.ledger.accepted()
    assert accepted is not None
    workloads.settings(accepted.baselines, rules={MISSING: {"mode": "report"}})
    workloads.settle(workloads.enrolled())
    assert workloads.held() == set()
    assert workloads.missing().state is State.OPEN
    assert len(workloads.missing().details) == 3


def test_assignment_taken_away_by_hand_comes_back(workloads: Accounts) -> None:
    workloads.settle(workloads.enrolled())
    workloads.settle(workloads.unassign(*DEVELOPERS))
    assert DEVELOPERS in workloads.held()
    assert workloads.missing().episode == 2


def test_what_keyward_itself_took_away_is_told_and_left(workloads: Accounts) -> None:
    workloads.settle(workloads.enrolled())
    workloads.settle(workloads.unassign(*DEVELOPERS, actor=an_operator_of_keyward()))
    assert DEVELOPERS not in workloads.held()
    record = workloads.missing()
    assert record.state is State.OPEN
    assert record.held is not None
    assert "disagree" in record.held


def test_release_takes_away_what_was_given_and_it_stays_so(workloads: Accounts) -> None:
    workloads.center.assigned(workloads.sets["ReadOnly"], "GROUP", workloads.groups["Everybody"])
    workloads.settle(workloads.enrolled())
    world = workloads.world
    releasing.release(
        workloads.missing(),
        by="jane",
        reason="not yet",
        days=7,
        services=world.services,
        now=world.now,
    )
    workloads.follow()
    assert workloads.held() == {EVERYBODY}
    assert workloads.missing().state is State.RELEASED
    workloads.settle(workloads.enrolled())
    assert workloads.held() == {EVERYBODY}
    world.later(days=8)
    workloads.settle(workloads.enrolled())
    assert workloads.held() == {DEVELOPERS, AUDITORS, EVERYBODY}


def test_second_delivery_gives_nothing_twice(workloads: Accounts) -> None:
    event = workloads.enrolled()
    workloads.deliver(event)
    with workloads.world.recorded() as calls:
        workloads.deliver(event)
        workloads.follow()
    assert [name for name, _ in calls if name == "CreateAccountAssignment"] == []
    assert workloads.missing().episode == 1


# AWS as it is


def test_account_that_is_not_ready_is_asked_again(workloads: Accounts) -> None:
    workloads.center.behaviour.refuse(
        "CreateAccountAssignment", "ResourceNotFoundException", times=8
    )
    workloads.settle(workloads.enrolled())
    assert workloads.acted()
    assert workloads.held() == {DEVELOPERS, AUDITORS, EVERYBODY}


def test_account_that_is_never_ready_is_told_after_half_an_hour(workloads: Accounts) -> None:
    workloads.center.behaviour.refuse(
        "CreateAccountAssignment", "ResourceNotFoundException", times=10_000
    )
    workloads.settle(workloads.enrolled())
    record = workloads.missing()
    assert record.state is State.FAILED
    assert record.untold is not None
    failed = next(moment.at for moment in record.history if moment.state is State.FAILED)
    taken = failed - record.first_seen
    assert timedelta(minutes=30) < taken < timedelta(minutes=35)


@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "ConflictException", "ResourceNotFoundException"]
)
def test_one_assignment_of_several_that_is_never_made_is_told_after_half_an_hour(
    workloads: Accounts, code: str
) -> None:
    world, auditors = workloads.world, workloads.groups["Auditors"]

    def refusing(operation: str, params: dict[str, str], call: object) -> object:
        if operation == "CreateAccountAssignment" and params["PrincipalId"] == auditors:
            raise aws_error(code, operation)
        return call()  # type: ignore[operator]  # a call

    began, world.fault = world.now, refusing
    with world.recorded():
        workloads.deliver(workloads.enrolled())
        while workloads.missing().state is State.ACTING:
            body = workloads.next_message()
            assert body is not None
            workloads.deliver(body)
            assert world.now - began < timedelta(minutes=35)
    assert workloads.held() == {DEVELOPERS, EVERYBODY}
    record = workloads.missing()
    assert record.state is State.FAILED
    assert record.outcome is not None
    assert code in record.outcome
    assert world.now - began > timedelta(minutes=30)


def test_what_a_crash_hid_and_is_there_is_not_asked_for_again(workloads: Accounts) -> None:
    event, asked = workloads.enrolled(), iter(range(2))

    def crashing(operation: str, _params: object, call: object) -> object:
        if operation == "CreateAccountAssignment" and next(asked, None) is None:
            raise KeyboardInterrupt
        return call()  # type: ignore[operator]  # a call

    workloads.center.behaviour.looks_in_progress = 0
    workloads.world.fault = crashing
    with workloads.world.recorded(), contextlib.suppress(KeyboardInterrupt):
        workloads.deliver(event)
    assert len(workloads.held()) == 2
    workloads.world.fault = None
    workloads.world.restart()
    workloads.world.later(minutes=6)
    with workloads.world.recorded() as calls:
        workloads.settle(event)
    assert len([1 for name, _ in calls if name == "CreateAccountAssignment"]) == 1
    assert workloads.acted()


def test_conflicts_and_failures_are_asked_again(workloads: Accounts) -> None:
    workloads.center.behaviour.refuse("CreateAccountAssignment", "ConflictException", times=2)
    workloads.center.behaviour.fail("CreateAccountAssignment", "Received a 409 from IAM")
    workloads.settle(workloads.enrolled())
    assert workloads.acted()
    assert workloads.held() == {DEVELOPERS, AUDITORS, EVERYBODY}


def test_no_more_are_under_way_than_aws_takes(accounts: Accounts) -> None:
    names = [f"Team{number}" for number in range(20)]
    accounts.groups |= {name: accounts.center.group(name) for name in names}
    accounts.settings({"teams": accounts.baseline(*((name, "ReadOnly") for name in names))})
    accounts.move(accounts.workloads)
    with accounts.world.recorded() as calls:
        accounts.settle(accounts.enrolled())
    assert accounts.acted()
    assert len(accounts.held()) == 20
    assert len([1 for name, _ in calls if name == "CreateAccountAssignment"]) == 20


def test_group_that_is_gone_holds_up_nobody_else(workloads: Accounts) -> None:
    workloads.settle(workloads.enrolled(workloads.world.other_member))
    workloads.center.directory.delete_group(
        IdentityStoreId=workloads.center.store, GroupId=workloads.groups["Auditors"]
    )
    workloads.settle(workloads.enrolled())
    assert workloads.held() >= {DEVELOPERS, EVERYBODY}
    record = workloads.missing()
    assert record.state is State.FAILED
    assert record.outcome is not None
    assert "group Auditors is gone" in record.outcome
    workloads.settle(workloads.enrolled())
    assert "group Auditors (baseline workloads)" in _notices(workloads)


def test_unknown_names_are_told_once_and_hold_up_nobody(accounts: Accounts) -> None:
    # Once a month: the account's first hours must not end in the next one.
    accounts.world.now = (accounts.world.now + timedelta(days=1)).replace(hour=6)
    unknown = ("Nobody", "Developer"), ("Developers", "Nothing")
    accounts.settings({"workloads": accounts.baseline(DEVELOPERS, *unknown)})
    accounts.move(accounts.workloads)
    accounts.settle(accounts.enrolled())
    assert accounts.held() == {DEVELOPERS}
    told = _notices(accounts)
    assert "group Nobody (baseline workloads)" in told
    assert "permission set Nothing (baseline workloads)" in told
    accounts.settle(accounts.enrolled())
    assert _notices(accounts) == told


def test_unknown_unit_is_told_and_holds_up_no_other_baseline(accounts: Accounts) -> None:
    accounts.settings(
        {
            "all": accounts.baseline(EVERYBODY, accounts=[{"everything": True}]),
            "gone": accounts.baseline(AUDITORS, accounts=[{"unit": "Workloads/Gone"}]),
            "spares": accounts.baseline(
                DEVELOPERS, accounts=[{"everything": True}], exclude=[{"unit": "Nowhere"}]
            ),
        }
    )
    accounts.settle(accounts.enrolled())
    assert accounts.held() == {EVERYBODY}
    told = _notices(accounts)
    assert "OU Workloads/Gone (baseline gone)" in told
    assert "OU Nowhere (baseline spares)" in told


@pytest.mark.parametrize("crash", range(1, 12))
def test_crash_after_any_call_is_finished_by_the_next_delivery(
    workloads: Accounts, crash: int
) -> None:
    event = workloads.enrolled()
    left = iter(range(crash))

    def crashing(_operation: str, _params: object, call: object) -> object:
        answer = call()  # type: ignore[operator]  # a call
        if next(left, None) is None:
            raise KeyboardInterrupt
        return answer

    workloads.world.fault = crashing
    with workloads.world.recorded(), contextlib.suppress(KeyboardInterrupt):
        workloads.deliver(event)
    workloads.world.fault = None
    workloads.world.restart()
    workloads.world.later(minutes=5)
    for _ in range(3):
        try:
            workloads.settle(event)
        except GatewayError:
            workloads.world.later(minutes=3)
    assert workloads.held() == {DEVELOPERS, AUDITORS, EVERYBODY}
    assert workloads.acted()
    assert workloads.missing().episode == 1


# Where


def test_suspended_account_is_skipped(workloads: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    def suspended(_operation: str, _params: object, call: object) -> object:
        answer = call()  # type: ignore[operator]  # a call
        if _operation == "DescribeAccount":
            answer["Account"]["State"] = "SUSPENDED"
            answer["Account"]["Status"] = "ACTIVE"
        return answer

    workloads.world.fault = suspended
    with workloads.world.recorded() as calls:
        workloads.settle(workloads.enrolled())
    assert [name for name, _ in calls if name == "CreateAccountAssignment"] == []
    assert workloads.found(MISSING) == []
    del monkeypatch


def test_account_that_aws_still_makes_is_looked_at_again(workloads: Accounts) -> None:
    states = iter(["PENDING_ACTIVATION", "PENDING_ACTIVATION"])

    def pending(_operation: str, _params: object, call: object) -> object:
        answer = call()  # type: ignore[operator]  # a call
        if _operation == "DescribeAccount" and (state := next(states, None)):
            answer["Account"]["State"] = state
        return answer

    workloads.world.fault = pending
    with workloads.world.recorded():
        workloads.settle(workloads.enrolled())
    assert workloads.acted()


def test_moved_account_gets_what_the_new_place_wants(accounts: Accounts) -> None:
    accounts.settings(
        {
            "workloads": accounts.baseline(DEVELOPERS),
            "sandbox": accounts.baseline(AUDITORS, accounts=[{"unit": accounts.sandbox}]),
        }
    )
    accounts.settle(accounts.move(accounts.workloads))
    assert accounts.held() == {DEVELOPERS}
    accounts.settle(accounts.move(accounts.sandbox))
    assert accounts.held() == {DEVELOPERS, AUDITORS}
    (stale,) = accounts.found(STALE)
    assert stale.state is State.OPEN
    assert "Developer" in stale.subject


def test_exclusive_baseline_takes_away_what_only_the_old_place_wanted(accounts: Accounts) -> None:
    developer = {"description": "Builds", "managed_policies": [], "session_hours": 4}
    accounts.settings(
        {
            "workloads": accounts.baseline(DEVELOPERS),
            "sandbox": accounts.baseline(
                AUDITORS, accounts=[{"unit": accounts.sandbox}], exclusive=True
            ),
        },
        permission_sets={"Developer": developer},
    )
    accounts.settle(accounts.move(accounts.workloads))
    accounts.center.assigned(accounts.sets["PowerUser"], "GROUP", accounts.groups["Operators"])
    accounts.settle(accounts.move(accounts.sandbox))
    assert accounts.held() == {AUDITORS, ("Operators", "PowerUser")}
    (stale,) = accounts.found(STALE)
    assert stale.state is State.ACTED
    world = accounts.world
    releasing.release(
        stale, by="jane", reason="still needed", days=7, services=world.services, now=world.now
    )
    accounts.follow()
    assert DEVELOPERS in accounts.held()


@pytest.fixture
def exclusive(accounts: Accounts) -> Accounts:
    """The member has what Workloads wants, and can be moved to where only other access is."""
    accounts.settings(
        {
            "workloads": accounts.baseline(DEVELOPERS),
            "sandbox": accounts.baseline(
                AUDITORS, accounts=[{"unit": accounts.sandbox}], exclusive=True
            ),
        },
        permission_sets={
            "Developer": {"description": "Builds", "managed_policies": [], "session_hours": 4}
        },
    )
    accounts.settle(accounts.move(accounts.workloads))
    return accounts


def test_removal_that_a_crash_left_is_finished_though_the_account_shows_it_no_more(
    exclusive: Accounts,
) -> None:
    world, exclusive.center.behaviour.looks_in_progress = exclusive.world, 0

    def crashing(operation: str, _params: object, call: object) -> object:
        answer = call()  # type: ignore[operator]  # a call
        if operation == "DeleteAccountAssignment":
            raise KeyboardInterrupt
        return answer

    event = exclusive.move(exclusive.sandbox)
    world.fault = crashing
    with world.recorded(), contextlib.suppress(KeyboardInterrupt):
        exclusive.deliver(event)
    world.fault = None
    world.restart()
    exclusive.follow()
    world.later(minutes=6)
    exclusive.settle(event)
    assert exclusive.held() == {AUDITORS}
    (stale,) = exclusive.found(STALE)
    assert (stale.state, stale.episode) == (State.ACTED, 1)


def test_group_whose_name_is_not_told_for_a_moment_loses_its_stale_access_all_the_same(
    exclusive: Accounts,
) -> None:
    throttled = iter([True])

    def throttling(operation: str, _params: object, call: object) -> object:
        if operation == "DescribeGroup" and next(throttled, False):
            raise aws_error("ThrottlingException", operation)
        return call()  # type: ignore[operator]  # a call

    event = exclusive.move(exclusive.sandbox)
    exclusive.world.fault = throttling
    with exclusive.world.recorded(), pytest.raises(GatewayError, match="DescribeGroup"):
        exclusive.deliver(event)
    exclusive.settle(event)
    assert exclusive.held() == {AUDITORS}


def test_account_that_cannot_be_looked_at_any_more_is_told_once_though_it_had_its_access(
    workloads: Accounts,
) -> None:
    workloads.settle(workloads.enrolled())
    world, refused = workloads.world, "ListPermissionSetsProvisionedToAccount"
    world.ledger.told(workloads.missing())
    workloads.center.behaviour.refuse(refused, "AccessDeniedException", times=99)
    for _ in range(2):
        workloads.settle(workloads.unassign(*DEVELOPERS))
        record = workloads.missing()
        assert (record.state, record.episode) == (State.OPEN, 2)
        assert record.held is not None
        assert record.held.startswith("cannot enforce here")
    (told,) = [it for it in world.untold() if not isinstance(it, Notice)]
    assert told.key == record.key
    world.ledger.told(told)
    workloads.settle(workloads.unassign(*AUDITORS))
    assert workloads.missing().untold is None
    workloads.center.behaviour.refusals.clear()
    workloads.settle(workloads.enrolled())
    assert workloads.acted()
    assert workloads.held() == {DEVELOPERS, AUDITORS, EVERYBODY}


def test_management_account_is_left_alone_unless_a_baseline_names_its_id(
    accounts: Accounts,
) -> None:
    accounts.settings({"all": accounts.baseline(DEVELOPERS, accounts=[{"everything": True}])})
    accounts.settle(accounts.enrolled(HUB))
    assert accounts.found(MISSING) == []
    accounts.settings({"all": accounts.baseline(DEVELOPERS, accounts=[{"ids": [HUB]}])})
    accounts.settle(accounts.enrolled(HUB))
    assert accounts.missing(HUB).state is State.OPEN
    assert accounts.missing(HUB).held == (
        "in the management account, where settings don't let Keyward act"
    )


def test_shared_account_is_left_alone_unless_a_baseline_names_its_id(accounts: Accounts) -> None:
    member = accounts.world.member
    shared = {"ceiling": "enforce", "account_baselines": {"shared_accounts": [member]}}
    everything = accounts.baseline(DEVELOPERS, accounts=[{"everything": True}])
    accounts.settings({"all": everything}, settings=shared)
    accounts.settle(accounts.enrolled())
    assert accounts.held() == set()
    named = accounts.baseline(AUDITORS, accounts=[{"ids": [member]}])
    accounts.settings({"all": everything, "audit": named}, settings=shared)
    accounts.settle(accounts.enrolled())
    assert accounts.held() == {AUDITORS}


def test_tags_decide_where_a_baseline_asks_for_them(accounts: Accounts) -> None:
    accounts.settings({"prod": accounts.baseline(AUDITORS, accounts=[{"tags": {"env": "prod"}}])})
    params = {"ResourceId": accounts.world.member, "Tags": [{"Key": "env", "Value": "test"}]}
    accounts.organizations.tag_resource(**params)
    accounts.settle(accounts.event("TagResource", params))
    assert accounts.held() == set()
    params["Tags"] = [{"Key": "env", "Value": "prod"}]
    accounts.organizations.tag_resource(**params)
    accounts.settle(accounts.event("TagResource", params))
    assert accounts.held() == {AUDITORS}


# Account Factory's first user


@pytest.fixture
def factory(workloads: Accounts) -> Accounts:
    """Control Tower's own permission set, given to the account's first user."""
    arn = workloads.center.permission_set("AWSAdministratorAccess")
    workloads.sets["AWSAdministratorAccess"] = arn
    workloads.groups["first-user"] = workloads.center.user("first-user")
    workloads.center.assigned(arn, "USER", workloads.groups["first-user"])
    return workloads


FIRST = ("first-user", "AWSAdministratorAccess")


def test_first_user_goes_once_the_baseline_is_in_place_and_the_grace_is_over(
    factory: Accounts,
) -> None:
    began = factory.world.now
    factory.settle(factory.enrolled())
    assert factory.held() == {DEVELOPERS, AUDITORS, EVERYBODY}
    assert factory.world.now - began >= timedelta(minutes=60)
    (found,) = factory.found(FIRST_USER)
    assert found.state is State.ACTED
    world = factory.world
    releasing.release(
        found, by="jane", reason="needs it", days=7, services=world.services, now=world.now
    )
    factory.follow()
    assert FIRST in factory.held()


def test_first_user_stays_while_the_baseline_is_not_in_place(factory: Accounts) -> None:
    factory.center.behaviour.refuse("CreateAccountAssignment", "AccessDeniedException", times=9999)
    factory.settle(factory.enrolled())
    assert factory.held() == {FIRST}
    (found,) = factory.found(FIRST_USER)
    assert found.state is State.OPEN
    assert factory.missing().state is State.FAILED


def test_first_user_stays_where_no_baseline_wants_anything(factory: Accounts) -> None:
    factory.settings(
        {"elsewhere": factory.baseline(DEVELOPERS, accounts=[{"unit": factory.sandbox}])}
    )
    factory.settle(factory.enrolled())
    assert factory.held() == {FIRST}


# Exempt


def test_exempt_account_is_recorded_and_left(workloads: Accounts) -> None:
    accepted = workloads.world.ledger.accepted()
    assert accepted is not None
    exemption = {
        "owner": "jane@example.com",
        "reason": "is taken apart",
        "ticket": "OPS-1",
        "until": (workloads.world.now + timedelta(days=9)).isoformat(),
        "rules": [MISSING],
        "account": workloads.world.member,
        "unique_id": f"{workloads.world.member}/access",
    }
    workloads.settings(accepted.baselines, exemptions={"taken-apart": exemption})
    workloads.settle(workloads.enrolled())
    assert workloads.held() == set()


def _notices(accounts: Accounts) -> str:
    return json.dumps([it.title for it in accounts.world.untold() if isinstance(it, Notice)])


# Somebody else disagrees


def test_what_people_say_of_a_finding_is_no_time_that_access_was_given(
    workloads: Accounts,
) -> None:
    workloads.settle(workloads.enrolled())
    for _ in range(3):
        workloads.world.later(seconds=60)
        record = workloads.missing()
        seen = planner.acknowledged(record, by="ana", note="", now=workloads.world.now)
        workloads.world.ledger.finish(seen, replacing=record)
        workloads.settle(workloads.unassign(*DEVELOPERS))
    assert DEVELOPERS in workloads.held()
    assert workloads.missing().state is State.ACTED


def test_access_that_somebody_takes_away_each_time_is_given_back_five_times_an_hour(
    workloads: Accounts,
) -> None:
    workloads.settle(workloads.enrolled())
    for _ in range(8):
        workloads.world.later(seconds=60)
        workloads.settle(workloads.unassign(*DEVELOPERS))
        if DEVELOPERS not in workloads.held():
            break
    record = workloads.missing()
    assert (record.state, record.episode) == (State.OPEN, 1 + 5 + 1)
    assert record.held is not None
    assert "somebody else disagrees" in record.held
    assert record.untold is not None
    workloads.deliver(workloads.enrolled())
    assert DEVELOPERS not in workloads.held()
    workloads.world.later(hours=1)
    workloads.settle(workloads.enrolled())
    assert DEVELOPERS in workloads.held()
