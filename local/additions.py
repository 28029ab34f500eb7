"""Run ministack with what it lacks, so that a policy means here what it means on AWS.

This file runs in `.emulators`, beside ministack and apart from everything else in `local`. It ends
with its parent: when standard input closes, the whole process group is stopped.

What is added, and why, stands at each function. docs/local-aws.md lists it for readers.
"""

from __future__ import annotations

import asyncio
import csv
import functools
import hashlib
import io
import itertools
import json
import os
import shutil
import signal
import threading
import time
import types
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from ministack import app
from ministack.core import iam_actions, iam_evaluator, lambda_runtime, responses, router
from ministack.services import dynamodb, eventbridge, iam, organizations, scheduler
from ministack.services.cloudformation import (
    changesets,
    engine,
    handlers,
    provisioners,
    stacks,
)

# Ids that documentation uses, in the order in which CreateAccount hands them out; two begin with
# a zero, as every tenth account's does. Then come those from FURTHER_IDS on.
ACCOUNT_IDS = (
    *("222233334444", "333344445555", "444455556666", "555566667777", "666677778888"),
    *("777788889999", "888899990000", "999900001111", "000011112222", "123456789012"),
    *("210987654321", "345678901234", "456789012345", "567890123456", "678901234567"),
    *("789012345678", "890123456789", "901234567890", "012345678901", "234567890123"),
)
FURTHER_IDS = 100_000_000_001
# Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
MANAGED_POLICIES_FOR_A_USER = 10
GROUPS_FOR_A_USER = 10
KEYS_FOR_A_USER = 2
# At most so many accounts or units in a page, and in what list they come.
# Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccountsForParent.html
ACCOUNTS_IN_A_PAGE = 20
LISTS = {
    "ListAccounts": "Accounts",
    "ListAccountsForParent": "Accounts",
    "ListOrganizationalUnitsForParent": "OrganizationalUnits",
}
# What names the account, unit or root that a call to Organizations must be allowed on.
# Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsorganizations.html
NAMED_IN_ORGANIZATIONS = ("AccountId", "ChildId", "ParentId", "ResourceId", "OrganizationalUnitId")
# Calls of EventBridge that are about one rule.
ABOUT_RULES = {
    *("DeleteRule", "DescribeRule", "DisableRule", "EnableRule", "PutRule"),
    *("ListTargetsByRule", "PutTargets", "RemoveTargets"),
}
# Ministack's word for a closed account, and AWS's for its state.
STATES = {"SUSPENDED": "CLOSED"}
# Services that local/identity_center.py serves: the prefix of their X-Amz-Target, and botocore's
# name of their model.
ELSEWHERE = {
    "sso": ("SWBExternalService", "sso-admin"),
    "identitystore": ("AWSIdentityStore", "identitystore"),
}
IDENTITY_CENTER_SECONDS = 30
# These must be allowed on memberships, too, which they don't name.
# Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentitystore.html
OF_MEMBERSHIPS = {
    *("GetGroupMembershipId", "IsMemberInGroups"),
    *("ListGroupMemberships", "ListGroupMembershipsForMember"),
}

# Callers here speak plain HTTP, and only to this machine.
ALWAYS = {"aws:securetransport": "true"}
IAM_NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"
IN = f"{{{IAM_NAMESPACE}}}"
# In the order in which AWS lists them, and at most so many in a page.
# Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
AUTHORIZATION_DETAILS = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
DETAILS_IN_A_PAGE = 100
# Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html
REPORT_COLUMNS = (
    *("user", "arn", "user_creation_time", "password_enabled", "password_last_used"),
    *("password_last_changed", "password_next_rotation", "mfa_active"),
    *("access_key_1_active", "access_key_1_last_rotated", "access_key_1_last_used_date"),
    *("access_key_1_last_used_region", "access_key_1_last_used_service"),
    *("access_key_2_active", "access_key_2_last_rotated", "access_key_2_last_used_date"),
    *("access_key_2_last_used_region", "access_key_2_last_used_service"),
    *("cert_1_active", "cert_1_last_rotated", "cert_2_active", "cert_2_last_rotated"),
)
REPORT_SECONDS = 1
# A test or the demo makes something older: nobody waits for months.
OLDER = "/keyward/older"
STARTED_AT = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

Parameters = dict[str, Any]
Reply = tuple[int, dict[str, str], bytes]
Action = Callable[[Parameters], Reply]


