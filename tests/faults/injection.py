"""Faults in every call of a scenario, and what must hold whatever they hit.

A scenario is set up once for a worker; each case begins from a copy of that state, which costs
less than a millisecond. Clients outlive a cold start: what they know is only where AWS is.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.iam.models import get_account_id_from, iam_backends

from keyward import telling
from keyward.errors import GatewayError
from keyward.findings import FindingRecord, State
from keyward.gateways.organization import Session
from keyward.planner import OUT_OF_REACH
from keyward.services import Services
from tests.flow.world import HUB, REGION, Call, Extension, World, a_world, aws_error

DELIVERIES = 4
"""The first one and three more, as long as there is something left to do."""

READS = ("Get", "BatchGet", "List", "Describe", "Query", "AssumeRole")
"""How the operations begin that change nothing."""

assert DEFAULT_ACCOUNT_ID == HUB

_clients: dict[tuple[str, str | None, str], Any] = {}


class LastingClients(Services):
    """Services whose clients survive a cold start: making one takes longer than a whole case."""

    def _client(
        self,
        service: str,
        session: Session | None = None,
        region: str | None = None,
        *,
        attempts: int = 3,
    ) -> Any:
        account = HUB if session is None else get_account_id_from(session.access_key_id)
        key = (service, region, account)
        if key not in _clients:
            _clients[key] = super()._client(service, session, region, attempts=attempts)
        return _clients[key]


@contextmanager
def a_lasting_world() -> Iterator[World]:
    """A world for all tests of a module."""
    with pytest.MonkeyPatch.context() as monkeypatch, a_world(monkeypatch) as world:
        _clients.clear()
        world.services_type = LastingClients
        world.restart()
        world.settings()
        yield world


@dataclass(frozen=True)
class Snapshot:
    """The state of AWS and of the clock, to go back to as often as wanted."""

    state: dict[str, Any]
    extension: Extension
    now: datetime

    @classmethod
    def of(cls, world: World) -> Snapshot:
        return cls(
            state={name: _copied(owner) for name, owner in _owners(world).items()},
            extension=copy.deepcopy(world.extension),
            now=world.now,
        )

    def restore(self, world: World) -> None:
        for name, owner in _owners(world).items():
            fresh = copy.deepcopy(self.state[name], {id(owner): owner})
            if "access_keys" in fresh:  # sessions stay valid, as do the clients that use them
                fresh["access_keys"] = owner.access_keys | fresh["access_keys"]
            owner.__dict__.clear()
            owner.__dict__.update(fresh)
        world.extension = copy.deepcopy(self.extension)
        world.now = self.now
        world.fault = None
        world.recording = False
        world.calls.clear()
        world.restart()


def _owners(world: World) -> dict[str, Any]:
    """Whose state it is: IAM of each account, and the ledger. Parameter Store is never written."""
    accounts = {
        f"iam {account}": iam_backends[account]["aws"]
        for account in (HUB, world.member, world.other_member)
    }
    return accounts | {"ledger": dynamodb_backends[HUB][REGION].tables["keyward-ledger"]}


def _copied(owner: Any) -> dict[str, Any]:
    copied: dict[str, Any] = copy.deepcopy(owner.__dict__, {id(owner): owner})
    return copied


class Crash(BaseException):
    """The function dies: no code of ours sees it coming."""


class FaultKind(StrEnum):
    THROTTLED = "throttled"
    DENIED = "denied"
    TIMEOUT_AFTER_EFFECT = "timeout-after-effect"
    CRASH_BEFORE = "crash-before"
    CRASH_AFTER = "crash-after"


AFTER_EFFECT = frozenset({FaultKind.TIMEOUT_AFTER_EFFECT, FaultKind.CRASH_AFTER})


def strike(kind: FaultKind, operation: str, call: Callable[[], Any]) -> Any:
    """What the caller of `operation` gets."""
    match kind:
        case FaultKind.THROTTLED:
            raise aws_error("ThrottlingException", operation)
        case FaultKind.DENIED:
            code = "AccessDenied" if operation not in LEDGER else "AccessDeniedException"
            raise aws_error(code, operation, 403)
        case FaultKind.TIMEOUT_AFTER_EFFECT:
            call()
            raise ReadTimeoutError(endpoint_url="https://aws.example.com")
        case FaultKind.CRASH_BEFORE:
            raise Crash
        case FaultKind.CRASH_AFTER:
            call()
            raise Crash


LEDGER = frozenset({"GetItem", "Query", "TransactWriteItems"})


def label(operation: str, params: dict[str, Any]) -> str:
    """Which call it is: a fault that lasts hits all calls of one label.

    Writes of the ledger are told apart by what they write: permissions can't tell them apart, but
    a table that fails now and then can.
    """
    if operation != "TransactWriteItems":
        return operation
    (first,) = params["TransactItems"][0].values()
    item = first.get("Item") or first["Key"]
    what = item["pk"]["S"].partition("#")[0]
    state = item.get("gsi_state", {}).get("S", "")
    return f"{operation} {what} {state}".strip()


def is_read(operation: str) -> bool:
    return operation.startswith(READS)


@dataclass(frozen=True)
class Injection:
    """A fault in the call number `index` of a run; `lasting`: in every call of its label."""

    kind: FaultKind
    index: int
    label: str
    lasting: bool

    def __str__(self) -> str:
        when = "always" if self.lasting else "once"
        return f"{self.kind} {when} at call {self.index} ({self.label})"


@dataclass
class Striking:
    """The fault as the world wants it; it counts calls over all deliveries."""

    injection: Injection
    seen: int = 0
    struck: int = 0

    def __call__(self, operation: str, params: dict[str, Any], call: Callable[[], Any]) -> Any:
        index, self.seen = self.seen, self.seen + 1
        wanted = self.injection
        hit = label(operation, params) == wanted.label if wanted.lasting else index == wanted.index
        if not hit:
            return call()
        self.struck += 1
        return strike(wanted.kind, operation, call)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Something that Keyward must get right.

    `prepare` brings about the situation and returns what the other functions need. `deliver` is
    one delivery, with all that it raises. `safe` says whether what was wanted is so. `done` is
    the state that claims it. `acts` is false where nothing may be written in any account;
    `can_be_safe` is false where nothing helps, and the ledger must say so.
    """

    name: str
    prepare: Callable[[World], dict[str, Any]]
    deliver: Callable[[World, dict[str, Any]], None]
    safe: Callable[[World, dict[str, Any]], bool]
    done: State | None
    user: str = "eve"
    acts: bool = True
    can_be_safe: bool = True


