import json

import pytest

from keyward.model import PolicyDocument
from keyward.policy.document import SELF, Statement, read
from tests.policy.writing import a_document, allow

DEEP = "[" * 100_000 + "]" * 100_000
STATEMENT = '{"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*"}'


def reading(text: str) -> tuple[tuple[Statement, ...], bool]:
    readout = read(PolicyDocument(name="policy", text=text))
    return readout.statements, readout.readable


def test_a_statement_is_read_with_its_name_and_policy() -> None:
    (statement,) = read(a_document(allow("iam:PassRole", sid="Pass"), name="theirs")).statements
    assert statement == Statement(
        policy="theirs",
        label="Pass",
        allows=True,
        actions=("iam:passrole",),
        every_action_but=False,
        resources=("*",),
        every_resource_but=False,
    )


def test_a_statement_without_a_sid_is_called_by_its_number() -> None:
    labels = [it.label for it in read(a_document(allow("a:B"), allow("a:B", sid=" "))).statements]
    assert labels == ["statement 1", "statement 2"]


def test_one_statement_need_not_be_in_a_list() -> None:
    assert reading(f'{{"Statement": {STATEMENT}}}') == reading(f'{{"Statement": [{STATEMENT}]}}')


@pytest.mark.parametrize(
    "same",
    [
        '{"effect": "Allow", "ACTION": "iam:PassRole", "Resource": "*"}',
        '{"Effect": "allow", "Action": ["IAM:passrole"], "Resource": ["*"]}',
        '{"Effect": " Allow ", "Action": " iam:PassRole\\n", "Resource": "\\t*"}',
        '{"Effect": "\\u0041llow", "Action": "i\\u0061m:PassRole", "Resource": "\\u002a"}',
    ],
)
def test_spelling_makes_no_difference(same: str) -> None:
    assert reading(f'{{"Statement": [{same}]}}') == reading(f'{{"Statement": [{STATEMENT}]}}')


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "NaN",
        "7",
        "{}",
        DEEP,
        f'{{"Statement": {DEEP}}}',
        f'{{"Statement": [{STATEMENT}], "Statement": []}}',
        f'{{"Statement": [{STATEMENT}], "statement": []}}',
        "9" * 10_000,
    ],
)
def test_what_is_no_policy_is_told_and_has_no_statements(text: str) -> None:
    assert reading(text) == ((), False)


@pytest.mark.parametrize(
    "broken",
    [
        "7",
        "null",
        '{"Action": "iam:PassRole", "Resource": "*"}',
        '{"Effect": "Maybe", "Action": "iam:PassRole", "Resource": "*"}',
        '{"Effect": ["Allow"], "Action": "iam:PassRole", "Resource": "*"}',
        '{"Effect": "Allow", "Resource": "*"}',
        '{"Effect": "Allow", "Action": "iam:PassRole"}',
        '{"Effect": "Allow", "Action": "a:B", "NotAction": "a:C", "Resource": "*"}',
        '{"Effect": "Allow", "Action": "a:B", "Resource": "*", "NotResource": "*"}',
        '{"Effect": "Allow", "Action": ["iam:PassRole", 7], "Resource": "*"}',
        '{"Effect": "Allow", "Action": {"iam": "PassRole"}, "Resource": "*"}',
        '{"Effect": "Allow", "Action": "iam:PassRole", "Resource": NaN}',
    ],
)
def test_a_broken_statement_hides_no_other(broken: str) -> None:
    statements, readable = reading(f'{{"Statement": [{broken}, {STATEMENT}]}}')
    assert not readable
    assert [it.label for it in statements] == ["statement 2"]


@pytest.mark.parametrize(
    "condition", ["7", "[]", '{"StringEquals": "x"}', '{"StringEquals": {"a": {}}}', "null"]
)
def test_a_condition_that_cannot_be_read_is_not_taken_for_none(condition: str) -> None:
    statement = STATEMENT[:-1] + f', "Condition": {condition}}}'
    ((read_one,), _) = reading(f'{{"Statement": [{statement}]}}')
    assert read_one.tests is None


def test_a_condition_is_read_in_any_case_and_any_type() -> None:
    condition = {"Bool": {"aws:SecureTransport": True}, "NumericEquals": {"A:B": [1, "2"]}}
    (statement,) = read(a_document(allow("a:B", when=condition))).statements
    assert statement.tests is not None
    assert [(it.operator, it.key, it.values) for it in statement.tests] == [
        ("bool", "aws:securetransport", ("true",)),
        ("numericequals", "a:b", ("1", "2")),
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("arn:aws:iam::*:user/${aws:username}", f"arn:aws:iam::*:user/{SELF}"),
        ("arn:aws:iam::*:user/${ AWS:UserName , 'x'}", f"arn:aws:iam::*:user/{SELF}"),
        ("arn:aws:iam::${aws:PrincipalAccount}:role/*", "arn:aws:iam::*:role/*"),
        ("arn:aws:iam", "arn:aws:iam:*"),
        ("arn:aws:iam::*", "arn:aws:iam::*"),
        ("arn:aws:iam::111122223333:role/app", "arn:aws:iam::111122223333:role/app"),
        ("arn:aws:s3:::b/${$}x", "arn:aws:s3:::b/$x"),
    ],
)
def test_variables_and_cut_off_arns_are_written_out(written: str, meant: str) -> None:
    (statement,) = read(a_document(allow("a:B", written))).statements
    assert statement.resources == (meant,)


@pytest.mark.parametrize("variable", ["${*}", "${?}", "${aws:PrincipalTag/team}"])
def test_a_variable_is_no_wildcard(variable: str) -> None:
    (statement,) = read(a_document(allow("a:B", f"arn:aws:iam::*:role/{variable}"))).statements
    (pattern,) = statement.resources
    name = pattern.rpartition("/")[2] if "team" not in pattern else pattern.split("role/")[1]
    assert "*" not in name
    assert "?" not in name
    assert name


def test_text_that_is_no_text_is_no_policy() -> None:
    assert not read(PolicyDocument(name="policy", text=json.loads("null"))).readable
