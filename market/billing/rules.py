"""What is true about payments and invoices: states, references, prices, shares; pure."""

import re
import secrets
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from market.billing.ledger import Shares
from storage.kernel.canonical import digest
from storage.kernel.machine import Machine
from storage.kernel.money import half_even, net_and_tax, split
from storage.kernel.numbers import has_valid_check, with_check
from storage.kernel.problem import invalid
from storage.kernel.words import Worded


class RailKind(Worded):
    """支付通道. How money reaches the market."""

    BANK_TRANSFER = "bank_transfer", "对公转账", "Bank transfer"
    STRIPE = "stripe", "Stripe 在线支付", "Stripe"


class Purpose(Worded):
    """付款用途. What a payment is for."""

    FEE = "fee", "订单费用", "Order fee"
    INVOICE = "invoice", "账单付款", "Payment of an invoice"
    PREPAY = "prepay", "预付款", "Prepayment"


class PaymentState(Worded):
    """付款单状态."""

    AWAITING = "awaiting", "待付款", "Awaiting payment"
    RECEIVED = "received", "已到账待复核", "Received, to be confirmed"
    CONFIRMED = "confirmed", "已确认", "Confirmed"
    CANCELLED = "cancelled", "已取消", "Cancelled"
    EXPIRED = "expired", "已过期", "Expired"


PAYMENT = Machine(
    "payment",
    PaymentState.AWAITING,
    {
        (PaymentState.AWAITING, "report"): PaymentState.RECEIVED,
        (PaymentState.AWAITING, "cancel"): PaymentState.CANCELLED,
        (PaymentState.AWAITING, "expire"): PaymentState.EXPIRED,
        (PaymentState.RECEIVED, "confirm"): PaymentState.CONFIRMED,
        (PaymentState.RECEIVED, "send_back"): PaymentState.AWAITING,
    },
)
OPEN_PAYMENT = (PaymentState.AWAITING, PaymentState.RECEIVED)


class InvoiceState(Worded):
    """账单状态."""

    ISSUED = "issued", "已开具", "Issued"
    OVERDUE = "overdue", "已逾期", "Overdue"
    PAID = "paid", "已付清", "Paid"
    CREDITED = "credited", "已红冲", "Credited"


INVOICE = Machine(
    "invoice",
    InvoiceState.ISSUED,
    {
        (InvoiceState.ISSUED, "pay"): InvoiceState.PAID,
        (InvoiceState.OVERDUE, "pay"): InvoiceState.PAID,
        (InvoiceState.ISSUED, "fall_due"): InvoiceState.OVERDUE,
        (InvoiceState.ISSUED, "credit"): InvoiceState.CREDITED,
        (InvoiceState.OVERDUE, "credit"): InvoiceState.CREDITED,
        (InvoiceState.PAID, "credit"): InvoiceState.CREDITED,
    },
)


class InvoiceKind(Worded):
    """账单类型. For what, or a credit note that takes another one back."""

    CREDIT_NOTE = "credit_note", "红字账单", "Credit note"
    FEE = "fee", "固定费用", "Fixed fee"
    USAGE = "usage", "用量费用", "Usage"


class TaxInvoice(Worded):
    """发票种类. Which 数电发票 the buyer wants."""

    GENERAL = "general", "增值税普通发票", "General VAT invoice"
    SPECIAL = "special", "增值税专用发票", "Special VAT invoice"


class LineKind(Worded):
    """计费项目."""

    CALL = "call", "调用次数", "Calls"
    DOWNLOAD = "download", "下载次数", "Downloads"
    FEE = "fee", "固定费用", "Fixed fee"
    ROW = "row", "数据行数", "Rows"


class RefundState(Worded):
    """退款状态."""

    ASKED = "asked", "待退款", "Asked for"
    SENT = "sent", "已汇出待复核", "Sent, to be confirmed"
    SETTLED = "settled", "已退款", "Settled"
    REFUSED = "refused", "不予退款", "Refused"
    WITHDRAWN = "withdrawn", "已撤回", "Withdrawn"


REFUND = Machine(
    "refund",
    RefundState.ASKED,
    {
        (RefundState.ASKED, "send"): RefundState.SENT,
        (RefundState.ASKED, "refuse"): RefundState.REFUSED,
        (RefundState.ASKED, "withdraw"): RefundState.WITHDRAWN,
        (RefundState.SENT, "settle"): RefundState.SETTLED,
        (RefundState.SENT, "send_back"): RefundState.ASKED,
    },
)
HOLDING_REFUND = (RefundState.ASKED, RefundState.SENT)


