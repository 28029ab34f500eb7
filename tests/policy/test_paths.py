"""The table itself, and that each of its ways is open to who holds its actions, and to nobody else.

That the actions exist was read off AWS's Service Authorization Reference; nothing here can.
"""

import re

import pytest

from keyward.policy import Reach, analyse
from keyward.policy.paths import ACTIONS, ENOUGH, PATHS, ROLE, UNHEARD_OF, Need, Path, Way
from tests.policy.writing import Json, a_document, allow, deny, grant, of

NAMED = [path for path in PATHS if path.id != "everything"]
WAYS = [(path, way) for path in NAMED for way in path.ways]
each_way = pytest.mark.parametrize(
    ("path", "way"),
    WAYS,
    ids=[f"{path.id}-{number}" for path in NAMED for number, _ in enumerate(path.ways)],
)


def on_purpose(need: Need) -> object:
    """A pattern that a policy would grant the need on, if it means the whole kind."""
    if need.on.only_names:
        return [f"arn:aws:iam::*:role/{it}" for it in need.on.names]
    return "*"


def granting(way: Way, *, without: Need | None = None) -> list[Json]:
    return [allow(it.action, on_purpose(it)) for it in way if it is not without]


def other_way(path: Path, held: set[str]) -> bool:
    """Whether one of the path's ways takes no more than these actions."""
    return any({need.action for need in way} <= held for way in path.ways)


def test_the_table_covers_what_is_known() -> None:
    assert len(PATHS) >= 120
    assert len({path.id for path in PATHS}) == len(PATHS)
    assert sum(path.id.startswith("pass-role-") for path in PATHS) >= 50


@pytest.mark.parametrize("path", PATHS, ids=lambda it: it.id)
def test_each_row_is_well_formed(path: Path) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", path.id)
    assert path.text.startswith("Can ")
    assert not path.text.endswith(".")
    assert path.source.startswith("https://")
    assert path.ways
    assert path.reach is not Reach.NONE
    assert path.narrow.rank <= path.reach.rank
    assert path.if_sweeping is None or path.narrow.rank <= path.if_sweeping.rank < path.reach.rank
    for need in (need for way in path.ways for need in way):
        assert need.action == UNHEARD_OF or re.fullmatch(
            r"[a-z0-9-]+:[A-Z][A-Za-z0-9]+", need.action
        )
        assert need.action.lower() in ACTIONS
        assert (need.action == "iam:PassRole") >= bool(need.passed_to)
        assert need.on is not ROLE or need.action.startswith(("iam:", "sts:"))


def test_what_is_enough_is_asked_of_actions_of_the_table() -> None:
    assert {it.lower() for it in ENOUGH} <= ACTIONS


@each_way
def test_who_holds_all_actions_of_a_way_has_the_path(path: Path, way: Way) -> None:
    analysis = analyse([a_document(*granting(way))])
    found = grant(analysis, path.id)
    assert found is not None
    assert found.reach is path.reach
    assert found.policies == ("policy",)
    assert found.text.startswith(path.text)


@each_way
def test_who_lacks_or_is_denied_one_action_of_a_way_has_not_that_way(path: Path, way: Way) -> None:
    for missing in way:
        if other_way(path, {it.action for it in way if it is not missing}):
            continue
        lacking = a_document(*granting(way, without=missing))
        assert grant(analyse([lacking]), path.id) is None
        denied = [a_document(*granting(way)), a_document(deny(missing.action.upper()))]
        assert grant(analyse(denied), path.id) is None


@each_way
def test_each_action_may_come_from_another_policy(path: Path, way: Way) -> None:
    documents = [
        a_document(statement, name=f"policy {number}")
        for number, statement in enumerate(granting(way))
    ]
    found = grant(analyse(documents), path.id)
    assert found is not None
    assert found.reach is path.reach
    assert set(found.policies) == {document.name for document in documents}


@each_way
def test_grants_on_resources_of_another_service_open_nothing(path: Path, way: Way) -> None:
    actions = [it.action for it in way]
    assert grant(of(allow(actions, "arn:aws:s3:::bucket/*")), path.id) is None
