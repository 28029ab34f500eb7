"""/keyward/permission-sets/<Name>: the permission sets that an organization wants to have.

A long inline policy spans parameters: /keyward/permission-sets/<Name>/inline-policy/1, /2 and so
on, whose texts are put together in order. Entries reach the guards whole, in the accepted settings.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from keyward.errors import SettingsError
from keyward.model import Boundary, Catalogue, CustomerPolicy, PermissionSetAttributes
from keyward.settings import Setting, validated

SECONDS_OF_AN_HOUR = 3600

SetName = Annotated[str, StringConstraints(pattern=r"^[\w+=,.@-]{1,32}$")]
"""Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_CreatePermissionSet.html"""

PolicyArn = Annotated[
    str, StringConstraints(pattern=r"^arn:aws(-[a-z]+)*:iam::aws:policy/[\w+=,.@/-]+$")
]


class CustomerPolicySetting(Setting):
    """A customer managed policy: every account that gets the set must have it under this name."""

    name: str = Field(
        pattern=r"^[\w+=,.@-]{1,128}$", description="Name of the policy in each account."
    )
    path: str = Field(
        default="/", pattern=r"^(/[A-Za-z0-9._-]+)*/$", description="Path of the policy."
    )

    def value(self) -> CustomerPolicy:
        """The policy that it names."""
        return CustomerPolicy(name=self.name, path=self.path)


class BoundarySetting(Setting):
    """A permissions boundary: one of the two."""

    managed_policy_arn: PolicyArn | None = Field(
        default=None, description="ARN of an AWS managed policy."
    )
    customer_policy: CustomerPolicySetting | None = Field(
        default=None, description="A customer managed policy."
    )

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.managed_policy_arn is None) == (self.customer_policy is None):
            message = "give exactly one of managed_policy_arn and customer_policy"
            raise ValueError(message)
        return self

    def value(self) -> Boundary:
        """The boundary that it names."""
        customer = self.customer_policy
        return Boundary(
            managed_policy_arn=self.managed_policy_arn,
            customer_policy=None if customer is None else customer.value(),
        )


class CatalogueEntry(Setting):
    """/keyward/permission-sets/<Name>: one permission set, as its owners want it."""

    description: str = Field(min_length=1, max_length=700, description="What it is for.")
    managed_policies: tuple[PolicyArn, ...] = Field(
        default=(), max_length=25, description="ARNs of AWS managed policies."
    )
    customer_policies: tuple[CustomerPolicySetting, ...] = Field(
        default=(), max_length=25, description="Customer managed policies, by name and path."
    )
    inline_policy: dict[str, object] | None = Field(
        default=None, description="An inline policy, as IAM has it."
    )
    boundary: BoundarySetting | None = Field(default=None, description="Permissions boundary.")
    session_hours: float = Field(
        default=1.0, ge=1, le=12, description="How long a session lives, in hours."
    )
    relay_state: str | None = Field(
        default=None, min_length=1, max_length=240, description="Where the console opens."
    )
    tags: dict[str, str] = Field(
        default_factory=dict, max_length=50, description="Tags that it must have; others may stand."
    )
    group: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        description="Group that `keyward bootstrap` makes for it where there is none.",
    )

    def attributes(self) -> PermissionSetAttributes:
        """What this entry wants a permission set to be."""
        return PermissionSetAttributes(
            description=self.description,
            session_seconds=round(self.session_hours * SECONDS_OF_AN_HOUR),
            relay_state=self.relay_state,
            managed_policies=tuple(sorted(self.managed_policies)),
            customer_policies=tuple(policy.value() for policy in self.customer_policies),
            inline_policy=None if self.inline_policy is None else json.dumps(self.inline_policy),
            boundary=None if self.boundary is None else self.boundary.value(),
            tags=self.tags,
        )


def catalogue_of(entries: Mapping[str, dict[str, object]]) -> Catalogue:
    """The catalogue in the accepted settings; without what this version of the code can't read."""
    found: dict[str, PermissionSetAttributes] = {}
    for name, value in entries.items():
        try:
            found[name] = validated(name, CatalogueEntry, value).attributes()
        except SettingsError:
            continue
    return found
