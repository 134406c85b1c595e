"""Why a deal is refused."""

from storage.kernel.problem import Conflict, NotFound, Problem
from storage.kernel.words import Words


class OrderNotFound(NotFound):
    """订单不存在. No such order, or not one of yours."""

    title = Words("订单不存在", "No such order")


class OrderNotNeeded(Problem):
    """无需下单. Public-good data is free without an order."""

    status = 409
    title = Words("公益数据无需下单", "Public-good data needs no order")
    remedy = Words("请直接下载，或通过 /open/v1 获取。", "Download it directly, or through /open/v1.")


class OwnProduct(Problem):
    """不得自购. A provider does not buy its own product (授权运营实施规范)."""

    status = 409
    title = Words("不能购买本单位的产品", "You cannot buy your own product")


class NotOnOffer(Problem):
    """未挂牌. The product or plan is not on offer now."""

    status = 409
    title = Words("该产品或方案当前未挂牌", "This product or plan is not on offer now")
    remedy = Words("请在产品页选择有效方案。", "Choose a plan that is on offer on the product page.")


class OfferChanged(Problem):
    """要约已变更. The provider changed the listing since the order was placed."""

    status = 409
    title = Words("挂牌内容在下单后已变更", "The listing changed after the order was placed")
    remedy = Words("请取消订单并按新内容重新下单。", "Cancel the order and place it again on the new terms.")


class UseStillReported(Problem):
    """用量仍可上报. The provider may report use within the term that has run out until `until`."""

    status = 409
    title = Words("该许可期内的用量仍可上报", "Use within the term may still be reported")
    remedy = Words(
        "上报期（35 天）届满后方可结清或退款；其间的用量由月末账单开具。",
        "Settle or refund it when the 35 days of reporting have passed; meanwhile monthly invoices carry its use.",
    )


class RegistrationEnded(Conflict):
    """登记已终止. The registration behind the data has ended; nothing is served on it any more."""

    title = Words("数据登记已终止", "The registration of the data has ended")
    remedy = Words(
        "须由登记主体重新办理登记后方可恢复。", "The registrant has to register the data anew first."
    )
