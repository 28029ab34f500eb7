"""A sweep of Identity Center: what it reads, what it costs, and what it has looked at."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keyward.centersweep import Phase, Way
from keyward.events import SweepPart, SweepStep, sweep_message
from keyward.findings import FindingRecord, State
from keyward.sweep import IDENTITY_CENTER, ScimToken, Swept
from tests.faults.estate import Crash
from tests.faults.holdings import ADMIN, GUARD, Guard, a_guard
from tests.flow.world import HUB

USER = "idc-assignment-to-user"
RESTRICTED = "idc-admin-assignment-restricted"
STALE_SETS = "idc-permission-set-not-provisioned"
UNLISTED = "idc-permission-set-unlisted"
DELETED = "idc-permission-set-deleted"
SCIM = "idc-scim-token-changed"
MANY = 200
QUIET: dict[str, Any] = {UNLISTED: {"max_sets": 3500}}


def fill(guard: Guard, *, accounts: int, sets: int, groups: int, users: int, wide: int) -> None:
    """Each group holds one set in `wide` accounts; each user is in one group; three hold more."""
    estate = guard.holdings
    numbers = [estate.account() for _ in range(accounts)]
    arns = [estate.permission_set(f"Set{number}") for number in range(sets)]
    ids = [estate.group(f"Group{number}") for number in range(groups)]
    for number, group in enumerate(ids):
        for account in estate.random.sample(numbers, min(wide, accounts)):
            estate.hold(account, arns[number % sets], group)
    for number in range(users):
        estate.user(f"user{number}", ids[number % groups])
    for user in list(estate.users.values())[:3]:
        estate.assign(numbers[0], arns[0], user)


def small() -> Guard:
    """Two accounts, two sets, a group that holds both sets in both, and a user in it."""
    guard = a_guard()
    fill(guard, accounts=2, sets=2, groups=2, users=0, wide=2)
    guard.holdings.user("jane", *guard.holdings.groups.values())
    return guard


def assign(guard: Guard, user: str = "jane", name: str = "Set0") -> str:
    """Somebody assigns a person directly in the first account, and no event tells."""
    estate = guard.holdings
    account = next(iter(estate.accounts))
    estate.assign(account, estate.sets[name], estate.users[user])
    return account


def unassign(guard: Guard, user: str = "jane", name: str = "Set0") -> None:
    estate = guard.holdings
    estate.unassign(next(iter(estate.accounts)), estate.sets[name], estate.users[user])


def found(guard: Guard, rule: str) -> FindingRecord:
    (record,) = [it for it in guard.findings() if rule in {it.rule, *it.also}]
    return record


def what(guard: Guard) -> list[dict[str, str]]:
    """What was looked at, and nothing else of the checks."""
    return [check["parameters"] for check in guard.checks]


# What it costs


def test_nothing_at_all_is_read_to_its_end() -> None:
    guard = a_guard()
    assert guard.sweep().ok
    assert guard.held() == set()


SIZES = {
    12: {"sets": 6, "groups": 8, "users": 20, "wide": 5},
    100: {"sets": 10, "groups": 30, "users": 150, "wide": 60},
    1000: {"sets": 20, "groups": 60, "users": 600, "wide": 40},
}


@pytest.mark.parametrize("accounts", SIZES)
@pytest.mark.parametrize("more_users", [1, 10])
def test_a_full_sweep_costs_little_more_than_it_must(accounts: int, more_users: int) -> None:
    guard = a_guard()
    size = dict(SIZES[accounts])
    size["users"] *= more_users
    fill(guard, accounts=accounts, **size)
    swept = guard.sweep()
    way = guard.state().way
    assert way is not None
    least = guard.holdings.least_calls(way.value)
    print(  # noqa: T201 - the figures are what people want of it
        f"{accounts} accounts, {size['users']} users: {way}, {swept.calls} calls, "
        f"at least {least}: x{swept.calls / least:.3f}, {guard.steps} steps"
    )
    assert guard.held() == guard.holdings.everything()
    assert swept.calls <= 1.25 * least
    assert guard.longest <= timedelta(seconds=55)
    assert guard.services.slow_table.largest < 400_000


def test_what_it_says_it_cost_is_what_it_cost() -> None:
    guard = a_guard()
    fill(guard, accounts=12, sets=6, groups=8, users=20, wide=5)
    guard.settings(rules={rule.id: {"mode": "off"} for rule in GUARD})
    swept = guard.sweep()
    assert swept.calls == sum(guard.holdings.calls.values())


def test_ten_times_as_much_costs_ten_times_as_much() -> None:
    costs = []
    for times in (1, 10):
        guard = a_guard()
        fill(guard, accounts=20 * times, sets=5, groups=10 * times, users=100 * times, wide=5)
        costs.append(guard.sweep().calls)
    assert costs[1] <= 10 * costs[0]


def test_the_ways_are_chosen_by_what_is_there() -> None:
    few_people = a_guard()
    fill(few_people, accounts=50, sets=5, groups=5, users=10, wide=50)
    few_people.sweep()
    assert few_people.state().way is Way.BY_PRINCIPAL
    many_people = a_guard()
    fill(many_people, accounts=5, sets=2, groups=2, users=300, wide=5)
    many_people.sweep()
    assert many_people.state().way is Way.BY_ACCOUNT
    assert many_people.holdings.calls["ListUsers"] <= 2 * 3


def test_it_changes_over_where_what_groups_hold_makes_peoples_lists_long() -> None:
    """People in a group that holds five sets in forty accounts: each has two pages, not one."""
    guard = a_guard()
    estate = guard.holdings
    arns = [estate.permission_set(f"Set{number}") for number in range(5)]
    group = estate.group("Everybody")
    for _ in range(40):
        account = estate.account()
        for arn in arns:
            estate.hold(account, arn, group)
    for number in range(120):
        estate.user(f"user{number}", group)
    assign(guard, "user7")
    swept = guard.sweep()
    assert guard.state().changed_over
    assert guard.state().way is Way.BY_ACCOUNT
    assert guard.held() == estate.everything()
    assert swept.calls <= 1.25 * estate.least_calls("by account")


@st.composite
def estates(draw: st.DrawFn) -> dict[str, Any]:
    counts = st.integers(min_value=0, max_value=6)
    return {
        "seed": draw(st.integers(min_value=0, max_value=2**32)),
        "accounts": draw(counts) + 1,
        "sets": draw(counts) + 1,
        "groups": draw(counts),
        "users": draw(counts),
        "assignments": draw(st.integers(min_value=0, max_value=60)),
    }


def a_random_guard(shape: dict[str, Any], page_size: int) -> Guard:
    guard = a_guard()
    estate, chance = guard.holdings, random.Random(shape["seed"])
    estate.pages_of = page_size
    accounts = [estate.account() for _ in range(shape["accounts"])]
    arns = [estate.permission_set(f"Set{number}") for number in range(shape["sets"])]
    groups = [estate.group(f"Group{number}") for number in range(shape["groups"])]
    users = [
        estate.user(f"user{number}", *chance.sample(groups, chance.randint(0, len(groups))))
        for number in range(shape["users"])
    ]
    for _ in range(shape["assignments"] if groups or users else 0):
        principal = chance.choice([*groups, *users])
        give = estate.hold if principal in groups else estate.assign
        give(chance.choice(accounts), chance.choice(arns), principal)
    return guard


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(shape=estates(), page_size=st.sampled_from([1, 3, 100]))
def test_both_ways_see_the_same(shape: dict[str, Any], page_size: int) -> None:
    seen = []
    for way in Way:
        guard = a_random_guard(shape, page_size)
        guard.forced = way
        assert guard.sweep().ok
        assert guard.state().way is way
        seen.append(guard.held())
        assert guard.held() == guard.holdings.everything()
    assert seen[0] == seen[1]


# What it has looked at


def test_what_no_event_told_of_is_found() -> None:
    guard = small()
    account = assign(guard)
    guard.sweep()
    record = found(guard, USER)
    assert (record.account, record.state) == (account, State.OPEN)
    assert record.evidence.actor == "Keyward"
    assert "jane" in record.subject


def test_what_is_known_and_unchanged_is_not_looked_at_again() -> None:
    guard = small()
    assign(guard)
    guard.sweep("first")
    told = found(guard, USER)
    guard.checks.clear()
    assert guard.sweep("second").suspected == 0
    assert guard.checks == []
    assert found(guard, USER) == told


def test_a_full_sweep_looks_at_it_again_and_tells_nothing_new() -> None:
    guard = small()
    assign(guard)
    guard.sweep("first")
    told = found(guard, USER)
    guard.sweep("second", full=True)
    assert len(guard.checks) == 2
    after = found(guard, USER)
    assert (after.state, after.episode, after.untold) == (State.OPEN, 1, told.untold)


def test_what_is_gone_by_the_next_sweep_is_resolved() -> None:
    guard = small()
    assign(guard)
    guard.sweep("first")
    unassign(guard)
    guard.sweep("second")
    assert found(guard, USER).state is State.RESOLVED


def test_what_is_back_after_that_is_news() -> None:
    guard = small()
    assign(guard)
    guard.sweep("first")
    unassign(guard)
    guard.sweep("second")
    assign(guard)
    guard.sweep("third")
    assert (found(guard, USER).state, found(guard, USER).episode) == (State.OPEN, 2)


def test_since_when_it_is_so_the_sweep_before_tells() -> None:
    guard = small()
    assign(guard)
    guard.sweep("first")
    began = guard.state("first").started_at
    assign(guard, name="Set1")
    guard.sweep("second")
    checked = {it["permissionSetArn"]: it.get("since") for it in what(guard)}
    assert checked == {
        guard.holdings.sets["Set0"]: None,
        guard.holdings.sets["Set1"]: began.isoformat(),
    }


def test_what_the_sweep_before_saw_and_nobody_minded_is_not_new() -> None:
    guard = small()
    guard.settings(rules=QUIET | {USER: {"mode": "off"}})
    assign(guard)
    guard.sweep("first")
    assert guard.findings() == []
    guard.settings()
    guard.sweep("second")
    assert [it.get("since") for it in what(guard)] == [None]


def test_after_a_sweep_that_could_not_see_all_nothing_is_new() -> None:
    guard = small()
    guard.holdings.refuses[guard.holdings.sets["Set1"]] = "AccessDeniedException"
    assert not guard.sweep("first").ok
    guard.holdings.refuses.clear()
    assign(guard)
    guard.sweep("second")
    assert [it.get("since") for it in what(guard)] == [None]


def test_what_an_exemption_covers_is_recorded_once_and_told_to_nobody() -> None:
    guard = small()
    account = assign(guard)
    arn, jane = guard.holdings.sets["Set0"], guard.holdings.users["jane"]
    exemption = {
        "owner": "platform@example.com",
        "reason": "break-glass",
        "ticket": "SEC-1",
        "until": guard.services.clock() + timedelta(days=30),
        "account": account,
        "unique_id": f"{arn}/USER/{jane}",
        "rules": [USER],
    }
    guard.settings(exemptions={"break-glass": exemption})
    guard.sweep("first")
    assert found(guard, USER).state is State.EXEMPT
    guard.sweep("second")
    assert len(guard.checks) == 1
    guard.settings()
    guard.sweep("third")
    assert found(guard, USER).state is State.OPEN


def test_a_mode_that_is_off_finds_nothing_and_asks_nothing_about_what_it_found() -> None:
    guard = small()
    assign(guard)
    guard.sweep("first")
    guard.settings(rules=QUIET | {USER: {"mode": "off"}})
    guard.checks.clear()
    unassign(guard)
    guard.sweep("second")
    assert guard.checks == []
    assert found(guard, USER).state is State.OPEN


@pytest.mark.parametrize("group_is_named", [False, True])
def test_administrators_in_reserved_accounts_are_found(*, group_is_named: bool) -> None:
    guard = small()
    estate = guard.holdings
    account, other = estate.accounts
    group = estate.groups["Group0"]
    estate.managed[estate.sets["Set0"]] = [ADMIN]
    allowed = [group] if group_is_named else []
    guard.settings(
        rules=QUIET
        | {
            RESTRICTED: {"accounts": [account], "allowed_principals": allowed},
            "idc-permission-set-admin-equivalent": {"mode": "off"},
        }
    )
    guard.sweep()
    records = [it for it in guard.findings() if it.rule == RESTRICTED]
    assert [(it.account, it.unique_id) for it in records] == (
        [] if group_is_named else [(account, f"{estate.sets['Set0']}/GROUP/{group}")]
    )
    assert other not in {it["accountId"] for it in what(guard)}


def test_a_reserved_unit_is_known_by_a_walk_through_the_units() -> None:
    guard = a_guard()
    estate = guard.holdings
    production = estate.unit("Production")
    below = estate.unit("Payments", production)
    arn, group = estate.permission_set("Admin"), estate.group("Admins")
    estate.managed[arn] = [ADMIN]
    inside, outside = estate.account(below), estate.account()
    for account in (inside, outside):
        estate.hold(account, arn, group)
    off = {"idc-permission-set-admin-equivalent": {"mode": "off"}}
    guard.settings(rules=QUIET | off | {RESTRICTED: {"organizational_units": [production]}})
    guard.sweep()
    assert [it["accountId"] for it in what(guard)] == [inside]
    assert found(guard, RESTRICTED).account == inside


def test_very_many_are_found_without_a_line_at_the_bucket() -> None:
    guard = a_guard()
    estate = guard.holdings
    account, arn = estate.account(), estate.permission_set("Set0")
    for number in range(MANY):
        estate.assign(account, arn, estate.user(f"user{number}"))
    guard.sweep()
    assert len([it for it in guard.findings(State.OPEN) if it.rule == USER]) == MANY
    assert guard.crashes == 0
    assert guard.services.queue.dead == []


# Permission sets


def test_a_set_of_which_accounts_hold_an_older_version_is_found_and_resolved() -> None:
    guard = small()
    estate = guard.holdings
    arn = estate.sets["Set1"]
    estate.stale[arn] = [next(iter(estate.accounts))]
    guard.sweep("first")
    assert found(guard, STALE_SETS).unique_id == arn
    guard.checks.clear()
    guard.sweep("second")
    assert guard.checks == []
    estate.stale.clear()
    guard.sweep("third")
    assert what(guard) == [{"permissionSetArn": arn}]
    assert found(guard, STALE_SETS).state is State.RESOLVED


def test_that_more_accounts_hold_an_older_version_is_news() -> None:
    guard = small()
    estate = guard.holdings
    first, second = estate.accounts
    estate.stale[estate.sets["Set1"]] = [first]
    guard.sweep("first")
    estate.stale[estate.sets["Set1"]] = [first, second]
    guard.sweep("second")
    record = found(guard, STALE_SETS)
    assert record.episode == 2
    assert set(record.details) == {first, second}


def test_too_many_sets_are_one_finding_about_one_that_is_not_of_the_catalogue() -> None:
    guard = small()
    catalogue = {"Set1": {"description": "Builds", "managed_policies": [], "session_hours": 1}}
    off = {rule.id: {"mode": "off"} for rule in GUARD if rule.id != UNLISTED}
    guard.settings(
        rules=off | {UNLISTED: {"max_sets": 1, "known": ["Set0"]}}, permission_sets=catalogue
    )
    guard.sweep("first")
    guard.sweep("second")
    record = found(guard, UNLISTED)
    assert record.unique_id == guard.holdings.sets["Set0"]
    assert record.reason.endswith("is one of 2, more than 1")
    assert len(guard.checks) == 1


def test_a_set_of_the_catalogue_that_is_missing_is_looked_for_once() -> None:
    guard = small()
    off = {rule.id: {"mode": "off"} for rule in GUARD if rule.id != DELETED}
    catalogue = {"Gone": {"description": "Builds", "managed_policies": [], "session_hours": 1}}
    guard.settings(rules=off, permission_sets=catalogue)
    guard.sweep("first")
    guard.sweep("second")
    assert what(guard) == [{"permissionSetName": "Gone"}]
    assert found(guard, DELETED).state is State.OPEN
    guard.holdings.permission_set("Gone")
    guard.sweep("third")
    assert found(guard, DELETED).state is State.RESOLVED


# Tokens


def token_records(guard: Guard) -> list[tuple[str, State]]:
    records = [it for it in guard.findings() if it.rule == SCIM]
    return sorted((it.reason.partition(",")[0][-7:], it.state) for it in records)


def test_an_old_token_is_told_of_once_in_each_stage() -> None:
    guard = a_guard()
    clock = guard.services.clock
    token = ScimToken(id="token-1", made_at=clock() - timedelta(days=334))
    guard.services.ledger.scim_token_made(token)
    guard.sweep("one")
    assert guard.findings() == []
    clock.sleep(86400)
    guard.sweep("two")
    (aging,) = guard.findings()
    assert aging.state is State.OPEN
    guard.sweep("three", full=True)
    assert guard.findings() == [aging]
    clock.sleep(30 * 86400)
    guard.sweep("four")
    states = {it.key: it.state for it in guard.findings()}
    (ended,) = (it for it in guard.findings() if it.key != aging.key)
    assert states == {aging.key: State.RESOLVED, ended.key: State.OPEN}
    assert "has ended" in ended.reason
    guard.services.ledger.scim_token_gone("token-1")
    guard.sweep("five")
    assert {it.state for it in guard.findings()} == {State.RESOLVED}


def test_what_events_told_of_tokens_stays_open() -> None:
    guard = a_guard()
    guard.deliver(json.dumps(a_token_event("CreateBearerToken", guard)))
    (record,) = guard.findings()
    guard.sweep()
    assert guard.findings() == [record]


def a_token_event(name: str, guard: Guard, **parameters: str) -> dict[str, Any]:
    detail = {
        "eventID": f"{name}-1",
        "eventSource": "sso-directory.amazonaws.com",
        "eventName": name,
        "eventTime": guard.services.clock().isoformat(),
        "awsRegion": "us-east-1",
        "recipientAccountId": HUB,
        "requestParameters": {"tenantId": "tenant-1", "tokenId": "token-1"} | parameters,
    }
    return {"account": HUB, "source": "aws.sso-directory", "detail": detail}


def test_tokens_are_remembered_by_their_events() -> None:
    guard = a_guard()
    ledger = guard.services.ledger
    made_at = guard.services.clock()
    guard.deliver(json.dumps(a_token_event("CreateBearerToken", guard)))
    assert ledger.scim_tokens() == [ScimToken(id="token-1", made_at=made_at)]
    guard.deliver(json.dumps(a_token_event("DeleteBearerToken", guard)))
    assert ledger.scim_tokens() == []
    guard.deliver(json.dumps(a_token_event("CreateBearerToken", guard)))  # it comes once more
    assert ledger.scim_tokens() == []


def test_where_events_do_not_name_tokens_the_oldest_goes_first() -> None:
    guard = a_guard()
    ledger = guard.services.ledger
    times = []
    for number in range(2):
        event = a_token_event("CreateBearerToken", guard)
        del event["detail"]["requestParameters"]["tokenId"]
        event["detail"]["eventID"] = f"create-{number}"
        times.append(guard.services.clock())
        guard.deliver(json.dumps(event))
        guard.services.clock.sleep(60)
    assert sorted(it.made_at for it in ledger.scim_tokens()) == times
    event = a_token_event("DeleteBearerToken", guard)
    del event["detail"]["requestParameters"]["tokenId"]
    guard.deliver(json.dumps(event))
    assert [it.made_at for it in ledger.scim_tokens()] == times[1:]


def test_with_the_tenant_all_tokens_go() -> None:
    guard = a_guard()
    for token in ("token-1", "token-2"):
        guard.deliver(json.dumps(a_token_event("CreateBearerToken", guard, tokenId=token)))
    assert len(guard.services.ledger.scim_tokens()) == 2
    guard.deliver(json.dumps(a_token_event("DeleteProvisioningTenant", guard)))
    assert guard.services.ledger.scim_tokens() == []


def test_a_failed_call_makes_no_token() -> None:
    guard = a_guard()
    event = a_token_event("CreateBearerToken", guard)
    event["detail"]["errorCode"] = "AccessDenied"
    guard.deliver(json.dumps(event))
    assert guard.services.ledger.scim_tokens() == []


# Accounts and their baselines


def baseline_checks(guard: Guard) -> list[tuple[str, dict[str, str]]]:
    bodies = [json.loads(it[2]) for it in guard.services.baselines.messages]
    return [(body["why"], body["parameters"]) for body in bodies]


def with_baseline(**changes: Any) -> tuple[Guard, str, str]:
    """Workloads get Set0 for Group0; one account is there, and one in the root has it too."""
    guard = a_guard()
    estate = guard.holdings
    workloads = estate.unit("Workloads")
    inside, outside = estate.account(workloads), estate.account()
    arn, group = estate.permission_set("Set0"), estate.group("Group0")
    other = estate.permission_set("Set1")
    for account in (inside, outside):
        estate.hold(account, arn, group)
        estate.hold(account, other, group)
    wanted = [{"group": "Group0", "permission_set": "Set0"}]
    baseline = {"accounts": [{"unit": workloads}], "assignments": wanted} | changes
    guard.settings(baselines={"workloads": baseline})
    return guard, inside, outside


def test_what_a_baseline_wants_elsewhere_only_is_looked_at_by_account_baseline() -> None:
    guard, _, outside = with_baseline()
    guard.sweep()
    assert baseline_checks(guard) == [("Sweep", {"account": outside})]
    assert guard.checks == []


def test_an_exclusive_baseline_has_more_looked_at() -> None:
    guard, inside, outside = with_baseline(exclusive=True)
    accepted = guard.services.ledger.accepted()
    assert accepted is not None
    catalogue = {"Set1": {"description": "Builds", "managed_policies": [], "session_hours": 1}}
    guard.settings(baselines=accepted.baselines, permission_sets=catalogue)
    guard.sweep()
    accounts = [parameters["account"] for _, parameters in baseline_checks(guard)]
    assert sorted(accounts) == sorted([inside, outside])


def test_where_a_name_is_unknown_nothing_is_stale() -> None:
    wanted = [
        {"group": "Group0", "permission_set": "Set0"},
        {"group": "Nobody", "permission_set": "Set0"},
    ]
    guard, _, _ = with_baseline(assignments=wanted)
    guard.sweep()
    assert baseline_checks(guard) == []


def test_tags_are_asked_for_only_where_they_decide() -> None:
    guard, inside, outside = with_baseline()
    guard.holdings.tags = {outside: {"env": "prod"}}
    wanted = [{"group": "Group0", "permission_set": "Set0"}]
    selectors = [{"tags": {"env": "prod"}}, {"ids": [inside]}]
    baseline = {"accounts": selectors, "assignments": wanted}
    guard.settings(baselines={"workloads": baseline})
    guard.holdings.calls.clear()
    guard.sweep()
    assert baseline_checks(guard) == []
    guard.holdings.tags = {}
    guard.sweep("second")
    assert baseline_checks(guard) == [("Sweep", {"account": outside})]


def test_no_baseline_no_walk() -> None:
    guard = small()
    guard.sweep()
    assert guard.holdings.calls["ListAccountsForParent"] == 0


def first_user() -> tuple[Guard, str]:
    """Account Factory's first user still holds AWSAdministratorAccess in an account."""
    guard, inside, outside = with_baseline()
    guard.holdings.unhold(outside, "Set0", "Group0")
    arn = guard.holdings.permission_set("AWSAdministratorAccess")
    guard.holdings.assign(inside, arn, guard.holdings.user("jane"))
    return guard, inside


