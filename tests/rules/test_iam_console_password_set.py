from keyward.rules.iam_console_password_set import RULE
from tests.builders import OTHER_USER_ID, a_key, a_password, an_iam_user, exempt_by, reasons


def test_a_console_password_is_objected_to() -> None:
    (reason,) = reasons(RULE, a_password())
    assert reason.code == "can-sign-in"
    assert "bob" in reason.text


def test_an_access_key_is_none_of_its_business() -> None:
    assert reasons(RULE, a_key()) == []


def test_the_password_of_an_exempted_user_is_exempt() -> None:
    assert exempt_by(RULE, a_password()) == "ours"
    assert exempt_by(RULE, a_password(an_iam_user(user_id=OTHER_USER_ID))) is None
    assert exempt_by(RULE, a_password(an_iam_user(user_id=None))) is None
