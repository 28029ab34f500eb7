"""The table of controls: it names what there is, cites where it is from, and claims no more."""

from __future__ import annotations

from collections import Counter
from importlib import resources

import pytest

from keyward import rules
from keyward.controls import Control, controls

RULES = {rule.id: rule for rule in rules.every()}
TABLE = controls()


def named(control: Control) -> str:
    return " ".join(control.ids[0])


def test_the_table_is_part_of_the_package() -> None:
    assert resources.files("keyward").joinpath("controls.toml").is_file()


@pytest.mark.parametrize("control", TABLE.control, ids=named)
def test_every_rule_of_a_control_exists(control: Control) -> None:
    assert set(control.rules) <= RULES.keys()
    assert len(set(control.rules)) == len(control.rules)


@pytest.mark.parametrize("control", TABLE.control, ids=named)
def test_every_control_says_where_it_is_from_and_what_evidence_it_is(control: Control) -> None:
    assert control.source.startswith(
        (
            "https://docs.aws.amazon.com/securityhub/",
            "https://github.com/prowler-cloud/prowler/",
            "https://github.com/usnistgov/oscal-content/",
        )
    )
    assert control.how.endswith(".")
    assert 1 <= control.how.replace("v5.0.0", "").count(". ") + 1 <= 3


@pytest.mark.parametrize("control", TABLE.control, ids=named)
def test_a_limit_is_a_setting_that_the_rule_has_and_keeps_by_default(control: Control) -> None:
    for rule, setting, most in control.at_most:
        assert rule in control.rules
        assert getattr(RULES[rule].settings(), setting) <= most


@pytest.mark.parametrize("control", TABLE.control, ids=named)
def test_a_control_that_only_events_tell_of_says_that_it_is_never_met(control: Control) -> None:
    can_be_met = set(control.rules) <= TABLE.swept
    assert ("It never says met" in control.how) is not can_be_met


def test_rules_that_are_swept_exist() -> None:
    assert TABLE.swept <= RULES.keys()


def test_no_rule_without_a_state_counts_as_swept() -> None:
    judged_by_events_alone = {
        rule.id
        for rule in RULES.values()
        if "Change" in str(rule.judges) or rule.id == "iam-access-key-for-other-user"
    }
    assert judged_by_events_alone
    assert not TABLE.swept & judged_by_events_alone


def test_no_control_stands_there_twice() -> None:
    ids = Counter(id_ for control in TABLE.control for id_ in control.ids)
    assert [id_ for id_, number in ids.items() if number > 1] == []


def test_the_frameworks_that_auditors_ask_for_are_there() -> None:
    ids = {" ".join(id_) for control in TABLE.control for id_ in control.ids}
    for wanted in (
        *(f"CIS AWS Foundations Benchmark v5.0.0 1.{number}" for number in (3, 11, 13, 14, 15)),
        *(f"CIS AWS Foundations Benchmark v3.0.0 1.{number}" for number in (4, 12, 14, 15, 16)),
        *(f"AWS Foundational Security Best Practices IAM.{number}" for number in (1, 2, 3, 4, 8)),
        *(f"NIST SP 800-53 Rev. 5 {name}" for name in ("AC-2", "AC-6", "IA-2", "IA-5")),
    ):
        assert wanted in ids
