"""Identity Center as AWS behaves, inside moto: in this process or in the local server.

moto's sso-admin does everything at once and accepts anything. `install` replaces its answers with
ones that are asynchronous, limited and refused as on AWS; `Behaviour` says what happens next, and a
test changes it while it runs. State lies in moto's backend, so that `mock_aws` forgets it.

What is a guess says so. The shape and the limits of every parameter come from the API model that
botocore ships, checked here because a client checks almost none of them.
Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/welcome.html
"""

from __future__ import annotations

import functools
import json
import re
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import botocore.session
from botocore.model import ListShape, StringShape, StructureShape
from moto.core.exceptions import JsonRESTError
from moto.core.utils import camelcase_to_underscores
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.identitystore.exceptions import ConflictException as StoreConflictException
from moto.identitystore.exceptions import ResourceNotFoundException as StoreNotFoundException
from moto.identitystore.models import IdentityStoreBackend, identitystore_backends
from moto.ssoadmin import models
from moto.ssoadmin.responses import SSOAdminResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from botocore.model import ServiceModel, Shape
    from moto.identitystore.models import IdentityStoreData
    from moto.ssoadmin.models import Instance, ManagedPolicy, PermissionSet, SSOAdminBackend

type Json = dict[str, Any]
type Operation = Callable[[Center, Json], Json]

# Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/limits.html
OUTSTANDING_ASSIGNMENTS = 15
OUTSTANDING_PROVISIONINGS = 3
POLICIES_FOR_A_PERMISSION_SET = 25
INLINE_POLICY_CHARACTERS = 10_240
# Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/howtosessionduration.html
SESSION_HOURS_AT_LEAST = 1
SESSION_HOURS_AT_MOST = 12
DEFAULT_SESSION = "PT1H"
DURATION = re.compile(
    r"P(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)
CONFLICT = "ConflictException"
MISSING = "ResourceNotFoundException"
INVALID = "ValidationException"
EXCEEDED = "ServiceQuotaExceededException"
THROTTLED = "ThrottlingException"


@dataclass
class Behaviour:
    """What Identity Center does; every field may be changed while it runs."""

    looks_in_progress: int = 2
    """So many looks at a request (Describe...Status or List...Status) find it IN_PROGRESS.

    The next one finds its end, and only then has it an effect. 0: the effect comes with the call.
    """
    seconds_in_progress: float | None = None
    """A request ends after so many seconds, looked at or not. None: it waits for the looks."""
    one_after_another: bool = False
    """With seconds: assignments in one account come to an end one by one, as AWS makes them.

    It updates one role of an account at a time.
    Source: https://docs.aws.amazon.com/singlesignon/latest/userguide/limits.html
    """
    outstanding_assignments: int = OUTSTANDING_ASSIGNMENTS
    """Creations and deletions together; AWS names the limit for CreateAccountAssignment only."""
    outstanding_provisionings: int = OUTSTANDING_PROVISIONINGS
    page_size: int = 100
    """At most so many items in a page, whatever MaxResults asks for."""
    accounts: Collection[str] | None = None
    """The accounts of the organization; None: every account exists."""
    owner: str | None = None
    """The account that has the instance; None: each account has one of its own, as in moto."""
    home_region: str | None = None
    """The region that has the instance; None: each region has one, as in moto."""
    refusals: dict[str, list[str]] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)
    losses: dict[str, list[bool]] = field(default_factory=dict)
    unready: dict[str, int] = field(default_factory=dict)
    """How many further assignments fail in an account because AWS has not entered it yet."""
    clock: Callable[[], float] = time.time
    """Seconds since 1970: what a request is said to be created at, and lasts by."""

    def serves(self, account: str, region: str) -> bool:
        """Return whether this account sees the instance in this region."""
        return self.owner in {None, account} and self.home_region in {None, region}

    def refuse(self, operation: str, code: str, *, times: int = 1) -> None:
        """Let the next calls of an operation fail at once: ConflictException, throttled, denied."""
        self.refusals.setdefault(operation, []).extend([code] * times)

    def fail(self, operation: str, reason: str = "Internal service error") -> None:
        """Let the next request of an operation be accepted, and end FAILED for this reason."""
        self.failures.setdefault(operation, []).append(reason)

    def lose(self, operation: str, *, effective: bool = True) -> None:
        """Let the next request of an operation be accepted, and its status never be found again.

        `effective`: what was asked for is done all the same, at once.
        """
        self.losses.setdefault(operation, []).append(effective)

    def not_ready(self, account: str, *, times: int = 1) -> None:
        """Let the next assignments in an account end FAILED, as those in a new account may."""
        self.unready[account] = self.unready.get(account, 0) + times

    def is_ready(self, account: str) -> bool:
        """Return whether AWS can enter an account, and count down to that."""
        left = self.unready.get(account, 0)
        if left:
            self.unready[account] = left - 1
        return not left


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who has which permission set in which account: what overlapping operations share."""

    permission_set: str
    account: str
    principal_type: str
    principal_id: str

    @classmethod
    def of(cls, asked: Json) -> Assignment:
        """Return what a call speaks of."""
        return cls(
            permission_set=asked["PermissionSetArn"],
            account=asked["TargetId"],
            principal_type=asked["PrincipalType"],
            principal_id=asked["PrincipalId"],
        )

    def described(self) -> Json:
        """Return it as the lists do."""
        return {
            "AccountId": self.account,
            "PermissionSetArn": self.permission_set,
            "PrincipalType": self.principal_type,
            "PrincipalId": self.principal_id,
        }


@dataclass
class Request:
    """An asynchronous request: its status, and what it does once it succeeds."""

    operation: str
    about: Json
    subject: Assignment | str
    looks_left: int
    end: Callable[[], str | None]
    """Takes effect, and returns None; or returns why it failed."""
    failure: str | None = None
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created: float = field(kw_only=True)
    status: str = "IN_PROGRESS"
    reason: str | None = None

    def settle(self) -> None:
        """Come to an end: SUCCEEDED with its effect, or FAILED with none."""
        if self.status == "IN_PROGRESS":
            self.reason = self.failure or self.end()
            self.status = "FAILED" if self.reason else "SUCCEEDED"

    def look(self) -> None:
        """Be looked at once more."""
        if self.looks_left > 0:
            self.looks_left -= 1
        else:
            self.settle()

    def summary(self) -> Json:
        """Return it as the lists of requests do."""
        return {"RequestId": self.request_id, "Status": self.status, "CreatedDate": self.created}

    def described(self) -> Json:
        """Return it as Describe...Status does."""
        reason = {"FailureReason": self.reason} if self.reason else {}
        return self.about | self.summary() | reason


@dataclass
class Center:
    """One instance: what moto's backend keeps, and beside it what moto lacks."""

    backend: SSOAdminBackend
    behaviour: Behaviour
    requests: dict[str, Request] = field(default_factory=dict)
    begun: dict[str, Request] = field(default_factory=dict)
    """Those that were in progress at the last look: of many thousands, the few that may end."""
    free: dict[str, float] = field(default_factory=dict)
    """Since when an account is at nothing any more, of those that were at something."""
    assignments: dict[Assignment, None] = field(default_factory=dict)
    versions: Counter[str] = field(default_factory=Counter)
    """How often a permission set was changed."""
    provisioned: dict[tuple[str, str], int] = field(default_factory=dict)
    """Which version of a permission set an account has."""
    boundaries: dict[str, Json] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def instance(self) -> Instance:
        """The instance itself."""
        return self.backend.instances[0]

    def permission_set(self, asked: Json) -> PermissionSet:
        """Return the permission set that a call speaks of.

        Raises:
            JsonRESTError: ResourceNotFoundException.

        """
        for found in self.backend.permission_sets:
            if found.permission_set_arn == asked["PermissionSetArn"]:
                return found
        raise refused(MISSING, f"Could not find PermissionSet {asked['PermissionSetArn']}")

    def changed(self, permission_set: PermissionSet) -> Json:
        """Note that accounts have an older version from now on: none gets it by itself."""
        self.versions[permission_set.permission_set_arn] += 1
        return {}

    def outstanding(self, *operations: str) -> list[Request]:
        """Return the requests of these operations that are in progress."""
        return [r for r in self.in_progress() if r.operation in operations]

    def in_progress(self) -> list[Request]:
        """Return the requests that have not ended, oldest first."""
        self.begun = {i: r for i, r in self.begun.items() if r.status == "IN_PROGRESS"}
        return list(self.begun.values())

    def start(
        self, operation: str, about: Json, subject: Assignment | str, end: Callable[[], str | None]
    ) -> Json:
        """Accept a request, and answer that it is in progress, as AWS does however fast it is."""
        behaviour = self.behaviour
        failures, losses = behaviour.failures.get(operation), behaviour.losses.get(operation)
        request = Request(
            operation=operation,
            about=about,
            subject=subject,
            looks_left=behaviour.looks_in_progress,
            end=end,
            failure=failures.pop(0) if failures else None,
            created=behaviour.clock(),
        )
        answer = request.described()
        if losses:
            if losses.pop(0):
                request.settle()
            return answer
        self.requests[request.request_id] = self.begun[request.request_id] = request
        if not behaviour.looks_in_progress:
            request.settle()
        return answer

    def look(self, request: Request) -> None:
        """Look at a request once more, which may end it."""
        if self.behaviour.seconds_in_progress is None:
            request.look()

    def advance(self) -> None:
        """End the requests whose time is over."""
        seconds, now = self.behaviour.seconds_in_progress, self.behaviour.clock()
        if seconds is None:
            return
        for request in self.in_progress():
            begun = request.created
            if self.behaviour.one_after_another and isinstance(request.subject, Assignment):
                begun = max(begun, self.free.get(request.subject.account, begun))
            if now - begun < seconds:
                continue
            request.settle()
            if isinstance(request.subject, Assignment):
                self.free[request.subject.account] = begun + seconds

    def page(self, name: str, items: Iterable[Any], asked: Json) -> Json:
        """Return one page of a list, and the token of the next."""
        every = list(items)
        size = min(asked.get("MaxResults", 100), self.behaviour.page_size)
        begin = int(asked.get("NextToken") or 0)
        more = {"NextToken": str(begin + size)} if begin + size < len(every) else {}
        return {name: every[begin : begin + size], **more}

    def knows(self, assignment: Assignment) -> bool:
        """Return whether the principal is in the identity store."""
        backend = identitystore_backends[self.backend.account_id][self.backend.region_name]
        store = backend.identity_stores.get(self.instance.identity_store_id)
        if not store:
            return False
        known = store.users if assignment.principal_type == "USER" else store.groups
        return assignment.principal_id in known


