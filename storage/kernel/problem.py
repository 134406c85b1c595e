"""The one exception of the house: a refusal that explains itself (RFC 9457), in both languages."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from storage.kernel.words import Lang, Words


class Problem(Exception):
    """A refusal. Subclasses state what is refused; an instance states the case.

    `status` is the HTTP status, `title` says what is wrong, `remedy` says what to do. Members are
    JSON values a program can use; they never hold secrets.
    """

    status: ClassVar[int] = 400
    title: ClassVar[Words] = Words("请求被拒绝", "Request refused")
    remedy: ClassVar[Words] = Words("请按提示修改后重试。", "Correct the request as described and try again.")
    headers: dict[str, str]

    def __init__(self, detail: Words | None = None, /, **members: Any) -> None:
        super().__init__(detail.en if detail else self.title.en)
        self.detail = detail
        self.members = members
        self.headers = {}

    @classmethod
    def slug(cls) -> str:
        """The name used in `/problems/{slug}`: the class name in kebab case."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    def document(self, lang: Lang = "zh") -> dict[str, Any]:
        """The problem+json body, led by `lang` and carrying both languages."""
        body: dict[str, Any] = {
            "type": f"/problems/{self.slug()}",
            "title": self.title.say(lang),
            "status": self.status,
            "titles": self.title.both(),
            "remedy": self.remedy.both(),
        }
        if self.detail:
            body["detail"] = self.detail.say(lang)
            body["details"] = self.detail.both()
        return body | self.members


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with one field: its dotted name, the rule it broke, and words for people."""

    field: str
    rule: str
    words: Words


class Invalid(Problem):
    """输入不合规. Fields of the request break rules; `errors` lists every one of them."""

    status = 422
    title = Words("输入不符合要求", "Invalid input")
    remedy = Words("请修改列出的字段后重新提交。", "Correct the listed fields and submit again.")

    def __init__(self, *faults: Fault) -> None:
        self.faults: Sequence[Fault] = faults
        lead = faults[0].words if faults else None
        super().__init__(
            lead, errors=[{"field": f.field, "rule": f.rule, "message": f.words.both()} for f in faults]
        )


def invalid(field: str, rule: str, zh: str, en: str) -> Invalid:
    """An Invalid with a single fault."""
    return Invalid(Fault(field, rule, Words(zh, en)))


class NotFound(Problem):
    """不存在. Nothing by this name, or nothing the caller may know of."""

    status = 404
    title = Words("未找到", "Not found")
    remedy = Words(
        "请检查编号；也可能您无权查看。", "Check the identifier; it may also not be visible to you."
    )


class MethodNotAllowed(Problem):
    """方法不允许. This address exists but not for this method; `Allow` says for which."""

    status = 405
    title = Words("不支持的请求方法", "Method not allowed")
    remedy = Words("请使用 Allow 响应头中列出的方法。", "Use a method listed in the Allow header.")

    def __init__(self, *methods: str) -> None:
        super().__init__()
        self.headers["Allow"] = ", ".join(methods)


class WrongState(Problem):
    """状态不允许. The thing is not in a state that allows this; `allowed` lists what is possible."""

    status = 409
    title = Words("当前状态不允许此操作", "Not possible in the current state")
    remedy = Words(
        "请刷新后选择 allowed 中列出的操作。", "Reload and choose one of the operations in `allowed`."
    )


class Conflict(Problem):
    """冲突. Somebody else changed or claimed it first."""

    status = 409
    title = Words("与现有内容冲突", "Conflicts with what exists")
    remedy = Words("请刷新页面，核对最新内容后重试。", "Reload, check the latest content and try again.")


class Unavailable(Problem):
    """暂不可用. Nothing was done or charged; trying later is safe."""

    status = 503
    title = Words("服务暂不可用", "Temporarily unavailable")
    remedy = Words("未产生任何扣费，请稍后重试。", "Nothing was charged; please try again shortly.")