def main() -> None:
    """Serve until told to stop, with every addition in place."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    add_managed_policies(os.environ["KEYWARD_MANAGED_POLICIES"])
    add_condition_keys()
    add_resource_paths()
    add_rule_paths()
    add_batches()
    add_membership()
    add_quotas()
    add_static_credentials()
    add_use_of_keys()
    add_credential_report()
    add_authorization_details()
    add_schedules()
    add_ageing()
    share_layers()
    add_pseudo_parameters()
    add_groups_to_cloudformation()
    if endpoint := os.environ.get("KEYWARD_IDENTITY_CENTER"):
        add_identity_center(endpoint)
    app.main()


def end_with_parent() -> None:
    """Stop this process and all that it started once the parent has gone, however it went."""
    while os.read(0, 1):
        pass
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    os.killpg(os.getpgid(0), signal.SIGKILL)


def add_managed_policies(file: str) -> None:
    """Know each policy that AWS manages, in its default version: ministack brings 30 of them.

    One that it doesn't know, AWSDenyAll among them, it attaches and ignores.
    """
    for name, known in json.loads(Path(file).read_text(encoding="utf-8")).items():
        document = json.dumps(known["Document"])
        record = iam._make_aws_managed_record(f"{known['Path'][1:]}{name}", document)
        version = known["DefaultVersionId"]
        record["DefaultVersionId"] = version
        record["Versions"] = {version: record["Versions"]["v1"] | {"VersionId": version}}
        iam._aws_managed_policies[record["Arn"]] = record


def add_condition_keys() -> None:
    """Give the evaluator the keys that it lacks: without them a conditional Allow never matches."""
    known = iam_evaluator._resolve_condition_key
    tags = iam_actions.request_tag_context

    def resolve(key: str, request: Any) -> Any:
        match key.lower():
            case "aws:principalarn":
                return role_arn(request.principal_arn) or known(key, request)
            case "aws:principalorgid":
                return organization_of(request.principal_account)
            case "aws:resourceorgid":
                account = iam_evaluator._account_from_arn(request.resource_arn)
                return organization_of(account or request.principal_account)
            case _:
                return ALWAYS.get(key.lower()) or known(key, request)

    def context(service: str, action: str, body: bytes, parameters: Parameters) -> dict[str, Any]:
        found = dict(tags(service, action, body, parameters))
        if service == "iam":
            if policy := iam._p(parameters, "PolicyArn"):
                found["iam:PolicyARN"] = policy
            user = iam._users.get(iam._p(parameters, "UserName")) or {}
            boundary = iam._p(parameters, "PermissionsBoundary") or user.get("PermissionsBoundary")
            if boundary:
                found["iam:PermissionsBoundary"] = boundary
        if service == "dynamodb" and (keys := leading_keys(json.loads(body or b"{}"))):
            found["dynamodb:LeadingKeys"] = keys
        return found

    iam_evaluator._resolve_condition_key = resolve
    iam_actions.request_tag_context = context


def leading_keys(asked: Parameters) -> list[str]:
    """The partition keys that a request to DynamoDB names; those of all writes of a transaction.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
    """
    writes = [next(iter(write.values())) for write in asked.get("TransactItems", [])]
    found = []
    for write in (asked, *writes):
        table = dynamodb._tables.get(write.get("TableName", "").rpartition("/")[2])
        schema = table["KeySchema"] if table else []
        named = write.get("Key") or write.get("Item") or {}
        for name in (key["AttributeName"] for key in schema if key["KeyType"] == "HASH"):
            found += [str(value) for value in named.get(name, {}).values()]
    return found


def role_arn(assumed_role_arn: str) -> str | None:
    """The role behind a session, path and all: what aws:PrincipalArn holds on AWS."""
    if ":assumed-role/" not in assumed_role_arn:
        return None
    account = assumed_role_arn.split(":")[4]
    name = iam_evaluator._role_name_from_assumed_arn(assumed_role_arn)
    role = iam._roles.get_scoped(account, None, name)
    return role["Arn"] if role else None


def organization_of(account: str) -> str | None:
    """The organization of an account; ministack knows only the management account's."""
    for management, member in list(organizations._accounts._data):
        if member == account:
            found = organizations._orgs.get_scoped(management, None, "self")
            return found["Id"] if found else None
    return None


def add_resource_paths() -> None:
    """Name a resource as AWS does where ministack says `*`, or leaves out the path."""
    known = iam_actions.extract_resource_arn

    @functools.wraps(known)
    def resource(*request: Any, **more: Any) -> str:
        service, parameters = request[0], request[5]
        if service == "iam":
            group = iam._groups.get(iam._p(parameters, "GroupName"))
            if group and iam._p(parameters, "Action") in {"AddUserToGroup", "RemoveUserFromGroup"}:
                return str(group["Arn"])
            if iam._p(parameters, "Action") == "GetAccessKeyLastUsed":
                key = iam._access_keys.get(iam._p(parameters, "AccessKeyId")) or {}
                user = iam._users.get(key.get("UserName"))
                return str(user["Arn"]) if user else "*"
            kinds = (("RoleName", iam._roles), ("UserName", iam._users), ("GroupName", iam._groups))
            for parameter, entities in kinds:
                if name := iam._p(parameters, parameter):
                    entity = entities.get(name)
                    return str(entity["Arn"]) if entity else known(*request, **more)
        if service in {"organizations", "ssm"}:
            asked = json.loads(request[4] or b"{}")
            if path := str(asked.get("Path", "")).strip("/"):
                return f"arn:aws:ssm:{request[6]}:{request[7]}:parameter/{path}"
            if arn := next(filter(None, map(organizations_arn, asked.items())), None):
                return arn
        return str(known(*request, **more))

    iam_actions.extract_resource_arn = resource


