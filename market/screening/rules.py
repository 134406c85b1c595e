"""When a secrecy review is needed, what it must say, and how it moves; pure."""

from market.policy.inputs import Secrecy, SupplyKind
from storage.kernel.machine import Machine
from storage.kernel.problem import Fault
from storage.kernel.words import Words

SECRECY = Machine(
    "secrecy",
    Secrecy.PENDING,
    {
        (Secrecy.PENDING, "pass"): Secrecy.PASSED,
        (Secrecy.PENDING, "refuse"): Secrecy.REFUSED,
    },
)


def review_needed(*, supply: SupplyKind | None, personal: bool, export: bool) -> bool:
    """是否须审查. Public data, personal information and data meant for abroad are reviewed; unknown supply is."""
    return supply is not SupplyKind.ENTERPRISE or personal or export


def statement_faults(statement: str, *, personal: bool | None, export: bool | None) -> list[Fault]:
    """What is wrong with a request for review: an empty statement, or a question left open."""
    faults = []
    if not 10 <= len(statement.strip()) <= 2000:
        words = Words(
            "请用 10 至 2000 字说明内容与自查情况。",
            "Describe content and self-check in 10 to 2000 characters.",
        )
        faults.append(Fault("statement", "statement.length", words))
    for name, said in (("personal", personal), ("export", export)):
        if said is None:
            faults.append(Fault(name, "required", Words("请明确是或否。", "Say yes or no.")))
    return faults


def reason_faults(reason: str, evidence: str, *, passing: bool) -> list[Fault]:
    """What is wrong with a review's outcome: no reason, or a pass that rests on nothing."""
    faults = []
    if not 4 <= len(reason.strip()) <= 500:
        words = Words("请填写 4 至 500 字的理由。", "Give a reason of 4 to 500 characters.")
        faults.append(Fault("reason", "reason.length", words))
    if passing and not 4 <= len(evidence.strip()) <= 500:
        words = Words("通过须写明依据材料（文号、名称）。", "A pass names the papers it rests on.")
        faults.append(Fault("evidence", "evidence.length", words))
    return faults
