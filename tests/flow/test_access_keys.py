"""An access key, from event to verified containment, and back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from keyward import operating
from keyward.errors import GatewayError
from keyward.findings import Severity, State
from tests.flow.world import aws_error

if TYPE_CHECKING:
    from tests.flow.world import World


def a_key(
    world: World, user: str = "ci", account: str | None = None
) -> tuple[str, dict[str, object]]:
    """A user with one new key: its id, and the event."""
    world.do("CreateUser", UserName=user, account=account)
    event = world.do("CreateAccessKey", UserName=user, account=account)
    return event["detail"]["responseElements"]["accessKey"]["accessKeyId"], event


def release(world: World, key: str, **more: object) -> dict[str, object]:
    asked = {"act": "release", "by": "arn:aws:iam::1:user/op", "finding": key, "reason": "agreed"}
    return operating.answer(asked | more, services=world.services, now=world.now)


def test_created_key_is_deactivated_verified_and_recorded(world: World) -> None:
    key_id, event = a_key(world)

    world.deliver(event)

    assert world.key_status("ci", key_id) == "Inactive"
    finding = world.finding("iam-access-key-created")
    assert finding.state is State.ACTED
    assert finding.outcome == f"access key {key_id} is inactive"
    assert finding.account == world.member
    assert finding.also, "made for another user: one finding names both rules"
    assert world.untold() == [finding]


def test_only_the_created_key_is_touched(world: World) -> None:
    old_id, _ = a_key(world)
    event = world.do("CreateAccessKey", UserName="ci")
    world.deliver(event)
    assert world.key_status("ci", old_id) == "Active"


def test_calls_for_a_deactivated_key_are_at_most_six(world: World) -> None:
    world.deliver(a_key(world)[1])
    calls = world.counted(world.do("CreateAccessKey", UserName="ci"))
    assert 0 < calls.total() <= 6, calls


def test_role_is_assumed_once_for_an_account(world: World) -> None:
    events = [a_key(world, "ci")[1], a_key(world, "cd")[1]]
    with world.recorded() as calls:
        for event in events:
            world.deliver(event)
    names = [name for name, _ in calls]
    assert names.count("AssumeRole") == 1
    assert names.count("GetCallerIdentity") == 1
    assert names.count("DescribeAccount") == 1


def test_event_that_no_rule_suspects_costs_no_call(world: World) -> None:
    key_id, event = a_key(world)
    world.deliver(event)
    harmless = world.do("UpdateAccessKey", UserName="ci", AccessKeyId=key_id, Status="Inactive")
    with world.recorded() as calls:
        world.deliver(harmless)
    assert calls == []


def test_event_delivered_twice_acts_and_tells_once(world: World) -> None:
    key_id, event = a_key(world)
    world.deliver(event)
    with world.recorded() as calls:
        world.deliver(event)
    assert "UpdateAccessKey" not in [name for name, _ in calls]
    assert world.key_status("ci", key_id) == "Inactive"
    assert len(world.untold()) == 1


def test_report_mode_tells_and_changes_nothing(world: World) -> None:
    world.settings(settings={"ceiling": "report"})
    key_id, event = a_key(world)
    world.deliver(event)
    assert world.key_status("ci", key_id) == "Active"
    finding = world.finding("iam-access-key-created")
    assert finding.state is State.OPEN
    assert finding.mode == "report"
    assert len(world.untold()) == 1


def test_fresh_deployment_without_settings_only_reports(world: World) -> None:
    key_id, event = a_key(world)
    world.services._settings = (world.now, None)
    world.deliver(event)
    assert world.key_status("ci", key_id) == "Active"
    assert world.finding("iam-access-key-created").state is State.OPEN


def test_key_that_is_gone_is_recorded_as_resolved(world: World) -> None:
    key_id, event = a_key(world)
    world.iam().delete_access_key(UserName="ci", AccessKeyId=key_id)
    world.deliver(event)
    finding = world.finding("iam-access-key-created")
    assert finding.state is State.RESOLVED
    assert len(world.untold()) == 1


def test_key_made_before_the_rule_began_to_enforce_is_only_reported(world: World) -> None:
    world.settings(
        enforcing_since={
            "iam-access-key-created": world.now + timedelta(days=1),
            "iam-access-key-for-other-user": world.now + timedelta(days=1),
        }
    )
    key_id, event = a_key(world)
    world.deliver(event)
    finding = world.finding("iam-access-key-created")
    assert world.key_status("ci", key_id) == "Active"
    assert finding.held == "existed before the rule began to enforce"


def test_exempt_user_is_left_alone_at_the_cost_of_two_calls(world: World) -> None:
    key_id, event = a_key(world, "build")
    world.settings(exemptions={"build": exemption(world)})
    world.deliver(a_key(world, "warm")[1])

    calls = world.counted(event)

    assert calls.total() <= 2, calls
    assert world.key_status("build", key_id) == "Active"
    of_the_user = [record for record in world.findings() if record.user_name == "build"]
    assert {record.state for record in of_the_user} == {State.EXEMPT}
    assert {record.untold for record in of_the_user} == {None}, "nobody is bothered"


def exemption(world: World) -> dict[str, object]:
    """By name, since moto's user ids aren't AIDA..."""
    return {
        "owner": "platform@example.com",
        "reason": "legacy build",
        "ticket": "SEC-1",
        "until": (world.now + timedelta(days=30)).isoformat(),
        "account": world.member,
        "user_pattern": "build",
        "signed_by": "ciso@example.com",
        "rules": ["iam-access-key-created", "iam-access-key-for-other-user"],
    }


def test_release_restores_the_key_and_no_later_event_undoes_it(world: World) -> None:
    key_id, event = a_key(world)
    world.deliver(event)
    finding = world.finding("iam-access-key-created")

    answer = release(world, finding.key)

    assert answer["ok"] is True
    assert world.key_status("ci", key_id) == "Active"
    ours = world.event(
        "UpdateAccessKey", {"UserName": "ci", "AccessKeyId": key_id, "Status": "Active"}
    )
    for again in (event, ours):
        world.deliver(again)
    assert world.key_status("ci", key_id) == "Active"
    assert world.finding("iam-access-key-created").state is State.RELEASED


def test_release_ends_and_the_next_event_acts(world: World) -> None:
    key_id, event = a_key(world)
    world.deliver(event)
    release(world, world.finding("iam-access-key-created").key, days=1)
    world.later(days=2)
    world.deliver(event)
    assert world.key_status("ci", key_id) == "Inactive"
    assert world.finding("iam-access-key-created").episode == 2


def test_release_of_an_unknown_finding_says_how_to_find_one(world: World) -> None:
    answer = release(world, "0" * 20)
    assert answer["ok"] is False
    assert "keyward findings list" in str(answer["error"])


def test_attacker_who_activates_the_key_loses_again_and_severity_is_critical(world: World) -> None:
    key_id, event = a_key(world)
    world.deliver(event)
    attack = world.do("UpdateAccessKey", UserName="ci", AccessKeyId=key_id, Status="Active")

    world.deliver(attack)

    assert world.key_status("ci", key_id) == "Inactive"
    undone = world.finding("iam-quarantine-undone")
    assert undone.state is State.ACTED
    assert undone.severity is Severity.CRITICAL


def test_second_attack_is_a_new_episode_and_is_told_again(world: World) -> None:
    key_id, event = a_key(world)
    world.deliver(event)
    for _ in range(2):
        world.deliver(
            world.do("UpdateAccessKey", UserName="ci", AccessKeyId=key_id, Status="Active")
        )
    undone = world.finding("iam-quarantine-undone")
    assert undone.episode == 2
    assert undone.untold is not None


def test_root_key_made_by_root_for_itself_is_reported(world: World) -> None:
    root = {"type": "Root", "arn": f"arn:aws:iam::{world.member}:root", "accountId": world.member}
    answer = {"AccessKey": {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "Status": "Active"}}
    event = world.event("CreateAccessKey", {}, answer, actor=root)
    world.deliver(event)
    finding = world.finding("iam-root-access-key-created")
    assert finding.severity is Severity.CRITICAL
    assert finding.state in {State.OPEN, State.RESOLVED}


def test_member_without_the_role_is_told_once_and_not_retried(world: World) -> None:
    _, event = a_key(world)

    def denied(operation: str, _params: object, call: object) -> object:
        if operation == "AssumeRole":
            raise aws_error("AccessDenied", operation)
        return call()  # type: ignore[operator]  # the intercepted call

    world.fault = denied
    with world.recorded():
        world.deliver(event)
        world.deliver(event)
    finding = world.finding("iam-access-key-created")
    assert finding.held is not None
    assert finding.held.startswith("cannot enforce here")
    assert len(world.untold()) == 1


def test_throttled_read_sends_the_record_back(world: World) -> None:
    _, event = a_key(world)

    def throttled(operation: str, _params: object, call: object) -> object:
        if operation == "ListAccessKeys":
            raise aws_error("Throttling", operation)
        return call()  # type: ignore[operator]  # the intercepted call

    world.fault = throttled
    with world.recorded(), pytest.raises(GatewayError) as raised:
        world.deliver(event)
    assert raised.value.retryable
