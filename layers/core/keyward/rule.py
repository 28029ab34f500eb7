"""What a rule is, and how rules judge: pure, the same at event time, in a sweep and in explain."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import UnionType
from typing import Any, Literal

from keyward.actions import Enforcement
from keyward.baselines import Baselines, baselines_of
from keyward.catalogue import catalogue_of
from keyward.errors import SettingsError
from keyward.exemptions import Exemption
from keyward.findings import Evidence, Finding, Reason
from keyward.model import (
    AccountAccess,
    AccountAssignment,
    Catalogue,
    Hint,
    OwnResource,
    RootAccessKey,
    Subject,
)
from keyward.settings import Accepted, Mode, RuleSettings, validated


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule[S, C: RuleSettings]:
    """One policy rule: what raises it, what it judges, what it asks for.

    `triggers` maps a CloudTrail eventSource to event names. `judge` yields the reasons to object
    to a subject; it must be pure. `needs` says what an event alone cannot tell: "ledger" or
    "state". `patience_seconds`: a change comes in several calls, so that nobody looks earlier than
    that after one of them. `again_seconds`, by the rule's settings: so long after an event about an
    account Keyward looks at that account once more; None: it doesn't.
    """

    id: str
    triggers: Mapping[str, tuple[str, ...]]
    judges: type[S] | UnionType
    settings: type[C]
    enforcement: Enforcement
    judge: Callable[[S, Hint, C], Iterator[Reason]]
    fix: str
    needs: Literal["ledger", "state"] | None = None
    patience_seconds: int = 0
    again_seconds: Callable[[C], int | None] = lambda _: None

    def concerns(self, hint: Hint) -> bool:
        """Whether the hint is of a kind that this rule listens to. A look concerns every rule."""
        names = self.triggers.get(hint.event_source, ())
        return hint.origin != "event" or hint.event_name in names

    def reasons(self, subject: Subject, hint: Hint, settings: C) -> Iterator[Reason]:
        """The reasons against `subject`; none where the rule doesn't judge that kind."""
        if isinstance(subject, self.judges):
            yield from self.judge(subject, hint, settings)


type AnyRule = Rule[Any, Any]
"""A rule of whatever subject and settings, for lists of rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """The settings as rules use them: typed, with the exemptions read."""

    accepted: Accepted
    rules: Mapping[str, RuleSettings]
    exemptions: Mapping[str, Exemption]
    unreadable: Mapping[str, object]
    """Exemptions that this version cannot read: their id, and the account that they name."""
    catalogue: Catalogue
    baselines: Baselines

    def mode(self, rule: str, now: datetime) -> Mode:
        """What `rule` may do at `now`: its own mode under the global ceiling."""
        return min(self.rules[rule].mode, self.accepted.ceiling(now), key=lambda mode: mode.rank)

    def exemption(self, *, rule: str, subject: Subject, now: datetime) -> str | None:
        """The id of the exemption that covers `subject`, or None.

        Nobody exempts a root user, or what Keyward is made of. Of an assignment that is judged by
        an account's baselines, one of the account's access holds as well.
        """
        if isinstance(subject, OwnResource | RootAccessKey):
            return None
        subjects = [subject]
        if isinstance(subject, AccountAssignment) and subject.expected is not None:
            subjects.append(AccountAccess(account=subject.account))
        for name, exemption in self.exemptions.items():
            if any(exemption.covers(rule=rule, subject=it, now=now) for it in subjects):
                return name
        return None


def in_force(accepted: Accepted, rules: Iterable[AnyRule]) -> InForce:
    """The accepted settings, typed for these rules.

    What this version of the code cannot read falls back to the default, which only reports, and an
    exemption to holding back in its account: it was accepted by another version, and is judged
    anew by settings_guard within five minutes.
    """
    typed: dict[str, RuleSettings] = {}
    for rule in rules:
        try:
            typed[rule.id] = validated(rule.id, rule.settings, accepted.rules.get(rule.id, {}))
        except SettingsError:
            typed[rule.id] = rule.settings()
    exemptions: dict[str, Exemption] = {}
    unreadable: dict[str, object] = {}
    for name, value in accepted.exemptions.items():
        try:
            exemptions[name] = validated(name, Exemption, value)
        except SettingsError:
            unreadable[name] = value.get("account")
    return InForce(
        accepted=accepted,
        rules=typed,
        exemptions=exemptions,
        unreadable=unreadable,
        catalogue=catalogue_of(accepted.permission_sets),
        baselines=baselines_of(accepted.baselines),
    )


def judge(
    rules: Iterable[AnyRule], subjects: Iterable[Subject], *, hint: Hint, settings: InForce
) -> list[Finding]:
    """Every finding that the rules have about the subjects, in the rules' order. Pure.

    A failed call (`errorCode`) changed nothing, so that nothing is found. Rules in mode off don't
    judge; under a ceiling of off none does.
    """
    if hint.error_code is not None or settings.accepted.settings.ceiling is Mode.OFF:
        return []
    subjects = tuple(subjects)
    evidence = Evidence(
        event_id=hint.event_id,
        event_name=hint.event_name,
        event_time=hint.time,
        region=hint.region,
        actor=hint.actor,
    )
    return [
        Finding(
            rule=rule.id,
            severity=reason.severity or settings.rules[rule.id].severity,
            subject=subject,
            reason=reason,
            enforcement=rule.enforcement,
            fix=rule.fix,
            evidence=evidence,
        )
        for rule in rules
        if rule.concerns(hint) and settings.rules[rule.id].mode is not Mode.OFF
        for subject in subjects
        for reason in rule.reasons(subject, hint, settings.rules[rule.id])
    ]
