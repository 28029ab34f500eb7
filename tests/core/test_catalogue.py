"""Entries of the catalogue: what is accepted, what is refused, and how the refusal reads."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.iam.aws_managed_policies import aws_managed_policies_data

from keyward import drift
from keyward.catalogue import (
    MAX_INLINE_BYTES,
    MAX_INLINE_CHARACTERS,
    MAX_TAGS,
    CatalogueEntry,
    catalogue_of,
    entry_of,
)
from keyward.errors import SettingsError
from keyward.model import Boundary, CustomerPolicy, PermissionSetAttributes, PolicyDocument
from keyward.policy import Reach, analyse
from keyward.settings import read_json, validated

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
STATEMENT: dict[str, Any] = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"}


def a_policy(*statements: object, **changes: object) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements) or [STATEMENT]} | changes


def an_entry(**fields: object) -> CatalogueEntry:
    return validated("Developer", CatalogueEntry, fields)


def refusal(**fields: object) -> str:
    with pytest.raises(SettingsError) as refused:
        an_entry(**fields)
    return str(refused.value)


def test_an_empty_entry_is_a_session_of_one_hour_and_nothing_else() -> None:
    assert an_entry().attributes() == PermissionSetAttributes(session_seconds=3600)


def test_an_entry_wants_just_what_it_says() -> None:
    wanted = an_entry(
        description="Builds",
        managed_policies=[READ_ONLY],
        customer_policies=[{"name": "Build", "path": "/ci/"}, {"name": "Run"}],
        inline_policy=a_policy(),
        boundary={"customer_policy": {"name": "Limit"}},
        session_hours=1.5,
        relay_state="https://example.com/?a=b#c",
        tags={"Owner": "platform team"},
        group="developers",
    ).attributes()
    assert wanted == PermissionSetAttributes(
        description="Builds",
        session_seconds=5400,
        relay_state="https://example.com/?a=b#c",
        managed_policies=(READ_ONLY,),
        customer_policies=(CustomerPolicy(name="Build", path="/ci/"), CustomerPolicy(name="Run")),
        inline_policy=json.dumps(a_policy()),
        boundary=Boundary(customer_policy=CustomerPolicy(name="Limit")),
        tags={"Owner": "platform team"},
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"description": ""}, "field description: "),
        ({"description": "x" * 701}, "field description: "),
        ({"description": "“quoted”"}, "field description: "),
        (
            {"session_hours": 0.99},
            "field session_hours: Input should be greater than or equal to 1",
        ),
        ({"session_hours": 12.01}, "field session_hours: Input should be less than or equal to 12"),
        ({"session_hours": "4"}, "field session_hours: "),
        ({"session_hours": True}, "field session_hours: "),
        ({"managed_policies": ["ReadOnlyAccess"]}, "field managed_policies.0: "),
        (
            {"managed_policies": ["arn:aws:iam::111122223333:policy/Mine"]},
            "field managed_policies.0: ",
        ),
        ({"managed_policies": [READ_ONLY + "\n"]}, "field managed_policies.0: "),
        ({"managed_policies": [READ_ONLY, READ_ONLY]}, "policy 2 stands there already"),
        ({"customer_policies": [{"name": "A"}, {"name": "A"}]}, "policy 2 stands there already"),
        ({"customer_policies": [{"name": "A B"}]}, "field customer_policies.0.name: "),
        ({"customer_policies": [{"name": "A", "path": "x"}]}, "field customer_policies.0.path: "),
        ({"boundary": {}}, "field boundary: "),
        (
            {"boundary": {"managed_policy_arn": READ_ONLY, "customer_policy": {"name": "A"}}},
            "exactly one",
        ),
        ({"relay_state": ""}, "field relay_state: "),
        ({"relay_state": "x" * 241}, "field relay_state: "),
        ({"relay_state": "https://example.com/<x>"}, "field relay_state: "),
        ({"tags": {"": "x"}}, "field tags."),
        ({"tags": {"k" * 129: "x"}}, "field tags."),
        ({"tags": {"key": "x" * 257}}, "field tags.key: "),
        ({"tags": {"key": "a,b"}}, "field tags: "),
        ({"tags": {"key": 1}}, "field tags.key: "),
        ({"tags": {"AWS:cloudformation:stack": "x"}}, "AWS's own"),
        ({"tags": {f"key-{number}": "" for number in range(50)}}, "field tags: "),
        ({"group": ""}, "field group: "),
        ({"group": "two\nlines"}, "field group: "),
        ({"group": "Administrator"}, "AWS keeps for itself"),
        ({"inline_policy": "{}"}, "field inline_policy: "),
        ({"policies": []}, "field policies: Extra inputs"),
    ],
)
def test_what_identity_center_would_not_take_is_refused_with_its_field(
    fields: Mapping[str, object], expected: str
) -> None:
    text = refusal(**fields)
    assert text.startswith("Developer: field ")
    assert expected in text


def test_what_is_at_the_limit_is_taken() -> None:
    an_entry(
        description="é" * 700,
        session_hours=12,
        relay_state="x" * 240,
        tags={f"Schlüssel {number}": "v" * 256 for number in range(MAX_TAGS)},
        group="Zoë's team (prod)",
    )


@pytest.mark.parametrize(("customers", "ok"), [(5, True), (6, False)])
def test_policies_of_both_kinds_count_together(customers: int, *, ok: bool) -> None:
    fields: dict[str, object] = {
        "managed_policies": [f"{READ_ONLY}{number}" for number in range(20)],
        "customer_policies": [{"name": f"Policy{number}"} for number in range(customers)],
    }
    if ok:
        an_entry(**fields)
    else:
        assert "26 policies" in refusal(**fields)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({}, "Statement: "),
        (a_policy(Version="2012-10-18"), "Version: expected 2012-10-17"),
        ({**a_policy(), "Statements": []}, "Statements: is no member"),
        ({"Version": "2012-10-17", "Statement": []}, "Statement: "),
        (a_policy("Allow"), "Statement: "),
        (a_policy({**STATEMENT, "Effect": "allow"}), "Statement.0.Effect: expected Allow or Deny"),
        (
            a_policy({**STATEMENT, "Effect": ["Allow"]}),
            "Statement.0.Effect: expected Allow or Deny",
        ),
        (a_policy({**STATEMENT, "Effect": {}}), "Statement.0.Effect: expected Allow or Deny"),
        (a_policy({**STATEMENT, "Principal": "*"}), "Statement.0.Principal: "),
        (a_policy({**STATEMENT, "NotAction": "s3:*"}), "exactly one of Action and NotAction"),
        (a_policy({"Effect": "Deny", "Resource": "*"}), "exactly one of Action and NotAction"),
        (a_policy({"Effect": "Deny", "Action": "*"}), "exactly one of Resource and NotResource"),
        (a_policy({**STATEMENT, "Action": []}), "Statement.0.Action: "),
        (a_policy({**STATEMENT, "Action": ["s3"]}), "Statement.0.Action: "),
        (a_policy({**STATEMENT, "Action": ["s3:*", 1]}), "Statement.0.Action: "),
        (a_policy({**STATEMENT, "Resource": "bucket"}), "Statement.0.Resource: "),
        (a_policy({**STATEMENT, "Condition": {"Bool": True}}), "Statement.0.Condition: "),
        (a_policy({**STATEMENT, "Sid": "not one"}), "Statement.0.Sid: "),
        (
            a_policy({**STATEMENT, "Sid": "One"}, {**STATEMENT, "Sid": "One"}),
            "Statement.1.Sid: another statement has it",
        ),
    ],
)
def test_what_is_no_identity_policy_is_refused_with_its_place(
    policy: object, expected: str
) -> None:
    text = refusal(inline_policy=policy)
    assert text.startswith("Developer: field inline_policy: ")
    assert expected in text


@pytest.mark.parametrize(
    "policy",
    [
        {"Statement": STATEMENT},
        a_policy({"Effect": "Allow", "NotAction": ["iam:*", "*:Get*"], "NotResource": "arn:aws:x"}),
        a_policy(
            {**STATEMENT, "Action": "*", "Condition": {"Bool": {"aws:ViaAWSService": "true"}}}
        ),
        a_policy(Id="mine"),
    ],
)
def test_an_identity_policy_is_taken_in_every_shape(policy: dict[str, object]) -> None:
    assert an_entry(inline_policy=policy).inline_policy == policy


def of_length(characters: int, *, spaces: int = 0) -> dict[str, Any]:
    """A policy of so many characters without white space."""
    rest = characters - len("".join(json.dumps(a_policy(dict(STATEMENT, Resource=""))).split()))
    return a_policy({**STATEMENT, "Resource": "arn:" + "x" * (rest - 4) + " " * spaces})


@pytest.mark.parametrize(("more", "ok"), [(0, True), (1, False)])
def test_an_inline_policy_is_measured_without_white_space(more: int, *, ok: bool) -> None:
    policy = of_length(MAX_INLINE_CHARACTERS + more, spaces=100)
    if ok:
        an_entry(inline_policy=policy)
    else:
        assert "10,241 characters without white space" in refusal(inline_policy=policy)


def test_an_inline_policy_is_measured_in_bytes_as_well() -> None:
    policy = of_length(1_000, spaces=MAX_INLINE_BYTES)
    assert "bytes; Identity Center takes 32,768" in refusal(inline_policy=policy)


def test_what_this_version_cannot_read_is_not_in_the_catalogue() -> None:
    found = catalogue_of({"Good": {"session_hours": 2}, "Bad": {"new_field": 1}})
    assert set(found) == {"Good"}


# From what an instance has to an entry and back

NAMES = st.from_regex(r"[A-Za-z0-9_+=,.@-]{1,20}", fullmatch=True)
CUSTOMER = st.builds(CustomerPolicy, name=NAMES, path=st.sampled_from(["/", "/ci/", "/a/b/"]))
ARNS = NAMES.map("arn:aws:iam::aws:policy/".__add__)
ATTRIBUTES = st.builds(
    PermissionSetAttributes,
    description=st.none() | st.sampled_from(["Builds", "é"]),
    session_seconds=st.integers(3600, 43_200),
    relay_state=st.none() | st.just("https://example.com"),
    managed_policies=st.lists(ARNS, unique=True, max_size=5).map(tuple),
    customer_policies=st.lists(CUSTOMER, unique=True, max_size=5).map(tuple),
    inline_policy=st.none() | st.just(json.dumps(a_policy())),
    boundary=st.none()
    | st.builds(Boundary, managed_policy_arn=ARNS)
    | st.builds(Boundary, customer_policy=CUSTOMER),
    tags=st.dictionaries(st.sampled_from(["Owner", "team", "x:y"]), st.sampled_from(["", "a"])),
)


@given(attributes=ATTRIBUTES)
def test_an_entry_made_of_a_permission_set_wants_just_that(
    attributes: PermissionSetAttributes,
) -> None:
    entry = validated("x", CatalogueEntry, entry_of(attributes))
    assert drift.differences(attributes, entry.attributes()) == ()
    assert drift.differences(entry.attributes(), attributes) == ()


def test_an_entry_leaves_out_what_is_at_its_default_and_tags_of_aws() -> None:
    attributes = PermissionSetAttributes(
        session_seconds=7200, tags={"aws:cloudformation:stack-name": "x"}
    )
    assert entry_of(attributes) == {"session_hours": 2}


def test_an_inline_policy_that_is_no_object_stays_text_and_is_refused() -> None:
    entry = entry_of(PermissionSetAttributes(inline_policy="[]"))
    assert entry["inline_policy"] == "[]"
    with pytest.raises(SettingsError, match="field inline_policy"):
        validated("x", CatalogueEntry, entry)


# The sample catalogue

SAMPLES = {
    file.stem: read_json(file.stem, file.read_text())
    for file in (Path(__file__).parents[2] / "settings" / "permission-sets").glob("*.json")
}


def documents(entry: CatalogueEntry) -> list[PolicyDocument]:
    """All that the set of an entry grants, with AWS's policies as moto has them."""
    policies = json.loads(aws_managed_policies_data)
    found = [
        PolicyDocument(name=name, text=json.dumps(policies[name]["Document"]))
        for name in (arn.rpartition("/")[2] for arn in entry.managed_policies)
    ]
    text = entry.attributes().inline_policy
    return found if text is None else [*found, PolicyDocument(name="inline", text=text)]


