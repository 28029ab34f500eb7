from dataclasses import replace

import pytest

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.rules.baseline_assignment_missing import RULE
from tests.builders import (
    MEMBER,
    a_lifecycle,
    an_access,
    an_account,
    an_assignment,
    exempt_by_id,
    reasons,
)

DEVELOPERS, AUDITORS = an_access(), an_access("Auditors", "ReadOnly")


def test_an_account_that_was_not_read_may_lack_something() -> None:
    (reason,) = reasons(RULE, an_account())
    assert (reason.code, reason.maybe, reason.report_only) == ("missing", True, False)


@pytest.mark.parametrize("wanted", [(), (DEVELOPERS,), (DEVELOPERS, AUDITORS)])
def test_an_account_that_has_all_of_it_is_compliant(wanted: tuple[object, ...]) -> None:
    assert reasons(RULE, an_account(wanted=wanted, missing=())) == []


def test_everything_that_is_missing_is_one_reason() -> None:
    subject = an_account(
        name="payments", wanted=(DEVELOPERS, AUDITORS, an_access("Ops")), missing=(DEVELOPERS,)
    )
    (reason,) = reasons(RULE, subject)
    assert (reason.code, reason.maybe, reason.report_only) == ("missing", False, False)
    assert reason.text == "baseline access of account payments lacks 1 of 3"
    assert reason.details == ("permission set Developer for group Developers: everybody",)


def test_each_missing_assignment_is_listed_with_the_baselines_that_want_it() -> None:
    both = replace(AUDITORS, baselines=("everybody", "workloads"))
    (reason,) = reasons(RULE, an_account(wanted=(DEVELOPERS, both), missing=(DEVELOPERS, both)))
    assert reason.text == f"baseline access of account {MEMBER} lacks 2 of 2"
    assert reason.details == (
        "permission set Developer for group Developers: everybody",
        "permission set ReadOnly for group Auditors: everybody, workloads",
    )


def test_names_that_are_not_there_are_listed_beside_what_is_missing_and_are_no_reason() -> None:
    unknown = ("group Ghosts (baseline everybody)",)
    subject = an_account(wanted=(DEVELOPERS,), missing=(DEVELOPERS,), unknown=unknown)
    (reason,) = reasons(RULE, subject)
    assert reason.details[-1] == "not found: group Ghosts (baseline everybody)"
    assert reasons(RULE, replace(subject, missing=())) == []


def test_of_very_much_the_first_hundred_are_listed() -> None:
    missing = tuple(an_access(f"Group{number}") for number in range(101))
    (reason,) = reasons(RULE, an_account(wanted=missing, missing=missing))
    assert len(reason.details) == 101
    assert reason.details[99].startswith("permission set Developer for group Group99")
    assert reason.details[100] == "and 1 more"
    (reason,) = reasons(RULE, an_account(wanted=missing, missing=missing[:100]))
    assert reason.details[99].startswith("permission set Developer for group Group99")


def test_what_it_finds_has_the_same_key_whether_it_was_read_or_not() -> None:
    (claimed,) = reasons(RULE, an_account())
    (read,) = reasons(RULE, an_account(wanted=(DEVELOPERS,), missing=(DEVELOPERS,)))
    assert claimed.code == read.code


def test_other_subjects_are_none_of_its_business() -> None:
    assert reasons(RULE, an_assignment()) == []
    assert reasons(RULE, a_lifecycle()) == []


def test_it_is_high_and_gives_the_access() -> None:
    assert RULE.settings().severity is Severity.HIGH
    assert RULE.enforcement is Enforcement.ASSIGN_ACCESS
    assert (RULE.needs, RULE.patience_seconds) == ("state", 0)


def test_an_account_is_exempt_by_its_unique_id_alone() -> None:
    assert exempt_by_id(RULE, an_account(), unique_id=f"{MEMBER}/access") == "ours"
    assert exempt_by_id(RULE, an_account(), unique_id=MEMBER) is None
