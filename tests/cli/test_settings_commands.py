"""`keyward settings`: a folder and Parameter Store, kept in step."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import moto
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Cli

SAMPLE = Path(__file__).parents[2] / "settings"
SETTINGS = "/keyward/settings"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the sample folder."""
    return Path(shutil.copytree(SAMPLE, tmp_path / "settings"))


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    with moto.mock_aws():
        yield boto3.client("ssm", region_name="us-east-1")


def stored(store: Any) -> dict[str, str]:
    pages = store.get_paginator("get_parameters_by_path").paginate(Path="/keyward", Recursive=True)
    return {one["Name"]: one["Value"] for page in pages for one in page["Parameters"]}


def versions(store: Any) -> dict[str, int]:
    pages = store.get_paginator("get_parameters_by_path").paginate(Path="/keyward", Recursive=True)
    return {one["Name"]: one["Version"] for page in pages for one in page["Parameters"]}


def change(folder: Path, name: str, **fields: object) -> None:
    file = folder / name
    value = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(value | fields))


def test_the_sample_folder_is_valid(cli: Cli) -> None:
    assert cli.json("settings", "validate", SAMPLE)["problems"] == []


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("settings.json", {"ceiling": "x"}, "'off', 'report' or 'enforce'"),
        ("rules/iam-user-created.json", {"mood": "off"}, "field mood"),
        ("rules/iam-usr-created.json", {}, "did you mean iam-user-created?"),
        ("rules/iam-user-created.json", {"existing": "enforced"}, "'report' or 'enforce'"),
        ("exemptions/build-server.json", {"until": None}, "field until"),
        ("exemptions/Build.json", {}, "lower-case"),
        ("other.json", {}, "nothing reads it"),
        ("settings.json", {"$comment more": "x" * 9_000}, "8192"),
    ],
)
def test_a_problem_names_file_and_field(
    cli: Cli, folder: Path, name: str, fields: dict[str, object], expected: str
) -> None:
    change(folder, name, **fields)
    result = cli("settings", "validate", folder)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"keyward: {folder / name}: ")
    assert expected in line


def test_an_exemption_that_has_ended_is_noted_and_is_no_problem(cli: Cli, folder: Path) -> None:
    change(folder, "exemptions/build-server.json", until="2020-01-01T00:00:00Z")
    found = cli.json("settings", "validate", folder)
    assert found["problems"] == []
    assert "has ended" in found["notes"][0]


def test_what_only_the_hub_can_tell_is_noted_and_is_no_problem(
    cli: Cli, folder: Path, store: Any
) -> None:
    change(folder, "rules/iam-user-created.json", mode="enforce", existing="enforce")
    plan = "keyward sweep --plan --rule iam-user-created"
    found = cli.json("settings", "validate", folder)
    assert found["problems"] == []
    (note,) = found["notes"]
    assert note.startswith(str(folder / "rules" / "iam-user-created.json"))
    assert plan in note
    assert plan in cli("settings", "diff", folder).stdout
    pushed = cli("settings", "push", folder, "--yes")
    assert (pushed.exit_code, plan in pushed.stdout) == (0, True)
    assert json.loads(stored(store)["/keyward/rules/iam-user-created"])["existing"] == "enforce"
    assert plan not in cli("settings", "diff", folder).stdout


def test_a_folder_that_is_none_is_one_line(cli: Cli, tmp_path: Path) -> None:
    result = cli("settings", "validate", tmp_path / "none")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)


def test_push_writes_everything_once_with_its_comments(cli: Cli, folder: Path, store: Any) -> None:
    assert cli("settings", "push", folder, "--yes").exit_code == 0
    assert len(stored(store)) == len(list(folder.rglob("*.json")))
    assert "$comment" in stored(store)[SETTINGS]
    assert cli.json("settings", "push", folder, "--yes") == []
    assert set(versions(store).values()) == {1}


