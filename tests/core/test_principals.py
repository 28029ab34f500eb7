"""Who is recognised and who is protected: by account, exact path and unique id, never by name."""

from itertools import product

import pytest

from keyward.model import Actor
from keyward.principals import is_one_of, protected, recognised
from keyward.settings import GlobalSettings, ProtectedPrincipal
from tests.builders import (
    HUB,
    MEMBER,
    OTHER_MEMBER,
    OTHER_USER_ID,
    USER_ID,
    a_role_session,
    a_user_actor,
    an_iam_user,
    root_of,
)

SSO = "sso.amazonaws.com"
CONTROL_TOWER = "controltower.amazonaws.com"
SSO_ROLE = "aws-reserved/sso.amazonaws.com/eu-central-1/AWSReservedSSO_Admin_0123456789abcdef"
SSO_ROLE_US = "aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef"

# What is recognised: role's path, account of event and role, invokedBy, as whom.
KNOWN: list[tuple[str, str, str | None, str]] = [
    ("keyward/keyward-member", MEMBER, None, "Keyward"),
    ("keyward/keyward-member", OTHER_MEMBER, None, "Keyward"),
    ("keyward/keyward-iam-guard", HUB, None, "Keyward"),
    ("keyward/keyward-settings-guard", HUB, None, "Keyward"),
    ("keyward/keyward-notifier", HUB, None, "Keyward"),
    ("keyward/keyward-operator", HUB, None, "Keyward"),
    ("service-role/AWSControlTowerAdmin", HUB, None, "Control Tower"),
    ("service-role/AWSControlTowerAdmin", HUB, CONTROL_TOWER, "Control Tower"),
    ("service-role/AWSControlTowerStackSetRole", HUB, None, "Control Tower"),
    ("AWSControlTowerExecution", MEMBER, CONTROL_TOWER, "Control Tower"),
    (
        "aws-service-role/controltower.amazonaws.com/AWSServiceRoleForAWSControlTower",
        MEMBER,
        None,
        "Control Tower",
    ),
    ("aws-service-role/sso.amazonaws.com/AWSServiceRoleForSSO", MEMBER, None, "Identity Center"),
    ("aws-service-role/sso.amazonaws.com/AWSServiceRoleForSSO", HUB, SSO, "Identity Center"),
    (SSO_ROLE, HUB, SSO, "Identity Center"),
    (SSO_ROLE_US, HUB, SSO, "Identity Center"),
    (
        "aws-reserved/sso.amazonaws.com/ap-southeast-2/AWSReservedSSO_A+b=c,d.e@f-g_h_0123456789abcdef",
        MEMBER,
        SSO,
        "Identity Center",
    ),
    *(
        (f"aws-service-role/{service}.amazonaws.com/AWSServiceRoleFor{name}", account, None, linked)
        for service, name in (
            ("support", "Support"),
            ("organizations", "Organizations"),
            ("autoscaling", "AutoScaling"),
            ("autoscaling", "AutoScaling_of-my+own=suffix,1.2@x"),
            ("dynamodb.application-autoscaling", "ApplicationAutoScaling_DynamoDBTable"),
            ("member.org.stacksets.cloudformation", "CloudFormationStackSetsOrgMember"),
            ("config", "Config"),
            ("ops.apigateway", "APIGateway"),
        )
        for account, linked in (
            (MEMBER, "AWS service-linked role"),
            (HUB, "AWS service-linked role"),
        )
    ),
]

