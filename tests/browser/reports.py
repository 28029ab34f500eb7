"""Reports to render: of a plausible organization, of nothing, of very much, and of the hostile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel

from keyward.findings import Severity, State
from keyward.report import (
    AccountRow,
    AgeBand,
    ControlRow,
    Day,
    ExemptionRow,
    FindingRow,
    Report,
    SetRow,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)

CANARIES = (
    "<script>window.canary='script'</script>",
    "<img src=x onerror=\"window.canary='img'\">",
    '" onload="window.canary=\'onload\'" x="',
    "' onmouseover='window.canary=1' autofocus onfocus='window.canary=2",
    "javascript:window.canary='link'",
    "</style><script>window.canary='style'</script>",
    "</title></svg><svg onload=\"window.canary='svg'\"><foreignObject>",
    "]]><!--><script>window.canary='comment'</script>",
    "{{ 7 * 191 }}{% raw %}",
    "admin\u202egnp.exe\u2066\u200b\u0000\u001b[31m",
    "<a href='https://canary.example.com/'>press</a><base href='https://canary.example.com/'>",
    "<link rel=stylesheet href=//canary.example.com/x.css>@import 'https://canary.example.com'",
    "W" * 4096,
)
"""What must never come out as markup, code, a link or a turn of direction."""

PEOPLE = ("ana.lima@example.com", "ben.osei@example.com", "chen.wei@example.com")
NAMES = ("billing", "data-platform", "identity", "legacy-crm", "log-archive", "payments-prod")
FOUND = (
    (Severity.CRITICAL, State.FAILED, "iam-quarantine-undone", "User crm-sync"),
    (Severity.CRITICAL, State.OPEN, "iam-root-access-key-created", "Root of 444455556666"),
    (Severity.HIGH, State.OPEN, "iam-access-key-created", "Access key AKIAIOSFODNN7EXAMPLE"),
    (Severity.HIGH, State.ACTED, "iam-access-key-created", "Access key AKIAI44QH8DHBEXAMPLE"),
    (Severity.HIGH, State.RESOLVED, "idc-assignment-to-user", "AdministratorAccess to ana.lima"),
    (Severity.MEDIUM, State.OPEN, "iam-credential-unused", "User backup-agent"),
    (Severity.MEDIUM, State.EXEMPT, "iam-access-key-too-old", "Access key AKIAEXAMPLE7777777"),
    (Severity.MEDIUM, State.OPEN, "idc-permission-set-drift", "Permission set ReadOnlyBilling"),
    (Severity.LOW, State.OPEN, "idc-session-too-long", "Permission set DataScientist"),
    (Severity.LOW, State.RELEASED, "iam-user-created", "User partner-export"),
)
REASONS = {
    "iam-quarantine-undone": "AWSDenyAll was detached from a user that Keyward holds contained.",
    "iam-root-access-key-created": "The root user of an account has an access key.",
    "iam-access-key-created": "A long-lived access key was made for an IAM user.",
    "idc-assignment-to-user": "A permission set was assigned to a person and not to a group.",
    "iam-credential-unused": "Neither password nor keys were used for 94 days.",
    "iam-access-key-too-old": "The key is 412 days old, and 90 days are allowed.",
    "idc-permission-set-drift": "The inline policy isn't the catalogue's.",
    "idc-session-too-long": "A session lasts 12 hours, and 8 are allowed.",
    "iam-user-created": "An IAM user was made.",
}


def a_finding(number: int = 0, **changes: Any) -> FindingRow:
    """A finding like the others of an organization, one of ten kinds."""
    severity, state, rule, subject = FOUND[number % len(FOUND)]
    outcomes = {
        State.ACTED: "Key made inactive, and read back so",
        State.FAILED: "Could not contain: policy slots and groups are full",
        State.EXEMPT: "Exempt by partner-keys",
        State.RELEASED: "Released by ben.osei@example.com",
        State.RESOLVED: "The assignment is gone",
    }
    row = FindingRow(
        key=f"{number:020x}",
        severity=severity,
        state=state,
        rule=rule,
        account=f"{444455556666 + number % len(NAMES):012d}",
        subject=subject if number < len(FOUND) else f"{subject} ({number})",
        reason=REASONS[rule],
        actor=PEOPLE[number % len(PEOPLE)],
        first_seen=NOW - timedelta(days=number % 60, hours=3),
        last_seen=NOW - timedelta(days=number % 60, hours=number % 3),
        contained_seconds=41.0 if state is State.ACTED else None,
        outcome=outcomes.get(state),
        owner="crm-team@example.com" if state is State.FAILED else None,
    )
    return row.model_copy(update=changes)


def a_report(*, count: int = 26, days: int = 30, **changes: Any) -> Report:
    """A report of an organization with some findings of each kind."""
    rows = tuple(a_finding(number) for number in range(count))
    standing = {State.OPEN, State.FAILED}
    report = Report(
        made_at=NOW,
        period_days=days,
        settings_version=17,
        ceiling="enforce",
        paused_until=None,
        inventory_at=NOW - timedelta(hours=5),
        open_by_severity={
            severity: sum(row.severity is severity and row.state in standing for row in rows)
            for severity in Severity
        },
        contained=sum(row.state is State.ACTED for row in rows),
        users=23,
        keys=31,
        passwords=4,
        assignments_to_people=12,
        assignments_to_groups=148,
        median_contain_seconds=47.0,
        days=tuple(
            Day(
                day=f"{NOW - timedelta(days=days - 1 - number):%Y-%m-%d}",
                opened=(number * 7) % 5,
                closed=(number * 5) % 4,
                open=18 + (number * 3) % 7 - number // 4,
            )
            for number in range(days)
        ),
        ages=(
            AgeBand(label="up to 30 days", users=2, keys=3),
            AgeBand(label="31 to 90 days", users=4, keys=7),
            AgeBand(label="91 to 180 days", users=6, keys=9),
            AgeBand(label="181 days to a year", users=3, keys=2),
            AgeBand(label="1 to 2 years", users=3, keys=4),
            AgeBand(label="over 2 years", users=5, keys=6),
        ),
        sets=(
            _set("AdministratorAccess", "as in the catalogue", 14, 2, 3),
            _set("DataScientist", "as in the catalogue", 3, 0, 4),
            _set("LegacyOps", "not in the catalogue", 2, 7, 1),
            _set("ReadOnlyBilling", "differs", 14, 3, 2),
            _set("SecurityAudit", "as in the catalogue", 14, 0, 1),
            _set("BreakGlass", "missing", 0, 0, 0),
        ),
        exemptions=(
            an_exemption("partner-keys", days_left=63),
            an_exemption("crm-migration", days_left=9, account="444455556669"),
            an_exemption("old-scanner", days_left=-12),
        ),
        accounts=tuple(
            AccountRow(
                id=f"{444455556666 + number:012d}",
                name=name,
                covered=name != "legacy-crm",
                swept_at=NOW - timedelta(hours=5),
                heard_at=None if name == "legacy-crm" else NOW - timedelta(minutes=12 * number),
                open=sum(
                    row.account == f"{444455556666 + number:012d}" and row.state in standing
                    for row in rows
                ),
                why="No event ever arrived from there: the forwarding rule is missing in us-east-1."
                if name == "legacy-crm"
                else None,
            )
            for number, name in enumerate(NAMES)
        ),
        findings=rows,
        controls=(
            _control("CIS AWS Foundations 3.0", "1.4", "No root access key", "open findings", 1),
            _control("CIS AWS Foundations 3.0", "1.12", "Unused credentials are off", "met", 0),
            _control("CIS AWS Foundations 3.0", "1.14", "Keys rotate in 90 days", "not judged", 0),
            _control("NIST SP 800-53 Rev. 5", "AC-2", "Account management", "open findings", 4),
            _control("NIST SP 800-53 Rev. 5", "IA-5", "Authenticator management", "met", 0),
        ),
        gaps=(
            "The credential report of 444455556669 could not be read: access was denied.",
            "Nothing is known of console sign-ins before 2026-02-10, when Keyward was deployed.",
        ),
        id="2026-w10",
        by="the schedule",
        sweep="2026-03-02-04",
    )
    return report.model_copy(update=changes)


def an_empty_report() -> Report:
    """A report of a deployment's first minute: nothing was found, swept or listed."""
    return Report(
        made_at=NOW,
        period_days=7,
        settings_version=1,
        ceiling="report",
        paused_until=None,
        inventory_at=None,
        open_by_severity={},
        contained=0,
        users=0,
        keys=0,
        passwords=0,
        assignments_to_people=0,
        assignments_to_groups=0,
        median_contain_seconds=None,
        days=(),
        ages=(),
        sets=(),
        exemptions=(),
        accounts=(),
        findings=(),
        controls=(),
        gaps=(),
    )


