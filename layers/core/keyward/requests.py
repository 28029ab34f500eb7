"""What operators may ask for, as models: a request says its act, who asks, and what about. Pure."""

from datetime import date
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PrivateAttr

from keyward.findings import State
from keyward.people import Caller
from keyward.settings import AccountIdText, RuleId

SCOPE = r"^(everything|baseline [a-z0-9-]{1,64}|account [0-9]{12}|unit (ou|r)-[0-9a-z-]{1,70})$"
"""What a rollout may be about."""

CHANGING = frozenset(
    {
        "acknowledge",
        "approve",
        "baseline-apply",
        "baseline-plan",
        "baseline-stop",
        "bootstrap",
        "exempt",
        "pause",
        "quarantine",
        "redrive",
        "release",
        "replay",
        "report-start",
        "resume",
        "sweep-confirm",
        "sweep-start",
        "test-alert",
    }
)
"""The acts that leave something behind. Of a bootstrap only what makes, of a redrive what moves."""


class Request(BaseModel):
    """What is common to all requests: the act, and on whose behalf.

    `proof` shows who that is (see proving.py); without one it is what the caller says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    act: str
    by: str = Field(min_length=1, max_length=300)
    proof: str | None = Field(default=None, max_length=8192, repr=False)
    _caller: Caller | None = PrivateAttr(default=None)

    def asked_by(self, caller: Caller) -> Self:
        """The request with who asks, as far as that is known."""
        asked = self.model_copy(update={"by": caller.label, "proof": None})
        asked._caller = caller  # noqa: SLF001 - the model's own, in a copy of it
        return asked

    @property
    def caller(self) -> Caller | None:
        """Who asks, of acts that change something."""
        return self._caller

    @property
    def changes(self) -> bool:
        """Whether it leaves something behind."""
        return self.act in CHANGING


class FindingsRequest(Request):
    """Lists findings, oldest change first within each state."""

    states: tuple[State, ...] | None = None
    account: str | None = None
    rule: str | None = None
    limit: int = Field(default=100, ge=1, le=500)
    after: dict[str, dict[str, str]] | None = None


class FindingRequest(Request):
    """Shows one finding."""

    finding: str


class ReleaseRequest(FindingRequest):
    """Restores what was there before, and exempts it for some days."""

    reason: str = Field(min_length=3, max_length=500)
    days: int | None = Field(default=None, ge=1, le=90)


class NoteRequest(FindingRequest):
    """Says that somebody has seen a finding, or approves its release."""

    note: str = Field(default="", max_length=500)


class QuarantineRequest(FindingRequest):
    """Has the guard do now what mode enforce would do."""

    reason: str = Field(min_length=3, max_length=500)


class ActsRequest(Request):
    """Lists what was asked for on a day, in UTC; today's where none is given."""

    day: date | None = None


class ReportRequest(Request):
    """Asks for the links to a report."""

    report: str = Field(pattern=r"^[0-9A-Za-z-]{1,64}$")


class ExemptRequest(FindingRequest):
    """Exempts the user of a finding from its rules, until then."""

    owner: str
    reason: str
    ticket: str
    until: AwareDatetime
    rules: tuple[RuleId, ...] | None = None


class PauseRequest(Request):
    """Puts the ceiling back to report for some hours."""

    hours: float = Field(gt=0, le=72)
    reason: str = Field(min_length=3, max_length=500)


class ResumeRequest(Request):
    """Ends a pause."""

    reason: str = Field(min_length=3, max_length=500)


class BootstrapRequest(Request):
    """Makes what the catalogue has and Identity Center lacks, or says what that is.

    It goes on `after` an item. `catalogue` is what the plan was made of, by its digest: of another
    one nothing is made.
    """

    plan: bool = True
    after: str | None = None
    catalogue: str | None = None

    @property
    def changes(self) -> bool:
        """A plan makes nothing."""
        return not self.plan


class PermissionSetsRequest(Request):
    """Lists permission sets with their attributes, those that come `after` an ARN."""

    after: str | None = None


class StatusRequest(Request):
    """Says what is in force, what is open and what is wrong; of one account what stands where.

    `accounts`: lists all accounts instead, those that come `after` an id.
    """

    account: AccountIdText | None = None
    accounts: bool = False
    after: str | None = None


class SweepStartRequest(Request):
    """Begins a sweep, or names the one that is under way."""

    full: bool = False


class SweepRequest(Request):
    """Says how far a sweep is."""

    id: str


class SweepPlanRequest(Request):
    """Shows what enforcing a rule would do, the rows that come `after` a place."""

    rule: RuleId | None = None
    existing: bool = True
    after: tuple[str, str, str] | None = None


class SweepConfirmRequest(Request):
    """Confirms the plan of a rule that has this digest."""

    rule: RuleId
    digest: str = Field(pattern=r"^[0-9a-f]{12}$")


class RedriveRequest(Request):
    """Counts dead letters, or moves some of those of `name` back; `run` tells times apart."""

    name: str | None = None
    run: str = Field(default="", max_length=64, pattern=r"^[0-9A-Za-z.:-]*$")

    @property
    def changes(self) -> bool:
        """Without a name it counts."""
        return self.name is not None


class ReplayRequest(Request):
    """Has the archive send again what came between two times."""

    start: AwareDatetime
    end: AwareDatetime


class ReplayedRequest(Request):
    """Says how far a replay is."""

    replay: str = Field(pattern=r"^[.\-_A-Za-z0-9]{1,64}$")


class InventoryRequest(Request):
    """Shows the lines of an inventory, those that come `after` a file and a line of it."""

    sweep: str | None = Field(default=None, pattern=r"^[0-9T]{15}$")
    kind: str | None = None
    account: AccountIdText | None = None
    after: tuple[str, int] | None = None


class BaselinePlanRequest(Request):
    """Plans what baselines would bring: to every account, those of one, one account, an OU's."""

    scope: str = Field(pattern=SCOPE)


class BaselineRolloutsRequest(Request):
    """Lists rollouts, the newest first, those that come `after` an id."""

    limit: int = Field(default=50, ge=1, le=200)
    after: str | None = None


class BaselineRolloutRequest(Request):
    """Shows one rollout; `accounts`: with a page of its accounts, those `after` an id."""

    id: str
    accounts: bool = False
    after: str | None = None


class BaselineApplyRequest(Request):
    """Carries a plan out; `total` is how many assignments the caller saw in it."""

    id: str
    total: int | None = None


class BaselineStopRequest(Request):
    """Lets nothing more of a rollout be asked for."""

    id: str
    reason: str = Field(min_length=3, max_length=500)


class BaselineAccountRequest(Request):
    """Shows what an account's baselines want, what it has, and what is done about the rest."""

    account: AccountIdText
