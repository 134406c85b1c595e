"""The life of an order, and what it must say; pure."""

from datetime import timedelta

from contracts.terms import Purpose, RightKind
from storage.kernel.machine import Machine
from storage.kernel.money import MAX_FEN, yuan
from storage.kernel.problem import Fault
from storage.kernel.words import Worded, Words

UNPAID_DAYS = 15
UNSIGNED_DAYS = 30
RULES_VERSION = "2026.1"


class OrderState(Worded):
    """订单状态."""

    SUBMITTED = "submitted", "待审批", "Waiting for approval"
    RETURNED = "returned", "已退回补正", "Returned for correction"
    APPROVED = "approved", "已批准，待签约", "Approved, contract to be accepted"
    CONTRACTED = "contracted", "已签约", "Contracted"
    AWAITING_PAYMENT = "awaiting_payment", "待付款", "Waiting for payment"
    PAID = "paid", "已付款", "Paid"
    ACTIVE = "active", "履行中", "Active"
    COMPLETED = "completed", "已完成", "Completed"
    REJECTED = "rejected", "未批准", "Rejected"
    CANCELLED = "cancelled", "已取消", "Cancelled"
    EXPIRED = "expired", "逾期失效", "Expired"


ORDER = Machine(
    "order",
    OrderState.SUBMITTED,
    {
        (OrderState.SUBMITTED, "approve"): OrderState.APPROVED,
        (OrderState.SUBMITTED, "reject"): OrderState.REJECTED,
        (OrderState.SUBMITTED, "return"): OrderState.RETURNED,
        (OrderState.SUBMITTED, "cancel"): OrderState.CANCELLED,
        (OrderState.SUBMITTED, "expire"): OrderState.EXPIRED,
        (OrderState.RETURNED, "resubmit"): OrderState.SUBMITTED,
        (OrderState.RETURNED, "cancel"): OrderState.CANCELLED,
        (OrderState.RETURNED, "expire"): OrderState.EXPIRED,
        (OrderState.APPROVED, "accept"): OrderState.CONTRACTED,
        (OrderState.APPROVED, "cancel"): OrderState.CANCELLED,
        (OrderState.APPROVED, "expire"): OrderState.EXPIRED,
        (OrderState.CONTRACTED, "bill"): OrderState.AWAITING_PAYMENT,
        (OrderState.CONTRACTED, "activate"): OrderState.ACTIVE,  # nothing to pay
        (OrderState.AWAITING_PAYMENT, "pay"): OrderState.PAID,
        (OrderState.AWAITING_PAYMENT, "cancel"): OrderState.CANCELLED,
        (OrderState.AWAITING_PAYMENT, "expire"): OrderState.EXPIRED,
        (OrderState.PAID, "activate"): OrderState.ACTIVE,
        (OrderState.ACTIVE, "complete"): OrderState.COMPLETED,
    },
)


def order_faults(
    *,
    purpose: Purpose,
    purposes: frozenset[Purpose],
    scenario: str,
    months: int,
    longest_months: int | None,
    prepay_fen: int,
    least_prepay_fen: int,
    metered: bool,
    rules_version: str,
    evidence: str = "",
) -> list[Fault]:
    """What is wrong with an order, all of it at once.

    purposes: those the provider's standing offer covers. Money in fen. `metered`: whether use is
    charged, so that a prepaid amount is needed and is the spend cap.
    """
    faults = []
    if purpose not in purposes:
        zh = "、".join(p.words.zh for p in sorted(purposes))
        en = ", ".join(p.words.en for p in sorted(purposes))
        faults.append(
            Fault(
                "purpose",
                "purpose.offered",
                Words(f"该产品仅可用于：{zh}。", f"This product is offered for: {en}."),
            )
        )
    if not 10 <= len(scenario.strip()) <= 1000:
        words = Words(
            "请用 10 至 1000 字说明应用场景。", "Describe the use scenario in 10 to 1000 characters."
        )
        faults.append(Fault("scenario", "scenario.length", words))
    if not 1 <= months <= (longest_months or 60):
        most = longest_months or 60
        faults.append(
            Fault("months", "term.range", Words(f"期限为 1 至 {most} 个月。", f"1 to {most} months."))
        )
    if metered and not max(least_prepay_fen, 1) <= prepay_fen <= MAX_FEN:
        least = yuan(max(least_prepay_fen, 1))
        words = Words(
            f"按用量计费须预付，最低 ¥{least}；预付金额即费用上限。",
            f"Metered use is prepaid, ¥{least} at least; the amount is also the spend cap.",
        )
        faults.append(Fault("prepay_fen", "prepay.least", words))
    if not metered and prepay_fen:
        faults.append(
            Fault("prepay_fen", "prepay.none", Words("该方案无需预付。", "This plan takes no prepayment."))
        )
    if len(evidence.strip()) > 2000:
        words = Words("用途证明说明最多 2000 字。", "At most 2000 characters of evidence.")
        faults.append(Fault("evidence", "evidence.length", words))
    if rules_version != RULES_VERSION:
        words = Words(
            f"交易规则已更新为 {RULES_VERSION}，请阅读后重新提交。",
            f"The trading rules are at {RULES_VERSION}; read them and submit again.",
        )
        faults.append(Fault("rules_version", "rules.version", words))
    return faults


def rights_for(purpose: Purpose, offered: tuple[RightKind, ...]) -> tuple[RightKind, ...]:
    """授予的权利. What of the offered rights an order for this purpose takes: only resale needs the right to supply.

    >>> rights_for(Purpose.INTERNAL_BUSINESS, (RightKind.USE, RightKind.OPERATE))
    (<RightKind.USE: 'use'>,)
    """
    if purpose is Purpose.RESALE:
        return offered
    return tuple(right for right in offered if right is not RightKind.OPERATE) or (RightKind.USE,)


def due_fen(*, fee_fen: int, months: int, prepay_fen: int) -> int:
    """What is paid before the license is active: the fee of the whole term plus the prepayment."""
    return fee_fen * months + prepay_fen


def unpaid_for() -> timedelta:
    """How long an order waits for its payment."""
    return timedelta(days=UNPAID_DAYS)


def unsigned_for() -> timedelta:
    """How long an approved order waits for the buyer's acceptance."""
    return timedelta(days=UNSIGNED_DAYS)
