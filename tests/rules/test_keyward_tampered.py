import pytest

from keyward.actions import Enforcement
from keyward.findings import Severity
from keyward.model import Actor, OwnResource
from keyward.own import not_forwarding, out_of_reach
from keyward.rules.keyward_tampered import RULE
from tests.builders import (
    HUB,
    IDENTITY_CENTER_PATH,
    MEMBER,
    a_hint,
    a_key,
    a_role_session,
    a_user_actor,
    an_own_resource,
    exempt_by,
    reasons,
    root_of,
)

OPERATOR = a_role_session("keyward/keyward-operator", account=HUB)
EXEMPTION = an_own_resource(
    "/keyward/exemptions/release-1", service="ssm", change="PutParameter", account=HUB
)


@pytest.mark.parametrize(
    "actor",
    [
        a_role_session(),
        a_user_actor("deployer"),
        root_of(),
        Actor(type="AWSService", invoked_by="cloudformation.amazonaws.com"),
    ],
    ids=lambda actor: actor.label,
)
def test_a_change_is_objected_to_whoever_made_it_where_no_owner_is_named(actor: Actor) -> None:
    (reason,) = reasons(RULE, an_own_resource(), a_hint("DisableRule", actor=actor))
    assert actor.label in reason.text


def test_another_change_of_the_same_resource_is_another_finding() -> None:
    codes = {
        reasons(RULE, an_own_resource(change=change))[0].code
        for change in ("DisableRule", "DeleteRule")
    }
    assert len(codes) == 2


@pytest.mark.parametrize(
    ("owner", "actor"),
    [
        (f"arn:aws:iam::{MEMBER}:role/ci/deployer", a_role_session("ci/deployer")),
        ("arn:aws:iam::*:role/ci/deployer", a_role_session("ci/deployer")),
        (
            "arn:aws:iam::*:role/stacksets-exec-*",
            a_role_session("stacksets-exec-0123456789abcdef0123456789abcdef"),
        ),
        (
            "arn:aws:iam::*:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_AWSAdmin*_*",
            a_role_session(IDENTITY_CENTER_PATH),
        ),
        (f"arn:aws:iam::{MEMBER}:user/bob", a_user_actor("bob")),
    ],
)
def test_a_change_by_an_owner_is_compliant(owner: str, actor: Actor) -> None:
    assert reasons(RULE, an_own_resource(), a_hint(actor=actor), owners=(owner,)) == []


@pytest.mark.parametrize(
    ("owner", "actor"),
    [
        (f"arn:aws:iam::{MEMBER}:role/ci/deployer", a_role_session("ci/deployer", account=HUB)),
        (f"arn:aws:iam::{MEMBER}:role/ci/deployer", a_role_session("ci/deployer2")),
        (f"arn:aws:iam::{MEMBER}:role/ci/deployer", a_role_session("deployer")),
        (f"arn:aws:iam::{MEMBER}:role/ci/deployer", a_role_session("app/ci/deployer")),
        (f"arn:aws:iam::{MEMBER}:role/ci/deployer", a_role_session("CI/deployer")),
        (f"arn:aws:iam::{MEMBER}:role/*", a_role_session("app/deployer")),
        (f"arn:aws:iam::{MEMBER}:role/ci.deployer", a_role_session("ci/deployer")),
        (f"arn:aws:iam::{MEMBER}:user/bob", a_user_actor("bob", account=HUB)),
        ("*", a_role_session()),
        (f"arn:aws:iam::{MEMBER}:root", root_of()),
    ],
)
def test_a_change_by_one_who_only_resembles_an_owner_is_objected_to(
    owner: str, actor: Actor
) -> None:
    assert reasons(RULE, an_own_resource(), a_hint(actor=actor), owners=(owner,))


def test_the_operator_may_write_exemptions() -> None:
    assert reasons(RULE, EXEMPTION, a_hint("PutParameter", account=HUB, actor=OPERATOR)) == []


@pytest.mark.parametrize(
    "resource",
    [
        an_own_resource("/keyward/settings", service="ssm", account=HUB),
        an_own_resource("/keyward/exemptions", service="ssm", account=HUB),
        an_own_resource(account=HUB),
        an_own_resource("keyward-operator", service="iam", account=HUB),
    ],
    ids=lambda resource: resource.label,
)
def test_the_operator_may_change_nothing_else(resource: object) -> None:
    assert isinstance(resource, type(EXEMPTION))
    assert reasons(RULE, resource, a_hint(account=HUB, actor=OPERATOR))


@pytest.mark.parametrize(
    "path",
    [
        "keyward-operator",
        "keyward/keyward-iam-guard",
        "keyward/Keyward-operator",
        "app/keyward/keyward-operator",
    ],
)
def test_no_other_role_may_write_exemptions(path: str) -> None:
    actor = a_role_session(path, account=HUB)
    assert reasons(RULE, EXEMPTION, a_hint(account=HUB, actor=actor))


def test_an_operator_of_another_account_may_not_write_exemptions() -> None:
    actor = a_role_session("keyward/keyward-operator", account=MEMBER)
    assert reasons(RULE, EXEMPTION, a_hint(account=HUB, actor=actor))


def test_an_access_key_is_none_of_its_business() -> None:
    assert reasons(RULE, a_key()) == []


def test_it_is_critical_and_only_reported() -> None:
    assert RULE.settings().severity is Severity.CRITICAL
    assert RULE.enforcement is Enforcement.REPORT


def test_no_exemption_covers_it() -> None:
    assert exempt_by(RULE, an_own_resource()) is None


SWEEP = a_hint("UserCheck", source="keyward", actor=Actor(type="Keyward"), sweep=True)


@pytest.mark.parametrize(
    ("resource", "remedy"),
    [
        (out_of_reach(MEMBER, "keyward-member", "AssumeRole: AccessDenied"), "keyward-members"),
        (not_forwarding(MEMBER, "keyward-forward", "us-east-1", "is disabled"), "next sweep"),
    ],
    ids=["reach", "forwarder"],
)
def test_what_a_sweep_finds_wrong_is_told_with_the_remedy(
    resource: OwnResource, remedy: str
) -> None:
    (reason,) = reasons(RULE, resource, SWEEP, owners=("arn:aws:iam::*:role/*",))
    assert reason.code == resource.change
    assert reason.severity is Severity.HIGH
    assert resource.wrong is not None
    assert resource.wrong in reason.text
    assert remedy in reason.text
    assert MEMBER in reason.text


def test_each_rule_that_does_not_forward_is_a_finding_of_its_own() -> None:
    rules = ("keyward-forward", "keyward-forward-watch")
    regions = ("us-east-1", "eu-central-1")
    found = {
        not_forwarding(MEMBER, rule, region, "is missing").unique_id
        for rule in rules
        for region in regions
    }
    assert len(found) == 4
