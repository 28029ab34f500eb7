"""What can go wrong, and what must then happen: rows of failure-modes.md, by their numbers.

Row 6-8 and 12 have tests of their own elsewhere: the matrix of faults, and text.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest

from keyward import operating, rules, settling
from keyward.actions import DENY_ALL_ARN, MARKER_TAG, QUARANTINE_GROUP
from keyward.errors import EventError, GatewayError
from keyward.findings import Notice, Severity, State
from tests.faults.injection import Crash, LastingClients, iam_writes
from tests.faults.observing import alerts, delivered
from tests.faults.scenarios import USER, a_key, a_password, a_user, contained
from tests.flow.world import HUB, REGION, World, an_administrator, aws_error

Event = dict[str, Any]
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"


def failing(*operations: str, code: str = "AccessDenied", status: int = 403) -> Any:
    """A fault: these operations are refused, whenever they are called."""

    def fault(operation: str, _params: dict[str, Any], call: Callable[[], Any]) -> Any:
        if operation in operations:
            raise aws_error(code, operation, status)
        return call()

    return fault


def answering(operation: str, answer: dict[str, Any]) -> Any:
    """A fault: this operation is answered so, and nothing is called."""

    def fault(called: str, _params: dict[str, Any], call: Callable[[], Any]) -> Any:
        return answer if called == operation else call()

    return fault


def one_at_a_time() -> Any:
    """No fault: moto isn't made for threads, so that each call is one step."""
    lock = threading.Lock()

    def step(_operation: str, _params: dict[str, Any], call: Callable[[], Any]) -> Any:
        with lock:
            return call()

    return step


def states(world: World) -> dict[str, State]:
    return {record.rule: record.state for record in world.findings()}


def exemption(world: World, *, until: Any) -> dict[str, object]:
    """Of the user of the scenarios; by name, since moto's user ids aren't AIDA..."""
    return {
        "owner": "team-data@example.com",
        "reason": "a product that takes no role",
        "ticket": "SEC-1",
        "until": until.isoformat(),
        "account": world.member,
        "user_pattern": USER,
        "signed_by": "ciso@example.com",
        "rules": [rule.id for rule in rules.every()],
    }


# 1: the same event twice, or at the same time


@pytest.mark.parametrize("situation", [a_key, a_user, a_password])
def test_row_1_one_event_at_the_same_time_and_ten_times_again_is_one_act_and_one_alert(
    situation: Callable[[World], dict[str, Any]], world: World
) -> None:
    event = situation(world)["event"]
    world.deliver(world.do("CreateUser", UserName="warm"))  # so that both begin at once
    for item in world.untold():
        world.ledger.told(item)
    starting = threading.Barrier(2)
    failures: list[BaseException] = []

    def deliver() -> None:
        starting.wait()
        try:
            world.deliver(event)
        except GatewayError as error:
            failures.append(error)

    world.fault = one_at_a_time()
    with world.recorded():
        threads = [threading.Thread(target=deliver) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for _ in range(10):
            world.later(minutes=10)
            world.deliver(event)
        calls = list(world.calls)
    world.fault = None
    assert all(isinstance(error, GatewayError) and error.retryable for error in failures)
    writes = Counter(json.dumps([n, p], sort_keys=True) for n, p in iam_writes(calls))
    assert writes
    assert max(writes.values()) == 1, writes
    assert len(alerts(world)) == 1
    assert alerts(world) == []


# 2: out of order; gone before we look


def made_in_order(world: World) -> list[Event]:
    created = world.do("CreateUser", UserName=USER)
    key = world.do("CreateAccessKey", UserName=USER)
    password = world.do("CreateLoginProfile", UserName=USER, Password="Not-a-secret-1")
    policy = world.do("AttachUserPolicy", UserName=USER, PolicyArn=READ_ONLY)
    return [created, key, password, policy]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_row_2_in_any_order_the_end_is_the_same(order: tuple[int, ...], world: World) -> None:
    events = made_in_order(world)
    for index in order:
        world.deliver(events[index])
    assert world.is_denied(USER)
    keys = world.iam().list_access_keys(UserName=USER)["AccessKeyMetadata"]
    assert {key["Status"] for key in keys} == {"Inactive"}
    found = states(world)
    assert found["iam-user-created"] is State.ACTED
    assert found["iam-console-password-set"] is State.ACTED
    assert found["iam-user-policy-attached"] is State.OPEN
    key_finding = world.finding("iam-access-key-created")
    # Either it was deactivated for its own sake, or its user's quarantine came first.
    assert key_finding.state in {State.ACTED, State.RESOLVED}


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)])
def test_row_2_user_who_is_gone_is_recorded_and_the_findings_kept(
    order: tuple[int, ...], world: World
) -> None:
    events = made_in_order(world)
    iam = world.iam()
    iam.detach_user_policy(UserName=USER, PolicyArn=READ_ONLY)
    iam.delete_login_profile(UserName=USER)
    key = events[1]["detail"]["responseElements"]["accessKey"]["accessKeyId"]
    iam.delete_access_key(UserName=USER, AccessKeyId=key)
    iam.delete_user(UserName=USER)
    assert delivered(world, *(events[index] for index in order)) == []
    assert set(states(world).values()) == {State.RESOLVED}
    assert len(world.findings()) == 4


