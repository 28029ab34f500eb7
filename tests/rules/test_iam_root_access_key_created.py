from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.rules.iam_root_access_key_created import RULE
from tests.builders import HUB, MEMBER, a_key, a_root_key, exempt_by, reasons


def test_a_key_of_root_is_objected_to_in_every_account() -> None:
    for account in (HUB, MEMBER):
        (reason,) = reasons(RULE, a_root_key(account))
        assert account in reason.text


def test_a_key_of_an_iam_user_is_none_of_its_business() -> None:
    assert reasons(RULE, a_key()) == []


def test_it_is_critical_and_only_reported() -> None:
    assert RULE.settings().severity is Severity.CRITICAL
    assert RULE.enforcement is Enforcement.REPORT


def test_no_exemption_covers_root() -> None:
    assert exempt_by(RULE, a_root_key()) is None