def add_rule_paths() -> None:
    """Name the rule that a call of EventBridge is about as AWS does."""
    known = iam_actions.extract_resource_arn

    @functools.wraps(known)
    def resource(*request: Any, **more: Any) -> str:
        if request[0] == "events" and (rule := rule_path(request[3], request[4])):
            return f"arn:aws:events:{request[6]}:{request[7]}:rule/{rule}"
        return str(known(*request, **more))

    iam_actions.extract_resource_arn = resource


def rule_path(headers: dict[str, str], body: bytes) -> str | None:
    """What stands for a rule in its ARN, where a call names one: its bus, too, if not the default.

    Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html
    """
    if headers.get("x-amz-target", "").rpartition(".")[2] not in ABOUT_RULES:
        return None
    asked = json.loads(body or b"{}")
    name, bus = asked.get("Rule") or asked.get("Name"), asked.get("EventBusName", "default")
    return str(name) if bus == "default" else f"{bus.rpartition('/')[2]}/{name}"


def organizations_arn(named: tuple[str, Any]) -> str | None:
    """The ARN of the account, unit or root that a parameter of a call names, if it names one."""
    parameter, value = named
    if parameter not in NAMED_IN_ORGANIZATIONS:
        return None
    for known in (organizations._accounts, organizations._ous, organizations._roots):
        if found := known.get(value):
            return str(found["Arn"])
    return None


def add_batches() -> None:
    """Allow a batch of messages to those who may do it with one: for AWS that is the same.

    Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
    """
    enforce = iam_evaluator.enforce

    @functools.wraps(enforce)
    def enforce_single(key: str, action: str, *asked: Any, **more: Any) -> Any:
        is_of_sqs = action.startswith("sqs:")
        return enforce(key, action.removesuffix("Batch") if is_of_sqs else action, *asked, **more)

    iam_evaluator.enforce = enforce_single


def add_membership() -> None:
    """Hand out documented account ids, say `State` as AWS does since `Status` went, list in pages.

    AWS makes an account while nobody waits: its id stands in DescribeCreateAccountStatus only.
    Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_CreateAccount.html
    A closed account is CLOSED at once here, and PENDING_CLOSURE for a while on AWS.
    Source: https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_account_state.html
    """
    create = organizations._DISPATCH["CreateAccount"]
    public = organizations._public_account

    def create_account(payload: Parameters) -> Reply:
        before = set(organizations._accounts)
        reply: Reply = create(payload)
        for given in set(organizations._accounts) - before:
            rename_account(given)
        answer = json.loads(reply[2])
        if status := answer.get("CreateAccountStatus"):
            answer["CreateAccountStatus"] = {
                name: status[name] for name in ("Id", "AccountName", "RequestedTimestamp")
            } | {"State": "IN_PROGRESS"}
        return reply[0], reply[1], json.dumps(answer).encode()

    def with_state(account: dict[str, Any]) -> dict[str, Any]:
        shown = dict(public(account))
        status = shown.pop("Status")
        return shown | {"State": STATES.get(status, status)}

    organizations._DISPATCH["CreateAccount"] = create_account
    organizations._DISPATCH["MoveAccount"] = moving(organizations._DISPATCH["MoveAccount"])
    organizations._public_account = with_state
    for operation, name in LISTS.items():
        organizations._DISPATCH[operation] = in_pages(organizations._DISPATCH[operation], name)


def rename_account(given: str) -> None:
    """Give a new account the next documented id, in all that ministack keeps of it."""
    taken = {account for _, account in organizations._accounts._data}
    ids = itertools.chain(ACCOUNT_IDS, map(str, itertools.count(FURTHER_IDS)))
    chosen = next(account for account in ids if account not in taken)
    account = organizations._accounts[given]
    del organizations._accounts[given]
    arn = account["Arn"].replace(given, chosen)
    organizations._accounts[chosen] = account | {"Id": chosen, "Arn": arn}
    if tags := organizations._tags.get(given):
        del organizations._tags[given]
        organizations._tags[chosen] = tags
    for request, status in list(organizations._create_statuses.items()):
        if status["AccountId"] == given:
            organizations._create_statuses[request] = status | {"AccountId": chosen}