def install(behaviour: Behaviour) -> None:
    """Let moto's sso-admin behave like AWS from now on, and as `behaviour` says."""
    uninstall()
    _installed.behaviour = behaviour
    for operation in OPERATIONS:
        _replace(SSOAdminResponse, camelcase_to_underscores(operation), _answering(operation))
    made = models.Instance.__init__

    def instance(self: Instance, account_id: str, region: str) -> None:
        made(self, account_id, region)
        # On AWS its digits are hexadecimal, and moto's aren't.
        self.identity_store_id = f"d-{uuid.uuid4().hex[:10]}"

    _replace(models.Instance, "__init__", instance)
    _replace(models.PermissionSet, "generate_id", staticmethod(_permission_set_id))
    for name, method in _store_methods().items():
        _replace(IdentityStoreBackend, name, method)


def uninstall() -> None:
    """Give moto back its own answers; what stands in its backends stays there."""
    while _installed.replaced:
        owner, name, original = _installed.replaced.pop()
        if original is None:
            delattr(owner, name)
        else:
            setattr(owner, name, original)


def settle_all(account: str, region: str = "us-east-1") -> None:
    """Let time pass: every request that is in progress comes to its end."""
    with _installed.lock:
        for request in center_of(account, region).in_progress():
            request.settle()


def center_of(account: str, region: str = "us-east-1") -> Center:
    """Return the instance of an account and region, for a test to arrange and to read."""
    backend = models.ssoadmin_backends[account][region]
    with _installed.lock:
        found = vars(backend).get("keyward_center")
        if not isinstance(found, Center):
            found = Center(backend=backend, behaviour=_installed.behaviour)
            vars(backend)["keyward_center"] = found
        found.behaviour = _installed.behaviour
        return found


@dataclass
class _Installed:
    behaviour: Behaviour = field(default_factory=Behaviour)
    replaced: list[tuple[type, str, object]] = field(default_factory=list)
    """What was replaced: where, by which name, and what stood there (None: nothing)."""
    lock: threading.RLock = field(default_factory=threading.RLock)


_installed = _Installed()


def _replace(owner: type, name: str, new: object) -> None:
    _installed.replaced.append((owner, name, vars(owner).get(name)))
    setattr(owner, name, new)


def _permission_set_id(instance_arn: str) -> str:
    """Name a permission set as AWS does: moto puts it under `instance`, which the model refuses.

    Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_PermissionSet.html
    """
    return f"{instance_arn.replace(':instance/', ':permissionSet/')}/ps-{uuid.uuid4().hex[:16]}"


def _store_methods() -> dict[str, object]:
    """Return what moto's identity store gets wrong, by the name of its method.

    It makes a store of any name on demand, adds a member twice, and keeps the memberships of a
    group or person that is deleted.
    Source: https://docs.aws.amazon.com/singlesignon/latest/IdentityStoreAPIReference/API_CreateGroupMembership.html
    """
    private = "_IdentityStoreBackend__get_identity_store"
    find = vars(IdentityStoreBackend)[private]
    add = IdentityStoreBackend.create_group_membership

    def existing(self: IdentityStoreBackend, store_id: str) -> IdentityStoreData:
        center = center_of(self.account_id, self.region_name)
        here = center.behaviour.serves(self.account_id, self.region_name)
        if here and store_id == center.instance.identity_store_id:
            return cast("IdentityStoreData", find(self, store_id))
        message, kind = "IDENTITY_STORE not found.", "IDENTITY_STORE"
        raise StoreNotFoundException(message=message, resource_type=kind)

    def add_once(
        self: IdentityStoreBackend, identity_store_id: str, group_id: str, member_id: dict[str, str]
    ) -> tuple[str, str]:
        held = existing(self, identity_store_id).group_memberships.values()
        if any((m["GroupId"], m["MemberId"]) == (group_id, member_id) for m in held):
            message, reason = "Member is in the group", "UNIQUENESS_CONSTRAINT_VIOLATION"
            raise StoreConflictException(message=message, reason=reason)
        return add(self, identity_store_id, group_id, member_id)

    def deleting(name: str) -> Callable[..., None]:
        known = vars(IdentityStoreBackend)[name]

        def method(self: IdentityStoreBackend, *, identity_store_id: str, **deleted: str) -> None:
            memberships = existing(self, identity_store_id).group_memberships
            for number, held in list(memberships.items()):
                if {held["GroupId"], held["MemberId"]["UserId"]} & set(deleted.values()):
                    del memberships[number]
            known(self, identity_store_id, *deleted.values())

        return method

    deletions = {name: deleting(name) for name in ("delete_group", "delete_user")}
    return {private: existing, "create_group_membership": add_once, **deletions}


def _answering(operation: str) -> Callable[[SSOAdminResponse], str]:
    def method(response: SSOAdminResponse) -> str:
        with _installed.lock:
            return json.dumps(answer(operation, response))

    return method


