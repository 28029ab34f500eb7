"""Whom an exemption covers: by account and unique id, for the rules it names, until its end."""

from datetime import timedelta

import pytest

from keyward.errors import SettingsError
from keyward.exemptions import Exemption
from keyward.model import IamUser, RootAccessKey, Subject
from keyward.settings import validated
from tests.builders import MEMBER, NOW, OTHER_MEMBER, OTHER_USER_ID, USER_ID

RULE = "iam-user-created"


def written(**changes: object) -> dict[str, object]:
    value: dict[str, object] = {
        "owner": "team@example.com",
        "reason": "the vendor supports keys only",
        "ticket": "SEC-1",
        "until": "2027-01-01T00:00:00Z",
        "account": MEMBER,
        "user_id": USER_ID,
        "rules": [RULE],
    }
    return {name: item for name, item in (value | changes).items() if item is not None}


def an_exemption(**changes: object) -> Exemption:
    return validated("/keyward/exemptions/x", Exemption, written(**changes))


def a_user(*, account: str = MEMBER, name: str = "bob", user_id: str | None = USER_ID) -> IamUser:
    return IamUser(account=account, name=name, user_id=user_id)


def test_the_user_is_covered() -> None:
    assert an_exemption().covers(rule=RULE, subject=a_user(), now=NOW)


@pytest.mark.parametrize(
    "subject",
    [
        a_user(user_id=OTHER_USER_ID),
        a_user(user_id=None),
        a_user(account=OTHER_MEMBER),
        RootAccessKey(account="444455556666"),
    ],
    ids=["a name used again", "an unknown id", "another account", "no user"],
)
def test_anybody_else_is_not(subject: Subject) -> None:
    assert not an_exemption().covers(rule=RULE, subject=subject, now=NOW)


def test_another_rule_is_not_covered() -> None:
    assert not an_exemption().covers(rule="iam-console-password-set", subject=a_user(), now=NOW)


def test_it_ends_by_itself_at_its_end() -> None:
    exemption = an_exemption()
    assert exemption.covers(
        rule=RULE, subject=a_user(), now=exemption.until - timedelta(microseconds=1)
    )
    assert not exemption.covers(rule=RULE, subject=a_user(), now=exemption.until)


@pytest.mark.parametrize(
    ("pattern", "name", "covered"),
    [
        ("ci-*", "ci-build", True),
        ("ci-*", "CI-build", False),
        ("ci-*", "xci-build", False),
        ("ci.build", "ci-build", False),
        ("ci-?", "ci-1", None),
        ("ci-[0-9]", "ci-1", None),
    ],
)
def test_a_pattern_matches_names_with_stars_only(
    pattern: str, name: str, *, covered: bool | None
) -> None:
    changes = {"user_id": None, "user_pattern": pattern, "signed_by": "ciso@example.com"}
    if covered is None:
        with pytest.raises(SettingsError, match="user_pattern"):
            an_exemption(**changes)
        return
    exemption = an_exemption(**changes)
    assert exemption.covers(rule=RULE, subject=a_user(name=name), now=NOW) is covered


@pytest.mark.parametrize("field", ["owner", "reason", "ticket", "until", "account", "rules"])
def test_nothing_that_makes_it_answerable_can_be_left_out(field: str) -> None:
    with pytest.raises(SettingsError, match=rf"field {field}: Field required"):
        an_exemption(**{field: None})


@pytest.mark.parametrize(
    "changes",
    [
        {"user_pattern": "ci-*", "signed_by": "ciso@example.com"},
        {"user_id": None},
        {"user_id": None, "user_pattern": "ci-*"},
        {"user_id": "AROAEXAMPLE"},
        {"until": "2027-01-01T00:00:00"},
        {"until": "2027-01-01"},
        {"rules": []},
        {"owner": "  "},
        {"tag": "exempt"},
    ],
    ids=",".join,
)
def test_what_is_not_exact_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        an_exemption(**changes)