def test_push_writes_only_what_changed(cli: Cli, folder: Path, store: Any) -> None:
    cli("settings", "push", folder, "--yes")
    change(folder, "rules/iam-user-created.json", mode="enforce")
    result = cli("settings", "push", folder, "--yes")
    assert "begins to enforce" in result.stdout
    changed = {name for name, version in versions(store).items() if version == 2}
    assert changed == {"/keyward/rules/iam-user-created"}


def test_push_asks_first(cli: Cli, folder: Path, store: Any) -> None:
    result = cli("settings", "push", folder, typed="n\n")
    assert result.exit_code == 1
    assert f"add {SETTINGS}" in result.stdout
    assert stored(store) == {}


def test_push_with_json_never_asks(cli: Cli, folder: Path, store: Any) -> None:
    result = cli("settings", "push", folder, "--json")
    assert (result.exit_code, "--yes" in result.stderr) == (1, True)
    assert stored(store) == {}


def test_a_folder_with_a_problem_is_not_pushed_at_all(cli: Cli, folder: Path, store: Any) -> None:
    change(folder, "settings.json", ceiling="x")
    result = cli("settings", "push", folder, "--yes")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert stored(store) == {}


@pytest.mark.parametrize("prune", [False, True])
def test_push_deletes_nothing_unless_told_to(
    cli: Cli, folder: Path, store: Any, *, prune: bool
) -> None:
    cli("settings", "push", folder, "--yes")
    (folder / "exemptions" / "build-server.json").unlink()
    cli("settings", "push", folder, "--yes", *(["--prune"] if prune else []))
    assert ("/keyward/exemptions/build-server" in stored(store)) is not prune


def test_a_new_exemption_that_has_ended_is_not_pushed(cli: Cli, folder: Path, store: Any) -> None:
    change(folder, "exemptions/build-server.json", until="2020-01-01T00:00:00Z")
    assert cli("settings", "push", folder, "--yes").exit_code == 0
    assert "/keyward/exemptions/build-server" not in stored(store)


@pytest.mark.parametrize(
    ("length", "tier"), [(100, "Standard"), (4_500, "Advanced")], ids=["standard", "advanced"]
)
def test_a_long_setting_becomes_an_advanced_parameter(
    cli: Cli, folder: Path, store: Any, length: int, tier: str
) -> None:
    change(folder, "settings.json", **{"$comment more": "x" * length})
    assert cli("settings", "push", folder, "--yes").exit_code == 0
    described = store.describe_parameters(ParameterFilters=[{"Key": "Name", "Values": [SETTINGS]}])[
        "Parameters"
    ]
    assert described[0]["Tier"] == tier


def test_diff_shows_what_a_push_would_change(cli: Cli, folder: Path, store: Any) -> None:
    cli("settings", "push", folder, "--yes")
    assert cli("settings", "diff", folder).exit_code == 0
    change(folder, "rules/iam-user-created.json", mode="off")
    store.put_parameter(Name="/keyward/rules/iam-more", Value="{}", Type="String")
    result = cli("settings", "diff", folder)
    assert result.exit_code == 3
    assert '-  "mode": "report"' in result.stdout
    assert '+  "mode": "off"' in result.stdout
    told = json.loads(cli("settings", "diff", folder, "--json").stdout)
    assert told == [
        {"parameter": "/keyward/rules/iam-more", "push": "remove"},
        {"parameter": "/keyward/rules/iam-user-created", "push": "change"},
    ]


def test_white_space_is_no_difference_and_a_comment_is(cli: Cli, folder: Path, store: Any) -> None:
    cli("settings", "push", folder, "--yes")
    value = json.loads(stored(store)[SETTINGS])
    store.put_parameter(Name=SETTINGS, Value=json.dumps(value), Type="String", Overwrite=True)
    assert cli("settings", "diff", folder).exit_code == 0
    change(folder, "settings.json", **{"$comment": "another"})
    assert cli("settings", "diff", folder).exit_code == 3


