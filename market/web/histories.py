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
