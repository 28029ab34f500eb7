"""/keyward/permission-sets/<Name>: the permission sets that an organization wants to have.

A long inline policy spans parameters: /keyward/permission-sets/<Name>/inline-policy/1, /2 and so
on, whose texts are put together in order. Entries reach the guards whole, in the accepted settings.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Annotated, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from keyward.errors import SettingsError
from keyward.model import Boundary, Catalogue, CustomerPolicy, PermissionSetAttributes
from keyward.settings import Setting, validated

SECONDS_OF_AN_HOUR = 3600

MAX_POLICIES = 25
"""Managed policies of both kinds together.

Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/limits.html
"""

MAX_INLINE_CHARACTERS = 10_240
MAX_INLINE_BYTES = 32_768
"""How long an inline policy may be: characters without white space, and bytes with it.

Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/limits.html
"""

MAX_TAGS = 49
"""A resource has 50 tags at most, and one is Keyward's own while it makes a permission set.

Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/tagging.html
"""

NAME = re.compile(r"(?!\.)[A-Za-z0-9_.-]{1,32}")
"""Identity Center takes +=,@ as well. Parameter Store doesn't, and a name is a parameter's, too.

Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_CreatePermissionSet.html
Source: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
"""

PolicyArn = Annotated[
    str,
    StringConstraints(
        max_length=2048,
        pattern=r"^arn:aws(-[a-z]{1,5}){0,3}:iam::aws:policy(/[A-Za-z0-9.,+@=_-]+)+$",
    ),
]
"""Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_AttachManagedPolicyToPermissionSet.html"""

TagKey = Annotated[str, StringConstraints(min_length=1, max_length=128)]
TagValue = Annotated[str, StringConstraints(max_length=256)]

_OF_TAGS = frozenset("_.:/=+-@")
"""What tags may hold beside letters, digits and spaces.

Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_Tag.html
"""

_OF_AWS = "aws:"
"""How keys of tags begin that AWS alone may write.

Source: https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
"""


_RESERVED_GROUPS = frozenset({"Administrator", "AWSAdministrators"})
"""Source: https://docs.aws.amazon.com/singlesignon/latest/IdentityStoreAPIReference/API_CreateGroup.html"""