def test_pull_brings_what_is_in_the_store(
    cli: Cli, folder: Path, store: Any, tmp_path: Path
) -> None:
    cli("settings", "push", folder, "--yes")
    store.put_parameter(Name="/keyward/../escape", Value="{}", Type="String")
    store.put_parameter(Name="/keyward/other", Value="{}", Type="String")
    target = tmp_path / "pulled"
    result = cli("settings", "pull", target)
    assert result.exit_code == 0, result.output
    pulled = {file.relative_to(target) for file in target.rglob("*.json")}
    assert pulled == {file.relative_to(folder) for file in folder.rglob("*.json")}
    assert cli.json("settings", "validate", target)["problems"] == []
    assert "/keyward/other: left out" in result.stderr
    assert not (tmp_path / "escape.json").exists()


def test_pull_asks_before_it_changes_a_file(cli: Cli, folder: Path, store: Any) -> None:
    cli("settings", "push", folder, "--yes")
    change(folder, "settings.json", ceiling="off")
    before = (folder / "settings.json").read_text()
    assert cli("settings", "pull", folder, typed="n\n").exit_code == 1
    assert (folder / "settings.json").read_text() == before
    assert cli("settings", "pull", folder, "--yes").exit_code == 0
    assert json.loads((folder / "settings.json").read_text()) == json.loads(stored(store)[SETTINGS])


@pytest.mark.parametrize("prune", [False, True])
def test_pull_deletes_no_file_unless_told_to(
    cli: Cli, folder: Path, store: Any, *, prune: bool
) -> None:
    cli("settings", "push", folder, "--yes")
    store.delete_parameter(Name="/keyward/exemptions/build-server")
    cli("settings", "pull", folder, "--yes", *(["--prune"] if prune else []))
    assert (folder / "exemptions" / "build-server.json").exists() is not prune


# Permission sets


DEVELOPER = "/keyward/permission-sets/Developer"


def a_long_policy(buckets: int) -> dict[str, Any]:
    statement = {"$comment": "why", "Effect": "Deny", "Action": "s3:DeleteObject"}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {**statement, "Resource": f"arn:aws:s3:::bucket-{number}/*"}
            for number in range(buckets)
        ],
    }


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("Developer", {"session_hours": 13}, "field session_hours: "),
        (
            "Developer",
            {"managed_policies": ["arn:aws:iam::aws:policy/PowerUserAcces"]},
            "this version knows; did you mean PowerUserAccess?",
        ),
        (
            "Developer",
            {"inline_policy": a_long_policy(200)},
            "field inline_policy: 16,728 characters without white space; Identity Center takes",
        ),
        ("Developer", {"inline_policy": {"Statement": []}}, "field inline_policy: "),
        ("a" * 33, {}, "at most 32"),
        ("Dev+Ops", {}, "letters, digits"),
        ("Developer/inline-policy/1", {}, "inline_policy whole in"),
        ("Developer", {"$comment more": "x" * 9_000}, "Parameter Store takes 8192"),
    ],
)
def test_a_problem_of_a_permission_set_names_file_and_field(
    cli: Cli, folder: Path, name: str, fields: dict[str, object], expected: str
) -> None:
    file = f"permission-sets/{name}.json"
    (folder / file).parent.mkdir(exist_ok=True, parents=True)
    change(folder, file, **fields)
    result = cli("settings", "validate", folder)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"keyward: {folder / file}: ")
    assert expected in line


def test_two_files_whose_names_differ_in_case_alone_are_both_named(cli: Cli, folder: Path) -> None:
    change(folder, "permission-sets/developer.json", session_hours=1)
    result = cli("settings", "validate", folder)
    assert result.exit_code == 1
    for name, other in (("Developer", "developer"), ("developer", "Developer")):
        file = folder / "permission-sets" / f"{name}.json"
        assert f"{file}: {other} is the same name but for upper and lower case" in result.stderr