def moving(known: Action) -> Action:
    """Refuse to move an account out of where it isn't; that AWS says this then is a guess.

    Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_MoveAccount.html
    """

    def action(payload: Parameters) -> Reply:
        account = organizations._accounts.get(payload.get("AccountId"))
        if account and account["_ParentId"] != payload.get("SourceParentId"):
            error: Reply = responses.error_response_json(
                "SourceParentNotFoundException",
                f"We can't find the account in the ParentId {payload.get('SourceParentId')}",
                400,
            )
            return error
        return known(payload)

    return action


def in_pages(known: Action, name: str) -> Action:
    """List no more than AWS does at once, and nothing of a parent that isn't there."""

    def refused(code: str, message: str) -> Reply:
        error: Reply = responses.error_response_json(code, message, 400)
        return error

    def action(payload: Parameters) -> Reply:
        parent = payload.get("ParentId")
        if parent and not organizations_arn(("ParentId", parent)):
            return refused("ParentNotFoundException", f"We can't find a root or OU {parent}")
        size = payload.get("MaxResults", ACCOUNTS_IN_A_PAGE)
        if not 1 <= size <= ACCOUNTS_IN_A_PAGE:
            return refused("InvalidInputException", "You provided a MaxResults out of range")
        status, headers, body = known(payload)
        answer = json.loads(body)
        begin = int(payload.get("NextToken") or 0)
        if begin + size < len(answer[name]):
            answer["NextToken"] = str(begin + size)
        answer[name] = answer[name][begin : begin + size]
        return status, headers, json.dumps(answer).encode()

    return action


def add_quotas() -> None:
    """Refuse what AWS refuses for a full user: the ladder of containment begins there."""

    def limited(name: str, full: Callable[[Parameters], bool], quota: str) -> None:
        known = iam._IAM_HANDLERS[name]

        def action(parameters: Parameters) -> Reply:
            if full(parameters):
                error: Reply = iam._error(409, "LimitExceeded", f"Cannot exceed quota for {quota}")
                return error
            done: Reply = known(parameters)
            return done

        iam._IAM_HANDLERS[name] = action

    def policies_full(parameters: Parameters) -> bool:
        user = iam._users.get(iam._p(parameters, "UserName")) or {}
        attached = user.get("AttachedPolicies", [])
        wanted = iam._p(parameters, "PolicyArn")
        return wanted not in attached and len(attached) >= MANAGED_POLICIES_FOR_A_USER

    def groups_full(parameters: Parameters) -> bool:
        user, wanted = iam._p(parameters, "UserName"), iam._p(parameters, "GroupName")
        joined = [n for n, group in iam._groups.items() if user in group.get("Users", [])]
        return wanted not in joined and len(joined) >= GROUPS_FOR_A_USER

    def keys_full(parameters: Parameters) -> bool:
        user = iam._p(parameters, "UserName")
        held = [key for key in iam._access_keys.values() if key["UserName"] == user]
        return bool(user) and len(held) >= KEYS_FOR_A_USER

    limited("AttachUserPolicy", policies_full, "PoliciesPerUser: 10")
    limited("AddUserToGroup", groups_full, "GroupsPerUser: 10")
    limited("CreateAccessKey", keys_full, "AccessKeysPerUser: 2")


def add_static_credentials() -> None:
    """Keep the long-lived credentials of three more kinds, which ministack lacks."""
    for kind in STATIC_CREDENTIALS.values():
        iam._IAM_HANDLERS |= {
            f"{kind.verb}{kind.name}": kind.create,
            f"List{kind.name}s": kind.list,
            f"Update{kind.name}": kind.update,
            f"Delete{kind.name}": kind.delete,
        }


def add_use_of_keys() -> None:
    """Know when each access key was used last, and for what: ministack says that none ever was."""
    enforce = iam_evaluator.enforce

    @functools.wraps(enforce)
    def used(*asked: Any, **more: Any) -> Any:
        key_id, _, service, region = asked[:4]
        key = iam._access_keys.get(key_id)
        if key and key["Status"] == "Active":
            key["_Used"] = (iam._now(), region, service)
        return enforce(*asked, **more)

    def last_used(parameters: Parameters) -> Reply:
        key = iam._access_keys.get(iam._p(parameters, "AccessKeyId"))
        if not key:
            error: Reply = iam._error(404, "NoSuchEntity", "The Access Key cannot be found.")
            return error
        date, region, service = key.get("_Used", ("", "N/A", "N/A"))
        answer = (
            f"<GetAccessKeyLastUsedResult><UserName>{key['UserName']}</UserName><AccessKeyLastUsed>"
            + (f"<LastUsedDate>{date}</LastUsedDate>" if date else "")
            + f"<Region>{region}</Region><ServiceName>{service}</ServiceName>"
            "</AccessKeyLastUsed></GetAccessKeyLastUsedResult>"
        )
        reply: Reply = iam._xml(200, "GetAccessKeyLastUsedResponse", answer)
        return reply

    iam_evaluator.enforce = used
    iam._IAM_HANDLERS["GetAccessKeyLastUsed"] = last_used


