"""What a case is, who may do what to it in which state, and what a decision must carry; pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from storage.kernel.canonical import digest
from storage.kernel.machine import Machine
from storage.kernel.problem import Fault
from storage.kernel.words import Worded, Words


class CaseKind(Worded):
    """审批事项. What is asked for; the room that opened the case acts on the outcome."""

    LISTING = "listing", "产品挂牌", "Product listing"
    ORDER = "order", "订单", "Order"
    REVOCATION = "revocation", "撤销许可", "License revocation"
    LIST_EDIT = "list_edit", "清单修订", "Edit of a list"
    MANDATE = "mandate", "授权运营", "Mandate"
    REFUND = "refund", "退款", "Refund"


class CaseState(Worded):
    """审批状态."""

    WAITING = "waiting", "待审批", "Waiting"
    RETURNED = "returned", "已退回", "Returned for correction"
    APPROVED = "approved", "已同意", "Approved"
    REJECTED = "rejected", "已否决", "Rejected"
    CANCELLED = "cancelled", "已撤回", "Cancelled"
    EXPIRED = "expired", "逾期终止", "Expired"


class Verdict(Worded):
    """审批意见. What one person said."""

    APPROVE = "approve", "同意", "Approve"
    REJECT = "reject", "否决", "Reject"
    RETURN = "return", "退回补正", "Return for correction"


class Command(Worded):
    """审批动作. Everything that can be done to a case."""

    APPROVE = "approve", "同意", "Approve"
    REJECT = "reject", "否决", "Reject"
    RETURN = "return", "退回补正", "Return for correction"
    TAKE = "take", "领办", "Take over"
    HAND_OVER = "hand_over", "转办", "Hand over"
    COMMENT = "comment", "留言", "Comment"
    RESUBMIT = "resubmit", "补正再送", "Submit again"
    CANCEL = "cancel", "撤回", "Withdraw"
    REMIND = "remind", "催办", "Remind"
    ESCALATE = "escalate", "升级督办", "Escalate"
    EXPIRE = "expire", "逾期终止", "Expire"


class Part(Worded):
    """审批身份. What somebody is to one case. Nobody is two of these: an applicant is never a decider."""

    APPLICANT = "applicant", "申请方", "Applicant"
    DECIDER = "decider", "审批人", "Decider"
    ASSIGNEE = "assignee", "承办人", "Decider in charge"
    DEPUTY = "deputy", "代办人", "Deputy of the one in charge"
    COLLEAGUE = "colleague", "其他审批人", "Other decider"
    READER = "reader", "审计", "Auditor"
    CLOCK = "clock", "系统时钟", "The clock"
    OUTSIDER = "outsider", "无关人员", "Anybody else"


CASE = Machine(
    "case",
    CaseState.WAITING,
    {
        (CaseState.WAITING, "endorse"): CaseState.WAITING,  # the first of two
        (CaseState.WAITING, "approve"): CaseState.APPROVED,
        (CaseState.WAITING, "reject"): CaseState.REJECTED,
        (CaseState.WAITING, "return"): CaseState.RETURNED,
        (CaseState.WAITING, "cancel"): CaseState.CANCELLED,
        (CaseState.WAITING, "expire"): CaseState.EXPIRED,
        (CaseState.RETURNED, "resubmit"): CaseState.WAITING,
        (CaseState.RETURNED, "cancel"): CaseState.CANCELLED,
        (CaseState.RETURNED, "expire"): CaseState.EXPIRED,
    },
)
OPEN = frozenset({CaseState.WAITING, CaseState.RETURNED})
PAST = {
    "endorse": "endorsed",
    "approve": "approved",
    "reject": "rejected",
    "return": "returned",
    "cancel": "cancelled",
    "expire": "expired",
    "resubmit": "resubmitted",
}

_DECIDE = frozenset({Command.APPROVE, Command.REJECT, Command.RETURN})
Table = dict[tuple[CaseState, Part], frozenset[Command]]
# 办理规程. Who may do what in which state. What is not here is refused: 403 when this part never may,
# 409 when it may in another state. A closed case has no row: nothing can be done to it any more.
TABLE: Table = {
    (CaseState.WAITING, Part.APPLICANT): frozenset({Command.CANCEL, Command.COMMENT}),
    (CaseState.WAITING, Part.DECIDER): _DECIDE | {Command.TAKE, Command.HAND_OVER, Command.COMMENT},
    (CaseState.WAITING, Part.ASSIGNEE): _DECIDE | {Command.HAND_OVER, Command.COMMENT},
    (CaseState.WAITING, Part.DEPUTY): _DECIDE | {Command.TAKE, Command.COMMENT},
    (CaseState.WAITING, Part.COLLEAGUE): frozenset({Command.TAKE, Command.COMMENT}),
    (CaseState.WAITING, Part.CLOCK): frozenset({Command.REMIND, Command.ESCALATE, Command.EXPIRE}),
    (CaseState.RETURNED, Part.APPLICANT): frozenset({Command.RESUBMIT, Command.CANCEL, Command.COMMENT}),
    (CaseState.RETURNED, Part.DECIDER): frozenset({Command.COMMENT}),
    (CaseState.RETURNED, Part.ASSIGNEE): frozenset({Command.COMMENT}),
    (CaseState.RETURNED, Part.DEPUTY): frozenset({Command.COMMENT}),
    (CaseState.RETURNED, Part.COLLEAGUE): frozenset({Command.COMMENT}),
    (CaseState.RETURNED, Part.CLOCK): frozenset({Command.REMIND, Command.EXPIRE}),
}
DUE_SOON = timedelta(days=1)  # deciders are reminded a day before a case is due


def allowed(table: Table, state: CaseState, part: Part) -> list[Command]:
    """What `part` may do now, in the order of `Command`."""
    row = table.get((state, part), frozenset())
    return [command for command in Command if command in row]


def parts_for(table: Table, command: Command) -> list[Part]:
    """Who may ever do this, in the order of `Part`."""
    return [part for part in Part if any(command in row for (_, each), row in table.items() if each is part)]


def part_of(
    *,
    own: bool,
    asks: bool,
    decides: bool,
    reads: bool,
    in_charge: bool,
    taken: bool,
    deputy: bool,
) -> Part:
    """身份. What somebody is to a case.

    own: the matter is theirs or of an organization they belong to, which comes before everything else;
    asks: and they may ask for such things. taken: somebody is in charge; in_charge: it is this one;
    deputy: they act for the one who is.
    """
    if own:
        return Part.APPLICANT if asks else Part.OUTSIDER
    if not decides:
        return Part.READER if reads else Part.OUTSIDER
    if in_charge:
        return Part.ASSIGNEE
    if not taken:
        return Part.DECIDER
    return Part.DEPUTY if deputy else Part.COLLEAGUE


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


# ------------------------------------------------------------------ what is decided on, and how risky it is


class RiskLevel(Worded):
    """风险等级."""

    LOW = "low", "低风险", "Low risk"
    MEDIUM = "medium", "中风险", "Medium risk"
    HIGH = "high", "高风险", "High risk"


MEDIUM_FROM, HIGH_FROM = 30, 60


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """风险因素. Why a matter is riskier than another, and by how much."""

    code: str
    points: int
    words: Words

    def document(self) -> dict[str, Any]:
        """As it is kept with the case."""
        return {"code": self.code, "points": self.points, **self.words.both()}


@dataclass(frozen=True, slots=True)
class Ground:
    """送审依据. What a case stands on: plain facts of the moment, and what is risky in them."""

    facts: dict[str, Any]
    risks: tuple[RiskPoint, ...] = ()
    rules_version: str = ""

    @property
    def score(self) -> int:
        """风险分 0 to 100."""
        return min(100, sum(risk.points for risk in self.risks))

    @property
    def facts_hash(self) -> str:
        """What a decider's reading is compared with."""
        return digest(self.facts)


