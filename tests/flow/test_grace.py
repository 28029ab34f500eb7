"""Rules of time: the owner is warned, and only after the grace period is anything done."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from keyward import rules, telling
from keyward.errors import GatewayError
from keyward.events import SweepPart, SweepStep, check_message, sweep_message
from keyward.facts.iam import USER_CHECK
from keyward.findings import FindingRecord, State
from tests.flow.sweeping import the_sweeping
from tests.flow.test_access_keys import release
from tests.flow.world import aws_error

if TYPE_CHECKING:
    from tests.flow.world import World

TOO_OLD = "iam-access-key-too-old"
UNUSED = "iam-credential-unused"
CREATED = "iam-access-key-created"


def enforce(world: World, *names: str, also: dict[str, Any] | None = None, **changes: Any) -> None:
    """These rules enforce, `also` those as given, all others are off."""
    modes: dict[str, dict[str, Any]] = {rule.id: {"mode": "off"} for rule in rules.every()}
    modes |= {name: {"mode": "enforce"} for name in names} | (also or {})
    world.settings(rules=modes, **changes)


def a_key(world: World, user: str = "bob", **params: Any) -> str:
    """A user with a key of whom no event told; the key's id."""
    if user not in {it["UserName"] for it in world.iam().list_users()["Users"]}:
        world.iam().create_user(UserName=user, **params)
    return str(world.iam().create_access_key(UserName=user)["AccessKey"]["AccessKeyId"])


def a_check(world: World, user: str = "bob", *, keys: str = "") -> str:
    return check_message(
        id_=f"sweep-{world.now.timestamp():.0f}",
        account=world.member,
        region="us-east-1",
        time=world.now,
        why=USER_CHECK,
        parameters={"userName": user, "looks": "keys,password,containment", "keys": keys},
    )


def sweep(world: World, user: str = "bob", *, days: float = 0, keys: str = "") -> None:
    """So many days later a sweep looks at the user."""
    world.later(days=days)
    world.deliver(a_check(world, user, keys=keys))


def alerts(world: World) -> list[str]:
    """Tells what is untold; the subjects of the messages."""
    with world.recorded() as calls:
        telling.tell(world.untold(), services=world.services, now=world.now)
    return [params["Subject"] for name, params in calls if name == "Publish"]


def body(world: World) -> str:
    """Tells the one thing that is untold; the message."""
    with world.recorded() as calls:
        telling.tell(world.untold(), services=world.services, now=world.now)
    (message,) = [params["Message"] for name, params in calls if name == "Publish"]
    return str(message)


def record(world: World, rule: str = TOO_OLD) -> FindingRecord:
    (found,) = [it for it in world.findings() if it.rule == rule]
    return found


def warned(world: World, user: str = "bob") -> str:
    """A key whose owner was just warned; its id."""
    key = a_key(world, user)
    sweep(world, user, days=91)
    assert len(alerts(world)) == 1
    return key


def test_a_key_is_young_then_warned_of_then_left_in_peace_then_inactive(world: World) -> None:
    enforce(world, TOO_OLD)
    key = a_key(world, Tags=[{"Key": "Owner", "Value": "data@example.com"}])
    sweep(world, days=89)
    assert world.findings() == []

    sweep(world, days=2)
    assert world.key_status("bob", key) == "Active"
    message = body(world)
    until = world.now + timedelta(days=14)
    assert f"With the first sweep after {until:%Y-%m-%d %H:%M} UTC the access key" in message
    assert "Owner:    data@example.com" in message
    assert "91 days old" in message

    for _ in range(13):
        sweep(world, days=1)
        assert world.key_status("bob", key) == "Active"
        assert alerts(world) == []

    sweep(world, days=1)
    assert world.key_status("bob", key) == "Inactive"
    done = record(world)
    assert (done.state, done.episode, done.owner) == (State.ACTED, 1, "data@example.com")
    message = body(world)
    assert "105 days old" in message
    assert f"access key {key} is inactive" in message

    sweep(world, days=1)
    assert alerts(world) == []


def test_the_very_same_check_delivered_again_warns_once(world: World) -> None:
    enforce(world, TOO_OLD)
    a_key(world)
    world.later(days=91)
    check = a_check(world)
    for _ in range(3):
        world.deliver(check)
    assert len(alerts(world)) == 1
    assert (record(world).seen, record(world).state) == (1, State.OPEN)