def add_credential_report() -> None:
    """Report credentials as AWS does: not at once, with the root user's keys, and what was used.

    AWS makes a report while nobody waits, and keeps it for four hours. Here only the first one of
    an account is not there yet when it is asked for: later ones are new at each GenerateCredential
    Report, for nobody waits for hours.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html
    """
    get = iam._IAM_HANDLERS["GetCredentialReport"]

    def generate(_: Parameters) -> Reply:
        known, now = iam._credential_reports.get("report"), time.time()
        if known and now < known["ready"]:
            state = "INPROGRESS"
        else:
            state, ready = ("COMPLETE", now) if known else ("STARTED", now + REPORT_SECONDS)
            made = {"content": credential_report(), "generated_time": iam._now(), "ready": ready}
            iam._credential_reports["report"] = made
        reply: Reply = iam._xml(
            200,
            "GenerateCredentialReportResponse",
            "<GenerateCredentialReportResult>"
            f"<State>{state}</State></GenerateCredentialReportResult>",
        )
        return reply

    def get_when_made(parameters: Parameters) -> Reply:
        known = iam._credential_reports.get("report")
        if known and time.time() < known["ready"]:
            error: Reply = iam._error(404, "ReportInProgress", "The report is being generated.")
            return error
        reply: Reply = get(parameters)
        return reply

    iam._IAM_HANDLERS["GenerateCredentialReport"] = generate
    iam._IAM_HANDLERS["GetCredentialReport"] = get_when_made


def credential_report() -> str:
    """The report of this account as it is now: CSV, its times as AWS writes them."""
    certificates = STATIC_CREDENTIALS["SigningCertificate"]
    root = {"Arn": f"arn:aws:iam::{responses.get_account_id()}:root", "CreateDate": STARTED_AT}
    # Ministack keeps a root user's keys under this name.
    rows = [("<root_account>", root, "default"), *((n, u, n) for n, u in iam._users.items())]
    text = io.StringIO()
    report = csv.writer(text, lineterminator="\n")
    report.writerow(REPORT_COLUMNS)
    for name, user, holder in rows:
        profile = iam._login_profiles.get(holder)
        password = ["true", "no_information", moment(profile["CreateDate"])] if profile else None
        if user is root:
            password = ["not_supported", "no_information", "not_supported"]
        keys = [key for key in iam._access_keys.values() if key["UserName"] == holder]
        mfa = any(device.get("User") == holder for device in iam._mfa_devices.values())
        held = [
            ["true", moment(kept["UploadDate"])] if kept["Status"] == "Active" else ["false", "N/A"]
            for kept in certificates.kept.values()
            if kept["UserName"] == holder
        ]
        report.writerow(
            [
                *(name, user["Arn"], moment(user["CreateDate"])),
                *(password or ["false", "N/A", "N/A"]),
                "not_supported" if user is root else "N/A",
                "true" if mfa else "false",
                *itertools.chain(*([*map(of_key, keys), of_key(None), of_key(None)][:2])),
                *itertools.chain(*([*held, ["false", "N/A"], ["false", "N/A"]][:2])),
            ]
        )
    return text.getvalue().rstrip("\n")


def of_key(key: Parameters | None) -> list[str]:
    """The five columns of one access key; N/A where there is none, or none that is active."""
    if key is None:
        return ["false", *["N/A"] * 4]
    date, region, service = key.get("_Used", ("", "N/A", "N/A"))
    active = key["Status"] == "Active"
    changed = moment(key["CreateDate"]) if active else "N/A"
    used = [moment(date) if date else "N/A", region, service]
    return ["true" if active else "false", changed, *used]


def moment(time_of_ministack: str) -> str:
    """A time as credential reports have it."""
    return f"{time_of_ministack.removesuffix('Z')}+00:00"


