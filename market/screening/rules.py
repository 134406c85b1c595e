"""When a secrecy review is needed, what it must say, how it moves; the papers kept with an asset; pure."""

import re
from datetime import date, datetime
from zoneinfo import ZoneInfo

from market.policy.inputs import Secrecy, SupplyKind
from storage.kernel.machine import Machine
from storage.kernel.problem import Fault
from storage.kernel.words import Worded, Words

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


# ------------------------------------------------------------------ papers kept with an asset


class FilingKind(Worded):
    """备案材料. A paper outside the market that a tier decision looks at, kept by number and date."""

    RISK_ASSESSMENT = "risk_assessment", "重要数据风险评估备案", "Risk assessment of important data"
    IMPACT_ASSESSMENT = "impact_assessment", "个人信息保护影响评估", "Personal information impact assessment"
    DISPUTE = "dispute", "权属争议", "Dispute about ownership"


class FilingState(Worded):
    """备案材料状态."""

    FILED = "filed", "待核对", "Waiting to be checked"
    IN_FORCE = "in_force", "有效", "In force"
    REFUSED = "refused", "不予采信", "Refused"
    ENDED = "ended", "已终止", "Ended"


FILING = Machine(
    "filing",
    FilingState.FILED,
    {
        (FilingState.FILED, "accept"): FilingState.IN_FORCE,
        (FilingState.FILED, "refuse"): FilingState.REFUSED,
        (FilingState.FILED, "end"): FilingState.ENDED,
        (FilingState.IN_FORCE, "end"): FilingState.ENDED,
    },
)
# What a provider shows for its own asset; a dispute is noted by a reviewer, and holds at once.
SHOWN_BY_PROVIDER = frozenset({FilingKind.RISK_ASSESSMENT, FilingKind.IMPACT_ASSESSMENT})
_ZONE = ZoneInfo("Asia/Shanghai")  # the civil calendar papers are dated by
_NUMBER = re.compile(r"[\w\-—./〔〕()（）\[\] 号第]{2,80}")


def day_of(at: datetime) -> date:
    """The day papers are dated by at a moment."""
    return at.astimezone(_ZONE).date()


def filing_faults(
    kind: FilingKind | None,
    *,
    number: str,
    authority: str,
    dated: date | None,
    until: date | None,
    today: date,
) -> list[Fault]:
    """What is wrong with a paper: no kind, number, issuer or date, a date to come, a term that is over."""
    faults = []
    if kind is None:
        faults.append(Fault("kind", "required", Words("请选择材料种类。", "Choose what paper it is.")))
    if not _NUMBER.fullmatch(number.strip()):
        words = Words(
            "请填写文号：2 至 80 个文字、数字或 -./〔〕。",
            "Give the number: 2 to 80 letters, digits or -./〔〕.",
        )
        faults.append(Fault("number", "filing.number", words))
    if not 2 <= len(authority.strip()) <= 200:
        words = Words("请填写出具或受理机关（2 至 200 字）。", "Name who issued or received it (2 to 200).")
        faults.append(Fault("authority", "filing.authority", words))
    if dated is None or dated > today:
        words = Words("请填写出具日期，不晚于今天。", "Give its date, today at the latest.")
        faults.append(Fault("dated", "filing.dated", words))
    if until is not None and (until < today or (dated is not None and until < dated)):
        words = Words("有效期已过或早于出具日期。", "Its term is over, or ends before it began.")
        faults.append(Fault("valid_until", "filing.until", words))
    return faults