class SuspenseState(Worded):
    """待查款项状态."""

    HELD = "held", "待查", "Held"
    RETURNED = "returned", "已退回", "Returned"


class SuspenseReason(Worded):
    """待查原因. Why money could not be booked to a payment."""

    AMOUNT = "amount", "金额不符", "Amount differs"
    CLOSED = "closed", "付款单已结束", "The payment was already over"
    UNKNOWN = "unknown", "无法识别", "Belongs to no payment"


class WebhookEffect(Worded):
    """回调结果. What one message from a rail changed here."""

    AWAITED = "awaited", "等待到账", "Waiting for the money"
    CONFIRMED = "confirmed", "已确认付款", "Payment confirmed"
    EXPIRED = "expired", "收银台已关闭", "Checkout expired"
    FAILED = "failed", "支付失败", "Payment failed"
    IGNORED = "ignored", "无需处理", "Nothing to do"
    SUSPENSE = "suspense", "转入待查", "Put into suspense"
    UNBOOKED = "unbooked", "币种不符，未入账", "Other currency, not booked"


class CheckoutState(Worded):
    """收银台状态."""

    OPEN = "open", "待支付", "Open"
    COMPLETE = "complete", "已支付", "Complete"
    EXPIRED = "expired", "已关闭", "Expired"


class PeriodState(Worded):
    """账期状态."""

    OPEN = "open", "未结账", "Open"
    CLOSED = "closed", "已结账", "Closed"


_CODE = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # no 0 O 1 I L: people type it into a bank's form


def new_reference() -> str:
    """付款附言. A code for the buyer's transfer form with its check character, e.g. `SGK7M2P9QX-4`."""
    return with_check("SG" + "".join(secrets.choice(_CODE) for _ in range(8)))


def read_reference(text: str) -> str:
    """The reference code in what a bank statement shows (spaces, case and hyphen do not matter).

    Raises Invalid when the check character is wrong, which means it was mistyped.
    """
    plain = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", text)).upper()
    code = f"{plain[:-1]}-{plain[-1:]}"
    if not re.fullmatch(r"SG[0-9A-Z]{9}", plain) or not has_valid_check(code):
        raise invalid(
            "reference",
            "payment.reference_check",
            "付款附言的校验位不正确，请核对。",
            "The check character of the reference is wrong; compare it again.",
        )
    return code


def read_bank_reference(text: str) -> str:
    """银行流水号. The bank's own number of a transfer, as kept and compared. Raises Invalid."""
    plain = re.sub(r"\s", "", unicodedata.normalize("NFKC", text)).upper()
    if not re.fullmatch(r"[0-9A-Z][0-9A-Z/._-]{3,63}", plain):
        raise invalid(
            "bank_reference",
            "payment.bank_reference",
            "请填写银行流水号（4 至 64 位字母或数字）。",
            "Give the bank's transaction number (4 to 64 letters or digits).",
        )
    return plain


@dataclass(frozen=True, slots=True)
class UsageTotals:
    """用量. What one license used in one period; `bytes` is shown, never priced here.

    events: those whose calls and rows are counted, so all but the downloads that have a price of their own.
    """

    calls: int = 0
    rows: int = 0
    downloads: int = 0
    bytes: int = 0
    events: int = 0


@dataclass(frozen=True, slots=True)
class Tariff:
    """价目. Exact prices in fen, tax included; `fee` is due once per period."""

    call_fen: Fraction = Fraction(0)
    row_fen: Fraction = Fraction(0)
    download_fen: Fraction = Fraction(0)
    fee_fen: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        if min(self.call_fen, self.row_fen, self.download_fen, self.fee_fen) < 0:
            raise ValueError("a price is not negative")

    @property
    def id(self) -> str:
        """The hash of the canonical price list: another price is another tariff."""
        prices = {"call": self.call_fen, "download": self.download_fen, "fee": self.fee_fen}
        return digest({name: str(fen) for name, fen in (prices | {"row": self.row_fen}).items()})


@dataclass(frozen=True, slots=True)
class PricedLine:
    """计价行. A quantity and its gross amount; rounded once, half-even.

    count: events whose calls, rows or downloads the quantity sums; None for a fee, which counts none.
    """

    kind: LineKind
    quantity: int
    unit_price: Fraction  # fen, tax included
    gross_fen: int
    tariff_id: str
    merkle_root: str | None = None  # over all events of the statement, those counted in this line among them
    period: str | None = None  # the month of use, when a late line differs from its invoice
    count: int | None = None


