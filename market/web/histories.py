"""Journal entries in words: what happened to an asset or a listing, for the timeline of its page."""

from collections.abc import Iterable
from datetime import datetime

from storage.journal import Entry
from storage.kernel.words import Words

HAPPENED: dict[str, Words] = {
    "asset.drafted": Words("新建草稿", "Drafted"),
    "asset.edited": Words("修改登记信息", "Description changed"),
    "asset.file_attached": Words("上传数据文件", "Data file attached"),
    "asset.file_detached": Words("移除数据文件", "Data file removed"),
    "asset.evidence_attached": Words("上传来源佐证", "Evidence attached"),
    "asset.submitted": Words("提交登记", "Submitted"),
    "asset.accepted": Words("登记机构受理", "Taken up for review"),
    "asset.returned": Words("退回补正", "Returned for correction"),
    "asset.registered": Words("登记赋码", "Registered and numbered"),
    "asset.rejected": Words("不予登记", "Rejected"),
    "asset.withdrawn": Words("撤回申请", "Withdrawn"),
    "asset.review_begun": Words("开始审核", "Review begun"),
    "asset.published": Words("审核通过，发布公示", "Review passed, on public notice"),
    "asset.objected": Words("收到异议，公示暂停", "Objected to; the clock stands still"),
    "asset.changed": Words("变更登记", "Changed"),
    "asset.corrected": Words("更正登记", "Corrected"),
    "asset.renewed": Words("续展登记", "Renewed"),
    "asset.transferred": Words("转移登记", "Transferred"),
    "asset.expired": Words("登记到期", "Expired"),
    "asset.cancelled": Words("注销登记", "Cancelled"),
    "asset.revoked": Words("撤销登记", "Revoked"),
    "asset.refreshed": Words("数据更新", "Data brought up to date"),
    "asset.national_code_noted": Words("记录国家登记编码", "National code noted"),
    "notice.opened": Words("公示开始", "Notice opened"),
    "notice.closed": Words("公示结束", "Notice closed"),
    "objection.answered": Words("登记主体答复异议", "The registrant answered"),
    "objection.dismissed": Words("异议不成立", "Objection dismissed"),
    "objection.sustained": Words("异议成立", "Objection sustained"),
    "amendment.asked": Words("提出登记申请", "Application made"),
    "amendment.proved": Words("补充证明材料", "Document added"),
    "amendment.resubmitted": Words("补正后再提交", "Submitted again"),
    "amendment.agreed": Words("受让方同意", "The recipient agreed"),
    "amendment.declined": Words("受让方拒绝", "The recipient declined"),
    "amendment.withdrawn": Words("撤回登记申请", "Application withdrawn"),
    "amendment.review_begun": Words("申请受理审核", "Application under review"),
    "amendment.returned": Words("申请退回补正", "Application returned"),
    "amendment.rejected": Words("申请不予办理", "Application rejected"),
    "amendment.published": Words("重大变更公示", "Material change announced"),
    "amendment.lapsed": Words("申请随登记终止而失效", "Application lapsed"),
}
_ALIKE = {"asset.edited"}  # said once when it happened several times in a row


def told(entries: Iterable[Entry]) -> list[tuple[datetime, Words, str]]:
    """Moment, what happened, and the reason given; edits in a row are one step."""
    steps: list[tuple[datetime, Words, str]] = []
    before = ""
    for entry in entries:
        words = HAPPENED.get(entry.kind, Words(entry.kind, entry.kind))
        if entry.kind in _ALIKE and entry.kind == before:
            steps.pop()
        steps.append((entry.at, words, str(entry.data.get("reason") or "")))
        before = entry.kind
    return steps
