"""Write down a real call as CloudTrail would: what was asked, what AWS answered, and who called.

Source: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from __future__ import annotations

import json
import re
import urllib.parse
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from botocore.client import BaseClient

    from local.caller import Caller

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None
type Record = dict[str, Json]

# AWS records these services in one region only, wherever the caller was.
# Source: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-concepts.html
GLOBAL_REGION = "us-east-1"
GLOBAL_SERVICES = {"iam", "organizations"}
# Where the name in eventSource isn't botocore's.
SOURCES = {"sso-admin": "sso"}
# Who is who in the identity store: CloudTrail masks it since July 2025. That it masks each of these
# for callers of the public API is a guess; it is known of a group's name.
# Source: https://aws.amazon.com/blogs/security/modifications-to-aws-cloudtrail-event-data-of-iam-identity-center/
MASKED = {"displayName", "description", "userName", "name", "emails"}
# CloudTrail leaves these out, or masks them.
SECRETS = {
    *("Password", "NewPassword", "OldPassword", "SecretAccessKey", "ServicePassword"),
    *("SessionToken", "ServiceCredentialSecret"),
}
SERVICE_EVENT = "AwsServiceEvent"
# What EventBridge calls what CloudTrail records, where that is no call.
# Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
DETAIL_TYPES = {SERVICE_EVENT: "AWS Service Event via CloudTrail"}
HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
# Lambda's events carry the API's version in their name.
LAMBDA_EVENT_NAMES = {
    "UpdateFunctionCode": "UpdateFunctionCode20150331v2",
    "UpdateFunctionConfiguration": "UpdateFunctionConfiguration20150331v2",
    "DeleteFunction": "DeleteFunction20150331",
    "DeleteEventSourceMapping": "DeleteEventSourceMapping20150331",
    "UpdateEventSourceMapping": "UpdateEventSourceMapping20150331",
}
# These errors leave requestParameters null; others keep them.
WITHOUT_PARAMETERS = {"AccessDenied", "LimitExceeded", "PasswordPolicyViolation"}


class Call(Protocol):
    """A method of a boto3 client."""

    def __call__(self, **parameters: object) -> object:
        """Call AWS."""


def recorded(caller: Caller, client: BaseClient, operation: str, **parameters: object) -> Record:
    """Make one real call and return CloudTrail's record of it, of a refused one too.

    `operation` is the API's name of it, such as CreateAccessKey.
    """
    names = client.meta.method_to_api_mapping
    method = next(name for name, api in names.items() if api == operation)
    call: Call = getattr(client, method)
    error: dict[str, str] = {}
    answer: object = {}
    try:
        answer = call(**parameters)
    except ClientError as refused:
        code = refused.response["Error"]["Code"]
        error = {
            "errorCode": code if code.startswith("AccessDenied") else exception(code),
            "errorMessage": refused.response["Error"]["Message"],
        }
        if code in WITHOUT_PARAMETERS:
            parameters = {}
    service = client.meta.service_model.service_name
    return record(caller, service, operation, parameters, answer) | dict(error)


def record(
    caller: Caller, service: str, operation: str, parameters: object, answer: object
) -> Record:
    """Return the record of a call that was answered; times are now, in UTC."""
    identity = user_identity(caller)
    name = LAMBDA_EVENT_NAMES.get(operation, operation) if service == "lambda" else operation
    region = GLOBAL_REGION if service in GLOBAL_SERVICES else caller.region
    asked, answered = shaped(parameters), shaped(answer, response=True)
    if service == "ssm" and isinstance(asked, dict) and "value" in asked:
        asked["value"] = HIDDEN
    if service == "identitystore" and isinstance(asked, dict):
        asked |= dict.fromkeys(MASKED & asked.keys(), HIDDEN)
    return {
        "eventVersion": "1.11",
        "userIdentity": identity,
        "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": f"{SOURCES.get(service, service)}.amazonaws.com",
        "eventName": name,
        "awsRegion": region,
        "sourceIPAddress": "192.0.2.10",
        "userAgent": "aws-cli/2.31.0",
        "requestParameters": asked or None,
        "responseElements": answered or None,
        "requestID": request_id(answered) or str(uuid.uuid4()),
        "eventID": str(uuid.uuid4()),
        "readOnly": operation.startswith(("Get", "List", "Describe")),
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": identity["accountId"],
        "eventCategory": "Management",
    }


def service_event(account: str, region: str, source: str, name: str, details: Record) -> Record:
    """Return the record of what a service has just done by itself: without caller and request.

    Source: https://docs.aws.amazon.com/controltower/latest/userguide/lifecycle-events.html
    """
    return {
        "eventVersion": "1.11",
        "userIdentity": {"accountId": account, "invokedBy": "AWS Internal"},
        "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": source,
        "eventName": name,
        "awsRegion": region,
        "sourceIPAddress": "AWS Internal",
        "userAgent": "AWS Internal",
        "requestParameters": None,
        "responseElements": None,
        "eventID": str(uuid.uuid4()),
        "readOnly": False,
        "eventType": SERVICE_EVENT,
        "managementEvent": True,
        "recipientAccountId": account,
        "serviceEventDetails": details,
        "eventCategory": "Management",
    }


def exception(code: str) -> str:
    """Return an error's code as CloudTrail writes it: with a suffix that IAM's API leaves out."""
    return code if code.endswith("Exception") else f"{code}Exception"


def request_id(answered: Json) -> str | None:
    """Return the id of the request that Identity Center began: an event's requestID is the same."""
    for status in answered.values() if isinstance(answered, dict) else ():
        if isinstance(status, dict) and isinstance(found := status.get("requestId"), str):
            return found
    return None


