"""How a permission set differs from what is wanted."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from keyward.drift import Attribute, differences, hours, lines, same_policy
from keyward.model import Boundary, CustomerPolicy, PermissionSetAttributes

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
WANTED = PermissionSetAttributes(
    description="Builds and runs things",
    session_seconds=4 * 3600,
    managed_policies=(READ_ONLY,),
    tags={"team": "platform"},
)

policies = st.lists(st.sampled_from([READ_ONLY, ADMINISTRATOR, "arn:aws:iam::aws:policy/X"]))
attributes = st.builds(
    PermissionSetAttributes,
    description=st.none() | st.text(max_size=5),
    session_seconds=st.sampled_from([3600, 5400, 43200]),
    relay_state=st.none() | st.just("https://example.com"),
    managed_policies=policies.map(lambda found: tuple(dict.fromkeys(found))),
    customer_policies=st.just(()) | st.just((CustomerPolicy(name="team"),)),
    inline_policy=st.none() | st.just('{"Statement": []}') | st.just('{ "Statement":[ ]}'),
    boundary=st.none() | st.just(Boundary(managed_policy_arn=READ_ONLY)),
    tags=st.dictionaries(st.sampled_from(["team", "cost"]), st.text(max_size=3)),
)


def test_what_is_as_wanted_has_no_difference() -> None:
    assert differences(WANTED, WANTED) == ()


@given(actual=attributes)
def test_nothing_differs_from_itself(actual: PermissionSetAttributes) -> None:
    assert differences(actual, actual) == ()


@given(actual=attributes, wanted=attributes)
def test_what_is_extra_one_way_is_lacking_the_other(
    actual: PermissionSetAttributes, wanted: PermissionSetAttributes
) -> None:
    def but_tags(found: tuple[object, ...]) -> list[object]:
        return [it for it in found if getattr(it, "attribute", None) not in LEFT_OPEN]

    there = but_tags(differences(actual, wanted))
    back = but_tags(differences(wanted, actual))
    assert len(there) == len(back)
    assert {str(it.extra) for it in there} == {str(it.lacking) for it in back}  # type: ignore[attr-defined]  # kept apart above


LEFT_OPEN = {Attribute.TAG, Attribute.DESCRIPTION}


@given(order=st.permutations([READ_ONLY, ADMINISTRATOR, "arn:aws:iam::aws:policy/X"]))
def test_the_order_of_policies_is_no_difference(order: list[str]) -> None:
    one = replace(WANTED, managed_policies=tuple(order))
    other = replace(WANTED, managed_policies=tuple(reversed(order)))
    assert differences(one, other) == ()


def test_tags_and_a_description_that_the_catalogue_leaves_open_are_no_difference() -> None:
    actual = replace(WANTED, description="Something", tags={"team": "platform", "cost": "4711"})
    assert differences(actual, replace(WANTED, description=None)) == ()


def test_a_diff_says_what_is_too_much_and_what_is_lacking() -> None:
    actual = replace(
        WANTED,
        session_seconds=12 * 3600,
        managed_policies=(ADMINISTRATOR,),
        customer_policies=(CustomerPolicy(name="extra", path="/team/"),),
        relay_state="https://example.com/else",
        boundary=Boundary(customer_policy=CustomerPolicy(name="edge")),
        tags={"team": "other"},
    )
    assert lines(differences(actual, WANTED)) == (
        "- session: 12 h",
        "+ session: 4 h",
        "- relay state: https://example.com/else",
        f"- managed policy: {ADMINISTRATOR}",
        f"+ managed policy: {READ_ONLY}",
        "- customer managed policy: /team/extra",
        "- permissions boundary: /edge",
        "- tag: team=other",
        "+ tag: team=platform",
    )


def test_inline_policies_differ_by_their_lines() -> None:
    def policy(action: str) -> str:
        return json.dumps({"Statement": [{"Action": action, "Effect": "Allow", "Resource": "*"}]})

    actual = replace(WANTED, inline_policy=policy("*"))
    found = lines(differences(actual, replace(WANTED, inline_policy=policy("s3:GetObject"))))
    assert [line for line in found if line[0] in "+-"] == [
        '- inline policy:    "Action": "*",',
        '+ inline policy:    "Action": "s3:GetObject",',
    ]


def test_white_space_and_the_order_of_members_make_no_other_policy() -> None:
    assert same_policy(
        '{"Version":"2012-10-17", "Statement":[]}', '{"Statement": [ ], "Version": "2012-10-17"}'
    )
    assert not same_policy('{"Statement": []}', None)
    assert same_policy("no json", "no json")


def test_lengths_read_as_people_say_them() -> None:
    assert [hours(3600), hours(5400), hours(43200)] == ["1 h", "1 h 30 min", "12 h"]
