"""Whether the organization is ready for Keyward, and the exact command that deploys it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keyward.errors import GatewayError
from keyward.gateways.translate import translated
from keyward_cli.aws import Caller, one_line

if TYPE_CHECKING:
    from boto3 import Session

STACKSETS = "member.org.stacksets.cloudformation.amazonaws.com"
"""The service whose trusted access service-managed StackSets need.

Source: https://docs.aws.amazon.com/organizations/latest/userguide/services-that-can-integrate-cloudformation.html
"""

IDENTITY_CENTER = "sso.amazonaws.com"
"""As Organizations calls it.

Source: https://docs.aws.amazon.com/organizations/latest/userguide/services-that-can-integrate-sso.html
"""

IAM_REGION = "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at. `ok` is None where it couldn't be told."""

    name: str
    ok: bool | None
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """All checks, and the command; None where what it needs isn't known."""

    checks: tuple[Check, ...]
    command: str | None


def preflight(caller: Caller) -> Preflight:
    """Looks at everything that a deployment needs; reads only. A failed call is a failed check.

    Raises GatewayError where there are no credentials at all.
    """
    session = caller.session()
    with translated("GetCallerIdentity"):
        account = session.client("sts").get_caller_identity()["Account"]
    region = session.region_name
    checks: list[Check] = []
    organization = _try(checks, "organization", lambda: _organization(session))
    root = _try(checks, "organization root", lambda: _root(session))
    delegates = _try(checks, "delegated administrator", lambda: _delegates(session))
    manager = None
    if organization is not None:
        manager = organization["MasterAccountId"]
        checks.append(
            Check(
                name="management account",
                ok=account == manager,
                found=f"you are in {account}",
                remedy=f"use credentials of the management account, {manager}",
            )
        )
        checks.append(Check(name="organization", ok=True, found=organization["Id"]))
    if root is not None:
        checks.append(Check(name="organization root", ok=True, found=root))
    checks.extend(_checked("trusted access", lambda: _trusted_access(session)))
    checks.extend(_checked("organization trail", lambda: _trail(session)))
    checks.extend(_checked("region", lambda: _region(session, manager)))
    if delegates is not None:
        checks.append(_delegated(delegates))
    checks.extend(_checked("region-deny policies", lambda: _region_deny(session)))
    command = None
    if None not in {region, root} and organization is not None and delegates is not None:
        command = (
            f"sam build && sam deploy --stack-name keyward --region {region} --resolve-s3 "
            "--capabilities CAPABILITY_NAMED_IAM CAPABILITY_AUTO_EXPAND --parameter-overrides "
            f"OrganizationId={organization['Id']} OrganizationRootId={root}"
            + "".join(f" DelegatedAdministrator={account}" for account in delegates[:1])
        )
    return Preflight(checks=tuple(checks), command=command)


def _try[T](checks: list[Check], name: str, read: Callable[[], T]) -> T | None:
    try:
        return read()
    except GatewayError as error:
        checks.append(_unknown(name, error))
        return None


