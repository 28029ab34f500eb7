"""Permission sets and assignments: as an event claims them, and as they are now.

Identity Center's console has an API of its own beside the public one, with other names for the
same things. Of its events nobody has published any: the names of their parameters are those that
its requests have. Of the public API, CreatePermissionSet and CreateAccountAssignment were seen in
real events; the shapes of the others come from the API model.
Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/security-authorization.html
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from keyward.actions import RequestKind
from keyward.drift import is_wanted
from keyward.errors import EventError, GatewayError, NotFoundError
from keyward.events import KEYWARD, text_of
from keyward.facts import directory
from keyward.gateways.identity_center import Principal, session_seconds
from keyward.livedeny import with_denies
from keyward.model import (
    AccountAssignment,
    Catalogue,
    CustomerPolicy,
    DirectoryIdentity,
    GroupMembership,
    Hint,
    OfIdentityCenter,
    PermissionSet,
    PermissionSetAttributes,
    PolicyDocument,
    PrincipalKind,
)
from keyward.policy.sentinels import worth_asking

if TYPE_CHECKING:
    from keyward.gateways.identity_center import IdentityCenterGateway
    from keyward.gateways.reach import Reach
    from keyward.ledger import Ledger

INLINE_POLICY = "inline policy"
"""What the inline policy of a permission set is called: AWS gives it no name."""

CATALOGUE_CHANGED = "CatalogueChanged"
"""Why Keyward looks at a permission set whose owners want another one from now on.

