"""The bucket that holds inventories: what a sweep saw, for reports and history."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from keyward.gateways.translate import translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3Gateway:
    """One bucket. Every method raises GatewayError."""

    def __init__(self, *, client: "S3Client", bucket: str) -> None:
        self._client, self._bucket = client, bucket

    def put_lines(self, key: str, lines: Iterable[Mapping[str, object]]) -> None:
        """Writes JSON Lines under this key, in place of what was there: one call."""
        text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        with translated(f"PutObject {key} of the inventory"):
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=text.encode(),
                ContentType="application/x-ndjson",
            )

    def lines(self, key: str) -> list[dict[str, object]]:
        """The JSON Lines under this key. Raises NotFoundError where there is nothing."""
        with translated(f"GetObject {key} of the inventory"):
            body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        return [json.loads(line) for line in body.splitlines() if line]

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin like that, in their order, to the last page."""
        with translated(f"ListObjectsV2 {prefix} of the inventory"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix
            )
            for page in pages:
                for item in page.get("Contents", []):
                    yield item["Key"]
