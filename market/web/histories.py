"""Journal entries in words, for the timelines of pages; what has no words of its own in `words.KINDS` has them here."""

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
    "backup.restored": Words("从备份恢复", "Restored from a backup"),
    "contract.offered": Words("提供方要约", "Offered by the provider"),
    "demo.invited": Words("生成演示人员", "Demo people made"),
    "document_key.made": Words("启用文档签名密钥", "Document key made"),
    "gate.cap_raised": Words("提高费用上限", "Spend cap raised"),
    "gate.extended": Words("延长服务期", "Gate extended"),
    "hold.lifted": Words("解除法律保全", "Legal hold lifted"),
    "hold.placed": Words("法律保全", "Legal hold placed"),
    "invoice.credited": Words("红冲账单", "Invoice credited"),
    "invoice.overdue": Words("账单逾期", "Invoice overdue"),
    "invoice.signed": Words("账单签章", "Invoice signed"),
    "journal.head_signed": Words("签署每日链尾", "Day's head signed"),
    "link.made": Words("生成一次性链接", "One-time link made"),
    "listing.delisted": Words("摘牌", "Delisted"),
    "listing.resumed": Words("恢复挂牌", "Listing resumed"),
    "listing.returned": Words("挂牌退回", "Listing returned"),
    "listing.suspended": Words("暂停挂牌", "Listing suspended"),
    "listing.withdrawn": Words("撤回挂牌申请", "Listing withdrawn"),
    "login.failed": Words("登录失败", "Sign-in failed"),
    "mail.sent": Words("邮件已发送", "Mail sent"),
    "member.added": Words("加入成员", "Member added"),
    "member.removed": Words("移除成员", "Member removed"),
    "party.identity_submitted": Words("提交身份材料", "Identity documents submitted"),
    "party.registered": Words("主体登记", "Party registered"),
    "party.rejected": Words("身份核验未通过", "Identity not verified"),
    "party.verified": Words("身份核验通过", "Identity verified"),
    "person.erased": Words("删除个人信息", "Person erased"),
    "plan.added": Words("新增计价方案", "Plan added"),
    "plan.retired": Words("停用计价方案", "Plan retired"),
    "product.drafted": Words("新建产品", "Product drafted"),
    "product.edited": Words("修改产品", "Product edited"),
    "reaction.parked": Words("自动处理搁置", "A reaction was parked"),
    "records.purged": Words("到期清除", "Records purged"),
    "report_key.ended": Words("停用上报密钥", "Report key ended"),
    "report_key.kept": Words("登记上报密钥", "Report key kept"),
    "reset.asked": Words("申请重置密码", "Password reset asked for"),
    "run.failed": Words("清洗失败", "Run failed"),
    "run.requested": Words("申请清洗", "Run requested"),
    "run.requeued": Words("重新排队清洗", "Run queued again"),
    "run.started": Words("开始清洗", "Run started"),
    "run.succeeded": Words("清洗完成", "Run succeeded"),
    "session.ended": Words("退出登录", "Signed out"),
    "session.opened": Words("登录", "Signed in"),
    "session.others_ended": Words("结束其他会话", "Other sessions ended"),
    "session.switched": Words("切换组织", "Another organization chosen"),
    "sessions.forgotten": Words("清理过期会话", "Ended sessions forgotten"),
    "shelf.shelved": Words("上架", "Put on the shelf"),
    "shelf.unshelved": Words("下架", "Taken off the shelf"),
    "token.revoked": Words("吊销令牌", "Token revoked"),
    "token_key.made": Words("生成令牌密钥", "Token key made"),
    "token_key.retired": Words("停用令牌密钥", "Token key retired"),
    "upstream.declared": Words("申报供方接口", "Provider's API declared"),
    "upstream.secret_rotated": Words("轮换接口密钥", "API secret rotated"),
    "user.created": Words("创建用户", "User created"),
    "user.language_chosen": Words("选择语言", "Language chosen"),
    "user.locked": Words("账号暂时锁定", "Account locked"),
    "user.password_set": Words("设置密码", "Password set"),
    "user.totp_set": Words("绑定动态口令", "Second factor set"),
    "version.published": Words("发布版本", "Version published"),
    "webhook.taken": Words("收到支付通知", "Payment message taken"),
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
