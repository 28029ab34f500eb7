"""Faults in every call of what Identity Center's guard does, and what must hold whatever they hit.

A case is an event and all that follows from it, as SQS would bring it: a message that fails comes
again after the queue's visibility timeout, five times in all, and then becomes a dead letter.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.sqs.models import sqs_backends
from moto.ssoadmin.models import ssoadmin_backends

from keyward import converging, operating, telling, throttle
from keyward.errors import GatewayError
from keyward.findings import FindingRecord, State
from local.sso_admin import center_of
from tests.faults.injection import (
    Crash,
    FaultKind,
    Injection,
    LastingClients,
    Striking,
    anything_untold,
    injections,
    is_read,
    label,
    records_of,
)
from tests.flow.center import ADMINISTRATOR_ACCESS, READ_ONLY_ACCESS, Center, a_center
from tests.flow.world import CENTER_QUEUE, HUB, REGION, Call, World, a_world

Case = dict[str, Any]

RECEIVES = 5
"""So often SQS delivers a message before it becomes a dead letter, as template.yaml has it."""

VISIBILITY = timedelta(minutes=6)

LEASE = "TransactWriteItems bucket"
"""The label of the writes that lease calls: nothing but the pace follows from them."""

PACE = DynamoType({"S": "bucket#identity-center"})
"""The ledger's item by which all functions keep the pace of calls."""


@contextmanager
def a_lasting_center() -> Iterator[Center]:
    """A world and its Identity Center for all tests of a module.

    Keyward's patience is shorter there than it is: what it does meanwhile is always the same. It
    leases more calls at once, since a lease costs a test as much as three of the calls.
    """
    with (
        pytest.MonkeyPatch.context() as patch,
        a_world(patch) as world,
        a_center(world, patch) as center,
    ):
        patch.setattr(converging, "PATIENCE", timedelta(minutes=8))
        patch.setattr(throttle, "CALLS_AT_ONCE", 20)
        world.services_type = LastingClients
        world.restart()
        world.settings(**SETTINGS)
        center.behaviour.looks_in_progress = 1
        yield center


SETTINGS: dict[str, Any] = {
    "permission_sets": {
        "Developer": {
            "description": "Builds and runs things",
            "managed_policies": [READ_ONLY_ACCESS],
            "session_hours": 4,
        }
    }
}


@dataclass(frozen=True)
class Snapshot:
    """The state of AWS and of the clock, to go back to as often as wanted.

    Taken only while AWS has nothing under way.
    """

    state: dict[str, Any]
    trail: list[dict[str, Any]]
    now: datetime

    @classmethod
    def of(cls, center: Center) -> Snapshot:
        owners = _owners(center.world)
        memo = {id(owner): owner for owner in owners.values()}
        return cls(
            state={name: copy.deepcopy(o.__dict__, dict(memo)) for name, o in owners.items()},
            trail=list(center.world.extension.trail),
            now=center.world.now,
        )

    def restore(self, center: Center) -> None:
        world, owners = center.world, _owners(center.world)
        memo = {id(owner): owner for owner in owners.values()}
        for name, owner in owners.items():
            fresh = copy.deepcopy(self.state[name], dict(memo))
            owner.__dict__.clear()
            owner.__dict__.update(fresh)
        world.extension.trail = list(self.trail)
        world.now = self.now
        world.fault = None
        world.recording = False
        world.calls.clear()
        center.delays.clear()
        sqs_backends[HUB][REGION].queues[CENTER_QUEUE]._messages.clear()
        center.behaviour.refusals.clear()
        center.behaviour.failures.clear()
        center.behaviour.losses.clear()
        world.restart()


