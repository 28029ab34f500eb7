"""Organizations of the emulator itself: its pages, its states, and what it must be allowed on."""

from __future__ import annotations

import json
import uuid
from functools import partial
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from local.emulator import MANAGEMENT_ACCOUNT, running_emulator
from local.organization import ACCOUNTS, create_account, seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from local.caller import Caller
    from local.organization import Organization

MEMBER = "sandbox-ana"


@pytest.fixture(scope="module")
def plain() -> Iterator[Organization]:
    """An organization without Keyward."""
    with running_emulator() as emulator:
        yield seed(emulator)


@pytest.fixture
def unit(plain: Organization) -> str:
    """An empty OU right below the root."""
    made = plain.hub.organizations.create_organizational_unit(
        ParentId=plain.root_id, Name=f"Unit-{uuid.uuid4().hex[:8]}"
    )
    return made["OrganizationalUnit"]["Id"]


def refused(call: Callable[[], object]) -> str | None:
    """Return the error's code, or None where the call went through."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


def session(plain: Organization, *actions: str, resource: str) -> Caller:
    """Return a session of a new role of the management account that may do just this."""
    name = f"role-{uuid.uuid4().hex[:8]}"
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{MANAGEMENT_ACCOUNT}:root"},
        "Action": "sts:AssumeRole",
    }
    plain.hub.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))
    allowed = {"Effect": "Allow", "Action": actions, "Resource": resource}
    plain.hub.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(allowed))
    return plain.hub.assuming(f"arn:aws:iam::{MANAGEMENT_ACCOUNT}:role/{name}", "test")


def document(statement: Mapping[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_accounts_are_listed_by_twenty(plain: Organization, unit: str) -> None:
    client = plain.hub.organizations
    made = []
    for number in range(21):
        made.append(create_account(client, f"paged-{number}-{unit}"[:50]))
        client.move_account(
            AccountId=made[-1], SourceParentId=plain.root_id, DestinationParentId=unit
        )
    first = client.list_accounts_for_parent(ParentId=unit)
    assert len(first["Accounts"]) == 20
    second = client.list_accounts_for_parent(ParentId=unit, NextToken=first["NextToken"])
    assert "NextToken" not in second
    found = [account["Id"] for page in (first, second) for account in page["Accounts"]]
    assert found == made
    smaller = client.list_accounts_for_parent(ParentId=unit, MaxResults=3)
    assert [account["Id"] for account in smaller["Accounts"]] == made[:3]
    pages = list(client.get_paginator("list_accounts").paginate())
    assert [len(page["Accounts"]) for page in pages[:-1]] == [20] * (len(pages) - 1)
    everybody = {account["Id"] for page in pages for account in page["Accounts"]}
    assert everybody >= {*made, *plain.accounts.values(), MANAGEMENT_ACCOUNT}


def test_more_than_twenty_in_a_page_are_refused(plain: Organization) -> None:
    listing = plain.hub.organizations.list_accounts_for_parent
    answer = refused(lambda: listing(ParentId=plain.root_id, MaxResults=21))
    assert answer == "InvalidInputException"


def test_units_are_listed_by_twenty(plain: Organization, unit: str) -> None:
    client = plain.hub.organizations
    names = [f"Team-{number}" for number in range(21)]
    for name in names:
        client.create_organizational_unit(ParentId=unit, Name=name)
    first = client.list_organizational_units_for_parent(ParentId=unit)
    assert len(first["OrganizationalUnits"]) == 20
    second = client.list_organizational_units_for_parent(
        ParentId=unit, NextToken=first["NextToken"]
    )
    listed = [it["Name"] for page in (first, second) for it in page["OrganizationalUnits"]]
    assert listed == names


def test_only_what_is_right_in_a_parent_is_listed(plain: Organization) -> None:
    client = plain.hub.organizations
    production = client.list_accounts_for_parent(ParentId=plain.units["Workloads/Production"])
    names = {account["Name"] for account in production["Accounts"]}
    assert names == set(ACCOUNTS["Workloads/Production"])
    workloads = plain.units["Workloads"]
    assert client.list_accounts_for_parent(ParentId=workloads)["Accounts"] == []
    units = client.list_organizational_units_for_parent(ParentId=workloads)["OrganizationalUnits"]
    assert {unit["Name"] for unit in units} == {"Production", "Staging"}
    for listing in (client.list_accounts_for_parent, client.list_organizational_units_for_parent):
        answer = refused(lambda: listing(ParentId="ou-0000-00000000"))  # noqa: B023  asked at once
        assert answer == "ParentNotFoundException"


def test_account_is_made_while_nobody_waits(plain: Organization, unit: str) -> None:
    client = plain.hub.organizations
    begun = client.create_account(
        Email="new@example.com", AccountName="new", Tags=[{"Key": "team", "Value": unit}]
    )["CreateAccountStatus"]
    assert begun["State"] == "IN_PROGRESS"
    assert "AccountId" not in begun
    ended = client.describe_create_account_status(CreateAccountRequestId=begun["Id"])
    status = ended["CreateAccountStatus"]
    assert status["State"] == "SUCCEEDED"
    account = client.describe_account(AccountId=status["AccountId"])["Account"]
    assert account["Name"] == "new"
    assert account["Arn"].endswith(f"/{account['Id']}")
    tags = client.list_tags_for_resource(ResourceId=status["AccountId"])["Tags"]
    assert tags == [{"Key": "team", "Value": unit}]


def test_state_says_what_the_retired_status_said(plain: Organization) -> None:
    client = plain.hub.organizations
    account = create_account(client, f"closing-{uuid.uuid4().hex[:8]}")

    def described() -> dict[str, object]:
        return {**client.describe_account(AccountId=account)["Account"]}

    assert described()["State"] == "ACTIVE"
    client.close_account(AccountId=account)
    assert described()["State"] == "CLOSED"
    assert "Status" not in described()


def test_account_is_moved_from_where_it_is_and_only_once(plain: Organization, unit: str) -> None:
    client = plain.hub.organizations
    account = create_account(client, f"moving-{uuid.uuid4().hex[:8]}")
    sandbox = plain.units["Sandbox"]

    def move(source: str, destination: str) -> str | None:
        return refused(
            lambda: client.move_account(
                AccountId=account, SourceParentId=source, DestinationParentId=destination
            )
        )

    assert move(sandbox, unit) == "SourceParentNotFoundException"
    assert move(plain.root_id, "ou-0000-00000000") == "DestinationParentNotFoundException"
    assert move(plain.root_id, unit) is None
    assert client.list_parents(ChildId=account)["Parents"] == [
        {"Id": unit, "Type": "ORGANIZATIONAL_UNIT"}
    ]
    assert client.list_parents(ChildId=unit)["Parents"] == [{"Id": plain.root_id, "Type": "ROOT"}]
    assert move(unit, unit) == "DuplicateAccountException"


def test_tags_of_an_account_are_set_listed_and_removed(plain: Organization) -> None:
    client = plain.hub.organizations
    account = plain.accounts[MEMBER]
    client.tag_resource(
        ResourceId=account, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    )
    client.untag_resource(ResourceId=account, TagKeys=["a"])
    assert client.list_tags_for_resource(ResourceId=account)["Tags"] == [{"Key": "b", "Value": "2"}]
    missing = refused(lambda: client.list_tags_for_resource(ResourceId="909090909090"))
    assert missing == "TargetNotFoundException"


def test_call_is_allowed_on_the_account_or_unit_that_it_names(plain: Organization) -> None:
    prefix = f"arn:aws:organizations::{MANAGEMENT_ACCOUNT}"
    actions = ("ListTagsForResource", "ListParents", "ListAccountsForParent", "DescribeAccount")
    asked = [f"organizations:{action}" for action in actions]
    account, unit = plain.accounts[MEMBER], plain.units["Sandbox"]
    accounts = session(
        plain, *asked, resource=f"{prefix}:account/{plain.organization_id}/*"
    ).organizations
    units = session(plain, *asked, resource=f"{prefix}:ou/{plain.organization_id}/*").organizations
    root = session(plain, *asked, resource=f"{prefix}:root/{plain.organization_id}/*").organizations
    denied = "AccessDeniedException"
    for client, expected in (
        (accounts, [None, None, None, denied, denied, denied]),
        (units, [denied, denied, denied, None, None, denied]),
        (root, [denied, denied, denied, denied, denied, None]),
    ):
        calls: list[Callable[[], object]] = [
            partial(client.describe_account, AccountId=account),
            partial(client.list_tags_for_resource, ResourceId=account),
            partial(client.list_parents, ChildId=account),
            partial(client.list_parents, ChildId=unit),
            partial(client.list_accounts_for_parent, ParentId=unit),
            partial(client.list_accounts_for_parent, ParentId=plain.root_id),
        ]
        assert [refused(call) for call in calls] == expected
