"""Verdicts on what single features of policies do, where a careful reader can't but agree."""

import json

import pytest

from keyward.model import PolicyDocument
from keyward.policy import Reach, analyse, contributes
from tests.policy.writing import Json, a_document, allow, deny, grant, of

NONE, INDIRECT, ESCALATION, ADMIN = Reach
ACCOUNT = "arn:aws:iam::111122223333"
LAMBDA = ["lambda:CreateFunction", "lambda:InvokeFunction"]
PASSED = "iam:PassedToService"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


def but(effect: str, *, on: str = "Resource", resources: object = "*", **what: object) -> Json:
    """A statement with NotAction or NotResource."""
    return {"Effect": effect, on: resources, **what}


def test_reaches_are_ordered() -> None:
    assert [it.rank for it in Reach] == [0, 1, 2, 3]


def test_nothing_reaches_nowhere() -> None:
    analysis = analyse([])
    assert analysis.reach is NONE
    assert analysis.grants == ()
    assert analysis.unreadable == ()


@pytest.mark.parametrize(
    "statement",
    [
        allow("*"),
        allow("*:*"),
        allow("**"),
        allow(["s3:GetObject", "*"]),
        allow("*", ["arn:aws:s3:::bucket", "*"]),
        allow("*", "arn:*"),
        allow("*", "arn:aws:*"),
        allow("*", "*:*"),
        allow(" * ", "\t*\n"),
        but("Allow", NotAction="s3:*"),
        but("Allow", NotAction=["organizations:*", "account:*", "iam:CreateUser"]),
        but("Allow", NotAction=[]),
        but("Allow", on="NotResource", resources="arn:aws:s3:::bucket", Action="*"),
        but("Allow", on="NotResource", resources="arn:aws:s3:::bucket", NotAction="s3:*"),
    ],
)
def test_everything_on_everything_is_admin(statement: Json) -> None:
    analysis = of(statement)
    assert analysis.reach is ADMIN
    assert analysis.grants[0].path == "everything"


@pytest.mark.parametrize(
    "actions",
    ["iam:*", "IAM:*", "i?m:*", "ia*:*", ["iam:*"], ["iam:A*", "iam:C*", "iam:[", "iam:*P*"]],
)
def test_all_of_iam_is_admin(actions: object) -> None:
    analysis = of(allow(actions))
    assert analysis.reach is ADMIN
    assert analysis.grants[0].path == "all-of-iam"
    assert grant(analysis, "everything") is None


@pytest.mark.parametrize(
    "resource",
    [
        "arn:aws:iam::*:*",
        "arn:aws:iam::*",
        "arn:aws:iam:*:*:*",
        f"{ACCOUNT}:*",
        "arn:aws:iam::1111*:*",
        "arn:*:iam::*:*/*",
        "arn:aws-cn:iam::*:*",
        "arn:aws:iam::${aws:PrincipalAccount}:*",
        "arn:aws:iam",
    ],
)
def test_all_resources_of_iam_are_all(resource: str) -> None:
    assert of(allow("iam:*", resource)).reach is ADMIN


def test_all_of_iam_on_roles_only_is_no_admin_yet() -> None:
    assert of(allow("iam:*", f"{ACCOUNT}:role/*")).reach is ESCALATION


