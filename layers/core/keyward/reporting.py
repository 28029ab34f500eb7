"""Makes reports: reads the ledger and the last inventory, and leaves page, CSV and JSON in S3."""

import re
import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import batched

from keyward import inventory, report_files, rules, standing
from keyward.controls import controls
from keyward.errors import GatewayError, RequestError
from keyward.findings import FindingRecord, Notice, Severity, State
from keyward.gateways.s3 import S3Gateway
from keyward.ledger import Ledger
from keyward.observability import count, logger
from keyward.planning import last_complete
from keyward.report import Report
from keyward.report_data import AccountSeen, Known, report
from keyward.rule import in_force
from keyward.services import Services
from keyward.sweep import Sweep
from keyward.text import clean, many

PREFIX = "reports"

ID = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{8}|[0-9]{4}-W[0-9]{2}")
"""A report that somebody asked for goes by its time, and by digits that nobody guesses; the week's
by its week."""

FILES: Mapping[str, tuple[str, str]] = {
    "html": ("keyward-report.html", report_files.HTML),
    "csv": ("findings.csv", report_files.CSV),
    **{
        f"csv-{name}": (f"{name}.csv", report_files.CSV)
        for name in report_files.TABLES
        if name != "findings"
    },
    "json": ("report.json", report_files.JSON),
}
"""Kind of file -> its name and type. The last one is written last: where it is, all are."""

READ_TOGETHER = 8
"""So many files of an inventory are read at once: each is an account's."""

ASKED_LENGTH = 200
"""So much is kept of who asked for a report."""


def make(id_: str, *, by: str, services: Services, now: datetime) -> dict[str, str]:
    """Makes the report of this id, and returns its files by kind (keys in S3): html, csv, json.

    The lists beside the findings are csv-accounts, csv-controls and so on. Made once: of an id that
    is there already the files are returned. Raises RequestError for what is no id of a report, and
    GatewayError.
    """
    from keyward import report_page  # noqa: PLC0415 - jinja2 and pygal: not where one is asked for

    keys = _keys(id_)
    if services.reports.exists(keys["json"]):
        return keys
    made = gathered(id_, by=by, services=services, now=now)
    lists = report_files.tables(made)
    bodies = {
        "html": report_page.page(made).encode("utf-8", "replace"),
        "json": report_files.as_json(made),
        "csv": lists["findings"],
        **{f"csv-{name}": body for name, body in lists.items()},
    }
    for kind, (name, content_type) in FILES.items():
        services.reports.put(
            keys[kind],
            bodies[kind],
            content_type=content_type,
            saved_as=None if kind == "html" else name,
        )
    count("ReportsMade")
    logger.info("report made", report=id_, findings=len(made.findings), gaps=len(made.gaps))
    return keys


def make_weekly(*, services: Services, now: datetime) -> None:
    """Makes the week's report and has people told, with a link of limited life: once a week.

    Raises GatewayError.
    """
    id_ = week(now)
    keys = make(id_, by="schedule", services=services, now=now)
    hours = services.accepted(now).settings.reports.link_hours
    link = services.reports.sign(keys["html"], seconds=hours * 3600)
    ends = now + timedelta(hours=hours)
    services.ledger.notice(
        Notice(
            kind="report",
            id=id_,
            title=f"Keyward's report of week {id_} is made",
            text=(
                f"The link below lets anybody who has it read the report's page, until "
                f"{ends:%Y-%m-%d %H:%M} UTC at most, which is {many(hours, 'hour')}; AWS ends it "
                "earlier when the credentials that signed it end. The report itself stays, with "
                f"the same as CSV and JSON, under {PREFIX}/{id_}/ in the bucket "
                f"{services.environment.reports_bucket}. keyward report makes a new one."
            ),
            severity=Severity.LOW,
            at=now,
            links={"Report": link},
        )
    )


def start(*, by: str, services: Services, now: datetime) -> str:
    """Has the report function make a report, and returns its id. Raises GatewayError."""
    id_ = f"{now.astimezone(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
    asked = {"report": id_, "by": clean(by, limit=ASKED_LENGTH)}
    services.functions.start(services.environment.report_function, asked)
    return id_


