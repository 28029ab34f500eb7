"""Violations of which no event ever came: one sweep finds them all, and acts as events would have.

A sweep came before them: since when somebody holds an assignment, only that tells.
`pytest -s` shows the figures.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from keyward.findings import FindingRecord
from tests.flow.center import READ_ONLY_ACCESS, Center, a_center
from tests.flow.sweeping import Sweeping, more_accounts, the_sweeping
from tests.flow.world import HUB, World, a_world

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
SETTINGS: dict[str, Any] = {
    "ceiling": "enforce",
    "budgets": {"organization": 1000, "account": 1000},
    "identity_center": {"calls_per_second": 20},
}


@dataclass(frozen=True)
class Amounts:
    """How many violations of each kind are made. Administrators have nothing else, or a password.

    Else their quarantine, for what they may do, would leave no active key to be found.
    """

    users: int
    keys: int
    passwords: int
    credentials: int
    administrators: int
    assignments: int
    sets: int

    @property
    def total(self) -> int:
        """Each administrator breaks two rules: that of policies on users, and that of rights."""
        found = self.users + self.keys + self.passwords + self.credentials
        return found + 2 * self.administrators + self.assignments + self.sets


FIVE_HUNDRED = Amounts(
    users=150, keys=120, passwords=30, credentials=20, administrators=15, assignments=120, sets=30
)
FEW = Amounts(users=12, keys=8, passwords=4, credentials=3, administrators=3, assignments=6, sets=2)


@dataclass
class Made:
    """An organization with violations: what was broken by whom, and the events of it."""

    world: World
    center: Center
    accounts: list[str]
    broken: set[tuple[str, str, str]] = field(default_factory=set)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def make(self, amounts: Amounts) -> None:
        """Breaks rules in every account in turn."""
        for number in range(amounts.users):
            account = self.accounts[number % len(self.accounts)]
            self._user(account, f"user-{number}", number, amounts)
        arn = self.center.permission_set("ReadOnly", READ_ONLY_ACCESS)
        for number in range(amounts.assignments):
            account = self.accounts[number % len(self.accounts)]
            user = self.center.user(f"person-{number}")
            event = self.center.assign_user(arn, user, account)
            self._broke("identity-center", account, f"person-{number}", event)
            self.broken.add((account, f"person-{number}", "idc-assignment-to-user"))
        for number in range(amounts.sets):
            name = f"Unlisted{number}"
            event = self.center.do("CreatePermissionSet", Name=name, Description="Nobody knows")
            self._broke("identity-center", HUB, name, event)
            self.broken.add((HUB, name, "idc-permission-set-unlisted"))

    def _user(self, account: str, name: str, number: int, amounts: Amounts) -> None:
        does: list[tuple[str, str, dict[str, Any]]] = [("CreateUser", "iam-user-created", {})]
        if number < amounts.keys:
            does.append(("CreateAccessKey", "iam-access-key-created", {}))
        if number < amounts.passwords:
            does.append(
                ("CreateLoginProfile", "iam-console-password-set", {"Password": "Correct1!horse"})
            )
        if number < amounts.credentials:
            does.append(
                (
                    "CreateServiceSpecificCredential",
                    "iam-static-credential-created",
                    {"ServiceName": "codecommit.amazonaws.com"},
                )
            )
        if number >= amounts.users - amounts.administrators:
            does.append(
                ("AttachUserPolicy", "iam-user-policy-attached", {"PolicyArn": ADMINISTRATOR})
            )
            self.broken.add((account, name, "iam-admin-granted"))
        for operation, rule, asked in does:
            event = self.world.do(operation, account=account, UserName=name, **asked)
            self._broke("iam", account, name, event)
            self.broken.add((account, name, rule))

    def _broke(self, lane: str, account: str, name: str, event: dict[str, Any]) -> None:
        assert account
        assert name
        self.events.append((lane, event))

    def seen(self, records: Iterable[FindingRecord]) -> set[tuple[str, str, str]]:
        """What the findings say that was broken, in the same words."""
        return {
            (record.account, _who(record), rule)
            for record in records
            for rule in (record.rule, *record.also)
        }

    def left(self) -> dict[str, Any]:
        """What is still usable."""
        usable: dict[str, Any] = {}
        for number, account in enumerate(self.accounts):
            iam = self.world.iam(account)
            for user in iam.list_users()["Users"]:
                name = user["UserName"]
                keys = iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
                usable[f"{number}/{name}"] = (
                    self.world.is_denied(name, account),
                    sorted(key["Status"] for key in keys),
                )
        arn = self.center.named("ReadOnly") or ""
        usable["assignments"] = sum(len(self.center.principals(arn, it)) for it in self.accounts)
        return usable


def _who(record: FindingRecord) -> str:
    """The user, person or permission set that a finding is about, as it was called here."""
    if record.user_name is not None:
        return record.user_name
    return record.subject.rpartition(" ")[2]


@pytest.fixture(autouse=True)
def no_logs(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of lines that nobody reads take a while."""
    caplog.set_level(logging.CRITICAL, logger="keyward")


