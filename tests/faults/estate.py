"""A large organization and its Identity Center in memory, with faces like boto3's clients.

Fast enough for many thousand assignments. Time is simulated: every call takes some, waiting takes
none of the test's. What AWS does to a caller, it does: requests take their time, at most fifteen
are outstanding, more calls in a second than are granted are throttled, some conflict, some fail.
All of it comes from one seed.
Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/limits.html
"""

from __future__ import annotations

import json
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from keyward import pipeline, rules
from keyward.errors import GatewayError
from keyward.events import check_message
from keyward.findings import FindingRecord, Notice
from keyward.gateways.dynamodb import Item, Write
from keyward.gateways.identity_center import IdentityCenterGateway
from keyward.gateways.organization import OrganizationGateway
from keyward.gateways.sqs import SqsGateway
from keyward.ledger import Ledger, told_document
from keyward.rollout import Rollout
from keyward.settings import Accepted
from keyward.throttle import Bucket
from tests.faults.memory import MemoryServices, MemoryTable
from tests.flow.world import HUB

GUARD = rules.of_guard("account_baseline")
INSTANCE = "arn:aws:sso:::instance/ssoins-0123456789abcdef"
STORE = "d-0123456789"
ROOT = "r-abcd"
PAGE = 100
ACCOUNTS_A_PAGE = 20
CALLS_A_SECOND = 20
OUTSTANDING = 15
VISIBILITY = timedelta(minutes=6)
RECEIVES = 5
"""So long a message that failed is hidden, and so often it is delivered, as template.yaml says."""

type Triple = tuple[str, str, str]
"""Account, permission set, group."""


class Crash(BaseException):
    """The function died."""


@dataclass
class Clock:
    """Simulated time."""

    now: datetime = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Request:
    """A creation that AWS took on."""

    id: str
    about: Triple
    ends_at: datetime
    reason: str | None
    status: str = "IN_PROGRESS"


