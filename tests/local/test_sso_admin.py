"""The Identity Center that other tests rest on: asynchronous, limited and refusing as AWS is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import moto
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.sso_admin import Behaviour, center_of, install, settle_all, uninstall

if TYPE_CHECKING:
    from mypy_boto3_sso_admin import SSOAdminClient

REGION = "us-east-1"
OWNER = "123456789012"
ACCOUNT = "111122223333"
OTHER_ACCOUNT = "444455556666"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
NOBODY = "12345678-1234-1234-1234-123456789012"
ONCE = Config(retries={"total_max_attempts": 1}, parameter_validation=False)


@dataclass
class Directory:
    """An instance with a group, a person in it, and one permission set."""

    sso: SSOAdminClient
    behaviour: Behaviour
    instance: str
    store: str
    group: str
    person: str
    permission_set: str

    def of(self, **more: Any) -> dict[str, Any]:
        return {"InstanceArn": self.instance, "PermissionSetArn": self.permission_set, **more}

    def tuple(self, **more: Any) -> dict[str, Any]:
        return self.of(
            **{
                "TargetId": ACCOUNT,
                "TargetType": "AWS_ACCOUNT",
                "PrincipalType": "GROUP",
                "PrincipalId": self.group,
                **more,
            }
        )

    def assign(self, **more: Any) -> str:
        answer = self.sso.create_account_assignment(**self.tuple(**more))
        return answer["AccountAssignmentCreationStatus"]["RequestId"]

    def assigned(self, **more: Any) -> None:
        request = self.assign(**more)
        settle_all(OWNER)
        assert self.creation(request)["Status"] == "SUCCEEDED"

    def remove(self, **more: Any) -> str:
        answer = self.sso.delete_account_assignment(**self.tuple(**more))
        return answer["AccountAssignmentDeletionStatus"]["RequestId"]

    def provision(self, **more: Any) -> str:
        target = more or {"TargetType": "ALL_PROVISIONED_ACCOUNTS"}
        answer = self.sso.provision_permission_set(**self.of(**target))
        return answer["PermissionSetProvisioningStatus"]["RequestId"]

    def creation(self, request: str) -> Any:
        return self.sso.describe_account_assignment_creation_status(
            InstanceArn=self.instance, AccountAssignmentCreationRequestId=request
        )["AccountAssignmentCreationStatus"]

    def deletion(self, request: str) -> Any:
        return self.sso.describe_account_assignment_deletion_status(
            InstanceArn=self.instance, AccountAssignmentDeletionRequestId=request
        )["AccountAssignmentDeletionStatus"]

    def provisioning(self, request: str) -> Any:
        return self.sso.describe_permission_set_provisioning_status(
            InstanceArn=self.instance, ProvisionPermissionSetRequestId=request
        )["PermissionSetProvisioningStatus"]

    def principals(self, account: str = ACCOUNT) -> list[str]:
        found = self.sso.list_account_assignments(**self.of(AccountId=account))
        return [assignment["PrincipalId"] for assignment in found["AccountAssignments"]]

    def accounts(self, **more: Any) -> list[str]:
        found = self.sso.list_accounts_for_provisioned_permission_set(**self.of(**more))
        return found["AccountIds"]

    def make(self, name: str, **more: Any) -> str:
        made = self.sso.create_permission_set(InstanceArn=self.instance, Name=name, **more)
        return made["PermissionSet"]["PermissionSetArn"]


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Directory]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    behaviour = Behaviour()
    install(behaviour)
    with moto.mock_aws():
        sso = boto3.client("sso-admin", region_name=REGION, config=ONCE)
        instance = sso.list_instances()["Instances"][0]
        store = instance["IdentityStoreId"]
        people = boto3.client("identitystore", region_name=REGION)
        group = people.create_group(IdentityStoreId=store, DisplayName="Developers")["GroupId"]
        person = people.create_user(
            IdentityStoreId=store,
            UserName="ana@example.com",
            DisplayName="Ana",
            Name={"GivenName": "Ana", "FamilyName": "Example"},
        )["UserId"]
        people.create_group_membership(
            IdentityStoreId=store, GroupId=group, MemberId={"UserId": person}
        )
        made = sso.create_permission_set(InstanceArn=instance["InstanceArn"], Name="Developer")
        yield Directory(
            sso=sso,
            behaviour=behaviour,
            instance=instance["InstanceArn"],
            store=store,
            group=group,
            person=person,
            permission_set=made["PermissionSet"]["PermissionSetArn"],
        )
    uninstall()


def refused(call: Callable[[], object]) -> str | None:
    """Return the error's code, or None where the call went through."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


