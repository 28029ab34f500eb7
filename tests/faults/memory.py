"""Stand-ins that are fast enough for ten thousand events: the ledger's table, IAM, the topic.

The table knows exactly the expressions that the ledger uses and refuses any other;
`test_flood.py` holds it against moto's.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from keyward.actions import DENY_ALL_ARN
from keyward.errors import NotFoundError
from keyward.gateways.dynamodb import DynamoDbGateway, Item, RefusedError, Write
from keyward.gateways.iam import IamGateway
from keyward.gateways.sns import SnsGateway
from keyward.ledger import Ledger
from keyward.model import AccessKey, IamUser
from keyward.services import Environment, Services
from tests.flow.world import HUB

PAGE_BYTES = 1024 * 1024
"""Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html"""


class MemoryTable(DynamoDbGateway):
    """A table in memory. `stream` holds what was written and is not read yet."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], Item] = {}
        self.stream: list[Item] = []

    def get(self, pk: str, sk: str) -> Item | None:
        return copy.copy(self.items.get((pk, sk)))

    def get_all(self, keys: Iterable[tuple[str, str]]) -> Iterator[Item]:
        yield from [self.items[key] for key in keys if key in self.items]

    def query(self, pk: str) -> Iterator[Item]:
        yield from [item for (held, _), item in self.items.items() if held == pk]

    def query_index(
        self,
        *,
        index: str,
        attribute: str,
        value: str,
        limit: int,
        after: Item | None = None,
        begins: tuple[str, str] | None = None,
    ) -> tuple[list[Item], Item | None]:
        order = "open_of" if index == "open_in" else "updated_at"
        assert begins is None or begins[0] == order
        found = sorted(
            (
                item
                for item in self.items.values()
                if item.get(attribute, {}).get("S") == value
                and (begins is None or item[order]["S"].startswith(begins[1]))
            ),
            key=lambda item: (item[order]["S"], item["pk"]["S"]),
        )
        begin = 0 if after is None else found.index(self.items[_key(after)]) + 1
        page: list[Item] = []
        size = 0
        for item in found[begin : begin + limit]:
            size += len(item["doc"]["S"])
            if size > PAGE_BYTES:
                break
            page.append(item)
        more = begin + len(page) < len(found)
        return page, ({name: page[-1][name] for name in ("pk", "sk")} if more else None)

    def write(self, *writes: Write) -> None:
        bodies = [(kind, body) for write in writes for kind, body in write.items()]
        assert len(bodies) <= 100
        olds = [self.items.get(_key(body.get("Item") or body["Key"]), {}) for _, body in bodies]
        holds = [_holds(body, old) for (_, body), old in zip(bodies, olds, strict=True)]
        if not all(holds):
            raise RefusedError(
                [not held for held in holds],
                [{} if held else old for held, old in zip(holds, olds, strict=True)],
            )
        for (kind, body), old in zip(bodies, olds, strict=True):
            if kind == "ConditionCheck":
                continue
            if kind == "Delete":
                self.items.pop(_key(body["Key"]), None)
                continue
            after = body["Item"] if kind == "Put" else _updated(body, old)
            self.items[_key(after)] = after
            self.stream.append(after)


def _key(item: Item) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


def _holds(body: Item, old: Item) -> bool:
    values = body.get("ExpressionAttributeValues", {})
    match body.get("ConditionExpression"):
        case None:
            return True
        case "attribute_not_exists(pk)":
            return not old
        case "#v = :v":
            return bool(old.get("version") == values[":v"])
        case "#v = :v AND attribute_exists(untold)":
            return bool(old.get("version") == values[":v"] and "untold" in old)
        case "attribute_exists(untold)":
            return "untold" in old
        case "attribute_not_exists(pk) OR #at < :at":
            return not old or bool(old["at"]["S"] < values[":at"]["S"])
        case "#v = :old":
            return bool(old.get("version") == values[":old"])
        case "attribute_not_exists(released_until) OR released_until <= :now":
            return "released_until" not in old or int(old["released_until"]["N"]) <= int(
                values[":now"]["N"]
            )
        case "#v = :v AND attribute_exists(untold)":
            return bool(old.get("version") == values[":v"]) and "untold" in old
        case "attribute_exists(untold) AND attribute_exists(untold)":
            return "untold" in old
        case "attribute_not_exists(claimed) OR claimed <= :now":
            return "claimed" not in old or int(old["claimed"]["N"]) <= int(values[":now"]["N"])
        case "attribute_not_exists(spent) OR spent < :limit":
            return "spent" not in old or int(old["spent"]["N"]) < int(values[":limit"]["N"])
        case (
            "attribute_not_exists(pk) OR leased_until_ms <= :begins "
            "OR leased_until_ms > :impossible"
        ):
            until = int(old["leased_until_ms"]["N"]) if old else 0
            return until <= int(values[":begins"]["N"]) or until > int(values[":impossible"]["N"])
        case other:
            raise NotImplementedError(other)


