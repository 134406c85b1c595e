"""Why the counted door refuses, and what to do about it."""

from datetime import datetime

from metering.words import ON_A_MANDATE, told
from storage.kernel.problem import Conflict, NotFound, Problem, Unavailable
from storage.kernel.words import Words


class InvalidToken(Problem):
    """令牌无效. The access token is missing, damaged, expired, revoked or meant for something else."""

    status = 401
    title = Words("令牌无效或已过期", "The token is not valid")
    remedy = Words(
        "请用接入凭证在 /oauth/token 重新获取令牌。",
        "Get a new token with your credential at /oauth/token.",
    )

    def __init__(self, detail: Words | None = None, /, *, token_shown: bool = True) -> None:
        super().__init__(detail)
        # Who showed no token is told how to ask, and of no error (RFC 6750 3.1).
        error = ', error="invalid_token"' if token_shown else ""
        self.headers["WWW-Authenticate"] = f'Bearer realm="shugang"{error}'


class WrongAudience(InvalidToken):
    """令牌用途不符. A token of one tier never opens the other."""

    title = Words("令牌不适用于此入口", "The token is for another door")
    remedy = Words(
        "公益与商业数据使用不同的令牌，请按许可重新获取。",
        "Public-good and commercial data use different tokens; get one for this license.",
    )


class NetworksChanged(InvalidToken):
    """网段已变更. The networks of the credential are others than when the token was issued."""

    title = Words(
        "凭证的网段已变更，令牌失效", "The credential's networks have changed since the token was issued"
    )


class AddressRefused(Problem):
    """来源地址不允许. The credential may be used from its listed networks only."""

    status = 403
    title = Words("来源地址不在凭证允许的范围内", "The address is outside the credential's networks")
    remedy = Words(
        "请在接入凭证页面（或 PUT /api/v1/credentials/{id}/networks）加入该网段，然后重新获取令牌。",
        "Add the network to the credential, on its page or with PUT /api/v1/credentials/{id}/networks; then get a "
        "new token.",
    )


class BothSecretsValid(Conflict):
    """两个密钥均有效. A credential has two secrets at most: while the older one is valid, until `older_until`, a
    rotation says which of the two ends now.
    """

    title = Words("旧密钥仍然有效", "The older secret is still valid")
    remedy = Words(
        "轮换时请选择立即停用哪一个：未收到新密钥时停用新的（end=newer），程序已改用新密钥时停用旧的（end=older）；"
        "或等旧密钥到期。",
        "Say which one ends now: the newer one if it never reached you (`end=newer`), the older one if your programs "
        "use the newer (`end=older`); or wait until the older one ends.",
    )


class LicenseNotInForce(Problem):
    """许可不在有效状态. Not begun, expired, suspended, revoked or taken down; `reason` says which."""

    status = 403
    title = Words("许可不在有效状态", "The license is not in force")
    remedy = Words(
        "请查看许可状态；如需继续使用请续期或重新下单。", "See the license; renew it or order again."
    )

    @classmethod
    def because(cls, license_id: str, reason: str, stands_on: str | None = None) -> "LicenseNotInForce":
        """The refusal for a code, with its words; `stands_on` is the mandate's number where that is what ended."""
        named = {"stands_on": stands_on} if stands_on and reason in ON_A_MANDATE else {}
        return cls(told(reason, stands_on), license=license_id, reason=reason, **named)


class QuotaExhausted(Problem):
    """配额用尽. The answer would pass a hard limit of the license; `unit` and `left` say which."""

    status = 403
    title = Words("许可配额已用尽", "The license's quota is used up")
    remedy = Words("请减少本次请求的数量，或购买更多配额。", "Ask for less at once, or buy more quota.")


class SpendCapReached(Problem):
    """消费上限. The answer would cost more than what is left under the spend cap."""

    status = 403
    title = Words("已达到消费上限", "The spend cap is reached")
    remedy = Words("请追加预付款或提高消费上限。", "Top up the prepayment or raise the cap.")


class PurposeRefused(Problem):
    """用途不符. The license does not cover the purpose the token names."""

    status = 403
    title = Words("许可不包含该使用目的", "The license does not cover this purpose")
    remedy = Words("请使用许可列出的目的获取令牌。", "Get a token for a purpose the license lists.")