@pytest.mark.parametrize(
    ("resource", "reach"),
    [
        ("*", ESCALATION),
        ("arn:aws:iam::*:role/*", ESCALATION),
        (f"{ACCOUNT}:role/*", ESCALATION),
        (f"{ACCOUNT}:*", ESCALATION),
        (f"{ACCOUNT}*", ESCALATION),
        ("arn:aws:iam::1*", ESCALATION),
        (f"{ACCOUNT}:ro*", ESCALATION),
        ("arn:aws:iam:*:role/*", ESCALATION),
        (f"{ACCOUNT}:role/?*", ESCALATION),
        (f"{ACCOUNT}:role/a*", ESCALATION),
        (f"{ACCOUNT}:role/*/*", ESCALATION),
        (f"{ACCOUNT}:role/app", INDIRECT),
        (f"{ACCOUNT}:role/app-*", INDIRECT),
        (f"{ACCOUNT}:role/*-admin", INDIRECT),
        (f"{ACCOUNT}:*/app", INDIRECT),
        ("arn:aws:iam:*:role/app", INDIRECT),
        ("arn:aws:iam:*/app-*", INDIRECT),
        ("arn:aws:iam::*/x:role/*", NONE),
        ("arn:aws:iam::${aws:PrincipalTag/account}:role/*", ESCALATION),
        ("arn:aws:iam:us-east-1:*:role/*", NONE),
        (f"{ACCOUNT}:role/service-role/*", INDIRECT),
        (f"{ACCOUNT}:role/${{aws:PrincipalTag/team}}-*", INDIRECT),
        (f"{ACCOUNT}:role/aws-service-role/*", NONE),
        (f"{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/*", NONE),
        (f"{ACCOUNT}:user/*", NONE),
        (f"{ACCOUNT}:Role/*", NONE),
        ("arn:aws:iam::aws:role/*", NONE),
        ("arn:aws:iam:::role/*", NONE),
        ("arn:aws:sts::111122223333:role/*", NONE),
        ([], NONE),
    ],
)
def test_passing_roles_reaches_as_far_as_the_roles(resource: object, reach: Reach) -> None:
    analysis = of(allow(LAMBDA), allow("iam:PassRole", resource))
    found = grant(analysis, "pass-role-lambda")
    assert (found.reach if found else NONE) is reach
    assert analysis.reach is reach


def test_one_pattern_among_many_that_means_all_is_enough() -> None:
    names = [f"{ACCOUNT}:role/{letter}*" for letter in "abcdefghijklmnopqrstuvwxyz"]
    assert of(allow("iam:PassRole", names), allow(LAMBDA)).reach is ESCALATION


def test_scope_of_what_one_makes_oneself_is_no_limit() -> None:
    function = "arn:aws:lambda:us-east-1:111122223333:function:app-*"
    assert of(allow("iam:PassRole"), allow(LAMBDA, function)).reach is ESCALATION


def test_passing_roles_alone_reaches_nowhere_but_contributes() -> None:
    document = a_document(allow("iam:PassRole"))
    assert analyse([document]).reach is NONE
    assert contributes(document)


def test_two_policies_reach_what_neither_does() -> None:
    passing = a_document(allow("iam:PassRole", sid="Pass"), name="deployer")
    functions = a_document(allow(LAMBDA), name="developer")
    found = grant(analyse([functions, passing]), "pass-role-lambda")
    assert found is not None
    assert found.reach is ESCALATION
    assert set(found.policies) == {"deployer", "developer"}
    assert set(found.statements) == {"deployer: Pass", "developer: statement 1"}


def test_all_policies_that_grant_a_path_are_told_and_no_other() -> None:
    attach = allow("iam:AttachUserPolicy")
    documents = [
        a_document(attach, name="one"),
        a_document(allow("iam:Attach*", f"{ACCOUNT}:user/*"), name="two"),
        a_document(allow("iam:AttachUserPolicy", f"{ACCOUNT}:user/bob"), name="narrower"),
        a_document(allow("s3:*"), name="other"),
    ]
    found = grant(analyse(documents), "attach-user-policy")
    assert found is not None
    assert found.policies == ("one", "two")


def test_every_policy_that_grants_something_named_is_told() -> None:
    documents = [
        a_document(allow("iam:CreateAccessKey", f"{ACCOUNT}:user/{it}"), name=it)
        for it in ("alice", "bob")
    ]
    found = grant(analyse(documents), "create-access-key")
    assert found is not None
    assert found.policies == ("alice", "bob")
    assert found.reach is INDIRECT


def test_grants_are_told_gravest_first_and_in_words() -> None:
    analysis = of(allow(["lambda:UpdateFunctionCode", "iam:PutUserPolicy"]))
    assert [it.path for it in analysis.grants] == ["put-user-policy", "lambda-code"]
    assert analysis.grants[0].text == "Can write an inline policy into a user (iam:PutUserPolicy)."