def a_hostile_report(texts: tuple[str, ...] = CANARIES) -> Report:
    """A report with a canary in every text, and each canary somewhere in each kind of row.

    With other texts: the same report of tame ones, to compare with.
    """
    report = a_report(
        paused_until=NOW + timedelta(hours=2),
        exemptions=tuple(
            an_exemption(f"e{number}", days_left=number, account="444455556666")
            for number in range(len(CANARIES))
        ),
        findings=tuple(a_finding(number, owner="x", outcome="x") for number in range(20)),
        gaps=CANARIES,
    )
    planted = _planted(report, cycle(texts))
    assert isinstance(planted, Report)
    return planted


def texts(value: object) -> Iterator[str]:
    """Every text of a report that isn't a choice of few words."""
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            if _free(field.annotation):
                yield from texts(getattr(value, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from texts(item)
    elif type(value) is str:
        yield value


def _planted(value: object, canaries: Iterator[str]) -> object:
    """The same with a canary in the place of every text."""
    if isinstance(value, BaseModel):
        update = {
            name: _planted(getattr(value, name), canaries)
            for name, field in type(value).model_fields.items()
            if _free(field.annotation)
        }
        return value.model_copy(update=update)
    if isinstance(value, tuple):
        return tuple(_planted(item, canaries) for item in value)
    return next(canaries) if type(value) is str else value


def _free(annotation: Any) -> bool:
    """Whether the field holds free text, itself or further in: no choice (Literal), no number."""
    if annotation is str or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return True
    return get_origin(annotation) is not None and any(_free(each) for each in get_args(annotation))


def an_exemption(name: str, *, days_left: int, account: str | None = None) -> ExemptionRow:
    """An exemption of a partner's keys."""
    return ExemptionRow(
        name=name,
        account=account,
        whom="User partner-export",
        rules=("iam-access-key-created", "iam-access-key-too-old"),
        owner="chen.wei@example.com",
        reason="The partner's system can't assume a role before its next release.",
        ticket="SEC-1204",
        until=NOW + timedelta(days=days_left, hours=2),
        days_left=days_left,
    )


def _set(name: str, state: Any, accounts: int, people: int, groups: int) -> SetRow:
    return SetRow(name=name, state=state, accounts=accounts, people=people, groups=groups)


def _control(framework: str, control: str, title: str, state: Any, found: int) -> ControlRow:
    return ControlRow(
        framework=framework,
        control=control,
        title=title,
        rules=("iam-access-key-created", "iam-root-access-key-created"),
        how="Watches each event and sweeps daily, so that none is left that nobody knows of.",
        open=found,
        contained=0,
        enforced=1,
        state=state,
    )
