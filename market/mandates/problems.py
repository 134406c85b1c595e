"""Why public data is not run, priced or sold, and why a decision about it does not stand."""

from storage.kernel.problem import Conflict, NotFound, Problem
from storage.kernel.words import Words


class MandateNotFound(NotFound):
    """授权不存在. No such mandate, or not one of yours."""

    title = Words("授权不存在", "No such mandate")


class NoMandate(Problem):
    """未获授权. No mandate in force lets this provider sell this public data for this purpose; `gaps` says why."""

    status = 403
    title = Words("该公共数据没有有效的授权运营", "No mandate in force covers this public data")
    remedy = Words(
        "请向实施机构申请授权，或调整产品范围与使用目的。",
        "Ask the data bureau for a mandate, or change what is offered and for which purpose.",
    )


class AwaitCeiling(Conflict):
    """待定价. A price has no ceiling in force, or stands above it; the order waits until it has one."""

    title = Words("等待上限收费标准，暂不能成交", "Waiting for a price ceiling")
    remedy = Words(
        "定价机关发布有效的上限收费标准后即可继续，无需重新提交。",
        "It goes on once a ceiling is in force; nothing has to be submitted again.",
    )


class RevenueCapReached(Conflict):
    """达到最高准许收入. The operator has collected what it may in this period; new paid orders wait for the next."""

    title = Words("运营机构本期收入已达最高准许收入", "The operator has collected what it may in this period")
    remedy = Words(
        "请在下一周期开始后再下单；已生效的许可不受影响。",
        "Order again when the next period begins; licenses in force go on.",
    )


class CeilingOverlaps(Conflict):
    """上限重叠. Another ceiling holds for this product and unit in that time; `ceiling` names it."""

    title = Words("该时段已有上限收费标准", "A ceiling holds in that time already")
    remedy = Words(
        "请将新标准设为替换原标准（replaces），或先提前终止原标准。",
        "Let the new one replace it (`replaces`), or end the old one first.",
    )


class CapOverlaps(Conflict):
    """周期重叠. The operator has a cap for part of that time; `cap` names it."""

    title = Words("该时段已核定最高准许收入", "A cap is set for part of that time already")
    remedy = Words("请核对起止日期。", "Check the first and the last day.")


class MandateNoticeRunning(Conflict):
    """公示未满. A mandate is signed after its public notice; `until` says when that ends."""

    title = Words("公示期未满，不能签署", "The public notice is not over")
    remedy = Words("请在公示期满后签署。", "Sign when the notice is over.")


class AgreementDiffers(Conflict):
    """协议已变. What the operator signs is not the agreement as it stands; `sha256` is the present one."""

    title = Words("您签署的协议与当前内容不一致", "The agreement you sign is not the present one")
    remedy = Words("请重新阅读协议后再签署。", "Read the agreement again, then sign.")