@pytest.mark.parametrize("how", ["delete", "deactivate"])
def test_who_rotates_the_key_hears_no_more_of_it(world: World, how: str) -> None:
    enforce(world, TOO_OLD)
    key = warned(world)
    new = a_key(world)
    made_later(world, new, days=91)
    if how == "delete":
        world.iam().delete_access_key(UserName="bob", AccessKeyId=key)
    else:
        world.iam().update_access_key(UserName="bob", AccessKeyId=key, Status="Inactive")

    sweep(world, days=15, keys=key)

    settled = record(world)
    assert (settled.state, settled.grace_until) == (State.RESOLVED, None)
    assert alerts(world) == []
    assert new in {it["AccessKeyId"] for it in keys_of(world)}


def keys_of(world: World) -> list[dict[str, Any]]:
    found = world.iam().list_access_keys(UserName="bob")["AccessKeyMetadata"]
    return [dict(it) for it in found]


def test_a_rotation_that_is_never_finished_is_warned_of_and_finished(world: World) -> None:
    """moto dates a key at the real now: the newer key is not younger, unless it is told so."""
    enforce(world, TOO_OLD)
    old = a_key(world)
    new = a_key(world)
    made_later(world, new, days=60)
    sweep(world, days=73)
    assert world.findings() == []

    sweep(world, days=2)
    first = record(world)
    assert "15 days after the key that replaces it was made" in first.reason
    assert len(alerts(world)) == 1

    sweep(world, days=14.5)
    assert (world.key_status("bob", old), world.key_status("bob", new)) == ("Inactive", "Active")
    assert len(alerts(world)) == 1


def test_the_older_key_stays_once_the_newer_is_gone(world: World) -> None:
    enforce(world, TOO_OLD)
    old, new = a_key(world), a_key(world)
    made_later(world, new, days=30)
    sweep(world, days=45)
    assert len(alerts(world)) == 1
    world.iam().delete_access_key(UserName="bob", AccessKeyId=new)

    sweep(world, days=15, keys=old)

    assert record(world).state is State.RESOLVED
    assert world.key_status("bob", old) == "Active"


def made_later(world: World, key_id: str, *, days: float) -> None:
    """Dates a key of the member at so many days after now."""
    from moto.iam.models import iam_backends  # noqa: PLC0415 - only here

    for user in iam_backends[world.member]["aws"].users.values():
        for key in user.access_keys:
            if key.access_key_id == key_id:
                key.create_date = key.create_date + timedelta(days=days)


def test_who_is_exempted_meanwhile_keeps_the_key(world: World) -> None:
    enforce(world, TOO_OLD)
    key = warned(world)
    ours = {
        "owner": "team-data@example.com",
        "reason": "a product that takes no role",
        "ticket": "SEC-1",
        "until": (world.now + timedelta(days=60)).isoformat(),
        "account": world.member,
        "user_pattern": "bob",
        "signed_by": "security@example.com",
        "rules": [TOO_OLD],
    }
    enforce(world, TOO_OLD, exemptions={"ours": ours})
    sweep(world, days=15, keys=key)
    assert world.key_status("bob", key) == "Active"
    assert alerts(world) == []

    sweep(world, days=50, keys=key)
    assert world.key_status("bob", key) == "Active", "the exemption ended: a warning first"
    assert "Owner:    team-data@example.com" in body(world)
    sweep(world, days=15, keys=key)
    assert world.key_status("bob", key) == "Inactive"


def test_while_keyward_is_paused_nothing_is_done_and_the_time_runs(world: World) -> None:
    enforce(world, TOO_OLD)
    key = warned(world)
    world.later(days=14)
    enforce(world, TOO_OLD, paused_until=world.now + timedelta(days=2))
    sweep(world, days=1)
    assert world.key_status("bob", key) == "Active"
    assert alerts(world) == []
    sweep(world, days=1)
    assert world.key_status("bob", key) == "Inactive"
    assert len(alerts(world)) == 1