@dataclass
class Run:
    """What a case did and left behind."""

    raised: list[BaseException | None] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    told: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    @property
    def dead_letter(self) -> bool:
        return all(error is not None for error in self.raised)


def deliver(world: World, scenario: Scenario, case: dict[str, Any], run: Run) -> None:
    """One delivery under the world's fault; then the notifier's turn, without any fault."""
    error: BaseException | None = None
    with world.recorded():
        try:
            scenario.deliver(world, case)
        except (GatewayError, Crash) as caught:
            error = caught
        run.calls += world.calls
    if isinstance(error, Crash):
        world.restart()
    run.raised.append(error)
    _tell(world, run)


def _tell(world: World, run: Run) -> None:
    """Tells what the ledger's stream would hand to the notifier, and counts it."""
    if not anything_untold(world):
        return
    struck, world.fault = world.fault, None
    for item in world.untold():
        with world.recorded():
            telling.tell([item], services=world.services, now=world.now)
            published = [params for name, params in world.calls if name == "Publish"]
        for message in published:
            attributes = {
                name: value["StringValue"] for name, value in message["MessageAttributes"].items()
            }
            episode = (
                str(item.episode) if isinstance(item, FindingRecord) else getattr(item, "id", "")
            )
            identity = attributes.get("finding", attributes["kind"])
            run.told[identity, episode, attributes.get("state", "")] += 1
    world.fault = struck


def recorded_calls(world: World, scenario: Scenario, case: dict[str, Any]) -> list[Call]:
    """The calls of a run that nothing disturbs, from a cold start; and that run is right."""
    run = Run()
    deliver(world, scenario, case, run)
    assert run.raised == [None], run.raised
    assert scenario.safe(world, case) is scenario.can_be_safe, "not safe even without a fault"
    return run.calls


