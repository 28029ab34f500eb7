"""A report as one page: HTML that needs no network, in light and dark, on paper and by ear.

The words and numbers are made here, the markup stands in report_page.html.jinja, and pygal draws
the charts. The page loads nothing: its policy (CSP) forbids that, and allows just the style and the
script that it brings, by their hashes. Without the script it lacks only the filter. The same report
always makes the same page.
"""

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib import resources
from itertools import batched
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from keyward.findings import Severity, State
from keyward.report import FindingRow, Report
from keyward.text import many

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

TEMPLATE = "report_page.html.jinja"

LIST_ROWS = 200
"""Findings in one table. The first table is open, the others unfold: a browser lays out little."""

SHOWN_CHARACTERS = 600
"""What a cell shows of a text. The whole of it is in the report's JSON."""

SHOWN_DAYS = 31
"""Up to so many days each has its dot in the chart."""

SOON_DAYS = 14
"""An exemption that ends so soon is mentioned at the top."""

SET_STATES = ("as in the catalogue", "differs", "missing", "not in the catalogue", "not compared")

END_BANDS = ((7, "in 7 days"), (30, "in 8 to 30 days"), (90, "in 31 to 90 days"))
"""When exemptions end: up to so many days from now, and how the page says it."""

LABEL_CHARACTERS = 24
"""A chart's labels are no longer: the table beside it has the whole of them."""

TICKS = 4
"""A chart's axis of numbers has about so many marks."""

SVG_TAGS = frozenset({"svg", "g", "path", "rect", "circle", "text"})
SVG_ATTRIBUTES = frozenset(
    {"class", "d", "x", "y", "width", "height", "cx", "cy", "r", "rx", "ry", "transform"}
    | {"text-anchor", "viewBox"}
)
"""All that is let through of what pygal draws: no script, style, link or tooltip of its own."""