# 3: a name used again by a new user


def used_again(world: World) -> None:
    """The user is gone, and another one has its name."""
    iam = world.iam()
    for key in iam.list_access_keys(UserName=USER)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=USER, AccessKeyId=key["AccessKeyId"])
    for policy in iam.list_attached_user_policies(UserName=USER)["AttachedPolicies"]:
        iam.detach_user_policy(UserName=USER, PolicyArn=policy["PolicyArn"])
    iam.delete_user(UserName=USER)
    iam.create_user(UserName=USER)
    iam.create_access_key(UserName=USER)


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("CreateUser", {}),
        ("CreateLoginProfile", {}),
        ("AttachUserPolicy", {"PolicyArn": READ_ONLY}),
        ("UpdateAccessKey", {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "Status": "Active"}),
        ("DetachUserPolicy", {"PolicyArn": DENY_ALL_ARN}),
    ],
)
def test_row_3_event_about_an_earlier_user_of_the_name_touches_nobody(
    operation: str, params: dict[str, str], world: World
) -> None:
    earlier = world.do("CreateUser", UserName=USER)
    user = {"User": earlier["detail"]["responseElements"]["user"]}
    answer = {"User": {"UserName": USER, "UserId": user["User"]["userId"]}}
    event = world.event(
        operation,
        {"UserName": USER, **params},
        answer if operation == "CreateUser" else {},
        at=world.now - timedelta(minutes=10),
    )
    used_again(world)
    assert delivered(world, event) == []
    assert State.ACTED not in states(world).values()


def test_row_3_containment_of_an_earlier_user_is_not_put_back_on_the_next(world: World) -> None:
    contained(a_user)(world)
    used_again(world)
    event = world.event("DetachUserPolicy", {"UserName": USER, "PolicyArn": DENY_ALL_ARN})
    assert delivered(world, event) == []


def test_row_3_half_done_quarantine_does_not_go_on_with_another_user(world: World) -> None:
    event = a_user(world)["event"]

    def crash(operation: str, _params: dict[str, Any], call: Callable[[], Any]) -> Any:
        if operation == "AttachUserPolicy":
            raise Crash
        return call()

    world.fault = crash
    with pytest.raises(Crash):
        delivered(world, event)
    world.fault = None
    world.restart()
    used_again(world)
    world.later(minutes=10)
    assert delivered(world, event) == []
    assert world.finding("iam-user-created").state is State.RESOLVED
    assert not world.is_denied(USER)


