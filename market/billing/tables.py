"""What is kept about money: the ledger, payment requests, suspense, invoices, periods, the webhook inbox."""

from datetime import date, datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from contracts.terms import Tier
from market.billing.ledger import AccountKind
from market.billing.rules import (
    CheckoutState,
    InvoiceKind,
    InvoiceState,
    LineKind,
    PaymentState,
    PeriodState,
    Purpose,
    RailKind,
    RefundState,
    SuspenseReason,
    SuspenseState,
    TaxInvoice,
    WebhookEffect,
)
from storage.columns import Moment, big, choice


class LedgerTransaction(SQLModel, table=True):
    """记账凭证. One transaction of the ledger; written once, never changed."""

    __tablename__ = "ledger_transaction"

    id: str = Field(primary_key=True)
    at: datetime = Field(sa_type=Moment)
    fingerprint: str  # SHA-256 over the postings
    actor: str
    subject: str = Field(index=True)  # "payment:pay_…", "invoice:inv_…"


class LedgerPosting(SQLModel, table=True):
    """分录. Money leaving one account and arriving at another: every row sums to zero by its shape."""

    __tablename__ = "ledger_posting"
    __table_args__ = (
        sa.CheckConstraint("amount_fen > 0", name="amount_positive"),
        sa.CheckConstraint("source <> destination", name="two_accounts"),
    )

    transaction_id: str = Field(primary_key=True, foreign_key="ledger_transaction.id")
    number: int = Field(primary_key=True)
    source: str = Field(index=True)
    destination: str = Field(index=True)
    amount_fen: int = big()


class AccountBalance(SQLModel, table=True):
    """账户余额. The fold of an account's postings; its row is the account's lock."""

    __tablename__ = "account_balance"
    __table_args__ = (
        sa.CheckConstraint(
            "kind NOT IN ('prepaid', 'suspense', 'hold') OR balance_fen >= 0", name="never_negative"
        ),
        sa.CheckConstraint("kind <> 'receivable' OR balance_fen <= 0", name="never_positive"),
    )

    account: str = Field(primary_key=True)
    kind: AccountKind = Field(sa_type=choice(AccountKind))
    owner: str = Field(index=True)  # party id, rail, or empty
    balance_fen: int = big(0)


class PaymentRequest(SQLModel, table=True):
    """付款单. What a buyer is asked to pay, and the two people who saw the money arrive."""

    __tablename__ = "payment_request"
    __table_args__ = (
        sa.CheckConstraint("amount_fen > 0", name="amount_positive"),
        sa.CheckConstraint(
            "confirmed_by IS NULL OR rail <> 'bank_transfer' OR confirmed_by <> received_by",
            name="two_people",
        ),
        sa.CheckConstraint(
            "state <> 'confirmed' OR (received_by IS NOT NULL AND confirmed_by IS NOT NULL)",
            name="confirmed_by_somebody",
        ),
        sa.UniqueConstraint("rail", "bank_reference"),
    )

    id: str = Field(primary_key=True)  # pay_…
    order_id: str | None = Field(default=None, index=True)
    invoice_id: str | None = Field(default=None, index=True)
    payer_id: str = Field(index=True)
    payee_id: str = Field(index=True)
    purpose: Purpose = Field(sa_type=choice(Purpose))
    amount_fen: int = big()
    rail: RailKind = Field(sa_type=choice(RailKind))  # as asked for; as paid once received
    reference: str = Field(unique=True)  # what the buyer writes on the transfer
    state: PaymentState = Field(default=PaymentState.AWAITING, sa_type=choice(PaymentState), index=True)
    created_at: datetime = Field(sa_type=Moment)
    expires_at: datetime | None = Field(default=None, sa_type=Moment)
    bank_reference: str | None = None  # the rail's own number of the money
    received_at: datetime | None = Field(default=None, sa_type=Moment)
    received_by: str | None = None
    confirmed_at: datetime | None = Field(default=None, sa_type=Moment)
    confirmed_by: str | None = None


