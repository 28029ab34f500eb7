from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.flow.accounts import Accounts, the_accounts
from tests.flow.center import Center, a_center
from tests.flow.world import World, a_world


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """An organization, settings that enforce everything, and functions that have just started."""
    with a_world(monkeypatch) as made:
        made.settings()
        yield made


@pytest.fixture
def center(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Center]:
    """Identity Center in that organization, with a catalogue of one permission set."""
    with a_center(world, monkeypatch) as made:
        yield made


@pytest.fixture
def accounts(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Accounts]:
    """Accounts of the organization, and account_baseline."""
    with the_accounts(world, monkeypatch) as made:
        yield made