# Paths that resemble a known one and are anybody's to make, or to hold.
RESEMBLING = [
    "AWSServiceRoleForSSO",
    "AWSServiceRoleForSupport",
    "app/AWSServiceRoleForSSO",
    "service-role/AWSServiceRoleForSSO",
    "aws-service-roles/sso.amazonaws.com/AWSServiceRoleForSSO",
    "app/aws-service-role/sso.amazonaws.com/AWSServiceRoleForSSO",
    "aws-service-role/AWSServiceRoleForSSO",
    "aws-service-role/example.com/AWSServiceRoleForSSO",
    "aws-service-role/sso.amazonaws.com.example.com/AWSServiceRoleForSSO",
    "aws-service-role/sso.amazonaws.com/more/AWSServiceRoleForSSO",
    "aws-service-role/sso.amazonaws.com/MyRole",
    "aws-service-role/sso.amazonaws.com/AWSServiceRoleFor",
    "aws-service-role/sso.amazonaws.com/awsserviceroleforsso",
    "AWS-SERVICE-ROLE/sso.amazonaws.com/AWSServiceRoleForSSO",
    "aws-service-role/sso.amazonaws.com/\u0410WSServiceRoleForSSO",
    "aws-service-role/ss\u043e.amazonaws.com/AWSServiceRoleForSSO",
    "aws-service-role/sso\u2024amazonaws.com/AWSServiceRoleForSSO",
    "aws-service-role/sso.amazonaws.com/AWSServiceRoleForSSO\n",
    "aws-service-role/sso.amazonaws.com/AWSServiceRoleForSS\u00d6",
    "aws-service-role//AWSServiceRoleForSSO",
    "AWSReservedSSO_Admin_0123456789abcdef",
    "sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef",
    "aws-reserved/AWSReservedSSO_Admin_0123456789abcdef",
    "aws-reserved/sso.amazonaws.com/eu-central-1/more/AWSReservedSSO_Admin_0123456789abcdef",
    "aws-reserved/sso.amazonaws.com/eu-central-1/AWSReservedSSO_Admin_0123456789abcde",
    "aws-reserved/sso.amazonaws.com/eu-central-1/AWSReservedSSO_Admin_0123456789ABCDEF",
    "aws-reserved/sso.amazonaws.com/eu-central-1/AWSReservedSSO_Admin",
    "aws-reserved/sso.amazonaws.com/eu-central-1/Admin_0123456789abcdef",
    "aws-reserved/sso.amazonaws.com/EU-CENTRAL-1/AWSReservedSSO_Admin_0123456789abcdef",
    "aws-reserved/sso-amazonaws-com/AWSReservedSSO_Admin_0123456789abcdef",
    "aws-reserved/sso.amazonaws.com/AWSReservedSSO_\u0391dmin_0123456789abcdef",
    "aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_012345678\uff19abcdef",
    "AWSControlTowerAdmin",
    "AWSControlTowerStackSetRole",
    "service-role/AWSControlTowerExecution",
    "service-role/AWSControlTowerCloudTrailRole",
    "service-role/awscontroltoweradmin",
    "service-role/AWSControlTowerAdmin2",
    "Service-Role/AWSControlTowerAdmin",
    "app/service-role/AWSControlTowerAdmin",
    "service-role/AWSControlT\u043ewerAdmin",
    "awscontroltowerexecution",
    "AWSControlTowerExecution2",
    "app/AWSControlTowerExecution",
    "aws-controltower-AdministratorExecutionRole",
    "keyward-member",
    "keyward-iam-guard",
    "keyward/keyward-member2",
    "keyward/keyward-member/keyward-member",
    "keyward/Keyward-member",
    "Keyward/keyward-member",
    "KEYWARD/KEYWARD-MEMBER",
    "app/keyward/keyward-member",
    "keyward//keyward-member",
    "keyward/keyward_member",
    "keyward/keyward-forwarder",
    "keyward/",
    "keyward/keyward-m\u0435mber",
    "keyward/keyward\u2010member",
    "\uff4beyward/keyward-member",
    "keyward/keyward-member ",
    "keyward/keyward-member\u200b",
    "keyward/keyward-sweep",
    "keyw\u0430rd/keyward-operator",
    "ci/deployer",
    "OrganizationAccountAccessRole",
]


