"""What an adversary tried with the sweep of IAM, from its message to what becomes of it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from keyward.findings import State
from keyward.sweep import Looked
from tests.builders import an_exemption
from tests.flow.sweeping import Sweeping, the_sweeping
from tests.flow.test_surveying import (
    ADMIN,
    SSH_KEY,
    a_user,
    asked,
    denying,
    look,
    of_rule,
    survey,
    swept,
)
from tests.flow.world import World


@pytest.fixture
def sweeping(world: World) -> Iterator[Sweeping]:
    """The world a few hours after its accounts have joined, and the queues of a sweep."""
    world.later(hours=3)
    with the_sweeping(world) as made:
        world.settings()
        yield made


ONLY_ADMIN = {"iam-admin-granted": {"mode": "enforce"}, "iam-user-created": {"mode": "off"}}


def given_admin_unseen(sweeping: Sweeping, *names: str) -> None:
    """Users of before the rule enforced, who are given admin after a sweep looked at them."""
    world = sweeping.world
    for name in names:
        a_user(world, name)
    world.later(hours=1)
    world.settings(rules=ONLY_ADMIN, enforcing_since={"iam-admin-granted": world.now})
    survey(sweeping)
    for name in names:
        world.iam().put_user_policy(UserName=name, PolicyName="all", PolicyDocument=ADMIN)


def test_what_has_no_date_is_acted_on_once_the_budget_that_held_it_is_new(
    sweeping: Sweeping,
) -> None:
    world = sweeping.world
    given_admin_unseen(sweeping, "one", "two")
    budgets = {"organization": 1, "account": 1, "critical_reserve": 0, "window_minutes": 60}
    world.settings(
        settings={"ceiling": "enforce", "budgets": budgets},
        rules=ONLY_ADMIN,
        enforcing_since={"iam-admin-granted": world.now},
    )
    world.later(minutes=1)
    for name in ("one", "two"):
        world.iam().delete_user_policy(UserName=name, PolicyName="all")
    survey(sweeping)
    for name in ("one", "two"):
        world.iam().put_user_policy(UserName=name, PolicyName="all", PolicyDocument=ADMIN)
    survey(sweeping)
    assert sorted(it.state for it in of_rule(world, "iam-admin-granted")) == ["acted", "open"]
    survey(sweeping)
    assert {it.state for it in of_rule(world, "iam-admin-granted")} == {State.ACTED}


def test_what_has_no_date_is_acted_on_again_where_the_act_failed(sweeping: Sweeping) -> None:
    world = sweeping.world
    given_admin_unseen(sweeping, "one")
    world.fault = denying("AttachUserPolicy", "AddUserToGroup", "PutUserPermissionsBoundary")
    survey(sweeping)
    assert [it.state for it in of_rule(world, "iam-admin-granted")] == [State.FAILED]
    world.fault = None
    survey(sweeping)
    assert [it.state for it in of_rule(world, "iam-admin-granted")] == [State.ACTED]


def test_what_was_recorded_by_name_alone_is_over_once_somebody_could_look(
    sweeping: Sweeping,
) -> None:
    world = sweeping.world
    world.settings(settings={"ceiling": "report"})
    a_user(world)
    told = [
        world.do("CreateLoginProfile", UserName="ci", Password="Keyward-1234567890"),
        world.do("PutUserPolicy", UserName="ci", PolicyName="all", PolicyDocument=ADMIN),
    ]
    world.fault = denying("AssumeRole")
    with world.recorded():
        for event in told:
            world.deliver(event)
    world.fault = None
    for _ in range(3):
        survey(sweeping)
    unsure = [
        (it.rule, it.subject_kind) for it in world.findings() if it.held and it.state is State.OPEN
    ]
    assert not unsure
    look(sweeping)
    assert not asked(sweeping)


def test_an_exempt_user_whom_nobody_could_look_at_is_exempt_all_the_same(
    sweeping: Sweeping,
) -> None:
    world = sweeping.world
    exemption = an_exemption(
        "iam-user-created",
        "iam-access-key-created",
        account=world.member,
        user_id=None,
        user_pattern="ci*",
        signed_by="ana",
        until=(world.now + timedelta(days=30)).isoformat(),
    )
    world.settings(exemptions={"ours": exemption})
    a_user(world)
    world.iam().create_access_key(UserName="ci")
    survey(sweeping)
    assert {it.state for it in world.findings()} == {State.EXEMPT}
    world.fault = denying("ListAccessKeys")
    survey(sweeping, full=True)
    assert {it.state for it in world.findings()} == {State.EXEMPT}


def test_an_ssh_key_that_is_gone_is_resolved_by_the_next_full_sweep(sweeping: Sweeping) -> None:
    world = sweeping.world
    world.settings(settings={"ceiling": "report"}, rules={"iam-user-created": {"mode": "off"}})
    a_user(world)
    key = world.iam().upload_ssh_public_key(UserName="ci", SSHPublicKeyBody=SSH_KEY)
    survey(sweeping, full=True)
    assert world.finding("iam-static-credential-created").state is State.OPEN
    id_ = key["SSHPublicKey"]["SSHPublicKeyId"]
    world.iam().delete_ssh_public_key(UserName="ci", SSHPublicKeyId=id_)
    survey(sweeping, full=True)
    assert world.finding("iam-static-credential-created").state is State.RESOLVED


def test_what_nobody_judges_any_more_is_not_said_to_be_right_again(sweeping: Sweeping) -> None:
    world = sweeping.world
    world.fault = denying("DescribeRule")
    survey(sweeping)
    world.settings(rules={"keyward-tampered": {"mode": "off"}})
    survey(sweeping)
    assert {it.state for it in of_rule(world, "keyward-tampered")} == {State.OPEN}


def test_an_inventory_that_cannot_be_written_is_no_account_out_of_reach(
    sweeping: Sweeping,
) -> None:
    world = sweeping.world
    a_user(world)
    world.fault = denying("PutObject")
    survey(sweeping)
    assert not of_rule(world, "keyward-tampered")
    assert "PutObject" in (swept(sweeping).why or "")


def test_what_is_known_of_many_users_is_kept_whatever_an_item_holds(world: World) -> None:
    def users(number: int) -> Looked:
        digits = {f"AIDA{n}": secrets.token_hex(3000) for n in range(number)}
        return Looked(at=world.now, users=digits)

    assert world.ledger.looked(world.member) is None
    for number in (400, 2, 0, 130):
        world.ledger.remember_look(world.member, users(number))
        known = world.ledger.looked(world.member)
        assert known is not None
        assert len(known.users) == number
    assert world.ledger.looked(world.other_member) is None


def test_a_look_that_comes_late_tells_what_is_so_by_then(sweeping: Sweeping) -> None:
    world = sweeping.world
    world.settings(
        rules={
            "iam-credential-unused": {"mode": "enforce"},
            "iam-user-created": {"mode": "report"},
            "iam-access-key-created": {"mode": "report"},
        }
    )
    a_user(world)
    world.iam().create_access_key(UserName="ci")
    used_at = world.now + timedelta(days=20)

    def used(operation: str, _params: object, call: Any) -> Any:
        if operation == "GetAccessKeyLastUsed":
            return {"UserName": "ci", "AccessKeyLastUsed": {"LastUsedDate": used_at}}
        return call()

    world.fault = used
    world.later(days=60)
    look(sweeping)
    late = [body for _, _, _, body, _ in sweeping.line.waiting]
    sweeping.line.waiting.clear()
    world.later(days=10)
    survey(sweeping, full=True)
    (warned,) = of_rule(world, "iam-credential-unused")
    assert warned.grace_until is not None
    with world.recorded():
        for body in late:
            sweeping.deliver("iam", body)
    (still,) = of_rule(world, "iam-credential-unused")
    assert (still.state, still.grace_until) == (State.OPEN, warned.grace_until)


def test_ssh_keys_that_cannot_be_read_are_told_once(sweeping: Sweeping) -> None:
    world = sweeping.world
    a_user(world)
    world.fault = denying("ListSSHPublicKeys")
    for full in (True, False, True):
        survey(sweeping, full=full)
    (found,) = of_rule(world, "keyward-tampered")
    assert (found.state, found.episode) == (State.OPEN, 1)
    world.fault = None
    survey(sweeping, full=True)
    assert world.finding("keyward-tampered").state is State.RESOLVED