class SuspenseItem(SQLModel, table=True):
    """待查款项. Money that arrived and fits no payment; it is held until somebody returns it."""

    __tablename__ = "suspense_item"
    __table_args__ = (
        sa.CheckConstraint("amount_fen > 0", name="amount_positive"),
        sa.CheckConstraint("returned_by IS NULL OR returned_by <> booked_by", name="two_people"),
        sa.UniqueConstraint("rail", "rail_reference"),
    )

    id: str = Field(primary_key=True)  # sus_…
    rail: RailKind = Field(sa_type=choice(RailKind))
    rail_reference: str
    amount_fen: int = big()
    reason: SuspenseReason = Field(sa_type=choice(SuspenseReason))
    payment_id: str | None = Field(default=None, index=True)  # the payment it was probably meant for
    state: SuspenseState = Field(default=SuspenseState.HELD, sa_type=choice(SuspenseState), index=True)
    booked_at: datetime = Field(sa_type=Moment)
    booked_by: str
    returned_at: datetime | None = Field(default=None, sa_type=Moment)
    returned_by: str | None = None


class Refund(SQLModel, table=True):
    """退款单. Unspent prepaid money of an ended license on its way back, and the two people who sent it."""

    __tablename__ = "refund"
    __table_args__ = (
        sa.CheckConstraint("amount_fen > 0", name="amount_positive"),
        sa.CheckConstraint("settled_by IS NULL OR settled_by <> sent_by", name="two_people"),
        sa.CheckConstraint(
            "state <> 'settled' OR (sent_by IS NOT NULL AND settled_by IS NOT NULL)", name="settled_by_two"
        ),
    )

    id: str = Field(primary_key=True)  # rfd_…
    license_id: str = Field(index=True)
    order_id: str
    buyer_id: str = Field(index=True)
    amount_fen: int = big()
    bank_account: str  # where it goes, as the buyer's party block said when it was asked for
    state: RefundState = Field(default=RefundState.ASKED, sa_type=choice(RefundState), index=True)
    asked_at: datetime = Field(sa_type=Moment)
    asked_by: str
    bank_reference: str | None = Field(
        default=None, unique=True
    )  # the bank's number of the outgoing transfer
    sent_at: datetime | None = Field(default=None, sa_type=Moment)
    sent_by: str | None = None
    settled_at: datetime | None = Field(default=None, sa_type=Moment)
    settled_by: str | None = None


def _commercial_only(table: str) -> tuple[sa.Constraint, ...]:
    """Only a commercial license can be named: the key takes the tier along, and a public good has the other one."""
    return (
        sa.CheckConstraint("tier = 'commercial'", name="never_public_good"),
        sa.ForeignKeyConstraint(
            ["license_id", "tier"], ["license.id", "license.tier"], name=f"fk_{table}_license"
        ),
    )


class Invoice(SQLModel, table=True):
    """账单. Numbered without gaps; the canonical document and its hash never change after issue."""

    __tablename__ = "invoice"
    __table_args__ = (
        sa.CheckConstraint("gross_fen > 0 AND net_fen >= 0 AND tax_fen >= 0", name="amounts_positive"),
        sa.CheckConstraint("gross_fen = net_fen + tax_fen", name="gross_is_net_and_tax"),
        sa.CheckConstraint("paid_fen >= 0 AND paid_fen <= gross_fen", name="paid_within_gross"),
        sa.CheckConstraint("(kind = 'credit_note') = (credits IS NOT NULL)", name="note_credits_one"),
        sa.CheckConstraint("kind <> 'usage' OR license_id IS NOT NULL", name="usage_of_a_license"),
        *_commercial_only("invoice"),
    )

    id: str = Field(primary_key=True)  # inv_…
    number: str = Field(unique=True)  # FP-2026-000001-C
    kind: InvoiceKind = Field(sa_type=choice(InvoiceKind))
    charge: str = Field(unique=True)  # what is invoiced, e.g. "usage:lic_…:2026-11": twice is once
    credits: str | None = Field(default=None, unique=True)  # id of the invoice a credit note takes back
    license_id: str | None = Field(default=None, index=True)
    tier: Tier = Field(default=Tier.COMMERCIAL, sa_type=choice(Tier))
    order_id: str | None = Field(default=None, index=True)
    buyer_id: str = Field(index=True)
    payee_id: str = Field(index=True)
    period: str = Field(index=True)  # YYYY-MM
    tax_invoice: TaxInvoice = Field(sa_type=choice(TaxInvoice))
    net_fen: int = big()
    tax_fen: int = big()
    gross_fen: int = big()
    issued_at: datetime = Field(sa_type=Moment)
    issued_by: str
    due_on: date
    document: str  # RFC 8785 JSON, exactly the bytes that were hashed
    sha256: str
    signature: str | None = None  # set once, by the document key
    key_id: str | None = None
    state: InvoiceState = Field(default=InvoiceState.ISSUED, sa_type=choice(InvoiceState), index=True)
    paid_fen: int = big(0)
    paid_at: datetime | None = Field(default=None, sa_type=Moment)


