"""IAM of one account at a glance: a handful of calls, however many users there are."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from keyward.errors import GatewayError
from keyward.gateways.translate import translated
from keyward.model import CredentialKind, IamUser, PolicyDocument, StaticCredential
from keyward.survey import Authorizations, CredentialReport, Credentials, Holder, KeySlot

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

IN_PROGRESS = "ReportInProgress"
"""The code by which GetCredentialReport says that the report is still being made."""

NO_REPORT = frozenset({"ReportExpired", "ReportNotPresent"})
"""The codes by which it says that there is none, or none any more.

Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetCredentialReport.html
"""

PAGE_SIZE = 500
"""So many users, groups and policies are asked for at once; IAM gives at most 1,000."""

ROOT_USER = "<root_account>"
"""What a credential report calls the root user.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html
"""


class IamReportGateway:
    """Reads the IAM of `account` as a whole. Every method raises GatewayError.

    `calls` counts the calls that were made, each page of a list as one.
    """

    def __init__(self, *, account: str, client: "IAMClient") -> None:
        self.account = account
        self.calls = 0
        self._client = client

    def begin_report(self) -> bool:
        """Has a credential report made, unless there is one; tells whether there is.

        One is kept for four hours.

        Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html
        """
        self.calls += 1
        with translated(f"GenerateCredentialReport in {self.account}"):
            return self._client.generate_credential_report().get("State") == "COMPLETE"

    def report(self) -> CredentialReport | None:
        """The credential report; None while there is none. Raises GatewayError for an odd one.

        Has one made where nobody does.
        """
        self.calls += 1
        try:
            with translated(f"GetCredentialReport in {self.account}"):
                answer = self._client.get_credential_report()
        except GatewayError as error:
            if error.code in NO_REPORT:
                self.begin_report()
            elif error.code != IN_PROGRESS:
                raise
            return None
        return parsed(answer["Content"], generated_at=answer["GeneratedTime"])

    def authorizations(self) -> Authorizations:
        """All users and groups with their policies, and the account's own managed policies.

        Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
        """
        users: list[Holder] = []
        groups: dict[str, Holder] = {}
        policies: dict[str, PolicyDocument] = {}
        with translated(f"GetAccountAuthorizationDetails in {self.account}"):
            pages = self._client.get_paginator("get_account_authorization_details").paginate(
                Filter=["User", "Group", "LocalManagedPolicy"],
                PaginationConfig={"PageSize": PAGE_SIZE},
            )
            for page in pages:
                self.calls += 1
                users += [self._user(it) for it in page.get("UserDetailList", [])]
                for group in page.get("GroupDetailList", []):
                    groups[group["GroupName"]] = _group(group)
                for policy in page.get("Policies", []):
                    document = _default_version(policy)
                    policies[policy["Arn"]] = document
        return Authorizations(users=tuple(users), groups=groups, policies=policies)

    def _user(self, detail: Mapping[str, Any]) -> Holder:
        return Holder(
            name=detail["UserName"],
            unique_id=detail["UserId"],
            attached=_attached(detail),
            inline=_inline(detail.get("UserPolicyList", [])),
            groups=tuple(detail.get("GroupList", [])),
            user=IamUser(
                account=self.account,
                name=detail["UserName"],
                user_id=detail["UserId"],
                arn=detail["Arn"],
                path=detail["Path"],
                created_at=detail["CreateDate"],
                boundary_arn=detail.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
                tags={tag["Key"]: tag["Value"] for tag in detail.get("Tags", [])},
            ),
        )

    def service_credentials(self) -> dict[str, tuple[StaticCredential, ...]]:
        """All users' service-specific credentials, by user name.

        Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListServiceSpecificCredentials.html
        """
        found: dict[str, tuple[StaticCredential, ...]] = {}
        marker: dict[str, str] = {}
        with translated(f"ListServiceSpecificCredentials of all users in {self.account}"):
            while True:
                self.calls += 1
                page = self._client.list_service_specific_credentials(
                    AllUsers=True,
                    **marker,  # type: ignore[arg-type]  # the marker is a variable
                )
                for it in page.get("ServiceSpecificCredentials", []):
                    name = it["UserName"]
                    credential = StaticCredential(
                        owner=IamUser(account=self.account, name=name),
                        kind=CredentialKind.SERVICE_SPECIFIC,
                        credential_id=it["ServiceSpecificCredentialId"],
                        active=it["Status"] == "Active",
                        service=it["ServiceName"],
                        since=it["CreateDate"],
                    )
                    found[name] = (*found.get(name, ()), credential)
                if not page.get("IsTruncated"):
                    return found
                marker = {"Marker": page["Marker"]}


def parsed(content: bytes, *, generated_at: datetime) -> CredentialReport:
    """A credential report. Columns go by name, since AWS adds some. Raises GatewayError.

    The user's name may hold a comma, in the ARN again; whether AWS quotes it then isn't documented.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html
    """
    try:
        lines = list(csv.reader(io.StringIO(content.decode()), strict=False))
        header, *rows = [line for line in lines if line]
        found = [
            _credentials(dict(zip(header, _whole(row, len(header)), strict=True))) for row in rows
        ]
    except (ValueError, KeyError, csv.Error) as error:
        message = f"credential report: cannot be read: {type(error).__name__} {error}"
        raise GatewayError(message, code="UnreadableReport") from error
    return CredentialReport(
        generated_at=generated_at,
        users={it.arn: it for it in found if it.user_name != ROOT_USER},
        root=next((it for it in found if it.user_name == ROOT_USER), None),
    )


def _whole(row: list[str], width: int) -> list[str]:
    """The row, with a name and an ARN put together again that commas took apart.

    No name holds a colon, so that the ARN is told by how it begins. Raises ValueError.
    """
    more = len(row) - width
    if more <= 0:
        return row
    begin = [it.startswith("arn:") for it in row].index(True)
    end = more + 2
    return [",".join(row[:begin]), ",".join(row[begin:end]), *row[end:]]


def _credentials(line: Mapping[str, str]) -> Credentials:
    return Credentials(
        user_name=line["user"],
        arn=line["arn"],
        created_at=_time(line["user_creation_time"]),
        password=_is_true(line["password_enabled"]),
        password_changed_at=_time(line["password_last_changed"]),
        password_used_at=_time(line["password_last_used"]),
        mfa=_is_true(line["mfa_active"]),
        keys=tuple(
            KeySlot(
                active=_is_true(line[f"access_key_{number}_active"]),
                changed_at=_time(line[f"access_key_{number}_last_rotated"]),
                used_at=_time(line[f"access_key_{number}_last_used_date"]),
                used_by=_text(line[f"access_key_{number}_last_used_service"]),
            )
            for number in (1, 2)
        ),
        certificates=tuple(_is_true(line[f"cert_{number}_active"]) for number in (1, 2)),
    )


NOTHING = frozenset({"", "N/A", "no_information", "not_supported"})
"""What a credential report says where it knows nothing, or there is nothing to know."""


def _is_true(text: str) -> bool:
    return text.casefold() == "true"


def _text(text: str) -> str | None:
    return None if text in NOTHING else text


def _time(text: str) -> datetime | None:
    """Raises ValueError."""
    return None if text in NOTHING else datetime.fromisoformat(text)


def _group(detail: Mapping[str, Any]) -> Holder:
    return Holder(
        name=detail["GroupName"],
        unique_id=detail["GroupId"],
        attached=_attached(detail),
        inline=_inline(detail.get("GroupPolicyList", [])),
    )


def _attached(detail: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(it["PolicyArn"] for it in detail.get("AttachedManagedPolicies", []))


def _inline(policies: Iterable[Mapping[str, Any]]) -> tuple[PolicyDocument, ...]:
    return tuple(
        PolicyDocument(name=it["PolicyName"], text=_document(it.get("PolicyDocument")))
        for it in policies
    )


def _default_version(policy: Mapping[str, Any]) -> PolicyDocument:
    """A managed policy by its default version; what isn't there can't be read, and is looked at."""
    versions = policy.get("PolicyVersionList", [])
    document = next((it.get("Document") for it in versions if it.get("IsDefaultVersion")), None)
    arn: str = policy["Arn"]
    return PolicyDocument(name=arn.rpartition("/")[2], text=_document(document), arn=arn)


def _document(document: object) -> str:
    """A policy as JSON text: botocore decodes IAM's URL encoding, and mostly the JSON as well."""
    return document if isinstance(document, str) else json.dumps(document)
