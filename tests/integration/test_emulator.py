"""The emulator itself: were it to allow everything, the other tests here would prove nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from moto.iam.aws_managed_policies import aws_managed_policies_data

from local.emulator import MANAGEMENT_ACCOUNT, running_emulator
from local.organization import join, seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_iam.type_defs import TagTypeDef

    from local.caller import Caller
    from local.organization import Organization

DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
EXTERNAL_ID = f"keyward:{MANAGEMENT_ACCOUNT}"
MEMBER = "sandbox-ana"
OTHER_MEMBER = "sandbox-ben"


@pytest.fixture(scope="module")
def plain() -> Iterator[Organization]:
    """An organization whose hub is nothing but two roles that people may assume."""
    with running_emulator() as emulator:
        made = seed(emulator)
        join(made, MEMBER)
        join(made, OTHER_MEMBER)
        add_role(made, "/keyward/", "keyward-iam-guard")
        add_role(made, "/other/", "keyward-iam-guard-too")
        yield made


def add_role(organization: Organization, path: str, name: str) -> None:
    principal = {"AWS": f"arn:aws:iam::{MANAGEMENT_ACCOUNT}:root"}
    organization.hub.iam.create_role(
        Path=path,
        RoleName=name,
        AssumeRolePolicyDocument=policy("sts:AssumeRole", Principal=principal),
    )
    organization.hub.iam.put_role_policy(
        RoleName=name,
        PolicyName="assume",
        PolicyDocument=policy(
            "sts:AssumeRole",
            Resource="arn:aws:iam::*:role/keyward/keyward-member",
            Condition={"StringEquals": {"aws:ResourceOrgID": organization.organization_id}},
        ),
    )


def policy(action: str, **more: object) -> str:
    statement = {"Effect": "Allow", "Action": action, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def member_role(account: str) -> str:
    return f"arn:aws:iam::{account}:role/keyward/keyward-member"


@pytest.fixture(scope="module")
def guard(plain: Organization) -> Caller:
    role = f"arn:aws:iam::{MANAGEMENT_ACCOUNT}:role/keyward/keyward-iam-guard"
    return plain.hub.assuming(role, "test")


@pytest.fixture(scope="module")
def keyward(plain: Organization, guard: Caller) -> Caller:
    return guard.assuming(member_role(plain.accounts[MEMBER]), "test", EXTERNAL_ID)


@pytest.fixture
def mallory(plain: Organization, request: pytest.FixtureRequest) -> tuple[str, Caller]:
    """A new administrator of the member account, by name, and with a key."""
    iam = plain.member(MEMBER).iam
    name = f"mallory-{request.node.name}"[:60].rstrip("[]-")
    iam.create_user(UserName=name)
    iam.attach_user_policy(UserName=name, PolicyArn=ADMINISTRATOR)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return name, plain.member(MEMBER).using(key["AccessKeyId"], key["SecretAccessKey"])


def refused(call: Callable[[], object]) -> str | None:
    """Return the error's code, or None where the call went through."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


def test_action_that_no_policy_allows_is_denied(keyward: Caller) -> None:
    assert refused(lambda: keyward.iam.create_user(UserName="nobody")) == "AccessDenied"


def test_user_of_one_account_is_unknown_in_another(
    plain: Organization, mallory: tuple[str, Caller]
) -> None:
    name, _ = mallory
    other = plain.member(OTHER_MEMBER).iam
    assert refused(lambda: other.get_user(UserName=name)) == "NoSuchEntity"


def test_member_role_wants_the_external_id(plain: Organization, guard: Caller) -> None:
    role = member_role(plain.accounts[MEMBER])
    assert refused(lambda: guard.assuming(role, "test")) == "AccessDenied"
    assert refused(lambda: guard.assuming(role, "test", "keyward:222233334444")) == "AccessDenied"
    assert refused(lambda: guard.assuming(role, "test", EXTERNAL_ID)) is None


def test_member_role_refuses_every_role_but_keywards_own(plain: Organization) -> None:
    role = member_role(plain.accounts[MEMBER])
    look_alike = f"arn:aws:iam::{MANAGEMENT_ACCOUNT}:role/other/keyward-iam-guard-too"
    caller = plain.hub.assuming(look_alike, "test")
    assert refused(lambda: caller.assuming(role, "test", EXTERNAL_ID)) == "AccessDenied"


def test_role_outside_the_organization_cannot_be_assumed(
    plain: Organization, guard: Caller
) -> None:
    outsider = "909090909090"
    principal = {"AWS": f"arn:aws:iam::{MANAGEMENT_ACCOUNT}:root"}
    plain.emulator.root(outsider).iam.create_role(
        Path="/keyward/",
        RoleName="keyward-member",
        AssumeRolePolicyDocument=policy("sts:AssumeRole", Principal=principal),
    )
    call = lambda: guard.assuming(member_role(outsider), "test", EXTERNAL_ID)  # noqa: E731  asked once
    assert refused(call) == "AccessDenied"


