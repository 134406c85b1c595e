"""闸门 What the gate decides on one charge: in force, purpose, limits, spend cap, price; pure."""

import hashlib
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from metering.problems import (
    InvalidChargeKey,
    LicenseNotInForce,
    PurposeRefused,
    QuotaExhausted,
    SpendCapReached,
)
from metering.rating import Measure, Quantities, Tariff
from metering.words import Kind, Settled
from storage.kernel.ids import new_key
from storage.kernel.problem import Problem, invalid
from storage.kernel.words import Words

LARGEST = 2**53 - 1
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_KEY = re.compile(r"[\x21-\x7e]{1,200}")


class Price(Protocol):
    """价格. What one call, row or download costs, in fen; `per_hit` charges answers with content only."""

    @property
    def call_fen(self) -> int: ...
    @property
    def row_fen(self) -> int: ...
    @property
    def download_fen(self) -> int: ...
    @property
    def per_hit(self) -> bool: ...


class Policy(Protocol):
    """网关规则. What the contract compiles to and the gate row is opened from; None is unlimited."""

    @property
    def tier(self) -> str: ...
    @property
    def limit_calls(self) -> int | None: ...
    @property
    def limit_rows(self) -> int | None: ...
    @property
    def limit_bytes(self) -> int | None: ...
    @property
    def limit_downloads(self) -> int | None: ...
    @property
    def spend_cap_fen(self) -> int | None: ...
    @property
    def serve_from(self) -> datetime: ...
    @property
    def serve_until(self) -> datetime | None: ...
    @property
    def purposes(self) -> Sequence[str]: ...
    @property
    def delivery(self) -> Sequence[str]: ...
    @property
    def version_rule(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def price(self) -> Price: ...


def meterable(tariff: Tariff) -> Tariff:
    """A tariff the gate can count by. Raises Invalid when it prices downloads beside calls or rows.

    The gate counts a download's rows with the others, so a step could not tell them apart.
    """
    measures = {price.measure for price in tariff.prices}
    if Measure.DOWNLOAD in measures and len(measures) > 1:
        raise invalid(
            "tariff",
            "tariff.downloads",
            "阶梯价目中，下载次数不能与调用次数或数据行数同时计价。",
            "A stepped tariff prices downloads, or calls and rows, not both.",
        )
    return tariff


def charge_key(text: str) -> str:
    """The key as it is compared: a UUID in its canonical form, anything else as written.

    Raises InvalidChargeKey unless it is 1 to 200 visible ASCII characters; quotes around it are dropped.
    """
    if _UUID.fullmatch(text):
        return text
    if len(text) > 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    if not _KEY.fullmatch(text):
        raise InvalidChargeKey
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return text


def new_charge_key() -> str:
    """A UUIDv7, as a client makes one for each purchase."""
    raw = bytearray(new_key())
    raw[6], raw[8] = 0x70 | raw[6] & 0x0F, 0x80 | raw[8] & 0x3F
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def event_id(license_id: str, key: str) -> bytes:
    """16 bytes: the 48-bit time inside a UUIDv7 key (else zero), then blake2b-80 of license and key.

    Time first keeps inserts at the end of the index. Never the time of arrival: a retry must meet the same id.
    """
    timed = len(key) == 36 and key[14] == "7" and _UUID.fullmatch(key)
    prefix = bytes.fromhex(key[:8] + key[9:13]) if timed else bytes(6)
    return prefix + hashlib.blake2b(f"{license_id}\0{key}".encode(), digest_size=10).digest()


@dataclass(slots=True)  # freezing would cost more than everything else that is done with one
class Charge:
    """一次计费. One answer about to leave: whose, for what, how much, and what makes it the same again."""

    license_id: str
    product_id: str
    credential_id: str
    jti: str  # of the access token; "" when there is none
    purpose: str
    kind: Kind
    key: str | None  # from `charge_key`; None when the caller gave none, so that nobody can ask again
    fingerprint: bytes  # of the request; the same key with another one is refused
    calls: int = 0
    rows: int = 0
    size: int = 0  # bytes of the answer
    downloads: int = 0
    hit: bool = False  # of a provider's API: the declared condition held, there is something to pay for
    resume_only: bool = False  # answer a purchase already made, never begin one
    id: bytes = field(init=False)  # of the event

    def __post_init__(self) -> None:
        # All bits together: negative when one is, and never above LARGEST (all ones) when none is.
        if not 0 <= self.calls | self.rows | self.size | self.downloads <= LARGEST:
            raise ValueError("a charge counts up from zero")
        self.id = new_key() if self.key is None else event_id(self.license_id, self.key)


@dataclass(slots=True)
class Receipt:
    """计费回执. What was booked. `left_calls` and `left_rows` are None when unlimited."""

    id: bytes
    outcome: Settled
    at: datetime
    calls: int
    rows: int
    size: int  # bytes
    amount_fen: int
    left_calls: int | None = None
    left_rows: int | None = None

    @property
    def charge_id(self) -> str:
        """The event's key as people see it."""
        return f"chg_{self.id.hex()}"

    def document(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "charge_id": self.charge_id,
            "at": self.at.isoformat(),
            "calls": self.calls,
            "rows": self.rows,
            "bytes": self.size,
            "amount_fen": self.amount_fen,
        }


@dataclass(slots=True)
class GateState:
    """A gate row in the till's hand, locked; `used` numbers move as charges are admitted."""

    license_id: str
    product_id: str
    tier: str
    in_force: bool
    shut_reason: str | None
    ran_out: bool
    taken_down: bool
    down_reason: str | None
    serve_from: datetime
    serve_until: datetime | None
    until_reason: str | None
    limit_calls: int | None
    limit_rows: int | None
    limit_bytes: int | None
    limit_downloads: int | None
    spend_cap_fen: int | None
    used_calls: int
    used_rows: int
    used_bytes: int
    used_downloads: int
    spent_fen: int
    call_fen: int
    row_fen: int
    download_fen: int
    per_hit: bool
    stands_on: str | None
    purposes: list[str]
    tariff: Tariff | None = None  # steps over the whole term, instead of the flat prices

    def refusal(self, now: datetime) -> Problem | None:
        """Why nothing may be served at `now`, or None."""
        reason = (
            (self.shut_reason or "shut")
            if not self.in_force
            else (self.down_reason or "taken_down")
            if self.taken_down
            else self.outside(now)
        )
        return LicenseNotInForce.because(self.license_id, reason, self.stands_on) if reason else None

    def refusal_of_use(self, at: datetime) -> Problem | None:
        """Why use that happened at `at` is not booked now, or None.

        After a term that was served whole, only the moment of use counts. Whatever else ended access ends reports.
        """
        if not self.ran_out:
            return self.refusal(at)
        reason = self.outside(at)
        return LicenseNotInForce.because(self.license_id, reason, self.stands_on) if reason else None

    def outside(self, at: datetime) -> str | None:
        """Why `at` does not lie in the term, or None."""
        if at < self.serve_from:
            return "not_begun"
        if self.serve_until is not None and at >= self.serve_until:
            return self.until_reason or "expired"
        return None

    @property
    def left_calls(self) -> int | None:
        """Calls that remain; None is unlimited."""
        return None if self.limit_calls is None else self.limit_calls - self.used_calls

    @property
    def left_rows(self) -> int | None:
        """Rows that remain; None is unlimited."""
        return None if self.limit_rows is None else self.limit_rows - self.used_rows

    def left(self, unit: str) -> int | None:
        """What remains of `calls`, `rows`, `bytes` or `downloads`; None is unlimited."""
        limit: int | None = getattr(self, f"limit_{unit}")
        used: int = getattr(self, f"used_{unit}")
        return None if limit is None else limit - used

    def admit(self, charge: Charge) -> tuple[int, int]:
        """Count the charge and return the calls booked and the price in fen.

        Raises PurposeRefused, QuotaExhausted, SpendCapReached, LicenseNotInForce (of another product).
        """
        if charge.product_id != self.product_id or self.tier != "commercial":
            raise LicenseNotInForce(
                Words("该许可不适用于此产品。", "The license is not for this product."),
                license=self.license_id,
                reason="other_product",
            )
        if self.purposes and charge.purpose not in self.purposes:
            raise PurposeRefused(license=self.license_id, purposes=self.purposes)
        found = charge.rows or charge.downloads or charge.hit
        calls = 0 if self.per_hit and not found else charge.calls
        if self.limit_calls is not None and self.used_calls + calls > self.limit_calls:
            raise self._exhausted("calls", calls)
        if self.limit_rows is not None and self.used_rows + charge.rows > self.limit_rows:
            raise self._exhausted("rows", charge.rows)
        if self.limit_bytes is not None and self.used_bytes + charge.size > self.limit_bytes:
            raise self._exhausted("bytes", charge.size)
        if self.limit_downloads is not None and self.used_downloads + charge.downloads > self.limit_downloads:
            raise self._exhausted("downloads", charge.downloads)
        if self.tariff is not None:
            amount = self._stepped(self.tariff, charge, calls)
        elif charge.downloads and self.download_fen:
            amount = charge.downloads * self.download_fen  # one price, whatever the file holds
        else:
            amount = calls * self.call_fen + charge.rows * self.row_fen
        if self.spend_cap_fen is not None and self.spent_fen + amount > self.spend_cap_fen:
            raise SpendCapReached(
                license=self.license_id, left_fen=self.spend_cap_fen - self.spent_fen, cost_fen=amount
            )
        self.used_calls += calls
        self.used_rows += charge.rows
        self.used_bytes += charge.size
        self.used_downloads += charge.downloads
        self.spent_fen += amount
        return calls, amount

    def _stepped(self, tariff: Tariff, charge: Charge, calls: int) -> int:
        """`rate(used + n) - rate(used)`: the parts add up to the price of the whole, in any order."""
        before = Quantities(self.used_calls, self.used_rows, self.used_downloads)
        after = before + Quantities(calls, charge.rows, charge.downloads)
        return tariff.metered_fen(after) - tariff.metered_fen(before)

    def _exhausted(self, unit: str, wanted: int) -> QuotaExhausted:
        return QuotaExhausted(license=self.license_id, unit=unit, left=self.left(unit), wanted=wanted)
