"""The sample events say by their names what their rule makes of them."""

import pytest

from keyward import events
from keyward.rule import AnyRule
from keyward.rules import every
from tests.builders import SAMPLES, a_sample, findings_of, sample_names

RAISED = {rule.id for rule in every() if rule.triggers}
"""Rules that nothing raises but the sweep have no samples: no event tells what they look for."""

CASES = [(rule, name) for rule in every() for name in sample_names(rule.id)]


def triggers_of(rule: AnyRule) -> set[tuple[str, str]]:
    return {(source, name) for source, names in rule.triggers.items() for name in names}


@pytest.mark.parametrize(("rule", "name"), CASES, ids=[name for _, name in CASES])
def test_exactly_the_samples_named_violating_give_a_finding(rule: AnyRule, name: str) -> None:
    found = [finding.rule for finding in findings_of(a_sample(name), [rule])]
    expected = name.partition("/")[2].startswith("violating-")
    assert found == ([rule.id] if expected else [])


@pytest.mark.parametrize("rule", every(), ids=lambda rule: rule.id)
def test_each_trigger_has_a_violating_sample_and_no_sample_has_another(rule: AnyRule) -> None:
    shown = {
        (hint.event_source, hint.event_name): name
        for name in sample_names(rule.id)
        for hint in [events.parse(a_sample(name))]
        if "/violating-" in name
    }
    assert set(shown) == triggers_of(rule)


def test_each_folder_of_samples_is_named_after_a_rule_that_events_raise() -> None:
    assert {path.name for path in SAMPLES.iterdir() if path.is_dir()} == RAISED


def test_samples_are_told_apart_by_their_event_ids() -> None:
    ids = [events.parse(a_sample(name)).event_id for _, name in CASES]
    assert len(ids) == len(set(ids))


def test_failed_calls_are_among_the_samples_of_each_rule() -> None:
    failed = {rule.id for rule, name in CASES if "/failed-" in name}
    assert failed == RAISED
