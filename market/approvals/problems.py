"""Why a decision cannot be taken."""

from market.identity.problems import Forbidden
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


class NotYours(Forbidden):
    """无此权限. Somebody of this part of a case never does this; `allowed` lists what they may do, `roles` who may."""

    title = Words("您在该事项中无权执行此操作", "Not yours to do in this case")
    remedy = Words(
        "可执行的操作见 allowed，有权人员的角色见 roles。",
        "`allowed` lists what you may do now, `roles` who may do this.",
    )


class InOthersCharge(Conflict):
    """他人承办. Somebody is in charge of the case; `assigned_to` says who. Take it over first."""

    title = Words("该事项由他人承办", "Somebody else is in charge of this case")
    remedy = Words("请先领办（接手）该事项，再作决定。", "Take the case over first, then decide.")


class SameRole(Conflict):
    """须不同岗位. Of two decisions each comes from another role; `roles` lists who can give the second."""

    title = Words("第二份意见须由不同角色的人员作出", "The second decision comes from another role")
    remedy = Words(
        "四眼原则要求两名不同岗位的人员分别同意。", "Four eyes means two people of two different roles."
    )


class GroundMoved(Conflict):
    """依据变化. What the case stands on changed after you read it; `changed` lists the facts."""

    title = Words("审批依据在您阅读后发生了变化", "What this stands on changed after you read it")
    remedy = Words("请刷新页面，核对变化后再决定。", "Reload, look at what changed, then decide.")


class AwayAlready(Conflict):
    """已有委托. For this time a deputy is named already; end that delegation first."""

    title = Words("该时段已有委托", "There is a deputy for this time already")
    remedy = Words("请先终止原委托。", "End the other delegation first.")