Whatever isn't so is so since then; of what any other look finds nobody knows since when.
"""

DEFAULT_SESSION = "PT1H"
"""Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/howtosessionduration.html"""


def claimed(hint: Hint, catalogue: Catalogue) -> tuple[OfIdentityCenter, ...]:
    """The permission set or assignment that the event speaks of. Pure.

    Where one of many values can't be read it is claimed as None. Raises EventError only where the
    event doesn't even tell which permission set or principal it is about.
    """
    if hint.event_source == KEYWARD:
        return _checked(hint, catalogue)
    reader = _READERS.get((hint.event_source, hint.event_name))
    return reader(hint, catalogue) if reader else ()


def identified(
    subjects: Iterable[OfIdentityCenter], *, reach: "Reach", ledger: "Ledger"
) -> tuple[list[OfIdentityCenter], list[OfIdentityCenter]]:
    """The claimed subjects of this organization's instance with their names; and the gone ones.

    A permission set that no longer exists is found if somebody remembers its name, since the
    catalogue may want it; one that the catalogue names is found by that name, too. One call for
    each permission set; to look for a name, one for each that there is.
    """
    center = reach.identity_center()
    found: list[OfIdentityCenter] = []
    gone: list[OfIdentityCenter] = []
    for subject in subjects:
        here: Iterable[OfIdentityCenter]
        match subject:
            case PermissionSet():
                known = _known(subject, center, ledger)
                here = [] if known is None else [known]
                gone += [subject] if known is not None and _was_missed(subject, known) else []
            case AccountAssignment():
                here = _assignments(subject, center)
            case DirectoryIdentity() | GroupMembership():
                here, _ = directory.identified([subject], center)
        found += here
        gone += [] if here else [subject]
    return found, gone


def current(
    subjects: Iterable[OfIdentityCenter], *, reach: "Reach", ledger: "Ledger", now: datetime
) -> list[OfIdentityCenter]:
    """Just those subjects, as they are in Identity Center now; left out are those that are gone.

    Expects them identified. Raises GatewayError(retryable) while AWS still makes an assignment.
    """
    found: list[OfIdentityCenter] = []
    for subject in subjects:
        present: OfIdentityCenter | None
        try:
            match subject:
                case PermissionSet():
                    present = _present_set(subject, reach, ledger, now)
                case AccountAssignment():
                    present = _present_assignment(subject, reach)
                case DirectoryIdentity() | GroupMembership():
                    in_directory = directory.current([subject], reach.identity_center())
                    present = in_directory[0] if in_directory else None
        except NotFoundError:
            present = None
        found += [] if present is None else [present]
    return found


# Permission sets


def _known(
    claim: PermissionSet, center: "IdentityCenterGateway", ledger: "Ledger"
) -> PermissionSet | None:
    """The permission set with both ARN and name; None where it is of no interest any more.

    A name is never changed, so that whoever remembers it is right.
    """
    instance = center.instance_arn()
    prefix = f"{_sets_of(instance)}/"
    arn = claim.arn and (claim.arn if claim.arn.startswith("arn:") else prefix + claim.arn)
    if claim.instance_arn not in {None, instance} or not (arn or prefix).startswith(prefix):
        return None
    known = replace(claim, account=center.hub_account, instance_arn=instance, arn=arn)
    name = claim.name
    if arn is not None:
        try:
            return replace(known, name=center.name_of(arn))
        except NotFoundError:
            name = name or ledger.name_of_set(arn)
    if name is None:
        return None
    # Of the same name there may be another by now: somebody, or Keyward, made it anew. It is known
    # by its name alone then, as the one that was missing was.
    other = center.names().get(name) if arn is None or name in claim.catalogue else None
    found = other if arn is None else None
    return replace(known, name=name, arn=found, exists=other is not None, former_arn=arn)


def _was_missed(claim: PermissionSet, known: PermissionSet) -> bool:
    """Whether a set was looked for by its name alone and is there.

    What the ledger holds against that name, which then had no ARN, is so no more.
    """
    return claim.arn is None and known.exists and claim.name in claim.catalogue


def _present_set(
    claim: PermissionSet, reach: "Reach", ledger: "Ledger", now: datetime
) -> PermissionSet | None:
    if claim.exists and claim.arn is None:
        return None  # made anew: it is not missing, and what it is its own events tell
    if claim.exists:
        try:
            return _read(claim, reach, ledger, now)
        except NotFoundError:
            claim = replace(claim, exists=False, arn=None, former_arn=claim.arn)
    return claim if claim.wanted is not None else None


def as_it_is(  # noqa: PLR0913 - all of it by name
    arn: str,
    *,
    every: Iterable[str],
    catalogue: Catalogue,
    reach: "Reach",
    ledger: "Ledger",
    now: datetime,
) -> PermissionSet:
    """All of the permission set of this ARN, one of `every`, as a sweep sees it.

    Eight calls, and one for each further page. Raises NotFoundError where it is gone.
    """
    center = reach.identity_center()
    claim = PermissionSet(
        account=center.hub_account,
        instance_arn=center.instance_arn(),
        arn=arn,
        catalogue=catalogue,
    )
    return _read(claim, reach, ledger, now, every=every)


def _read(
    claim: PermissionSet,
    reach: "Reach",
    ledger: "Ledger",
    now: datetime,
    *,
    every: Iterable[str] | None = None,
) -> PermissionSet:
    """All of a permission set that exists. Raises NotFoundError where it doesn't.

    What is wanted of it is what the catalogue says, and the denies of live sessions that stand.

    What costs a call and is asked only where Keyward looks by itself: which accounts hold an older
    version, and how many permission sets there are.
    """
    center, arn = reach.identity_center(), claim.arn or ""
    found = _with_attributes(claim, reach)
    if found.name is not None and found.wanted is not None:
        ledger.remember_set(arn, found.name)
        wanted = with_denies(found.wanted, ledger.live_denies(arn, now=now))
        found = replace(found, catalogue={**found.catalogue, found.name: wanted})
    found = replace(
        found, accounts=center.accounts_of(arn), second_opinion=_second_opinion(found, reach)
    )
    if claim.since is not None:
        return found
    every = tuple(center.arns() if every is None else every)
    return replace(
        found,
        stale_accounts=center.accounts_of(arn, stale=True),
        number_of_sets=len(every) if arn == _bearer(every, claim.catalogue, ledger) else None,
    )


def _bearer(arns: Iterable[str], catalogue: Catalogue, ledger: "Ledger") -> str | None:
    """The one of which alone it is told how many there are: it is one finding.

    None that the catalogue names, as far as somebody remembers names: these are always in order.
    """
    arns = tuple(arns)
    names = ledger.names_of_sets(arns) if catalogue else {}
    return max((arn for arn in arns if names.get(arn) not in catalogue), default=None)


def _with_attributes(claim: PermissionSet, reach: "Reach") -> PermissionSet:
    """The permission set with what it is and what it grants, without where it is."""
    name, attributes = reach.identity_center().attributes(claim.arn or "")
    boundary = attributes.boundary and attributes.boundary.managed_policy_arn
    bounded = _managed([boundary] if boundary else [], reach)
    documents = _managed(attributes.managed_policies, reach)
    if attributes.inline_policy is not None:
        documents.append(PolicyDocument(name=INLINE_POLICY, text=attributes.inline_policy))
    return replace(
        claim,
        name=name,
        attributes=attributes,
        documents=tuple(documents),
        boundary_document=bounded[0] if bounded else None,
        added=_still_on(claim.added, attributes, documents),
    )


def _managed(arns: Iterable[str], reach: "Reach") -> list[PolicyDocument]:
    """What managed policies say. Of one that isn't found nobody can tell: its text is empty."""
    documents = []
    for arn in arns:
        try:
            documents.append(reach.hub_iam().managed_policy(arn))
        except NotFoundError:
            documents.append(PolicyDocument(name=arn.rpartition("/")[2], text="", arn=arn))
    return documents


