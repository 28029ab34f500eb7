from dataclasses import replace

import pytest

from keyward.actions import Enforcement
from keyward.facts.identity_center import _READERS
from keyward.findings import Severity
from keyward.model import Hint
from keyward.rules.idc_permission_set_drift import RULE
from tests.builders import (
    ADMINISTRATOR_ARN,
    DEVELOPER,
    READ_ONLY_ARN,
    a_center_hint,
    a_check,
    a_permission_set,
    reasons,
)

EDITED = a_center_hint("UpdatePermissionSet")


def test_a_set_that_is_as_the_catalogue_says_is_compliant() -> None:
    assert reasons(RULE, a_permission_set(attributes=DEVELOPER), EDITED) == []


def test_all_differences_are_one_reason_with_a_diff() -> None:
    changed = replace(
        DEVELOPER, session_seconds=43200, managed_policies=(ADMINISTRATOR_ARN,), description="Mine"
    )
    (reason,) = reasons(RULE, a_permission_set(attributes=changed), EDITED)
    assert (reason.code, reason.maybe) == ("drift", False)
    assert reason.text == ("permission set Developer is not as the catalogue says: 4 differences")
    assert reason.details == (
        "- description: Mine",
        "+ description: Builds and runs things",
        "- session: 12 h",
        "+ session: 4 h",
        f"- managed policy: {ADMINISTRATOR_ARN}",
        f"+ managed policy: {READ_ONLY_ARN}",
    )


def test_one_difference_is_called_one() -> None:
    changed = replace(DEVELOPER, session_seconds=3600)
    (reason,) = reasons(RULE, a_permission_set(attributes=changed), EDITED)
    assert reason.text.endswith(": 1 difference")


def test_a_set_that_the_catalogue_does_not_name_is_none_of_its_business() -> None:
    changed = replace(DEVELOPER, session_seconds=43200)
    assert reasons(RULE, a_permission_set("Contractors"), EDITED) == []
    assert reasons(RULE, a_permission_set("Contractors", attributes=changed), EDITED) == []


@pytest.mark.parametrize("name", [None, "Developer"])
@pytest.mark.parametrize("hint", [EDITED, a_check(permissionSetName="Developer")])
def test_what_was_not_read_may_have_drifted(name: str | None, hint: Hint) -> None:
    (reason,) = reasons(RULE, a_permission_set(name), hint)
    assert (reason.code, reason.maybe) == ("drift", True)


def test_without_a_catalogue_there_is_nothing_to_look_at() -> None:
    assert reasons(RULE, a_permission_set(None, catalogue={}), EDITED) == []


@pytest.mark.parametrize(
    ("keys", "is_looked_at"),
    [(("cost-center",), False), (("cost-center", "team"), True), ((), False)],
)
def test_tags_that_the_catalogue_names_nowhere_are_not_looked_at(
    keys: tuple[str, ...], *, is_looked_at: bool
) -> None:
    claim = a_permission_set(None, claimed={"tag_keys": keys})
    assert bool(reasons(RULE, claim, a_center_hint("TagResource"))) is is_looked_at


def test_tags_that_are_not_told_are_looked_at() -> None:
    assert reasons(RULE, a_permission_set(None), a_center_hint("TagResource"))


def test_a_set_that_is_gone_has_not_drifted() -> None:
    assert reasons(RULE, a_permission_set(exists=False, arn=None), EDITED) == []


def test_it_is_high_and_restores_the_set_once_a_save_is_complete() -> None:
    assert RULE.settings().severity is Severity.HIGH
    assert RULE.enforcement is Enforcement.RESTORE_PERMISSION_SET
    assert (RULE.needs, RULE.patience_seconds) == ("state", 10)


def test_every_change_that_can_make_a_difference_raises_it() -> None:
    others = {"DeletePermissionSet", "CreateAccountAssignment", "AssociateProfile"}
    (events,) = RULE.triggers.values()
    assert set(events) == {event for _, event in _READERS} - others