class DeliveryRefused(Problem):
    """交付方式不符. The license does not include this way of delivery."""

    status = 403
    title = Words("许可不包含该交付方式", "The license does not include this way of delivery")
    remedy = Words("请改用许可约定的交付方式。", "Use a way of delivery the license agrees on.")


class ChargeKeyReused(Conflict):
    """计费键冲突. The same Idempotency-Key came with another request."""

    title = Words("幂等键已用于另一请求", "The key was used for another request")
    remedy = Words("新的请求请使用新的 Idempotency-Key。", "Use a new Idempotency-Key for a new request.")


class ChargeKeyUsed(Conflict):
    """计费键已过期. The purchase under this key was served; the free repetition ended after 24 hours."""

    title = Words("幂等键已使用且超过 24 小时", "The key was used more than 24 hours ago")
    remedy = Words("请使用新的 Idempotency-Key；将作为新的购买计费。", "Use a new key; it is a new purchase.")


class InvalidChargeKey(Problem):
    """幂等键不合规. 1 to 200 visible ASCII characters; a UUIDv7 is best."""

    status = 400
    title = Words("Idempotency-Key 缺失或格式不正确", "Idempotency-Key is missing or malformed")
    remedy = Words(
        "请为每次购买生成一个 UUIDv7 作为 Idempotency-Key。", "Make a UUIDv7 for each purchase and send it."
    )


class TicketExpired(Problem):
    """下载票据过期. A download starts within two minutes and resumes within 24 hours."""

    status = 410
    title = Words("下载票据已过期", "The download ticket has expired")
    remedy = Words("请重新申请下载票据。", "Ask for a new ticket.")


class TillBusy(Unavailable):
    """计费排队已满. Nothing was charged and nothing was served."""

    title = Words("计费通道繁忙", "The till is busy")

    def __init__(self, detail: Words | None = None, /) -> None:
        super().__init__(detail)
        self.headers["Retry-After"] = "1"


class OutcomeUnknown(Unavailable):
    """计费结果未知. The database went away while committing; the same key tells what happened."""

    title = Words("计费结果暂时未知", "The outcome is not known yet")
    remedy = Words(
        "请用同一个 Idempotency-Key 重试：已计费的不会再次计费。",
        "Retry with the same Idempotency-Key: what was charged is not charged again.",
    )

    def __init__(self, detail: Words | None = None, /) -> None:
        super().__init__(detail)
        self.headers["Retry-After"] = "2"


class TooManyRequests(Problem):
    """请求过于频繁. A burst beyond fair use; the quota of a license is another thing."""

    status = 429
    title = Words("请求过于频繁", "Too many requests")
    remedy = Words("请按 Retry-After 的秒数等待后重试。", "Wait the seconds in Retry-After, then try again.")


class RangeNotSatisfiable(Problem):
    """范围无效. The requested bytes lie outside the file."""

    status = 416
    title = Words("请求的字节范围超出文件", "The range lies outside the file")
    remedy = Words("请检查 Range 请求头。", "Check the Range header.")


class QueryTooSlow(Problem):
    """查询过慢. Filters on columns without an index took too long."""

    status = 422
    title = Words("查询耗时过长", "The query took too long")
    remedy = Words(
        "请在 query_columns 列出的字段上过滤，或下载整个文件。",
        "Filter on the columns listed in query_columns, or download the file.",
    )


class QueriesBusy(Unavailable):
    """慢查询过多. Too many queries without an index are waiting; nothing was charged."""

    title = Words("慢查询排队已满", "Too many slow queries are waiting")
    remedy = Words(
        "请在 query_columns 列出的字段上过滤，或稍后重试；未产生任何扣费。",
        "Filter on the columns listed in query_columns, or try again shortly; nothing was charged.",
    )

    def __init__(self, detail: Words | None = None, /) -> None:
        super().__init__(detail)
        self.headers["Retry-After"] = "2"


class NotOnShelf(NotFound):
    """产品不存在. No such product is served here."""

    title = Words("没有这个数据产品", "There is no such data product")


class PeriodNotOver(Problem):
    """账期尚未结束. A month is closed after its end, when usage reported late has had its time; `closable_at` says when."""

    status = 409
    title = Words("账期尚不能结账", "The period cannot be closed yet")
    remedy = Words(
        "月末之后留出时间接收迟报的用量，请到时再结账。",
        "Usage reported late still enters it for a while after its end; close it then.",
    )

    @classmethod
    def until(cls, period: str, closable_at: datetime) -> "PeriodNotOver":
        """The refusal that says from when on (in the market's zone) the month may be closed."""
        at = f"{closable_at:%Y-%m-%d %H:%M}"
        words = Words(f"{period} 账期自 {at} 起可以结账。", f"The month {period} may be closed from {at} on.")
        return cls(words, period=period, closable_at=closable_at.isoformat())


