"""The report's page in a real browser: what it loads, who can read it, how it prints."""

from __future__ import annotations

import re
from time import monotonic
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from keyward.report_page import LIST_ROWS
from tests.browser.reports import a_hostile_report, a_report, an_empty_report

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from keyward.report import Report
    from tests.browser.conftest import Opened

    type Open = Callable[..., Opened]

REPORTS = {"plain": a_report, "empty": an_empty_report, "hostile": a_hostile_report}

any_report = pytest.mark.parametrize("report", [make() for make in REPORTS.values()], ids=REPORTS)

FOCUSED = """() => {
  const element = document.activeElement;
  return element.textContent.trim().slice(0, 60) || element.name || element.tagName;
}"""


def unfold(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")


def shown_rows(page: Page) -> int:
    rows: int = page.evaluate(
        "[...document.querySelectorAll('.findings tbody tr')].filter((row) => !row.hidden).length"
    )
    return rows


@any_report
def test_page_asks_for_nothing_and_complains_of_nothing(open_report: Open, report: Report) -> None:
    seen = open_report(report)
    unfold(seen.page)
    seen.page.mouse.move(400, 300)
    seen.page.mouse.wheel(0, 4000)
    loaded = [url for url in seen.requested if not url.startswith("data:")]
    assert loaded == [seen.page.url]
    assert seen.complaints == []
    assert seen.violations() == []


def test_policy_refuses_what_the_page_does_not_bring(open_report: Open) -> None:
    """The same watch sees a violation where there is one."""
    seen = open_report(a_report())
    seen.page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.canary = 'run'";
          document.body.append(script);
          const image = document.createElement("img");
          image.src = "https://canary.example.com/x.png";
          document.body.append(image);
        }"""
    )
    deadline = monotonic() + 10
    while len(seen.violations()) < 2 and monotonic() < deadline:
        seen.page.wait_for_timeout(20)
    assert seen.page.evaluate("window.canary === undefined")
    assert {each.split()[0] for each in seen.violations()} >= {"script-src-elem", "img-src"}


def test_no_canary_runs_or_becomes_an_element(open_report: Open) -> None:
    seen = open_report(a_hostile_report())
    page = seen.page
    unfold(page)
    for element in page.query_selector_all("th, td, li, bdi, svg")[:400:20]:
        element.dispatch_event("mouseover")
        element.dispatch_event("focus")
    assert page.evaluate("window.canary === undefined")
    assert (
        page.locator("img, iframe, object, foreignObject, base, [onerror], [onload]").count() == 0
    )
    assert page.locator("script").count() == 1
    assert page.evaluate("[...document.links].every((link) => link.hash.length > 1)")
    assert page.evaluate("[...document.links].every((link) => link.protocol === 'file:')")


@pytest.mark.parametrize(
    ("report", "width", "dark"),
    [
        pytest.param(a_report(count=10, days=7), 1280, False, id="light"),
        pytest.param(a_report(count=10, days=7), 1280, True, id="dark"),
        pytest.param(a_report(count=10, days=7), 375, True, id="phone"),
        pytest.param(an_empty_report(), 1280, False, id="empty"),
        pytest.param(a_hostile_report(), 1280, False, id="hostile"),
    ],
)
def test_axe_finds_no_violation(
    open_report: Open, report: Report, *, width: int, dark: bool
) -> None:
    page = open_report(report, width=width, dark=dark).page
    unfold(page)
    found = Axe().run(page)
    assert found.generate_snapshot() == ""
    assert "color-contrast" in {each["id"] for each in found.response["passes"]}


def test_both_schemes_differ(open_report: Open) -> None:
    grounds = {
        open_report(a_report(), dark=dark).page.evaluate(
            "getComputedStyle(document.body).backgroundColor"
        )
        for dark in (False, True)
    }
    assert len(grounds) == 2


def test_keyboard_reaches_everything_in_reading_order(open_report: Open) -> None:
    page = open_report(a_report()).page
    expected = page.evaluate(
        """() => [...document.querySelectorAll("a, summary, input, select")]
          .filter((each) => each.checkVisibility({visibilityProperty: true}))
          .map((each) => each.textContent.trim().slice(0, 60) || each.name || each.tagName)"""
    )
    reached = []
    for _ in expected:
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUSED))
    assert reached == expected
    assert reached[0] == "Skip to the report"
    assert "text" in reached


def test_skip_link_is_seen_once_it_has_the_focus_and_leads_to_the_report(
    open_report: Open,
) -> None:
    page = open_report(a_report()).page
    skip = page.locator(".skip")
    box = skip.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 0
    page.keyboard.press("Tab")
    box = skip.bounding_box()
    assert box is not None
    assert box["y"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_focus_is_seen(open_report: Open) -> None:
    page = open_report(a_report()).page
    for _ in range(12):
        page.keyboard.press("Tab")
        width = page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
        assert width >= 2


def test_keyboard_unfolds_a_table(open_report: Open) -> None:
    page = open_report(a_report()).page
    page.locator("#chart-ages summary").focus()
    page.keyboard.press("Enter")
    assert page.locator("#chart-ages table").is_visible()


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
@pytest.mark.parametrize("report", [a_report(), a_hostile_report()], ids=["plain", "hostile"])
def test_nothing_scrolls_sideways(open_report: Open, report: Report, width: int) -> None:
    page = open_report(report, width=width).page
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    reaching_out = page.evaluate(
        """(width) => [...document.querySelectorAll("body *:not(svg *, .skip, thead, thead *)")]
          .filter((each) => each.getBoundingClientRect().right > width + 1)
          .map((each) => each.outerHTML.slice(0, 80))""",
        width,
    )
    assert reaching_out == []


@pytest.mark.parametrize("width", [1040, 1280])
def test_cells_keep_to_themselves(open_report: Open, width: int) -> None:
    """A text that can't wrap would reach into the next column."""
    page = open_report(a_hostile_report(), width=width).page
    unfold(page)
    spilling = page.evaluate(
        """() => [...document.querySelectorAll("td, th")]
          .filter((each) => each.scrollWidth > each.clientWidth + 1)
          .map((each) => each.outerHTML.slice(0, 120))"""
    )
    assert spilling == []