@dataclass
class Estate:
    """What there is, and what happens to who calls."""

    seed: int = 1
    clock: Clock = field(default_factory=Clock)
    call_milliseconds: tuple[int, int] = (20, 120)
    creation_seconds: tuple[float, float] = (2, 20)
    conflicts: float = 0
    failures: float = 0
    """So many creations conflict, and so many first requests end FAILED."""
    units: dict[str, dict[str, str]] = field(default_factory=lambda: {ROOT: {}})
    """The units in each, by name."""
    accounts: dict[str, dict[str, str]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    sets: dict[str, str] = field(default_factory=dict)
    """Ids by name, as for sets their ARNs."""
    full: set[str] = field(default_factory=set)
    """Accounts at a quota: all that is created there fails."""
    ready_at: dict[str, datetime] = field(default_factory=dict)
    """When AWS has made an account known everywhere: before, it isn't found."""
    page_size: int = PAGE
    tells_late: bool = False
    """That a group is gone only the end of a request tells."""
    held: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    """Accounts and permission sets that each group is assigned."""
    requests: dict[str, Request] = field(default_factory=dict)
    running: list[Request] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    """By operation; those of Identity Center's own API are `of_admin`."""
    of_admin: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    created: Counter[Triple] = field(default_factory=Counter)
    overlaps: list[Triple] = field(default_factory=list)
    """Creations that were asked for while one of the same was under way: nobody should."""
    failed: int = 0
    most_outstanding: int = 0
    before: Callable[[str, dict[str, Any]], None] = lambda _operation, _asked: None
    after: Callable[[str, dict[str, Any]], None] = lambda _operation, _asked: None
    """Called round each call, to do what happens just then: crash, change something."""
    _times: deque[datetime] = field(default_factory=deque)
    _tried: set[Triple] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    # What people make

    def unit(self, name: str, parent: str = ROOT) -> str:
        id_ = f"ou-abcd-{len(self.units):08d}"
        self.units[id_] = {}
        self.units[parent][name] = id_
        return id_

    def account(self, unit: str = ROOT, *, name: str = "", state: str = "ACTIVE") -> str:
        while (id_ := f"{self.random.randrange(10**11, 10**12)}") in self.accounts:
            pass
        self.accounts[id_] = {"name": name or f"account-{id_}", "unit": unit, "state": state}
        return id_

    def group(self, name: str) -> str:
        number = len(self.groups)
        self.groups[name] = f"{number:08x}-0000-4000-8000-{number:012x}"
        return self.groups[name]

    def permission_set(self, name: str) -> str:
        self.sets[name] = f"arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-{name:0>16.16}"
        return self.sets[name]

    # What AWS does

    @contextmanager
    def called(self, operation: str, asked: dict[str, Any], *, admin: bool) -> Iterator[None]:
        """Time passes, and who calls too often is throttled."""
        self.clock.sleep(self.random.randint(*self.call_milliseconds) / 1000)
        self.settle()
        self.calls[operation] += 1
        self.before(operation, asked)
        if admin:
            self.of_admin[operation] += 1
            now = self.clock.now
            while self._times and now - self._times[0] >= timedelta(seconds=1):
                self._times.popleft()
            if len(self._times) >= CALLS_A_SECOND:
                raise self.error("ThrottlingException", operation)
            self._times.append(now)
        yield
        self.after(operation, asked)

    def error(self, code: str, operation: str) -> ClientError:
        self.refused[code] += 1
        return ClientError({"Error": {"Code": code, "Message": code}}, operation)

    def settle(self) -> None:
        """What has had its time is through."""
        over = [it for it in self.running if it.ends_at <= self.clock.now]
        if not over:
            return
        self.running = [it for it in self.running if it.ends_at > self.clock.now]
        for it in over:
            it.status = "FAILED" if it.reason else "SUCCEEDED"
            if it.reason:
                self.failed += 1
            else:
                self.created[it.about] += 1
                self.hold(*it.about)

    def hold(self, account: str, arn: str, group: str) -> None:
        self.held.setdefault(group, set()).add((account, arn))

    def create(self, asked: dict[str, Any]) -> Request:
        about = (asked["TargetId"], asked["PermissionSetArn"], asked["PrincipalId"])
        account, arn, group = about
        operation = "CreateAccountAssignment"
        if about in {it.about for it in self.running}:
            self.overlaps.append(about)
            raise self.error("ConflictException", operation)
        is_gone = group not in self.groups.values()
        missing = (is_gone and not self.tells_late) or arn not in self.sets.values()
        ready_at = self.ready_at.get(account, self.clock.now)
        if missing or account not in self.accounts or self.clock.now < ready_at:
            raise self.error("ResourceNotFoundException", operation)
        if self.random.random() < self.conflicts:
            raise self.error("ConflictException", operation)
        if len(self.running) >= OUTSTANDING:
            raise self.error("ThrottlingException", operation)
        reason = None
        if is_gone:
            reason = f"Received a 404 status error: the GROUP assignee {group} was not found"
        elif account in self.full:
            reason = "Received a 409 status error: the account is at its quota of roles"
        elif about not in self._tried and self.random.random() < self.failures:
            reason = "Internal service error"
        self._tried.add(about)
        seconds = self.random.uniform(*self.creation_seconds)
        request = Request(
            id=f"{self.random.getrandbits(64):016x}",
            about=about,
            ends_at=self.clock.now + timedelta(seconds=seconds),
            reason=reason,
        )
        self.requests[request.id] = request
        self.running.append(request)
        self.most_outstanding = max(self.most_outstanding, len(self.running))
        return request

    def unhold(self, account: str, name: str, group: str) -> None:
        """Somebody takes an assignment away."""
        self.held[self.groups[group]].remove((account, self.sets[name]))

    def holds(self, account: str) -> set[tuple[str, str]]:
        """Groups and permission sets that are assigned in an account, by name."""
        return {
            (group, name)
            for group, id_ in self.groups.items()
            for name, arn in self.sets.items()
            if (account, arn) in self.held.get(id_, ())
        }

    def page(self, every: list[Any], asked: dict[str, Any], size: int) -> tuple[list[Any], Any]:
        begin = int(asked.get("NextToken", 0))
        more = {"NextToken": str(begin + size)} if begin + size < len(every) else {}
        return every[begin : begin + size], more


class Admin:
    """The face of boto3's client of sso-admin."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate

    def list_instances(self, **asked: Any) -> dict[str, Any]:
        with self._estate.called("ListInstances", asked, admin=True):
            instance = {
                "InstanceArn": INSTANCE,
                "IdentityStoreId": STORE,
                "OwnerAccountId": HUB,
                "Status": "ACTIVE",
            }
            return {"Instances": [instance]}

    def list_permission_sets(self, **asked: Any) -> dict[str, Any]:
        with self._estate.called("ListPermissionSets", asked, admin=True):
            every = list(self._estate.sets.values())
            found, more = self._estate.page(every, asked, self._estate.page_size)
            return {"PermissionSets": found, **more}

    def describe_permission_set(self, **asked: Any) -> dict[str, Any]:
        operation, arn = "DescribePermissionSet", asked["PermissionSetArn"]
        with self._estate.called(operation, asked, admin=True):
            for name, known in self._estate.sets.items():
                if known == arn:
                    return {"PermissionSet": {"Name": name, "PermissionSetArn": arn}}
            raise self._estate.error("ResourceNotFoundException", operation)

    def list_account_assignments(self, **asked: Any) -> dict[str, Any]:
        with self._estate.called("ListAccountAssignments", asked, admin=True):
            account, arn = asked["AccountId"], asked["PermissionSetArn"]
            every = [
                {"PrincipalType": "GROUP", "PrincipalId": group}
                for group in self._estate.groups.values()
                if (account, arn) in self._estate.held.get(group, ())
            ]
            found, more = self._estate.page(every, asked, self._estate.page_size)
            return {"AccountAssignments": found, **more}

    def list_permission_sets_provisioned_to_account(self, **asked: Any) -> dict[str, Any]:
        with self._estate.called("ListPermissionSetsProvisionedToAccount", asked, admin=True):
            every = sorted(
                {
                    arn
                    for held in self._estate.held.values()
                    for account, arn in held
                    if account == asked["AccountId"]
                }
            )
            found, more = self._estate.page(every, asked, self._estate.page_size)
            return {"PermissionSets": found, **more}

    def list_account_assignments_for_principal(self, **asked: Any) -> dict[str, Any]:
        with self._estate.called("ListAccountAssignmentsForPrincipal", asked, admin=True):
            group = asked["PrincipalId"]
            every = sorted(self._estate.held.get(group, ()))
            found, more = self._estate.page(every, asked, self._estate.page_size)
            return {
                "AccountAssignments": [
                    {
                        "AccountId": account,
                        "PermissionSetArn": arn,
                        "PrincipalType": "GROUP",
                        "PrincipalId": group,
                    }
                    for account, arn in found
                ],
                **more,
            }

    def list_account_assignment_creation_status(self, **asked: Any) -> dict[str, Any]:
        assert asked["Filter"] == {"Status": "IN_PROGRESS"}
        with self._estate.called("ListAccountAssignmentCreationStatus", asked, admin=True):
            every = [{"RequestId": it.id, "Status": it.status} for it in self._estate.running]
            found, more = self._estate.page(every, asked, self._estate.page_size)
            return {"AccountAssignmentsCreationStatus": found, **more}

    def describe_account_assignment_creation_status(self, **asked: Any) -> dict[str, Any]:
        operation = "DescribeAccountAssignmentCreationStatus"
        with self._estate.called(operation, asked, admin=True):
            found = self._estate.requests[asked["AccountAssignmentCreationRequestId"]]
            why = {"FailureReason": found.reason} if found.status == "FAILED" else {}
            return {"AccountAssignmentCreationStatus": {"Status": found.status, **why}}

    def create_account_assignment(self, **asked: Any) -> dict[str, Any]:
        with self._estate.called("CreateAccountAssignment", asked, admin=True):
            request = self._estate.create(asked)
            status = {"Status": "IN_PROGRESS", "RequestId": request.id}
        return {"AccountAssignmentCreationStatus": status}


class Directory:
    """The face of boto3's client of identitystore."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate

    def get_group_id(self, **asked: Any) -> dict[str, Any]:
        with self._estate.called("GetGroupId", asked, admin=False):
            name = asked["AlternateIdentifier"]["UniqueAttribute"]["AttributeValue"]
            if name not in self._estate.groups:
                raise self._estate.error("ResourceNotFoundException", "GetGroupId")
            return {"GroupId": self._estate.groups[name]}

    def describe_group(self, **asked: Any) -> dict[str, Any]:
        with self._estate.called("DescribeGroup", asked, admin=False):
            for name, id_ in self._estate.groups.items():
                if id_ == asked["GroupId"]:
                    return {"DisplayName": name, "GroupId": id_}
            raise self._estate.error("ResourceNotFoundException", "DescribeGroup")


class Organizations:
    """The face of boto3's client of organizations."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate

    def list_roots(self, **asked: Any) -> dict[str, Any]:
        with self._estate.called("ListRoots", asked, admin=False):
            return {"Roots": [{"Id": ROOT}]}

    def list_organizational_units_for_parent(self, **asked: Any) -> dict[str, Any]:
        with self._estate.called("ListOrganizationalUnitsForParent", asked, admin=False):
            below = self._estate.units[asked["ParentId"]]
            every = [{"Id": id_, "Name": name} for name, id_ in below.items()]
            found, more = self._estate.page(every, asked, ACCOUNTS_A_PAGE)
            return {"OrganizationalUnits": found, **more}

    def list_accounts_for_parent(self, **asked: Any) -> dict[str, Any]:
        with self._estate.called("ListAccountsForParent", asked, admin=False):
            every = [
                self._described(id_)
                for id_, it in self._estate.accounts.items()
                if it["unit"] == asked["ParentId"]
            ]
            size = min(ACCOUNTS_A_PAGE, self._estate.page_size)
            found, more = self._estate.page(every, asked, size)
            return {"Accounts": found, **more}

    def list_parents(self, **asked: Any) -> dict[str, Any]:
        child = asked["ChildId"]
        with self._estate.called("ListParents", asked, admin=False):
            if child in self._estate.accounts:
                return {"Parents": [{"Id": self._estate.accounts[child]["unit"]}]}
            for parent, below in self._estate.units.items():
                if child in below.values():
                    return {"Parents": [{"Id": parent}]}
            raise self._estate.error("ChildNotFoundException", "ListParents")

    def describe_account(self, **asked: Any) -> dict[str, Any]:
        with self._estate.called("DescribeAccount", asked, admin=False):
            if asked["AccountId"] not in self._estate.accounts:
                raise self._estate.error("AccountNotFoundException", "DescribeAccount")
            return {"Account": self._described(asked["AccountId"])}

    def list_tags_for_resource(self, **asked: Any) -> dict[str, Any]:
        with self._estate.called("ListTagsForResource", asked, admin=False):
            tags = self._estate.tags.get(asked["ResourceId"], {})
            return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def _described(self, id_: str) -> dict[str, str]:
        it = self._estate.accounts[id_]
        return {"Id": id_, "Name": it["name"], "State": it["state"]}


class Queue:
    """The face of boto3's client of SQS, and a queue that hides what is delayed or in hand.

    A message that fails is delivered again once its visibility timeout is over, and after RECEIVES
    deliveries it is a dead letter.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.messages: list[tuple[datetime, int, str, int]] = []
        self.dead: list[str] = []
        self.sent = 0
        self.fails_at: int | None = None
        """Which sending of a message fails, by how many were sent until then."""

    def send_message(self, **asked: Any) -> dict[str, Any]:
        assert 0 <= asked["DelaySeconds"] <= 900
        if self.sent == self.fails_at:
            self.fails_at = None
            code = "ServiceUnavailable"
            raise ClientError({"Error": {"Code": code, "Message": code}}, "SendMessage")
        self.put(asked["MessageBody"], after=timedelta(seconds=asked["DelaySeconds"]))
        return {}

    def put(self, body: str, *, after: timedelta = timedelta(0), receives: int = 0) -> None:
        self.sent += 1
        self.messages.append((self.clock.now + after, self.sent, body, receives))

    def next(self) -> tuple[str, int] | None:
        """The message that is due next, at the time when it is due, and how often it was taken."""
        if not self.messages:
            return None
        first = min(self.messages)
        self.messages.remove(first)
        due, _, body, receives = first
        self.clock.now = max(self.clock.now, due)
        return body, receives

    def failed(self, body: str, receives: int) -> None:
        """A delivery failed."""
        if receives + 1 >= RECEIVES:
            self.dead.append(body)
        else:
            self.put(body, after=VISIBILITY, receives=receives + 1)


class SlowTable(MemoryTable):
    """A table each access to which takes its time; it knows how large an item ever was."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.largest = 0
        self.writes = 0
        self._crash: tuple[int, bool] | None = None

    def crash_at(self, number: int, *, after: bool) -> None:
        """Lets the guard die right before, or after, the write that so many others precede."""
        self._crash = self.writes + number, after

    def get(self, pk: str, sk: str) -> Item | None:
        self.clock.sleep(0.005)
        return super().get(pk, sk)

    def get_all(self, keys: Iterable[tuple[str, str]]) -> Iterator[Item]:
        self.clock.sleep(0.01)
        return super().get_all(keys)

    def query(self, pk: str) -> Iterator[Item]:
        self.clock.sleep(0.02)
        return super().query(pk)

    def write(self, *writes: Write) -> None:
        self.clock.sleep(0.01)
        is_last, after = False, False
        if self._crash is not None:
            at, after = self._crash
            is_last = at == self.writes
        self.writes += 1
        if is_last and not after:
            raise Crash
        super().write(*writes)
        if is_last:
            raise Crash
        bodies = [it["Put"]["Item"].get("body", {}).get("B", b"") for it in writes if "Put" in it]
        self.largest = max((self.largest, *map(len, bodies)))


class EstateServices(MemoryServices):
    """What account_baseline has, over an estate. Several of them share one table and one queue."""

    def __init__(self, estate: Estate, queue: Queue | None = None) -> None:
        super().__init__()
        self.estate = estate
        self.clock, self.sleep = estate.clock, estate.clock.sleep
        self.queue = queue or Queue(estate.clock)
        self.slow_table = self.table = SlowTable(estate.clock)
        self.__dict__["ledger"] = Ledger(self.table, claim_seconds=90)
        self.__dict__["organization"] = OrganizationGateway(Organizations(estate))  # type: ignore[arg-type]  # as much of a client as it calls
        self.__dict__["baseline_queue"] = SqsGateway(client=self.queue, url="baseline")  # type: ignore[arg-type]  # as much of a client as it calls
        self.cold_start()

    def is_member(self, account: str, now: datetime) -> bool:  # noqa: ARG002 - it never changes
        return account == HUB or account in self.estate.accounts

    def cold_start(self) -> None:
        """Nothing is remembered but what is in the ledger."""
        self._settings = None
        self._members.clear()
        self._parents.clear()
        bucket = Bucket(
            ledger=self.ledger,
            calls_per_second=lambda: (
                self.accepted(self.clock()).settings.identity_center.calls_per_second
            ),
            sleep=self.sleep,
            clock=self.clock,
        )
        self._center = IdentityCenterGateway(
            admin=Admin(self.estate),  # type: ignore[arg-type]  # as much of a client as it calls
            directory=Directory(self.estate),  # type: ignore[arg-type]  # as much of a client as it calls
            hub_account=HUB,
            take=bucket.take,
        )


@dataclass
class Desk:
    """The guard account_baseline, and the deliveries of its queue as SQS makes them."""

    services: EstateServices
    steps: int = 0
    crashes: int = 0
    longest: timedelta = timedelta(0)

    @property
    def estate(self) -> Estate:
        return self.services.estate

    def settings(self, baselines: dict[str, Any], **changes: Any) -> None:
        """Puts settings in force by which all rules enforce, unless changed."""
        stored = self.services.ledger.accepted()
        every = [rule.id for rule in rules.every()]
        began = self.services.clock() - timedelta(days=1)
        base: dict[str, Any] = {
            "version": stored.version + 1 if stored else 1,
            "settings": {"ceiling": "enforce"},
            "rules": {rule: {"mode": "enforce"} for rule in every},
            "enforcing_since": dict.fromkeys(every, began),
            "baselines": baselines,
        }
        accepted = Accepted.model_validate_json(json.dumps(base | changes, default=str))
        self.services.ledger.accept(accepted, replacing=stored.version if stored else 0)
        self.services._settings = None

    def sweep(self, id_: str = "sweep-1") -> None:
        """The sweep tells the guard to look at all accounts."""
        self.services.queue.put(
            check_message(
                id_=id_,
                account=HUB,
                region="us-east-1",
                time=self.services.clock(),
                why="BaselineSweep",
                parameters={},
            )
        )

    def deliver(self, body: str, receives: int = 0) -> None:
        """One delivery: what fails comes again."""
        began = self.services.clock()
        try:
            pipeline.enforce(body, rules=GUARD, services=self.services, now=began)
        except (Crash, GatewayError):
            self.crashes += 1
            self.services.cold_start()
            self.services.queue.failed(body, receives)
        self.steps += 1
        self.longest = max(self.longest, self.services.clock() - began)

    def follow(self, *, most: int = 1_000_000, each: Callable[[str], None] | None = None) -> int:
        """Delivers what is on the queue until nothing is left; says how many messages those were.

        `each` is called before each.
        """
        for number in range(most):
            if (found := self.services.queue.next()) is None:
                return number
            body, receives = found
            if each is not None:
                each(body)
            self.deliver(body, receives)
        return most

    def rollout(self) -> Rollout:
        """The newest one."""
        return self.services.ledger.rollouts()[-1]

    def findings(self) -> list[FindingRecord]:
        return [it for it in self._documents("finding#") if isinstance(it, FindingRecord)]

    def notices(self) -> list[Notice]:
        return [it for it in self._documents("notice#") if isinstance(it, Notice)]

    def _documents(self, prefix: str) -> list[FindingRecord | Notice]:
        items = self.services.table.items
        return [told_document(item) for (pk, _), item in items.items() if pk.startswith(prefix)]
