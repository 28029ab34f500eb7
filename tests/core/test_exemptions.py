"""Whom an exemption covers: by account and unique id, for the rules it names, until its end."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from keyward.errors import SettingsError
from keyward.exemptions import TOLD_AFTER, Exemption, ends
from keyward.findings import Notice, Severity
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


# Its end is told beforehand

UNTIL = datetime(2027, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def told(*, before: timedelta, **changes: object) -> list[Notice]:
    exemption = an_exemption(until=UNTIL.isoformat(), **changes)
    return list(ends({"x": exemption}, now=UNTIL - before))


def stages(notices: Iterable[Notice]) -> list[tuple[str, Severity]]:
    return [(it.id.rpartition(":")[2], it.severity) for it in notices]


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (timedelta(days=400), []),
        (timedelta(days=14) + SECOND, []),
        (timedelta(days=14), [("14", Severity.LOW)]),
        (timedelta(days=3) + SECOND, [("14", Severity.LOW)]),
        (timedelta(days=3), [("3", Severity.MEDIUM)]),
        (SECOND, [("3", Severity.MEDIUM)]),
        (timedelta(), [("0", Severity.HIGH)]),
        (SECOND - TOLD_AFTER, [("0", Severity.HIGH)]),
        (-TOLD_AFTER, []),
        (timedelta(days=-400), []),
    ],
    ids=str,
)
def test_its_end_is_told_two_weeks_and_three_days_before_and_then(
    before: timedelta, expected: list[tuple[str, Severity]]
) -> None:
    assert stages(told(before=before)) == expected


def test_the_same_stage_is_the_same_notice_and_another_end_is_another() -> None:
    (first,), (again,) = told(before=timedelta(days=10)), told(before=timedelta(days=9))
    assert (first.kind, first.id) == (again.kind, again.id)
    assert first.kind == "exemption-ends"
    later = an_exemption(until=(UNTIL + timedelta(days=1)).isoformat())
    (other,) = ends({"x": later}, now=UNTIL - timedelta(days=9))
    assert other.id != first.id
    (elsewhere,) = ends({"y": later}, now=UNTIL - timedelta(days=9))
    assert elsewhere.id != other.id


@pytest.mark.parametrize(
    ("changes", "whom"),
    [
        ({}, USER_ID),
        (
            {"user_id": None, "user_pattern": "ci-*", "signed_by": "ciso@example.com"},
            "ci-* (signed by ciso@example.com)",
        ),
        ({"user_id": None, "unique_id": "AROAEXAMPLE"}, "AROAEXAMPLE"),
    ],
    ids=["user", "pattern", "id"],
)
def test_it_is_told_whose_it_is_for_whom_and_how_to_keep_it(
    changes: dict[str, object], whom: str
) -> None:
    (notice,) = told(before=timedelta(days=2), **changes)
    for text in (
        whom,
        "team@example.com",
        "SEC-1",
        MEMBER,
        RULE,
        "exemptions/x.json",
        "keyward settings push settings",
    ):
        assert text in notice.text
    assert "ends on 2027-01-01 00:00 UTC" in notice.title
    assert notice.account == MEMBER


def test_an_end_that_has_passed_is_told_as_passed() -> None:
    (notice,) = told(before=-timedelta(hours=3))
    assert "has ended on 2027-01-01 00:00 UTC" in notice.title


def test_an_end_is_told_in_utc_whatever_zone_it_was_written_in() -> None:
    here = UNTIL.astimezone(timezone(timedelta(hours=5)))
    (notice,) = ends({"x": an_exemption(until=here.isoformat())}, now=UNTIL - timedelta(days=1))
    assert "2027-01-01 00:00 UTC" in notice.title


def test_many_rules_are_not_all_named() -> None:
    (notice,) = told(before=timedelta(days=1), rules=[f"rule-{n}" for n in range(50)])
    assert "rule-9 and 40 more" in notice.text
    assert "rule-10" not in notice.text
