from dataclasses import replace

import pytest
from pydantic import ValidationError

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.model import Hint, SignIn
from keyward.rules.idc_sign_in_without_mfa import RULE
from tests.builders import HUB, NOW, a_center_hint, a_key, exempt_by_id, reasons

BOB = "d4e5f607-2b3c-4d4e-9f0a-1b2c3d4e5f60"


def a_sign_in(*factors: str, name: str | None = None) -> SignIn:
    return SignIn(account=HUB, user_id=BOB, factors=factors, name=name, since=NOW)


def with_enrollment(value: object) -> Hint:
    hint = a_center_hint("UserAuthentication", source="signin.amazonaws.com")
    return replace(hint, additional={"DeviceEnrollmentRequired": value})


@pytest.mark.parametrize("factor", ["PASSWORD", "EMAIL_OTP", "SOMETHING_NEW", ""])
def test_one_weak_factor_alone_is_objected_to(factor: str) -> None:
    (reason,) = reasons(RULE, a_sign_in(factor, name="bob"))
    assert reason.code == "one-factor"
    assert reason.severity is None
    assert f"user bob was completed with {factor} alone" in reason.text


@pytest.mark.parametrize(
    "factors",
    [
        ("PASSWORD", "TOTP"),
        ("PASSWORD", "WEBAUTHN"),
        ("PASSWORD", "RESYNC_TOTP"),
        ("PASSWORD", "EMAIL_OTP"),
        ("WEBAUTHN",),
    ],
)
def test_two_factors_or_a_strong_one_are_compliant(factors: tuple[str, ...]) -> None:
    assert reasons(RULE, a_sign_in(*factors)) == []


def test_a_sign_in_by_an_external_identity_provider_is_let_be() -> None:
    assert reasons(RULE, a_sign_in("EXTERNAL_IDP")) == []


def test_the_same_factor_twice_is_one() -> None:
    assert reasons(RULE, a_sign_in("PASSWORD", "PASSWORD"))


def test_owners_say_which_factors_are_enough_alone() -> None:
    assert reasons(RULE, a_sign_in("PASSWORD"), alone=("PASSWORD",)) == []
    assert reasons(RULE, a_sign_in("WEBAUTHN"), alone=())


@pytest.mark.parametrize("value", ["true", "TRUE", True])
def test_a_device_registered_meanwhile_makes_it_less_grave_and_another_finding(
    value: object,
) -> None:
    (reason,) = reasons(RULE, a_sign_in("PASSWORD"), with_enrollment(value))
    assert (reason.code, reason.severity) == ("enrolled", Severity.MEDIUM)
    (graver,) = reasons(
        RULE, a_sign_in("PASSWORD"), with_enrollment(value), enrollment_severity=Severity.HIGH
    )
    assert graver.severity is Severity.HIGH


@pytest.mark.parametrize("value", ["false", False, None, ["true"]])
def test_no_device_registered_meanwhile_leaves_it_as_it_is(value: object) -> None:
    (reason,) = reasons(RULE, a_sign_in("PASSWORD"), with_enrollment(value))
    assert reason.code == "one-factor"


def test_a_misspelt_factor_is_refused() -> None:
    with pytest.raises(ValidationError, match="alone"):
        RULE.settings.model_validate({"alone": ("password",)})


def test_an_access_key_is_none_of_its_business() -> None:
    assert reasons(RULE, a_key()) == []


def test_it_is_high_and_only_reported() -> None:
    assert RULE.settings().severity is Severity.HIGH
    assert RULE.enforcement is Enforcement.REPORT


def test_an_exempted_user_is_exempt() -> None:
    assert exempt_by_id(RULE, a_sign_in("PASSWORD")) == "ours"
