"""What a page says after a write that succeeded: `?done=name` picks one of these, nothing else is shown."""

from storage.kernel.words import Words

NOTICES: dict[str, Words] = {
    "registered": Words(
        "注册成功，请登录并提交企业身份材料。",
        "You are registered. Sign in and submit your identity documents.",
    ),
    "signed_out": Words("您已安全退出。", "You have signed out."),
    "reset_asked": Words(
        "如果该邮箱已注册，重置链接已发出，两小时内有效。",
        "If this e-mail is registered, a reset link is on its way; it works for two hours.",
    ),
    "password_set": Words(
        "密码已设置，所有会话已结束，请用新密码登录。",
        "The password is set and every session has ended. Sign in with it.",
    ),
    "totp_set": Words(
        "动态口令已绑定。请退出后重新登录，即可办理审批与财务事项。",
        "The one-time code is set up. Sign out and in again to work on approvals and payments.",
    ),
    "others_ended": Words("其他设备上的会话已全部结束。", "Every other session has ended."),
    "language_chosen": Words(
        "语言已保存，今后的邮件使用该语言。", "The language is kept; mails are written in it from now on."
    ),
    "switched": Words("已切换组织。", "You now act for another organization."),
    "submitted": Words(
        "身份材料已提交，核验结果将显示在本页。",
        "Your documents are in. The result will appear on this page.",
    ),
    "details_kept": Words(
        "主体信息已保存，新合同与新账单将按此载明。",
        "The details are kept; new contracts and invoices print them.",
    ),
    "details_renamed": Words(
        "主体信息已保存。名称或证件号码已变更，请重新提交身份材料；核验通过前不能下单、签约或挂牌。",
        "The details are kept. The name or number is another one: submit new documents; ordering, signing and listing wait for the check.",
    ),
    "invited": Words(
        "邀请邮件已发出，七日内有效。", "The invitation is on its way; it works for seven days."
    ),
    "removed": Words("成员已移除，其会话已结束。", "The member is removed and their sessions have ended."),
    "decided": Words(
        "核验结论已记录并通知申请方可见。", "The decision is recorded and visible to the applicant."
    ),
    "paper_filed": Words(
        "材料已登记，待合规人员核对。", "The paper is filed; a compliance officer checks it."
    ),
    "paper_ended": Words("材料已终止。", "The paper has ended."),
    "dispute_noted": Words(
        "权属争议已登记，相关产品即时适用。", "The dispute is noted and counts at once for the products."
    ),
    "dispute_ended": Words("权属争议已了结。", "The dispute is settled."),
    "review_asked": Words("保密审查申请已提交。", "The secrecy review has been asked for."),
    "rules_adopted": Words("规则包已采用，即刻生效。", "The pack is adopted and in force."),
    "rule_switched": Words("规则开关已变更并记入流水。", "The switch is recorded in the journal."),
    "established": Words("复核认定已记录。", "The finding is recorded."),
    "ordered": Words(
        "订单已提交，审批结论将发送到您的邮箱并显示在本页。",
        "Your order is placed. The decision comes by mail and appears on this page.",
    ),
    "contracted": Words("合同已签署并由平台见证。", "The contract is signed and witnessed by the platform."),
    "cancelled": Words("订单已取消。", "The order is cancelled."),
    "ruled_many": Words(
        "批量意见已逐件记录，申请方可见。", "Every ticked case is decided; the applicants can read it."
    ),
    "ruled_some": Words(
        "部分事项已办结；其余因风险、人数或内容变化须逐件办理，仍在队列中。",
        "Some are decided. The others stay in the queue: their risk, number of people or a change asks for one by one.",
    ),
    "taken": Words("您已领办该事项。", "You are in charge of this case."),
    "handed_over": Words("已转办并通知对方。", "Handed over; they have been told."),
    "said": Words("留言已记录，对方可见。", "Your words are kept; the other side can read them."),
    "request_withdrawn": Words("申请已撤回。", "The request is withdrawn."),
    "resubmitted": Words(
        "已补正并再次送审，原有意见均保留。", "Submitted again as the same case; what was said is kept."
    ),
    "revocation_asked": Words(
        "撤销申请已提交，由合规人员审批。", "Your request is in; a compliance officer decides."
    ),
    "delegated": Words("委托已生效并记录。", "The delegation is recorded."),
    "delegation_ended": Words("委托已终止。", "The delegation has ended."),
    "ruled": Words("审批意见已记录，申请方可见。", "Your decision is recorded; the applicant can read it."),
    "received": Words(
        "到账已登记，等待另一名财务人员复核。",
        "The receipt is reported; a second finance person confirms it.",
    ),
    "confirmed": Words(
        "到账已复核，许可随即生效。", "The receipt is confirmed; the license becomes active at once."
    ),
    "sent_back": Words("登记已退回，付款单恢复待付款。", "The report is sent back; the payment waits again."),
    "suspended": Words(
        "款项已转入待查，等待另一名财务人员处理。",
        "The money is in suspense; a second finance person decides.",
    ),
    "returned": Words("款项已登记退回。", "The money is booked as returned."),
    "refund_asked": Words(
        "退款申请已提交，款项已冻结，由平台财务办理。",
        "You asked for the refund; the money is set aside and the platform's finance people send it.",
    ),
    "refund_sent": Words(
        "汇出已登记，等待另一名财务人员复核。",
        "The sending is reported; a second finance person confirms it.",
    ),
    "refund_settled": Words("退款已复核入账。", "The refund is confirmed and booked."),
    "refund_ended": Words(
        "退款单已结束，款项恢复为预付余额。", "The refund has ended; the money is prepaid again."
    ),
    "refund_again": Words(
        "登记已退回，退款单恢复待退款。", "The report is sent back; the refund is to be sent again."
    ),
    "invoice_asked": Words("付款单已生成。", "The payment request is made."),
    "closed": Words("账期已结账，账单已开具。", "The month is closed and its invoices are issued."),
    "settled": Words("已结清并开具账单。", "Settled; the invoice is issued."),
    "nothing_due": Words("没有需要结算的用量。", "There is no usage to settle."),
    "misuse_told": Words(
        "已记录并列入合规待查；许可状态未变。",
        "Noted for compliance to look into; the license goes on as it was.",
    ),
    "license_moved": Words(
        "许可状态已变更，下一次请求即按新状态执行。",
        "The license has changed; the very next request feels it.",
    ),
    "credential_ended": Words(
        "凭证已停用，其令牌自下一次请求起被拒绝。",
        "The credential has ended; its tokens are refused from now on.",
    ),
    "networks_set": Words(
        "网段已更改，即刻生效；按原网段签发的令牌失效，请程序重新获取。",
        "The networks are changed as of now; tokens issued for the former ones have ended: programs get new ones.",
    ),
    "credential_shown": Words(
        "凭证已创建，密钥已在上一页显示过一次；如未记下，请轮换。",
        "The credential is made and its secret was shown once; rotate it if you did not keep it.",
    ),
    "asset_drafted": Words(
        "草稿已保存。请上传数据文件与来源佐证，补全信息后提交。",
        "The draft is kept. Upload the data and the evidence, complete the form, then submit.",
    ),
    "saved": Words("修改已保存。", "Your changes are kept."),
    "file_kept": Words(
        "文件已上传并完成检视，请核对下方的字段与样例。",
        "The file is in and was read through. Check its columns and sample below.",
    ),
    "evidence_kept": Words("来源佐证已上传。", "The evidence is in."),
    "file_removed": Words("文件已移除。", "The file is removed."),
    "items_derived": Words("已按文件填写信息项与数据规模。", "Data items and scale are taken from the file."),
    "asset_submitted": Words("已提交登记机构审核。", "Submitted; the registrar examines it next."),
    "asset_withdrawn": Words("申请已撤回。", "The application is withdrawn."),
    "asset_accepted": Words("已受理，请作出登记结论。", "Taken up for review. Decide on the registration."),
    "asset_returned": Words("已退回申请方补正。", "Returned to the applicant for correction."),
    "asset_registered": Words("已登记并赋码。", "Registered and numbered."),
    "asset_rejected": Words("已作出不予登记的结论。", "The registration is refused."),
    "review_begun": Words("已开始审核。", "The review has begun."),
    "notice_opened": Words("已发布公示。", "The notice is published."),
    "asset_revoked": Words(
        "登记已撤销，相关挂牌与许可已停止。",
        "The registration is revoked; listings and licenses have stopped.",
    ),
    "objected": Words(
        "异议已提交，公示期暂停；裁定结果将显示在本页。",
        "Your objection is in and the clock stands still; the decision will appear here.",
    ),
    "objection_answered": Words("答复已提交登记机构。", "The registrar has your answer."),
    "objection_decided": Words("异议已裁定。", "The objection is decided."),
    "amendment_asked": Words("申请已提交。", "The application is submitted."),
    "amendment_decided": Words("申请已办结。", "The application is decided."),
    "transfer_agreed": Words("已同意受让，等待登记机构办理。", "You agreed; the registrar decides next."),
    "transfer_declined": Words("已拒绝受让。", "You declined the transfer."),
    "item_defined": Words("数据项已定义。", "The data item is defined."),
    "source_kept": Words("来源信息已保存。", "The source is kept."),
    "authority_moved": Words("权威来源已更新。", "The authoritative source is updated."),
    "product_drafted": Words(
        "产品草稿已建立。接下来清洗数据、发布版本、设置方案、申请挂牌。",
        "The product is drafted. Next: cleanse the data, publish a version, add plans, apply for listing.",
    ),
    "run_asked": Words("清洗任务已提交。", "The run is queued."),
    "version_published": Words("新版本已发布，不可更改。", "The version is published and will not change."),
    "interface_declared": Words("接口已申报，密钥已封存。", "The API is declared and its secret is sealed."),
    "interface_rotated": Words(
        "密钥已轮换，下一次调用起使用。", "The secret is rotated and used from the next call on."
    ),
    "plan_added": Words("计价方案已增加。", "The plan is added."),
    "plan_retired": Words("方案已停用，已有许可不受影响。", "The plan is retired; running licenses keep it."),
    "listing_submitted": Words("挂牌申请已提交审批。", "The listing waits for approval."),
    "listing_withdrawn": Words(
        "挂牌申请已撤回，可继续修改。", "The application is withdrawn; you may edit again."
    ),
    "listing_suspended": Words(
        "已暂停挂牌，产品立即下架。", "Suspended: the product is off the shelf at once."
    ),
    "listing_resumed": Words("已恢复挂牌。", "The product is back on the shelf."),
    "listing_ended": Words("已摘牌。", "The listing has ended."),
    "edit_proposed": Words(
        "修订已提交，由另一角色的人员审批后发布。",
        "The edit waits for somebody in another role; then it is published.",
    ),
    "edit_withdrawn": Words("修订已撤回。", "The edit is withdrawn."),
    "mandate_kept": Words("授权草案已保存。", "The draft of the mandate is kept."),
    "mandate_moved": Words("已办理并记录。", "Done and recorded."),
    "ceiling_set": Words("上限收费标准已核定并公布。", "The ceiling is set and published."),
    "ceiling_ended": Words(
        "上限收费标准已废止，新订单待重新定价。", "The ceiling has ended; new orders wait for another."
    ),
    "cap_set": Words("最高准许收入已核定。", "The revenue cap is set."),
}