def test_a_rule_that_is_put_back_to_report_does_nothing_and_warns_anew_later(world: World) -> None:
    enforce(world, TOO_OLD)
    key = warned(world)
    enforce(world, also={TOO_OLD: {"mode": "report"}}, enforcing_since={})
    sweep(world, days=20)
    assert world.key_status("bob", key) == "Active"
    assert record(world).grace_until is None
    assert alerts(world) == []

    again = {TOO_OLD: {"mode": "enforce", "existing": "enforce"}}
    enforce(world, also=again, since=world.now)
    sweep(world, days=1)
    assert world.key_status("bob", key) == "Active"
    assert len(alerts(world)) == 1
    sweep(world, days=14)
    assert world.key_status("bob", key) == "Inactive"


def test_what_was_reported_long_before_the_rule_enforces_is_warned_of_first(world: World) -> None:
    enforce(world, also={TOO_OLD: {"mode": "report"}}, enforcing_since={})
    key = warned(world)
    assert record(world).grace_until is None
    world.later(days=200)
    enforce(world, also={TOO_OLD: {"mode": "enforce", "existing": "enforce"}}, since=world.now)

    sweep(world)
    assert world.key_status("bob", key) == "Active"
    (subject,) = alerts(world)
    assert "Warning, acts on" in subject
    sweep(world, days=14)
    assert world.key_status("bob", key) == "Inactive"


def test_what_came_of_age_before_the_rule_enforces_is_left_alone(world: World) -> None:
    enforce(world, also={TOO_OLD: {"mode": "report"}}, enforcing_since={})
    key = warned(world)
    enforce(world, TOO_OLD, since=world.now)
    sweep(world, days=1)
    sweep(world, days=30)
    assert world.key_status("bob", key) == "Active"
    assert alerts(world) == []
    would = record(world).would
    assert would is not None
    assert (would.action, would.existed) == ("deactivate-access-key", True)


def test_a_spent_budget_puts_the_act_off_and_costs_no_second_warning(world: World) -> None:
    one = {"ceiling": "enforce", "budgets": {"organization": 1, "account": 1}}
    enforce(world, TOO_OLD, settings=one)
    keys = {user: a_key(world, user) for user in ("bob", "eve")}
    world.later(days=91)
    for user in keys:
        sweep(world, user)
    assert len(alerts(world)) == 2

    world.later(days=15)
    for user in keys:
        sweep(world, user)
    status = {user: world.key_status(user, key) for user, key in keys.items()}
    assert status == {"bob": "Inactive", "eve": "Active"}
    told = alerts(world)
    assert len(told) == 2, "the act, and that the budget is spent"
    assert any("budget spent" in subject for subject in told)

    sweep(world, "eve", days=0.25)
    assert world.key_status("eve", keys["eve"]) == "Inactive"
    assert len(alerts(world)) == 1


def test_who_made_the_key_is_warned_where_nobody_is_named(world: World) -> None:
    enforce(world, TOO_OLD, also={CREATED: {"mode": "report"}})
    world.iam().create_user(UserName="bob")
    event = world.do("CreateAccessKey", UserName="bob", at=world.now)
    world.deliver(event)
    alerts(world)
    sweep(world, days=91)
    assert record(world).also == (CREATED,)
    assert "jane@example.com (did CreateAccessKey)" in body(world)


def test_nobody_is_looked_for_in_the_ledger_once_the_owner_was_warned(world: World) -> None:
    enforce(world, TOO_OLD)
    warned(world)
    world.later(days=1)
    makers = "finding#"
    with world.recorded() as calls:
        world.deliver(a_check(world))
    read = [params for name, params in calls if name == "GetItem" and makers in json.dumps(params)]
    assert len(read) <= 1, "its own finding, and no other"


def test_a_password_that_nobody_uses_has_its_user_quarantined_after_a_warning(
    world: World,
) -> None:
    enforce(world, UNUSED)
    world.iam().create_user(UserName="bob")
    world.iam().create_login_profile(UserName="bob", Password="Correct-horse-9")
    sweep(world, days=45)
    assert world.findings() == []
    sweep(world, days=2)
    assert not world.is_denied("bob")
    assert "the user is denied everything" in body(world)

    sweep(world, days=14)
    assert world.is_denied("bob")
    assert record(world, UNUSED).state is State.ACTED
    release(world, record(world, UNUSED).key)
    assert not world.is_denied("bob")
    assert world.iam().get_login_profile(UserName="bob")