# Assignments


def test_assignment_is_in_progress_for_some_looks_and_has_no_effect_until_it_succeeded(
    directory: Directory,
) -> None:
    answer = directory.sso.create_account_assignment(**directory.tuple())
    begun = answer["AccountAssignmentCreationStatus"]
    assert begun["Status"] == "IN_PROGRESS"
    request = begun["RequestId"]
    for _ in range(2):
        assert directory.creation(request)["Status"] == "IN_PROGRESS"
        assert directory.principals() == []
        assert directory.accounts() == []
    assert directory.creation(request)["Status"] == "SUCCEEDED"
    assert directory.principals() == [directory.group]
    assert directory.accounts() == [ACCOUNT]


def test_removal_has_no_effect_until_it_succeeded(directory: Directory) -> None:
    directory.assigned()
    request = directory.remove()
    for _ in range(2):
        assert directory.deletion(request)["Status"] == "IN_PROGRESS"
        assert directory.principals() == [directory.group]
    assert directory.deletion(request)["Status"] == "SUCCEEDED"
    assert directory.principals() == []
    assert directory.accounts() == []


def test_request_fails_on_demand_with_its_reason_and_no_effect(directory: Directory) -> None:
    directory.assigned()
    directory.behaviour.fail("DeleteAccountAssignment", "Received a 403 status error")
    request = directory.remove()
    settle_all(OWNER)
    ended = directory.deletion(request)
    assert (ended["Status"], ended["FailureReason"]) == ("FAILED", "Received a 403 status error")
    assert directory.principals() == [directory.group]
    request = directory.remove()
    settle_all(OWNER)
    assert directory.deletion(request)["Status"] == "SUCCEEDED"


@pytest.mark.parametrize("kind", ["GROUP", "USER"])
def test_unknown_principal_fails_at_the_end(directory: Directory, kind: str) -> None:
    wrong = {"GROUP": directory.person, "USER": directory.group}[kind]
    for principal in (NOBODY, wrong):
        request = directory.assign(PrincipalType=kind, PrincipalId=principal)
        settle_all(OWNER)
        ended = directory.creation(request)
        assert ended["Status"] == "FAILED"
        assert f"the {kind} assignee {principal} was not found" in ended["FailureReason"]
    assert directory.principals() == []


def test_unknown_account_fails_at_the_end(directory: Directory) -> None:
    directory.behaviour.accounts = {ACCOUNT}
    request = directory.assign(TargetId=OTHER_ACCOUNT)
    settle_all(OWNER)
    assert directory.creation(request)["Status"] == "FAILED"
    directory.assigned()


def test_account_that_is_not_ready_fails_until_it_is(directory: Directory) -> None:
    directory.behaviour.not_ready(ACCOUNT, times=2)
    directory.assigned(TargetId=OTHER_ACCOUNT)
    for _ in range(2):
        request = directory.assign()
        settle_all(OWNER)
        ended = directory.creation(request)
        assert ended["Status"] == "FAILED"
        assert f"'{ACCOUNT}' takes longer than usual" in ended["FailureReason"]
        assert directory.principals() == []
    directory.assigned()
    assert directory.principals() == [directory.group]


def test_duplicate_is_one(directory: Directory) -> None:
    directory.assigned()
    directory.assigned()
    assert directory.principals() == [directory.group]


def test_removal_of_what_is_not_there_fails_at_the_end(directory: Directory) -> None:
    request = directory.remove()
    settle_all(OWNER)
    ended = directory.deletion(request)
    assert ended["Status"] == "FAILED"
    assert "EntitlementItem doesn't exist" in ended["FailureReason"]


def test_overlapping_operations_of_one_assignment_conflict(directory: Directory) -> None:
    directory.assign()
    assert refused(directory.assign) == "ConflictException"
    assert refused(directory.remove) == "ConflictException"
    other = {"PrincipalType": "USER", "PrincipalId": directory.person}
    assert refused(lambda: directory.assign(**other)) is None
    settle_all(OWNER)
    assert refused(directory.remove) is None


