"""收银台 Paying online from end to end: open a page at the rail, take its messages, close what is left open.

These verbs take the Store, not a Unit: the rail is asked first, then one Unit keeps what came of it.
"""

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from market.billing import books
from market.billing.actions import return_suspense, suspend, take_payment
from market.billing.ledger import payment_id as transaction_id
from market.billing.queries import payment as visible_payment
from market.billing.rails import Due, HowToPay, Notice, Outcome, Rail, RefundingRail
from market.billing.rules import (
    PAYMENT,
    CheckoutState,
    PaymentState,
    RailKind,
    SuspenseReason,
    SuspenseState,
    WebhookEffect,
)
from market.billing.tables import PaymentRequest, StripeCheckout, SuspenseItem, WebhookInbox
from market.identity.rules import Actor, Permission
from storage.kernel import clock
from storage.kernel.problem import NotFound
from storage.unit import Store, Unit, View

SYSTEM = "system:stripe"


def open_checkout(store: Store, rail: Rail, actor: Actor, payment_id: str, *, back_to: str) -> HowToPay:
    """打开收银台. How the payer can pay a request over `rail`; an open page is given again.

    Raises NotFound for another organization's request, WrongState when it is not awaiting payment,
    RailUnavailable.
    """
    with store.view() as view:
        row = visible_payment(view, actor, payment_id)
        if row.payer_id != actor.own_org:
            raise NotFound(payment=payment_id)
        PAYMENT.after(row.state, "report")
        due = Due(
            row.id, row.amount_fen, row.reference, _checkouts(view, row.id) + 1, expires_at=row.expires_at
        )
        known = _open_page(view, row.id)
    if rail.kind is RailKind.BANK_TRANSFER:
        return rail.open(due, back_to=back_to)
    if known is not None:
        return _shown(known, due.reference)
    way = rail.open(due, back_to=back_to)
    assert way.checkout_id is not None
    assert way.url is not None
    with store.unit(actor.id, actor.org) as unit:
        locked = unit.session.get(PaymentRequest, payment_id, with_for_update=True, populate_existing=True)
        assert locked is not None
        still_due = locked.state is PaymentState.AWAITING
        page = unit.session.get(StripeCheckout, way.checkout_id)
        if page is None:
            page = StripeCheckout(
                id=way.checkout_id,
                payment_id=payment_id,
                amount_fen=way.amount_fen,
                url=way.url,
                created_at=clock.now(),
                expires_at=way.expires_at,
            )
            unit.session.add(page)
            unit.record("checkout.opened", f"payment:{payment_id}", checkout=page.id, rail=str(rail.kind))
    if not still_due:  # paid or cancelled while the rail was asked
        close_checkouts(store, rail, payment_id)
        PAYMENT.after(locked.state, "report")
    return _shown(page, due.reference)


def close_checkouts(store: Store, rail: Rail, payment_id: str) -> int:
    """关闭收银台. Expire every open page of a payment that is paid, cancelled or expired; returns how many.

    Reaction to `payment.received`, `payment.confirmed`, `payment.cancelled`, `payment.expired`; again is harmless.
    """
    with store.view() as view:
        pages = view.session.exec(
            select(StripeCheckout.id).where(
                col(StripeCheckout.payment_id) == payment_id,
                col(StripeCheckout.state) == CheckoutState.OPEN,
            )
        ).all()
    for page in pages:
        rail.close(page)
        with store.unit(SYSTEM) as unit:
            _move_page(unit, page, CheckoutState.EXPIRED)
            unit.record("checkout.closed", f"payment:{payment_id}", checkout=page)
    return len(pages)


def refund_suspense(
    store: Store, rail: RefundingRail, actor: Actor, item_id: str, *, reason: str
) -> SuspenseItem:
    """退回在线款项. Send suspended Stripe money back, then book it; killed in between, doing it again is safe.

    Raises NotFound unless Stripe holds such money, Forbidden, WrongState, RailUnavailable.
    """
    actor.require(Permission.PAYMENT_CONFIRM)
    with store.view() as view:
        item = view.session.get(SuspenseItem, item_id)
        page = view.session.get(StripeCheckout, item.rail_reference) if item else None
    if item is None or page is None or page.payment_intent is None:
        raise NotFound(suspense=item_id)
    if item.state is SuspenseState.HELD:
        rail.refund(page.payment_intent, amount_fen=item.amount_fen, key=f"return:{item.id}")
    with store.unit(actor.id, actor.org) as unit:
        return return_suspense(unit, actor, item_id, reason=reason)


def take_webhook(store: Store, rail: Rail, raw: bytes, signature: str) -> WebhookEffect:
    """通道回调. Verify a message, then keep it and what it changes in one Unit; a second time changes nothing.

    Raises WebhookRefused (400) when the signature is missing, wrong or too old.
    """
    notice = rail.read(raw, signature)
    try:
        return _take(store, rail.kind, notice)
    except IntegrityError:
        return _take(store, rail.kind, notice)  # its twin committed first: now it is in the inbox