def answer(operation: str, response: SSOAdminResponse) -> Json:
    """Answer one call.

    Raises:
        JsonRESTError: whatever AWS would refuse it with.

    """
    asked: Json = json.loads(response.body or "{}")
    behaviour = _installed.behaviour
    if refusals := behaviour.refusals.get(operation):
        raise refused(refusals.pop(0), "refused on demand")
    validate(operation, asked)
    if not behaviour.serves(response.current_account, response.region):
        if operation == "ListInstances":
            return {"Instances": []}
        raise refused(MISSING, "Instance not found")
    center = center_of(behaviour.owner or response.current_account, response.region)
    center.advance()
    if asked.get("InstanceArn", center.instance.instance_arn) != center.instance.instance_arn:
        raise refused(MISSING, "Instance not found")
    return OPERATIONS[operation](center, asked)


def refused(code: str, message: str) -> JsonRESTError:
    """Return an error to raise; AWS answers all of this API's with status 400."""
    error = JsonRESTError(code, message)
    error.code = 400
    return error


def validate(operation: str, asked: Json) -> None:
    """Refuse what the API model refuses: lengths, patterns, enumerations.

    Raises:
        JsonRESTError: ValidationException, naming the parameter.

    """
    shape = _model().operation_model(operation).input_shape
    if shape and (wrong := _wrong(shape, asked, "")):
        raise refused(INVALID, f"1 validation error detected: {wrong}")


@functools.cache
def _model() -> ServiceModel:
    return botocore.session.get_session().get_service_model("sso-admin")


def _wrong(shape: Shape, value: Any, at: str) -> str | None:  # noqa: ANN401  any JSON value
    """Return what the model has against a value, or None."""
    found: Iterable[str | None] = ()
    if isinstance(shape, StructureShape):
        missing = (
            f"Value at '{at}{n}': required" for n in shape.required_members if n not in value
        )
        members = ((name, value[name]) for name in shape.members if name in value)
        inside = (_wrong(shape.members[name], member, f"{at}{name}.") for name, member in members)
        found = (*missing, *inside)
    elif isinstance(shape, ListShape):
        found = (_wrong_length(shape, value, at), *(_wrong(shape.member, i, at) for i in value))
    elif isinstance(shape, StringShape):
        found = (_wrong_length(shape, value, at), _wrong_text(shape, value, at))
    return next(filter(None, found), None)


def _wrong_text(shape: StringShape, value: str, at: str) -> str | None:
    pattern = shape.metadata.get("pattern")
    if shape.enum and value not in shape.enum:
        return f"Value '{value}' at '{at}' failed to satisfy constraint: one of {shape.enum}"
    if pattern and not re.fullmatch(_python(pattern), value):
        return f"Value '{value}' at '{at}' failed to satisfy constraint: pattern {pattern}"
    return None


def _wrong_length(shape: Shape, value: str | list[Any], at: str) -> str | None:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", len(value))
    if least <= len(value) <= most:
        return None
    return f"Value at '{at}' failed to satisfy constraint: length between {least} and {most}"


@functools.cache
def _python(pattern: str) -> str:
    """Write a pattern for Python, whose re lacks the Unicode properties; these three are used."""
    return pattern.replace(r"\p{L}\p{Z}\p{N}", r"\w\s")


# Instances


def list_instances(center: Center, asked: Json) -> Json:
    """Return the one instance, as its owner and its delegated administrator see it."""
    described = {k: v for k, v in center.instance.to_json().items() if v is not None}
    return center.page("Instances", [described], asked)


def describe_instance(center: Center, _: Json) -> Json:
    """Return the instance."""
    return {k: v for k, v in center.instance.to_json().items() if v is not None}


# Permission sets


def create_permission_set(center: Center, asked: Json) -> Json:
    """Make a permission set; its session lasts one hour unless said.

    The name is taken only once: "PermissionSet with name ... already exists."
    Source: https://github.com/hashicorp/terraform-provider-aws/issues/38544
    """
    check_session(asked)
    if asked["Name"] in {found.name for found in center.backend.permission_sets}:
        message = f"PermissionSet with name {asked['Name']} already exists."
        raise refused(CONFLICT, message)
    made = center.backend.create_permission_set(
        name=asked["Name"],
        description=asked.get("Description", ""),
        instance_arn=asked["InstanceArn"],
        session_duration=asked.get("SessionDuration", DEFAULT_SESSION),
        relay_state=asked.get("RelayState", ""),
        tags=[],
    )
    arn = made["PermissionSetArn"]
    center.tags[arn] = {tag["Key"]: tag["Value"] for tag in asked.get("Tags", [])}
    return {"PermissionSet": present(made)}


def describe_permission_set(center: Center, asked: Json) -> Json:
    """Return a permission set, without what it doesn't have."""
    return {"PermissionSet": present(center.permission_set(asked).to_json(True))}  # noqa: FBT003  moto's own


def present(described: Json) -> Json:
    """Leave out what is empty."""
    return {key: value for key, value in described.items() if value not in {None, ""}}


