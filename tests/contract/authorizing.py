"""What IAM answers, for as much of its policy language as Keyward's templates use.

An unknown element, operator or form raises: a test must not pass by what it doesn't understand.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from tests.contract.templates import listed

type Statement = Mapping[str, Any]
type Context = Mapping[str, tuple[str, ...]]

ELEMENTS = {"Sid", "Effect", "Action", "Resource", "Condition"}
ARN_PARTS = 6


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as IAM sees it; a condition key that a request lacks is not in `context`."""

    action: str
    resource: str
    context: Context = field(default_factory=dict, hash=False)


def allowed(statements: Iterable[Statement], asked: Asked) -> bool:
    """Return whether a statement allows the request and none denies it."""
    effects = {one["Effect"] for one in statements if applies(one, asked)}
    assert effects <= {"Allow", "Deny"}
    return effects == {"Allow"}


def trusted(statements: Iterable[Statement], *, account: str, context: Context) -> bool:
    """Return whether a role lets somebody of this account assume it.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    for one in statements:
        assert set(one) <= {"Sid", "Effect", "Action", "Principal", "Condition"}, f"unknown: {one}"
        assert one["Effect"] == "Allow", f"unknown: {one}"
        named = one["Principal"].get("AWS")
        if named == f"arn:aws:iam::{account}:root" and one["Action"] == "sts:AssumeRole":
            return conditions_hold(one.get("Condition", {}), context)
    return False


def applies(statement: Statement, asked: Asked) -> bool:
    """Return whether a statement is about the request."""
    assert set(statement) <= ELEMENTS, f"unknown: {statement}"
    return (
        any(like(asked.action.casefold(), one.casefold()) for one in listed(statement["Action"]))
        and any(like(asked.resource, one) for one in listed(statement["Resource"]))
        and conditions_hold(statement.get("Condition", {}), asked.context)
    )


def conditions_hold(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """Return whether all conditions hold; names of keys have no case."""
    known = {key.casefold(): values for key, values in context.items()}
    return all(
        OPERATORS[operator](known.get(key.casefold(), ()), [str(one) for one in listed(wanted)])
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def like(value: str, pattern: str) -> bool:
    """Return whether a text fits a pattern of `*` and `?`."""
    assert "[" not in pattern, f"unknown: {pattern}"
    return fnmatchcase(value, pattern)


def arn_like(value: str, pattern: str) -> bool:
    """Return whether an ARN fits, part by part: `*` does not reach over a colon."""
    parts, patterns = value.split(":", ARN_PARTS - 1), pattern.split(":", ARN_PARTS - 1)
    return len(parts) == len(patterns) == ARN_PARTS and all(map(like, parts, patterns))


def one_of(fits: Callable[[str, str], bool]) -> Callable[[tuple[str, ...], list[str]], bool]:
    """Return an operator of a key with one value: absent, it doesn't hold."""

    def holds(values: tuple[str, ...], wanted: list[str]) -> bool:
        assert len(values) <= 1, f"a set of values needs ForAllValues or ForAnyValue: {values}"
        return any(fits(value, one) for value in values for one in wanted)

    return holds


def every_one_like(values: tuple[str, ...], wanted: list[str]) -> bool:
    """Return whether each value fits; true of no value at all."""
    return all(any(like(value, one) for one in wanted) for value in values)


def absent(values: tuple[str, ...], wanted: list[str]) -> bool:
    """Return whether the key is absent (`true`) or there (`false`), as wanted."""
    assert wanted in (["true"], ["false"]), f"unknown: {wanted}"
    return (not values) == (wanted == ["true"])


OPERATORS: Mapping[str, Callable[[tuple[str, ...], list[str]], bool]] = {
    "ArnEquals": one_of(arn_like),  # the same as ArnLike, says its documentation
    "ArnLike": one_of(arn_like),
    "ForAllValues:StringLike": every_one_like,
    "Null": absent,
    "StringEquals": one_of(str.__eq__),
    "StringLike": one_of(like),
}
"""Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html"""
