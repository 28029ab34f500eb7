"""`keyward preflight`: what it looks at, and the command that it prints."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Cli

MANAGEMENT = "111122223333"
STACKSETS = "member.org.stacksets.cloudformation.amazonaws.com"
TRAIL = {
    "Name": "organization",
    "TrailARN": "arn:aws:cloudtrail:us-east-1:111122223333:trail/organization",
    "IsOrganizationTrail": True,
    "IsMultiRegionTrail": True,
    "HomeRegion": "us-east-1",
}
INSTANCE = "arn:aws:sso:::instance/ssoins-1"
READY: dict[str, Any] = {
    "GetCallerIdentity": {"Account": MANAGEMENT, "Arn": f"arn:aws:iam::{MANAGEMENT}:role/admin"},
    "DescribeOrganization": {"Organization": {"Id": "o-abc1234567", "MasterAccountId": MANAGEMENT}},
    "ListRoots": {"Roots": [{"Id": "r-abcd"}]},
    "ListAWSServiceAccessForOrganization": {
        "EnabledServicePrincipals": [{"ServicePrincipal": STACKSETS}]
    },
    "DescribeTrails": {"trailList": [TRAIL]},
    "GetTrailStatus": {"IsLogging": True},
    "ListInstances": {"Instances": [{"InstanceArn": INSTANCE, "OwnerAccountId": MANAGEMENT}]},
    "DescribeInstance": {
        "InstanceArn": INSTANCE,
        "EncryptionConfigurationDetails": {"KeyType": "AWS_OWNED_KMS_KEY"},
    },
    "ListDelegatedAdministrators": {"DelegatedAdministrators": []},
    "ListPolicies": {"Policies": [{"Id": "p-1", "Name": "regions"}]},
    "DescribePolicy": {"Policy": {"Content": "{}"}},
    "ListLandingZones": {"landingZones": []},
}
OPTIONAL = {"GetCallerIdentity", "ListLandingZones"}
CONTROL_TOWER = "Control Tower"


def denying(*regions: str, role: str = "") -> dict[str, Any]:
    condition: dict[str, Any] = {"StringNotEquals": {"aws:RequestedRegion": list(regions)}}
    if role:
        condition["ArnNotLike"] = {"aws:PrincipalARN": role}
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    return {"Policy": {"Content": json.dumps({"Statement": [statement]})}}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What AWS answers, by operation; a text is an error's code, a function gets the region."""
    answers = dict(READY)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")

    def answer(client: BaseClient, operation: str, params: dict[str, Any]) -> Any:
        found = answers[operation]
        if callable(found):
            found = found(client.meta.region_name)
        if operation == "ListDelegatedAdministrators":
            assert params["ServicePrincipal"] == "sso.amazonaws.com"
        if isinstance(found, str):
            raise ClientError({"Error": {"Code": found, "Message": ""}}, operation)
        return found

    monkeypatch.setattr(BaseClient, "_make_api_call", answer)
    return answers


def found(cli: Cli, *arguments: str) -> tuple[int, dict[str, Any]]:
    result = cli(*arguments, "preflight", "--json")
    return result.exit_code, json.loads(result.stdout)


def not_ok(report: dict[str, Any]) -> dict[str, Any]:
    return {check["name"]: check["ok"] for check in report["checks"] if check["ok"] is not True}


@pytest.mark.usefixtures("aws")
def test_a_ready_organization_gets_the_exact_command(cli: Cli) -> None:
    status, report = found(cli, "--region", "eu-central-1")
    assert (status, report["ready"], not_ok(report)) == (0, True, {})
    assert report["command"] == (
        "sam build && sam deploy --stack-name keyward --region eu-central-1 --resolve-s3 "
        "--capabilities CAPABILITY_NAMED_IAM CAPABILITY_AUTO_EXPAND --parameter-overrides "
        "OrganizationId=o-abc1234567 OrganizationRootId=r-abcd"
    )
    shown = cli("--region", "eu-central-1", "preflight").stdout
    assert report["command"] in shown.splitlines()


@pytest.mark.usefixtures("aws")
def test_the_command_gives_every_parameter_that_has_no_default(cli: Cli) -> None:
    template = (Path(__file__).parents[2] / "template.yaml").read_text()
    parameters = template.partition("\nParameters:\n")[2].partition("\nMappings:\n")[0]
    blocks = re.split(r"\n(?=  \w)", "\n" + parameters)
    needed = {
        block.strip().partition(":")[0]
        for block in blocks
        if block.strip() and "Default:" not in block
    }
    _, report = found(cli)
    overrides = report["command"].partition("--parameter-overrides ")[2]
    assert {one.partition("=")[0] for one in overrides.split()} == needed