def _owners(world: World) -> dict[str, Any]:
    return {
        "center": center_of(HUB, REGION),
        "sso-admin": ssoadmin_backends[HUB][REGION],
        "ledger": dynamodb_backends[HUB][REGION].tables[world.services.environment.table],
    }


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Something that the guard must get right; see `injection.Scenario`."""

    name: str
    prepare: Callable[[Center], Case]
    safe: Callable[[Center, Case], bool]
    done: State = State.ACTED
    begin: Callable[[Center, Case], None] | None = None


@dataclass
class Run:
    """What a case did and left behind."""

    calls: list[Call] = field(default_factory=list)
    told: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    dead_letters: list[str] = field(default_factory=list)


def run_through(center: Center, scenario: Scenario, case: Case, run: Run) -> None:
    """The event, or what an operator asks, and every message that follows; under the fault."""
    begin = scenario.begin or (lambda to, it: to.deliver(it["event"]))
    _delivered(center, scenario, case, run, lambda: begin(center, case), name="the event")
    for _ in range(80):
        if (body := center.next_message()) is None:
            return
        _delivered(center, scenario, case, run, lambda text=body: center.deliver(text), name=body)  # type: ignore[misc]  # a lambda with a default
    run.problems.append("messages without end")


def _delivered(  # the delivery of one message, as often as SQS makes it
    center: Center,
    scenario: Scenario,
    case: Case,
    run: Run,
    deliver: Callable[[], None],
    *,
    name: str,
) -> None:
    world = center.world
    for _ in range(RECEIVES):
        error: BaseException | None = None
        with world.recorded():
            try:
                deliver()
            except (GatewayError, Crash) as caught:
                error = caught
            run.calls += world.calls
        if isinstance(error, Crash):
            world.restart()
        _tell(world, run)
        claimed = [r for r in records_of(world) if r.state is scenario.done]
        if claimed and not scenario.safe(center, case):
            run.problems.append(f"{claimed[0].state} recorded while unsafe")
        if error is None:
            return
        world.now += VISIBILITY
    run.dead_letters.append(name)


def _tell(world: World, run: Run) -> None:
    if not anything_untold(world):
        return
    struck, world.fault = world.fault, None
    for item in world.untold():
        with world.recorded():
            telling.tell([item], services=world.services, now=world.now)
        if isinstance(item, FindingRecord):
            run.told[item.key, str(item.episode), item.state.value] += 1
    world.fault = struck


def calls_of(center: Center, scenario: Scenario, case: Case) -> list[Call]:
    """The calls of a run that nothing disturbs, from a cold start; and that run is right."""
    run = Run()
    run_through(center, scenario, case, run)
    assert (run.problems, run.dead_letters) == ([], []), (run.problems, run.dead_letters)
    assert scenario.safe(center, case), "not safe even without a fault"
    return run.calls


def problems(
    center: Center, scenario: Scenario, kind: FaultKind, *, lasting: bool
) -> tuple[list[str], int]:
    """What does not hold, call by call, and in how many cases it was tried."""
    blank = Snapshot.of(center)
    case = scenario.prepare(center)
    start = Snapshot.of(center)
    calls = calls_of(center, scenario, case)
    cases = [
        it
        for it in injections(calls, kind, lasting=lasting)
        if lasting or _is_worth_striking(it, calls)
    ]
    found = []
    for injection in cases:
        start.restore(center)
        found += [f"{injection}: {it}" for it in _struck(center, scenario, case, injection)]
    blank.restore(center)
    return found, len(cases)


def _is_worth_striking(injection: Injection, calls: list[Call]) -> bool:
    """Of reads and leases that come often, the first and the last."""
    operation, _ = calls[injection.index]
    if not is_read(operation) and injection.label != LEASE:
        return True
    same = [index for index, call in enumerate(calls) if label(*call) == injection.label]
    return injection.index in {same[0], same[-1]}


def _struck(center: Center, scenario: Scenario, case: Case, injection: Injection) -> list[str]:
    world, run = center.world, Run()
    world.fault = Striking(injection)
    run_through(center, scenario, case, run)
    world.fault = None
    records = records_of(world)
    is_safe = scenario.safe(center, case)
    if any(r.state in {State.ACTING, State.RELEASING} for r in records) and not run.dead_letters:
        run.problems.append("an act is half done, and no message will finish it")
    if not is_safe and not run.dead_letters and not any(_says_so(r) for r in records):
        run.problems.append(f"silently unsafe: {[(r.rule, r.state, r.outcome) for r in records]}")
    if run.dead_letters and not injection.lasting:
        run.problems.append(f"a passing fault became a dead letter: {run.dead_letters}")
    run.problems += [f"told {n} times: {it}" for it, n in run.told.items() if n > 1]
    run.problems += _stray_writes(center, case, run.calls)
    again = Run()
    world.later(minutes=10)
    _owners(world)["ledger"].items.pop(PACE, None)  # it goes by the wall's clock, which stood still
    run_through(center, scenario, case, again)
    if is_safe and not run.dead_letters:
        writes = [name for name, _ in _writes(again.calls)]
        if writes and not any(_says_so(r) for r in records):
            run.problems.append(f"one more delivery writes {writes}")
    elif not scenario.safe(center, case) and not any(_says_so(r) for r in records_of(world)):
        run.problems.append("the next delivery, undisturbed, does not put it right")
    return run.problems


def _says_so(record: FindingRecord) -> bool:
    """Whether the ledger says that it isn't done, and people hear of it."""
    return record.state is State.FAILED or (record.state is State.OPEN and record.held is not None)


ELSEWHERE = {"Publish", "SendMessage", "TransactWriteItems", "UpdateItem", "PutItem"}


def _writes(calls: list[Call]) -> list[Call]:
    return [
        (name, params)
        for name, params in calls
        if not is_read(name)
        and name not in ELSEWHERE
        and name not in {"IsMemberInGroups", "LookupEvents"}
    ]


def _stray_writes(center: Center, case: Case, calls: list[Call]) -> list[str]:
    """Writes of anything but the offending object."""
    allowed = {case["arn"], center.named("Developer")}
    return [
        f"{name} written at {params}"
        for name, params in _writes(calls)
        if name != "CreatePermissionSet"
        and (
            params.get("PermissionSetArn", params.get("ResourceArn")) not in allowed
            or params.get("PrincipalId") not in {None, case.get("principal")}
            or params.get("TargetId") not in {None, center.world.member}
        )
    ]


# Situations


def assigned_directly(center: Center) -> Case:
    arn, user, group = center.developer(), center.user(_name()), center.group(_name())
    center.assigned(arn, "GROUP", group)
    event = center.assign_user(arn, user)
    return {"event": event, "arn": arn, "principal": user, "group": group}


