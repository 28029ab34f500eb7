"""IAM of one account. Lists are read to their last page; names are those of IAM's API."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from keyward.actions import DENY_ALL_ARN, MARKER_TAG, QUARANTINE_GROUP
from keyward.errors import NotFoundError
from keyward.gateways.translate import translated
from keyward.model import (
    AccessKey,
    ConsolePassword,
    CredentialKind,
    IamPrincipal,
    IamUser,
    PolicyDocument,
    StaticCredential,
)

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient


type PrincipalKind = Literal["user", "role", "group"]


class IamGateway:
    """Reads and contains the IAM users of `account`.

    Every method raises GatewayError; those that name a user raise NotFoundError when it is gone.
    """

    def __init__(
        self,
        *,
        account: str,
        client: "IAMClient",
        documents: dict[tuple[str, str], str] | None = None,
        memory: dict[tuple[object, ...], Any] | None = None,
    ) -> None:
        """`documents` keeps texts of managed policies by unique id and version: none changes.

        `memory` keeps what was read of users: see `reading_once`.
        """
        self.account = account
        self._client = client
        self._documents = {} if documents is None else documents
        self._memory = memory

    def reading_once(self) -> "IamGateway":
        """The same, but it reads each user and each list of a user once: for a single look.

        What it shows doesn't change while Keyward acts: nothing is verified by it.
        """
        return IamGateway(
            account=self.account, client=self._client, documents=self._documents, memory={}
        )

    def _once[T](self, key: tuple[object, ...], read: Callable[[], T]) -> T:
        if self._memory is None:
            return read()
        if key not in self._memory:
            self._memory[key] = read()
        known: T = self._memory[key]
        return known

    def user(self, name: str) -> IamUser:
        """The user of this name, with its unique id, tags and boundary. One call.

        IAM tells nothing of the password's last use where there was none since 2014.
        Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetUser.html
        Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_User.html
        """
        return self._once(("user", name), lambda: self._user(name))

    def _user(self, name: str) -> IamUser:
        with translated(f"GetUser {name} in {self.account}"):
            user = self._client.get_user(UserName=name)["User"]
        return IamUser(
            account=self.account,
            name=user["UserName"],
            user_id=user["UserId"],
            arn=user["Arn"],
            path=user["Path"],
            created_at=user["CreateDate"],
            boundary_arn=user.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
            tags={tag["Key"]: tag["Value"] for tag in user.get("Tags", [])},
            password_used_at=user.get("PasswordLastUsed"),
        )

    def access_keys(self, owner: IamUser) -> dict[str, AccessKey]:
        """The user's access keys by id. When they were used last isn't read."""
        return self._once(("keys", owner.name, owner.user_id), lambda: self._access_keys(owner))

    def _access_keys(self, owner: IamUser) -> dict[str, AccessKey]:
        keys = {}
        with translated(f"ListAccessKeys of {owner.name} in {self.account}"):
            for page in self._client.get_paginator("list_access_keys").paginate(
                UserName=owner.name
            ):
                for key in page["AccessKeyMetadata"]:
                    keys[key["AccessKeyId"]] = AccessKey(
                        owner=owner,
                        key_id=key["AccessKeyId"],
                        active=key["Status"] == "Active",
                        since=key["CreateDate"],
                        created_at=key["CreateDate"],
                    )
        return keys

    def key_used_at(self, key_id: str) -> datetime | None:
        """When the access key was used last; None where it never was. One call.

        Raises NotFoundError where the key is gone.
        Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKeyLastUsed.html
        """
        with translated(f"GetAccessKeyLastUsed of {key_id} in {self.account}"):
            answer = self._client.get_access_key_last_used(AccessKeyId=key_id)
        return answer["AccessKeyLastUsed"].get("LastUsedDate")

    def user_of_key(self, key_id: str) -> str | None:
        """The name that the owner of an access key has now; None where the key is gone.

        Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccessKeyLastUsed.html
        """
        try:
            with translated(f"GetAccessKeyLastUsed of {key_id} in {self.account}"):
                return self._client.get_access_key_last_used(AccessKeyId=key_id).get("UserName")
        except NotFoundError:
            return None

    def set_access_key(self, user_name: str, key_id: str, *, active: bool) -> None:
        """Makes the key active or inactive.

        UserName is needed with temporary credentials.
        Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccessKey.html
        """
        with translated(f"UpdateAccessKey {key_id} of {user_name} in {self.account}"):
            self._client.update_access_key(
                UserName=user_name,
                AccessKeyId=key_id,
                Status="Active" if active else "Inactive",
            )

    def console_password(self, owner: IamUser) -> ConsolePassword | None:
        """The user's login profile, None where it has none."""
        try:
            with translated(f"GetLoginProfile of {owner.name} in {self.account}"):
                profile = self._client.get_login_profile(UserName=owner.name)["LoginProfile"]
        except NotFoundError:
            return None
        return ConsolePassword(owner=owner, since=profile["CreateDate"])

    def credentials(self, owner: IamUser, kind: CredentialKind) -> dict[str, StaticCredential]:
        """The user's credentials of this kind, by id."""
        key = (kind, owner.name, owner.user_id)
        return self._once(key, lambda: self._credentials(owner, kind))

    def _credentials(self, owner: IamUser, kind: CredentialKind) -> dict[str, StaticCredential]:
        with translated(f"listing {kind}s of {owner.name} in {self.account}"):
            found = {
                CredentialKind.SSH_PUBLIC_KEY: self._ssh_public_keys,
                CredentialKind.SIGNING_CERTIFICATE: self._signing_certificates,
                CredentialKind.SERVICE_SPECIFIC: self._service_specific_credentials,
            }[kind](owner)
            return {credential.credential_id: credential for credential in found}

    def _ssh_public_keys(self, owner: IamUser) -> Iterator[StaticCredential]:
        pages = self._client.get_paginator("list_ssh_public_keys").paginate(UserName=owner.name)
        for key in (key for page in pages for key in page["SSHPublicKeys"]):
            yield StaticCredential(
                owner=owner,
                kind=CredentialKind.SSH_PUBLIC_KEY,
                credential_id=key["SSHPublicKeyId"],
                active=key["Status"] == "Active",
                since=key["UploadDate"],
            )

    def _signing_certificates(self, owner: IamUser) -> Iterator[StaticCredential]:
        pages = self._client.get_paginator("list_signing_certificates").paginate(
            UserName=owner.name
        )
        for certificate in (item for page in pages for item in page["Certificates"]):
            yield StaticCredential(
                owner=owner,
                kind=CredentialKind.SIGNING_CERTIFICATE,
                credential_id=certificate["CertificateId"],
                active=certificate["Status"] == "Active",
                since=certificate.get("UploadDate"),
            )

    def _service_specific_credentials(self, owner: IamUser) -> Iterator[StaticCredential]:
        page = self._client.list_service_specific_credentials(UserName=owner.name)
        while True:
            for credential in page.get("ServiceSpecificCredentials", []):
                yield StaticCredential(
                    owner=owner,
                    kind=CredentialKind.SERVICE_SPECIFIC,
                    credential_id=credential["ServiceSpecificCredentialId"],
                    active=credential["Status"] == "Active",
                    service=credential["ServiceName"],
                    since=credential["CreateDate"],
                )
            if not page.get("IsTruncated"):
                return
            page = self._client.list_service_specific_credentials(
                UserName=owner.name, Marker=page["Marker"]
            )

    def set_credential(
        self, user_name: str, kind: CredentialKind, credential_id: str, *, active: bool
    ) -> None:
        """Makes the credential active or inactive."""
        status: Literal["Active", "Inactive"] = "Active" if active else "Inactive"
        client = self._client
        with translated(f"updating {kind} {credential_id} of {user_name} in {self.account}"):
            match kind:
                case CredentialKind.SSH_PUBLIC_KEY:
                    client.update_ssh_public_key(
                        UserName=user_name, SSHPublicKeyId=credential_id, Status=status
                    )
                case CredentialKind.SIGNING_CERTIFICATE:
                    client.update_signing_certificate(
                        UserName=user_name, CertificateId=credential_id, Status=status
                    )
                case CredentialKind.SERVICE_SPECIFIC:
                    client.update_service_specific_credential(
                        UserName=user_name,
                        ServiceSpecificCredentialId=credential_id,
                        Status=status,
                    )

    def attached_policies(self, user_name: str) -> frozenset[str]:
        """ARNs of the managed policies attached to the user."""
        return self._once(("attached", user_name), lambda: self._attached_policies(user_name))

    def _attached_policies(self, user_name: str) -> frozenset[str]:
        with translated(f"ListAttachedUserPolicies of {user_name} in {self.account}"):
            pages = self._client.get_paginator("list_attached_user_policies").paginate(
                UserName=user_name
            )
            return frozenset(
                policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"]
            )

    def inline_policies(self, user_name: str) -> frozenset[str]:
        """Names of the user's inline policies."""
        return self._once(("inline", user_name), lambda: self._inline_policies(user_name))

    def _inline_policies(self, user_name: str) -> frozenset[str]:
        with translated(f"ListUserPolicies of {user_name} in {self.account}"):
            pages = self._client.get_paginator("list_user_policies").paginate(UserName=user_name)
            return frozenset(name for page in pages for name in page["PolicyNames"])

    def has_policy(self, arn: str) -> bool:
        """Whether there is a managed policy of this ARN. One call."""
        try:
            with translated(f"GetPolicy {arn} in {self.account}"):
                self._client.get_policy(PolicyArn=arn)
        except NotFoundError:
            return False
        return True

    def managed_policy(self, arn: str) -> PolicyDocument:
        """The default version of a managed policy. One call, two for a version not seen yet.

        Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetPolicyVersion.html
        """
        with translated(f"GetPolicy {arn} in {self.account}"):
            policy = self._client.get_policy(PolicyArn=arn)["Policy"]
        key = policy["PolicyId"], policy["DefaultVersionId"]
        if key not in self._documents:
            with translated(f"GetPolicyVersion {arn} {key[1]} in {self.account}"):
                version = self._client.get_policy_version(PolicyArn=arn, VersionId=key[1])
            self._documents[key] = _text(version["PolicyVersion"].get("Document"))
        return PolicyDocument(name=policy["PolicyName"], text=self._documents[key], arn=arn)

    def principal(self, kind: PrincipalKind, name: str) -> IamPrincipal:
        """The user, role or group of this name; its policies are not read. One call.

        A boundary comes without its text. Raises NotFoundError.
        """
        if kind == "user":
            user = self.user(name)
            return IamPrincipal(
                account=self.account,
                kind=kind,
                name=user.name,
                principal_id=user.user_id,
                arn=user.arn,
                boundary=_boundary(user.boundary_arn),
                user=user,
            )
        if kind == "group":
            with translated(f"GetGroup {name} in {self.account}"):
                group = self._client.get_group(GroupName=name, MaxItems=1)["Group"]
            return IamPrincipal(
                account=self.account,
                kind=kind,
                name=group["GroupName"],
                principal_id=group["GroupId"],
                arn=group["Arn"],
            )
        with translated(f"GetRole {name} in {self.account}"):
            role = self._client.get_role(RoleName=name)["Role"]
        return IamPrincipal(
            account=self.account,
            kind=kind,
            name=role["RoleName"],
            principal_id=role["RoleId"],
            arn=role["Arn"],
            boundary=_boundary(role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")),
        )

    def holders(self, policy_arn: str) -> tuple[tuple[PrincipalKind, str], ...]:
        """Kind and name of everybody whom the managed policy is attached to, in this account.

        Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListEntitiesForPolicy.html
        """
        found: list[tuple[PrincipalKind, str]] = []
        with translated(f"ListEntitiesForPolicy {policy_arn} in {self.account}"):
            pages = self._client.get_paginator("list_entities_for_policy").paginate(
                PolicyArn=policy_arn, PolicyUsageFilter="PermissionsPolicy"
            )
            for page in pages:
                found += [("user", user["UserName"]) for user in page["PolicyUsers"]]
                found += [("role", role["RoleName"]) for role in page["PolicyRoles"]]
                found += [("group", group["GroupName"]) for group in page["PolicyGroups"]]
        return tuple(found)

    def with_policies(self, principal: IamPrincipal) -> IamPrincipal:
        """The same principal with all its policies, a user's groups' among them; and its boundary.

        Two lists for each principal and group, a call for each inline policy, one or two for each
        managed one.
        """
        policies = self._policies_of(principal.kind, principal.name)
        if principal.kind == "user":
            for group in self._groups_of(principal.name):
                policies += self._policies_of("group", group)
        boundary = principal.boundary and self.managed_policy(principal.boundary.arn or "")
        return replace(principal, policies=tuple(policies), boundary=boundary)

    def _groups_of(self, user_name: str) -> list[str]:
        return self._once(("groups", user_name), lambda: self._groups(user_name))

    def _groups(self, user_name: str) -> list[str]:
        with translated(f"ListGroupsForUser {user_name} in {self.account}"):
            pages = self._client.get_paginator("list_groups_for_user").paginate(UserName=user_name)
            return [group["GroupName"] for page in pages for group in page["Groups"]]

    def _policies_of(self, kind: PrincipalKind, name: str) -> list[PolicyDocument]:
        client, inline = self._client, []
        with translated(f"listing policies of {kind} {name} in {self.account}"):
            match kind:
                case "user":
                    managed = sorted(self.attached_policies(name))
                    for policy in sorted(self.inline_policies(name)):
                        found = client.get_user_policy(UserName=name, PolicyName=policy)
                        inline.append((policy, found["PolicyDocument"]))
                case "role":
                    attached = client.get_paginator("list_attached_role_policies")
                    managed = _arns(attached.paginate(RoleName=name))
                    listed = client.get_paginator("list_role_policies").paginate(RoleName=name)
                    for policy in (it for page in listed for it in page["PolicyNames"]):
                        of_role = client.get_role_policy(RoleName=name, PolicyName=policy)
                        inline.append((policy, of_role["PolicyDocument"]))
                case "group":
                    of_group = client.get_paginator("list_attached_group_policies")
                    managed = _arns(of_group.paginate(GroupName=name))
                    names = client.get_paginator("list_group_policies").paginate(GroupName=name)
                    for policy in (it for page in names for it in page["PolicyNames"]):
                        text = client.get_group_policy(GroupName=name, PolicyName=policy)
                        inline.append((policy, text["PolicyDocument"]))
        return [
            *(self.managed_policy(arn) for arn in managed),
            *(PolicyDocument(name=policy, text=_text(text)) for policy, text in inline),
        ]

    def attach_deny(self, user_name: str) -> None:
        """Attaches AWSDenyAll. Raises SlotsFullError when the user's ten policies are used up."""
        with translated(f"AttachUserPolicy AWSDenyAll to {user_name} in {self.account}"):
            self._client.attach_user_policy(UserName=user_name, PolicyArn=DENY_ALL_ARN)

    def detach_deny(self, user_name: str) -> None:
        """Detaches AWSDenyAll; already detached is a success."""
        try:
            with translated(f"DetachUserPolicy AWSDenyAll from {user_name} in {self.account}"):
                self._client.detach_user_policy(UserName=user_name, PolicyArn=DENY_ALL_ARN)
        except NotFoundError:
            return

    def in_quarantine_group(self, user_name: str) -> bool:
        """Whether the user is in the quarantine group."""
        return QUARANTINE_GROUP in self._groups_of(user_name)

    def quarantine_group_denies(self) -> bool:
        """Whether the quarantine group still denies everything, by the policy as deployed."""
        try:
            with translated(f"GetGroupPolicy {QUARANTINE_GROUP} in {self.account}"):
                document: object = self._client.get_group_policy(
                    GroupName=QUARANTINE_GROUP, PolicyName="keyward-deny-all"
                )["PolicyDocument"]
        except NotFoundError:
            return False
        statements = document.get("Statement") if isinstance(document, dict) else None
        statement = statements[0] if isinstance(statements, list) and statements else statements
        if not isinstance(statement, dict):
            return False
        wanted = {"Effect": "Deny", "Action": "*", "Resource": "*"}
        return {name: statement.get(name) for name in wanted} == wanted and not (
            statement.keys() - wanted.keys() - {"Sid"}
        )

    def join_quarantine_group(self, user_name: str) -> None:
        """Puts the user into the quarantine group. Raises SlotsFullError, or NotFoundError."""
        with translated(f"AddUserToGroup {user_name} to {QUARANTINE_GROUP} in {self.account}"):
            self._client.add_user_to_group(UserName=user_name, GroupName=QUARANTINE_GROUP)

    def leave_quarantine_group(self, user_name: str) -> None:
        """Takes the user out of the quarantine group; not being in it is a success."""
        try:
            with translated(f"RemoveUserFromGroup {user_name} in {self.account}"):
                self._client.remove_user_from_group(UserName=user_name, GroupName=QUARANTINE_GROUP)
        except NotFoundError:
            return

    def set_deny_boundary(self, user_name: str) -> None:
        """Makes AWSDenyAll the user's permissions boundary."""
        with translated(f"PutUserPermissionsBoundary of {user_name} in {self.account}"):
            self._client.put_user_permissions_boundary(
                UserName=user_name, PermissionsBoundary=DENY_ALL_ARN
            )

    def delete_boundary(self, user_name: str) -> None:
        """Takes the user's permissions boundary away; none is a success."""
        try:
            with translated(f"DeleteUserPermissionsBoundary of {user_name} in {self.account}"):
                self._client.delete_user_permissions_boundary(UserName=user_name)
        except NotFoundError:
            return

    def set_marker(self, user_name: str, value: str) -> None:
        """Sets the marker tag."""
        with translated(f"TagUser {user_name} in {self.account}"):
            self._client.tag_user(UserName=user_name, Tags=[{"Key": MARKER_TAG, "Value": value}])

    def remove_marker(self, user_name: str) -> None:
        """Removes the marker tag."""
        with translated(f"UntagUser {user_name} in {self.account}"):
            self._client.untag_user(UserName=user_name, TagKeys=[MARKER_TAG])

    def root_has_access_keys(self) -> bool:
        """Whether the account's root user has access keys.

        Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountSummary.html
        """
        with translated(f"GetAccountSummary in {self.account}"):
            summary = self._client.get_account_summary()["SummaryMap"]
        return summary.get("AccountAccessKeysPresent", 0) > 0


def _text(document: object) -> str:
    """A policy as JSON text: botocore decodes IAM's URL encoding, and mostly the JSON as well."""
    return document if isinstance(document, str) else json.dumps(document)


def _boundary(arn: str | None) -> PolicyDocument | None:
    return None if arn is None else PolicyDocument(name=arn.rpartition("/")[2], text="", arn=arn)


def _arns(pages: Iterable[Mapping[str, Any]]) -> list[str]:
    return sorted(policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"])
