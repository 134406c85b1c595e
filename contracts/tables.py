"""What is kept of a deal: the contract as it was accepted and the license that came of it."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from contracts.rules import ContractState, LicenseState
from contracts.terms import Terms, Tier, VersionRule
from storage.columns import Big, Moment, choice, json_field


class Contract(SQLModel, table=True):
    """合同. One contract: its canonical content, the hash both sides accept, and who accepted it when.

    `content` never changes after drafting; `document` is the witnessed file that verifies offline.
    """

    __tablename__ = "contract"
    __table_args__ = (
        CheckConstraint(
            "state IN ('draft', 'void') OR provider_accepted_at IS NOT NULL", name="provider_accepted"
        ),
        CheckConstraint(
            "state IN ('draft', 'provider_signed', 'void') OR buyer_accepted_at IS NOT NULL",
            name="buyer_accepted",
        ),
    )

    id: str = Field(primary_key=True)
    number: str = Field(unique=True)  # HT-2615-2026-000001-C
    template_slug: str
    template_version: str
    content: dict[str, Any] = json_field()
    content_hash: str = Field(index=True)  # SHA-256 over the canonical content
    state: ContractState = Field(default=ContractState.DRAFT, sa_type=choice(ContractState))
    seller_id: str = Field(index=True)
    buyer_id: str = Field(index=True)
    drafted_at: datetime = Field(sa_type=Moment)
    provider_accepted_at: datetime | None = Field(default=None, sa_type=Moment)
    provider_accepted_by: str | None = None  # user id
    offer_hash: str | None = None  # the standing offer the provider's acceptance rests on
    buyer_accepted_at: datetime | None = Field(default=None, sa_type=Moment)
    buyer_accepted_by: str | None = None
    pdf_sha256: str | None = None  # key of the printed contract in the object store
    document: dict[str, Any] | None = json_field(nullable=True)

    def frozen_terms(self) -> Terms:
        """The terms inside the content that was accepted."""
        return Terms(**self.content["terms"])


class License(SQLModel, table=True):
    """许可. The right one buyer holds over one product, with its terms frozen.

    A license points at nothing above it: product and parties are plain ids, the terms are a copy.
    `serve_from` and `serve_until` are half-open and empty until activation; without `serve_until` the
    license has no end. Public-good licenses have no price, here as in the terms.
    """

    __tablename__ = "license"
    __table_args__ = (
        CheckConstraint("serve_until IS NULL OR serve_until > serve_from", name="term_positive"),
        CheckConstraint("state IN ('pending', 'revoked') OR serve_from IS NOT NULL", name="active_has_start"),
        CheckConstraint("tier <> 'commercial' OR contract_id IS NOT NULL", name="commercial_has_contract"),
        CheckConstraint("tier <> 'public_good' OR prepay_fen = 0", name="public_good_is_free"),
        UniqueConstraint("id", "tier"),  # what an invoice points at, so that it can say: commercial
    )

    id: str = Field(primary_key=True)
    number: str = Field(unique=True)  # XK-2026-000001-C
    contract_id: str | None = Field(default=None, foreign_key="contract.id", index=True)
    product_id: str = Field(index=True)
    buyer_id: str = Field(index=True)
    seller_id: str = Field(index=True)
    tier: Tier = Field(sa_type=choice(Tier))
    terms: dict[str, Any] = json_field()
    prepay_fen: int = Field(default=0, sa_type=Big)
    state: LicenseState = Field(default=LicenseState.PENDING, sa_type=choice(LicenseState), index=True)
    version_rule: VersionRule = Field(sa_type=choice(VersionRule))
    issued_at: datetime = Field(sa_type=Moment)
    serve_from: datetime | None = Field(default=None, sa_type=Moment)
    serve_until: datetime | None = Field(default=None, sa_type=Moment, index=True)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)

    def frozen_terms(self) -> Terms:
        """The terms as they were when the license was issued."""
        return Terms(**self.terms)
