"""One local organization for all integration tests, in one worker; and the marker that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.organization import running_organization

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.organization import Organization


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what lies in this folder, and keep it in one worker: the organization runs once."""
    item.add_marker(pytest.mark.integration)
    item.add_marker(pytest.mark.xdist_group("integration"))


@pytest.fixture(scope="session")
def organization() -> Iterator[Organization]:
    """An organization with Keyward deployed into it."""
    with running_organization() as running:
        yield running
