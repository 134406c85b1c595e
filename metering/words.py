"""The few words the counted door uses for its choices, in both languages."""

from storage.kernel.words import Worded, Words


class Kind(Worded):
    """用量类型. What one usage event stands for."""

    ROWS = "rows", "查询", "Rows"
    DOWNLOAD = "download", "下载", "Download"
    CALL = "call", "接口调用", "Call"
    REPORTED = "reported", "供方上报", "Reported by the provider"


class KeyState(Worded):
    """密钥状态. Announced, signing, only still trusted, or trusted no more."""

    NEXT = "next", "待用", "Next"
    CURRENT = "current", "使用中", "Current"
    RETIRED = "retired", "已退役", "Retired"
    DROPPED = "dropped", "已吊销", "Dropped"


class PeriodState(Worded):
    """账期状态. An open period takes events; a closed one never changes."""

    OPEN = "open", "开放", "Open"
    CLOSED = "closed", "已关账", "Closed"


class Settled(Worded):
    """结算结果. How the till decided on one charge."""

    CHARGED = "charged", "已计费", "Charged"
    DUPLICATE = "duplicate", "重复请求，未再计费", "Duplicate, not charged again"


class OneSecret(Worded):
    """两个密钥之一. Which of the two secrets that a credential may have at a time."""

    OLDER = "older", "旧密钥", "The older secret"
    NEWER = "newer", "新密钥", "The newer secret"


class SecretPlace(Worded):
    """密钥位置. How a provider's API wants its secret."""

    HEADER = "header", "请求头", "Header"
    QUERY = "query", "查询参数", "Query parameter"
    NONE = "none", "无需密钥", "No secret"


class HitTest(Worded):
    """查得条件. What the pointed-at value must be for an answer to count as found."""

    EXISTS = "exists", "存在", "Exists"
    EQUALS = "equals", "等于", "Equals"
    NON_EMPTY = "non_empty", "非空", "Is not empty"


class Shut(Worded):
    """拒绝服务的原因. The code a caller is told when a license is not served, and its words."""

    NOT_BEGUN = "not_begun", "许可期限尚未开始", "the term of the license has not begun"
    EXPIRED = "expired", "许可期限已届满", "the term of the license is over"
    SUSPENDED = "suspended", "许可已中止", "the license is suspended"
    REVOKED = "revoked", "许可已撤销", "the license was revoked"
    TERMINATED = "terminated", "许可已终止", "the license was terminated"
    TAKEN_DOWN = "taken_down", "产品已下架", "the product was taken off the shelf"
    NEGATIVE_LIST = "negative_list", "数据已列入负面清单", "the data is on the negative list"
    MANDATE_EXPIRED = "mandate_expired", "所依据的授权运营已到期", "the mandate it stands on has expired"
    MANDATE_SUSPENDED = (
        "mandate_suspended",
        "所依据的授权运营已暂停",
        "the mandate it stands on is suspended",
    )
    MANDATE_TERMINATED = (
        "mandate_terminated",
        "所依据的授权运营已终止",
        "the mandate it stands on was terminated",
    )
    REGISTRATION_EXPIRED = (
        "registration_expired",
        "所依据的数据登记已到期",
        "the registration it stands on has expired",
    )
    RESTORED = "restored", "平台刚从备份恢复，正在对账", "the market was restored and is being checked"


# Ends by time alone, known in advance: the term was served whole.
RAN_OUT = frozenset({Shut.EXPIRED, Shut.MANDATE_EXPIRED, Shut.REGISTRATION_EXPIRED})
# What ends with something that has a number of its own, so that a refusal can name it.
ON_A_MANDATE = frozenset({Shut.MANDATE_EXPIRED, Shut.MANDATE_SUSPENDED, Shut.MANDATE_TERMINATED})


def told(code: str, stands_on: str | None) -> Words | None:
    """Why a license is not served, in words; None for a code without any.

    stands_on: the number of the mandate a license is served under, named when it is what ended.

    >>> told("mandate_expired", "SQ-2026-000001-C").en
    'the mandate it stands on has expired (SQ-2026-000001-C)'
    """
    known = next((each for each in Shut if each.value == code), None)
    if known is None:
        return None
    if known not in ON_A_MANDATE or stands_on is None:
        return known.words
    return Words(f"{known.words.zh}（{stands_on}）", f"{known.words.en} ({stands_on})")


class BreakerState(Worded):
    """熔断状态. Whether an upstream is asked, rested, or tried once."""

    CLOSED = "closed", "正常", "Closed"
    OPEN = "open", "熔断", "Open"
    HALF_OPEN = "half_open", "试探", "Half open"


class Reported(Worded):
    """上报结果. What became of one usage event sent from outside."""

    ACCEPTED = "accepted", "已入账", "Accepted"
    DUPLICATE = "duplicate", "重复，未再入账", "Duplicate, not booked again"
    CONFLICT = "conflict", "同一编号内容不同", "Same id, other content"
    REJECTED = "rejected", "未入账", "Rejected"


class By(Worded):
    """分组. What usage is summed by."""

    HOUR = "hour", "小时", "Hour"
    DAY = "day", "日期", "Day"
    PURPOSE = "purpose", "使用目的", "Purpose"
    PRODUCT = "product", "产品", "Product"
    LICENSE = "license", "许可", "License"
    CREDENTIAL = "credential", "接入凭证", "Credential"


class Side(Worded):
    """买卖方向. What an organization bought, or what was used of its products."""

    BOUGHT = "bought", "买入", "Bought"
    SOLD = "sold", "售出", "Sold"


class LimitUnit(Worded):
    """限额单位. What a limit of a license counts."""

    CALLS = "calls", "调用次数", "Calls"
    ROWS = "rows", "数据行数", "Rows"
    BYTES = "bytes", "数据量", "Bytes"
    DOWNLOADS = "downloads", "下载次数", "Downloads"
    SPEND = "spend", "费用", "Spend"


class AnomalyKind(Worded):
    """异常类型. In which way usage stood out."""

    SURGE = "surge", "用量激增", "Surge"
    NIGHT = "night", "非工作时段批量提取", "Bulk pull at night"
    PROBING = "probing", "越权试探", "Scope probing"
    OFF_PURPOSE = "off_purpose", "超出许可目的使用", "Used for another purpose than granted"
