"""Every call of every scenario x every fault x once or always: failure-modes, fault injection.

Each test injects its kind of fault into each call of its scenario in turn, and delivers four times
and once more; `injection.run_case` says what must hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.injection import (
    FaultKind,
    Scenario,
    Snapshot,
    a_lasting_world,
    injections,
    recorded_calls,
    run_case,
)
from tests.faults.scenarios import SCENARIOS
from tests.flow.world import Call, World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with a_lasting_world() as made:
        yield made


@pytest.fixture(scope="module")
def blank(world: World) -> Snapshot:
    return Snapshot.of(world)


type Prepared = tuple[Snapshot, dict[str, Any], list[Call]]


@pytest.fixture(scope="module")
def prepared() -> dict[str, Prepared]:
    """What each scenario begins from, and its calls: once for a worker."""
    return {}


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "always"])
@pytest.mark.parametrize("kind", list(FaultKind))
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_no_fault_leaves_it_silently_unsafe(  # noqa: PLR0917 - fixtures and parameters
    scenario: Scenario,
    kind: FaultKind,
    lasting: bool,  # noqa: FBT001 - a parameter of the matrix
    world: World,
    blank: Snapshot,
    prepared: dict[str, Prepared],
) -> None:
    if scenario.name not in prepared:
        blank.restore(world)
        case = scenario.prepare(world)
        start = Snapshot.of(world)
        start.restore(world)
        prepared[scenario.name] = start, case, recorded_calls(world, scenario, case)
    start, case, calls = prepared[scenario.name]
    found = []
    cases = injections(calls, kind, lasting=lasting)
    assert cases
    for injection in cases:
        start.restore(world)
        run = run_case(world, scenario, case, injection)
        found += [f"{injection}: {problem}" for problem in run.problems]
    assert not found, "\n".join(found)