@pytest.mark.parametrize(
    ("name", "hours", "reach"),
    [
        ("Administrator", 1, Reach.ADMIN),
        ("PowerUser", 4, Reach.INDIRECT),
        ("Developer", 4, Reach.INDIRECT),
        ("ReadOnly", 8, Reach.NONE),
        ("SecurityAudit", 8, Reach.NONE),
        ("Billing", 8, Reach.NONE),
    ],
)
def test_a_sample_grants_no_more_and_no_longer_than_its_name_says(
    name: str, hours: int, reach: Reach
) -> None:
    entry = validated(name, CatalogueEntry, SAMPLES[name])
    analysis = analyse(documents(entry))
    assert (analysis.reach, analysis.unreadable) == (reach, ())
    assert entry.session_hours == hours
    assert entry.description
    assert entry.group


def test_the_samples_are_six_with_a_group_each() -> None:
    assert len(SAMPLES) == 6
    assert len({str(sample["group"]).casefold() for sample in SAMPLES.values()}) == 6


def test_the_sample_developer_reaches_nothing_that_decides_on_access() -> None:
    """What PowerUserAccess leaves open in the management account, the inline policy closes."""
    power_user, developer = (
        {grant.path for grant in analyse(documents(an_entry(**SAMPLES[name]))).grants}
        for name in ("PowerUser", "Developer")
    )
    assert developer < power_user
    assert power_user - developer >= {
        "assign-permission-set",
        "permission-set-policy",
        "group-membership",
        "account-access-entitlement",
        "assume-root",
    }