def delegated(*accounts: str) -> dict[str, Any]:
    return {"DelegatedAdministrators": [{"Id": account} for account in accounts]}


def test_the_command_names_the_delegated_administrator_of_identity_center(
    cli: Cli, aws: dict[str, Any]
) -> None:
    aws["ListDelegatedAdministrators"] = delegated("444455556666")
    status, report = found(cli)
    assert (status, report["ready"]) == (0, True)
    assert report["command"].endswith(
        " OrganizationRootId=r-abcd DelegatedAdministrator=444455556666"
    )
    (told,) = [one for one in report["checks"] if one["name"] == "delegated administrator"]
    assert "444455556666" in told["found"]


def test_the_command_names_the_key_that_identity_center_is_encrypted_with(
    cli: Cli, aws: dict[str, Any]
) -> None:
    key = "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555"
    own = {"KeyType": "CUSTOMER_MANAGED_KEY", "KmsKeyArn": key}
    aws["DescribeInstance"] = {"InstanceArn": INSTANCE, "EncryptionConfigurationDetails": own}
    status, report = found(cli)
    assert status == 0
    assert report["command"].endswith(f" IdentityCenterKeyArn={key}")


@pytest.fixture
def tower(aws: dict[str, Any]) -> Callable[..., None]:
    """Gives the organization a Control Tower, as the regions where it is asked for show it."""
    services = [{"ServicePrincipal": one} for one in (STACKSETS, "controltower.amazonaws.com")]
    aws["ListAWSServiceAccessForOrganization"] = {"EnabledServicePrincipals": services}

    def at(home: str, *, trail: str, elsewhere: Any = None) -> None:
        arn = f"arn:aws:controltower:{home}:{MANAGEMENT}:landingzone/1A2B3C4D5E6F7G8H"
        here = {"landingZones": [{"arn": arn}]}
        nothing = {"landingZones": []} if elsewhere is None else elsewhere
        aws["DescribeTrails"] = {"trailList": [TRAIL | {"HomeRegion": trail}]}
        aws["ListLandingZones"] = lambda region: here if region == home else nothing

    return at


def about_control_tower(report: dict[str, Any]) -> dict[str, Any]:
    (told,) = [one for one in report["checks"] if one["name"] == CONTROL_TOWER]
    return dict(told)


def test_control_tower_at_home_in_the_hubs_region_needs_no_parameter(
    cli: Cli, tower: Callable[..., None]
) -> None:
    tower("eu-central-1", trail="us-east-1")
    status, report = found(cli, "--region", "eu-central-1")
    assert (status, report["ready"]) == (0, True)
    assert about_control_tower(report)["found"] == "is at home in eu-central-1"
    assert report["command"].endswith(" OrganizationRootId=r-abcd")


@pytest.mark.parametrize("elsewhere", [None, "AccessDeniedException"])
def test_the_command_names_control_towers_home_where_it_is_another_region(
    cli: Cli, tower: Callable[..., None], elsewhere: str | None
) -> None:
    tower("eu-west-1", trail="eu-west-1", elsewhere=elsewhere)
    status, report = found(cli, "--region", "eu-central-1")
    assert (status, report["ready"]) == (0, True)
    assert about_control_tower(report)["found"].startswith("is at home in eu-west-1,")
    assert report["command"].endswith(" OrganizationRootId=r-abcd ControlTowerRegion=eu-west-1")


def test_a_landing_zones_arn_tells_control_towers_home_wherever_it_is_shown(
    cli: Cli, aws: dict[str, Any], tower: Callable[..., None]
) -> None:
    tower("eu-west-1", trail="us-east-1")
    aws["ListLandingZones"] = aws["ListLandingZones"]("eu-west-1")
    report = found(cli, "--region", "eu-central-1")[1]
    assert report["command"].endswith(" ControlTowerRegion=eu-west-1")


