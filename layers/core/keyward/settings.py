"""The settings that owners write into SSM, as models: every field has a safe default.

`read_json` and `validated` are the only ways in: they raise SettingsError with parameter, field
and what was expected. Descriptions feed docs/settings.md and the JSON Schemas.
"""

import hashlib
import json
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Never, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from keyward.errors import SettingsError
from keyward.findings import Severity

PREFIX = "/keyward"
"""Where the tree of settings begins in Parameter Store."""

MAX_DEPTH = 50
"""Nesting beyond this is refused; no setting needs more than five."""

AccountIdText = Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")]
RuleId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class Mode(StrEnum):
    """What a rule may do: nothing, tell, or tell and act."""

    OFF = "off"
    REPORT = "report"
    ENFORCE = "enforce"

    @property
    def rank(self) -> int:
        """0 for off to 2 for enforce."""
        return list(Mode).index(self)


class Setting(BaseModel):
    """A part of the settings: unknown fields are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Budgets(Setting):
    """How much Keyward may do before it stops acting and calls for people."""

    window_minutes: int = Field(
        default=60, ge=5, le=1440, description="Length of the window in which actions are counted."
    )
    organization: int = Field(
        default=20, ge=0, le=1000, description="Enforcing actions per window, whole organization."
    )
    account: int = Field(
        default=5, ge=0, le=1000, description="Enforcing actions per window in one account."
    )
    critical_reserve: int = Field(
        default=5,
        ge=0,
        le=1000,
        description="So many more for critical findings, in the organization and in each account.",
    )


Place = Annotated[
    str,
    StringConstraints(
        pattern=(
            r"^(slack:[CG][A-Z0-9]{6,20}|webhook:[a-z0-9-]{1,32}"
            r"|sns:arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256})$"
        )
    ),
]
"""Where alerts go beside the alert topic: a Slack channel by its id, a webhook by its name in the
secret, an SNS topic by its ARN."""

Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""A time of day, such as 07:30."""


class Route(Setting):
    """Alerts that go to further places: those that fit every condition given here."""

    to: tuple[Place, ...] = Field(
        min_length=1,
        max_length=10,
        description=(
            "slack:CHANNEL_ID, webhook:NAME (as the Slack secret has it) or sns:TOPIC_ARN, which "
            "the template's parameter RoutedTopics has to name, too."
        ),
    )
    severity: Severity = Field(
        default=Severity.LOW, description="Only alerts that are at least so grave."
    )
    rules: tuple[
        Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*(-\*)?$")], ...
    ] = Field(
        default=(),
        max_length=50,
        description=(
            "Only of these rules; iam-* is all that begin so. A notice that is no finding goes by "
            "its kind, such as budget-spent. Empty: of all."
        ),
    )
    accounts: tuple[AccountIdText, ...] = Field(
        default=(), max_length=200, description="Only of these accounts, or of `units`."
    )
    units: tuple[
        Annotated[
            str, StringConstraints(pattern=r"^(ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|r-[0-9a-z]{4,32})$")
        ],
        ...,
    ] = Field(
        default=(),
        max_length=50,
        description="Only of accounts in these organizational units, however deep.",
    )


class QuietHours(Setting):
    """When alerts of low and medium severity wait, to be told together when the hours end."""

    begin: Clock = Field(description="Such as 20:00, in the time zone of the alerts.")
    end: Clock = Field(description="Such as 07:00; before `begin` it is that of the next day.")


