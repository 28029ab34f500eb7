"""Every call of what Identity Center's guard does x every fault, once and always.

Left out is what another case shows: nobody is denied once; who dies before a call leaves just what
he leaves who dies after the last write before it; of a read, or a lease, that comes often the first
and the last are struck; and who always dies at a call gets no further than who is always throttled
there.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.center import SCENARIOS, Scenario, a_lasting_center, problems
from tests.faults.injection import FaultKind
from tests.flow.center import Center


@pytest.fixture(scope="module")
def lasting_center() -> Iterator[Center]:
    with a_lasting_center() as made:
        yield made


ONCE = (FaultKind.THROTTLED, FaultKind.TIMEOUT_AFTER_EFFECT, FaultKind.CRASH_AFTER)
ALWAYS = (FaultKind.THROTTLED, FaultKind.DENIED, FaultKind.TIMEOUT_AFTER_EFFECT)
FAULTS = [
    *(pytest.param(kind, False, id=f"{kind}-once") for kind in ONCE),
    *(pytest.param(kind, True, id=f"{kind}-always") for kind in ALWAYS),
]


@pytest.mark.parametrize(("kind", "lasting"), FAULTS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_fault_leaves_nothing_silently_unsafe(
    scenario: Scenario, kind: FaultKind, lasting_center: Center, *, lasting: bool
) -> None:
    found, tried = problems(lasting_center, scenario, kind, lasting=lasting)
    assert tried > 0
    assert found == []
