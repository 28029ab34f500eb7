"""Every call of every scenario x every fault that strikes once.

Each test delivers four times and once more for each call; `injection.run_case` says what must hold.

Left out is what another case shows: who dies before a call leaves just what he leaves who dies
after the last write before it, and where there was none, what he leaves who is throttled there.
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
def test_fault_that_passes_leaves_nothing_silently_unsafe(
    scenario: Scenario, kind: FaultKind, world: World
) -> None:
    assert problems(world, scenario, kind, lasting=False) == []