def _still_on(
    added: PolicyDocument | CustomerPolicy | None,
    attributes: PermissionSetAttributes,
    documents: Iterable[PolicyDocument],
) -> PolicyDocument | CustomerPolicy | None:
    """The policy that an event put on, as it is now; None where it is off again.

    There is one inline policy at most: whichever stands there now is judged.
    """
    match added:
        case CustomerPolicy():
            return added if added in attributes.customer_policies else None
        case PolicyDocument():
            same = (it for it in documents if it.arn == added.arn)
            return next(same, None)
        case None:
            return None


def _second_opinion(found: PermissionSet, reach: "Reach") -> tuple[str, ...]:
    """What IAM Access Analyzer objects to in the policy that an event put on; nothing if unasked.

    It is paid for each time: it isn't asked where the catalogue names the policy, or where it could
    know of nothing that Keyward doesn't. Where it doesn't answer, everything else goes on.
    """
    added = found.added
    if not isinstance(added, PolicyDocument) or is_wanted(added, found.wanted):
        return ()
    try:
        analyzer = reach.access_analyzer()
        if analyzer is None or not worth_asking(added):
            return ()
        return analyzer.objections(added)
    except GatewayError as error:
        from keyward.observability import logger  # noqa: PLC0415 - explain does without its package

        logger.warning("no second opinion", subject=found.label, reason=str(error))
        return ()


# Assignments


def _assignments(
    claim: AccountAssignment, center: "IdentityCenterGateway"
) -> list[AccountAssignment]:
    """The assignment, if it is of this instance.

    Where the event tells only who got one (see `_associated`), it is each that the principal has:
    which of them is new nobody can tell.
    """
    instance = center.instance_arn()
    if claim.instance_arn not in {None, instance}:
        return []
    known = replace(claim, instance_arn=instance)
    if claim.permission_set_arn.startswith("arn:"):
        is_ours = claim.permission_set_arn.startswith(f"{_sets_of(instance)}/")
        return [known] if is_ours else []
    return [
        replace(known, account=account, permission_set_arn=arn, since=None)
        for account, arn in center.assignments_of(claim.principal_kind, claim.principal_id)
    ]


