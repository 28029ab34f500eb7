"""Every call of what Identity Center's guard does x every fault, once and always.

Left out is what another case shows: nobody is denied once, before a read a crash is the same as
throttling, of a read that comes often the first and the last are struck, and who always dies at a
call gets no further than who is always throttled there.
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


CRASHES = {FaultKind.CRASH_BEFORE, FaultKind.CRASH_AFTER}
FAULTS = [
    pytest.param(kind, lasting, id=f"{kind}-{'always' if lasting else 'once'}")
    for kind in FaultKind
    for lasting in (False, True)
    if (kind is not FaultKind.DENIED if not lasting else kind not in CRASHES)
]


@pytest.mark.parametrize(("kind", "lasting"), FAULTS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_fault_leaves_nothing_silently_unsafe(
    scenario: Scenario, kind: FaultKind, lasting_center: Center, *, lasting: bool
) -> None:
    found, tried = problems(lasting_center, scenario, kind, lasting=lasting)
    assert tried > 0
    assert found == []
