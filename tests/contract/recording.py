"""Calls of AWS, as the functions make them, and what IAM is asked for each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from botocore.client import BaseClient
from moto.iam.models import iam_backends

from local.sso_admin import center_of
from tests.contract.authorizing import Asked
from tests.contract.templates import ROOT
from tests.flow.world import HUB, REGION, World, _account_of

ORGANIZATION = "o-exampleorgid"
GROUP = "group/keyward/keyward-quarantine"
"""As both templates make it."""
ALERTS_KEY = f"arn:aws:kms:{REGION}:{HUB}:key/of-keyward"

# What Identity Center does with its caller's credentials, in the management account alone.
# Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/iam-auth-access-using-id-policies.html
# Source: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSSSOServiceRolePolicy.html
CHANGES_ACCESS = {"CreateAccountAssignment", "DeleteAccountAssignment", "ProvisionPermissionSet"}
REPLAYED = {
    "role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Developer_0123456789abcdef": (
        *("AttachRolePolicy", "CreateRole", "DeleteRole", "DeleteRolePermissionsBoundary"),
        *("DeleteRolePolicy", "DetachRolePolicy", "GetRole", "ListAttachedRolePolicies"),
        *("ListRolePolicies", "PutRolePermissionsBoundary", "PutRolePolicy"),
        *("UpdateAssumeRolePolicy", "UpdateRole", "UpdateRoleDescription"),
    ),
    "saml-provider/AWSSSO_0123456789abcdef_DO_NOT_DELETE": (
        "GetSAMLProvider",
        "UpdateSAMLProvider",
    ),
    "*": ("ListPolicies", "ListRoles"),
}

# Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
OF_TRANSACTION = {
    "ConditionCheck": "dynamodb:ConditionCheckItem",
    "Delete": "dynamodb:DeleteItem",
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
}

# Reading calls of Organizations, and which parameter says what they are about.
OF_ORGANIZATION = {
    "DescribeAccount": "AccountId",
    "ListAccountsForParent": "ParentId",
    "ListOrganizationalUnitsForParent": "ParentId",
    "ListParents": "ChildId",
    "ListTagsForResource": "ResourceId",
}


@dataclass(slots=True)
class Recorder:
    """What was asked of IAM, and in whose account: the hub's by the function's own role."""

    world: World
    asked: list[tuple[str, Asked]] = field(default_factory=list)
    recording: bool = False
    names: dict[str, str] = field(default_factory=dict)
    """What the template calls what has another ARN here."""

    @contextmanager
    def on(self) -> Iterator[None]:
        """Record what is called within the block; administrators call outside of it."""
        self.recording = True
        try:
            yield
        finally:
            self.recording = False


@contextmanager
def a_recorder(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """Yield a recorder of all calls that pass any client."""
    recorder = Recorder(world)
    passing = vars(BaseClient)["_make_api_call"]

    def recorded(client: BaseClient, operation: str, params: dict[str, Any]) -> Any:
        if recorder.recording:
            account = _account_of(client)
            service = client.meta.service_model.service_name
            region = client.meta.region_name
            asked = asked_for(service, operation, params, account, world, region=region)
            recorder.asked += [
                (account, replace(one, resource=recorder.names.get(one.resource, one.resource)))
                for one in asked
            ]
            if (service, operation) == ("lambda", "Invoke"):
                return {}  # moto would run the function in Docker
        return passing(client, operation, params)

    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", recorded)
        yield recorder


def asked_for(
    service: str,
    operation: str,
    params: dict[str, Any],
    account: str,
    world: World,
    *,
    region: str,
) -> list[Asked]:
    """Return what IAM is asked for one call. Raises ValueError for a call that is not known here.

    Source: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
    """
    action = f"{service}:{operation}"
    here = f"{REGION}:{account}"
    match service, operation:
        case "iam", _:
            return [_of_iam(operation, params, account, world)]
        case "dynamodb", "TransactWriteItems":
            return [
                _of_transaction(kind, body, here)
                for item in params["TransactItems"]
                for kind, body in item.items()
            ]
        case "dynamodb", "BatchGetItem":
            tables = params["RequestItems"]
            return [Asked(action, f"arn:aws:dynamodb:{here}:table/{table}") for table in tables]
        case "dynamodb", "GetItem" | "Query":
            index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
            return [Asked(action, f"arn:aws:dynamodb:{here}:table/{params['TableName']}{index}")]
        case "organizations", "ListAccounts" | "ListRoots":
            return [Asked(action, "*")]
        case "organizations", _ if operation in OF_ORGANIZATION:
            return [Asked(action, _in_organization(params[OF_ORGANIZATION[operation]]))]
        case "sso-admin", _:
            return [*_of_identity_center(operation, params), *_replayed(operation, params)]
        case "identitystore", _:
            return _of_identity_store(operation, params)
        case "accessanalyzer", "CheckAccessNotGranted" | "ValidatePolicy":
            return [Asked(f"access-analyzer:{operation}", "*")]
        case "cloudtrail", "LookupEvents":
            return [Asked(action, "*")]
        case "sqs", _:
            queue = f"arn:aws:sqs:{here}:{params['QueueUrl'].rpartition('/')[2]}"
            return [Asked(action.removesuffix("Batch"), queue)]
        case "s3", "GetObject" | "HeadObject" | "PutObject":
            # HeadObject takes the right to get it.
            # Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
            action = action.replace("HeadObject", "GetObject")
            return [Asked(action, f"arn:aws:s3:::{params['Bucket']}/{params['Key']}")]
        case "s3", "ListObjectsV2":
            prefix = {"s3:prefix": (params["Prefix"],)}
            return [Asked("s3:ListBucket", f"arn:aws:s3:::{params['Bucket']}", prefix)]
        case "secretsmanager", "GetSecretValue":
            return [Asked(action, params["SecretId"])]
        case "lambda", "Invoke":
            function = f"arn:aws:lambda:{here}:function:{params['FunctionName']}"
            return [Asked("lambda:InvokeFunction", function)]
        case "sesv2", "SendEmail":
            sender = params["FromEmailAddress"]
            identity = f"arn:aws:ses:{here}:identity/{sender.partition('@')[2]}"
            return [Asked("ses:SendEmail", identity, {"ses:FromAddress": (sender,)})]
        case "securityhub", "BatchImportFindings":
            return [Asked(action, one["ProductArn"]) for one in params["Findings"]]
        case "events", _:
            return _of_events(operation, params, f"{region}:{account}")
        case "sns", "Publish":
            # The topic is encrypted: who publishes uses its key, by way of SNS.
            # Source: https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
            by_sns = {"kms:ViaService": (f"sns.{REGION}.amazonaws.com",)}
            return [
                Asked(action, params["TopicArn"]),
                Asked("kms:Decrypt", ALERTS_KEY, by_sns),
                Asked("kms:GenerateDataKey", ALERTS_KEY, by_sns),
            ]
        case "ssm", "GetParametersByPath":
            # Which of the two IAM is asked for isn't documented.
            path = f"arn:aws:ssm:{here}:parameter{params['Path'].rstrip('/')}"
            return [Asked(action, path), Asked(action, f"{path}/")]
        case "ssm", "PutParameter":
            return [Asked(action, f"arn:aws:ssm:{here}:parameter{params['Name']}")]
        case "sts", "AssumeRole":
            context = {
                "aws:ResourceOrgID": (ORGANIZATION,),
                "sts:ExternalId": (params["ExternalId"],),
            }
            return [Asked(action, params["RoleArn"], context)]
        case "sts", "GetCallerIdentity":
            # Needs no permission, and none can deny it.
            # Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
            return []
    message = f"unknown: {action}"
    raise ValueError(message)


def _of_events(operation: str, params: dict[str, Any], here: str) -> list[Asked]:
    """Return what is asked for a call of EventBridge, which is about rules where it is sent to.

    Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html
    """
    match operation:
        case "DescribeRule":
            about = [f"arn:aws:events:{here}:rule/{params['Name']}"]
        case "ListTargetsByRule":
            about = [f"arn:aws:events:{here}:rule/{params['Rule']}"]
        case "StartReplay":
            made = f"arn:aws:events:{here}:replay/{params['ReplayName']}"
            about = [params["EventSourceArn"], params["Destination"]["Arn"], made]
        case "PutEvents":
            names = {entry["EventBusName"] for entry in params["Entries"]}
            about = [f"arn:aws:events:{here}:event-bus/{name}" for name in names]
        case "DescribeReplay":
            about = [f"arn:aws:events:{here}:replay/{params['ReplayName']}"]
        case _:
            message = f"unknown: events:{operation}"
            raise ValueError(message)
    return [Asked(f"events:{operation}", one) for one in about]


def _of_transaction(kind: str, body: dict[str, Any], here: str) -> Asked:
    """Return what is asked for one part of a transaction: about the table, and about the key.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
    """
    key = body.get("Key") or body["Item"]
    context = {"dynamodb:LeadingKeys": (key["pk"]["S"],)}
    table = f"arn:aws:dynamodb:{here}:table/{body['TableName']}"
    return Asked(OF_TRANSACTION[kind], table, context)


def _in_organization(id_: str) -> str:
    """Return the ARN of an account, OU or root; the root is the one that the template was told.

    Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsorganizations.html
    """
    if id_.startswith("r-"):
        return f"arn:aws:organizations::{HUB}:root/{ORGANIZATION}/{ROOT}"
    kind = "ou" if id_.startswith("ou-") else "account"
    return f"arn:aws:organizations::{HUB}:{kind}/{ORGANIZATION}/{id_}"


def _of_identity_center(operation: str, params: dict[str, Any]) -> list[Asked]:
    """Return what is asked for a call of Identity Center: about instance, set and account.

    Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsiamidentitycenter.html
    """
    action = f"sso:{operation}"
    if operation == "ListInstances":
        return [Asked(action, "*")]
    instance = params["InstanceArn"]
    made = f"{instance.replace(':instance/', ':permissionSet/')}/ps-of-the-new-one"
    about = [
        instance,
        params.get("PermissionSetArn") or params.get("ResourceArn"),
        made if operation == "CreatePermissionSet" else None,
        *(f"arn:aws:sso:::account/{account}" for account in _accounts_of(operation, params)),
    ]
    return [Asked(action, resource) for resource in about if resource]


def _accounts_of(operation: str, params: dict[str, Any]) -> list[str]:
    """Return the accounts that a call is about; where it names none of many: any."""
    if operation == "ProvisionPermissionSet" and "TargetId" not in params:
        return ["of-those-that-have-it"]
    return [params[name] for name in ("AccountId", "TargetId") if name in params]


def _replayed(operation: str, params: dict[str, Any]) -> list[Asked]:
    """Return what Identity Center asks in its caller's name, where the hub's account is meant."""
    if operation not in CHANGES_ACCESS:
        return []
    asked_of = params["PermissionSetArn"]
    having = (account for arn, account in center_of(HUB, REGION).provisioned if arn == asked_of)
    accounts = [params["TargetId"]] if "TargetId" in params else list(having)
    return [
        Asked(f"iam:{call}", "*" if resource == "*" else f"arn:aws:iam::{HUB}:{resource}")
        for resource, calls in REPLAYED.items()
        for call in calls
        if HUB in accounts
    ]


def _of_identity_store(operation: str, params: dict[str, Any]) -> list[Asked]:
    """Return what is asked for a call of the identity store: about it, and about whom it names.

    Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentitystore.html
    """
    about = [f":{HUB}:identitystore/{params['IdentityStoreId']}"]
    match operation:
        case "CreateGroup":
            pass
        case "DescribeGroup":
            about.append(f"::group/{params['GroupId']}")
        case "DescribeUser":
            about.append(f"::user/{params['UserId']}")
        case "GetGroupId":
            about.append("::group/of-that-name")
        case "GetUserId":
            about.append("::user/of-that-name")
        case "ListGroups":
            about.append("::group/*")
        case "ListUsers":
            about.append("::user/*")
        case "IsMemberInGroups":
            about += ["::membership/*", f"::user/{params['MemberId']['UserId']}"]
            about += [f"::group/{group}" for group in params["GroupIds"]]
        case _:
            message = f"unknown: identitystore:{operation}"
            raise ValueError(message)
    return [Asked(f"identitystore:{operation}", f"arn:aws:identitystore:{one}") for one in about]


def _of_iam(operation: str, params: dict[str, Any], account: str, world: World) -> Asked:
    """Return what is asked for a call of IAM: about whom it names, with the path, or the policy."""
    action = f"iam:{operation}"
    here = iam_backends[account]["aws"]
    if "GroupName" in params:
        name = params["GroupName"]
        path = next((group.path for group in here.groups.values() if group.name == name), "/")
        group = GROUP if name == GROUP.rpartition("/")[2] else f"group{path}{name}"
        return Asked(action, f"arn:aws:iam::{account}:{group}")
    if "RoleName" in params:
        name = params["RoleName"]
        path = next((role.path for role in here.roles.values() if role.name == name), "/")
        return Asked(action, f"arn:aws:iam::{account}:role{path}{name}")
    if operation == "GetAccessKeyLastUsed":
        # About the key's owner, whoever that is: a call for a key names no user.
        # Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
        return Asked(action, f"arn:aws:iam::{account}:user/of-the-key")
    if "UserName" not in params:
        return Asked(action, params.get("PolicyArn", "*"))
    name = params["UserName"]
    path = next((user.path for user in here.users.values() if user.name == name), "/")
    boundary = params.get("PermissionsBoundary") or world.extension.boundaries.get((account, name))
    tags = params.get("TagKeys", [tag["Key"] for tag in params.get("Tags", [])])
    context = {
        "aws:TagKeys": tuple(tags),
        "iam:PermissionsBoundary": (boundary,) if boundary else (),
        "iam:PolicyARN": (params["PolicyArn"],) if "PolicyArn" in params else (),
    }
    present = {key: values for key, values in context.items() if values}
    return Asked(action, f"arn:aws:iam::{account}:user{path}{name}", present)