def level_of(score: int) -> RiskLevel:
    """The level of a score.

    >>> [str(level_of(score)) for score in (0, 29, 30, 59, 60, 100)]
    ['low', 'low', 'medium', 'medium', 'high', 'high']
    """
    if score >= HIGH_FROM:
        return RiskLevel.HIGH
    return RiskLevel.MEDIUM if score >= MEDIUM_FROM else RiskLevel.LOW


def changed(then: dict[str, Any], now: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """变化. Facts that are no longer what they were at submission, as (name, then, now)."""
    names = [*then, *(name for name in now if name not in then)]
    return [(name, then.get(name), now.get(name)) for name in names if then.get(name) != now.get(name)]


def bulk_faults(*, score: int, needs: int, moved: bool) -> list[Fault]:
    """批量办理. Only what is of low risk, needs one person, and is still what was asked for."""
    faults = []
    if level_of(score) is not RiskLevel.LOW:
        words = Words("非低风险事项须逐件办理。", "Only low-risk matters are decided in bulk.")
        faults.append(Fault("cases", "bulk.risk", words))
    if needs > 1:
        words = Words("须两人办理的事项须逐件办理。", "What needs two people is decided one by one.")
        faults.append(Fault("cases", "bulk.two", words))
    if moved:
        words = Words("送审后内容已有变化，请打开查看。", "It has changed since it was sent; open it.")
        faults.append(Fault("cases", "bulk.changed", words))
    return faults


# ------------------------------------------------------------------ away


LONGEST_ABSENCE = timedelta(days=92)


def absence_faults(begins: Any, ends: Any, now: Any) -> list[Fault]:
    """What is wrong with the time of a delegation: it begins before it ends, ends later than now, within 92 days."""
    faults = []
    if ends <= begins or ends <= now:
        words = Words("结束时间须晚于开始时间和当前时间。", "The end is after the beginning, and after now.")
        faults.append(Fault("until", "absence.order", words))
    if ends - begins > LONGEST_ABSENCE:
        words = Words("委托不得超过 92 天。", "A delegation lasts at most 92 days.")
        faults.append(Fault("until", "absence.length", words))
    return faults


# ------------------------------------------------------------------ rules that approve by themselves


@dataclass(frozen=True, slots=True)
class AutoRule:
    """自动审批规则. Approves a case whose facts are all as `wants` says, of low risk, needing one person.

    `wants` names facts and the values they may have, so that a page can show the rule as it is.
    """

    code: str
    kind: CaseKind
    words: Words
    wants: dict[str, tuple[Any, ...]]

    def holds(self, ground: Ground, needs: int) -> bool:
        """Whether the rule decides this."""
        return (
            needs == 1
            and level_of(ground.score) is RiskLevel.LOW
            and all(name in ground.facts and ground.facts[name] in fine for name, fine in self.wants.items())
        )


AUTO_RULES: Sequence[AutoRule] = (
    AutoRule(
        "order.known-buyer-small",
        CaseKind.ORDER,
        Words(
            "老客户小额订单：已核验买方、曾履约、首付不超过 1 万元、内部经营用途、普通分级。",
            "A small order of a known buyer: verified, has bought before, at most ¥10,000, internal use, ordinary grade.",
        ),
        {
            "buyer_verified": (True,),
            "known_buyer": (True,),
            "small": (True,),
            "purpose": ("internal_business",),
            "on_offer": (True,),
        },
    ),
    AutoRule(
        "listing.open-data",
        CaseKind.LISTING,
        Words(
            "无条件开放的公益产品：资产登记有效、一般数据、不含个人信息、免费。",
            "A public-good product from unconditionally open data: registered, general data, nothing personal, free.",
        ),
        {
            "tier": ("public_good",),
            "open_attr": ("U",),
            "asset_state": ("registered",),
            "personal": (False,),
            "free": (True,),
        },
    ),
)
