"""Every call of every scenario x every fault that strikes whenever the call is made.

Each test delivers four times and once more for each call; `injection.run_case` says what must hold.

Left out is what another case shows: who always dies before a call gets no further than who is
always throttled there, and never comes to a record of it.
"""

from __future__ import annotations

import pytest

from tests.faults.injection import FaultKind, Scenario
from tests.faults.matrix import problems
from tests.faults.scenarios import SCENARIOS
from tests.flow.world import World

KINDS = [kind for kind in FaultKind if kind is not FaultKind.CRASH_BEFORE]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_fault_that_lasts_leaves_nothing_silently_unsafe(
    scenario: Scenario, kind: FaultKind, world: World
) -> None:
    assert problems(world, scenario, kind, lasting=True) == []