def test_fifteen_requests_may_be_outstanding(directory: Directory) -> None:
    for number in range(15):
        directory.assign(TargetId=f"{number:012}")
    assert refused(directory.assign) == "ThrottlingException"
    assert refused(directory.remove) == "ThrottlingException"
    settle_all(OWNER)
    assert refused(directory.assign) is None


def test_lost_status_is_never_found_whether_the_request_had_an_effect_or_not(
    directory: Directory,
) -> None:
    directory.behaviour.lose("CreateAccountAssignment", effective=False)
    directory.behaviour.lose("CreateAccountAssignment")
    for expected in ([], [directory.group]):
        request = directory.assign()
        assert refused(lambda: directory.creation(request)) == "ResourceNotFoundException"  # noqa: B023  asked at once
        assert directory.principals() == expected
    statuses = directory.sso.list_account_assignment_creation_status(InstanceArn=directory.instance)
    assert statuses["AccountAssignmentsCreationStatus"] == []


def test_request_of_one_kind_is_unknown_to_the_other(directory: Directory) -> None:
    request = directory.assign()
    assert refused(lambda: directory.deletion(request)) == "ResourceNotFoundException"
    assert refused(lambda: directory.provisioning(request)) == "ResourceNotFoundException"


def test_next_calls_are_refused_on_demand_and_then_no_more(directory: Directory) -> None:
    directory.behaviour.refuse("CreateAccountAssignment", "ThrottlingException", times=2)
    found = [refused(directory.assign) for _ in range(3)]
    assert found == ["ThrottlingException", "ThrottlingException", None]


def test_time_ends_requests_that_nobody_looks_at(directory: Directory) -> None:
    directory.assign()
    assert directory.principals() == []
    directory.behaviour.seconds_in_progress = 0
    assert directory.principals() == [directory.group]


def test_requests_last_as_long_as_the_clock_says(directory: Directory) -> None:
    now = 1_800_000_000.0
    directory.behaviour.clock = lambda: now
    directory.behaviour.seconds_in_progress = 60
    request = directory.assign()
    created = directory.creation(request)["CreatedDate"]
    assert created.timestamp() == now
    now += 59
    assert directory.creation(request)["Status"] == "IN_PROGRESS"
    now += 1
    assert directory.principals() == [directory.group]


def test_assignments_in_one_account_may_end_one_after_another(directory: Directory) -> None:
    now = 1_800_000_000.0
    directory.behaviour.clock = lambda: now
    directory.behaviour.seconds_in_progress = 10
    directory.behaviour.one_after_another = True
    first = directory.assign()
    now += 2
    second = directory.assign(PrincipalType="USER", PrincipalId=directory.person)
    elsewhere = directory.assign(TargetId=OTHER_ACCOUNT)

    def ended() -> list[bool]:
        requests = (first, second, elsewhere)
        return [directory.creation(request)["Status"] == "SUCCEEDED" for request in requests]

    now += 8
    assert ended() == [True, False, False]
    now += 2
    assert ended() == [True, False, True]
    now += 7
    assert ended() == [True, False, True]
    now += 1
    assert ended() == [True, True, True]


def test_no_looks_mean_an_effect_at_once(directory: Directory) -> None:
    directory.behaviour.looks_in_progress = 0
    request = directory.assign()
    assert directory.principals() == [directory.group]
    assert directory.creation(request)["Status"] == "SUCCEEDED"


def test_requests_are_listed_by_status(directory: Directory) -> None:
    directory.assigned()
    directory.assign(PrincipalType="USER", PrincipalId=directory.person)

    def listed(**more: Any) -> list[str]:
        found = directory.sso.list_account_assignment_creation_status(
            InstanceArn=directory.instance, **more
        )
        return [status["Status"] for status in found["AccountAssignmentsCreationStatus"]]

    assert listed() == ["IN_PROGRESS", "SUCCEEDED"]
    assert listed(Filter={"Status": "FAILED"}) == []
    assert listed(Filter={"Status": "SUCCEEDED"}) == ["SUCCEEDED", "SUCCEEDED"]
    deletions = directory.sso.list_account_assignment_deletion_status(
        InstanceArn=directory.instance
    )
    assert deletions["AccountAssignmentsDeletionStatus"] == []


