import pytest

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.model import Actor, Part
from keyward.rules.idc_mfa_device_removed import RULE
from tests.builders import a_center_change, a_center_hint, a_role_session, exempt_by_id, reasons

EVENT = "DeleteMfaDeviceForUser"
REMOVED = a_center_change(Part.MFA_DEVICE, EVENT, userId="bob")


@pytest.mark.parametrize(
    ("actor", "who"),
    [
        (Actor(type="IdentityCenterUser", on_behalf_of="bob"), "by the user"),
        (Actor(type="IdentityCenterUser", on_behalf_of="eve"), "by IdentityCenterUser"),
        (a_role_session("ci/deployer"), "assumed-role/deployer"),
    ],
    ids=["by the user", "by another user", "by a role"],
)
def test_a_removed_device_is_objected_to_whoever_removed_it(actor: Actor, who: str) -> None:
    (reason,) = reasons(RULE, REMOVED, a_center_hint(EVENT, actor=actor))
    assert reason.code == "removed"
    assert "user bob" in reason.text
    assert who in reason.text


def test_a_device_of_somebody_whom_the_event_does_not_name_is_objected_to() -> None:
    hint = a_center_hint(EVENT, actor=Actor(type="Unknown"))
    (reason,) = reasons(RULE, a_center_change(Part.MFA_DEVICE, EVENT), hint)
    assert "user unknown was removed by Unknown" in reason.text


@pytest.mark.parametrize("part", [part for part in Part if part is not Part.MFA_DEVICE])
def test_other_changes_are_none_of_its_business(part: Part) -> None:
    assert reasons(RULE, a_center_change(part)) == []


def test_it_is_high_and_only_reported() -> None:
    assert RULE.settings().severity is Severity.HIGH
    assert RULE.enforcement is Enforcement.REPORT


def test_an_exempted_device_is_exempt() -> None:
    assert exempt_by_id(RULE, REMOVED) == "ours"
