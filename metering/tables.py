"""What the counted door keeps: credentials, keys, the shelf, gates, usage events and their rollups."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from contracts.terms import Tier, VersionRule
from metering.words import AnomalyKind, KeyState, Kind, LimitUnit, PeriodState
from storage.columns import Big, Mechanism, big, choice, json_field


class Credential(SQLModel, table=True):
    """接入凭证. A program's name and secret; the secret is kept as SHA-256 only and shown once.

    Two secrets may be valid at a time, so that a program can be moved to the new one without a pause.
    Who made a secret keeps it: the program may do no more than every keeper may, and ends with the newest one.
    """

    __tablename__ = "credential"

    id: str = Field(primary_key=True)  # the OAuth client_id, "cli_…"
    org_id: str = Field(index=True)
    kept_by: str = Field(index=True)  # the person who was shown the secret
    name: str
    secret_sha256: str
    older_sha256: str | None = None
    older_kept_by: str | None = None  # who was shown the one before
    older_until: datetime | None = None
    cidrs: list[str] = json_field()  # empty: from anywhere
    kept_at: datetime
    ended_at: datetime | None = None


class TokenKey(SQLModel, table=True):
    """令牌签名密钥. An Ed25519 key pair; the private half is sealed with the master key, and gone once dropped."""

    __tablename__ = "token_key"

    kid: str = Field(primary_key=True)  # RFC 7638 thumbprint
    public: dict[str, Any] = json_field()
    sealed: bytes = Field(sa_type=LargeBinary)
    state: KeyState = Field(sa_type=choice(KeyState))
    made_at: datetime
    retired_at: datetime | None = None


class RevokedToken(Mechanism, table=True):
    """撤销的令牌. Kept until the token and its tickets would have expired anyway."""

    __tablename__ = "revoked_token"

    jti: str = Field(primary_key=True)
    until: datetime = Field(index=True)


class ShelfItem(SQLModel, table=True):
    """货架. One product that can be served: where it is found, what is current, under which license text."""

    __tablename__ = "shelf_item"

    product_id: str = Field(primary_key=True)
    slug: str = Field(unique=True)
    tier: Tier = Field(sa_type=choice(Tier))
    title_zh: str
    title_en: str
    provider_id: str
    current_version: int
    delivery: list[str] = json_field()
    license_note: dict[str, Any] = json_field()
    served: bool = True
    shelved_at: datetime
    ended_reason: str | None = None


class ShelfVersion(SQLModel, table=True):
    """货架版本. The files and columns of one version; never changed once written."""

    __tablename__ = "shelf_version"

    product_id: str = Field(primary_key=True, foreign_key="shelf_item.product_id")
    version: int = Field(primary_key=True)
    manifest: dict[str, Any] = json_field()
    shelved_at: datetime


class Upstream(SQLModel, table=True):
    """上游接口. A provider's own API behind one product; its secret is sealed and never shown again."""

    __tablename__ = "upstream"

    product_id: str = Field(primary_key=True)
    declaration: dict[str, Any] = json_field()  # metering.upstream.Declaration
    sealed: bytes = Field(sa_type=LargeBinary)
    declared_at: datetime
    rotated_at: datetime


class ReportKey(SQLModel, table=True):
    """上报公钥. An Ed25519 public key a provider signs its usage reports with."""

    __tablename__ = "report_key"

    kid: str = Field(primary_key=True)  # RFC 7638 thumbprint
    org_id: str = Field(index=True)
    name: str
    x: str  # the public key, base64url, as in a JWK
    kept_at: datetime
    ended_at: datetime | None = None


def _within(unit: str) -> CheckConstraint:
    return CheckConstraint(
        f"used_{unit} >= 0 AND (limit_{unit} IS NULL OR used_{unit} <= limit_{unit})", name=f"{unit}_within"
    )


class Gate(SQLModel, table=True):
    """闸门. One row per license: may it be served, how much is left, what does a unit cost.

    Whatever ends or changes access changes this very row; the till locks it for every charge.
    """

    __tablename__ = "gate"
    __table_args__ = (
        _within("calls"),
        _within("rows"),
        _within("bytes"),
        _within("downloads"),
        CheckConstraint(
            "spent_fen >= 0 AND (spend_cap_fen IS NULL OR spent_fen <= spend_cap_fen)", name="spend_within"
        ),
        CheckConstraint("call_fen >= 0 AND row_fen >= 0 AND download_fen >= 0", name="prices_positive"),
        CheckConstraint(
            "tier = 'commercial' OR (call_fen = 0 AND row_fen = 0 AND download_fen = 0 AND spent_fen = 0)",
            name="public_good_free",
        ),
        CheckConstraint("NOT (ran_out AND in_force)", name="ran_out_is_shut"),
    )

    license_id: str = Field(primary_key=True)
    product_id: str = Field(index=True)
    buyer_id: str = Field(index=True)
    tier: Tier = Field(sa_type=choice(Tier))
    in_force: bool = True
    shut_reason: str | None = None
    ran_out: bool = (
        False  # shut by the end of its term and served until then: use in it may still be reported
    )
    taken_down: bool = False  # the product left the shelf
    down_reason: str | None = None  # the code a caller is told meanwhile, when not `taken_down`
    serve_from: datetime
    serve_until: datetime | None = None  # exclusive; None is without end
    until_reason: str | None = None  # why it ends then, when not because the agreed term is over
    stands_on: str | None = None  # the number of the mandate it is served under, named when that ends it
    limit_calls: int | None = big(None, nullable=True)
    limit_rows: int | None = big(None, nullable=True)
    limit_bytes: int | None = big(None, nullable=True)
    limit_downloads: int | None = big(None, nullable=True)
    spend_cap_fen: int | None = big(None, nullable=True)
    used_calls: int = big(0)
    used_rows: int = big(0)
    used_bytes: int = big(0)
    used_downloads: int = big(0)
    spent_fen: int = big(0)
    call_fen: int = big(0)
    row_fen: int = big(0)
    download_fen: int = big(0)
    per_hit: bool = False
    tariff: dict[str, Any] | None = json_field(nullable=True)  # stepped prices, instead of the flat ones
    purposes: list[str] = json_field()  # empty: any purpose
    delivery: list[str] = json_field()
    version_rule: VersionRule = Field(sa_type=choice(VersionRule))
    pinned_version: int | None = None


