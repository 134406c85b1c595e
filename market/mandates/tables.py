"""Mandates 授权, price ceilings 上限收费标准, revenue caps 最高准许收入, and what was collected under them."""

from datetime import date, datetime
from fractions import Fraction
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from market.mandates.prices import CapStep, ChargeUnit, Limit
from market.mandates.rules import Agreement, Assessed, MandateKind, MandateState
from storage.columns import big, choice, json_field


class Mandate(SQLModel, table=True):
    """授权运营. What a bureau entrusts to an operator: scope, purposes, term, duties, exit; signed by its hash."""

    __tablename__ = "mandate"
    __table_args__ = (
        sa.CheckConstraint("mandator_id <> operator_id", name="two_parties"),
        sa.CheckConstraint("valid_until > valid_from", name="term_positive"),
        sa.CheckConstraint(
            "state IN ('draft', 'collective_review', 'public_notice', 'terminated', 'handed_over') "
            "OR signed_at IS NOT NULL",
            name="signed",
        ),
        sa.CheckConstraint("signed_by IS NULL OR signed_by <> submitted_by", name="signed_by_another"),
    )

    id: str = Field(primary_key=True)  # mnd_…
    number: str | None = Field(default=None, unique=True)  # SQ-2026-000001-C, given at the notice
    state: MandateState = Field(default=MandateState.DRAFT, sa_type=choice(MandateState), index=True)
    kind: MandateKind = Field(sa_type=choice(MandateKind))
    mandator_id: str = Field(foreign_key="party.id", index=True)
    operator_id: str = Field(foreign_key="party.id", index=True)
    agreement: dict[str, Any] = json_field()
    sha256: str  # over the agreement and its two parties
    valid_from: datetime
    valid_until: datetime = Field(index=True)  # exclusive
    drafted_by: str
    drafted_at: datetime
    minutes_no: str = ""  # 集体审议会议纪要
    minutes_on: date | None = None
    submitted_by: str | None = None
    case_id: str | None = Field(default=None, foreign_key="approval_case.id", unique=True)
    notice_from: datetime | None = None
    notice_until: datetime | None = None
    signed_by: str | None = None  # for the operator
    signed_at: datetime | None = None
    began_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str = ""  # of the last decision
    handover: str = ""  # what was handed over, and to whom

    def terms(self) -> Agreement:
        """What was agreed."""
        return Agreement.model_validate(self.agreement)


class MandateAssessment(SQLModel, table=True):
    """年度评估. The mandator's yearly judgment of an operator."""

    __tablename__ = "mandate_assessment"
    __table_args__ = (sa.UniqueConstraint("mandate_id", "year"),)

    id: str = Field(primary_key=True)  # mas_…
    mandate_id: str = Field(foreign_key="mandate.id", index=True)
    year: int
    verdict: Assessed = Field(sa_type=choice(Assessed))
    note: str
    by: str
    at: datetime


class PriceCeiling(SQLModel, table=True):
    """上限收费标准. The most one unit of a product may cost from a day on; exact, as a fraction of fen."""

    __tablename__ = "price_ceiling"
    __table_args__ = (
        sa.UniqueConstraint("product", "unit", "revision"),
        sa.CheckConstraint("max_numerator > 0 AND max_denominator > 0", name="above_zero"),
        sa.CheckConstraint("valid_until > valid_from", name="span_positive"),
        sa.CheckConstraint("trial = false OR document_sha256 IS NOT NULL", name="trial_documented"),
    )

    id: str = Field(primary_key=True)  # cei_…
    product: str = Field(index=True)  # the product's slug
    unit: ChargeUnit = Field(sa_type=choice(ChargeUnit))
    revision: int  # counts the decisions on one product and unit
    max_numerator: int = big()
    max_denominator: int = big()
    mandator_id: str = Field(foreign_key="party.id", index=True)
    decided_by: str
    document_no: str
    document_sha256: str | None = None
    trial: bool = False
    valid_from: datetime
    valid_until: datetime = Field(index=True)  # exclusive; an earlier end replaces it
    set_by: str
    set_at: datetime
    end_reason: str = ""

    @property
    def max_fen(self) -> Fraction:
        """The ceiling in fen, exactly."""
        return Fraction(self.max_numerator, self.max_denominator)

    def limit(self) -> Limit:
        """The ceiling as the price rules read it."""
        return Limit(self.id, self.unit, self.max_fen, self.document_no, self.trial)


class RevenueCap(SQLModel, table=True):
    """最高准许收入. What an operator may collect in a period, less what it collected too much before."""

    __tablename__ = "revenue_cap"
    __table_args__ = (
        sa.UniqueConstraint("operator_id", "first_day"),
        sa.CheckConstraint("cap_fen >= 0 AND carried_fen >= 0", name="amounts_not_negative"),
        sa.CheckConstraint("last_day > first_day", name="span_positive"),
    )

    id: str = Field(primary_key=True)  # cap_…
    operator_id: str = Field(foreign_key="party.id", index=True)
    mandator_id: str = Field(foreign_key="party.id", index=True)
    first_day: date
    last_day: date
    cap_fen: int = big()
    carried_fen: int = big(0)  # over-collected before, deducted here
    collected_fen: int = big(0)  # invoiced with tax, less what was credited
    step: CapStep = Field(default=CapStep.BELOW, sa_type=choice(CapStep))
    decided_by: str
    document_no: str
    set_by: str
    set_at: datetime


class MandatedRevenue(SQLModel, table=True):
    """授权运营收入. One invoice of a mandated license (or its credit note, below zero); each is counted once."""

    __tablename__ = "mandated_revenue"
    __table_args__ = (
        sa.CheckConstraint("amount_fen <> 0", name="amount_moves"),
        sa.Index("ix_mandated_revenue_operator_period", "operator_id", "period"),
    )

    invoice_id: str = Field(primary_key=True)
    operator_id: str
    license_id: str = Field(index=True)
    amount_fen: int = big()  # with tax
    period: str  # YYYY-MM, the month of use
    at: datetime


class MandatedLicense(SQLModel, table=True):
    """授权许可. A license of public data: the mandate it is served under and until when that lasts."""

    __tablename__ = "mandated_license"

    license_id: str = Field(primary_key=True)
    product_id: str = Field(index=True)
    mandate_id: str = Field(foreign_key="mandate.id", index=True)
    operator_id: str = Field(index=True)
    until: datetime  # the mandate's own end
    issued_at: datetime
