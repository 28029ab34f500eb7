"""What the names in baselines stand for: looked up once, remembered, and looked up anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import moto
import pytest
from botocore.config import Config
from moto.identitystore.models import identitystore_backends

from keyward.baselines import Names
from keyward.errors import GatewayError
from keyward.gateways.dynamodb import DynamoDbGateway
from keyward.gateways.identity_center import IdentityCenterGateway
from keyward.gateways.organization import OrganizationGateway
from keyward.ledger import Ledger
from keyward.resolving import recalled, resolved
from local.sso_admin import Behaviour, install, uninstall
from tests.flow.world import HUB, REGION, create_ledger

ONCE = Config(retries={"total_max_attempts": 1})


@dataclass
class Directory:
    """Identity Center, Organizations and the ledger; in order every call to the first two."""

    admin: Any
    people: Any
    organizations: Any
    calls: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)

    @property
    def store(self) -> str:
        return str(self.admin.list_instances()["Instances"][0]["IdentityStoreId"])

    @property
    def instance(self) -> str:
        return str(self.admin.list_instances()["Instances"][0]["InstanceArn"])

    @property
    def ledger(self) -> Ledger:
        client = boto3.client("dynamodb", region_name=REGION)
        client.meta.events.register(
            "before-call.dynamodb.TransactWriteItems", lambda **_: self.written.append("write")
        )
        return Ledger(DynamoDbGateway(client=client, table="keyward-ledger"), claim_seconds=90)

    def group(self, name: str) -> str:
        made = self.people.create_group(IdentityStoreId=self.store, DisplayName=name)
        return str(made["GroupId"])

    def rename_group(self, group: str, name: str) -> None:
        """moto has no UpdateGroup."""
        groups = identitystore_backends[HUB][REGION].identity_stores[self.store].groups
        groups[group] = groups[group]._replace(DisplayName=name)

    def permission_set(self, name: str) -> str:
        made = self.admin.create_permission_set(InstanceArn=self.instance, Name=name)
        return str(made["PermissionSet"]["PermissionSetArn"])

    def unit(self, name: str, parent: str | None = None) -> str:
        root = self.organizations.list_roots()["Roots"][0]["Id"]
        made = self.organizations.create_organizational_unit(ParentId=parent or root, Name=name)
        return str(made["OrganizationalUnit"]["Id"])

    def listed(self) -> list[str]:
        """All permission sets, as AWS lists them."""
        pages = self.admin.get_paginator("list_permission_sets").paginate(InstanceArn=self.instance)
        return [arn for page in pages for arn in page["PermissionSets"]]

    def resolved(self, names: Names, *, anew: bool = False, tokens: int = 10_000) -> Names:
        """By a function that has just started: it knows what the ledger does.

        It may make so many calls to sso-admin as it has `tokens`, and then has no more time.
        """
        left = iter(range(tokens + 1))

        def take() -> None:
            if next(left, None) is None:
                raise GatewayError("others are before", code="RateLimited", retryable=True)

        gateway = IdentityCenterGateway(
            admin=self.admin, directory=self.people, hub_account=HUB, take=take
        )
        gateway.instance_arn()
        self.calls.clear()
        self.written.clear()
        return resolved(
            names,
            center=gateway,
            organization=OrganizationGateway(client=self.organizations),
            ledger=self.ledger,
            anew=anew,
        )


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Directory]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    install(Behaviour(owner=HUB, home_region=REGION))
    with moto.mock_aws():
        create_ledger()
        clients: list[Any] = [
            boto3.client(service, region_name=REGION, config=ONCE)
            for service in ("sso-admin", "identitystore", "organizations")
        ]
        clients[2].create_organization(FeatureSet="ALL")
        made = Directory(*clients)

        def noted(model: Any, **_: object) -> None:
            made.calls.append(model.name)

        for client in clients:
            client.meta.events.register("before-call", noted)
        yield made
    uninstall()


def names(
    *, groups: tuple[str, ...] = (), sets: tuple[str, ...] = (), units: tuple[str, ...] = ()
) -> Names:
    """As `baselines.names_in` gives them: nobody knows yet what they stand for."""
    return Names(
        groups=dict.fromkeys(groups, ""),
        permission_sets=dict.fromkeys(sets, ""),
        units=dict.fromkeys(units, ""),
    )


# What is remembered


def test_what_is_known_is_not_asked_for_again(directory: Directory) -> None:
    asked = names(groups=("Developers",), sets=("PowerUser",), units=("Workloads/Prod",))
    expected = Names(
        groups={"Developers": directory.group("Developers")},
        permission_sets={"PowerUser": directory.permission_set("PowerUser")},
        units={"Workloads/Prod": directory.unit("Prod", directory.unit("Workloads"))},
    )
    assert directory.resolved(asked) == expected
    assert directory.calls == [
        "GetGroupId",
        "ListRoots",
        "ListOrganizationalUnitsForParent",
        "ListOrganizationalUnitsForParent",
        "ListPermissionSets",
        "DescribePermissionSet",
    ]
    assert directory.resolved(asked) == expected
    assert directory.calls == []
    assert directory.written == []


def test_no_name_costs_no_call(directory: Directory) -> None:
    assert directory.resolved(Names()) == Names()
    assert directory.resolved(Names(), anew=True) == Names()
    assert directory.calls == []


def test_a_name_of_one_kind_costs_no_call_about_the_others(directory: Directory) -> None:
    group, unit, arn = (
        directory.group("Developers"),
        directory.unit("Workloads"),
        directory.permission_set("PowerUser"),
    )
    assert directory.resolved(names(groups=("Developers",))).groups == {"Developers": group}
    assert directory.calls == ["GetGroupId"]
    assert directory.resolved(names(units=("Workloads",))).units == {"Workloads": unit}
    assert directory.calls == ["ListRoots", "ListOrganizationalUnitsForParent"]
    assert directory.resolved(names(sets=("PowerUser",))).permission_sets == {"PowerUser": arn}
    assert directory.calls == ["ListPermissionSets", "DescribePermissionSet"]


def test_only_what_is_new_is_looked_up(directory: Directory) -> None:
    first, second = directory.group("Developers"), directory.group("Operators")
    directory.resolved(names(groups=("Developers",)))
    found = directory.resolved(names(groups=("Developers", "Operators")))
    assert found.groups == {"Developers": first, "Operators": second}
    assert directory.calls == ["GetGroupId"]


def test_what_is_recalled_is_what_was_remembered(directory: Directory) -> None:
    asked = names(groups=("Developers", "Nobody"), sets=("PowerUser",), units=("Workloads",))
    assert recalled(asked, directory.ledger) == Names()
    directory.group("Developers")
    directory.unit("Workloads")
    found = directory.resolved(asked)
    assert found.groups.keys() == {"Developers"}
    directory.calls.clear()
    assert recalled(asked, directory.ledger) == found
    assert directory.calls == []


# What stands for nothing


def test_unknown_names_are_left_out_and_hold_up_no_others(directory: Directory) -> None:
    group, unit, arn = (
        directory.group("Developers"),
        directory.unit("Workloads"),
        directory.permission_set("PowerUser"),
    )
    found = directory.resolved(
        names(
            groups=("Nobody", "Developers"),
            sets=("NoSuchSet", "PowerUser"),
            units=("Nowhere", "Workloads"),
        )
    )
    assert found == Names(
        groups={"Developers": group},
        permission_sets={"PowerUser": arn},
        units={"Workloads": unit},
    )


def test_a_name_that_stands_for_something_later_is_found_then(directory: Directory) -> None:
    asked = names(groups=("Developers",), sets=("PowerUser",), units=("Workloads",))
    assert directory.resolved(asked) == Names()
    expected = Names(
        groups={"Developers": directory.group("Developers")},
        permission_sets={"PowerUser": directory.permission_set("PowerUser")},
        units={"Workloads": directory.unit("Workloads")},
    )
    assert directory.resolved(asked) == expected


def test_a_name_longer_than_a_key_of_the_ledger_holds_up_no_others(directory: Directory) -> None:
    group, long = directory.group("Developers"), "ü" * 1024
    asked = names(groups=(long, "Developers"), units=("ü" * 800,))
    assert directory.resolved(asked).groups == {"Developers": group}
    assert directory.resolved(asked).groups == {"Developers": group}


# Permission sets


def test_several_hundred_sets_are_looked_at_once_however_often_it_is_interrupted(
    directory: Directory,
) -> None:
    arns = {f"Set-{number}": directory.permission_set(f"Set-{number}") for number in range(220)}
    last = directory.listed()[-1]
    name = next(name for name, arn in arns.items() if arn == last)
    for tokens in (103, 63):
        with pytest.raises(GatewayError) as raised:
            directory.resolved(names(sets=(name,)), tokens=tokens)
        assert raised.value.retryable
        assert directory.calls.count("ListPermissionSets") == 3
        assert directory.calls.count("DescribePermissionSet") == tokens - 3
    assert directory.resolved(names(sets=(name,))).permission_sets == {name: last}
    assert directory.calls.count("DescribePermissionSet") == 220 - 100 - 60


def test_no_more_sets_are_looked_at_than_it_takes(directory: Directory) -> None:
    for number in range(10):
        directory.permission_set(f"Set-{number}")
    first = directory.listed()[0]
    name = directory.admin.describe_permission_set(
        InstanceArn=directory.instance, PermissionSetArn=first
    )["PermissionSet"]["Name"]
    assert directory.resolved(names(sets=(name,))).permission_sets == {name: first}
    assert directory.calls == ["ListPermissionSets", "DescribePermissionSet"]


def test_sets_that_somebody_looked_at_are_found_in_one_call(directory: Directory) -> None:
    """As the guard of Identity Center does: it remembers what it saw."""
    arns = {f"Set-{number}": directory.permission_set(f"Set-{number}") for number in range(5)}
    for name, arn in arns.items():
        directory.ledger.remember_set(arn, name)
    assert directory.resolved(names(sets=tuple(arns))).permission_sets == arns
    assert directory.calls == ["ListPermissionSets"]


def test_a_set_that_goes_while_it_is_looked_for_is_left_out(directory: Directory) -> None:
    arns = [directory.permission_set(name) for name in ("Going", "Staying")]

    def goes(**_: object) -> None:
        directory.admin.meta.events.unregister("after-call.sso-admin.ListPermissionSets", goes)
        directory.admin.delete_permission_set(
            InstanceArn=directory.instance, PermissionSetArn=arns[0]
        )

    directory.admin.meta.events.register("after-call.sso-admin.ListPermissionSets", goes)
    found = directory.resolved(names(sets=("Going", "Staying")))
    assert found.permission_sets == {"Staying": arns[1]}


def test_a_set_that_was_made_again_is_another(directory: Directory) -> None:
    asked = names(sets=("PowerUser",))
    first = directory.permission_set("PowerUser")
    directory.resolved(asked)
    directory.admin.delete_permission_set(InstanceArn=directory.instance, PermissionSetArn=first)
    second = directory.permission_set("PowerUser")
    assert directory.resolved(asked).permission_sets == {"PowerUser": first}
    assert directory.resolved(asked, anew=True).permission_sets == {"PowerUser": second}
    assert directory.resolved(asked).permission_sets == {"PowerUser": second}
    assert directory.calls == []


# Looked up anew


def test_a_group_that_was_renamed_is_forgotten_by_its_old_name(directory: Directory) -> None:
    asked = names(groups=("Developers",))
    group = directory.group("Developers")
    directory.resolved(asked)
    directory.rename_group(group, "Engineers")
    assert directory.resolved(asked).groups == {"Developers": group}
    assert directory.resolved(asked, anew=True).groups == {}
    assert directory.resolved(asked).groups == {}
    assert directory.calls == ["GetGroupId"]
    assert directory.resolved(names(groups=("Engineers",))).groups == {"Engineers": group}


def test_a_name_that_moved_on_to_another_group_stands_for_that(directory: Directory) -> None:
    asked = names(groups=("Developers",))
    old = directory.group("Developers")
    directory.resolved(asked)
    directory.rename_group(old, "Former developers")
    new = directory.group("Developers")
    assert directory.resolved(asked, anew=True).groups == {"Developers": new}
    assert directory.resolved(asked).groups == {"Developers": new}
    assert directory.calls == []


def test_what_stands_for_the_same_is_not_written_again(directory: Directory) -> None:
    asked = names(groups=("Developers",), sets=("PowerUser",), units=("Workloads", "Nowhere"))
    directory.group("Developers")
    directory.permission_set("PowerUser")
    directory.unit("Workloads")
    first = directory.resolved(asked)
    assert directory.resolved(asked, anew=True) == first
    assert directory.written == []
    assert "GetGroupId" in directory.calls
    assert "ListRoots" in directory.calls
    assert "ListPermissionSets" in directory.calls
    assert "DescribePermissionSet" not in directory.calls


def test_what_was_found_before_a_failure_is_remembered(directory: Directory) -> None:
    group = directory.group("Developers")
    directory.permission_set("PowerUser")
    asked = names(groups=("Developers",), sets=("PowerUser",))
    with pytest.raises(GatewayError):
        directory.resolved(asked, tokens=0)
    assert recalled(asked, directory.ledger).groups == {"Developers": group}


def test_a_failure_forgets_nothing(directory: Directory) -> None:
    asked = names(sets=("PowerUser",))
    arn = directory.permission_set("PowerUser")
    directory.resolved(asked)
    with pytest.raises(GatewayError):
        directory.resolved(asked, anew=True, tokens=0)
    assert recalled(asked, directory.ledger).permission_sets == {"PowerUser": arn}


# Paths of OUs


@pytest.mark.parametrize(
    "path", ["Workloads/Prod/EU", "/Workloads/Prod/EU", "Workloads/Prod/EU/", "//Workloads/Prod/EU"]
)
def test_a_path_leads_from_the_root_down(directory: Directory, path: str) -> None:
    unit = directory.unit("EU", directory.unit("Prod", directory.unit("Workloads")))
    assert directory.resolved(names(units=(path,))).units == {path: unit}


@pytest.mark.parametrize(
    "path",
    [
        "Workloads/Dev/EU",
        "Workloads/Prod/EU/More",
        "Prod",
        "Prod/EU",
        "workloads/Prod",
        "Workloads//Prod",
        "Workloads /Prod",
        "/",
    ],
)
def test_a_path_of_which_a_part_is_missing_leads_nowhere(directory: Directory, path: str) -> None:
    directory.unit("EU", directory.unit("Prod", directory.unit("Workloads")))
    assert directory.resolved(names(units=(path,))).units == {}


def test_units_of_the_same_name_are_told_apart_by_where_they_are(directory: Directory) -> None:
    units = {f"{above}/Prod": directory.unit("Prod", directory.unit(above)) for above in ("A", "B")}
    assert directory.resolved(names(units=tuple(units))).units == units


def test_paths_share_the_calls_for_what_they_have_in_common(directory: Directory) -> None:
    workloads = directory.unit("Workloads")
    units = {f"Workloads/{name}": directory.unit(name, workloads) for name in ("Prod", "Dev")}
    assert directory.resolved(names(units=tuple(units))).units == units
    assert directory.calls == ["ListRoots", *["ListOrganizationalUnitsForParent"] * 2]


def test_a_unit_that_was_renamed_is_forgotten_by_its_old_path(directory: Directory) -> None:
    asked = names(units=("Workloads", "Apps"))
    unit = directory.unit("Workloads")
    assert directory.resolved(asked).units == {"Workloads": unit}
    directory.organizations.update_organizational_unit(OrganizationalUnitId=unit, Name="Apps")
    assert directory.resolved(asked, anew=True).units == {"Apps": unit}
    assert recalled(asked, directory.ledger).units == {"Apps": unit}
