"""The gateway of Organizations: accounts, their tags, and the tree of OUs, page by page.

moto stands for AWS, in pages of 20 as AWS's; what moto never answers is put in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
import moto
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from keyward.errors import GatewayError, NotFoundError
from keyward.gateways.organization import AccountDescription, OrganizationGateway

REGION = "us-east-1"
NOBODY = "999999999999"
ACCOUNT = "111122223333"
ONCE = Config(retries={"total_max_attempts": 1})
ROOT = "r-exam"
UNIT = "ou-exam-11111111"
UNIT_ABOVE = "ou-exam-22222222"


@dataclass
class Organization:
    """An organization, its gateway, and in order every call to AWS."""

    gateway: OrganizationGateway
    client: Any
    root: str
    calls: list[str] = field(default_factory=list)

    def account(self, name: str, parent: str | None = None) -> str:
        made = self.client.create_account(Email=f"{name}@example.com", AccountName=name)
        account = str(made["CreateAccountStatus"]["AccountId"])
        if parent is not None:
            self.client.move_account(
                AccountId=account, SourceParentId=self.root, DestinationParentId=parent
            )
        return account

    def unit(self, name: str, parent: str | None = None) -> str:
        made = self.client.create_organizational_unit(ParentId=parent or self.root, Name=name)
        return str(made["OrganizationalUnit"]["Id"])


def accounts_in(gateway: OrganizationGateway, parent: str) -> tuple[AccountDescription, ...]:
    """All accounts right in an OU or root, page by page."""
    found, after = gateway.some_accounts_in(parent, after=None)
    while after is not None:
        more, after = gateway.some_accounts_in(parent, after=after)
        found += more
    return found


@pytest.fixture
def organization(monkeypatch: pytest.MonkeyPatch) -> Iterator[Organization]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    with moto.mock_aws():
        client = boto3.client("organizations", region_name=REGION, config=ONCE)
        client.create_organization(FeatureSet="ALL")
        made = Organization(
            OrganizationGateway(client=client), client, client.list_roots()["Roots"][0]["Id"]
        )

        def noted(model: Any, **_: object) -> None:
            made.calls.append(model.name)

        client.meta.events.register("before-call", noted)
        yield made


def refusal(call: Callable[[], object]) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        call()
    return raised.value


# One account


def test_an_account_is_described_in_one_call(organization: Organization) -> None:
    account = organization.account("workload")
    organization.calls.clear()
    assert organization.gateway.account(account) == AccountDescription(
        id=account, name="workload", state="ACTIVE"
    )
    assert organization.calls == ["DescribeAccount"]
    assert organization.gateway.is_active_member(account)


def test_who_is_no_member_is_none(organization: Organization) -> None:
    assert organization.gateway.account(NOBODY) is None
    assert not organization.gateway.is_active_member(NOBODY)


def test_a_closed_account_is_known_and_not_active(organization: Organization) -> None:
    account = organization.account("old")
    organization.client.close_account(AccountId=account)
    found = organization.gateway.account(account)
    assert found is not None
    assert found.state == "SUSPENDED"
    assert not organization.gateway.is_active_member(account)


@pytest.mark.parametrize(
    ("described", "state"),
    [
        ({"State": "PENDING_CLOSURE", "Status": "ACTIVE"}, "PENDING_CLOSURE"),
        ({"State": "ACTIVE", "Status": "SUSPENDED"}, "ACTIVE"),
        ({"State": "PENDING_ACTIVATION"}, "PENDING_ACTIVATION"),
        ({"Status": "SUSPENDED"}, "SUSPENDED"),
        ({}, "UNKNOWN"),
    ],
)
def test_state_comes_before_the_retired_status(
    organization: Organization, described: dict[str, str], state: str
) -> None:
    with Stubber(organization.client) as stub:
        stub.add_response("describe_account", {"Account": {"Id": ACCOUNT, **described}})
        found = organization.gateway.account(ACCOUNT)
    assert found == AccountDescription(id=ACCOUNT, name="", state=state)


@pytest.mark.parametrize(
    ("state", "active"), [("ACTIVE", True), ("PENDING_ACTIVATION", False), ("CLOSED", False)]
)
def test_only_active_is_active(organization: Organization, state: str, *, active: bool) -> None:
    with Stubber(organization.client) as stub:
        stub.add_response("describe_account", {"Account": {"Id": ACCOUNT, "State": state}})
        assert organization.gateway.is_active_member(ACCOUNT) is active


# Lists, page by page


def test_tags_of_all_pages_are_read(organization: Organization) -> None:
    pages: list[dict[str, Any]] = [
        {"Tags": [{"Key": "stage", "Value": "prod"}], "NextToken": "second"},
        {"Tags": [], "NextToken": "third"},
        {"Tags": [{"Key": "team", "Value": ""}]},
    ]
    with Stubber(organization.client) as stub:
        for page, token in zip(pages, (None, "second", "third"), strict=True):
            asked = {"ResourceId": ACCOUNT} | ({"NextToken": token} if token else {})
            stub.add_response("list_tags_for_resource", page, asked)
        assert organization.gateway.tags(ACCOUNT) == {"stage": "prod", "team": ""}
        stub.assert_no_pending_responses()


def test_an_account_without_tags_has_none(organization: Organization) -> None:
    account = organization.account("workload")
    assert organization.gateway.tags(account) == {}
    organization.client.tag_resource(
        ResourceId=account, Tags=[{"Key": "stage", "Value": "prod"}, {"Key": "team", "Value": "a"}]
    )
    assert organization.gateway.tags(account) == {"stage": "prod", "team": "a"}


def test_the_root_is_found_after_an_empty_page(organization: Organization) -> None:
    assert organization.gateway.root() == organization.root
    with Stubber(organization.client) as stub:
        stub.add_response("list_roots", {"Roots": [], "NextToken": "second"}, {})
        stub.add_response("list_roots", {"Roots": [{"Id": ROOT}]}, {"NextToken": "second"})
        assert organization.gateway.root() == ROOT


@pytest.mark.parametrize(("number", "calls"), [(0, 1), (20, 1), (21, 2), (41, 3)])
def test_units_come_in_pages_of_twenty(organization: Organization, number: int, calls: int) -> None:
    parent = organization.unit("Workloads")
    units = {f"unit-{n}": organization.unit(f"unit-{n}", parent) for n in range(number)}
    if units:
        organization.unit("below", units["unit-0"])
    organization.calls.clear()
    assert organization.gateway.units_in(parent) == units
    assert organization.calls == ["ListOrganizationalUnitsForParent"] * calls
    assert organization.gateway.units_in(organization.root) == {"Workloads": parent}


@pytest.mark.parametrize(("number", "calls"), [(0, 1), (20, 1), (21, 2), (41, 3)])
def test_accounts_come_in_pages_of_twenty(
    organization: Organization, number: int, calls: int
) -> None:
    parent = organization.unit("Workloads")
    accounts = {organization.account(f"account-{n}", parent) for n in range(number)}
    organization.account("elsewhere", organization.unit("below", parent))
    organization.calls.clear()
    found = accounts_in(organization.gateway, parent)
    assert {account.id for account in found} == accounts
    assert len(found) == number
    assert organization.calls == ["ListAccountsForParent"] * calls


def test_accounts_in_whatever_state_are_listed(organization: Organization) -> None:
    parent = organization.unit("Workloads")
    live, closed = (organization.account(name, parent) for name in ("live", "closed"))
    organization.client.close_account(AccountId=closed)
    assert set(accounts_in(organization.gateway, parent)) == {
        AccountDescription(id=live, name="live", state="ACTIVE"),
        AccountDescription(id=closed, name="closed", state="SUSPENDED"),
    }


def test_an_empty_page_is_not_the_last(organization: Organization) -> None:
    account = {"Id": ACCOUNT, "Name": "workload", "State": "ACTIVE"}
    unit = {"Id": UNIT, "Name": "Workloads"}
    with Stubber(organization.client) as stub:
        for operation, field_, item in (
            ("list_accounts_for_parent", "Accounts", account),
            ("list_organizational_units_for_parent", "OrganizationalUnits", unit),
        ):
            stub.add_response(operation, {field_: [], "NextToken": "2"}, {"ParentId": ROOT})
            stub.add_response(operation, {field_: [item]}, {"ParentId": ROOT, "NextToken": "2"})
        assert [found.id for found in accounts_in(organization.gateway, ROOT)] == [ACCOUNT]
        assert organization.gateway.units_in(ROOT) == {"Workloads": UNIT}


@pytest.mark.parametrize(("number", "calls"), [(0, 1), (19, 1), (20, 2), (45, 3)])
def test_all_accounts_come_in_pages_of_twenty_with_the_management_account(
    organization: Organization, number: int, calls: int
) -> None:
    unit = organization.unit("Workloads")
    made = {organization.account(f"account-{n}", unit if n % 2 else None) for n in range(number)}
    organization.calls.clear()
    found, after = organization.gateway.some_accounts(after=None)
    while after is not None:
        more, after = organization.gateway.some_accounts(after=after)
        found += more
    ids = [account.id for account in found]
    management = organization.client.describe_organization()["Organization"]["MasterAccountId"]
    assert sorted(ids) == sorted({*made, management})
    assert organization.calls.count("ListAccounts") == calls
    assert {account.state for account in found} == {"ACTIVE"}
    assert all(account.joined is not None for account in found)


def test_all_accounts_go_on_after_an_empty_page_and_come_in_whatever_state(
    organization: Organization,
) -> None:
    joined = datetime(2026, 3, 1, tzinfo=UTC)
    closed = {"Id": ACCOUNT, "Name": "w", "State": "PENDING_CLOSURE", "JoinedTimestamp": joined}
    with Stubber(organization.client) as stub:
        first: dict[str, object] = {"MaxResults": 20}
        stub.add_response("list_accounts", {"Accounts": [], "NextToken": "2"}, first)
        stub.add_response("list_accounts", {"Accounts": [closed]}, first | {"NextToken": "2"})
        assert organization.gateway.some_accounts(after=None) == ((), "2")
        (found,), after = organization.gateway.some_accounts(after="2")
    assert (found.id, found.state, found.joined) == (ACCOUNT, "PENDING_CLOSURE", joined)
    assert after is None


@pytest.mark.parametrize(
    ("code", "retryable"),
    [("TooManyRequestsException", True), ("InvalidInputException", False)],
)
def test_a_list_of_all_accounts_that_fails_says_so(
    organization: Organization, code: str, *, retryable: bool
) -> None:
    with Stubber(organization.client) as stub:
        stub.add_client_error("list_accounts", code)
        error = refusal(lambda: organization.gateway.some_accounts(after="2"))
    assert (error.code, error.retryable) == (code, retryable)


# Where an account is


def test_parents_are_given_from_the_nearest_up_to_the_root(organization: Organization) -> None:
    above = organization.unit("Workloads")
    unit = organization.unit("Prod", above)
    account = organization.account("workload", unit)
    organization.calls.clear()
    assert organization.gateway.parents(account) == (unit, above, organization.root)
    assert organization.calls == ["ListParents"] * 3


def test_an_account_right_in_the_root_has_one_parent(organization: Organization) -> None:
    account = organization.account("workload")
    organization.calls.clear()
    assert organization.gateway.parents(account) == (organization.root,)
    assert organization.calls == ["ListParents"]


def test_a_unit_whose_parent_is_known_costs_no_call(organization: Organization) -> None:
    above = organization.unit("Workloads")
    unit = organization.unit("Prod", above)
    account, other = (organization.account(name, unit) for name in ("one", "other"))
    known: dict[str, str] = {}
    organization.calls.clear()
    first = organization.gateway.parents(account, known=known.get, remember=known.__setitem__)
    assert known == {unit: above, above: organization.root}
    organization.calls.clear()
    second = organization.gateway.parents(other, known=known.get, remember=known.__setitem__)
    assert first == second == (unit, above, organization.root)
    assert organization.calls == ["ListParents"]


def test_the_account_itself_is_asked_for_each_time(organization: Organization) -> None:
    """An account moves; whoever remembers where it was would give it the access of there."""
    old, new = organization.unit("Old"), organization.unit("New")
    account = organization.account("workload", old)
    known: dict[str, str] = {}
    organization.gateway.parents(account, known=known.get, remember=known.__setitem__)
    assert account not in known
    organization.client.move_account(AccountId=account, SourceParentId=old, DestinationParentId=new)
    moved = organization.gateway.parents(account, known=known.get, remember=known.__setitem__)
    assert moved == (new, organization.root)


def test_a_parent_after_an_empty_page_is_found(organization: Organization) -> None:
    above = {"Parents": [{"Id": ROOT, "Type": "ROOT"}]}
    with Stubber(organization.client) as stub:
        stub.add_response(
            "list_parents", {"Parents": [], "NextToken": "second"}, {"ChildId": ACCOUNT}
        )
        stub.add_response("list_parents", above, {"ChildId": ACCOUNT, "NextToken": "second"})
        assert organization.gateway.parents(ACCOUNT) == (ROOT,)


def test_what_was_found_before_a_failure_is_remembered(organization: Organization) -> None:
    known: dict[str, str] = {}
    with Stubber(organization.client) as stub:
        for child, parent in ((ACCOUNT, UNIT), (UNIT, UNIT_ABOVE)):
            stub.add_response("list_parents", {"Parents": [{"Id": parent}]}, {"ChildId": child})
        stub.add_client_error("list_parents", "TooManyRequestsException")
        error = refusal(
            lambda: organization.gateway.parents(
                ACCOUNT, known=known.get, remember=known.__setitem__
            )
        )
    assert error.retryable
    assert known == {UNIT: UNIT_ABOVE}


# Errors


CALLS: list[tuple[str, Callable[[OrganizationGateway], object]]] = [
    ("describe_account", lambda gateway: gateway.account(ACCOUNT)),
    ("describe_account", lambda gateway: gateway.is_active_member(ACCOUNT)),
    ("list_tags_for_resource", lambda gateway: gateway.tags(ACCOUNT)),
    ("list_roots", lambda gateway: gateway.root()),
    ("list_organizational_units_for_parent", lambda gateway: gateway.units_in(ROOT)),
    ("list_accounts_for_parent", lambda gateway: accounts_in(gateway, ROOT)),
    ("list_parents", lambda gateway: gateway.parents(ACCOUNT)),
]


@pytest.mark.parametrize(
    ("code", "status", "retryable"),
    [
        ("TooManyRequestsException", 400, True),
        ("ServiceException", 500, True),
        ("AccessDeniedException", 400, False),
        ("ParentNotFoundException", 400, False),
    ],
)
@pytest.mark.parametrize(("operation", "call"), CALLS)
def test_what_passes_by_itself_is_retryable(
    organization: Organization,
    operation: str,
    call: Callable[[OrganizationGateway], object],
    code: str,
    status: int,
    *,
    retryable: bool,
) -> None:
    with Stubber(organization.client) as stub:
        stub.add_client_error(operation, code, http_status_code=status)
        error = refusal(lambda: call(organization.gateway))
    assert (error.code, error.retryable) == (code, retryable)
    assert not isinstance(error, NotFoundError)


def test_a_failure_on_a_later_page_gives_no_half_of_a_list(organization: Organization) -> None:
    with Stubber(organization.client) as stub:
        stub.add_response(
            "list_accounts_for_parent",
            {"Accounts": [{"Id": ACCOUNT, "State": "ACTIVE"}], "NextToken": "second"},
        )
        stub.add_client_error("list_accounts_for_parent", "AccessDeniedException")
        error = refusal(lambda: accounts_in(organization.gateway, ROOT))
    assert error.code == "AccessDeniedException"
    assert ROOT in str(error)