# 4: late or replayed


def test_row_4_replayed_event_of_what_was_put_right_meanwhile_changes_nothing(
    world: World,
) -> None:
    case = a_key(world)
    world.iam().update_access_key(UserName=USER, AccessKeyId=case["keys"][0], Status="Inactive")
    world.later(days=3)
    assert delivered(world, case["event"], case["event"]) == []
    assert states(world) == {"iam-access-key-created": State.RESOLVED}


def test_row_4_replayed_undoing_of_a_containment_that_holds_changes_and_tells_nothing(
    world: World,
) -> None:
    contained(a_user)(world)
    event = world.event("DetachUserPolicy", {"UserName": USER, "PolicyArn": DENY_ALL_ARN})
    world.later(days=3)
    assert delivered(world, event) == []
    assert "iam-quarantine-undone" not in states(world)
    assert world.untold() == []


def test_row_4_replay_after_a_release_changes_nothing(world: World) -> None:
    case = contained(a_key)(world)
    request = {"act": "release", "by": "jane", "finding": case["finding"], "reason": "agreed"}
    assert operating.answer(request, services=world.services, now=world.now)["ok"]
    assert delivered(world, case["event"]) == []
    assert world.key_status(USER, case["keys"][0]) == "Active"


# 9: Lambda times out


def test_row_9_work_resumes_when_the_claim_of_the_dead_worker_ends(world: World) -> None:
    case = a_key(world)

    def killed(operation: str, _params: dict[str, Any], call: Callable[[], Any]) -> Any:
        if operation == "UpdateAccessKey":
            raise Crash
        return call()

    world.fault = killed
    with pytest.raises(Crash):
        delivered(world, case["event"])
    world.fault = None
    world.restart()
    world.later(seconds=60)
    with pytest.raises(GatewayError) as busy:
        delivered(world, case["event"])
    assert busy.value.retryable
    assert world.key_status(USER, case["keys"][0]) == "Active"
    world.later(seconds=60)
    assert len(delivered(world, case["event"])) == 1
    assert world.finding("iam-access-key-created").state is State.ACTED


# 13: not a member, suspended, envelope mismatch, credentials of another account


@pytest.mark.parametrize(
    "fault",
    [
        failing("DescribeAccount", code="AccountNotFoundException", status=400),
        answering("DescribeAccount", {"Account": {"Status": "SUSPENDED"}}),
        answering("DescribeAccount", {"Account": {"State": "PENDING_CLOSURE"}}),
    ],
    ids=["stranger", "suspended", "closing"],
)
def test_row_13_nothing_is_read_or_done_in_an_account_that_is_no_active_member(
    fault: Any, world: World
) -> None:
    event = a_key(world)["event"]
    world.fault = fault
    with world.recorded():
        world.deliver(event)
        world.deliver(event)
        names = {name for name, _ in world.calls}
    assert names <= {"GetItem", "DescribeAccount", "TransactWriteItems"}
    (told,) = world.untold()
    assert isinstance(told, Notice)
    assert (told.kind, told.account) == ("stranger", world.member)


def test_row_13_event_whose_envelope_names_another_account_is_refused(world: World) -> None:
    event = a_key(world)["event"]
    for forged in (
        event | {"account": world.other_member},
        event | {"detail": event["detail"] | {"recipientAccountId": world.other_member}},
    ):
        with world.recorded(), pytest.raises(EventError):
            world.deliver(forged)
        assert world.calls == []


def test_row_13_credentials_of_another_account_are_never_used(world: World) -> None:
    event = a_key(world)["event"]
    world.fault = answering("GetCallerIdentity", {"Account": world.other_member})
    with world.recorded():
        with pytest.raises(GatewayError, match="belong to"):
            world.services.iam(world.member, world.now)
        world.deliver(event)
        names = {name for name, _ in world.calls}
    assert names <= {
        *("GetItem", "DescribeAccount", "AssumeRole", "GetCallerIdentity", "TransactWriteItems")
    }
    finding = world.finding("iam-access-key-created")
    assert finding.state is State.OPEN
    assert "cannot enforce here" in (finding.held or "")