def test_account_factorys_first_user_is_looked_at_once_the_first_days_are_over() -> None:
    guard, account = first_user()
    guard.sweep()
    finished = datetime(2024, 1, 1, tzinfo=UTC).isoformat()
    assert baseline_checks(guard) == [("GraceOver", {"account": account, "finished": finished})]


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "off"},
        {"permission_sets": ["AWSPowerUserAccess"]},
        {"grace_minutes": 7 * 24 * 60},
    ],
)
def test_but_not_before_and_not_where_settings_say_so(changes: dict[str, Any]) -> None:
    guard, account = first_user()
    accepted = guard.services.ledger.accepted()
    assert accepted is not None
    guard.holdings.joined[account] = guard.services.clock() - timedelta(days=1)
    guard.settings(
        rules=QUIET | {"account-factory-user-assignment": changes}, baselines=accepted.baselines
    )
    guard.sweep()
    assert baseline_checks(guard) == []


# What goes wrong


def test_a_set_that_cannot_be_read_is_said_and_the_rest_is_read() -> None:
    guard = small()
    assign(guard)
    guard.sweep("first")
    estate = guard.holdings
    estate.refuses[estate.sets["Set0"]] = "AccessDeniedException"
    swept = guard.sweep("second")
    assert not swept.ok
    assert swept.why is not None
    assert "AccessDeniedException" in swept.why
    assert found(guard, USER).state is State.OPEN
    arns = {held[1] for held in guard.held("second")}
    assert estate.sets["Set1"] in arns
    guard.sweep("third")
    (told,) = guard.notices()
    assert "AccessDeniedException" in told.text


