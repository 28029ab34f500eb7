"""Plans, sweeps, dead letters, replays, inventories and signs of life, as operators ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from moto.events.models import events_backends

from keyward import pipeline, redriving, rules, settling, telling
from keyward.errors import GatewayError
from keyward.events import SweepPart, SweepStep, loads, message
from keyward.findings import State
from keyward.gateways.sqs import MARK
from keyward.redriving import DEAD
from keyward.settings import RuleSettings
from keyward.sweep import IDENTITY_CENTER, Heard, SweepState
from tests.flow.operated import PLACE, Operated, an_operated
from tests.flow.test_access_keys import a_key, release
from tests.flow.test_operating import ask
from tests.flow.world import HUB, REGION, World, aws_error

RULE = "iam-access-key-created"
DEAD_OF_IAM = "keyward-iam-guard" + DEAD


@pytest.fixture
def operated(world: World) -> Iterator[Operated]:
    with an_operated(world) as made:
        yield made


def only_report(world: World) -> None:
    world.settings(settings={"ceiling": "report"}, enforcing_since={})


# Plans


def test_a_plan_says_what_enforcing_would_do_and_changes_nothing(operated: Operated) -> None:
    world = operated.world
    only_report(world)
    key_id, event = a_key(world)
    world.deliver(event)
    sweep = operated.swept()
    before = world.findings()
    with world.recorded() as calls:
        found = ask(world, "sweep-plan", rule=RULE)
    assert not [name for name, _ in calls if name not in {"Query", "GetItem"}]
    assert world.findings() == before
    (plan,) = found["plans"]
    assert (plan["rule"], plan["acts"], plan["accounts"], plan["mode"]) == (RULE, 1, 1, "report")
    (row,) = found["rows"]
    assert (row["account"], row["action"]) == (world.member, "deactivate-access-key")
    assert key_id in row["subject"]
    assert sweep.ended_at is not None
    assert (found["swept_at"], found["doubts"]) == (sweep.ended_at.isoformat(), [])


def test_without_existing_what_is_there_already_is_left_alone(operated: Operated) -> None:
    world = operated.world
    only_report(world)
    world.deliver(a_key(world)[1])
    found = ask(world, "sweep-plan", rule=RULE, existing=False)
    (row,) = found["rows"]
    assert (found["plans"][0]["acts"], row["action"]) == (0, None)
    assert "existed before" in row["held"]


def test_a_plan_of_all_rules_has_each_that_found_something(operated: Operated) -> None:
    world = operated.world
    only_report(world)
    world.deliver(a_key(world)[1])
    record = world.finding(RULE)
    found = ask(world, "sweep-plan")
    assert [it["rule"] for it in found["plans"]] == sorted({record.rule, *record.also})
    assert "no sweep was complete" in found["doubts"][0]


def test_a_plan_comes_in_pages_to_the_last(
    operated: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = operated.world
    only_report(world)
    for number in range(5):
        world.deliver(a_key(world, f"ci-{number}")[1])
    monkeypatch.setattr("keyward.confirming.ROWS_A_PAGE", 2)
    rows: list[str] = []
    digests: set[str] = set()
    after, pages = None, 0
    while True:
        page = ask(world, "sweep-plan", rule=RULE, after=after)
        rows += [row["finding"] for row in page["rows"]]
        digests |= {it["digest"] for it in page["plans"]}
        after, pages = page["next"], pages + 1
        if after is None:
            break
    assert (len(rows), len(set(rows)), len(digests), pages) == (5, 5, 1, 3)


def test_a_page_of_a_plan_is_never_too_large_to_be_sent(
    operated: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = operated.world
    only_report(world)
    for number in range(3):
        world.deliver(a_key(world, f"ci-{number}")[1])
    for record in world.findings():
        long = {"version": record.version + 1, "owner": "Ж" * 256}
        world.ledger.finish(record.model_copy(update=long), replacing=record)
    monkeypatch.setattr("keyward.confirming.CHARACTERS_A_PAGE", 2500)
    page = ask(world, "sweep-plan", rule=RULE)
    assert (len(page["rows"]), page["next"] is None) == (1, False)


def settled(world: World, value: dict[str, Any]) -> list[str]:
    """Writes the rule's setting and has it compiled; why it was refused."""
    tree = {
        "/keyward/settings": {"ceiling": "enforce"},
        f"/keyward/rules/{RULE}": value,
    }
    for name, it in tree.items():
        world.services.ssm.put(name, json.dumps(it), replace=True)
    compilation = settling.settle(
        ssm=world.services.ssm, ledger=world.ledger, rules=rules.every(), now=world.now
    )
    world.services._settings = None
    return [refusal.text for refusal in compilation.refused]