# 15: our own acts come back as events


@pytest.mark.parametrize("situation", [a_key, a_user, a_password])
def test_row_15_what_keyward_does_ends_after_two_invocations_and_is_told_once(
    situation: Callable[[World], dict[str, Any]], world: World
) -> None:
    queue = [situation(world)["event"]]
    wrote = 0
    for _ in range(50):
        if not queue:
            break
        writes = delivered(world, queue.pop(0))
        wrote += bool(writes)
        queue += [by_keyward(world, name, params) for name, params in writes]
    assert not queue, "it never ends"
    assert 1 <= wrote <= 2
    assert len(alerts(world)) == 1


def by_keyward(world: World, operation: str, params: dict[str, Any]) -> Event:
    role = f"arn:aws:iam::{world.member}:role/keyward/keyward-member"
    actor = an_administrator(world.member) | {
        "arn": f"arn:aws:sts::{world.member}:assumed-role/keyward-member/keyward-iam-guard",
        "sessionContext": {"sessionIssuer": {"arn": role, "userName": "keyward-member"}},
    }
    asked = {name: value for name, value in params.items() if name != "_account"}
    return world.event(operation, asked, {}, actor=actor)


# 16: an attacker who undoes it, again and again


def test_row_16_attacker_who_loops_loses_each_time_and_is_told_of(world: World) -> None:
    """Two ways to undo it in turn, as soon as it is put back, from a thread of its own.

    What the guard finds undone while it verifies comes again, as SQS would bring it.
    """
    case = contained(a_user)(world)
    key = case["keys"][0]
    rounds, deliveries = 20, 0
    queue: deque[Event] = deque()

    def is_free() -> bool:
        return not world.is_denied(USER) or world.key_status(USER, key) == "Active"

    def attack() -> None:
        for number in range(rounds):
            if number % 2:
                event = world.do("DetachUserPolicy", UserName=USER, PolicyArn=DENY_ALL_ARN)
            else:
                event = world.do("UpdateAccessKey", UserName=USER, AccessKeyId=key, Status="Active")
            queue.append(event)
            while is_free():
                time.sleep(0.001)

    world.fault = one_at_a_time()
    attacker = threading.Thread(target=attack, daemon=True)
    with world.recorded():
        attacker.start()
        while (attacker.is_alive() or queue) and deliveries < 10 * rounds:
            if not queue:
                time.sleep(0.001)
                continue
            event = queue.popleft()
            deliveries += 1
            try:
                world.deliver(event)
            except GatewayError:
                queue.append(event)
                world.later(minutes=10)
        attacker.join(timeout=10)
    world.fault = None
    assert not attacker.is_alive(), "the guard gave up"
    assert not is_free()
    assert deliveries <= 2 * rounds
    undone = [r for r in world.findings() if r.rule == "iam-quarantine-undone"]
    assert {record.state for record in undone} == {State.ACTED}
    assert {record.severity for record in undone} == {Severity.CRITICAL}
    assert all(record.episode > 1 for record in undone)
    assert all(record.untold is not None for record in undone)


def test_row_16_edited_marker_decides_nothing(world: World) -> None:
    contained(a_user)(world)
    events = [
        world.do("TagUser", UserName=USER, Tags=[{"Key": MARKER_TAG, "Value": "released"}]),
        world.do("UntagUser", UserName=USER, TagKeys=[MARKER_TAG]),
    ]
    delivered(world, *events)
    assert world.is_denied(USER)
    assert world.ledger.contained(world.member, now=world.now)


# 17: no slots left