def test_a_principal_that_cannot_be_read_is_not_taken_for_one_that_holds_nothing() -> None:
    guard = small()
    assign(guard)
    guard.sweep("first")
    estate = guard.holdings
    guard.forced = Way.BY_PRINCIPAL
    estate.refuses[estate.users["jane"]] = "AccessDeniedException"
    assert not guard.sweep("second").ok
    assert found(guard, USER).state is State.OPEN


def test_a_key_that_is_out_of_reach_ends_the_sweep_and_says_so() -> None:
    guard = small()
    assign(guard)
    guard.sweep("first")
    guard.holdings.refuses["ListPermissionSets"] = "AccessDeniedException"
    swept = guard.sweep("second")
    assert not swept.ok
    assert "AccessDeniedException" in (swept.why or "")
    assert found(guard, USER).state is State.OPEN


def test_where_nearly_nothing_can_be_read_it_does_not_go_on_for_ever() -> None:
    guard = a_guard()
    fill(guard, accounts=100, sets=2, groups=2, users=80, wide=100)
    guard.forced = Way.BY_PRINCIPAL
    guard.holdings.refuses["ListAccountAssignmentsForPrincipal"] = "AccessDeniedException"
    swept = guard.sweep()
    assert not swept.ok
    assert guard.holdings.calls["ListAccountAssignmentsForPrincipal"] <= 51


