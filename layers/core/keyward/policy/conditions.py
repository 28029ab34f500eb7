"""Says of a Condition whether a request satisfies it: yes, no, or that only AWS can tell.

Understood are the keys by which a policy hands out part of something on purpose:

- `iam:PassedToService`: the services that a role may be passed to.
- `iam:PermissionsBoundary`: whoever asks for more than a boundary lets through has none set.
- `iam:PolicyARN`: which managed policy is attached.
- `iam:RoleTemplateArn`: a role is made by AWS's template; whoever wants more uses none.
- `organizations:PolicyType`: guardrails are service and resource control policies.
- `organizations:ServicePrincipal`: what is delegated.
- `sts:TaskPolicyArn`: what is done as root.
- `aws:IsMcpServiceAction`: true of no action that is asked about.

with the string and ARN operators, Bool, Null, IfExists, ForAnyValue and ForAllValues. Where a
request has no such key it is absent, as IAM has it. All other keys and operators are unknown: an
Allow then counts as granting, a Deny as not denying.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsorganizations.html
Source: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSMcpServiceActionsFullAccess.html
"""

from collections.abc import Callable, Mapping
from enum import Enum

from keyward.policy.document import Statement, Test
from keyward.policy.globs import matches

PASSED_TO = "iam:passedtoservice"
BOUNDARY = "iam:permissionsboundary"
POLICY_ARN = "iam:policyarn"
POLICY_TYPE = "organizations:policytype"
DELEGATED = "organizations:serviceprincipal"
ROOT_TASK = "sts:taskpolicyarn"


class Value(Enum):
    """What a request's key holds, where that is no text.

    ANOTHER_POLICY is the ARN of some managed policy that may lead to more.
    """

    ABSENT = "absent"
    UNKNOWN = "unknown"
    ANOTHER_POLICY = "another-policy"


type Request = Mapping[str, str | Value]
"""The understood keys of a request; a key that is missing is absent."""

_ALWAYS: Request = {"aws:ismcpserviceaction": "false", "iam:roletemplatearn": Value.ABSENT}
_UNDERSTOOD = frozenset({PASSED_TO, BOUNDARY, POLICY_ARN, POLICY_TYPE, DELEGATED, ROOT_TASK})


def holds(statement: Statement, request: Request) -> bool | None:
    """Whether the statement's Condition holds for the request; None where only AWS can tell."""
    if statement.tests is None:
        return None
    verdict: bool | None = True
    for test in statement.tests:
        answer = _holds(test, request)
        if answer is False:
            return False
        verdict = verdict and answer
    return verdict


def _holds(test: Test, request: Request) -> bool | None:
    without = Value.ABSENT if test.key in _UNDERSTOOD else Value.UNKNOWN
    actual = request.get(test.key, _ALWAYS.get(test.key, without))
    quantifier, _, operator = test.operator.rpartition(":")
    if actual is Value.UNKNOWN:
        return None
    if operator == "null":
        return (actual is Value.ABSENT) == ("true" in {it.lower() for it in test.values})
    if (found := _OPERATORS.get(operator.removesuffix("ifexists"))) is None:
        return None
    same, negated = found
    if actual is Value.ABSENT:
        none_needed = quantifier == "forallvalues" or operator.endswith("ifexists")
        return none_needed or (negated and quantifier != "foranyvalue")
    if isinstance(actual, Value):
        answer = _lets_another_policy_through(test.values)
        return answer if answer is None else answer != negated
    values = _services(test.values) if test.key == PASSED_TO else test.values
    return any(same(it, actual) for it in values) != negated


def _services(values: tuple[str, ...]) -> tuple[str, ...]:
    """The names of services without the domain that some have in China."""
    return tuple(it.removesuffix(".cn") for it in values)


def _lets_another_policy_through(values: tuple[str, ...]) -> bool | None:
    """Whether the values match policies that may lead to more: all (True), none (False), or some.

    Only those of AWS that are known to lead nowhere do not, named in full.
    """
    from keyward.policy.aws_managed import harmless  # noqa: PLC0415 - a large table, seldom needed

    if "*" in values:
        return True
    return False if all(harmless(it) for it in values) else None


def _equals(value: str, actual: str) -> bool:
    return value == actual


def _equals_in_any_case(value: str, actual: str) -> bool:
    return value.lower() == actual.lower()


_OPERATORS: Mapping[str, tuple[Callable[[str, str], bool], bool]] = {
    "stringequals": (_equals, False),
    "stringnotequals": (_equals, True),
    "stringequalsignorecase": (_equals_in_any_case, False),
    "stringnotequalsignorecase": (_equals_in_any_case, True),
    "stringlike": (matches, False),
    "stringnotlike": (matches, True),
    "bool": (_equals_in_any_case, False),
    "arnequals": (matches, False),
    "arnnotequals": (matches, True),
    "arnlike": (matches, False),
    "arnnotlike": (matches, True),
}
"""What compares, and whether the operator wants the opposite. ArnEquals takes wildcards too."""