def test_the_sentence_says_what_limits_a_grant() -> None:
    tagged = {"StringEquals": {"aws:ResourceTag/team": "x"}}
    analysis = of(allow("iam:PutUserPolicy", f"{ACCOUNT}:user/bob", when=tagged))
    assert analysis.grants[0].text == (
        "Can write an inline policy into a user "
        "(iam:PutUserPolicy; for some resources only; under a condition)."
    )


def test_a_grant_without_condition_is_told_before_one_with() -> None:
    tagged = {"StringEquals": {"aws:ResourceTag/team": "x"}}
    analysis = of(allow("iam:PutUserPolicy", when=tagged), allow("iam:PutUserPolicy"))
    assert "condition" not in analysis.grants[0].text
    assert analysis.grants[0].statements == ("policy: statement 1", "policy: statement 2")


def test_all_ways_that_lead_as_far_are_blamed_and_the_surest_is_told() -> None:
    office = {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}
    documents = [
        a_document(allow("iam:CreateRole")),
        a_document(allow("iam:AttachRolePolicy", when=office), name="attaching"),
        a_document(allow("iam:PutRolePolicy"), name="writing"),
    ]
    found = grant(analyse(documents), "new-role")
    assert found is not None
    assert found.policies == ("policy", "attaching", "writing")
    assert found.text.endswith("(iam:CreateRole, iam:PutRolePolicy).")


def test_a_way_that_leads_less_far_is_not_blamed() -> None:
    documents = [
        a_document(allow("iam:DeleteUserPermissionsBoundary", f"{ACCOUNT}:user/bob"), name="one"),
        a_document(allow("sso:CreateAccountAssignment"), name="two"),
        a_document(but("Allow", NotAction=["iam:*", "sso:CreateAccountAssignment"]), name="three"),
    ]
    found = grant(analyse(documents), "assign-permission-set")
    assert found is not None
    assert found.reach is ESCALATION
    assert found.policies == ("two",)


@pytest.mark.parametrize("deny_all", [deny("*"), deny("*:*"), but("Deny", NotAction=[])])
def test_a_deny_of_everything_leaves_nothing(deny_all: Json) -> None:
    assert analyse([a_document(allow("*")), a_document(deny_all)]).reach is NONE


def test_everything_but_iam_is_indirect() -> None:
    assert of(allow("*"), deny("iam:*")).reach is INDIRECT
    assert of(but("Allow", NotAction=["iam:*", "organizations:*"])).reach is INDIRECT


@pytest.mark.parametrize(
    ("denied", "reach"),
    [
        ("*", NONE),
        (f"{ACCOUNT}:role/*", ESCALATION),
        ("arn:aws:iam::*:role/*", NONE),
        ("arn:aws:*::*:*", NONE),
        ("arn:aws:iam::*:role/Admin*", ESCALATION),
        ("arn:aws:iam::*:user/*", ESCALATION),
        (["arn:aws:iam::*:role/a*", "arn:*:iam::*:role*"], NONE),
    ],
)
def test_a_deny_takes_away_what_it_names(denied: object, reach: Reach) -> None:
    analysis = of(allow(["iam:PassRole", *LAMBDA]), deny("iam:passrole", denied))
    assert analysis.reach is reach


@pytest.mark.parametrize(
    "resource", ["*", "arn:aws:iam::*", "arn:aws:iam::*:*", "arn:aws:iam::*:saml-provider/*"]
)
def test_resources_of_kinds_without_names_of_their_own_are_granted_and_denied(
    resource: str,
) -> None:
    granted = allow("iam:UpdateSAMLProvider", resource)
    assert of(granted).reach is INDIRECT
    assert of(granted, deny("iam:*", "arn:aws:iam::*")).reach is NONE
    assert of(granted, deny("iam:*", "arn:aws:iam::*:*")).reach is NONE