@pytest.mark.parametrize(
    ("policy_slots", "group_slots", "boundary", "rung"),
    [
        (10, 10, None, "policy"),
        (0, 10, None, "group"),
        (0, 0, None, "boundary"),
        (0, 0, READ_ONLY, None),
    ],
)
def test_row_17_next_rung_of_the_ladder_holds_or_people_hear_that_none_does(
    policy_slots: int, group_slots: int, boundary: str | None, rung: str | None, world: World
) -> None:
    world.extension.policy_slots = policy_slots
    world.extension.group_slots = group_slots
    case = a_user(world)
    if boundary is not None:
        world.extension.boundaries[world.member, USER] = boundary
    world.deliver(case["event"])
    groups = world.iam().list_groups_for_user(UserName=USER)["Groups"]
    held = {
        "policy": world.is_denied(USER),
        "group": QUARANTINE_GROUP in {group["GroupName"] for group in groups},
        "boundary": world.extension.boundaries.get((world.member, USER)) == DENY_ALL_ARN,
    }
    assert [name for name, holds in held.items() if holds] == ([rung] if rung else [])
    assert {world.key_status(USER, key) for key in case["keys"]} == {"Inactive"}
    finding = world.finding("iam-user-created")
    if rung is None:
        assert (finding.state, finding.severity) == (State.FAILED, Severity.CRITICAL)
        assert "cannot contain" in (finding.outcome or "")
        assert world.extension.boundaries[world.member, USER] == boundary
    else:
        assert finding.state is State.ACTED
    assert world.untold() == [finding]


# 18, 19: whom nobody touches


def a_session(path: str, account: str, **more: str) -> Callable[[World], dict[str, Any]]:
    def actor(world: World) -> dict[str, Any]:
        where = {"member": world.member, "hub": HUB, "other": world.other_member}[account]
        issuer = f"arn:aws:iam::{where}:role/{path}"
        name = path.rpartition("/")[2]
        return {
            "type": "AssumedRole",
            "arn": f"arn:aws:sts::{where}:assumed-role/{name}/session",
            "accountId": where,
            "sessionContext": {"sessionIssuer": {"arn": issuer, "userName": name}},
            **more,
        }

    return actor


SERVICE_LINKED = "aws-service-role"
CONTROL_TOWER = "controltower.amazonaws.com"


@pytest.mark.parametrize(
    ("actor", "acts"),
    [
        (a_session(f"{SERVICE_LINKED}/sso.amazonaws.com/AWSServiceRoleForSSO", "member"), False),
        (
            a_session(
                f"{SERVICE_LINKED}/{CONTROL_TOWER}/AWSServiceRoleForAWSControlTower", "member"
            ),
            False,
        ),
        (a_session("AWSControlTowerExecution", "member", invokedBy=CONTROL_TOWER), False),
        (a_session("AWSControlTowerExecution", "member"), True),
        (a_session("AWSServiceRoleForSSO", "member"), True),
        (a_session("sso.amazonaws.com/AWSServiceRoleForSSO", "member"), True),
        (a_session(f"{SERVICE_LINKED}/sso.amazonaws.com.evil/AWSServiceRoleForX", "member"), True),
        (a_session(f"{SERVICE_LINKED}/sso.amazonaws.com/AWSServiceRoleForSSO", "other"), True),
        (a_session("keyward/keyward-member-2", "member"), True),
        (a_session("keyward/keyward-iam-guard", "member"), True),
        (a_session("service-role/AWSControlTowerAdmin", "member"), True),
    ],
)
def test_row_18_recognised_by_path_and_account_and_no_look_alike_is(
    actor: Callable[[World], dict[str, Any]],
    acts: bool,  # noqa: FBT001 - a column of the table
    world: World,
) -> None:
    world.do("CreateUser", UserName=USER)
    event = world.do("CreateAccessKey", UserName=USER, actor=actor(world))
    writes = delivered(world, event)
    finding = world.finding("iam-access-key-created")
    assert finding.state is (State.ACTED if acts else State.OPEN)
    assert bool(writes) is acts
    assert acts or "made by" in (finding.held or "")
    assert world.untold() == [finding]


