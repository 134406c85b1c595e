"""登记后的一生 What may happen to a registration: applications, objections, and its standing at any time; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from market.policy.inputs import DataGrade
from market.registry.rules import Description
from storage.kernel.machine import Machine
from storage.kernel.problem import Fault
from storage.kernel.words import Worded, Words


class AmendmentKind(Worded):
    """登记类型. What is asked for after the first registration."""

    CHANGE = "change", "变更登记", "Change"
    CORRECTION = "correction", "更正登记", "Correction"
    RENEWAL = "renewal", "续展登记", "Renewal"
    TRANSFER = "transfer", "转移登记", "Transfer"
    CANCELLATION = "cancellation", "注销登记", "Cancellation"


class CancelGround(Worded):
    """注销事由."""

    LOST = "lost", "数据灭失且无法恢复", "The data is lost beyond recovery"
    WAIVED = "waived", "权利放弃或终止", "The right was waived or has ended"
    DISSOLVED = "dissolved", "登记主体终止", "The registrant has ended"
    OTHER = "other", "其他", "Other"


class AmendmentState(Worded):
    """申请状态."""

    OFFERED = "offered", "待受让方确认", "Waiting for the recipient"
    SUBMITTED = "submitted", "已提交", "Submitted"
    RETURNED = "returned", "待补正", "Returned for correction"
    UNDER_REVIEW = "under_review", "审核中", "Under review"
    PUBLICITY = "publicity", "公示中", "On public notice"
    OBJECTED = "objected", "异议处理中", "Objected to"
    APPLIED = "applied", "已办结", "Done"
    REJECTED = "rejected", "不予办理", "Rejected"
    DECLINED = "declined", "受让方拒绝", "Declined by the recipient"
    WITHDRAWN = "withdrawn", "已撤回", "Withdrawn"
    LAPSED = "lapsed", "因登记终止而失效", "Lapsed with the registration"


_OPEN = (
    AmendmentState.OFFERED,
    AmendmentState.SUBMITTED,
    AmendmentState.RETURNED,
    AmendmentState.UNDER_REVIEW,
    AmendmentState.PUBLICITY,
    AmendmentState.OBJECTED,
)
AMENDMENT = Machine(
    "amendment",
    AmendmentState.SUBMITTED,
    {
        (AmendmentState.OFFERED, "agree"): AmendmentState.SUBMITTED,
        (AmendmentState.OFFERED, "decline"): AmendmentState.DECLINED,
        (AmendmentState.SUBMITTED, "review"): AmendmentState.UNDER_REVIEW,
        (AmendmentState.SUBMITTED, "return"): AmendmentState.RETURNED,
        (AmendmentState.RETURNED, "resubmit"): AmendmentState.SUBMITTED,
        (AmendmentState.UNDER_REVIEW, "reject"): AmendmentState.REJECTED,
        (AmendmentState.UNDER_REVIEW, "publish"): AmendmentState.PUBLICITY,
        (AmendmentState.UNDER_REVIEW, "apply"): AmendmentState.APPLIED,  # nothing that must be announced
        (AmendmentState.PUBLICITY, "apply"): AmendmentState.APPLIED,
        (AmendmentState.PUBLICITY, "object"): AmendmentState.OBJECTED,
        (AmendmentState.OBJECTED, "object"): AmendmentState.OBJECTED,
        (AmendmentState.OBJECTED, "dismiss"): AmendmentState.PUBLICITY,
        (AmendmentState.OBJECTED, "sustain"): AmendmentState.REJECTED,
        **{(state, "withdraw"): AmendmentState.WITHDRAWN for state in _OPEN},
        **{(state, "lapse"): AmendmentState.LAPSED for state in _OPEN},
    },
)
OPEN_AMENDMENTS = _OPEN


class ObjectionState(Worded):
    """异议状态."""

    RAISED = "raised", "待登记主体答复", "Waiting for the registrant"
    ANSWERED = "answered", "已答复，待裁定", "Answered, to be decided"
    SUSTAINED = "sustained", "异议成立", "Sustained"
    DISMISSED = "dismissed", "异议不成立", "Dismissed"
    MOOT = "moot", "因申请终止而了结", "Closed with the application"


OBJECTION = Machine(
    "objection",
    ObjectionState.RAISED,
    {
        (ObjectionState.RAISED, "answer"): ObjectionState.ANSWERED,
        **{
            (state, verb): after
            for state in (ObjectionState.RAISED, ObjectionState.ANSWERED)
            for verb, after in (
                ("dismiss", ObjectionState.DISMISSED),
                ("sustain", ObjectionState.SUSTAINED),
                ("close", ObjectionState.MOOT),
            )
        },
    },
)
OPEN_OBJECTIONS = (ObjectionState.RAISED, ObjectionState.ANSWERED)


class StepKind(Worded):
    """登记沿革. What changed the standing of a registration."""

    REGISTERED = "registered", "首次登记", "First registration"
    CHANGED = "changed", "变更", "Changed"
    CORRECTED = "corrected", "更正", "Corrected"
    RENEWED = "renewed", "续展", "Renewed"
    TRANSFERRED = "transferred", "转移", "Transferred"
    EXPIRED = "expired", "到期", "Expired"
    CANCELLED = "cancelled", "注销", "Cancelled"
    REVOKED = "revoked", "撤销", "Revoked"


STEP_OF = {
    AmendmentKind.CHANGE: StepKind.CHANGED,
    AmendmentKind.CORRECTION: StepKind.CORRECTED,
    AmendmentKind.RENEWAL: StepKind.RENEWED,
    AmendmentKind.TRANSFER: StepKind.TRANSFERRED,
    AmendmentKind.CANCELLATION: StepKind.CANCELLED,
}
# The verb of the asset's own machine that an application carries out.
VERB_OF = {
    AmendmentKind.CHANGE: "change",
    AmendmentKind.CORRECTION: "change",
    AmendmentKind.RENEWAL: "renew",
    AmendmentKind.TRANSFER: "transfer",
    AmendmentKind.CANCELLATION: "cancel",
}


class Standing(Worded):
    """效力状态. What a registration is worth at a moment."""

    NOT_YET = "not_yet", "尚未登记", "Not registered yet"
    IN_FORCE = "in_force", "有效", "In force"
    EXPIRED = "expired", "已过期", "Expired"
    CANCELLED = "cancelled", "已注销", "Cancelled"
    REVOKED = "revoked", "已撤销", "Revoked"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the history that standing is read from; `valid_until` is what held from then on."""

    kind: StepKind
    at: datetime
    valid_until: datetime
    serial: int = 1