def add_authorization_details() -> None:
    """Tell users' permissions boundaries, and come in pages: ministack does neither."""
    known = iam._IAM_HANDLERS["GetAccountAuthorizationDetails"]
    ET.register_namespace("", IAM_NAMESPACE)

    def details(parameters: Parameters) -> Reply:
        status, headers, body = known(parameters)
        answer = ET.fromstring(body)  # noqa: S314  our own process made it
        result = answer[0]
        for user in result.iterfind(f"{IN}UserDetailList/{IN}member"):
            boundary = iam._users[user.findtext(f"{IN}UserName")].get("PermissionsBoundary")
            if boundary:
                told = ET.SubElement(user, f"{IN}PermissionsBoundary")
                kind = ET.SubElement(told, f"{IN}PermissionsBoundaryType")
                kind.text = "Policy"
                ET.SubElement(told, f"{IN}PermissionsBoundaryArn").text = boundary
        found = [
            (part, member)
            for name in AUTHORIZATION_DETAILS
            for part in result.iterfind(f"{IN}{name}")
            for member in list(part)
        ]
        begin = int(iam._p(parameters, "Marker") or 0)
        end = begin + int(iam._p(parameters, "MaxItems") or DETAILS_IN_A_PAGE)
        for part, member in found[:begin] + found[end:]:
            part.remove(member)
        if end < len(found):
            truncated = result.find(f"{IN}IsTruncated")
            if truncated is not None:
                truncated.text = "true"
            ET.SubElement(result, f"{IN}Marker").text = str(end)
        return status, headers, ET.tostring(answer)

    iam._IAM_HANDLERS["GetAccountAuthorizationDetails"] = details


def add_schedules() -> None:
    """Let a schedule put an event on a bus as it says: ministack puts one of its own there.

    And let it be punctual, to the second, but not go by the clock (cron): what is shown here must
    not depend on when it is.
    Source: https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-templated.html
    https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
    """
    known = eventbridge._invoke_target

    def invoke(target: Parameters, event: Parameters, rule: Parameters, *more: Any) -> None:
        if "GroupName" not in rule:  # a rule of EventBridge
            known(target, event, rule, *more)
            return
        if rule["ScheduleExpression"].startswith("cron"):
            return
        sent = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        given = target.get("Input", "{}").replace("<aws.scheduler.scheduled-time>", sent)
        if named := target.get("EventBridgeParameters"):
            entry = {"EventBusName": target["Arn"], "Detail": given, **named}
            eventbridge._put_events({"Entries": [entry]})
        else:
            known(target | {"Input": given}, event, rule, *more)

    eventbridge._invoke_target = invoke
    scheduler._SCHEDULE_TICK_INTERVAL = 1


def add_ageing() -> None:
    """Let a test make an access key, or a membership, days old, at an address of our own."""
    known = app._handle_admin_config_request

    async def handle(path: str, method: str, body: bytes) -> Reply | None:
        if path != OLDER:
            reply: Reply | None = await known(path, method, body)
            return reply
        asked = json.loads(body)
        account, key_id = asked["account"], asked["access_key_id"]
        made = time.time() - asked["days"] * 24 * 3600
        if key_id:
            key = iam._access_keys.get_scoped(account, None, key_id)
            key["CreateDate"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(made))
            key.pop("_Used", None)
        else:
            owner = os.environ["MINISTACK_ACCOUNT_ID"]
            organizations._accounts.get_scoped(owner, None, account)["JoinedTimestamp"] = made
        return 200, {"Content-Type": "application/json"}, b"{}"

    app._handle_admin_config_request = handle


def share_layers() -> None:
    """Unpack a layer once, however many workers have it: 1,300 files take long to write and delete.

    Nothing is different for the functions but that their layers' folders are links.
    """
    unpacking = threading.Lock()

    class Zip(zipfile.ZipFile):
        """A zip file whose place is a link to what it held, where it is a layer."""

        def extractall(self, path: Any = None, members: Any = None, pwd: Any = None) -> None:
            place = Path(path or "")
            if not place.name.startswith("layer_"):
                super().extractall(path, members, pwd)
                return
            digest = hashlib.sha256(Path(str(self.filename)).read_bytes()).hexdigest()
            shared = Path(os.environ["TMPDIR"], f"layer-{digest}")
            with unpacking:
                if not shared.exists():
                    super().extractall(f"{shared}-unpacking", members, pwd)
                    Path(f"{shared}-unpacking").rename(shared)
            place.rmdir()
            place.symlink_to(shared)

    lambda_runtime.zipfile = types.SimpleNamespace(**{**vars(zipfile), "ZipFile": Zip})


def add_pseudo_parameters() -> None:
    """Let a template's Conditions compare account and region: ministack compares their names."""
    known = engine._evaluate_conditions

    def evaluate(template: Parameters, parameters: Parameters) -> dict[str, bool]:
        pseudo = {
            "AWS::AccountId": {"Value": responses.get_account_id()},
            "AWS::Region": {"Value": responses.get_region()},
            "AWS::Partition": {"Value": "aws"},
        }
        found: dict[str, bool] = known(template, pseudo | parameters)
        return found

    for module in (engine, changesets, handlers, stacks):
        module._evaluate_conditions = evaluate