class CustomerPolicySetting(Setting):
    """A customer managed policy: every account that gets the set must have it under this name."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9_+=,.@-]{1,128}$", description="Name of the policy in each account."
    )
    path: str = Field(
        default="/",
        max_length=512,
        pattern=r"^(/[A-Za-z0-9.,+@=_-]+)*/$",
        description="Path of the policy.",
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

    description: str | None = Field(
        default=None,
        min_length=1,
        max_length=700,
        pattern=r"^[\t\n\r\x20-\x7e\xa1-\xff]*$",
        description="What it is for. Left out, any description may stand.",
    )
    managed_policies: tuple[PolicyArn, ...] = Field(
        default=(), max_length=MAX_POLICIES, description="ARNs of AWS managed policies."
    )
    customer_policies: tuple[CustomerPolicySetting, ...] = Field(
        default=(),
        max_length=MAX_POLICIES,
        description=(
            f"Customer managed policies, by name and path: {MAX_POLICIES} of both kinds together."
        ),
    )
    inline_policy: dict[str, object] | None = Field(
        default=None,
        description=(
            f"An inline policy, as IAM has it: {MAX_INLINE_CHARACTERS:,} characters at most, white "
            "space not counted. A long one spans parameters."
        ),
    )
    inline_policy_sha256: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        description=(
            "Written by `keyward settings push` where the inline policy spans parameters: the "
            "SHA-256 of their texts together, so that no mixture of old and new is ever in force."
        ),
    )
    boundary: BoundarySetting | None = Field(default=None, description="Permissions boundary.")
    session_hours: float = Field(
        default=1.0, ge=1, le=12, description="How long a session lives, in hours."
    )
    relay_state: str | None = Field(
        default=None,
        min_length=1,
        max_length=240,
        pattern=r"""^[a-zA-Z0-9&$@#\\/%?=~\-_'"|!:,.;*+\[\] (){}]+$""",
        description="Where the console opens.",
    )
    tags: dict[TagKey, TagValue] = Field(
        default={},
        max_length=MAX_TAGS,
        description="Tags that it must have; others may stand.",
    )
    group: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        description="Group that `keyward bootstrap` makes for it where there is none.",
    )

    @field_validator("managed_policies", "customer_policies")
    @classmethod
    def _is_each_once[P: str | CustomerPolicySetting](
        cls, policies: tuple[P, ...]
    ) -> tuple[P, ...]:
        for number, policy in enumerate(policies):
            if policy in policies[:number]:
                message = f"policy {number + 1} stands there already; expected each once"
                raise ValueError(message)
        return policies

    @field_validator("inline_policy")
    @classmethod
    def _is_policy(cls, document: dict[str, object] | None) -> dict[str, object] | None:
        if document is not None and (problem := policy_problem(document)) is not None:
            raise ValueError(problem)
        return document

    @field_validator("tags")
    @classmethod
    def _are_tags(cls, tags: dict[str, str]) -> dict[str, str]:
        for number, (key, value) in enumerate(tags.items(), 1):
            if key.lower().startswith(_OF_AWS):
                message = f"keys that begin with {_OF_AWS} are AWS's own; expected another key"
                raise ValueError(message)
            if not all(_is_of(letter, "LZN") or letter in _OF_TAGS for letter in key + value):
                message = (
                    f"tag {number} holds more than letters, digits, spaces and "
                    f"{' '.join(sorted(_OF_TAGS))}"
                )
                raise ValueError(message)
        return tags

    @field_validator("group")
    @classmethod
    def _is_group(cls, group: str | None) -> str | None:
        if group is not None and not all(_is_of(it, "LMSNP") or it == " " for it in group):
            message = "expected letters, digits, punctuation and spaces"
            raise ValueError(message)
        if group in _RESERVED_GROUPS:
            message = f"{group} is a name that AWS keeps for itself; expected another"
            raise ValueError(message)
        return group

    @model_validator(mode="after")
    def _has_not_too_many(self) -> Self:
        number = len(self.managed_policies) + len(self.customer_policies)
        if number > MAX_POLICIES:
            message = (
                f"{number} policies in managed_policies and customer_policies together; Identity "
                f"Center takes {MAX_POLICIES}"
            )
            raise ValueError(message)
        return self

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

    def policies_of_aws(self) -> tuple[tuple[str, str], ...]:
        """The AWS managed policies that it names, each with the field that names it."""
        named = [(f"managed_policies.{n}", arn) for n, arn in enumerate(self.managed_policies)]
        if self.boundary is not None and self.boundary.managed_policy_arn is not None:
            named.append(("boundary.managed_policy_arn", self.boundary.managed_policy_arn))
        return tuple(named)


def catalogue_of(entries: Mapping[str, dict[str, object]]) -> Catalogue:
    """The catalogue in the accepted settings; without what this version of the code can't read."""
    return {name: entry.attributes() for name, entry in entries_of(entries).items()}


def entries_of(entries: Mapping[str, dict[str, object]]) -> dict[str, CatalogueEntry]:
    """The entries themselves, likewise."""
    found: dict[str, CatalogueEntry] = {}
    for name, value in entries.items():
        try:
            found[name] = validated(name, CatalogueEntry, value)
        except SettingsError:
            continue
    return found


def entry_of(attributes: PermissionSetAttributes) -> dict[str, object]:
    """The entry that wants a permission set to be just this, as JSON values; maybe invalid.

    What is at its default is left out, and so are AWS's own tags. An inline policy that is no JSON
    object stays text, which no entry takes.
    """
    boundary = attributes.boundary
    hours = attributes.session_seconds / SECONDS_OF_AN_HOUR
    entry: dict[str, object] = {
        "description": attributes.description,
        "session_hours": int(hours) if hours.is_integer() else hours,
        "managed_policies": sorted(attributes.managed_policies),
        "customer_policies": [
            _named(policy)
            for policy in sorted(attributes.customer_policies, key=lambda it: (it.path, it.name))
        ],
        "inline_policy": _object(attributes.inline_policy),
        "boundary": None
        if boundary is None
        else {"managed_policy_arn": boundary.managed_policy_arn}
        if boundary.customer_policy is None
        else {"customer_policy": _named(boundary.customer_policy)},
        "relay_state": attributes.relay_state,
        "tags": {
            key: value
            for key, value in sorted(attributes.tags.items())
            if not key.lower().startswith(_OF_AWS)
        },
    }
    return {name: value for name, value in entry.items() if value not in (None, [], {})}


