from datetime import timedelta

import pytest

from keyward.findings import Severity
from keyward.model import Actor
from keyward.rule import judge
from keyward.rules.iam_access_key_for_other_user import RULE
from tests.builders import (
    OTHER_MEMBER,
    OTHER_USER_ID,
    a_hint,
    a_key,
    a_role_session,
    a_user_actor,
    an_iam_user,
    exempt_by,
    reasons,
    root_of,
    settings_in_force,
)

DAY = timedelta(hours=24)
MOMENT = timedelta(microseconds=1)


def severity(age: timedelta | None, **settings: object) -> Severity:
    hint = a_hint(actor=a_role_session())
    in_force = settings_in_force(rules={RULE.id: settings})
    (finding,) = judge([RULE], [a_key(an_iam_user(age=age))], hint=hint, settings=in_force)
    return finding.severity


def test_a_user_who_makes_its_own_key_is_compliant() -> None:
    assert reasons(RULE, a_key(), a_hint(actor=a_user_actor("bob"))) == []


@pytest.mark.parametrize(
    "actor",
    [
        a_role_session(),
        a_role_session(session="bob"),
        root_of(),
        a_user_actor("carla", user_id=OTHER_USER_ID),
        a_user_actor("bob", account=OTHER_MEMBER),
        a_user_actor("bob", user_id=OTHER_USER_ID),
        a_user_actor("Bob"),
        Actor(type="AWSService", invoked_by="example.amazonaws.com"),
        Actor(type="Unknown"),
    ],
    ids=lambda actor: actor.label,
)
def test_anybody_else_is_objected_to(actor: Actor) -> None:
    (reason,) = reasons(RULE, a_key(), a_hint(actor=actor))
    assert reason.code == "for-other"
    assert actor.label in reason.text


def test_names_decide_where_a_unique_id_is_unknown() -> None:
    own = a_key(an_iam_user(user_id=None))
    assert reasons(RULE, own, a_hint(actor=a_user_actor("bob", user_id=OTHER_USER_ID))) == []
    assert reasons(RULE, a_key(), a_hint(actor=a_user_actor("bob", user_id=None))) == []


def test_an_inactive_key_is_compliant() -> None:
    assert reasons(RULE, a_key(active=False)) == []


def test_a_sweep_which_knows_no_maker_objects_to_nothing() -> None:
    assert reasons(RULE, a_key(), a_hint(sweep=True)) == []


def test_it_is_critical_where_the_owner_is_over_a_day_old() -> None:
    assert severity(DAY) is Severity.HIGH
    assert severity(DAY + MOMENT) is Severity.CRITICAL
    assert severity(timedelta(0)) is Severity.HIGH


def test_it_is_high_where_the_owners_age_is_unknown() -> None:
    assert severity(None) is Severity.HIGH
    assert RULE.needs == "state"


def test_its_settings_decide_what_is_old_and_how_grave_that_is() -> None:
    own = {"established_after_hours": 1, "established_severity": "medium", "severity": "low"}
    assert severity(timedelta(hours=1), **own) is Severity.LOW
    assert severity(timedelta(hours=1) + MOMENT, **own) is Severity.MEDIUM


def test_the_key_of_an_exempted_user_is_exempt() -> None:
    assert exempt_by(RULE, a_key()) == "ours"
    assert exempt_by(RULE, a_key(an_iam_user(user_id=OTHER_USER_ID))) is None