def add_groups_to_cloudformation() -> None:
    """Let a template make an IAM group: ministack has groups, but not for templates."""

    def create(logical_id: str, properties: Parameters, stack: str) -> tuple[str, Parameters]:
        name = properties.get("GroupName") or f"{stack}-{logical_id}"
        iam._create_group({"GroupName": name, "Path": properties.get("Path", "/")})
        for policy in properties.get("Policies", []):
            document = json.dumps(policy["PolicyDocument"])
            about = {"GroupName": name, "PolicyName": policy["PolicyName"]}
            iam._put_group_policy(about | {"PolicyDocument": document})
        return name, {"Arn": iam._groups[name]["Arn"]}

    def delete(name: str, properties: Parameters) -> None:
        for policy in properties.get("Policies", []):
            iam._delete_group_policy({"GroupName": name, "PolicyName": policy["PolicyName"]})
        iam._delete_group({"GroupName": name})

    provisioners._RESOURCE_HANDLERS["AWS::IAM::Group"] = {"create": create, "delete": delete}


def add_identity_center(endpoint: str) -> None:
    """Send what is asked of Identity Center to the process that plays it, once IAM has allowed it.

    The caller's account goes along, and the accounts of the organization: that process knows
    neither. A call is allowed where each resource that it names is.
    """
    for service, (target, model) in ELSEWHERE.items():
        router.SERVICE_PATTERNS[service] = {"target_prefixes": [target]}
        iam_actions.SERVICE_TO_IAM_NAMESPACE[service] = service
        iam_actions._BOTOCORE_SERVICE_MAP[service] = [model]
        iam_actions._DENIED_CODES[service] = "AccessDeniedException"
        app.SERVICE_HANDLERS[service] = functools.partial(forwarded, endpoint)
    resource, enforce = iam_actions.extract_resource_arn, iam_evaluator.enforce

    @functools.wraps(resource)
    def resources(*request: Any, **more: Any) -> str:
        if request[0] in ELSEWHERE:
            operation = request[3].get("x-amz-target", "").rpartition(".")[2]
            return " ".join(identity_center_resources(request[0], operation, request[4]))
        return str(resource(*request, **more))

    @functools.wraps(enforce)
    def enforce_each(*asked: Any, resource_arn: str = "*", **more: Any) -> Any:
        each = resource_arn.split() if asked[2] in ELSEWHERE else [resource_arn]
        denials = (enforce(*asked, resource_arn=one, **more) for one in each)
        return next(filter(None, denials), None)

    iam_actions.extract_resource_arn = resources
    iam_evaluator.enforce = enforce_each


def identity_center_resources(service: str, operation: str, body: bytes) -> list[str]:
    """Return the ARNs that a call must be allowed on: what it names, and all of what it lists.

    Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsiamidentitycenter.html
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentitystore.html
    """
    asked = json.loads(body or b"{}")
    if service == "sso":
        found = [asked[name] for name in ("InstanceArn", "PermissionSetArn") if name in asked]
        if resource := asked.get("ResourceArn"):
            found.append(resource)
        if account := asked.get("TargetId") or asked.get("AccountId"):
            found.append(f"arn:aws:sso:::account/{account}")
        if asked.get("TargetType") == "ALL_PROVISIONED_ACCOUNTS":
            found.append("arn:aws:sso:::account/*")
        return found or ["*"]
    store = asked.get("IdentityStoreId", "")
    owner = os.environ["MINISTACK_ACCOUNT_ID"]
    member = asked.get("MemberId") or {}
    named = {
        "group": asked.get("GroupId") or ("*" if "GroupIds" in asked else None),
        "user": asked.get("UserId") or member.get("UserId"),
        "membership": "*" if operation in OF_MEMBERSHIPS else asked.get("MembershipId"),
    }
    arns = [f"arn:aws:identitystore:::{kind}/{name}" for kind, name in named.items() if name]
    return [f"arn:aws:identitystore::{owner}:identitystore/{store}", *arns]


async def forwarded(
    endpoint: str,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    _query: Parameters,
) -> Reply:
    """Answer with what the process that plays Identity Center answers."""
    known = [account for _, account in organizations._accounts._data]
    sent = {name: headers[name] for name in ("authorization", "x-amz-target") if name in headers}
    asked = urllib.request.Request(  # noqa: S310  our own process, on this machine
        f"{endpoint}{path}",
        data=body,
        method=method,
        headers=sent
        | {
            "content-type": headers.get("content-type", "application/x-amz-json-1.1"),
            "x-moto-account-id": responses.get_account_id(),
            "x-keyward-accounts": ",".join({*known, os.environ["MINISTACK_ACCOUNT_ID"]}),
        },
    )
    return await asyncio.to_thread(answer_of, asked)


