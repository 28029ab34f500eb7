"""A thousand accounts get fifteen assignments each, as fast as AWS lets them. Its figures print."""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from keyward import pipeline, rollouts, rules
from keyward.events import check_message
from keyward.findings import FindingRecord, Notice, State
from keyward.ledger import told_document
from keyward.rollout import Rollout, RolloutState
from keyward.settings import Accepted
from tests.faults.estate import OUTSTANDING, Crash, Estate, EstateServices, Triple
from tests.flow.world import HUB

GUARD = rules.of_guard("account_baseline")
ACCOUNTS, PAIRS = 1000, 15
LAMBDA = timedelta(seconds=60)
CRASHES_AT = 7000
TWICE_AT = 3000
"""The creations after which the function dies, and while which its message comes once more."""


def everything_enforced(baselines: dict[str, Any], now: datetime) -> Accepted:
    every = [rule.id for rule in rules.every()]
    return Accepted.model_validate_json(
        json.dumps(
            {
                "version": 1,
                "settings": {"ceiling": "enforce"},
                "rules": {rule: {"mode": "enforce"} for rule in every},
                "enforcing_since": dict.fromkeys(every, (now - timedelta(days=1)).isoformat()),
                "baselines": baselines,
            }
        )
    )


def a_sweep(now: datetime) -> str:
    return check_message(
        id_="sweep-1",
        account=HUB,
        region="us-east-1",
        time=now,
        why="BaselineSweep",
        parameters={},
    )


@dataclass
class Run:
    """The deliveries of the queue to the guard, as SQS makes them; some messages come twice."""

    services: EstateServices
    twice: float
    steps: int = 0
    doubles: int = 0
    crashes: int = 0
    longest: timedelta = timedelta(0)
    in_hand: str = ""

    def deliver(self, body: str, receives: int = 0) -> None:
        began, self.in_hand = self.services.clock(), body
        try:
            pipeline.enforce(body, rules=GUARD, services=self.services, now=began)
        except Crash:
            self.crashes += 1
            self.services.cold_start()
            self.services.queue.failed(body, receives)
        self.steps += 1
        self.longest = max(self.longest, self.services.clock() - began)

    def follow(self) -> None:
        estate = self.services.estate
        while (found := self.services.queue.next()) is not None:
            body, receives = found
            if estate.random.random() < self.twice:
                self.doubles += 1
                late = timedelta(seconds=estate.random.uniform(0, 30))
                self.services.queue.put(body, after=late)
            self.deliver(body, receives)

    def strike(self, operation: str, _asked: dict[str, Any]) -> None:
        """Between two calls of one step: its message is delivered again at once, or it dies."""
        if operation != "CreateAccountAssignment":
            return
        number = self.services.estate.calls[operation]
        if number == TWICE_AT:
            self.doubles += 1
            body = self.in_hand
            pipeline.enforce(body, rules=GUARD, services=self.services, now=self.services.clock())
        if number == CRASHES_AT:
            raise Crash

    def rollout(self) -> Rollout:
        (found,) = self.services.ledger.rollouts()
        return found

    def findings(self) -> list[FindingRecord]:
        return [it for it in self._documents("finding#") if isinstance(it, FindingRecord)]

    def notices(self) -> list[Notice]:
        return [it for it in self._documents("notice#") if isinstance(it, Notice)]

    def _documents(self, prefix: str) -> list[FindingRecord | Notice]:
        items = self.services.table.items
        return [told_document(item) for (pk, _), item in items.items() if pk.startswith(prefix)]


@dataclass
class Scene:
    """The estate, and who is who in it."""

    estate: Estate
    members: list[str]
    suspended: str
    full: str
    pairs: list[tuple[str, str]]
    baseline: dict[str, Any]

    @classmethod
    def made(cls) -> Scene:
        """A thousand accounts and a suspended one in twenty units; one is at its quota of roles.

        The baseline wants fifteen groups there, one that is going to go, and one that never was.
        """
        estate = Estate(seed=20261120, conflicts=0.05, failures=0.02)
        units = [estate.unit(f"unit-{number}") for number in range(20)]
        members = [estate.account(units[number % 20]) for number in range(ACCOUNTS)]
        suspended = estate.account(units[3], state="SUSPENDED")
        estate.full.add(members[500])
        pairs = [(f"Group {number}", f"Set-{number}") for number in range(PAIRS)]
        for group, name in (*pairs, ("Leavers", "Set-15")):
            estate.group(group)
            estate.permission_set(name)
        named = (*pairs, ("Leavers", "Set-15"), ("Ghosts", "Set-0"))
        assignments = [{"group": group, "permission_set": name} for group, name in named]
        baseline = {"accounts": [{"everything": True}], "assignments": assignments}
        return cls(estate, members, suspended, members[500], pairs, baseline)

    def possible(self) -> set[Triple]:
        """The assignments that can be made."""
        sets, groups = self.estate.sets, self.estate.groups
        return {
            (account, sets[name], groups[group])
            for account in self.members
            for group, name in self.pairs
            if account != self.full
        }


