"""A permission set of the catalogue is not what its owners wrote down.

Why: the catalogue is what was agreed on and reviewed. An edit in the console is neither, and the
next one who reads the catalogue believes something that isn't so.

Raised by: every change of a permission set, of its policies, its boundary and its tags; the sweep;
a change of the catalogue itself. Regions: Identity Center's home region, in the management account
and in that of the delegated administrator.
A save in the console comes in several calls. Keyward waits ten seconds for the rest, and one
finding lists all differences: `-` for what is, `+` for what the catalogue says.
In mode enforce the set becomes what the catalogue says; then the accounts that have it get it so.
Owners change a set by changing its parameter: Keyward then brings Identity Center there.

What is let be: tags that the catalogue doesn't name; white space, and the order of members, in the
inline policy.

Known gaps: what the catalogue doesn't name is not judged here. Most of these events tell the set's
ARN only, so that each change of whatever set has to be looked at as soon as there is a catalogue.
But for CreatePermissionSet the parameters come from the API model and were not seen in a real
event; those of PutPermissionsPolicy and DeletePermissionsPolicy, by which an old console changed
inline policies, are guessed from its requests.

How to fix: if the change was right, write it into the catalogue; else put the set back as it was,
and provision it.
"""

from collections.abc import Iterator

from keyward.actions import Enforcement
from keyward.drift import differences, lines
from keyward.findings import Reason
from keyward.model import Hint, PermissionSet
from keyward.rule import Rule
from keyward.settings import RuleSettings


class Settings(RuleSettings):
    """Nothing beyond what every rule has."""


def judge(permission_set: PermissionSet, _hint: Hint, _settings: Settings) -> Iterator[Reason]:
    """Objects to every difference from the catalogue, all in one reason."""
    if not permission_set.exists:
        return
    wanted, attributes = permission_set.wanted, permission_set.attributes
    if attributes is None:
        if permission_set.may_be_listed and not _is_about_other_tags(permission_set):
            yield Reason(
                code="drift",
                text=f"{permission_set.label} may not be as the catalogue says",
                maybe=True,
            )
        return
    found = () if wanted is None else differences(attributes, wanted)
    if found:
        count = "1 difference" if len(found) == 1 else f"{len(found)} differences"
        yield Reason(
            code="drift",
            text=f"{permission_set.label} is not as the catalogue says: {count}",
            details=lines(found),
        )


def _is_about_other_tags(permission_set: PermissionSet) -> bool:
    """Whether only tags changed that the catalogue names nowhere: nothing to look at."""
    keys = permission_set.claimed.get("tag_keys")
    if not isinstance(keys, tuple):
        return False
    named = {key for wanted in permission_set.catalogue.values() for key in wanted.tags}
    return named.isdisjoint(keys)


RULE = Rule(
    id="idc-permission-set-drift",
    triggers={
        "sso.amazonaws.com": (
            "CreatePermissionSet",
            "UpdatePermissionSet",
            "PutInlinePolicyToPermissionSet",
            "DeleteInlinePolicyFromPermissionSet",
            "AttachManagedPolicyToPermissionSet",
            "DetachManagedPolicyFromPermissionSet",
            "AttachCustomerManagedPolicyReferenceToPermissionSet",
            "DetachCustomerManagedPolicyReferenceFromPermissionSet",
            "PutPermissionsBoundaryToPermissionSet",
            "DeletePermissionsBoundaryFromPermissionSet",
            "TagResource",
            "UntagResource",
            "PutPermissionsPolicy",
            "DeletePermissionsPolicy",
        )
    },
    judges=PermissionSet,
    settings=Settings,
    enforcement=Enforcement.RESTORE_PERMISSION_SET,
    judge=judge,
    fix="Write the change into the catalogue if it was right; else put the set back as it was.",
    needs="state",
    patience_seconds=10,
)