def test_creations_in_progress_are_listed_until_they_end(directory: Directory) -> None:
    directory.assigned(TargetId=OTHER_ACCOUNT)
    begun = [directory.assign(TargetId=f"{number:012}") for number in range(3)]

    def listed() -> list[str]:
        found = directory.sso.list_account_assignment_creation_status(
            InstanceArn=directory.instance, Filter={"Status": "IN_PROGRESS"}
        )
        return [status["RequestId"] for status in found["AccountAssignmentsCreationStatus"]]

    assert listed() == begun[::-1]
    for _ in range(2):
        directory.creation(begun[1])
    assert listed() == [begun[2], begun[0]]
    assert listed() == []
    later = [directory.assign(TargetId=f"{number:012}") for number in range(3, 5)]
    directory.behaviour.page_size = 1
    pages = directory.sso.get_paginator("list_account_assignment_creation_status").paginate(
        InstanceArn=directory.instance, Filter={"Status": "IN_PROGRESS"}
    )
    found = [page["AccountAssignmentsCreationStatus"] for page in pages]
    assert [status["RequestId"] for page in found for status in page] == later[::-1]
    assert [len(page) for page in found] == [1, 1]


def test_assignments_of_a_group_are_listed_by_a_hundred(directory: Directory) -> None:
    for number in range(101):
        directory.assigned(TargetId=f"{number:012}")
    asked: Any = {
        "InstanceArn": directory.instance,
        "PrincipalType": "GROUP",
        "PrincipalId": directory.group,
    }
    first = directory.sso.list_account_assignments_for_principal(**asked)
    second = directory.sso.list_account_assignments_for_principal(
        **asked, NextToken=first["NextToken"]
    )
    assert [len(it["AccountAssignments"]) for it in (first, second)] == [100, 1]
    assert "NextToken" not in second
    held = {it["AccountId"] for page in (first, second) for it in page["AccountAssignments"]}
    assert held == {f"{number:012}" for number in range(101)}


def test_account_has_the_permission_sets_that_somebody_holds_there(directory: Directory) -> None:
    auditor = directory.make("Auditor")
    directory.make("Unused")
    directory.assigned()
    directory.assigned(PermissionSetArn=auditor)
    directory.assigned(PermissionSetArn=auditor, TargetId=OTHER_ACCOUNT)

    def found(account: str) -> list[str]:
        answer = directory.sso.list_permission_sets_provisioned_to_account(
            InstanceArn=directory.instance, AccountId=account
        )
        return answer["PermissionSets"]

    assert found(ACCOUNT) == [directory.permission_set, auditor]
    assert found(OTHER_ACCOUNT) == [auditor]
    directory.remove(PermissionSetArn=auditor)
    settle_all(OWNER)
    assert found(ACCOUNT) == [directory.permission_set]
    assert found("999900001111") == []


def test_assignments_of_a_person_include_those_of_their_groups(directory: Directory) -> None:
    directory.assigned()
    directory.assigned(TargetId=OTHER_ACCOUNT, PrincipalType="USER", PrincipalId=directory.person)

    def found(**more: Any) -> list[tuple[str, str]]:
        answer = directory.sso.list_account_assignments_for_principal(
            InstanceArn=directory.instance, **more
        )
        return [(a["AccountId"], a["PrincipalType"]) for a in answer["AccountAssignments"]]

    of_person = {"PrincipalId": directory.person, "PrincipalType": "USER"}
    assert found(**of_person) == [(ACCOUNT, "GROUP"), (OTHER_ACCOUNT, "USER")]
    assert found(**of_person, Filter={"AccountId": ACCOUNT}) == [(ACCOUNT, "GROUP")]
    assert found(PrincipalId=directory.group, PrincipalType="GROUP") == [(ACCOUNT, "GROUP")]


# Provisioning