def print_figures(run: Run, *, needed: int, took: timedelta) -> None:
    estate = run.services.estate
    calls = estate.of_admin.total()
    figures = [
        f"calls to sso-admin: {calls}, of {needed} needed: {calls / needed:.3f} times",
        *(f"  {operation}: {number}" for operation, number in estate.of_admin.most_common()),
        f"other calls: {dict(estate.calls - estate.of_admin)}",
        f"refused: {dict(estate.refused)}; failed: {estate.failed}",
        f"took {took}, {run.steps} steps, the longest {run.longest.total_seconds():.1f} s",
        f"twice: {run.doubles}, crashes: {run.crashes}, outstanding: {estate.most_outstanding}",
        f"largest item: {run.services.slow_table.largest} bytes",
    ]
    print("", *figures, sep="\n")  # noqa: T201 - the figures are what people want of it


def test_a_thousand_accounts_get_fifteen_assignments_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL, logger="keyward")
    scene = Scene.made()
    estate, services = scene.estate, EstateServices(scene.estate)
    settings = everything_enforced({"all": scene.baseline}, estate.clock())
    services.ledger.accept(settings, replacing=0)
    run = Run(services, twice=0.02)

    run.deliver(a_sweep(estate.clock()))
    run.follow()
    planned = run.rollout()
    assert (planned.state, planned.total) == (RolloutState.PLANNED, ACCOUNTS * (PAIRS + 1))
    assert planned.skipped == {scene.suspended: "it is SUSPENDED"}
    assert estate.calls["CreateAccountAssignment"] == 0
    assert run.findings() == []
    reads = estate.of_admin["ListAccountAssignmentsForPrincipal"]

    estate.groups.pop("Leavers")
    estate.after = run.strike
    applied_at = estate.clock()
    rollouts.apply(planned.id, by="ana", services=services, now=applied_at)
    run.follow()

    over = run.rollout()
    repeated = estate.refused["ConflictException"] + estate.failed - PAIRS  # not the last failures
    needed = ACCOUNTS * PAIRS + repeated + reads
    print_figures(run, needed=needed, took=estate.clock() - applied_at)
    possible = scene.possible()
    assert (over.state, over.assigned) == (RolloutState.DONE, len(possible))
    assert estate.created == Counter(dict.fromkeys(possible, 1)), "each is made once"
    assert estate.overlaps == []
    assert (run.crashes, services.queue.dead) == (1, [])
    assert run.doubles > 20
    _is_all_told(run, scene.full)
    assert estate.most_outstanding <= OUTSTANDING
    assert estate.refused["ThrottlingException"] == 0
    assert run.longest < LAMBDA
    assert reads == PAIRS + 1
    assert estate.of_admin.total() <= 1.25 * needed
    assert services.slow_table.largest < 400_000


def _is_all_told(run: Run, full: str) -> None:
    """One account's finding has failed, and is to be told; that the others went well is one word.

    What names stand for nothing is told, too.
    """
    findings = {it.account: it for it in run.findings()}
    assert len(findings) == ACCOUNTS
    failed = findings.pop(full)
    assert (failed.state, failed.untold is None) == (State.FAILED, False)
    assert "at its quota of roles" in (failed.outcome or "")
    assert {(it.state, it.untold) for it in findings.values()} == {(State.ACTED, None)}
    told = Counter(it.kind for it in run.notices())
    assert told == {"baseline-name-unknown": 2, "baseline-waits": 1, "baseline-done": 1}
    names = {"group Ghosts (baseline all)", "group Leavers (baseline all)"}
    assert set(run.rollout().unknown) == names