def test_a_long_inline_policy_is_pushed_in_parts_and_comes_back_whole(
    cli: Cli, folder: Path, store: Any, tmp_path: Path
) -> None:
    change(folder, "permission-sets/Developer.json", inline_policy=a_long_policy(90))
    result = cli("settings", "push", folder, "--yes")
    assert result.exit_code == 0, result.output
    assert "A long inline policy: 4 parameters" in result.stdout
    names = {f"{DEVELOPER}/inline-policy/{number}" for number in (1, 2, 3)}
    assert {name for name in stored(store) if name.startswith(DEVELOPER)} == {DEVELOPER, *names}
    assert {one["Tier"] for one in store.describe_parameters()["Parameters"]} == {"Standard"}
    assert cli("settings", "diff", folder).exit_code == 0
    assert cli.json("settings", "push", folder, "--yes") == []
    assert cli("settings", "pull", tmp_path / "pulled").exit_code == 0
    for file in folder.rglob("*.json"):
        pulled = tmp_path / "pulled" / file.relative_to(folder)
        assert json.loads(pulled.read_text()) == json.loads(file.read_text())
    assert len(list((tmp_path / "pulled").rglob("*.json"))) == len(list(folder.rglob("*.json")))
    assert cli.json("settings", "validate", tmp_path / "pulled")["problems"] == []


def test_a_policy_that_got_shorter_leaves_no_part_behind(
    cli: Cli, folder: Path, store: Any
) -> None:
    change(folder, "permission-sets/Developer.json", inline_policy=a_long_policy(90))
    cli("settings", "push", folder, "--yes")
    change(folder, "permission-sets/Developer.json", inline_policy=a_long_policy(1))
    assert cli.json("settings", "push", folder, "--yes") == [
        {"parameter": DEVELOPER, "pushed": "change"}
    ]
    assert [name for name in stored(store) if name.startswith(DEVELOPER)] == [DEVELOPER]
    assert cli("settings", "diff", folder).exit_code == 0


def test_advanced_parameters_hold_more_where_that_is_asked_for(
    cli: Cli, folder: Path, store: Any
) -> None:
    change(folder, "permission-sets/Developer.json", inline_policy=a_long_policy(60))
    result = cli("settings", "push", folder, "--yes", "--advanced")
    assert "an advanced parameter, which costs money" in result.stdout
    assert [name for name in stored(store) if name.startswith(DEVELOPER)] == [DEVELOPER]
    assert cli("settings", "diff", folder).exit_code == 0


def test_a_permission_set_is_taken_away_with_all_its_parts_only_when_told_to(
    cli: Cli, folder: Path, store: Any
) -> None:
    change(folder, "permission-sets/Developer.json", inline_policy=a_long_policy(90))
    cli("settings", "push", folder, "--yes")
    (folder / "permission-sets" / "Developer.json").unlink()
    cli("settings", "push", folder, "--yes")
    assert DEVELOPER in stored(store)
    result = cli("settings", "push", folder, "--yes", "--prune")
    assert "It leaves the catalogue" in result.stdout
    assert [name for name in stored(store) if name.startswith(DEVELOPER)] == []


def test_parts_without_an_entry_are_left_out_of_a_pull_and_pruned_by_a_push(
    cli: Cli, folder: Path, store: Any, tmp_path: Path
) -> None:
    part = "/keyward/permission-sets/Gone/inline-policy/1"
    store.put_parameter(Name=part, Value="{}", Type="String")
    result = cli("settings", "pull", tmp_path / "pulled")
    assert f"{part}: left out" in result.stderr
    assert list((tmp_path / "pulled").rglob("*.json")) == []
    cli("settings", "push", folder, "--yes", "--prune")
    assert part not in stored(store)


def test_a_policy_newer_than_this_version_is_pushed_where_that_is_asked_for(
    cli: Cli, folder: Path, store: Any
) -> None:
    newer = "arn:aws:iam::aws:policy/AWSNewerThanThisVersionAccess"
    change(folder, "permission-sets/ReadOnly.json", managed_policies=[newer])
    assert cli("settings", "push", folder, "--yes").exit_code == 1
    assert stored(store) == {}
    assert cli("settings", "push", folder, "--yes", "--newer-policies").exit_code == 0
    assert newer in stored(store)["/keyward/permission-sets/ReadOnly"]


