from dataclasses import replace

import pytest

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.model import Boundary, CustomerPolicy
from keyward.rules.idc_boundary_missing import RULE
from tests.builders import (
    CATALOGUE,
    DEVELOPER,
    READ_ONLY_ARN,
    a_center_hint,
    a_check,
    a_permission_set,
    reasons,
)

DELETED = a_center_hint("DeletePermissionsBoundaryFromPermissionSet")
WITHOUT = replace(DEVELOPER, boundary=None)


def test_a_boundary_that_is_there_as_wanted_is_compliant() -> None:
    assert reasons(RULE, a_permission_set(attributes=DEVELOPER), DELETED) == []


@pytest.mark.parametrize(
    ("boundary", "has", "line"),
    [
        (None, "no permissions boundary", None),
        (
            Boundary(managed_policy_arn=READ_ONLY_ARN),
            "another boundary",
            f"- permissions boundary: {READ_ONLY_ARN}",
        ),
        (
            Boundary(customer_policy=CustomerPolicy(name="workload-boundary", path="/other/")),
            "another boundary",
            "- permissions boundary: /other/workload-boundary",
        ),
    ],
)
def test_a_missing_or_other_boundary_is_objected_to(
    boundary: Boundary | None, has: str, line: str | None
) -> None:
    (reason,) = reasons(
        RULE, a_permission_set(attributes=replace(DEVELOPER, boundary=boundary)), DELETED
    )
    assert (reason.code, reason.maybe) == ("boundary", False)
    assert has in reason.text
    wanted = "+ permissions boundary: /workload-boundary"
    assert reason.details == ((wanted,) if line is None else (line, wanted))


def test_only_the_boundary_is_listed_whatever_else_differs() -> None:
    changed = replace(WITHOUT, session_seconds=43200)
    (reason,) = reasons(RULE, a_permission_set(attributes=changed), DELETED)
    assert reason.details == ("+ permissions boundary: /workload-boundary",)


@pytest.mark.parametrize("name", ["Administrator", "Contractors"])
def test_where_the_catalogue_wants_none_none_is_missed(name: str) -> None:
    assert reasons(RULE, a_permission_set(name), DELETED) == []
    assert reasons(RULE, a_permission_set(name, attributes=WITHOUT), DELETED) == []


@pytest.mark.parametrize("name", [None, "Developer"])
def test_what_was_not_read_may_lack_it(name: str | None) -> None:
    for hint in (DELETED, a_check(permissionSetName="Developer")):
        (reason,) = reasons(RULE, a_permission_set(name), hint)
        assert (reason.code, reason.maybe) == ("boundary", True)


def test_where_no_set_is_to_have_one_there_is_nothing_to_look_at() -> None:
    catalogue = {"Administrator": CATALOGUE["Administrator"]}
    assert reasons(RULE, a_permission_set(None, catalogue=catalogue), DELETED) == []


def test_a_set_that_is_gone_lacks_nothing() -> None:
    assert reasons(RULE, a_permission_set(exists=False, arn=None), DELETED) == []


def test_it_is_high_and_restores_the_set() -> None:
    assert RULE.settings().severity is Severity.HIGH
    assert RULE.enforcement is Enforcement.RESTORE_PERMISSION_SET
    assert (RULE.needs, RULE.patience_seconds) == ("state", 10)
