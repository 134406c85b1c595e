"""One batch of charges decided in arrival order, inside the till's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from metering.books import Asked, Booked, Books, EventRow, Found, HourRow
from metering.gate import Charge, GateState, Receipt
from metering.problems import (
    ChargeKeyReused,
    ChargeKeyUsed,
    InvalidToken,
    LicenseNotInForce,
    NetworksChanged,
    TicketExpired,
)
from metering.tokens import mark_of
from metering.words import Settled
from storage.kernel import clock
from storage.kernel.problem import Problem
from storage.kernel.words import Words

Answer = Receipt | Problem
_FOUND_SINCE = Words(
    "该键下上次未查得、未计费，现已查得：请换一个新的 Idempotency-Key。",
    "Nothing was found and charged under this key before, and there is something now: ask with a new Idempotency-Key.",
)


@dataclass(slots=True)
class Booking:
    """One attempt to settle one batch; made anew for a second attempt."""

    books: Books
    charges: Sequence[Charge]
    now: datetime
    zone: str
    free: timedelta  # how long a purchase is repeated free
    events: list[EventRow] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    _found: Found = field(init=False)
    _month: str = field(init=False)  # of now
    _period: str = field(init=False)  # that is booked into
    _touched: dict[str, GateState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._month = clock.period_of(self.now, self.zone)

    def book(self, connection: Connection) -> None:
        """Lock, look up, decide, write. Afterwards `answers` may leave once the commit is done."""
        self.decide(self.books.look(connection, self.asked()))
        if self.events:
            self.books.write(connection, *self.entries())

    def asked(self) -> Asked:
        """What has to be known first."""
        charges = self.charges
        return Asked(
            {charge.license_id for charge in charges},
            {charge.credential_id for charge in charges},
            {charge.jti for charge in charges},
            {charge.id for charge in charges},
            self._month,
        )

    def entries(self) -> tuple[list[EventRow], list[GateState], list[HourRow]]:
        """What the books are to write: events, gates, hours."""
        return self.events, list(self._touched.values()), self._hours()

    def decide(self, found: Found) -> None:
        """An answer for every charge, in order."""
        self._found = found
        self._period = found.open_period(self._month, self.zone)
        for charge in self.charges:
            try:
                self.answers.append(self._decide(charge))
            except Problem as refusal:
                self.answers.append(refusal)

    def _decide(self, charge: Charge) -> Receipt:
        gate = self._found.gates.get(charge.license_id)
        if gate is None:
            raise LicenseNotInForce(license=charge.license_id, reason="unknown")
        networks = self._found.credentials.get(charge.credential_id)
        if networks is None:
            raise InvalidToken(Words("接入凭证已停用。", "The credential has ended."))
        if charge.jti and charge.jti in self._found.revoked:
            raise InvalidToken(Words("令牌已被撤销。", "The token was revoked."))
        if charge.jti and mark_of(charge.jti) != networks:
            raise NetworksChanged
        booked = self._found.booked.get(charge.id)
        if refusal := gate.refusal(self.now):
            if booked is not None and booked.fingerprint == charge.fingerprint:
                refusal.members["receipt"] = booked.receipt.document()
            raise refusal
        if booked is not None:
            return self._again(booked, charge, gate)
        if charge.resume_only:
            raise TicketExpired
        calls, amount = gate.admit(charge)
        receipt = Receipt(
            charge.id,
            Settled.CHARGED,
            self.now,
            calls,
            charge.rows,
            charge.size,
            amount,
            gate.left_calls,
            gate.left_rows,
        )
        self._touched[charge.license_id] = gate
        self._found.booked[charge.id] = Booked(charge.fingerprint, receipt)
        self.events.append(
            (
                charge.id,
                charge.license_id,
                charge.product_id,
                charge.credential_id,
                charge.purpose,
                str(charge.kind),
                calls,
                charge.rows,
                charge.size,
                amount,
                charge.fingerprint,
                self._period,
                self.now,
            )
        )
        return receipt

    def _again(self, booked: Booked, charge: Charge, gate: GateState) -> Receipt:
        if booked.fingerprint != charge.fingerprint:
            raise ChargeKeyReused(receipt=booked.receipt.document())
        if self.now - booked.receipt.at >= self.free:
            raise ChargeKeyUsed(receipt=booked.receipt.document())
        if gate.per_hit and charge.hit and not booked.receipt.calls:  # a miss was free, and buys no hit
            raise ChargeKeyUsed(_FOUND_SINCE, receipt=booked.receipt.document())
        return replace(
            booked.receipt,
            outcome=Settled.DUPLICATE,
            left_calls=gate.left_calls,
            left_rows=gate.left_rows,
        )

    def _hours(self) -> list[HourRow]:
        """The batch summed by license, credential, purpose and kind."""
        hour = clock.hour_of(self.now)
        sums: dict[tuple[str, str, str, str, str], list[int]] = {}
        for _, license_id, product, credential, purpose, kind, calls, rows, size, amount, *_ in self.events:
            total = sums.setdefault((license_id, credential, purpose, kind, product), [0, 0, 0, 0, 0])
            total[0] += 1
            total[1] += calls
            total[2] += rows
            total[3] += size
            total[4] += amount
        return [
            (license_id, hour, credential, purpose, kind, self._period, product, *total)  # type: ignore[misc]
            for (license_id, credential, purpose, kind, product), total in sums.items()
        ]