def test_changed_set_is_stale_in_accounts_until_provisioned(directory: Directory) -> None:
    directory.assigned()
    directory.assigned(TargetId=OTHER_ACCOUNT)
    stale: Any = "LATEST_PERMISSION_SET_NOT_PROVISIONED"
    latest: Any = "LATEST_PERMISSION_SET_PROVISIONED"
    assert directory.accounts(ProvisioningStatus=latest) == [ACCOUNT, OTHER_ACCOUNT]
    directory.sso.attach_managed_policy_to_permission_set(
        **directory.of(ManagedPolicyArn=READ_ONLY)
    )
    assert directory.accounts(ProvisioningStatus=stale) == [ACCOUNT, OTHER_ACCOUNT]
    request = directory.provision(TargetId=ACCOUNT, TargetType="AWS_ACCOUNT")
    for _ in range(2):
        assert directory.provisioning(request)["Status"] == "IN_PROGRESS"
        assert directory.accounts(ProvisioningStatus=latest) == []
    assert directory.provisioning(request)["Status"] == "SUCCEEDED"
    assert directory.accounts(ProvisioningStatus=latest) == [ACCOUNT]
    sets = directory.sso.list_permission_sets_provisioned_to_account
    of_account: Any = {"InstanceArn": directory.instance, "AccountId": OTHER_ACCOUNT}
    assert sets(**of_account)["PermissionSets"] == [directory.permission_set]
    assert sets(**of_account, ProvisioningStatus=latest)["PermissionSets"] == []
    directory.provision()
    settle_all(OWNER)
    assert sets(**of_account, ProvisioningStatus=latest)["PermissionSets"] == [
        directory.permission_set
    ]


def test_provisioning_where_the_set_is_not_fails_at_the_end(directory: Directory) -> None:
    request = directory.provision(TargetId=ACCOUNT, TargetType="AWS_ACCOUNT")
    settle_all(OWNER)
    ended = directory.provisioning(request)
    assert ended["Status"] == "FAILED"
    assert f"not found in AWS account {ACCOUNT}" in ended["FailureReason"]
    assert directory.accounts() == []


def test_three_sets_may_be_provisioned_at_once_and_each_once(directory: Directory) -> None:
    sets = [directory.make(f"Set{number}") for number in range(4)]

    def provision(arn: str) -> str | None:
        call = directory.sso.provision_permission_set
        asked = directory.of(PermissionSetArn=arn, TargetType="ALL_PROVISIONED_ACCOUNTS")
        return refused(lambda: call(**asked))

    assert [provision(arn) for arn in sets[:2]] == [None, None]
    assert provision(sets[0]) == "ConflictException"
    assert provision(sets[2]) is None
    assert provision(sets[3]) == "ThrottlingException"
    settle_all(OWNER)
    assert provision(sets[3]) is None
    listed = directory.sso.list_permission_set_provisioning_status(
        InstanceArn=directory.instance, Filter={"Status": "SUCCEEDED"}
    )
    assert len(listed["PermissionSetsProvisioningStatus"]) == 3


def test_target_account_is_wanted_with_one_account_only(directory: Directory) -> None:
    call = directory.provision
    assert refused(lambda: call(TargetType="AWS_ACCOUNT")) == "ValidationException"
    every = {"TargetType": "ALL_PROVISIONED_ACCOUNTS", "TargetId": ACCOUNT}
    assert refused(lambda: call(**every)) == "ValidationException"


# Permission sets


def test_session_of_a_set_is_one_hour_unless_said(directory: Directory) -> None:
    described = directory.sso.describe_permission_set(**directory.of())["PermissionSet"]
    assert described["SessionDuration"] == "PT1H"
    assert "Description" not in described


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"Name": "n" * 32, "Description": "d" * 700}, None),
        ({"Name": "n" * 33}, "ValidationException"),
        ({"Name": "with space"}, "ValidationException"),
        ({"Name": "a", "Description": ""}, "ValidationException"),
        ({"Name": "a", "Description": "d" * 701}, "ValidationException"),
        ({"Name": "a", "SessionDuration": "PT12H"}, None),
        ({"Name": "a", "SessionDuration": "PT1H30M"}, None),
        ({"Name": "a", "SessionDuration": "PT12H1M"}, "ValidationException"),
        ({"Name": "a", "SessionDuration": "PT59M"}, "ValidationException"),
        ({"Name": "a", "SessionDuration": "P1D"}, "ValidationException"),
        ({"Name": "a", "SessionDuration": "3600"}, "ValidationException"),
        ({"Name": "a", "RelayState": "https://example.com/a?b=c"}, None),
        ({"Name": "a", "RelayState": "r" * 241}, "ValidationException"),
        ({"Name": "a", "RelayState": "<script>"}, "ValidationException"),
        ({"Name": "a", "Tags": [{"Key": "Größe 1", "Value": "à/b:c"}]}, None),
        ({"Name": "a", "Tags": [{"Key": "a!", "Value": "b"}]}, "ValidationException"),
        ({"Name": "Developer"}, "ConflictException"),
        ({"Description": "nameless"}, "ValidationException"),
    ],
)
def test_set_is_refused_as_the_api_model_says(
    directory: Directory, attributes: dict[str, Any], expected: str | None
) -> None:
    make = directory.sso.create_permission_set
    assert refused(lambda: make(InstanceArn=directory.instance, **attributes)) == expected