class Alerts(Setting):
    """Who is told what and when, and how many alerts people get before they are folded."""

    slack: Place | None = Field(
        default=None,
        description=(
            "The Slack channel (slack:CHANNEL_ID) or webhook (webhook:NAME) of what no route of "
            "`routes` sends to Slack. Absent: only routes reach Slack."
        ),
    )
    routes: tuple[Route, ...] = Field(
        default=(),
        max_length=20,
        description=(
            "Where alerts go beside the alert topic, which gets them all: every one that fits."
        ),
    )
    timezone: str = Field(
        default="UTC", description="Of the hours below, by its IANA name: Europe/Berlin."
    )
    quiet_hours: QuietHours | None = Field(
        default=None, description="When low and medium alerts wait. Absent: never."
    )
    daily_digest: Clock | None = Field(
        default="08:00",
        description="When Slack hears what is open, if anything is. null: never.",
    )
    window_minutes: int = Field(
        default=5, ge=1, le=60, description="Length of the window in which alerts are counted."
    )
    single_per_window: int = Field(
        default=8, ge=1, le=100, description="Alerts told one by one in a window; the rest fold."
    )
    chat_applications: bool = Field(
        default=False,
        description=(
            "Whether alerts to SNS topics are also written as Amazon Q Developer in chat "
            "applications shows them. Every subscriber by HTTPS then gets that format; e-mail and "
            "all others get plain text as ever."
        ),
    )

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            message = f"{name!r} is no time zone by its IANA name, such as Europe/Berlin"
            raise ValueError(message) from error
        return name


class OperatorAct(StrEnum):
    """What a listed operator may be allowed to do by a button."""

    ACKNOWLEDGE = "acknowledge"
    EXEMPT = "exempt"
    QUARANTINE = "quarantine"
    RELEASE = "release"


class OperatorPerson(Setting):
    """Somebody who may answer alerts: known to Slack by one name, to AWS by another."""

    name: str = Field(min_length=1, max_length=80, description="What people call them.")
    slack_user: str | None = Field(
        default=None,
        pattern=r"^[UW][A-Z0-9]{6,20}$",
        description="Their member id in Slack (Profile, More, Copy member ID).",
    )
    session: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_+=,.@-]{2,64}$",
        description=(
            "How AWS knows them: what stands after the last / of their ARN. With Identity Center "
            "that is their user name."
        ),
    )
    may: tuple[OperatorAct, ...] = Field(
        default=tuple(OperatorAct), description="What they may do by Slack's buttons."
    )


class Operators(Setting):
    """Who may answer alerts by Slack's buttons, and what takes two people."""

    people: tuple[OperatorPerson, ...] = Field(
        default=(),
        max_length=100,
        description=(
            "Buttons of others are refused. By the command line IAM decides who may what; the list "
            "then only tells who is the same person."
        ),
    )
    two_people: bool = Field(
        default=True,
        description="Whether the release of a critical finding takes a second person's approval.",
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for names in (
            [it.slack_user for it in self.people if it.slack_user],
            [it.session.casefold() for it in self.people if it.session],
        ):
            if len(names) != len(set(names)):
                message = "a Slack user or session stands twice: nobody could tell who it is"
                raise ValueError(message)
        return self


class Concerned(Setting):
    """What the owner of a contained credential is told, if an address of theirs can be found."""

    text: str | None = Field(
        default=None,
        min_length=10,
        max_length=2000,
        description=(
            "In your own words: why, whom to ask. Absent: nobody but the operators hears of it."
        ),
    )
    portal: str | None = Field(
        default=None,
        pattern=r"^https://[A-Za-z0-9.-]+/[A-Za-z0-9/._#?=-]*$",
        description="The address of your AWS access portal, https://d-....awsapps.com/start.",
    )
    domains: tuple[
        Annotated[
            str,
            StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9-]*[a-z0-9])+$"),
        ],
        ...,
    ] = Field(
        default=(),
        max_length=50,
        description=(
            "An address that a tag or exemption names is written to only in these domains, such as "
            "example.com: whoever makes a user tags it as he likes. Identity Center's users are "
            "written to by the address that Identity Center has of them."
        ),
    )


class IdentityCenter(Setting):
    """How Keyward treats Identity Center."""

    calls_per_second: int = Field(
        default=10,
        ge=1,
        le=20,
        description="Of the 20 calls that AWS grants an account, so many are Keyward's.",
    )
    deny_live_sessions: bool = Field(
        default=False,
        description=(
            "Whether a removed assignment's sessions are denied, in the permission set's inline "
            "policy, until the last of them has ended."
        ),
    )
    second_opinion: bool = Field(
        default=False,
        description=(
            "Whether IAM Access Analyzer is asked, too: about a policy that was put on a "
            "permission set and makes nobody administrator by Keyward's own analysis (AWS charges "
            "for each such check), and about the catalogue's inline policies (that is free)."
        ),
    )


