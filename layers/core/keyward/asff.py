"""Findings in Security Hub's format (ASFF). Pure: a record in, a document out.

Source: https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format.html
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from keyward.findings import FindingRecord
from keyward.published import changed_at
from keyward.text import clean

SCHEMA = "2018-10-08"
TITLE_LENGTH = 256
DESCRIPTION_LENGTH = 1024
REMEDIATION_LENGTH = 512
ID_LENGTH = 512
FIELD_LENGTH = 1024
"""No attribute may be longer than what is here.

Source: https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_AwsSecurityFinding.html
"""

BEST_PRACTICES = "Software and Configuration Checks/AWS Security Best Practices"
TYPES = {
    "keyward-tampered": "TTPs/Defense Evasion",
    "org-guardrail-changed": "TTPs/Defense Evasion",
    "org-leave-attempted": "TTPs/Defense Evasion",
    "trail-stopped": "TTPs/Defense Evasion",
    "iam-quarantine-undone": "TTPs/Defense Evasion",
    "iam-key-quarantined-by-aws": "TTPs/Credential Access",
    "iam-admin-granted": "TTPs/Privilege Escalation",
    "idc-permission-set-admin-equivalent": "TTPs/Privilege Escalation",
}
"""What Security Hub calls the kind of what a rule finds; of others it is BEST_PRACTICES.

Source: https://docs.aws.amazon.com/securityhub/latest/userguide/asff-required-attributes.html#Types
"""


def document(
    record: FindingRecord, *, partition: str, region: str, hub_account: str
) -> dict[str, object]:
    """The finding as Security Hub takes it, under one id through all its episodes.

    By the product that every account has, only findings of the caller's own account are taken: so
    `AwsAccountId` is the hub's, and the account concerned stands among the resources and in
    ProductFields. A closed finding is ARCHIVED; one that is back becomes ACTIVE, which sets its
    workflow to NEW again. An update that isn't younger than what Security Hub has is ignored there;
    Workflow and Note can't be updated, and are left to people.
    Source: https://docs.aws.amazon.com/securityhub/latest/userguide/finding-update-batchimportfindings.html
    Source: https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchImportFindings.html
    Source: https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_Workflow.html
    """
    severity = {"Label": record.severity.upper(), "Original": record.severity.value}
    types = [TYPES.get(record.rule, BEST_PRACTICES)]
    said = clean(record.reason, limit=DESCRIPTION_LENGTH // 2)
    done = record.outcome or record.held or f"nothing was done: mode {record.mode}"
    return {
        "SchemaVersion": SCHEMA,
        "Id": f"keyward/{record.account}/{record.key}",
        "ProductArn": (
            f"arn:{partition}:securityhub:{region}:{hub_account}:product/{hub_account}/default"
        ),
        "ProductName": "Keyward",
        "CompanyName": "Keyward",
        "GeneratorId": f"keyward/{record.rule}",
        "AwsAccountId": hub_account,
        "Types": types,
        "FirstObservedAt": _time(record.first_seen),
        "LastObservedAt": _time(max(record.first_seen, record.last_seen)),
        "CreatedAt": _time(record.first_seen),
        "UpdatedAt": _time(max(record.first_seen, changed_at(record))),
        "Severity": severity,
        "FindingProviderFields": {"Severity": severity, "Types": types},
        "Title": clean(f"{record.rule}: {record.subject} in {record.account}", limit=TITLE_LENGTH),
        "Description": clean(f"{said} [{record.state}] {done}", limit=DESCRIPTION_LENGTH),
        "Remediation": {"Recommendation": {"Text": clean(record.fix, limit=REMEDIATION_LENGTH)}},
        "ProductFields": _filled(
            {
                "keyward/finding": record.key,
                "keyward/episode": str(record.episode),
                "keyward/state": record.state.value,
                "keyward/rule": record.rule,
                "keyward/account": record.account,
                "keyward/mode": record.mode,
                "keyward/action": record.action.name if record.action is not None else "",
                "keyward/actor": record.evidence.actor,
                "keyward/source-ip": record.evidence.source_ip or "",
                "keyward/event-name": record.evidence.event_name,
                "keyward/event-id": record.evidence.event_id,
                "keyward/owner": record.owner or "",
                "keyward/acknowledged-by": record.acknowledged.by if record.acknowledged else "",
            }
        ),
        "Resources": [
            _subject(record) | {"Partition": partition, "Region": region},
            {
                "Type": "AwsAccount",
                "Id": f"AWS::::Account:{record.account}",
                "Partition": partition,
                "Region": region,
            },
        ],
        "RecordState": "ARCHIVED" if record.state.closed else "ACTIVE",
    }


def _subject(record: FindingRecord) -> dict[str, object]:
    """The subject as a resource: of an IAM user and an access key Security Hub knows details.

    Source: https://docs.aws.amazon.com/securityhub/latest/userguide/asff-resourcedetails-awsiam.html
    """
    name = clean(record.user_name or "", limit=FIELD_LENGTH)
    if record.subject_kind == "AccessKey":
        details = {"AccessKeyId": clean(record.unique_id), "AccountId": record.account}
        if name:
            details |= {"PrincipalName": name, "PrincipalType": "IAMUser"}
        return {
            "Type": "AwsIamAccessKey",
            "Id": clean(f"AWS::IAM::AccessKey:{record.unique_id}", limit=ID_LENGTH),
            "Details": {"AwsIamAccessKey": details},
        }
    if record.user_arn is not None:
        return {
            "Type": "AwsIamUser",
            "Id": clean(record.user_arn, limit=ID_LENGTH),
            "Details": {"AwsIamUser": _filled({"UserId": record.user_id or "", "UserName": name})},
        }
    return {
        "Type": "Other",
        "Id": clean(record.unique_id, limit=ID_LENGTH) or record.key,
        "Details": {
            "Other": _filled(
                {
                    "Account": record.account,
                    "Kind": record.subject_kind,
                    "Subject": record.subject,
                    "UniqueId": record.unique_id,
                }
            )
        },
    }


def _filled(fields: Mapping[str, str]) -> dict[str, str]:
    """The fields that hold something: an empty text is refused."""
    cleaned = {name: clean(value, limit=FIELD_LENGTH) for name, value in fields.items()}
    return {name: value for name, value in cleaned.items() if value}


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