def test_only_the_deny_policy_may_be_attached(keyward: Caller, mallory: tuple[str, Caller]) -> None:
    name, _ = mallory
    iam = keyward.iam
    attach = iam.attach_user_policy
    assert refused(lambda: attach(UserName=name, PolicyArn=READ_ONLY)) == "AccessDenied"
    assert refused(lambda: attach(UserName=name, PolicyArn=DENY_ALL)) is None
    detach = iam.detach_user_policy
    assert refused(lambda: detach(UserName=name, PolicyArn=ADMINISTRATOR)) == "AccessDenied"
    assert refused(lambda: detach(UserName=name, PolicyArn=DENY_ALL)) is None


def test_user_with_the_deny_policy_is_denied(keyward: Caller, mallory: tuple[str, Caller]) -> None:
    name, user = mallory
    assert refused(user.iam.list_users) is None
    keyward.iam.attach_user_policy(UserName=name, PolicyArn=DENY_ALL)
    assert refused(user.iam.list_users) == "AccessDenied"


def test_only_the_deny_policy_may_be_boundary(
    plain: Organization, keyward: Caller, mallory: tuple[str, Caller]
) -> None:
    name, user = mallory
    put = keyward.iam.put_user_permissions_boundary
    assert refused(lambda: put(UserName=name, PermissionsBoundary=READ_ONLY)) == "AccessDenied"
    assert refused(lambda: put(UserName=name, PermissionsBoundary=DENY_ALL)) is None
    assert refused(user.iam.list_users) == "AccessDenied"
    delete = keyward.iam.delete_user_permissions_boundary
    assert refused(lambda: delete(UserName=name)) is None
    plain.member(MEMBER).iam.put_user_permissions_boundary(
        UserName=name, PermissionsBoundary=READ_ONLY
    )
    assert refused(lambda: delete(UserName=name)) == "AccessDenied"


def test_only_the_quarantine_group_may_be_joined(
    plain: Organization, keyward: Caller, mallory: tuple[str, Caller]
) -> None:
    name, user = mallory
    plain.member(MEMBER).iam.create_group(GroupName=f"admins-of-{name}"[:60])
    join_group = keyward.iam.add_user_to_group
    other = f"admins-of-{name}"[:60]
    assert refused(lambda: join_group(UserName=name, GroupName=other)) == "AccessDenied"
    assert refused(lambda: join_group(UserName=name, GroupName="keyward-quarantine")) is None
    assert refused(user.iam.list_users) == "AccessDenied"


def test_only_keywards_tags_may_be_set(keyward: Caller, mallory: tuple[str, Caller]) -> None:
    name, _ = mallory
    tag = keyward.iam.tag_user
    ours: TagTypeDef = {"Key": "keyward:state", "Value": "x"}
    theirs: TagTypeDef = {"Key": "team", "Value": "x"}
    assert refused(lambda: tag(UserName=name, Tags=[theirs])) == "AccessDenied"
    assert refused(lambda: tag(UserName=name, Tags=[ours, theirs])) == "AccessDenied"
    assert refused(lambda: tag(UserName=name, Tags=[ours])) is None


def test_inactive_key_opens_nothing(keyward: Caller, mallory: tuple[str, Caller]) -> None:
    name, user = mallory
    keyward.iam.update_access_key(UserName=name, AccessKeyId=user.access_key_id, Status="Inactive")
    assert refused(user.iam.list_users) == "InvalidClientTokenId"


def test_full_user_takes_no_more_policies(plain: Organization, mallory: tuple[str, Caller]) -> None:
    name, _ = mallory
    iam = plain.member(MEMBER).iam
    for number in range(9):
        document = policy("s3:ListAllMyBuckets", Resource="*")
        made = iam.create_policy(PolicyName=f"p{number}", PolicyDocument=document)
        iam.attach_user_policy(UserName=name, PolicyArn=made["Policy"]["Arn"])
    call = lambda: iam.attach_user_policy(UserName=name, PolicyArn=DENY_ALL)  # noqa: E731  asked once
    assert refused(call) == "LimitExceeded"


def test_nobody_puts_events_of_aws_on_a_bus(plain: Organization) -> None:
    put = plain.member(MEMBER).events.put_events(
        Entries=[{"Source": "aws.iam", "DetailType": "AWS API Call via CloudTrail", "Detail": "{}"}]
    )
    assert put["FailedEntryCount"] == 1


def test_account_says_its_state(plain: Organization) -> None:
    account = plain.accounts[MEMBER]
    described = plain.hub.organizations.describe_account(AccountId=account)["Account"]
    assert described["State"] == "ACTIVE"


def test_managed_policy_says_what_it_says_on_aws(plain: Organization) -> None:
    arn = "arn:aws:iam::aws:policy/job-function/Billing"
    known = json.loads(aws_managed_policies_data)["Billing"]
    version = plain.hub.iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    assert version == known["DefaultVersionId"]
    found = plain.hub.iam.get_policy_version(PolicyArn=arn, VersionId=version)
    assert found["PolicyVersion"]["Document"] == known["Document"]
