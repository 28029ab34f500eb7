import json
from dataclasses import replace
from typing import Any

import pytest

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.model import PermissionSet, PolicyDocument
from keyward.rules.idc_session_too_long import RULE
from tests.builders import DEVELOPER, a_center_hint, a_check, a_permission_set, reasons

EDITED = a_center_hint("UpdatePermissionSet")
HOUR = 3600


def a_document(action: str) -> PolicyDocument:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return PolicyDocument(name="inline policy", text=text)


EVERYTHING = a_document("*")
READING = a_document("s3:GetObject")


def lasting(hours: float, name: str = "Developer", **others: Any) -> PermissionSet:
    """A permission set whose sessions last so long."""
    attributes = replace(DEVELOPER, session_seconds=round(hours * HOUR))
    known: dict[str, Any] = {"documents": (READING,)} | others
    return a_permission_set(name, attributes=attributes, **known)


def claiming(hours: float, name: str | None, **others: Any) -> PermissionSet:
    """A claim that sessions are to last so long."""
    return a_permission_set(name, claimed={"session_seconds": round(hours * HOUR)}, **others)


# ------------------------------------------------------------------ as read


@pytest.mark.parametrize(("hours", "is_over"), [(4, False), (4.001, True), (1, False), (12, True)])
def test_the_limit_of_a_set_of_the_catalogue_is_what_it_says_there(
    hours: float, *, is_over: bool
) -> None:
    for document in (READING, EVERYTHING):
        assert bool(reasons(RULE, lasting(hours, documents=(document,)), EDITED)) is is_over


@pytest.mark.parametrize(
    ("hours", "document", "is_over"),
    [
        (8, READING, False),
        (8.001, READING, True),
        (2, EVERYTHING, False),
        (2.001, EVERYTHING, True),
        (8, EVERYTHING, True),
    ],
)
def test_others_have_eight_hours_and_administrators_two(
    hours: float, document: PolicyDocument, *, is_over: bool
) -> None:
    subject = lasting(hours, "Contractors", documents=(document,))
    assert bool(reasons(RULE, subject, EDITED)) is is_over


def test_settings_say_what_the_limits_are_and_who_counts_as_administrator() -> None:
    subject = lasting(4, "Contractors")
    assert reasons(RULE, subject, EDITED, hours=4) == []
    assert reasons(RULE, subject, EDITED, hours=3.5)
    admin = lasting(4, "Contractors", documents=(EVERYTHING,))
    assert reasons(RULE, admin, EDITED, admin_hours=4) == []
    commanding = lasting(4, "Contractors", documents=(a_document("ssm:SendCommand"),))
    assert reasons(RULE, commanding, EDITED) == []
    assert reasons(RULE, commanding, EDITED, reach="indirect")


def test_a_boundary_that_lets_nothing_through_makes_no_administrator() -> None:
    bounded = lasting(8, "Contractors", documents=(EVERYTHING,), boundary_document=READING)
    assert reasons(RULE, bounded, EDITED) == []


def test_the_reason_says_how_long_and_what_the_limit_is() -> None:
    (reason,) = reasons(RULE, lasting(12), EDITED)
    assert (reason.code, reason.maybe) == ("session", False)
    assert reason.text == "sessions of permission set Developer last 12 h; the limit is 4 h"
    assert reason.details == ("- session: 12 h", "+ session: 4 h")


@pytest.mark.parametrize(("name", "hours"), [("Developer", 4), ("Contractors", 8)])
def test_the_session_alone_is_to_be_another(name: str, hours: int) -> None:
    subject = lasting(12, name)
    (reason,) = reasons(RULE, subject, EDITED)
    assert subject.attributes is not None
    assert reason.wanted == replace(subject.attributes, session_seconds=hours * HOUR)


# ------------------------------------------------------------------ as claimed


@pytest.mark.parametrize(
    ("name", "hours", "is_looked_at"),
    [
        ("Developer", 4, False),
        ("Developer", 4.001, True),
        ("Contractors", 2, False),
        ("Contractors", 2.001, True),
        (None, 1, False),  # the least of the catalogue is the administrators' hour
        (None, 1.001, True),
    ],
)
def test_what_is_over_no_possible_limit_is_not_looked_at(
    name: str | None, hours: float, *, is_looked_at: bool
) -> None:
    found = reasons(RULE, claiming(hours, name), EDITED)
    assert [(reason.code, reason.maybe) for reason in found] == (
        [("session", True)] if is_looked_at else []
    )


def test_without_a_catalogue_two_hours_are_over_no_limit() -> None:
    assert reasons(RULE, claiming(2, None, catalogue={}), EDITED) == []
    assert reasons(RULE, claiming(2.001, None, catalogue={}), EDITED)


def test_an_edit_of_something_else_is_not_looked_at() -> None:
    assert reasons(RULE, a_permission_set(None, claimed={"description": "Mine"}), EDITED) == []


def test_a_session_that_cannot_be_read_is_looked_at() -> None:
    assert reasons(RULE, a_permission_set(None, claimed={"session_seconds": None}), EDITED)


def test_the_sweep_looks_at_every_set() -> None:
    (reason,) = reasons(RULE, a_permission_set(None), a_check(permissionSetName="Developer"))
    assert reason.maybe


def test_a_set_that_is_gone_has_no_sessions() -> None:
    gone = a_permission_set(exists=False, arn=None)
    assert reasons(RULE, gone, a_check(permissionSetName="Developer")) == []


def test_it_is_high_and_restores_the_set_once_a_save_is_complete() -> None:
    assert RULE.settings().severity is Severity.HIGH
    assert RULE.enforcement is Enforcement.RESTORE_PERMISSION_SET
    assert (RULE.needs, RULE.patience_seconds) == ("state", 10)
