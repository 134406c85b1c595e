"""Orders."""

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from contracts.terms import Purpose, Tier
from market.trading.rules import OrderState
from storage.columns import big, choice


class Order(SQLModel, table=True):
    """订单. A buyer's request to use one product under one plan, for one purpose.

    What was offered is frozen by `offer_hash`; amounts are fen.
    """

    __tablename__ = "trade_order"
    __table_args__ = (
        CheckConstraint("due_fen >= 0 AND prepay_fen >= 0 AND fee_fen >= 0", name="amounts_not_negative"),
        CheckConstraint("months > 0", name="term_positive"),
        CheckConstraint(
            "tier = 'commercial' OR due_fen + prepay_fen + fee_fen = 0", name="public_good_is_free"
        ),
    )

    id: str = Field(primary_key=True)
    number: str = Field(unique=True)  # DD-2026-000001-C
    buyer_id: str = Field(foreign_key="party.id", index=True)
    seller_id: str = Field(foreign_key="party.id", index=True)
    placed_by: str
    product_id: str = Field(index=True)
    plan_id: str
    offer_hash: str
    purpose: Purpose = Field(sa_type=choice(Purpose))
    scenario: str
    evidence: str = ""  # what the buyer shows for a purpose that makes the data free
    tier: Tier = Field(default=Tier.COMMERCIAL, sa_type=choice(Tier))  # as the purpose decides
    months: int
    fee_fen: int = big()  # per month
    prepay_fen: int = big()
    due_fen: int = big()  # to pay before the license is active
    rules_version: str
    state: OrderState = Field(default=OrderState.SUBMITTED, sa_type=choice(OrderState), index=True)
    reason: str = ""  # of the last decision or end
    case_id: str | None = Field(default=None, unique=True)
    contract_id: str | None = Field(default=None, unique=True)
    payment_id: str | None = Field(default=None, unique=True)
    license_id: str | None = Field(default=None, unique=True)
    placed_at: datetime
    expires_at: datetime | None = Field(default=None, index=True)
