"""Identity Center of the emulator itself: asynchronous, refusing, and only for who may ask.

What it answers in detail is tested in tests/local/test_sso_admin.py, where it runs in process.
"""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.cloudtrail import HIDDEN, recorded
from local.emulator import MANAGEMENT_ACCOUNT, PROJECT, running_emulator
from local.organization import GROUPS, PEOPLE, seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.caller import Caller
    from local.organization import Organization

MEMBER = "sandbox-ana"
OTHER_MEMBER = "sandbox-ben"
FUNCTION = """
import boto3, botocore.exceptions

def handler(event, context):
    try:
        return len(boto3.client("sso-admin").list_instances()["Instances"])
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
"""


@pytest.fixture(scope="module")
def plain() -> Iterator[Organization]:
    """An organization without Keyward."""
    with running_emulator() as emulator:
        yield seed(emulator)


@pytest.fixture
def waiting(plain: Organization) -> Iterator[None]:
    """Requests that wait for looks, however long a test takes."""
    center = plain.emulator.identity_center
    center.tell("settle")
    center.tell("set", seconds_in_progress=None, looks_in_progress=2)
    yield
    center.tell("settle")


@pytest.fixture
def permission_set(plain: Organization) -> str:
    made = plain.hub.sso_admin.create_permission_set(
        InstanceArn=plain.directory.instance_arn, Name=f"Set-{uuid.uuid4().hex[:8]}"
    )
    return made["PermissionSet"]["PermissionSetArn"]