def administrator_attached(center: Center) -> Case:
    arn, group = center.developer(), center.group(_name())
    center.assigned(arn, "GROUP", group)
    event = center.do(
        "AttachManagedPolicyToPermissionSet",
        PermissionSetArn=arn,
        ManagedPolicyArn=ADMINISTRATOR_ACCESS,
    )
    return {"event": event, "arn": arn}


def drifted(center: Center) -> Case:
    """Edited in several ways: description, session, policy, tag of the catalogue."""
    arn, group = center.developer(), center.group(_name())
    center.assigned(arn, "GROUP", group)
    earlier = center.world.now - timedelta(seconds=30)
    center.do(
        "DetachManagedPolicyFromPermissionSet",
        PermissionSetArn=arn,
        ManagedPolicyArn=READ_ONLY_ACCESS,
    )
    event = center.do(
        "UpdatePermissionSet",
        PermissionSetArn=arn,
        Description="Mine",
        SessionDuration="PT12H",
        at=earlier,
    )
    return {"event": event, "arn": arn}


def deleted(center: Center) -> Case:
    arn, group = center.developer(), center.group(_name())
    center.world.ledger.remember_set(arn, "Developer")
    removed = center.event(
        "DeleteAccountAssignment",
        {
            "InstanceArn": center.instance,
            "PermissionSetArn": arn,
            "PrincipalType": "GROUP",
            "PrincipalId": group,
            "TargetType": "AWS_ACCOUNT",
            "TargetId": center.world.member,
        },
    )
    event = center.do("DeletePermissionSet", PermissionSetArn=arn)
    center.world.extension.trail = [removed["detail"], event["detail"]]
    return {"event": event, "arn": arn, "principal": group, "group": group}


def dealt_with(situation: Callable[[Center], Case]) -> Callable[[Center], Case]:
    """The situation, after the guard dealt with it and told so."""

    def prepare(center: Center) -> Case:
        case = situation(center)
        center.settle(case["event"])
        for item in center.world.untold():
            center.world.ledger.told(item)
        (finding,) = [r for r in center.world.findings() if r.state is State.ACTED]
        center.world.later(minutes=10)
        return case | {"finding": finding.key}

    return prepare


def release_asked(center: Center, case: Case) -> None:
    """An operator asks until the answer is that it is done, or under way."""
    record = center.world.ledger.finding(case["finding"])
    if record is not None and record.state is State.RELEASING and record.pending is not None:
        under_way = record.claim_until is not None and center.world.now < record.claim_until
        if under_way:
            return
    answer = operating.answer(
        {"act": "release", "by": "jane", "finding": case["finding"], "reason": "it was right"},
        services=center.world.services,
        now=center.world.now,
    )
    if not answer["ok"] and "released: there is nothing to release" not in str(answer["error"]):
        raise GatewayError(str(answer["error"]))


# What must be so in the end: read past Keyward


def person_out_group_in(center: Center, case: Case) -> bool:
    return center.principals(case["arn"]) == {("GROUP", case["group"])}


def person_in_again(center: Center, case: Case) -> bool:
    both = {("GROUP", case["group"]), ("USER", case["principal"])}
    return center.principals(case["arn"]) == both


def only_read_only(center: Center, case: Case) -> bool:
    return center.policies(case["arn"]) == {READ_ONLY_ACCESS} and not center.stale(case["arn"])


def as_the_catalogue_says(center: Center, case: Case) -> bool:
    is_so = center.described(case["arn"])
    return (
        is_so["Description"] == "Builds and runs things"
        and is_so["SessionDuration"] == "PT4H"
        and only_read_only(center, case)
    )


def as_it_had_drifted(center: Center, case: Case) -> bool:
    is_so = center.described(case["arn"])
    return (
        (is_so["Description"], is_so["SessionDuration"]) == ("Mine", "PT12H")
        and not center.policies(case["arn"])
        and not center.stale(case["arn"])
    )


def made_again_with_its_group(center: Center, case: Case) -> bool:
    arn = center.named("Developer")
    return (
        arn is not None
        and center.policies(arn) == {READ_ONLY_ACCESS}
        and center.principals(arn) == {("GROUP", case["group"])}
    )


def _name() -> str:
    _names.append(f"name-{len(_names)}")
    return _names[-1]


_names: list[str] = []

SCENARIOS = (
    Scenario(name="assignment", prepare=assigned_directly, safe=person_out_group_in),
    Scenario(name="policy", prepare=administrator_attached, safe=only_read_only),
    Scenario(name="drift", prepare=drifted, safe=as_the_catalogue_says),
    Scenario(name="deleted", prepare=deleted, safe=made_again_with_its_group),
    Scenario(
        name="release-assignment",
        prepare=dealt_with(assigned_directly),
        begin=release_asked,
        safe=person_in_again,
        done=State.RELEASED,
    ),
    Scenario(
        name="release-drift",
        prepare=dealt_with(drifted),
        begin=release_asked,
        safe=as_it_had_drifted,
        done=State.RELEASED,
    ),
)