def test_a_confirmed_plan_lets_existing_be_enforced_and_only_then(operated: Operated) -> None:
    world = operated.world
    only_report(world)
    key_id, event = a_key(world)
    world.deliver(event)
    operated.swept()
    wanted = {"mode": "enforce", "existing": "enforce"}
    (why,) = settled(world, wanted)
    assert f"keyward sweep --plan --rule {RULE}" in why
    world.deliver(event)
    assert world.key_status("ci", key_id) == "Active"

    (plan,) = ask(world, "sweep-plan", rule=RULE)["plans"]
    confirmed = ask(world, "sweep-confirm", rule=RULE, digest=plan["digest"])
    assert (confirmed["ok"], confirmed["acts"]) == (True, plan["acts"])
    (notice,) = [it for it in world.untold() if getattr(it, "kind", None) == "plan-confirmed"]
    assert "user/ana" in notice.text  # type: ignore[union-attr]

    assert settled(world, wanted) == []
    world.deliver(world.event("UpdateAccessKey", {"UserName": "ci", "AccessKeyId": key_id}))
    assert world.key_status("ci", key_id) == "Inactive"
    (again,) = ask(world, "sweep-plan", rule=RULE)["plans"]
    assert again["acts"] == 0
    world.later(days=400)
    assert settled(world, wanted) == [], "what was accepted stays"


def test_a_plan_that_changed_meanwhile_is_not_confirmed(operated: Operated) -> None:
    world = operated.world
    only_report(world)
    world.deliver(a_key(world)[1])
    operated.swept()
    (plan,) = ask(world, "sweep-plan", rule=RULE)["plans"]
    world.deliver(a_key(world, "cd")[1])
    refused = ask(world, "sweep-confirm", rule=RULE, digest=plan["digest"])
    assert refused["ok"] is False
    assert "of 2 acts" in refused["error"]
    assert f"keyward sweep --plan --rule {RULE}" in refused["error"]
    assert world.ledger.confirmed_plan(RULE) is None


def test_no_plan_is_confirmed_before_a_sweep_was_complete(operated: Operated) -> None:
    world = operated.world
    only_report(world)
    operated.swept(complete=False, silent=1)
    (plan,) = ask(world, "sweep-plan", rule=RULE)["plans"]
    refused = ask(world, "sweep-confirm", rule=RULE, digest=plan["digest"])
    assert "no sweep was complete" in refused["error"]
    assert world.ledger.confirmed_plan(RULE) is None


def test_the_empty_plan_of_a_rule_that_is_off_is_not_confirmed(operated: Operated) -> None:
    world = operated.world
    world.settings(rules={RULE: {"mode": "off"}})
    world.deliver(a_key(world)[1])
    operated.swept()
    (plan,) = ask(world, "sweep-plan", rule=RULE)["plans"]
    assert plan["acts"] == 0
    refused = ask(world, "sweep-confirm", rule=RULE, digest=plan["digest"])
    assert refused["ok"] is False
    assert "mode off" in refused["error"]
    assert world.ledger.confirmed_plan(RULE) is None


def test_a_plan_with_findings_that_nobody_judged_is_not_confirmed(operated: Operated) -> None:
    world = operated.world
    only_report(world)
    world.deliver(a_key(world)[1])
    record = world.finding(RULE)
    unjudged = record.model_copy(update={"version": record.version + 1, "would": None})
    world.ledger.finish(unjudged, replacing=record)
    operated.swept()
    (plan,) = ask(world, "sweep-plan", rule=RULE)["plans"]
    assert plan["unknown"] == 1
    refused = ask(world, "sweep-confirm", rule=RULE, digest=plan["digest"])
    assert refused["ok"] is False
    assert "keyward sweep --full" in refused["error"]