def test_update_clears_a_relay_state_that_is_not_said(directory: Directory) -> None:
    update = directory.sso.update_permission_set
    update(**directory.of(RelayState="https://example.com", Description="d"))
    update(**directory.of(SessionDuration="PT2H"))
    described = directory.sso.describe_permission_set(**directory.of())["PermissionSet"]
    assert "RelayState" not in described
    assert (described["Description"], described["SessionDuration"]) == ("d", "PT2H")


def test_set_that_is_assigned_or_about_to_be_is_not_deleted(directory: Directory) -> None:
    delete = directory.sso.delete_permission_set
    directory.assign()
    assert refused(lambda: delete(**directory.of())) == "ConflictException"
    settle_all(OWNER)
    assert refused(lambda: delete(**directory.of())) == "ConflictException"
    directory.remove()
    settle_all(OWNER)
    assert refused(lambda: delete(**directory.of())) is None
    described = directory.sso.describe_permission_set
    assert refused(lambda: described(**directory.of())) == "ResourceNotFoundException"


def test_arns_are_of_the_form_that_the_model_wants(directory: Directory) -> None:
    instance = directory.instance.removeprefix("arn:aws:sso:::instance/")
    assert directory.permission_set.startswith(f"arn:aws:sso:::permissionSet/{instance}/ps-")
    assert set(directory.store.removeprefix("d-")) <= set("0123456789abcdef")


# Policies, boundary, tags


def test_managed_policy_is_attached_once_and_detached_once(directory: Directory) -> None:
    asked = directory.of(ManagedPolicyArn=ADMINISTRATOR)
    attach = directory.sso.attach_managed_policy_to_permission_set
    detach = directory.sso.detach_managed_policy_from_permission_set
    assert [refused(lambda: attach(**asked)) for _ in range(2)] == [None, "ConflictException"]
    found = directory.sso.list_managed_policies_in_permission_set(**directory.of())
    assert found["AttachedManagedPolicies"] == [
        {"Arn": ADMINISTRATOR, "Name": "AdministratorAccess"}
    ]
    answers = [refused(lambda: detach(**asked)) for _ in range(2)]
    assert answers == [None, "ResourceNotFoundException"]
    unknown = directory.of(ManagedPolicyArn="arn:aws:iam::aws:policy/NoSuchPolicy")
    assert refused(lambda: attach(**unknown)) == "ResourceNotFoundException"


def test_managed_policy_with_a_path_is_known_by_that_path_alone(directory: Directory) -> None:
    attach = directory.sso.attach_managed_policy_to_permission_set
    bare = directory.of(ManagedPolicyArn="arn:aws:iam::aws:policy/Billing")
    assert refused(lambda: attach(**bare)) == "ResourceNotFoundException"
    whole = directory.of(ManagedPolicyArn="arn:aws:iam::aws:policy/job-function/Billing")
    assert refused(lambda: attach(**whole)) is None


