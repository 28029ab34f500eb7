"""A thousand accounts get fifteen assignments each, as fast as AWS lets them. Its figures print."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from keyward import rollouts
from keyward.findings import State
from keyward.rollout import RolloutState
from tests.faults.estate import OUTSTANDING, Crash, Desk, Estate, EstateServices, Triple

ACCOUNTS, PAIRS = 1000, 15
LAMBDA = timedelta(seconds=60)
TWICE = 0.02
"""So many messages come twice."""
IN_HAND_AT, CRASHES_AT = 3000, 7000
"""The creations while which a message comes again, and after which the guard dies."""


@dataclass
class Trouble:
    """Some messages come twice; one does while it is in hand, and in one step the guard dies."""

    desk: Desk
    doubles: int = 0
    in_hand: str = ""

    def before_each(self, body: str) -> None:
        self.in_hand = body
        if self.desk.estate.random.random() < TWICE:
            self.doubles += 1
            late = timedelta(seconds=self.desk.estate.random.uniform(0, 30))
            self.desk.services.queue.put(body, after=late)

    def after_call(self, operation: str, _asked: dict[str, Any]) -> None:
        if operation != "CreateAccountAssignment":
            return
        number = self.desk.estate.calls[operation]
        if number == IN_HAND_AT:
            self.doubles += 1
            self.desk.deliver(self.in_hand)
        if number == CRASHES_AT:
            raise Crash


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


def print_figures(desk: Desk, trouble: Trouble, *, needed: int, took: timedelta) -> None:
    estate = desk.estate
    calls = estate.of_admin.total()
    figures = [
        f"calls to sso-admin: {calls}, of {needed} needed: {calls / needed:.3f} times",
        *(f"  {operation}: {number}" for operation, number in estate.of_admin.most_common()),
        f"other calls: {dict(estate.calls - estate.of_admin)}",
        f"refused: {dict(estate.refused)}; failed: {estate.failed}",
        f"took {took}, {desk.steps} steps, the longest {desk.longest.total_seconds():.1f} s",
        f"came twice: {trouble.doubles}, crashes: {desk.crashes}",
        f"under way at once: {estate.most_outstanding}",
        f"largest item: {desk.services.slow_table.largest} bytes",
    ]
    print("", *figures, sep="\n")  # noqa: T201 - the figures are what people want of it


def test_a_thousand_accounts_get_fifteen_assignments_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL, logger="keyward")
    scene = Scene.made()
    estate, desk = scene.estate, Desk(EstateServices(scene.estate))
    trouble = Trouble(desk)
    desk.settings({"all": scene.baseline})
    desk.sweep()
    desk.follow(each=trouble.before_each)
    planned = desk.rollout()
    assert (planned.state, planned.total) == (RolloutState.PLANNED, ACCOUNTS * (PAIRS + 1))
    assert planned.skipped == {scene.suspended: "it is SUSPENDED"}
    assert estate.calls["CreateAccountAssignment"] == 0
    assert desk.findings() == []
    reads = estate.of_admin["ListAccountAssignmentsForPrincipal"]

    estate.groups.pop("Leavers")
    estate.after = trouble.after_call
    applied_at = estate.clock()
    rollouts.apply(planned.id, by="ana", services=desk.services, now=applied_at)
    desk.follow(each=trouble.before_each)

    over = desk.rollout()
    repeated = estate.refused["ConflictException"] + estate.failed - PAIRS  # not the last failures
    needed = ACCOUNTS * PAIRS + repeated + reads
    print_figures(desk, trouble, needed=needed, took=estate.clock() - applied_at)
    possible = scene.possible()
    assert (over.state, over.assigned) == (RolloutState.DONE, len(possible))
    assert estate.created == Counter(dict.fromkeys(possible, 1)), "each is made once"
    assert estate.overlaps == []
    assert (desk.crashes, desk.services.queue.dead) == (1, [])
    assert trouble.doubles > 20
    _is_all_told(desk, scene.full)
    assert estate.most_outstanding <= OUTSTANDING
    assert estate.refused["ThrottlingException"] == 0
    assert desk.longest < LAMBDA
    assert reads == PAIRS + 1
    assert estate.of_admin.total() <= 1.25 * needed
    assert desk.services.slow_table.largest < 400_000


def _is_all_told(desk: Desk, full: str) -> None:
    """One account's finding has failed, and is to be told; that the others went well is one word.

    What names stand for nothing is told, too.
    """
    findings = {it.account: it for it in desk.findings()}
    assert len(findings) == ACCOUNTS
    failed = findings.pop(full)
    assert (failed.state, failed.untold is None) == (State.FAILED, False)
    assert "at its quota of roles" in (failed.outcome or "")
    assert {(it.state, it.follows) for it in findings.values()} == {(State.ACTED, True)}
    told = Counter(it.kind for it in desk.notices())
    assert told == {"baseline-name-unknown": 2, "baseline-waits": 1, "baseline-done": 1}
    names = {"group Ghosts (baseline all)", "group Leavers (baseline all)"}
    assert set(desk.rollout().unknown) == names