def test_a_confirmed_plan_says_by_which_settings_it_was_made(operated: Operated) -> None:
    world = operated.world
    only_report(world)
    world.deliver(a_key(world)[1])
    operated.swept()
    (plan,) = ask(world, "sweep-plan", rule=RULE)["plans"]
    assert ask(world, "sweep-confirm", rule=RULE, digest=plan["digest"])["ok"]
    confirmed = world.ledger.confirmed_plan(RULE)
    assert confirmed is not None
    assert confirmed.terms == RuleSettings().terms


@pytest.mark.parametrize("act", ["sweep-plan", "sweep-confirm"])
def test_a_rule_that_there_is_not_has_no_plan(operated: Operated, act: str) -> None:
    more = {"digest": "0" * 12} if act == "sweep-confirm" else {}
    refused = ask(operated.world, act, rule="iam-acess-key", **more)
    assert "no rule is called iam-acess-key" in refused["error"]


# Sweeps


def test_a_sweep_begins_by_a_message_and_tells_how_far_it_is(operated: Operated) -> None:
    world = operated.world
    begun = ask(world, "sweep-start", full=True)
    assert begun["begun"] is True
    assert (begun["sweep"]["full"], begun["sweep"]["by"]) == (True, ask_by())
    (body,) = operated.taken("keyward-sweep")
    step = message(loads(body))
    assert isinstance(step, SweepStep)
    assert (step.id, step.part) == (begun["sweep"]["id"], SweepPart.LIST)
    world.later(seconds=30)
    again = ask(world, "sweep-start")
    assert (again["begun"], again["sweep"]["id"]) == (False, begun["sweep"]["id"])
    assert ask(world, "sweep", id=begun["sweep"]["id"])["seen"] == 0
    assert "no sweep 20200101T000000" in ask(world, "sweep", id="20200101T000000")["error"]


def ask_by() -> str:
    return "arn:aws:iam::123456789012:user/ana"


# Dead letters


def test_dead_letters_are_counted_with_what_to_do_about_those_that_go_nowhere(
    operated: Operated,
) -> None:
    operated.put(DEAD_OF_IAM, "{}")
    operated.put("keyward-notifier" + DEAD, "{}")
    waiting = {it["of"]: it for it in ask(operated.world, "redrive")["waiting"]}
    assert set(waiting) == set(redriving.EVERY)
    assert {name for name, it in waiting.items() if it["dead_letters"]} == {
        "keyward-iam-guard",
        "keyward-notifier",
    }
    assert "the ledger" in waiting["keyward-notifier"]["advice"]
    for name in ("keyward-notifier", "keyward-operator"):
        assert ask(operated.world, "redrive", name=name)["ok"] is False
    assert operated.length("keyward-notifier" + DEAD) == 1


def test_what_was_judged_already_changes_nothing_when_it_is_redriven(operated: Operated) -> None:
    world = operated.world
    key_id, event = a_key(world)
    released_id, released = a_key(world, "cd")
    for one in (event, released):
        world.deliver(one)
    release(world, next(it.key for it in world.findings() if it.user_name == "cd"))
    telling.tell(world.untold(), services=world.services, now=world.now)
    before = world.findings()
    for one in (event, released):
        operated.put(DEAD_OF_IAM, json.dumps(one))

    moved = ask(world, "redrive", name="keyward-iam-guard", run="now")
    assert (moved["moved"], moved["kept"], moved["more"]) == ({"keyward-iam-guard": 2}, {}, False)
    assert operated.length(DEAD_OF_IAM) == 0
    bodies = operated.taken("keyward-iam-guard")
    with world.recorded() as calls:
        for body in bodies:
            deliver(world, body)
    assert len(bodies) == 2
    assert writes(calls) == []
    assert world.findings() == before
    assert world.untold() == []
    assert world.key_status("ci", key_id) == "Inactive"
    assert world.key_status("cd", released_id) == "Active"


def deliver(world: World, body: str) -> None:
    pipeline.enforce(
        body, rules=rules.of_guard("iam_guard"), services=world.services, now=world.now
    )


