"""Who holds what in a large Identity Center, in memory; and the guard that sweeps it.

An `Estate` with people in it, whose clients answer what a sweep asks. A user's list shows what its
groups hold, too, as AWS's does.
Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_ListAccountAssignmentsForPrincipal.html
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyward import centersweep, pipeline, rules
from keyward.centersweep import CenterSweep, Phase, Way
from keyward.errors import GatewayError
from keyward.events import SweepPart, SweepStep, sweep_message
from keyward.findings import FindingRecord, Notice, State
from keyward.gateways.identity_center import IdentityCenterGateway
from keyward.gateways.organization import OrganizationGateway
from keyward.gateways.s3 import S3Gateway
from keyward.gateways.sqs import SqsGateway
from keyward.model import PolicyDocument
from keyward.settings import Accepted
from keyward.sweep import IDENTITY_CENTER, Swept
from keyward.throttle import Bucket
from tests.faults.estate import (
    PAGE,
    Admin,
    Crash,
    Directory,
    Estate,
    EstateServices,
    Organizations,
    Queue,
)
from tests.faults.memory import MemoryIam
from tests.flow.world import HUB

GUARD = rules.of_guard("identity_center_guard")
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
JOINED = datetime(2024, 1, 1, tzinfo=UTC)

type Held = tuple[str, str, str, str]
"""Account, permission set, kind and id of the principal."""


@dataclass
class Holdings(Estate):
    """An estate with people. `own` are the assignments of people, `groups_of` their groups."""

    users: dict[str, str] = field(default_factory=dict)
    own: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    groups_of: dict[str, set[str]] = field(default_factory=dict)
    managed: dict[str, list[str]] = field(default_factory=dict)
    """The managed policies of each set; none: it reads."""
    stale: dict[str, list[str]] = field(default_factory=dict)
    refuses: dict[str, str] = field(default_factory=dict)
    """By what a call names (a set, a principal, an operation): the code it is refused with."""
    pages_of: int = PAGE
    """So much stands on a page."""
    joined: dict[str, datetime] = field(default_factory=dict)
    """When accounts joined, where it wasn't at JOINED."""
    _known: dict[object, Any] = field(default_factory=dict)
    """What was worked out since something changed."""

    def user(self, name: str, *groups: str) -> str:
        number = len(self.users)
        self.users[name] = f"{number:08x}-1111-4000-8000-{number:012x}"
        self.groups_of[self.users[name]] = set(groups)
        return self.users[name]

    def assign(self, account: str, arn: str, user: str) -> None:
        """Somebody assigns a person directly."""
        self.own.setdefault(user, set()).add((account, arn))
        self._known.clear()

    def unassign(self, account: str, arn: str, user: str) -> None:
        """Somebody takes that away."""
        self.own[user].remove((account, arn))
        self._known.clear()

    def hold(self, account: str, arn: str, group: str) -> None:
        super().hold(account, arn, group)
        self._known.clear()

    def everything(self) -> set[Held]:
        """Every assignment."""
        return {
            (account, arn, kind, principal)
            for kind, held in (("GROUP", self.held), ("USER", self.own))
            for principal, pairs in held.items()
            for account, arn in pairs
        }

    def provisioned(self) -> set[tuple[str, str]]:
        """Where which sets are: wherever somebody holds them."""
        if "provisioned" not in self._known:
            self._known["provisioned"] = {
                pair for held in (self.held, self.own) for pairs in held.values() for pair in pairs
            }
        return set(self._known["provisioned"])

    def of_pairs(self) -> dict[tuple[str, str], list[Held]]:
        """Who holds each set in each account."""
        if "pairs" not in self._known:
            found: dict[tuple[str, str], list[Held]] = {}
            for held in sorted(self.everything()):
                found.setdefault(held[:2], []).append(held)
            self._known["pairs"] = found
        return dict(self._known["pairs"])

    def listed(self, principal: str) -> list[tuple[str, str, str]]:
        """Account, set and holder of all that a principal's list shows."""
        if principal not in self._known:
            holders = (principal, *self.groups_of.get(principal, ()))
            self._known[principal] = sorted(
                (account, arn, holder)
                for holder in holders
                for account, arn in (*self.held.get(holder, ()), *self.own.get(holder, ()))
            )
        return list(self._known[principal])

    def least_calls(self, way: str) -> int:
        """So many calls nobody can do without who reads everything this way."""
        by_set = Counter(arn for _, arn in self.provisioned())
        sets = sum(6 + _pages(by_set[arn]) + 1 for arn in self.sets.values())
        base = 1 + _pages(len(self.sets)) + sets
        if way == "by account":
            return base + len(self.provisioned())
        principals = (*self.groups.values(), *self.users.values())
        lists = _pages(len(self.users)) + _pages(len(self.groups))
        return base + lists + sum(_pages(len(self.listed(it))) for it in principals)

    @contextmanager
    def called(self, operation: str, asked: dict[str, Any], *, admin: bool) -> Iterator[None]:
        with super().called(operation, asked, admin=admin):
            self.refuse(operation, asked)
            yield

    def refuse(self, operation: str, asked: dict[str, Any]) -> None:
        for what in (operation, *asked.values()):
            if isinstance(what, str) and what in self.refuses:
                raise self.error(self.refuses[what], operation)