def test_words_and_numbers_of_a_chart_are_not_written_over_each_other(open_report: Open) -> None:
    page = open_report(a_report(), width=1280).page
    overlapping = page.evaluate(
        """() => [...document.querySelectorAll("figure svg")].flatMap((svg) => {
          const texts = [...svg.querySelectorAll("text")]
            .map((each) => [each.textContent, each.getBoundingClientRect()])
            .filter(([text, box]) => text.trim() && box.width > 0);
          return texts.flatMap(([one, a], place) => texts.slice(place + 1)
            .filter(([, b]) => a.left < b.right - 1 && b.left < a.right - 1
              && a.top < b.bottom - 1 && b.top < a.bottom - 1)
            .map(([other]) => `${one} / ${other}`));
        })"""
    )
    assert overlapping == []


def test_page_prints_with_all_that_was_folded(open_report: Open) -> None:
    page = open_report(a_report()).page
    assert not page.locator("#findings details table").first.is_visible()
    printed = page.pdf(prefer_css_page_size=True)
    assert printed.startswith(b"%PDF-")
    assert printed.count(b"/Type /Page\n") > 3
    page.emulate_media(media="print")
    for table in page.locator("table").all():
        assert table.is_visible()
    assert not page.locator("nav").is_visible()


def test_print_has_a_light_ground_in_the_dark_scheme(open_report: Open) -> None:
    page = open_report(a_report(), dark=True).page
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 33, 41)"


def test_printing_leaves_folded_what_was_folded(open_report: Open) -> None:
    page = open_report(a_report()).page
    page.locator("#chart-ages summary").click()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 1


def test_filter_shows_what_has_the_text_and_the_severity(open_report: Open) -> None:
    page = open_report(a_report()).page
    rows = shown_rows(page)
    text, severity = (
        page.get_by_label("Show findings with this text"),
        page.get_by_label("Severity"),
    )
    count = page.locator("#filter output")
    text.fill("Backup-AGENT")
    expect(count).to_have_text(re.compile(f"^[1-9][0-9]* of {rows} findings shown$"))
    fitting = shown_rows(page)
    assert 0 < fitting < rows
    expect(count).to_have_text(f"{fitting} of {rows} findings shown")
    severity.select_option("critical")
    expect(count).to_have_text(f"0 of {rows} findings shown")
    assert shown_rows(page) == 0
    text.fill("")
    severity.select_option("")
    expect(count).to_have_text("")
    assert shown_rows(page) == rows


def test_filter_unfolds_where_it_finds(open_report: Open) -> None:
    page = open_report(a_report()).page
    page.get_by_label("Show findings with this text").fill("read back so")
    contained = page.locator(".batch", has_text="Key made inactive").first
    contained.locator("table").wait_for(state="visible")


def test_without_script_all_is_there_but_the_filter(open_report: Open) -> None:
    page = open_report(a_report(), script=False).page
    assert page.locator("#filter").is_hidden()
    assert page.locator("#findings .list").first.is_visible()
    page.locator("#findings summary").first.click()
    assert page.locator("#findings details table").first.is_visible()


def test_ten_thousand_findings_are_there_and_few_are_laid_out(open_report: Open) -> None:
    seen = open_report(a_report(count=10_000, days=90))
    page = seen.page
    assert shown_rows(page) == 10_000
    laid_out = page.evaluate(
        """() => [...document.querySelectorAll(".findings tbody tr")]
          .filter((row) => row.checkVisibility({contentVisibilityAuto: true})).length"""
    )
    assert laid_out == LIST_ROWS
    assert page.evaluate("document.querySelectorAll('*').length") < 18 * 10_000
    assert seen.complaints == []
