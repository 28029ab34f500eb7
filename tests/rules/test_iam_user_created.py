from datetime import timedelta

from keyward.rules.iam_user_created import RULE
from tests.builders import NOW, OTHER_USER_ID, a_key, an_iam_user, exempt_by, reasons


def test_an_iam_user_is_objected_to() -> None:
    (reason,) = reasons(RULE, an_iam_user("bob"))
    assert reason.code == "exists"
    assert "bob" in reason.text


def test_a_user_of_any_path_and_age_is_objected_to() -> None:
    assert reasons(RULE, an_iam_user(path="/service/", age=timedelta(days=900)))


def test_an_access_key_is_none_of_its_business() -> None:
    assert reasons(RULE, a_key()) == []


def test_an_exempted_user_is_exempt_until_the_very_end() -> None:
    user = an_iam_user()
    assert exempt_by(RULE, user) == "ours"
    assert exempt_by(RULE, user, now=NOW + timedelta(days=1) - timedelta(microseconds=1)) == "ours"
    assert exempt_by(RULE, user, now=NOW + timedelta(days=1)) is None


def test_a_new_user_under_an_exempted_name_is_not_exempt() -> None:
    assert exempt_by(RULE, an_iam_user("bob", user_id=OTHER_USER_ID)) is None
