"""Whether the organization is ready for Keyward, and the exact command that deploys it."""

import json
from collections.abc import Callable, Iterable, Iterator
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

CONTROL_TOWER = "controltower.amazonaws.com"
"""As Organizations calls it.

Source: https://docs.aws.amazon.com/organizations/latest/userguide/services-that-can-integrate-CTower.html
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Instance:
    """What the region shows of Identity Center; `key_arn` is of a key of the customer's own."""

    owners: tuple[str, ...]
    home: str | None = None
    key_arn: str | None = None


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
    services = _try(checks, "trusted access", lambda: _services(session))
    if services is not None:
        checks.append(_trusted_access(services))
    trails = _try(checks, "organization trail", lambda: _trails(session))
    if trails is not None:
        checks.extend(_checked("organization trail", lambda: _trail(session, trails)))
    instance = tower = None
    if region is None:
        checks.append(NO_REGION)
    else:
        instance = _try(checks, "region", lambda: _instance(session, manager))
        if instance is not None:
            checks.extend(_region(region, instance, manager))
        if services is not None and CONTROL_TOWER in services:
            asked = dict.fromkeys((region, *(trails or {}).values()))
            tower = _try_control_tower(checks, session, tuple(asked))
    if delegates is not None:
        checks.append(_delegated(delegates))
    checks.extend(_checked("region-deny policies", lambda: _region_deny(session)))
    command = None
    if organization and root and region and instance is not None and delegates is not None:
        command = _command(
            region,
            OrganizationId=organization["Id"],
            OrganizationRootId=root,
            DelegatedAdministrator=delegates[0] if delegates else None,
            ControlTowerRegion=tower if tower != region else None,
            IdentityCenterKeyArn=instance.key_arn,
        )
    return Preflight(checks=tuple(checks), command=command)


def _command(region: str, **parameters: str | None) -> str:
    """What deploys the hub into the region; parameters that are None keep their defaults."""
    return (
        f"sam build && sam deploy --stack-name keyward --region {region} --resolve-s3 "
        "--capabilities CAPABILITY_NAMED_IAM CAPABILITY_AUTO_EXPAND --parameter-overrides "
        + " ".join(f"{name}={value}" for name, value in parameters.items() if value)
    )


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


def _services(session: "Session") -> set[str]:
    """The services that may act in the organization."""
    with translated("ListAWSServiceAccessForOrganization"):
        pages = session.client("organizations").get_paginator(
            "list_aws_service_access_for_organization"
        )
        return {
            service["ServicePrincipal"]
            for page in pages.paginate()
            for service in page["EnabledServicePrincipals"]
        }


def _trusted_access(services: set[str]) -> Check:
    on = STACKSETS in services
    return Check(
        name="trusted access",
        ok=on,
        found=f"for StackSets: {'on' if on else 'off'}",
        remedy="aws cloudformation activate-organizations-access",
    )


def _trails(session: "Session") -> dict[tuple[str, str], str]:
    """The organization's multi-region trails, by name and ARN: the region each was made in."""
    with translated("DescribeTrails"):
        return {
            (trail["Name"], trail["TrailARN"]): trail["HomeRegion"]
            for trail in session.client("cloudtrail").describe_trails()["trailList"]
            if trail.get("IsOrganizationTrail") and trail.get("IsMultiRegionTrail")
        }


def _trail(session: "Session", trails: Iterable[tuple[str, str]]) -> Iterator[Check]:
    client = session.client("cloudtrail")
    logging, number = None, 0
    for name, arn in trails:
        number += 1
        with translated("GetTrailStatus"):
            if client.get_trail_status(Name=arn)["IsLogging"]:
                logging = name
    yield Check(
        name="organization trail",
        ok=logging is not None,
        found=f"{logging} is logging" if logging else f"{number} found, none is logging",
        remedy="have a multi-region organization trail with logging on: no trail, no events",
    )


def _try_control_tower(
    checks: list[Check], session: "Session", regions: tuple[str, ...]
) -> str | None:
    """Control Tower's home region, and a check that says so; None where nobody can tell.

    Asked are the hub's region and those where the organization's trails were made: Control Tower
    makes its own at home.
    Source: https://docs.aws.amazon.com/controltower/latest/userguide/configure-kms-keys.html
    """
    try:
        home = _landing_zone(session, regions)
        found = f"is on, but has no landing zone in {' or '.join(regions)}"
    except GatewayError as error:
        home, found = None, one_line(error)
    if home is not None:
        found = f"is at home in {home}"
        if home != regions[0]:
            found += ", from where a StackSet forwards what it finishes"
    checks.append(
        Check(
            name="Control Tower",
            ok=None if home is None else True,
            found=found,
            remedy=(
                "find its home region in its console, under landing zone settings; if that is not "
                f"{regions[0]}, deploy with ControlTowerRegion=<it>"
            ),
        )
    )
    return home


def _landing_zone(session: "Session", regions: Iterable[str]) -> str | None:
    """The region in the landing zone's ARN; there is one at most. None where no region has it.

    Raises GatewayError where none has it and one of them didn't answer. An old landing zone that
    has no ARN yet gets one by this call; nothing else changes.
    Source: https://docs.aws.amazon.com/controltower/latest/APIReference/API_ListLandingZones.html
    """
    problem = None
    for region in regions:
        try:
            with translated(f"ListLandingZones in {region}"):
                client = session.client("controltower", region_name=region)
                zones = client.list_landing_zones()["landingZones"]
        except GatewayError as error:
            problem = problem or error
            continue
        for zone in zones:
            arn: str = zone["arn"]
            return arn.split(":")[3]
    if problem is not None:
        raise problem
    return None


NO_REGION = Check(name="region", ok=False, found="none is set", remedy="set AWS_REGION or --region")


def _instance(session: "Session", manager: str | None) -> _Instance:
    """The organization's instance, as the region shows it; it may have been added to others."""
    client = session.client("sso-admin")
    with translated("ListInstances of Identity Center"):
        instances = client.list_instances()["Instances"]
    owners = tuple(sorted({each.get("OwnerAccountId", "unknown") for each in instances}))
    ours = [each["InstanceArn"] for each in instances if each.get("OwnerAccountId") == manager]
    if not ours:
        return _Instance(owners=owners)
    with translated(f"DescribeInstance {ours[0]}"):
        described = client.describe_instance(InstanceArn=ours[0])
    return _Instance(
        owners=owners,
        home=described.get("PrimaryRegion"),
        key_arn=described.get("EncryptionConfigurationDetails", {}).get("KmsKeyArn"),
    )


def _region(region: str, instance: _Instance, manager: str | None) -> Iterator[Check]:
    """Events and changes are in Identity Center's primary region only.

    Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/api-support-in-additional-regions.html
    """
    is_home = bool(instance.owners) and instance.home in {None, region}
    elsewhere = f", which is {instance.home}" if instance.home not in {None, region} else ""
    yield Check(
        name="region",
        ok=is_home,
        found=f"{region}{' is' if is_home else ' is not'} Identity Center's home{elsewhere}",
        remedy="deploy the hub into Identity Center's region: set AWS_REGION or --region",
    )
    if instance.owners and manager is not None:
        yield Check(
            name="Identity Center's owner",
            ok=manager in instance.owners,
            found=f"the instance belongs to {', '.join(instance.owners)}",
            remedy="have an organization instance: Keyward keeps no instance of a single account",
        )
    if instance.key_arn is not None:
        yield Check(
            name="Identity Center's key",
            ok=True,
            found=f"{instance.key_arn} is your own: Keyward's roles get leave to decrypt by it",
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
