"""Why a rule pack, a switch, a grading or a review is refused, and why a tier decision says no."""

from storage.kernel.problem import Conflict, Problem
from storage.kernel.words import Words


class PackRefused(Problem):
    """规则包无法采用. `line` is where and `reason` is what; the pack in force stays in force."""

    status = 422
    title = Words("规则包无法采用，原规则包继续有效", "The rule pack is refused; the one in force stays")
    remedy = Words("请按所指行修正后重新提交。", "Correct the line named and submit it again.")


class PackVersionTaken(Conflict):
    """规则包版本已存在. A version names one text for ever, so that old decisions can be replayed."""

    title = Words("该规则包版本号已使用", "This pack version is taken by another text")
    remedy = Words("请改用新的版本号。", "Give the pack a new version.")


class LegalRule(Problem):
    """法定规则不得关闭. Only what this market chose can be switched."""

    status = 409
    title = Words("法定规则不能关闭", "A legal rule is never switched off")
    remedy = Words(
        "只有标注为设计选择的规则可以开关。", "Only rules marked as design choices can be switched."
    )


class TierUndecided(Problem):
    """分界未定. The rules neither allow nor deny yet; `hits` say why and what would settle it."""

    status = 409
    title = Words("公益商业分界尚未确定", "The line between free and paid is not settled")
    remedy = Words(
        "请补齐 unknown 所列事实，或办理 hits 中的处理办法。",
        "Supply the facts listed in `unknown`, or follow the way out of each of `hits`.",
    )