def envelope(found: Record) -> Record:
    """Return the EventBridge event that carries a record on the default bus of its account."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": DETAIL_TYPES.get(str(found.get("eventType")), "AWS API Call via CloudTrail"),
        "source": f"aws.{str(found['eventSource']).removesuffix('.amazonaws.com')}",
        "account": found["recipientAccountId"],
        "time": found["eventTime"],
        "region": found["awsRegion"],
        "resources": [],
        "detail": found,
    }


def parameter_store_change(account: str, region: str, name: str, operation: str) -> Record:
    """Return the event that Parameter Store sends when a parameter changes.

    Source: https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-cwe.html
    """
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Parameter Store Change",
        "source": "aws.ssm",
        "account": account,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": [f"arn:aws:ssm:{region}:{account}:parameter{name}"],
        "detail": {"operation": operation, "name": name, "type": "String"},
    }


def user_identity(caller: Caller) -> dict[str, Json]:
    """Return who the caller is: root, an IAM user, or a session with the role that issued it."""
    who = caller.sts.get_caller_identity()
    account, arn = who["Account"], who["Arn"]
    common: dict[str, Json] = {
        "principalId": who["UserId"],
        "arn": arn,
        "accountId": account,
        "accessKeyId": caller.access_key_id,
    }
    resource = arn.split(":", 5)[5]
    if resource == "root":
        return {"type": "Root", **common, "accessKeyId": "ASIAIOSFODNN7EXAMPLE"}
    if resource.startswith("user/"):
        return {"type": "IAMUser", **common, "userName": resource.rsplit("/", 1)[-1]}
    name = resource.split("/")[1]
    role = caller.using(account, "test").iam.get_role(RoleName=name)["Role"]
    return {
        "type": "AssumedRole",
        **common,
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": role["RoleId"],
                "arn": role["Arn"],
                "accountId": account,
                "userName": name,
            },
            "attributes": {
                "creationDate": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "mfaAuthenticated": "false",
            },
        },
    }


def shaped(value: object, *, response: bool = False) -> Json:
    """Return request or response as CloudTrail writes it: lower first letters, no secrets.

    Policy documents in a response are URL-encoded, and times are written in words with a
    narrow no-break space before AM or PM.
    """
    match value:
        case dict():
            return {
                f"{str(key)[0].lower()}{str(key)[1:]}": encoded(str(key), inner, response=response)
                for key, inner in value.items()
                if key not in SECRETS and key != "ResponseMetadata"
            }
        case list() | tuple():
            return [shaped(inner, response=response) for inner in value]
        case datetime():
            moment = value.astimezone(UTC)
            clock = re.sub(r"^0", "", moment.strftime("%I:%M:%S"))
            day = f"{moment:%b} {moment.day}, {moment.year}"
            return f"{day}, {clock}\u202f{moment:%p}"
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)


def encoded(key: str, value: object, *, response: bool) -> Json:
    """Return one member of a request or response; see `shaped`."""
    if response and key.endswith("PolicyDocument") and isinstance(value, dict):
        return urllib.parse.quote(json.dumps(value))
    return shaped(value, response=response)
