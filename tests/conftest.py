"""How tests are shared out: what needs the organization goes to one worker, and first."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from tests import cheaper

if TYPE_CHECKING:
    from xdist.remote import Producer

INTEGRATION = Path(__file__).parent / "integration"

cheaper.install()

# How long a machine takes, with whatever else it has to do, says nothing of what is tested.
settings.register_profile("keyward", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("keyward")


class OneOrganization(LoadScopeScheduling):
    """Gives one worker all that uses the organization, and one each file that builds something.

    xdist's own groups do nothing under pytest 9.2, which keeps the node id that xdist changes.
    """

    def _split_scope(self, nodeid: str) -> str:
        """Tests of the same scope go to the same worker."""
        if nodeid.startswith("tests/integration/"):
            return "integration"
        return nodeid.split("::", maxsplit=1)[0] if nodeid.startswith("tests/contract/") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneOrganization:
    """Share the tests out so."""
    return OneOrganization(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest: one worker takes the organization while the others do the rest."""
    items.sort(key=lambda item: INTEGRATION not in item.path.parents)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end what was not tried, and why."""
    skipped = terminalreporter.getreports("skipped")
    reasons = Counter(
        each.longrepr[2] for each in skipped if isinstance(each.longrepr, list | tuple)
    )
    for reason, number in sorted(reasons.items()):
        terminalreporter.write_line(f"{number} tests: {reason}", yellow=True)
