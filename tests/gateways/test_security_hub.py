"""What Security Hub refuses: malformed findings are named, all else comes again."""

from __future__ import annotations

from typing import Any

import pytest

from keyward.errors import GatewayError
from keyward.gateways.security_hub import SecurityHubGateway


class Client:
    """Takes findings but for those whose id has a code here."""

    def __init__(self, **refused: str) -> None:
        self.refused, self.batches = refused, list[int]()

    def batch_import_findings(self, *, Findings: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803 - the API's own name
        self.batches.append(len(Findings))
        failed = [
            {"Id": it["Id"], "ErrorCode": self.refused[it["Id"]], "ErrorMessage": "no"}
            for it in Findings
            if it["Id"] in self.refused
        ]
        return {
            "FailedCount": len(failed),
            "SuccessCount": len(Findings) - len(failed),
            "FailedFindings": failed,
        }


def imported(client: Client, number: int) -> dict[str, str]:
    gateway: Any = SecurityHubGateway
    found: dict[str, str] = gateway(client).import_findings(
        [{"Id": f"f{at}"} for at in range(number)]
    )
    return found


def test_hundred_findings_go_in_one_call() -> None:
    client = Client()
    assert imported(client, 250) == {}
    assert client.batches == [100, 100, 50]


def test_malformed_findings_are_named_and_keep_no_other_back() -> None:
    client = Client(f3="InvalidInput", f140="InvalidInputException")
    assert imported(client, 150) == {"f3": "InvalidInput", "f140": "InvalidInputException"}
    assert client.batches == [100, 50]


@pytest.mark.parametrize(
    ("code", "retryable"), [("InternalError", True), ("InvalidAccess", False), ("Limit", True)]
)
def test_all_other_refusals_come_again(code: str, retryable: bool) -> None:  # noqa: FBT001 - a table
    client = Client(f1=code, f2="InvalidInput")
    with pytest.raises(GatewayError) as raised:
        imported(client, 150)
    assert (raised.value.code, raised.value.retryable) == (code, retryable)
    assert client.batches == [100, 50], "the rest was taken"