@pytest.mark.parametrize(
    ("elsewhere", "word"),
    [
        (None, "is on, but has no landing zone in eu-central-1 or us-east-1"),
        ("AccessDeniedException", "AccessDeniedException"),
    ],
)
def test_where_nobody_can_tell_control_towers_home_one_line_says_how_to_find_it(
    cli: Cli, tower: Callable[..., None], elsewhere: str | None, word: str
) -> None:
    tower("eu-west-1", trail="us-east-1", elsewhere=elsewhere)
    status, report = found(cli, "--region", "eu-central-1")
    assert (status, not_ok(report)) == (1, {CONTROL_TOWER: None})
    told = about_control_tower(report)
    assert word in told["found"]
    assert "ControlTowerRegion=<it>" in told["remedy"]
    assert "\n" not in told["found"] + told["remedy"]
    assert "ControlTowerRegion" not in report["command"]


def test_control_tower_is_not_asked_for_where_the_organization_has_none(
    cli: Cli, aws: dict[str, Any]
) -> None:
    aws["ListLandingZones"] = "AccessDeniedException"
    status, report = found(cli)
    assert (status, not_ok(report)) == (0, {})
    assert CONTROL_TOWER not in [one["name"] for one in report["checks"]]


def test_a_region_that_identity_center_was_only_added_to_is_not_its_home(
    cli: Cli, aws: dict[str, Any]
) -> None:
    aws["DescribeInstance"] = {"InstanceArn": INSTANCE, "PrimaryRegion": "eu-central-1"}
    status, report = found(cli, "--region", "eu-west-1")
    assert (status, not_ok(report)) == (1, {"region": False})
    assert (
        "eu-central-1" in next(one for one in report["checks"] if one["name"] == "region")["found"]
    )
    assert found(cli, "--region", "eu-central-1")[0] == 0


def test_no_command_is_printed_while_the_delegated_administrator_is_unknown(
    cli: Cli, aws: dict[str, Any]
) -> None:
    aws["ListDelegatedAdministrators"] = "AccessDeniedException"
    assert found(cli)[1]["command"] is None


@pytest.mark.parametrize(
    ("operation", "answer", "check"),
    [
        ("GetCallerIdentity", {"Account": "444455556666"}, "management account"),
        ("ListAWSServiceAccessForOrganization", {"EnabledServicePrincipals": []}, "trusted access"),
        ("DescribeTrails", {"trailList": []}, "organization trail"),
        (
            "DescribeTrails",
            {"trailList": [TRAIL | {"IsOrganizationTrail": False}]},
            "organization trail",
        ),
        (
            "DescribeTrails",
            {"trailList": [TRAIL | {"IsMultiRegionTrail": False}]},
            "organization trail",
        ),
        ("GetTrailStatus", {"IsLogging": False}, "organization trail"),
        ("ListInstances", {"Instances": []}, "region"),
        (
            "ListInstances",
            {"Instances": [{"InstanceArn": INSTANCE, "OwnerAccountId": "444455556666"}]},
            "Identity Center's owner",
        ),
        ("ListInstances", {"Instances": [{"InstanceArn": INSTANCE}]}, "Identity Center's owner"),
        (
            "ListDelegatedAdministrators",
            delegated("444455556666", "555566667777"),
            "delegated administrator",
        ),
        ("DescribePolicy", denying("eu-central-1"), "region-deny policies"),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(
    cli: Cli, aws: dict[str, Any], operation: str, answer: dict[str, Any], check: str
) -> None:
    aws[operation] = answer
    status, report = found(cli)
    assert (status, report["ready"], not_ok(report)) == (1, False, {check: False})
    assert all("remedy" in one for one in report["checks"] if not one["ok"])


@pytest.mark.parametrize(
    "policy",
    [
        denying("eu-central-1", "us-east-1"),
        denying("eu-central-1", role="arn:aws:iam::*:role/stacksets-exec-*"),
        {"Policy": {"Content": '{"Statement": {"Effect": "Allow", "Action": "*"}}'}},
    ],
)
def test_a_policy_that_spares_iams_region_is_not_in_the_way(
    cli: Cli, aws: dict[str, Any], policy: dict[str, Any]
) -> None:
    aws["DescribePolicy"] = policy
    assert found(cli)[0] == 0


@pytest.mark.parametrize("operation", [one for one in READY if one not in OPTIONAL])
def test_what_cannot_be_read_is_unknown_and_not_ready(
    cli: Cli, aws: dict[str, Any], operation: str
) -> None:
    aws[operation] = "AccessDeniedException"
    status, report = found(cli)
    assert (status, report["ready"]) == (1, False)
    assert list(not_ok(report).values()) == [None]


def test_without_credentials_it_is_one_line(cli: Cli, aws: dict[str, Any]) -> None:
    aws["GetCallerIdentity"] = "ExpiredToken"
    result = cli("preflight")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "aws sso login" in line