@pytest.mark.parametrize(("path", "account", "invoked_by", "who"), KNOWN)
def test_known_roles_are_recognised(
    path: str, account: str, invoked_by: str | None, who: str
) -> None:
    actor = a_role_session(path, account=account, invoked_by=invoked_by)
    assert recognised(actor, account, hub=HUB) == who


@pytest.mark.parametrize(("path", "account"), list(product(RESEMBLING, (HUB, MEMBER))))
def test_roles_that_resemble_known_ones_are_not_recognised(path: str, account: str) -> None:
    for invoked_by in (None, SSO, CONTROL_TOWER):
        actor = a_role_session(path, account=account, invoked_by=invoked_by)
        assert recognised(actor, account, hub=HUB) is None


@pytest.mark.parametrize(("path", "account", "invoked_by", "_who"), KNOWN)
def test_a_known_role_of_another_account_than_the_events_is_not_recognised(
    path: str, account: str, invoked_by: str | None, _who: str
) -> None:
    elsewhere = OTHER_MEMBER if account == MEMBER else MEMBER
    actor = a_role_session(path, account=account, invoked_by=invoked_by)
    assert recognised(actor, elsewhere, hub=HUB) is None


@pytest.mark.parametrize("path", [SSO_ROLE, SSO_ROLE_US, "AWSControlTowerExecution"])
@pytest.mark.parametrize(
    "invoked_by",
    [None, "", "AWS Internal", "cloudformation.amazonaws.com", "SSO.amazonaws.com", "sso"],
)
def test_a_role_that_people_hold_counts_only_where_its_service_called(
    path: str, invoked_by: str | None
) -> None:
    assert recognised(a_role_session(path, invoked_by=invoked_by), MEMBER, hub=HUB) is None


def test_each_service_vouches_for_its_own_roles_only() -> None:
    assert recognised(a_role_session(SSO_ROLE, invoked_by=CONTROL_TOWER), MEMBER) is None
    execution = a_role_session("AWSControlTowerExecution", invoked_by=SSO)
    assert recognised(execution, MEMBER) is None


@pytest.mark.parametrize("hub", [None, HUB])
def test_the_functions_roles_count_in_the_hub_alone(hub: str | None) -> None:
    assert recognised(a_role_session("keyward/keyward-operator"), MEMBER, hub=hub) is None


def test_the_members_role_does_not_count_in_the_hub_which_has_none() -> None:
    actor = a_role_session("keyward/keyward-member", account=HUB)
    assert recognised(actor, HUB, hub=HUB) is None


def test_without_a_hub_nothing_of_the_hubs_is_recognised() -> None:
    for path in ("keyward/keyward-iam-guard", "service-role/AWSControlTowerAdmin"):
        assert recognised(a_role_session(path, account=HUB), HUB) is None


@pytest.mark.parametrize(
    "actor",
    [
        a_user_actor("keyward-member"),
        a_user_actor("keyward/keyward-member"),
        a_user_actor("AWSServiceRoleForSSO"),
        a_user_actor("aws-service-role/sso.amazonaws.com/AWSServiceRoleForSSO"),
        root_of(),
        Actor(type="AssumedRole", arn=f"arn:aws:sts::{MEMBER}:assumed-role/keyward-member/x"),
        Actor(type="AssumedRole", issuer_arn=""),
        Actor(type="AssumedRole", issuer_arn=f"arn:aws:iam::{MEMBER}:user/keyward/keyward-member"),
        Actor(type="AssumedRole", issuer_arn=f"arn:aws:sts::{MEMBER}:role/keyward/keyward-member"),
        Actor(
            type="AssumedRole", issuer_arn=f"x arn:aws:iam::{MEMBER}:role/keyward/keyward-member"
        ),
        Actor(type="AssumedRole", issuer_arn="arn:aws:iam::*:role/keyward/keyward-member"),
        Actor(type="IAMUser", issuer_arn=f"arn:aws:iam::{MEMBER}:role/keyward/keyward-member"),
        Actor(type="Unknown", issuer_arn=f"arn:aws:iam::{MEMBER}:role/keyward/keyward-member"),
        Actor(type="AWSService", invoked_by=SSO),
        Actor(type="Unknown"),
    ],
    ids=lambda actor: f"{actor.type} {actor.issuer_arn or actor.label}",
)
def test_what_is_no_session_of_a_role_is_not_recognised(actor: Actor) -> None:
    assert recognised(actor, MEMBER, hub=HUB) is None


