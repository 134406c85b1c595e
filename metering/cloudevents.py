"""云事件 Usage events from outside as CloudEvents 1.0: structured, batch and binary; each bad one named by its index."""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import orjson

from contracts.terms import DeliveryMode
from storage.kernel.problem import Invalid, invalid
from storage.kernel.words import Words

TYPE = "cn.shugang.usage.v1"
SINGLE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
MOST_EVENTS = 1000
LONGEST_AGO = timedelta(days=35)
FURTHEST_AHEAD = timedelta(minutes=5)
_MOST = {"calls": 10**9, "rows": 10**9, "bytes": 2**40}
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an event was not booked: a code for programs, words for people."""

    code: str
    words: Words

    def document(self) -> dict[str, str]:
        """The JSON form."""
        return {"code": self.code, **self.words.both()}


@dataclass(frozen=True, slots=True)
class Usage:
    """上报用量. What one event says was used of one license, and when. Sizes in bytes."""

    id: str
    source: str
    license_id: str
    at: datetime
    purpose: str
    calls: int
    rows: int
    size: int
    delivery: str = ""  # which way, where the license has several; "" when it was not said

    def event_id(self, org_id: str) -> bytes:
        """16 bytes: the 48-bit time inside a UUIDv7 id (else zero), then blake2b-80 of provider, source and id.

        The license is not part of it, so that one id used for two licenses is a conflict, not two purchases.
        """
        prefix = bytes(6)
        try:
            parsed = uuid.UUID(self.id)
        except ValueError:
            pass
        else:
            prefix = parsed.bytes[:6] if parsed.version == 7 else prefix
        name = orjson.dumps(["report", org_id, self.source, self.id])
        return prefix + hashlib.blake2b(name, digest_size=10).digest()

    @property
    def fingerprint(self) -> bytes:
        """What makes it the same event again."""
        parts = [self.license_id, self.at.isoformat(), self.purpose, self.calls, self.rows, self.size]
        parts += [self.delivery] if self.delivery else []
        return hashlib.blake2b(orjson.dumps(parts), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Item:
    """One event of a report as it was read: what it says, or why it says nothing."""

    index: int
    id: str | None
    read: Usage | Reason


def items(headers: Mapping[str, str], body: bytes) -> list[Item]:
    """The events of one request, in order. Raises Invalid when the request as a whole cannot be read.

    headers: names in lower case.
    """
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == BATCH:
        events = _loaded(body)
        if not isinstance(events, list) or not 1 <= len(events) <= MOST_EVENTS:
            raise invalid(
                "body",
                "report.batch",
                f"批量上报为 1 至 {MOST_EVENTS} 个事件的 JSON 数组。",
                f"A batch is a JSON array of 1 to {MOST_EVENTS} events.",
            )
        return [_item(index, event) for index, event in enumerate(events)]
    if media == SINGLE:
        return [_item(0, _loaded(body))]
    if "ce-specversion" in headers and media == _JSON:
        attributes = {
            name.removeprefix("ce-"): unquote(value)
            for name, value in headers.items()
            if name.startswith("ce-")
        }
        return [_item(0, attributes | {"datacontenttype": _JSON, "data": _loaded(body)})]
    raise invalid(
        "Content-Type",
        "report.media",
        f"请使用 {SINGLE}、{BATCH}，或带 ce-* 请求头的 {_JSON}。",
        f"Use {SINGLE}, {BATCH}, or {_JSON} with ce-* headers.",
    )


def _loaded(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise invalid("body", "json", "请求体不是有效的 JSON。", "The body is not valid JSON.") from None


def _item(index: int, event: Any) -> Item:
    name = event.get("id") if isinstance(event, dict) else None
    known = name if isinstance(name, str) else None
    try:
        return Item(index, known, _usage(event))
    except Invalid as wrong:
        fault = wrong.faults[0]
        return Item(index, known, Reason(f"{fault.rule}:{fault.field}", fault.words))


def _usage(event: Any) -> Usage:
    if not isinstance(event, dict):
        raise invalid("event", "event.object", "事件须为 JSON 对象。", "An event is a JSON object.")
    if event.get("specversion") != "1.0":
        raise invalid("specversion", "event.version", "specversion 须为 1.0。", "specversion is 1.0.")
    if event.get("type") != TYPE:
        raise invalid("type", "event.type", f"type 须为 {TYPE}。", f"type is {TYPE}.")
    if event.get("datacontenttype", _JSON) != _JSON or "data_base64" in event:
        raise invalid("data", "event.media", "data 须为 JSON。", "data is JSON.")
    data = event.get("data")
    if not isinstance(data, dict) or not set(data) <= {"purpose", "delivery", *_MOST}:
        raise invalid(
            "data",
            "event.data",
            "data 为对象，可含 calls、rows、bytes、purpose、delivery。",
            "data is an object of calls, rows, bytes, purpose and delivery.",
        )
    counts = {name: _count(data, name) for name in _MOST}
    if not any(counts.values()):
        raise invalid("data", "event.empty", "用量不能全为零。", "At least one quantity is above zero.")
    purpose = data.get("purpose", "")
    if not isinstance(purpose, str) or len(purpose) > 40 or not purpose.isprintable():
        raise invalid("data.purpose", "event.purpose", "请填写使用目的代码。", "purpose is a code.")
    delivery = data.get("delivery", "")
    if not isinstance(delivery, str) or delivery not in {"", *DeliveryMode}:
        raise invalid(
            "data.delivery",
            "event.delivery",
            "请填写交付方式代码。",
            "delivery is the code of a way of delivery.",
        )
    return Usage(
        id=_text(event, "id", 200),
        source=_text(event, "source", 500),
        license_id=_text(event, "subject", 60),
        at=_moment(event.get("time")),
        purpose=purpose,
        calls=counts["calls"],
        rows=counts["rows"],
        size=counts["bytes"],
        delivery=delivery,
    )


def _text(event: Mapping[str, Any], name: str, most: int) -> str:
    value = event.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= most or not value.isprintable():
        raise invalid(
            name,
            "event.text",
            f"{name} 为 1 至 {most} 个可见字符。",
            f"{name} has 1 to {most} printable characters.",
        )
    return value


def _count(data: Mapping[str, Any], name: str) -> int:
    value = data.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST[name]:
        raise invalid(
            f"data.{name}",
            "event.count",
            f"{name} 为 0 至 {_MOST[name]} 的整数。",
            f"{name} is a whole number from 0 to {_MOST[name]}.",
        )
    return value


def _moment(text: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        pass
    raise invalid(
        "time",
        "event.time",
        "time 为带时区的 RFC 3339 时间，例如 2026-11-22T08:00:00+08:00。",
        "time is an RFC 3339 moment with an offset, such as 2026-11-22T08:00:00+08:00.",
    )


def window_reason(at: datetime, now: datetime) -> Reason | None:
    """时间窗. Why an event is too old or too far ahead, or None."""
    if now - LONGEST_AGO <= at <= now + FURTHEST_AHEAD:
        return None
    words = Words(
        "事件时间须在 35 天前至 5 分钟后之间。",
        "The event lies outside 35 days ago to five minutes ahead.",
    )
    return Reason("event.window", words)