def test_where_people_cannot_be_listed_it_reads_by_account() -> None:
    guard = small()
    guard.holdings.refuses["ListUsers"] = "AccessDeniedException"
    swept = guard.sweep()
    assert guard.state().way is Way.BY_ACCOUNT
    assert guard.held() == guard.holdings.everything()
    assert not swept.ok


def test_a_set_that_goes_meanwhile_is_no_trouble() -> None:
    guard = small()
    estate = guard.holdings
    gone = estate.permission_set("Gone")

    def goes(operation: str, _asked: dict[str, Any]) -> None:
        if operation == "DescribePermissionSet":
            estate.sets.pop("Gone", None)

    estate.before = goes
    assert guard.sweep().ok
    assert gone not in {it.arn for it in guard.state().sets if it.name is not None}


@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize("after", [False, True])
def test_whichever_call_kills_it_the_sweep_is_taken_up(way: Way, *, after: bool) -> None:
    guard = small()
    guard.forced = way
    account = assign(guard)
    guard.sweep("whole")
    calls = sum(guard.holdings.calls.values())
    for number in range(0, calls, 3):
        guard = small()
        guard.forced = way
        assert assign(guard) == account
        crash_at_call(guard, number, after=after)
        guard.sweep()
        assert guard.held() == guard.holdings.everything()
        assert found(guard, USER).state is State.OPEN
        assert guard.services.queue.dead == []


