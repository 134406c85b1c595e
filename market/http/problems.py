"""How a refusal leaves the house: one handler, one shape, in JSON or as a page."""

from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, OperationalError
from starlette.exceptions import HTTPException

from storage.kernel.problem import Conflict, Fault, Invalid, MethodNotAllowed, NotFound, Problem, Unavailable
from storage.kernel.words import Words


class CsrfMissing(Problem):
    """缺少防伪令牌. A browser's write came without the session's own token."""

    status = 403
    title = Words("页面已过期", "The page has expired")
    remedy = Words("请刷新页面后重试。", "Reload the page and try again.")


class BodyTooLarge(Problem):
    """内容过大. The body is above the limit set by the operator."""

    status = 413
    title = Words("提交的内容过大", "The body is too large")
    remedy = Words("请拆分后提交，或联系平台提高上限。", "Split it, or ask the operator for a higher limit.")


class BodyMalformed(Problem):
    """格式错误. The body is not what its Content-Type says."""

    status = 400
    title = Words("请求内容无法解析", "The body cannot be read")


class UploadIncomplete(Problem):
    """上传中断. The connection ended early; nothing was kept."""

    status = 400
    title = Words("上传未完成，未保存任何内容", "The upload broke off; nothing was kept")
    remedy = Words("请重新上传。", "Upload again.")


class ServerFault(Problem):
    """内部错误. Our fault; it was logged under the given number and nothing was half-written."""

    status = 500
    title = Words("服务器内部错误", "Internal error")
    remedy = Words(
        "请稍后重试，并将 incident 编号告知平台。", "Try again later and tell us the incident number."
    )


_RULES = {
    "missing": Words("必填。", "Required."),
    "extra_forbidden": Words("不认识的字段。", "Unknown field."),
    "int_from_float": Words("必须是整数。", "Must be a whole number."),
    "int_parsing": Words("必须是整数。", "Must be a whole number."),
    "int_type": Words("必须是整数。", "Must be a whole number."),
    "greater_than_equal": Words("数值过小。", "The number is too small."),
    "less_than_equal": Words("数值过大。", "The number is too large."),
    "string_too_short": Words("内容过短。", "Too short."),
    "string_too_long": Words("内容过长。", "Too long."),
    "greater_than": Words("数值过小。", "The number is too small."),
    "less_than": Words("数值过大。", "The number is too large."),
    "finite_number": Words("必须是有限数值。", "Must be a finite number."),
    "bool_type": Words("必须是 true 或 false。", "Must be true or false."),
    "bool_parsing": Words("必须是 true 或 false。", "Must be true or false."),
    "string_type": Words("必须是文本。", "Must be text."),
    "string_unicode": Words("含有不可用的字符。", "Holds characters that cannot be kept."),
    "string_pattern_mismatch": Words("格式不正确。", "Does not have the right form."),
    "list_type": Words("必须是列表。", "Must be a list."),
    "tuple_type": Words("必须是列表。", "Must be a list."),
    "dict_type": Words("必须是对象。", "Must be an object."),
    "model_type": Words("必须是对象。", "Must be an object."),
    "model_attributes_type": Words("必须是 JSON 对象。", "Must be a JSON object."),
    "enum": Words("不在可选范围内。", "Not one of the choices."),
    "date_from_datetime_parsing": Words("日期应写作 2026-01-31。", "Write the date as 2026-01-31."),
    "date_parsing": Words("日期应写作 2026-01-31。", "Write the date as 2026-01-31."),
    "too_short": Words("请至少选择一项。", "Choose at least one."),
    "too_long": Words("项目过多。", "Too many."),
    "json_invalid": Words("JSON 格式错误。", "Not valid JSON."),
}


def as_problem(error: Exception) -> Problem | None:  # noqa: C901  # a list of what can be refused
    """The refusal an exception stands for, or None when it is a fault of ours."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return Invalid(*(_fault(item) for item in error.errors()))
    if isinstance(error, IntegrityError):
        return Conflict(Words("同时提交了相同内容。", "The same thing was submitted at the same moment."))
    if isinstance(error, DataError):
        return BodyMalformed()  # a value no column can hold, such as a NUL character
    if isinstance(error, OperationalError | InterfaceError):
        return Unavailable(Words("数据库暂不可用。", "The database is unavailable."))
    if isinstance(error.__cause__, Problem):
        return error.__cause__  # FastAPI wraps what happens while it reads a body
    if isinstance(error, HTTPException):
        if error.status_code == 405:
            return MethodNotAllowed((error.headers or {}).get("Allow", ""))
        if error.status_code == 404:
            return NotFound()
        if error.status_code < 500:
            return BodyMalformed()
    return None


def _fault(item: dict[str, object]) -> Fault:
    place = item["loc"]
    parts = (
        [str(part) for part in place if part not in {"body", "query", "path"}]
        if isinstance(place, tuple)
        else []
    )
    rule = str(item["type"])
    message = str(item["msg"])
    words = _RULES.get(rule, Words(f"不符合要求：{message}", message))
    return Fault(".".join(parts) or "body", rule, words)