def test_a_grant_in_any_partition_is_denied_by_a_deny_in_awss() -> None:
    granted = allow("iam:PassRole", "arn:*:iam::*:role/*")
    assert of(allow(LAMBDA), granted).reach is ESCALATION
    assert of(allow(LAMBDA), granted, deny("iam:*", "arn:aws:iam::*:role/*")).reach is NONE


@pytest.mark.parametrize(
    ("spared", "granted", "reach"),
    [
        ("arn:aws:iam::*:role/app-*", "*", INDIRECT),
        ("arn:aws:iam::*:role/app-*", "arn:aws:iam::*:role/*-prod", INDIRECT),
        ("arn:aws:iam::*:role/app-*", "arn:aws:iam::*:role/web-*", NONE),
        ("arn:aws:iam::*:role/*", "*", ESCALATION),
        ("arn:aws:iam::*:user/*", "*", NONE),
    ],
)
def test_a_deny_of_all_but_some_leaves_those(spared: str, granted: str, reach: Reach) -> None:
    only = but("Deny", on="NotResource", resources=spared, Action="iam:PassRole")
    assert of(allow(LAMBDA), allow("iam:PassRole", granted), only).reach is reach


def test_sparing_oneself_makes_nothing_ones_own_that_was_not() -> None:
    granted = allow("iam:PutUserPolicy", f"{ACCOUNT}:user/*/x-*")
    oneself = f"{ACCOUNT}:user/*/${{aws:username}}"
    spared = but("Deny", on="NotResource", resources=oneself, Action="iam:*")
    assert of(granted).reach is INDIRECT
    assert of(granted, spared).reach is INDIRECT


def test_a_deny_under_a_condition_that_nobody_knows_denies_nothing() -> None:
    mfa = {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}
    assert of(allow("iam:*"), deny("iam:*", when=mfa)).reach is ADMIN


