"""`keyward explain`: the contract, every kind of file, and what can't be read."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tracemalloc
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyward_cli.explain import answers
from keyward_cli.folder import settings_of
from keyward_cli.reading import Unreadable, read_events
from tests.builders import SAMPLES, a_sample, sample_names

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

SAMPLE = "iam-access-key-created/violating-for-itself.json"
FIELDS = [
    "event_id",
    "event_source",
    "event_name",
    "account",
    "region",
    "actor",
    "handled_by",
    "findings",
]
FINDING_FIELDS = ["rule", "severity", "subject", "reason", "mode", "action", "exempt_by"]


def envelope(number: int = 0) -> dict[str, Any]:
    event: dict[str, Any] = deepcopy(a_sample(SAMPLE))  # type: ignore[arg-type]
    event["detail"]["eventID"] = f"event-{number}"
    return event


def record(number: int = 0) -> dict[str, Any]:
    detail: dict[str, Any] = envelope(number)["detail"]
    return detail


def ids(lines: list[Any]) -> list[object]:
    return [line.get("event_id", line.get("line")) for line in lines]


def test_the_contract(cli: Cli) -> None:
    (answer,) = cli.lines("explain", SAMPLES / SAMPLE)
    assert list(answer) == FIELDS
    assert (answer["event_name"], answer["handled_by"]) == ("CreateAccessKey", "iam_guard")
    (finding,) = answer["findings"]
    assert list(finding) == FINDING_FIELDS
    assert finding["rule"] == "iam-access-key-created"
    assert (finding["mode"], finding["action"]) == ("report", "deactivate-access-key")
    assert (finding["severity"], finding["exempt_by"]) == ("high", None)


def test_a_rule_that_needs_more_than_the_event_says_so(cli: Cli) -> None:
    (answer,) = cli.lines("explain", SAMPLES / "iam-quarantine-undone/violating-key-activated.json")
    needs = {finding["rule"]: finding.get("needs") for finding in answer["findings"]}
    assert needs["iam-quarantine-undone"] == "ledger"
    assert needs["iam-access-key-created"] is None


def test_what_an_event_alone_cannot_tell_needs_the_state_whatever_its_rule_says(cli: Cli) -> None:
    needs = {
        name: cli.lines("explain", SAMPLES / "idc-assignment-to-user" / f"violating-{name}.json")[
            0
        ]["findings"][0].get("needs")
        for name in ("user", "associate-profile")
    }
    assert needs == {"user": None, "associate-profile": "state"}


def test_every_sample_is_judged(cli: Cli) -> None:
    files = sorted(SAMPLES.glob("*/*.json"))
    result = cli("explain", *files, "--json")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == len(files)


@pytest.mark.parametrize("name", list(sample_names("iam-user-created")))
def test_a_failed_call_is_handled_by_nobody(cli: Cli, name: str) -> None:
    (answer,) = cli.lines("explain", SAMPLES / name)
    failed = "errorCode" in a_sample(name)["detail"]  # type: ignore[index]
    assert answer["handled_by"] == (None if failed else "iam_guard")
    assert bool(answer["findings"]) is not failed


def test_an_event_that_no_rule_listens_to_is_handled_by_nobody(cli: Cli, tmp_path: Path) -> None:
    event = envelope()
    event["detail"]["eventName"] = "ListUsers"
    (answer,) = cli.lines("explain", written(tmp_path, json.dumps(event)))
    assert (answer["handled_by"], answer["findings"]) == (None, [])


def written(folder: Path, text: str | bytes, name: str = "events") -> Path:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


ONE = {
    "envelope": json.dumps(envelope(0)),
    "pretty envelope": json.dumps(envelope(0), indent=2),
    "record": json.dumps(record(0)),
    "pretty record": json.dumps(record(0), indent=4) + "\n\n",
    "log file of one": json.dumps({"Records": [record(0)]}),
    "log file, one record on its own line": f'{{"Records": [\n{json.dumps(record(0))}\n]}}',
    "byte order mark": "\ufeff" + json.dumps(envelope(0)),
    "log file as AWS prints it": '{"Records": [{\n' + json.dumps(record(0), indent=2)[1:] + "]}",
    "blank lines around": "\n\n" + json.dumps(envelope(0)) + "\n \n",
}
THREE = {
    "log file": json.dumps({"Records": [record(0), record(1), record(2)]}),
    "pretty log file": json.dumps({"Records": [record(0), record(1), record(2)]}, indent=2),
    "log file, members after": json.dumps(
        {"digest": [1], "Records": [record(0), record(1), record(2)], "more": {"a": ","}}
    ),
    "JSON Lines": "\n".join(json.dumps(event) for event in (envelope(0), record(1), envelope(2))),
    "JSON Lines, Windows": "\r\n".join(json.dumps(record(number)) for number in range(3)) + "\r\n",
    "JSON Lines with blanks": "\n\n".join(json.dumps(record(number)) for number in range(3)),
    "lines of log files": "\n".join(
        json.dumps({"Records": records}) for records in ([record(0), record(1)], [record(2)])
    ),
    "array": json.dumps([envelope(0), record(1), record(2)], indent=1),
    "array on a line": json.dumps([envelope(0), record(1), record(2)]),
}


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("stdin", [False, True], ids=["file", "stdin"])
@pytest.mark.parametrize(
    ("text", "count"),
    [*((text, 1) for text in ONE.values()), *((text, 3) for text in THREE.values())],
    ids=[*ONE, *THREE],
)
def test_every_kind_of_file(
    cli: Cli, tmp_path: Path, *, text: str, count: int, stdin: bool, zipped: bool
) -> None:
    data = gzip.compress(text.encode()) if zipped else text.encode()
    if stdin:
        result = cli("explain", "-", "--json", stdin=data)
    else:
        result = cli("explain", written(tmp_path, data), "--json")
    assert result.exit_code == 0, result.output
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert ids(found) == [f"event-{number}" for number in range(count)]
    assert all(one["findings"] for one in found)


BROKEN = {
    "no JSON": "nonsense",
    "cut short": json.dumps(envelope())[:200],
    "an open brace": "{",
    "a number": "12",
    "null": "null",
    "a list of nothing": "[null]",
    "no detail": '{"detail-type": "AWS API Call via CloudTrail", "account": "111122223333"}',
    "detail is null": '{"detail": null}',
    "wrong type": json.dumps(envelope() | {"detail": []}),
    "NaN": '{"eventID": NaN}',
    "deep": '{"detail": ' + "[" * 5_000 + "]" * 5_000 + "}",
    "very deep": "[" * 200_000,
    "large": '{"eventID": "' + "x" * (1024 * 1024 + 1) + '"}',
    "account differs": json.dumps(envelope() | {"account": "999999999999"}),
    "no user": json.dumps(
        envelope() | {"detail": record() | {"requestParameters": None, "responseElements": None}}
    ),
}


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_read_is_an_error_in_its_place(
    cli: Cli, tmp_path: Path, broken: str, place: int
) -> None:
    lines = [json.dumps(envelope(number)) for number in range(2)]
    lines.insert(place, broken)
    result = cli("explain", written(tmp_path, "\n".join(lines)), "--json")
    assert result.exit_code == 2
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(found) == 3
    error = found.pop(place)
    assert set(error) == {"line", "error"}
    assert error["line"] == place + 1
    assert "\n" not in error["error"]
    assert ids(found) == ["event-0", "event-1"]
    assert len(result.stderr.splitlines()) == 1


def test_invalid_utf8_is_an_error_in_its_place(cli: Cli, tmp_path: Path) -> None:
    good = json.dumps(envelope()).encode()
    found = cli.lines("explain", written(tmp_path, good + b'\n{"a": "\xff"}\n' + good))
    assert ids(found) == ["event-0", 2, "event-0"]


def test_one_bad_record_of_a_log_file_spoils_no_other(cli: Cli, tmp_path: Path) -> None:
    deep = '{"a": ' + "[" * 5_000 + "]" * 5_000 + "}"
    records = [json.dumps(record(0)), deep, "null", '{"a": "],}[{"}', json.dumps(record(4))]
    text = '{"Records": [' + ",".join(records) + "]}"
    assert ids(cli.lines("explain", written(tmp_path, text))) == ["event-0", 2, 3, 4, "event-4"]


def test_a_log_file_that_breaks_off_yields_what_is_whole(cli: Cli, tmp_path: Path) -> None:
    text = json.dumps({"Records": [record(0), record(1), record(2)]})[:-400]
    assert ids(cli.lines("explain", written(tmp_path, text))) == ["event-0", "event-1", 3]


def test_a_gzip_that_breaks_off_yields_what_is_whole(cli: Cli, tmp_path: Path) -> None:
    text = "\n".join(json.dumps(envelope(number)) for number in range(500))
    file = written(tmp_path, gzip.compress(text.encode())[:-2_000])
    result = cli("explain", file, "--json")
    assert result.exit_code == 2
    *found, error = [json.loads(line) for line in result.stdout.splitlines()]
    assert ids(found) == [f"event-{number}" for number in range(len(found))]
    assert "breaks off" in error["error"]


def test_an_empty_log_file_holds_no_event(cli: Cli, tmp_path: Path) -> None:
    for text in ("", "\n", '{"Records": []}', "[ ]"):
        result = cli("explain", written(tmp_path, text), "--json")
        assert (result.exit_code, result.stdout) == (0, "")


def test_a_missing_file_is_one_line_and_the_others_are_judged(cli: Cli, tmp_path: Path) -> None:
    result = cli("explain", tmp_path / "none.json", SAMPLES / SAMPLE, "--json")
    assert result.exit_code == 2
    assert len(result.stdout.splitlines()) == 1
    assert "none.json" in result.stderr
    assert "Traceback" not in result.output


def test_of_several_files_an_error_names_its_own(cli: Cli, tmp_path: Path) -> None:
    broken = written(tmp_path, "nonsense")
    error, _ = cli.lines("explain", broken, SAMPLES / SAMPLE)
    assert error["file"] == str(broken)


def folder_of(tmp_path: Path, files: dict[str, object]) -> Path:
    folder = tmp_path / "settings"
    for name, value in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value))
    return folder


@pytest.mark.parametrize(
    ("ceiling", "mode", "expected"),
    [("enforce", "enforce", "enforce"), ("report", "enforce", "report")],
)
def test_the_mode_is_the_effective_one(
    cli: Cli, tmp_path: Path, ceiling: str, mode: str, expected: str
) -> None:
    folder = folder_of(
        tmp_path,
        {
            "settings.json": {"$comment": "x", "ceiling": ceiling},
            "rules/iam-access-key-created.json": {"mode": mode, "severity": "low"},
        },
    )
    (answer,) = cli.lines("explain", SAMPLES / SAMPLE, "--settings", folder)
    (finding,) = answer["findings"]
    assert (finding["mode"], finding["severity"]) == (expected, "low")


def test_a_rule_that_is_off_finds_nothing(cli: Cli, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"rules/iam-access-key-created.json": {"mode": "off"}})
    (answer,) = cli.lines("explain", SAMPLES / SAMPLE, "--settings", folder)
    assert (answer["findings"], answer["handled_by"]) == ([], "iam_guard")


def test_permission_sets_are_judged_by_the_catalogue_of_the_settings(
    cli: Cli, tmp_path: Path
) -> None:
    developer = {"description": "Builds and runs things", "session_hours": 4}
    folder = folder_of(tmp_path, {"permission-sets/Developer.json": developer})
    sample = SAMPLES / "idc-permission-set-drift/violating-updated.json"
    (without,) = cli.lines("explain", sample)
    assert without["findings"] == []
    (answer,) = cli.lines("explain", sample, "--settings", folder)
    (finding,) = answer["findings"]
    assert (finding["rule"], finding["needs"]) == ("idc-permission-set-drift", "state")


EVERYBODY: dict[str, object] = {
    "accounts": [{"everything": True}],
    "assignments": [{"group": "Developers", "permission_set": "Developer"}],
}


def test_accounts_are_judged_by_the_baselines_of_the_settings(cli: Cli, tmp_path: Path) -> None:
    sample = SAMPLES / "baseline-assignment-missing/violating-account-created.json"
    (without,) = cli.lines("explain", sample)
    assert (without["handled_by"], without["findings"]) == ("account_baseline", [])
    folder = folder_of(tmp_path, {"baseline/everybody.json": EVERYBODY})
    (answer,) = cli.lines("explain", sample, "--settings", folder)
    (finding,) = answer["findings"]
    assert list(finding) == [*FINDING_FIELDS, "needs"]
    assert (finding["rule"], finding["needs"]) == ("baseline-assignment-missing", "state")
    assert (finding["action"], finding["exempt_by"]) == ("assign-access", None)


@pytest.mark.parametrize("name", ["account-created", "account-moved", "assignment-deleted"])
def test_an_account_is_exempt_by_the_id_that_its_rule_names(
    cli: Cli, tmp_path: Path, name: str
) -> None:
    exemption = {
        "owner": "team@example.com",
        "reason": "agreed",
        "ticket": "SEC-1",
        "until": "2099-01-01T00:00:00Z",
        "account": "444455556666",
        "unique_id": "444455556666/access",
        "rules": ["baseline-assignment-missing"],
    }
    folder = folder_of(
        tmp_path, {"baseline/everybody.json": EVERYBODY, "exemptions/made.json": exemption}
    )
    sample = SAMPLES / "baseline-assignment-missing" / f"violating-{name}.json"
    (answer,) = cli.lines("explain", sample, "--settings", folder)
    found = {finding["rule"]: finding["exempt_by"] for finding in answer["findings"]}
    assert found["baseline-assignment-missing"] == "made"
    assert found.get("baseline-assignment-stale") is None


def test_an_account_that_came_to_nothing_needs_no_baseline_to_be_told(cli: Cli) -> None:
    for sample in sorted((SAMPLES / "account-lifecycle-failed").glob("violating-*.json")):
        (answer,) = cli.lines("explain", sample)
        (finding,) = answer["findings"]
        assert answer["handled_by"] == "account_baseline"
        assert (finding["rule"], finding["action"]) == ("account-lifecycle-failed", "report")
        assert list(finding) == FINDING_FIELDS


def test_of_the_two_events_of_one_name_only_the_one_that_tells_the_outcome_counts(
    cli: Cli, tmp_path: Path
) -> None:
    event: Any = a_sample("account-lifecycle-failed/failed-call-denied.json")
    del event["detail"]["errorCode"]
    folder = folder_of(tmp_path, {"baseline/everybody.json": EVERYBODY})
    file = written(tmp_path, json.dumps(event))
    (answer,) = cli.lines("explain", file, "--settings", folder)
    assert (answer["event_name"], answer["findings"]) == ("CreateManagedAccount", [])


@pytest.mark.parametrize(
    ("until", "exempt_by"), [("2099-01-01T00:00:00Z", "made"), ("2020-01-01T00:00:00Z", None)]
)
def test_an_exempt_user_is_named_as_such(
    cli: Cli, tmp_path: Path, until: str, exempt_by: str | None
) -> None:
    name = "iam-user-created/violating-by-role.json"
    user = a_sample(name)["detail"]["responseElements"]["user"]  # type: ignore[index]
    folder = folder_of(
        tmp_path,
        {
            "exemptions/made.json": {
                "owner": "team@example.com",
                "reason": "agreed",
                "ticket": "SEC-1",
                "until": until,
                "account": a_sample(name)["account"],  # type: ignore[index]
                "user_id": user["userId"],
                "rules": ["iam-user-created"],
            }
        },
    )
    (answer,) = cli.lines("explain", SAMPLES / name, "--settings", folder)
    found = {finding["rule"]: finding["exempt_by"] for finding in answer["findings"]}
    assert found["iam-user-created"] == exempt_by


def test_settings_that_would_be_refused_are_not_explained(cli: Cli, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"rules/iam-access-key-created.json": {"mode": "enfroce"}})
    result = cli("explain", SAMPLES / SAMPLE, "--settings", folder, "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert "iam-access-key-created.json: field mode" in line


def test_the_text_names_rule_mode_and_action(cli: Cli) -> None:
    result = cli("explain", SAMPLES / SAMPLE)
    assert result.exit_code == 0
    for what in ("CreateAccessKey", "iam-access-key-created", "report", "deactivate-access-key"):
        assert what in result.stdout


def test_hostile_text_does_not_move_the_terminal(cli: Cli, tmp_path: Path) -> None:
    event = envelope()
    event["detail"]["userIdentity"]["arn"] = "arn:\x1b[2J\u202e[red]x[/red]\n"
    result = cli("explain", written(tmp_path, json.dumps(event)))
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout
    assert "[red]x[/red]" in result.stdout


def test_a_long_file_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    in_force = settings_of(None)
    line = json.dumps(record()) + "\n"
    short, long = written(tmp_path, line * 20, "short"), written(tmp_path, line * 4_000, "long")

    def peak(file: Path) -> int:
        tracemalloc.start()
        try:
            assert sum("error" in answer for answer in answers(str(file), in_force)) == 0
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(short)
    assert peak(long) < peak(short) + 200_000


def test_whoever_stops_reading_gets_no_traceback(tmp_path: Path) -> None:
    file = written(tmp_path, (json.dumps(record()) + "\n") * 2_000)
    done = subprocess.run(  # noqa: S603 - our own module
        [
            "/bin/sh",
            "-c",
            f'"{sys.executable}" -m keyward_cli explain "{file}" --json | head -n 1',
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "layers/core:cli"},
    )
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_explaining_needs_neither_aws_nor_its_packages() -> None:
    code = (
        "import sys, socket\n"
        "socket.socket.connect = None\n"
        "from keyward_cli.main import app\n"
        f"app(['explain', {str(SAMPLES / SAMPLE)!r}, '--json'], standalone_mode=False)\n"
        "print(sorted({'boto3', 'botocore', 'aws_lambda_powertools'} & set(sys.modules)))\n"
    )
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={"PYTHONPATH": "layers/core:cli", "PATH": "/usr/bin:/bin"},
    )
    assert done.stdout.splitlines()[-1] == "[]"


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_bytes_make_it_fail(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = written(tmp_path_factory.getbasetemp(), data, f"fuzz-{os.getpid()}")
    for read in read_events(str(file)):
        assert read.line >= 1
        assert not isinstance(read.event, Unreadable) or "\n" not in read.event.error


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=2) | st.dictionaries(st.text(max_size=5), children, max_size=2)
    ),
    max_leaves=4,
)


@st.composite
def hostile_events(draw: st.DrawFn) -> object:
    """A sample with one member at any depth changed into anything."""
    files = sorted(SAMPLES.glob("*/violating-*.json"))
    event = json.loads(draw(st.sampled_from(files)).read_text())
    holder = event
    while True:
        name = draw(st.sampled_from(sorted(holder)))
        if not isinstance(holder[name], dict) or not holder[name] or draw(st.booleans()):
            holder[name] = draw(JSON)
            return event
        holder = holder[name]


@settings(max_examples=300, deadline=None)
@given(event=hostile_events())
def test_any_change_of_an_event_is_judged_or_named(
    tmp_path_factory: pytest.TempPathFactory, event: object
) -> None:
    file = written(
        tmp_path_factory.getbasetemp(), json.dumps(event, indent=1), f"hostile-{os.getpid()}"
    )
    (answer,) = answers(str(file), settings_of(None))
    assert "findings" in answer or set(answer) == {"line", "error"}
    json.dumps(answer).encode()


def test_under_a_ceiling_of_off_nothing_is_found(cli: Cli, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"settings.json": {"ceiling": "off"}})
    (answer,) = cli.lines("explain", SAMPLES / SAMPLE, "--settings", folder)
    assert answer["findings"] == []