def test_reference_is_attached_once_and_detached_once(directory: Directory) -> None:
    asked = directory.of(CustomerManagedPolicyReference={"Name": "team", "Path": "/a/"})
    attach = directory.sso.attach_customer_managed_policy_reference_to_permission_set
    detach = directory.sso.detach_customer_managed_policy_reference_from_permission_set
    assert [refused(lambda: attach(**asked)) for _ in range(2)] == [None, "ConflictException"]
    found = directory.sso.list_customer_managed_policy_references_in_permission_set(
        **directory.of()
    )
    assert found["CustomerManagedPolicyReferences"] == [{"Name": "team", "Path": "/a/"}]
    answers = [refused(lambda: detach(**asked)) for _ in range(2)]
    assert answers == [None, "ResourceNotFoundException"]


def test_set_takes_twenty_five_policies_of_both_kinds(directory: Directory) -> None:
    attach = directory.sso.attach_customer_managed_policy_reference_to_permission_set
    for number in range(25):
        attach(**directory.of(CustomerManagedPolicyReference={"Name": f"p{number}"}))
    one_more = directory.of(CustomerManagedPolicyReference={"Name": "p25"})
    assert refused(lambda: attach(**one_more)) == "ServiceQuotaExceededException"
    managed = directory.sso.attach_managed_policy_to_permission_set
    of_aws = directory.of(ManagedPolicyArn=READ_ONLY)
    assert refused(lambda: managed(**of_aws)) == "ServiceQuotaExceededException"


def test_inline_policy_counts_without_white_space(directory: Directory) -> None:
    put = directory.sso.put_inline_policy_to_permission_set
    fits = json.dumps({"a": "x" * (10_240 - len('{"a":""}'))})
    more = json.dumps({"a": "x" * (10_241 - len('{"a":""}'))})
    spaced = fits.replace(":", ": " + " " * 9000)
    for text in (fits, spaced):
        put(**directory.of(InlinePolicy=text))
        found = directory.sso.get_inline_policy_for_permission_set(**directory.of())
        assert found["InlinePolicy"] == text
    quota = "ServiceQuotaExceededException"
    assert refused(lambda: put(**directory.of(InlinePolicy=more))) == quota
    assert refused(lambda: put(**directory.of(InlinePolicy="{"))) == "ValidationException"
    assert refused(lambda: put(**directory.of(InlinePolicy="[]"))) == "ValidationException"
    long = json.dumps({"a": " " * 32_768})
    assert refused(lambda: put(**directory.of(InlinePolicy=long))) == "ValidationException"


def test_inline_policy_is_empty_where_there_is_none(directory: Directory) -> None:
    get = directory.sso.get_inline_policy_for_permission_set
    delete = directory.sso.delete_inline_policy_from_permission_set
    assert get(**directory.of())["InlinePolicy"] == ""
    assert refused(lambda: delete(**directory.of())) == "ResourceNotFoundException"
    directory.sso.put_inline_policy_to_permission_set(**directory.of(InlinePolicy="{}"))
    delete(**directory.of())
    assert get(**directory.of())["InlinePolicy"] == ""


@pytest.mark.parametrize(
    ("boundary", "expected"),
    [
        ({"ManagedPolicyArn": READ_ONLY}, {"ManagedPolicyArn": READ_ONLY}),
        (
            {"CustomerManagedPolicyReference": {"Name": "limit"}},
            {"CustomerManagedPolicyReference": {"Name": "limit", "Path": "/"}},
        ),
    ],
)
def test_boundary_is_put_read_and_deleted(
    directory: Directory, boundary: Any, expected: dict[str, Any]
) -> None:
    get = directory.sso.get_permissions_boundary_for_permission_set
    delete = directory.sso.delete_permissions_boundary_from_permission_set
    assert refused(lambda: get(**directory.of())) == "ResourceNotFoundException"
    assert refused(lambda: delete(**directory.of())) == "ResourceNotFoundException"
    put = directory.sso.put_permissions_boundary_to_permission_set
    put(**directory.of(PermissionsBoundary=boundary))
    assert get(**directory.of())["PermissionsBoundary"] == expected
    delete(**directory.of())
    assert refused(lambda: get(**directory.of())) == "ResourceNotFoundException"


