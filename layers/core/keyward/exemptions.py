"""Who is exempt from what, on whose word, and until when."""

import fnmatch
from datetime import datetime
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from keyward.model import Subject
from keyward.settings import AccountIdText, RuleId, Setting

Text = Annotated[str, StringConstraints(min_length=3, max_length=200, strip_whitespace=True)]


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
