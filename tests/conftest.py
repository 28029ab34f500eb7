"""How tests are shared out: what needs the organization goes to one worker, and first.

All boto3 sessions of a worker read the models of AWS's APIs once: each would parse them anew, and a
test has several sessions. A model is data that nobody changes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from botocore.loaders import create_loader
from botocore.session import Session
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from xdist.remote import Producer

INTEGRATION = Path(__file__).parent / "integration"

MODELS = create_loader()


def share_models(session: Session) -> None:
    """Gives the session the models that are read already; boto3 adds its own folder each time."""
    MODELS.search_paths[:] = dict.fromkeys(MODELS.search_paths)
    session.register_component("data_loader", MODELS)


Session._register_data_loader = share_models  # type: ignore[attr-defined]  # a method of botocore's


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
