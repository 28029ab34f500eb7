import pytest

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.model import Hint
from keyward.rules.idc_permission_set_deleted import RULE
from tests.builders import DEVELOPER, SET_ARN, a_center_hint, a_check, a_permission_set, reasons

DELETED = a_center_hint("DeletePermissionSet")
CHECK = a_check(permissionSetName="Developer")


@pytest.mark.parametrize("hint", [DELETED, CHECK])
def test_a_set_of_the_catalogue_that_is_not_there_is_objected_to(hint: Hint) -> None:
    gone = a_permission_set(exists=False, arn=None, former_arn=SET_ARN)
    (reason,) = reasons(RULE, gone, hint)
    assert (reason.code, reason.maybe) == ("deleted", False)
    assert reason.text == "permission set Developer, which the catalogue names, is not there"


def test_one_that_nobody_wants_may_go() -> None:
    gone = a_permission_set("Contractors", exists=False, arn=None, former_arn=SET_ARN)
    assert reasons(RULE, gone, DELETED) == []


@pytest.mark.parametrize("name", [None, "Developer"])
def test_the_event_alone_cannot_tell(name: str | None) -> None:
    (reason,) = reasons(RULE, a_permission_set(name), DELETED)
    assert (reason.code, reason.maybe) == ("deleted", True)


def test_a_set_that_was_read_is_there() -> None:
    assert reasons(RULE, a_permission_set(attributes=DEVELOPER), CHECK) == []


def test_without_a_catalogue_nothing_is_missed() -> None:
    assert reasons(RULE, a_permission_set(None, catalogue={}), DELETED) == []


def test_it_is_high_and_makes_the_set_again() -> None:
    assert RULE.settings().severity is Severity.HIGH
    assert RULE.enforcement is Enforcement.RECREATE_PERMISSION_SET
    assert (RULE.needs, RULE.patience_seconds) == ("state", 0)
