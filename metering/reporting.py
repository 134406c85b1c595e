"""上报入账 Usage from outside in the same books as the till's: one transaction per report, limits exact, twice is once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import col

from contracts.terms import DeliveryMode
from metering.books import Asked, Booked, Books, EventRow, Found, HourRow, PostgresBooks, SqliteBooks
from metering.cloudevents import LONGEST_AGO, Item, Reason, Usage, window_reason
from metering.gate import Charge, GateState, Receipt
from metering.problems import InvalidToken
from metering.tables import Gate, ShelfItem
from metering.till import RETRYABLE
from metering.words import RAN_OUT, Kind, Reported, Settled
from storage.database import Database
from storage.kernel import clock
from storage.kernel.problem import Problem, Unavailable
from storage.kernel.words import Words
from storage.unit import View

# What the gateway itself never delivers; anything else it counts by itself, and twice would be twice.
OUTSIDE = frozenset({str(DeliveryMode.COMPUTE), str(DeliveryMode.VERIFY)})
_UNKNOWN = Reason(
    "license.unknown",
    Words("本单位的产品没有此许可。", "No license of this number on your organization's products."),
)
_COUNTED_HERE = Reason(
    "license.delivery",
    Words(
        "该许可的此种交付由平台办理，用量由平台计量。",
        "The platform itself delivers this under the license and counts its use.",
    ),
)
_NOT_LICENSED = Reason(
    "license.other_delivery",
    Words("该许可不含此种交付方式。", "The license does not include this way of delivery."),
)
_WHICH_DELIVERY = Reason(
    "license.which_delivery",
    Words(
        "该许可另有由平台计量的交付：请在 data.delivery 写明 compute 或 verify，平台已计量的用量不得上报。",
        "The platform counts other deliveries of this license: say compute or verify in data.delivery, and report"
        " nothing the platform has counted.",
    ),
)
_STOPPED = Reason(
    "license.stopped",
    Words(
        "该许可在期满前已停止服务，不再接受上报。",
        "The license was stopped before its term was over and takes no more reports.",
    ),
)
_CONFLICT = Reason(
    "event.conflict",
    Words(
        "该事件编号已用于不同内容；更正请使用新的编号。",
        "This event id was used for other content; correct it under a new id.",
    ),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """上报结论. What became of one event of a report."""

    item: Item
    result: Reported
    reason: Reason | None = None
    receipt: Receipt | None = None
    period: str | None = None
    late: bool = False  # the month it happened in was closed: billed in the next open one

    def document(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "index": self.item.index,
            "id": self.item.id,
            "result": str(self.result),
            "reason": self.reason.document() if self.reason else None,
            "receipt": self.receipt.document() if self.receipt else None,
            "period": self.period,
            "late": self.late,
        }


def book_report(
    database: Database, items: Sequence[Item], *, org_id: str, credential_id: str, zone: str
) -> list[Outcome]:
    """上报入账. Book every event that may be booked, all in one transaction; the others say why not.

    org_id: the provider whose products the licenses are on; credential_id: the program that reports.
    Raises InvalidToken when the credential has ended, Unavailable when nothing was written.
    """
    books: Books = SqliteBooks() if database.is_sqlite else PostgresBooks()
    for last in (False, True):
        report = _Report(books, items, org_id, credential_id, zone, clock.now())
        try:
            with database.writing() as connection:
                report.book(connection)
        except DBAPIError as error:
            again = isinstance(error, IntegrityError) or getattr(error.orig, "sqlstate", None) in RETRYABLE
            if last or not again:
                break
        else:
            return report.outcomes
    raise Unavailable  # also when the commit may have happened: the same report again says so


def reports_until(view: View, license_id: str) -> datetime | None:
    """上报截止. Until when use within the term of a license that has run out may still be reported; else None."""
    row = view.session.get(Gate, license_id)
    if row is None or not row.ran_out or row.serve_until is None or not OUTSIDE & set(row.delivery):
        return None
    until = row.serve_until + LONGEST_AGO
    return until if clock.now() <= until else None


@dataclass(slots=True)
class _Report:
    """One attempt to book one report; made anew for a second attempt."""

    books: Books
    items: Sequence[Item]
    org_id: str
    credential_id: str
    zone: str
    now: datetime
    outcomes: list[Outcome] = field(default_factory=list)
    _found: Found = field(init=False)
    _delivery: dict[str, list[str]] = field(default_factory=dict)
    _touched: dict[str, GateState] = field(default_factory=dict)
    _events: list[EventRow] = field(default_factory=list)

    def book(self, connection: Connection) -> None:
        """Lock, look up, decide in order, write: the till's order, so that neither waits for the other's."""
        usages = [item.read for item in self.items if isinstance(item.read, Usage)]
        self._delivery = self._own_licenses(connection, {usage.license_id for usage in usages})
        fitting = [usage.at for usage in usages if window_reason(usage.at, self.now) is None]
        since = clock.period_of(min(fitting, default=self.now), self.zone)
        ids = {usage.event_id(self.org_id) for usage in usages}
        self._found = self.books.look(
            connection, Asked(set(self._delivery), {self.credential_id}, set(), ids, since)
        )
        if not self._found.credentials:
            raise InvalidToken(Words("接入凭证已停用。", "The credential has ended."))
        for item in self.items:
            self.outcomes.append(self._decide(item))
        if self._events:
            self.books.write(connection, self._events, list(self._touched.values()), self._hours())

    def _own_licenses(self, connection: Connection, ids: set[str]) -> dict[str, list[str]]:
        """The ways of delivery of those licenses that are on this provider's products."""
        found = connection.execute(
            sa.select(Gate.license_id, Gate.delivery)  # type: ignore[call-overload]  # columns, not values
            .join(ShelfItem, col(ShelfItem.product_id) == col(Gate.product_id))
            .where(col(Gate.license_id).in_(ids), col(ShelfItem.provider_id) == self.org_id)
        )
        return {row.license_id: row.delivery for row in found}

    def _decide(self, item: Item) -> Outcome:
        usage = item.read
        if isinstance(usage, Reason):
            return Outcome(item, Reported.REJECTED, usage)
        gate = self._found.gates.get(usage.license_id)
        if gate is None:
            return Outcome(item, Reported.REJECTED, _UNKNOWN)
        id_ = usage.event_id(self.org_id)
        if booked := self._found.booked.get(id_):
            if booked.fingerprint != usage.fingerprint:
                return Outcome(item, Reported.CONFLICT, _CONFLICT)
            return Outcome(item, Reported.DUPLICATE, receipt=booked.receipt)
        if reason := window_reason(usage.at, self.now):
            return Outcome(item, Reported.REJECTED, reason)
        if reason := _delivery_reason(usage.delivery, set(self._delivery[usage.license_id])):
            return Outcome(item, Reported.REJECTED, reason)
        if refusal := gate.refusal_of_use(usage.at):
            # Suspended or taken down when its term ran out: "expired" would not say why.
            stopped = refusal.members["reason"] in RAN_OUT and not gate.outside(usage.at)
            return Outcome(item, Reported.REJECTED, _STOPPED if stopped else _said(refusal))
        try:
            return self._admitted(item, usage, gate, id_)
        except Problem as refusal:
            return Outcome(item, Reported.REJECTED, _said(refusal))

    def _admitted(self, item: Item, usage: Usage, gate: GateState, id_: bytes) -> Outcome:
        purpose = usage.purpose or (gate.purposes[0] if len(gate.purposes) == 1 else "")
        charge = Charge(
            license_id=usage.license_id,
            product_id=gate.product_id,
            credential_id=self.credential_id,
            jti="",
            purpose=purpose,
            kind=Kind.REPORTED,
            key=usage.id,
            fingerprint=usage.fingerprint,
            calls=usage.calls,
            rows=usage.rows,
            size=usage.size,
            hit=usage.calls > 0,
        )
        calls, amount = gate.admit(charge)
        happened = clock.period_of(usage.at, self.zone)
        period = self._found.open_period(happened, self.zone)
        receipt = Receipt(
            id_,
            Settled.CHARGED,
            usage.at,
            calls,
            usage.rows,
            usage.size,
            amount,
            gate.left("calls"),
            gate.left("rows"),
        )
        self._touched[usage.license_id] = gate
        self._found.booked[id_] = Booked(usage.fingerprint, receipt)
        self._events.append(
            (
                id_,
                usage.license_id,
                gate.product_id,
                self.credential_id,
                purpose,
                str(Kind.REPORTED),
                calls,
                usage.rows,
                usage.size,
                amount,
                usage.fingerprint,
                period,
                usage.at,
            )
        )
        return Outcome(item, Reported.ACCEPTED, None, receipt, period, late=period != happened)

    def _hours(self) -> list[HourRow]:
        """The report summed by license, hour of use, purpose and period."""
        sums: dict[tuple[str, datetime, str, str, str], list[int]] = {}
        for event in self._events:
            _, license_id, product, _, purpose, _, *counts, _, period, at = event
            place = (license_id, clock.hour_of(at), purpose, period, product)
            total = sums.setdefault(place, [0, 0, 0, 0, 0])
            for position, number in enumerate((1, *counts)):
                total[position] += number
        kind = str(Kind.REPORTED)
        return [
            (license_id, hour, self.credential_id, purpose, kind, period, product, *total)  # type: ignore[misc]
            for (license_id, hour, purpose, period, product), total in sums.items()
        ]


def _delivery_reason(said: str, licensed: set[str]) -> Reason | None:
    """Why use delivered in the way that was `said` is not booked under a license with these ways, or None.

    Where the gateway counts something too, what happened outside must be told apart, or it would be billed twice.
    """
    if not OUTSIDE & licensed or (said and said not in OUTSIDE):
        return _COUNTED_HERE
    if said:
        return None if said in licensed else _NOT_LICENSED
    return _WHICH_DELIVERY if licensed - OUTSIDE else None


def _said(refusal: Problem) -> Reason:
    return Reason(refusal.slug(), refusal.detail or refusal.title)
