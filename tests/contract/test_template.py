"""What both templates must hold, checked as CloudFormation would deploy them."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from keyward import events
from keyward.alive import WAYS
from keyward.door import DoorEnvironment
from keyward.events import CANARY, SweepPart, SweepStep
from keyward.gateways.sqs import LONGEST_DELAY_SECONDS
from keyward.own import HUB_FORWARDERS, MAY_BE_ELSEWHERE, MEMBER_FORWARDERS
from keyward.services import Environment
from keyward.sweep import LONGEST
from tests.contract.authorizing import Asked
from tests.contract.authorizing import allowed as is_allowed
from tests.contract.templates import (
    HUB_ACCOUNT,
    MEMBER_ACCOUNT,
    ORGANIZATION,
    PROJECT,
    ROOT,
    Json,
    Resource,
    Stack,
    branches,
    hub,
    listed,
    matches,
    member,
    reaches_bus,
    transformed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SLACK_SECRET = f"arn:aws:secretsmanager:us-east-1:{HUB_ACCOUNT}:secret:keyward/slack-AbCdEf"
SIGNING_SECRET = f"arn:aws:secretsmanager:us-east-1:{HUB_ACCOUNT}:secret:keyward/signing-AbCdEf"
FURTHER_TOPIC = f"arn:aws:sns:us-east-1:{HUB_ACCOUNT}:production-alerts"
OPERATORS = {
    "SlackSecretArn": SLACK_SECRET,
    "SlackSigningSecretArn": SIGNING_SECRET,
    "RoutedTopicArns": FURTHER_TOPIC,
    "SendToSecurityHub": "true",
    "MailFrom": "keyward@example.com",
    "ReportLockDays": "30",
}
"""Parameters with which all is on that people and other programs can have."""

HUB_ALONE = hub()
HUB = hub(**OPERATORS)
HUB_THAT_ACTS_HERE = hub(ActInManagementAccount="true", **OPERATORS)
HUB_ELSEWHERE = hub(region="eu-central-1", **OPERATORS)
HUB_WITH_SCP = hub(EnableProtectionScp="true", **OPERATORS)
HUB_WITH_DELEGATE = hub(DelegatedAdministrator=MEMBER_ACCOUNT)
HUB_ELSEWHERE_WITH_DELEGATE = hub(region="eu-central-1", DelegatedAdministrator=MEMBER_ACCOUNT)
HUB_FAR_FROM_CONTROL_TOWER = hub(ControlTowerRegion="eu-west-1")
EVERYTHING_ELSEWHERE = hub(
    region="eu-central-1", DelegatedAdministrator=MEMBER_ACCOUNT, ControlTowerRegion="eu-west-1"
)
LOCAL = hub(Local="true", LocalSlackUrl="http://127.0.0.1:8080/api/", **OPERATORS)
MEMBER = member()
THE_DELEGATE = member(region="eu-central-1", delegated=MEMBER_ACCOUNT)
STACKS = [
    HUB_ALONE,
    HUB,
    HUB_THAT_ACTS_HERE,
    HUB_ELSEWHERE,
    HUB_WITH_SCP,
    HUB_ELSEWHERE_WITH_DELEGATE,
    HUB_FAR_FROM_CONTROL_TOWER,
    EVERYTHING_ELSEWHERE,
    LOCAL,
    MEMBER,
    THE_DELEGATE,
]

DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
MEMBER_ROLE = "arn:aws:iam::*:role/keyward/keyward-member"
FUNCTIONS = [
    "IamGuard",
    "IdentityCenterGuard",
    "AccountBaseline",
    "Sweep",
    "SettingsGuard",
    "Notifier",
    "Operator",
    "SlackIngress",
    "Report",
]
IAM_GUARD_RULES = [
    "keyward-iam-grants",
    "keyward-iam-users",
    "keyward-quarantine-group",
    "keyward-tampered-roles",
    "keyward-tampered",
]
IDENTITY_CENTER_GUARD_RULES = [
    "keyward-permission-sets",
    "keyward-assignments",
    "keyward-identity-center-settings",
    "keyward-directory",
    "keyward-identities",
    "keyward-sign-ins",
    "keyward-entitlements",
    "keyward-instances",
    "keyward-delegation",
]
ACCOUNT_BASELINE_RULES = [
    "keyward-account-lifecycle",
    "keyward-accounts",
    "keyward-organization",
    "keyward-removed-assignments",
    "keyward-trails",
]
CANARY_RULES = [f"keyward-canary-{way}" for way in WAYS]
GUARD_RULES = IAM_GUARD_RULES + IDENTITY_CENTER_GUARD_RULES + ACCOUNT_BASELINE_RULES
TELLING_OF_FAILURES = {"keyward-account-lifecycle"}
IDENTITY_CENTER_QUEUE = "keyward-identity-center-guard"
BASELINE_QUEUE = "keyward-account-baseline"
OPERATOR_QUEUE = "keyward-operator"
SWEEP_QUEUE = "keyward-sweep"
IAM_SWEEP_QUEUE = "keyward-iam-sweep"
SENDING = {
    IDENTITY_CENTER_QUEUE: (
        "KEYWARD_IDENTITY_CENTER_QUEUE_URL",
        {"IdentityCenterGuard", "Operator", "SettingsGuard", "Sweep"},
    ),
    BASELINE_QUEUE: (
        "KEYWARD_BASELINE_QUEUE_URL",
        {"AccountBaseline", "IdentityCenterGuard", "Operator", "SettingsGuard", "Sweep"},
    ),
    IAM_SWEEP_QUEUE: ("KEYWARD_IAM_SWEEP_QUEUE_URL", {"IamGuard", "Operator", "Sweep"}),
    SWEEP_QUEUE: ("KEYWARD_SWEEP_QUEUE_URL", {"Operator", "Sweep"}),
    OPERATOR_QUEUE: ("KEYWARD_OPERATOR_QUEUE_URL", {"SlackIngress"}),
}
"""Queue -> the variable that names it, and the functions that send to it."""

# What may stand beside "*": AWS knows no resource for it, or doesn't document which.
# Source: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
WITHOUT_RESOURCE = {
    "access-analyzer:CheckAccessNotGranted": "takes no resource",
    "access-analyzer:ValidatePolicy": "takes no resource",
    "iam:GenerateCredentialReport": "takes no resource",
    "iam:GetAccountAuthorizationDetails": "takes no resource",
    "iam:GetAccountSummary": "takes no resource",
    "iam:GetCredentialReport": "takes no resource",
    "iam:ListServiceSpecificCredentials": "of all users at once names no user",
    "iam:ListPolicies": "takes no resource",
    "iam:ListRoles": "takes no resource",
    "cloudtrail:LookupEvents": "takes no resource",
    "organizations:ListAccounts": "takes no resource",
    "organizations:ListRoots": "takes no resource",
    "sso:ListInstances": "takes no resource",
    "cloudformation:GetTemplateSummary": "takes no resource",
    "cloudformation:ValidateTemplate": "takes no resource",
    "s3:GetObject": "StackSets' own bucket for templates isn't documented",
}


def roles(stack: Stack) -> list[str]:
    return list(stack.of_type("AWS::IAM::Role"))


def allowed(stack: Stack, role: str) -> list[Resource]:
    return [one for one in stack.statements(role) if one["Effect"] == "Allow"]


def allowing(stack: Stack, role: str, action: str) -> list[Resource]:
    return [one for one in allowed(stack, role) if action in one["Action"]]


def targets(stack: Stack) -> Iterator[tuple[str, Resource]]:
    for rule in stack.of_type("AWS::Events::Rule").values():
        for target in rule["Targets"]:
            yield rule.get("Name", ""), target


def policy_of(stack: Stack, logical_id: str) -> list[Resource]:
    found: list[Resource] = stack.properties(logical_id)["PolicyDocument"]["Statement"]
    return found


def record(service: str, name: str, /, *, account: str = HUB_ACCOUNT, **request: Json) -> Resource:
    """Return what EventBridge makes of a CloudTrail record."""
    return {
        "source": f"aws.{service}",
        "detail-type": "AWS API Call via CloudTrail",
        "account": account,
        "region": "us-east-1",
        "detail": {
            "eventSource": f"{service}.amazonaws.com",
            "eventName": name,
            "requestParameters": request,
        },
    }


def told_directly(stack: Stack, event: Resource, bus: str = "default") -> list[str]:
    """Return the rules of a bus that send the event to the topic, past every function."""
    return [
        rule["Name"]
        for rule in stack.of_type("AWS::Events::Rule").values()
        if rule.get("EventBusName", "default") == bus
        and any(target["Arn"] == stack.outputs["AlertsTopicArn"] for target in rule["Targets"])
        and matches(rule["EventPattern"], event)
    ]


# ---------------------------------------------------------------- roles


@pytest.mark.parametrize("stack", [HUB, HUB_ELSEWHERE, LOCAL])
def test_each_function_has_a_role_of_its_own(stack: Stack) -> None:
    functions = stack.of_type("AWS::Lambda::Function")
    assert sorted(functions) == sorted(FUNCTIONS)
    expected = {
        name: f"arn:aws:iam::{HUB_ACCOUNT}:role/keyward/{properties['FunctionName']}"
        for name, properties in functions.items()
    }
    assert {name: one["Role"] for name, one in functions.items()} == expected
    assert len(set(expected.values())) == len(functions)


def test_the_transform_makes_no_role_that_is_not_written_out() -> None:
    others = {"ForwarderRole", "SchedulerRole"}
    assert set(roles(HUB)) == {f"{function}Role" for function in FUNCTIONS} | others


def test_policies_are_attached_nowhere_but_in_the_roles_themselves() -> None:
    for stack in STACKS:
        for role in stack.of_type("AWS::IAM::Role").values():
            assert "ManagedPolicyArns" not in role
        assert not stack.of_type("AWS::IAM::Policy")
        assert not stack.of_type("AWS::IAM::ManagedPolicy")


def test_no_role_allows_a_wildcard_action() -> None:
    for stack in STACKS:
        for role in roles(stack):
            for statement in allowed(stack, role):
                assert not [action for action in statement["Action"] if "*" in action], role


def test_no_role_allows_everything_but_something() -> None:
    for stack in STACKS:
        for role in stack.of_type("AWS::IAM::Role").values():
            assert not {"NotAction", "NotResource"} & set(json.dumps(role).split('"'))


def test_wildcard_resources_come_only_from_the_justified_list() -> None:
    used = {
        action
        for stack in STACKS
        for role in roles(stack)
        for statement in allowed(stack, role)
        if "*" in statement["Resource"]
        for action in statement["Action"]
    }
    assert used == set(WITHOUT_RESOURCE)


def test_roles_of_functions_are_assumed_by_lambda_alone() -> None:
    for function in FUNCTIONS:
        (trust,) = HUB.properties(f"{function}Role")["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_the_hub_assumes_only_the_member_role_and_only_within_the_organization() -> None:
    for function in FUNCTIONS:
        for statement in allowing(HUB, f"{function}Role", "sts:AssumeRole"):
            assert statement["Resource"] == [MEMBER_ROLE]
            assert statement["Condition"] == {"StringEquals": {"aws:ResourceOrgID": ORGANIZATION}}
    assumers = [one for one in FUNCTIONS if allowing(HUB, f"{one}Role", "sts:AssumeRole")]
    assert assumers == ["IamGuard", "Operator"]


def test_the_hub_changes_no_user_of_its_own_account_by_default() -> None:
    changes = [
        action
        for role in roles(HUB)
        for statement in allowed(HUB, role)
        for action in statement["Action"]
        if action.startswith("iam:") and not action.startswith(("iam:Get", "iam:List"))
    ]
    assert changes == ["iam:GenerateCredentialReport"], "that makes nothing but a report"


def test_in_its_own_account_the_hub_has_the_rights_of_the_member_role_between_two_functions() -> (
    None
):
    replayed = {
        action
        for one in allowed(HUB_THAT_ACTS_HERE, "IdentityCenterGuardRole")
        if one["Sid"] in OF_IDENTITY_CENTER
        for action in one["Action"]
    }

    def rights(stack: Stack, role: str) -> set[tuple[str, str]]:
        return {
            (action, json.dumps([one["Resource"], one.get("Condition")]))
            for one in allowed(stack, role)
            for action in one["Action"]
            if action.startswith("iam:") and action not in replayed
        }

    guard = rights(HUB_THAT_ACTS_HERE, "IamGuardRole")
    operator = rights(HUB_THAT_ACTS_HERE, "OperatorRole")
    there = {
        (action, where.replace(MEMBER_ACCOUNT, HUB_ACCOUNT))
        for action, where in rights(MEMBER, "MemberRole")
    }
    assert guard | operator == there
    assert {action for action, _ in guard ^ operator} >= {"iam:AttachUserPolicy", "iam:UntagUser"}


# What Identity Center does in the management account with the credentials of who called it.
# Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/iam-auth-access-using-id-policies.html
OF_IDENTITY_CENTER = {
    "RolesOfIdentityCenter": f"arn:aws:iam::{HUB_ACCOUNT}:role/aws-reserved/sso.amazonaws.com/*",
    "ProviderOfIdentityCenter": f"arn:aws:iam::{HUB_ACCOUNT}:saml-provider/AWSSSO_*",
    "FindRolesAndPolicies": "*",
}


@pytest.mark.parametrize("function", ["IdentityCenterGuard", "AccountBaseline", "Operator"])
def test_access_to_the_management_account_is_changed_only_where_keyward_may_act_there(
    function: str,
) -> None:
    def made(stack: Stack) -> dict[str, Json]:
        return {
            one["Sid"]: one["Resource"]
            for one in allowed(stack, f"{function}Role")
            if one.get("Sid") in OF_IDENTITY_CENTER
        }

    assert made(HUB) == {}
    assert made(HUB_THAT_ACTS_HERE) == {sid: [arn] for sid, arn in OF_IDENTITY_CENTER.items()}


@pytest.mark.parametrize("function", ["IdentityCenterGuard", "Operator"])
def test_who_changes_access_may_do_so_by_identity_center_and_not_make_anybody_in_it(
    function: str,
) -> None:
    changes = {
        action.partition(":")[2]
        for one in allowed(HUB_THAT_ACTS_HERE, f"{function}Role")
        for action in one["Action"]
        if action.startswith(("sso:", "identitystore:", "sso-directory:"))
        and not action.partition(":")[2].startswith(("Describe", "Get", "List", "Is"))
    }
    people = {one for one in changes if "User" in one or "Member" in one or "Group" in one}
    assert people == ({"CreateGroup"} if function == "Operator" else set())
    instance = {one for one in changes if "Instance" in one or "Application" in one}
    assert instance == set()
    assert {one for one in changes - people if one.endswith("Resource")} == {
        "TagResource",
        "UntagResource",
    }


def test_who_gives_accounts_access_changes_no_permission_set_but_to_deny_sessions() -> None:
    changes = {
        action
        for stack in (HUB, HUB_THAT_ACTS_HERE)
        for one in allowed(stack, "AccountBaselineRole")
        for action in one["Action"]
        if action.startswith(("sso:", "identitystore:", "organizations:"))
        and not action.partition(":")[2].startswith(("Describe", "Get", "List", "Is"))
    }
    assert changes == {
        "sso:CreateAccountAssignment",
        "sso:DeleteAccountAssignment",
        "sso:DeleteInlinePolicyFromPermissionSet",
        "sso:ProvisionPermissionSet",
        "sso:PutInlinePolicyToPermissionSet",
    }


def test_accounts_are_read_in_this_organization_alone() -> None:
    ours = f"arn:aws:organizations::{HUB_ACCOUNT}:"
    known = {f"{ours}account/{ORGANIZATION}/*", f"{ours}ou/{ORGANIZATION}/*"}
    known.add(f"{ours}root/{ORGANIZATION}/{ROOT}")
    for function in FUNCTIONS:
        for one in allowed(HUB, f"{function}Role"):
            asked = {action for action in one["Action"] if action.startswith("organizations:")}
            if asked - {"organizations:ListAccounts", "organizations:ListRoots"}:
                assert set(one["Resource"]) <= known
                verbs = {action.partition(":")[2] for action in one["Action"]}
                assert all(verb.startswith(("Describe", "List")) for verb in verbs)


def test_a_key_of_the_customers_is_used_by_way_of_identity_center_alone() -> None:
    key = f"arn:aws:kms:us-east-1:{HUB_ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
    encrypted = hub(IdentityCenterKeyArn=key, **OPERATORS)
    for function in FUNCTIONS:
        before = allowing(HUB, f"{function}Role", "kms:Decrypt")
        after = allowing(encrypted, f"{function}Role", "kms:Decrypt")
        more = [one for one in after if one not in before]
        reads = function in {"IdentityCenterGuard", "AccountBaseline", "Operator"}
        assert [one["Resource"] for one in more] == ([[key]] if reads else [])
        for one in more:
            services = ["identitystore.us-east-1.amazonaws.com", "sso.us-east-1.amazonaws.com"]
            assert one["Condition"] == {"StringEquals": {"kms:ViaService": services}}


def test_nobody_else_changes_identity_center() -> None:
    for function in ("IamGuard", "SettingsGuard", "Notifier", "Sweep", "SlackIngress", "Report"):
        asked = {
            action
            for one in allowed(HUB_THAT_ACTS_HERE, f"{function}Role")
            for action in one["Action"]
            if action.partition(":")[0] in {"sso", "identitystore", "sso-directory"}
        }
        address = {"identitystore:DescribeUser", "identitystore:GetUserId", "sso:ListInstances"}
        assert asked == (address if function == "Notifier" else set())


def test_slacks_door_can_do_nothing_but_check_a_signature_and_hand_on() -> None:
    rights = {
        action: one["Resource"]
        for one in allowed(HUB_THAT_ACTS_HERE, "SlackIngressRole")
        for action in one["Action"]
    }
    queue = f"arn:aws:sqs:us-east-1:{HUB_ACCOUNT}:{OPERATOR_QUEUE}"
    logs = [f"arn:aws:logs:us-east-1:{HUB_ACCOUNT}:log-group:/aws/lambda/keyward-slack-ingress:*"]
    assert rights == {
        "logs:CreateLogStream": logs,
        "logs:PutLogEvents": logs,
        "secretsmanager:GetSecretValue": [SIGNING_SECRET],
        "sqs:SendMessage": [queue],
    }


def test_slacks_door_has_a_whole_vcpu_to_wake_up_within_three_seconds() -> None:
    assert HUB.properties("SlackIngress")["MemorySize"] >= 1769


def test_the_internet_reaches_one_function_and_only_where_slack_has_buttons() -> None:
    (url,) = HUB.of_type("AWS::Lambda::Url").values()
    assert (url["TargetFunctionArn"], url["AuthType"]) == ("keyward-slack-ingress", "NONE")
    public = [
        one for one in HUB.of_type("AWS::Lambda::Permission").values() if one["Principal"] == "*"
    ]
    assert {one["FunctionName"] for one in public} == {"keyward-slack-ingress"}
    # Both are needed, and the second counts for the URL alone.
    # Source: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
    conditions = {one["Action"]: one for one in public}
    assert conditions["lambda:InvokeFunctionUrl"]["FunctionUrlAuthType"] == "NONE"
    assert conditions["lambda:InvokeFunction"]["InvokedViaFunctionUrl"] is True
    for stack in (HUB_ALONE, hub(SlackSecretArn=SLACK_SECRET)):
        assert not stack.of_type("AWS::Lambda::Url")
        assert "SlackIngress" not in stack.resources
        assert not [
            one
            for one in stack.of_type("AWS::Lambda::Permission").values()
            if one["Principal"] == "*"
        ]


def test_who_tells_others_may_just_where_parameters_say_so() -> None:
    def told(stack: Stack) -> dict[str, list[str]]:
        return {
            action: one["Resource"]
            for one in allowed(stack, "NotifierRole")
            for action in one["Action"]
            if action.partition(":")[0] in {"secretsmanager", "securityhub", "ses"}
            or (action == "sns:Publish" and one["Sid"] != "Tell")
        }

    assert told(HUB_ALONE) == {}
    here = f"us-east-1:{HUB_ACCOUNT}"
    assert told(HUB) == {
        "secretsmanager:GetSecretValue": [SLACK_SECRET],
        "securityhub:BatchImportFindings": [
            f"arn:aws:securityhub:{here}:product/{HUB_ACCOUNT}/default"
        ],
        "ses:SendEmail": [f"arn:aws:ses:{here}:identity/*"],
        "sns:Publish": [FURTHER_TOPIC],
    }
    (mail,) = allowing(HUB, "NotifierRole", "ses:SendEmail")
    assert mail["Condition"] == {"StringEquals": {"ses:FromAddress": "keyward@example.com"}}


def test_what_keyward_tells_others_goes_on_no_bus_that_it_listens_to() -> None:
    (statement,) = allowing(HUB, "NotifierRole", "events:PutEvents")
    assert statement["Resource"] == [
        f"arn:aws:events:us-east-1:{HUB_ACCOUNT}:event-bus/keyward-out"
    ]
    assert HUB.patterns("keyward-out") == {}
    putting = [one for one in FUNCTIONS if allowing(HUB, f"{one}Role", "events:PutEvents")]
    assert putting == ["Notifier"]


def test_policies_of_a_role_fit_iams_limit() -> None:
    # Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    for stack in STACKS:
        for name, role in stack.of_type("AWS::IAM::Role").items():
            documents = [one["PolicyDocument"] for one in role["Policies"]]
            assert sum(len("".join(json.dumps(one).split())) for one in documents) <= 10_240, name


def test_no_function_scans_the_ledger() -> None:
    for function in FUNCTIONS:
        for action in ("dynamodb:Scan", "dynamodb:DeleteTable"):
            assert not allowing(HUB, f"{function}Role", action)


def test_of_the_ledger_only_what_names_stand_for_is_deleted() -> None:
    deleting = {
        function: one
        for function in FUNCTIONS
        for one in allowing(HUB, f"{function}Role", "dynamodb:DeleteItem")
    }
    assert set(deleting) == {"AccountBaseline"}
    one = deleting["AccountBaseline"]
    table = "dynamodb:DeleteItem", f"arn:aws:dynamodb:us-east-1:{HUB_ACCOUNT}:table/keyward-ledger"
    kept = {"finding#1-2-3", "rollouts", "settings", "subject#111122223333", "xid#group"}
    for key in kept | {"id#group", "id#permission-set", "id#unit"}:
        asked = Asked(*table, {"dynamodb:LeadingKeys": (key,)})
        assert is_allowed([one], asked) is (key not in kept), key
    assert not is_allowed([one], Asked(*table))


def test_only_the_operator_writes_parameters_and_only_exemptions() -> None:
    exemptions = f"arn:aws:ssm:us-east-1:{HUB_ACCOUNT}:parameter/keyward/exemptions/*"
    for function in FUNCTIONS:
        statements = allowing(HUB, f"{function}Role", "ssm:PutParameter")
        assert [one["Resource"] for one in statements] == (
            [[exemptions]] if function == "Operator" else []
        )


# ---------------------------------------------------------------- the member role


def test_the_member_role_is_assumed_by_exactly_the_guard_and_the_operator_of_the_hub() -> None:
    (trust,) = MEMBER.properties("MemberRole")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"AWS": f"arn:aws:iam::{HUB_ACCOUNT}:root"}
    assert trust["Condition"] == {
        "ArnEquals": {
            "aws:PrincipalArn": [
                HUB.properties("IamGuard")["Role"],
                HUB.properties("Operator")["Role"],
            ]
        },
        "StringEquals": {
            "aws:PrincipalOrgID": ORGANIZATION,
            "sts:ExternalId": f"keyward:{HUB_ACCOUNT}",
        },
    }


def test_the_member_role_may_do_this_and_nothing_else() -> None:
    actions = set(chain.from_iterable(one["Action"] for one in allowed(MEMBER, "MemberRole")))
    assert sorted(actions) == sorted(
        [
            *("events:DescribeRule", "events:ListTargetsByRule"),
            *("iam:GenerateCredentialReport", "iam:GetCredentialReport"),
            "iam:GetAccountAuthorizationDetails",
            *(
                "iam:GetAccessKeyLastUsed",
                "iam:GetAccountSummary",
                "iam:GetGroupPolicy",
                "iam:GetLoginProfile",
                "iam:GetUser",
                "iam:ListAccessKeys",
            ),
            *("iam:ListAttachedUserPolicies", "iam:ListGroupsForUser", "iam:ListSSHPublicKeys"),
            *("iam:ListServiceSpecificCredentials", "iam:ListSigningCertificates"),
            *("iam:ListUserPolicies", "iam:UpdateAccessKey", "iam:UpdateSSHPublicKey"),
            *("iam:UpdateServiceSpecificCredential", "iam:UpdateSigningCertificate"),
            *("iam:AttachUserPolicy", "iam:DetachUserPolicy", "iam:AddUserToGroup"),
            *("iam:RemoveUserFromGroup", "iam:PutUserPermissionsBoundary"),
            *("iam:DeleteUserPermissionsBoundary", "iam:TagUser", "iam:UntagUser"),
            *("iam:GetUserPolicy", "iam:GetGroup", "iam:ListAttachedGroupPolicies"),
            *("iam:ListGroupPolicies", "iam:GetRole", "iam:GetRolePolicy", "iam:GetPolicy"),
            *("iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:GetPolicyVersion"),
            "iam:ListEntitiesForPolicy",
        ]
    )


@pytest.mark.parametrize("action", ["iam:AttachUserPolicy", "iam:DetachUserPolicy"])
def test_the_member_role_attaches_and_detaches_only_deny_all(action: str) -> None:
    (statement,) = allowing(MEMBER, "MemberRole", action)
    assert statement["Condition"] == {"ArnEquals": {"iam:PolicyARN": DENY_ALL}}


@pytest.mark.parametrize(
    "action", ["iam:PutUserPermissionsBoundary", "iam:DeleteUserPermissionsBoundary"]
)
def test_the_member_role_sets_and_removes_only_deny_all_as_boundary(action: str) -> None:
    (statement,) = allowing(MEMBER, "MemberRole", action)
    assert statement["Condition"] == {"ArnEquals": {"iam:PermissionsBoundary": DENY_ALL}}


@pytest.mark.parametrize("action", ["iam:AddUserToGroup", "iam:RemoveUserFromGroup"])
def test_the_member_role_changes_the_members_of_the_quarantine_group_only(action: str) -> None:
    (statement,) = allowing(MEMBER, "MemberRole", action)
    group = f"arn:aws:iam::{MEMBER_ACCOUNT}:group/keyward/keyward-quarantine"
    assert statement["Resource"] == [group]


@pytest.mark.parametrize("action", ["iam:TagUser", "iam:UntagUser"])
def test_the_member_role_sets_only_tags_of_keyward(action: str) -> None:
    (statement,) = allowing(MEMBER, "MemberRole", action)
    assert statement["Condition"] == {
        "ForAllValues:StringLike": {"aws:TagKeys": "keyward:*"},
        "Null": {"aws:TagKeys": "false"},
    }


def test_the_member_role_reads_nothing_of_events_but_the_two_rules_of_its_template() -> None:
    found = [
        one
        for one in allowed(MEMBER, "MemberRole")
        if any(action.startswith("events:") for action in one["Action"])
    ]
    here = f"arn:aws:events:us-east-1:{MEMBER_ACCOUNT}:rule/"
    assert [(one["Action"], one["Resource"]) for one in found] == [
        (
            ["events:DescribeRule", "events:ListTargetsByRule"],
            [f"{here}keyward-forward", f"{here}keyward-forward-watch"],
        )
    ]
    assert {rule["Name"] for rule in MEMBER.of_type("AWS::Events::Rule").values()} == set(
        MEMBER_FORWARDERS
    )


@pytest.mark.parametrize(
    ("stack", "names"),
    [
        (HUB, {"keyward-forward", *HUB_FORWARDERS}),
        (HUB_ELSEWHERE, set(HUB_FORWARDERS)),
        (HUB_FAR_FROM_CONTROL_TOWER, {"keyward-forward", *HUB_FORWARDERS} - MAY_BE_ELSEWHERE),
    ],
    ids=["us-east-1", "elsewhere", "control-tower-elsewhere"],
)
def test_a_sweep_reads_every_rule_that_sends_to_the_bus(stack: Stack, names: set[str]) -> None:
    sending = {rule for rule, target in targets(stack) if ":event-bus/keyward" in target["Arn"]}
    assert sending == names


def test_the_member_role_is_denied_every_change_of_keyward_itself() -> None:
    (deny,) = [one for one in MEMBER.statements("MemberRole") if one["Effect"] == "Deny"]
    writes = ("Delete", "Disable", "Enable", "Put", "Remove", "Tag", "Untag", "Update")
    assert deny["Action"] == ["iam:*", *(f"events:{it}*" for it in writes), "lambda:*", "ssm:*"]
    assert deny["Resource"] == [
        "arn:aws:iam::*:role/keyward/*",
        "arn:aws:events:*:*:rule/keyward*",
        "arn:aws:events:*:*:event-bus/keyward*",
        "arn:aws:lambda:*:*:function:keyward-*",
        "arn:aws:ssm:*:*:parameter/keyward/*",
    ]
    assert "Condition" not in deny


@pytest.mark.parametrize("stack", [HUB, MEMBER])
def test_whoever_is_in_the_quarantine_group_is_denied_everything(stack: Stack) -> None:
    (group,) = stack.of_type("AWS::IAM::Group").values()
    assert (group["Path"], group["GroupName"]) == ("/keyward/", "keyward-quarantine")
    (policy,) = group["Policies"]
    assert policy["PolicyName"] == "keyward-deny-all"
    assert policy["PolicyDocument"]["Statement"] == [
        {"Effect": "Deny", "Action": "*", "Resource": "*"}
    ]


def test_iam_parts_are_made_in_one_region_and_not_twice_in_the_management_account() -> None:
    rules_only = {"ForwardRule", "WatchRule"}
    assert set(member(region="eu-west-1").resources) == rules_only
    assert set(member(account=HUB_ACCOUNT).resources) == rules_only
    assert rules_only < set(MEMBER.resources)


def test_a_member_has_no_customer_key_and_nothing_else_that_costs_by_the_month() -> None:
    kinds = {resource["Type"] for resource in MEMBER.resources.values()}
    assert kinds == {"AWS::Events::Rule", "AWS::IAM::Role", "AWS::IAM::Group"}


# ---------------------------------------------------------------- who may send


@pytest.mark.parametrize(
    ("policy", "feeding"),
    [
        ("IamGuardQueuePolicy", [*IAM_GUARD_RULES, "keyward-canary-iam"]),
        (
            "IdentityCenterGuardQueuePolicy",
            [*IDENTITY_CENTER_GUARD_RULES, "keyward-canary-identity-center"],
        ),
        ("AccountBaselineQueuePolicy", [*ACCOUNT_BASELINE_RULES, "keyward-canary-accounts"]),
        ("IamSweepQueuePolicy", ["keyward-unused-access"]),
        ("SettingsGuardQueuePolicy", ["keyward-settings", "keyward-settings-every-5-minutes"]),
    ],
)
def test_only_the_rules_that_feed_a_queue_may_send_to_it(policy: str, feeding: list[str]) -> None:
    queue = policy.removesuffix("Policy")
    (allow,) = [one for one in policy_of(HUB, policy) if one["Effect"] == "Allow"]
    senders = {arn.split("/")[-1] for arn in allow["Condition"]["ArnEquals"]["aws:SourceArn"]}
    feeders = {rule for rule, target in targets(HUB) if target["Arn"] == allow["Resource"]}
    assert senders == feeders == set(feeding)
    assert allow["Principal"] == {"Service": "events.amazonaws.com"}
    assert allow["Action"] == "sqs:SendMessage"
    assert allow["Resource"].endswith(HUB.properties(queue)["QueueName"])


@pytest.mark.parametrize("name", SENDING)
def test_a_function_comes_back_to_what_it_began_and_these_others_send_to_it(name: str) -> None:
    variable, expected = SENDING[name]
    queue = f"arn:aws:sqs:us-east-1:{HUB_ACCOUNT}:{name}"
    senders = {
        function
        for function in FUNCTIONS
        for statement in allowing(HUB, f"{function}Role", "sqs:SendMessage")
        if statement["Resource"] == [queue]
    }
    assert senders == expected
    told = {
        function: variables[variable].rpartition("/")[2]
        for function in FUNCTIONS
        for variables in [HUB.properties(function)["Environment"]["Variables"]]
        if variable in variables
    }
    assert told == dict.fromkeys(senders, name)


def test_a_function_sends_to_no_queue_but_those_and_its_own_dead_letters() -> None:
    for function in FUNCTIONS:
        own = f"{HUB.properties(function)['FunctionName']}-dead-letters"
        back = {"keyward-iam-guard", "keyward-settings-guard"} if function == "Operator" else set()
        for statement in allowing(HUB, f"{function}Role", "sqs:SendMessage"):
            names = {queue.rpartition(":")[2] for queue in statement["Resource"]}
            assert names <= {*SENDING, own, *back}


def test_dead_letters_of_rules_come_from_rules_of_keyward_only() -> None:
    (allow,) = [one for one in policy_of(HUB, "RuleDeadLettersPolicy") if one["Effect"] == "Allow"]
    assert allow["Condition"]["ArnLike"]["aws:SourceArn"] == [
        f"arn:aws:events:us-east-1:{HUB_ACCOUNT}:rule/keyward-*",
        f"arn:aws:events:us-east-1:{HUB_ACCOUNT}:rule/keyward/keyward-*",
    ]


@pytest.mark.parametrize(
    "policy",
    [
        "IamGuardQueuePolicy",
        "IdentityCenterGuardQueuePolicy",
        "AccountBaselineQueuePolicy",
        "IamSweepQueuePolicy",
        "SettingsGuardQueuePolicy",
        "SweepQueuePolicy",
        "OperatorQueuePolicy",
        "RuleDeadLettersPolicy",
        "AlertsPolicy",
    ],
)
def test_nobody_outside_the_organization_reaches_a_queue_or_the_topic(policy: str) -> None:
    (deny,) = [one for one in policy_of(HUB, policy) if one["Effect"] == "Deny"]
    assert deny["Principal"] == "*"
    assert deny["Condition"] == {
        "StringNotEqualsIfExists": {
            "aws:PrincipalAccount": HUB_ACCOUNT,
            "aws:PrincipalOrgID": ORGANIZATION,
        },
        "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
    }


def test_only_the_rules_that_tell_and_keywards_alarms_may_publish() -> None:
    alarms, rules = (one for one in policy_of(HUB, "AlertsPolicy") if one["Effect"] == "Allow")
    assert alarms["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert alarms["Condition"]["ArnLike"]["aws:SourceArn"].endswith(
        f"{HUB_ACCOUNT}:alarm:keyward-*"
    )
    senders = {arn.split("/")[-1] for arn in rules["Condition"]["ArnEquals"]["aws:SourceArn"]}
    topic = HUB.outputs["AlertsTopicArn"]
    assert senders == {rule for rule, target in targets(HUB) if target["Arn"] == topic}


def test_the_bus_admits_only_forwarded_events_of_aws_from_the_organization() -> None:
    policy = HUB.properties("BusPolicy")["Statement"]
    assert policy["Action"] == "events:PutEvents"
    assert policy["Condition"] == {
        "StringEquals": {"aws:PrincipalOrgID": ORGANIZATION},
        "Bool": {"events:eventBusInvocation": "true"},
        "ForAllValues:StringLike": {"events:source": ["aws.*", "keyward.canary"]},
    }


@pytest.mark.parametrize("stack", [HUB, MEMBER])
def test_eventbridge_may_only_put_events_onto_the_bus_of_the_hub(stack: Stack) -> None:
    region = "us-east-1" if stack is HUB else "eu-central-1"
    (statement,) = allowed(stack, "ForwarderRole")
    assert statement["Action"] == ["events:PutEvents"]
    assert statement["Resource"] == [f"arn:aws:events:{region}:{HUB_ACCOUNT}:event-bus/keyward"]
    (trust,) = stack.properties("ForwarderRole")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": stack.account}}


# ---------------------------------------------------------------- queues and failures


def test_messages_stay_hidden_for_six_times_the_functions_timeout() -> None:
    functions = HUB.of_type("AWS::Lambda::Function")
    timeouts = {one["FunctionName"]: one["Timeout"] for one in functions.values()}
    queues = {one["QueueName"]: one for one in HUB.of_type("AWS::SQS::Queue").values()}
    checked = 0
    for source in HUB.of_type("AWS::Lambda::EventSourceMapping").values():
        if queue := queues.get(source["EventSourceArn"].split(":")[-1]):
            assert queue["VisibilityTimeout"] >= 6 * timeouts[source["FunctionName"]]
            checked += 1
    assert checked == 7


def dead_letter_queues(stack: Stack) -> set[str]:
    """Return the names of all queues that something ends in."""
    functions = chain(
        stack.of_type("AWS::Lambda::EventSourceMapping").values(),
        stack.of_type("AWS::Lambda::EventInvokeConfig").values(),
    )
    arns = [
        *(
            one["RedrivePolicy"]["deadLetterTargetArn"]
            for one in stack.of_type("AWS::SQS::Queue").values()
            if "RedrivePolicy" in one
        ),
        *(target["DeadLetterConfig"]["Arn"] for _, target in targets(stack)),
        *(
            schedule["Target"]["DeadLetterConfig"]["Arn"]
            for schedule in stack.of_type("AWS::Scheduler::Schedule").values()
        ),
        *(
            one["DestinationConfig"]["OnFailure"]["Destination"]
            for one in functions
            if "DestinationConfig" in one
        ),
    ]
    return {arn.split(":")[-1] for arn in arns}


def test_no_message_expires_before_14_days_in_its_queue_or_among_the_dead_letters() -> None:
    for queue in HUB.of_type("AWS::SQS::Queue").values():
        assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600


def test_one_dead_letter_alarms() -> None:
    queues = {one["QueueName"] for one in HUB.of_type("AWS::SQS::Queue").values()}
    alarmed = {
        alarm["Dimensions"][0]["Value"]: alarm
        for alarm in HUB.of_type("AWS::CloudWatch::Alarm").values()
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
    }
    ends = dead_letter_queues(HUB)
    assert ends == {name for name in queues if name.endswith("-dead-letters")} == set(alarmed)
    assert len(ends) == 10
    for alarm in alarmed.values():
        assert alarm["Threshold"] == 1
        assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_has_dead_letters(function: str) -> None:
    name = HUB.properties(function)["FunctionName"]
    redriven = {
        queue["QueueName"]
        for queue in HUB.of_type("AWS::SQS::Queue").values()
        if "RedrivePolicy" in queue
    }
    invoked = {
        one["FunctionName"]: one["DestinationConfig"]["OnFailure"]["Destination"]
        for one in HUB.of_type("AWS::Lambda::EventInvokeConfig").values()
    }
    if function == "SlackIngress":  # Slack waits for its answer, and shows people that it failed
        assert name not in redriven | invoked.keys()
        return
    assert name in redriven or invoked[name].endswith(f":{name}-dead-letters")


def test_what_a_rule_cannot_deliver_is_kept() -> None:
    kept = f"arn:aws:sqs:us-east-1:{HUB_ACCOUNT}:keyward-rule-dead-letters"
    assert {target["DeadLetterConfig"]["Arn"] for _, target in targets(HUB)} == {kept}


def test_one_bad_record_fails_alone() -> None:
    for source in HUB.of_type("AWS::Lambda::EventSourceMapping").values():
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_queues_bound_the_concurrency_of_their_functions() -> None:
    for source in HUB.of_type("AWS::Lambda::EventSourceMapping").values():
        if ":sqs:" in source["EventSourceArn"]:
            assert 2 <= source["ScalingConfig"]["MaximumConcurrency"] <= 5


@pytest.mark.parametrize(
    "queue", [IDENTITY_CENTER_QUEUE, BASELINE_QUEUE, SWEEP_QUEUE, IAM_SWEEP_QUEUE, OPERATOR_QUEUE]
)
def test_what_takes_long_has_the_functions_time_alone(queue: str) -> None:
    (source,) = (
        one
        for one in HUB.of_type("AWS::Lambda::EventSourceMapping").values()
        if one["EventSourceArn"].endswith(f":{queue}")
    )
    assert source["BatchSize"] == 1
    assert source["ScalingConfig"] == {"MaximumConcurrency": 2}


def test_what_the_internet_reaches_can_be_bounded() -> None:
    bounded = hub(SlackConcurrency="5", **OPERATORS).of_type("AWS::Lambda::Function")
    reserved = {name: one.get("ReservedConcurrentExecutions") for name, one in bounded.items()}
    assert {name: it for name, it in reserved.items() if it} == {"SlackIngress": "5"}


def test_no_concurrency_is_reserved() -> None:
    for function in HUB.of_type("AWS::Lambda::Function").values():
        assert "ReservedConcurrentExecutions" not in function


def test_a_failing_stream_record_gives_way_after_three_tries() -> None:
    source = HUB.properties("NotifierFindings")
    assert source["MaximumRetryAttempts"] == 3
    assert source["BisectBatchOnFunctionError"] is True
    assert source["StartingPosition"] == "TRIM_HORIZON"
    destination = source["DestinationConfig"]["OnFailure"]["Destination"]
    assert destination.endswith(":keyward-notifier-dead-letters")


def test_the_stream_wakes_the_notifier_only_for_what_is_untold_and_for_canaries() -> None:
    filters = HUB.properties("NotifierFindings")["FilterCriteria"]["Filters"]
    patterns = [json.loads(one["Pattern"]) for one in filters]

    def wakes(event: Resource) -> bool:
        return any(matches(pattern, event) for pattern in patterns)

    untold = {"eventName": "MODIFY", "dynamodb": {"NewImage": {"untold": {"S": "untold"}}}}
    later = {"eventName": "MODIFY", "dynamodb": {"NewImage": {"untold": {"S": "later"}}}}
    canary = {"eventName": "MODIFY", "dynamodb": {"NewImage": {"canary": {"S": "iam"}}}}
    told = {"eventName": "MODIFY", "dynamodb": {"NewImage": {"pk": {"S": "finding"}}}}
    removed = {"eventName": "REMOVE", "dynamodb": {}}
    assert [wakes(event) for event in (untold, canary)] == [True, True]
    assert [wakes(event) for event in (later, told, removed)] == [False, False, False]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_errors_and_throttles_of_every_function_alarm(function: str) -> None:
    name = HUB.properties(function)["FunctionName"]
    dimensions = [{"Name": "FunctionName", "Value": name}]
    metrics = {
        alarm["MetricName"]
        for alarm in HUB.of_type("AWS::CloudWatch::Alarm").values()
        if alarm["Dimensions"] == dimensions
    }
    assert metrics == {"Errors", "Throttles"}


def test_waiting_events_alarm() -> None:
    waiting = {
        alarm["Dimensions"][0]["Value"]: alarm["Threshold"]
        for alarm in HUB.of_type("AWS::CloudWatch::Alarm").values()
        if alarm["MetricName"] == "ApproximateAgeOfOldestMessage"
    }
    assert waiting == {
        "keyward-iam-guard": 900,
        IDENTITY_CENTER_QUEUE: 900,
        BASELINE_QUEUE: 2 * LONGEST_DELAY_SECONDS,
        SWEEP_QUEUE: 2 * LONGEST_DELAY_SECONDS,
        IAM_SWEEP_QUEUE: 4 * 3600,
        "keyward-settings-guard": 900,
        OPERATOR_QUEUE: 300,
    }


def test_every_alarm_is_told_and_has_no_dimension_but_a_name() -> None:
    for alarm in HUB.of_type("AWS::CloudWatch::Alarm").values():
        assert alarm["AlarmActions"] == [HUB.outputs["AlertsTopicArn"]]
        assert alarm["AlarmName"].startswith("keyward-")
        known = {"FunctionName", "QueueName", "service", "way"}
        assert {one["Name"] for one in alarm["Dimensions"]} <= known


def test_the_runbook_says_of_every_alarm_what_to_do() -> None:
    text = (PROJECT / "docs" / "operations.md").read_text()
    rows = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `keyward-")}
    alarms = {one["AlarmName"] for one in HUB.of_type("AWS::CloudWatch::Alarm").values()}
    assert alarms - rows == set()


def test_the_dashboard_shows_every_queue_function_and_alarmed_metric_there_is() -> None:
    dashboard = HUB.properties("Dashboard")
    assert dashboard["DashboardName"] == "keyward"
    shown = json.dumps(json.loads(dashboard["DashboardBody"]))
    assert "{!" not in shown
    for queue in HUB.of_type("AWS::SQS::Queue").values():
        assert f'"{queue["QueueName"]}"' in shown
    for function in HUB.of_type("AWS::Lambda::Function").values():
        assert f'"{function["FunctionName"]}"' in shown
    for alarm in HUB.of_type("AWS::CloudWatch::Alarm").values():
        assert f'"{alarm["MetricName"]}"' in shown


# ---------------------------------------------------------------- sweeps and canaries

DEFAULT_BUS = f"arn:aws:events:us-east-1:{HUB_ACCOUNT}:event-bus/default"
BEGUN = {"keyward-sweep": False, "keyward-sweep-full": True}
"""The schedules of sweeps, and whether theirs are full."""


def schedules(stack: Stack) -> dict[str, Resource]:
    return {one["Name"]: one for one in stack.of_type("AWS::Scheduler::Schedule").values()}


def test_a_schedule_is_punctual_and_what_it_cannot_deliver_is_kept() -> None:
    found = schedules(HUB)
    assert set(found) == {*BEGUN, *CANARY_RULES}
    for one in found.values():
        assert one["State"] == "ENABLED"
        assert one["FlexibleTimeWindow"] == {"Mode": "OFF"}
        assert one["GroupName"] == "keyward"
        assert one["Target"]["RoleArn"].endswith(":role/keyward/keyward-scheduler")
        assert one["Target"]["DeadLetterConfig"]["Arn"].endswith(":keyward-rule-dead-letters")


@pytest.mark.parametrize("name", BEGUN)
def test_a_schedule_asks_for_a_sweep_in_words_that_are_understood(name: str) -> None:
    target = schedules(HUB)[name]["Target"]
    assert target["Arn"] == f"arn:aws:sqs:us-east-1:{HUB_ACCOUNT}:{SWEEP_QUEUE}"
    step = events.message(events.loads(target["Input"]))
    assert step == SweepStep(id="scheduled", part=SweepPart.START, full=BEGUN[name])


def hours(expression: str) -> set[int]:
    """Return the hours of a day in which a schedule begins, at minute 17.

    Source: https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#cron-based
    """
    minute, hour, *rest = expression.removeprefix("cron(").removesuffix(")").split()
    assert (minute, rest) == ("17", ["*", "*", "?", "*"])
    first, _, step = hour.partition("/")
    return set(range(int(first), 24, int(step))) if step else {int(first)}


EVERY = transformed("template.yaml")["Parameters"]["SweepHours"]["AllowedValues"]


@pytest.mark.parametrize("every", EVERY)
def test_a_sweep_begins_so_often_and_the_days_first_is_the_full_one(every: int) -> None:
    found = schedules(hub(SweepHours=str(every)))
    often, full = (hours(found[name]["ScheduleExpression"]) for name in BEGUN)
    assert full == {0}
    assert often | full == set(range(0, 24, every)), "evenly, over midnight too"
    assert not often & full, "two at once would be one"


def silences(stack: Stack) -> dict[str, Resource]:
    """Return the alarms that go off where nothing is counted, by name."""
    return {
        one["AlarmName"]: one
        for one in stack.of_type("AWS::CloudWatch::Alarm").values()
        if one["TreatMissingData"] == "breaching"
    }


@pytest.mark.parametrize("every", EVERY)
def test_silence_alarms_after_the_time_of_two_and_within_what_cloudwatch_looks_back(
    every: int,
) -> None:
    found = silences(hub(SweepHours=str(every)))
    seconds = {name: one["Period"] * one["EvaluationPeriods"] for name, one in found.items()}
    assert set(found) == {
        *CANARY_RULES,
        *("keyward-canary-told", "keyward-retell-runs", "keyward-settings-runs"),
        *("keyward-sweep-completed", "keyward-full-sweep-completed"),
    }
    longest = LONGEST.total_seconds()
    assert seconds["keyward-sweep-completed"] >= max(2 * every * 3600, every * 3600 + longest)
    assert seconds["keyward-full-sweep-completed"] >= 24 * 3600 + longest
    for name, one in found.items():
        # Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
        assert seconds[name] <= (604_800 if one["Period"] >= 3600 else 86_400)
        if "sweep" not in name:
            assert 2 * 600 <= seconds[name] <= 1800, "of canaries two are missing by then"


def test_the_scheduler_sends_canaries_and_begins_sweeps_and_nothing_else() -> None:
    (trust,) = HUB.properties("SchedulerRole")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {
            "aws:SourceAccount": HUB_ACCOUNT,
            "aws:SourceArn": f"arn:aws:scheduler:us-east-1:{HUB_ACCOUNT}:schedule-group/keyward",
        }
    }
    rights = {
        (action, resource): one.get("Condition")
        for one in allowed(HUB, "SchedulerRole")
        for action in one["Action"]
        for resource in one["Resource"]
    }
    queue = f"arn:aws:sqs:us-east-1:{HUB_ACCOUNT}:"
    assert rights == {
        ("events:PutEvents", DEFAULT_BUS): {
            "ForAllValues:StringEquals": {"events:source": CANARY},
            "Null": {"events:source": "false"},
        },
        ("sqs:SendMessage", f"{queue}{SWEEP_QUEUE}"): None,
        ("sqs:SendMessage", f"{queue}keyward-rule-dead-letters"): None,
    }


@pytest.mark.parametrize("way", WAYS)
def test_a_canary_comes_from_this_account_and_goes_one_way_alone(way: str) -> None:
    target = schedules(HUB)[f"keyward-canary-{way}"]["Target"]
    assert target["Arn"] == DEFAULT_BUS
    detail = json.loads(target["Input"])
    assert detail == {"sent": "<aws.scheduler.scheduled-time>", "way": way}
    canary = {
        "source": target["EventBridgeParameters"]["Source"],
        "detail-type": target["EventBridgeParameters"]["DetailType"],
        "account": HUB_ACCOUNT,
        "detail": detail,
    }
    for stack in (HUB, HUB_ELSEWHERE, HUB_FAR_FROM_CONTROL_TOWER, EVERYTHING_ELSEWHERE):
        took = {
            bus: [name for name, pattern in stack.patterns(bus).items() if matches(pattern, canary)]
            for bus in ("default", "keyward")
        }
        assert len(took["default"]) == 1, "one rule switched off silences it"
        assert took["keyward"] == [f"keyward-canary-{way}"]
        theirs = canary | {"account": MEMBER_ACCOUNT}
        assert not any(matches(pattern, theirs) for pattern in stack.patterns("keyward").values())


def test_what_access_analyzer_finds_unused_of_a_user_is_a_reason_to_look() -> None:
    detail = {
        "accountId": MEMBER_ACCOUNT,
        "status": "ACTIVE",
        "findingType": "UnusedIAMUserAccessKey",
    }
    found = {
        "source": "aws.access-analyzer",
        "detail-type": "Unused Access Finding for IAM entities",
        "account": HUB_ACCOUNT,
        "detail": detail,
    }
    pattern = HUB.patterns("keyward")["keyward-unused-access"]
    assert reaches_bus(HUB, found)
    assert matches(pattern, found)
    for other in ({"findingType": "UnusedIAMRole"}, {"status": "RESOLVED"}):
        assert not matches(pattern, found | {"detail": detail | other})


def test_the_sweep_lists_sends_and_notes_and_nothing_else() -> None:
    actions = {action for one in allowed(HUB, "SweepRole") for action in one["Action"]}
    assert {one for one in actions if one.partition(":")[0] not in {"dynamodb", "logs", "sqs"}} == {
        "organizations:ListAccounts"
    }


# ---------------------------------------------------------------- what is stored


def test_inventories_are_encrypted_kept_for_a_while_and_this_accounts_alone() -> None:
    resource, bucket = HUB.resources["Inventory"], HUB.properties("Inventory")
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
    assert HUB.outputs["InventoryBucket"] == f"keyward-inventory-{HUB_ACCOUNT}-us-east-1"
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert (rule["ExpirationInDays"], rule["Status"]) == (400, "Enabled")
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    arn = f"arn:aws:s3:::keyward-inventory-{HUB_ACCOUNT}-us-east-1"
    denied = {
        one["Sid"]: one["Condition"]
        for one in policy_of(HUB, "InventoryPolicy")
        if one["Effect"] == "Deny" and one["Resource"] == [arn, f"{arn}/*"]
    }
    assert denied == {
        "EncryptedOnTheWay": {"Bool": {"aws:SecureTransport": "false"}},
        "ThisAccountOnly": {
            "StringNotEquals": {"aws:PrincipalAccount": HUB_ACCOUNT},
            "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
        },
    }


def rights_in(bucket: str) -> dict[tuple[str, str], list[str]]:
    """Return who may do what where in a bucket of Keyward's."""
    arn = f"arn:aws:s3:::keyward-{bucket}-{HUB_ACCOUNT}-us-east-1"
    return {
        (function, action): [resource.removeprefix(f"{arn}/") for resource in one["Resource"]]
        for function in FUNCTIONS
        for one in allowed(HUB, f"{function}Role")
        for action in one["Action"]
        if action.startswith("s3:") and one["Resource"][0].startswith(arn)
    }


