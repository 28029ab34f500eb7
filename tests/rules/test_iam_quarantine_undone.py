from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.rules.iam_quarantine_undone import RULE
from tests.builders import a_containment, a_hint, a_key, exempt_by, reasons


def test_a_containment_that_holds_is_compliant() -> None:
    assert reasons(RULE, a_containment(holds=True)) == []


def test_a_broken_containment_is_objected_to_with_what_is_broken() -> None:
    broken = ("AWSDenyAll is detached", "access key AKIAIOSFODNN7EXAMPLE is active")
    (reason,) = reasons(RULE, a_containment(holds=False, broken=broken))
    assert all(what in reason.text for what in broken)


def test_a_broken_containment_is_objected_to_where_nothing_says_how() -> None:
    assert reasons(RULE, a_containment(holds=False))


def test_the_event_alone_raises_a_suspicion_that_the_ledger_settles() -> None:
    (reason,) = reasons(RULE, a_containment(holds=None))
    assert "if there is one" in reason.text
    assert RULE.needs == "ledger"


def test_suspicion_and_certainty_are_the_same_finding() -> None:
    codes = {reasons(RULE, a_containment(holds=holds))[0].code for holds in (None, False)}
    assert len(codes) == 1


def test_a_key_that_is_not_contained_is_none_of_its_business() -> None:
    assert reasons(RULE, a_key()) == []


def test_a_new_access_key_does_not_raise_it() -> None:
    assert not RULE.concerns(a_hint("CreateAccessKey"))


def test_it_is_critical_and_applied_again() -> None:
    assert RULE.settings().severity is Severity.CRITICAL
    assert RULE.enforcement is Enforcement.REAPPLY


def test_an_exempted_user_may_be_freed() -> None:
    assert exempt_by(RULE, a_containment(holds=False)) == "ours"
