"""Stripe 通道 The only door to Stripe: checkouts, refunds and signed messages. Never inside a Unit."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import stripe

from market.billing.problems import RailUnavailable, WebhookRefused
from market.billing.rails import Due, HowToPay, Notice, Outcome
from market.billing.rules import RailKind
from market.billing.settings import StripeSettings
from storage.kernel.canonical import sha256_hex
from storage.unit import slow

_OUTCOMES = {
    "checkout.session.async_payment_succeeded": Outcome.PAID,
    "checkout.session.async_payment_failed": Outcome.FAILED,
    "checkout.session.expired": Outcome.EXPIRED,
}


class StripeRail:
    """Stripe 在线支付. Hosted checkout in CNY; the amount is in fen, Stripe's smallest unit."""

    kind = RailKind.STRIPE

    def __init__(self, settings: StripeSettings) -> None:
        if not settings.on:
            raise RailUnavailable(rail=str(self.kind))
        self._settings = settings
        bases: Any = {"api": settings.api_base} if settings.api_base else None
        self._http = stripe.RequestsClient(timeout=settings.timeout_seconds)
        self._client = stripe.StripeClient(
            settings.api_key.get_secret_value(),
            base_addresses=bases,
            max_network_retries=2,
            http_client=self._http,
        )

    def open(self, due: Due, *, back_to: str) -> HowToPay:
        """A checkout page for exactly this amount; asked twice for one attempt, Stripe gives the same.

        back_to: absolute address the buyer returns to. Raises RailUnavailable.
        """
        params: Any = {
            "mode": "payment",
            "client_reference_id": due.payment_id,
            "metadata": {"payment": due.payment_id, "reference": due.reference},
            "payment_intent_data": {"metadata": {"payment": due.payment_id}},
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": "cny",
                        "unit_amount": due.amount_fen,
                        "product_data": {"name": due.reference},
                    },
                }
            ],
            "success_url": back_to,
            "cancel_url": back_to,
        }
        if self._settings.methods:
            params["allowed_payment_method_types"] = list(self._settings.methods)
        with _calling():
            session = self._client.v1.checkout.sessions.create(
                params, {"idempotency_key": f"checkout:{due.payment_id}:{due.attempt}"}
            )
        if not session.url or session.amount_total != due.amount_fen:
            raise RailUnavailable(rail=str(self.kind), checkout=session.id)
        return HowToPay(
            self.kind,
            due.amount_fen,
            due.reference,
            url=session.url,
            checkout_id=session.id,
            expires_at=datetime.fromtimestamp(session.expires_at, UTC),
        )

    def close(self, checkout_id: str) -> None:
        """Expire a checkout so that nobody can pay it any more. Raises RailUnavailable."""
        with _calling():
            try:
                self._client.v1.checkout.sessions.expire(checkout_id)
            except stripe.InvalidRequestError:
                return  # only an open checkout can be expired: this one is paid or over

    def refund(self, payment_intent: str, *, amount_fen: int, key: str) -> str:
        """退款. Send money back over Stripe; `key` makes twice once. Returns the refund's id."""
        with _calling():
            refund = self._client.v1.refunds.create(
                {"payment_intent": payment_intent, "amount": amount_fen}, {"idempotency_key": key}
            )
        return refund.id

    def read(self, raw: bytes, signature: str) -> Notice:
        """A message from Stripe, verified over its raw bytes. Raises WebhookRefused."""
        try:
            stripe.Webhook.construct_event(
                raw,
                signature,
                self._settings.webhook_secret.get_secret_value(),
                tolerance=self._settings.tolerance_seconds,
            )
            event = json.loads(raw)
            return _notice(event, sha256_hex(raw))
        except (stripe.SignatureVerificationError, ValueError, KeyError, TypeError) as error:
            raise WebhookRefused from error

    def end(self) -> None:
        """Close the connections to Stripe."""
        self._http.close()  # type: ignore[no-untyped-call]


def _notice(event: dict[str, Any], payload_sha256: str) -> Notice:
    kind, thing = str(event["type"]), event["data"]["object"]
    outcome = _OUTCOMES.get(kind, Outcome.OTHER)
    if kind == "checkout.session.completed":
        outcome = Outcome.PAID if thing.get("payment_status") == "paid" else Outcome.PENDING
    amount = thing.get("amount_total")
    return Notice(
        event_id=str(event["id"]),
        kind=kind,
        payload_sha256=payload_sha256,
        outcome=outcome,
        reference=str(thing.get("id", "")),
        payment_id=(thing.get("metadata") or {}).get("payment"),
        amount_fen=amount if type(amount) is int else None,
        currency=thing.get("currency"),
        payment_intent=thing.get("payment_intent"),
    )


@contextmanager
def _calling() -> Iterator[None]:
    """Around every call: never inside a Unit, and Stripe's troubles are said as ours."""
    slow("stripe")
    try:
        yield
    except stripe.StripeError as error:
        raise RailUnavailable(rail=str(RailKind.STRIPE), code=error.code) from error
