"""退款 Unspent prepaid money goes back: a case on the desk, sent by one finance person, settled by another.

What is left of a license is `trading.refunds`' to know; these verbs move the money.
"""

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from market.approvals import actions as approvals
from market.approvals.queries import going
from market.approvals.rules import CaseKind, CaseState, Ground, RiskPoint
from market.approvals.tables import Case
from market.billing import books
from market.billing.actions import refuse_used, whole_fen
from market.billing.ledger import held, refunded, released
from market.billing.problems import BankReferenceUsed, SecondPersonNeeded
from market.billing.rules import HOLDING_REFUND, REFUND, RailKind, read_bank_reference
from market.billing.tables import Refund
from market.identity.problems import OwnDecision
from market.identity.rules import Actor, Permission
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import NotFound
from storage.kernel.words import Words
from storage.unit import Unit, View

AGREED = "同意退款并登记汇出 agreed and sent"


def open_refund(
    unit: Unit, actor: Actor, *, license_id: str, order_id: str, amount_fen: int, bank_account: str
) -> Refund:
    """申请退款. Set `amount_fen` of the actor's prepaid money aside; asked again while open, it is the same one.

    Call it with the license's row locked. Raises Invalid for an impossible amount, NotEnough.
    """
    actor.require(Permission.REFUND_ASK)
    known = unit.session.exec(
        select(Refund).where(col(Refund.license_id) == license_id, col(Refund.state).in_(HOLDING_REFUND))
    ).first()
    if known is not None:
        return known
    row = Refund(
        id=new_id("rfd"),
        license_id=license_id,
        order_id=order_id,
        buyer_id=actor.own_org,
        amount_fen=whole_fen("amount_fen", amount_fen),
        bank_account=bank_account,
        asked_at=clock.now(),
        asked_by=actor.id,
    )
    books.post(unit, held(row.id, row.buyer_id, row.amount_fen), subject=f"refund:{row.id}")
    unit.session.add(row)
    unit.session.flush()
    _record(unit, "refund.asked", row)
    approvals.open_case(
        unit,
        kind=CaseKind.REFUND,
        subject=f"refund:{row.id}",
        submitted_by=actor.id,
        submitted_org=actor.own_org,
        ground=ground_of(row),
    )
    return row


FACTS: dict[str, Words] = {
    "license": Words("许可", "License"),
    "order": Words("订单", "Order"),
    "due_fen": Words("退款金额（分）", "Amount (fen)"),
    "state": Words("退款状态", "State"),
}


def ground_of(row: Refund) -> Ground:
    """送审依据. What a refund stands on now; money that leaves the house is never of low risk."""
    facts = {
        "license": row.license_id,
        "order": row.order_id,
        "due_fen": row.amount_fen,
        "state": str(row.state),
    }
    leaves = RiskPoint("leaves", 30, Words("资金转出", "Money leaves the house"))
    return Ground(facts, (leaves,))


def refund_of_case(view: View, case: Case) -> Refund:
    """The refund a case is about."""
    return view.session.get_one(Refund, case.subject.removeprefix("refund:"))


def settle_refund_case(unit: Unit, case: Case, reason: str) -> None:
    """办结退款申请. What is rejected, withdrawn or too late becomes prepaid money again; what is approved can be sent."""
    if case.state is CaseState.APPROVED:
        return
    row = _locked(unit, case.subject.removeprefix("refund:"))
    withdrawn = case.state is CaseState.CANCELLED
    verb = "withdraw" if withdrawn else "refuse"
    _release(unit, row, verb, f"refund.{'withdrawn' if withdrawn else 'refused'}", reason=reason)


def _open_case(unit: Unit, refund_id: str) -> Case | None:
    """The refund's case while it waits, locked before the refund, as the desk does."""
    found = going(unit, f"refund:{refund_id}")
    case = approvals.locked(unit, found.id) if found is not None else None
    return case if case is not None and case.state is CaseState.WAITING else None


def withdraw_refund(unit: Unit, actor: Actor, refund_id: str) -> Refund:
    """撤回退款申请. The buyer keeps the money here after all. Raises NotFound, WrongState once it was sent."""
    actor.require(Permission.REFUND_ASK)
    case = _open_case(unit, refund_id)
    row = _locked(unit, refund_id)
    if row.buyer_id != actor.own_org:
        raise NotFound(refund=refund_id)
    if case is not None:
        approvals.cancel_case(unit, case.id, reason="申请人撤回 withdrawn")
    return _release(unit, row, "withdraw", "refund.withdrawn", reason="")