def writes(calls: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """What changed IAM, or was told."""
    reads = ("Get", "List", "Describe", "AssumeRole", "Query", "BatchGet", "Transact")
    return [name for name, _ in calls if not name.startswith(reads)]


def test_an_event_that_was_never_judged_is_acted_on_once_it_is_redriven(
    operated: Operated,
) -> None:
    world = operated.world
    key_id, event = a_key(world)
    operated.put(DEAD_OF_IAM, json.dumps(event))
    ask(world, "redrive", name="keyward-iam-guard", run="now")
    for body in operated.taken("keyward-iam-guard"):
        deliver(world, body)
    assert world.key_status("ci", key_id) == "Inactive"


def test_poison_stays_and_is_named(operated: Operated) -> None:
    world = operated.world
    operated.put(DEAD_OF_IAM, "no JSON")
    operated.put(DEAD_OF_IAM, json.dumps(a_key(world)[1]))
    moved = ask(world, "redrive", name="keyward-iam-guard", run="now")
    assert moved["moved"] == {"keyward-iam-guard": 1}
    (why,) = moved["kept"].values()
    assert "can't read it" in why
    assert operated.length(DEAD_OF_IAM) == 1


def test_what_settings_guard_could_not_read_goes_back_since_nobody_reads_it(
    operated: Operated,
) -> None:
    operated.put("keyward-settings-guard" + DEAD, "no JSON")
    moved = ask(operated.world, "redrive", name="keyward-settings-guard", run="now")
    assert moved["moved"] == {"keyward-settings-guard": 1}


def test_what_comes_back_in_the_same_run_stays_and_later_is_moved_and_told(
    operated: Operated,
) -> None:
    body = json.dumps(a_key(operated.world)[1])
    operated.put(DEAD_OF_IAM, body, **{MARK: "now"})
    moved = ask(operated.world, "redrive", name="keyward-iam-guard", run="now")
    assert moved["moved"] == {}
    assert ["came back" in why for why in moved["kept"].values()] == [True]
    operated.put(DEAD_OF_IAM, body, **{MARK: "earlier"})
    moved = ask(operated.world, "redrive", name="keyward-iam-guard", run="now")
    assert (moved["moved"], moved["again"]) == ({"keyward-iam-guard": 1}, 1)
    (sent,) = operated.sqs.receive_message(
        QueueUrl=f"{PLACE}/keyward-iam-guard", MessageAttributeNames=["All"]
    )["Messages"]
    assert sent["MessageAttributes"][MARK]["StringValue"] == "now"


def test_many_dead_letters_take_several_calls(
    operated: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redriving, "BATCHES", 2)
    body = json.dumps(a_key(operated.world)[1])
    for _ in range(25):
        operated.put(DEAD_OF_IAM, body)
    replies = [ask(operated.world, "redrive", name="keyward-iam-guard", run="now") for _ in "12"]
    assert [it["more"] for it in replies] == [True, False]
    assert sum(it["moved"]["keyward-iam-guard"] for it in replies) == 25


def test_a_crash_between_sending_and_deleting_loses_nothing(operated: Operated) -> None:
    world = operated.world
    operated.put(DEAD_OF_IAM, json.dumps(a_key(world)[1]))

    def down(operation: str, _params: object, call: Any) -> Any:
        if operation == "DeleteMessage":
            raise aws_error("InternalError", operation, 500)
        return call()

    world.fault = down
    with world.recorded(), pytest.raises(GatewayError):
        ask(world, "redrive", name="keyward-iam-guard", run="now")
    world.fault = None
    assert operated.length(DEAD_OF_IAM) == 1
    assert operated.length("keyward-iam-guard") == 1


@pytest.mark.parametrize(
    ("target", "goes_to", "why"),
    [
        (f"arn:aws:sqs:{REGION}:{HUB}:keyward-iam-guard", "keyward-iam-guard", None),
        (
            f"arn:aws:sqs:{REGION}:{HUB}:keyward-account-baseline",
            "keyward-account-baseline",
            None,
        ),
        (f"arn:aws:sqs:{REGION}:111122223333:keyward-iam-guard", None, "by hand"),
        (f"arn:aws:sqs:{REGION}:{HUB}:keyward-iam-guard-dead-letters", None, "by hand"),
        (f"arn:aws:sqs:{REGION}:{HUB}:payments", None, "by hand"),
        (f"arn:aws:sns:{REGION}:{HUB}:keyward-alerts", None, "an alert"),
        (f"arn:aws:lambda:{REGION}:{HUB}:function:keyward-notifier", None, "by itself"),
        (f"arn:aws:events:{REGION}:{HUB}:event-bus/keyward", None, "keyward sweep"),
        (None, None, "by hand"),
    ],
)
def test_what_eventbridge_could_not_deliver_goes_where_it_was_bound_for_if_that_is_ours(
    operated: Operated, target: str | None, goes_to: str | None, why: str | None
) -> None:
    body = json.dumps(a_key(operated.world)[1])
    attributes = {"TARGET_ARN": target, "ERROR_CODE": "NO_PERMISSIONS"} if target else {}
    operated.put("keyward-rule" + DEAD, body, **attributes)
    moved = ask(operated.world, "redrive", name="keyward-rule", run="now")
    assert moved["moved"] == ({goes_to: 1} if goes_to else {})
    assert [why in text for text in moved["kept"].values() if why] == ([True] if why else [])
    assert operated.length("keyward-rule" + DEAD) == (0 if goes_to else 1)


@pytest.mark.parametrize(
    "arn", ["nonsense", f"arn:aws:sns:{REGION}:{HUB}:keyward-iam-guard", f"a:b:{HUB}:keyward-sweep"]
)
def test_what_is_bound_for_no_queue_goes_to_none_and_hinders_nothing(
    operated: Operated, arn: str
) -> None:
    _, event = a_key(operated.world)
    operated.put("keyward-rule" + DEAD, json.dumps(event), TARGET_ARN=arn)
    good = f"arn:aws:sqs:{REGION}:{HUB}:keyward-iam-guard"
    operated.put("keyward-rule" + DEAD, json.dumps(event), TARGET_ARN=good)
    found = ask(operated.world, "redrive", name="keyward-rule", run="r")
    assert found["moved"] == {"keyward-iam-guard": 1}
    assert len(found["kept"]) == 1


def test_a_name_that_has_no_dead_letters_is_refused(operated: Operated) -> None:
    assert "keyward-iam-guard" in ask(operated.world, "redrive", name="iam")["error"]


# Replays


@pytest.fixture
def bus(world: World) -> Any:
    """The bus with its archive, and a rule of it to the queue of iam_guard."""
    client = boto3.client("events", region_name=world.services.environment.region)
    arn = client.create_event_bus(Name="keyward")["EventBusArn"]
    client.create_archive(ArchiveName="keyward", EventSourceArn=arn)
    client.put_rule(
        Name="keyward-iam", EventBusName="keyward", EventPattern='{"source": ["aws.iam"]}'
    )
    client.put_targets(
        Rule="keyward-iam",
        EventBusName="keyward",
        Targets=[{"Id": "q", "Arn": f"arn:aws:sqs:{REGION}:{HUB}:keyward-iam-guard"}],
    )
    return client


def archive(event: dict[str, Any]) -> None:
    """What moto would do by an input transformer, which wants a package that nothing else needs."""
    at = datetime.fromisoformat(event["time"]).timestamp()
    kept: Any = event | {"time": at}
    events_backends[HUB][REGION].archives["keyward"].events.append(kept)


def test_what_was_judged_already_changes_nothing_when_it_is_replayed(
    operated: Operated, bus: Any
) -> None:
    world = operated.world
    assert bus.describe_archive(ArchiveName="keyward")["EventCount"] == 0
    key_id, event = a_key(world)
    released_id, released = a_key(world, "cd")
    for one in (event, released):
        world.deliver(one)
        archive(one)
    release(world, next(it.key for it in world.findings() if it.user_name == "cd"))
    telling.tell(world.untold(), services=world.services, now=world.now)
    before = world.findings()

    begun = ask(world, "replay", start=ago(world, hours=2).isoformat(), end=ago(world).isoformat())
    assert begun["ok"] is True, begun
    bodies = operated.taken("keyward-iam-guard")
    assert [json.loads(body)["replay-name"] for body in bodies] == [begun["replay"]] * 2
    with world.recorded() as calls:
        for body in bodies:
            deliver(world, body)
    assert writes(calls) == []
    assert world.findings() == before
    assert world.untold() == []
    assert world.key_status("ci", key_id) == "Inactive"
    assert world.key_status("cd", released_id) == "Active"
    state = ask(world, "replayed", replay=begun["replay"])
    assert (state["state"], state["over"]) == ("COMPLETED", True)


def ago(world: World, **delta: float) -> datetime:
    return world.now - timedelta(**delta)


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        (timedelta(hours=2), timedelta(hours=2), "isn't before"),
        (timedelta(hours=1), timedelta(hours=2), "isn't before"),
        (timedelta(hours=1), timedelta(hours=-1), "still to come"),
        (timedelta(days=91), timedelta(hours=1), "90 days"),
    ],
)
def test_only_what_the_archive_has_is_replayed(
    operated: Operated, bus: Any, start: timedelta, end: timedelta, says: str
) -> None:
    now = operated.world.now
    refused = ask(
        operated.world,
        "replay",
        start=(now - start).isoformat(),
        end=(now - end).isoformat(),
    )
    assert says in refused["error"]
    assert bus.list_replays()["Replays"] == []