class KeyNotAnnounced(Conflict):
    """密钥尚未公布. The next token key is too new to sign: verifiers that keep our key set do not know it yet."""

    title = Words("待用密钥公布时间不足", "The next key has not been announced long enough")
    remedy = Words(
        "请在 wait_seconds 秒后再轮换；密钥泄露时请用 `shugang keys drop` 立即吊销。",
        "Rotate after `wait_seconds`; if a key has leaked, end it at once with `shugang keys drop`.",
    )


class RequestTooLarge(Problem):
    """请求体过大. The body of a request to a provider's API is larger than allowed; it was not sent on."""

    status = 413
    title = Words("请求体过大", "The request body is too large")
    remedy = Words("请减少请求内容后重试。", "Send less at once.")


class CallRefused(Problem):
    """接口不开放. The product offers no such path or method; `paths` and `methods` list what it does."""

    status = 404
    title = Words("该产品未开放此接口", "The product offers no such call")
    remedy = Words("请改用 paths 与 methods 中列出的接口。", "Use a path and method that are listed.")


class UpstreamRefused(Problem):
    """供方接口拒绝. The provider's API answered 4xx (`upstream_status`); `fault` says whose it is: the request's
    (its parameters) or the upstream's (its secret, its limits). Nothing was charged.
    """

    status = 502
    title = Words(
        "供方接口拒绝了该请求，本次未计费",
        "The provider's API refused the request; this call was not charged",
    )
    remedy = Words(
        "fault 为 request 时请检查参数；为 upstream 时请联系提供方。",
        "When `fault` is request, check the parameters; when it is upstream, tell the provider.",
    )


class UpstreamFailed(Problem):
    """供方接口故障. The fault is the upstream's; `reason` says which: unreachable, answered 5xx, redirected,
    broken off, too large, unreadable, or at an address that is not allowed. Nothing was charged.
    """

    status = 502
    title = Words("供方接口故障，本次未计费", "The provider's API failed; this call was not charged")
    remedy = Words(
        "故障在供方，请稍后用同一个 Idempotency-Key 重试。",
        "The fault is the provider's; retry later with the same Idempotency-Key.",
    )


class UpstreamTimedOut(Problem):
    """供方接口超时. The fault is the upstream's; `reason` says at what: connect, read, write or total.

    Nothing was charged.
    """

    status = 504
    title = Words("供方接口超时，本次未计费", "The provider's API took too long; this call was not charged")
    remedy = Words(
        "故障在供方，请稍后用同一个 Idempotency-Key 重试。",
        "The fault is the provider's; retry later with the same Idempotency-Key.",
    )


class UpstreamResting(Unavailable):
    """供方接口暂停. It failed several times in a row, or too many calls are under way: it was not asked."""

    title = Words("供方接口暂停调用，本次未计费", "The provider's API is resting; this call was not charged")

    def __init__(self, detail: Words | None = None, /, *, retry_after: int, reason: str) -> None:
        super().__init__(detail, reason=reason, fault="upstream", charged=False)
        self.headers["Retry-After"] = str(retry_after)


class NoRoomForAnswer(Unavailable):
    """暂存已满. The disk has no room for the provider's answer, which is charged only when it is whole."""

    title = Words(
        "网关暂存空间不足，本次未计费", "The gateway has no room for the answer; this call was not charged"
    )

    def __init__(self, detail: Words | None = None, /) -> None:
        super().__init__(detail, charged=False)
        self.headers["Retry-After"] = "5"


class InvalidSignature(Problem):
    """签名无效. A usage report is signed (RFC 9421) over its method, path, type and digest with a registered key."""

    status = 401
    title = Words("上报签名缺失或无效", "The signature of the report is missing or not valid")
    remedy = Words(
        "请用本单位登记的 Ed25519 密钥按 RFC 9421 签名，覆盖 @method、@path、content-type、content-digest。",
        "Sign by RFC 9421 with a registered Ed25519 key, covering @method, @path, content-type, content-digest.",
    )
