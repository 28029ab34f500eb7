"""Faults in every call of what account_baseline does, and what must hold whatever they hit.

A case is an event and all that follows from it, as SQS would bring it: as in center.py, but that
beside it stands whether AWS is asked twice for the same assignment, and in which order.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.sqs.models import sqs_backends

from keyward import assigning, converging, throttle
from keyward.errors import GatewayError
from keyward.facts import access
from keyward.findings import FindingRecord, State
from keyward.services import Services
from local.sso_admin import CONFLICT, Assignment, center_of
from tests.faults import center as of_center
from tests.faults.center import RECEIVES, VISIBILITY
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
from tests.flow.accounts import FIRST_USER, MISSING, RULES, STALE, Accounts, the_accounts
from tests.flow.center import DEVELOPER
from tests.flow.world import BASELINE_QUEUE, HUB, REGION, Call, World, a_world

Pair = tuple[str, str]
"""Who holds which permission set in the member, by name."""

DEVELOPERS, READERS, EVERYBODY = (
    ("Developers", "Developer"),
    ("Developers", "ReadOnly"),
    ("Everybody", "ReadOnly"),
)
FIRST = ("first-user", "AWSAdministratorAccess")

MOST = 600
"""So many messages follow from an event at most, where each is sent and AWS says that it wasn't."""

CLAIMS = {State.ACTED, State.RESOLVED, State.RELEASED}
"""Who reads one of these takes it that all is well."""


@contextmanager
def lasting_accounts() -> Iterator[Accounts]:
    """A world and its accounts for all tests of a module.

    Keyward's patience is shorter there than it is: what it does meanwhile is always the same. The
    pace of calls goes by the world's clock, so that it's the same however fast a machine is; and
    more calls are leased at once, since a lease costs a test as much as three of the calls.
    """
    with (
        pytest.MonkeyPatch.context() as patch,
        a_world(patch) as world,
        the_accounts(world, patch) as made,
    ):
        for module in (access, assigning, converging):
            patch.setattr(module, "PATIENCE", timedelta(minutes=8))
        patch.setattr(throttle, "CALLS_AT_ONCE", 20)
        world.services_type = _paced_by(world)
        world.restart()
        _only_what_is_needed(made)
        made.center.behaviour.clock = lambda: datetime.timestamp(world.now)
        yield made


def _paced_by(world: World) -> type[Services]:
    @dataclass(kw_only=True)
    class Paced(LastingClients):
        clock: Any = field(default=lambda: world.now)

    return Paced


def _only_what_is_needed(made: Accounts) -> None:
    """Each permission set costs a call where names are looked up."""
    for name in ("SecurityAudit", "PowerUser"):
        made.center.admin.delete_permission_set(
            InstanceArn=made.center.instance, PermissionSetArn=made.sets.pop(name)
        )
    made.sets[FIRST[1]] = made.center.permission_set(FIRST[1])
    made.groups[FIRST[0]] = made.center.user(FIRST[0])


@dataclass(frozen=True, kw_only=True)
class Case:
    """What comes in; and what is to be held in the end, and what isn't."""

    event: dict[str, Any]
    unit: str
    wanted: frozenset[Pair]
    unwanted: frozenset[Pair] = frozenset()
    finding: str = ""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Something that account_baseline must get right.

    `seconds` is how long AWS takes for an assignment; 0: it has it at once. `only` are the calls
    that are struck, by label, since no scenario before made them on that path; None: all of them.
    """

    name: str
    prepare: Callable[[Accounts], Case]
    begin: Callable[[Accounts, Case], None] = lambda to, case: to.deliver(case.event)
    done: State = State.ACTED
    seconds: int = 0
    only: frozenset[str] | None = None


@dataclass
class Run:
    """What a case did and left behind; `earlier` are its findings' versions before."""

    earlier: dict[str, int] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    told: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    dead_letters: list[str] = field(default_factory=list)


