"""Everything an operator may set, as SHUGANG_* variables; no other source."""

import secrets
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from market.billing.settings import BillingSettings, StripeSettings
from market.registry.settings import RegistrySettings
from metering.settings import MeteringSettings
from storage.settings import StorageSettings

_SOURCE = Path(__file__).resolve().parents[1] / "templates"
# Beside the packages in a checkout, inside this one in the wheel.
TEMPLATES = _SOURCE if _SOURCE.exists() else Path(__file__).resolve().parent / "templates"


class Limits(BaseModel, frozen=True):
    """上限. What the market accepts before it says no."""

    upload_bytes: int = Field(20 << 30, ge=1, description="Largest file of an asset, in bytes.")
    json_bytes: int = Field(1 << 20, ge=1024, description="Largest JSON or form body, in bytes.")
    columns: int = Field(2000, ge=1, description="Most columns of a file.")
    xlsx_bytes: int = Field(512 << 20, ge=1, description="Largest unpacked XLSX file, in bytes.")
    page_rows: int = Field(1000, ge=1, le=10_000, description="Most rows one answer of the rows API carries.")
    run_memory_mb: int = Field(2048, ge=256, description="Memory a cleansing run may use.")
    run_seconds: int = Field(3600, ge=1, description="Time a cleansing run may take.")


class MailSettings(BaseModel, frozen=True):
    """邮件."""

    url: str = Field(
        "", description="smtp://user:password@host:port; empty means files under var/mail and an inbox page."
    )
    sender: str = Field("no-reply@shugang.example", description="The From address.")


class Settings(BaseSettings):
    """Built once in the house and handed down as values; `docs/settings.md` is made from it."""

    model_config = SettingsConfigDict(
        env_prefix="SHUGANG_", env_nested_delimiter="__", frozen=True, extra="ignore"
    )

    mode: Literal["embedded", "production"] = Field(
        "embedded",
        description="embedded keeps everything under the data folder; production refuses generated secrets.",
    )
    data_dir: Annotated[Path, AfterValidator(Path.absolute)] = Field(
        Path("var"), description="Folder of the embedded database, objects, caches and mail."
    )
    host: str = Field("127.0.0.1", description="Address the server listens on.")
    port: int = Field(8000, ge=1, le=65535, description="Port the server listens on.")
    public_url: str = Field(
        "", description="Address people and tokens see; empty means http://{host}:{port}."
    )
    timezone: str = Field(
        "Asia/Shanghai", description="Days, months, periods and working days are counted here."
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="Seals second factors and signing keys; at least 32 characters in production.",
    )
    broker_url: str = Field(
        "", description="redis://… for workers of their own; empty runs the work inside the server."
    )
    demo: bool = Field(
        default=False,
        description="Offer the demo accounts on the sign-in page; embedded mode on loopback only.",
    )
    trusted_proxies: tuple[str, ...] = Field((), description="CIDRs whose X-Forwarded-For is believed.")
    area_code: str = Field(
        "370200", pattern=r"^[0-9]{6}$", description="GB/T 2260 code used in registration numbers."
    )
    storage: StorageSettings = StorageSettings()
    metering: MeteringSettings = MeteringSettings()
    billing: BillingSettings = BillingSettings()
    stripe: StripeSettings = StripeSettings()
    registry: RegistrySettings = RegistrySettings()
    limits: Limits = Limits()
    mail: MailSettings = MailSettings()

    @model_validator(mode="after")
    def refuse_unsafe_production(self) -> Self:
        """Production needs real secrets and a public address, and never shows demo accounts."""
        if self.mode == "production":
            if len(self.secret_key.get_secret_value()) < 32:
                raise ValueError("SHUGANG_SECRET_KEY of at least 32 characters is required in production")
            if not self.metering.master_key.get_secret_value():
                raise ValueError("SHUGANG_METERING__MASTER_KEY is required in production: 32 bytes in base64")
            if not self.public_url.startswith("https://"):
                raise ValueError("SHUGANG_PUBLIC_URL must be an https:// address in production")
            if self.demo:
                raise ValueError("SHUGANG_DEMO is refused in production")
        if self.demo and self.host not in {"127.0.0.1", "::1", "localhost"}:
            raise ValueError("SHUGANG_DEMO is allowed on a loopback address only")
        return self

    def settled(self) -> "Settings":
        """The same settings with nothing left open: URLs resolved, and the embedded secret kept on disk."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        secret = self.secret_key.get_secret_value() or _kept_secret(self.data_dir / "secret.key")
        return self.model_copy(
            update={
                "storage": self.storage.resolved(self.data_dir),
                "metering": self.metering.resolved(self.data_dir).model_copy(
                    update={"trusted_proxies": self.trusted_proxies, "page_rows": self.limits.page_rows}
                ),
                "billing": self.billing.model_copy(
                    update={
                        "timezone": self.timezone,
                        "durability": self.storage.durability,
                        "stripe": self.stripe,
                    }
                ),
                "registry": self._office(),
                "public_url": (self.public_url or f"http://{self.host}:{self.port}").rstrip("/"),
                "secret_key": SecretStr(secret),
            }
        )

    def _office(self) -> RegistrySettings:
        """The registrar's clocks; a demonstration does not wait ten working days unless told to."""
        here: dict[str, object] = {"timezone": self.timezone, "area_code": self.area_code}
        if self.demo and "notice_days" not in self.registry.model_fields_set:
            here["notice_days"] = 0
        return self.registry.model_copy(update=here)


def _kept_secret(path: Path) -> str:
    """The embedded secret, made once; without it a restart would end every session and token."""
    if not path.exists():
        draft = path.with_suffix(f".{secrets.token_hex(4)}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48))
        try:
            path.hardlink_to(draft)  # of two first starts one wins, and both read the winner's secret
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
