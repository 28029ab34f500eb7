"""An IAM user has an active long-lived credential of another kind than access key or password.

Why: SSH public keys, signing certificates and service-specific credentials (CodeCommit, Keyspaces,
long-term API keys of Bedrock and CloudWatch Logs among them) work until somebody deactivates them,
and are seldom looked at.

Raised by: CreateServiceSpecificCredential, UploadSSHPublicKey, UploadSigningCertificate, and the
Update calls that set one Active. Regions: IAM's (us-east-1), every account.
In mode enforce that credential, and no other, becomes inactive.

Known gaps: ResetServiceSpecificCredential renews the secret of an existing one and doesn't raise
it. Server certificates belong to no user and aren't judged.

How to fix: use a role: git-remote-codecommit instead of SSH keys, the SigV4 plugin for Keyspaces,
short-term keys for Bedrock; then delete the credential. Or record an exemption with an owner and an
end.
"""

from collections.abc import Iterator

from pydantic import Field

from keyward.actions import Enforcement
from keyward.findings import Reason, Severity
from keyward.model import Hint, StaticCredential
from keyward.rule import Rule
from keyward.settings import RuleSettings


class Settings(RuleSettings):
    """Only another default."""

    severity: Severity = Field(default=Severity.MEDIUM, description="How soon somebody must look.")


def judge(credential: StaticCredential, _hint: Hint, _settings: Settings) -> Iterator[Reason]:
    """Objects to an active credential of any kind."""
    if credential.active:
        yield Reason(code="active", text=f"{credential.label} is active")


RULE = Rule(
    id="iam-static-credential-created",
    triggers={
        "iam.amazonaws.com": (
            "CreateServiceSpecificCredential",
            "UpdateSSHPublicKey",
            "UpdateServiceSpecificCredential",
            "UpdateSigningCertificate",
            "UploadSSHPublicKey",
            "UploadSigningCertificate",
        )
    },
    judges=StaticCredential,
    settings=Settings,
    enforcement=Enforcement.DEACTIVATE_CREDENTIAL,
    judge=judge,
    fix="Use a role or a short-term credential; then delete this one.",
)