def list_permission_sets(center: Center, asked: Json) -> Json:
    """Return the ARNs of all permission sets."""
    every = (found.permission_set_arn for found in center.backend.permission_sets)
    return center.page("PermissionSets", every, asked)


def update_permission_set(center: Center, asked: Json) -> Json:
    """Change what is said; a relay state that isn't said is cleared, the rest stays (a guess).

    Source: https://github.com/hashicorp/terraform-provider-aws/issues/17411
    """
    check_session(asked)
    found = center.permission_set(asked)
    found.description = asked.get("Description", found.description)
    found.session_duration = asked.get("SessionDuration", found.session_duration)
    found.relay_state = asked.get("RelayState", "")
    return center.changed(found)


def delete_permission_set(center: Center, asked: Json) -> Json:
    """Delete a permission set that nobody is assigned to.

    Source: https://github.com/hashicorp/terraform-provider-aws/issues/26757
    """
    found = center.permission_set(asked)
    arn = found.permission_set_arn
    held = any(assignment.permission_set == arn for assignment in center.assignments)
    waiting = center.outstanding(*ASYNCHRONOUS)
    if held or any(request.about["PermissionSetArn"] == arn for request in waiting):
        message = "Could not delete because PermissionSet has ApplicationProfile associated with it"
        raise refused(CONFLICT, message)
    center.backend.delete_permission_set(asked["InstanceArn"], arn)
    for kept in (center.boundaries, center.tags, center.versions):
        kept.pop(arn, None)
    return {}


