"""Parties, people, their memberships and sessions."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from contracts.parties import IdentityKind
from contracts.parties import Party as Signatory
from market.identity.problems import AddressMissing
from market.identity.rules import IdType, OrgKind, PartyKind, Verification
from storage.columns import Mechanism, choice, json_field
from storage.footprints import PERSONAL


class Party(SQLModel, table=True):
    """主体. An organization or person that can hold assets, sign, pay or be paid.

    The columns are the party block of the standard contracts (合同示范文本 主体信息).
    """

    __tablename__ = "party"
    __table_args__ = (
        UniqueConstraint("id_type", "id_number"),
        CheckConstraint("kind = 'person' OR org_kind IS NOT NULL", name="organization_has_kind"),
    )

    id: str = Field(primary_key=True)
    kind: PartyKind = Field(sa_type=choice(PartyKind))
    org_kind: OrgKind | None = Field(default=None, sa_type=choice(OrgKind))
    name: str = Field(sa_column_kwargs=PERSONAL)
    id_type: IdType = Field(sa_type=choice(IdType))
    id_number: str = Field(sa_column_kwargs=PERSONAL)
    address: str = Field(default="", sa_column_kwargs=PERSONAL)
    legal_representative: str = Field(default="", sa_column_kwargs=PERSONAL)
    contact: str = Field(default="", sa_column_kwargs=PERSONAL)
    phone: str = Field(default="", sa_column_kwargs=PERSONAL)
    email: str = Field(default="", sa_column_kwargs=PERSONAL)
    bank_account: str = Field(default="", sa_column_kwargs=PERSONAL)
    verification: Verification = Field(default=Verification.UNVERIFIED, sa_type=choice(Verification))
    evidence: dict[str, Any] = json_field()  # {"license_sha256": …, "method": …}
    submitted_by: str | None = None
    checked_by: str | None = None
    checked_at: datetime | None = None
    check_reason: str = ""
    created_at: datetime

    def block(self) -> dict[str, str]:
        """主体信息. The party block as plain values, for an invoice."""
        return {
            "id": self.id,
            "name": self.name,
            "id_type": str(self.id_type),
            "id_number": self.id_number,
            "address": self.address,
            "bank_account": self.bank_account,
        }

    def signatory(self) -> Signatory:
        """合同主体. The party block a contract, an invoice or a certificate prints.

        Raises AddressMissing when the block is not complete enough to sign.
        """
        if not self.address.strip():
            raise AddressMissing(party=self.id)
        return Signatory(
            id=self.id,
            name=self.name,
            identity_kind=IdentityKind(self.id_type),
            identity_number=self.id_number,
            address=self.address,
            legal_representative=self.legal_representative or None,
            contact=self.contact or None,
            phone=self.phone or None,
            email=self.email or None,
        )


class User(SQLModel, table=True):
    """用户. A person who signs in."""

    __tablename__ = "user_account"

    id: str = Field(primary_key=True)
    login: str = Field(unique=True, sa_column_kwargs=PERSONAL)  # e-mail, normalized
    name: str = Field(sa_column_kwargs=PERSONAL)
    password_hash: str | None = Field(
        default=None, sa_column_kwargs=PERSONAL
    )  # argon2; None until the welcome link was used
    totp_sealed: str | None = Field(
        default=None, sa_column_kwargs=PERSONAL
    )  # sealed with the house key; None without a second factor
    totp_step: int = 0  # the last accepted time step: a code works once
    failures: int = 0
    locked_until: datetime | None = None
    lang: str = "zh"
    disabled_at: datetime | None = None
    created_at: datetime


class Membership(SQLModel, table=True):
    """成员. What a user may do for a party."""

    __tablename__ = "membership"
    __table_args__ = (UniqueConstraint("user_id", "party_id"),)

    id: str = Field(primary_key=True)
    user_id: str = Field(foreign_key="user_account.id", index=True)
    party_id: str = Field(foreign_key="party.id", index=True)
    roles: list[str] = json_field()
    invited_by: str
    created_at: datetime


class LoginSession(Mechanism, table=True):
    """会话. One signed-in browser; the cookie holds the secret, this row only its hash."""

    __tablename__ = "login_session"

    secret_hash: str = Field(primary_key=True)
    user_id: str = Field(foreign_key="user_account.id", index=True)
    party_id: str | None = None  # the organization acted for
    second_factor: bool = False
    csrf: str
    created_at: datetime
    expires_at: datetime


class OneTimeLink(Mechanism, table=True):
    """一次性链接. Welcome, invitation or password reset; works once."""

    __tablename__ = "one_time_link"

    secret_hash: str = Field(primary_key=True)
    purpose: str  # welcome | reset | invite
    user_id: str = Field(foreign_key="user_account.id", index=True)
    expires_at: datetime
    used_at: datetime | None = None


class Mail(Mechanism, table=True):
    """邮件. A message waiting to be sent, written in the Unit that caused it."""

    __tablename__ = "mail"

    id: str = Field(primary_key=True)
    to: str
    template: str
    lang: str
    data: dict[str, Any] = json_field()
    created_at: datetime
    sent_at: datetime | None = None
    failures: int = 0
