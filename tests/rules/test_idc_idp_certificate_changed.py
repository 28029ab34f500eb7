import pytest

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.model import Part
from keyward.rules.idc_idp_certificate_changed import RULE
from tests.builders import a_center_change, a_center_hint, a_role_session, exempt_by_id, reasons

IMPORTED = a_center_change(
    Part.IDP_CERTIFICATE, "ImportExternalIdPCertificate", certificateId="cert-1"
)
DELETED = a_center_change(Part.IDP_CERTIFICATE, "DeleteExternalIdPCertificate")


def test_a_certificate_that_comes_or_goes_is_objected_to_each_as_a_finding_of_its_own() -> None:
    (imported,) = reasons(RULE, IMPORTED, a_center_hint(actor=a_role_session("ci/deployer")))
    (deleted,) = reasons(RULE, DELETED)
    assert imported.code != deleted.code
    assert imported.details == ("certificateId: cert-1",)
    assert "assumed-role/deployer/" in imported.text


@pytest.mark.parametrize("part", [part for part in Part if part is not Part.IDP_CERTIFICATE])
def test_other_changes_are_none_of_its_business(part: Part) -> None:
    assert reasons(RULE, a_center_change(part)) == []


def test_it_is_critical_and_only_reported() -> None:
    assert RULE.settings().severity is Severity.CRITICAL
    assert RULE.enforcement is Enforcement.REPORT


def test_an_exempted_certificate_is_exempt() -> None:
    assert exempt_by_id(RULE, IMPORTED) == "ours"