def _present_assignment(claim: AccountAssignment, reach: "Reach") -> AccountAssignment | None:
    center = reach.identity_center()
    if not _is_held(claim, center) and not _came_about(claim, center):
        return None
    permission_set = PermissionSet(
        account=center.hub_account, instance_arn=claim.instance_arn, arn=claim.permission_set_arn
    )
    return replace(
        claim,
        permission_set=_with_attributes(permission_set, reach),
        principal_name=_name_of(claim, center),
        parents=_parents(claim.account, reach),
    )


def _name_of(claim: AccountAssignment, center: "IdentityCenterGateway") -> str | None:
    """What people call the principal: where the identity store doesn't tell, its id has to do."""
    try:
        return center.principal_name(claim.principal_kind, claim.principal_id)
    except GatewayError:
        return None


def _is_held(claim: AccountAssignment, center: "IdentityCenterGateway") -> bool:
    principal = Principal(kind=claim.principal_kind, id=claim.principal_id)
    return principal in center.principals_of(claim.account, claim.permission_set_arn)


def _came_about(claim: AccountAssignment, center: "IdentityCenterGateway") -> bool:
    """Whether an assignment that isn't seen is there after all: making one takes AWS a while.

    Raises GatewayError(retryable) while it still does.
    Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_CreateAccountAssignment.html
    """
    if claim.request_id is None:
        return False
    state = center.status(RequestKind.ASSIGNMENT_CREATION, claim.request_id).state
    if state == "IN_PROGRESS":
        message = f"AWS is still making the {claim.label} in {claim.account}"
        raise GatewayError(message, code="InProgress", retryable=True)
    return state == "SUCCEEDED" and _is_held(claim, center)


def _parents(account: str, reach: "Reach") -> tuple[str, ...] | None:
    """The account's OUs and root; None where AWS doesn't let Keyward see them."""
    try:
        return reach.parents(account)
    except GatewayError as error:
        if error.retryable:
            raise
        return None


# What events say


def _checked(hint: Hint, catalogue: Catalogue) -> tuple[OfIdentityCenter, ...]:
    """The permission set that Keyward tells itself to look at, by ARN or by name.

    With a principal it is that assignment, and `since` when it came about at the earliest.
    """
    arn = text_of(hint.parameters, "permissionSetArn")
    if "principalId" in hint.parameters:
        return (_checked_assignment(hint),)
    name = text_of(hint.parameters, "permissionSetName")
    if arn is None and name is None:
        return ()
    return (
        PermissionSet(
            account=hint.account,
            arn=arn,
            name=name,
            catalogue=catalogue,
            since=hint.time if hint.event_name == CATALOGUE_CHANGED else None,
        ),
    )


def _checked_assignment(hint: Hint) -> AccountAssignment:
    return AccountAssignment(
        account=_required(hint, "accountId"),
        permission_set_arn=_required(hint, "permissionSetArn"),
        principal_kind=_kind(hint),
        principal_id=_required(hint, "principalId"),
        since=directory.time_in(hint, "since") if "since" in hint.parameters else None,
    )


def _created(hint: Hint, catalogue: Catalogue) -> tuple[OfIdentityCenter, ...]:
    answer = hint.response.get("permissionSet")
    made = answer if isinstance(answer, Mapping) else {}
    arn = text_of(made, "permissionSetArn")
    name = text_of(hint.parameters, "name") or text_of(made, "name")
    if arn is None and name is None:
        raise _lacking(hint, "name")
    length = made.get("sessionDuration", DEFAULT_SESSION)
    return (
        PermissionSet(
            account=hint.account,
            instance_arn=text_of(hint.parameters, "instanceArn"),
            arn=arn,
            name=name,
            claimed={"session_seconds": _seconds(length), **_details(hint)},
            catalogue=catalogue,
            since=hint.time,
        ),
    )


