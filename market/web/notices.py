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
    "switched": Words("已切换组织。", "You now act for another organization."),
    "submitted": Words(
        "身份材料已提交，核验结果将显示在本页。",
        "Your documents are in. The result will appear on this page.",
    ),
    "invited": Words(
        "邀请邮件已发出，七日内有效。", "The invitation is on its way; it works for seven days."
    ),
    "removed": Words("成员已移除，其会话已结束。", "The member is removed and their sessions have ended."),
    "decided": Words(
        "核验结论已记录并通知申请方可见。", "The decision is recorded and visible to the applicant."
    ),
}
