import pytest

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.model import Part
from keyward.rules.idc_identity_source_changed import RULE
from tests.builders import MEMBER, a_center_change, a_center_hint, exempt_by_id, reasons, root_of

CHANGE = a_center_change(Part.IDENTITY_SOURCE, "AssociateDirectory", directoryId="d-9967123456")


def test_a_change_of_the_identity_source_is_objected_to_with_what_the_event_tells() -> None:
    (reason,) = reasons(RULE, CHANGE, a_center_hint(actor=root_of(MEMBER)))
    assert "AssociateDirectory" in reason.text
    assert root_of(MEMBER).label in reason.text
    assert reason.details == ("directoryId: d-9967123456",)
    assert not reason.maybe


def test_each_kind_of_change_is_a_finding_of_its_own() -> None:
    changes = [
        a_center_change(Part.IDENTITY_SOURCE, name)
        for names in RULE.triggers.values()
        for name in names
    ]
    assert len({reasons(RULE, change)[0].code for change in changes}) == len(changes) == 7


@pytest.mark.parametrize("part", [part for part in Part if part is not Part.IDENTITY_SOURCE])
def test_other_changes_are_none_of_its_business(part: Part) -> None:
    assert reasons(RULE, a_center_change(part)) == []


def test_it_is_critical_and_only_reported() -> None:
    assert RULE.settings().severity is Severity.CRITICAL
    assert RULE.enforcement is Enforcement.REPORT


def test_an_exempted_identity_source_is_exempt() -> None:
    assert exempt_by_id(RULE, CHANGE) == "ours"
    assert exempt_by_id(RULE, CHANGE, unique_id="identity source/another") is None