def injections(calls: list[Call], kind: FaultKind, *, lasting: bool) -> list[Injection]:
    """The faults of this kind in these calls.

    After a read there is nothing that a timeout or a crash could have left behind: these two are
    left out, since throttling and a crash before it are the same.
    """
    found: dict[object, Injection] = {}
    for index, (operation, params) in enumerate(calls):
        if kind in AFTER_EFFECT and is_read(operation):
            continue
        name = label(operation, params)
        found.setdefault(
            name if lasting else index,
            Injection(kind=kind, index=index, label=name, lasting=lasting),
        )
    return list(found.values())


def run_case(world: World, scenario: Scenario, case: dict[str, Any], injection: Injection) -> Run:
    """Delivers four times under the fault, once more without, and notes what does not hold."""
    run = Run()
    earlier = {record.key: record.version for record in records_of(world)}
    fault = Striking(injection)
    world.fault = fault
    taken = False
    finished: object = None
    for _ in range(DELIVERIES):
        deliver(world, scenario, case, run)
        claimed = [r for r in _changed(world, earlier) if r.state is scenario.done]
        if claimed and not scenario.safe(world, case):
            run.problems.append(f"{claimed[0].state} recorded while unsafe")
        if finished is not None:
            if _state(world) != finished:
                run.problems.append("a delivery after the one that did it changed something")
            break  # the next one would begin where this one did
        if run.raised[-1] is None and not taken:
            taken = True
            _check_success(world, scenario, case, run, earlier)
        done = taken and _is_done(world, scenario, case, earlier)
        finished = _state(world) if done else None
        world.later(minutes=10)
    world.fault = None
    if fault.struck == 0:
        run.problems.append("the fault never struck")
    if run.dead_letter and not injection.lasting:
        run.problems.append(f"a passing fault became a dead letter: {run.raised}")
    _check_writes(world, scenario, run)
    _check_told(world, run, earlier)
    _check_another_delivery(world, scenario, case, run, earlier)
    return run


def _changed(world: World, earlier: dict[str, int]) -> list[FindingRecord]:
    return [r for r in records_of(world) if r.version != earlier.get(r.key)]


def _items(world: World) -> list[dict[str, Any]]:
    """The ledger's items, past the API: thousands of queries would take most of the time."""
    table = dynamodb_backends[HUB][REGION].tables[world.services.environment.table]
    return [item.attrs for of_pk in table.items.values() for item in of_pk.values()]


def anything_untold(world: World) -> bool:
    return any("untold" in item for item in _items(world))


def documents_of(world: World) -> list[str]:
    """What the ledger keeps of findings, notices and subjects, as it stands there."""
    return [item["doc"].value for item in _items(world) if "doc" in item]


def records_of(world: World) -> list[FindingRecord]:
    return [
        FindingRecord.model_validate_json(item["doc"].value)
        for item in _items(world)
        if item["pk"].value.startswith("finding#")
    ]


def _is_done(
    world: World, scenario: Scenario, case: dict[str, Any], earlier: dict[str, int]
) -> bool:
    """Whether it is so, and the ledger says so: from here on nothing may change."""
    if not scenario.safe(world, case):
        return False
    changed = _changed(world, earlier)
    if any((r.held or "").startswith(OUT_OF_REACH) for r in changed):
        return False  # who can look later says so in the record
    return scenario.done is None or any(r.state is scenario.done for r in changed)


def _open_about_it(record: FindingRecord) -> bool:
    """Whether the ledger says that it isn't contained, and people hear of it."""
    return record.state is State.FAILED or (record.state is State.OPEN and record.held is not None)


def _check_success(
    world: World, scenario: Scenario, case: dict[str, Any], run: Run, earlier: dict[str, int]
) -> None:
    """SQS forgets a message that was taken: what isn't right by now will never be."""
    changed = _changed(world, earlier)
    if any(r.state in {State.ACTING, State.RELEASING} for r in changed):
        run.problems.append("the message was taken while an act is half done")
    if scenario.safe(world, case):
        known = any(r.state is scenario.done or _open_about_it(r) for r in changed)
        if scenario.done is not None and not known:
            states = [(r.rule, r.state, r.held, r.outcome) for r in changed]
            run.problems.append(f"safe, but not {scenario.done} in the ledger: {states}")
    elif not any(_open_about_it(r) for r in changed):
        run.problems.append(f"silently unsafe: {[(r.rule, r.state, r.outcome) for r in changed]}")