WIDTH, HEIGHT, BAR, LABEL = 440, 240, 36, 13
"""A chart's size, a lying bar's and a text's, in its own units: legible on a phone, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number at the top, its words, and whether somebody should look. `note` says more."""

    words: str
    number: str
    note: str
    alarming: bool = False
    severity: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """A sentence about what to look at first, and the section of the page that says more."""

    text: str
    section: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart and its twin: a table of the same numbers, from which it is drawn.

    `rows` are a label and a number for each column after it. `svg` is None where there is
    nothing to draw, and else markup in which every text is escaped; `says` is a full sentence
    either way.
    """

    id: str
    title: str
    says: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...]], ...]
    svg: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Findings of one table, by their place in the list, counted from 1."""

    first: int
    last: int
    rows: tuple[FindingRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Findings that have the same to be done about them."""

    id: str
    title: str
    says: str
    empty: str
    total: int
    batches: tuple[Batch, ...]
    unfolded: bool


def page(report: Report) -> str:
    """The whole page. Nothing in it that came from an event or a person is markup."""
    template = _environment().get_template(TEMPLATE)
    names = {row.id: row.name for row in report.accounts if row.name}
    return template.render(
        report=report,
        figures=tuple(_figures(report)),
        attention=tuple(_attention(report)),
        charts=tuple(_charts(report)),
        listings=tuple(_listings(report)),
        names=names,
        frameworks=_frameworks(report),
    )


def visible(value: object) -> str:
    """The text on one line, with nothing in it that can't be seen or turns its direction.

    White space becomes a space. What else has no shape (control and direction marks, characters
    that no font has) is named by its code: [U+202E]. A very long text is cut, and says so.
    """
    text = str(value)
    if not text.isprintable():
        text = "".join(_shape(character) for character in text)
    if len(text) <= SHOWN_CHARACTERS:
        return text
    left_out = len(text) - SHOWN_CHARACTERS
    return f"{text[:SHOWN_CHARACTERS]}... ({left_out:,} more characters in the JSON)"


def _shape(character: str) -> str:
    """A character, or what stands for one that has no shape of its own."""
    if character.isprintable():
        return character
    return " " if character.isspace() else f"[U+{ord(character):04X}]"


def duration(seconds: float) -> str:
    """So long, in the two largest units that say something: "2 h 5 min"."""
    whole = max(0, round(seconds))
    if seconds < 1:
        return "under 1 s"
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts = []
    for unit, size in units:
        count, whole = divmod(whole, size)
        parts.append((count, unit))
    first = next(place for place, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)


def moment(at: datetime) -> str:
    """A time in UTC, as people read it: "2026-11-30 23:07"."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def _instant(at: datetime) -> str:
    """The same time as programs read it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@cache
def _environment() -> "Environment":
    """Jinja as the page needs it: all is escaped, and a name that is unknown is an error."""
    from jinja2 import (  # noqa: PLC0415 - who only asks for a report does without it
        Environment,
        FunctionLoader,
        StrictUndefined,
    )
    from markupsafe import Markup  # noqa: PLC0415 - the same

    def finalize(value: object) -> object:
        return value if isinstance(value, Markup | StrictUndefined) else visible(value)

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(_source),
    )
    environment.filters |= {
        "breakable": _breakable,
        "csp_hash": _csp_hash,
        "duration": duration,
        "instant": _instant,
        "many": many,
        "moment": moment,
        "n": "{:,}".format,
    }
    return environment


def _breakable(value: object) -> "Markup":
    """A name or address that may break after its signs, where a line ends."""
    from markupsafe import Markup, escape  # noqa: PLC0415 - who only asks for a report does without it

    parts = re.split(r"(?<=[@/:])(?=.)", visible(value))
    return Markup("<wbr>").join(escape(part) for part in parts)


def _source(name: str) -> str:
    """The template's text, wherever the package is installed."""
    return resources.files("keyward").joinpath(name).read_text(encoding="utf-8")


def _csp_hash(text: str) -> str:
    """What allows just this script or style. Source: https://www.w3.org/TR/CSP3/#grammardef-hash-source."""
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


# ---------------------------------------------------------------- what is said


def _figures(report: Report) -> Iterator[Figure]:
    """The numbers at the top. What no sweep has counted is not known, and no zero."""
    swept = report.inventory_at is not None
    for severity in reversed(Severity):
        number = report.open_by_severity.get(severity, 0)
        yield Figure(
            words=f"{severity} findings open",
            number=f"{number:,}",
            note="",
            alarming=number > 0 and severity.rank >= Severity.HIGH.rank,
            severity=severity,
        )
    yield Figure(words="contained now", number=f"{report.contained:,}", note="held by Keyward")
    contained = report.median_contain_seconds
    yield Figure(
        words="median time to contain",
        number="none yet" if contained is None else duration(contained),
        note="no act on an event in this time"
        if contained is None
        else "from the event to the verified act",
    )
    yield Figure(
        words="access keys left",
        number=_counted(report.keys, known=swept),
        note=f"{many(report.users, 'IAM user')} and {many(report.passwords, 'password')} besides"
        if swept
        else "no inventory of a complete sweep",
    )
    both = report.assignments_to_people + report.assignments_to_groups
    yield Figure(
        words="assignments to people directly",
        number=_counted(report.assignments_to_people, known=swept),
        note=f"of {many(both, 'assignment')}" if swept else "no inventory of a complete sweep",
    )
    covered = sum(row.covered for row in report.accounts)
    total = len(report.accounts)
    yield Figure(
        words="accounts covered",
        number=f"{covered:,} of {total:,}" if total else "not known",
        note="events are forwarded, sweeps look there" if total else "no account was listed",
        alarming=covered < total,
    )


def _counted(number: int, *, known: bool) -> str:
    return f"{number:,}" if known else "not known"


def _attention(report: Report) -> Iterator[Attention]:
    """What an owner with ten minutes should look at, gravest first."""
    grave = {
        severity: number
        for severity in (Severity.CRITICAL, Severity.HIGH)
        if (number := report.open_by_severity.get(severity, 0))
    }
    if grave:
        numbers = " and ".join(f"{number:,} {severity}" for severity, number in grave.items())
        ending = "finding is open" if sum(grave.values()) == 1 else "findings are open"
        yield Attention(text=f"{numbers} {ending}.", section="findings")
    failed = sum(row.state is State.FAILED for row in report.findings)
    if failed:
        yield Attention(
            text=f"Keyward tried to act on {many(failed, 'finding')} and could not.",
            section="findings",
        )
    if report.inventory_at is None:
        yield Attention(
            text="There is no inventory of a complete sweep: what was there before Keyward may not "
            "be known.",
            section="accounts",
        )
    uncovered = sum(not row.covered for row in report.accounts)
    if uncovered:
        verb = "is" if uncovered == 1 else "are"
        yield Attention(
            text=f"{many(uncovered, 'account')} {verb} not covered: what happens there, "
            "Keyward may not see.",
            section="accounts",
        )
    differing = sum(row.state in {"differs", "missing"} for row in report.sets)
    if differing:
        verb = "isn't" if differing == 1 else "aren't"
        yield Attention(
            text=f"{many(differing, 'permission set')} {verb} as the catalogue says.",
            section="permission-sets",
        )
    soon = sum(0 <= row.days_left <= SOON_DAYS for row in report.exemptions)
    if soon:
        verb = "ends" if soon == 1 else "end"
        yield Attention(
            text=f"{many(soon, 'exemption')} {verb} within {SOON_DAYS} days.", section="exemptions"
        )


def _listings(report: Report) -> Iterator[Listing]:
    """Findings by what is to be done about them, gravest and latest first."""
    groups: dict[str, list[FindingRow]] = {"open": [], "contained": [], "closed": []}
    for row in sorted(report.findings, key=lambda row: (-row.severity.rank, -_second(row))):
        groups[_group(row.state)].append(row)
    yield _listing(
        "open",
        "Open findings",
        "Somebody has to decide or mend something.",
        "No finding is open.",
        groups["open"],
        unfolded=True,
    )
    yield _listing(
        "contained",
        "Contained",
        "Keyward has acted and holds it so until it is released or mended.",
        "Keyward holds nothing contained.",
        groups["contained"],
        unfolded=False,
    )
    yield _listing(
        "closed",
        "Closed",
        "Resolved, released or exempt.",
        "No finding was closed.",
        groups["closed"],
        unfolded=False,
    )


def _second(row: FindingRow) -> float:
    return row.last_seen.timestamp()


def _group(state: State) -> str:
    if state.closed:
        return "closed"
    return "contained" if state is State.ACTED else "open"


def _listing(  # noqa: PLR0913 - a list and its words
    id_: str, title: str, says: str, empty: str, rows: Sequence[FindingRow], *, unfolded: bool
) -> Listing:
    batches = []
    first = 1
    for some in batched(rows, LIST_ROWS, strict=False):
        batches.append(Batch(first=first, last=first + len(some) - 1, rows=some))
        first += len(some)
    return Listing(
        id=id_,
        title=title,
        says=says,
        empty=empty,
        total=len(rows),
        batches=tuple(batches),
        unfolded=unfolded,
    )


def _frameworks(report: Report) -> dict[str, list[Any]]:
    """The controls by framework, in the report's order."""
    frameworks: dict[str, list[Any]] = {}
    for row in report.controls:
        frameworks.setdefault(row.framework, []).append(row)
    return frameworks


# ---------------------------------------------------------------- charts


def _charts(report: Report) -> Iterator[Chart]:
    """The six charts. Their labels are the report's own words, and are escaped all the same."""
    unswept = report.inventory_at is None
    yield _chart(
        "over-time",
        "Findings over time",
        ("Day", "Open at end", "Opened", "Closed"),
        [(day.day, (day.open, day.opened, day.closed)) for day in report.days],
        draw=_lines,
        says=_over_time(report),
    )
    yield _chart(
        "ages",
        "IAM users and access keys by age",
        ("Age", "Users", "Keys"),
        () if unswept else [(band.label, (band.users, band.keys)) for band in report.ages],
        draw=_bars,
        says="No inventory of a complete sweep has counted them."
        if unswept
        else f"{many(report.users, 'IAM user')} and {many(report.keys, 'active access key')} "
        "are left.",
    )
    states: Counter[str] = Counter(row.state for row in report.sets)
    yield _chart(
        "sets",
        "Permission sets against the catalogue",
        ("State", "Permission sets"),
        [(state.capitalize(), (states[state],)) for state in SET_STATES],
        draw=_bars,
        says=f"{states['as in the catalogue']:,} of {many(len(report.sets), 'permission set')} "
        "are as the catalogue says."
        if report.sets
        else "No permission set is known.",
    )
    ends = Counter(_ends(row.days_left) for row in report.exemptions)
    running = len(report.exemptions) - ends["ended"]
    yield _chart(
        "ends",
        "Exemptions by when they end",
        ("Ends", "Exemptions"),
        [(label.capitalize(), (ends[label],)) for label in _end_labels()],
        draw=_bars,
        says=f"{many(running, 'exemption')} {'is' if running == 1 else 'are'} in force, "
        f"{ends['ended']:,} ended."
        if report.exemptions
        else "There is no exemption.",
    )
    people, groups = report.assignments_to_people, report.assignments_to_groups
    yield _chart(
        "assignments",
        "Assignments to people and to groups",
        ("Assigned to", "Assignments"),
        () if unswept else [("Groups", (groups,)), ("People directly", (people,))],
        draw=_bars,
        says="No inventory of a complete sweep has counted them."
        if unswept
        else f"{_share(people, people + groups)} of all assignments name a person directly.",
    )
    covered = sum(row.covered for row in report.accounts)
    yield _chart(
        "covered",
        "Accounts covered",
        ("Accounts", "Number"),
        [("Covered", (covered,)), ("Not covered", (len(report.accounts) - covered,))],
        draw=_bars,
        says=f"Keyward sees {covered:,} of {many(len(report.accounts), 'account')}."
        if report.accounts
        else "No account was listed.",
    )


def _over_time(report: Report) -> str:
    opened, closed = sum(day.opened for day in report.days), sum(day.closed for day in report.days)
    if not report.days:
        return "No day is recorded yet."
    return (
        f"{opened:,} opened and {closed:,} closed in {many(len(report.days), 'day')}; "
        f"{report.days[-1].open:,} open at the end."
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "None"


def _ends(days_left: int) -> str:
    if days_left < 0:
        return "ended"
    for days, label in END_BANDS:
        if days_left <= days:
            return label
    return _end_labels()[-1]


def _end_labels() -> tuple[str, ...]:
    return ("ended", *(label for _, label in END_BANDS), f"after {END_BANDS[-1][0]} days")


type Rows = Sequence[tuple[str, tuple[int, ...]]]
"""A label, and a number for each column."""


def _chart(  # noqa: PLR0913 - a chart and its words
    id_: str,
    title: str,
    columns: tuple[str, ...],
    rows: Rows,
    *,
    draw: Callable[[tuple[str, ...], Rows], Any],
    says: str,
) -> Chart:
    """A chart of the rows, and the rows. All of them nothing: no chart."""
    svg = None
    if any(any(numbers) for _, numbers in rows):
        shown = [(visible(label)[:LABEL_CHARACTERS], numbers) for label, numbers in rows]
        root = _allowed(draw(columns[1:], shown).render_tree())
        _describe(root, id_=id_, title=title, says=says)
        svg = ET.tostring(root, encoding="unicode")
    return Chart(id=id_, title=title, says=says, columns=columns, rows=tuple(rows), svg=svg)


def _lines(columns: tuple[str, ...], rows: Rows) -> Any:  # noqa: ANN401 - pygal has no types
    """A line for each column."""
    import pygal  # noqa: PLC0415 - who only asks for a report does without it

    chart = pygal.Line(
        **_looks(rows),
        show_dots=len(rows) <= SHOWN_DAYS,
        dots_size=2.5,
        height=HEIGHT,
        margin_right=LABEL * 3,
        legend_at_bottom_columns=len(columns),
        show_minor_x_labels=False,
        x_labels_major_count=min(TICKS, len(rows)),
    )
    return _filled(chart, columns, rows)


def _bars(columns: tuple[str, ...], rows: Rows) -> Any:  # noqa: ANN401 - pygal has no types
    """A bar for each number, with the number beside it; they lie, so that no label hits another."""
    import pygal  # noqa: PLC0415 - who only asks for a report does without it

    several = len(columns) > 1
    chart = pygal.HorizontalBar(
        **_looks(rows),
        height=BAR * len(rows) * (3 if several else 2) // 2 + BAR * (5 if several else 3) // 2,
        margin_right=LABEL * 2,
        show_legend=several,
        legend_at_bottom_columns=len(columns),
        print_values=True,
        print_values_position="top",
    )
    return _filled(chart, columns, rows[::-1])


def _looks(rows: Rows) -> dict[str, Any]:
    """What all charts have in common. Colours and fonts come from the page's own style."""
    from pygal.style import Style  # noqa: PLC0415 - who only asks for a report does without it

    top = max(number for _, numbers in rows for number in numbers)
    sizes = dict.fromkeys(("label", "major_label", "legend", "value", "title"), LABEL)
    return {
        "width": WIDTH,
        "margin": 6,
        "legend_at_bottom": True,
        "spacing": 12,
        "legend_box_size": LABEL,
        "js": (),
        "css": (),
        "style": Style(**{f"{name}_font_size": size for name, size in sizes.items()}),
        "y_labels": ticks(top),
        "value_formatter": "{:,.0f}".format,
        "truncate_label": -1,
        "truncate_legend": -1,
    }


def ticks(top: int) -> list[int]:
    """Round whole numbers from 0 to `top` or a little above it, at even distances."""
    step = 1
    while step * TICKS < top:
        digits = str(step)
        step = step * 5 // 2 if digits[0] == "2" else step * 2
    return [step * place for place in range(-(-top // step) + 1)]


def _filled(chart: Any, columns: tuple[str, ...], rows: Rows) -> Any:  # noqa: ANN401 - pygal's
    """The chart with its labels and numbers."""
    chart.x_labels = [label for label, _ in rows]
    for place, column in enumerate(columns):
        chart.add(column, [numbers[place] for _, numbers in rows])
    return chart


def _allowed(drawn: Any) -> ET.Element:  # noqa: ANN401 - an element of lxml, where that is installed
    """A copy with listed elements and attributes only."""
    kept = ET.Element(
        drawn.tag,
        {name: value for name, value in drawn.attrib.items() if name in SVG_ATTRIBUTES},
    )
    kept.text = drawn.text if drawn.tag == "text" else None
    kept.extend(_allowed(child) for child in drawn if child.tag in SVG_TAGS)
    return kept


def _describe(root: ET.Element, *, id_: str, title: str, says: str) -> None:
    """Says of a chart what it is and what one sees, to those who don't see it."""
    names = {"title": f"chart-{id_}-title", "desc": f"chart-{id_}-desc"}
    root.attrib |= {
        "role": "img",
        "aria-labelledby": names["title"],
        "aria-describedby": names["desc"],
    }
    for place, (tag, text) in enumerate((("title", title), ("desc", says))):
        element = ET.Element(tag, {"id": names[tag]})
        element.text = text
        root.insert(place, element)
