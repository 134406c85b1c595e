"""What a mandate must say, how it lives, and which resources and purposes it covers; pure."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from contracts.rules import months_after
from contracts.terms import Purpose, Tier
from market.identity.rules import OrgKind
from market.policy.inputs import SupplyKind
from storage.kernel.machine import Machine
from storage.kernel.money import MAX_FEN, split
from storage.kernel.numbers import valid_uscc
from storage.kernel.problem import Fault
from storage.kernel.words import Worded, Words

ZONE = ZoneInfo("Asia/Shanghai")  # the civil calendar mandates, ceilings and caps are dated by
MAX_YEARS = 5
NOTICE_DAYS = 7  # the shortest public notice of a mandate
WHOLE_BP = 10_000  # all of it, in basis points


class MandateState(Worded):
    """授权状态."""

    DRAFT = "draft", "起草", "Draft"
    COLLECTIVE_REVIEW = "collective_review", "集体审议", "Collective review"
    PUBLIC_NOTICE = "public_notice", "公示", "Public notice"
    SIGNED = "signed", "已签署", "Signed"
    ACTIVE = "active", "运营中", "In force"
    SUSPENDED = "suspended", "暂停", "Suspended"
    EXPIRED = "expired", "到期", "Expired"
    TERMINATED = "terminated", "终止", "Terminated"
    HANDED_OVER = "handed_over", "已移交", "Handed over"


_RUNNING = (MandateState.SIGNED, MandateState.ACTIVE, MandateState.SUSPENDED)
MANDATE = Machine(
    "mandate",
    MandateState.DRAFT,
    {
        (MandateState.DRAFT, "edit"): MandateState.DRAFT,
        (MandateState.DRAFT, "submit"): MandateState.COLLECTIVE_REVIEW,
        (MandateState.COLLECTIVE_REVIEW, "return"): MandateState.DRAFT,
        (MandateState.COLLECTIVE_REVIEW, "agree"): MandateState.PUBLIC_NOTICE,
        (MandateState.PUBLIC_NOTICE, "return"): MandateState.DRAFT,  # an objection was right
        (MandateState.PUBLIC_NOTICE, "sign"): MandateState.SIGNED,
        (MandateState.SIGNED, "begin"): MandateState.ACTIVE,
        (MandateState.ACTIVE, "assess"): MandateState.ACTIVE,
        (MandateState.SUSPENDED, "assess"): MandateState.SUSPENDED,
        (MandateState.ACTIVE, "suspend"): MandateState.SUSPENDED,
        (MandateState.SUSPENDED, "resume"): MandateState.ACTIVE,
        **{(state, "terminate"): MandateState.TERMINATED for state in _RUNNING},
        **{(state, "expire"): MandateState.EXPIRED for state in _RUNNING},
        (MandateState.EXPIRED, "hand_over"): MandateState.HANDED_OVER,
        (MandateState.TERMINATED, "hand_over"): MandateState.HANDED_OVER,
    },
)
# What the public reads: from its notice on.
PUBLIC_STATES = tuple(
    state for state in MandateState if state not in {MandateState.DRAFT, MandateState.COLLECTIVE_REVIEW}
)
# Who may run public data for money: legal persons that supply. A department or a bureau never does.
OPERATOR_KINDS = frozenset({OrgKind.STATE_DATA_COMPANY, OrgKind.DEALER, OrgKind.ENTERPRISE})
MANDATOR_KINDS = frozenset({OrgKind.DATA_BUREAU})


class MandateKind(Worded):
    """授权方式 (公共数据资源授权运营实施规范). How wide a mandate is."""

    WHOLE = "whole", "整体授权", "Whole"
    SECTOR = "sector", "分领域授权", "By sector"
    SCENARIO = "scenario", "依场景授权", "By scenario"


class Assessed(Worded):
    """年度评估结论."""

    GOOD = "good", "合格", "Satisfactory"
    IMPROVE = "improve", "限期整改", "To be improved"
    FAILED = "failed", "不合格", "Not satisfactory"


Line = Annotated[str, Field(max_length=200)]
Text = Annotated[str, Field(max_length=4000)]
Several = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=100)], ...], Field(max_length=500)]


class Bracket(BaseModel, frozen=True):
    """累进档. From this revenue (fen, tax included) on, the supplying units' share of the part above it.

    share_bp: basis points; 3000 is 30 %.
    """

    from_fen: Annotated[int, Field(strict=True, ge=0, le=MAX_FEN)]
    share_bp: Annotated[int, Field(strict=True, ge=0, le=WHOLE_BP)]


class Scope(BaseModel):
    """授权范围. What is left empty does not narrow it.

    resources: asset numbers or resource codes. units: USCC of the supplying units. sectors: what the
    resource's category or industry begins with. scenarios: what it may be used for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    resources: Several = ()
    units: Several = ()
    sectors: Several = ()
    scenarios: Several = ()


