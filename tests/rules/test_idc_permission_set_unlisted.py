import pytest

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.rules.idc_permission_set_unlisted import RULE
from tests.builders import DEVELOPER, a_center_hint, a_check, a_permission_set, reasons

CREATED = a_center_hint("CreatePermissionSet")
CHECK = a_check(permissionSetName="Developer")


def why(name: str | None, **others: object) -> list[str]:
    """What it says of a set that was read."""
    subject = a_permission_set(name, **{"attributes": DEVELOPER, **others})  # type: ignore[arg-type]  # fields by name
    return [reason.text for reason in reasons(RULE, subject, CREATED)]


def test_a_set_of_the_catalogue_is_compliant_whatever_its_number() -> None:
    assert why("Developer", number_of_sets=99) == []
    assert reasons(RULE, a_permission_set("Developer"), CREATED) == []


def test_a_set_outside_the_catalogue_is_objected_to() -> None:
    assert why("Contractors") == ["permission set Contractors is not in the catalogue"]


def test_without_a_catalogue_none_is_outside_it() -> None:
    assert why("Contractors", catalogue={}) == []
    assert reasons(RULE, a_permission_set("Contractors", catalogue={}), CREATED) == []


@pytest.mark.parametrize("name", ["jane.doe", "Jane.Doe", "jane@example.com", "j.doe-admin"])
def test_a_name_that_looks_like_a_persons_is_objected_to(name: str) -> None:
    assert why(name, catalogue={}) == [
        f"permission set {name} seems to be named after a person or project"
    ]


@pytest.mark.parametrize(
    "name", ["Developer", "ReadOnly", "read-only", "read_only", "Level.2", "v1.2", "S3=Admin"]
)
def test_a_name_that_does_not_is_compliant(name: str) -> None:
    assert why(name, catalogue={}) == []


def test_the_owners_say_how_their_projects_are_called() -> None:
    subject = a_permission_set("proj-apollo", attributes=DEVELOPER, catalogue={})
    assert reasons(RULE, subject, CREATED) == []
    assert reasons(RULE, subject, CREATED, named_after=("proj-*",))
    assert reasons(RULE, subject, CREATED, named_after=("Proj-*",)) == []


@pytest.mark.parametrize(("number", "is_too_many"), [(6, False), (7, True)])
def test_more_sets_than_settings_allow_are_objected_to(number: int, *, is_too_many: bool) -> None:
    expected = ["permission set Contractors is one of 7, more than 6"] if is_too_many else []
    assert why("Contractors", catalogue={}, number_of_sets=number) == expected


def test_all_that_is_wrong_is_one_reason() -> None:
    (text,) = why("jane.doe", number_of_sets=7)
    assert text == (
        "permission set jane.doe is not in the catalogue; "
        "seems to be named after a person or project; is one of 7, more than 6"
    )


def test_control_towers_own_sets_may_stand_beside_the_catalogue_but_count() -> None:
    assert why("AWSReadOnlyAccess") == []
    assert why("AWSReadOnlyAccess", number_of_sets=7) == [
        "permission set AWSReadOnlyAccess is one of 7, more than 6"
    ]
    assert why("AWSReadOnlyAccess2")


@pytest.mark.parametrize(
    ("name", "is_looked_at"), [("Contractors", True), ("Developer", False), (None, True)]
)
def test_a_claim_only_may_be_so(name: str | None, *, is_looked_at: bool) -> None:
    found = reasons(RULE, a_permission_set(name), CREATED)
    assert [(reason.code, reason.maybe) for reason in found] == (
        [("unlisted", True)] if is_looked_at else []
    )


def test_the_sweep_looks_at_every_set_since_their_number_counts() -> None:
    assert reasons(RULE, a_permission_set("AWSReadOnlyAccess"), CHECK)
    assert reasons(RULE, a_permission_set("Contractors", catalogue={}), CHECK)


def test_a_set_that_is_gone_is_none_too_many() -> None:
    assert reasons(RULE, a_permission_set("Contractors", exists=False, arn=None), CHECK) == []


def test_it_is_low_and_only_reported() -> None:
    assert RULE.settings().severity is Severity.LOW
    assert RULE.enforcement is Enforcement.REPORT
    assert (RULE.needs, RULE.patience_seconds) == ("state", 10)
