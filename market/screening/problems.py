"""Why a review cannot be asked for or given."""

from storage.kernel.problem import Conflict
from storage.kernel.words import Words


class ReviewWaiting(Conflict):
    """审查中. The asset is waiting for its secrecy review already."""

    title = Words("该数据资产正在保密审查中", "The asset is waiting for its secrecy review")
    remedy = Words("请等待审查结论。", "Wait for the outcome.")


class ContentsChanged(Conflict):
    """内容已变. The asset's files are not those the review was asked for."""

    title = Words("数据文件在送审后已变更", "The files changed after the review was asked for")
    remedy = Words("请重新申请保密审查。", "Ask for a review of the present contents.")


class PaperFiled(Conflict):
    """材料已备. The same paper stands with the asset already."""

    title = Words("该材料已登记", "This paper is filed already")
    remedy = Words(
        "请核对文号；如已失效，请先终止原记录。", "Check the number; end the old record if it is over."
    )
