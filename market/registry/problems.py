"""Why an asset is not registered."""

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
