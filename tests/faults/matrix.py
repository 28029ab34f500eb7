"""One line of the matrix: a kind of fault in each call of a scenario in turn."""

from __future__ import annotations

from typing import Any

from tests.faults.injection import (
    FaultKind,
    Scenario,
    Snapshot,
    injections,
    recorded_calls,
    run_case,
)
from tests.flow.world import Call, World

_prepared: dict[tuple[int, str], tuple[Snapshot, dict[str, Any], list[Call]]] = {}
"""What each scenario begins from, and its calls: once for a world."""


def problems(world: World, scenario: Scenario, kind: FaultKind, *, lasting: bool) -> list[str]:
    """What does not hold, call by call: [] where nothing is wrong."""
    key = id(world), scenario.name
    if key not in _prepared:
        case = scenario.prepare(world)
        start = Snapshot.of(world)
        start.restore(world)
        _prepared[key] = start, case, recorded_calls(world, scenario, case)
    start, case, calls = _prepared[key]
    cases = injections(calls, kind, lasting=lasting)
    assert cases, "no call to strike"
    found = []
    for injection in cases:
        start.restore(world)
        run = run_case(world, scenario, case, injection)
        found += [f"{injection}: {problem}" for problem in run.problems]
    return found