def _checked(name: str, read: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    try:
        yield from read()
    except GatewayError as error:
        yield _unknown(name, error)


def _unknown(name: str, error: GatewayError) -> Check:
    return Check(
        name=name,
        ok=None,
        found=one_line(error),
        remedy="use read access to Organizations, CloudTrail and Identity Center, then look again",
    )


def _organization(session: "Session") -> dict[str, str]:
    with translated("DescribeOrganization"):
        found = session.client("organizations").describe_organization()["Organization"]
    return {"Id": found["Id"], "MasterAccountId": found["MasterAccountId"]}


def _root(session: "Session") -> str:
    with translated("ListRoots"):
        return session.client("organizations").list_roots()["Roots"][0]["Id"]


def _delegates(session: "Session") -> list[str]:
    """The accounts that administer Identity Center beside the management account."""
    client = session.client("organizations")
    with translated("ListDelegatedAdministrators of Identity Center"):
        pages = client.get_paginator("list_delegated_administrators").paginate(
            ServicePrincipal=IDENTITY_CENTER
        )
        return [one["Id"] for page in pages for one in page["DelegatedAdministrators"]]


def _delegated(accounts: list[str]) -> Check:
    """There may be one; the hub hears of what is done there by a parameter of its stack."""
    return Check(
        name="delegated administrator",
        ok=len(accounts) <= 1,
        found=f"{', '.join(accounts)} administers Identity Center" if accounts else "none",
        remedy="let one account administer Identity Center: Keyward hears of one",
    )


def _trusted_access(session: "Session") -> Iterator[Check]:
    with translated("ListAWSServiceAccessForOrganization"):
        pages = session.client("organizations").get_paginator(
            "list_aws_service_access_for_organization"
        )
        services = {
            service["ServicePrincipal"]
            for page in pages.paginate()
            for service in page["EnabledServicePrincipals"]
        }
    on = STACKSETS in services
    yield Check(
        name="trusted access",
        ok=on,
        found=f"for StackSets: {'on' if on else 'off'}",
        remedy="aws cloudformation activate-organizations-access",
    )


def _trail(session: "Session") -> Iterator[Check]:
    client = session.client("cloudtrail")
    with translated("DescribeTrails"):
        trails = [
            trail
            for trail in client.describe_trails()["trailList"]
            if trail.get("IsOrganizationTrail") and trail.get("IsMultiRegionTrail")
        ]
    logging = None
    for trail in trails:
        with translated("GetTrailStatus"):
            if client.get_trail_status(Name=trail["TrailARN"])["IsLogging"]:
                logging = trail["Name"]
    yield Check(
        name="organization trail",
        ok=logging is not None,
        found=f"{logging} is logging" if logging else f"{len(trails)} found, none is logging",
        remedy="have a multi-region organization trail with logging on: no trail, no events",
    )


def _region(session: "Session", manager: str | None) -> Iterator[Check]:
    region = session.region_name
    if region is None:
        yield Check(
            name="region", ok=False, found="none is set", remedy="set AWS_REGION or --region"
        )
        return
    with translated("ListInstances of Identity Center"):
        instances = session.client("sso-admin").list_instances()["Instances"]
    yield Check(
        name="region",
        ok=bool(instances),
        found=f"{region}{' is' if instances else ' is not'} Identity Center's home",
        remedy="deploy the hub into Identity Center's region: set AWS_REGION or --region",
    )
    if instances and manager is not None:
        owners = sorted({instance.get("OwnerAccountId", "unknown") for instance in instances})
        yield Check(
            name="Identity Center's owner",
            ok=manager in owners,
            found=f"the instance belongs to {', '.join(owners)}",
            remedy="have an organization instance: Keyward keeps no instance of a single account",
        )
    if region != IAM_REGION:
        yield Check(
            name="IAM's region",
            ok=True,
            found=f"a second StackSet forwards the management account's events from {IAM_REGION}",
        )


def _region_deny(session: "Session") -> Iterator[Check]:
    """A hint only: people decide whether such a policy spares us-east-1."""
    client = session.client("organizations")
    denying = []
    with translated("ListPolicies"):
        pages = client.get_paginator("list_policies").paginate(Filter="SERVICE_CONTROL_POLICY")
        policies = [policy for page in pages for policy in page["Policies"]]
    for policy in policies:
        with translated(f"DescribePolicy {policy['Id']}"):
            content = client.describe_policy(PolicyId=policy["Id"])["Policy"]["Content"]
        if "aws:requestedregion" in content.lower() and not _spares_iam_region(content):
            denying.append(policy["Name"])
    yield Check(
        name="region-deny policies",
        ok=not denying,
        found=f"{', '.join(denying)} may deny {IAM_REGION}" if denying else "none in the way",
        remedy=(
            f"exempt {IAM_REGION}, or the roles stacksets-exec-* and keyward/*, "
            "as docs/operations.md says"
        ),
    )


def _spares_iam_region(content: str) -> bool:
    """Whether every Deny by region names us-east-1 or StackSets' execution roles as exceptions."""
    try:
        statements = json.loads(content)["Statement"]
    except (ValueError, KeyError, TypeError):
        return False
    denies = [
        json.dumps(statement)
        for statement in (statements if isinstance(statements, list) else [statements])
        if isinstance(statement, dict) and statement.get("Effect") == "Deny"
    ]
    return all(
        IAM_REGION in deny or "stacksets-exec" in deny
        for deny in denies
        if "aws:requestedregion" in deny.lower()
    )
