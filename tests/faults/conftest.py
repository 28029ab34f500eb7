from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.injection import Snapshot, a_lasting_world
from tests.flow.world import World


@pytest.fixture(scope="module")
def lasting() -> Iterator[tuple[World, Snapshot]]:
    """A world for all tests of a module, and what it begins from."""
    with a_lasting_world() as made:
        yield made, Snapshot.of(made)


@pytest.fixture
def world(lasting: tuple[World, Snapshot]) -> World:
    """As new: settings enforce everything, the functions have just started."""
    made, blank = lasting
    blank.restore(made)
    return made
