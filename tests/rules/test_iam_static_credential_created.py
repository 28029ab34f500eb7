import pytest

from keyward.findings import Severity
from keyward.model import CredentialKind
from keyward.rules.iam_static_credential_created import RULE
from tests.builders import OTHER_USER_ID, a_credential, a_key, an_iam_user, exempt_by, reasons


@pytest.mark.parametrize("kind", list(CredentialKind))
def test_an_active_credential_of_each_kind_is_objected_to(kind: CredentialKind) -> None:
    (reason,) = reasons(RULE, a_credential(kind))
    assert kind in reason.text


@pytest.mark.parametrize("kind", list(CredentialKind))
def test_an_inactive_credential_is_compliant(kind: CredentialKind) -> None:
    assert reasons(RULE, a_credential(kind, active=False)) == []


def test_the_reason_names_the_service_that_it_opens() -> None:
    key = a_credential(CredentialKind.SERVICE_SPECIFIC, service="bedrock.amazonaws.com")
    (reason,) = reasons(RULE, key)
    assert "bedrock.amazonaws.com" in reason.text


def test_an_access_key_is_none_of_its_business() -> None:
    assert reasons(RULE, a_key()) == []


def test_it_is_medium() -> None:
    assert RULE.settings().severity is Severity.MEDIUM


def test_the_credential_of_an_exempted_user_is_exempt() -> None:
    assert exempt_by(RULE, a_credential()) == "ours"
    assert exempt_by(RULE, a_credential(owner=an_iam_user(user_id=OTHER_USER_ID))) is None
