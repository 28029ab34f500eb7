"""What is wrong: a rule's reason about a subject, and the record that the ledger keeps of it."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from keyward.actions import Action, Before, Enforcement, Pending, Target
from keyward.model import (
    AccountId,
    Actor,
    CustomerPolicy,
    PermissionSetAttributes,
    PolicyDocument,
    Subject,
)


class Severity(StrEnum):
    """How soon somebody must look."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for low to 3 for critical."""
        return list(Severity).index(self)


class State(StrEnum):
    """The life of a finding.

    ACTING is a claim: somebody is at work, or was when it crashed; the claim has an end.
    RELEASING likewise, by an operator.
    """

    OPEN = "open"
    ACTING = "acting"
    ACTED = "acted"
    FAILED = "failed"
    EXEMPT = "exempt"
    RELEASING = "releasing"
    RELEASED = "released"
    RESOLVED = "resolved"

    @property
    def closed(self) -> bool:
        """Whether the same violation, seen again, is a new offence (a new episode)."""
        return self in {State.RELEASED, State.RESOLVED, State.EXEMPT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a rule objects. `code` is stable and part of the finding's key; `text` is for people.

    `severity` overrides the rule's where the circumstances make it worse. `details` are lines to be
    read below the text, such as a diff. `maybe`: the event alone can't tell, the state must; that
    it is not so is then no news, and the code is the same either way. `report_only`: nothing is to
    be done about it, whatever the rule's mode. `wanted`: what a permission set should be instead,
    where that is less than all that the catalogue says: nothing else of it is then touched.
    `policy` is the one of a permission set's that it is about.
    `since` is when the violation came about, where that is later than the subject itself: a key is
    too old long after it was made. `grace_days`: so long the owner is warned before it is acted on.
    """

    code: str
    text: str
    severity: Severity | None = None
    details: tuple[str, ...] = ()
    maybe: bool = False
    report_only: bool = False
    wanted: PermissionSetAttributes | None = None
    policy: PolicyDocument | CustomerPolicy | None = None
    since: datetime | None = None
    grace_days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Where the suspicion came from."""

    event_id: str
    event_name: str
    event_time: datetime
    region: str
    actor: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule is broken by a subject. Findings about one subject are folded into the gravest.

    `also` names the other rules that the same subject breaks in the same way.
    """

    rule: str
    severity: Severity
    subject: Subject
    reason: Reason
    enforcement: Enforcement
    fix: str
    evidence: Evidence
    also: tuple[str, ...] = ()

    @property
    def account(self) -> AccountId:
        """The account that the subject lives in."""
        return self.subject.account

    @property
    def key(self) -> str:
        """The same for the same rule, account, subject and kind of wrong; see `finding_key`."""
        return finding_key(
            rule=self.rule,
            account=self.account,
            unique_id=self.subject.unique_id or self.subject.label,
            code=self.reason.code,
        )


def finding_key(*, rule: str, account: AccountId, unique_id: str, code: str) -> str:
    """Twenty hexadecimal digits, derived from what makes a finding the same finding."""
    identity = f"{rule}\n{account}\n{unique_id}\n{code}"
    return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:20]


class Moment(BaseModel):
    """A step in the life of a finding."""

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime
    state: State
    note: str = ""


class RecordedEvidence(BaseModel):
    """Evidence as the ledger keeps it: allow-listed fields only, never the whole event."""

    model_config = ConfigDict(frozen=True)

    event_id: str
    event_name: str
    event_time: AwareDatetime
    region: str
    actor: str
    source_ip: str | None = None

    @property
    def by_itself(self) -> bool:
        """Whether Keyward came upon it by itself: who did it, and when, nobody knows."""
        return self.actor == "Keyward"


class Would(BaseModel):
    """What mode enforce would do about a finding, for a plan to be shown.

    `action` is the name of the act, None where there would be none; `held` then says why. `existed`
    tells that it would do so only with `existing: enforce`.
    """

    model_config = ConfigDict(frozen=True)

    action: str | None = None
    held: str | None = None
    existed: bool = False


class Acknowledged(BaseModel):
    """Somebody has seen it, and says so: nothing is done, and others need not look."""

    model_config = ConfigDict(frozen=True)

    by: str
    at: AwareDatetime
    note: str = ""


class Awaited(BaseModel):
    """A release that waits for a second person. `by` is the first, `person` who that is."""

    model_config = ConfigDict(frozen=True)

    by: str
    person: str
    at: AwareDatetime
    reason: str
    days: int | None = None


class FindingRecord(BaseModel):
    """A finding as the ledger keeps it: one item, however often the event comes.

    `version` grows with each write. `claim_until` ends the claim of a worker that died.
    `untold` is when the last change that people must hear of happened, None once it was told.
    `held` says why nothing was done although the rule asks for it. `action` is the intent,
    `pending` what it waits for. `would` is what mode enforce would do, as of when it was seen last.
    `also_would` is the same of the rules in `also`. `owner` is who is to be warned, as far as
    anybody knows; `grace_until` when it is acted on if nothing changes: the owner was warned.
    `follows`: what is untold is how it goes on, for those alone who were told how it began.
    `acknowledged` says who has seen it, `awaited` who asked for a release that takes another.
    `ordered_by` is who ordered the act: it goes on, whatever the rule's mode.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    episode: int = 1
    version: int = 1
    state: State
    rule: str
    also: tuple[str, ...] = ()
    severity: Severity
    mode: str
    account: str
    subject: str
    subject_kind: str
    unique_id: str
    user_id: str | None = None
    user_name: str | None = None
    user_arn: str | None = None
    reason: str
    details: tuple[str, ...] = ()
    fix: str
    enforcement: Enforcement
    evidence: RecordedEvidence
    seen: int = 1
    first_seen: AwareDatetime
    last_seen: AwareDatetime
    action: Action | None = None
    pending: Pending | None = None
    claim_until: AwareDatetime | None = None
    exempt_by: str | None = None
    held: str | None = None
    outcome: str | None = None
    settings_version: int = 0
    untold: AwareDatetime | None = None
    would: Would | None = None
    also_would: dict[str, Would] = Field(default_factory=dict)
    owner: str | None = None
    grace_until: AwareDatetime | None = None
    follows: bool = False
    acknowledged: Acknowledged | None = None
    awaited: Awaited | None = None
    ordered_by: str | None = None
    history: tuple[Moment, ...] = ()

    @property
    def held_as(self) -> str:
        """By which id the ledger holds what was done, and knows it as released.

        Of a permission set it is the finding alone: whoever releases its drift lets it drift until
        the release ends, and lets no policy or session pass that other rules object to.
        """
        is_set = self.subject_kind == "PermissionSet"
        return f"{self.unique_id}#{self.key}" if is_set else self.unique_id


class Containment(BaseModel):
    """What Keyward holds contained: everything that a release needs, and the finding behind it.

    `before` is from the first act on the subject and never overwritten: later acts find what
    Keyward itself has done.
    """

    model_config = ConfigDict(frozen=True)

    account: str
    unique_id: str
    finding: str
    action: Action
    before: Before
    contained_at: AwareDatetime

    @property
    def user(self) -> Target | None:
        """The IAM user who is contained; None where Keyward did something else."""
        return self.action.target if isinstance(self.action.target, Target) else None


class Notice(BaseModel):
    """Something that must be told and is no finding: a refused setting, a spent budget, a digest.

    Told once for its `kind` and `id`. `details` are lines below the text. `to`: only these places
    hear of it, where None is all that alerts like it go to. `links` are addresses by what they are
    called, of Keyward's own making: they are told as they are.
    """

    model_config = ConfigDict(frozen=True)

    kind: str
    id: str
    title: str
    text: str
    severity: Severity
    at: AwareDatetime
    account: str | None = None
    details: tuple[str, ...] = ()
    to: tuple[str, ...] | None = None
    links: dict[str, str] = Field(default_factory=dict)
