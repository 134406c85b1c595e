"""The few words the counted door uses for its choices, in both languages."""

from storage.kernel.words import Worded


class Kind(Worded):
    """用量类型. What one usage event stands for."""

    ROWS = "rows", "查询", "Rows"
    DOWNLOAD = "download", "下载", "Download"
    CALL = "call", "接口调用", "Call"


class KeyState(Worded):
    """密钥状态. Announced, signing, or only still trusted."""

    NEXT = "next", "待用", "Next"
    CURRENT = "current", "使用中", "Current"
    RETIRED = "retired", "已退役", "Retired"


class PeriodState(Worded):
    """账期状态. An open period takes events; a closed one never changes."""

    OPEN = "open", "开放", "Open"
    CLOSED = "closed", "已关账", "Closed"


class Settled(Worded):
    """结算结果. How the till decided on one charge."""

    CHARGED = "charged", "已计费", "Charged"
    DUPLICATE = "duplicate", "重复请求，未再计费", "Duplicate, not charged again"
