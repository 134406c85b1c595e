"""What a case is, how it moves, and who may not decide it; pure."""

from collections.abc import Collection
from datetime import timedelta

from storage.kernel.machine import Machine
from storage.kernel.problem import Fault
from storage.kernel.words import Worded, Words


class CaseKind(Worded):
    """审批事项. What is asked for; the room that opened the case acts on the outcome."""

    LISTING = "listing", "产品挂牌", "Product listing"
    ORDER = "order", "订单", "Order"
    REVOCATION = "revocation", "撤销许可", "License revocation"
    REFUND = "refund", "退款", "Refund"
    LIST_EDIT = "list_edit", "清单修订", "Edit of a list"
    MANDATE = "mandate", "授权运营", "Mandate"


class CaseState(Worded):
    """审批状态."""

    WAITING = "waiting", "待审批", "Waiting"
    APPROVED = "approved", "已同意", "Approved"
    REJECTED = "rejected", "已否决", "Rejected"
    RETURNED = "returned", "已退回", "Returned for correction"
    CANCELLED = "cancelled", "已撤回", "Cancelled"


class Verdict(Worded):
    """审批意见. What one person said."""

    APPROVE = "approve", "同意", "Approve"
    REJECT = "reject", "否决", "Reject"
    RETURN = "return", "退回补正", "Return for correction"


CASE = Machine(
    "case",
    CaseState.WAITING,
    {
        (CaseState.WAITING, "endorse"): CaseState.WAITING,  # the first of two
        (CaseState.WAITING, "approve"): CaseState.APPROVED,
        (CaseState.WAITING, "reject"): CaseState.REJECTED,
        (CaseState.WAITING, "return"): CaseState.RETURNED,
        (CaseState.WAITING, "cancel"): CaseState.CANCELLED,
    },
)
PAST = {
    "endorse": "endorsed",
    "approve": "approved",
    "reject": "rejected",
    "return": "returned",
    "cancel": "cancelled",
}
DUE = timedelta(days=7)  # five working days and a weekend


def verb_for(verdict: Verdict, approvals: int, needs: int) -> str:
    """What a verdict does to the case, given how many people approved it before."""
    if verdict is not Verdict.APPROVE:
        return str(verdict)
    return "approve" if approvals + 1 >= needs else "endorse"


def own_matter(*, person: str, orgs: Collection[str], submitted_by: str, submitted_org: str | None) -> bool:
    """职责分离. Whether the matter is the decider's own, or of any organization they belong to."""
    return person == submitted_by or submitted_org in orgs


def reason_faults(reason: str) -> list[Fault]:
    """Every decision carries a reason of 4 to 500 characters."""
    if 4 <= len(reason.strip()) <= 500:
        return []
    return [
        Fault(
            "reason",
            "reason.length",
            Words("请填写 4 至 500 字的理由。", "Give a reason of 4 to 500 characters."),
        )
    ]