# ------------------------------------------------------------------ protected users


def protecting(**principal: str) -> GlobalSettings:
    whole = {"account": MEMBER, "why": "break-glass"} | principal
    return GlobalSettings(protected=(ProtectedPrincipal.model_validate(whole),))


ARN = f"arn:aws:iam::{MEMBER}:user/bob"


def test_nobody_is_protected_by_default() -> None:
    assert protected(an_iam_user(), GlobalSettings()) is None


@pytest.mark.parametrize("principal", [{"user_id": USER_ID}, {"arn": ARN}])
def test_a_protected_user_is_protected_with_the_reason_given(principal: dict[str, str]) -> None:
    assert protected(an_iam_user("bob"), protecting(**principal)) == "break-glass"


@pytest.mark.parametrize("principal", [{"user_id": USER_ID}, {"arn": ARN}])
def test_a_user_of_another_account_is_not_protected(principal: dict[str, str]) -> None:
    user = an_iam_user("bob", account=OTHER_MEMBER)
    assert protected(user, protecting(**principal)) is None
    assert protected(an_iam_user("bob"), protecting(account=OTHER_MEMBER, **principal)) is None


@pytest.mark.parametrize("name", ["Bob", "b\u043eb", "bob ", "bobby", "team/bob"])
def test_a_user_of_a_similar_name_is_not_protected(name: str) -> None:
    user = an_iam_user(name, user_id=OTHER_USER_ID)
    assert protected(user, protecting(arn=ARN)) is None
    assert protected(user, protecting(user_id=USER_ID)) is None


def test_a_user_of_another_path_is_not_protected_by_arn() -> None:
    assert protected(an_iam_user("bob", path="/team/"), protecting(arn=ARN)) is None


def test_the_unique_id_decides_where_both_are_given() -> None:
    both = protecting(user_id=USER_ID, arn=ARN)
    assert protected(an_iam_user("renamed"), both) == "break-glass"
    assert protected(an_iam_user("bob", user_id=OTHER_USER_ID), both) is None


def test_the_arn_decides_where_the_users_id_is_not_known_yet() -> None:
    user = an_iam_user("bob", user_id=None)
    assert protected(user, protecting(user_id=USER_ID, arn=ARN)) == "break-glass"
    assert protected(user, protecting(user_id=USER_ID)) is None


# ------------------------------------------------------------------ owners by pattern


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        (f"arn:aws:iam::{MEMBER}:role/ci/deployer", "ci/deployer", True),
        ("arn:aws:iam::*:role/ci/*", "ci/deployer", True),
        ("arn:aws:iam::*:role/*", "ci/deployer", False),
        ("arn:aws:iam::*:role/*/deployer", "ci/deployer", True),
        ("arn:*:role/ci/deployer", "ci/deployer", False),
        ("arn:aws:iam::?44455556666:role/ci/deployer", "ci/deployer", False),
        ("arn:aws:iam::[0-9]*:role/ci/deployer", "ci/deployer", False),
        ("*", "ci/deployer", False),
        ("", "ci/deployer", False),
    ],
)
def test_a_star_in_a_pattern_matches_within_a_segment(
    pattern: str, path: str, *, matches: bool
) -> None:
    assert is_one_of(a_role_session(path), (pattern,)) is matches


def test_a_session_cannot_pass_for_a_role_by_its_name() -> None:
    actor = a_role_session("app/x", session="deployer")
    assert not is_one_of(actor, (f"arn:aws:sts::{MEMBER}:assumed-role/x/deployer",))
