"""Every call of every scenario x every fault that strikes once.

Each test delivers four times and once more for each call; `injection.run_case` says what must hold.
"""

from __future__ import annotations

import pytest

from tests.faults.injection import FaultKind, Scenario
from tests.faults.matrix import problems
from tests.faults.scenarios import SCENARIOS
from tests.flow.world import World


@pytest.mark.parametrize("kind", list(FaultKind))
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_fault_that_passes_leaves_nothing_silently_unsafe(
    scenario: Scenario, kind: FaultKind, world: World
) -> None:
    assert problems(world, scenario, kind, lasting=False) == []