@pytest.mark.parametrize(
    ("end", "incomplete"), [(timedelta(minutes=10), False), (timedelta(minutes=9), True)]
)
def test_what_may_not_be_archived_yet_is_said(
    operated: Operated, bus: Any, end: timedelta, *, incomplete: bool
) -> None:
    world = operated.world
    assert bus.list_replays()["Replays"] == []
    begun = ask(
        world,
        "replay",
        start=ago(world, days=89).isoformat(),
        end=(world.now - end).isoformat(),
    )
    assert begun["incomplete"] is incomplete


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("LimitExceededException", "ten replays"),
        ("ResourceNotFoundException", "no archive"),
    ],
)
def test_a_replay_that_eventbridge_refuses_is_one_line(
    operated: Operated, code: str, says: str
) -> None:
    world = operated.world

    def refuses(operation: str, _params: object, call: Any) -> Any:
        if operation == "StartReplay":
            raise aws_error(code, operation)
        return call()

    world.fault = refuses
    with world.recorded():
        span = {"start": ago(world, hours=2).isoformat(), "end": ago(world, hours=1).isoformat()}
        refused = ask(world, "replay", **span)
    assert says in refused["error"]


def test_a_replay_that_there_is_not_is_one_line(operated: Operated, bus: Any) -> None:
    assert bus.list_replays()["Replays"] == []
    assert "no replay is called x" in ask(operated.world, "replayed", replay="x")["error"]