def _updated(hint: Hint, catalogue: Catalogue) -> tuple[OfIdentityCenter, ...]:
    return (_set_of(hint, catalogue, claimed=_details(hint)),)


def _changed(hint: Hint, catalogue: Catalogue) -> tuple[OfIdentityCenter, ...]:
    return (_set_of(hint, catalogue),)


def _managed_policy_added(hint: Hint, catalogue: Catalogue) -> tuple[OfIdentityCenter, ...]:
    arn = text_of(hint.parameters, "managedPolicyArn")
    if arn is None:
        raise _lacking(hint, "managedPolicyArn")
    added = PolicyDocument(name=arn.rpartition("/")[2], text="", arn=arn)
    return (_set_of(hint, catalogue, added=added),)


def _customer_policy_added(hint: Hint, catalogue: Catalogue) -> tuple[OfIdentityCenter, ...]:
    name = text_of(hint.parameters, "customerManagedPolicyReference", "name")
    if name is None:
        raise _lacking(hint, "customerManagedPolicyReference.name")
    path = text_of(hint.parameters, "customerManagedPolicyReference", "path") or "/"
    return (_set_of(hint, catalogue, added=CustomerPolicy(name=name, path=path)),)


def _inline_policy_put(hint: Hint, catalogue: Catalogue) -> tuple[OfIdentityCenter, ...]:
    """Reads both spellings; a text that isn't told is no policy, and will have to be read."""
    text = hint.parameters.get("inlinePolicy", hint.parameters.get("policyDocument"))
    added = PolicyDocument(name=INLINE_POLICY, text=text if isinstance(text, str) else "")
    return (_set_of(hint, catalogue, added=added),)


def _tagged(hint: Hint, catalogue: Catalogue) -> tuple[OfIdentityCenter, ...]:
    """Reads TagResource and UntagResource: applications and instances have tags as well."""
    arn = text_of(hint.parameters, "resourceArn")
    if arn is None:
        raise _lacking(hint, "resourceArn")
    if ":permissionSet/" not in arn:
        return ()
    tags, keys = hint.parameters.get("tags"), hint.parameters.get("tagKeys")
    named = [tag.get("key") for tag in _list(tags) if isinstance(tag, Mapping)] + _list(keys)
    claimed = {"tag_keys": tuple(key for key in named if isinstance(key, str))} if named else {}
    return (
        PermissionSet(
            account=hint.account,
            instance_arn=text_of(hint.parameters, "instanceArn"),
            arn=arn,
            claimed=claimed,
            catalogue=catalogue,
            since=hint.time,
        ),
    )


def _assigned(hint: Hint, _catalogue: Catalogue) -> tuple[OfIdentityCenter, ...]:
    kind = _kind(hint)
    answer = hint.response.get("accountAssignmentCreationStatus")
    request = answer.get("requestId") if isinstance(answer, Mapping) else None
    return (
        AccountAssignment(
            account=_required(hint, "targetId"),
            permission_set_arn=_required(hint, "permissionSetArn"),
            principal_kind=kind,
            principal_id=_required(hint, "principalId"),
            instance_arn=text_of(hint.parameters, "instanceArn"),
            request_id=request if isinstance(request, str) else None,
            since=hint.time,
        ),
    )


def _kind(hint: Hint) -> PrincipalKind:
    kind = _required(hint, "principalType")
    if kind not in set(PrincipalKind):
        message = f"event {hint.event_id}: principalType {kind!r} is neither USER nor GROUP"
        raise EventError(message)
    return PrincipalKind(kind)


