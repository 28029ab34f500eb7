"""Who is exempt from what, on whose word, and until when."""

import fnmatch
from datetime import datetime
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from keyward.model import IamUser
from keyward.settings import AccountIdText, RuleId, Setting

Text = Annotated[str, StringConstraints(min_length=3, max_length=200, strip_whitespace=True)]


class Exemption(Setting):
    """/keyward/exemptions/<id>: these rules leave this IAM user alone until then."""

    owner: Text = Field(
        description="The person or team who answers for it, for example an address."
    )
    reason: Text = Field(description="Why it is needed.")
    ticket: Text = Field(description="Where it was agreed.")
    until: AwareDatetime = Field(description="When it ends, with a time zone. Cannot be left out.")
    account: AccountIdText = Field(description="The account that the IAM user lives in.")
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
    signed_by: Text | None = Field(
        default=None, description="Who signed for the pattern; needed with user_pattern."
    )
    rules: tuple[RuleId, ...] = Field(
        min_length=1, max_length=50, description="The rules that it covers, by id."
    )

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if (self.user_id is None) == (self.user_pattern is None):
            message = "give exactly one of user_id and user_pattern"
            raise ValueError(message)
        if self.user_pattern is not None and self.signed_by is None:
            message = "user_pattern needs signed_by: somebody must answer for whom it matches"
            raise ValueError(message)
        return self

    def covers(self, *, rule: str, user: IamUser | None, now: datetime) -> bool:
        """Whether it exempts `user` from `rule` at `now`. A name alone never matches a user_id."""
        if user is None or now >= self.until or rule not in self.rules:
            return False
        if user.account != self.account:
            return False
        if self.user_id is not None:
            return user.user_id == self.user_id
        return fnmatch.fnmatchcase(user.name, self.user_pattern or "")