class AccountBaselines(Setting):
    """How Keyward gives accounts the access that baselines want."""

    changes_without_apply: int = Field(
        default=50,
        ge=0,
        le=100_000,
        description=(
            "A change of a baseline, or an OU that comes under governance, may bring so many "
            "assignments by itself; more wait for `keyward baseline apply`."
        ),
    )
    shared_accounts: tuple[AccountIdText, ...] = Field(
        default=(),
        max_length=50,
        description=(
            "Accounts, such as Control Tower's log archive and audit, that a baseline selects only "
            "where it names their ids. Of the management account that holds in any case."
        ),
    )


class Sweeps(Setting):
    """How Keyward looks by itself at what no event told."""

    owner_tags: tuple[str, ...] = Field(
        default=("owner", "contact", "team"),
        max_length=10,
        description=(
            "Tags of an IAM user that name who is to be warned, the first that it has; upper and "
            "lower case are the same."
        ),
    )
    plan_days: int = Field(
        default=7,
        ge=1,
        le=90,
        description=(
            'So long after a plan was confirmed may existing: "enforce" of its rule be written.'
        ),
    )


class Reports(Setting):
    """What reports tell of, and how long their links last."""

    period_days: int = Field(
        default=90, ge=7, le=400, description="So many days a report looks back."
    )
    link_hours: int = Field(
        default=8,
        ge=1,
        le=12,
        description="So long a link to a report lasts at most; AWS may end it earlier.",
    )


class ProtectedPrincipal(Setting):
    """Somebody whom Keyward never touches: a finding about them is told and never acted on."""

    account: AccountIdText = Field(
        description="The account that the IAM user lives in, or that an assignment opens."
    )
    user_id: str | None = Field(
        default=None, pattern=r"^AIDA[A-Z0-9]+$", description="Unique id of the IAM user."
    )
    arn: str | None = Field(
        default=None,
        pattern=r"^arn:[a-z-]+:iam::[0-9]{12}:user/.+$",
        description="Exact ARN of the IAM user, path included; the unique id is safer.",
    )
    principal_id: str | None = Field(
        default=None,
        pattern=r"^([0-9a-f]{10}-|)[A-Fa-f0-9]{8}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{12}$",
        description="Id of an Identity Center user or group, whose assignments stay.",
    )
    why: str = Field(min_length=3, max_length=200, description="For example: break-glass.")

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if self.user_id is None and self.arn is None and self.principal_id is None:
            message = "give user_id, arn or principal_id: without any nobody is protected"
            raise ValueError(message)
        return self


class GlobalSettings(Setting):
    """/keyward/settings: what holds for all rules."""

    ceiling: Mode = Field(
        default=Mode.REPORT,
        description="No rule does more than this: enforce once what is reported looks right.",
    )
    act_in_management_account: AccountIdText | None = Field(
        default=None,
        description="The management account's own id, to let rules act in it; absent: report only.",
    )
    budgets: Budgets = Field(default=Budgets(), description="The blast radius.")
    alerts: Alerts = Field(default=Alerts(), description="Who is told what and when.")
    operators: Operators = Field(
        default=Operators(), description="Who may answer alerts, and what takes two people."
    )
    concerned: Concerned = Field(
        default=Concerned(), description="What the owner of a contained credential is told."
    )
    identity_center: IdentityCenter = Field(
        default=IdentityCenter(), description="How Identity Center is treated."
    )
    account_baselines: AccountBaselines = Field(
        default=AccountBaselines(), description="How accounts get the access of their baselines."
    )
    sweeps: Sweeps = Field(default=Sweeps(), description="How Keyward looks by itself.")
    reports: Reports = Field(default=Reports(), description="What reports tell of.")
    protected: tuple[ProtectedPrincipal, ...] = Field(
        default=(), max_length=100, description="Principals that are never touched: break-glass."
    )
    release_days: int = Field(
        default=7, ge=1, le=90, description="How long a release exempts what was released."
    )


