import pytest
from pydantic import ValidationError

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.model import IdentityCenterChange, Part
from keyward.rules.idc_mfa_settings_changed import RULE
from tests.builders import a_center_change, exempt_by_id, reasons

STRONG = {
    "mfaMode": "ALWAYS_ON",
    "noMfaSignInBehavior": "ALLOWED_WITH_ENROLLMENT",
    "allowedMfaTypes": "TOTP, WEBAUTHN",
}


def settings_changed(**values: str) -> IdentityCenterChange:
    return a_center_change(Part.MFA_SETTINGS, "UpdateSsoConfiguration", **values)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"noMfaSignInBehavior": "BLOCKED"},
        {"allowedMfaTypes": "WEBAUTHN"},
        {"noPasswordSignInBehavior": "whatever"},
    ],
)
def test_settings_as_strong_as_wanted_are_compliant(values: dict[str, str]) -> None:
    assert reasons(RULE, settings_changed(**(STRONG | values))) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mfaMode", "DISABLED"),
        ("mfaMode", "CONTEXT_AWARE"),
        ("mfaMode", "SOMETHING_NEW"),
        ("mfaMode", "always_on"),
        ("noMfaSignInBehavior", "ALLOWED"),
        ("noMfaSignInBehavior", "EMAIL_OTP"),
        ("allowedMfaTypes", "TOTP, SMS"),
        ("allowedMfaTypes", ""),
    ],
)
def test_a_weaker_setting_is_objected_to_by_name(name: str, value: str) -> None:
    (reason,) = reasons(RULE, settings_changed(**(STRONG | {name: value})))
    assert reason.code == "weaker"
    assert f"{name} is {value}" in reason.text
    assert f"{name}: {value}" in reason.details


@pytest.mark.parametrize("name", STRONG)
def test_a_setting_that_the_event_lacks_is_unknown_and_objected_to(name: str) -> None:
    rest = {other: value for other, value in STRONG.items() if other != name}
    (reason,) = reasons(RULE, settings_changed(**rest))
    assert reason.code == "unknown"
    assert f"{name} is unknown" in reason.text


def test_what_is_weak_is_told_before_what_is_unknown() -> None:
    (reason,) = reasons(RULE, settings_changed(mfaMode="DISABLED"))
    assert reason.code == "weaker"
    assert "unknown" not in reason.text


def test_owners_say_what_is_strong_enough() -> None:
    change = settings_changed(
        mfaMode="CONTEXT_AWARE", noMfaSignInBehavior="EMAIL_OTP", allowedMfaTypes="TOTP, SMS"
    )
    accepted: dict[str, object] = {
        "modes": ("ALWAYS_ON", "CONTEXT_AWARE"),
        "without_device": ("EMAIL_OTP",),
        "device_types": ("TOTP", "SMS"),
    }
    assert reasons(RULE, change, None, **accepted) == []
    for name in accepted:
        rest = {other: value for other, value in accepted.items() if other != name}
        assert reasons(RULE, change, None, **rest)


def test_who_may_manage_devices_is_always_objected_to() -> None:
    change = a_center_change(Part.MFA_SETTINGS, "PutMfaDeviceManagementForDirectory", **STRONG)
    (reason,) = reasons(RULE, change)
    assert reason.code == "device-management"


@pytest.mark.parametrize("field", ["modes", "without_device", "device_types"])
def test_a_misspelt_setting_is_refused(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        RULE.settings.model_validate({field: ("always on",)})


@pytest.mark.parametrize("part", [part for part in Part if part is not Part.MFA_SETTINGS])
def test_other_changes_are_none_of_its_business(part: Part) -> None:
    assert reasons(RULE, a_center_change(part)) == []


def test_it_is_critical_and_only_reported() -> None:
    assert RULE.settings().severity is Severity.CRITICAL
    assert RULE.enforcement is Enforcement.REPORT


def test_exempted_settings_are_exempt() -> None:
    assert exempt_by_id(RULE, settings_changed()) == "ours"
