"""Why records are not removed."""

from storage.kernel.problem import Conflict, Problem
from storage.kernel.words import Words


class TermRuns(Problem):
    """保存期未满. The law says to keep this longer; `until` is the first moment it may go, `law` says which."""

    status = 409
    title = Words("法定保存期未满，不能清除", "The legal term of retention still runs")
    remedy = Words("请在 until 之后再办理。", "Come back after `until`.")


class OnHold(Conflict):
    """法律保全. A hold keeps this, whatever its term; `hold` names it."""

    title = Words("已采取法律保全，不能清除或删除", "A legal hold keeps this")
    remedy = Words("请待保全解除后再办理。", "Wait until the hold is lifted.")


class NotPurged(Conflict):
    """不清除. Records of this kind are never removed by the market; export and archive them instead."""

    title = Words("该类记录不由平台清除", "Records of this kind are not purged")
    remedy = Words("请导出归档；流水永不删除。", "Export and archive them; the journal is never cut.")


class LastAdministrator(Conflict):
    """仅有的管理员. The organization would be left without an administrator; `org` names it."""

    title = Words("该用户是其组织仅有的管理员", "This person is the only administrator of an organization")
    remedy = Words("请先为该组织指定另一名管理员。", "Name another administrator first.")
