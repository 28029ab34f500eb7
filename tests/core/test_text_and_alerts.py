"""What people read: harmless, on one line where it must be, with the way back."""

from __future__ import annotations

import json
import unicodedata
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyward.alerts import alert, digest, for_chat
from keyward.findings import FindingRecord, Notice, Severity, State, Would
from keyward.planner import finished
from keyward.text import clean
from tests.builders import NOW, a_key, an_iam_user
from tests.core.test_planner import planned, recorded

HOSTILE = st.text(max_size=400) | st.sampled_from(
    ["<!channel> hi", "<https://evil.example|click>", "@here", "a\nb\r\nc", "\u202egnp.exe", "&lt;"]
)


def a_record(state: State = State.OPEN, **changes: object) -> FindingRecord:
    record = recorded(planned(a_key(an_iam_user())))
    done = finished(record, state, outcome="access key AKIA is inactive", now=NOW)
    return done.model_copy(update=changes)


@given(HOSTILE)
def test_cleaned_text_is_one_line_without_markup_mentions_or_direction_marks(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned) <= 300
    assert not set("<>&\n\r") & set(cleaned)
    assert "@here" not in cleaned
    assert not any(
        unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl"} for character in cleaned
    )


@given(HOSTILE)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(HOSTILE, HOSTILE)
def test_subject_is_ascii_on_one_line_of_at_most_100_characters(subject: str, reason: str) -> None:
    message = alert(a_record(subject=subject, reason=reason))
    assert message.subject.isascii()
    assert message.subject.isprintable()
    assert 0 < len(message.subject) <= 100
    assert "<" not in message.body


def test_alert_says_what_where_who_what_was_done_and_the_way_back() -> None:
    record = a_record(State.ACTED)
    body = alert(record).body
    for said in (
        record.subject,
        record.account,
        record.evidence.actor,
        "192.0.2.44",
        "access key AKIA is inactive",
        f"keyward release {record.key}",
        record.rule,
    ):
        assert said in body


def test_alert_says_that_nobody_knows_who_where_keyward_found_it_by_itself() -> None:
    swept = a_record()
    evidence = swept.evidence.model_copy(update={"actor": "Keyward"})
    body = alert(swept.model_copy(update={"evidence": evidence})).body
    assert "Who:      unknown: a sweep found it\n" in body
    assert "a sweep found it" not in alert(swept).body


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_an_alert(state: State) -> None:
    message = alert(a_record(state))
    assert message.attributes["state"] == state.value


def test_attributes_fit_sns() -> None:
    assert len(alert(a_record()).attributes) <= 10


def test_digest_counts_by_rule_and_names_the_gravest_first() -> None:
    records = [a_record(severity=Severity.LOW) for _ in range(40)]
    records.append(a_record(severity=Severity.CRITICAL, subject="access key AKIAGRAVEST"))
    message = alert(digest(records, id_="1", to=("topic",), at=NOW))
    assert message.subject.startswith("[CRITICAL] 41 ")
    assert message.body.index("AKIAGRAVEST") < message.body.index("- low")
    assert "... and 16 more" in message.body


def test_notice_is_told_with_its_title() -> None:
    notice = Notice(
        kind="setting-refused", id="1", title="Bad", text="why", severity=Severity.HIGH, at=NOW
    )
    assert alert(notice).subject == "[HIGH] Bad"


def a_warning(**changes: object) -> FindingRecord:
    known: dict[str, object] = {
        "grace_until": NOW + timedelta(days=14),
        "owner": "data@example.com",
        "outcome": None,
        "would": Would(action="deactivate-access-key"),
    }
    return a_record().model_copy(update=known | changes)


def test_a_warning_says_when_what_happens_to_whom_and_how_to_prevent_it() -> None:
    message = alert(a_warning(severity=Severity.MEDIUM))
    assert message.subject.startswith("[MEDIUM] Warning, acts on 2026-12-04: access key ")
    for said in (
        "Owner:    data@example.com",
        "Done:     nothing yet. With the first sweep after 2026-12-04 09:14 UTC",
        "the access key becomes inactive, unless",
        "keyward exempt ",
        "To fix:   ",
    ):
        assert said in message.body
    assert message.attributes["state"] == "open"


def test_a_warning_of_a_quarantine_says_that_keys_stop_as_well() -> None:
    body = alert(a_warning(would=Would(action="quarantine-user"))).body
    assert "the user is denied everything, and its access keys become inactive" in body


def test_a_warning_without_an_owner_says_so() -> None:
    assert "Owner:    nobody knows" in alert(a_warning(owner=None)).body


def test_who_was_warned_is_named_again_with_the_act_and_nobody_else_is() -> None:
    acted = a_record(State.ACTED, owner="data@example.com")
    assert "Owner:    data@example.com" in alert(acted).body
    assert alert(acted).subject.startswith("[HIGH] Contained: ")
    assert "Owner:" not in alert(a_record()).body


def test_a_digest_says_which_are_warnings() -> None:
    body = alert(digest([a_warning(), a_record(State.ACTED)], id_="1", to=("topic",), at=NOW)).body
    assert "warning, acts on 2026-12-04" in body


@given(HOSTILE)
def test_an_owner_from_a_tag_is_never_markup(owner: str) -> None:
    message = alert(a_warning(owner=owner))
    assert not set("<>&") & set(message.body)
    assert "@here" not in message.body


def test_mentions_ring_nobody_however_they_are_written() -> None:
    assert (
        clean("@Channel @HERE @everyonE @hereby") == "(at)Channel (at)HERE (at)everyonE (at)hereby"
    )


def test_alert_has_no_address_that_a_mail_program_makes_a_link_of() -> None:
    record = a_record().model_copy(
        update={"reason": "https://evil.example/login", "owner": "http://x"}
    )
    assert "://" not in alert(record).body


MARKDOWN = "*b* [x](https://evil.example) ![i](//e) `c` # h | t | <at>x</at> \\[a :skull: ~s~ _i_"


def test_alert_for_chat_is_its_own_format_and_nothing_in_it_is_markdown() -> None:
    record = a_record().model_copy(update={"reason": MARKDOWN, "subject": MARKDOWN})
    found = json.loads(for_chat(record))
    assert (found["version"], found["source"]) == ("1.0", "custom")
    assert found["metadata"] == {"threadId": record.key}
    content = found["content"]
    assert content["textType"] == "client-markdown"
    for text in (content["title"], content["description"]):
        assert not set("*_~`#[]|\\<>!") & set(text)
        assert "://" not in text
    assert f"keyward findings show {record.key}" in content["description"]


def test_report_in_chat_keeps_its_link_and_a_long_one_says_where_the_rest_is() -> None:
    link = "https://bucket.example/a_b?x=1*2"
    notice = Notice(
        kind="report",
        id="1",
        title="t",
        text="x",
        severity=Severity.LOW,
        at=NOW,
        details=("d" * 300,) * 20,
        links={"Report": link},
    )
    description = json.loads(for_chat(notice))["content"]["description"]
    assert description.endswith(f"\nReport: {link}")
    assert "alert topic" in description
    assert len(description) < 4200