def found(id_: str, *, services: Services, now: datetime) -> dict[str, str] | None:
    """Links to the files of a report, by kind; None while it is being made, or was never asked for.

    Each lets whoever has it read that file alone, for `reports.link_hours` at most. Raises
    RequestError for what is no id of a report, and GatewayError.
    """
    keys = _keys(id_)
    if not services.reports.exists(keys["json"]):
        return None
    seconds = services.accepted(now).settings.reports.link_hours * 3600
    return {kind: services.reports.sign(key, seconds=seconds) for kind, key in keys.items()}


def week(at: datetime) -> str:
    """The week's id, by ISO 8601 and UTC: 2026-W49."""
    year, number, _ = at.astimezone(UTC).isocalendar()
    return f"{year}-W{number:02}"


def gathered(id_: str, *, by: str, services: Services, now: datetime) -> Report:
    """The report as data: all findings of the ledger, and the last complete inventory.

    What can't be read but findings, settings and sweeps is a gap of the report. Raises
    GatewayError.
    """
    ledger = services.ledger
    sweeps = ledger.sweeps()
    gaps: list[str] = []
    active = _active(services, gaps)
    seen = [
        AccountSeen(
            id=it.id,
            name=active.pop(it.id, None),
            swept_at=it.swept.at if it.swept else None,
            heard_at=it.heard.time if it.heard else None,
            wrong=tuple(it.wrong),
        )
        for it in standing.known(ledger, sweeps)
    ]
    seen += [AccountSeen(id=id_, name=name) for id_, name in active.items()]
    known = Known(
        id=id_,
        by=by,
        settings=in_force(services.accepted(now), rules.every()),
        sweeps=sweeps,
        accounts=seen,
        controls=controls(),
        gaps=tuple(gaps),
    )
    try:
        return report(_findings(ledger), _inventory(services, sweeps), known=known, now=now)
    except GatewayError as error:
        if error.retryable:
            raise
        # Half an inventory makes no numbers. Where the ledger is at fault, it is once more.
        logger.warning("inventory not read", reason=str(error))
        gap = f"The inventory could not be read ({error.code or 'no answer'})."
        without = replace(known, gaps=(*known.gaps, gap))
        return report(_findings(ledger), None, known=without, now=now)


def _findings(ledger: Ledger) -> Iterator[FindingRecord]:
    """All findings, some of them twice.

    They are read state by state: one that goes back to a state that was read by then is in neither.
    So those of the states that one goes back to are read again.
    """
    yield from ledger.every(*State)
    yield from ledger.every(*(it for it in State if not it.closed))


def _keys(id_: str) -> dict[str, str]:
    """Where the report's files are, by kind. Raises RequestError."""
    if not ID.fullmatch(id_):
        message = "no id of a report: it looks like 20261130T231500-0a1b2c3d, or 2026-W49"
        raise RequestError(message)
    return {kind: f"{PREFIX}/{id_}/{name}" for kind, (name, _) in FILES.items()}


def _active(services: Services, gaps: list[str]) -> dict[str, str]:
    """The names of the organization's active accounts, by id; a gap where AWS doesn't tell them."""
    names: dict[str, str] = {}
    after: str | None = None
    try:
        while True:
            page, after = services.organization.some_accounts(after=after)
            names |= {it.id: it.name for it in page if it.state == "ACTIVE"}
            if after is None:
                break
    except GatewayError as error:
        logger.warning("accounts not listed", reason=str(error))
        gaps.append(
            f"The organization's accounts could not be listed ({error.code or 'no answer'}): their "
            "names are missing, and those that no sweep or event told of."
        )
    return names


def _inventory(services: Services, sweeps: list[Sweep]) -> Iterator[dict[str, object]] | None:
    """The lines of the last complete sweep's inventory; None where there is none."""
    bucket, complete = services.inventory, last_complete(sweeps)
    if bucket is None or complete is None:
        return None
    keys = list(bucket.keys(f"{inventory.PREFIX}/{complete.id}/"))
    return _lines(bucket, keys) if keys else None


def _lines(bucket: S3Gateway, keys: list[str]) -> Iterator[dict[str, object]]:
    with ThreadPoolExecutor(READ_TOGETHER) as pool:
        for some in batched(keys, READ_TOGETHER, strict=False):
            for lines in pool.map(bucket.lines, some):
                yield from lines