@contextmanager
def an_organization(
    monkeypatch: pytest.MonkeyPatch, *, more: int
) -> Iterator[tuple[Made, Sweeping]]:
    """Two accounts and so many more, a catalogue, and rules that all enforce."""
    with (
        pytest.MonkeyPatch.context() as patch,
        a_world(monkeypatch) as world,
        the_sweeping(world) as sweeping,
        a_center(world, patch) as center,
    ):
        accounts = [world.member, world.other_member, *more_accounts(world, more)]
        named = {"ReadOnly": {"managed_policies": [READ_ONLY_ACCESS], "session_hours": 4}}
        named["ReadOnly"]["description"] = "Builds and runs things"
        world.settings(
            since=datetime(2020, 1, 1, tzinfo=UTC),
            settings=SETTINGS,
            permission_sets=named,
        )
        yield Made(world=world, center=center, accounts=accounts), sweeping


def test_one_sweep_finds_five_hundred_violations_that_no_event_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with an_organization(monkeypatch, more=10) as (made, sweeping):
        sweeping.run()
        made.make(FIVE_HUNDRED)
        assert len(made.broken) == FIVE_HUNDRED.total == 500
        sweep = sweeping.run()
        records = sweeping.records()
        subjects = sweeping.tell()
        states = Counter(record.state.value for record in records)
        print(  # noqa: T201 - figures that people look for with -s
            f"\n{len(made.broken)} violations in {len(made.accounts)} accounts, no event: "
            f"{len(made.broken & made.seen(records))} found by one sweep, findings {dict(states)}, "
            f"{len(subjects)} messages, {sum(sweeping.delivered.values())} deliveries"
        )
        assert sweep.complete
        assert sweeping.dead == []
        assert made.broken - made.seen(records) == set()
        assert len(subjects) <= 20
        left = made.left()
        assert left.pop("assignments") == 0
        assert [who for who, (denied, keys) in left.items() if "Active" in keys or not denied] == []
        before = {record.key: (record.state, record.episode) for record in records}
        again = sweeping.run()
        assert again.complete
        assert {it.key: (it.state, it.episode) for it in sweeping.records()} == before
        assert sweeping.tell() == []


def test_sweep_does_what_events_would_have_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Late events, so that both see the same; each event alone, a user's check all of it at once.

    Who made a key only an event tells. A user whom the first event has quarantined is no
    administrator when the next one comes, and its keys are inactive.
    """
    found: list[set[tuple[int, str, str]]] = []
    left: list[dict[str, Any]] = []
    for by in ("events", "sweep"):
        with an_organization(monkeypatch, more=0) as (made, sweeping):
            sweeping.run()
            made.make(FEW)
            if by == "events":
                for lane, event in made.events:
                    sweeping.line.put(lane, json.dumps(event))
                sweeping.drain()
            else:
                sweeping.run()
            places = {account: number for number, account in enumerate(made.accounts)}
            seen = made.seen(sweeping.records())
            found.append({(places.get(account, -1), who, rule) for account, who, rule in seen})
            left.append(made.left())
    by_events, by_sweep = found
    assert left[0] == left[1]
    assert {rule for _, _, rule in by_events - by_sweep} == {"iam-access-key-for-other-user"}
    assert {rule for _, _, rule in by_sweep - by_events} == {"iam-admin-granted"}