def answer_of(asked: urllib.request.Request) -> Reply:
    """Return status, headers and body of an answer, of an error too."""
    try:
        with urllib.request.urlopen(asked, timeout=IDENTITY_CENTER_SECONDS) as found:  # noqa: S310  the same
            return found.status, {"Content-Type": "application/x-amz-json-1.1"}, found.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, {"Content-Type": "application/x-amz-json-1.1"}, refused.read()


class StaticCredential:
    """One kind of long-lived credential of IAM users: made, listed, switched off, deleted."""

    def __init__(self, name: str, verb: str, key: str, prefix: str, element: str = "") -> None:
        """Keep nothing yet; `element` is the XML element's name where it isn't the kind's."""
        self.name, self.verb, self.key, self.prefix = name, verb, key, prefix
        self.element = element or name
        self.kept = type(iam._users)()

    def create(self, parameters: Parameters) -> Reply:
        """Store the credential as active, and answer with it: the password too, this once."""
        user = iam._users.get(iam._p(parameters, "UserName"))
        if not user:
            return self._missing()
        number = iam._gen_id(self.prefix)
        about = {"UserName": user["UserName"], self.key: number, "Status": "Active"}
        if self.verb == "Upload":
            about["UploadDate"] = iam._now()
            body = "SSHPublicKeyBody" if self.name == "SSHPublicKey" else "CertificateBody"
            once = {body: iam._p(parameters, body)}
            if self.name == "SSHPublicKey":
                once["Fingerprint"] = ":".join(["00"] * 16)
        else:
            service = iam._p(parameters, "ServiceName")
            about |= {"CreateDate": iam._now(), "ServiceName": service}
            about["ServiceUserName"] = f"{user['UserName']}-at-{number[-12:]}"
            once = {"ServicePassword": iam._gen_secret()}
        self.kept[number] = about | {"_UserId": user["UserId"]}
        action = f"{self.verb}{self.name}"
        answer = f"<{self.element}>{self._xml(about | once)}</{self.element}>"
        return self._answer(action, answer)

    def list(self, parameters: Parameters) -> Reply:
        """Answer with what a user holds, or with AllUsers what all hold, without secrets.

        Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListServiceSpecificCredentials.html
        """
        name = iam._p(parameters, "UserName")
        of_all = iam._p(parameters, "AllUsers") == "true" and self.verb == "Create"
        if of_all and name:
            error: Reply = iam._error(400, "ValidationError", "AllUsers and UserName exclude.")
            return error
        user = iam._users.get(name)
        if not user and not of_all:
            return self._missing()
        held = [c for c in self.kept.values() if of_all or c["_UserId"] == user["UserId"]]
        begin = int(iam._p(parameters, "Marker") or 0)
        end = begin + int(iam._p(parameters, "MaxItems") or DETAILS_IN_A_PAGE)
        members = "".join(f"<member>{self._xml(shown)}</member>" for shown in held[begin:end])
        more = end < len(held)
        answer = f"<{self.element}s>{members}</{self.element}s>" + (
            f"<IsTruncated>true</IsTruncated><Marker>{end}</Marker>"
            if more
            else "<IsTruncated>false</IsTruncated>"
        )
        return self._answer(f"List{self.name}s", answer)

    def update(self, parameters: Parameters) -> Reply:
        """Switch a credential on or off."""
        credential = self.kept.get(iam._p(parameters, self.key))
        if not credential:
            return self._missing()
        credential["Status"] = iam._p(parameters, "Status")
        return self._answer(f"Update{self.name}", "")

    def delete(self, parameters: Parameters) -> Reply:
        """Forget a credential."""
        number = iam._p(parameters, self.key)
        if number not in self.kept:
            return self._missing()
        del self.kept[number]
        return self._answer(f"Delete{self.name}", "")

    def _xml(self, values: dict[str, str]) -> str:
        return "".join(f"<{k}>{v}</{k}>" for k, v in values.items() if not k.startswith("_"))

    def _answer(self, action: str, inner: str) -> Reply:
        answer = f"<{action}Result>{inner}</{action}Result>" if inner else ""
        reply: Reply = iam._xml(200, f"{action}Response", answer)
        return reply

    def _missing(self) -> Reply:
        reply: Reply = iam._error(404, "NoSuchEntity", f"The {self.name} or its user is not found.")
        return reply


STATIC_CREDENTIALS = {
    kind.name: kind
    for kind in (
        StaticCredential("SSHPublicKey", "Upload", "SSHPublicKeyId", "APKA"),
        StaticCredential("SigningCertificate", "Upload", "CertificateId", "CERT", "Certificate"),
        StaticCredential(
            "ServiceSpecificCredential", "Create", "ServiceSpecificCredentialId", "ACCA"
        ),
    )
}

if __name__ == "__main__":
    main()