# Inventories


def leave(operated: Operated, sweep: str) -> list[dict[str, object]]:
    """An inventory as a sweep of two accounts leaves it."""
    bucket = operated.world.services.inventory
    assert bucket is not None
    lines: list[dict[str, object]] = []
    for account in (operated.world.member, operated.world.other_member):
        of: list[dict[str, object]] = [
            {"kind": "user", "account": account, "user": "ci"},
            {"kind": "access-key", "account": account, "user": "ci", "active": True},
        ]
        bucket.put_lines(f"inventory/{sweep}/iam/{account}.jsonl", of)
        lines += of
    of_center: list[dict[str, object]] = [
        {"kind": "assignment", "account": operated.world.member, "principal": "ana"},
        {"kind": "permission-set", "name": "Reader"},
    ]
    bucket.put_lines(f"inventory/{sweep}/identity-center/0.jsonl", of_center)
    return lines + of_center


def test_an_inventory_is_that_of_the_last_complete_sweep(operated: Operated) -> None:
    world = operated.world
    old = operated.swept(ended_at=ago(world, hours=8))
    newest = operated.swept()
    incomplete = operated.swept(ended_at=ago(world, minutes=5), complete=False)
    for sweep in (old, newest, incomplete):
        lines = leave(operated, sweep.id)
    found = ask(world, "inventory")
    assert (found["sweep"], found["next"]) == (newest.id, None)
    assert sorted(map(str, found["lines"])) == sorted(map(str, lines))
    assert ask(world, "inventory", sweep=old.id)["sweep"] == old.id


def test_an_inventory_is_narrowed_by_kind_and_account(operated: Operated) -> None:
    world = operated.world
    leave(operated, operated.swept().id)
    of_kind = ask(world, "inventory", kind="access-key")["lines"]
    assert {it["account"] for it in of_kind} == {world.member, world.other_member}
    with world.recorded() as calls:
        of_account = ask(world, "inventory", account=world.member)["lines"]
    assert [it["kind"] for it in of_account] == ["user", "access-key", "assignment"]
    read = [params["Key"] for name, params in calls if name == "GetObject"]
    assert not [key for key in read if world.other_member in key]


