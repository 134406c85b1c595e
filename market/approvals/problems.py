"""Why a decision cannot be taken."""

from storage.kernel.problem import Conflict
from storage.kernel.words import Words


class AlreadyDecided(Conflict):
    """已有结论. The case is closed; `by`, `at` and `state` say who closed it, when, and how."""

    title = Words("该事项已有审批结论", "This case has already been decided")
    remedy = Words(
        "请刷新查看结论；如有异议请另行发起。", "Reload to see the outcome; open a new case to object."
    )


class CaseMoved(Conflict):
    """审批冲突. Somebody decided between your reading and your decision; `by` and `verdict` say who and how."""

    title = Words("他人刚刚处理了该事项", "Somebody else has just acted on this case")
    remedy = Words("请刷新页面，阅读最新意见后再决定。", "Reload, read the latest decision, then decide.")


class DecidedByYou(Conflict):
    """一人一票. Two decisions must come from two different people."""

    title = Words("您已对该事项作出决定", "You have decided on this case already")
    remedy = Words("需由另一位审批人员处理。", "Another approver has to decide.")


class CaseOpen(Conflict):
    """重复送审. The same thing is waiting for a decision already; `case` names it."""

    title = Words("该事项正在审批中", "This matter is already waiting for a decision")
    remedy = Words("请等待审批结论，或先撤回。", "Wait for the decision, or withdraw it first.")