class Agreement(BaseModel):
    """授权运营协议要素. Everything agreed; the operator signs its hash. Days are civil days, both included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Line = ""
    kind: MandateKind = MandateKind.WHOLE
    scope: Scope = Scope()
    purposes: Annotated[tuple[Purpose, ...], Field(max_length=9)] = ()
    first_day: date | None = None
    last_day: date | None = None
    duties: Text = ""  # 质量、更新与安全义务
    charging: Text = ""  # 收费与收益分配
    exit_terms: Text = ""  # 退出与移交
    brackets: Annotated[tuple[Bracket, ...], Field(max_length=20)] = ()
    redelegation: bool = False

    @property
    def begins(self) -> datetime:
        """The first moment of the term."""
        assert self.first_day is not None
        return midnight(self.first_day)

    @property
    def ends(self) -> datetime:
        """The first moment after the term."""
        assert self.last_day is not None
        return midnight(self.last_day + timedelta(days=1))

    def plain(self) -> dict[str, Any]:
        """The agreement as plain JSON."""
        return self.model_dump(mode="json")


def midnight(day: date) -> datetime:
    """The first moment of a civil day (aware)."""
    return datetime.combine(day, time(), ZONE)


def agreement_faults(agreement: Agreement, today: date) -> list[Fault]:
    """协议规则. Everything missing or not allowed, all at once."""
    wanted = {
        "title": Words("协议名称", "title"),
        "duties": Words("质量、更新与安全义务", "duties of quality, updates and security"),
        "charging": Words("收费与收益分配约定", "charging and sharing of revenue"),
        "exit_terms": Words("退出与移交约定", "exit and handover"),
    }
    faults = [
        Fault(name, "required", Words(f"请填写{words.zh}。", f"Fill in: {words.en}."))
        for name, words in wanted.items()
        if not getattr(agreement, name).strip()
    ]
    if not agreement.purposes:
        faults.append(
            Fault("purposes", "required", Words("请至少选择一个目的。", "Choose at least one purpose."))
        )
    if agreement.redelegation:
        words = Words(
            "不得转授权：授权运营实施规范禁止运营机构再次授权。",
            "No re-delegation: an operator never hands a mandate on (rules of authorized operation).",
        )
        faults.append(Fault("redelegation", "mandate.redelegation", words))
    return [
        *faults,
        *_term_faults(agreement, today),
        *_scope_faults(agreement),
        *bracket_faults(agreement.brackets),
    ]


def _term_faults(agreement: Agreement, today: date) -> Iterator[Fault]:
    first, last = agreement.first_day, agreement.last_day
    if first is None:
        yield Fault("first_day", "required", Words("请填写起始日期。", "From which day?"))
    if last is None:
        yield Fault("last_day", "required", Words("请填写截止日期。", "Until which day?"))
    if first is None or last is None:
        return
    if last < first:
        yield Fault("last_day", "term.reversed", Words("截止日期早于起始日期。", "It ends before it begins."))
    elif last >= months_after(first, 12 * MAX_YEARS):
        words = Words(
            f"授权期限最长 {MAX_YEARS} 年（公共数据资源授权运营实施规范）。",
            f"A mandate lasts {MAX_YEARS} years at most (rules of authorized operation).",
        )
        yield Fault("last_day", "mandate.years", words)
    if last < today:
        yield Fault("last_day", "term.over", Words("期限已经届满。", "The term is over already."))


def _scope_faults(agreement: Agreement) -> Iterator[Fault]:
    scope = agreement.scope
    if agreement.kind is MandateKind.SECTOR and not scope.sectors:
        yield Fault("scope", "scope.sectors", Words("分领域授权须写明领域。", "Name the sectors."))
    if agreement.kind is MandateKind.SCENARIO and not scope.scenarios:
        yield Fault("scope", "scope.scenarios", Words("依场景授权须写明场景。", "Name the scenarios."))
    if wrong := [unit for unit in scope.units if not valid_uscc(unit)]:
        words = Words(
            f"供数单位的统一社会信用代码不正确：{'、'.join(wrong[:5])}",
            f"Not the USCC of a supplying unit: {', '.join(wrong[:5])}",
        )
        yield Fault("scope", "party.uscc_check", words)


def bracket_faults(brackets: Collection[Bracket]) -> Iterator[Fault]:
    """累进规则. Brackets begin at zero and rise."""
    starts = [bracket.from_fen for bracket in brackets]
    if starts and (starts[0] != 0 or any(b <= a for a, b in pairwise(starts))):
        words = Words("累进档须从 0 开始并逐档递增。", "Brackets begin at 0 and rise.")
        yield Fault("brackets", "brackets.order", words)


def shared(amount_fen: int, brackets: Collection[Bracket]) -> int:
    """收益分配. The supplying units' share of `amount_fen` (fen): each bracket shares the part inside it.

    Each part is split exactly; the operator keeps what the fractions leave. No brackets share nothing.
    """
    rows = sorted(brackets, key=lambda bracket: bracket.from_fen)
    ends = [*(row.from_fen for row in rows[1:]), max(amount_fen, 0)]
    share = 0
    for row, end in zip(rows, ends, strict=False):
        inside = min(max(amount_fen, 0), end) - row.from_fen
        if inside > 0:
            share += split(inside, [WHOLE_BP - row.share_bp, row.share_bp])[1]
    return share


# ------------------------------------------------------------------ what is covered


@dataclass(frozen=True, slots=True)
class Resource:
    """数据资源. What a mandate is asked about: of a registered asset, or of a product made from it."""

    number: str = ""
    code: str = ""
    unit: str = ""  # USCC of the supplying unit
    category: str = ""
    industry: str = ""
    scenarios: tuple[str, ...] = ()


def needs_mandate(tier: Tier, supply: SupplyKind | None) -> bool:
    """Whether a product is public data on the commercial side: it needs a mandate and price ceilings."""
    return tier is Tier.COMMERCIAL and supply is not SupplyKind.ENTERPRISE


def gaps(agreement: Agreement, resource: Resource, purposes: Collection[Purpose]) -> list[Words]:
    """授权缺口. Why the agreement does not cover a resource for these purposes; nothing when it does."""
    scope, found = agreement.scope, []
    if scope.resources and not {resource.number, resource.code} & set(scope.resources):
        found.append(
            Words(
                f"资源 {resource.code or resource.number} 不在授权目录内",
                f"resource {resource.code or resource.number} is not in its scope",
            )
        )
    if scope.units and resource.unit not in scope.units:
        found.append(Words("供数单位不在授权范围内", "the supplying unit is not in its scope"))
    if scope.sectors and not any(
        text.startswith(sector) for sector in scope.sectors for text in (resource.category, resource.industry)
    ):
        found.append(
            Words(
                f"领域不在授权范围内（{'、'.join(scope.sectors[:5])}）",
                f"the sector is not in its scope ({', '.join(scope.sectors[:5])})",
            )
        )
    if scope.scenarios and not (resource.scenarios and set(resource.scenarios) <= set(scope.scenarios)):
        found.append(
            Words(
                f"场景不在授权范围内（{'、'.join(scope.scenarios[:5])}）",
                f"the scenario is not in its scope ({', '.join(scope.scenarios[:5])})",
            )
        )
    if beyond := [purpose for purpose in purposes if purpose not in agreement.purposes]:
        found.append(
            Words(
                f"授权目的不含：{'、'.join(purpose.words.zh for purpose in beyond)}",
                f"its purposes leave out: {', '.join(purpose.words.en for purpose in beyond)}",
            )
        )
    return found