class InvoiceLine(SQLModel, table=True):
    """账单行. One counted thing at one price, with the Merkle root of the events behind it."""

    __tablename__ = "invoice_line"
    __table_args__ = (
        sa.CheckConstraint(
            "quantity > 0 AND gross_fen >= 0 AND net_fen >= 0 AND tax_fen >= 0", name="amounts"
        ),
        sa.CheckConstraint("gross_fen = net_fen + tax_fen", name="gross_is_net_and_tax"),
        sa.CheckConstraint("kind = 'fee' OR license_id IS NOT NULL", name="usage_of_a_license"),
        *_commercial_only("invoice_line"),
    )

    invoice_id: str = Field(primary_key=True, foreign_key="invoice.id")
    number: int = Field(primary_key=True)
    kind: LineKind = Field(sa_type=choice(LineKind))
    license_id: str | None = Field(default=None, index=True)
    tier: Tier = Field(default=Tier.COMMERCIAL, sa_type=choice(Tier))
    period: str  # the month of use
    count: int | None = big(None)  # events behind the quantity; a fee has none
    quantity: int = big()
    unit_price: str  # fen as an exact fraction: "120", "3/1000"
    gross_fen: int = big()
    net_fen: int = big()
    tax_fen: int = big()
    tariff_id: str
    merkle_root: str | None = None


class BillingPeriod(SQLModel, table=True):
    """账期. A calendar month; once closed it never changes."""

    __tablename__ = "billing_period"

    period: str = Field(primary_key=True)  # YYYY-MM
    state: PeriodState = Field(default=PeriodState.OPEN, sa_type=choice(PeriodState))
    closed_at: datetime | None = Field(default=None, sa_type=Moment)
    closed_by: str | None = None
    invoices: int = 0
    gross_fen: int = big(0)
    sha256: str | None = None  # over the hashes of the period's usage invoices, in order of number


class WebhookInbox(SQLModel, table=True):
    """回调收件箱. Each message of a rail, once, with what it changed."""

    __tablename__ = "webhook_inbox"

    rail: RailKind = Field(primary_key=True, sa_type=choice(RailKind))
    event_id: str = Field(primary_key=True)
    kind: str
    payload_sha256: str
    received_at: datetime = Field(sa_type=Moment)
    effect: WebhookEffect = Field(sa_type=choice(WebhookEffect))
    payment_id: str | None = Field(default=None, index=True)


class StripeCheckout(SQLModel, table=True):
    """收银台. A page at Stripe on which one payment can be paid."""

    __tablename__ = "stripe_checkout"

    id: str = Field(primary_key=True)  # cs_…
    payment_id: str = Field(index=True)
    amount_fen: int = big()
    url: str
    state: CheckoutState = Field(default=CheckoutState.OPEN, sa_type=choice(CheckoutState))
    created_at: datetime = Field(sa_type=Moment)
    expires_at: datetime | None = Field(default=None, sa_type=Moment)
    payment_intent: str | None = None
