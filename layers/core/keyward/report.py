"""What a report says, as data: pure, the same for its page, its CSV and its JSON."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from keyward.findings import Severity, State


class Part(BaseModel):
    """A part of a report: values never change."""

    model_config = ConfigDict(frozen=True)


class Day(Part):
    """How many findings a day opened and closed, and how many were open when it ended (UTC)."""

    day: str
    opened: int
    closed: int
    open: int


class AgeBand(Part):
    """IAM users and active access keys that are so old, by the last complete sweep."""

    label: str
    users: int
    keys: int


type SetState = Literal[
    "as in the catalogue", "differs", "missing", "not in the catalogue", "not compared"
]


class SetRow(Part):
    """A permission set against the catalogue, and how many people and groups hold it anywhere.

    "not compared": it is in both, and the rule that compares them is off.
    """

    name: str
    state: SetState
    accounts: int
    people: int
    groups: int


class ExemptionRow(Part):
    """An exemption, ended or not. `days_left` is negative once it has ended."""

    name: str
    account: str | None
    whom: str
    rules: tuple[str, ...]
    owner: str
    reason: str
    ticket: str
    until: AwareDatetime
    days_left: int


class AccountRow(Part):
    """An account and whether Keyward sees it. `why` says what is wrong where it doesn't."""

    id: str
    name: str | None
    covered: bool
    swept_at: AwareDatetime | None
    heard_at: AwareDatetime | None
    open: int
    why: str | None = None


class FindingRow(Part):
    """A finding, as lists show it."""

    key: str
    severity: Severity
    state: State
    rule: str
    account: str
    subject: str
    reason: str
    actor: str
    first_seen: AwareDatetime
    last_seen: AwareDatetime
    contained_seconds: float | None
    outcome: str | None
    owner: str | None


class ControlRow(Part):
    """A control of a framework, the rules that bear on it, and what they have found.

    `open` and `contained` count findings, `exempt` those that somebody let stand: exempted, or
    released. `enforced` counts rules in mode enforce. `why` says why it is not judged; `source` is
    where id and title come from.
    """

    framework: str
    control: str
    title: str
    rules: tuple[str, ...]
    how: str
    open: int
    contained: int
    enforced: int
    state: Literal["met", "open findings", "not judged"]
    exempt: int = 0
    why: str | None = None
    source: str = ""


class Report(Part):
    """All of it. `gaps` says in full sentences what could not be known, and why.

    `id` and `by` are the report's own, and who asked for it; `sweep` is the one whose inventory it
    has, None where there is none: counts of users, keys, passwords and assignments are then 0, and
    `ages` is empty.
    """

    made_at: AwareDatetime
    period_days: int
    settings_version: int
    ceiling: str
    paused_until: AwareDatetime | None
    inventory_at: AwareDatetime | None
    open_by_severity: dict[Severity, int]
    contained: int
    users: int
    keys: int
    passwords: int
    assignments_to_people: int
    assignments_to_groups: int
    median_contain_seconds: float | None
    days: tuple[Day, ...]
    ages: tuple[AgeBand, ...]
    sets: tuple[SetRow, ...]
    exemptions: tuple[ExemptionRow, ...]
    accounts: tuple[AccountRow, ...]
    findings: tuple[FindingRow, ...]
    controls: tuple[ControlRow, ...]
    gaps: tuple[str, ...]
    id: str = ""
    by: str = ""
    sweep: str | None = None