_ENDS = {
    StepKind.EXPIRED: Standing.EXPIRED,
    StepKind.CANCELLED: Standing.CANCELLED,
    StepKind.REVOKED: Standing.REVOKED,
}


def standing_at(steps: Sequence[Step], at: datetime) -> tuple[Standing, Step | None]:
    """某一时点的效力. By the last step at or before `at`; a term that ran out ends it, noted already or not.

    steps: oldest first.
    """
    past = [step for step in steps if step.at <= at]
    if not past:
        return Standing.NOT_YET, None
    last = past[-1]
    if last.kind in _ENDS:
        return _ENDS[last.kind], last
    return (Standing.IN_FORCE if at < last.valid_until else Standing.EXPIRED), last


# 重大变更: source, scope, rights; a grade that rises is told apart below.
_MATERIAL = frozenset(
    {
        "source_kind",
        "source_statement",
        "area",
        "coverage_from",
        "coverage_until",
        "items",
        "rights",
        "supply",
    }
    | {"contains_pi", "contains_spi"}
)
# What a registration is about: another one of these is another resource, to be registered anew.
FIXED = frozenset({"code", "provider_code", "committed"})
Diff = list[dict[str, Any]]


def diff_of(before: Description, changes: Mapping[str, Any]) -> Diff:
    """变更对照. The fields that really differ, in the order of the form: field, before, after.

    changes: new values by field as JSON values.
    """
    old = before.model_dump(mode="json")
    return [
        {"field": name, "before": old[name], "after": changes[name]}
        for name in Description.model_fields
        if name in changes and old[name] != changes[name]
    ]


def is_material(diff: Diff) -> bool:
    """重大变更. Source, scope or rights changed, or the grade rises: the public is told again."""
    return any(line["field"] in _MATERIAL or _rises(line) for line in diff)


def _rises(line: Mapping[str, Any]) -> bool:
    if line["field"] != "grade" or line["after"] is None:
        return False
    order = [str(grade) for grade in DataGrade]
    return line["before"] is None or order.index(line["after"]) > order.index(line["before"])


def amendment_faults(kind: AmendmentKind, diff: Diff) -> list[Fault]:
    """What a change or a correction may not ask for."""
    if not diff:
        words = Words("请填写需要变更的内容：目前与登记内容一致。", "Say what changes: nothing differs yet.")
        return [Fault("changes", "amendment.empty", words)]
    faults = []
    for line in diff:
        if line["field"] in FIXED:
            words = Words(
                "资源代码、提供方代码不可变更；另一资源请办理首次登记。",
                "The codes cannot change; register another resource anew.",
            )
            faults.append(Fault(line["field"], "amendment.fixed", words))
    if kind is AmendmentKind.CORRECTION and is_material(diff):
        words = Words(
            "更正仅限笔误；来源、范围、权利变更或级别上调请办理变更登记。",
            "A correction mends slips only; for source, scope, rights or a higher grade ask for a change.",
        )
        faults.append(Fault("changes", "correction.material", words))
    return faults


def renewal_opens(valid_until: datetime, days: int) -> datetime:
    """续展期. From when renewal can be asked for: `days` days before the end."""
    return valid_until - timedelta(days=days)