def test_a_guard_leaves_its_own_part_of_an_inventory_and_operator_and_report_read() -> None:
    listed = ["arn:aws:s3:::keyward-inventory-111122223333-us-east-1"]
    assert rights_in("inventory") == {
        ("IamGuard", "s3:PutObject"): ["inventory/*/iam/*"],
        ("IdentityCenterGuard", "s3:PutObject"): ["inventory/*/identity-center/*"],
        ("Operator", "s3:GetObject"): ["inventory/*"],
        ("Operator", "s3:ListBucket"): listed,
        ("Report", "s3:GetObject"): ["inventory/*"],
        ("Report", "s3:ListBucket"): listed,
    }


def test_reports_are_written_by_their_function_and_deleted_by_nobody() -> None:
    listed = ["arn:aws:s3:::keyward-reports-111122223333-us-east-1"]
    assert rights_in("reports") == {
        ("Operator", "s3:GetObject"): ["reports/*"],
        ("Operator", "s3:ListBucket"): listed,
        ("Report", "s3:GetObject"): ["reports/*"],
        ("Report", "s3:PutObject"): ["reports/*"],
        ("Report", "s3:ListBucket"): listed,
    }


def test_reports_are_encrypted_kept_and_locked_where_a_parameter_says_so() -> None:
    resource, bucket = HUB.resources["Reports"], HUB.properties("Reports")
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert not [one for one in bucket["LifecycleConfiguration"]["Rules"] if "Expiration" in one]
    assert bucket["ObjectLockEnabled"] is True
    retention = bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert retention == {"Mode": "GOVERNANCE", "Days": "30"}
    assert "ObjectLockConfiguration" not in HUB_ALONE.properties("Reports")
    denied = {one["Sid"] for one in policy_of(HUB, "ReportsPolicy") if one["Effect"] == "Deny"}
    assert denied == {"EncryptedOnTheWay", "ThisAccountOnly"}


