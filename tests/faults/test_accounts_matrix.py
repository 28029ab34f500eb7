"""Every call of what account_baseline does x every fault, once and always.

Left out is what another case shows: as in test_center_matrix.py; and in a scenario each call that
an earlier one makes on the same path.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.accounts import (
    SCENARIOS,
    Scenario,
    lasting_accounts,
    prepared,
    problems,
    strikes,
)
from tests.faults.injection import FaultKind, label
from tests.flow.accounts import Accounts


@pytest.fixture(scope="module")
def accounts() -> Iterator[Accounts]:
    with lasting_accounts() as made:
        yield made


ONCE = (FaultKind.THROTTLED, FaultKind.TIMEOUT_AFTER_EFFECT, FaultKind.CRASH_AFTER)
ALWAYS = (FaultKind.THROTTLED, FaultKind.DENIED, FaultKind.TIMEOUT_AFTER_EFFECT)
FAULTS = [
    *(pytest.param(kind, False, id=f"{kind}-once") for kind in ONCE),
    *(pytest.param(kind, True, id=f"{kind}-always") for kind in ALWAYS),
]

OF_A_SET = {
    "GetInlinePolicyForPermissionSet",
    "GetPermissionsBoundaryForPermissionSet",
    "ListCustomerManagedPolicyReferencesInPermissionSet",
    "ListManagedPoliciesInPermissionSet",
}
"""Reads of a set's attributes but for the last: test_center_matrix.py strikes each."""


@pytest.mark.parametrize(("kind", "lasting"), FAULTS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_fault_leaves_no_account_silently_without_its_access(
    scenario: Scenario, kind: FaultKind, accounts: Accounts, *, lasting: bool
) -> None:
    found, tried = problems(accounts, scenario, kind, lasting=lasting)
    assert tried > 0
    assert found == []


def test_every_call_is_struck_in_some_scenario(accounts: Accounts) -> None:
    made, struck = set(), set()
    for scenario in SCENARIOS:
        calls = prepared(accounts, scenario).calls
        made |= {label(*call) for call in calls}
        struck |= {it.label for it in strikes(scenario, calls, FaultKind.THROTTLED, lasting=True)}
    assert made - struck == OF_A_SET
