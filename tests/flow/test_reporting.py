"""A report from the ledger and the inventory to files in S3, and links to them."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from keyward import reporting
from keyward import services as services_module
from keyward.alerts import alert
from keyward.errors import GatewayError, RequestError
from keyward.findings import FindingRecord, Notice, State
from keyward.gateways.organization import OrganizationGateway
from keyward.ledger import Ledger
from keyward.report import Report
from keyward.sweep import Sweep
from tests.core.test_report_data import RECORD, lines
from tests.faults.memory import MemoryTable
from tests.faults.observing import Context
from tests.flow.operated import BUCKET as INVENTORY
from tests.flow.operated import Operated, an_operated
from tests.flow.test_access_keys import a_key
from tests.flow.world import HUB, REGION, World, aws_error

BUCKET = "keyward-reports"
ID = "20261130T231500-0a1b2c3d"
HANDLER = Path(__file__).parents[2] / "functions" / "report" / "handler.py"
KINDS = {
    "html",
    "json",
    "csv",
    *(f"csv-{it}" for it in ("exemptions", "accounts", "controls", "permission-sets")),
    *("csv-days", "csv-ages"),
}


@dataclass
class Reports:
    """The bucket of reports, beside all that an operator has."""

    world: World
    operated: Operated
    s3: Any

    def read(self, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def there(self) -> list[str]:
        return [it["Key"] for it in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def make(self, id_: str = ID, *, by: str = "anna") -> dict[str, str]:
        services = self.world.services
        return reporting.make(id_, by=by, services=services, now=self.world.now)

    def made(self) -> Report:
        """A report, made, and read back from its JSON."""
        return Report.model_validate(json.loads(self.read(self.make()["json"])))

    def inventory(self, sweep: Sweep) -> None:
        """What the sweep would have left of two accounts and Identity Center."""
        every = list(lines())
        place = f"inventory/{sweep.id}"
        for name, some in (
            (f"iam/{HUB}", every[:4]),
            (f"iam/{self.world.member}", every[4:-4]),
            ("identity-center/0", every[-4:]),
        ):
            body = "".join(json.dumps(line) + "\n" for line in some)
            self.s3.put_object(Bucket=INVENTORY, Key=f"{place}/{name}.jsonl", Body=body)


@pytest.fixture
def reports(world: World) -> Iterator[Reports]:
    with an_operated(world) as operated:
        s3 = boto3.client("s3", region_name=REGION)
        s3.create_bucket(Bucket=BUCKET)
        services = world.services
        services.environment = replace(
            services.environment, reports_bucket=BUCKET, report_function="keyward-report"
        )
        yield Reports(world=world, operated=operated, s3=s3)


def notices(world: World) -> list[Notice]:
    return [it for it in world.untold() if isinstance(it, Notice) and it.kind == "report"]


# Making


def test_a_report_is_a_page_its_data_and_its_lists(reports: Reports) -> None:
    reports.world.deliver(a_key(reports.world)[1])
    reports.inventory(reports.operated.swept())
    keys = reports.make()
    assert keys.keys() == KINDS
    assert sorted(keys.values()) == sorted(reports.there())
    assert all(key.startswith(f"reports/{ID}/") for key in keys.values())
    assert reports.read(keys["html"]).startswith(b"<!")
    of = Report.model_validate(json.loads(reports.read(keys["json"])))
    assert (of.id, of.by) == (ID, "anna")
    assert [row.state for row in of.findings] == [State.ACTED]
    assert (of.users, of.keys) == (5, 4)
    assert (of.assignments_to_people, of.assignments_to_groups) == (2, 1)
    rows = list(csv.DictReader(io.StringIO(reports.read(keys["csv"]).decode("utf-8-sig"))))
    assert [row["key"] for row in rows] == [row.key for row in of.findings]
    names = {row.id: row.name for row in of.accounts}
    assert names[reports.world.member] == "workload"
    assert {row.covered for row in of.accounts} == {True}


def test_files_say_what_they_are(reports: Reports) -> None:
    for kind, key in reports.make().items():
        head = reports.s3.head_object(Bucket=BUCKET, Key=key)
        wanted = {"html": "text/html; charset=utf-8", "json": "application/json"}
        assert head["ContentType"] == wanted.get(kind, "text/csv; charset=utf-8")
        assert ("ContentDisposition" in head) is (kind != "html")


def test_a_report_is_made_once(reports: Reports) -> None:
    first = reports.make()
    body = reports.read(first["json"])
    reports.world.deliver(a_key(reports.world)[1])
    reports.world.later(hours=1)
    assert reports.make(by="somebody else") == first
    assert reports.read(first["json"]) == body


def test_a_report_that_broke_off_is_made_by_the_next_try(reports: Reports) -> None:
    puts = 0

    def fails(operation: str, _params: dict[str, Any], call: Any) -> Any:
        nonlocal puts
        if operation == "PutObject":
            puts += 1
            if puts == 3:
                raise aws_error("ServiceUnavailable", operation, 503)
        return call()

    reports.world.fault = fails
    with reports.world.recorded(), pytest.raises(GatewayError) as raised:
        reports.make()
    assert raised.value.retryable
    reports.world.fault = None
    services, now = reports.world.services, reports.world.now
    assert reporting.found(ID, services=services, now=now) is None
    assert reports.make().keys() == KINDS
    assert reporting.found(ID, services=services, now=now) is not None


@pytest.mark.parametrize(("was", "becomes"), [("resolved", "open"), ("failed", "acting")])
def test_a_finding_that_goes_back_while_the_ledger_is_read_is_in_the_report(
    reports: Reports, monkeypatch: pytest.MonkeyPatch, was: str, becomes: str
) -> None:
    world = reports.world
    world.deliver(a_key(world)[1])
    (found,) = world.findings()

    def moved(record: FindingRecord, state: str) -> FindingRecord:
        changes = {"state": State(state), "version": record.version + 1}
        after = record.model_copy(update=changes)
        world.ledger.finish(after, replacing=record)
        return after

    before = moved(found, was)
    page, goes = Ledger.findings_in, iter([before])

    def slow(ledger: Ledger, state: State, **others: Any) -> Any:
        if state is before.state and (record := next(goes, None)) is not None:
            moved(record, becomes)
        return page(ledger, state, **others)

    monkeypatch.setattr(Ledger, "findings_in", slow)
    (row,) = reports.made().findings
    assert (row.key, row.state) == (found.key, State(becomes))


NO_IDS = ("", "..", "../x", f"{ID}/", f"{ID}\n", f"{ID}x", "2026-W4", ID[:15], "a b", "\u00e9")


def test_what_is_no_id_reaches_no_bucket(reports: Reports) -> None:
    services, now = reports.world.services, reports.world.now
    with reports.world.recorded() as calls:
        for id_ in NO_IDS:
            with pytest.raises(RequestError):
                reports.make(id_)
            with pytest.raises(RequestError):
                reporting.found(id_, services=services, now=now)
        assert calls == []


def test_an_empty_estate_that_never_swept_has_a_report_that_says_so(reports: Reports) -> None:
    of = reports.made()
    assert of.findings == ()
    assert of.inventory_at is None
    assert of.sweep is None
    assert {row.id for row in of.accounts} >= {HUB, reports.world.member}
    assert {row.why for row in of.accounts} == {"no sweep was there yet"}
    assert {row.state for row in of.controls} == {"not judged"}
    assert any("No sweep was complete yet" in gap for gap in of.gaps)


def test_an_inventory_that_expired_is_a_gap(reports: Reports) -> None:
    sweep = reports.operated.swept()
    of = reports.made()
    assert of.sweep is None
    assert any(sweep.id in gap and "could not be found" in gap for gap in of.gaps)


@pytest.mark.parametrize("refused", ["GetObject", "ListObjectsV2"])
def test_an_inventory_that_nobody_may_read_is_a_gap(reports: Reports, refused: str) -> None:
    def denied(operation: str, params: dict[str, Any], call: Any) -> Any:
        if operation == refused and params["Bucket"] == INVENTORY:
            raise aws_error("AccessDenied", operation, 403)
        return call()

    reports.inventory(reports.operated.swept())
    reports.world.fault = denied
    with reports.world.recorded():
        keys = reports.make()
    reports.world.fault = None
    of = Report.model_validate(json.loads(reports.read(keys["json"])))
    assert (of.sweep, of.inventory_at, of.keys) == (None, None, 0)
    assert any("inventory" in gap and "AccessDenied" in gap for gap in of.gaps)


def test_without_the_names_of_accounts_the_report_is_made(
    reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_self: OrganizationGateway, **_: object) -> Any:
        message = "ListAccounts: AccessDeniedException"
        raise GatewayError(message, code="AccessDeniedException")

    monkeypatch.setattr(OrganizationGateway, "some_accounts", denied)
    reports.operated.swept()
    of = reports.made()
    assert len(of.accounts) == 3
    assert {row.name for row in of.accounts} == {None}
    assert any("AccessDeniedException" in gap for gap in of.gaps)


def test_a_ledger_that_cannot_be_read_makes_no_report(reports: Reports) -> None:
    def denied(operation: str, _params: dict[str, Any], call: Any) -> Any:
        if operation == "Query":
            raise aws_error("ThrottlingException", operation)
        return call()

    reports.world.fault = denied
    with reports.world.recorded(), pytest.raises(GatewayError):
        reports.make()
    reports.world.fault = None
    assert reports.there() == []


def test_ten_thousand_findings_are_all_in_the_report(reports: Reports) -> None:
    table = MemoryTable()
    for number in range(10_000):
        record = RECORD.model_copy(
            update={
                "key": f"{number:020x}",
                "state": (State.OPEN, State.ACTED)[number % 2],
                "history": (),
            }
        )
        table.items[f"finding#{record.key}", "finding"] = {
            "pk": {"S": f"finding#{record.key}"},
            "sk": {"S": "finding"},
            "gsi_state": {"S": record.state.value},
            "updated_at": {"S": f"{number:05}"},
            "doc": {"S": record.model_dump_json()},
        }
    services = reports.world.services
    services.__dict__["ledger"] = Ledger(Paged(table), claim_seconds=90)
    keys = reports.make()
    of = Report.model_validate(json.loads(reports.read(keys["json"])))
    assert len({row.key for row in of.findings}) == 10_000
    rows = reports.read(keys["csv"]).decode("utf-8-sig").splitlines()
    assert len(rows) == 10_001
    page = reports.read(keys["html"]).decode()
    assert f"{0:020x}" in page
    assert f"{9_999:020x}" in page


class Paged(MemoryTable):
    """That table, which sorts once for all pages of a state."""

    def __init__(self, table: MemoryTable) -> None:
        super().__init__()
        self.items = table.items
        self._of: dict[str, list[Any]] = {}

    def query_index(self, **asked: Any) -> Any:
        state, after, limit = asked["value"], asked.get("after"), asked["limit"]
        if state not in self._of:
            found = [it for it in self.items.values() if it["gsi_state"]["S"] == state]
            self._of[state] = sorted(found, key=lambda it: str(it["updated_at"]["S"]))
        begin = int(after["at"]["N"]) if after else 0
        page = self._of[state][begin : begin + limit]
        end = begin + len(page)
        return page, ({"at": {"N": str(end)}} if end < len(self._of[state]) else None)


HOSTILE = "<script>alert(1)</script>=cmd|' /C calc'!A0\u202e<!channel>"


def test_hostile_text_is_neither_markup_nor_formula_nor_a_key(reports: Reports) -> None:
    hostile = RECORD.model_copy(
        update={"subject": HOSTILE, "reason": f"={HOSTILE}", "owner": f"@{HOSTILE}"}
    )
    put(reports.world, hostile)
    keys = reports.make(by=HOSTILE)
    page = reports.read(keys["html"]).decode()
    assert "<script>alert" not in page
    assert "\u202e" not in page
    (row,) = csv.DictReader(io.StringIO(reports.read(keys["csv"]).decode("utf-8-sig")))
    assert row["reason"].startswith("'=")
    assert row["owner"].startswith("'@")
    assert not any(it in key for key in reports.there() for it in "<=@' ")


def put(world: World, record: FindingRecord) -> None:
    boto3.client("dynamodb", region_name=REGION).put_item(
        TableName="keyward-ledger",
        Item={
            "pk": {"S": f"finding#{record.key}"},
            "sk": {"S": "finding"},
            "version": {"N": "1"},
            "gsi_state": {"S": record.state.value},
            "updated_at": {"S": world.now.isoformat()},
            "doc": {"S": record.model_dump_json()},
        },
    )


def test_what_the_ledger_keeps_of_an_event_beside_stays_out(reports: Reports) -> None:
    evidence = RECORD.evidence.model_copy(
        update={"event_id": "canary-event", "source_ip": "192.0.2.77"}
    )
    put(
        reports.world, RECORD.model_copy(update={"evidence": evidence, "details": ("canary-line",)})
    )
    for key in reports.make().values():
        body = reports.read(key)
        assert b"canary" not in body
        assert b"192.0.2.77" not in body


# Links


def test_a_link_lets_one_object_through_for_so_many_hours(reports: Reports) -> None:
    reports.make()
    links = reporting.found(ID, services=reports.world.services, now=reports.world.now)
    assert links is not None
    assert links.keys() == KINDS
    for link in links.values():
        url = urllib.parse.urlsplit(link)
        asked = urllib.parse.parse_qs(url.query)
        assert url.scheme == "https"
        assert f"reports/{ID}/" in url.path
        assert asked["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
        assert asked["X-Amz-Expires"] == [str(8 * 3600)]
        assert asked["X-Amz-SignedHeaders"] == ["host"]


def test_links_last_as_long_as_settings_say(reports: Reports) -> None:
    reports.make()
    reports.world.settings(settings={"reports": {"link_hours": 2}})
    reports.world.services._settings = None
    links = reporting.found(ID, services=reports.world.services, now=reports.world.now)
    assert links is not None
    assert all("X-Amz-Expires=7200&" in link for link in links.values())


def test_a_report_that_is_being_made_has_no_links(reports: Reports) -> None:
    services, now = reports.world.services, reports.world.now
    assert reporting.found(ID, services=services, now=now) is None


# The week's


def test_the_weeks_report_is_told_once_with_a_link(reports: Reports) -> None:
    services, now = reports.world.services, reports.world.now
    reporting.make_weekly(services=services, now=now)
    reporting.make_weekly(services=services, now=now + timedelta(minutes=5))
    (notice,) = notices(reports.world)
    assert notice.id == reporting.week(now)
    assert notice.links.keys() == {"Report"}
    body = alert(notice).body
    assert notice.links["Report"] in body
    assert "earlier" in body
    assert f"reports/{notice.id}/ in the bucket {BUCKET}" in body
    assert any(notice.id in key for key in reports.there())


def test_a_week_that_was_made_and_not_told_is_told_by_the_next_try(
    reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> bool:
        message = "TransactWriteItems: InternalServerError"
        raise GatewayError(message, retryable=True)

    services, now = reports.world.services, reports.world.now
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "notice", fails)
        with pytest.raises(GatewayError):
            reporting.make_weekly(services=services, now=now)
    assert notices(reports.world) == []
    reporting.make_weekly(services=services, now=now)
    assert len(notices(reports.world)) == 1


def test_each_week_has_its_own(reports: Reports) -> None:
    services, now = reports.world.services, reports.world.now
    for weeks in range(2):
        reporting.make_weekly(services=services, now=now + timedelta(weeks=weeks))
    assert len({it.id for it in notices(reports.world)}) == 2


# Asking for one


def test_asking_has_the_function_make_it(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, str]]] = []

    class Functions:
        def start(self, function: str, event: dict[str, str]) -> None:
            asked.append((function, event))

    services, now = reports.world.services, reports.world.now
    services.__dict__["functions"] = Functions()
    first = reporting.start(by="anna\n<!here>", services=services, now=now)
    second = reporting.start(by="anna", services=services, now=now)
    assert first != second
    assert [name for name, _ in asked] == ["keyward-report"] * 2
    assert asked[0][1] == {"report": first, "by": "anna (!here)"}
    handler = the_handler(services, monkeypatch)
    assert handler(asked[0][1], Context()).keys() == KINDS
    assert reporting.found(first, services=services, now=now) is not None


def test_the_schedule_has_the_week_made(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = the_handler(reports.world.services, monkeypatch)
    assert handler({"source": "aws.events"}, Context()) == {}
    assert len(notices(reports.world)) == 1


def the_handler(services: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(services_module, "_services", services)
    spec = importlib.util.spec_from_file_location("report_handler", HANDLER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.handler


def test_who_only_asks_for_reports_loads_nothing_that_draws() -> None:
    code = "import sys, keyward.reporting; print({'jinja2', 'pygal'} & sys.modules.keys())"
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(HANDLER.parents[2] / "layers" / "core")},
    )
    assert done.stdout.strip() == "set()"
