"""Why a list is not edited, and why something on the negative list goes no further."""

from storage.kernel.problem import Conflict, Problem
from storage.kernel.words import Words


class ListMoved(Conflict):
    """清单已更新. An entry the edit rests on was changed since; `entries` names them with their revisions now."""

    title = Words("清单条目在您编辑后已被他人修订", "Entries were revised after you read them")
    remedy = Words(
        "请查看版本差异，按最新条目重新提交。", "Look at the differences and submit again on the entries now."
    )


class SecondRoleNeeded(Conflict):
    """须由另一角色审批. Two people of two different roles stand behind an edit; `roles` are the first one's."""

    title = Words("清单修订须由另一角色的人员审批", "Somebody in another role has to decide")
    remedy = Words(
        "请由合规审核员（或实施机构）中未提出该修订的一方审批。",
        "Let the compliance officers decide on the mandator's edits, and the reverse.",
    )


class OnNegativeList(Problem):
    """在负面清单上. What is declared is caught by the negative list; `rules` names the entries."""

    status = 403
    title = Words("该数据在负面清单上，不得交易", "This data is on the negative list")
    remedy = Words(
        "请查看公开的负面清单及其依据；认为有误的，可向实施机构提出复审。",
        "Read the published list and its basis; if you think it is wrong, ask the mandator for a review.",
    )