def crash_at_call(guard: Guard, number: int, *, after: bool) -> None:
    left = [number]

    def dies(_operation: str, _asked: dict[str, Any]) -> None:
        left[0] -= 1
        if left[0] == -1:
            raise Crash

    if after:
        guard.holdings.after = dies
    else:
        guard.holdings.before = dies


@pytest.mark.parametrize("after", [False, True])
def test_whichever_write_kills_it_the_sweep_is_taken_up(*, after: bool) -> None:
    guard = small()
    assign(guard)
    before = guard.services.slow_table.writes
    guard.sweep()
    writes = guard.services.slow_table.writes - before
    for number in range(writes):
        guard = small()
        assign(guard)
        guard.services.slow_table.crash_at(number, after=after)
        guard.sweep()
        assert guard.crashes == 1
        assert guard.held() == guard.holdings.everything()
        assert found(guard, USER).episode == 1
        assert found(guard, USER).state is State.OPEN
        assert guard.services.queue.dead == []


def test_throttling_puts_it_off_and_loses_nothing() -> None:
    guard = small()
    assign(guard)
    chance = random.Random(7)

    def throttles(operation: str, _asked: dict[str, Any]) -> None:
        if chance.random() < 0.05:
            raise guard.holdings.error("ThrottlingException", operation)

    guard.holdings.before = throttles
    swept = guard.sweep()
    assert swept.ok
    assert guard.holdings.refused["ThrottlingException"] > 0
    assert guard.held() == guard.holdings.everything()
    assert found(guard, USER).state is State.OPEN


