"""The gateway of Identity Center: what it reads, writes and makes of AWS's errors, call by call.

moto stands for AWS, with what local/sso_admin.py lets it refuse, delay and forget.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import moto
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from keyward.actions import AssignmentTarget, RequestKind
from keyward.errors import GatewayError, NotFoundError, SlotsFullError
from keyward.gateways.identity_center import (
    IdentityCenterGateway,
    Principal,
    RequestStatus,
    session_duration,
    session_seconds,
)
from keyward.model import Boundary, CustomerPolicy, PermissionSetAttributes, PrincipalKind
from local.sso_admin import Behaviour, center_of, install, settle_all, uninstall

REGION = "us-east-1"
HUB = "123456789012"
ACCOUNT = "111122223333"
OTHER_ACCOUNT = "444455556666"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
NOT_A_POLICY = "arn:aws:iam::aws:policy/NoSuchPolicyAtAll"
NOBODY = "12345678-1234-1234-1234-123456789012"
ONCE = Config(retries={"total_max_attempts": 1})
DENY = json.dumps({"Version": "2012-10-17", "Statement": []})
TOKEN = "token"
MANY = 30

FULL = PermissionSetAttributes(
    description="Builds and runs things",
    session_seconds=5400,
    relay_state="https://console.aws.amazon.com/cloudwatch",
    managed_policies=(READ_ONLY,),
    customer_policies=(CustomerPolicy(name="builders", path="/teams/"),),
    inline_policy=DENY,
    boundary=Boundary(customer_policy=CustomerPolicy(name="limit")),
    tags={"team": "platform"},
)


@dataclass
class Directory:
    """An instance, its gateway, and in order every call to AWS and every token taken."""

    gateway: IdentityCenterGateway
    admin: Any
    people: Any
    behaviour: Behaviour
    store: str
    log: list[str] = field(default_factory=list)

    @property
    def calls(self) -> list[str]:
        return [name for name in self.log if name != TOKEN]

    def user(self, name: str) -> str:
        return str(
            self.people.create_user(
                IdentityStoreId=self.store,
                UserName=name,
                DisplayName=name,
                Name={"GivenName": name, "FamilyName": "Example"},
            )["UserId"]
        )

    def group(self, name: str) -> str:
        made = self.people.create_group(IdentityStoreId=self.store, DisplayName=name)
        return str(made["GroupId"])

    def full(self) -> str:
        """A permission set that has everything."""
        arn = self.gateway.create("Developer", FULL)
        self.gateway.attach_policy(arn, READ_ONLY)
        self.gateway.attach_policy(arn, FULL.customer_policies[0])
        self.gateway.set_inline_policy(arn, FULL.inline_policy)
        self.gateway.set_boundary(arn, FULL.boundary)
        return arn

    def empty(self) -> str:
        return self.gateway.create("Empty", PermissionSetAttributes())

    def gone(self) -> str:
        arn = self.empty()
        self.gateway.delete(arn)
        return arn

    def target(self, arn: str, principal: str, **more: Any) -> AssignmentTarget:
        fields = {
            "account": ACCOUNT,
            "instance_arn": self.gateway.instance_arn(),
            "permission_set_arn": arn,
            "permission_set_name": "Developer",
            "principal_kind": PrincipalKind.GROUP,
            "principal_id": principal,
            **more,
        }
        return AssignmentTarget(**fields)

    def assigned(self, arn: str, principal: str, **more: Any) -> None:
        self.gateway.assign(self.target(arn, principal, **more))
        settle_all(HUB)


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Directory]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    behaviour = Behaviour(owner=HUB, home_region=REGION)
    install(behaviour)
    with moto.mock_aws():
        admin = boto3.client("sso-admin", region_name=REGION, config=ONCE)
        people = boto3.client("identitystore", region_name=REGION, config=ONCE)
        store = admin.list_instances()["Instances"][0]["IdentityStoreId"]
        log: list[str] = []

        def noted(model: Any, **_: object) -> None:
            log.append(model.name)

        for client in (admin, people):
            client.meta.events.register("before-call", noted)
        gateway = IdentityCenterGateway(
            admin=admin, directory=people, hub_account=HUB, take=lambda: log.append(TOKEN)
        )
        yield Directory(gateway, admin, people, behaviour, store, log)
    uninstall()


def refusal(call: Callable[[], object]) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        call()
    return raised.value


# The instance


def test_the_instance_is_asked_for_once(directory: Directory) -> None:
    first = directory.gateway.instance_arn()
    assert first == center_of(HUB).instance.instance_arn
    assert directory.gateway.instance_arn() == first
    assert directory.log == [TOKEN, "ListInstances"]


@pytest.mark.parametrize(
    ("owner", "status"), [(ACCOUNT, "ACTIVE"), (HUB, "CREATE_IN_PROGRESS"), (None, None)]
)
def test_an_instance_of_another_account_or_not_active_is_refused(
    directory: Directory, owner: str | None, status: str | None
) -> None:
    instance = {
        "InstanceArn": "arn:aws:sso:::instance/ssoins-0123456789abcdef",
        "IdentityStoreId": "d-0123456789",
        **({"OwnerAccountId": owner} if owner else {}),
        **({"Status": status} if status else {}),
    }
    with Stubber(directory.admin) as stub:
        stub.add_response("list_instances", {"Instances": [instance]})
        error = refusal(directory.gateway.instance_arn)
    assert (error.code, error.retryable) == ("NoInstance", False)
    assert HUB in str(error)
    assert "deploy Keyward in the region" in str(error)


def test_the_instance_of_the_hub_is_found_among_others_and_on_a_later_page(
    directory: Directory,
) -> None:
    def instance(digit: str, owner: str) -> dict[str, str]:
        return {
            "InstanceArn": f"arn:aws:sso:::instance/ssoins-{digit * 16}",
            "IdentityStoreId": f"d-{digit * 10}",
            "OwnerAccountId": owner,
            "Status": "ACTIVE",
        }

    with Stubber(directory.admin) as stub:
        stub.add_response(
            "list_instances", {"Instances": [instance("a", ACCOUNT)], "NextToken": "more"}, {}
        )
        stub.add_response(
            "list_instances", {"Instances": [instance("b", HUB)]}, {"NextToken": "more"}
        )
        assert directory.gateway.instance_arn() == f"arn:aws:sso:::instance/ssoins-{'b' * 16}"
        stub.assert_no_pending_responses()


# Reading


def test_everything_about_a_set_is_read_in_six_calls(directory: Directory) -> None:
    arn = directory.full()
    directory.log.clear()
    assert directory.gateway.attributes(arn) == ("Developer", FULL)
    assert sorted(directory.calls) == [
        "DescribePermissionSet",
        "GetInlinePolicyForPermissionSet",
        "GetPermissionsBoundaryForPermissionSet",
        "ListCustomerManagedPolicyReferencesInPermissionSet",
        "ListManagedPoliciesInPermissionSet",
        "ListTagsForResource",
    ]


def test_a_set_that_has_nothing_is_read_as_such(directory: Directory) -> None:
    arn = directory.empty()
    assert directory.gateway.attributes(arn) == ("Empty", PermissionSetAttributes())


def test_a_boundary_by_arn_is_read(directory: Directory) -> None:
    arn = directory.empty()
    boundary = Boundary(managed_policy_arn=READ_ONLY)
    directory.gateway.set_boundary(arn, boundary)
    assert directory.gateway.attributes(arn)[1].boundary == boundary


def test_every_list_of_a_set_is_read_to_its_last_page(directory: Directory) -> None:
    arn = directory.empty()
    customers = [CustomerPolicy(name=f"policy-{number}") for number in range(5)]
    policies: list[str | CustomerPolicy] = [READ_ONLY, ADMINISTRATOR, *customers]
    for policy in policies:
        directory.gateway.attach_policy(arn, policy)
    tags = {f"key-{number}": "value" for number in range(5)}
    directory.gateway.set_tags(arn, tags)
    directory.behaviour.page_size = 1
    directory.log.clear()
    _, read = directory.gateway.attributes(arn)
    assert set(read.managed_policies) == {READ_ONLY, ADMINISTRATOR}
    assert set(read.customer_policies) == set(customers)
    assert read.tags == tags
    assert directory.calls.count("ListManagedPoliciesInPermissionSet") == 2
    assert len(directory.calls) == 3 + 2 + 5 + 5


def test_each_call_to_the_admin_api_takes_a_token_first(directory: Directory) -> None:
    arn, group = directory.full(), directory.group("Developers")
    directory.log.clear()
    gateway = directory.gateway
    request = gateway.assign(directory.target(arn, group))
    settle_all(HUB)
    gateway.attributes(arn)
    gateway.names()
    gateway.accounts_of(arn)
    gateway.provisioned_in(ACCOUNT)
    gateway.under_way()
    gateway.principals_of(ACCOUNT, arn)
    gateway.set_details(arn, FULL)
    gateway.detach_policy(arn, READ_ONLY)
    gateway.set_inline_policy(arn, None)
    gateway.set_boundary(arn, None)
    gateway.remove_tags(arn, ["team"])
    gateway.provision(arn)
    gateway.status(RequestKind.ASSIGNMENT_CREATION, request)
    for kind in RequestKind:
        gateway.outstanding(kind)
    gateway.unassign(directory.target(arn, group))
    assert directory.log[::2] == [TOKEN] * (len(directory.log) // 2)
    assert TOKEN not in directory.log[1::2]


def test_the_identity_store_takes_no_token(directory: Directory) -> None:
    group = directory.group("Developers")
    directory.gateway.instance_arn()
    directory.log.clear()
    directory.gateway.principal_name(PrincipalKind.GROUP, group)
    directory.gateway.group_id("Developers")
    assert directory.log == ["DescribeGroup", "GetGroupId"]


def test_no_token_no_call(directory: Directory) -> None:
    def refuse() -> None:
        message = "not now"
        raise GatewayError(message, code="RateLimited", retryable=True)

    gateway = IdentityCenterGateway(
        admin=directory.admin, directory=directory.people, hub_account=HUB, take=refuse
    )
    assert refusal(gateway.instance_arn).code == "RateLimited"
    assert directory.calls == []


def test_names_are_asked_for_once_for_each_set(directory: Directory) -> None:
    admin, instance = directory.admin, directory.gateway.instance_arn()
    made = {
        name: admin.create_permission_set(InstanceArn=instance, Name=name)["PermissionSet"][
            "PermissionSetArn"
        ]
        for name in ("Developer", "ReadOnly")
    }
    directory.behaviour.page_size = 1
    directory.log.clear()
    assert directory.gateway.names() == made
    assert sorted(directory.calls) == [*["DescribePermissionSet"] * 2, *["ListPermissionSets"] * 2]
    directory.gateway.delete(made["ReadOnly"])
    directory.log.clear()
    assert directory.gateway.names() == {"Developer": made["Developer"]}
    assert directory.calls == ["ListPermissionSets"]


def test_a_set_that_goes_while_names_are_read_is_left_out(directory: Directory) -> None:
    arn = directory.empty()
    directory.behaviour.refuse("DescribePermissionSet", "ResourceNotFoundException")
    assert directory.gateway.names() == {}
    assert directory.gateway.names() == {"Empty": arn}


def test_a_set_that_is_gone_is_not_found(directory: Directory) -> None:
    arn, gateway = directory.gone(), directory.gateway
    for call in (
        lambda: gateway.name_of(arn),
        lambda: gateway.attributes(arn),
        lambda: gateway.accounts_of(arn),
        lambda: gateway.principals_of(ACCOUNT, arn),
        lambda: gateway.set_details(arn, FULL),
        lambda: gateway.attach_policy(arn, READ_ONLY),
        lambda: gateway.detach_policy(arn, READ_ONLY),
        lambda: gateway.detach_policy(arn, CustomerPolicy(name="limit")),
        lambda: gateway.set_inline_policy(arn, DENY),
        lambda: gateway.set_inline_policy(arn, None),
        lambda: gateway.set_boundary(arn, Boundary(managed_policy_arn=READ_ONLY)),
        lambda: gateway.set_boundary(arn, None),
        lambda: gateway.set_tags(arn, {"team": "platform"}),
        lambda: gateway.remove_tags(arn, ["team"]),
        lambda: gateway.provision(arn),
        lambda: gateway.delete(arn),
    ):
        with pytest.raises(NotFoundError):
            call()


def test_the_accounts_are_all_read_and_the_stale_ones_told_apart(directory: Directory) -> None:
    arn, group = directory.empty(), directory.group("Developers")
    directory.assigned(arn, group)
    directory.gateway.attach_policy(arn, READ_ONLY)
    directory.assigned(arn, group, account=OTHER_ACCOUNT)
    directory.behaviour.page_size = 1
    assert set(directory.gateway.accounts_of(arn)) == {ACCOUNT, OTHER_ACCOUNT}
    assert directory.gateway.accounts_of(arn, stale=True) == (ACCOUNT,)


def test_the_sets_in_an_account_are_read_to_the_last_page(directory: Directory) -> None:
    group = directory.group("Developers")
    arns = [
        directory.gateway.create(f"Set{number}", PermissionSetAttributes()) for number in range(5)
    ]
    for arn in arns[:4]:
        directory.assigned(arn, group)
    directory.assigned(arns[4], group, account=OTHER_ACCOUNT)
    directory.behaviour.page_size = 2
    directory.log.clear()
    found = directory.gateway.provisioned_in(ACCOUNT)
    assert (set(found), len(found)) == (set(arns[:4]), 4)
    assert directory.calls == ["ListPermissionSetsProvisionedToAccount"] * 2


def test_a_set_is_in_an_account_once_however_many_hold_it(directory: Directory) -> None:
    arn = directory.empty()
    for name in ("Developers", "Operators"):
        directory.assigned(arn, directory.group(name))
    assert directory.gateway.provisioned_in(ACCOUNT) == (arn,)


def test_no_set_is_in_a_new_account(directory: Directory) -> None:
    directory.empty()
    assert directory.gateway.provisioned_in(ACCOUNT) == ()


def test_an_empty_page_of_sets_is_not_the_last(directory: Directory) -> None:
    arn = directory.empty()
    asked = {
        "InstanceArn": directory.gateway.instance_arn(),
        "AccountId": ACCOUNT,
        "MaxResults": 100,
    }
    operation = "list_permission_sets_provisioned_to_account"
    with Stubber(directory.admin) as stub:
        stub.add_response(operation, {"PermissionSets": [], "NextToken": "second"}, asked)
        stub.add_response(operation, {"NextToken": "third"}, {**asked, "NextToken": "second"})
        stub.add_response(operation, {"PermissionSets": [arn]}, {**asked, "NextToken": "third"})
        assert directory.gateway.provisioned_in(ACCOUNT) == (arn,)
        stub.assert_no_pending_responses()


def test_who_holds_a_set_in_an_account_is_read_to_the_last_page(directory: Directory) -> None:
    arn, user = directory.empty(), directory.user("ana@example.com")
    groups = [directory.group(f"group-{number}") for number in range(4)]
    for group in groups:
        directory.assigned(arn, group)
    directory.assigned(arn, user, principal_kind=PrincipalKind.USER)
    directory.behaviour.page_size = 2
    held = directory.gateway.principals_of(ACCOUNT, arn)
    assert held == {
        Principal(kind=PrincipalKind.USER, id=user),
        *(Principal(kind=PrincipalKind.GROUP, id=group) for group in groups),
    }
    assert directory.gateway.principals_of(OTHER_ACCOUNT, arn) == frozenset()


# The identity store


def test_users_and_groups_have_names_until_they_are_gone(directory: Directory) -> None:
    user, group = directory.user("ana@example.com"), directory.group("Developers")
    gateway = directory.gateway
    assert gateway.principal_name(PrincipalKind.USER, user) == "ana@example.com"
    assert gateway.principal_name(PrincipalKind.GROUP, group) == "Developers"
    assert gateway.principal_name(PrincipalKind.USER, NOBODY) is None
    assert gateway.principal_name(PrincipalKind.GROUP, NOBODY) is None


def test_a_group_is_found_by_its_name(directory: Directory) -> None:
    group = directory.group("Developers")
    assert directory.gateway.group_id("Developers") == group
    assert directory.gateway.group_id("Nobodies") is None


def test_a_group_is_made_once(directory: Directory) -> None:
    made = directory.gateway.create_group("Developers", "Builds and runs things")
    assert directory.gateway.group_id("Developers") == made
    assert directory.gateway.create_group("Developers", "Another text") == made
    described = directory.people.describe_group(IdentityStoreId=directory.store, GroupId=made)
    assert described["Description"] == "Builds and runs things"


def test_a_conflict_over_a_group_that_nobody_made_is_retryable(directory: Directory) -> None:
    directory.gateway.instance_arn()
    with Stubber(directory.people) as stub:
        stub.add_client_error("create_group", "ConflictException")
        stub.add_client_error("get_group_id", "ResourceNotFoundException")
        error = refusal(lambda: directory.gateway.create_group("Developers", "For builders"))
    assert (error.code, error.retryable) == ("ConflictException", True)


def test_membership_is_what_it_is_now(directory: Directory) -> None:
    user, group = directory.user("ana@example.com"), directory.group("Developers")
    assert not directory.gateway.is_member(group, user)
    directory.people.create_group_membership(
        IdentityStoreId=directory.store, GroupId=group, MemberId={"UserId": user}
    )
    assert directory.gateway.is_member(group, user)


def test_nobody_is_a_member_where_group_or_user_is_gone(directory: Directory) -> None:
    directory.gateway.instance_arn()
    with Stubber(directory.people) as stub:
        stub.add_client_error("is_member_in_groups", "ResourceNotFoundException", modeled_fields={})
        assert not directory.gateway.is_member(NOBODY, NOBODY)


# Writing


def test_a_set_is_made_with_description_session_relay_state_and_tags(directory: Directory) -> None:
    arn = directory.gateway.create("Developer", FULL)
    name, made = directory.gateway.attributes(arn)
    assert name == "Developer"
    assert (made.description, made.relay_state) == (FULL.description, FULL.relay_state)
    assert (made.session_seconds, made.tags) == (FULL.session_seconds, FULL.tags)
    assert directory.gateway.names() == {"Developer": arn}


def test_a_name_that_is_taken_is_retryable(directory: Directory) -> None:
    directory.gateway.create("Developer", FULL)
    error = refusal(lambda: directory.gateway.create("Developer", FULL))
    assert (error.code, error.retryable) == ("ConflictException", True)


def test_details_become_exactly_as_wanted(directory: Directory) -> None:
    arn = directory.full()
    wanted = PermissionSetAttributes(description="Reads", session_seconds=43200)
    directory.gateway.set_details(arn, wanted)
    _, read = directory.gateway.attributes(arn)
    assert (read.description, read.session_seconds, read.relay_state) == ("Reads", 43200, None)


def test_a_description_that_is_not_wanted_stays(directory: Directory) -> None:
    arn = directory.full()
    directory.gateway.set_details(arn, PermissionSetAttributes(relay_state="https://example.com"))
    _, read = directory.gateway.attributes(arn)
    assert (read.description, read.relay_state) == (FULL.description, "https://example.com")


@pytest.mark.parametrize("policy", [READ_ONLY, CustomerPolicy(name="limit", path="/teams/")])
def test_attaching_and_detaching_again_is_fine(
    directory: Directory, policy: str | CustomerPolicy
) -> None:
    arn = directory.empty()

    def attached() -> set[str | CustomerPolicy]:
        _, read = directory.gateway.attributes(arn)
        return {*read.managed_policies, *read.customer_policies}

    for _ in range(2):
        directory.gateway.attach_policy(arn, policy)
        assert attached() == {policy}
    for _ in range(2):
        directory.gateway.detach_policy(arn, policy)
        assert attached() == set()


def test_attaching_once_costs_one_call(directory: Directory) -> None:
    arn = directory.empty()
    directory.log.clear()
    directory.gateway.attach_policy(arn, READ_ONLY)
    assert directory.calls == ["AttachManagedPolicyToPermissionSet"]


@pytest.mark.parametrize(
    ("policy", "operation"),
    [
        (READ_ONLY, "AttachManagedPolicyToPermissionSet"),
        (
            CustomerPolicy(name="limit"),
            "AttachCustomerManagedPolicyReferenceToPermissionSet",
        ),
    ],
)
def test_a_conflict_that_attached_nothing_is_retryable(
    directory: Directory, policy: str | CustomerPolicy, operation: str
) -> None:
    arn = directory.empty()
    directory.behaviour.refuse(operation, "ConflictException")
    error = refusal(lambda: directory.gateway.attach_policy(arn, policy))
    assert (error.code, error.retryable) == ("ConflictException", True)


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException"])
def test_a_refusal_to_attach_costs_no_further_call(directory: Directory, code: str) -> None:
    arn = directory.full()
    directory.behaviour.refuse("AttachManagedPolicyToPermissionSet", code)
    directory.log.clear()
    assert refusal(lambda: directory.gateway.attach_policy(arn, READ_ONLY)).code == code
    assert directory.calls == ["AttachManagedPolicyToPermissionSet"]


def test_a_policy_that_does_not_exist_is_no_set_that_is_gone(directory: Directory) -> None:
    arn = directory.empty()
    for call in (
        lambda: directory.gateway.attach_policy(arn, NOT_A_POLICY),
        lambda: directory.gateway.set_boundary(arn, Boundary(managed_policy_arn=NOT_A_POLICY)),
    ):
        error = refusal(call)
        assert not isinstance(error, NotFoundError)
        assert (error.code, error.retryable) == ("NoSuchPolicy", False)
        assert NOT_A_POLICY in str(error)


def test_one_policy_too_many_uses_up_the_slots(directory: Directory) -> None:
    arn = directory.empty()
    for number in range(25):
        directory.gateway.attach_policy(arn, CustomerPolicy(name=f"policy-{number}"))
    with pytest.raises(SlotsFullError):
        directory.gateway.attach_policy(arn, READ_ONLY)


def test_the_inline_policy_comes_and_goes(directory: Directory) -> None:
    arn = directory.empty()
    for text in (DENY, DENY, None, None):
        directory.gateway.set_inline_policy(arn, text)
        assert directory.gateway.attributes(arn)[1].inline_policy == text


def test_an_inline_policy_that_is_too_long_uses_up_the_slot(directory: Directory) -> None:
    arn = directory.empty()
    long = json.dumps({"Version": "2012-10-17", "Id": "x" * 10_240, "Statement": []})
    with pytest.raises(SlotsFullError):
        directory.gateway.set_inline_policy(arn, long)


def test_the_boundary_comes_changes_and_goes(directory: Directory) -> None:
    arn = directory.empty()
    by_arn = Boundary(managed_policy_arn=READ_ONLY)
    by_name = Boundary(customer_policy=CustomerPolicy(name="limit", path="/teams/"))
    for boundary in (by_arn, by_name, by_name, None, None):
        directory.gateway.set_boundary(arn, boundary)
        assert directory.gateway.attributes(arn)[1].boundary == boundary


def test_tags_are_put_beside_others_and_taken_away(directory: Directory) -> None:
    arn = directory.full()
    directory.gateway.set_tags(arn, {"stage": "production"})
    assert directory.gateway.attributes(arn)[1].tags == {"team": "platform", "stage": "production"}
    directory.gateway.remove_tags(arn, ["stage", "never-there"])
    assert directory.gateway.attributes(arn)[1].tags == {"team": "platform"}
    directory.log.clear()
    directory.gateway.set_tags(arn, {})
    directory.gateway.remove_tags(arn, [])
    assert directory.log == []


def test_a_set_that_somebody_holds_stays_and_is_retryable(directory: Directory) -> None:
    arn, group = directory.empty(), directory.group("Developers")
    directory.assigned(arn, group)
    error = refusal(lambda: directory.gateway.delete(arn))
    assert (error.code, error.retryable) == ("ConflictException", True)
    assert directory.gateway.name_of(arn) == "Empty"


# Requests


def test_an_assignment_is_made_and_ended_by_requests_that_can_be_followed(
    directory: Directory,
) -> None:
    arn, group = directory.empty(), directory.group("Developers")
    gateway, target = directory.gateway, directory.target(arn, group)
    made = gateway.assign(target)
    assert gateway.status(RequestKind.ASSIGNMENT_CREATION, made).state == "IN_PROGRESS"
    settle_all(HUB)
    assert gateway.status(RequestKind.ASSIGNMENT_CREATION, made) == RequestStatus(state="SUCCEEDED")
    assert gateway.principals_of(ACCOUNT, arn) == {Principal(kind=PrincipalKind.GROUP, id=group)}
    ended = gateway.unassign(target)
    settle_all(HUB)
    assert gateway.status(RequestKind.ASSIGNMENT_DELETION, ended) == RequestStatus(
        state="SUCCEEDED"
    )
    assert gateway.principals_of(ACCOUNT, arn) == frozenset()


def test_a_set_is_brought_into_the_accounts_that_have_it(directory: Directory) -> None:
    arn, group = directory.empty(), directory.group("Developers")
    directory.assigned(arn, group)
    directory.gateway.attach_policy(arn, READ_ONLY)
    request = directory.gateway.provision(arn)
    settle_all(HUB)
    assert directory.gateway.status(RequestKind.PROVISIONING, request).state == "SUCCEEDED"
    assert directory.gateway.accounts_of(arn, stale=True) == ()


def test_a_failed_request_says_why(directory: Directory) -> None:
    arn, group = directory.empty(), directory.group("Developers")
    directory.behaviour.fail("CreateAccountAssignment", "role quota exceeded")
    request = directory.gateway.assign(directory.target(arn, group))
    settle_all(HUB)
    assert directory.gateway.status(RequestKind.ASSIGNMENT_CREATION, request) == RequestStatus(
        state="FAILED", reason="role quota exceeded"
    )


@pytest.mark.parametrize("kind", list(RequestKind))
def test_a_request_that_aws_forgot_is_unknown(directory: Directory, kind: RequestKind) -> None:
    assert directory.gateway.status(kind, NOBODY) == RequestStatus(state="UNKNOWN")


def test_an_assignment_of_another_instance_is_refused_before_any_call(
    directory: Directory,
) -> None:
    other = directory.target(
        directory.empty(),
        directory.group("Developers"),
        instance_arn="arn:aws:sso:::instance/ssoins-0123456789abcdef",
    )
    directory.log.clear()
    for call in (directory.gateway.assign, directory.gateway.unassign):
        assert refusal(lambda call=call: call(other)).code == "OtherInstance"  # type: ignore[misc]  # a default that mypy can't infer
    assert directory.log == []


def test_only_requests_under_way_are_counted_on_every_page(directory: Directory) -> None:
    arn = directory.empty()
    directory.assigned(arn, directory.group("done"))
    directory.behaviour.looks_in_progress = MANY
    for number in range(5):
        directory.gateway.assign(directory.target(arn, directory.group(f"group-{number}")))
    directory.gateway.unassign(directory.target(arn, directory.gateway.group_id("done") or ""))
    directory.gateway.provision(arn)
    directory.behaviour.page_size = 2
    directory.log.clear()
    assert directory.gateway.outstanding(RequestKind.ASSIGNMENT_CREATION) == 5
    assert directory.calls == ["ListAccountAssignmentCreationStatus"] * 3
    assert directory.gateway.outstanding(RequestKind.ASSIGNMENT_DELETION) == 1
    assert directory.gateway.outstanding(RequestKind.PROVISIONING) == 1


def test_the_requests_under_way_are_those_for_assignments_on_every_page(
    directory: Directory,
) -> None:
    arn = directory.empty()
    directory.assigned(arn, directory.group("done"))
    assert directory.gateway.under_way() == frozenset()
    directory.behaviour.looks_in_progress = MANY
    asked = {
        directory.gateway.assign(directory.target(arn, directory.group(f"group-{number}")))
        for number in range(5)
    }
    directory.gateway.unassign(directory.target(arn, directory.gateway.group_id("done") or ""))
    directory.gateway.provision(arn)
    directory.behaviour.page_size = 2
    directory.log.clear()
    assert directory.gateway.under_way() == asked
    assert directory.calls == ["ListAccountAssignmentCreationStatus"] * 3
    settle_all(HUB)
    assert directory.gateway.under_way() == frozenset()


def test_an_empty_page_of_requests_is_not_the_last(directory: Directory) -> None:
    asked = {
        "InstanceArn": directory.gateway.instance_arn(),
        "MaxResults": 100,
        "Filter": {"Status": "IN_PROGRESS"},
    }
    operation, listed = (
        "list_account_assignment_creation_status",
        "AccountAssignmentsCreationStatus",
    )
    request = {"RequestId": NOBODY, "Status": "IN_PROGRESS"}
    with Stubber(directory.admin) as stub:
        stub.add_response(operation, {listed: [], "NextToken": "second"}, asked)
        stub.add_response(operation, {listed: [request]}, {**asked, "NextToken": "second"})
        assert directory.gateway.under_way() == {NOBODY}


# Errors


@pytest.mark.parametrize(
    ("code", "retryable"),
    [
        ("ConflictException", True),
        ("ThrottlingException", True),
        ("InternalServerException", True),
        ("AccessDeniedException", False),
        ("ValidationException", False),
    ],
)
def test_what_passes_by_itself_is_retryable(
    directory: Directory, code: str, *, retryable: bool
) -> None:
    arn = directory.empty()
    directory.behaviour.refuse("UpdatePermissionSet", code)
    error = refusal(lambda: directory.gateway.set_details(arn, FULL))
    assert (error.code, error.retryable) == (code, retryable)
    assert not isinstance(error, NotFoundError | SlotsFullError)
    directory.gateway.set_details(arn, FULL)


def test_a_missing_key_of_kms_is_no_missing_set(directory: Directory) -> None:
    arn = directory.empty()
    with Stubber(directory.admin) as stub:
        stub.add_client_error(
            "describe_permission_set",
            "ResourceNotFoundException",
            modeled_fields={"Reason": "KMS_NotFoundException"},
        )
        error = refusal(lambda: directory.gateway.name_of(arn))
    assert not isinstance(error, NotFoundError)
    assert (error.code, error.retryable) == ("KMS_NotFoundException", False)


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        ({"ResourceType": "IDENTITY_STORE"}, "IDENTITY_STORE"),
        ({"ResourceType": "USER", "Reason": "KMS_KEY_NOT_FOUND"}, "KMS_KEY_NOT_FOUND"),
    ],
)
def test_a_missing_identity_store_is_no_missing_user(
    directory: Directory, missing: dict[str, str], code: str
) -> None:
    directory.gateway.instance_arn()
    with Stubber(directory.people) as stub:
        stub.add_client_error("describe_user", "ResourceNotFoundException", modeled_fields=missing)
        error = refusal(lambda: directory.gateway.principal_name(PrincipalKind.USER, NOBODY))
    assert not isinstance(error, NotFoundError)
    assert error.code == code


# Sessions


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT1H", 3600),
        ("PT1H30M", 5400),
        ("PT12H", 43200),
        ("PT90M", 5400),
        ("PT3601S", 3601),
        ("PT28800.000S", 28800),
        ("PT28800.5S", 28801),
        ("P1D", 86400),
        ("P1W", 604800),
        ("P1DT1H1M1S", 90061),
    ],
)
def test_a_session_is_read_in_seconds(text: str, seconds: int) -> None:
    assert session_seconds(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "1H", "PT1", "P1M", "P1Y", "-PT1H", "PT1H ", "PT٣H"]
)
def test_what_is_no_session_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no duration of a session"):
        session_seconds(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3600, "PT1H"), (5400, "PT1H30M"), (43200, "PT12H"), (3601, "PT1H1S"), (1800, "PT30M")],
)
def test_a_session_is_written_as_exactly_so_many_seconds(seconds: int, text: str) -> None:
    assert session_duration(seconds) == text
    assert session_seconds(text) == seconds


def test_a_session_that_nobody_can_read_is_told_with_the_set(directory: Directory) -> None:
    arn = directory.empty()
    center_of(HUB).permission_set({"PermissionSetArn": arn}).session_duration = "P1M"
    error = refusal(lambda: directory.gateway.attributes(arn))
    assert (error.code, error.retryable) == ("UnreadableSession", False)
    assert arn in str(error)


def test_a_set_without_a_session_has_an_hour(directory: Directory) -> None:
    arn = directory.empty()
    center_of(HUB).permission_set({"PermissionSetArn": arn}).session_duration = ""
    assert directory.gateway.attributes(arn)[1].session_seconds == 3600


@pytest.mark.parametrize("kind", PrincipalKind)
def test_people_and_groups_are_listed_page_by_page_without_a_token(
    directory: Directory, kind: PrincipalKind
) -> None:
    make = directory.user if kind is PrincipalKind.USER else directory.group
    made = {make(f"name-{number}"): f"name-{number}" for number in range(101)}
    directory.gateway.instance_arn()
    directory.log.clear()
    before = directory.gateway.calls_made
    first, after = directory.gateway.some_principals(kind, after=None)
    assert after is not None
    second, end = directory.gateway.some_principals(kind, after=after)
    assert (len(first), len(second), end) == (100, 1, None)
    assert dict((*first, *second)) == made
    assert directory.log == ["ListUsers" if kind is PrincipalKind.USER else "ListGroups"] * 2
    assert directory.gateway.calls_made - before == 2


def test_it_knows_how_many_calls_it_made(directory: Directory) -> None:
    arn = directory.empty()
    directory.log.clear()
    before = directory.gateway.calls_made
    directory.gateway.attributes(arn)
    assert directory.gateway.calls_made - before == len(directory.calls) == 6
