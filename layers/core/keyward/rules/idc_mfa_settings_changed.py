"""The MFA settings of Identity Center are weaker than wanted, or nobody can tell.

Why: without a second factor a stolen password opens every account that its owner may enter. No API
reads these settings: the change is the only moment at which they show.

Raised by: UpdateSsoConfiguration with configurationType APP_AUTHENTICATION_CONFIGURATION, and
PutMfaDeviceManagementForDirectory (who may register and remove devices), which is always objected
to, since its event isn't known to tell what was chosen. Regions: Identity Center's home region,
management and delegated administrator's account.
In mode enforce it is reported as well: no public API puts the settings back.

What the settings are called: mfaMode is ALWAYS_ON (prompt every time), CONTEXT_AWARE (only when the
sign-in's context changes) or DISABLED (never); noMfaSignInBehavior, for users without a device, is
ALLOWED_WITH_ENROLLMENT (they must register one), BLOCKED, EMAIL_OTP or ALLOWED; allowedMfaTypes has
TOTP and WEBAUTHN. Of these, mode and behaviour must be among those that the settings of this rule
accept, and so must every device type. One that the event lacks is unknown, and objected to as such.

Known gaps: with an external identity provider these settings don't matter, and nothing is said of
the provider's own MFA. Event name and configurationType were reported from real incidents; a real
event of the other kind (SESSION, which isn't judged here) was seen. mfaMode, noMfaSignInBehavior
and allowedMfaTypes are what public scripts send to the same console call; what an event shows of
them wasn't seen. PutMfaDeviceManagementForDirectory wasn't seen either; AWS's pages place it in sso
and in sso-directory, so that both raise it.
Source: https://securitylabs.datadoghq.com/articles/tales-from-the-cloud-trenches-the-attacker-doth-persist-too-much/
Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/mfa-configure.html

How to fix: set MFA back in the console (Settings, Authentication), and ask the actor. If nobody
knows, treat the actor as compromised, and look at the sign-ins since.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import Field, StringConstraints

from keyward.actions import Enforcement
from keyward.findings import Reason, Severity
from keyward.model import Hint, IdentityCenterChange, Part
from keyward.rule import Rule
from keyward.settings import RuleSettings

Name = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9_]{3,64}$")]

DEVICE_MANAGEMENT = "PutMfaDeviceManagementForDirectory"


class Settings(RuleSettings):
    """How strong MFA must be, in the words of Identity Center's console API."""

    severity: Severity = Field(
        default=Severity.CRITICAL, description="How soon somebody must look."
    )
    modes: tuple[Name, ...] = Field(
        default=("ALWAYS_ON",),
        max_length=20,
        description="Values of mfaMode that are strong enough; CONTEXT_AWARE is AWS's default.",
    )
    without_device: tuple[Name, ...] = Field(
        default=("ALLOWED_WITH_ENROLLMENT", "BLOCKED"),
        max_length=20,
        description="Values of noMfaSignInBehavior that are strong enough.",
    )
    device_types: tuple[Name, ...] = Field(
        default=("TOTP", "WEBAUTHN"),
        max_length=20,
        description="Values of allowedMfaTypes that are strong enough.",
    )


def judge(change: IdentityCenterChange, hint: Hint, settings: Settings) -> Iterator[Reason]:
    """Objects to what is weaker than the settings want; else to what the event doesn't tell."""
    if change.part is not Part.MFA_SETTINGS:
        return
    by = f"(by {hint.actor.label})"
    details = tuple(f"{name}: {value}" for name, value in change.values.items())
    if change.change == DEVICE_MANAGEMENT:
        text = f"who may manage MFA devices was changed, to what is unknown {by}"
        yield Reason(code="device-management", text=text, details=details)
        return
    accepted = {
        "mfaMode": settings.modes,
        "noMfaSignInBehavior": settings.without_device,
        "allowedMfaTypes": settings.device_types,
    }
    weak = [
        f"{name} is {change.values[name]}"
        for name, names in accepted.items()
        if name in change.values and not _all_in(change.values[name], names)
    ]
    unknown = [f"{name} is unknown" for name in accepted if name not in change.values]
    if weak:
        text = f"{change.label} are weaker than wanted: {', '.join(weak)} {by}"
        yield Reason(code="weaker", text=text, details=details)
    elif unknown:
        text = f"{change.label} were changed: {', '.join(unknown)} {by}"
        yield Reason(code="unknown", text=text, details=details)


def _all_in(value: str, accepted: Iterable[str]) -> bool:
    return {name.strip() for name in value.split(",")} <= set(accepted)


RULE = Rule(
    id="idc-mfa-settings-changed",
    triggers={
        "sso.amazonaws.com": ("PutMfaDeviceManagementForDirectory", "UpdateSsoConfiguration"),
        "sso-directory.amazonaws.com": ("PutMfaDeviceManagementForDirectory",),
    },
    judges=IdentityCenterChange,
    settings=Settings,
    enforcement=Enforcement.REPORT,
    judge=judge,
    fix="Set MFA back in Identity Center's console (Settings, Authentication); ask the actor.",
)
