"""支付通道 What a rail must be able to do: say how to pay, and read its own messages."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from market.billing.rules import RailKind
from storage.kernel.words import Worded


@dataclass(frozen=True, slots=True)
class Due:
    """应付. What a rail needs to know about one payment request."""

    payment_id: str
    amount_fen: int
    reference: str
    attempt: int = 1  # counts the checkouts opened before this one, plus one
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class HowToPay:
    """付款方式. What the buyer is shown."""

    rail: RailKind
    amount_fen: int
    reference: str
    bank_account: str | None = None  # where to transfer to
    url: str | None = None  # the page on which to pay
    checkout_id: str | None = None
    expires_at: datetime | None = None


class Outcome(Worded):
    """通道消息. What a rail's message says about the money."""

    EXPIRED = "expired", "收银台关闭", "The checkout expired"
    FAILED = "failed", "支付失败", "The payment failed"
    OTHER = "other", "其他消息", "Something else"
    PAID = "paid", "已支付", "Paid"
    PENDING = "pending", "支付处理中", "Under way"


@dataclass(frozen=True, slots=True)
class Notice:
    """通道通知. A verified message; `reference` names the money at the rail."""

    event_id: str
    kind: str
    payload_sha256: str
    outcome: Outcome
    reference: str
    payment_id: str | None = None
    amount_fen: int | None = None
    currency: str | None = None
    payment_intent: str | None = None


class Rail(Protocol):
    """支付通道. A way for money to come in."""

    kind: RailKind

    def open(self, due: Due, *, back_to: str) -> HowToPay:
        """How this can be paid. May use the network: never inside a Unit."""

    def close(self, checkout_id: str) -> None:
        """Make a way to pay unusable; harmless when it is paid or closed already."""

    def read(self, raw: bytes, signature: str) -> Notice:
        """A message from the rail. Raises WebhookRefused unless it is genuine and fresh."""


@runtime_checkable
class RefundingRail(Rail, Protocol):
    """可退款通道. A rail that can send money back by itself."""

    def refund(self, payment_intent: str, *, amount_fen: int, key: str) -> str:
        """Send money back; `key` makes twice once. Returns the refund's id at the rail."""
