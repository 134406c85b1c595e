"""What an operator may set about money."""

from pydantic import BaseModel, Field, SecretStr

from storage.settings import Durability


class StripeSettings(BaseModel, frozen=True):
    """The Stripe rail; off while `api_key` is empty."""

    api_key: SecretStr = Field(SecretStr(""), description="Secret API key; empty switches Stripe off.")
    api_base: str = Field("", description="Base address of the API; empty means Stripe's own.")
    webhook_secret: SecretStr = Field(SecretStr(""), description="Signing secret of the webhook endpoint.")
    tolerance_seconds: int = Field(
        300, ge=30, le=3600, description="How old the signature of a webhook may be."
    )
    timeout_seconds: int = Field(10, ge=1, le=80, description="How long one call to Stripe may take.")
    methods: list[str] = Field(
        default_factory=list,
        description="Payment methods offered, e.g. card, alipay, wechat_pay; empty leaves it to the account.",
    )

    @property
    def on(self) -> bool:
        """Whether the rail is set up."""
        return bool(self.api_key.get_secret_value() and self.webhook_secret.get_secret_value())


class BillingSettings(BaseModel, frozen=True):
    """Fees, tax, the market's bank account and the rails."""

    platform_fee_bp: int = Field(
        500, ge=0, le=10_000, description="Platform fee in basis points of the net amount (500 = 5 %)."
    )
    tax_rate_bp: int = Field(
        600,
        ge=0,
        le=10_000,
        description="VAT rate in basis points (600 = 6 %, data and information services).",
    )
    bank_account: str = Field(
        "户名：青岛数港运营有限公司\n开户行：示例银行青岛分行\n账号：0000 0000 0000 0000",
        description="The account buyers transfer to, as shown on payment requests (name, bank, number).",
    )
    due_days: int = Field(15, ge=0, le=180, description="Days after issue in which an invoice is paid.")
    close_after_hours: int = Field(
        72, ge=0, description="Hours a month stays open after its end, for usage that is reported late."
    )
    timezone: str = Field(
        "Asia/Shanghai", description="Zone of invoice dates and periods; follows SHUGANG_TIMEZONE."
    )
    durability: Durability = Field(
        Durability.LOCAL,
        description="What a charge waited for, as invoices of usage say; follows SHUGANG_STORAGE__STANDBY.",
    )
    stripe: StripeSettings = Field(default_factory=StripeSettings)