@pytest.mark.parametrize("ceiling", ["enforce", "report"])
def test_row_19_break_glass_is_never_touched_and_always_pages(ceiling: str, world: World) -> None:
    protected = {
        "account": world.member,
        "arn": f"arn:aws:iam::{world.member}:user/{USER}",
        "why": "break-glass",
    }
    world.settings(settings={"ceiling": ceiling, "protected": [protected]})
    events = made_in_order(world)
    assert delivered(world, *events[:3]) == []
    found = world.findings()
    assert {record.state for record in found} == {State.OPEN}
    assert {record.severity for record in found} == {Severity.CRITICAL}
    assert all("break-glass" in (record.held or "") for record in found)
    assert len(alerts(world)) == 3


# 21 - 25: settings and exemptions


@pytest.mark.parametrize(
    "value",
    ["{", "[]", '{"mode": "enforce!"}', '{"mod": "off"}', '{"severity": "fatal"}', '{"mode": NaN}'],
)
def test_row_21_bad_setting_changes_nothing_and_is_told_once(value: str, world: World) -> None:
    ssm = boto3.client("ssm", region_name=REGION)
    name = "/keyward/rules/iam-access-key-created"

    def settle() -> None:
        settling.settle(
            ssm=world.services.ssm, ledger=world.ledger, rules=rules.every(), now=world.now
        )

    for parameter, text in (("/keyward/settings", '{"ceiling": "enforce"}'), (name, value)):
        ssm.put_parameter(Name=parameter, Value=text, Type="String", Overwrite=True)
    settle()
    settle()
    accepted = world.ledger.accepted()
    assert accepted is not None
    assert accepted.rules["iam-access-key-created"] == {"mode": "enforce"}
    (notice,) = world.untold()
    assert isinstance(notice, Notice)
    assert name in notice.title
    world.later(minutes=1)
    case = a_key(world)
    world.deliver(case["event"])
    assert world.key_status(USER, case["keys"][0]) == "Inactive"


def test_row_21_bad_setting_that_was_never_accepted_only_reports(world: World) -> None:
    world.settings(rules={"iam-access-key-created": {"mode": "enforce!"}})
    assert delivered(world, a_key(world)["event"]) == []
    assert states(world)["iam-access-key-created"] is State.OPEN


def test_row_22_no_settings_report_only(world: World) -> None:
    world.settings(settings={}, rules={})
    assert delivered(world, a_key(world)["event"]) == []
    assert states(world)["iam-access-key-created"] is State.OPEN


def test_row_22_parameter_store_out_of_reach_leaves_in_force_what_was(world: World) -> None:
    before = world.ledger.accepted()
    world.fault = failing("GetParametersByPath", code="InternalServerError", status=500)
    with world.recorded(), pytest.raises(GatewayError) as error:
        settling.settle(
            ssm=world.services.ssm, ledger=world.ledger, rules=rules.every(), now=world.now
        )
    assert error.value.retryable
    assert world.ledger.accepted() == before


@pytest.mark.parametrize("operations", [("GetItem",), ("GetItem", "TransactWriteItems", "Query")])
def test_row_22_and_29_nothing_is_done_while_the_ledger_is_out_of_reach(
    operations: tuple[str, ...], world: World
) -> None:
    case = a_key(world)
    world.fault = failing(*operations, code="InternalServerError", status=500)
    with pytest.raises(GatewayError) as error, world.recorded():
        world.deliver(case["event"])
    assert error.value.retryable
    assert iam_writes(world.calls) == []
    world.fault = None
    world.later(minutes=10)
    assert len(delivered(world, case["event"])) == 1