def _named(policy: CustomerPolicy) -> dict[str, object]:
    named: dict[str, object] = {"name": policy.name}
    return named if policy.path == "/" else {**named, "path": policy.path}


def _object(text: str | None) -> object:
    try:
        found = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return text
    return text if found is not None and not isinstance(found, dict) else found


def _is_of(letter: str, categories: str) -> bool:
    """Whether a letter is of one of these general categories of Unicode."""
    return unicodedata.category(letter)[0] in categories


# Inline policies

_VERSIONS = ("2012-10-17", "2008-10-17")
_SID = re.compile(r"[A-Za-z0-9]*")
_ACTION = re.compile(r"\*|[A-Za-z0-9*?-]+:[A-Za-z0-9*?]+")
_MEMBERS = frozenset({"Version", "Id", "Statement"})
_OF_STATEMENT = frozenset(
    {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)


def policy_problem(document: Mapping[str, object]) -> str | None:
    """What keeps this from being an inline policy that Identity Center takes; None: nothing seen.

    The shape of the language of policies is checked, and the size. Whether actions and condition
    keys exist is not.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
    """
    return next(iter(_problems(document)), None)


def _problems(document: Mapping[str, object]) -> Iterable[str]:
    for name in sorted(document.keys() - _MEMBERS):
        yield f"{name}: is no member of a policy; expected Version and Statement"
    if document.get("Version", _VERSIONS[0]) not in _VERSIONS:
        yield f"Version: expected {_VERSIONS[0]}"
    statements = document.get("Statement")
    each = statements if isinstance(statements, list) else [statements]
    if not each or not all(isinstance(statement, dict) for statement in each):
        yield "Statement: expected a statement, or a list of statements"
        return
    sids: set[str] = set()
    for number, statement in enumerate(each):
        yield from (f"Statement.{number}.{problem}" for problem in _of_statement(statement, sids))
    text = json.dumps(document)
    if (long := len("".join(text.split()))) > MAX_INLINE_CHARACTERS:
        yield (
            f"{long:,} characters without white space; Identity Center takes "
            f"{MAX_INLINE_CHARACTERS:,}"
        )
    if len(text) > MAX_INLINE_BYTES:
        yield f"{len(text):,} bytes; Identity Center takes {MAX_INLINE_BYTES:,}"


def _of_statement(statement: Mapping[str, object], sids: set[str]) -> Iterable[str]:
    for name in sorted(statement.keys() - _OF_STATEMENT):
        yield f"{name}: is no member of an identity policy's statement"
    sid = statement.get("Sid", "")
    if not isinstance(sid, str) or _SID.fullmatch(sid) is None:
        yield "Sid: expected letters and digits"
    elif sid and sid in sids:
        yield "Sid: another statement has it; expected each once"
    else:
        sids.add(sid)
    if statement.get("Effect") not in ("Allow", "Deny"):  # whatever it is, a list too
        yield "Effect: expected Allow or Deny"
    yield from _of_objects(statement)
    condition = statement.get("Condition", {})
    if not isinstance(condition, dict) or not all(
        isinstance(keys, dict) for keys in condition.values()
    ):
        yield "Condition: expected operators, each with keys and values"


def _of_objects(statement: Mapping[str, object]) -> Iterable[str]:
    """What is wrong with what it is about: actions and resources."""
    for name, expected, is_one in (
        ("Action", "actions like s3:GetObject, or *", _is_action),
        ("Resource", "ARNs, or *", _is_resource),
    ):
        given = [it for it in (name, f"Not{name}") if it in statement]
        if len(given) != 1:
            yield f"{name}: give exactly one of {name} and Not{name}"
            continue
        value = statement[given[0]]
        each = value if isinstance(value, list) else [value]
        if not each or not all(isinstance(text, str) and is_one(text) for text in each):
            yield f"{given[0]}: expected {expected}, one or a list"


def _is_action(text: str) -> bool:
    return _ACTION.fullmatch(text.strip()) is not None


def _is_resource(text: str) -> bool:
    """Whether it is an ARN, or everything."""
    return text.startswith(("arn:", "*"))