def refuse_refund(unit: Unit, actor: Actor, refund_id: str, *, reason: str) -> Refund:
    """不予退款. The money is the buyer's prepaid money again. Raises WrongState once it was sent, OwnDecision."""
    actor.require(Permission.PAYMENT_CONFIRM)
    case = _open_case(unit, refund_id)
    row = _locked(unit, refund_id)
    _not_the_buyer(actor, row)
    if case is not None:
        approvals.decide(unit, actor, case.id, approve=False, reason=reason)
    return _release(unit, row, "refuse", "refund.refused", reason=reason)


def _release(unit: Unit, row: Refund, verb: str, kind: str, *, reason: str) -> Refund:
    row.state = REFUND.after(row.state, verb)
    unit.session.add(row)
    books.post(unit, released(row.id, row.buyer_id, row.amount_fen), subject=f"refund:{row.id}")
    _record(unit, kind, row, reason=reason)
    return row


def send_refund(unit: Unit, actor: Actor, refund_id: str, *, bank_reference: str) -> Refund:
    """登记汇出. The first finance person has sent exactly this amount to the buyer's account.

    bank_reference: the bank's own number of the outgoing transfer. Raises BankReferenceUsed, WrongState, OwnDecision.
    """
    actor.require(Permission.PAYMENT_CONFIRM)
    case = _open_case(unit, refund_id)
    row = _locked(unit, refund_id)
    _not_the_buyer(actor, row)
    state = REFUND.after(row.state, "send")
    if case is not None:  # who sends it agrees to it
        approvals.decide(unit, actor, case.id, approve=True, reason=AGREED)
    reference = read_bank_reference(bank_reference)
    refuse_used(unit, RailKind.BANK_TRANSFER, reference)
    row.state, row.bank_reference = state, reference
    row.sent_at, row.sent_by = clock.now(), actor.id
    unit.session.add(row)
    try:
        unit.session.flush()
    except IntegrityError as error:  # somebody wrote the same number in the same instant
        raise BankReferenceUsed(bank_reference=reference) from error
    _record(unit, "refund.sent", row, bank_reference=reference)
    return row


def send_back_refund(unit: Unit, actor: Actor, refund_id: str, *, reason: str) -> Refund:
    """退回登记. The transfer cannot be found on the bank statement: it is still to be sent."""
    actor.require(Permission.PAYMENT_CONFIRM)
    row = _locked(unit, refund_id)
    _not_the_buyer(actor, row)
    row.state = REFUND.after(row.state, "send_back")
    row.bank_reference = row.sent_at = row.sent_by = None
    unit.session.add(row)
    _record(unit, "refund.sent_back", row, reason=reason)
    return row


def settle_refund(unit: Unit, actor: Actor, refund_id: str) -> Refund:
    """复核退款. A second finance person found the transfer on the bank statement; it is booked.

    Of two at once one wins and the other is told (WrongState). Raises SecondPersonNeeded, OwnDecision.
    """
    actor.require(Permission.PAYMENT_CONFIRM)
    row = _locked(unit, refund_id)
    _not_the_buyer(actor, row)
    state = REFUND.after(row.state, "settle")
    if row.sent_by == actor.id:
        raise SecondPersonNeeded(refund=row.id)
    row.state, row.settled_at, row.settled_by = state, clock.now(), actor.id
    unit.session.add(row)
    booking = refunded(row.id, row.buyer_id, RailKind.BANK_TRANSFER, row.amount_fen)
    books.post(unit, booking, subject=f"refund:{row.id}")
    _record(unit, "refund.settled", row)
    return row


def _locked(unit: Unit, refund_id: str) -> Refund:
    row = unit.session.get(Refund, refund_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound(refund=refund_id)
    return row


def _not_the_buyer(actor: Actor, row: Refund) -> None:
    if actor.belongs_to(row.buyer_id):
        raise OwnDecision(refund=row.id)


def _record(unit: Unit, kind: str, row: Refund, **more: str) -> None:
    unit.record(
        kind,
        f"refund:{row.id}",
        license=row.license_id,
        buyer=row.buyer_id,
        amount_fen=row.amount_fen,
        **more,
    )