@pytest.mark.parametrize("code", ["InternalServerError", "AccessDeniedException"])
def test_row_29_no_act_without_intent(code: str, world: World) -> None:
    events = [a_user(world)["event"], world.do("CreateUser", UserName="mallory")]
    world.fault = failing("TransactWriteItems", code=code, status=400)
    for event in events:
        with pytest.raises(GatewayError), world.recorded():
            world.deliver(event)
        assert iam_writes(world.calls) == []


def test_row_23_changed_setting_is_in_force_within_a_minute_and_stands_on_the_finding(
    world: World,
) -> None:
    def one_more() -> int:
        world.deliver(world.do("CreateAccessKey", UserName=USER))
        newest = max(world.findings(), key=lambda record: record.first_seen)
        return newest.settings_version

    world.do("CreateUser", UserName=USER)
    before = one_more()
    cached = world.services._settings
    world.settings()
    world.services._settings = cached  # a warm function doesn't know yet
    world.later(seconds=20)
    assert one_more() == before
    world.iam().delete_access_key(
        UserName=USER,
        AccessKeyId=world.iam().list_access_keys(UserName=USER)["AccessKeyMetadata"][0][
            "AccessKeyId"
        ],
    )
    world.later(seconds=40)
    assert one_more() == before + 1


@pytest.mark.parametrize("way", ["run-out", "deleted"])
def test_row_24_exemption_that_ends_is_no_exemption(way: str, world: World) -> None:
    end = world.now + timedelta(days=1)
    world.settings(exemptions={"ours": exemption(world, until=end)})
    case = a_key(world)
    assert delivered(world, case["event"]) == []
    assert states(world)["iam-access-key-created"] is State.EXEMPT
    assert world.untold() == []
    if way == "deleted":
        world.settings()
        world.later(minutes=1)
    else:
        world.later(days=1)
    key = case["keys"][0]
    event = world.do("UpdateAccessKey", UserName=USER, AccessKeyId=key, Status="Active")
    delivered(world, event)
    assert world.key_status(USER, key) == "Inactive"


def test_row_24_act_that_a_crash_left_half_done_is_not_finished_on_an_exempt_user(
    world: World,
) -> None:
    """What was done by then stays, is told of, and an operator can take it back."""
    case = a_user(world)

    def crash(operation: str, _params: dict[str, Any], call: Callable[[], Any]) -> Any:
        if operation == "UpdateAccessKey":
            raise Crash
        return call()

    world.fault = crash
    with pytest.raises(Crash):
        delivered(world, case["event"])
    world.fault = None
    world.restart()
    world.settings(exemptions={"ours": exemption(world, until=world.now + timedelta(days=1))})
    world.later(minutes=10)
    assert delivered(world, case["event"]) == []
    finding = world.finding("iam-user-created")
    assert finding.state is State.FAILED
    assert len(alerts(world)) == 1
    assert delivered(world, case["event"]) == []
    request = {"act": "release", "by": "jane", "finding": finding.key, "reason": "it is exempt"}
    assert operating.answer(request, services=world.services, now=world.now)["ok"]
    assert not world.is_denied(USER)


def test_row_25_tags_never_exempt(world: World) -> None:
    world.do("CreateUser", UserName="other")
    event = world.do(
        "CreateUser",
        UserName=USER,
        Tags=[
            {"Key": key, "Value": "true"}
            for key in ("keyward:exempt", "keyward:released", MARKER_TAG, "exempt")
        ],
    )
    world.deliver(event)
    assert world.is_denied(USER)


# 30, 31, 33: where Keyward may not act


def test_row_30_missing_member_role_is_told_once_and_put_right_later(world: World) -> None:
    case = a_key(world)
    world.fault = failing("AssumeRole")
    assert delivered(world, *[case["event"]] * 5) == []
    finding = world.finding("iam-access-key-created")
    assert (finding.state, finding.episode) == (State.OPEN, 1)
    assert "cannot enforce here" in (finding.held or "")
    assert len(alerts(world)) == 1
    delivered(world, case["event"])
    assert alerts(world) == []
    world.fault = None
    world.later(seconds=1)
    world.deliver(case["event"])
    assert world.key_status(USER, case["keys"][0]) == "Inactive"
    assert len(alerts(world)) == 1


