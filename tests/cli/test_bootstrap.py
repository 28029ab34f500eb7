"""`keyward bootstrap` and `keyward settings import`, against an Identity Center as AWS's is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from keyward import drift
from keyward.bootstrapping import Existing
from keyward.catalogue import entries_of
from keyward.compiling import Parameter
from keyward.errors import RequestError
from keyward.model import PermissionSetAttributes
from keyward.settings import read_json
from keyward_cli import aws, paging
from keyward_cli.folder import read_folder
from keyward_cli.importing import imported
from tests.flow.center import READ_ONLY_ACCESS, Center, a_center

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Cli
    from tests.flow.world import World

SAMPLE = Path(__file__).parents[2] / "settings"
SETS = {
    file.stem: read_json(file.stem, file.read_text())
    for file in sorted((SAMPLE / "permission-sets").glob("*.json"))
}


@pytest.fixture
def center(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Center]:
    """An empty Identity Center, and the sample catalogue in force."""
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with a_center(world, monkeypatch) as made:
        world.settings(permission_sets=SETS)
        yield made


def test_a_plan_is_shown_and_nothing_is_made(cli: Cli, center: Center) -> None:
    shown = cli("bootstrap", "--plan")
    assert shown.exit_code == 0, shown.output
    for entry in SETS:
        assert entry in shown.stdout
    assert "aws-developers" in shown.stdout
    planned = cli.json("bootstrap", "--plan")
    assert (len(planned["plan"]), planned["made"]) == (12, [])
    assert center.named("Developer") is None


def test_bootstrap_asks_makes_and_has_nothing_to_do_the_second_time(
    cli: Cli, world: World, center: Center
) -> None:
    assert cli("bootstrap", typed="n\n").exit_code == 1
    assert center.named("Developer") is None
    made = cli("bootstrap", typed="y\n")
    assert made.exit_code == 0, made.output
    assert "Make 12 in Identity Center?" in made.stderr
    assert f"is there, as {center.named('Developer')}" in made.stdout
    for name, entry in entries_of(SETS).items():
        _, actual = world.services.identity_center(world.now).attributes(center.named(name) or "")
        assert drift.differences(actual, entry.attributes()) == ()
    for again in (("bootstrap", "--plan"), ("bootstrap",)):
        result = cli(*again)
        assert (result.exit_code, "Nothing to make" in result.stdout) == (0, True)
    assert cli.json("bootstrap", "--plan") == {"plan": [], "made": []}


def test_with_json_nobody_is_asked(cli: Cli, center: Center) -> None:
    result = cli("bootstrap", "--json")
    assert (result.exit_code, "--yes" in result.stderr) == (1, True)
    assert center.named("Developer") is None
    made = cli.json("bootstrap", "--yes")
    assert len(made["made"]) == len(made["plan"]) == 12
    assert cli.json("bootstrap", "--yes") == {"plan": [], "made": []}


def test_what_differs_is_shown_as_a_diff_and_left_alone(
    cli: Cli, world: World, center: Center
) -> None:
    world.settings(permission_sets={"ReadOnly": {"managed_policies": [READ_ONLY_ACCESS]}})
    arn = center.permission_set("ReadOnly", hours=8)
    result = cli("bootstrap")
    assert result.exit_code == 0
    assert "the guard restores it" in result.stdout
    assert "  - session: 8 h" in result.stdout
    assert f"  + managed policy: {READ_ONLY_ACCESS}" in result.stdout
    assert "Nothing to make" in result.stdout
    assert center.policies(arn) == set()


def test_an_empty_catalogue_is_one_line(cli: Cli, world: World, center: Center) -> None:
    world.settings(permission_sets={})
    result = cli("bootstrap")
    (line,) = result.stderr.splitlines()
    assert (result.exit_code, "keyward settings push" in line) == (1, True)
    assert center.named("Developer") is None


def test_what_could_not_be_made_is_exit_status_1(cli: Cli, world: World, center: Center) -> None:
    missing = "arn:aws:iam::aws:policy/NotThereAtAll"
    world.settings(permission_sets={"Good": {}, "Bad": {"managed_policies": [missing]}})
    result = cli("bootstrap", "--yes")
    assert result.exit_code == 1
    assert "failed: " in result.stdout
    assert "NotThereAtAll" in result.stdout
    assert center.named("Good") is not None


# Calls that are not the last


def test_an_act_in_several_calls_is_read_to_its_last(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = _answering(
        monkeypatch,
        [
            {"next": None, "waits": "asks for names: 1 of 2"},
            {"next": None, "waits": "asks for names: 2 of 2"},
            {"next": "group/a", "waits": None},
            {"next": "group/b", "waits": "Throttling"},
            {"next": None, "waits": None},
        ],
    )
    assert len(list(paging.answers(aws.Caller(), "bootstrap", plan=True))) == 5
    assert [call["after"] for call in calls] == [None, None, None, "group/a", "group/b"]
    assert {call["act"] for call in calls} == {"bootstrap"}


def test_an_act_that_gets_no_further_ends_with_why(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = _answering(monkeypatch, [{"next": "group/a", "waits": "Throttling"}] * 100)
    with pytest.raises(RequestError, match="it gets no further: Throttling"):
        list(paging.answers(aws.Caller(), "bootstrap"))
    assert len(calls) == paging.MOST_WAITS + 1


def _answering(
    monkeypatch: pytest.MonkeyPatch, replies: list[dict[str, object]]
) -> list[dict[str, object]]:
    calls: list[dict[str, object]] = []

    def answer(_caller: aws.Caller, act: str, **arguments: object) -> dict[str, object]:
        calls.append({"act": act, **arguments})
        return replies[len(calls) - 1]

    monkeypatch.setattr(paging, "ask", answer)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    return calls


# From an instance to a folder


def test_what_an_instance_has_becomes_a_valid_catalogue(
    cli: Cli, world: World, center: Center, tmp_path: Path
) -> None:
    cli("bootstrap", "--yes")
    world.settings(permission_sets={})
    found = cli.json("settings", "import", tmp_path / "new")
    assert {one["name"]: one["result"] for one in found} == dict.fromkeys(SETS, "written")
    assert cli.json("settings", "validate", tmp_path / "new")["problems"] == []
    for name, sample in SETS.items():
        file = tmp_path / "new" / "permission-sets" / f"{name}.json"
        wanted = {field: value for field, value in sample.items() if field != "group"}
        assert json.loads(file.read_text()) == wanted
    world.settings(
        permission_sets={
            file.stem: json.loads(file.read_text())
            for file in (tmp_path / "new" / "permission-sets").glob("*.json")
        }
    )
    assert cli.json("bootstrap", "--plan")["plan"] == []
    assert center.named("Developer")


def test_an_import_writes_nothing_but_permission_sets(
    cli: Cli, center: Center, tmp_path: Path
) -> None:
    center.permission_set("Mine", READ_ONLY_ACCESS)
    folder = Path(shutil.copytree(SAMPLE, tmp_path / "settings"))
    before = {file: file.read_text() for file in folder.rglob("*.json")}
    result = cli("settings", "import", folder)
    assert result.exit_code == 0, result.output
    assert "Wrote 1 of 1" in result.stdout
    after = {file: file.read_text() for file in folder.rglob("*.json")}
    mine = folder / "permission-sets" / "Mine.json"
    assert after == before | {mine: mine.read_text()}
    assert json.loads(mine.read_text())["session_hours"] == 4


@pytest.mark.parametrize("force", [False, True])
def test_a_file_that_is_there_is_replaced_only_with_force(
    cli: Cli, center: Center, tmp_path: Path, *, force: bool
) -> None:
    center.permission_set("Developer", READ_ONLY_ACCESS)
    folder = Path(shutil.copytree(SAMPLE, tmp_path / "settings"))
    file = folder / "permission-sets" / "Developer.json"
    before = file.read_text()
    (found,) = cli.json("settings", "import", folder, *(["--force"] if force else []))
    assert found["result"] == ("written" if force else "kept")
    assert (file.read_text() != before) is force


@pytest.mark.parametrize("everything", [False, True])
def test_control_towers_own_sets_are_written_only_when_asked_for(
    cli: Cli, center: Center, tmp_path: Path, *, everything: bool
) -> None:
    center.permission_set("AWSReadOnlyAccess", READ_ONLY_ACCESS)
    (found,) = cli.json("settings", "import", tmp_path, *(["--all"] if everything else []))
    assert found["result"] == ("written" if everything else "skipped")
    written = (tmp_path / "permission-sets" / "AWSReadOnlyAccess.json").exists()
    assert written is everything


def test_what_no_valid_entry_can_be_made_of_is_named_and_not_written(
    cli: Cli, center: Center, tmp_path: Path
) -> None:
    center.permission_set("team+project", READ_ONLY_ACCESS)
    center.permission_set("Mine", READ_ONLY_ACCESS)
    result = cli("settings", "import", tmp_path)
    assert result.exit_code == 1
    assert "letters, digits" in result.stdout
    assert [file.name for file in tmp_path.rglob("*.json")] == ["Mine.json"]


READ_ONLY = PermissionSetAttributes(managed_policies=(READ_ONLY_ACCESS,))


@pytest.mark.parametrize(
    ("existing", "result", "why"),
    [
        (Existing(arn="arn:x", error="AccessDenied"), "refused", "AccessDenied"),
        (
            Existing(arn="a", name="Odd", attributes=PermissionSetAttributes(inline_policy="[]")),
            "refused",
            "field inline_policy",
        ),
        (
            Existing(
                arn="a",
                name="Newer",
                attributes=PermissionSetAttributes(
                    managed_policies=("arn:aws:iam::aws:policy/NewerThanThis",)
                ),
            ),
            "refused",
            "AWS has no managed policy NewerThanThis that this version knows",
        ),
        (Existing(arn="a", name="developer", attributes=READ_ONLY), "refused", "upper and lower"),
        (
            Existing(
                arn="a",
                name="Tagged",
                attributes=PermissionSetAttributes(tags={"aws:cloudformation:stack-name": "x"}),
            ),
            "written",
            "",
        ),
    ],
)
def test_each_set_says_what_became_of_it(existing: Existing, result: str, why: str) -> None:
    folder = {
        "/keyward/permission-sets/Developer": Parameter(
            name="/keyward/permission-sets/Developer", version=0, value="{}"
        ),
        "/keyward/permission-sets/Broken": Parameter(
            name="/keyward/permission-sets/Broken", version=0, value="{"
        ),
    }
    (found,) = imported(
        [existing],
        folder,
        with_control_tower=False,
        force=False,
        policy_exists=lambda arn: not arn.endswith("NewerThanThis"),
    )
    assert (found.result, why in found.why) == (result, True)
    assert (found.text is not None) == (result == "written")


def test_a_policy_newer_than_this_version_is_imported_where_that_is_asked_for(
    cli: Cli, center: Center, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyward_cli.tuning.of_aws", lambda _arn: False)
    center.permission_set("Mine", READ_ONLY_ACCESS)
    assert cli("settings", "import", tmp_path).exit_code == 1
    assert cli("settings", "validate", SAMPLE).exit_code == 1
    assert cli("settings", "import", tmp_path, "--newer-policies").exit_code == 0
    assert list(read_folder(tmp_path)) == ["/keyward/permission-sets/Mine"]
    assert cli("settings", "validate", tmp_path, "--newer-policies").exit_code == 0