def test_an_allow_under_a_condition_that_nobody_knows_grants() -> None:
    analysis = of(allow("*", when={"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}))
    assert analysis.reach is ADMIN
    assert "under a condition" in analysis.grants[0].text


@pytest.mark.parametrize(
    ("when", "reach"),
    [
        ({"StringEquals": {PASSED: "lambda.amazonaws.com"}}, ESCALATION),
        ({"StringEquals": {PASSED: "lambda.amazonaws.com.cn"}}, ESCALATION),
        ({"StringLike": {PASSED: "*"}}, ESCALATION),
        ({"StringEqualsIfExists": {"IAM:PASSEDTOSERVICE": ["lambda.amazonaws.com"]}}, ESCALATION),
        ({"StringEquals": {PASSED: ["ec2.amazonaws.com", "glue.amazonaws.com"]}}, NONE),
        ({"StringNotEquals": {PASSED: "lambda.amazonaws.com"}}, NONE),
        ({"StringNotEquals": {PASSED: "ec2.amazonaws.com"}}, ESCALATION),
    ],
)
def test_roles_are_passed_to_the_services_that_a_condition_names(when: Json, reach: Reach) -> None:
    assert of(allow(LAMBDA), allow("iam:PassRole", when=when)).reach is reach


def test_a_deny_for_other_services_leaves_the_named_one() -> None:
    others = {"StringNotEquals": {PASSED: "ec2.amazonaws.com"}}
    statements = [allow("iam:PassRole"), deny("iam:PassRole", when=others)]
    assert of(*statements, allow(LAMBDA)).reach is NONE
    assert of(*statements, allow("ec2:RunInstances")).reach is ESCALATION


def test_a_condition_on_passing_roles_lets_nothing_else_through() -> None:
    when = {"StringEquals": {PASSED: "lambda.amazonaws.com"}}
    assert of(allow(["iam:PassRole", *LAMBDA], when=when)).reach is NONE


MANAGE_ROLES = ["iam:CreateRole", "iam:AttachRolePolicy", "iam:PutRolePolicy"]
BOUNDED = {"StringEquals": {"iam:PermissionsBoundary": f"{ACCOUNT}:policy/limit"}}
UNBOUNDED = {"StringNotEquals": {"iam:PermissionsBoundary": f"{ACCOUNT}:policy/limit"}}


def test_who_must_keep_a_boundary_escalates_nowhere() -> None:
    assert of(allow(MANAGE_ROLES, when=BOUNDED)).reach is NONE
    assert of(allow(MANAGE_ROLES), deny(MANAGE_ROLES, when=UNBOUNDED)).reach is NONE


def test_any_boundary_at_all_is_a_boundary() -> None:
    missing = {"Null": {"iam:PermissionsBoundary": "true"}}
    assert of(allow(MANAGE_ROLES), deny(MANAGE_ROLES, when=missing)).reach is NONE


def test_who_may_take_the_boundary_away_escalates() -> None:
    removing = allow("iam:DeleteRolePermissionsBoundary", f"{ACCOUNT}:role/app-*")
    bounded = allow(MANAGE_ROLES, f"{ACCOUNT}:role/app-*", when=BOUNDED)
    analysis = of(bounded, removing)
    assert analysis.reach is ESCALATION
    assert analysis.grants[0].path == "boundary-of-new-role"
    assert of(removing).reach is INDIRECT


def test_the_parts_of_one_way_must_be_about_the_same_role() -> None:
    apps, webs = f"{ACCOUNT}:role/app-*", f"{ACCOUNT}:role/web-*"
    assert of(allow(MANAGE_ROLES, apps)).reach is ESCALATION
    apart = of(allow("iam:CreateRole", apps), allow("iam:AttachRolePolicy", webs))
    assert apart.reach is INDIRECT
    both = of(
        allow("iam:CreateRole", apps), allow("iam:AttachRolePolicy", f"{ACCOUNT}:role/*-prod")
    )
    assert both.reach is ESCALATION


@pytest.mark.parametrize(
    ("policies", "reach"),
    [
        (ADMINISTRATOR, ESCALATION),
        ("arn:aws:iam::aws:policy/*", ESCALATION),
        ("arn:aws:iam::aws:policy/ReadOnlyAccess", NONE),
        (["arn:aws:iam::aws:policy/ReadOnlyAccess", f"{ACCOUNT}:policy/team-*"], INDIRECT),
        ("arn:aws:iam::aws:policy/AWSLambda_FullAccess", INDIRECT),
    ],
)
def test_attaching_reaches_as_far_as_the_policies(policies: object, reach: Reach) -> None:
    when = {"ArnEquals": {"iam:PolicyARN": policies}}
    assert of(allow("iam:AttachUserPolicy", when=when)).reach is reach
    new_role = of(allow(["iam:CreateRole"]), allow("iam:AttachRolePolicy", when=when))
    assert new_role.reach is reach


@pytest.mark.parametrize(
    ("resource", "keys", "policies"),
    [
        (f"{ACCOUNT}:user/${{aws:username}}", NONE, ESCALATION),
        ("arn:aws:iam::*:user/*/${aws:username}", NONE, ESCALATION),
        (f"{ACCOUNT}:user/${{aws:username}}-*", INDIRECT, INDIRECT),
        (f"{ACCOUNT}:user/*${{aws:username}}", INDIRECT, INDIRECT),
        (f"{ACCOUNT}:user/bob", INDIRECT, INDIRECT),
        (f"{ACCOUNT}:user/*", ESCALATION, ESCALATION),
    ],
)
def test_ones_own_keys_lead_nowhere_but_ones_own_policies_do(
    resource: str, keys: Reach, policies: Reach
) -> None:
    own = ["iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile"]
    assert of(allow(own, resource)).reach is keys
    assert of(allow("iam:PutUserPolicy", resource)).reach is policies


def test_awss_own_policies_take_no_new_versions() -> None:
    assert of(allow("iam:CreatePolicyVersion", "arn:aws:iam::aws:policy/*")).reach is NONE


@pytest.mark.parametrize(
    ("statement", "reach"),
    [
        (allow("sso:*"), ESCALATION),
        (allow("sso:CreateAccountAssignment"), ESCALATION),
        (allow("s?o:Create*Assignment", "arn:aws:sso:::*"), ESCALATION),
        (
            allow("sso:CreateAccountAssignment", "arn:aws:sso:::permissionSet/ssoins-1/*"),
            ESCALATION,
        ),
        (
            allow("sso:CreateAccountAssignment", "arn:aws:sso:::permissionSet/ssoins-1/ps-1"),
            INDIRECT,
        ),
        (allow("sso:CreateAccountAssignment", "arn:aws:sso:::account/*"), NONE),
        (
            allow("identitystore:CreateGroupMembership", "arn:aws:identitystore:::group/*"),
            ESCALATION,
        ),
        (
            allow("identitystore:CreateGroupMembership", "arn:aws:identitystore:::group/1234"),
            INDIRECT,
        ),
        (allow("sso-directory:AddMemberToGroup"), ESCALATION),
        (allow("account-access:CreateEntitlement"), ESCALATION),
        (allow(["sso:List*", "sso:Describe*", "identitystore:List*"]), NONE),
    ],
)
def test_who_may_hand_out_access_in_identity_center_escalates(
    statement: Json, reach: Reach
) -> None:
    assert of(statement).reach is reach


@pytest.mark.parametrize(
    ("statement", "reach"),
    [
        (allow("organizations:*"), ESCALATION),
        (allow("organizations:Describe*"), NONE),
        (allow("organizations:DetachPolicy", "arn:aws:organizations::*:policy/*"), ESCALATION),
        (
            allow(
                "organizations:DetachPolicy",
                "arn:aws:organizations::111122223333:policy/o-1/service_control_policy/*",
            ),
            ESCALATION,
        ),
        (
            allow(
                "organizations:DetachPolicy",
                "arn:aws:organizations::111122223333:policy/o-1/service_control_policy/p-1",
            ),
            INDIRECT,
        ),
        (
            allow("organizations:DetachPolicy", "arn:aws:organizations::*:policy/*/tag_policy/*"),
            NONE,
        ),
        (
            allow(
                "organizations:*Policy*",
                when={"StringEquals": {"organizations:PolicyType": "BACKUP_POLICY"}},
            ),
            NONE,
        ),
        (
            allow(
                "organizations:RegisterDelegatedAdministrator",
                when={"StringEquals": {"organizations:ServicePrincipal": "fms.amazonaws.com"}},
            ),
            NONE,
        ),
        (
            allow(
                "organizations:RegisterDelegatedAdministrator",
                when={"StringEquals": {"organizations:ServicePrincipal": "sso.amazonaws.com"}},
            ),
            ESCALATION,
        ),
        (allow("sts:AssumeRole", "arn:aws:iam::*:role/OrganizationAccountAccessRole"), ESCALATION),
        (allow("sts:AssumeRole", "arn:aws:iam::*:role/AWSControlTower*"), ESCALATION),
        (allow("sts:AssumeRole"), INDIRECT),
        (allow("sts:AssumeRole", "arn:aws:iam::*:role/*"), INDIRECT),
        (allow("sts:AssumeRoot"), ESCALATION),
        (
            allow(
                "sts:AssumeRoot",
                when={
                    "StringEquals": {
                        "sts:TaskPolicyArn": "arn:aws:iam::aws:policy/root-task/"
                        "IAMAuditRootUserCredentials"
                    }
                },
            ),
            NONE,
        ),
    ],
)
def test_who_may_loosen_the_organization_escalates(statement: Json, reach: Reach) -> None:
    assert of(statement).reach is reach


def test_what_works_in_few_accounts_counts_in_full_where_it_is_meant() -> None:
    everything_else = but("Allow", NotAction=["iam:*", "organizations:*", "account:*"])
    assert of(everything_else).reach is INDIRECT
    assert of(everything_else, allow("sso:*")).reach is ESCALATION


@pytest.mark.parametrize(
    ("document", "reach"),
    [
        ("arn:aws:ssm:*:*:document/*", INDIRECT),
        ("arn:aws:ssm:*::document/AWS-RunShellScript", INDIRECT),
        ("arn:aws:ssm:us-east-1::document/AWS-Run*", INDIRECT),
        ("arn:aws:ssm:*:*:document/AWS-ConfigureAWSPackage", NONE),
        ("arn:aws:ssm:*:111122223333:document/Restart", NONE),
    ],
)
def test_commands_reach_as_far_as_their_documents(document: str, reach: Reach) -> None:
    instances = "arn:aws:ec2:*:*:instance/*"
    assert of(allow("ssm:SendCommand", [document, instances])).reach is reach


def test_a_boundary_limits_what_is_granted() -> None:
    document = a_document(allow("*"))
    for boundary, reach in (
        (a_document(allow("*")), ADMIN),
        (a_document(allow("s3:*")), NONE),
        (a_document(allow(["iam:PassRole", "ec2:RunInstances"])), ESCALATION),
        (a_document(allow("*"), deny("iam:*")), INDIRECT),
        (a_document(), NONE),
    ):
        assert analyse([document], boundary=boundary).reach is reach


def test_a_boundary_alone_grants_nothing() -> None:
    assert analyse([], boundary=a_document(allow("*"))).reach is NONE


def test_within_a_boundary_counts_what_both_let_through() -> None:
    document = a_document(allow("iam:PutRolePolicy", f"{ACCOUNT}:role/app-*"))
    both = a_document(allow("iam:*", f"{ACCOUNT}:role/*-prod"))
    assert analyse([document], boundary=both).reach is INDIRECT
    neither = a_document(allow("iam:*", f"{ACCOUNT}:role/web-*"))
    assert analyse([document], boundary=neither).reach is NONE


def test_a_boundary_that_is_no_policy_is_told_and_limits_nothing() -> None:
    boundary = PolicyDocument(name="limit", text="{")
    analysis = analyse([a_document(allow("*"))], boundary=boundary)
    assert analysis.reach is ADMIN
    assert analysis.unreadable == ("limit",)


def test_documents_that_are_no_policy_are_told_once_and_hide_no_other() -> None:
    broken = PolicyDocument(name="broken", text="{")
    analysis = analyse([broken, broken, a_document(allow("*"))])
    assert analysis.unreadable == ("broken",)
    assert analysis.reach is ADMIN
    assert contributes(broken)


def test_good_statements_of_a_broken_document_count() -> None:
    document = a_document(7, allow("iam:*"), name="half")
    analysis = analyse([document])
    assert analysis.unreadable == ("half",)
    assert analysis.reach is ADMIN


def test_only_the_version_of_unicode_escapes_differs() -> None:
    text = json.dumps({"Statement": [allow("iam:*")]})
    escaped = text.replace("iam:*", "".join(f"\\u{ord(it):04x}" for it in "iam:*"))
    assert escaped != text
    assert analyse([PolicyDocument(name="policy", text=escaped)]).reach is ADMIN


@pytest.mark.parametrize(
    ("statement", "does"),
    [
        (allow("iam:PassRole"), True),
        (allow("iam:Pass*", f"{ACCOUNT}:role/app"), True),
        (allow("lambda:InvokeFunction"), True),
        (deny("*"), True),
        (deny("iam:PassRole", f"{ACCOUNT}:role/app"), True),
        (but("Allow", NotAction="s3:*"), True),
        (but("Allow", on="NotResource", resources="arn:aws:s3:::*", Action="iam:*"), True),
        (but("Allow", on="NotResource", resources="*", Action="iam:*"), False),
        (allow("*", "arn:aws:s3:::bucket/*"), False),
        (allow("iam:PassRole", f"{ACCOUNT}:role/aws-service-role/*"), False),
        (allow("iam:PassRole", f"{ACCOUNT}:user/*"), False),
        (allow(["iam:Get*", "iam:List*", "s3:*"]), False),
        (deny("s3:*"), False),
        (but("Allow", NotAction="*"), False),
    ],
)
def test_what_says_nothing_about_any_path_does_not_contribute(
    statement: Json, *, does: bool
) -> None:
    assert contributes(a_document(statement)) is does


def test_an_empty_policy_contributes_nothing() -> None:
    assert not contributes(a_document())