def test_every_queue_is_encrypted() -> None:
    for queue in HUB.of_type("AWS::SQS::Queue").values():
        assert queue["SqsManagedSseEnabled"] is True


def test_the_topics_key_may_be_used_by_alarms_and_rules() -> None:
    assert HUB.properties("Alerts")["KmsMasterKeyId"] == "ref-AlertsKey"
    key = HUB.properties("AlertsKey")
    assert key["EnableKeyRotation"] is True
    users = {
        one["Principal"]["Service"]: one
        for one in key["KeyPolicy"]["Statement"]
        if "Service" in one["Principal"]
    }
    assert set(users) == {"cloudwatch.amazonaws.com", "events.amazonaws.com"}
    for one in users.values():
        assert one["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]
    # EventBridge names no source to KMS: a condition would drop every message silently.
    assert "Condition" not in users["events.amazonaws.com"]


@pytest.mark.parametrize("function", ["Notifier", "Operator"])
def test_who_publishes_may_use_the_topics_key_for_that_alone(function: str) -> None:
    (statement,) = allowing(HUB, f"{function}Role", "kms:GenerateDataKey")
    condition = {"StringEquals": {"kms:ViaService": "sns.us-east-1.amazonaws.com"}}
    assert statement["Condition"] == condition


def test_the_ledger_can_be_recovered_and_outlives_the_stack() -> None:
    resource, table = HUB.resources["Ledger"], HUB.properties("Ledger")
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
    assert table["DeletionProtectionEnabled"] is True
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert table["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}


def test_the_ledger_is_found_by_state_by_what_is_untold_and_by_what_is_open_where() -> None:
    keys = {
        index["IndexName"]: [one["AttributeName"] for one in index["KeySchema"]]
        for index in HUB.properties("Ledger")["GlobalSecondaryIndexes"]
    }
    assert keys == {
        "by_state": ["gsi_state", "updated_at"],
        "untold": ["untold", "updated_at"],
        "open_in": ["open_in", "open_of"],
    }


@pytest.mark.parametrize("function", FUNCTIONS)
def test_logs_of_every_function_end(function: str) -> None:
    group = HUB.properties(function)["LoggingConfig"]["LogGroup"]
    kept = {one["LogGroupName"]: one for one in HUB.of_type("AWS::Logs::LogGroup").values()}
    assert kept[group]["RetentionInDays"] == "90"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_are_told_names_and_no_secret(function: str) -> None:
    told = set(HUB.properties(function)["Environment"]["Variables"])
    everywhere = {
        "KEYWARD_HUB_ACCOUNT",
        "KEYWARD_TABLE",
        "POWERTOOLS_METRICS_NAMESPACE",
        "POWERTOOLS_SERVICE_NAME",
    }
    some = {
        **dict(SENDING.values()),
        "KEYWARD_INVENTORY_BUCKET": {"IamGuard", "IdentityCenterGuard", "Operator", "Report"},
        "KEYWARD_TOPIC_ARN": {"Notifier", "Operator"},
        "KEYWARD_OUT_BUS": {"Notifier"},
        "KEYWARD_SECURITY_HUB": {"Notifier"},
        "KEYWARD_MAIL_FROM": {"Notifier"},
        "KEYWARD_SLACK_SECRET_ARN": {"Notifier", "Operator"},
        "KEYWARD_SLACK_URL": {"Notifier", "Operator"},
        "KEYWARD_SLACK_SIGNING_SECRET_ARN": {"Operator", "SlackIngress"},
        "KEYWARD_REPORTS_BUCKET": {"Operator", "Report"},
        "KEYWARD_REPORT_FUNCTION": {"Operator"},
    }
    assert told == everywhere | {name for name, functions in some.items() if function in functions}


class Variables(dict[str, str]):
    """An environment that remembers what was looked up in it."""

    def __init__(self, given: dict[str, str]) -> None:
        super().__init__(given)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]  # no None here
        self.read.add(name)
        return super().get(name, default)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_read_all_that_they_are_told(function: str) -> None:
    variables = Variables(HUB.properties(function)["Environment"]["Variables"])
    environment = Environment.of(variables)
    if function == "SlackIngress":
        DoorEnvironment.of(variables)
    assert {name for name in variables if not name.startswith("POWERTOOLS_")} <= variables.read
    assert environment.table == "keyward-ledger"
    assert environment.hub_account == HUB_ACCOUNT


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_functions_run_on_the_architecture_that_was_chosen(architecture: str) -> None:
    for function in hub(Architecture=architecture).of_type("AWS::Lambda::Function").values():
        assert function["Architectures"] == [architecture]
        assert function["Runtime"] == "python3.13"


def test_what_passed_the_bus_can_be_replayed() -> None:
    archive = HUB.properties("Archive")
    assert archive["SourceArn"] == HUB.outputs["BusArn"]
    assert "EventPattern" not in archive


# ---------------------------------------------------------------- patterns


def is_canary(one: Resource) -> bool:
    """Return whether this alternative takes canaries, and nothing but canaries of named ways."""
    return one["source"] == [CANARY] and set(one["detail"]) == {"way"}


def all_patterns() -> list[tuple[str, Resource]]:
    return [
        (f"{place}/{bus}/{name}", pattern)
        for place, stack in (
            ("hub", HUB_WITH_DELEGATE),
            ("elsewhere", HUB_ELSEWHERE),
            ("far-from-control-tower", HUB_FAR_FROM_CONTROL_TOWER),
            ("member", MEMBER),
            ("delegate", THE_DELEGATE),
        )
        for bus in ("default", "keyward")
        for name, pattern in stack.patterns(bus).items()
    ]


@pytest.mark.parametrize(("name", "pattern"), all_patterns())
def test_a_pattern_fits_eventbridges_limit(name: str, pattern: Resource) -> None:
    assert len(json.dumps(pattern)) <= 2048, name


@pytest.mark.parametrize(("name", "pattern"), all_patterns())
def test_a_pattern_takes_nothing_that_a_customer_could_have_put(
    name: str, pattern: Resource
) -> None:
    forged = record("iam", "CreateUser", userName="mallory") | {"source": "com.example.iam"}
    assert not matches(pattern, forged), name
    for one in branches(pattern):
        (source,) = one["source"]
        assert is_canary(one) or source in ({"prefix": "aws."}, "aws.ssm", "aws.access-analyzer")


@pytest.mark.parametrize(("name", "pattern"), all_patterns())
def test_every_alternative_of_a_pattern_names_the_service(name: str, pattern: Resource) -> None:
    for one in branches(pattern):
        parameter_store = one.get("detail-type") == ["Parameter Store Change"]
        analyzer = one.get("detail-type") == ["Unused Access Finding for IAM entities"]
        assert parameter_store or analyzer or is_canary(one) or one["detail"]["eventSource"], name


@pytest.mark.parametrize("rule", GUARD_RULES)
def test_the_guards_rules_take_no_failed_call(rule: str) -> None:
    for one in branches(HUB.patterns("keyward")[rule]):
        expected = None if rule in TELLING_OF_FAILURES else [{"exists": False}]
        assert one["detail"].get("errorCode") == expected


def test_the_guard_hears_of_no_other_group() -> None:
    pattern = HUB.patterns("keyward")["keyward-quarantine-group"]
    ours = record("iam", "DeleteGroup", groupName="keyward-quarantine")
    theirs = record("iam", "DeleteGroup", groupName="keyward-quarantine-2")
    assert [matches(pattern, one) for one in (ours, theirs)] == [True, False]


# ---------------------------------------------------------------- how events get to the hub


def test_iam_events_of_a_member_reach_the_hub_failed_ones_too() -> None:
    event = record("iam", "CreateUser", account=MEMBER_ACCOUNT, userName="alice")
    assert reaches_bus(MEMBER, event)
    event["detail"]["errorCode"] = "AccessDenied"
    assert reaches_bus(MEMBER, event)


def test_iam_events_of_the_management_account_reach_the_hub_wherever_it_is() -> None:
    event = record("iam", "CreateUser", userName="alice")
    assert reaches_bus(HUB, event)
    assert not reaches_bus(HUB_ELSEWHERE, event), "IAM has no events in that region"
    stack_set = HUB_ELSEWHERE.properties("HubInUsEast1")
    assert stack_set["StackInstancesGroup"] == [
        {"DeploymentTargets": {"Accounts": [HUB_ACCOUNT]}, "Regions": ["us-east-1"]}
    ]
    assert reaches_bus(member(account=HUB_ACCOUNT), event)
    assert "HubInUsEast1" not in HUB.resources, "one rule forwards, not two"


OF_ADMINISTRATORS = [
    record("sso", "DeletePermissionSet"),
    record("sso-directory", "CreateBearerToken"),
    record("identitystore", "CreateGroupMembership"),
    record("identitystore-scim", "PatchGroup"),
    record("account-access", "CreateEntitlement"),
]


def service(event: Resource) -> str:
    return str(event["source"])


@pytest.mark.parametrize("stack", [HUB, HUB_ELSEWHERE], ids=["us-east-1", "elsewhere"])
@pytest.mark.parametrize("event", OF_ADMINISTRATORS, ids=service)
def test_identity_center_of_the_management_account_reaches_the_hub_failed_calls_too(
    event: Resource, stack: Stack
) -> None:
    assert reaches_bus(stack, event)
    assert reaches_bus(stack, event | {"detail": event["detail"] | {"errorCode": "AccessDenied"}})


@pytest.mark.parametrize("event", OF_ADMINISTRATORS, ids=service)
def test_what_the_delegated_administrator_does_reaches_the_hub_wherever_it_is(
    event: Resource,
) -> None:
    event = event | {"account": MEMBER_ACCOUNT}
    assert reaches_bus(THE_DELEGATE, event)
    patterns = HUB_ELSEWHERE_WITH_DELEGATE.patterns("keyward")
    assert any(matches(patterns[name], event) for name in IDENTITY_CENTER_GUARD_RULES)
    here = member(hub_region="us-east-1", delegated=MEMBER_ACCOUNT)
    assert reaches_bus(here, event), "where the hub is in us-east-1, the rule of every member"
    in_us_east_1 = member(delegated=MEMBER_ACCOUNT)
    assert not reaches_bus(in_us_east_1, event), "no region of the organization's instance"
    assert not reaches_bus(member(region="eu-central-1"), event), "no administrator"


@pytest.mark.parametrize("event", OF_ADMINISTRATORS, ids=service)
def test_what_a_member_does_in_an_instance_of_its_own_is_not_judged(event: Resource) -> None:
    theirs = event | {"account": "999988887777"}
    for name in IDENTITY_CENTER_GUARD_RULES:
        assert not matches(HUB_WITH_DELEGATE.patterns("keyward")[name], theirs)
        pattern = HUB.patterns("keyward")[name]
        assert not matches(pattern, event | {"account": MEMBER_ACCOUNT}), "nobody is delegated"


def test_of_a_members_identity_center_only_that_it_makes_an_instance_reaches_the_hub() -> None:
    made = record("sso", "CreateInstance", account=MEMBER_ACCOUNT)
    other = record("sso", "UpdateInstance", account=MEMBER_ACCOUNT)
    assert reaches_bus(MEMBER, made)
    assert not reaches_bus(MEMBER, other)
    assert matches(HUB.patterns("keyward")["keyward-instances"], made)


def test_completed_sign_ins_reach_the_hub_and_no_other_word_of_signing_in() -> None:
    assert reaches_bus(HUB, record("signin", "UserAuthentication"))
    assert not reaches_bus(HUB, record("signin", "CredentialChallenge"))
    assert not reaches_bus(HUB, record("signin", "ConsoleLogin"))


@pytest.mark.parametrize(
    "name", ["RegisterDelegatedAdministrator", "DeregisterDelegatedAdministrator"]
)
def test_who_is_delegated_reaches_the_hub_wherever_it_is(name: str) -> None:
    event = record("organizations", name, servicePrincipal="sso.amazonaws.com")
    other = record("organizations", name, servicePrincipal="config.amazonaws.com")
    assert reaches_bus(HUB, event)
    assert reaches_bus(member(account=HUB_ACCOUNT), event)
    pattern = HUB.patterns("keyward")["keyward-delegation"]
    assert [matches(pattern, one) for one in (event, other)] == [True, False]


FINISHED = [
    record("controltower", name) | {"detail-type": "AWS Service Event via CloudTrail"}
    for name in (
        "CreateManagedAccount",
        "EnableBaseline",
        "RegisterOrganizationalUnit",
        "ResetEnabledBaseline",
        "UpdateEnabledBaseline",
        "UpdateManagedAccount",
    )
]


def name_of(event: Resource) -> str:
    return str(event["detail"]["eventName"])


@pytest.mark.parametrize("event", FINISHED, ids=name_of)
def test_what_control_tower_has_finished_or_failed_at_reaches_the_hub_wherever_it_is(
    event: Resource,
) -> None:
    for stack in (HUB, HUB_ELSEWHERE, member(account=HUB_ACCOUNT, region="eu-west-1")):
        assert reaches_bus(stack, event)
    failed = event | {"detail": event["detail"] | {"errorCode": "FAILED"}}
    pattern = HUB.patterns("keyward")["keyward-account-lifecycle"]
    assert matches(pattern, event)
    assert matches(pattern, failed)


@pytest.mark.parametrize("event", FINISHED, ids=name_of)
def test_what_control_tower_is_only_asked_for_is_no_event_of_an_account(event: Resource) -> None:
    asked = event | {"detail-type": "AWS API Call via CloudTrail"}
    assert not reaches_bus(HUB, asked)
    for name in ACCOUNT_BASELINE_RULES:
        assert not matches(HUB.patterns("keyward")[name], asked)


@pytest.mark.parametrize("event", FINISHED, ids=name_of)
def test_another_account_tells_nothing_in_control_towers_name(event: Resource) -> None:
    theirs = event | {"account": MEMBER_ACCOUNT}
    for name in ACCOUNT_BASELINE_RULES:
        assert not matches(HUB.patterns("keyward")[name], theirs)


@pytest.mark.parametrize(
    ("home", "tower", "hubs_rule", "regions"),
    [
        ("us-east-1", "", True, set()),
        ("us-east-1", "us-east-1", True, set()),
        ("us-east-1", "eu-west-1", False, {"eu-west-1"}),
        ("eu-central-1", "", True, {"us-east-1"}),
        ("eu-central-1", "eu-central-1", True, {"us-east-1"}),
        ("eu-central-1", "us-east-1", False, {"us-east-1"}),
        ("eu-central-1", "eu-west-1", False, {"us-east-1", "eu-west-1"}),
    ],
)
def test_control_towers_home_is_served_once_and_no_region_twice(
    home: str, tower: str, *, hubs_rule: bool, regions: set[str]
) -> None:
    stack = hub(region=home, ControlTowerRegion=tower)
    served = [
        region
        for one in stack.of_type("AWS::CloudFormation::StackSet").values()
        if one["PermissionModel"] == "SELF_MANAGED"
        for group in one["StackInstancesGroup"]
        for region in group["Regions"]
    ]
    assert sorted(served) == sorted(regions)
    assert ("keyward-forward-control-tower" in stack.patterns("default")) is hubs_rule
    assert hubs_rule or tower in served
    assert ("StackSetExecutionRole" in stack.resources) is bool(regions)
    if regions:
        allowed_in = {
            resource.split(":")[3]
            for action in ("cloudformation:CreateStack", "events:PutRule")
            for one in allowing(stack, "StackSetExecutionRole", action)
            for resource in one["Resource"]
        }
        assert allowed_in == regions


ABOUT_ACCOUNTS = [
    record("organizations", "AcceptHandshake"),
    record("organizations", "AccountJoinedOrganization"),
    record("organizations", "CreateAccountResult"),
    record("organizations", "MoveAccount"),
    record("organizations", "TagResource", resourceId=MEMBER_ACCOUNT),
    record("organizations", "UntagResource", resourceId=MEMBER_ACCOUNT),
]


@pytest.mark.parametrize("event", ABOUT_ACCOUNTS, ids=name_of)
def test_accounts_that_come_move_or_are_tagged_reach_the_hub_wherever_it_is(
    event: Resource,
) -> None:
    service = event | {"detail-type": "AWS Service Event via CloudTrail"}
    for one in (event, service):
        assert reaches_bus(HUB, one)
        assert reaches_bus(member(account=HUB_ACCOUNT), one)
        taken = [
            name for name in ACCOUNT_BASELINE_RULES if matches(HUB.patterns("keyward")[name], one)
        ]
        assert len(taken) == 1


def test_an_assignment_that_an_administrator_of_identity_center_takes_away_is_looked_at() -> None:
    pattern = HUB_WITH_DELEGATE.patterns("keyward")["keyward-removed-assignments"]
    removed = record("sso", "DeleteAccountAssignment")
    assert reaches_bus(HUB, removed)
    assert matches(pattern, removed)
    assert matches(pattern, removed | {"account": MEMBER_ACCOUNT})
    assert not matches(pattern, removed | {"account": "999988887777"})
    failed = removed | {"detail": removed["detail"] | {"errorCode": "AccessDenied"}}
    assert not matches(pattern, failed)


def test_a_bus_as_target_has_a_role() -> None:
    for stack in (HUB, HUB_ELSEWHERE, MEMBER, THE_DELEGATE, member(account=HUB_ACCOUNT)):
        forwarder = f"arn:aws:iam::{stack.account}:role/keyward/keyward-forwarder"
        found = [one for _, one in targets(stack) if ":event-bus/" in one["Arn"]]
        assert found
        assert {one["RoleArn"] for one in found} == {forwarder}


def test_a_changed_setting_reaches_the_settings_guard() -> None:
    change = {
        "source": "aws.ssm",
        "account": HUB_ACCOUNT,
        "detail-type": "Parameter Store Change",
        "detail": {"name": "/keyward/settings", "operation": "Update"},
    }
    other = change | {"detail": {"name": "/keywards/settings", "operation": "Update"}}
    pattern = HUB.patterns("keyward")["keyward-settings"]
    assert reaches_bus(HUB, change)
    assert matches(pattern, change)
    assert not reaches_bus(HUB, other)
    assert not matches(pattern, change | {"account": MEMBER_ACCOUNT}), (
        "settings live in the hub only"
    )


# ---------------------------------------------------------------- tampering

QUEUES = f"https://sqs.us-east-1.amazonaws.com/{HUB_ACCOUNT}/"
ARN = f"us-east-1:{HUB_ACCOUNT}"
SILENCING = [
    record("events", "DisableRule", name="keyward-forward"),
    record("events", "DisableRule", name="keyward-forward-identity-center"),
    record("lambda", "UpdateFunctionCode20150331v2", functionName="keyward-identity-center-guard"),
    record("sqs", "PurgeQueue", queueUrl=f"{QUEUES}keyward-identity-center-guard"),
    record("events", "DisableRule", name="keyward-forward-control-tower"),
    record("events", "DeleteRule", name="keyward-account-lifecycle", eventBusName="keyward"),
    record("lambda", "UpdateFunctionCode20150331v2", functionName="keyward-account-baseline"),
    record("sqs", "PurgeQueue", queueUrl=f"{QUEUES}keyward-account-baseline"),
    record("cloudformation", "DeleteStackSet", stackSetName="keyward-hub-control-tower"),
    record("cloudformation", "DeleteStackSet", stackSetName="keyward-delegated-administrator"),
    record("events", "DeleteRule", name="keyward-iam-users", eventBusName="keyward"),
    record("events", "PutRule", name="keyward-iam-users", state="DISABLED"),
    record("events", "RemoveTargets", rule="keyward-tampered", ids=["iam-guard"]),
    record("events", "PutTargets", rule="keyward-tampered"),
    record("events", "DeleteEventBus", name="keyward"),
    record("events", "PutPermission", eventBusName="keyward"),
    record("events", "RemovePermission", eventBusName=f"arn:aws:events:{ARN}:event-bus/keyward"),
    record("lambda", "UpdateFunctionCode20150331v2", functionName="keyward-iam-guard"),
    record(
        "lambda",
        "UpdateFunctionConfiguration20150331v2",
        functionName=f"arn:aws:lambda:{ARN}:function:keyward-notifier",
    ),
    record("lambda", "DeleteFunction20150331", functionName="keyward-notifier"),
    record("lambda", "PutFunctionConcurrency20171031", functionName="keyward-iam-guard"),
    record("lambda", "AddPermission20150331v2", functionName="keyward-operator"),
    record("lambda", "CreateFunctionUrlConfig", functionName="keyward-operator"),
    record("lambda", "UpdateFunctionUrlConfig", functionName="keyward-slack-ingress"),
    record("secretsmanager", "PutSecretValue", secretId="keyward/slack-signing"),
    record("secretsmanager", "UpdateSecret", secretId=SIGNING_SECRET),
    record("secretsmanager", "DeleteSecret", secretId=SLACK_SECRET),
    record("secretsmanager", "UpdateSecretVersionStage", secretId="keyward/slack-signing"),
    record("secretsmanager", "PutResourcePolicy", secretId="keyward/slack"),
    record("dynamodb", "DeleteTable", tableName="keyward-ledger"),
    record("dynamodb", "UpdateTable", tableName=f"arn:aws:dynamodb:{ARN}:table/keyward-ledger"),
    record("sqs", "PurgeQueue", queueUrl=f"{QUEUES}keyward-iam-guard"),
    record("sqs", "SetQueueAttributes", queueUrl=f"{QUEUES}keyward-iam-guard"),
    record("sqs", "DeleteQueue", queueUrl=f"{QUEUES}keyward-iam-guard"),
    record("sns", "DeleteTopic", topicArn=f"arn:aws:sns:{ARN}:keyward-alerts"),
    record("sns", "SetTopicAttributes", topicArn=f"arn:aws:sns:{ARN}:keyward-alerts"),
    record("sns", "Unsubscribe", subscriptionArn=f"arn:aws:sns:{ARN}:keyward-alerts:1-2-3"),
    record("scheduler", "DeleteSchedule", name="keyward-canary-iam", groupName="keyward"),
    record("scheduler", "UpdateSchedule", name="keyward-sweep", groupName="keyward"),
    record("scheduler", "DeleteScheduleGroup", name="keyward"),
    record("s3", "DeleteBucket", bucketName=f"keyward-inventory-{HUB_ACCOUNT}-us-east-1"),
    record("s3", "PutBucketPolicy", bucketName=f"keyward-inventory-{HUB_ACCOUNT}-us-east-1"),
    record("cloudformation", "DeleteStack", stackName="keyward"),
    record(
        "cloudformation",
        "UpdateStack",
        stackName=f"arn:aws:cloudformation:{ARN}:stack/keyward/1-2-3",
    ),
    record("cloudformation", "DeleteStackSet", stackSetName="keyward-members"),
    record("cloudformation", "UpdateStackSet", stackSetName="keyward-members:1-2-3"),
    record("cloudformation", "DeleteStackInstances", stackSetName="keyward-members"),
]
HARMLESS = [
    record("events", "DisableRule", name="backup"),
    record("events", "PutTargets", rule="backup", eventBusName="orders"),
    record("lambda", "UpdateFunctionCode20150331v2", functionName="shop"),
    record("dynamodb", "DeleteTable", tableName="shop"),
    record("s3", "DeleteBucket", bucketName="shop-inventory-of-keyward-x"),
    record("scheduler", "DeleteSchedule", name="nightly", groupName="shop"),
    record("secretsmanager", "PutSecretValue", secretId="shop/keyward/slack"),
    record("sqs", "PurgeQueue", queueUrl=f"{QUEUES}shop"),
    record("sns", "Unsubscribe", subscriptionArn=f"arn:aws:sns:{ARN}:shop:1-2-3"),
    record("cloudformation", "DeleteStack", stackName="shop"),
    record("ssm", "PutParameter", name="/shop/keyward"),
]


def title(event: Resource) -> str:
    detail = event["detail"]
    return f"{detail['eventName']}-{next(iter(detail['requestParameters'].values()))}"


@pytest.mark.parametrize("event", SILENCING, ids=title)
def test_what_silences_keyward_reaches_the_guard(event: Resource) -> None:
    assert reaches_bus(HUB, event)
    assert matches(HUB.patterns("keyward")["keyward-tampered"], event)


@pytest.mark.parametrize("event", SILENCING, ids=title)
@pytest.mark.parametrize("stack", [HUB, HUB_ELSEWHERE], ids=["us-east-1", "elsewhere"])
def test_what_silences_keyward_is_told_without_its_bus_and_functions(
    stack: Stack, event: Resource
) -> None:
    assert told_directly(stack, event)


@pytest.mark.parametrize("event", HARMLESS, ids=title)
def test_what_concerns_others_is_neither_judged_nor_told(event: Resource) -> None:
    assert not reaches_bus(HUB, event)
    assert not told_directly(HUB, event)


@pytest.mark.parametrize("name", ["DisableRule", "DeleteRule", "PutRule"])
def test_the_rules_that_watch_are_watched_by_another(name: str) -> None:
    watching = "keyward-watch-rules"
    assert set(told_directly(HUB, record("events", name, name=watching))) > {watching}
    other = "keyward-watch-watchers"
    assert set(told_directly(HUB, record("events", name, name=other))) - {other}


@pytest.mark.parametrize("stack", [MEMBER, THE_DELEGATE], ids=["us-east-1", "elsewhere"])
@pytest.mark.parametrize("name", ["keyward-forward", "keyward-forward-watch"])
def test_a_disabled_rule_of_a_member_is_reported_by_the_other_one(name: str, stack: Stack) -> None:
    event = record("events", "DisableRule", account=MEMBER_ACCOUNT, name=name)
    reporting = [
        rule for rule, pattern in stack.patterns("default").items() if matches(pattern, event)
    ]
    assert set(reporting) - {name}
    assert matches(HUB.patterns("keyward")["keyward-tampered"], event)


ROLE_CHANGE = record("iam", "DetachRolePolicy", roleName="keyward-iam-guard")


def test_a_changed_role_of_keyward_is_judged_in_every_account_and_told_directly_in_its_own() -> (
    None
):
    there = ROLE_CHANGE | {"account": MEMBER_ACCOUNT}
    for event in (ROLE_CHANGE, there):
        assert matches(HUB.patterns("keyward")["keyward-tampered-roles"], event)
    assert told_directly(HUB, ROLE_CHANGE, bus="keyward")
    assert not told_directly(HUB, there, bus="keyward"), "a StackSet update changes it everywhere"


def test_a_disabled_forwarder_in_another_region_of_the_management_account_is_told_directly() -> (
    None
):
    event = record("events", "DisableRule", name="keyward-forward")
    assert reaches_bus(member(account=HUB_ACCOUNT), event)
    assert told_directly(HUB_ELSEWHERE, event, bus="keyward")
    assert not told_directly(HUB, event, bus="keyward"), "told once already, from the default bus"


def test_what_is_told_directly_says_what_who_where_and_when() -> None:
    topic = HUB.outputs["AlertsTopicArn"]
    transformers = [one["InputTransformer"] for _, one in targets(HUB) if one["Arn"] == topic]
    assert len(transformers) == 7
    for one in transformers:
        lines = one["InputTemplate"].splitlines()
        assert all(isinstance(json.loads(line), str) for line in lines), "each line a JSON string"
        for name in one["InputPathsMap"]:
            assert f"<{name}>" in one["InputTemplate"]
        assert {"name", "actor", "account", "region", "time"} <= set(one["InputPathsMap"])


# ---------------------------------------------------------------- the other accounts


@pytest.mark.parametrize("stack", [HUB, HUB_ELSEWHERE])
def test_every_present_and_future_account_gets_the_member_template(stack: Stack) -> None:
    members = stack.properties("Members")
    assert members["PermissionModel"] == "SERVICE_MANAGED"
    assert members["AutoDeployment"] == {"Enabled": True, "RetainStacksOnAccountRemoval": False}
    assert members["StackInstancesGroup"] == [
        {"DeploymentTargets": {"OrganizationalUnitIds": [ROOT]}, "Regions": ["us-east-1"]}
    ]
    assert members["TemplateURL"] == "member/template.yaml"


def test_rules_for_the_delegated_administrator_go_into_its_account_alone() -> None:
    one = HUB_ELSEWHERE_WITH_DELEGATE.properties("DelegatedAdministratorInHubRegion")
    assert one["PermissionModel"] == "SERVICE_MANAGED"
    assert one["StackInstancesGroup"] == [
        {
            "DeploymentTargets": {
                "OrganizationalUnitIds": [ROOT],
                "Accounts": [MEMBER_ACCOUNT],
                "AccountFilterType": "INTERSECTION",
            },
            "Regions": ["eu-central-1"],
        }
    ]
    assert one["AutoDeployment"] == {"Enabled": False}, "it knows no filter of accounts"
    assert one["TemplateURL"] == "member/template.yaml"
    assert set(THE_DELEGATE.resources) == {"ForwardRule", "WatchRule"}


@pytest.mark.parametrize(
    "stack",
    [HUB_ELSEWHERE, HUB_WITH_DELEGATE, hub(Local="true", DelegatedAdministrator=MEMBER_ACCOUNT)],
    ids=["nobody", "us-east-1", "local"],
)
def test_a_stackset_for_the_delegated_administrator_is_made_only_where_it_is_needed(
    stack: Stack,
) -> None:
    assert "DelegatedAdministratorInHubRegion" not in stack.resources


def test_one_failing_account_never_fails_a_deployment() -> None:
    stack_sets = EVERYTHING_ELSEWHERE.of_type("AWS::CloudFormation::StackSet")
    assert len(stack_sets) == 4
    for one in stack_sets.values():
        assert one["OperationPreferences"] == {
            "ConcurrencyMode": "SOFT_FAILURE_TOLERANCE",
            "FailureTolerancePercentage": 100,
            "MaxConcurrentPercentage": 100,
            "RegionConcurrencyType": "PARALLEL",
        }


def test_stacksets_give_the_member_template_all_its_parameters() -> None:
    for one in EVERYTHING_ELSEWHERE.of_type("AWS::CloudFormation::StackSet").values():
        given = {each["ParameterKey"]: each["ParameterValue"] for each in one["Parameters"]}
        assert given == THE_DELEGATE.parameters


@pytest.mark.parametrize(
    ("stack", "stack_set"),
    [
        (HUB_ELSEWHERE, "HubInUsEast1"),
        (HUB_FAR_FROM_CONTROL_TOWER, "HubInControlTowerRegion"),
        (EVERYTHING_ELSEWHERE, "HubInUsEast1"),
        (EVERYTHING_ELSEWHERE, "HubInControlTowerRegion"),
    ],
    ids=["us-east-1", "control-tower", "both-us-east-1", "both-control-tower"],
)
def test_a_self_managed_stackset_brings_roles_that_can_do_nothing_else(
    stack: Stack, stack_set: str
) -> None:
    one = stack.properties(stack_set)
    assert one["PermissionModel"] == "SELF_MANAGED"
    assert {
        target["DeploymentTargets"]["Accounts"][0] for target in one["StackInstancesGroup"]
    } == {HUB_ACCOUNT}
    administration = stack.properties("StackSetAdministrationRole")
    execution = stack.properties("StackSetExecutionRole")
    assert one["AdministrationRoleARN"].endswith(f"/{administration['RoleName']}")
    assert one["ExecutionRoleName"] == execution["RoleName"]
    (statement,) = allowed(stack, "StackSetAdministrationRole")
    arn = f"arn:aws:iam::{HUB_ACCOUNT}:role/{execution['RoleName']}"
    assert (statement["Action"], statement["Resource"]) == (["sts:AssumeRole"], [arn])
    (trust,) = execution["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"AWS": one["AdministrationRoleARN"]}
    (passed,) = allowing(stack, "StackSetExecutionRole", "iam:PassRole")
    assert passed["Resource"] == [f"arn:aws:iam::{HUB_ACCOUNT}:role/keyward/keyward-forwarder"]
    assert passed["Condition"] == {"StringEquals": {"iam:PassedToService": "events.amazonaws.com"}}


def test_the_protecting_control_policy_is_off_by_default() -> None:
    assert not HUB.of_type("AWS::Organizations::Policy")


def test_the_control_policy_protects_keyward_containment_and_membership() -> None:
    policy = HUB_WITH_SCP.properties("ProtectionScp")
    assert policy["TargetIds"] == [ROOT]
    assert len(json.dumps(policy["Content"], separators=(",", ":"))) <= 5120
    statements = {one["Sid"]: one for one in policy["Content"]["Statement"]}
    assert {one["Effect"] for one in statements.values()} == {"Deny"}
    containment = statements["Containment"]
    assert listed(containment["Action"]) == ["iam:DetachUserPolicy"]
    assert containment["Condition"] == {
        "ArnEquals": {"iam:PolicyARN": DENY_ALL},
        "ArnNotLike": {"aws:PrincipalArn": MEMBER_ROLE},
    }
    assert listed(statements["Membership"]["Action"]) == ["organizations:LeaveOrganization"]
    assert "Condition" not in statements["Membership"]
    excepted = {
        arn
        for sid in ("KeywardsRolesAndGroup", "KeywardsRules")
        for arn in statements[sid]["Condition"]["ArnNotLike"]["aws:PrincipalArn"]
    }
    assert excepted == {MEMBER_ROLE, "arn:aws:iam::*:role/stacksets-exec-*"}
    assert statements["NamesOfStackSets"]["Resource"] == "arn:aws:iam::*:role/stacksets-exec-*"


# ---------------------------------------------------------------- the emulator


def test_what_no_emulator_takes_is_left_out_locally() -> None:
    assert set(HUB_WITH_SCP.resources) - set(LOCAL.resources) == {
        "Archive",
        "BusPolicy",
        "Members",
        "ProtectionScp",
    }
    elsewhere = hub(region="eu-central-1", Local="true", ControlTowerRegion="eu-west-1")
    assert not elsewhere.of_type("AWS::CloudFormation::StackSet")


def test_only_an_emulator_is_told_where_slack_is() -> None:
    elsewhere = hub(LocalSlackUrl="http://127.0.0.1:8080/api/", **OPERATORS)
    for function in ("Notifier", "Operator"):
        on_aws = elsewhere.properties(function)["Environment"]["Variables"]
        locally = LOCAL.properties(function)["Environment"]["Variables"]
        assert on_aws["KEYWARD_SLACK_URL"] == ""
        assert locally["KEYWARD_SLACK_URL"] == "http://127.0.0.1:8080/api/"


def test_an_address_is_subscribed_only_if_given() -> None:
    assert "AlertsByEmail" not in HUB.resources
    assert hub(AlertEmail="security@example.com").properties("AlertsByEmail")["Endpoint"] == (
        "security@example.com"
    )
