"""Why money is not taken, booked or invoiced."""

from typing import Any

from storage.kernel.problem import Conflict, Problem, Unavailable
from storage.kernel.words import Words


class SecondPersonNeeded(Problem):
    """需他人复核. Money is confirmed by two finance people."""

    status = 403
    title = Words("须由另一名财务人员办理", "Another finance person has to do this")
    remedy = Words(
        "登记与复核不得为同一人，请由另一名财务人员复核。",
        "Whoever reported it cannot confirm it; ask a second finance person.",
    )


class AmountDiffers(Problem):
    """金额不符. What arrived is not what was asked for; it belongs into suspense."""

    status = 409
    title = Words("到账金额与应付金额不一致", "The amount received is not the amount due")
    remedy = Words(
        "请核对银行流水；确属不符的，登记为待查款项并联系付款人。",
        "Compare with the bank statement; book it into suspense if it really differs, and call the payer.",
    )


class BankReferenceUsed(Conflict):
    """流水号已使用. This transfer is booked already."""

    title = Words("该银行流水号已登记", "This bank transaction is booked already")
    remedy = Words(
        "一笔转账只能登记一次，请核对流水号。", "One transfer is booked once; compare the bank's number."
    )


class LedgerConflict(Conflict):
    """凭证冲突. Another transaction has this id; nothing was booked."""

    title = Words("同一凭证号已有不同的记账", "Another booking has this id")
    remedy = Words("请联系平台管理员核查流水。", "Ask the platform's administrators to look at the journal.")


class NotEnough(Conflict):
    """余额不足. The account does not hold that much."""

    title = Words("账户余额不足", "Not enough money on the account")
    remedy = Words("请先充值，或减少金额。", "Pay in first, or use a smaller amount.")


class NothingToRefund(Problem):
    """无可退余额. Nothing of what was paid ahead for this license is left, or it is owed on invoices."""

    status = 409
    title = Words("没有可退的预付余额", "There is no prepaid money to refund")
    remedy = Words(
        "可退金额为该许可已付金额减去已开账单、已退与应付未付金额。",
        "What can go back is what was paid for the license less its invoices, earlier refunds and what is still owed.",
    )


class UsageUnbilled(Problem):
    """用量未结清. The license's use of `period` has no invoice yet: only then is it known what is left."""

    status = 409
    title = Words("该许可尚有未开账单的用量", "Some use of the license is not invoiced yet")
    remedy = Words(
        "请联系平台财务先结清该许可，再申请退款。",
        "Ask the platform's finance people to settle the license, then ask for the refund.",
    )


class AccountMissing(Problem):
    """缺少银行账户. Money goes back to the account of the party block; `way_out` is where it is written."""

    status = 409
    title = Words("本单位尚未填写银行账户", "Your organization's bank account is missing")
    remedy = Words(
        "退款汇入主体信息中的银行账户，请由组织管理员补充后重试。",
        "A refund goes to the account among your organization's details; an administrator adds it there.",
    )

    def __init__(self, **members: Any) -> None:
        super().__init__(**members, field="bank_account", way_out="/organization/details")


class PeriodClosed(Conflict):
    """账期已结. A closed period never changes."""

    title = Words("该账期已结账", "The period is closed")
    remedy = Words("后续用量计入下一账期。", "Later usage is booked into the next period.")


class BooksDiffer(Conflict):
    """账不平. Differences block the close and are shown."""

    title = Words("对账存在差异，不能结账", "The books differ; the period cannot be closed")
    remedy = Words("请逐项核查 differences 中的差异。", "Look into each of `differences`.")


class InvoiceDiffers(Conflict):
    """账单冲突. The same charge was invoiced before with other content."""

    title = Words("该费用已开具内容不同的账单", "This charge was invoiced with other content")
    remedy = Words(
        "已开具的账单不可更改，请使用红字账单。", "An issued invoice never changes; use a credit note."
    )


class NothingToInvoice(Problem):
    """无应付金额. Free things have no invoice."""

    status = 422
    title = Words("没有需要开具的金额", "There is nothing to invoice")
    remedy = Words("公益数据与零金额不开具账单。", "Public-good data and zero amounts have no invoice.")


class WebhookRefused(Problem):
    """回调被拒. The signature is missing, wrong or too old."""

    status = 400
    title = Words("回调签名无效或已过期", "The webhook's signature is invalid or too old")
    remedy = Words("请检查签名密钥与时钟。", "Check the signing secret and the clock.")


class RailUnavailable(Unavailable):
    """支付通道不可用. The rail did not answer or is not set up; nothing was charged."""

    title = Words("支付通道暂不可用", "The payment rail is not available")
    remedy = Words("请使用对公转账，或稍后重试。", "Pay by bank transfer, or try again shortly.")