def test_an_inventory_comes_in_pages_to_the_last(
    operated: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyward.inventory.CHARACTERS_A_PAGE", 10)
    lines = leave(operated, operated.swept().id)
    found: list[dict[str, object]] = []
    after = None
    for _ in lines:
        page = ask(operated.world, "inventory", after=after)
        assert len(page["lines"]) == 1
        found += page["lines"]
        after = page["next"]
    assert after is None
    assert sorted(map(str, found)) == sorted(map(str, lines))


def test_pages_are_measured_as_they_are_sent(
    operated: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = operated.world
    monkeypatch.setattr("keyward.inventory.CHARACTERS_A_PAGE", 3000)
    sweep = operated.swept()
    bucket = world.services.inventory
    assert bucket is not None
    bucket.put_lines(
        f"inventory/{sweep.id}/identity-center/1.jsonl",
        ({"kind": "assignment", "principal": "Ж" * 200} for _ in range(20)),
    )
    page = ask(world, "inventory")
    assert page["next"] is not None
    assert len(json.dumps(page)) < 6000


def test_a_page_ends_where_it_takes_too_long(operated: Operated) -> None:
    world = operated.world
    lines = leave(operated, operated.swept().id)
    times = iter(world.now + timedelta(seconds=15 * number) for number in range(100))
    world.services.clock = lambda: next(times)
    first = ask(world, "inventory")
    assert 0 < len(first["lines"]) < len(lines)
    assert first["next"] is not None


def test_without_a_complete_sweep_there_is_no_inventory(operated: Operated) -> None:
    assert "keyward sweep" in ask(operated.world, "inventory")["error"]


# What stands where


def wrong(world: World) -> list[str]:
    return [it["what"] for it in ask(world, "status")["wrong"]]


def test_where_all_is_well_nothing_is_wrong(operated: Operated) -> None:
    operated.swept()
    operated.canaries()
    found = ask(operated.world, "status")
    assert found["wrong"] == []
    assert found["accounts"] == {"known": 3, "unread": 0, "not_forwarding": 0, "silent": 0}
    assert [it["late"] for it in found["sources"]] == [False] * 3
    assert {it["number"] for it in found["dead_letters"]} == {0}
    json.dumps(found)


def test_before_the_first_sweep_and_canary_that_is_what_is_wrong(operated: Operated) -> None:
    found = ask(operated.world, "status")["wrong"]
    assert ["no sweep" in it["what"] for it in found].count(True) == 1
    assert sum("no canary ever of" in it["what"] for it in found) == 3
    assert all(it["do"] for it in found)


def test_each_thing_that_is_wrong_says_what_to_do(operated: Operated) -> None:
    world = operated.world
    sweep = operated.swept(ended_at=ago(world, days=2))
    operated.canaries(age=timedelta(minutes=31))
    why = "sts:AssumeRole on keyward-member: AccessDenied"
    operated.saw(sweep, world.member, ok=False, why=why)
    off = {"keyward-forward@us-east-1": "it is switched off"}
    operated.saw(sweep, world.other_member, forwarders=off)
    operated.put(DEAD_OF_IAM, "{}")
    operated.put("keyward-operator" + DEAD, "{}")
    found = {it["what"]: it["do"] for it in ask(world, "status")["wrong"]}
    expected = {
        "the last complete sweep ended at": "keyward sweep --wait",
        "no canary since": "docs/operations.md",
        "1 dead letter of keyward-iam-guard": "keyward redrive keyward-iam-guard",
        "1 dead letter of keyward-operator": "ask again",
        f"account {world.member} can't be entered or read: {why}": world.member,
        f"account {world.other_member} doesn't forward all events: keyward-forward@us-east-1: "
        "it is switched off": world.other_member,
    }
    for begins, do in expected.items():
        texts = [it for what, it in found.items() if what.startswith(begins)]
        assert texts, (begins, found)
        assert all(do in text for text in texts), (begins, texts)


def test_the_same_wrong_of_many_accounts_is_one_line(operated: Operated) -> None:
    world = operated.world
    accounts = [f"{number:012}" for number in range(100, 150)]
    sweep = operated.swept(accounts=accounts)
    for account in accounts:
        operated.saw(sweep, account, ok=False, why="no role")
    (line,) = [it for it in wrong(world) if "can't be entered" in it]
    assert line.startswith("50 accounts can't be entered or read: 000000000100, ")
    assert "and 45 more" in line


def test_an_account_that_said_nothing_is_wrong_and_one_that_left_is_not(
    operated: Operated,
) -> None:
    world = operated.world
    operated.swept(ended_at=ago(world, hours=8), accounts=[HUB, world.member, "111122223333"])
    asked = [HUB, world.member, world.other_member]
    newest = operated.swept(accounts=[HUB])
    replacing = newest
    changed = newest.model_copy(update={"version": 2, "complete": False, "silent": 2})
    world.ledger.save_sweep(changed, replacing=replacing, asked=asked)
    (line,) = [it for it in wrong(world) if "said nothing" in it]
    assert world.member in line
    assert world.other_member in line
    assert "111122223333" not in line
    rows = {it["account"]: it for it in ask(world, "status", accounts=True)["accounts"]}
    assert set(rows) == {*asked, IDENTITY_CENTER}
    assert rows[world.other_member]["swept_at"] is None
    assert rows[HUB]["wrong"] == []


def test_a_sweep_whose_list_broke_off_is_wrong_and_hides_no_account(operated: Operated) -> None:
    world = operated.world
    sweep = operated.swept(ended_at=ago(world, hours=8))
    operated.saw(sweep, world.other_member, ok=False, why="no role")
    operated.canaries()
    operated.swept(accounts=[HUB], complete=False, listed_at=None)
    texts = wrong(world)
    assert [it for it in texts if "was not complete" in it]
    assert [it for it in texts if world.other_member in it]
    accounts = ask(world, "status")["accounts"]
    assert (accounts["known"], accounts["unread"]) == (3, 1)


def test_an_older_sweep_that_looked_later_is_no_silence(operated: Operated) -> None:
    world = operated.world
    older = operated.swept(ended_at=ago(world, hours=8))
    operated.swept(ended_at=ago(world, hours=1))
    operated.canaries()
    operated.saw(older, IDENTITY_CENTER, at=world.now)  # its dead letter was moved back
    assert wrong(world) == []


def test_status_shows_what_it_can_where_queues_can_not_be_read(operated: Operated) -> None:
    world = operated.world
    operated.swept()
    operated.canaries()

    def denied(operation: str, _params: object, call: Any) -> Any:
        if operation == "GetQueueAttributes":
            raise aws_error("AccessDenied", operation)
        return call()

    world.fault = denied
    with world.recorded():
        found = ask(world, "status")
    assert found["ok"] is True
    (it,) = found["wrong"]
    assert it["what"].startswith("dead letters can't be read: ")
    assert found["sweep"]["last_complete"] is not None


def test_every_account_is_listed_page_by_page_with_what_is_known_of_it(
    operated: Operated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyward.standing.ACCOUNTS_A_PAGE", 2)
    world = operated.world
    operated.swept()
    world.ledger.hear(
        [
            Heard(
                account=world.member,
                event_name="CreateUser",
                event_source="iam.amazonaws.com",
                time=ago(world, minutes=3),
            )
        ]
    )
    rows: list[dict[str, Any]] = []
    after = None
    while True:
        page = ask(world, "status", accounts=True, after=after)
        rows += page["accounts"]
        after = page["next"]
        if after is None:
            break
    ids = [HUB, world.member, world.other_member, IDENTITY_CENTER]
    assert [row["account"] for row in rows] == sorted(ids)
    heard = {row["account"]: row["heard"] for row in rows}
    assert heard[world.member] == "CreateUser (iam.amazonaws.com)"
    assert heard[world.other_member] is None
    assert all(row["readable"] and row["wrong"] == [] for row in rows)


def test_the_status_of_an_account_says_what_is_known_of_it(operated: Operated) -> None:
    world = operated.world
    sweep = operated.swept()
    operated.saw(sweep, world.member, ok=False, why="no role")
    seen = ask(world, "status", account=world.member)["seen"]
    assert (seen["account"], seen["wrong"]) == (world.member, ["can't be read: no role"])
    unknown = ask(world, "status", account="111122223333")["seen"]
    assert (unknown["readable"], unknown["wrong"]) == (None, [])


def test_a_sweep_under_way_is_shown(operated: Operated) -> None:
    world = operated.world
    operated.swept()
    operated.canaries()
    begun = ask(world, "sweep-start")
    found = ask(world, "status")
    assert found["sweep"]["newest"]["id"] == begun["sweep"]["id"]
    assert found["sweep"]["newest"]["state"] != SweepState.DONE
    assert found["wrong"] == []
    assert State.OPEN in found["counts"]
