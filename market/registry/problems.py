"""Why an asset is not registered, changed or found."""

from storage.kernel.problem import Conflict
from storage.kernel.words import Words


class ContentRegistered(Conflict):
    """内容重复. A file with the same SHA-256 belongs to a registered asset already; `number` names it."""

    title = Words("相同内容已被登记", "The same content is registered already")
    remedy = Words(
        "请核对文件；如对权属有异议，请向登记机构提出。",
        "Check the file; if you dispute the ownership, object at the registrar.",
    )


class FileAttached(Conflict):
    """文件已附. This asset has a file with the same content."""

    title = Words("该文件已上传", "This file is attached already")
    remedy = Words("无需重复上传。", "There is no need to upload it again.")


class NoticeNeeded(Conflict):
    """须先公示. The office gives days of notice; registration or a material change waits for them."""

    title = Words("须先公示", "Public notice comes first")
    remedy = Words(
        "请先发布公示，公示期满且无未决异议后再登记。",
        "Publish the notice first; register when it is over and no objection is open.",
    )


class NoticeRunning(Conflict):
    """公示未满. The notice is not over; `ends_at` says when it is."""

    title = Words("公示期未满", "The public notice is still running")
    remedy = Words("请在公示期满后办理。", "Come back when the notice is over.")


class NoticeOver(Conflict):
    """公示已结束. Objections are heard during the notice only; `ended_at` says when it was over."""

    title = Words("公示期已结束，不再受理异议", "The public notice is over; objections are no longer heard")
    remedy = Words(
        "可向登记机构举报不实登记，由其依法撤销。",
        "Report a false registration to the registrar, who may revoke it.",
    )


class ObjectedAlready(Conflict):
    """已提异议. The same person's or organization's objection to this notice is still open."""

    title = Words("您的异议正在处理", "Your objection is being handled")
    remedy = Words("请等待裁定。", "Wait for the decision.")


class NotHeard(Conflict):
    """尚未听取答复. The registrant may answer until `until`; both sides are heard before a decision."""

    title = Words("须先听取登记主体的答复", "The registrant has to be heard first")
    remedy = Words("请等待答复或答复期满。", "Wait for the answer, or for the end of the time given.")


class ObjectionsOpen(Conflict):
    """异议未决. Another objection to the same notice is still open."""

    title = Words("仍有未决异议", "Another objection is still open")
    remedy = Words("请逐一裁定。", "Decide each of them.")


class AmendmentOpen(Conflict):
    """申请未决. A registration has one open application at a time; `amendment` names it."""

    title = Words("已有未办结的登记申请", "Another application is open")
    remedy = Words("请先办结或撤回该申请。", "Finish or withdraw it first.")


class RenewalClosed(Conflict):
    """不在续展期. Renewal is asked for from `opens_at` until `closes_at`."""

    title = Words("不在续展办理期", "Not in the renewal window")
    remedy = Words("请在到期前的续展期内申请。", "Ask within the window before the end.")


class RecipientUnverified(Conflict):
    """受让方未核验. A registration passes to a verified organization only."""

    title = Words("受让方身份未核验", "The recipient's identity is not verified")
    remedy = Words("请受让方先完成主体核验。", "The recipient completes the identity check first.")


class SourceTaken(Conflict):
    """一数一源. This data item has its one authoritative source; `asset` and `number` name it."""

    title = Words("该数据项已有权威来源", "This data item has an authoritative source already")
    remedy = Words(
        "请申请共享该来源，或由登记机构先终止原来源。",
        "Ask to share that source, or have the registrar end it first.",
    )


class SourceExists(Conflict):
    """来源已登记. This asset is a source of this data item already."""

    title = Words("该资产已登记为此数据项的来源", "The asset is a source of this item already")
    remedy = Words("可直接修改其采集、核准、提供部门。", "Edit its collector, approver and provider.")


class ItemExists(Conflict):
    """数据项已存在. Another data item has this code."""

    title = Words("数据项代码已存在", "The item's code is taken")
    remedy = Words("请使用已有数据项。", "Use the item that exists.")