def _associated(hint: Hint, _catalogue: Catalogue) -> tuple[OfIdentityCenter, ...]:
    """Reads AssociateProfile, as console and Account Factory once made assignments.

    It names a profile, which only the private API maps to account and permission set: the principal
    is all that can be looked for. Who is not called a group is taken for a user.
    """
    kind = text_of(hint.parameters, "accessorType")
    return (
        AccountAssignment(
            account=hint.account,
            permission_set_arn=text_of(hint.parameters, "profileId") or "",
            principal_kind=PrincipalKind.GROUP if kind == "GROUP" else PrincipalKind.USER,
            principal_id=_required(hint, "accessorId"),
            since=hint.time,
        ),
    )


def _details(hint: Hint) -> dict[str, object]:
    """What a request says of description, session and relay state; the private API says ttl."""
    asked = hint.parameters
    found = {
        name: asked[parameter]
        for parameter, name in (("description", "description"), ("relayState", "relay_state"))
        if parameter in asked
    }
    duration = asked.get("sessionDuration", asked.get("ttl"))
    if duration is not None:
        found["session_seconds"] = _seconds(duration)
    return found


def _seconds(duration: object) -> int | None:
    try:
        return session_seconds(duration) if isinstance(duration, str) else None
    except ValueError:
        return None


def _set_of(
    hint: Hint,
    catalogue: Catalogue,
    *,
    claimed: Mapping[str, object] | None = None,
    added: PolicyDocument | CustomerPolicy | None = None,
) -> PermissionSet:
    """The permission set that a request names, by its ARN or by the ps-... of the private API."""
    arn = text_of(hint.parameters, "permissionSetArn")
    arn = arn or text_of(hint.parameters, "permissionSetId")
    if arn is None:
        raise _lacking(hint, "permissionSetArn")
    instance = text_of(hint.parameters, "instanceArn")
    if instance is not None and not arn.startswith("arn:"):
        arn = f"{_sets_of(instance)}/{arn}"
    return PermissionSet(
        account=hint.account,
        instance_arn=instance,
        arn=arn,
        claimed=claimed or {},
        added=added,
        catalogue=catalogue,
        since=hint.time,
    )


def _sets_of(instance_arn: str) -> str:
    """How the ARNs of an instance's permission sets begin.

    Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_PermissionSet.html
    """
    return instance_arn.replace(":instance/", ":permissionSet/", 1)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _required(hint: Hint, parameter: str) -> str:
    found = text_of(hint.parameters, parameter)
    if found is None:
        raise _lacking(hint, parameter)
    return found


def _lacking(hint: Hint, field: str) -> EventError:
    return EventError(
        f"event {hint.event_id}: {hint.event_name} in {hint.account} lacks {field}: look by hand"
    )


_SSO = "sso.amazonaws.com"
_READERS: dict[tuple[str, str], Callable[[Hint, Catalogue], tuple[OfIdentityCenter, ...]]] = {
    (_SSO, "CreatePermissionSet"): _created,
    (_SSO, "UpdatePermissionSet"): _updated,
    (_SSO, "DeletePermissionSet"): _changed,
    (_SSO, "TagResource"): _tagged,
    (_SSO, "UntagResource"): _tagged,
    (_SSO, "PutInlinePolicyToPermissionSet"): _inline_policy_put,
    (_SSO, "DeleteInlinePolicyFromPermissionSet"): _changed,
    (_SSO, "AttachManagedPolicyToPermissionSet"): _managed_policy_added,
    (_SSO, "DetachManagedPolicyFromPermissionSet"): _changed,
    (_SSO, "AttachCustomerManagedPolicyReferenceToPermissionSet"): _customer_policy_added,
    (_SSO, "DetachCustomerManagedPolicyReferenceFromPermissionSet"): _changed,
    (_SSO, "PutPermissionsBoundaryToPermissionSet"): _changed,
    (_SSO, "DeletePermissionsBoundaryFromPermissionSet"): _changed,
    (_SSO, "PutPermissionsPolicy"): _inline_policy_put,
    (_SSO, "DeletePermissionsPolicy"): _changed,
    (_SSO, "CreateAccountAssignment"): _assigned,
    (_SSO, "AssociateProfile"): _associated,
}