def test_row_30_undoing_where_nothing_is_contained_is_no_finding_of_a_missing_role(
    world: World,
) -> None:
    world.do("CreateUser", UserName=USER)
    world.fault = failing("AssumeRole")
    event = world.event("DetachUserPolicy", {"UserName": USER, "PolicyArn": DENY_ALL_ARN})
    delivered(world, event)
    assert world.findings() == []


@pytest.mark.parametrize("operation", ["ListAccessKeys", "ListAttachedUserPolicies"])
def test_row_30_member_role_that_may_not_look_is_told(operation: str, world: World) -> None:
    event = a_user(world)["event"]
    world.fault = failing(operation)
    assert delivered(world, event, event) == []
    finding = world.finding("iam-user-created")
    assert finding.state is State.OPEN
    assert "cannot enforce here" in (finding.held or "")
    assert len(alerts(world)) == 1


@pytest.mark.parametrize(
    ("situation", "operation"), [(a_key, "UpdateAccessKey"), (a_user, "UpdateAccessKey")]
)
def test_row_31_scp_that_denies_is_told_once_and_not_stormed(
    situation: Callable[[World], dict[str, Any]], operation: str, world: World
) -> None:
    case = situation(world)
    world.fault = failing(operation)
    with world.recorded():
        for _ in range(6):
            world.deliver(case["event"])
            world.later(minutes=10)
        tries = [name for name, _ in world.calls].count(operation)
    assert tries == 1
    (finding,) = world.findings()
    assert (finding.state, finding.severity) == (State.FAILED, Severity.CRITICAL)
    assert operation in (finding.outcome or "")
    assert len(alerts(world)) == 1


def test_row_31_scp_that_still_denies_the_next_attempt_is_not_told_again(world: World) -> None:
    case = a_key(world)
    world.fault = failing("UpdateAccessKey")
    delivered(world, case["event"])
    assert len(alerts(world)) == 1
    again = {"UserName": USER, "AccessKeyId": case["keys"][0], "Status": "Active"}
    delivered(world, *(world.event("UpdateAccessKey", again) for _ in range(3)))
    assert states(world) == {"iam-access-key-created": State.FAILED}
    assert alerts(world) == []


def test_row_33_management_account_is_only_reported_on(world: World) -> None:
    world.do("CreateUser", UserName=USER, account=HUB)
    event = world.do("CreateAccessKey", UserName=USER, account=HUB)
    with world.recorded():
        world.deliver(event)
        names = {name for name, _ in world.calls}
        assert iam_writes(world.calls) == []
    assert "AssumeRole" not in names
    finding = world.finding("iam-access-key-created")
    assert finding.state is State.OPEN
    assert "management account" in (finding.held or "")


def test_row_33_management_account_that_settings_name_is_acted_in_by_own_credentials(
    world: World,
) -> None:
    world.settings(settings={"ceiling": "enforce", "act_in_management_account": HUB})
    world.do("CreateUser", UserName=USER, account=HUB)
    event = world.do("CreateAccessKey", UserName=USER, account=HUB)
    key = event["detail"]["responseElements"]["accessKey"]["accessKeyId"]
    with world.recorded():
        world.deliver(event)
        assert "AssumeRole" not in {name for name, _ in world.calls}
    assert world.key_status(USER, key, HUB) == "Inactive"


def test_services_of_these_tests_are_those_of_the_functions(world: World) -> None:
    """Only how long clients live differs."""
    assert set(vars(LastingClients)) - set(vars(object)) <= {
        *("_client", "__module__", "__doc__", "__firstlineno__", "__static_attributes__")
    }
    assert type(world.services) is LastingClients
