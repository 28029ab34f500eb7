"""An account's IAM as a whole, as AWS tells it: by CSV, by pages, and late."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import moto
import pytest
from botocore.stub import Stubber

from keyward.errors import GatewayError
from keyward.gateways.forwarders import MISSING, ForwarderGateway
from keyward.gateways.iam_report import IN_PROGRESS, NO_REPORT, IamReportGateway, parsed
from keyward.gateways.organization import Session
from keyward.gateways.visiting import Visitor
from keyward.services import _config
from keyward.survey import CredentialReport, Credentials
from tests.builders import MEMBER, NOW, OTHER_MEMBER

COLUMNS = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,"
    "password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,"
    "access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,"
    "access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,"
    "access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,"
    "cert_1_last_rotated,cert_2_active,cert_2_last_rotated"
)
MADE = "2026-01-02T03:04:05+00:00"


def a_line(name: str = "ci", *, path: str = "/", **changes: str) -> dict[str, str]:
    """A user without any credential, as AWS writes it."""
    nothing = dict.fromkeys(COLUMNS.split(","), "N/A")
    no = [it for it in nothing if it.endswith("_active")]
    return (
        nothing
        | dict.fromkeys(no, "false")
        | {
            "user": name,
            "arn": f"arn:aws:iam::{MEMBER}:user{path}{name}",
            "user_creation_time": MADE,
            "password_enabled": "false",
            "password_last_used": "N/A",
        }
        | changes
    )


def a_report(*lines: dict[str, str]) -> CredentialReport:
    text = "\n".join([COLUMNS, *(",".join(line.values()) for line in lines)])
    return parsed(text.encode(), generated_at=NOW)


def the_user(*lines: dict[str, str]) -> Credentials:
    (found,) = a_report(*lines).users.values()
    return found


def test_a_user_without_credentials_has_none() -> None:
    user = the_user(a_line())
    assert user.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert not user.password
    assert not any(key.active for key in user.keys)
    assert [key.changed_at for key in user.keys] == [None, None]
    assert user.certificates == (False, False)


def test_a_key_is_told_with_its_age_and_its_last_use() -> None:
    used = {
        "access_key_2_active": "true",
        "access_key_2_last_rotated": MADE,
        "access_key_2_last_used_date": "2026-03-04T05:06:07+00:00",
        "access_key_2_last_used_service": "s3",
    }
    first, second = the_user(a_line(**used)).keys
    assert not first.active
    assert (second.active, second.used_by) == (True, "s3")
    assert second.changed_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert second.used_at == datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.mark.parametrize("nothing", ["N/A", "no_information", "not_supported", ""])
def test_what_aws_knows_nothing_of_is_no_time(nothing: str) -> None:
    never = {"password_enabled": "TRUE", "password_last_used": nothing}
    user = the_user(a_line(**never, password_last_changed=MADE))
    assert user.password
    assert user.password_used_at is None


def test_the_root_user_is_no_user() -> None:
    root = a_line("<root_account>", access_key_1_active="true", password_enabled="not_supported")
    report = a_report(root, a_line())
    assert [user.user_name for user in report.users.values()] == ["ci"]
    assert report.root is not None
    assert report.root.keys[0].active
    assert not report.root.password


@pytest.mark.parametrize("path", ["/", "/a,b/", '/"quoted"/', "/x:y,/"])
@pytest.mark.parametrize("name", ["=cmd,1", "a,b,c", "@x", "+1,,", "arn,aws"])
def test_names_and_paths_with_commas_are_put_together_again(name: str, path: str) -> None:
    report = a_report(a_line(name, path=path, access_key_2_active="true"), a_line("other"))
    one, other = report.users.values()
    assert (one.user_name, one.arn) == (name, f"arn:aws:iam::{MEMBER}:user{path}{name}")
    assert [key.active for key in one.keys] == [False, True]
    assert other.user_name == "other"


def test_a_name_with_a_comma_may_as_well_be_quoted() -> None:
    line = a_line("a,b")
    quoted = line | {"user": f'"{line["user"]}"', "arn": f'"{line["arn"]}"'}
    assert the_user(quoted) == the_user(line)


def test_columns_go_by_name_and_new_ones_are_let_be() -> None:
    line = {"new": "whatever", **a_line(access_key_1_active="true"), "newer": "N/A"}
    text = f"{','.join(line)}\n{','.join(line.values())}\n"
    (user,) = parsed(text.encode(), generated_at=NOW).users.values()
    assert user.keys[0].active


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"user,arn\nci,arn:aws:iam::1:user/ci",
        b"\xff\xfe",
        f"{COLUMNS}\nci".encode(),
        f"{COLUMNS}\n{','.join(a_line(user_creation_time='yesterday').values())}".encode(),
        f"{COLUMNS},{'x,' * 9}\n".encode() + b",".join([b"no arn"] * 99),
    ],
)
def test_what_is_no_report_is_told_and_not_taken_for_an_empty_one(content: bytes) -> None:
    with pytest.raises(GatewayError) as raised:
        parsed(content, generated_at=NOW)
    assert raised.value.code == "UnreadableReport"
    assert not raised.value.retryable


# ---------------------------------------------------------------- calls


@pytest.fixture
def stubbed() -> Iterator[tuple[IamReportGateway, Stubber]]:
    client = boto3.client(
        "iam", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    with Stubber(client) as stubber:
        yield IamReportGateway(account=MEMBER, client=client), stubber


@pytest.mark.parametrize(
    ("state", "there"), [("COMPLETE", True), ("STARTED", False), ("INPROGRESS", False)]
)
def test_a_report_is_there_once_it_is_complete(
    stubbed: tuple[IamReportGateway, Stubber], state: str, *, there: bool
) -> None:
    gateway, stubber = stubbed
    stubber.add_response("generate_credential_report", {"State": state})
    assert gateway.begin_report() is there


def test_a_report_that_is_still_being_made_is_none(
    stubbed: tuple[IamReportGateway, Stubber],
) -> None:
    gateway, stubber = stubbed
    stubber.add_client_error("get_credential_report", service_error_code=IN_PROGRESS)
    assert gateway.report() is None
    assert gateway.calls == 1


@pytest.mark.parametrize("code", sorted(NO_REPORT))
def test_a_report_that_nobody_makes_is_asked_for(
    stubbed: tuple[IamReportGateway, Stubber], code: str
) -> None:
    gateway, stubber = stubbed
    stubber.add_client_error("get_credential_report", service_error_code=code)
    stubber.add_response("generate_credential_report", {"State": "STARTED"})
    assert gateway.report() is None
    stubber.assert_no_pending_responses()


def test_a_denied_report_is_no_missing_one(stubbed: tuple[IamReportGateway, Stubber]) -> None:
    gateway, stubber = stubbed
    stubber.add_client_error("get_credential_report", service_error_code="AccessDenied")
    with pytest.raises(GatewayError) as raised:
        gateway.report()
    assert not raised.value.retryable


def a_user(name: str, **more: object) -> dict[str, object]:
    return {
        "UserName": name,
        "UserId": f"AIDA{name.upper():A>16}",
        "Arn": f"arn:aws:iam::{MEMBER}:user/{name}",
        "Path": "/",
        "CreateDate": NOW,
        **more,
    }


A_DOCUMENT: Any = {"Version": "2012-10-17", "Statement": []}


def test_users_groups_and_policies_are_read_to_the_last_page(
    stubbed: tuple[IamReportGateway, Stubber],
) -> None:
    gateway, stubber = stubbed
    arn = f"arn:aws:iam::{MEMBER}:policy/team/deploy"
    asked = {"Filter": ["User", "Group", "LocalManagedPolicy"], "MaxItems": 500}
    inline = {"PolicyName": "a,b", "PolicyDocument": json.dumps(A_DOCUMENT)}
    one = a_user(
        "one",
        GroupList=["admins"],
        UserPolicyList=[inline],
        AttachedManagedPolicies=[{"PolicyName": "deploy", "PolicyArn": arn}],
        PermissionsBoundary={"PermissionsBoundaryArn": arn},
        Tags=[{"Key": "owner", "Value": "ana"}],
    )
    group = {
        "GroupName": "admins",
        "GroupId": "AGPAAAAAAAAAAAAAAAAA",
        "AttachedManagedPolicies": [{"PolicyName": "deploy", "PolicyArn": arn}],
    }
    old = {"VersionId": "v1", "IsDefaultVersion": False, "Document": "{}"}
    new = {"VersionId": "v2", "IsDefaultVersion": True, "Document": json.dumps(A_DOCUMENT)}
    policy = {"PolicyName": "deploy", "Arn": arn, "PolicyVersionList": [old, new]}
    stubber.add_response(
        "get_account_authorization_details",
        {"UserDetailList": [one], "IsTruncated": True, "Marker": "more"},
        asked,
    )
    stubber.add_response(
        "get_account_authorization_details",
        {
            "UserDetailList": [a_user("two")],
            "GroupDetailList": [group],
            "Policies": [policy],
            "IsTruncated": False,
        },
        {**asked, "Marker": "more"},
    )

    found = gateway.authorizations()

    first, second = found.users
    assert (first.name, second.name) == ("one", "two")
    assert (first.attached, first.groups) == ((arn,), ("admins",))
    assert [(it.name, json.loads(it.text)) for it in first.inline] == [("a,b", A_DOCUMENT)]
    assert first.user is not None
    assert (first.user.boundary_arn, first.user.tags) == (arn, {"owner": "ana"})
    assert found.groups["admins"].attached == (arn,)
    assert json.loads(found.policies[arn].text) == A_DOCUMENT
    assert found.policies[arn].name == "deploy"
    assert gateway.calls == 2


def test_credentials_of_all_users_are_read_to_the_last_page(
    stubbed: tuple[IamReportGateway, Stubber],
) -> None:
    gateway, stubber = stubbed

    def a_credential(user: str, id_: str, status: str = "Active") -> dict[str, object]:
        return {
            "UserName": user,
            "Status": status,
            "ServiceSpecificCredentialId": id_,
            "ServiceName": "bedrock.amazonaws.com",
            "ServiceUserName": f"{user}-at-{MEMBER}",
            "CreateDate": NOW,
        }

    ids = [f"ACCA{number:016}" for number in range(3)]
    stubber.add_response(
        "list_service_specific_credentials",
        {
            "ServiceSpecificCredentials": [
                a_credential("one", ids[0]),
                a_credential("two", ids[1]),
            ],
            "IsTruncated": True,
            "Marker": "more",
        },
        {"AllUsers": True},
    )
    stubber.add_response(
        "list_service_specific_credentials",
        {
            "ServiceSpecificCredentials": [a_credential("one", ids[2], "Inactive")],
            "IsTruncated": False,
        },
        {"AllUsers": True, "Marker": "more"},
    )
    found = gateway.service_credentials()
    assert [(it.credential_id, it.active) for it in found["one"]] == [
        (ids[0], True),
        (ids[2], False),
    ]
    assert [it.service for it in found["two"]] == ["bedrock.amazonaws.com"]
    assert gateway.calls == 2


# ---------------------------------------------------------------- forwarders, and other accounts

BUS = f"events:us-east-1:{MEMBER}:event-bus/keyward"


@pytest.fixture
def forwarders(monkeypatch: pytest.MonkeyPatch) -> Iterator[ForwarderGateway]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with moto.mock_aws():
        client = boto3.client("events", region_name="us-east-1")
        client.put_rule(Name="keyward-forward", EventPattern='{"source": ["aws.iam"]}')
        yield ForwarderGateway(account=MEMBER, region="us-east-1", client=client)


def test_a_rule_that_forwards_is_right(forwarders: ForwarderGateway) -> None:
    target: Any = {"Id": "hub", "Arn": f"arn:aws:{BUS}"}
    forwarders.client.put_targets(Rule="keyward-forward", Targets=[target])
    assert forwarders.wrong("keyward-forward", bus=BUS) == ""


def test_a_rule_that_is_missing_or_disabled_is_wrong(forwarders: ForwarderGateway) -> None:
    assert forwarders.wrong("keyward-forward-watch", bus=BUS) == MISSING
    target: Any = {"Id": "hub", "Arn": f"arn:aws:{BUS}"}
    forwarders.client.put_targets(Rule="keyward-forward", Targets=[target])
    forwarders.client.disable_rule(Name="keyward-forward")
    assert forwarders.wrong("keyward-forward", bus=BUS) == "is disabled"


@pytest.mark.parametrize("bus", ["keyward-2", "xkeyward", None])
def test_a_rule_that_sends_elsewhere_is_wrong(
    forwarders: ForwarderGateway, bus: str | None
) -> None:
    if bus is not None:
        target: Any = {"Id": "hub", "Arn": f"arn:aws:events:us-east-1:{MEMBER}:event-bus/{bus}"}
        forwarders.client.put_targets(Rule="keyward-forward", Targets=[target])
    assert "doesn't send to" in forwarders.wrong("keyward-forward", bus=BUS)


def test_one_client_acts_in_the_account_that_was_entered_last() -> None:
    with moto.mock_aws():
        sts = boto3.client(
            "sts", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
        )
        visitor = Visitor(_config())
        client = visitor.client("sts", "us-east-1")
        for account in (MEMBER, OTHER_MEMBER, MEMBER):
            it = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/r", RoleSessionName="survey")
            given = it["Credentials"]
            visitor.enter(
                Session(
                    access_key_id=given["AccessKeyId"],
                    secret_access_key=given["SecretAccessKey"],
                    session_token=given["SessionToken"],
                    expires_at=given["Expiration"],
                )
            )
            assert client.get_caller_identity()["Account"] == account
            assert visitor.client("sts", "us-east-1") is client
