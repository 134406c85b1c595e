"""Why a product is not built, listed or changed."""

from storage.kernel.problem import Conflict, Problem
from storage.kernel.words import Words


class SlugTaken(Conflict):
    """产品标识重复."""

    title = Words("产品标识已被使用", "This slug is taken")
    remedy = Words("请换一个标识。", "Choose another slug.")


class PlanCodeTaken(Conflict):
    """方案代码重复."""

    title = Words("该产品已有相同代码的方案", "The product has a plan with this code")
    remedy = Words("请换一个方案代码。", "Choose another code.")


class RunPublished(Conflict):
    """重复发布. The run is a version of this product already; `version` is its number."""

    title = Words("该清洗结果已发布", "This run is published already")
    remedy = Words("请重新清洗后再发布新版本。", "Run the recipe again to publish a new version.")


class TierFixed(Conflict):
    """分类已定. The tier is fixed once the product has plans, because every plan carries it."""

    title = Words("已有计价方案，不能更改公益商业分类", "The product has plans; its tier is fixed")
    remedy = Words("请新建产品。", "Draft a new product.")


class ListingLocked(Conflict):
    """挂牌中不可改. The product waits for approval, or is listed; what was approved is not edited."""

    title = Words("送审或已挂牌的产品不能修改", "A submitted or listed product is not edited")
    remedy = Words(
        "请先撤回送审；已挂牌的请发布新版本。", "Withdraw it first; when listed, publish a new version."
    )


class AssetNotRegistered(Problem):
    """未登记. Only a registered asset of one's own organization becomes a product."""

    status = 409
    title = Words("数据资产尚未登记", "The asset is not registered")
    remedy = Words("请先完成数据资产登记。", "Have the asset registered first.")


class FreeTwinNeeded(Conflict):
    """公益孪生不得先撤. Rule T20: the free product stays while a commercial one of the same asset is sold."""

    title = Words(
        "同一资产的商业产品仍在架，公益产品不得下架",
        "A commercial product of the same asset is listed; the free one stays",
    )
    remedy = Words("请先下架商业产品。", "Delist the commercial product first.")


class OfferDiffers(Conflict):
    """要约已变. The hash accepted is not that of the standing offer as it is now; `offer` is the present one."""

    title = Words("您接受的要约与当前内容不一致", "The offer you accepted is not the present one")
    remedy = Words("请重新阅读要约后再提交。", "Read the offer again, then submit.")