def _take(store: Store, rail: RailKind, notice: Notice) -> WebhookEffect:
    with store.unit(SYSTEM) as unit:
        # The payment's lock comes first, so that twins and rival messages stand in line here.
        payment = _payment_of(unit, notice)
        known = unit.session.get(WebhookInbox, (rail, notice.event_id))
        if known is not None:
            return known.effect
        effect = _apply(unit, rail, notice, payment)
        unit.session.add(
            WebhookInbox(
                rail=rail,
                event_id=notice.event_id,
                kind=notice.kind,
                payload_sha256=notice.payload_sha256,
                received_at=clock.now(),
                effect=effect,
                payment_id=payment.id if payment else None,
            )
        )
        unit.record(
            "webhook.taken",
            f"webhook:{notice.event_id}",
            effect=str(effect),
            sha256=notice.payload_sha256,
            payment=payment.id if payment else None,
            amount_fen=notice.amount_fen,
            currency=notice.currency,
        )
        return effect


def _payment_of(unit: Unit, notice: Notice) -> PaymentRequest | None:
    page = unit.session.get(StripeCheckout, notice.reference)
    payment_id = page.payment_id if page else notice.payment_id
    if payment_id is None:
        return None
    return unit.session.get(PaymentRequest, payment_id, with_for_update=True, populate_existing=True)


def _apply(unit: Unit, rail: RailKind, notice: Notice, payment: PaymentRequest | None) -> WebhookEffect:
    if notice.outcome is Outcome.PAID:
        return _money_came(unit, rail, notice, payment)
    if notice.outcome is Outcome.EXPIRED:
        return (
            WebhookEffect.EXPIRED
            if _move_page(unit, notice.reference, CheckoutState.EXPIRED)
            else WebhookEffect.IGNORED
        )
    if payment is None or payment.state is not PaymentState.AWAITING:
        return WebhookEffect.IGNORED
    return {Outcome.PENDING: WebhookEffect.AWAITED, Outcome.FAILED: WebhookEffect.FAILED}.get(
        notice.outcome, WebhookEffect.IGNORED
    )


def _money_came(unit: Unit, rail: RailKind, notice: Notice, payment: PaymentRequest | None) -> WebhookEffect:
    if books.booked(unit, transaction_id(rail, notice.reference)):
        return WebhookEffect.IGNORED  # another message told of the same money before
    if payment is None and notice.payment_id is None:
        return WebhookEffect.IGNORED  # not a checkout of this market
    if notice.currency != "cny" or not notice.amount_fen or notice.amount_fen < 0:
        return WebhookEffect.UNBOOKED  # shown as a difference by reconciliation
    _complete_page(unit, notice, notice.amount_fen, payment)
    if payment is not None and payment.state is PaymentState.AWAITING:
        if payment.amount_fen == notice.amount_fen:
            take_payment(unit, payment, rail=rail, rail_reference=notice.reference)
            return WebhookEffect.CONFIRMED
        reason = SuspenseReason.AMOUNT
    else:
        reason = SuspenseReason.CLOSED if payment else SuspenseReason.UNKNOWN
    suspend(
        unit,
        rail=rail,
        reference=notice.reference,
        amount_fen=notice.amount_fen,
        reason=reason,
        payment=payment.id if payment else None,
    )
    return WebhookEffect.SUSPENSE


def _complete_page(unit: Unit, notice: Notice, amount_fen: int, payment: PaymentRequest | None) -> None:
    """Mark the page paid; one that was made just before a crash is kept now, for its refund's sake."""
    if unit.session.get(StripeCheckout, notice.reference) is None:
        page = StripeCheckout(
            id=notice.reference,
            payment_id=payment.id if payment else str(notice.payment_id),
            amount_fen=amount_fen,
            url="",
            created_at=clock.now(),
        )
        unit.session.add(page)
        unit.session.flush()
    _move_page(unit, notice.reference, CheckoutState.COMPLETE, notice.payment_intent)


def _move_page(unit: Unit, page_id: str, state: CheckoutState, payment_intent: str | None = None) -> bool:
    """Whether the page moved: a complete one stays complete, messages may come in any order."""
    page = unit.session.get(StripeCheckout, page_id, with_for_update=True, populate_existing=True)
    if page is None or page.state in (state, CheckoutState.COMPLETE):
        return False
    page.state, page.payment_intent = state, payment_intent
    unit.session.add(page)
    unit.session.flush()
    return True


def _checkouts(view: View, payment_id: str) -> int:
    return len(
        view.session.exec(select(StripeCheckout.id).where(col(StripeCheckout.payment_id) == payment_id)).all()
    )


def _open_page(view: View, payment_id: str) -> StripeCheckout | None:
    return view.session.exec(
        select(StripeCheckout).where(
            col(StripeCheckout.payment_id) == payment_id,
            col(StripeCheckout.state) == CheckoutState.OPEN,
            col(StripeCheckout.expires_at) > clock.now(),
        )
    ).first()


def _shown(page: StripeCheckout, reference: str) -> HowToPay:
    return HowToPay(
        RailKind.STRIPE,
        page.amount_fen,
        reference,
        url=page.url,
        checkout_id=page.id,
        expires_at=page.expires_at,
    )