def test_what_is_throttled_for_half_an_hour_is_left_out_and_said() -> None:
    guard = small()
    guard.holdings.refuses[guard.holdings.sets["Set1"]] = "ThrottlingException"
    swept = guard.sweep()
    assert not swept.ok
    assert "ThrottlingException" in (swept.why or "")
    assert guard.services.queue.dead == []


def test_a_sweep_that_gets_nowhere_ends_when_the_next_one_begins() -> None:
    guard = small()
    guard.holdings.refuses["ListPermissionSets"] = "ThrottlingException"
    began = guard.services.clock()
    assert not guard.sweep().ok
    assert timedelta(hours=5) < guard.services.clock() - began < timedelta(hours=5, minutes=10)


def test_a_message_that_comes_twice_or_late_changes_nothing() -> None:
    guard = small()
    first = sweep_message(SweepStep(id="sweep-1", part=SweepPart.IDENTITY_CENTER))
    guard.deliver(first)
    done = guard.state()
    assert done.phase is Phase.DONE
    swept = guard.services.ledger.seen_by("sweep-1")
    calls = sum(guard.holdings.calls.values())
    guard.deliver(first)
    assert guard.state().version == done.version
    assert guard.services.ledger.seen_by("sweep-1") == swept
    assert sum(guard.holdings.calls.values()) == calls


