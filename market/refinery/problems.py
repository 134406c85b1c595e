"""Refusals of the refinery."""

from storage.kernel.problem import NotFound, Problem, Unavailable
from storage.kernel.words import Words


class RunNotFound(NotFound):
    """清洗运行不存在."""

    title = Words("未找到清洗运行", "No such run")


class CastFailed(Problem):
    """类型转换失败. A value has no exact form in the type a step asks for."""

    status = 422
    title = Words("有值无法转换为所要的类型", "A value cannot be converted exactly")
    remedy = Words(
        "请先筛选这些行，或把该步的 on_error 设为 null 或 drop。",
        "Filter those rows first, or set the step's on_error to null or drop.",
    )


class RecipeFailed(Problem):
    """配方执行失败. A step met values it cannot work with, such as a sum out of range."""

    status = 422
    title = Words("配方无法在该数据上执行", "The recipe does not work on this data")
    remedy = Words("请检查算术与分段步骤的取值范围。", "Check the ranges of arithmetic and bucket steps.")


class NothingLeft(Problem):
    """没有剩余数据. The recipe drops every row."""

    status = 422
    title = Words("清洗后没有剩余的行", "No row is left after the recipe")
    remedy = Words("请放宽筛选条件。", "Loosen the filters.")


class RunCrashed(Unavailable):
    """清洗进程中断. The process of the run ended without an answer; nothing was kept."""

    title = Words("清洗进程意外中断，未保存任何结果", "The run's process died; nothing was kept")
    remedy = Words(
        "系统会自动重试；如反复出现，请联系管理员。", "It is retried by itself; if it recurs, tell us."
    )


class RunTooLong(Problem):
    """清洗超时. The run used more time than one run may."""

    status = 413
    title = Words("清洗超过时间上限", "The run took longer than allowed")
    remedy = Words(
        "请拆分文件，或请管理员提高时限。", "Split the file, or ask an administrator for more time."
    )
