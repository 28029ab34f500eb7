"""DynamoDB as the ledger uses it: items that hold a JSON document beside their keys."""

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import batched
from typing import TYPE_CHECKING, Any

from keyward.errors import GatewayError
from keyward.gateways.translate import translated

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CONFLICT = "TransactionConflict"
CONFLICT_PAUSES_SECONDS = (0.05, 0.1, 0.2, 0.4)
"""Two transactions on one item (a budget) at once: one is told to come again at once.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
"""

BATCH_SIZE = 100
"""BatchGetItem takes no more keys at once."""

BATCH_ATTEMPTS = 10
"""So often one batch is asked for."""

type Item = dict[str, Any]
"""An item in DynamoDB's own notation: {"pk": {"S": ...}, ...}."""

type Write = dict[str, Any]
"""One of TransactWriteItems' members, without its TableName."""


class RefusedError(Exception):
    """A condition of a write did not hold.

    `old` has, for each write in order, the item that refused it; {} where there was none or its
    condition held; `failed` tells for each whether its condition failed.
    """

    def __init__(self, failed: Sequence[bool], old: Sequence[Item]) -> None:
        super().__init__("a condition did not hold")
        self.failed = tuple(failed)
        self.old = tuple(old)


class DynamoDbGateway:
    """One table. Every method raises GatewayError; `write` also RefusedError."""

    def __init__(self, *, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def get(self, pk: str, sk: str) -> Item | None:
        """The item, read consistently."""
        with translated(f"GetItem {pk} of the ledger"):
            return self._client.get_item(
                TableName=self._table, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True
            ).get("Item")

    def get_all(self, keys: Iterable[tuple[str, str]]) -> Iterator[Item]:
        """Those of the items that exist, in any order, read consistently.

        What DynamoDB leaves out of an answer is asked for again, some times.
        Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
        """
        wanted = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in keys]
        for some in batched(wanted, BATCH_SIZE, strict=False):
            left: Any = {self._table: {"Keys": list(some), "ConsistentRead": True}}
            for _ in range(BATCH_ATTEMPTS):
                with translated("BatchGetItem of the ledger"):
                    answer = self._client.batch_get_item(RequestItems=left)
                yield from answer["Responses"].get(self._table, [])
                left = answer.get("UnprocessedKeys")
                if not left:
                    break
            else:
                message = "BatchGetItem of the ledger: items stay unprocessed"
                raise GatewayError(message, code="UnprocessedKeys", retryable=True)

    def query(self, pk: str) -> Iterator[Item]:
        """The items of one partition, read consistently, to the last page."""
        with translated(f"Query {pk} of the ledger"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": pk}},
                ConsistentRead=True,
            )
            for page in pages:
                yield from page["Items"]

    def query_index(  # noqa: PLR0913 - all of it by name
        self,
        *,
        index: str,
        attribute: str,
        value: str,
        limit: int,
        after: Item | None = None,
        begins: tuple[str, str] | None = None,
    ) -> tuple[list[Item], Item | None]:
        """One page of an index in the order of its sort key, and where the next begins.

        `begins`: only items of which this attribute, the index's sort key, begins like that.
        """
        start = {} if after is None else {"ExclusiveStartKey": after}
        names, values = {"#a": attribute}, {":v": {"S": value}}
        condition = "#a = :v"
        if begins is not None:
            names["#b"], values[":b"] = begins[0], {"S": begins[1]}
            condition += " AND begins_with(#b, :b)"
        with translated(f"Query index {index} of the ledger"):
            page = self._client.query(
                TableName=self._table,
                IndexName=index,
                KeyConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
                Limit=limit,
                **start,  # type: ignore[arg-type]  # the stubs want every argument spelt out
            )
        return page["Items"], page.get("LastEvaluatedKey")

    def write(self, *writes: Write) -> None:
        """Does all of the writes or none. Raises RefusedError when a condition doesn't hold.

        Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
        """
        items = [
            {
                kind: {
                    "TableName": self._table,
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                    **body,
                }
            }
            for write in writes
            for kind, body in write.items()
        ]
        for pause in CONFLICT_PAUSES_SECONDS:
            try:
                self._transact(items)
            except GatewayError as error:
                if error.code != CONFLICT:
                    raise
                time.sleep(random.uniform(0, pause))
            else:
                return
        self._transact(items)

    def _transact(self, items: list[Write]) -> None:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - on first use only

        with translated("TransactWriteItems of the ledger"):
            try:
                self._client.transact_write_items(TransactItems=items)  # type: ignore[arg-type]  # built above in the API's own notation
            except ClientError as error:
                response: dict[str, Any] = dict(error.response)
                reasons: list[Any] = response.get("CancellationReasons", [])
                codes = [reason.get("Code", "None") for reason in reasons]
                if "ConditionalCheckFailed" in codes:
                    raise RefusedError(
                        [code == "ConditionalCheckFailed" for code in codes],
                        [reason.get("Item") or {} for reason in reasons],
                    ) from error
                if reasons:
                    code = next(code for code in codes if code != "None")
                    message = f"TransactWriteItems of the ledger: {code}"
                    raise GatewayError(message, code=code, retryable=True) from error
                raise