def test_an_unused_and_old_key_is_one_warning_and_one_act(world: World) -> None:
    """Unused since day 46: that finding leads to the end, though the key comes of age meanwhile."""
    slow = {UNUSED: {"mode": "enforce", "unused_days": 80}}
    enforce(world, TOO_OLD, also=slow)
    key = a_key(world)
    sweep(world, days=82)
    assert len(alerts(world)) == 1
    for _ in range(13):
        sweep(world, days=1)
    assert alerts(world) == []
    assert record(world, UNUSED).also == (TOO_OLD,)
    sweep(world, days=1)
    assert world.key_status("bob", key) == "Inactive"
    assert len(alerts(world)) == 1
    assert len(world.findings()) == 1


def test_a_rule_that_acts_at_once_does_not_wait_for_the_grace_of_another(world: World) -> None:
    enforce(world, TOO_OLD, CREATED)
    key = a_key(world)
    sweep(world, days=91)
    assert world.key_status("bob", key) == "Inactive"
    assert record(world, CREATED).also == (TOO_OLD,)


def test_what_was_released_after_the_act_is_warned_of_before_the_next(world: World) -> None:
    enforce(world, TOO_OLD)
    key = warned(world)
    sweep(world, days=14)
    release(world, record(world).key)
    alerts(world)
    sweep(world, days=3)
    assert (world.key_status("bob", key), alerts(world)) == ("Active", [])
    sweep(world, days=5)
    assert world.key_status("bob", key) == "Active"
    assert len(alerts(world)) == 1
    sweep(world, days=14)
    assert world.key_status("bob", key) == "Inactive"


def test_an_act_after_the_grace_period_that_is_throttled_is_done_with_the_next_delivery(
    world: World,
) -> None:
    enforce(world, TOO_OLD)
    key = warned(world)
    world.later(days=14)
    check = a_check(world)

    def throttled(operation: str, _params: object, call: Any) -> Any:
        if operation == "UpdateAccessKey":
            raise aws_error("Throttling", operation)
        return call()

    world.fault = throttled
    with world.recorded(), pytest.raises(GatewayError):
        world.deliver(check)
    world.fault = None
    assert alerts(world) == []
    world.later(minutes=5)
    world.deliver(check)
    assert world.key_status("bob", key) == "Inactive"
    assert len(alerts(world)) == 1


def test_where_keyward_may_not_act_the_warning_holds_and_it_acts_once_it_may(world: World) -> None:
    enforce(world, TOO_OLD)
    key = warned(world)
    world.later(days=14)

    def denied(operation: str, _params: object, call: Any) -> Any:
        if operation == "UpdateAccessKey":
            raise aws_error("AccessDenied", operation, 403)
        return call()

    world.fault = denied
    with world.recorded():
        world.deliver(a_check(world))
    world.fault = None
    assert record(world).state is State.FAILED
    assert len(alerts(world)) == 1
    sweep(world, days=0.25)
    assert world.key_status("bob", key) == "Inactive"


@pytest.mark.parametrize(("rule", "young"), [(TOO_OLD, 88), (UNUSED, 44)])
def test_sweep_after_sweep_there_is_one_warning_and_one_act(
    world: World, rule: str, young: int
) -> None:
    """Whole sweeps of the account, day by day, which look closer only where there is cause."""
    key = a_key(world)
    world.later(days=young, hours=1)
    told: dict[int, str] = {}
    looks: dict[int, int] = {}
    with the_sweeping(world) as sweeping:
        enforce(world, rule)
        for day in range(young + 1, young + 24):
            world.later(days=1)
            step = SweepStep(id=f"day{day}", part=SweepPart.ACCOUNT, account=world.member)
            sweeping.line.put("iam", sweep_message(step))
            with world.recorded() as calls:
                sweeping.drain()
            looks[day] = sum(name == "GetUser" for name, _ in calls)
            told[day] = "; ".join(alerts(world))
    said = {day: subject for day, subject in told.items() if subject}
    first, last = sorted(said)
    assert (first, last) == (young + 2, young + 2 + 14)
    assert "Warning, acts on" in said[first]
    assert "Contained" in said[last]
    assert world.key_status("bob", key) == "Inactive"
    assert sum(looks[day] for day in range(first + 1, last)) == 0, "nothing changed: not looked at"
