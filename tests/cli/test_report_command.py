"""`keyward report`: its files come whole or not at all, from web addresses alone."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest

from keyward import reporting
from keyward_cli.reports import named
from tests.cli.conftest import Cli

FILES = {
    "html": b"<!doctype html>",
    "csv": b"a,b\r\n",
    "csv-accounts": b"id\r\n",
    "csv-permission-sets": b"name\r\n",
    "json": b"{}",
}
NAMES = {
    "html": ".html",
    "csv": "-findings.csv",
    "csv-accounts": "-accounts.csv",
    "csv-permission-sets": "-permission-sets.csv",
    "json": ".json",
}
ID = "20270131-1a2b3c"


class Store(BaseHTTPRequestHandler):
    """Where the links lead: each file, one that is refused, and one that breaks off."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        name = self.path.removeprefix("/")
        self.asked.append(name)
        body = FILES.get(name, b"half of it")
        self.send_response(403 if name == "refused" else 200)
        self.send_header("Content-Length", str(len(body) * (2 if name == "broken" else 1)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Stays quiet."""


@pytest.fixture
def store() -> Iterator[str]:
    Store.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def made(
    monkeypatch: pytest.MonkeyPatch,
    links: dict[str, str],
    *,
    id_: str = ID,
    waits: int = 0,
) -> list[str]:
    """Has the operator answer with these links, once it was asked `waits` times; what was asked."""
    asked: list[str] = []

    def ask(_caller: object, act: str, **arguments: Any) -> dict[str, Any]:
        asked.append(act)
        if act == "report-start":
            return {"ok": True, "report": id_}
        assert arguments == {"report": id_}
        return {"ok": True, "links": links if asked.count("report") > waits else None}

    monkeypatch.setattr("keyward_cli.reports.ask", ask)
    monkeypatch.setattr("keyward_cli.reports.sleep", lambda _seconds: None)
    return asked


def test_a_report_is_waited_for_and_its_files_are_written(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store: str
) -> None:
    asked = made(monkeypatch, {kind: f"{store}/{kind}" for kind in FILES}, waits=3)
    done = cli("report", "--output", tmp_path / "new")
    assert done.exit_code == 0, done.output
    assert asked == ["report-start", *4 * ["report"]]
    written = {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()}
    assert written == {f"keyward-report-{ID}{NAMES[it]}": body for it, body in FILES.items()}
    assert set(done.stdout.splitlines()) == {str(tmp_path / "new" / name) for name in written}


def test_one_format_is_fetched_alone_and_named_as_json(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store: str
) -> None:
    made(monkeypatch, {kind: f"{store}/{kind}" for kind in FILES})
    found = cli.json("report", "--output", tmp_path, "--format", "csv")
    lists = [kind for kind in FILES if kind.startswith("csv")]
    files = {it: str(tmp_path / f"keyward-report-{ID}{NAMES[it]}") for it in lists}
    assert found == {"report": ID, "files": files}
    assert Store.asked == lists


def test_all_that_a_report_has_is_fetched_as_it_is_named() -> None:
    assert set(reporting.FILES) == {kind for kind in reporting.FILES if named(kind) is not None}
    assert len({named(kind) for kind in reporting.FILES}) == len(reporting.FILES)


@pytest.mark.parametrize("kind", ["csv-", "csv-../x", "csv-a/b", "csv-A", "exe", "", "csv-\x1b[2J"])
def test_what_is_no_kind_of_file_is_left_where_it_is(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store: str, kind: str
) -> None:
    made(monkeypatch, {"html": f"{store}/html", kind: f"{store}/csv"})
    assert cli("report", "--output", tmp_path).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == [f"keyward-report-{ID}.html"]


@pytest.mark.parametrize("name", ["refused", "broken"])
def test_a_file_that_does_not_come_leaves_what_was_there(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store: str, name: str
) -> None:
    there = tmp_path / f"keyward-report-{ID}.html"
    there.write_text("an earlier one")
    made(monkeypatch, {"html": f"{store}/{name}"})
    result = cli("report", "--output", tmp_path)
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (1, "", 1)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["an earlier one"]


@pytest.mark.parametrize("link", ["file:///etc/hostname", "ftp://example.com/x", "/etc/hostname"])
def test_no_file_of_this_machine_is_taken_for_a_report(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, link: str
) -> None:
    made(monkeypatch, {"html": link})
    result = cli("report", "--output", tmp_path)
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert list(tmp_path.iterdir()) == []


def test_an_id_never_leads_out_of_the_folder(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store: str
) -> None:
    made(monkeypatch, {"html": f"{store}/html"}, id_="../../out")
    assert cli("report", "--output", tmp_path / "in").exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_report_that_never_comes_is_given_up_on(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made(monkeypatch, {}, waits=10**9)
    monkeypatch.setattr("keyward_cli.reports.LONGEST_SECONDS", 0)
    result = cli("report", "--output", tmp_path)
    assert (result.exit_code, "keyward-report" in result.stderr) == (1, True)


def test_the_page_is_opened_where_it_is_asked_for(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store: str
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    made(monkeypatch, {kind: f"{store}/{kind}" for kind in FILES})
    assert cli("report", "--output", tmp_path, "--open").exit_code == 0
    assert opened == [(tmp_path / f"keyward-report-{ID}.html").as_uri()]
    assert cli("report", "--format", "csv", "--open").exit_code == 2
