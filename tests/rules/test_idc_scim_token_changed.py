from dataclasses import replace
from datetime import timedelta

import pytest

from keyward.actions import Enforcement
from keyward.findings import Reason, Severity
from keyward.model import Part
from keyward.rules.idc_scim_token_changed import RULE
from tests.builders import NOW, a_center_change, a_check, exempt_by_id, reasons

EVENTS = RULE.triggers["sso-directory.amazonaws.com"]


@pytest.mark.parametrize("event", EVENTS)
def test_a_token_that_comes_or_goes_is_objected_to(event: str) -> None:
    change = a_center_change(Part.SCIM_TOKEN, event, tokenId="token-1")
    (reason,) = reasons(RULE, change)
    assert reason.code == event
    assert reason.details == ("tokenId: token-1",)


@pytest.mark.parametrize("part", [part for part in Part if part is not Part.SCIM_TOKEN])
def test_other_changes_are_none_of_its_business(part: Part) -> None:
    assert reasons(RULE, a_center_change(part)) == []


def test_it_is_high_and_only_reported() -> None:
    assert RULE.settings().severity is Severity.HIGH
    assert RULE.enforcement is Enforcement.REPORT


def test_an_exempted_token_is_exempt() -> None:
    assert exempt_by_id(RULE, a_center_change(Part.SCIM_TOKEN, EVENTS[0])) == "ours"


def why_of_age(days: float, **settings: object) -> list[Reason]:
    """What it says in a sweep of a token that is so old."""
    token = replace(a_center_change(Part.SCIM_TOKEN, "ScimTokenAge"), since=NOW)
    sweep = replace(a_check(), time=NOW + timedelta(days=days))
    return reasons(RULE, token, sweep, **settings)


@pytest.mark.parametrize(
    ("days", "code"),
    [
        (0, None),
        (334.9, None),
        (335, "aging"),
        (364.9, "aging"),
        (365, "expired"),
        (4000, "expired"),
    ],
)
def test_a_token_is_told_of_before_its_year_is_over_and_when_it_is(
    days: float, code: str | None
) -> None:
    assert [reason.code for reason in why_of_age(days)] == ([] if code is None else [code])


def test_owners_say_how_early() -> None:
    assert why_of_age(335, warn_after_days=350) == []
    assert [reason.code for reason in why_of_age(350, warn_after_days=350)] == ["aging"]
    assert [reason.code for reason in why_of_age(365, warn_after_days=365)] == ["expired"]


def test_the_reason_says_how_old_it_is_and_what_will_happen() -> None:
    (reason,) = why_of_age(340)
    assert reason.text == (
        f"Identity Center's SCIM token it, made on {NOW:%Y-%m-%d}, is 340 days old and ends in 25: "
        "provisioning stops then"
    )


def test_of_a_token_of_unknown_age_nothing_is_said() -> None:
    token = replace(a_center_change(Part.SCIM_TOKEN, "ScimTokenAge"), since=None)
    assert reasons(RULE, token, a_check()) == []
