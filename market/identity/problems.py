"""Why somebody is not let in, or not allowed."""

from typing import Any

from storage.kernel.problem import Conflict, Problem
from storage.kernel.words import Words


class Unauthenticated(Problem):
    """未登录. No valid session or token came with the request."""

    status = 401
    title = Words("请先登录", "Sign in first")
    remedy = Words(
        "请登录，或在 Authorization 头中提供有效令牌。", "Sign in, or send a valid token in Authorization."
    )


class WrongCredentials(Problem):
    """登录失败. The login, password or code is wrong; which one is not said."""

    status = 401
    title = Words("账号、密码或验证码不正确", "Wrong login, password or code")
    remedy = Words(
        "请检查后重试；连续失败将暂时锁定。",
        "Check and try again; repeated failures lock the account for a while.",
    )


class AccountLocked(Problem):
    """账号锁定. Too many failures; the lock ends by itself."""

    status = 429
    title = Words("账号已暂时锁定", "The account is locked for a while")
    remedy = Words("请在 15 分钟后重试，或重置密码。", "Try again in 15 minutes, or reset the password.")


class SecondFactorNeeded(Problem):
    """需要动态口令. Approvers and finance people confirm with a one-time code."""

    status = 403
    title = Words("需要动态口令", "A one-time code is needed")
    remedy = Words(
        "请在“账户安全”中绑定动态口令后重新登录。",
        "Set up a one-time code under account security, then sign in again.",
    )


class Forbidden(Problem):
    """无权限. The caller can see the thing but may not do this to it."""

    status = 403
    title = Words("没有权限", "Not allowed")
    remedy = Words(
        "请联系本组织管理员，或由具备相应角色的人员操作。",
        "Ask your organization's administrator, or someone with the role.",
    )


class OwnDecision(Problem):
    """职责分离. Nobody decides on what they or their organization submitted."""

    status = 403
    title = Words(
        "不得审批本人或本单位提交的事项", "Nobody decides on their own or their organization's matter"
    )
    remedy = Words("请由其他单位的审批人员处理。", "Leave it to a decider of another organization.")


class PartyUnverified(Problem):
    """身份未核验. 数据安全法 33: identity is verified before a deal."""

    status = 403
    title = Words("主体身份尚未核验", "The party's identity is not verified yet")
    remedy = Words(
        "请提交身份材料，核验通过后再试。", "Submit the identity documents; try again once verified."
    )


class AddressMissing(Problem):
    """缺少住所. The party block a contract prints lacks the address; `way_out` is the page where it is written."""

    status = 409
    title = Words("本单位尚未填写住所", "Your organization's address is missing")
    remedy = Words(
        "合同须载明双方住所，请由组织管理员在“组织信息”中补充后重试。",
        "A contract names both addresses. An administrator of your organization adds it under its details; then try again.",
    )

    def __init__(self, **members: Any) -> None:
        super().__init__(**members, field="address", way_out="/organization/details")


class LinkSpent(Problem):
    """链接失效. A one-time link was used, has expired, or never existed."""

    status = 410
    title = Words("链接已失效", "The link is no longer valid")
    remedy = Words("请重新申请链接。", "Ask for a new link.")


class AlreadyRegistered(Conflict):
    """已注册. A party with this identity number or a user with this login exists."""

    title = Words("该主体或账号已注册", "This party or login is already registered")
    remedy = Words(
        "请直接登录，或联系组织管理员邀请您加入。",
        "Sign in, or ask the organization's administrator to invite you.",
    )