def test_while_somebody_is_at_it_another_message_is_let_be() -> None:
    guard = a_guard()
    fill(guard, accounts=100, sets=10, groups=30, users=600, wide=60)
    first = sweep_message(SweepStep(id="sweep-1", part=SweepPart.IDENTITY_CENTER))
    guard.deliver(first)
    under_way = guard.state()
    assert under_way.phase is not Phase.DONE
    guard.deliver(first)
    assert guard.state().version == under_way.version
    guard.follow()
    assert guard.state().phase is Phase.DONE
    assert guard.held() == guard.holdings.everything()


def test_what_another_sweep_says_of_other_accounts_is_none_of_its_business() -> None:
    guard = small()
    ledger = guard.services.ledger
    ledger.saw(Swept(sweep="older", account=IDENTITY_CENTER, at=guard.services.clock()))
    assign(guard)
    guard.sweep()
    assert [it.get("since") for it in what(guard)] == [None]


# What it leaves behind


def test_the_inventory_has_who_holds_what_by_name() -> None:
    guard = small()
    account = assign(guard)
    guard.sweep("20261120T090000")
    buckets = guard.services.buckets
    assert set(buckets.objects) == {
        f"inventory/20261120T090000/identity-center/{name}.jsonl"
        for name in ("0", "1", "exemptions")
    }
    lines = buckets.lines()
    sets = [it for it in lines if it["kind"] == "permission-set"]
    assert {it["name"] for it in sets} == {"Set0", "Set1"}
    held = [it for it in lines if it["kind"] == "assignment"]
    assert len(held) == len(guard.holdings.everything())
    assert {
        "kind": "assignment",
        "account": account,
        "permission_set": "Set0",
        "permission_set_arn": guard.holdings.sets["Set0"],
        "principal_type": "USER",
        "principal_id": guard.holdings.users["jane"],
        "principal": "jane",
    } in held


@pytest.mark.parametrize("way", Way)
def test_both_ways_leave_names(way: Way) -> None:
    guard = small()
    guard.forced = way
    assign(guard)
    guard.sweep()
    assert {it.name for it in guard.state().holders} == {"Group0", "Group1", "jane"}


def test_without_a_bucket_there_is_no_inventory() -> None:
    guard = small()
    guard.services.__dict__["inventory"] = None
    assert guard.sweep().ok
    assert guard.services.buckets.objects == {}