class RuleSettings(Setting):
    """/keyward/rules/<rule-id>: what every rule has; a rule may add fields of its own."""

    mode: Mode = Field(default=Mode.REPORT, description="off, report or enforce.")
    severity: Severity = Field(default=Severity.HIGH, description="How soon somebody must look.")
    existing: Literal["report", "enforce"] = Field(
        default="report",
        description=(
            "What to do about what existed before the rule began to enforce. enforce is refused "
            "until a plan of whom it hits has been shown and confirmed."
        ),
    )

    @property
    def terms(self) -> str:
        """What it objects to and how it acts, as a digest: all but whether it acts, and how grave.

        Rules with the same terms, one of which only reports, have the same plan.
        """
        said = self.model_dump(mode="json", exclude={"mode", "severity", "existing"})
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]


class Accepted(BaseModel):
    """What is in force: compiled by settings_guard, the only settings that guards read.

    `rules` holds each rule's validated parameter as JSON values; `permission_sets` the catalogue's
    entries by name, each whole; `unchecked` those that changed then, and that nobody was told yet
    to compare with what is; `baselines` the accounts' by name, `unrolled` those that changed
    then and whose accounts nobody was told yet to look at; `enforcing_since` when each rule
    began to enforce; `parameters` the version of each parameter that was accepted.
    """

    model_config = ConfigDict(frozen=True)

    version: int = 0
    compiled_at: AwareDatetime | None = None
    settings: GlobalSettings = GlobalSettings()
    rules: dict[str, dict[str, object]] = Field(default_factory=dict)
    exemptions: dict[str, dict[str, object]] = Field(default_factory=dict)
    permission_sets: dict[str, dict[str, object]] = Field(default_factory=dict)
    unchecked: dict[str, AwareDatetime] = Field(default_factory=dict)
    baselines: dict[str, dict[str, object]] = Field(default_factory=dict)
    unrolled: dict[str, AwareDatetime] = Field(default_factory=dict)
    enforcing_since: dict[str, AwareDatetime] = Field(default_factory=dict)
    parameters: dict[str, int] = Field(default_factory=dict)
    paused_until: AwareDatetime | None = None

    def ceiling(self, now: datetime) -> Mode:
        """The global ceiling: report while paused."""
        if self.paused_until is not None and now < self.paused_until:
            return min(Mode.REPORT, self.settings.ceiling, key=lambda mode: mode.rank)
        return self.settings.ceiling


def read_json(name: str, text: str) -> dict[str, object]:
    """The JSON object in `text`, without its `$comment` members.

    Raises SettingsError, naming `name`, for anything that isn't one JSON object: NaN, a member
    twice, nesting beyond MAX_DEPTH among it.
    """
    try:
        value = json.loads(
            text, parse_constant=_refuse_constant, object_pairs_hook=_without_comments
        )
        _check_depth(value)
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        message = f"{name}: not valid JSON: {reason}"
        raise SettingsError(message) from error
    if not isinstance(value, dict):
        message = f"{name}: expected a JSON object, got {type(value).__name__}"
        raise SettingsError(message)
    return value


def validated[M: BaseModel](name: str, model: type[M], value: dict[str, object]) -> M:
    """`value` as a `model`. Raises SettingsError naming `name`, the field and what was expected."""
    try:
        return model.model_validate_json(json.dumps(value))
    except ValidationError as error:
        problems = "; ".join(
            f"field {'.'.join(map(str, problem['loc'])) or '(whole)'}: "
            f"{problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_url=False, include_input=False)
        )
        message = f"{name}: {problems}"
        raise SettingsError(message) from error


def _refuse_constant(text: str) -> Never:
    message = f"{text} is no JSON number"
    raise ValueError(message)


def _without_comments(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        message = "a member stands twice in one object"
        raise ValueError(message)
    return {name: value for name, value in pairs if not name.startswith("$comment")}


def _check_depth(value: object, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        message = f"nested deeper than {MAX_DEPTH}"
        raise ValueError(message)
    match value:
        case dict():
            children = list(value.values())
        case list():
            children = value
        case _:
            children = []
    for child in children:
        _check_depth(child, depth + 1)
