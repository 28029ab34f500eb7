"""A report as files: the whole of it as JSON, and each list of it as CSV. Pure."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from keyward.report import Report

type Cell = str | int | float | bool | datetime | tuple[str, ...] | None

_FORMULA = re.compile(r"""(^|;)(?=[\s"']*[=+\-@\uff1d\uff0b\uff0d\uff20])""")
"""A spreadsheet computes a cell that begins so; some do with the wide ones, too. Where a comma
divides no cells, as in many languages' Excel, a semicolon does, whatever is quoted.

Source: https://owasp.org/www-community/attacks/CSV_Injection
"""

_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
"""Control and direction marks, and halves of characters, which UTF-8 can't hold."""

HTML = "text/html; charset=utf-8"
JSON = "application/json"
CSV = "text/csv; charset=utf-8"


def as_json(report: Report) -> bytes:
    """All of the report. In ASCII: what turns a text's direction stands there by its code."""
    value = report.model_dump(mode="json")
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()


def tables(report: Report) -> dict[str, bytes]:
    """Each list of the report as CSV, by its name."""
    return {name: as_csv(columns, rows(report)) for name, (columns, rows) in TABLES.items()}


def as_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Cell]]) -> bytes:
    """The rows in UTF-8 with a mark at its beginning, by which Excel knows it.

    No cell of text is a formula to a spreadsheet: one that would be has an apostrophe before it.
    Moments are ISO 8601; several values in one cell are divided by a space.
    Source: https://www.rfc-editor.org/rfc/rfc4180
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_MINIMAL)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row[column]) for column in columns])
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def _cell(value: Cell) -> str | int | float:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return value
        case datetime():
            return value.isoformat()
        case tuple():
            return harmless(" ".join(value))
        case _:
            return harmless(value)


def harmless(text: str) -> str:
    """The text on one line, and no formula to a spreadsheet."""
    return _FORMULA.sub(r"\1'", _UNSEEN.sub(" ", text))


type _Rows = Callable[[Report], Iterable[Mapping[str, Cell]]]


def _of(name: str) -> _Rows:
    """The rows of a list of the report."""
    return lambda report: (row.model_dump() for row in getattr(report, name))


TABLES: Mapping[str, tuple[tuple[str, ...], _Rows]] = {
    "findings": (
        (
            *("key", "severity", "state", "rule", "account", "subject", "reason", "actor"),
            *("first_seen", "last_seen", "contained_seconds", "outcome", "owner"),
        ),
        _of("findings"),
    ),
    "exemptions": (
        ("name", "account", "whom", "rules", "owner", "reason", "ticket", "until", "days_left"),
        _of("exemptions"),
    ),
    "accounts": (
        ("id", "name", "covered", "swept_at", "heard_at", "open", "why"),
        _of("accounts"),
    ),
    "controls": (
        (
            *("framework", "control", "title", "state", "rules", "open", "contained", "exempt"),
            *("enforced", "how", "why", "source"),
        ),
        _of("controls"),
    ),
    "permission-sets": (("name", "state", "accounts", "people", "groups"), _of("sets")),
    "days": (("day", "opened", "closed", "open"), _of("days")),
    "ages": (("label", "users", "keys"), _of("ages")),
}
"""Name of a list -> its columns, and where its rows are."""
