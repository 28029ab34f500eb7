from keyward.rules.iam_access_key_created import RULE
from tests.builders import (
    OTHER_MEMBER,
    OTHER_USER_ID,
    a_hint,
    a_key,
    a_user_actor,
    an_iam_user,
    exempt_by,
    reasons,
    root_of,
)


def test_an_active_key_is_objected_to() -> None:
    (reason,) = reasons(RULE, a_key(active=True))
    assert reason.code == "active"


def test_an_inactive_key_is_compliant() -> None:
    assert reasons(RULE, a_key(active=False)) == []


def test_it_does_not_matter_who_made_the_key() -> None:
    for actor in (a_user_actor("bob"), root_of()):
        assert reasons(RULE, a_key(), a_hint(actor=actor))


def test_a_sweep_finds_it_too() -> None:
    hint = a_hint("Sweep", source="keyward", sweep=True)
    assert RULE.concerns(hint)
    assert reasons(RULE, a_key(), hint)


def test_the_key_of_an_exempted_user_is_exempt() -> None:
    assert exempt_by(RULE, a_key(an_iam_user())) == "ours"


def test_the_key_of_another_user_of_that_name_is_not_exempt() -> None:
    assert exempt_by(RULE, a_key(an_iam_user(user_id=OTHER_USER_ID))) is None
    assert exempt_by(RULE, a_key(an_iam_user(account=OTHER_MEMBER))) is None
