"""Settings as owners write them: what is read, what is refused, and how the refusal reads."""

import json
from datetime import timedelta

import pytest

from keyward.errors import SettingsError
from keyward.settings import (
    MAX_DEPTH,
    Accepted,
    GlobalSettings,
    Mode,
    RuleSettings,
    read_json,
    validated,
)
from tests.builders import NOW


def test_defaults_only_report() -> None:
    assert GlobalSettings().ceiling is Mode.REPORT
    assert RuleSettings().mode is Mode.REPORT
    assert RuleSettings().existing == "report"


def test_comments_are_left_out_at_every_level() -> None:
    text = '{"$comment": 1, "a": [{"$comment why": "x", "b": 2}], "c": {"$comment": 3}}'
    assert read_json("p", text) == {"a": [{"b": 2}], "c": {}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"text"',
        "{} {}",
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1, "a": 2}',
        "\ufeff{}",
        '{"a": ' + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1) + "}",
        '{"a": ' + "[" * 100_000,
        '{"a": ' + "9" * 5_000 + "}",
    ],
)
def test_what_is_no_json_object_is_refused_by_name(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^/keyward/settings"):
        read_json("/keyward/settings", text)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"ceiling": "enforced"}, "ceiling"),
        ({"ceiling": None}, "ceiling"),
        ({"cieling": "report"}, "cieling"),
        ({"act_in_management_account": "11112222333"}, "act_in_management_account"),
        ({"budgets": {"organization": -1}}, "budgets.organization"),
        ({"budgets": {"organization": "20"}}, "budgets.organization"),
        ({"budgets": {"window_minutes": 4}}, "budgets.window_minutes"),
        ({"budgets": []}, "budgets"),
        ({"protected": [{"account": "111122223333"}]}, "protected.0.why"),
        ({"release_days": 91}, "release_days"),
        ({"release_days": True}, "release_days"),
        ({"release_days": 1e400}, "release_days"),
        ({"release_days": "\ud800"}, ""),
    ],
)
def test_a_bad_value_is_refused_with_its_field(value: dict[str, object], field: str) -> None:
    with pytest.raises(SettingsError, match=rf"^p: field .*{field}"):
        validated("p", GlobalSettings, value)


def test_a_refusal_never_repeats_the_value() -> None:
    with pytest.raises(SettingsError) as refused:
        validated("p", GlobalSettings, {"ceiling": "s3cret-canary"})
    assert "canary" not in str(refused.value)


def test_a_pause_lowers_the_ceiling_until_its_end() -> None:
    paused = Accepted(settings=GlobalSettings(ceiling=Mode.ENFORCE), paused_until=NOW)
    assert paused.ceiling(NOW - timedelta(microseconds=1)) is Mode.REPORT
    assert paused.ceiling(NOW) is Mode.ENFORCE


def test_a_pause_never_raises_the_ceiling() -> None:
    paused = Accepted(settings=GlobalSettings(ceiling=Mode.OFF), paused_until=NOW)
    assert paused.ceiling(NOW - timedelta(hours=1)) is Mode.OFF


def test_accepted_settings_survive_the_ledger() -> None:
    accepted = Accepted(
        version=3,
        compiled_at=NOW,
        settings=GlobalSettings(ceiling=Mode.ENFORCE),
        rules={"iam-user-created": {"mode": "enforce"}},
        enforcing_since={"iam-user-created": NOW},
        parameters={"/keyward/settings": 1},
        paused_until=NOW,
    )
    assert Accepted.model_validate_json(accepted.model_dump_json()) == accepted
    assert json.loads(accepted.model_dump_json())["version"] == 3


def test_protected_principal_without_user_id_or_arn_is_refused() -> None:
    value: dict[str, object] = {"protected": [{"account": "444455556666", "why": "break-glass"}]}
    with pytest.raises(SettingsError, match="without any nobody is protected"):
        validated("/keyward/settings", GlobalSettings, value)


@pytest.mark.parametrize("value", ["20", True, 20.5, None])
def test_number_written_as_something_else_is_refused(value: object) -> None:
    with pytest.raises(SettingsError, match=r"field budgets\.organization"):
        validated("/keyward/settings", GlobalSettings, {"budgets": {"organization": value}})