def test_boundary_is_one_known_policy(directory: Directory) -> None:
    put = directory.sso.put_permissions_boundary_to_permission_set
    both: Any = {
        "ManagedPolicyArn": READ_ONLY,
        "CustomerManagedPolicyReference": {"Name": "limit"},
    }
    unknown: Any = {"ManagedPolicyArn": "arn:aws:iam::aws:policy/NoSuchPolicy"}
    boundaries: list[Any] = [both, {}, unknown]
    answers = [
        refused(lambda: put(**directory.of(PermissionsBoundary=boundary)))  # noqa: B023  asked at once
        for boundary in boundaries
    ]
    assert answers == ["ValidationException", "ValidationException", "ResourceNotFoundException"]


def test_tags_are_set_listed_and_removed(directory: Directory) -> None:
    arn = directory.make("Tagged", Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    about = {"InstanceArn": directory.instance, "ResourceArn": arn}
    directory.sso.tag_resource(**about, Tags=[{"Key": "b", "Value": "3"}])
    directory.sso.untag_resource(**about, TagKeys=["a", "unknown"])
    tags = directory.sso.list_tags_for_resource(**about)["Tags"]
    assert tags == [{"Key": "b", "Value": "3"}]
    unknown = arn[:-4] + "0000"
    listed = directory.sso.list_tags_for_resource
    answer = refused(lambda: listed(InstanceArn=directory.instance, ResourceArn=unknown))
    assert answer == "ResourceNotFoundException"


# The instance


def test_lists_come_in_pages(directory: Directory) -> None:
    directory.behaviour.page_size = 2
    names = [directory.make(f"Set{number}") for number in range(4)]
    paginator = directory.sso.get_paginator("list_permission_sets")
    pages = [page["PermissionSets"] for page in paginator.paginate(InstanceArn=directory.instance)]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [arn for page in pages for arn in page] == [directory.permission_set, *names]


def test_store_keeps_a_membership_once_and_none_of_the_deleted(directory: Directory) -> None:
    people = boto3.client("identitystore", region_name=REGION, config=ONCE)
    about: dict[str, Any] = {"IdentityStoreId": directory.store, "GroupId": directory.group}
    again = lambda: people.create_group_membership(**about, MemberId={"UserId": directory.person})  # noqa: E731  asked once
    assert refused(again) == "ConflictException"
    assert len(people.list_group_memberships(**about)["GroupMemberships"]) == 1
    people.delete_user(IdentityStoreId=directory.store, UserId=directory.person)
    assert people.list_group_memberships(**about)["GroupMemberships"] == []


def test_other_store_is_unknown(directory: Directory) -> None:
    people = boto3.client("identitystore", region_name=REGION, config=ONCE)
    answer = refused(lambda: people.list_groups(IdentityStoreId="d-0123456789"))
    assert answer == "ResourceNotFoundException"
    assert people.list_groups(IdentityStoreId=directory.store)["Groups"]


def test_other_accounts_and_regions_have_no_instance(directory: Directory) -> None:
    directory.behaviour.owner, directory.behaviour.home_region = OWNER, REGION
    assert directory.sso.list_instances()["Instances"][0]["OwnerAccountId"] == OWNER
    elsewhere = boto3.client("sso-admin", region_name="eu-west-1", config=ONCE)
    assert elsewhere.list_instances()["Instances"] == []
    describe = elsewhere.describe_permission_set
    assert refused(lambda: describe(**directory.of())) == "ResourceNotFoundException"
    people = boto3.client("identitystore", region_name="eu-west-1", config=ONCE)
    listed = people.list_groups
    answer = refused(lambda: listed(IdentityStoreId=directory.store))
    assert answer == "ResourceNotFoundException"
    directory.behaviour.owner = ACCOUNT
    assert directory.sso.list_instances()["Instances"] == []


def test_other_instance_is_unknown(directory: Directory) -> None:
    other = directory.instance[:-4] + "0000"
    listed = directory.sso.list_permission_sets
    assert refused(lambda: listed(InstanceArn=other)) == "ResourceNotFoundException"


def test_moto_takes_its_own_answers_back(directory: Directory) -> None:
    uninstall()
    assert directory.creation(directory.assign())["Status"] == "SUCCEEDED"
    assert ":instance/" in directory.make("Own")


def test_moto_forgets_with_the_mock() -> None:
    install(Behaviour())
    for _ in range(2):
        with moto.mock_aws():
            assert not center_of(OWNER).tags
            center_of(OWNER).tags["arn"] = {}
            assert center_of(OWNER).tags
    uninstall()