def check_session(asked: Json) -> None:
    """Refuse a session outside of what AWS allows: 1 to 12 hours."""
    if not (text := asked.get("SessionDuration")):
        return
    found = DURATION.fullmatch(text)
    part = {unit: float(value or 0) for unit, value in found.groupdict().items()} if found else {}
    seconds = {"days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}
    hours = sum(part[unit] * seconds[unit] for unit in part) / 3600
    if not SESSION_HOURS_AT_LEAST <= hours <= SESSION_HOURS_AT_MOST:
        message = f"Session duration {text} is not between 1 and 12 hours"
        raise refused(INVALID, message)


# Policies of a permission set


def attach_managed_policy(center: Center, asked: Json) -> Json:
    """Attach an AWS managed policy: known, not yet attached, and at most 25 with the customer's."""
    found, arn = center.permission_set(asked), asked["ManagedPolicyArn"]
    policy = managed_policy(arn)
    if policy in found.managed_policies:
        message = f"Permission set with id {found.name} already has {arn} attached"
        raise refused(CONFLICT, message)
    check_policies(found)
    found.managed_policies.append(policy)
    found.total_managed_policies_attached += 1
    return center.changed(found)


def managed_policy(arn: str) -> ManagedPolicy:
    """Return an AWS managed policy; moto itself finds none that has a path.

    Raises:
        JsonRESTError: ResourceNotFoundException.

    """
    if arn not in _managed_policies():
        raise refused(MISSING, f"Policy does not exist with ARN: {arn}")
    return models.ManagedPolicy(arn, arn.rpartition("/")[2])


@functools.cache
def _managed_policies() -> frozenset[str]:
    known: Json = json.loads(aws_managed_policies_data)
    return frozenset(
        f"arn:aws:iam::aws:policy{policy['Path']}{name}" for name, policy in known.items()
    )


def check_policies(found: PermissionSet) -> None:
    """Refuse one policy too many."""
    if found.total_managed_policies_attached >= POLICIES_FOR_A_PERMISSION_SET:
        message = f"You have exceeded AWS SSO limits: {POLICIES_FOR_A_PERMISSION_SET} policies"
        raise refused(EXCEEDED, message)


def detach_managed_policy(center: Center, asked: Json) -> Json:
    """Detach an AWS managed policy; one that isn't attached is not found."""
    center.backend.detach_managed_policy_from_permission_set(
        asked["InstanceArn"], asked["PermissionSetArn"], asked["ManagedPolicyArn"]
    )
    return center.changed(center.permission_set(asked))


def list_managed_policies(center: Center, asked: Json) -> Json:
    """Return the AWS managed policies of a permission set."""
    attached = center.permission_set(asked).managed_policies
    every = ({"Arn": policy.arn, "Name": policy.name} for policy in attached)
    return center.page("AttachedManagedPolicies", every, asked)


def attach_customer_policy(center: Center, asked: Json) -> Json:
    """Attach a reference by name and path: whether accounts have it shows when provisioning."""
    found = center.permission_set(asked)
    reference = asked["CustomerManagedPolicyReference"]
    policy = models.CustomerManagedPolicy(reference["Name"], reference.get("Path", "/"))
    if policy in found.customer_managed_policies:
        message = f"Given customer managed policy with name: {policy.name} already attached"
        raise refused(CONFLICT, message)
    check_policies(found)
    found.customer_managed_policies.append(policy)
    found.total_managed_policies_attached += 1
    return center.changed(found)


def detach_customer_policy(center: Center, asked: Json) -> Json:
    """Detach a reference; one that isn't attached is not found."""
    center.backend.detach_customer_managed_policy_reference_from_permission_set(
        asked["InstanceArn"], asked["PermissionSetArn"], asked["CustomerManagedPolicyReference"]
    )
    return center.changed(center.permission_set(asked))


def list_customer_policies(center: Center, asked: Json) -> Json:
    """Return the references to customer managed policies."""
    attached = center.permission_set(asked).customer_managed_policies
    every = ({"Name": policy.name, "Path": policy.path} for policy in attached)
    return center.page("CustomerManagedPolicyReferences", every, asked)


def put_inline_policy(center: Center, asked: Json) -> Json:
    """Set the inline policy: a JSON object of at most 10,240 characters, white space left out."""
    found = center.permission_set(asked)
    text = asked["InlinePolicy"]
    try:
        valid = isinstance(json.loads(text), dict)
    except ValueError:
        valid = False
    if not valid:
        raise refused(INVALID, "Inline policy is not a JSON object")
    if len("".join(text.split())) > INLINE_POLICY_CHARACTERS:
        message = f"Inline policy exceeds {INLINE_POLICY_CHARACTERS} characters"
        raise refused(EXCEEDED, message)
    found.inline_policy = text
    return center.changed(found)


def get_inline_policy(center: Center, asked: Json) -> Json:
    """Return the inline policy, or an empty text."""
    return {"InlinePolicy": center.permission_set(asked).inline_policy}


def delete_inline_policy(center: Center, asked: Json) -> Json:
    """Delete the inline policy; where there is none it is not found (a guess)."""
    found = center.permission_set(asked)
    if not found.inline_policy:
        raise refused(MISSING, "Could not find inline policy")
    found.inline_policy = ""
    return center.changed(found)


def put_boundary(center: Center, asked: Json) -> Json:
    """Set the permissions boundary: an AWS managed policy or a reference, one of the two."""
    found, boundary = center.permission_set(asked), asked["PermissionsBoundary"]
    if len(boundary) != 1:
        message = "Exactly one of ManagedPolicyArn and CustomerManagedPolicyReference is wanted"
        raise refused(INVALID, message)
    if arn := boundary.get("ManagedPolicyArn"):
        managed_policy(arn)
    else:
        boundary = {
            "CustomerManagedPolicyReference": {"Path": "/"}
            | boundary["CustomerManagedPolicyReference"]
        }
    center.boundaries[found.permission_set_arn] = boundary
    return center.changed(found)


def get_boundary(center: Center, asked: Json) -> Json:
    """Return the permissions boundary; where there is none it is not found.

    Source: https://docs.aws.amazon.com/singlesignon/latest/APIReference/API_GetPermissionsBoundaryForPermissionSet.html
    """
    found = center.boundaries.get(center.permission_set(asked).permission_set_arn)
    if not found:
        raise refused(MISSING, "Could not find permissions boundary")
    return {"PermissionsBoundary": found}


def delete_boundary(center: Center, asked: Json) -> Json:
    """Delete the permissions boundary; where there is none it is not found (a guess)."""
    get_boundary(center, asked)
    del center.boundaries[asked["PermissionSetArn"]]
    return center.changed(center.permission_set(asked))


# Tags: of permission sets and of the instance


def tag_resource(center: Center, asked: Json) -> Json:
    """Set tags; what is said is in force, the others stay."""
    tags_of(center, asked).update({tag["Key"]: tag["Value"] for tag in asked["Tags"]})
    return {}


def untag_resource(center: Center, asked: Json) -> Json:
    """Remove tags; one that isn't there is no error."""
    tags = tags_of(center, asked)
    for key in asked["TagKeys"]:
        tags.pop(key, None)
    return {}


def list_tags(center: Center, asked: Json) -> Json:
    """Return the tags."""
    every = ({"Key": key, "Value": value} for key, value in tags_of(center, asked).items())
    return center.page("Tags", every, asked)


def tags_of(center: Center, asked: Json) -> dict[str, str]:
    """Return the tags of a resource, to read and to change."""
    arn = asked["ResourceArn"]
    known = {found.permission_set_arn for found in center.backend.permission_sets}
    if arn not in known | {center.instance.instance_arn}:
        raise refused(MISSING, f"Could not find resource {arn}")
    return center.tags.setdefault(arn, {})


# Assignments and provisioning: asynchronous

ASSIGNING = ("CreateAccountAssignment", "DeleteAccountAssignment")
ASYNCHRONOUS = (*ASSIGNING, "ProvisionPermissionSet")


def create_assignment(center: Center, asked: Json) -> Json:
    """Begin to assign; an assignment that exists is one, and succeeds (reported, not documented).

    Whether a principal is known shows at the end: "the GROUP assignee ... was not found in
    directory". That an unknown account shows there too is a guess, and that an account which has an
    older version of the set keeps it.

    So does that AWS can't enter the account yet: a new one, or a closed one for ever.
    Source: https://github.com/aws-samples/aws-identitycenter-codepipeline-auto-assignment/issues/31
    """
    assignment = begin_assigning(center, asked)

    def end() -> str | None:
        if not center.knows(assignment):
            kind, store = assignment.principal_type, center.instance.identity_store_id
            who = f"the {kind} assignee {assignment.principal_id}"
            return f"Received a 404 status error: {who} was not found in directory {store}"
        accounts = center.behaviour.accounts
        if accounts is not None and assignment.account not in accounts:
            return f"Received a 404 status error: Account {assignment.account} was not found"
        if not center.behaviour.is_ready(assignment.account):
            return (
                "AWS SSO is unable to complete your request at this time. Obtaining permissions to "
                f"manage your AWS account '{assignment.account}' takes longer than usual. Please "
                "try again in a few minutes. If this problem continues, contact AWS Support."
            )
        center.assignments[assignment] = None
        where = (assignment.permission_set, assignment.account)
        center.provisioned.setdefault(where, center.versions[assignment.permission_set])
        return None

    status = start_assigning(center, asked, assignment, "CreateAccountAssignment", end)
    return {"AccountAssignmentCreationStatus": status}


def delete_assignment(center: Center, asked: Json) -> Json:
    """Begin to remove an assignment; that there is none shows at the end.

    "EntitlementItem doesn't exist" is what AWS says then. With an account's last
    assignment of a set, the set is no longer provisioned there.
    Source: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ssoadmin/account_assignment.go
    """
    assignment = begin_assigning(center, asked)

    def end() -> str | None:
        if assignment not in center.assignments:
            what = "EntitlementItem doesn't exist with the given entitlement key"
            return f"Received a 404 status error: {what}"
        del center.assignments[assignment]
        where = (assignment.permission_set, assignment.account)
        if where not in {(left.permission_set, left.account) for left in center.assignments}:
            center.provisioned.pop(where, None)
        return None

    status = start_assigning(center, asked, assignment, "DeleteAccountAssignment", end)
    return {"AccountAssignmentDeletionStatus": status}


def begin_assigning(center: Center, asked: Json) -> Assignment:
    """Refuse what cannot be begun now.

    Overlapping operations of one assignment conflict: https://github.com/aws-samples/iam-identity-center-team/issues/513
    Too many at once: https://github.com/aws-samples/aws-iam-identity-center-extensions/issues/87
    """
    center.permission_set(asked)
    assignment = Assignment.of(asked)
    waiting = center.outstanding(*ASSIGNING)
    if assignment in {request.subject for request in waiting}:
        raise refused(CONFLICT, "There is a conflicting operation in process")
    if len(waiting) >= center.behaviour.outstanding_assignments:
        raise too_many()
    return assignment


def start_assigning(
    center: Center,
    asked: Json,
    assignment: Assignment,
    operation: str,
    end: Callable[[], str | None],
) -> Json:
    """Accept a request about an assignment."""
    names = ("TargetId", "TargetType", "PermissionSetArn", "PrincipalType", "PrincipalId")
    return center.start(operation, {name: asked[name] for name in names}, assignment, end)


def too_many() -> JsonRESTError:
    """Return what AWS says while too many requests are outstanding."""
    message = "There are too many requests processing. Please try again later."
    return refused(THROTTLED, message)


def provision(center: Center, asked: Json) -> Json:
    """Begin to bring a permission set into accounts that have it, as it is when that ends.

    An account that doesn't have it: "Permission set provision not found in AWS account".
    Source: https://github.com/cloudposse/terraform-aws-sso/issues/66
    That a set is provisioned only once at a time (ConflictException) is a guess.
    """
    found, target = center.permission_set(asked), asked.get("TargetId")
    arn = found.permission_set_arn
    if (asked["TargetType"] == "AWS_ACCOUNT") != bool(target):
        message = "TargetId is wanted with AWS_ACCOUNT, and only then"
        raise refused(INVALID, message)
    waiting = center.outstanding("ProvisionPermissionSet")
    if arn in {request.subject for request in waiting}:
        raise refused(CONFLICT, "There is a conflicting operation in process")
    if len(waiting) >= center.behaviour.outstanding_provisionings:
        raise too_many()

    def end() -> str | None:
        if target and (arn, target) not in center.provisioned:
            what = f"Permission set provision not found in AWS account {target}"
            return f"Received a 404 status error: {what}"
        for where in center.provisioned:
            if where[0] == arn and target in {None, where[1]}:
                center.provisioned[where] = center.versions[arn]
        return None

    about = {"PermissionSetArn": arn, **({"AccountId": target} if target else {})}
    status = center.start("ProvisionPermissionSet", about, arn, end)
    return {"PermissionSetProvisioningStatus": status}


def describing(operation: str, parameter: str, name: str) -> Operation:
    """Return the operation that looks at one request; one of another kind is not found."""

    def describe(center: Center, asked: Json) -> Json:
        request = center.requests.get(asked[parameter])
        if not request or request.operation != operation:
            message = f"Could not find request {asked[parameter]}"
            raise refused(MISSING, message)
        center.look(request)
        return {name: request.described()}

    return describe


def listing(operation: str, name: str) -> Operation:
    """Return the operation that looks at all requests of a kind, newest first (a guess)."""

    def every(center: Center, asked: Json) -> Json:
        wanted = asked.get("Filter", {}).get("Status")
        running = center.outstanding(operation)
        every = running if wanted == "IN_PROGRESS" else center.requests.values()
        found = [r for r in reversed(every) if r.operation == operation]
        if not asked.get("NextToken"):
            for request in running:
                center.look(request)
        chosen = (r.summary() for r in found if wanted in {None, r.status})
        return center.page(name, chosen, asked)

    return every


def list_assignments(center: Center, asked: Json) -> Json:
    """Return who has a permission set in an account."""
    center.permission_set(asked)
    where = (asked["PermissionSetArn"], asked["AccountId"])
    every = (a.described() for a in center.assignments if (a.permission_set, a.account) == where)
    return center.page("AccountAssignments", every, asked)


def list_assignments_for_principal(center: Center, asked: Json) -> Json:
    """Return what a principal has, through its groups too."""
    who = {(asked["PrincipalType"], asked["PrincipalId"])}
    if asked["PrincipalType"] == "USER":
        backend = identitystore_backends[center.backend.account_id][center.backend.region_name]
        store = backend.identity_stores.get(center.instance.identity_store_id)
        memberships = store.group_memberships.values() if store else ()
        member = {"UserId": asked["PrincipalId"]}
        who |= {("GROUP", m["GroupId"]) for m in memberships if m["MemberId"] == member}
    account = asked.get("Filter", {}).get("AccountId")
    every = (
        a.described()
        for a in center.assignments
        if (a.principal_type, a.principal_id) in who and account in {None, a.account}
    )
    return center.page("AccountAssignments", every, asked)


def list_accounts(center: Center, asked: Json) -> Json:
    """Return the accounts that have a permission set, all or by whether it is the latest."""
    arn = center.permission_set(asked).permission_set_arn
    wanted = asked.get("ProvisioningStatus")
    every = (
        account
        for (permission_set, account), version in center.provisioned.items()
        if permission_set == arn and wanted in {None, provisioning_status(center, arn, version)}
    )
    return center.page("AccountIds", every, asked)


def list_permission_sets_of_account(center: Center, asked: Json) -> Json:
    """Return the permission sets that an account has, all or by whether they are the latest."""
    wanted = asked.get("ProvisioningStatus")
    every = (
        arn
        for (arn, account), version in center.provisioned.items()
        if account == asked["AccountId"]
        and wanted in {None, provisioning_status(center, arn, version)}
    )
    return center.page("PermissionSets", every, asked)


def provisioning_status(center: Center, arn: str, version: int) -> str:
    """Return AWS's word for a version of a permission set in an account."""
    latest = center.versions[arn] == version
    return f"LATEST_PERMISSION_SET_{'PROVISIONED' if latest else 'NOT_PROVISIONED'}"


OPERATIONS: dict[str, Operation] = {
    "ListInstances": list_instances,
    "DescribeInstance": describe_instance,
    "CreatePermissionSet": create_permission_set,
    "DescribePermissionSet": describe_permission_set,
    "ListPermissionSets": list_permission_sets,
    "UpdatePermissionSet": update_permission_set,
    "DeletePermissionSet": delete_permission_set,
    "AttachManagedPolicyToPermissionSet": attach_managed_policy,
    "DetachManagedPolicyFromPermissionSet": detach_managed_policy,
    "ListManagedPoliciesInPermissionSet": list_managed_policies,
    "AttachCustomerManagedPolicyReferenceToPermissionSet": attach_customer_policy,
    "DetachCustomerManagedPolicyReferenceFromPermissionSet": detach_customer_policy,
    "ListCustomerManagedPolicyReferencesInPermissionSet": list_customer_policies,
    "PutInlinePolicyToPermissionSet": put_inline_policy,
    "GetInlinePolicyForPermissionSet": get_inline_policy,
    "DeleteInlinePolicyFromPermissionSet": delete_inline_policy,
    "PutPermissionsBoundaryToPermissionSet": put_boundary,
    "GetPermissionsBoundaryForPermissionSet": get_boundary,
    "DeletePermissionsBoundaryFromPermissionSet": delete_boundary,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListTagsForResource": list_tags,
    "CreateAccountAssignment": create_assignment,
    "DeleteAccountAssignment": delete_assignment,
    "ProvisionPermissionSet": provision,
    "DescribeAccountAssignmentCreationStatus": describing(
        "CreateAccountAssignment",
        "AccountAssignmentCreationRequestId",
        "AccountAssignmentCreationStatus",
    ),
    "DescribeAccountAssignmentDeletionStatus": describing(
        "DeleteAccountAssignment",
        "AccountAssignmentDeletionRequestId",
        "AccountAssignmentDeletionStatus",
    ),
    "DescribePermissionSetProvisioningStatus": describing(
        "ProvisionPermissionSet",
        "ProvisionPermissionSetRequestId",
        "PermissionSetProvisioningStatus",
    ),
    "ListAccountAssignmentCreationStatus": listing(
        "CreateAccountAssignment", "AccountAssignmentsCreationStatus"
    ),
    "ListAccountAssignmentDeletionStatus": listing(
        "DeleteAccountAssignment", "AccountAssignmentsDeletionStatus"
    ),
    "ListPermissionSetProvisioningStatus": listing(
        "ProvisionPermissionSet", "PermissionSetsProvisioningStatus"
    ),
    "ListAccountAssignments": list_assignments,
    "ListAccountAssignmentsForPrincipal": list_assignments_for_principal,
    "ListAccountsForProvisionedPermissionSet": list_accounts,
    "ListPermissionSetsProvisionedToAccount": list_permission_sets_of_account,
}
