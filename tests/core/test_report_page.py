from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from html.parser import HTMLParser
from importlib import resources
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyward.findings import Severity, State
from keyward.report import AgeBand, Report
from keyward.report_page import LIST_ROWS, SHOWN_CHARACTERS, duration, page, ticks, visible
from tests.browser.reports import (
    CANARIES,
    NOW,
    a_finding,
    a_hostile_report,
    a_report,
    an_empty_report,
    an_exemption,
    texts,
)

CHARTS = 6

VOID = {"meta", "link", "input", "col", "br", "img", "wbr"}

LOADING = {"src", "href", "srcset", "action", "formaction", "data", "poster", "xlink:href", "style"}
"""Attributes by which a page loads, leads elsewhere, or carries a style."""


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    parts: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(part for part in self.parts if isinstance(part, str))

    def all(self, name: str | None = None) -> list[Element]:
        found = [self] if name in {None, self.name} else []
        inside = [part.all(name) for part in self.parts if isinstance(part, Element)]
        return [*found, *(each for some in inside for each in some)]

    def words(self) -> str:
        return "".join(
            part
            if isinstance(part, str)
            else ("" if part.name in {"wbr", "bdi"} else " ") + part.words()
            for part in self.parts
        )


class Tree(HTMLParser):
    """The page as a browser without quirks reads it; unbalanced markup is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]
        self.feed(text)
        self.close()
        assert self.open == [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].parts.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].parts.append(data)

    def handle_comment(self, data: str) -> None:
        pytest.fail(f"a comment: {data}")


def tree(report: Report) -> Element:
    return Tree(page(report)).root


def words(report: Report) -> str:
    return " ".join(tree(report).words().split())


def figure(report: Report, words_of_it: str) -> str:
    items = [item for item in tree(report).all("li") if words_of_it in item.words()]
    return " ".join(items[0].words().split())


def shape(text: str) -> list[tuple[str, list[str]]]:
    """All elements and attributes but the places where a long name may break."""
    elements = (each for each in Tree(text).root.all() if each.name != "wbr")
    return [(each.name, sorted(each.attributes)) for each in elements]


def section(report: Report, id_: str) -> Element:
    return next(each for each in tree(report).all("section") if each.attributes["id"] == id_)


@pytest.mark.parametrize("report", [a_report(), an_empty_report(), a_hostile_report()])
def test_page_loads_nothing_and_leads_only_within_itself(report: Report) -> None:
    for element in tree(report).all():
        for name in LOADING & element.attributes.keys():
            assert re.fullmatch(r"#[a-z-]+|data:,", element.attributes[name]), element
    assert not {"img", "iframe", "object", "embed", "base"} & {
        element.name for element in tree(report).all()
    }


@pytest.mark.parametrize("report", [a_report(), an_empty_report(), a_hostile_report()])
def test_policy_allows_just_the_style_and_script_that_are_there(report: Report) -> None:
    root = tree(report)
    policy = next(
        element.attributes["content"]
        for element in root.all("meta")
        if element.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    for kind in ("style", "script"):
        (element,) = root.all(kind)
        digest = b64encode(sha256(element.text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")


def test_style_reaches_for_nothing() -> None:
    (style,) = tree(a_report()).all("style")
    assert "url(" not in style.text
    assert "@import" not in style.text


def test_hostile_text_adds_no_element_or_attribute() -> None:
    tame = tuple(f"tame {number}" for number in range(len(CANARIES)))
    assert shape(page(a_hostile_report())) == shape(page(a_hostile_report(tame)))


def test_hostile_text_is_all_there_to_be_read() -> None:
    shown = words(a_hostile_report())
    for canary in CANARIES:
        assert " ".join(visible(canary).split()) in shown


def test_each_text_of_the_report_is_shown() -> None:
    """A field of the report that the page forgets is found here."""
    report = a_report()
    shown = words(report)
    assert {text for text in texts(report) if text not in shown} == set()


def test_no_template_in_text_is_rendered() -> None:
    assert str(7 * 191) not in page(a_report(gaps=("{{ 7 * 191 }}",)))


@settings(max_examples=30)
@given(st.text(st.characters(exclude_categories=[]), min_size=1, max_size=60))
def test_any_text_is_shown_as_text(text: str) -> None:
    def of(text: str) -> str:
        finding = a_finding().model_copy(update={"reason": text, "actor": text})
        band = AgeBand.model_construct(label=text, users=1, keys=2)
        update = {"findings": (finding,), "ages": (band,), "gaps": (text,), "inventory_at": NOW}
        return page(an_empty_report().model_copy(update=update))

    rendered = of(text)
    rendered.encode()
    assert shape(rendered) == shape(of("tame"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Zoë Łukasz 日本 <b>", "Zoë Łukasz 日本 <b>"),
        ("two\nlines\tand\u00a0more", "two lines and more"),
        ("exe\u202egnp", "exe[U+202E]gnp"),
        ("nul\x00 \x1b[31m", "nul[U+0000] [U+001B][31m"),
        ("half \ud83d", "half [U+D83D]"),
        ("a" * SHOWN_CHARACTERS, "a" * SHOWN_CHARACTERS),
        (
            "a" * (SHOWN_CHARACTERS + 1),
            "a" * SHOWN_CHARACTERS + "... (1 more characters in the JSON)",
        ),
    ],
)
def test_text_is_shown_without_what_cannot_be_seen(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_no_direction_mark_or_control_character_is_left() -> None:
    left = {character for character in page(a_hostile_report()) if not character.isprintable()}
    assert left == {"\n"}


@pytest.mark.parametrize(
    "report",
    [a_report(), a_report(count=0), a_report(inventory_at=None, sweep=None), an_empty_report()],
)
def test_every_chart_has_its_table(report: Report) -> None:
    charts = tree(report).all("figure")
    assert len(charts) == CHARTS
    for chart in charts:
        (table,) = chart.all("table")
        assert len(table.all("caption")) == 1
        assert all(th.attributes["scope"] in {"col", "row"} for th in table.all("th"))


def test_a_chart_draws_the_numbers_of_its_table() -> None:
    chart = next(
        each for each in tree(a_report()).all("figure") if each.attributes["id"] == "chart-ages"
    )
    (svg,) = chart.all("svg")
    drawn = [int(text.text) for text in svg.all("text") if text.attributes.get("class") == "value"]
    cells = [int(cell.text) for cell in chart.all("td")]
    assert sorted(drawn) == sorted(cells) == [2, 2, 3, 3, 3, 4, 4, 5, 6, 6, 7, 9]


def test_a_chart_says_what_it_is_to_those_who_do_not_see_it() -> None:
    root = tree(a_report())
    ids = [each.attributes["id"] for each in root.all() if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    for svg in root.all("svg"):
        assert svg.attributes["role"] == "img"
        assert {svg.attributes["aria-labelledby"], svg.attributes["aria-describedby"]} <= set(ids)
        assert {each.name for each in svg.all()} <= {
            *("svg", "g", "path", "rect", "circle", "text", "title", "desc")
        }


def test_same_report_makes_the_same_page() -> None:
    assert page(a_report()) == page(a_report())


def test_empty_report_has_words_and_no_chart() -> None:
    root = tree(an_empty_report())
    assert root.all("svg") == []
    shown = words(an_empty_report())
    for sentence in (
        "No finding is open.",
        "Keyward holds nothing contained.",
        "There is no exemption.",
        "No account was listed.",
        "No permission set is known.",
        "No control was judged.",
        "no inventory of a complete sweep",
        "There is no inventory of a complete sweep",
        "What only the inventory of a complete sweep counts",
    ):
        assert sentence in shown


@pytest.mark.parametrize("figure_of", ["access keys left", "assignments to people directly"])
def test_what_no_sweep_counted_is_not_known(figure_of: str) -> None:
    assert figure(an_empty_report(), figure_of).startswith("not known ")


def test_what_a_sweep_counted_as_nothing_is_zero() -> None:
    assert figure(a_report(keys=0), "access keys left").startswith("0 ")


def test_nothing_contained_has_no_median() -> None:
    assert "none yet" in figure(a_report(median_contain_seconds=None), "median time to contain")


def test_what_was_contained_at_an_unknown_time_was_contained_all_the_same() -> None:
    shown = figure(a_report(median_contain_seconds=None, contained=3), "median time to contain")
    assert "nothing was contained" not in shown


def test_calm_is_claimed_of_nothing_but_what_was_looked_at() -> None:
    medium = a_finding(state=State.OPEN, severity=Severity.MEDIUM)
    calm = a_report(
        findings=(medium,),
        open_by_severity={Severity.MEDIUM: 1},
        sets=(),
        exemptions=(),
        accounts=tuple(row for row in a_report().accounts if row.covered),
    )
    assert "Nothing stands out: no critical or high finding is open" in words(calm)
    assert "as it should be" not in words(calm)


def test_met_is_explained_as_it_is_judged() -> None:
    said = section(a_report(), "evidence").words()
    for condition in ("is on", "a sweep looks at", "every account", "nothing is open"):
        assert condition in said


def test_gaps_stand_at_the_top() -> None:
    assert "The credential report of 444455556669" in section(a_report(), "glance").words()


def test_pause_is_said() -> None:
    assert "Paused" not in words(a_report())
    paused = words(a_report(paused_until=NOW + timedelta(hours=2)))
    assert "Paused: Keyward only reports until 2026-03-02 11:30 UTC" in paused


def test_what_to_look_at_counts_in_good_grammar() -> None:
    one = a_report(open_by_severity={Severity.HIGH: 1})
    assert "1 high finding is open." in words(one)
    more = a_report(open_by_severity={Severity.CRITICAL: 1, Severity.HIGH: 1})
    assert "1 critical and 1 high findings are open." in words(more)


def test_calm_report_says_that_nothing_stands_out() -> None:
    calm = a_report(
        count=0,
        sets=(),
        exemptions=(),
        accounts=tuple(row for row in a_report().accounts if row.covered),
    )
    assert "Nothing stands out" in words(calm)
    assert "Nothing stands out" not in words(a_report())
    assert "Nothing stands out" not in words(an_empty_report())
    assert "Nothing was missing" in words(a_report(gaps=()))


def test_findings_are_listed_gravest_and_latest_first() -> None:
    rows = tuple(
        a_finding(number, key=key, severity=severity, state=State.OPEN, last_seen=at)
        for number, (key, severity, at) in enumerate(
            (
                ("old-low", Severity.LOW, NOW - timedelta(days=3)),
                ("old-critical", Severity.CRITICAL, NOW - timedelta(days=3)),
                ("new-low", Severity.LOW, NOW),
                ("new-critical", Severity.CRITICAL, NOW),
            )
        )
    )
    found = section(a_report(findings=rows), "findings").words()
    keys = ("new-critical", "old-critical", "new-low", "old-low")
    places = [found.index(key) for key in keys]
    assert places == sorted(places)


@pytest.mark.parametrize("state", State)
def test_each_state_has_its_list(state: State) -> None:
    report = a_report(findings=(a_finding(state=state),))
    titles = {" ".join(each.words().split()) for each in section(report, "findings").all("h3")}
    expected = {
        State.ACTED: "Contained: 1",
        State.RELEASED: "Closed: 1",
        State.RESOLVED: "Closed: 1",
        State.EXEMPT: "Closed: 1",
    }.get(state, "Open findings: 1")
    assert expected in titles
    assert len([title for title in titles if title.endswith(": 0")]) == 2


def test_all_of_ten_thousand_findings_are_there_and_few_are_unfolded() -> None:
    text = page(a_report(count=10_000))
    assert text.count('<tr class="') == 10_000
    unfolded, *folded = text.split('<details class="batch">')
    assert unfolded.count('<tr class="') == LIST_ROWS
    assert {batch.count("<tr class=") for batch in folded} <= set(range(1, LIST_ROWS + 1))
    assert "<details open" not in text


def test_a_finding_takes_few_elements() -> None:
    few, more = (len(tree(a_report(count=count)).all()) for count in (100, 300))
    assert more - few < 18 * 200


def test_times_are_utc_and_machines_can_read_them() -> None:
    at = datetime(2026, 3, 2, 1, 5, tzinfo=ZoneInfo("Europe/Berlin"))
    made = tree(a_report(made_at=at)).all("time")[0]
    assert made.attributes["datetime"] == "2026-03-02T00:05:00Z"
    assert made.text == "2026-03-02 00:05"


@pytest.mark.parametrize(
    ("days_left", "said"),
    [(-1, "ended"), (0, "today"), (1, "1 day left"), (15, "15 days left")],
)
def test_exemption_says_when_it_ends(days_left: int, said: str) -> None:
    report = a_report(exemptions=(an_exemption("one", days_left=days_left),))
    assert said in section(report, "exemptions").words()


@pytest.mark.parametrize(
    ("days_left", "place"), [(-1, 0), (0, 1), (7, 1), (8, 2), (30, 2), (31, 3), (90, 3), (91, 4)]
)
def test_exemption_is_counted_by_when_it_ends(days_left: int, place: int) -> None:
    report = a_report(exemptions=(an_exemption("one", days_left=days_left),))
    chart = next(
        each for each in tree(report).all("figure") if each.attributes["id"] == "chart-ends"
    )
    assert [cell.text for cell in chart.all("td")] == [str(int(n == place)) for n in range(5)]


def test_headings_are_in_order_and_tables_have_captions() -> None:
    root = tree(a_report())
    levels = [int(each.name[1]) for each in root.all() if each.name in {"h1", "h2", "h3"}]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(len(table.all("caption")) == 1 for table in root.all("table"))
    assert root.all("html")[0].attributes["lang"] == "en"
    assert len(root.all("main")) == 1


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "under 1 s"),
        (1, "1 s"),
        (47.4, "47 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (7_500, "2 h 5 min"),
        (86_400, "1 d"),
        (90_061, "1 d 1 h"),
    ],
)
def test_duration_is_said_in_two_units(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@given(st.integers(min_value=1, max_value=10**7))
def test_ticks_are_even_and_reach_the_top(top: int) -> None:
    marks = ticks(top)
    assert marks[0] == 0
    assert marks[-2] < top <= marks[-1]
    assert {after - before for before, after in pairwise(marks)} == {marks[1]}
    assert len(marks) <= 6


def test_template_is_in_the_package() -> None:
    assert resources.files("keyward").joinpath("report_page.html.jinja").is_file()