class UsageEvent(Mechanism, table=True):
    """用量事件. One paid answer. The key is the time inside the charge key, then a hash of license and key."""

    __tablename__ = "usage_event"
    __table_args__ = (
        CheckConstraint("calls >= 0 AND rows >= 0 AND bytes >= 0 AND amount_fen >= 0", name="positive"),
        Index("ix_usage_event_license_id_period", "license_id", "period"),  # for statements only
        {"sqlite_with_rowid": False},
    )

    id: bytes = Field(sa_type=LargeBinary, primary_key=True)
    license_id: str
    product_id: str
    credential_id: str
    purpose: str
    kind: Kind = Field(sa_type=choice(Kind))
    calls: int = big(0)
    rows: int = big(0)
    amount_fen: int = big(0)
    fingerprint: bytes = Field(sa_type=LargeBinary)
    period: str  # the period it is billed in
    at: datetime
    bytes: int = big(0)  # last, because the name hides the type


class UsageHour(Mechanism, table=True):
    """用量汇总. The sum of the events of one hour, written in the same transaction as they are."""

    __tablename__ = "usage_hour"

    license_id: str = Field(primary_key=True)
    hour: datetime = Field(primary_key=True)
    credential_id: str = Field(primary_key=True)
    purpose: str = Field(primary_key=True)
    kind: Kind = Field(sa_type=choice(Kind), primary_key=True)
    period: str = Field(primary_key=True)
    product_id: str = Field(index=True)
    events: int = big(0)
    calls: int = big(0)
    rows: int = big(0)
    bytes: int = big(0)
    amount_fen: int = big(0)


class Delivery(Mechanism, table=True):
    """交付. Which bytes of a charged download were sent; whole when the ranges cover the file."""

    __tablename__ = "delivery"

    event_id: bytes = Field(sa_type=LargeBinary, primary_key=True)
    license_id: str = Field(index=True)
    sha256: str
    size: int = big()
    ranges: list[list[int]] = json_field()  # half-open [start, end), merged, in order
    begun_at: datetime
    delivered_at: datetime | None = None
    handed_over_at: datetime | None = None  # the object store sends it: we cannot know what arrived


class OpenUsage(Mechanism, table=True):
    """公益用量. How often open data was fetched: approximate, counted in memory, and free — no amount exists."""

    __tablename__ = "open_usage"

    product_id: str = Field(primary_key=True)
    kind: Kind = Field(sa_type=choice(Kind), primary_key=True)
    hour: datetime = Field(primary_key=True)
    calls: int = big(0)
    rows: int = big(0)
    bytes: int = big(0)


class Period(SQLModel, table=True):
    """账期. A calendar month; once closed no event enters it any more."""

    __tablename__ = "period"

    period: str = Field(primary_key=True)
    state: PeriodState = Field(sa_type=choice(PeriodState))
    closed_at: datetime | None = None


class UsageStep(SQLModel, table=True):
    """用量提醒. A step (percent) of a limit of this size that was told; a raised limit is told anew."""

    __tablename__ = "usage_step"

    license_id: str = Field(primary_key=True)
    unit: LimitUnit = Field(sa_type=choice(LimitUnit), primary_key=True)
    most: int = Field(sa_type=Big, primary_key=True)
    step: int = Field(primary_key=True)
    noted_at: datetime


class UsageAnomaly(SQLModel, table=True):
    """异常用量. One thing that stood out, with its figures; it blocks nothing."""

    __tablename__ = "usage_anomaly"
    __table_args__ = (UniqueConstraint("kind", "subject", "since"),)

    id: str = Field(primary_key=True)
    kind: AnomalyKind = Field(sa_type=choice(AnomalyKind))
    subject: str  # "license:lic_…" or "credential:cli_…"
    since: datetime
    buyer_id: str | None = None
    provider_id: str | None = Field(default=None, index=True)
    figures: dict[str, Any] = json_field()
    noted_at: datetime


class RefusalHour(Mechanism, table=True):
    """拒绝次数. How often a credential asked for what it may not have: approximate, counted in memory."""

    __tablename__ = "refusal_hour"

    credential_id: str = Field(primary_key=True)
    hour: datetime = Field(primary_key=True)
    refusals: int = big(0)


class UsageSeal(Mechanism, table=True):
    """封存小时. An hour that has its `usage.sealed` entry; the figures stand in the journal."""

    __tablename__ = "usage_seal"

    hour: datetime = Field(primary_key=True)
