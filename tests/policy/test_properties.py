"""What holds of any policies: rewriting changes nothing, Allow never takes, Deny never gives."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyward.model import PolicyDocument
from keyward.policy import Reach, analyse, contributes
from keyward.policy.globs import matches
from keyward.policy.paths import ACTIONS, PATHS, UNHEARD_OF

type Statement = dict[str, Any]
type Policy = list[Statement]
type Draw = Callable[[st.SearchStrategy[Any]], Any]

SPELLED = sorted(
    {need.action for path in PATHS for way in path.ways for need in way} - {UNHEARD_OF}
)
HARMLESS = ["s3:GetObject", "ec2:Describe*", "logs:*", "iam:Get*", "iam:List*", "kms:Decrypt"]
SWEEPING = ["*", "*:*", "iam:*", "iam:*Role*", "sso:*", "lambda:*", "organizations:*", "*:Create*"]
COMMON = ["iam:PassRole", "iam:CreateRole", "iam:AttachRolePolicy", "lambda:CreateFunction"]
RESOURCES = [
    "*",
    "arn:aws:iam::*:role/*",
    "arn:aws:iam::111122223333:role/app-*",
    "arn:aws:iam::111122223333:role/*-prod",
    "arn:aws:iam::111122223333:role/app",
    "arn:aws:iam::*:role/aws-service-role/*",
    "arn:aws:iam::*:role/OrganizationAccountAccessRole",
    "arn:aws:iam::*:user/${aws:username}",
    "arn:aws:iam::*:user/*",
    "arn:aws:iam::111122223333:policy/team/*",
    "arn:aws:iam::*:group/admins",
    "arn:aws:iam::*",
    "arn:aws:iam:*",
    "arn:aws:*:*/app-*",
    "arn:aws:iam::1111*",
    "arn:aws:s3:::bucket/*",
    "arn:aws:lambda:*:*:function:*",
    "arn:aws:sso:::permissionSet/*/*",
    "arn:aws:organizations::*:policy/*/service_control_policy/*",
]
CONDITIONS: list[Statement] = [
    {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}},
    {"StringNotEquals": {"iam:PassedToService": ["lambda.amazonaws.com", "ec2.amazonaws.com"]}},
    {"StringEquals": {"iam:PermissionsBoundary": "arn:aws:iam::111122223333:policy/limit"}},
    {"StringNotEquals": {"iam:PermissionsBoundary": "arn:aws:iam::111122223333:policy/limit"}},
    {"ArnLike": {"iam:PolicyARN": "arn:aws:iam::111122223333:policy/*"}},
    {"ArnEquals": {"iam:PolicyARN": "arn:aws:iam::aws:policy/ReadOnlyAccess"}},
    {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
]

actions = st.one_of(
    st.sampled_from(COMMON),
    st.sampled_from(SPELLED),
    st.sampled_from(SWEEPING),
    st.sampled_from(HARMLESS),
)


def some(of: st.SearchStrategy[str], most: int = 3) -> st.SearchStrategy[list[str]]:
    return st.lists(of, min_size=1, max_size=most, unique=True)


@st.composite
def statements(draw: st.DrawFn, effects: tuple[str, ...] = ("Allow", "Allow", "Deny")) -> Statement:
    statement: Statement = {"Effect": draw(st.sampled_from(effects))}
    statement[draw(st.sampled_from(["Action", "Action", "Action", "NotAction"]))] = draw(
        some(actions, 4)
    )
    statement[draw(st.sampled_from(["Resource", "Resource", "Resource", "NotResource"]))] = draw(
        some(st.sampled_from(RESOURCES))
    )
    if draw(st.booleans()):
        statement["Condition"] = draw(st.sampled_from(CONDITIONS))
    return statement


policies = st.lists(statements(), max_size=4)
held = st.lists(policies, min_size=1, max_size=3)


def documents(of: list[Policy]) -> list[PolicyDocument]:
    return [
        PolicyDocument(name=f"policy {number}", text=json.dumps({"Statement": policy}))
        for number, policy in enumerate(of)
    ]


def verdict(of: list[PolicyDocument]) -> tuple[Reach, dict[str, Reach]]:
    analysis = analyse(of)
    assert not analysis.unreadable
    return analysis.reach, {it.path: it.reach for it in analysis.grants}


# Rewrites: each means the same to AWS.


def each(value: Any) -> list[Any]:
    """What is listed, or the one thing that is not in a list."""
    return value if isinstance(value, list) else [value]


def shuffled(draw: Draw, policy: Policy) -> Policy:
    return list(draw(st.permutations(policy)))


def spelled_otherwise(draw: Draw, policy: Policy) -> Policy:
    def other(action: str) -> str:
        flips = draw(st.lists(st.booleans(), min_size=len(action), max_size=len(action)))
        return "".join(
            it.swapcase() if flip else it for it, flip in zip(action, flips, strict=True)
        )

    return each_action(policy, other)


def spaced(draw: Draw, policy: Policy) -> Policy:
    space = st.text(alphabet=" \t\n", max_size=2)
    return each_action(policy, lambda it: f"{draw(space)}{it}{draw(space)}")


def split(_: Draw, policy: Policy) -> Policy:
    """One statement for each action and resource, where these are not what is excepted."""
    found = []
    for statement in policy:
        for action in each(statement.get("Action")):
            for resource in each(statement.get("Resource")):
                one = dict(statement)
                if action is not None:
                    one["Action"] = [action]
                if resource is not None:
                    one["Resource"] = [resource]
                found.append(one)
    return found


def joined(_: Draw, policy: Policy) -> Policy:
    """Statements that differ in their actions alone, as one."""
    found: dict[str, Statement] = {}
    for number, statement in enumerate(policy):
        rest = {name: value for name, value in statement.items() if name != "Action"}
        key = json.dumps(rest, sort_keys=True) if "Action" in statement else str(number)
        if key in found:
            found[key] = {
                **rest,
                "Action": [*each(found[key]["Action"]), *each(statement["Action"])],
            }
        else:
            found[key] = statement
    return list(found.values())


def unlisted(_: Draw, policy: Policy) -> Policy:
    return [
        {
            name: value[0] if isinstance(value, list) and len(value) == 1 else value
            for name, value in statement.items()
        }
        for statement in split(_, policy)
    ]


def with_wildcards(draw: Draw, policy: Policy) -> Policy:
    """A character of an action's name as `?` or `*`, where it still matches that action alone."""

    def wild(action: str) -> str:
        if action not in SPELLED:
            return action
        place = draw(st.integers(action.index(":") + 1, len(action) - 1))
        pattern = action[:place] + draw(st.sampled_from("?*")) + action[place + 1 :]
        matched = {it for it in ACTIONS if matches(pattern.lower(), it)}
        return pattern if matched == {action.lower()} else action

    return each_action(policy, wild)