@dataclass
class Watch:
    """The fault, if there is any; and what AWS is asked for against the rules.

    No assignment is asked for that is there or under way, unless the fault hid AWS's answer: what a
    delivery was answered that then failed may be under way, but is looked for where it is there.
    None but those of the case is made or taken away; no person loses access before groups have it.
    """

    accounts: Accounts
    case: Case
    striking: Striking | None = None
    answered: set[Assignment] = field(default_factory=set)
    forgotten: set[Assignment] = field(default_factory=set)
    hidden: set[Assignment] = field(default_factory=set)
    sent: list[tuple[datetime, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __call__(self, operation: str, params: dict[str, Any], call: Callable[[], Any]) -> Any:
        if operation == "SendMessage":
            return self._sent(operation, params, call)
        if operation not in {"CreateAccountAssignment", "DeleteAccountAssignment"}:
            return self._struck(operation, params, call)
        about = Assignment.of(params)
        self._check(operation, about)
        try:
            answer = self._struck(operation, params, call)
        except ClientError as error:
            if error.response["Error"]["Code"] == CONFLICT:  # how what is under way ends is open
                self.hidden.add(about)
            raise
        except BaseException:
            self.hidden.add(about)
            raise
        self.answered.add(about)
        return answer

    def remember(self, error: BaseException | None) -> None:
        """After a delivery: what one that failed was answered nobody remembers."""
        if error is not None:
            self.forgotten |= self.answered
        self.answered.clear()

    def _sent(self, operation: str, params: dict[str, Any], call: Callable[[], Any]) -> Any:
        """Takes from the queue what came into it, and when it is due."""
        world, center = self.accounts.world, self.accounts.center
        due = world.now + timedelta(seconds=center.baseline_delays.pop())
        try:
            return self._struck(operation, params, call)
        finally:
            queue = sqs_backends[HUB][REGION].queues[BASELINE_QUEUE]._messages
            self.sent += [(due, str(message.body)) for message in queue]
            queue.clear()

    def _struck(self, operation: str, params: dict[str, Any], call: Callable[[], Any]) -> Any:
        return call() if self.striking is None else self.striking(operation, params, call)

    def _check(self, operation: str, about: Assignment) -> None:
        center = center_of(HUB, REGION)
        center.advance()
        pair = _pair(self.accounts, about)
        is_made = operation == "CreateAccountAssignment"
        if about.account != self.accounts.world.member:
            self.problems.append(f"{operation} of {pair} in another account")
        if pair not in (self.case.wanted if is_made else self.case.unwanted):
            self.problems.append(f"{operation} of {pair}, which nobody wants")
        if is_made and about not in self.hidden:
            if about in center.assignments:
                self.problems.append(f"{pair} is asked for although it is there")
            under_way = {request.subject for request in center.in_progress()}
            if about in under_way - self.forgotten:
                self.problems.append(f"{pair} is asked for although it is under way")
        if about.principal_type == "USER" and not self.case.wanted <= held(self.accounts):
            self.problems.append("a person loses access before the groups have it")


def held(accounts: Accounts) -> set[Pair]:
    """Who holds what in the member: read past Keyward, and past any call."""
    center = center_of(HUB, REGION)
    center.advance()
    return {_pair(accounts, it) for it in center.assignments if it.account == accounts.world.member}


def _pair(accounts: Accounts, it: Assignment) -> Pair:
    who = {id_: name for name, id_ in accounts.groups.items()}
    what = {arn: name for name, arn in accounts.sets.items()}
    return who.get(it.principal_id, it.principal_id), what.get(it.permission_set, it.permission_set)


def is_so(accounts: Accounts, case: Case, rule: str = "") -> bool:
    """Whether all is as wanted; by `rule`: as far as that says."""
    now = held(accounts)
    is_given, is_taken = case.wanted <= now, not case.unwanted & now
    match rule:
        case "":
            return is_given and is_taken
        case it if it == MISSING:
            return is_given
        case _:
            return is_taken


def run_through(accounts: Accounts, scenario: Scenario, case: Case, run: Run, watch: Watch) -> None:
    """The event, or what an operator asks, and every message that follows; under the fault.

    Each comes when it is due, and what failed comes again, as SQS has it.
    """
    world = accounts.world
    world.fault = watch
    due = [_Message(world.now, "the event", partial(scenario.begin, accounts, case))]
    for _ in range(MOST):
        if not due:
            break
        message = min(due, key=lambda it: it.at)
        due.remove(message)
        world.now = max(world.now, message.at)
        error = _delivered(world, message, run)
        watch.remember(error)
        for record in _changed(world, run.earlier):
            if record.state in CLAIMS and not _is_true(accounts, scenario, case, record):
                run.problems.append(f"{record.rule} is {record.state} while it isn't so")
        due += [_Message(at, body, partial(accounts.deliver, body)) for at, body in watch.sent]
        watch.sent.clear()
        if error is not None and message.receives < RECEIVES:
            due.append(replace(message, at=world.now + VISIBILITY, receives=message.receives + 1))
        elif error is not None:
            run.dead_letters.append(message.name)
    else:
        run.problems.append("messages without end")
    world.fault = None
    run.problems += dict.fromkeys(watch.problems)


@dataclass(frozen=True)
class _Message:
    """What is delivered at that time, for the how many-th time."""

    at: datetime
    name: str
    deliver: Callable[[], None]
    receives: int = 1


def _delivered(world: World, message: _Message, run: Run) -> BaseException | None:
    """What a delivery fails with."""
    error: BaseException | None = None
    with world.recorded():
        try:
            message.deliver()
        except (GatewayError, Crash) as caught:
            error = caught
        run.calls += world.calls
    if isinstance(error, Crash):
        world.restart()
    _tell(world, run)
    return error


def _changed(world: World, earlier: dict[str, int]) -> list[FindingRecord]:
    return [it for it in records_of(world) if it.version != earlier.get(it.key)]


def _is_true(accounts: Accounts, scenario: Scenario, case: Case, record: FindingRecord) -> bool:
    if scenario.done is State.RELEASED:
        return record.state is not State.RELEASED or is_so(accounts, case)
    return is_so(accounts, case, record.rule)


def _tell(world: World, run: Run) -> None:
    """Counts what the ledger's stream hands to the notifier; telling has a matrix of its own."""
    if not anything_untold(world):
        return
    for item in world.untold():
        world.ledger.told(item)
        if isinstance(item, FindingRecord):
            run.told[item.key, str(item.episode), item.state.value] += 1
        else:
            run.told[item.kind, item.id, ""] += 1


@dataclass(frozen=True)
class Prepared:
    """What a scenario begins from, its calls, and how its findings were then."""

    start: of_center.Snapshot
    case: Case
    calls: list[Call]
    earlier: dict[str, int]


_prepared: dict[tuple[int, str], Prepared] = {}
"""Of each scenario, once for a world."""


def prepared(accounts: Accounts, scenario: Scenario) -> Prepared:
    """What the scenario begins from; undisturbed it is right. The accounts are as they were."""
    key = id(accounts), scenario.name
    if key not in _prepared:
        blank = of_center.Snapshot.of(accounts.center)
        _taking(accounts, 0)
        case = scenario.prepare(accounts)
        start = of_center.Snapshot.of(accounts.center)
        earlier = {record.key: record.version for record in records_of(accounts.world)}
        _begin_from(accounts, scenario, start)
        run = Run(earlier=earlier)
        run_through(accounts, scenario, case, run, Watch(accounts, case))
        assert (run.problems, run.dead_letters) == ([], []), (run.problems, run.dead_letters)
        assert is_so(accounts, case), "not so even without a fault"
        _prepared[key] = Prepared(start, case, run.calls, earlier)
        _begin_from(accounts, scenario, blank)
    _in(accounts, _prepared[key].case.unit)
    return _prepared[key]


def _begin_from(accounts: Accounts, scenario: Scenario, start: of_center.Snapshot) -> None:
    start.restore(accounts.center)
    accounts.center.baseline_delays.clear()
    sqs_backends[HUB][REGION].queues[BASELINE_QUEUE]._messages.clear()
    _taking(accounts, scenario.seconds)


def _taking(accounts: Accounts, seconds: int) -> None:
    """Lets AWS take so long for an assignment, however often somebody looks."""
    accounts.center.behaviour.looks_in_progress = 1_000_000 if seconds else 0
    accounts.center.behaviour.seconds_in_progress = seconds or None


def problems(
    accounts: Accounts, scenario: Scenario, kind: FaultKind, *, lasting: bool
) -> tuple[list[str], int]:
    """What does not hold, call by call, and in how many cases it was tried."""
    blank = of_center.Snapshot.of(accounts.center)
    it = prepared(accounts, scenario)
    cases = strikes(scenario, it.calls, kind, lasting=lasting)
    found = []
    for injection in cases:
        _begin_from(accounts, scenario, it.start)
        found += [f"{injection}: {text}" for text in _struck(accounts, scenario, it, injection)]
    _begin_from(accounts, scenario, blank)
    return found, len(cases)


def strikes(
    scenario: Scenario, calls: list[Call], kind: FaultKind, *, lasting: bool
) -> list[Injection]:
    """The faults of this kind that show what no other shows.

    Of calls that only read or remember, and come often, the first and the last are struck.
    """
    only = scenario.only
    return [
        it
        for it in injections(calls, kind, lasting=lasting)
        if (only is None or it.label in only) and (lasting or _is_worth_striking(it, calls))
    ]


def _is_worth_striking(injection: Injection, calls: list[Call]) -> bool:
    operation, _ = calls[injection.index]
    if not is_read(operation) and injection.label not in REMEMBERING:
        return True
    same = [index for index, call in enumerate(calls) if label(*call) == injection.label]
    return injection.index in {same[0], same[-1]}


REMEMBERING = frozenset(
    f"TransactWriteItems {it}" for it in ("bucket", "id", "permission-set", "unit")
)
"""Writes of the pace and of what is known anyway: nothing is done by their leave."""


def _struck(
    accounts: Accounts, scenario: Scenario, start: Prepared, injection: Injection
) -> list[str]:
    world, case, run = accounts.world, start.case, Run(earlier=start.earlier)
    striking = Striking(injection)
    run_through(accounts, scenario, case, run, Watch(accounts, case, striking))
    records = _changed(world, start.earlier)
    is_right = is_so(accounts, case)
    if striking.struck == 0:
        run.problems.append("the fault never struck")
    if any(it.state in BUSY for it in records) and not run.dead_letters:
        run.problems.append("an act is half done, and no message will finish it")
    if not is_right and not run.dead_letters and not any(_says_so(it) for it in records):
        run.problems.append(f"silently lacking: {_shown(records)}")
    if is_right and not run.dead_letters and not any(_is_said(it, scenario) for it in records):
        run.problems.append(f"it is so, but no finding says that: {_shown(records)}")
    if run.dead_letters and not injection.lasting:
        run.problems.append(f"a passing fault became a dead letter: {run.dead_letters}")
    elif not is_right and not injection.lasting:
        run.problems.append(f"a passing fault leaves it undone: {_shown(records)}")
    run.problems += _told_otherwise_than_once(world, run, records)
    before = _state(accounts)
    again = Run(earlier=start.earlier, told=Counter(run.told))
    world.later(minutes=10)
    run_through(accounts, scenario, case, again, Watch(accounts, case))
    run.problems += [f"once more: {it}" for it in (*again.problems, *again.dead_letters)]
    is_settled = is_right and not run.dead_letters and not any(_says_so(it) for it in records)
    if is_settled and (_state(accounts) != before or again.told != run.told):
        run.problems.append("one more delivery changes or tells something")
    if not is_so(accounts, case) and not any(_says_so(it) for it in records_of(world)):
        run.problems.append("the next delivery, undisturbed, does not put it right")
    return run.problems


BUSY = {State.ACTING, State.RELEASING}


def _says_so(record: FindingRecord) -> bool:
    """Whether the ledger says that it isn't done, and people hear of it."""
    return record.state in {State.FAILED, State.OPEN}


def _is_said(record: FindingRecord, scenario: Scenario) -> bool:
    return record.state is scenario.done or _says_so(record)


def _told_otherwise_than_once(
    world: World, run: Run, records: list[FindingRecord]
) -> Iterator[str]:
    yield from (f"told {times} times: {it}" for it, times in run.told.items() if times > 1)
    for it in records:
        logical = it.key, str(it.episode), it.state.value
        if it.state not in BUSY and logical not in run.told:
            yield f"never told: {_shown([it])}"
    if anything_untold(world):
        yield "something is still untold"


def _shown(records: list[FindingRecord]) -> str:
    return str([(it.rule, it.state.value, it.held, it.outcome) for it in records])


def _state(accounts: Accounts) -> str:
    """All that a delivery may change, but that a finding was seen again."""
    seen = {"version", "seen", "last_seen", "untold"}
    records = [it.model_dump(mode="json", exclude=seen) for it in records_of(accounts.world)]
    by_key = sorted(records, key=lambda record: str(record["key"]))
    return json.dumps([by_key, sorted(held(accounts))])


# Situations


def _settings(
    accounts: Accounts, baselines: dict[str, dict[str, Any]], **rules: dict[str, Any]
) -> None:
    """Of the rules only the one that gives access, and those that are named."""
    off = {rule.id: {"mode": "off"} for rule in RULES}
    accounts.settings(
        baselines,
        rules=off | {MISSING: {"mode": "enforce"}} | rules,
        permission_sets={"Developer": DEVELOPER},
    )


def _in(accounts: Accounts, unit: str) -> None:
    (parent,) = accounts.organizations.list_parents(ChildId=accounts.world.member)["Parents"]
    if parent["Id"] != unit:
        accounts.move(unit)


def _dealt_with(accounts: Accounts, event: dict[str, Any]) -> None:
    """An earlier event, long ago and told."""
    accounts.settle(event)
    for item in accounts.world.untold():
        accounts.world.ledger.told(item)
    accounts.world.later(minutes=10)


def new_account(accounts: Accounts) -> Case:
    """Nobody knows any name yet."""
    _settings(
        accounts,
        {
            "workloads": accounts.baseline(DEVELOPERS, READERS),
            "all": accounts.baseline(EVERYBODY, accounts=[{"everything": True}]),
        },
    )
    _in(accounts, accounts.workloads)
    return Case(
        event=accounts.enrolled(),
        unit=accounts.workloads,
        wanted=frozenset({DEVELOPERS, READERS, EVERYBODY}),
    )


def taken_away(accounts: Accounts) -> Case:
    _settings(accounts, {"workloads": accounts.baseline(DEVELOPERS)})
    _in(accounts, accounts.workloads)
    _dealt_with(accounts, accounts.enrolled())
    return Case(
        event=accounts.unassign(*DEVELOPERS),
        unit=accounts.workloads,
        wanted=frozenset({DEVELOPERS}),
    )


def moved(accounts: Accounts) -> Case:
    """To where an exclusive baseline wants other access."""
    _settings(
        accounts,
        {
            "workloads": accounts.baseline(DEVELOPERS),
            "sandbox": accounts.baseline(
                READERS, accounts=[{"unit": accounts.sandbox}], exclusive=True
            ),
        },
        **{STALE: {"mode": "enforce"}},
    )
    _in(accounts, accounts.workloads)
    _dealt_with(accounts, accounts.enrolled())
    return Case(
        event=accounts.move(accounts.sandbox),
        unit=accounts.sandbox,
        wanted=frozenset({READERS}),
        unwanted=frozenset({DEVELOPERS}),
    )


def ordered_by_somebody(accounts: Accounts) -> Case:
    """Account Factory gave the account's first user access of its own."""
    _settings(accounts, {"workloads": accounts.baseline(DEVELOPERS)})
    _in(accounts, accounts.workloads)
    _dealt_with(accounts, accounts.enrolled(accounts.world.other_member))
    _settings(
        accounts,
        {"workloads": accounts.baseline(DEVELOPERS)},
        **{FIRST_USER: {"mode": "enforce", "grace_minutes": 1}},
    )
    accounts.center.assigned(accounts.sets[FIRST[1]], "USER", accounts.groups[FIRST[0]])
    return Case(
        event=accounts.enrolled(),
        unit=accounts.workloads,
        wanted=frozenset({DEVELOPERS}),
        unwanted=frozenset({FIRST}),
    )


def given(accounts: Accounts) -> Case:
    """What was given, beside what was there before, is to be taken away again."""
    _settings(accounts, {"workloads": accounts.baseline(DEVELOPERS, READERS, EVERYBODY)})
    _in(accounts, accounts.workloads)
    accounts.center.assigned(accounts.sets["ReadOnly"], "GROUP", accounts.groups["Everybody"])
    event = accounts.enrolled()
    _dealt_with(accounts, event)
    return Case(
        event=event,
        unit=accounts.workloads,
        wanted=frozenset({EVERYBODY}),
        unwanted=frozenset({DEVELOPERS, READERS}),
        finding=accounts.missing().key,
    )


def release_asked(accounts: Accounts, case: Case) -> None:
    of_center.release_asked(accounts.center, {"finding": case.finding})


GIVING = frozenset(
    {
        "CreateAccountAssignment",
        "SendMessage",
        "TransactWriteItems finding acting",
        "TransactWriteItems finding acted",
    }
)
"""The writes by which an account is given access."""

TAKING = GIVING | {
    "DeleteAccountAssignment",
    "DescribeAccountAssignmentDeletionStatus",
    "ListAccountAssignmentDeletionStatus",
    "ListAccountAssignments",
    "ListTagsForResource",
    "Query",
}
"""What comes to that where access is taken away: of the reads of a set's attributes the last."""

SCENARIOS = (
    Scenario(name="new-account", prepare=new_account, seconds=3),
    Scenario(
        name="taken-away",
        prepare=taken_away,
        only=GIVING | {"DescribeAccountAssignmentDeletionStatus"},
    ),
    Scenario(name="moved", prepare=moved, only=TAKING | {"DescribeGroup"}),
    Scenario(
        name="first-user",
        prepare=ordered_by_somebody,
        only=frozenset(
            {
                "CreateAccountAssignment",
                "DeleteAccountAssignment",
                "DescribeUser",
                "ListAccountAssignments",
                "SendMessage",
                "TransactWriteItems finding acting",
            }
        ),
    ),
    Scenario(name="release", prepare=given, begin=release_asked, done=State.RELEASED),
)
