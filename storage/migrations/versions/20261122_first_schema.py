"""The first schema: every table as of the first release.

Why: a market needs a place to stand. Cost: none, it runs on an empty database. Undo: drops everything.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

MOMENT = sa.DateTime(timezone=True)
JSON_TYPE = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "20261122_first_schema"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "contract",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("template_slug", sa.String(), nullable=False),
        sa.Column("template_version", sa.String(), nullable=False),
        sa.Column("content", JSON_TYPE, nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "provider_signed",
                "effective",
                "terminated",
                "void",
                name="contractstate_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("seller_id", sa.String(), nullable=False),
        sa.Column("buyer_id", sa.String(), nullable=False),
        sa.Column("drafted_at", MOMENT, nullable=False),
        sa.Column("provider_accepted_at", MOMENT, nullable=True),
        sa.Column("provider_accepted_by", sa.String(), nullable=True),
        sa.Column("offer_hash", sa.String(), nullable=True),
        sa.Column("buyer_accepted_at", MOMENT, nullable=True),
        sa.Column("buyer_accepted_by", sa.String(), nullable=True),
        sa.Column("pdf_sha256", sa.String(), nullable=True),
        sa.Column("document", JSON_TYPE, nullable=True),
        sa.CheckConstraint(
            "state IN ('draft', 'provider_signed', 'void') OR buyer_accepted_at IS NOT NULL",
            name=op.f("ck_contract_buyer_accepted"),
        ),
        sa.CheckConstraint(
            "state IN ('draft', 'void') OR provider_accepted_at IS NOT NULL",
            name=op.f("ck_contract_provider_accepted"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contract")),
        sa.UniqueConstraint("number", name=op.f("uq_contract_number")),
    )
    with op.batch_alter_table("contract", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_contract_buyer_id"), ["buyer_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_contract_content_hash"), ["content_hash"], unique=False)
        batch_op.create_index(batch_op.f("ix_contract_seller_id"), ["seller_id"], unique=False)

    op.create_table(
        "idempotency_key",
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("answer", JSON_TYPE, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("actor", "key", name=op.f("pk_idempotency_key")),
    )
    op.create_table(
        "journal_cursor",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("seq", BIG, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("retry_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_journal_cursor")),
    )
    op.create_table(
        "journal_entry",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("org", sa.String(), nullable=True),
        sa.Column("data", JSON_TYPE, nullable=False),
        sa.Column("seq", BIG, nullable=True),
        sa.Column("hash", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_entry")),
        sa.UniqueConstraint("seq", name=op.f("uq_journal_entry_seq")),
    )
    with op.batch_alter_table("journal_entry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_journal_entry_kind"), ["kind"], unique=False)
        batch_op.create_index(batch_op.f("ix_journal_entry_subject"), ["subject"], unique=False)

    op.create_table(
        "journal_head",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("seq", BIG, nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_head")),
    )
    op.create_table(
        "mail",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("to", sa.String(), nullable=False),
        sa.Column("template", sa.String(), nullable=False),
        sa.Column("lang", sa.String(), nullable=False),
        sa.Column("data", JSON_TYPE, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("sent_at", MOMENT, nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail")),
    )
    op.create_table(
        "party",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "organization",
                "person",
                name="partykind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "org_kind",
            sa.Enum(
                "state_data_company",
                "market_operator",
                "data_bureau",
                "registrar",
                "department",
                "dealer",
                "third_party",
                "enterprise",
                name="orgkind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column(
            "id_type",
            sa.Enum(
                "uscc",
                "id_card",
                "passport",
                "other",
                name="idtype_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("id_number", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("legal_representative", sa.String(), nullable=False),
        sa.Column("contact", sa.String(), nullable=False),
        sa.Column("phone", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("bank_account", sa.String(), nullable=False),
        sa.Column(
            "verification",
            sa.Enum(
                "unverified",
                "pending",
                "verified",
                "rejected",
                name="verification_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("evidence", JSON_TYPE, nullable=False),
        sa.Column("submitted_by", sa.String(), nullable=True),
        sa.Column("checked_by", sa.String(), nullable=True),
        sa.Column("checked_at", MOMENT, nullable=True),
        sa.Column("check_reason", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "kind = 'person' OR org_kind IS NOT NULL", name=op.f("ck_party_organization_has_kind")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_party")),
        sa.UniqueConstraint("id_type", "id_number", name=op.f("uq_party_id_type_id_number")),
    )
    op.create_table(
        "sequence",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("last", BIG, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sequence")),
    )
    op.create_table(
        "stored_object",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("kept_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_stored_object")),
    )
    op.create_table(
        "user_account",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("totp_sealed", sa.String(), nullable=True),
        sa.Column("totp_step", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("locked_until", MOMENT, nullable=True),
        sa.Column("lang", sa.String(), nullable=False),
        sa.Column("disabled_at", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_account")),
        sa.UniqueConstraint("login", name=op.f("uq_user_account_login")),
    )
    op.create_table(
        "license",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("contract_id", sa.String(), nullable=True),
        sa.Column("product_id", sa.String(), nullable=False),
        sa.Column("buyer_id", sa.String(), nullable=False),
        sa.Column("seller_id", sa.String(), nullable=False),
        sa.Column(
            "tier",
            sa.Enum(
                "public_good",
                "commercial",
                name="tier_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("terms", JSON_TYPE, nullable=False),
        sa.Column("prepay_fen", BIG, nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "pending",
                "active",
                "suspended",
                "expired",
                "revoked",
                "terminated",
                name="licensestate_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "version_rule",
            sa.Enum(
                "pinned",
                "latest",
                name="versionrule_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("issued_at", MOMENT, nullable=False),
        sa.Column("serve_from", MOMENT, nullable=True),
        sa.Column("serve_until", MOMENT, nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'revoked') OR serve_from IS NOT NULL",
            name=op.f("ck_license_active_has_start"),
        ),
        sa.CheckConstraint(
            "tier <> 'commercial' OR contract_id IS NOT NULL", name=op.f("ck_license_commercial_has_contract")
        ),
        sa.CheckConstraint(
            "tier <> 'public_good' OR prepay_fen = 0", name=op.f("ck_license_public_good_is_free")
        ),
        sa.CheckConstraint(
            "serve_until IS NULL OR serve_until > serve_from", name=op.f("ck_license_term_positive")
        ),
        sa.ForeignKeyConstraint(["contract_id"], ["contract.id"], name=op.f("fk_license_contract_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_license")),
        sa.UniqueConstraint("number", name=op.f("uq_license_number")),
    )
    with op.batch_alter_table("license", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_license_buyer_id"), ["buyer_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_license_contract_id"), ["contract_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_license_product_id"), ["product_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_license_seller_id"), ["seller_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_license_serve_until"), ["serve_until"], unique=False)
        batch_op.create_index(batch_op.f("ix_license_state"), ["state"], unique=False)

    op.create_table(
        "login_session",
        sa.Column("secret_hash", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("party_id", sa.String(), nullable=True),
        sa.Column("second_factor", sa.Boolean(), nullable=False),
        sa.Column("csrf", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_login_session_user_id")),
        sa.PrimaryKeyConstraint("secret_hash", name=op.f("pk_login_session")),
    )
    with op.batch_alter_table("login_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_login_session_user_id"), ["user_id"], unique=False)

    op.create_table(
        "membership",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("party_id", sa.String(), nullable=False),
        sa.Column("roles", JSON_TYPE, nullable=False),
        sa.Column("invited_by", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_membership_party_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_membership_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_membership")),
        sa.UniqueConstraint("user_id", "party_id", name=op.f("uq_membership_user_id_party_id")),
    )
    with op.batch_alter_table("membership", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_membership_party_id"), ["party_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_membership_user_id"), ["user_id"], unique=False)

    op.create_table(
        "one_time_link",
        sa.Column("secret_hash", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_one_time_link_user_id")),
        sa.PrimaryKeyConstraint("secret_hash", name=op.f("pk_one_time_link")),
    )
    with op.batch_alter_table("one_time_link", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_one_time_link_user_id"), ["user_id"], unique=False)

    op.create_table(
        "trade_order",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("buyer_id", sa.String(), nullable=False),
        sa.Column("seller_id", sa.String(), nullable=False),
        sa.Column("placed_by", sa.String(), nullable=False),
        sa.Column("product_id", sa.String(), nullable=False),
        sa.Column("plan_id", sa.String(), nullable=False),
        sa.Column("offer_hash", sa.String(), nullable=False),
        sa.Column(
            "purpose",
            sa.Enum(
                "governance",
                "public_welfare",
                "research_nonprofit",
                "emergency",
                "personal",
                "industry",
                "sector",
                "internal_business",
                "resale",
                name="purpose_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("scenario", sa.String(), nullable=False),
        sa.Column("months", sa.Integer(), nullable=False),
        sa.Column("fee_fen", BIG, nullable=False),
        sa.Column("prepay_fen", BIG, nullable=False),
        sa.Column("due_fen", BIG, nullable=False),
        sa.Column("rules_version", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "submitted",
                "approved",
                "contracted",
                "awaiting_payment",
                "paid",
                "active",
                "completed",
                "rejected",
                "cancelled",
                "expired",
                name="orderstate_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("case_id", sa.String(), nullable=True),
        sa.Column("contract_id", sa.String(), nullable=True),
        sa.Column("payment_id", sa.String(), nullable=True),
        sa.Column("license_id", sa.String(), nullable=True),
        sa.Column("placed_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "due_fen >= 0 AND prepay_fen >= 0 AND fee_fen >= 0",
            name=op.f("ck_trade_order_amounts_not_negative"),
        ),
        sa.CheckConstraint("months > 0", name=op.f("ck_trade_order_term_positive")),
        sa.ForeignKeyConstraint(["buyer_id"], ["party.id"], name=op.f("fk_trade_order_buyer_id")),
        sa.ForeignKeyConstraint(["seller_id"], ["party.id"], name=op.f("fk_trade_order_seller_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trade_order")),
        sa.UniqueConstraint("case_id", name=op.f("uq_trade_order_case_id")),
        sa.UniqueConstraint("contract_id", name=op.f("uq_trade_order_contract_id")),
        sa.UniqueConstraint("license_id", name=op.f("uq_trade_order_license_id")),
        sa.UniqueConstraint("number", name=op.f("uq_trade_order_number")),
        sa.UniqueConstraint("payment_id", name=op.f("uq_trade_order_payment_id")),
    )
    with op.batch_alter_table("trade_order", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_trade_order_buyer_id"), ["buyer_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_trade_order_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_trade_order_product_id"), ["product_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_trade_order_seller_id"), ["seller_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_trade_order_state"), ["state"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("trade_order", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_trade_order_state"))
        batch_op.drop_index(batch_op.f("ix_trade_order_seller_id"))
        batch_op.drop_index(batch_op.f("ix_trade_order_product_id"))
        batch_op.drop_index(batch_op.f("ix_trade_order_expires_at"))
        batch_op.drop_index(batch_op.f("ix_trade_order_buyer_id"))

    op.drop_table("trade_order")
    with op.batch_alter_table("one_time_link", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_one_time_link_user_id"))

    op.drop_table("one_time_link")
    with op.batch_alter_table("membership", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_membership_user_id"))
        batch_op.drop_index(batch_op.f("ix_membership_party_id"))

    op.drop_table("membership")
    with op.batch_alter_table("login_session", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_login_session_user_id"))

    op.drop_table("login_session")
    with op.batch_alter_table("license", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_license_state"))
        batch_op.drop_index(batch_op.f("ix_license_serve_until"))
        batch_op.drop_index(batch_op.f("ix_license_seller_id"))
        batch_op.drop_index(batch_op.f("ix_license_product_id"))
        batch_op.drop_index(batch_op.f("ix_license_contract_id"))
        batch_op.drop_index(batch_op.f("ix_license_buyer_id"))

    op.drop_table("license")
    op.drop_table("user_account")
    op.drop_table("stored_object")
    op.drop_table("sequence")
    op.drop_table("party")
    op.drop_table("mail")
    op.drop_table("journal_head")
    with op.batch_alter_table("journal_entry", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_journal_entry_subject"))
        batch_op.drop_index(batch_op.f("ix_journal_entry_kind"))

    op.drop_table("journal_entry")
    op.drop_table("journal_cursor")
    op.drop_table("idempotency_key")
    with op.batch_alter_table("contract", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_contract_seller_id"))
        batch_op.drop_index(batch_op.f("ix_contract_content_hash"))
        batch_op.drop_index(batch_op.f("ix_contract_buyer_id"))

    op.drop_table("contract")
