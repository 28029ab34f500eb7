"""What the catalogue has and Identity Center lacks is made: once, completely, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from keyward import bootstrapping, drift, operating
from keyward.bootstrapping import UNFINISHED, Item, Step, items, of_group, of_set
from keyward.catalogue import entries_of
from keyward.findings import Notice
from keyward.livedeny import LiveDeny, with_denies
from keyward.model import PermissionSetAttributes
from keyward.services import SETTINGS_SECONDS
from tests.flow.center import READ_ONLY_ACCESS, Center
from tests.flow.sweeping import Lane, Line
from tests.flow.world import World, aws_error

if TYPE_CHECKING:
    from keyward.model import Catalogue

SECURITY_AUDIT = "arn:aws:iam::aws:policy/SecurityAudit"
CATALOGUE: dict[str, Any] = {
    "Auditor": {
        "description": "Reads how everything is set up",
        "managed_policies": [SECURITY_AUDIT],
        "session_hours": 8,
        "relay_state": "https://example.com",
        "group": "auditors",
    },
    "Builder": {
        "description": "Builds",
        "managed_policies": [READ_ONLY_ACCESS, SECURITY_AUDIT],
        "customer_policies": [{"name": "Build", "path": "/ci/"}],
        "inline_policy": {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Deny", "Action": "iam:*", "Resource": "*"}],
        },
        "boundary": {"customer_policy": {"name": "Limit"}},
        "tags": {"Owner": "platform"},
        "group": "builders",
    },
    "Reader": {"managed_policies": [READ_ONLY_ACCESS], "group": "auditors"},
}
WRITES = ("Create", "Update", "Put", "Attach", "Detach", "Delete", "Tag", "Untag", "Provision")


@pytest.fixture
def catalogue(world: World, center: Center) -> Catalogue:
    """Three permission sets and two groups, of which Identity Center has none."""
    assert center.named("Builder") is None
    world.settings(permission_sets=CATALOGUE)
    return {name: entry.attributes() for name, entry in entries_of(CATALOGUE).items()}


def ask(world: World, act: str = "bootstrap", **more: object) -> dict[str, Any]:
    """One call, whatever it answers."""
    request = {"act": act, "by": "arn:aws:iam::123456789012:user/ana", **more}
    return operating.answer(request, services=world.services, now=world.now)


WRITES_OF_SETS = (*WRITES[1:], "CreatePermissionSet")


def bootstrap(world: World, *, plan: bool = False, most: int = 40) -> list[dict[str, Any]]:
    """All steps, by as many calls as that takes."""
    found: list[dict[str, Any]] = []
    catalogue, after = ask(world)["catalogue"], None
    for _ in range(most):
        answer = ask(world, plan=plan, after=after, catalogue=catalogue)
        assert answer["ok"], answer
        found += answer["steps"]
        after = answer["next"]
        if after is None and answer["waits"] is None:
            return found
    message = f"not done after {most} calls: {answer}"
    raise AssertionError(message)


def shown(steps: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(step["kind"], step["name"], step["does"]) for step in steps]


def writes(world: World) -> list[str]:
    """The writes to Identity Center since recording began."""
    return [name for name, _ in world.calls if name.startswith(WRITES)]


def attributes(world: World, name: str) -> PermissionSetAttributes | None:
    center = world.services.identity_center(world.now)
    arn = center.names().get(name)
    return None if arn is None else center.attributes(arn)[1]


def is_complete(world: World, center: Center, catalogue: Catalogue) -> None:
    """Everything is there as the catalogue has it, each once, and nobody was given anything."""
    for name, wanted in catalogue.items():
        actual = attributes(world, name)
        assert actual is not None
        assert drift.differences(actual, wanted) == ()
        assert actual.tags == wanted.tags
    sets = center.admin.list_permission_sets(InstanceArn=center.instance)["PermissionSets"]
    assert len(sets) == len(catalogue)
    for arn in sets:
        assert world.ledger.name_of_set(arn) in catalogue
        assert center.principals(arn) == set()
    groups = center.directory.list_groups(IdentityStoreId=center.store)["Groups"]
    assert sorted(group["DisplayName"] for group in groups) == sorted(
        {CATALOGUE[name]["group"] for name in catalogue}
    )


def test_a_plan_names_what_is_lacking_and_changes_nothing(
    world: World, catalogue: Catalogue
) -> None:
    with world.recorded():
        planned = bootstrap(world, plan=True)
    assert shown(planned) == [
        ("group", "auditors", "create"),
        ("group", "builders", "create"),
        *(("permission-set", name, "create") for name in catalogue),
    ]
    assert all(step["outcome"] is None for step in planned)
    assert "+ managed policy: " + SECURITY_AUDIT in planned[2]["lines"]
    assert writes(world) == []


def test_what_is_lacking_is_made_completely_and_the_second_run_finds_nothing_to_do(
    world: World, center: Center, catalogue: Catalogue
) -> None:
    made = bootstrap(world)
    assert shown(made) == shown([{**step, "does": "create"} for step in made])
    assert len(made) == 5
    assert all(step["outcome"].startswith("is there, as ") for step in made)
    is_complete(world, center, catalogue)
    with world.recorded():
        assert bootstrap(world, plan=True) == []
        assert bootstrap(world) == []
    assert writes(world) == []


def test_who_asked_and_what_was_made_is_told(world: World, catalogue: Catalogue) -> None:
    bootstrap(world)
    (notice,) = [it for it in world.untold() if isinstance(it, Notice)]
    assert notice.title == "Bootstrap of the catalogue: 5 made, 0 failed"
    for what in ("user/ana", "group auditors", *(f"permission-set {name}" for name in catalogue)):
        assert what in notice.text


def test_what_differs_is_listed_with_its_diff_and_not_touched(
    world: World, center: Center, catalogue: Catalogue
) -> None:
    center.permission_set("Reader", SECURITY_AUDIT, hours=2)
    del catalogue
    with world.recorded():
        (differs,) = [step for step in bootstrap(world) if step["name"] == "Reader"]
    assert (differs["does"], differs["outcome"]) == ("differs", None)
    assert differs["lines"] == [
        "- session: 2 h",
        "+ session: 1 h",
        f"- managed policy: {SECURITY_AUDIT}",
        f"+ managed policy: {READ_ONLY_ACCESS}",
    ]
    assert center.policies(center.named("Reader") or "") == {SECURITY_AUDIT}


def test_a_group_that_is_there_stays_and_is_made_only_once_for_two_sets(
    world: World, center: Center, catalogue: Catalogue
) -> None:
    there = center.group("builders")
    made = bootstrap(world)
    assert [step["name"] for step in made if step["kind"] == "group"] == ["auditors"]
    assert world.services.identity_center(world.now).group_id("builders") == there
    is_complete(world, center, catalogue)


def test_where_an_identity_provider_owns_groups_none_is_made(
    world: World, center: Center, catalogue: Catalogue
) -> None:
    world.settings(
        permission_sets=CATALOGUE, rules={"idc-local-identity-created": {"external_idp": True}}
    )
    steps = bootstrap(world)
    assert [step["does"] for step in steps if step["kind"] == "group"] == ["elsewhere"] * 2
    assert center.directory.list_groups(IdentityStoreId=center.store)["Groups"] == []
    assert attributes(world, "Builder") is not None
    assert len(catalogue) == 3
    assert shown(bootstrap(world)) == [
        ("group", "auditors", "elsewhere"),
        ("group", "builders", "elsewhere"),
    ]


def let_calls_lapse() -> None:
    """What crashed functions had leased lapses with the time that goes by; here none does."""
    key = {"pk": {"S": "bucket#identity-center"}, "sk": {"S": "bucket"}}
    boto3.client("dynamodb").delete_item(TableName="keyward-ledger", Key=key)


class _CrashError(Exception):
    """The function ends here."""


def test_a_crash_before_or_after_any_write_is_finished_by_the_next_run(
    world: World, center: Center, catalogue: Catalogue
) -> None:
    """A function that crashes at each write in turn, before it and after it."""
    world.settings(permission_sets={"Builder": CATALOGUE["Builder"]})
    crashes = 0

    def fault(operation: str, _params: dict[str, Any], call: Callable[[], Any]) -> Any:
        nonlocal crashes
        if not operation.startswith(WRITES):
            return call()
        crashes += 1
        if crashes % 2:
            call()
        raise _CrashError

    world.fault = fault
    while crashes < 200:
        world.restart()
        let_calls_lapse()
        try:
            with world.recorded():
                bootstrap(world)
        except _CrashError:
            continue
        break
    world.fault = None
    assert 10 < crashes < 200
    is_complete(world, center, {"Builder": catalogue["Builder"]})


def test_a_set_that_was_left_unfinished_is_planned_to_be_finished(
    world: World, center: Center, catalogue: Catalogue
) -> None:
    arn = center.permission_set("Builder")
    center.admin.tag_resource(
        InstanceArn=center.instance,
        ResourceArn=arn,
        Tags=[{"Key": UNFINISHED, "Value": "unfinished"}],
    )
    assert ("permission-set", "Builder", "finish") in shown(bootstrap(world, plan=True))
    bootstrap(world)
    is_complete(world, center, catalogue)


@pytest.mark.parametrize("code", ["ThrottlingException", "ConflictException"])
def test_a_call_that_aws_puts_off_is_waited_for_and_nothing_is_made_twice(
    world: World, center: Center, catalogue: Catalogue, code: str
) -> None:
    refused: set[str] = set()

    def fault(operation: str, params: dict[str, Any], call: Callable[[], Any]) -> Any:
        key = f"{operation} {json.dumps(params, default=str, sort_keys=True)}"
        if operation.startswith(WRITES_OF_SETS) and key not in refused:
            refused.add(key)
            raise aws_error(code, operation)
        return call()

    world.fault = fault
    with world.recorded():
        bootstrap(world)
    world.fault = None
    assert len(refused) > 10
    is_complete(world, center, catalogue)


def test_what_aws_refuses_for_good_fails_alone_and_is_told(
    world: World, center: Center, catalogue: Catalogue
) -> None:
    del center

    def fault(operation: str, params: dict[str, Any], call: Callable[[], Any]) -> Any:
        if operation == "CreatePermissionSet" and params["Name"] == "Builder":
            raise aws_error("AccessDeniedException", operation)
        return call()

    world.fault = fault
    with world.recorded():
        steps = bootstrap(world)
    world.fault = None
    assert [step["name"] for step in steps if step["failed"]] == ["Builder"]
    assert [step["outcome"] for step in steps if step["failed"]] == [
        "CreatePermissionSet Builder: AccessDeniedException"
    ]
    assert attributes(world, "Reader") is not None
    (notice,) = [it for it in world.untold() if isinstance(it, Notice)]
    assert notice.title == "Bootstrap of the catalogue: 4 made, 1 failed"
    assert [step["name"] for step in bootstrap(world)] == ["Builder"]
    assert len(catalogue) == 3


def test_one_call_that_cannot_read_is_refused_with_what_aws_said(
    world: World, catalogue: Catalogue
) -> None:
    assert catalogue

    def fault(operation: str, _params: dict[str, Any], call: Callable[[], Any]) -> Any:
        if operation == "ListPermissionSets":
            raise aws_error("AccessDeniedException", operation)
        return call()

    world.fault = fault
    with world.recorded():
        answer = ask(world)
    world.fault = None
    assert answer == {"ok": False, "error": "ListPermissionSets: AccessDeniedException"}


# In steps that fit


def ticking(seconds: float) -> Callable[[], float]:
    """A clock that goes on by so many seconds with each look."""

    def ticks() -> Iterator[float]:
        at = 0.0
        while True:
            yield at
            at += seconds

    clock = ticks()
    return lambda: next(clock)


def test_each_call_ends_in_time_and_the_next_goes_on(
    world: World, center: Center, catalogue: Catalogue
) -> None:
    accepted = world.ledger.accepted()
    assert accepted is not None
    after, seen = None, []
    for _ in range(5):
        progress = bootstrapping.carry_on(
            accepted,
            plan=False,
            after=after,
            services=world.services,
            now=world.now,
            clock=ticking(bootstrapping.STEP_SECONDS),
        )
        (step,) = progress.steps
        seen.append(f"{step.kind}/{step.name}")
        after = progress.next
    assert seen == [item.key for item in items(entries_of(CATALOGUE))]
    assert (after, progress.waits) == (None, None)
    is_complete(world, center, catalogue)


def test_names_of_many_sets_are_learnt_over_several_calls(
    world: World, center: Center, catalogue: Catalogue
) -> None:
    for number in range(6):
        center.permission_set(f"Old{number}")
    accepted = world.ledger.accepted()
    assert accepted is not None
    waits, calls = [], 0
    while calls < 10:
        calls += 1
        world.restart()
        progress = bootstrapping.carry_on(
            accepted,
            plan=True,
            after=None,
            services=world.services,
            now=world.now,
            clock=ticking(bootstrapping.STEP_SECONDS / 2.5),
        )
        if progress.waits is None:
            break
        waits.append(progress.waits)
    assert waits == [f"asks for names: {known} of 6 permission sets are known" for known in (2, 4)]
    assert progress.steps
    assert catalogue


def test_what_changed_after_it_was_planned_is_not_made(
    world: World, center: Center, catalogue: Catalogue
) -> None:
    planned = ask(world)["catalogue"]
    world.settings(permission_sets={**CATALOGUE, "Reader": {"session_hours": 12}})
    for of in (planned, None):
        answer = ask(world, plan=False, catalogue=of)
        assert (answer["ok"], "look at a new plan" in answer["error"]) == (False, True)
    assert center.named("Reader") is None
    assert catalogue


def test_an_empty_catalogue_is_no_plan(world: World, center: Center) -> None:
    world.settings(permission_sets={})
    answer = ask(world)
    assert (answer["ok"], "keyward settings push" in answer["error"]) == (False, True)
    assert center.named("Reader") is None


# Pure


def test_items_are_groups_once_and_then_sets() -> None:
    entries = entries_of(CATALOGUE)
    assert [item.key for item in items(entries)] == [
        "group/auditors",
        "group/builders",
        "permission-set/Auditor",
        "permission-set/Builder",
        "permission-set/Reader",
    ]
    assert items({}) == ()
    assert Item(kind="group", name="x").entry is None


@pytest.mark.parametrize(
    ("exists", "external_idp", "does"),
    [(True, False, None), (True, True, None), (False, False, "create"), (False, True, "elsewhere")],
)
def test_a_group_is_made_where_it_is_lacking_and_nobody_else_owns_it(
    *, exists: bool, external_idp: bool, does: str | None
) -> None:
    step = of_group("x", exists=exists, external_idp=external_idp)
    assert (step and step.does) == does
    assert step is None or step.is_to_do == (does == "create")


def test_a_set_is_left_alone_once_it_is_there() -> None:
    wanted = PermissionSetAttributes(managed_policies=(READ_ONLY_ACCESS,), tags={"Owner": "x"})
    other = PermissionSetAttributes(managed_policies=(READ_ONLY_ACCESS,), tags={"Owner": "y"})
    marked = PermissionSetAttributes(tags={UNFINISHED: "anything"})
    found = [of_set("x", actual, wanted) for actual in (None, marked, other, wanted)]
    assert [step and step.does for step in found] == ["create", "finish", "differs", None]
    assert [step.is_to_do for step in found if step] == [True, True, False]


def test_what_denies_a_live_session_is_no_difference(world: World) -> None:
    wanted = entries_of(CATALOGUE)["Builder"].attributes()
    deny = LiveDeny(account=world.member, user_id="someone", until=world.now)
    assert of_set("x", with_denies(wanted, [deny]), wanted) is None
    assert of_set("x", with_denies(PermissionSetAttributes(), [deny]), wanted) == Step(
        kind="permission-set",
        name="x",
        does="differs",
        lines=drift.lines(drift.differences(PermissionSetAttributes(), wanted)),
    )


# What there is


def existing(world: World, *, most: int = 40) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = None
    for _ in range(most):
        answer = ask(world, "permission-sets", after=after)
        found += answer["sets"]
        after = answer["next"]
        if after is None and answer["waits"] is None:
            break
    return found


def test_every_set_is_listed_with_its_attributes(
    world: World, center: Center, catalogue: Catalogue
) -> None:
    assert existing(world) == []
    bootstrap(world)
    found = {one["name"]: one for one in existing(world)}
    assert set(found) == set(catalogue)
    assert found["Builder"]["attributes"]["boundary"]["customer_policy"]["name"] == "Limit"
    assert found["Builder"]["arn"] == center.named("Builder")
    assert json.loads(json.dumps(found)) == found


def test_a_set_that_cannot_be_read_is_listed_with_why(
    world: World, center: Center, catalogue: Catalogue
) -> None:
    bootstrap(world)
    builder = center.named("Builder")

    def fault(operation: str, params: dict[str, Any], call: Callable[[], Any]) -> Any:
        if params.get("PermissionSetArn") == builder:
            raise aws_error("AccessDeniedException", operation)
        return call()

    world.fault = fault
    with world.recorded():
        found = existing(world)
    world.fault = None
    assert len(found) == len(catalogue)
    (unread,) = [one for one in found if one["error"]]
    assert unread["arn"] == builder
    assert unread["error"] == f"DescribePermissionSet {builder}: AccessDeniedException"


def test_a_list_that_is_throttled_goes_on_where_it_was(world: World, catalogue: Catalogue) -> None:
    bootstrap(world)
    refused: set[str] = set()

    def fault(operation: str, params: dict[str, Any], call: Callable[[], Any]) -> Any:
        key = f"{operation} {params.get('PermissionSetArn')}"
        if operation.startswith("Get") and "PermissionSet" in operation and key not in refused:
            refused.add(key)
            raise aws_error("ThrottlingException", operation)
        return call()

    world.fault = fault
    with world.recorded():
        found = existing(world)
    world.fault = None
    assert sorted(one["name"] for one in found) == sorted(catalogue)


def test_a_list_ends_in_time(world: World, catalogue: Catalogue) -> None:
    bootstrap(world)
    after, seen = None, []
    for _ in range(3):
        listed = bootstrapping.listed(
            after=after,
            services=world.services,
            now=world.now,
            clock=ticking(bootstrapping.STEP_SECONDS),
        )
        (one,) = listed.sets
        seen.append(one.name)
        after = listed.next
    assert (after, sorted(map(str, seen))) == (None, sorted(catalogue))


@pytest.mark.usefixtures("catalogue")
def test_guard_looks_at_what_was_made_once_it_has_read_the_catalogue_again(world: World) -> None:
    line = Line(clock=lambda: world.now)
    world.services.__dict__["center_queue"] = Lane(line, "identity-center")
    bootstrap(world)
    names = [
        json.loads(body)["parameters"]["permissionSetName"] for _, _, _, body, _ in line.waiting
    ]
    assert sorted(names) == sorted(CATALOGUE)
    soonest = min(due for due, *_ in line.waiting)
    assert soonest - world.now > timedelta(seconds=SETTINGS_SECONDS)
