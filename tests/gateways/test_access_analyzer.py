"""IAM Access Analyzer's answers, which no emulator gives."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from keyward.errors import GatewayError, NotFoundError
from keyward.gateways.access_analyzer import ALLOWED, SHOWN, AccessAnalyzerGateway
from keyward.policy.sentinels import SENTINELS, resources
from tests.policy.writing import a_document, allow

HUB = "123456789012"
REGION = "eu-west-1"
DOCUMENT = a_document(allow("iam:PassRole"), name="inline policy")
OTHER = a_document(allow("iam:GetRole"), name="inline policy")
QUESTION = {
    "policyDocument": DOCUMENT.text,
    "policyType": "IDENTITY_POLICY",
    "access": [{"actions": SENTINELS, "resources": resources(partition="aws", account=HUB)}],
}
PASS = {"result": "PASS", "message": "The policy document does not grant access to the actions."}
FIRST = {"description": "One of the actions in the statement with index: 0.", "statementIndex": 0}
NAMED = {
    "description": "One of the actions in the statement with index: 1.",
    "statementIndex": 1,
    "statementId": "Roles",
}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    return boto3.client("accessanalyzer", region_name=REGION)


def a_gateway(client: Any) -> AccessAnalyzerGateway:
    return AccessAnalyzerGateway(client=client, account=HUB)


def failing(*reasons: object, **others: object) -> dict[str, Any]:
    return {"result": "FAIL", "message": "It grants access.", "reasons": list(reasons), **others}


def objections(client: Any, answer: dict[str, Any]) -> tuple[str, ...]:
    with Stubber(client) as stub:
        stub.add_response("check_access_not_granted", answer, QUESTION)
        return a_gateway(client).objections(DOCUMENT)


def test_a_policy_that_allows_none_of_it_meets_no_objection(client: Any) -> None:
    assert objections(client, PASS) == ()


def test_why_it_may_be_allowed_is_said_line_by_line(client: Any) -> None:
    assert objections(client, failing(FIRST, NAMED)) == (
        "One of the actions in the statement with index: 0.",
        "One of the actions in the statement with index: 1. (Roles)",
    )


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (failing(), "It grants access."),
        ({"result": "FAIL"}, ALLOWED),
        (failing({"statementIndex": 3, "statementId": "Roles"}), f"{ALLOWED} (Roles)"),
    ],
)
def test_a_refusal_of_few_words_is_one_all_the_same(
    client: Any, answer: dict[str, Any], line: str
) -> None:
    assert objections(client, answer) == (line,)


def test_an_answer_that_says_nothing_is_no_objection(client: Any) -> None:
    assert objections(client, {}) == ()


def test_no_more_reasons_are_kept_than_anybody_reads(client: Any) -> None:
    assert len(objections(client, failing(*[FIRST] * (SHOWN + 1)))) == SHOWN


def test_the_same_document_is_paid_for_once(client: Any) -> None:
    gateway = a_gateway(client)
    with Stubber(client) as stub:
        for answer, document in ((failing(FIRST), DOCUMENT), (PASS, OTHER)):
            question = {**QUESTION, "policyDocument": document.text}
            stub.add_response("check_access_not_granted", answer, question)
        for _ in range(2):
            assert gateway.objections(DOCUMENT)
            assert gateway.objections(OTHER) == ()


@pytest.mark.parametrize(
    ("code", "status", "is_retryable"),
    [
        ("AccessDeniedException", 403, False),
        ("ThrottlingException", 429, True),
        ("InternalServerException", 500, True),
        ("InvalidParameterException", 400, False),
        ("UnprocessableEntityException", 422, False),
        ("ValidationException", 400, False),
    ],
)
def test_a_refusal_to_answer_is_an_error_and_nothing_to_remember(
    client: Any, code: str, status: int, *, is_retryable: bool
) -> None:
    gateway = a_gateway(client)
    with Stubber(client) as stub:
        stub.add_client_error(
            "check_access_not_granted", service_error_code=code, http_status_code=status
        )
        stub.add_response("check_access_not_granted", failing(FIRST), QUESTION)
        with pytest.raises(GatewayError, match="CheckAccessNotGranted inline policy") as raised:
            gateway.objections(DOCUMENT)
        assert gateway.objections(DOCUMENT)
    assert (raised.value.code, raised.value.retryable) == (code, is_retryable)
    assert not isinstance(raised.value, NotFoundError)


@pytest.mark.usefixtures("client")
def test_a_region_without_it_is_an_error() -> None:
    nobody = boto3.client(
        "accessanalyzer",
        region_name="xx-nowhere-1",
        endpoint_url="http://127.0.0.1:9",
        config=Config(connect_timeout=1, retries={"mode": "standard", "max_attempts": 1}),
    )
    with pytest.raises(GatewayError, match="EndpointConnectionError"):
        a_gateway(nobody).objections(DOCUMENT)


@pytest.mark.usefixtures("client")
def test_resources_are_of_the_partition_that_answers() -> None:
    elsewhere = boto3.client("accessanalyzer", region_name="us-gov-west-1")
    access = {"actions": SENTINELS, "resources": resources(partition="aws-us-gov", account=HUB)}
    with Stubber(elsewhere) as stub:
        stub.add_response("check_access_not_granted", PASS, {**QUESTION, "access": [access]})
        assert a_gateway(elsewhere).objections(DOCUMENT) == ()


# ------------------------------------------------------------------ ValidatePolicy


VALIDATED = {
    "locale": "EN",
    "policyDocument": DOCUMENT.text,
    "policyType": "IDENTITY_POLICY",
}


def a_finding(kind: str, code: str = "INVALID_ACTION") -> dict[str, Any]:
    return {
        "findingType": kind,
        "issueCode": code,
        "findingDetails": "The action does not exist.",
        "learnMoreLink": "https://example.com",
        "locations": [],
    }


def test_what_does_not_work_or_allows_too_much_is_doubted_and_style_is_not(client: Any) -> None:
    kinds = ("SUGGESTION", "ERROR", "WARNING", "SECURITY_WARNING")
    with Stubber(client) as stub:
        findings = [a_finding(kind, code=f"OF_{kind}") for kind in kinds]
        stub.add_response("validate_policy", {"findings": findings}, VALIDATED)
        assert a_gateway(client).doubts(DOCUMENT) == (
            "OF_ERROR: The action does not exist.",
            "OF_SECURITY_WARNING: The action does not exist.",
        )


def test_doubts_are_read_to_the_last_page_and_not_all_shown(client: Any) -> None:
    page = {"findings": [a_finding("WARNING")], "nextToken": "more"}
    last = {"findings": [a_finding("ERROR")] * (SHOWN + 1)}
    with Stubber(client) as stub:
        stub.add_response("validate_policy", page, VALIDATED)
        stub.add_response("validate_policy", last, {**VALIDATED, "nextToken": "more"})
        assert len(a_gateway(client).doubts(DOCUMENT)) == SHOWN


def test_where_it_does_not_validate_that_is_an_error(client: Any) -> None:
    with Stubber(client) as stub:
        stub.add_client_error("validate_policy", service_error_code="ThrottlingException")
        with pytest.raises(GatewayError, match="ValidatePolicy inline policy: Thrott") as raised:
            a_gateway(client).doubts(DOCUMENT)
    assert raised.value.retryable