def _updated(body: Item, old: Item) -> Item:
    values = body.get("ExpressionAttributeValues", {})
    new = {**body["Key"], **old}
    match body["UpdateExpression"]:
        case "SET #v = :v, ticket = :t, claim_until = :u":
            new |= {"version": values[":v"], "ticket": values[":t"], "claim_until": values[":u"]}
        case "SET leased_until_ms = :ends":
            new["leased_until_ms"] = values[":ends"]
        case "SET doc = :doc, finding = :f ADD findings :fs":
            new |= {"doc": values[":doc"], "finding": values[":f"]}
            held = new.get("findings", {"SS": []})["SS"]
            new["findings"] = {"SS": sorted({*held, *values[":fs"]["SS"]})}
        case (
            "SET doc = if_not_exists(doc, :doc), finding = if_not_exists(finding, :f) "
            "ADD findings :fs"
        ):
            new.setdefault("doc", values[":doc"])
            new.setdefault("finding", values[":f"])
            held = new.get("findings", {"SS": []})["SS"]
            new["findings"] = {"SS": sorted({*held, *values[":fs"]["SS"]})}
        case "SET released_until = :until, released_by = :by":
            new |= {"released_until": values[":until"], "released_by": values[":by"]}
        case "ADD spent :one SET expires_at = :expires":
            new["spent"] = {"N": str(int(new.get("spent", {"N": "0"})["N"]) + 1)}
            new["expires_at"] = values[":expires"]
        case "SET #name = :value, expires_at = :expires":
            name = body["ExpressionAttributeNames"]["#name"]
            new |= {name: values[":value"], "expires_at": values[":expires"]}
        case "SET untold = :w":
            new["untold"] = values[":w"]
        case "SET claimed = :until, expires_at = :expires":
            new |= {"claimed": values[":until"], "expires_at": values[":expires"]}
        case "REMOVE claimed":
            new.pop("claimed", None)
        case "REMOVE untold":
            new.pop("untold", None)
        case "SET untold = :w":
            new["untold"] = values[":w"]
        case "SET #name = :value, expires_at = :expires":
            name = body["ExpressionAttributeNames"]["#name"]
            new |= {name: values[":value"], "expires_at": values[":expires"]}
        case "REMOVE doc, finding, findings":
            for name in ("doc", "finding", "findings"):
                new.pop(name, None)
        case other:
            raise NotImplementedError(other)
    return new


class MemoryIam(IamGateway):
    """Users without keys, and which of them are denied everything."""

    def __init__(self, account: str) -> None:
        self.account = account
        self.users: dict[str, IamUser] = {}
        self.denied: set[str] = set()

    def add(self, name: str, user_id: str, *, at: datetime) -> None:
        self.users[name] = IamUser(
            account=self.account, name=name, user_id=user_id, created_at=at, tags={}
        )

    def user(self, name: str) -> IamUser:
        if name not in self.users:
            raise NotFoundError(name)
        return self.users[name]

    def access_keys(self, owner: IamUser) -> dict[str, AccessKey]:  # noqa: ARG002 - it has none
        return {}

    def attached_policies(self, user_name: str) -> frozenset[str]:
        return frozenset({DENY_ALL_ARN} if user_name in self.denied else ())

    def in_quarantine_group(self, user_name: str) -> bool:
        assert user_name in self.users
        return False

    def attach_deny(self, user_name: str) -> None:
        self.denied.add(user_name)

    def set_marker(self, user_name: str, value: str) -> None:
        assert value
        assert user_name in self.users


class MemoryTopic(SnsGateway):
    """Keeps the subjects of what was published."""

    def __init__(self) -> None:
        self.subjects: list[str] = []
        self.bodies: list[str] = []

    def publish(
        self,
        *,
        subject: str,
        body: str,
        attributes: Mapping[str, str],
        topic_arn: str | None = None,
        by_https: str | None = None,
    ) -> str:
        assert attributes
        assert by_https is None
        assert topic_arn is None
        self.subjects.append(subject)
        self.bodies.append(body)
        return str(len(self.subjects))


class MemoryServices(Services):
    """Services over the stand-ins; every account is a member."""

    def __init__(self) -> None:
        super().__init__(
            environment=Environment(table="memory", hub_account=HUB, function="keyward-iam-guard"),
            sleep=lambda _seconds: None,
        )
        self.table = MemoryTable()
        self.topic = MemoryTopic()
        self.accounts: dict[str, MemoryIam] = {}
        self.__dict__["ledger"] = Ledger(self.table, claim_seconds=90)
        self.__dict__["sns"] = self.topic

    def is_member(self, account: str, now: datetime) -> bool:  # noqa: ARG002 - it never changes
        return account != HUB

    def iam(self, account: str, now: datetime) -> Any:  # noqa: ARG002 - nothing runs out
        return self.accounts.setdefault(account, MemoryIam(account))