IAM_WRITES = frozenset(
    {
        "AddUserToGroup",
        "AttachUserPolicy",
        "DeleteUserPermissionsBoundary",
        "DetachUserPolicy",
        "PutUserPermissionsBoundary",
        "RemoveUserFromGroup",
        "TagUser",
        "UntagUser",
        "UpdateAccessKey",
        "UpdateSSHPublicKey",
        "UpdateServiceSpecificCredential",
        "UpdateSigningCertificate",
    }
)
"""All that the member role may write."""

ELSEWHERE = LEDGER | {"Publish", "PutParameter"}


def iam_writes(calls: list[Call]) -> list[Call]:
    return [(n, p) for n, p in calls if not is_read(n) and n not in ELSEWHERE]


def _check_writes(world: World, scenario: Scenario, run: Run) -> None:
    for operation, params in iam_writes(run.calls):
        where = params["_account"], params.get("UserName")
        if operation not in IAM_WRITES or where != (world.member, scenario.user):
            run.problems.append(f"{operation} written at {where}")
        if not scenario.acts:
            run.problems.append(f"{operation} written although nothing may be done")


def _check_told(world: World, run: Run, earlier: dict[str, int]) -> None:
    for logical, times in run.told.items():
        if times > 1:
            run.problems.append(f"told {times} times: {logical}")
    for record in _changed(world, earlier):
        logical = record.key, str(record.episode), record.state.value
        if record.state in {State.ACTED, State.FAILED, State.OPEN} and logical not in run.told:
            run.problems.append(f"never told: {logical}")
    if anything_untold(world):
        run.problems.append("something is still untold")


def _check_another_delivery(
    world: World, scenario: Scenario, case: dict[str, Any], run: Run, earlier: dict[str, int]
) -> None:
    """What is done stays as it is; what became a dead letter is put right when that is redriven."""
    done = not run.dead_letter and _is_done(world, scenario, case, earlier)
    before = _state(world)
    told = dict(run.told)
    again = Run(told=Counter(run.told))
    deliver(world, scenario, case, again)
    if done:
        if iam_writes(again.calls):
            run.problems.append(f"one more delivery writes {iam_writes(again.calls)}")
        if _state(world) != before or again.told != told:
            run.problems.append("one more delivery changes or tells something")
        return
    if run.dead_letter:
        if again.raised != [None]:
            run.problems.append(f"the dead letter, redriven, raises {again.raised}")
        if not _is_done(world, scenario, case, earlier) and scenario.can_be_safe:
            run.problems.append("the dead letter, redriven, does not put it right")
    _check_success(world, scenario, case, run, earlier)
    run.calls += again.calls
    _check_writes(world, scenario, run)


def _state(world: World) -> object:
    """All that a delivery may change, except that a finding was seen again."""
    records = [
        r.model_copy(update={"untold": None}).model_dump(mode="json", exclude={"version"})
        for r in records_of(world)
    ]
    accounts = {}
    for account in (HUB, world.member, world.other_member):
        backend = iam_backends[account]["aws"]
        accounts[account] = {
            user.name: (
                sorted(user.managed_policies),
                sorted(group.name for group in backend.get_groups_for_user(user.name)),
                sorted((key.access_key_id, key.status) for key in user.access_keys),
                sorted((key.ssh_public_key_id, key.status) for key in user.ssh_public_keys),
                sorted((key, item.status) for key, item in user.signing_certificates.items()),
                sorted(backend.tagger.get_tag_dict_for_resource(user.arn).items()),
            )
            for user in backend.users.values()
        }
    settings = world.ledger.accepted()
    return json.dumps(
        [
            sorted(records, key=lambda record: str(record["key"])),
            accounts,
            sorted((*key, arn) for key, arn in world.extension.boundaries.items()),
            sorted(
                (*key, name, item["Status"])
                for key, held in world.extension.credentials.items()
                for name, item in held.items()
            ),
            settings.model_dump(mode="json") if settings else None,
        ],
        sort_keys=True,
        default=str,
    )
