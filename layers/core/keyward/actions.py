"""What may be done about a finding. Every action can be undone; none deletes anything.

Actions are values that the ledger stores as they are: an intent, written before the act.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from keyward.model import CredentialKind

DENY_ALL_ARN = "arn:aws:iam::aws:policy/AWSDenyAll"
"""AWS's own deny-all policy: no member of the organization can edit it.

Source: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSDenyAll.html
"""

AWS_QUARANTINE_ARN = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantine"
"""How the ARNs of AWS's own policies for leaked keys begin; a customer's has an account id there.

Source: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSCompromisedKeyQuarantineV3.html
"""

QUARANTINE_GROUP = "keyward-quarantine"
"""The deny-all group that member/template.yaml puts into every account."""

MARKER_TAG = "keyward:quarantined"
"""Tag on a quarantined user, for people to read. It decides nothing."""


class Enforcement(StrEnum):
    """What a rule asks for in mode `enforce`; `explain`, the ledger and alerts say it like this."""

    REPORT = "report"
    DEACTIVATE_ACCESS_KEY = "deactivate-access-key"
    DEACTIVATE_CREDENTIAL = "deactivate-credential"
    QUARANTINE_USER = "quarantine-user"
    REAPPLY = "re-apply"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Target(_Value):
    """The IAM user whom an action is about; `user_id` is compared before anything is written."""

    account: str
    user_name: str
    user_id: str
    user_arn: str | None = None


class DeactivateAccessKeys(_Value):
    """Make these access keys of one user inactive; `key_ids` None means every key it has."""

    name: Literal["deactivate-access-key"] = "deactivate-access-key"
    target: Target
    key_ids: tuple[str, ...] | None


class DeactivateCredential(_Value):
    """Make one SSH key, signing certificate or service-specific credential inactive."""

    name: Literal["deactivate-credential"] = "deactivate-credential"
    target: Target
    kind: CredentialKind
    credential_id: str


class QuarantineUser(_Value):
    """Deny everything to a user, by the first rung of the ladder that holds; its keys inactive.

    `marker` is the value of the marker tag: the finding's key.
    """

    name: Literal["quarantine-user"] = "quarantine-user"
    target: Target
    marker: str


type Action = Annotated[
    DeactivateAccessKeys | DeactivateCredential | QuarantineUser, Field(discriminator="name")
]


class Before(_Value):
    """What was there before the act: all that an undo needs.

    `statuses` maps ids of keys and credentials to whether they were active; `marker` is the value
    that the marker tag had, None where there was none.
    """

    statuses: dict[str, bool] = Field(default_factory=dict)
    deny_attached: bool = False
    in_group: bool = False
    boundary_arn: str | None = None
    marker: str | None = None