def _pages(items: int) -> int:
    return max(-(-items // PAGE), 1)


class Assignments(Admin):
    """The face of boto3's client of sso-admin, for what a sweep reads."""

    def __init__(self, estate: Holdings) -> None:
        super().__init__(estate)
        self._holdings = estate

    def _of_set(self, operation: str, asked: dict[str, Any], answer: dict[str, Any]) -> Any:
        with self._holdings.called(operation, asked, admin=True):
            arn = asked.get("PermissionSetArn", asked.get("ResourceArn"))
            if arn not in self._holdings.sets.values():
                raise self._holdings.error("ResourceNotFoundException", operation)
            return answer

    def list_managed_policies_in_permission_set(self, **asked: Any) -> Any:
        arns = self._holdings.managed.get(asked["PermissionSetArn"], [READ_ONLY])
        answer = {"AttachedManagedPolicies": [{"Arn": arn} for arn in arns]}
        return self._of_set("ListManagedPoliciesInPermissionSet", asked, answer)

    def list_customer_managed_policy_references_in_permission_set(self, **asked: Any) -> Any:
        operation = "ListCustomerManagedPolicyReferencesInPermissionSet"
        return self._of_set(operation, asked, {"CustomerManagedPolicyReferences": []})

    def get_inline_policy_for_permission_set(self, **asked: Any) -> Any:
        return self._of_set("GetInlinePolicyForPermissionSet", asked, {"InlinePolicy": ""})

    def get_permissions_boundary_for_permission_set(self, **asked: Any) -> Any:
        operation = "GetPermissionsBoundaryForPermissionSet"
        self._of_set(operation, asked, {})
        raise self._holdings.error("ResourceNotFoundException", operation)

    def list_tags_for_resource(self, **asked: Any) -> Any:
        return self._of_set("ListTagsForResource", asked, {"Tags": []})

    def list_accounts_for_provisioned_permission_set(self, **asked: Any) -> Any:
        arn = asked["PermissionSetArn"]
        if "ProvisioningStatus" in asked:
            every = self._holdings.stale.get(arn, [])
        else:
            every = sorted(account for account, held in self._holdings.provisioned() if held == arn)
        found, more = self._holdings.page(every, asked, self._holdings.pages_of)
        answer = {"AccountIds": found, **more}
        return self._of_set("ListAccountsForProvisionedPermissionSet", asked, answer)

    def list_account_assignments(self, **asked: Any) -> dict[str, Any]:
        with self._holdings.called("ListAccountAssignments", asked, admin=True):
            pair = asked["AccountId"], asked["PermissionSetArn"]
            every = [
                {"PrincipalType": kind, "PrincipalId": principal}
                for _, _, kind, principal in self._holdings.of_pairs().get(pair, ())
            ]
            found, more = self._holdings.page(every, asked, self._holdings.pages_of)
            return {"AccountAssignments": found, **more}

    def list_account_assignments_for_principal(self, **asked: Any) -> dict[str, Any]:
        operation = "ListAccountAssignmentsForPrincipal"
        with self._holdings.called(operation, asked, admin=True):
            principal = asked["PrincipalId"]
            known = {*self._holdings.users.values(), *self._holdings.groups.values()}
            if principal not in known:
                raise self._holdings.error("ResourceNotFoundException", operation)
            every = self._holdings.listed(principal)
            found, more = self._holdings.page(every, asked, self._holdings.pages_of)
            groups = set(self._holdings.groups.values())
            return {
                "AccountAssignments": [
                    {
                        "AccountId": account,
                        "PermissionSetArn": arn,
                        "PrincipalType": "GROUP" if holder in groups else "USER",
                        "PrincipalId": holder,
                    }
                    for account, arn, holder in found
                ],
                **more,
            }


class People(Directory):
    """The face of boto3's client of identitystore, for what a sweep reads."""

    def __init__(self, estate: Holdings) -> None:
        super().__init__(estate)
        self._holdings = estate

    def list_users(self, **asked: Any) -> dict[str, Any]:
        return self._list("ListUsers", "Users", ("UserId", "UserName"), self._holdings.users, asked)

    def list_groups(self, **asked: Any) -> dict[str, Any]:
        names = ("GroupId", "DisplayName")
        return self._list("ListGroups", "Groups", names, self._holdings.groups, asked)

    def _list(
        self,
        operation: str,
        answers: str,
        names: tuple[str, str],
        known: dict[str, str],
        asked: dict[str, Any],
    ) -> dict[str, Any]:
        with self._holdings.called(operation, asked, admin=False):
            every = [{names[0]: id_, names[1]: name} for name, id_ in known.items()]
            found, more = self._holdings.page(every, asked, self._holdings.pages_of)
            return {answers: found, **more}

    def describe_user(self, **asked: Any) -> dict[str, Any]:
        with self._holdings.called("DescribeUser", asked, admin=False):
            for name, id_ in self._holdings.users.items():
                if id_ == asked["UserId"]:
                    return {"UserName": name, "UserId": id_}
            raise self._holdings.error("ResourceNotFoundException", "DescribeUser")


class Joined(Organizations):
    """The organization, which tells when an account joined."""

    def __init__(self, estate: Holdings) -> None:
        super().__init__(estate)
        self._holdings = estate

    def _described(self, id_: str) -> dict[str, Any]:
        joined = self._holdings.joined.get(id_, JOINED)
        return {**super()._described(id_), "JoinedTimestamp": joined}


class Batches(Queue):
    """A queue that takes several messages at once."""

    def send_message_batch(self, **asked: Any) -> dict[str, Any]:
        assert 1 <= len(asked["Entries"]) <= 10
        for entry in asked["Entries"]:
            self.put(entry["MessageBody"])
        return {}


class Buckets:
    """The face of boto3's client of S3: what was put under which key."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_object(self, **asked: Any) -> dict[str, Any]:
        self.objects[asked["Key"]] = asked["Body"]
        return {}

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for body in self.objects.values() for line in body.splitlines()]


class HubIam(MemoryIam):
    """The managed policies that sets have."""

    def managed_policy(self, arn: str) -> PolicyDocument:
        what = "*" if arn == ADMIN else "s3:GetObject"
        statement = {"Effect": "Allow", "Action": what, "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        return PolicyDocument(name=arn.rpartition("/")[2], text=json.dumps(document), arn=arn)


class SweepServices(EstateServices):
    """What identity_center_guard has, over holdings. What it asks of account_baseline is kept."""

    def __init__(self, holdings: Holdings) -> None:
        self.holdings = holdings
        super().__init__(holdings, Batches(holdings.clock))
        self.baselines = Batches(holdings.clock)
        self.buckets = Buckets()
        sts: Any = self.queue, self.baselines, self.buckets
        self.__dict__["center_queue"] = SqsGateway(client=sts[0], url="center")
        self.__dict__["baseline_queue"] = SqsGateway(client=sts[1], url="baseline")
        self.__dict__["inventory"] = S3Gateway(client=sts[2], bucket="inventory")

    def cold_start(self) -> None:
        super().cold_start()
        faces: Any = Assignments(self.holdings), People(self.holdings), Joined(self.holdings)
        bucket = Bucket(
            ledger=self.ledger,
            calls_per_second=lambda: (
                self.accepted(self.clock()).settings.identity_center.calls_per_second
            ),
            sleep=self.sleep,
            clock=self.clock,
        )
        self._center = IdentityCenterGateway(
            admin=faces[0], directory=faces[1], hub_account=HUB, take=bucket.take
        )
        self.__dict__["organization"] = OrganizationGateway(faces[2])

    def iam(self, account: str, now: datetime) -> Any:  # noqa: ARG002 - nothing runs out
        return self.accounts.setdefault(account, HubIam(account))


@dataclass
class Guard:
    """identity_center_guard, and the deliveries of its queue as SQS makes them."""

    services: SweepServices
    steps: int = 0
    crashes: int = 0
    longest: timedelta = timedelta(0)
    checks: list[dict[str, Any]] = field(default_factory=list)
    """The checks that it was sent, as they came."""
    forced: Way | None = None
    """The way that it reads by, whatever it costs."""

    @property
    def holdings(self) -> Holdings:
        return self.services.holdings

    def settings(self, **changes: Any) -> None:
        """Puts settings in force by which all rules enforce, unless changed."""
        stored = self.services.ledger.accepted()
        every = [rule.id for rule in rules.every()]
        began = self.services.clock() - timedelta(days=100)
        base: dict[str, Any] = {
            "version": stored.version + 1 if stored else 1,
            "settings": {"ceiling": "report", "identity_center": {"calls_per_second": 20}},
            "rules": {"idc-permission-set-unlisted": {"max_sets": 3500}},
            "enforcing_since": dict.fromkeys(every, began),
        }
        accepted = Accepted.model_validate_json(json.dumps(base | changes, default=str))
        self.services.ledger.accept(accepted, replacing=stored.version if stored else 0)
        self.services._settings = None

    def sweep(self, id_: str = "sweep-1", *, full: bool = False) -> Swept:
        """A sweep, with all that is looked at for its sake."""
        step = SweepStep(id=id_, part=SweepPart.IDENTITY_CENTER, full=full)
        self.services.queue.put(sweep_message(step))
        self.follow()
        (swept,) = self.services.ledger.seen_by(id_)
        assert swept.account == IDENTITY_CENTER
        assert self.state(id_).phase is Phase.DONE
        return swept

    def follow(self) -> None:
        while (found := self.services.queue.next()) is not None:
            body, receives = found
            self.deliver(body, receives)

    def deliver(self, body: str, receives: int = 0) -> None:
        """One delivery: what fails comes again."""
        began = self.services.clock()
        message = json.loads(body)
        if message.get("keyward") == "check":
            self.checks.append(message)
        try:
            with self.reading():
                pipeline.enforce(body, rules=GUARD, services=self.services, now=began)
        except (Crash, GatewayError):
            self.crashes += 1
            self.services.cold_start()
            self.services.queue.failed(body, receives)
        if message.get("keyward") == "sweep":
            self.steps += 1
            self.longest = max(self.longest, self.services.clock() - began)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Where a way is forced, it is the cheapest of all."""
        way = self.forced
        with pytest.MonkeyPatch.context() as patch:
            if way is not None:
                patch.setattr(centersweep, "cheaper", lambda **_: way)
                patch.setattr(centersweep, "changes_over", lambda _: False)
            yield

    def state(self, id_: str = "sweep-1") -> CenterSweep:
        kept = self.services.ledger.center_sweep(id_)
        assert kept is not None
        return CenterSweep.unpacked(kept[1], version=kept[0])

    def held(self, id_: str = "sweep-1") -> set[Held]:
        """What the sweep saw."""
        return {
            (account, seen.arn, holder.kind.value, holder.id)
            for holder, account, seen in self.state(id_).assignments()
        }

    def notices(self) -> list[Notice]:
        items = self.services.table.items.items()
        return [
            Notice.model_validate_json(item["doc"]["S"])
            for (pk, _), item in items
            if pk.startswith("notice#")
        ]

    def findings(self, state: State | None = None) -> list[FindingRecord]:
        records = [
            FindingRecord.model_validate_json(item["doc"]["S"])
            for (pk, _), item in self.services.table.items.items()
            if pk.startswith("finding#")
        ]
        return [record for record in records if state in {None, record.state}]


def a_guard(**changes: Any) -> Guard:
    """The guard of an empty estate whose rules only report."""
    guard = Guard(services=SweepServices(Holdings(**changes)))
    guard.settings()
    return guard