# Baselines


WORKLOADS = "/keyward/baseline/workloads"


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("workloads", {"exclusiv": True}, "field exclusiv: "),
        ("workloads", {"accounts": [{}]}, "field accounts.0: it selects nothing"),
        ("workloads", {"accounts": [{"unit": "ou-1"}, {"ids": ["1"]}]}, "field accounts.1.ids.0: "),
        (
            "workloads",
            {"assignments": [{"group": "aws-developers", "permission_set": "developer"}]},
            "field assignments.0.permission_set: developer is Developer but for upper and lower",
        ),
        ("Workloads", {}, "lower-case"),
        ("a/b", {}, "lower-case"),
        ("workloads", {"$comment more": "x" * 9_000}, "Parameter Store takes 8192"),
    ],
)
def test_a_problem_of_a_baseline_names_file_and_field(
    cli: Cli, folder: Path, name: str, fields: dict[str, object], expected: str
) -> None:
    file = f"baseline/{name}.json"
    (folder / file).parent.mkdir(exist_ok=True, parents=True)
    change(folder, file, **fields)
    result = cli("settings", "validate", folder)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"keyward: {folder / file}: ")
    assert expected in line


def test_two_baselines_that_contradict_each_other_are_both_named(cli: Cli, folder: Path) -> None:
    sandbox = json.loads((folder / "baseline/sandbox.json").read_text())
    change(folder, "baseline/other.json", **sandbox | {"exclusive": True})
    result = cli("settings", "validate", folder)
    assert result.exit_code == 1
    other, one = result.stderr.splitlines()
    assert f"{folder}/baseline/other.json: field exclusive: is true here" in other
    assert f"{folder}/baseline/sandbox.json: field exclusive: is false here" in one


def test_baselines_are_pushed_shown_and_pulled_like_other_settings(
    cli: Cli, folder: Path, store: Any, tmp_path: Path
) -> None:
    cli("settings", "push", folder, "--yes")
    there = {file.stem for file in (folder / "baseline").glob("*.json")}
    assert {f"/keyward/baseline/{name}" for name in there} == {
        name for name in stored(store) if name.startswith("/keyward/baseline/")
    }
    change(folder, "baseline/workloads.json", exclusive=True)
    result = cli("settings", "diff", folder)
    assert result.exit_code == 3
    assert f"change {WORKLOADS}" in result.stdout
    assert '+  "exclusive": true' in result.stdout
    pushed = cli("settings", "push", folder, "--yes")
    assert "becomes exclusive" in pushed.stdout
    assert versions(store)[WORKLOADS] == 2
    change(folder, "baseline/workloads.json", **{"$comment": "another"})
    assert "becomes exclusive" not in cli("settings", "push", folder, "--yes").stdout
    assert cli("settings", "pull", tmp_path / "pulled").exit_code == 0
    for file in (folder / "baseline").glob("*.json"):
        pulled = tmp_path / "pulled" / "baseline" / file.name
        assert json.loads(pulled.read_text()) == json.loads(file.read_text())


def test_a_baseline_is_taken_away_only_when_told_to(cli: Cli, folder: Path, store: Any) -> None:
    cli("settings", "push", folder, "--yes")
    (folder / "baseline/workloads.json").unlink()
    cli("settings", "push", folder, "--yes")
    assert WORKLOADS in stored(store)
    result = cli("settings", "push", folder, "--yes", "--prune")
    assert "what it brought is left there" in result.stdout
    assert WORKLOADS not in stored(store)


def test_a_baseline_that_no_file_can_stand_for_is_left_out_of_a_pull(
    cli: Cli, store: Any, tmp_path: Path
) -> None:
    for name in ("/keyward/baseline/../escape", "/keyward/baseline/Big"):
        store.put_parameter(Name=name, Value="{}", Type="String")
    result = cli("settings", "pull", tmp_path / "pulled")
    assert "/keyward/baseline/Big: left out" in result.stderr
    assert list(tmp_path.rglob("*.json")) == []
