import pytest

from keyward.policy.conditions import BOUNDARY, PASSED_TO, POLICY_ARN, Request, Value, holds
from keyward.policy.document import read
from tests.policy.writing import Json, a_document, allow

LAMBDA = "lambda.amazonaws.com"
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
LIMIT = "arn:aws:iam::111122223333:policy/limit"


def held(when: Json, request: Request) -> bool | None:
    (statement,) = read(a_document(allow("a:B", when=when))).statements
    return holds(statement, request)


@pytest.mark.parametrize(
    ("operator", "values", "holding"),
    [
        ("StringEquals", LAMBDA, True),
        ("StringEquals", ["ec2.amazonaws.com", LAMBDA], True),
        ("StringEquals", "ec2.amazonaws.com", False),
        ("StringEquals", "lambda*", False),
        ("StringEquals", LAMBDA.upper(), False),
        ("StringEqualsIgnoreCase", LAMBDA.upper(), True),
        ("StringNotEqualsIgnoreCase", LAMBDA.upper(), False),
        ("StringLike", "lambda.*", True),
        ("StringLike", "ec2.*", False),
        ("StringNotEquals", LAMBDA, False),
        ("StringNotEquals", "ec2.amazonaws.com", True),
        ("StringNotEquals", [LAMBDA, "ec2.amazonaws.com"], False),
        ("StringNotLike", "*", False),
        ("StringEqualsIfExists", "ec2.amazonaws.com", False),
        ("ForAnyValue:StringEquals", LAMBDA, True),
        ("ForAllValues:StringLike", "*.amazonaws.com", True),
        ("STRINGEQUALS", LAMBDA, True),
        ("StringEquals", [], False),
        ("Null", "false", True),
        ("Null", "true", False),
        ("DateGreaterThan", "2020-01-01T00:00:00Z", None),
    ],
)
def test_a_key_that_the_request_has_is_compared(
    operator: str, values: object, *, holding: bool | None
) -> None:
    assert held({operator: {"iam:PassedToService": values}}, {PASSED_TO: LAMBDA}) is holding


@pytest.mark.parametrize(
    ("operator", "holding"),
    [
        ("StringEquals", False),
        ("StringLike", False),
        ("ArnEquals", False),
        ("StringEqualsIfExists", True),
        ("ForAllValues:StringEquals", True),
        ("ForAnyValue:StringEquals", False),
        ("StringNotEquals", True),
        ("ArnNotLike", True),
        ("ForAnyValue:StringNotEquals", False),
    ],
)
def test_a_key_that_the_request_lacks_is_absent(operator: str, *, holding: bool) -> None:
    assert held({operator: {"iam:PermissionsBoundary": LIMIT}}, {}) is holding


@pytest.mark.parametrize(("wanted", "holding"), [("true", True), (True, True), ("false", False)])
def test_null_asks_whether_a_key_is_absent(wanted: object, *, holding: bool) -> None:
    assert held({"Null": {"iam:PermissionsBoundary": wanted}}, {}) is holding


@pytest.mark.parametrize(
    "when",
    [
        {"StringEquals": {"aws:PrincipalTag/team": "x"}},
        {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
        {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}},
        {"Null": {"aws:TokenIssueTime": "true"}},
        {"Bool": "x"},
    ],
)
def test_of_other_keys_only_aws_can_tell(when: Json) -> None:
    assert held(when, {PASSED_TO: LAMBDA}) is None


def test_one_line_that_does_not_hold_is_enough_not_to() -> None:
    unknown = {"aws:SourceIp": "192.0.2.0/24"}
    when = {"IpAddress": unknown, "StringEquals": {"iam:PassedToService": "x"}}
    assert held(when, {PASSED_TO: LAMBDA}) is False


def test_lines_that_hold_do_not_make_an_unknown_one_hold() -> None:
    known, unknown = {"iam:PassedToService": LAMBDA}, {"aws:PrincipalTag/a": "b"}
    assert held({"StringEquals": known | unknown}, {PASSED_TO: LAMBDA}) is None
    assert held({"StringEquals": unknown | known}, {PASSED_TO: LAMBDA}) is None


def test_who_wants_more_than_a_template_makes_uses_none() -> None:
    template = "arn:aws:iam::aws:role-template/example.com/Example:1"
    assert held({"ArnEquals": {"iam:RoleTemplateARN": template}}, {}) is False


def test_no_condition_always_holds() -> None:
    assert held({}, {}) is True


def test_what_is_not_known_of_the_request_is_not_decided() -> None:
    assert held(
        {"StringEquals": {"iam:PermissionsBoundary": LIMIT}}, {BOUNDARY: Value.UNKNOWN}
    ) is (None)


@pytest.mark.parametrize(
    ("operator", "values", "holding"),
    [
        ("ArnEquals", READ_ONLY, False),
        ("ArnEquals", [READ_ONLY, READ_ONLY], False),
        ("ArnEquals", [READ_ONLY, ADMIN], None),
        ("ArnEquals", "arn:aws:iam::111122223333:policy/ReadOnlyAccess", None),
        ("ArnLike", "arn:aws:iam::aws:policy/Amazon*", None),
        ("ArnLike", [ADMIN, LIMIT], None),
        ("ArnLike", "arn:aws:iam::*:policy/team-*", None),
        ("StringLike", "*", True),
        ("ArnNotEquals", READ_ONLY, True),
        ("ArnNotEquals", LIMIT, None),
    ],
)
def test_policies_that_may_lead_to_more_are_let_through_all_or_none_or_some(
    operator: str, values: object, *, holding: bool | None
) -> None:
    request: Request = {POLICY_ARN: Value.ANOTHER_POLICY}
    assert held({operator: {"iam:PolicyARN": values}}, request) is holding


def test_arns_are_compared_with_wildcards_even_where_equal_is_asked_for() -> None:
    when = {"ArnEquals": {"iam:PolicyARN": "arn:aws:iam::aws:policy/*"}}
    assert held(when, {POLICY_ARN: ADMIN}) is True