def written_out(_: Draw, policy: Policy) -> Policy:
    """The actions that a pattern matches, instead of the pattern."""

    def names(action: str) -> list[str]:
        if "*" not in action or matches(action.lower(), UNHEARD_OF):
            return [action]
        return [it for it in SPELLED if matches(action.lower(), it.lower())] or [action]

    return [
        {
            name: [it for action in each(value) for it in names(action)]
            if name in {"Action", "NotAction"}
            else value
            for name, value in statement.items()
        }
        for statement in policy
    ]


def doubled(_: Draw, policy: Policy) -> Policy:
    return [*policy, *policy]


def with_harmless(draw: Draw, policy: Policy) -> Policy:
    more = {"Effect": "Allow", "Action": draw(some(st.sampled_from(HARMLESS))), "Resource": "*"}
    nothing = {"Effect": "Deny", "Action": ["s3:DeleteBucket", "iam:Get*"], "Resource": "*"}
    return [more, *policy, nothing]


def each_action(policy: Policy, change: Callable[[str], str]) -> Policy:
    return [
        {
            name: [change(it) for it in each(value)] if name in {"Action", "NotAction"} else value
            for name, value in statement.items()
        }
        for statement in policy
    ]


REWRITES: list[Callable[[Draw, Policy], Policy]] = [
    shuffled,
    spelled_otherwise,
    spaced,
    split,
    joined,
    unlisted,
    with_wildcards,
    written_out,
    doubled,
    with_harmless,
]


@pytest.mark.parametrize("rewrite", REWRITES, ids=lambda it: it.__name__)
@settings(max_examples=30, deadline=None)
@given(data=st.data(), of=held)
def test_rewriting_changes_no_verdict(
    rewrite: Callable[[Draw, Policy], Policy], data: st.DataObject, of: list[Policy]
) -> None:
    rewritten = [rewrite(data.draw, policy) for policy in of]
    assert verdict(documents(rewritten)) == verdict(documents(of))


@settings(max_examples=37, deadline=None)
@given(data=st.data(), of=held)
def test_many_rewritings_change_no_verdict_either(data: st.DataObject, of: list[Policy]) -> None:
    rewritten = of
    for rewrite in data.draw(st.lists(st.sampled_from(REWRITES), max_size=5)):
        rewritten = [rewrite(data.draw, policy) for policy in rewritten]
    assert verdict(documents(rewritten)) == verdict(documents(of))


@settings(max_examples=25, deadline=None)
@given(of=held, data=st.data())
def test_documents_may_come_in_any_order_and_as_one(of: list[Policy], data: st.DataObject) -> None:
    as_they_were = verdict(documents(of))
    assert verdict(documents(data.draw(st.permutations(of)))) == as_they_were
    assert (
        verdict(documents([[statement for policy in of for statement in policy]])) == as_they_were
    )


