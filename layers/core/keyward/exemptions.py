"""Who is exempt from what, on whose word, and until when."""

import fnmatch
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from keyward.findings import Notice, Severity
from keyward.model import Subject
from keyward.settings import AccountIdText, RuleId, Setting

Text = Annotated[str, StringConstraints(min_length=3, max_length=200, strip_whitespace=True)]

TOLD_DAYS = {14: Severity.LOW, 3: Severity.MEDIUM, 0: Severity.HIGH}
"""So many days before an exemption ends people are told, and how soon they must look."""

TOLD_AFTER = timedelta(days=7)
"""So long after an end it is told still, where nobody could tell it at the time."""

NAMED_RULES = 10
"""So many of its rules are named."""

EXEMPTABLE = frozenset(
    {
        "AccessKey",
        "AccountAccess",
        "AccountAssignment",
        "AccountLifecycle",
        "ConsolePassword",
        "Contained",
        "DirectoryIdentity",
        "GroupMembership",
        "IamPrincipal",
        "IamUser",
        "IdentityCenterChange",
        "OrganizationChange",
        "PermissionSet",
        "SignIn",
        "StaticCredential",
        "UserPolicy",
    }
)
"""Kinds of subjects that an exemption can name: by the user's id, or by their own."""


class Exemption(Setting):
    """/keyward/exemptions/<id>: these rules leave this subject alone until then."""

    owner: Text = Field(
        description="The person or team who answers for it, for example an address."
    )
    reason: Text = Field(description="Why it is needed.")
    ticket: Text = Field(description="Where it was agreed.")
    until: AwareDatetime = Field(description="When it ends, with a time zone. Cannot be left out.")
    account: AccountIdText = Field(
        description="The account that the subject lives in, or that an assignment opens."
    )
    user_id: str | None = Field(
        default=None, pattern=r"^AIDA[A-Z0-9]+$", description="The user's unique id (AIDA...)."
    )
    user_pattern: str | None = Field(
        default=None,
        min_length=3,
        max_length=64,
        pattern=r"^[\w+=,.@*-]+$",
        description="Instead of user_id: a user name with * for any run of characters.",
    )
    unique_id: str | None = Field(
        default=None,
        min_length=3,
        max_length=400,
        description="Instead of both, for what is no IAM user: the subject's unique id, exact.",
    )
    signed_by: Text | None = Field(
        default=None, description="Who signed for the pattern; needed with user_pattern."
    )
    rules: tuple[RuleId, ...] = Field(
        min_length=1, max_length=50, description="The rules that it covers, by id."
    )

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if [self.user_id, self.user_pattern, self.unique_id].count(None) != 2:  # noqa: PLR2004 - of 3
            message = "give exactly one of user_id, user_pattern and unique_id"
            raise ValueError(message)
        if self.user_pattern is not None and self.signed_by is None:
            message = "user_pattern needs signed_by: somebody must answer for whom it matches"
            raise ValueError(message)
        return self

    def covers(self, *, rule: str, subject: Subject, now: datetime) -> bool:
        """Whether it exempts `subject` from `rule` at `now`. A name alone never matches an id."""
        if now >= self.until or rule not in self.rules or subject.account != self.account:
            return False
        if self.unique_id is not None:
            return subject.owner is None and subject.unique_id == self.unique_id
        if (user := subject.owner) is None:
            return False
        if self.user_id is not None:
            return user.user_id == self.user_id
        return fnmatch.fnmatchcase(user.name, self.user_pattern or "")


def ends(exemptions: Mapping[str, Exemption], *, now: datetime) -> Iterator[Notice]:
    """What is to be told at `now` of exemptions, by id, that end: 14 and 3 days before, and then.

    Of several such days that have passed only the last is told; each once, since a notice is. Who
    moves the end is told of the new one again. What ended longer than TOLD_AFTER ago is history.
    """
    for id_, exemption in exemptions.items():
        left = exemption.until - now
        passed = [days for days in TOLD_DAYS if left <= timedelta(days=days)]
        if passed and left > -TOLD_AFTER:
            yield _ends(id_, exemption, min(passed), now)


def _ends(id_: str, exemption: Exemption, days: int, now: datetime) -> Notice:
    until = f"{exemption.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    when = f"has ended on {until}" if days == 0 else f"ends on {until}"
    rules = ", ".join(exemption.rules[:NAMED_RULES])
    more = len(exemption.rules) - NAMED_RULES
    return Notice(
        kind="exemption-ends",
        id=f"{id_}:{exemption.until.isoformat()}:{days}",
        title=f"Exemption {id_} {when} (account {exemption.account})",
        text=(
            f"It covers {_whom(exemption)} in account {exemption.account}, for "
            f"{rules}{f' and {more} more' if more > 0 else ''}. {exemption.owner} answers for it "
            f"(ticket {exemption.ticket}): {exemption.reason}. Without it the next event or sweep "
            f"reports what these rules object to, and those in mode enforce act. To keep it: "
            f"keyward settings pull settings, write a later until into "
            f"settings/exemptions/{id_}.json, keyward settings push settings."
        ),
        severity=TOLD_DAYS[days],
        at=now,
        account=exemption.account,
    )


def _whom(exemption: Exemption) -> str:
    if exemption.user_id is not None:
        return f"the IAM user of id {exemption.user_id}"
    if exemption.user_pattern is not None:
        return f"IAM users called {exemption.user_pattern} (signed by {exemption.signed_by})"
    return str(exemption.unique_id)