def price_lines(
    usage: UsageTotals, tariff: Tariff, merkle_root: str | None = None, *, late: str | None = None
) -> list[PricedLine]:
    """计价. One line per priced kind that was used, plus the fee; never a negative amount.

    late: the closed month this happened in; its fee was due with that one's own bill.
    """
    counted = (
        (LineKind.FEE, 0 if late else 1, tariff.fee_fen, None),
        (LineKind.CALL, usage.calls, tariff.call_fen, usage.events),
        (LineKind.ROW, usage.rows, tariff.row_fen, usage.events),
        (LineKind.DOWNLOAD, usage.downloads, tariff.download_fen, usage.downloads),
    )
    return [
        PricedLine(
            kind,
            quantity,
            price,
            half_even(quantity * price),
            tariff.id,
            merkle_root if count is not None else None,
            late,
            count,
        )
        for kind, quantity, price, count in counted
        if quantity and price
    ]


def price_months(
    months: Mapping[str, UsageTotals],
    period: str,
    tariff: Callable[[str], Tariff],
    merkle_root: str | None = None,
) -> list[PricedLine]:
    """分月计价. What is billed in `period`, by the month it happened in: late use on lines of its own, after the others.

    tariff: the price list of a month. merkle_root: over all events billed in the period, on each line that counts any.
    """
    lines = price_lines(months.get(period, UsageTotals()), tariff(period), merkle_root)
    for month in sorted(months.keys() - {period}):
        lines += price_lines(months[month], tariff(month), merkle_root, late=month)
    return lines


@dataclass(frozen=True, slots=True)
class Parties:
    """三方. The party blocks as they stand at issue; each has at least `id`, `name`, `id_number`.

    buyer receives the invoice, seller issues it, payee is paid; they are frozen into the document.
    """

    buyer: Mapping[str, Any]
    seller: Mapping[str, Any]
    payee: Mapping[str, Any]
    budget_unit: bool = False  # the payee is a budget unit: its share goes to the treasury

    def faults(self) -> list[str]:
        """The dotted names of what is missing."""
        blocks = {"buyer": self.buyer, "seller": self.seller, "payee": self.payee}
        return [
            f"{role}.{name}"
            for role, block in blocks.items()
            for name in ("id", "name", "id_number")
            if not block.get(name)
        ]


@dataclass(frozen=True, slots=True)
class TaxedLine:
    """账单行. A priced line with its net amount and tax."""

    line: PricedLine
    net_fen: int
    tax_fen: int


@dataclass(frozen=True, slots=True)
class Totals:
    """合计 (fen). Exactly the sum of the lines."""

    net_fen: int
    tax_fen: int
    gross_fen: int


def tax_lines(lines: Sequence[PricedLine], rate_bp: int) -> list[TaxedLine]:
    """价税分离. Net and tax of every line (`rate_bp` in basis points, 600 = 6 %)."""
    return [TaxedLine(line, *net_and_tax(line.gross_fen, rate_bp)) for line in lines]


def total(lines: Sequence[TaxedLine]) -> Totals:
    """合计. The sum of the lines; nothing is rounded again."""
    return Totals(
        sum(line.net_fen for line in lines),
        sum(line.tax_fen for line in lines),
        sum(line.line.gross_fen for line in lines),
    )


def shares(totals: Totals, fee_bp: int) -> Shares:
    """分配. Tax as it is, the platform's `fee_bp` of the net, the rest to the provider; nothing is lost."""
    fee, provider = split(totals.net_fen, [fee_bp, 10_000 - fee_bp])
    return Shares(fee_fen=fee, tax_fen=totals.tax_fen, provider_fen=provider)


@dataclass(frozen=True, slots=True)
class LicenseUsage:
    """许可用量. All that closing a period needs to know about one license."""

    license_id: str
    lines: Sequence[PricedLine]
    parties: Parties
    order_id: str | None = None
    tax_invoice: TaxInvoice = TaxInvoice.GENERAL


@dataclass(frozen=True, slots=True)
class Difference:
    """差异. Two books that should agree and do not."""

    check: str  # "balance.fold", "invoice.lines", …
    subject: str  # "account:…", "invoice:…"
    expected: int | str
    found: int | str
    members: Mapping[str, Any] = field(default_factory=dict)
