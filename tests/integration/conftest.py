"""One local organization for all integration tests, and the marker that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.organization import running_organization

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.organization import Organization


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what lies in this folder."""
    item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def organization() -> Iterator[Organization]:
    """An organization with Keyward deployed into it."""
    with running_organization() as running:
        yield running
