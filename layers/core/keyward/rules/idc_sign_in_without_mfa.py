"""Somebody signed in to Identity Center with one weak factor, such as a password alone.

Why: a sign-in without a second factor shows that MFA isn't required of everybody, and each such
user is one stolen password away from somebody else.

Raised by: UserAuthentication, which stands for a completed sign-in; its CredentialType lists the
factors, as in PASSWORD,TOTP. Regions: those in which people sign in: Identity Center's home region;
management account.
High; medium, and another finding, where the user had to register a device in the same sign-in
(DeviceEnrollmentRequired): the next one will ask for it. Whoever stole the password first may have
registered theirs, though.
In mode enforce it is reported as well: who may sign in is a matter of settings.
How often somebody signs in so is counted, and not told anew.

Known gaps: with an external identity provider (EXTERNAL_IDP) events tell nothing of MFA, so that
these sign-ins are let be: look there. In additional regions of a multi-region instance sign-ins
aren't seen. A password with an emailed code (PASSWORD,EMAIL_OTP) are two factors, and let be.
Sign-ins to WorkSpaces have the same name and are no concern of Identity Center's: what isn't on
behalf of one of its users, and doesn't lead to its access portal, is let be.
The shapes are those of AWS's user guide, which has an example of each but EMAIL_OTP, and of AWS's
security blog (onBehalfOf); that EventBridge carries them as "AWS Service Event via CloudTrail" is
inferred from their eventType.
Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/understanding-sign-in-events.html
Source: https://aws.amazon.com/blogs/security/modifications-to-aws-cloudtrail-event-data-of-iam-identity-center/

How to fix: require MFA in the console (Settings, Authentication), every time and with registration
at sign-in; have the user register a device.
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, StringConstraints

from keyward.actions import Enforcement
from keyward.findings import Reason, Severity
from keyward.model import Hint, SignIn
from keyward.rule import Rule
from keyward.settings import RuleSettings

Factor = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9_]{3,64}$")]


class Settings(RuleSettings):
    """Which factors are strong enough, and how grave a sign-in with registration is."""

    alone: tuple[Factor, ...] = Field(
        default=("EXTERNAL_IDP", "RESYNC_TOTP", "TOTP", "WEBAUTHN"),
        max_length=20,
        description="Factors that are enough alone; a sign-in with one other is reported.",
    )
    enrollment_severity: Severity = Field(
        default=Severity.MEDIUM,
        description="How soon somebody must look when the user registered a device meanwhile.",
    )


def judge(sign_in: SignIn, hint: Hint, settings: Settings) -> Iterator[Reason]:
    """Objects to a sign-in with one factor that isn't enough alone."""
    factors = set(sign_in.factors)
    if len(factors) > 1 or factors & set(settings.alone):
        return
    text = f"{sign_in.label} was completed with {', '.join(sign_in.factors)} alone"
    if str(hint.additional.get("DeviceEnrollmentRequired")).casefold() == "true":
        yield Reason(
            code="enrolled",
            text=f"{text}; the user registered an MFA device meanwhile",
            severity=settings.enrollment_severity,
        )
    else:
        yield Reason(code="one-factor", text=text)


RULE = Rule(
    id="idc-sign-in-without-mfa",
    triggers={"signin.amazonaws.com": ("UserAuthentication",)},
    judges=SignIn,
    settings=Settings,
    enforcement=Enforcement.REPORT,
    judge=judge,
    fix="Require MFA at every sign-in, with registration; have the user register a device.",
)