@settings(max_examples=25, deadline=None)
@given(of=held, data=st.data())
def test_how_the_json_is_written_changes_no_verdict(of: list[Policy], data: st.DataObject) -> None:
    def escaped(text: str) -> str:
        """Letters as escapes; what is no letter may be JSON's own."""
        return "".join(
            f"\\u{ord(it):04x}" if it.isalpha() and data.draw(st.booleans()) else it for it in text
        )

    plain = documents(of)
    other = [
        PolicyDocument(
            name=it.name, text=json.dumps(json.loads(it.text), indent=data.draw(st.integers(0, 3)))
        )
        for it in plain
    ]
    assert verdict(other) == verdict(plain)
    if data.draw(st.booleans()):
        texts = [escaped(it.text) for it in plain]
        written = [PolicyDocument(name="escaped", text=it) for it in texts]
        assert verdict(written) == verdict(plain)


@settings(max_examples=75, deadline=None)
@given(of=held, more=statements(effects=("Allow",)))
def test_an_allow_never_takes_anything_away(of: list[Policy], more: Statement) -> None:
    before = analyse(documents(of))
    after = {it.path: it.reach.rank for it in analyse(documents([*of, [more]])).grants}
    assert all(after.get(it.path, 0) >= it.reach.rank for it in before.grants)


@settings(max_examples=75, deadline=None)
@given(of=held, more=statements(effects=("Deny",)))
def test_a_deny_never_gives_anything(of: list[Policy], more: Statement) -> None:
    before = {it.path: it.reach.rank for it in analyse(documents(of)).grants}
    after = analyse(documents([*of, [more]]))
    assert all(it.reach.rank <= before.get(it.path, 0) for it in after.grants)


@settings(max_examples=50, deadline=None)
@given(of=held, limit=policies)
def test_a_boundary_never_gives_anything_and_one_of_everything_takes_nothing(
    of: list[Policy], limit: Policy
) -> None:
    before = analyse(documents(of))
    ranks = {it.path: it.reach.rank for it in before.grants}
    (boundary,) = documents([limit])
    within = analyse(documents(of), boundary=boundary)
    assert all(it.reach.rank <= ranks.get(it.path, 0) for it in within.grants)
    (everything,) = documents([[{"Effect": "Allow", "Action": "*", "Resource": "*"}]])
    assert analyse(documents(of), boundary=everything) == before


@settings(max_examples=25, deadline=None)
@given(of=held)
def test_a_deny_of_everything_leaves_nothing(of: list[Policy]) -> None:
    denied = [{"Effect": "Deny", "Action": "*", "Resource": "*"}]
    assert analyse(documents([*of, denied])).grants == ()


@settings(max_examples=100, deadline=None)
@given(of=held, more=policies)
def test_what_does_not_contribute_changes_nothing(of: list[Policy], more: Policy) -> None:
    (document,) = documents([more])
    if not contributes(document):
        assert verdict([*documents(of), document]) == verdict(documents(of))


@settings(max_examples=50, deadline=None)
@given(of=held)
def test_what_grants_something_contributes(of: list[Policy]) -> None:
    named = {it.name: it for it in documents(of)}
    for found in analyse(named.values()).grants:
        assert found.policies
        assert all(contributes(named[it]) for it in found.policies)


@settings(max_examples=25, deadline=None)
@given(of=held)
def test_without_what_the_told_policies_allow_a_path_does_not_lead_as_far(of: list[Policy]) -> None:
    for found in analyse(documents(of)).grants:
        left = [
            [it for it in policy if it["Effect"] == "Deny"]
            if f"policy {number}" in found.policies
            else policy
            for number, policy in enumerate(of)
        ]
        ranks = {it.path: it.reach.rank for it in analyse(documents(left)).grants}
        assert ranks.get(found.path, 0) < found.reach.rank


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["Allow", "Deny", "*", "iam:*", "iam:PassRole", *RESOURCES]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text()
            | st.sampled_from(
                [
                    "Statement",
                    "Effect",
                    "Action",
                    "NotAction",
                    "Resource",
                    "Condition",
                    "StringLike",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=75, deadline=None)
@given(anything)
def test_nothing_that_is_json_makes_it_fail(found: object) -> None:
    for whole in (found, {"Statement": found}, {"Statement": [found, found]}):
        document = PolicyDocument(name="any", text=json.dumps(whole))
        analyse([document], boundary=document)
        contributes(document)


@settings(max_examples=50, deadline=None)
@given(actions=anything, resources=anything, condition=anything)
def test_nothing_in_a_statement_makes_it_fail(
    actions: object, resources: object, condition: object
) -> None:
    statement = {
        "Effect": "Allow",
        "Action": actions,
        "Resource": resources,
        "Condition": condition,
    }
    whole = {
        "Statement": [statement, {**statement, "Effect": "Deny"}, {**statement, "Sid": actions}]
    }
    document = PolicyDocument(name="any", text=json.dumps(whole))
    analyse([document], boundary=document)
    contributes(document)


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_no_text_makes_it_fail(text: str) -> None:
    document = PolicyDocument(name="any", text=text)
    analyse([document], boundary=document)
    assert contributes(document) is not None


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, "9" * 100_000, "\ud800", "NaN"])
def test_bombs_are_no_policies(text: str) -> None:
    assert analyse([PolicyDocument(name="bomb", text=text)]).unreadable == ("bomb",)