def refused(call: Callable[[], object]) -> str | None:
    """Return the error's code, or None where the call went through."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


def developers(plain: Organization, permission_set: str, account: str = MEMBER) -> Any:
    """Return the parameters that assign the developers to a permission set."""
    return {
        "InstanceArn": plain.directory.instance_arn,
        "PermissionSetArn": permission_set,
        "TargetType": "AWS_ACCOUNT",
        "TargetId": plain.accounts.get(account, account),
        "PrincipalType": "GROUP",
        "PrincipalId": plain.directory.groups["Developers"],
    }


def creation(plain: Organization, request: str) -> Any:
    return plain.hub.sso_admin.describe_account_assignment_creation_status(
        InstanceArn=plain.directory.instance_arn, AccountAssignmentCreationRequestId=request
    )["AccountAssignmentCreationStatus"]


def assigned(plain: Organization, permission_set: str) -> list[str]:
    """Return who has a permission set in the member account."""
    found = plain.hub.sso_admin.list_account_assignments(
        InstanceArn=plain.directory.instance_arn,
        PermissionSetArn=permission_set,
        AccountId=plain.accounts[MEMBER],
    )
    return [assignment["PrincipalId"] for assignment in found["AccountAssignments"]]


def session(plain: Organization, *statements: dict[str, object]) -> Caller:
    """Return a session of a new role of the management account that may do just this."""
    name = f"role-{uuid.uuid4().hex[:8]}"
    make_role(plain.hub, name, {"AWS": f"arn:aws:iam::{MANAGEMENT_ACCOUNT}:root"}, *statements)
    return plain.hub.assuming(f"arn:aws:iam::{MANAGEMENT_ACCOUNT}:role/{name}", "test")


def make_role(
    owner: Caller, name: str, trusted: dict[str, str], *statements: dict[str, object]
) -> None:
    trust: dict[str, object] = {"Effect": "Allow", "Principal": trusted, "Action": "sts:AssumeRole"}
    owner.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))
    if statements:
        allowed = document(*({"Effect": "Allow", **statement} for statement in statements))
        owner.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=allowed)


def document(*statements: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


# Who may ask


def test_owner_sees_one_instance_and_who_was_seeded(plain: Organization) -> None:
    (instance,) = plain.hub.sso_admin.list_instances()["Instances"]
    assert instance["OwnerAccountId"] == MANAGEMENT_ACCOUNT
    store = instance["IdentityStoreId"]
    groups = plain.hub.identitystore.list_groups(IdentityStoreId=store)["Groups"]
    assert {group["DisplayName"] for group in groups} == set(GROUPS)
    users = plain.hub.identitystore.list_users(IdentityStoreId=store)["Users"]
    assert {user["UserName"] for user in users} == {f"{name}@example.com" for name in PEOPLE}
    members = plain.hub.identitystore.list_group_memberships(
        IdentityStoreId=store, GroupId=plain.directory.groups["Auditors"]
    )["GroupMemberships"]
    assert [m["MemberId"]["UserId"] for m in members] == [plain.directory.people["dana"]]


def test_other_accounts_and_regions_have_no_instance(
    plain: Organization, permission_set: str
) -> None:
    elsewhere = plain.emulator.root(MANAGEMENT_ACCOUNT, region="eu-west-1")
    instance, store = plain.directory.instance_arn, plain.directory.store_id
    for caller in (plain.member(MEMBER), elsewhere):
        sso, people = caller.sso_admin, caller.identitystore
        assert sso.list_instances()["Instances"] == []
        describe, asked = sso.describe_permission_set, {"PermissionSetArn": permission_set}
        answer = refused(lambda: describe(InstanceArn=instance, **asked))  # noqa: B023  asked at once
        assert answer == "ResourceNotFoundException"
        answer = refused(lambda: people.list_groups(IdentityStoreId=store))  # noqa: B023  asked at once
        assert answer == "ResourceNotFoundException"


def test_action_that_no_policy_allows_is_denied(plain: Organization, permission_set: str) -> None:
    instance = plain.directory.instance_arn
    caller = session(plain, {"Action": "sso:Describe*", "Resource": "*"})
    asked = {"InstanceArn": instance, "PermissionSetArn": permission_set}
    assert refused(lambda: caller.sso_admin.describe_permission_set(**asked)) is None
    denied = "AccessDeniedException"
    assert refused(lambda: caller.sso_admin.delete_permission_set(**asked)) == denied
    assert refused(caller.sso_admin.list_instances) == denied
    groups = caller.identitystore.list_groups
    assert refused(lambda: groups(IdentityStoreId=plain.directory.store_id)) == denied


@pytest.mark.usefixtures("waiting")
def test_call_is_allowed_where_each_resource_is_that_it_names(
    plain: Organization, permission_set: str
) -> None:
    instance = plain.directory.instance_arn
    account = f"arn:aws:sso:::account/{plain.accounts[MEMBER]}"
    named = [instance, permission_set, account]
    call = "sso:CreateAccountAssignment"
    caller = session(plain, {"Action": call, "Resource": named})
    assign = caller.sso_admin.create_account_assignment
    elsewhere = developers(plain, permission_set, OTHER_MEMBER)
    assert refused(lambda: assign(**elsewhere)) == "AccessDeniedException"
    for missing in named:
        others = [arn for arn in named if arn != missing]
        lacking = session(plain, {"Action": call, "Resource": others}).sso_admin
        asked = developers(plain, permission_set)
        answer = refused(lambda: lacking.create_account_assignment(**asked))  # noqa: B023  asked at once
        assert answer == "AccessDeniedException"
    assert refused(lambda: assign(**developers(plain, permission_set))) is None


def test_provisioning_everywhere_needs_every_account(
    plain: Organization, permission_set: str
) -> None:
    instance, call = plain.directory.instance_arn, "sso:ProvisionPermissionSet"
    for account, expected in (
        (plain.accounts[MEMBER], "AccessDeniedException"),
        ("*", None),
    ):
        named = [instance, permission_set, f"arn:aws:sso:::account/{account}"]
        provision = session(plain, {"Action": call, "Resource": named}).sso_admin
        asked = {"InstanceArn": instance, "PermissionSetArn": permission_set}
        answer = refused(
            lambda: provision.provision_permission_set(  # noqa: B023  asked at once
                **asked,  # noqa: B023  the same
                TargetType="ALL_PROVISIONED_ACCOUNTS",
            )
        )
        assert answer == expected


def test_identity_store_is_allowed_by_store_and_principal(plain: Organization) -> None:
    store, people = plain.directory.store_id, plain.directory.people
    named = [
        f"arn:aws:identitystore::{MANAGEMENT_ACCOUNT}:identitystore/{store}",
        f"arn:aws:identitystore:::user/{people['ana']}",
    ]
    caller = session(plain, {"Action": "identitystore:DescribeUser", "Resource": named})
    describe = caller.identitystore.describe_user
    assert refused(lambda: describe(IdentityStoreId=store, UserId=people["ana"])) is None
    answer = refused(lambda: describe(IdentityStoreId=store, UserId=people["ben"]))
    assert answer == "AccessDeniedException"


def test_memberships_must_be_allowed_where_they_are_listed_and_nowhere_else(
    plain: Organization,
) -> None:
    store, group = plain.directory.store_id, plain.directory.groups["Auditors"]
    named = [
        f"arn:aws:identitystore::{MANAGEMENT_ACCOUNT}:identitystore/{store}",
        f"arn:aws:identitystore:::group/{group}",
    ]
    caller = session(plain, {"Action": "identitystore:*", "Resource": named}).identitystore
    asked: Any = {"IdentityStoreId": store, "GroupId": group}
    assert refused(lambda: caller.describe_group(**asked)) is None
    assert refused(lambda: caller.list_group_memberships(**asked)) == "AccessDeniedException"


def test_tags_of_a_request_are_conditions(plain: Organization) -> None:
    only_ours = {"ForAllValues:StringLike": {"aws:TagKeys": "keyward:*"}}
    caller = session(
        plain, {"Action": "sso:CreatePermissionSet", "Resource": "*", "Condition": only_ours}
    )
    make = caller.sso_admin.create_permission_set
    asked: Any = {"InstanceArn": plain.directory.instance_arn, "Name": "Tagged"}
    theirs = refused(lambda: make(**asked, Tags=[{"Key": "team", "Value": "x"}]))
    assert theirs == "AccessDeniedException"
    assert refused(lambda: make(**asked, Tags=[{"Key": "keyward:set", "Value": "x"}])) is None


@pytest.mark.parametrize("allowed", [True, False])
def test_function_may_do_what_its_role_allows(plain: Organization, *, allowed: bool) -> None:
    name = f"asks-{'and-may' if allowed else 'in-vain'}"
    statement: dict[str, object] = {"Action": "sso:ListInstances", "Resource": "*"}
    trusted = {"Service": "lambda.amazonaws.com"}
    make_role(plain.hub, name, trusted, *([statement] if allowed else []))
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("asks.py", FUNCTION)
    plain.hub.lambda_.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="asks.handler",
        Role=f"arn:aws:iam::{MANAGEMENT_ACCOUNT}:role/{name}",
        Code={"ZipFile": code.getvalue()},
        Timeout=30,
    )
    plain.hub.lambda_.get_waiter("function_active_v2").wait(
        FunctionName=name, WaiterConfig={"Delay": 1}
    )
    answer = plain.hub.lambda_.invoke(FunctionName=name)["Payload"].read()
    assert json.loads(answer) == (1 if allowed else "AccessDeniedException")


# What AWS does


@pytest.mark.usefixtures("waiting")
def test_assignment_has_no_effect_until_it_succeeded(
    plain: Organization, permission_set: str
) -> None:
    asked = developers(plain, permission_set)
    begun = plain.hub.sso_admin.create_account_assignment(**asked)
    request = begun["AccountAssignmentCreationStatus"]["RequestId"]
    for _ in range(2):
        assert creation(plain, request)["Status"] == "IN_PROGRESS"
        assert assigned(plain, permission_set) == []
    assert creation(plain, request)["Status"] == "SUCCEEDED"
    assert assigned(plain, permission_set) == [plain.directory.groups["Developers"]]


@pytest.mark.usefixtures("waiting")
def test_overlapping_operations_conflict(plain: Organization, permission_set: str) -> None:
    asked = developers(plain, permission_set)
    assign = plain.hub.sso_admin.create_account_assignment
    assert [refused(lambda: assign(**asked)) for _ in range(2)] == [None, "ConflictException"]
    remove = plain.hub.sso_admin.delete_account_assignment
    assert refused(lambda: remove(**asked)) == "ConflictException"


@pytest.mark.usefixtures("waiting")
def test_account_outside_the_organization_fails_at_the_end(
    plain: Organization, permission_set: str
) -> None:
    asked = developers(plain, permission_set, "909090909090")
    begun = plain.hub.sso_admin.create_account_assignment(**asked)
    plain.emulator.identity_center.tell("settle")
    request = begun["AccountAssignmentCreationStatus"]["RequestId"]
    assert creation(plain, request)["Status"] == "FAILED"


def test_time_ends_what_nobody_looks_at(plain: Organization, permission_set: str) -> None:
    plain.emulator.identity_center.tell("set", seconds_in_progress=0.2)
    plain.hub.sso_admin.create_account_assignment(**developers(plain, permission_set))
    time.sleep(0.3)
    assert assigned(plain, permission_set) == [plain.directory.groups["Developers"]]


@pytest.mark.usefixtures("waiting")
def test_it_refuses_fails_and_forgets_on_demand(plain: Organization, permission_set: str) -> None:
    center, sso = plain.emulator.identity_center, plain.hub.sso_admin
    asked = developers(plain, permission_set)
    operation = "CreateAccountAssignment"
    center.tell("refuse", operation=operation, code="ThrottlingException")
    assert refused(lambda: sso.create_account_assignment(**asked)) == "ThrottlingException"
    center.tell("fail", operation=operation, reason="Received a 403 status error")
    begun = sso.create_account_assignment(**asked)["AccountAssignmentCreationStatus"]
    center.tell("settle")
    ended = creation(plain, begun["RequestId"])
    assert (ended["Status"], ended["FailureReason"]) == ("FAILED", "Received a 403 status error")
    center.tell("lose", operation=operation)
    lost = sso.create_account_assignment(**asked)["AccountAssignmentCreationStatus"]
    answer = refused(lambda: creation(plain, lost["RequestId"]))
    assert answer == "ResourceNotFoundException"
    assert assigned(plain, permission_set) == [plain.directory.groups["Developers"]]


def test_it_takes_no_orders_that_it_does_not_know(plain: Organization) -> None:
    for act, arguments in (("explode", {}), ("set", {"speed": 9})):
        with pytest.raises(urllib.error.HTTPError) as refusal:
            plain.emulator.identity_center.tell(act, **arguments)
        assert refusal.value.code == 400
        refusal.value.close()


# What CloudTrail writes


@pytest.mark.usefixtures("waiting")
def test_event_of_an_assignment_names_its_request(plain: Organization, permission_set: str) -> None:
    hub = plain.hub
    asked = developers(plain, permission_set)
    event: Any = recorded(hub, hub.sso_admin, "CreateAccountAssignment", **asked)
    assert event["eventSource"] == "sso.amazonaws.com"
    assert event["recipientAccountId"] == MANAGEMENT_ACCOUNT
    status = event["responseElements"]["accountAssignmentCreationStatus"]
    assert (status["status"], status["requestId"]) == ("IN_PROGRESS", event["requestID"])
    again: Any = recorded(hub, hub.sso_admin, "CreateAccountAssignment", **asked)
    assert again["errorCode"] == "ConflictException"


def test_event_of_a_group_hides_its_name(plain: Organization) -> None:
    hub = plain.hub
    asked = {"IdentityStoreId": plain.directory.store_id, "DisplayName": "Secret"}
    event: Any = recorded(hub, hub.identitystore, "CreateGroup", **asked)
    assert event["requestParameters"]["displayName"] == HIDDEN
    hub.identitystore.delete_group(
        IdentityStoreId=plain.directory.store_id, GroupId=event["responseElements"]["groupId"]
    )


# The process


def test_both_processes_end_with_their_parent() -> None:
    program = (
        "import signal, os\n"
        "from local.emulator import running_emulator\n"
        "with running_emulator() as emulator:\n"
        "    print(emulator.endpoint, emulator.identity_center.endpoint, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(  # noqa: S603  our own program, by our own interpreter
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL
    for endpoint in done.stdout.split():
        deadline = time.monotonic() + 10
        while answers(endpoint):
            assert time.monotonic() < deadline, f"{endpoint} still answers"
            time.sleep(0.1)


def answers(endpoint: str) -> bool:
    """Return whether anybody listens there."""
    try:
        urllib.request.urlopen(endpoint, timeout=2).close()  # noqa: S310  on this machine
    except urllib.error.HTTPError as found:
        found.close()
    except OSError:
        return False
    return True
