"""The buckets that hold inventories, what a sweep saw, and reports, what people were shown."""

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

    def put(self, key: str, body: bytes, *, content_type: str, saved_as: str | None = None) -> None:
        """Writes a file, in place of what was there. A browser saves it as that, else it shows it.

        A bucket with Object Lock takes only what comes with a checksum.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
        """
        saved = (
            {} if saved_as is None else {"ContentDisposition": f'attachment; filename="{saved_as}"'}
        )
        with translated(f"PutObject {key}"):
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=body,
                ContentType=content_type,
                ChecksumAlgorithm="CRC32",
                **saved,  # type: ignore[arg-type]  # a member that may be absent
            )

    def exists(self, key: str) -> bool:
        """Whether there is something under this key.

        By the list: where the right to list is bound to a prefix, HeadObject answers 403 for what
        isn't there.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
        """
        with translated(f"ListObjectsV2 {key}"):
            page = self._client.list_objects_v2(Bucket=self._bucket, Prefix=key, MaxKeys=1)
        return any(item.get("Key") == key for item in page.get("Contents", []))

    def sign(self, key: str, *, seconds: int) -> str:
        """A link by which anybody may read this one object for so long, and nothing else.

        It ends earlier where the credentials that signed it do.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html
        """
        with translated(f"sign {key}"):
            return self._client.generate_presigned_url(
                "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=seconds
            )
