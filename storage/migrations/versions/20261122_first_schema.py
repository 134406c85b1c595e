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


# Full text and triggers are made by hand for each engine.
BY_HAND = {
    "sqlite": [
        "CREATE VIRTUAL TABLE IF NOT EXISTS fts_product USING fts5(\n        product_id UNINDEXED, title, words, body, tokenize = 'unicode61 remove_diacritics 0')",
        "CREATE TRIGGER invoice_frozen BEFORE UPDATE OF id, number, kind, charge, credits, license_id, order_id, buyer_id, payee_id, period, tax_invoice, net_fen, tax_fen, gross_fen, issued_at, issued_by, due_on, document, sha256 ON invoice FOR EACH ROW  BEGIN SELECT RAISE(ABORT, 'what is booked or issued never changes'); END",
        "CREATE TRIGGER invoice_signed_once BEFORE UPDATE OF signature, key_id ON invoice FOR EACH ROW WHEN (OLD.signature IS NOT NULL OR OLD.key_id IS NOT NULL) BEGIN SELECT RAISE(ABORT, 'what is booked or issued never changes'); END",
        "CREATE TRIGGER invoice_kept BEFORE DELETE ON invoice FOR EACH ROW  BEGIN SELECT RAISE(ABORT, 'what is booked or issued never changes'); END",
        "CREATE TRIGGER invoice_line_frozen BEFORE UPDATE ON invoice_line FOR EACH ROW  BEGIN SELECT RAISE(ABORT, 'what is booked or issued never changes'); END",
        "CREATE TRIGGER invoice_line_kept BEFORE DELETE ON invoice_line FOR EACH ROW  BEGIN SELECT RAISE(ABORT, 'what is booked or issued never changes'); END",
        "CREATE TRIGGER ledger_transaction_frozen BEFORE UPDATE ON ledger_transaction FOR EACH ROW  BEGIN SELECT RAISE(ABORT, 'what is booked or issued never changes'); END",
        "CREATE TRIGGER ledger_transaction_kept BEFORE DELETE ON ledger_transaction FOR EACH ROW  BEGIN SELECT RAISE(ABORT, 'what is booked or issued never changes'); END",
        "CREATE TRIGGER ledger_posting_frozen BEFORE UPDATE ON ledger_posting FOR EACH ROW  BEGIN SELECT RAISE(ABORT, 'what is booked or issued never changes'); END",
        "CREATE TRIGGER ledger_posting_kept BEFORE DELETE ON ledger_posting FOR EACH ROW  BEGIN SELECT RAISE(ABORT, 'what is booked or issued never changes'); END",
        "CREATE TRIGGER billing_period_closed BEFORE UPDATE ON billing_period FOR EACH ROW WHEN OLD.state = 'closed' BEGIN SELECT RAISE(ABORT, 'what is booked or issued never changes'); END",
        "CREATE TRIGGER billing_period_kept BEFORE DELETE ON billing_period FOR EACH ROW  BEGIN SELECT RAISE(ABORT, 'what is booked or issued never changes'); END",
    ],
    "postgresql": [
        "CREATE TABLE IF NOT EXISTS fts_product (product_id varchar PRIMARY KEY, tokens tsvector NOT NULL)",
        "CREATE INDEX IF NOT EXISTS fts_product_tokens ON fts_product USING gin (tokens)",
        "CREATE FUNCTION billing_frozen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'what is booked or issued never changes'; END $$",
        "CREATE TRIGGER invoice_frozen BEFORE UPDATE OF id, number, kind, charge, credits, license_id, order_id, buyer_id, payee_id, period, tax_invoice, net_fen, tax_fen, gross_fen, issued_at, issued_by, due_on, document, sha256 ON invoice FOR EACH ROW  EXECUTE FUNCTION billing_frozen()",
        "CREATE TRIGGER invoice_signed_once BEFORE UPDATE OF signature, key_id ON invoice FOR EACH ROW WHEN ((OLD.signature IS NOT NULL OR OLD.key_id IS NOT NULL)) EXECUTE FUNCTION billing_frozen()",
        "CREATE TRIGGER invoice_kept BEFORE DELETE ON invoice FOR EACH ROW  EXECUTE FUNCTION billing_frozen()",
        "CREATE TRIGGER invoice_line_frozen BEFORE UPDATE ON invoice_line FOR EACH ROW  EXECUTE FUNCTION billing_frozen()",
        "CREATE TRIGGER invoice_line_kept BEFORE DELETE ON invoice_line FOR EACH ROW  EXECUTE FUNCTION billing_frozen()",
        "CREATE TRIGGER ledger_transaction_frozen BEFORE UPDATE ON ledger_transaction FOR EACH ROW  EXECUTE FUNCTION billing_frozen()",
        "CREATE TRIGGER ledger_transaction_kept BEFORE DELETE ON ledger_transaction FOR EACH ROW  EXECUTE FUNCTION billing_frozen()",
        "CREATE TRIGGER ledger_posting_frozen BEFORE UPDATE ON ledger_posting FOR EACH ROW  EXECUTE FUNCTION billing_frozen()",
        "CREATE TRIGGER ledger_posting_kept BEFORE DELETE ON ledger_posting FOR EACH ROW  EXECUTE FUNCTION billing_frozen()",
        "CREATE TRIGGER billing_period_closed BEFORE UPDATE ON billing_period FOR EACH ROW WHEN (OLD.state = 'closed') EXECUTE FUNCTION billing_frozen()",
        "CREATE TRIGGER billing_period_kept BEFORE DELETE ON billing_period FOR EACH ROW  EXECUTE FUNCTION billing_frozen()",
    ],
}
BY_HAND_DOWN = {
    "sqlite": [
        "DROP TRIGGER IF EXISTS invoice_frozen",
        "DROP TRIGGER IF EXISTS invoice_signed_once",
        "DROP TRIGGER IF EXISTS invoice_kept",
        "DROP TRIGGER IF EXISTS invoice_line_frozen",
        "DROP TRIGGER IF EXISTS invoice_line_kept",
        "DROP TRIGGER IF EXISTS ledger_transaction_frozen",
        "DROP TRIGGER IF EXISTS ledger_transaction_kept",
        "DROP TRIGGER IF EXISTS ledger_posting_frozen",
        "DROP TRIGGER IF EXISTS ledger_posting_kept",
        "DROP TRIGGER IF EXISTS billing_period_closed",
        "DROP TRIGGER IF EXISTS billing_period_kept",
        "DROP TABLE IF EXISTS fts_product",
    ],
    "postgresql": [
        "DROP TRIGGER IF EXISTS invoice_frozen ON invoice",
        "DROP TRIGGER IF EXISTS invoice_signed_once ON invoice",
        "DROP TRIGGER IF EXISTS invoice_kept ON invoice",
        "DROP TRIGGER IF EXISTS invoice_line_frozen ON invoice_line",
        "DROP TRIGGER IF EXISTS invoice_line_kept ON invoice_line",
        "DROP TRIGGER IF EXISTS ledger_transaction_frozen ON ledger_transaction",
        "DROP TRIGGER IF EXISTS ledger_transaction_kept ON ledger_transaction",
        "DROP TRIGGER IF EXISTS ledger_posting_frozen ON ledger_posting",
        "DROP TRIGGER IF EXISTS ledger_posting_kept ON ledger_posting",
        "DROP TRIGGER IF EXISTS billing_period_closed ON billing_period",
        "DROP TRIGGER IF EXISTS billing_period_kept ON billing_period",
        "DROP FUNCTION IF EXISTS billing_frozen()",
        "DROP TABLE IF EXISTS fts_product",
    ],
}


def upgrade() -> None:
    op.create_table(
        "account_balance",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "clearing",
                "hold",
                "payable",
                "platform_fee",
                "prepaid",
                "receivable",
                "suspense",
                "tax",
                "treasury",
                name="accountkind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("balance_fen", BIG, nullable=False),
        sa.CheckConstraint(
            "kind <> 'receivable' OR balance_fen <= 0", name=op.f("ck_account_balance_never_positive")
        ),
        sa.CheckConstraint(
            "kind NOT IN ('prepaid', 'suspense', 'hold') OR balance_fen >= 0",
            name=op.f("ck_account_balance_never_negative"),
        ),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_account_balance")),
    )
    with op.batch_alter_table("account_balance", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_account_balance_owner"), ["owner"], unique=False)

    op.create_table(
        "approval_case",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "listing",
                "order",
                "revocation",
                "list_edit",
                "mandate",
                "refund",
                name="casekind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "waiting",
                "returned",
                "approved",
                "rejected",
                "cancelled",
                "expired",
                name="casestate_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("submitted_by", sa.String(), nullable=False),
        sa.Column("submitted_org", sa.String(), nullable=False),
        sa.Column("needs", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("assigned_to", sa.String(), nullable=True),
        sa.Column("facts", JSON_TYPE, nullable=False),
        sa.Column("risk_score", sa.Integer(), nullable=False),
        sa.Column("risks", JSON_TYPE, nullable=False),
        sa.Column("rules_version", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("submitted_at", MOMENT, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("reminded_at", MOMENT, nullable=True),
        sa.Column("escalated_at", MOMENT, nullable=True),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.CheckConstraint("needs IN (1, 2)", name=op.f("ck_approval_case_needs_known")),
        sa.CheckConstraint("risk_score BETWEEN 0 AND 100", name=op.f("ck_approval_case_risk_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_case")),
    )
    with op.batch_alter_table("approval_case", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_approval_case_assigned_to"), ["assigned_to"], unique=False)
        batch_op.create_index(batch_op.f("ix_approval_case_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_approval_case_kind"), ["kind"], unique=False)
        batch_op.create_index(batch_op.f("ix_approval_case_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_approval_case_subject"), ["subject"], unique=False)
        batch_op.create_index(batch_op.f("ix_approval_case_submitted_org"), ["submitted_org"], unique=False)
        batch_op.create_index(
            "uq_approval_case_open",
            ["subject"],
            unique=True,
            sqlite_where=sa.text("state IN ('waiting', 'returned')"),
            postgresql_where=sa.text("state IN ('waiting', 'returned')"),
        )

    op.create_table(
        "journal_signed_head",
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("seq", BIG, nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("document", JSON_TYPE, nullable=False),
        sa.Column("signed_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_journal_signed_head")),
    )

    op.create_table(
        "legal_hold",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("placed_at", MOMENT, nullable=False),
        sa.Column("lifted_at", MOMENT, nullable=True),
        sa.Column("lifted_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legal_hold")),
    )
    with op.batch_alter_table("legal_hold", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_legal_hold_subject"), ["subject"], unique=False)

    op.create_table(
        "approval_delegation",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("org", sa.String(), nullable=False),
        sa.Column("deputy", sa.String(), nullable=False),
        sa.Column("begins_at", MOMENT, nullable=False),
        sa.Column("ends_at", MOMENT, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.CheckConstraint("person <> deputy", name=op.f("ck_approval_delegation_two_people")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_delegation")),
    )
    with op.batch_alter_table("approval_delegation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_approval_delegation_deputy"), ["deputy"], unique=False)
        batch_op.create_index(batch_op.f("ix_approval_delegation_person"), ["person"], unique=False)

    op.create_table(
        "approval_rule_switch",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("on", sa.Boolean(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_approval_rule_switch")),
    )

    op.create_table(
        "asset",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "submitted",
                "accepted",
                "returned",
                "under_review",
                "publicity",
                "objected",
                "registered",
                "rejected",
                "withdrawn",
                "expired",
                "cancelled",
                "revoked",
                name="assetstate_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("registrant_id", sa.String(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("submitted_by", sa.String(), nullable=True),
        sa.Column("submitted_at", MOMENT, nullable=True),
        sa.Column("accepted_at", MOMENT, nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("missing", JSON_TYPE, nullable=False),
        sa.Column("number", sa.String(), nullable=True),
        sa.Column("national_code", sa.String(), nullable=True),
        sa.Column("registered_at", MOMENT, nullable=True),
        sa.Column("valid_until", MOMENT, nullable=True),
        sa.Column("renewals", sa.Integer(), nullable=False),
        sa.Column("reviewed_by", sa.String(), nullable=True),
        sa.Column("similar", JSON_TYPE, nullable=False),
        sa.Column("refreshed_at", MOMENT, nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("title_zh", sa.String(), nullable=False),
        sa.Column("title_en", sa.String(), nullable=False),
        sa.Column("abstract_zh", sa.String(), nullable=False),
        sa.Column("abstract_en", sa.String(), nullable=False),
        sa.Column("provider_name", sa.String(), nullable=False),
        sa.Column("provider_code", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column(
            "format_kind",
            sa.Enum(
                "1",
                "2",
                "3",
                "4",
                "5",
                "6",
                "7",
                name="formatkind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column(
            "share_type",
            sa.Enum(
                "1", "2", "3", name="sharetype_known", native_enum=False, create_constraint=True, length=40
            ),
            nullable=True,
        ),
        sa.Column("share_condition", sa.String(), nullable=False),
        sa.Column(
            "open_attr",
            sa.Enum(
                "U", "K", "N", name="openattr_known", native_enum=False, create_constraint=True, length=40
            ),
            nullable=True,
        ),
        sa.Column("open_condition", sa.String(), nullable=False),
        sa.Column(
            "update_cycle",
            sa.Enum(
                "realtime",
                "daily",
                "weekly",
                "monthly",
                "quarterly",
                "yearly",
                "irregular",
                name="updatecycle_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("published_on", sa.Date(), nullable=True),
        sa.Column("related_codes", JSON_TYPE, nullable=False),
        sa.Column("keywords", JSON_TYPE, nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("coverage_from", sa.Date(), nullable=True),
        sa.Column("coverage_until", sa.Date(), nullable=True),
        sa.Column("industry", sa.String(), nullable=False),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("scale", BIG, nullable=True),
        sa.Column("scale_unit", sa.String(), nullable=False),
        sa.Column("items", JSON_TYPE, nullable=False),
        sa.Column(
            "source_kind",
            sa.Enum(
                "self_collected",
                "public_authorized",
                "purchased",
                "licensed",
                "crawled",
                "derived",
                name="sourcekind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("source_statement", sa.String(), nullable=False),
        sa.Column("source_evidence", JSON_TYPE, nullable=False),
        sa.Column("rights", JSON_TYPE, nullable=False),
        sa.Column(
            "grade",
            sa.Enum(
                "G1",
                "G2",
                "G3",
                "G4",
                "IMPORTANT",
                "CORE",
                name="datagrade_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("grade_basis", sa.String(), nullable=False),
        sa.Column(
            "supply",
            sa.Enum(
                "public",
                "enterprise",
                "mixed",
                name="supplykind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("contains_pi", sa.Boolean(), nullable=True),
        sa.Column("contains_spi", sa.Boolean(), nullable=True),
        sa.Column("pi_basis", sa.String(), nullable=False),
        sa.Column("committed", sa.Boolean(), nullable=False),
        sa.CheckConstraint("state <> 'registered' OR grade <> 'CORE'", name=op.f("ck_asset_core_never")),
        sa.CheckConstraint(
            "state <> 'registered' OR number IS NOT NULL", name=op.f("ck_asset_registered_numbered")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asset")),
        sa.UniqueConstraint("number", name=op.f("uq_asset_number")),
    )
    with op.batch_alter_table("asset", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_asset_registrant_id"), ["registrant_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_asset_state"), ["state"], unique=False)

    op.create_table(
        "billing_period",
        sa.Column("period", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "open",
                "closed",
                name="periodstate_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.Column("closed_by", sa.String(), nullable=True),
        sa.Column("invoices", sa.Integer(), nullable=False),
        sa.Column("gross_fen", BIG, nullable=False),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("period", name=op.f("pk_billing_period")),
    )
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
        "credential",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("kept_by", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("secret_sha256", sa.String(), nullable=False),
        sa.Column("older_sha256", sa.String(), nullable=True),
        sa.Column("older_kept_by", sa.String(), nullable=True),
        sa.Column("older_until", MOMENT, nullable=True),
        sa.Column("cidrs", JSON_TYPE, nullable=False),
        sa.Column("kept_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credential")),
    )
    with op.batch_alter_table("credential", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_credential_kept_by"), ["kept_by"], unique=False)
        batch_op.create_index(batch_op.f("ix_credential_org_id"), ["org_id"], unique=False)

    op.create_table(
        "data_item",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name_zh", sa.String(), nullable=False),
        sa.Column("name_en", sa.String(), nullable=False),
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("kept_by", sa.String(), nullable=False),
        sa.Column("kept_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_item")),
        sa.UniqueConstraint("code", name=op.f("uq_data_item_code")),
    )
    op.create_table(
        "delivery",
        sa.Column("event_id", sa.LargeBinary(), nullable=False),
        sa.Column("license_id", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("ranges", JSON_TYPE, nullable=False),
        sa.Column("begun_at", MOMENT, nullable=False),
        sa.Column("delivered_at", MOMENT, nullable=True),
        sa.Column("handed_over_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_delivery")),
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_delivery_license_id"), ["license_id"], unique=False)

    op.create_table(
        "directory_entry",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("provider_code", sa.String(), nullable=False),
        sa.Column("provider_name", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("title_zh", sa.String(), nullable=False),
        sa.Column("title_en", sa.String(), nullable=False),
        sa.Column("abstract", sa.String(), nullable=False),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column(
            "format_kind",
            sa.Enum(
                "1",
                "2",
                "3",
                "4",
                "5",
                "6",
                "7",
                name="formatkind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column(
            "share_type",
            sa.Enum(
                "1", "2", "3", name="sharetype_known", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("share_condition", sa.String(), nullable=False),
        sa.Column(
            "open_attr",
            sa.Enum(
                "U", "K", "N", name="openattr_known", native_enum=False, create_constraint=True, length=40
            ),
            nullable=False,
        ),
        sa.Column("open_condition", sa.String(), nullable=False),
        sa.Column(
            "update_cycle",
            sa.Enum(
                "realtime",
                "daily",
                "weekly",
                "monthly",
                "quarterly",
                "yearly",
                "irregular",
                name="updatecycle_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("items", JSON_TYPE, nullable=False),
        sa.Column("scale", BIG, nullable=True),
        sa.Column("scale_unit", sa.String(), nullable=False),
        sa.Column("published_on", sa.Date(), nullable=True),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_directory_entry")),
        sa.UniqueConstraint("provider_code", "code", name=op.f("uq_directory_entry_provider_code_code")),
    )
    with op.batch_alter_table("directory_entry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_directory_entry_system"), ["system"], unique=False)

    op.create_table(
        "directory_import",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("org_id", sa.String(), nullable=True),
        sa.Column("began_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("created", sa.Integer(), nullable=False),
        sa.Column("updated", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("refusals", JSON_TYPE, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_directory_import")),
    )
    with op.batch_alter_table("directory_import", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_directory_import_org_id"), ["org_id"], unique=False)

    op.create_table(
        "document_key",
        sa.Column("kid", sa.String(), nullable=False),
        sa.Column("public", JSON_TYPE, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_document_key")),
    )
    op.create_table(
        "gate",
        sa.Column("license_id", sa.String(), nullable=False),
        sa.Column("product_id", sa.String(), nullable=False),
        sa.Column("buyer_id", sa.String(), nullable=False),
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
        sa.Column("in_force", sa.Boolean(), nullable=False),
        sa.Column("shut_reason", sa.String(), nullable=True),
        sa.Column("ran_out", sa.Boolean(), nullable=False),
        sa.Column("taken_down", sa.Boolean(), nullable=False),
        sa.Column("down_reason", sa.String(), nullable=True),
        sa.Column("serve_from", MOMENT, nullable=False),
        sa.Column("serve_until", MOMENT, nullable=True),
        sa.Column("until_reason", sa.String(), nullable=True),
        sa.Column("stands_on", sa.String(), nullable=True),
        sa.Column("limit_calls", BIG, nullable=True),
        sa.Column("limit_rows", BIG, nullable=True),
        sa.Column("limit_bytes", BIG, nullable=True),
        sa.Column("limit_downloads", BIG, nullable=True),
        sa.Column("spend_cap_fen", BIG, nullable=True),
        sa.Column("used_calls", BIG, nullable=False),
        sa.Column("used_rows", BIG, nullable=False),
        sa.Column("used_bytes", BIG, nullable=False),
        sa.Column("used_downloads", BIG, nullable=False),
        sa.Column("spent_fen", BIG, nullable=False),
        sa.Column("call_fen", BIG, nullable=False),
        sa.Column("row_fen", BIG, nullable=False),
        sa.Column("download_fen", BIG, nullable=False),
        sa.Column("per_hit", sa.Boolean(), nullable=False),
        sa.Column("tariff", JSON_TYPE, nullable=True),
        sa.Column("purposes", JSON_TYPE, nullable=False),
        sa.Column("delivery", JSON_TYPE, nullable=False),
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
        sa.Column("pinned_version", sa.Integer(), nullable=True),
        sa.CheckConstraint("NOT (ran_out AND in_force)", name=op.f("ck_gate_ran_out_is_shut")),
        sa.CheckConstraint(
            "tier = 'commercial' OR (call_fen = 0 AND row_fen = 0 AND download_fen = 0 AND spent_fen = 0)",
            name=op.f("ck_gate_public_good_free"),
        ),
        sa.CheckConstraint(
            "call_fen >= 0 AND row_fen >= 0 AND download_fen >= 0", name=op.f("ck_gate_prices_positive")
        ),
        sa.CheckConstraint(
            "spent_fen >= 0 AND (spend_cap_fen IS NULL OR spent_fen <= spend_cap_fen)",
            name=op.f("ck_gate_spend_within"),
        ),
        sa.CheckConstraint(
            "used_bytes >= 0 AND (limit_bytes IS NULL OR used_bytes <= limit_bytes)",
            name=op.f("ck_gate_bytes_within"),
        ),
        sa.CheckConstraint(
            "used_calls >= 0 AND (limit_calls IS NULL OR used_calls <= limit_calls)",
            name=op.f("ck_gate_calls_within"),
        ),
        sa.CheckConstraint(
            "used_downloads >= 0 AND (limit_downloads IS NULL OR used_downloads <= limit_downloads)",
            name=op.f("ck_gate_downloads_within"),
        ),
        sa.CheckConstraint(
            "used_rows >= 0 AND (limit_rows IS NULL OR used_rows <= limit_rows)",
            name=op.f("ck_gate_rows_within"),
        ),
        sa.PrimaryKeyConstraint("license_id", name=op.f("pk_gate")),
    )
    with op.batch_alter_table("gate", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_gate_buyer_id"), ["buyer_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_gate_product_id"), ["product_id"], unique=False)

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
        sa.Column("role", sa.String(), nullable=True),
        sa.Column("before", sa.String(), nullable=True),
        sa.Column("after", sa.String(), nullable=True),
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
        "ledger_transaction",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_transaction")),
    )
    with op.batch_alter_table("ledger_transaction", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ledger_transaction_subject"), ["subject"], unique=False)

    op.create_table(
        "lineage_edge",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("from_kind", sa.String(), nullable=False),
        sa.Column("from_id", sa.String(), nullable=False),
        sa.Column("from_hash", sa.String(), nullable=False),
        sa.Column("to_kind", sa.String(), nullable=False),
        sa.Column("to_id", sa.String(), nullable=False),
        sa.Column("to_hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lineage_edge")),
        sa.UniqueConstraint(
            "run_id", "from_hash", "to_hash", name=op.f("uq_lineage_edge_run_id_from_hash_to_hash")
        ),
    )
    with op.batch_alter_table("lineage_edge", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_lineage_edge_from_id"), ["from_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_lineage_edge_run_id"), ["run_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_lineage_edge_to_hash"), ["to_hash"], unique=False)
        batch_op.create_index(batch_op.f("ix_lineage_edge_to_id"), ["to_id"], unique=False)

    op.create_table(
        "list_entry",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "open",
                "negative",
                name="listkind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("since_version", sa.Integer(), nullable=False),
        sa.Column("until_version", sa.Integer(), nullable=True),
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("content", JSON_TYPE, nullable=False),
        sa.CheckConstraint(
            "until_version IS NULL OR until_version > since_version",
            name=op.f("ck_list_entry_versions_order"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_list_entry")),
        sa.UniqueConstraint("code", "revision", name=op.f("uq_list_entry_code_revision")),
    )
    with op.batch_alter_table("list_entry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_list_entry_kind"), ["kind"], unique=False)
        batch_op.create_index(batch_op.f("ix_list_entry_resource"), ["resource"], unique=False)
        batch_op.create_index(batch_op.f("ix_list_entry_until_version"), ["until_version"], unique=False)
        batch_op.create_index(
            "uq_list_entry_current",
            ["code"],
            unique=True,
            sqlite_where=sa.text("until_version IS NULL"),
            postgresql_where=sa.text("until_version IS NULL"),
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
        "mandated_revenue",
        sa.Column("invoice_id", sa.String(), nullable=False),
        sa.Column("operator_id", sa.String(), nullable=False),
        sa.Column("license_id", sa.String(), nullable=False),
        sa.Column("amount_fen", BIG, nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.CheckConstraint("amount_fen <> 0", name=op.f("ck_mandated_revenue_amount_moves")),
        sa.PrimaryKeyConstraint("invoice_id", name=op.f("pk_mandated_revenue")),
    )
    with op.batch_alter_table("mandated_revenue", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_mandated_revenue_license_id"), ["license_id"], unique=False)
        batch_op.create_index("ix_mandated_revenue_operator_period", ["operator_id", "period"], unique=False)

    op.create_table(
        "open_usage",
        sa.Column("product_id", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "rows",
                "download",
                "call",
                "reported",
                name="kind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("hour", MOMENT, nullable=False),
        sa.Column("calls", BIG, nullable=False),
        sa.Column("rows", BIG, nullable=False),
        sa.Column("bytes", BIG, nullable=False),
        sa.PrimaryKeyConstraint("product_id", "kind", "hour", name=op.f("pk_open_usage")),
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
        "payment_request",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("order_id", sa.String(), nullable=True),
        sa.Column("invoice_id", sa.String(), nullable=True),
        sa.Column("payer_id", sa.String(), nullable=False),
        sa.Column("payee_id", sa.String(), nullable=False),
        sa.Column(
            "purpose",
            sa.Enum(
                "fee",
                "invoice",
                "prepay",
                name="purpose_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("amount_fen", BIG, nullable=False),
        sa.Column(
            "rail",
            sa.Enum(
                "bank_transfer",
                "stripe",
                name="railkind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "awaiting",
                "received",
                "confirmed",
                "cancelled",
                "expired",
                name="paymentstate_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("bank_reference", sa.String(), nullable=True),
        sa.Column("received_at", MOMENT, nullable=True),
        sa.Column("received_by", sa.String(), nullable=True),
        sa.Column("confirmed_at", MOMENT, nullable=True),
        sa.Column("confirmed_by", sa.String(), nullable=True),
        sa.CheckConstraint(
            "confirmed_by IS NULL OR rail <> 'bank_transfer' OR confirmed_by <> received_by",
            name=op.f("ck_payment_request_two_people"),
        ),
        sa.CheckConstraint(
            "state <> 'confirmed' OR (received_by IS NOT NULL AND confirmed_by IS NOT NULL)",
            name=op.f("ck_payment_request_confirmed_by_somebody"),
        ),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_payment_request_amount_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_request")),
        sa.UniqueConstraint("rail", "bank_reference", name=op.f("uq_payment_request_rail_bank_reference")),
        sa.UniqueConstraint("reference", name=op.f("uq_payment_request_reference")),
    )
    with op.batch_alter_table("payment_request", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_payment_request_invoice_id"), ["invoice_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_payment_request_order_id"), ["order_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_payment_request_payee_id"), ["payee_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_payment_request_payer_id"), ["payer_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_payment_request_state"), ["state"], unique=False)

    op.create_table(
        "period",
        sa.Column("period", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "open",
                "closed",
                name="periodstate_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("period", name=op.f("pk_period")),
    )
    op.create_table(
        "refinery_run",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "queued",
                "running",
                "succeeded",
                "failed",
                name="runstate_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("asset_file_sha256", sa.String(), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("encoding", sa.String(), nullable=True),
        sa.Column("recipe", JSON_TYPE, nullable=False),
        sa.Column("recipe_hash", sa.String(), nullable=False),
        sa.Column("indexes", JSON_TYPE, nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("org", sa.String(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("requested_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("input_rows", BIG, nullable=True),
        sa.Column("output_rows", BIG, nullable=True),
        sa.Column("dropped", JSON_TYPE, nullable=True),
        sa.Column("outputs", JSON_TYPE, nullable=True),
        sa.Column("schema_", JSON_TYPE, nullable=True),
        sa.Column("profile", JSON_TYPE, nullable=True),
        sa.Column("engine", sa.String(), nullable=True),
        sa.Column("problem", JSON_TYPE, nullable=True),
        sa.CheckConstraint(
            "state <> 'succeeded' OR finished_at IS NOT NULL", name=op.f("ck_refinery_run_succeeded_finished")
        ),
        sa.CheckConstraint("attempt >= 0", name=op.f("ck_refinery_run_attempt_natural")),
        sa.CheckConstraint(
            "output_rows IS NULL OR output_rows > 0", name=op.f("ck_refinery_run_output_rows_positive")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refinery_run")),
    )
    with op.batch_alter_table("refinery_run", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_refinery_run_asset_id"), ["asset_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_refinery_run_lease_until"), ["lease_until"], unique=False)
        batch_op.create_index(batch_op.f("ix_refinery_run_org"), ["org"], unique=False)

    op.create_table(
        "refund",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("license_id", sa.String(), nullable=False),
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("buyer_id", sa.String(), nullable=False),
        sa.Column("amount_fen", BIG, nullable=False),
        sa.Column("bank_account", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "asked",
                "sent",
                "settled",
                "refused",
                "withdrawn",
                name="refundstate_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("bank_reference", sa.String(), nullable=True),
        sa.Column("sent_at", MOMENT, nullable=True),
        sa.Column("sent_by", sa.String(), nullable=True),
        sa.Column("settled_at", MOMENT, nullable=True),
        sa.Column("settled_by", sa.String(), nullable=True),
        sa.CheckConstraint(
            "state <> 'settled' OR (sent_by IS NOT NULL AND settled_by IS NOT NULL)",
            name=op.f("ck_refund_settled_by_two"),
        ),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_refund_amount_positive")),
        sa.CheckConstraint("settled_by IS NULL OR settled_by <> sent_by", name=op.f("ck_refund_two_people")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund")),
        sa.UniqueConstraint("bank_reference", name=op.f("uq_refund_bank_reference")),
    )
    with op.batch_alter_table("refund", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_refund_buyer_id"), ["buyer_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_refund_license_id"), ["license_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_refund_state"), ["state"], unique=False)

    op.create_table(
        "refusal_hour",
        sa.Column("credential_id", sa.String(), nullable=False),
        sa.Column("hour", MOMENT, nullable=False),
        sa.Column("refusals", BIG, nullable=False),
        sa.PrimaryKeyConstraint("credential_id", "hour", name=op.f("pk_refusal_hour")),
    )
    op.create_table(
        "report_key",
        sa.Column("kid", sa.String(), nullable=False),
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("x", sa.String(), nullable=False),
        sa.Column("kept_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_report_key")),
    )
    with op.batch_alter_table("report_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_report_key_org_id"), ["org_id"], unique=False)

    op.create_table(
        "revoked_token",
        sa.Column("jti", sa.String(), nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("jti", name=op.f("pk_revoked_token")),
    )
    with op.batch_alter_table("revoked_token", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_revoked_token_until"), ["until"], unique=False)

    op.create_table(
        "rule_pack",
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("adopted_by", sa.String(), nullable=False),
        sa.Column("adopted_at", MOMENT, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_rule_pack")),
    )
    with op.batch_alter_table("rule_pack", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rule_pack_adopted_at"), ["adopted_at"], unique=False)

    op.create_table(
        "rule_switch",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("off", sa.Boolean(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule_switch")),
    )
    with op.batch_alter_table("rule_switch", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rule_switch_rule"), ["rule"], unique=False)

    op.create_table(
        "sequence",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("last", BIG, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sequence")),
    )
    op.create_table(
        "shelf_item",
        sa.Column("product_id", sa.String(), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
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
        sa.Column("title_zh", sa.String(), nullable=False),
        sa.Column("title_en", sa.String(), nullable=False),
        sa.Column("provider_id", sa.String(), nullable=False),
        sa.Column("current_version", sa.Integer(), nullable=False),
        sa.Column("delivery", JSON_TYPE, nullable=False),
        sa.Column("license_note", JSON_TYPE, nullable=False),
        sa.Column("served", sa.Boolean(), nullable=False),
        sa.Column("shelved_at", MOMENT, nullable=False),
        sa.Column("ended_reason", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("product_id", name=op.f("pk_shelf_item")),
        sa.UniqueConstraint("slug", name=op.f("uq_shelf_item_slug")),
    )
    op.create_table(
        "stored_object",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("kept_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_stored_object")),
    )
    op.create_table(
        "stripe_checkout",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("payment_id", sa.String(), nullable=False),
        sa.Column("amount_fen", BIG, nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "open",
                "complete",
                "expired",
                name="checkoutstate_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("payment_intent", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_checkout")),
    )
    with op.batch_alter_table("stripe_checkout", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_stripe_checkout_payment_id"), ["payment_id"], unique=False)

    op.create_table(
        "suspense_item",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column(
            "rail",
            sa.Enum(
                "bank_transfer",
                "stripe",
                name="railkind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("rail_reference", sa.String(), nullable=False),
        sa.Column("amount_fen", BIG, nullable=False),
        sa.Column(
            "reason",
            sa.Enum(
                "amount",
                "closed",
                "unknown",
                name="suspensereason_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("payment_id", sa.String(), nullable=True),
        sa.Column(
            "state",
            sa.Enum(
                "held",
                "returned",
                name="suspensestate_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("booked_at", MOMENT, nullable=False),
        sa.Column("booked_by", sa.String(), nullable=False),
        sa.Column("returned_at", MOMENT, nullable=True),
        sa.Column("returned_by", sa.String(), nullable=True),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_suspense_item_amount_positive")),
        sa.CheckConstraint(
            "returned_by IS NULL OR returned_by <> booked_by", name=op.f("ck_suspense_item_two_people")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suspense_item")),
        sa.UniqueConstraint("rail", "rail_reference", name=op.f("uq_suspense_item_rail_rail_reference")),
    )
    with op.batch_alter_table("suspense_item", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_suspense_item_payment_id"), ["payment_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_suspense_item_state"), ["state"], unique=False)

    op.create_table(
        "tier_decision",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("moment", sa.String(), nullable=False),
        sa.Column("pack_version", sa.String(), nullable=False),
        sa.Column("pack_sha256", sa.String(), nullable=False),
        sa.Column("switched_off", JSON_TYPE, nullable=False),
        sa.Column("inputs", JSON_TYPE, nullable=False),
        sa.Column("inputs_sha256", sa.String(), nullable=False),
        sa.Column(
            "decision",
            sa.Enum(
                "deny",
                "hold",
                "manual",
                "allow",
                name="decision_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("outcome", JSON_TYPE, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tier_decision")),
    )
    with op.batch_alter_table("tier_decision", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tier_decision_decision"), ["decision"], unique=False)
        batch_op.create_index(batch_op.f("ix_tier_decision_subject"), ["subject"], unique=False)

    op.create_table(
        "tier_finding",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("term", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("org", sa.String(), nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tier_finding")),
    )
    with op.batch_alter_table("tier_finding", schema=None) as batch_op:
        batch_op.create_index("ix_tier_finding_subject_term", ["subject", "term"], unique=False)

    op.create_table(
        "token_key",
        sa.Column("kid", sa.String(), nullable=False),
        sa.Column("public", JSON_TYPE, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "next",
                "current",
                "retired",
                "dropped",
                name="keystate_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("retired_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_token_key")),
    )
    op.create_table(
        "upstream",
        sa.Column("product_id", sa.String(), nullable=False),
        sa.Column("declaration", JSON_TYPE, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("declared_at", MOMENT, nullable=False),
        sa.Column("rotated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("product_id", name=op.f("pk_upstream")),
    )
    op.create_table(
        "usage_anomaly",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "surge",
                "night",
                "probing",
                "off_purpose",
                name="anomalykind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("buyer_id", sa.String(), nullable=True),
        sa.Column("provider_id", sa.String(), nullable=True),
        sa.Column("figures", JSON_TYPE, nullable=False),
        sa.Column("noted_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_anomaly")),
        sa.UniqueConstraint("kind", "subject", "since", name=op.f("uq_usage_anomaly_kind_subject_since")),
    )
    with op.batch_alter_table("usage_anomaly", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_usage_anomaly_provider_id"), ["provider_id"], unique=False)

    op.create_table(
        "usage_event",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("license_id", sa.String(), nullable=False),
        sa.Column("product_id", sa.String(), nullable=False),
        sa.Column("credential_id", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "rows",
                "download",
                "call",
                "reported",
                name="kind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("calls", BIG, nullable=False),
        sa.Column("rows", BIG, nullable=False),
        sa.Column("amount_fen", BIG, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("bytes", BIG, nullable=False),
        sa.CheckConstraint(
            "calls >= 0 AND rows >= 0 AND bytes >= 0 AND amount_fen >= 0",
            name=op.f("ck_usage_event_positive"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_event")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("usage_event", schema=None) as batch_op:
        batch_op.create_index("ix_usage_event_license_id_period", ["license_id", "period"], unique=False)

    op.create_table(
        "usage_hour",
        sa.Column("license_id", sa.String(), nullable=False),
        sa.Column("hour", MOMENT, nullable=False),
        sa.Column("credential_id", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "rows",
                "download",
                "call",
                "reported",
                name="kind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("product_id", sa.String(), nullable=False),
        sa.Column("events", BIG, nullable=False),
        sa.Column("calls", BIG, nullable=False),
        sa.Column("rows", BIG, nullable=False),
        sa.Column("bytes", BIG, nullable=False),
        sa.Column("amount_fen", BIG, nullable=False),
        sa.PrimaryKeyConstraint(
            "license_id", "hour", "credential_id", "purpose", "kind", "period", name=op.f("pk_usage_hour")
        ),
    )
    with op.batch_alter_table("usage_hour", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_usage_hour_product_id"), ["product_id"], unique=False)

    op.create_table(
        "usage_seal",
        sa.Column("hour", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("hour", name=op.f("pk_usage_seal")),
    )
    op.create_table(
        "usage_step",
        sa.Column("license_id", sa.String(), nullable=False),
        sa.Column(
            "unit",
            sa.Enum(
                "calls",
                "rows",
                "bytes",
                "downloads",
                "spend",
                name="limitunit_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("most", BIG, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("noted_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("license_id", "unit", "most", "step", name=op.f("pk_usage_step")),
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
        "webhook_inbox",
        sa.Column(
            "rail",
            sa.Enum(
                "bank_transfer",
                "stripe",
                name="railkind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payload_sha256", sa.String(), nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column(
            "effect",
            sa.Enum(
                "awaited",
                "confirmed",
                "expired",
                "failed",
                "ignored",
                "suspense",
                "unbooked",
                name="webhookeffect_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("payment_id", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("rail", "event_id", name=op.f("pk_webhook_inbox")),
    )
    with op.batch_alter_table("webhook_inbox", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_webhook_inbox_payment_id"), ["payment_id"], unique=False)

    op.create_table(
        "approval_decision",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("on_behalf_of", sa.String(), nullable=True),
        sa.Column("org", sa.String(), nullable=True),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column(
            "verdict",
            sa.Enum(
                "approve",
                "reject",
                "return",
                name="verdict_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["approval_case.id"], name=op.f("fk_approval_decision_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_decision")),
        sa.UniqueConstraint("case_id", "round", "by", name=op.f("uq_approval_decision_case_id_round_by")),
    )
    with op.batch_alter_table("approval_decision", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_approval_decision_case_id"), ["case_id"], unique=False)

    op.create_table(
        "asset_amendment",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "change",
                "correction",
                "renewal",
                "transfer",
                "cancellation",
                name="amendmentkind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "offered",
                "submitted",
                "returned",
                "under_review",
                "publicity",
                "objected",
                "applied",
                "rejected",
                "declined",
                "withdrawn",
                "lapsed",
                name="amendmentstate_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("registrant_id", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("changes", JSON_TYPE, nullable=False),
        sa.Column("material", sa.Boolean(), nullable=False),
        sa.Column(
            "ground",
            sa.Enum(
                "lost",
                "waived",
                "dissolved",
                "other",
                name="cancelground_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("to_party", sa.String(), nullable=True),
        sa.Column("agreed_by", sa.String(), nullable=True),
        sa.Column("agreed_at", MOMENT, nullable=True),
        sa.Column("evidence", JSON_TYPE, nullable=False),
        sa.Column("missing", JSON_TYPE, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("reviewed_by", sa.String(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "kind <> 'cancellation' OR ground IS NOT NULL",
            name=op.f("ck_asset_amendment_cancelled_for_a_reason"),
        ),
        sa.CheckConstraint(
            "kind <> 'transfer' OR to_party IS NOT NULL", name=op.f("ck_asset_amendment_transfer_to_somebody")
        ),
        sa.ForeignKeyConstraint(["asset_id"], ["asset.id"], name=op.f("fk_asset_amendment_asset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asset_amendment")),
    )
    with op.batch_alter_table("asset_amendment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_asset_amendment_asset_id"), ["asset_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_asset_amendment_registrant_id"), ["registrant_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_asset_amendment_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_asset_amendment_to_party"), ["to_party"], unique=False)
        batch_op.create_index(
            "uq_asset_amendment_open",
            ["asset_id"],
            unique=True,
            sqlite_where=sa.text(
                "state IN ('offered', 'submitted', 'returned', 'under_review', 'publicity', 'objected')"
            ),
            postgresql_where=sa.text(
                "state IN ('offered', 'submitted', 'returned', 'under_review', 'publicity', 'objected')"
            ),
        )

    op.create_table(
        "asset_file",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("encoding", sa.String(), nullable=False),
        sa.Column("rows", BIG, nullable=True),
        sa.Column("profile", JSON_TYPE, nullable=False),
        sa.Column("attached_by", sa.String(), nullable=False),
        sa.Column("attached_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["asset.id"], name=op.f("fk_asset_file_asset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asset_file")),
        sa.UniqueConstraint("asset_id", "sha256", name=op.f("uq_asset_file_asset_id_sha256")),
    )
    with op.batch_alter_table("asset_file", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_asset_file_asset_id"), ["asset_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_asset_file_sha256"), ["sha256"], unique=False)

    op.create_table(
        "asset_grading",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column(
            "grade",
            sa.Enum(
                "G1",
                "G2",
                "G3",
                "G4",
                "IMPORTANT",
                "CORE",
                name="datagrade_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("fields", JSON_TYPE, nullable=False),
        sa.Column("facts", JSON_TYPE, nullable=False),
        sa.Column("reasons", JSON_TYPE, nullable=False),
        sa.Column("graded_by", sa.String(), nullable=False),
        sa.Column("graded_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["asset.id"], name=op.f("fk_asset_grading_asset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asset_grading")),
    )
    with op.batch_alter_table("asset_grading", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_asset_grading_asset_id"), ["asset_id"], unique=False)

    op.create_table(
        "certificate",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("content", JSON_TYPE, nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("issued_at", MOMENT, nullable=False),
        sa.Column("document", JSON_TYPE, nullable=True),
        sa.Column("pdf_sha256", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["asset_id"], ["asset.id"], name=op.f("fk_certificate_asset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificate")),
        sa.UniqueConstraint("asset_id", "serial", name=op.f("uq_certificate_asset_id_serial")),
    )
    with op.batch_alter_table("certificate", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_certificate_asset_id"), ["asset_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_certificate_number"), ["number"], unique=False)

    op.create_table(
        "cross_check",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("left_asset_id", sa.String(), nullable=False),
        sa.Column("right_asset_id", sa.String(), nullable=False),
        sa.Column("left_sha256", sa.String(), nullable=False),
        sa.Column("right_sha256", sa.String(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=True),
        sa.Column("result", JSON_TYPE, nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["data_item.id"], name=op.f("fk_cross_check_item_id")),
        sa.ForeignKeyConstraint(["left_asset_id"], ["asset.id"], name=op.f("fk_cross_check_left_asset_id")),
        sa.ForeignKeyConstraint(["right_asset_id"], ["asset.id"], name=op.f("fk_cross_check_right_asset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cross_check")),
    )
    with op.batch_alter_table("cross_check", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_cross_check_left_asset_id"), ["left_asset_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_cross_check_right_asset_id"), ["right_asset_id"], unique=False)

    op.create_table(
        "item_source",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("collector", sa.String(), nullable=False),
        sa.Column("approver", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("authoritative", sa.Boolean(), nullable=False),
        sa.Column("since", MOMENT, nullable=True),
        sa.Column("named_by", sa.String(), nullable=False),
        sa.Column("named_at", MOMENT, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.CheckConstraint(
            "NOT authoritative OR (collector <> '' AND approver <> '' AND provider <> '')",
            name=op.f("ck_item_source_three_roles"),
        ),
        sa.ForeignKeyConstraint(["asset_id"], ["asset.id"], name=op.f("fk_item_source_asset_id")),
        sa.ForeignKeyConstraint(["item_id"], ["data_item.id"], name=op.f("fk_item_source_item_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item_source")),
        sa.UniqueConstraint("item_id", "asset_id", name=op.f("uq_item_source_item_id_asset_id")),
    )
    with op.batch_alter_table("item_source", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_item_source_asset_id"), ["asset_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_item_source_item_id"), ["item_id"], unique=False)
        batch_op.create_index(
            "uq_item_source_authoritative",
            ["item_id"],
            unique=True,
            sqlite_where=sa.text("authoritative"),
            postgresql_where=sa.text("authoritative"),
        )

    op.create_table(
        "ledger_posting",
        sa.Column("transaction_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("destination", sa.String(), nullable=False),
        sa.Column("amount_fen", BIG, nullable=False),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_ledger_posting_amount_positive")),
        sa.CheckConstraint("source <> destination", name=op.f("ck_ledger_posting_two_accounts")),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["ledger_transaction.id"], name=op.f("fk_ledger_posting_transaction_id")
        ),
        sa.PrimaryKeyConstraint("transaction_id", "number", name=op.f("pk_ledger_posting")),
    )
    with op.batch_alter_table("ledger_posting", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ledger_posting_destination"), ["destination"], unique=False)
        batch_op.create_index(batch_op.f("ix_ledger_posting_source"), ["source"], unique=False)

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
        sa.UniqueConstraint("id", "tier", name=op.f("uq_license_id_tier")),
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
        "invoice",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "credit_note",
                "fee",
                "usage",
                name="invoicekind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("charge", sa.String(), nullable=False),
        sa.Column("credits", sa.String(), nullable=True),
        sa.Column("license_id", sa.String(), nullable=True),
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
        sa.Column("order_id", sa.String(), nullable=True),
        sa.Column("buyer_id", sa.String(), nullable=False),
        sa.Column("payee_id", sa.String(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column(
            "tax_invoice",
            sa.Enum(
                "general",
                "special",
                name="taxinvoice_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("net_fen", BIG, nullable=False),
        sa.Column("tax_fen", BIG, nullable=False),
        sa.Column("gross_fen", BIG, nullable=False),
        sa.Column("issued_at", MOMENT, nullable=False),
        sa.Column("issued_by", sa.String(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("signature", sa.String(), nullable=True),
        sa.Column("key_id", sa.String(), nullable=True),
        sa.Column(
            "state",
            sa.Enum(
                "issued",
                "overdue",
                "paid",
                "credited",
                name="invoicestate_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("paid_fen", BIG, nullable=False),
        sa.Column("paid_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "(kind = 'credit_note') = (credits IS NOT NULL)", name=op.f("ck_invoice_note_credits_one")
        ),
        sa.CheckConstraint("gross_fen = net_fen + tax_fen", name=op.f("ck_invoice_gross_is_net_and_tax")),
        sa.CheckConstraint(
            "gross_fen > 0 AND net_fen >= 0 AND tax_fen >= 0", name=op.f("ck_invoice_amounts_positive")
        ),
        sa.CheckConstraint(
            "paid_fen >= 0 AND paid_fen <= gross_fen", name=op.f("ck_invoice_paid_within_gross")
        ),
        sa.CheckConstraint(
            "kind <> 'usage' OR license_id IS NOT NULL", name=op.f("ck_invoice_usage_of_a_license")
        ),
        sa.CheckConstraint("tier = 'commercial'", name=op.f("ck_invoice_never_public_good")),
        sa.ForeignKeyConstraint(
            ["license_id", "tier"], ["license.id", "license.tier"], name="fk_invoice_license"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice")),
        sa.UniqueConstraint("charge", name=op.f("uq_invoice_charge")),
        sa.UniqueConstraint("credits", name=op.f("uq_invoice_credits")),
        sa.UniqueConstraint("number", name=op.f("uq_invoice_number")),
    )
    with op.batch_alter_table("invoice", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_invoice_buyer_id"), ["buyer_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_invoice_license_id"), ["license_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_invoice_order_id"), ["order_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_invoice_payee_id"), ["payee_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_invoice_period"), ["period"], unique=False)
        batch_op.create_index(batch_op.f("ix_invoice_state"), ["state"], unique=False)

    op.create_table(
        "invoice_line",
        sa.Column("invoice_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "call",
                "download",
                "fee",
                "row",
                name="linekind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("license_id", sa.String(), nullable=True),
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
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("count", BIG, nullable=True),
        sa.Column("quantity", BIG, nullable=False),
        sa.Column("unit_price", sa.String(), nullable=False),
        sa.Column("gross_fen", BIG, nullable=False),
        sa.Column("net_fen", BIG, nullable=False),
        sa.Column("tax_fen", BIG, nullable=False),
        sa.Column("tariff_id", sa.String(), nullable=False),
        sa.Column("merkle_root", sa.String(), nullable=True),
        sa.CheckConstraint(
            "gross_fen = net_fen + tax_fen", name=op.f("ck_invoice_line_gross_is_net_and_tax")
        ),
        sa.CheckConstraint(
            "quantity > 0 AND gross_fen >= 0 AND net_fen >= 0 AND tax_fen >= 0",
            name=op.f("ck_invoice_line_amounts"),
        ),
        sa.CheckConstraint(
            "kind = 'fee' OR license_id IS NOT NULL", name=op.f("ck_invoice_line_usage_of_a_license")
        ),
        sa.CheckConstraint("tier = 'commercial'", name=op.f("ck_invoice_line_never_public_good")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_invoice_line_invoice_id")),
        sa.ForeignKeyConstraint(
            ["license_id", "tier"], ["license.id", "license.tier"], name="fk_invoice_line_license"
        ),
        sa.PrimaryKeyConstraint("invoice_id", "number", name=op.f("pk_invoice_line")),
    )
    with op.batch_alter_table("invoice_line", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_invoice_line_license_id"), ["license_id"], unique=False)

    op.create_table(
        "list_edit",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "open",
                "negative",
                name="listkind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "submitted",
                "published",
                "rejected",
                "withdrawn",
                name="editstate_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("changes", JSON_TYPE, nullable=False),
        sa.Column("summary", sa.String(), nullable=False),
        sa.Column("based_on", sa.Integer(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_org", sa.String(), nullable=False),
        sa.Column("proposed_roles", JSON_TYPE, nullable=False),
        sa.Column("proposed_at", MOMENT, nullable=False),
        sa.Column("case_id", sa.String(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.CheckConstraint(
            "(state = 'published') = (version IS NOT NULL)", name=op.f("ck_list_edit_published_numbered")
        ),
        sa.CheckConstraint(
            "decided_by IS NULL OR decided_by <> proposed_by", name=op.f("ck_list_edit_two_people")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["approval_case.id"], name=op.f("fk_list_edit_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_list_edit")),
        sa.UniqueConstraint("case_id", name=op.f("uq_list_edit_case_id")),
        sa.UniqueConstraint("kind", "version", name=op.f("uq_list_edit_kind_version")),
    )
    with op.batch_alter_table("list_edit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_list_edit_kind"), ["kind"], unique=False)
        batch_op.create_index(batch_op.f("ix_list_edit_proposed_org"), ["proposed_org"], unique=False)
        batch_op.create_index(batch_op.f("ix_list_edit_state"), ["state"], unique=False)

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
        "mandate",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=True),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "collective_review",
                "public_notice",
                "signed",
                "active",
                "suspended",
                "expired",
                "terminated",
                "handed_over",
                name="mandatestate_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "kind",
            sa.Enum(
                "whole",
                "sector",
                "scenario",
                name="mandatekind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("mandator_id", sa.String(), nullable=False),
        sa.Column("operator_id", sa.String(), nullable=False),
        sa.Column("agreement", JSON_TYPE, nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("valid_from", MOMENT, nullable=False),
        sa.Column("valid_until", MOMENT, nullable=False),
        sa.Column("drafted_by", sa.String(), nullable=False),
        sa.Column("drafted_at", MOMENT, nullable=False),
        sa.Column("minutes_no", sa.String(), nullable=False),
        sa.Column("minutes_on", sa.Date(), nullable=True),
        sa.Column("submitted_by", sa.String(), nullable=True),
        sa.Column("case_id", sa.String(), nullable=True),
        sa.Column("notice_from", MOMENT, nullable=True),
        sa.Column("notice_until", MOMENT, nullable=True),
        sa.Column("signed_by", sa.String(), nullable=True),
        sa.Column("signed_at", MOMENT, nullable=True),
        sa.Column("began_at", MOMENT, nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("handover", sa.String(), nullable=False),
        sa.CheckConstraint(
            "state IN ('draft', 'collective_review', 'public_notice', 'terminated', 'handed_over') OR signed_at IS NOT NULL",
            name=op.f("ck_mandate_signed"),
        ),
        sa.CheckConstraint("mandator_id <> operator_id", name=op.f("ck_mandate_two_parties")),
        sa.CheckConstraint(
            "signed_by IS NULL OR signed_by <> submitted_by", name=op.f("ck_mandate_signed_by_another")
        ),
        sa.CheckConstraint("valid_until > valid_from", name=op.f("ck_mandate_term_positive")),
        sa.ForeignKeyConstraint(["case_id"], ["approval_case.id"], name=op.f("fk_mandate_case_id")),
        sa.ForeignKeyConstraint(["mandator_id"], ["party.id"], name=op.f("fk_mandate_mandator_id")),
        sa.ForeignKeyConstraint(["operator_id"], ["party.id"], name=op.f("fk_mandate_operator_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mandate")),
        sa.UniqueConstraint("case_id", name=op.f("uq_mandate_case_id")),
        sa.UniqueConstraint("number", name=op.f("uq_mandate_number")),
    )
    with op.batch_alter_table("mandate", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_mandate_mandator_id"), ["mandator_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_mandate_operator_id"), ["operator_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_mandate_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_mandate_valid_until"), ["valid_until"], unique=False)

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
        "price_ceiling",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("product", sa.String(), nullable=False),
        sa.Column(
            "unit",
            sa.Enum(
                "call",
                "row",
                "download",
                "month",
                name="chargeunit_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("max_numerator", BIG, nullable=False),
        sa.Column("max_denominator", BIG, nullable=False),
        sa.Column("mandator_id", sa.String(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("document_no", sa.String(), nullable=False),
        sa.Column("document_sha256", sa.String(), nullable=True),
        sa.Column("trial", sa.Boolean(), nullable=False),
        sa.Column("valid_from", MOMENT, nullable=False),
        sa.Column("valid_until", MOMENT, nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("set_at", MOMENT, nullable=False),
        sa.Column("end_reason", sa.String(), nullable=False),
        sa.CheckConstraint(
            "max_numerator > 0 AND max_denominator > 0", name=op.f("ck_price_ceiling_above_zero")
        ),
        sa.CheckConstraint(
            "trial = false OR document_sha256 IS NOT NULL", name=op.f("ck_price_ceiling_trial_documented")
        ),
        sa.CheckConstraint("valid_until > valid_from", name=op.f("ck_price_ceiling_span_positive")),
        sa.ForeignKeyConstraint(["mandator_id"], ["party.id"], name=op.f("fk_price_ceiling_mandator_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_ceiling")),
        sa.UniqueConstraint(
            "product", "unit", "revision", name=op.f("uq_price_ceiling_product_unit_revision")
        ),
    )
    with op.batch_alter_table("price_ceiling", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_price_ceiling_mandator_id"), ["mandator_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_price_ceiling_product"), ["product"], unique=False)
        batch_op.create_index(batch_op.f("ix_price_ceiling_valid_until"), ["valid_until"], unique=False)

    op.create_table(
        "product",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "listed",
                "suspended",
                "delisted",
                name="productstate_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("provider_id", sa.String(), nullable=False),
        sa.Column(
            "grade",
            sa.Enum(
                "G1",
                "G2",
                "G3",
                "G4",
                "IMPORTANT",
                "CORE",
                name="datagrade_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "supply",
            sa.Enum(
                "public",
                "enterprise",
                "mixed",
                name="supplykind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("listed_at", MOMENT, nullable=True),
        sa.Column("current_version", sa.Integer(), nullable=True),
        sa.Column("title_zh", sa.String(), nullable=False),
        sa.Column("title_en", sa.String(), nullable=False),
        sa.Column("summary_zh", sa.String(), nullable=False),
        sa.Column("summary_en", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "dataset",
                "api",
                "report",
                "verification",
                name="productkind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "zone",
            sa.Enum(
                "government",
                "transport",
                "parking",
                "ocean",
                "port",
                "weather",
                "environment",
                "health",
                "elderly",
                "education",
                "food",
                "community",
                "rural",
                "agriculture",
                "tourism",
                "finance",
                "credit",
                "industry",
                "energy",
                "trade",
                "housing",
                "employment",
                "safety",
                "maps",
                name="zone_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
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
        sa.Column("delivery", JSON_TYPE, nullable=False),
        sa.Column("scenarios", JSON_TYPE, nullable=False),
        sa.Column("keywords", JSON_TYPE, nullable=False),
        sa.Column("cover", JSON_TYPE, nullable=False),
        sa.Column(
            "form",
            sa.Enum(
                "raw_open",
                "cleansed",
                "analysed",
                "modelled",
                "visualised",
                name="productform_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("permit", sa.String(), nullable=False),
        sa.CheckConstraint(
            "state = 'draft' OR grade NOT IN ('CORE', 'IMPORTANT')", name=op.f("ck_product_grade_tradable")
        ),
        sa.ForeignKeyConstraint(["asset_id"], ["asset.id"], name=op.f("fk_product_asset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product")),
        sa.UniqueConstraint("id", "tier", name="uq_product_id_tier"),
        sa.UniqueConstraint("slug", name=op.f("uq_product_slug")),
    )
    with op.batch_alter_table("product", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_product_asset_id"), ["asset_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_product_listed_at"), ["listed_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_product_provider_id"), ["provider_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_product_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_product_tier"), ["tier"], unique=False)
        batch_op.create_index(batch_op.f("ix_product_zone"), ["zone"], unique=False)

    op.create_table(
        "registered_content",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["asset.id"], name=op.f("fk_registered_content_asset_id")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_registered_content")),
    )
    with op.batch_alter_table("registered_content", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_registered_content_asset_id"), ["asset_id"], unique=False)

    op.create_table(
        "registration_step",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "registered",
                "changed",
                "corrected",
                "renewed",
                "transferred",
                "expired",
                "cancelled",
                "revoked",
                name="stepkind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("valid_until", MOMENT, nullable=False),
        sa.Column("registrant_id", sa.String(), nullable=False),
        sa.Column("amendment_id", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["asset.id"], name=op.f("fk_registration_step_asset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registration_step")),
        sa.UniqueConstraint("asset_id", "serial", name=op.f("uq_registration_step_asset_id_serial")),
    )
    with op.batch_alter_table("registration_step", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_registration_step_asset_id"), ["asset_id"], unique=False)

    op.create_table(
        "revenue_cap",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("operator_id", sa.String(), nullable=False),
        sa.Column("mandator_id", sa.String(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("cap_fen", BIG, nullable=False),
        sa.Column("carried_fen", BIG, nullable=False),
        sa.Column("collected_fen", BIG, nullable=False),
        sa.Column(
            "step",
            sa.Enum(
                "below",
                "warned",
                "stopped",
                name="capstep_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("document_no", sa.String(), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("set_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "cap_fen >= 0 AND carried_fen >= 0", name=op.f("ck_revenue_cap_amounts_not_negative")
        ),
        sa.CheckConstraint("last_day > first_day", name=op.f("ck_revenue_cap_span_positive")),
        sa.ForeignKeyConstraint(["mandator_id"], ["party.id"], name=op.f("fk_revenue_cap_mandator_id")),
        sa.ForeignKeyConstraint(["operator_id"], ["party.id"], name=op.f("fk_revenue_cap_operator_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revenue_cap")),
        sa.UniqueConstraint("operator_id", "first_day", name=op.f("uq_revenue_cap_operator_id_first_day")),
    )
    with op.batch_alter_table("revenue_cap", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_revenue_cap_mandator_id"), ["mandator_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_revenue_cap_operator_id"), ["operator_id"], unique=False)

    op.create_table(
        "asset_filing",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "risk_assessment",
                "impact_assessment",
                "dispute",
                name="filingkind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "filed",
                "in_force",
                "refused",
                "ended",
                name="filingstate_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("authority", sa.String(), nullable=False),
        sa.Column("dated", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("filed_by", sa.String(), nullable=False),
        sa.Column("filed_org", sa.String(), nullable=False),
        sa.Column("filed_at", MOMENT, nullable=False),
        sa.Column("reviewed_by", sa.String(), nullable=True),
        sa.Column("reviewed_at", MOMENT, nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("end_reason", sa.String(), nullable=False),
        sa.CheckConstraint(
            "kind = 'dispute' OR reviewed_by IS NULL OR reviewed_by <> filed_by",
            name=op.f("ck_asset_filing_another_person"),
        ),
        sa.CheckConstraint(
            "state <> 'in_force' OR reviewed_by IS NOT NULL",
            name=op.f("ck_asset_filing_checked_by_somebody"),
        ),
        sa.ForeignKeyConstraint(["asset_id"], ["asset.id"], name=op.f("fk_asset_filing_asset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asset_filing")),
    )
    with op.batch_alter_table("asset_filing", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_asset_filing_asset_id"), ["asset_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_asset_filing_filed_org"), ["filed_org"], unique=False)
        batch_op.create_index(batch_op.f("ix_asset_filing_state"), ["state"], unique=False)
        batch_op.create_index(
            "uq_asset_filing_open",
            ["asset_id", "kind", "number"],
            unique=True,
            sqlite_where=sa.text("state IN ('filed', 'in_force')"),
            postgresql_where=sa.text("state IN ('filed', 'in_force')"),
        )

    op.create_table(
        "secrecy_review",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "not_needed",
                "pending",
                "passed",
                "refused",
                name="secrecy_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("contents", sa.String(), nullable=False),
        sa.Column("personal", sa.Boolean(), nullable=False),
        sa.Column("export", sa.Boolean(), nullable=False),
        sa.Column("statement", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_org", sa.String(), nullable=False),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("reviewed_by", sa.String(), nullable=True),
        sa.Column("reviewed_at", MOMENT, nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("evidence", sa.String(), nullable=False),
        sa.CheckConstraint(
            "state = 'pending' OR reviewed_by IS NOT NULL",
            name=op.f("ck_secrecy_review_reviewed_by_somebody"),
        ),
        sa.CheckConstraint(
            "reviewed_by IS NULL OR reviewed_by <> asked_by", name=op.f("ck_secrecy_review_another_person")
        ),
        sa.ForeignKeyConstraint(["asset_id"], ["asset.id"], name=op.f("fk_secrecy_review_asset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secrecy_review")),
    )
    with op.batch_alter_table("secrecy_review", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_secrecy_review_asked_org"), ["asked_org"], unique=False)
        batch_op.create_index(batch_op.f("ix_secrecy_review_asset_id"), ["asset_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_secrecy_review_state"), ["state"], unique=False)
        batch_op.create_index(
            "uq_secrecy_review_pending",
            ["asset_id"],
            unique=True,
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        )

    op.create_table(
        "shelf_version",
        sa.Column("product_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("manifest", JSON_TYPE, nullable=False),
        sa.Column("shelved_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["product_id"], ["shelf_item.product_id"], name=op.f("fk_shelf_version_product_id")
        ),
        sa.PrimaryKeyConstraint("product_id", "version", name=op.f("pk_shelf_version")),
    )
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
        sa.Column("evidence", sa.String(), nullable=False),
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
        sa.Column("months", sa.Integer(), nullable=False),
        sa.Column("fee_fen", BIG, nullable=False),
        sa.Column("prepay_fen", BIG, nullable=False),
        sa.Column("due_fen", BIG, nullable=False),
        sa.Column("rules_version", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "submitted",
                "returned",
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
            "tier = 'commercial' OR due_fen + prepay_fen + fee_fen = 0",
            name=op.f("ck_trade_order_public_good_is_free"),
        ),
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

    op.create_table(
        "list_version",
        sa.Column(
            "kind",
            sa.Enum(
                "open",
                "negative",
                name="listkind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("edit_id", sa.String(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("published_at", MOMENT, nullable=False),
        sa.Column("swept_on", sa.Date(), nullable=True),
        sa.CheckConstraint("number > 0", name=op.f("ck_list_version_number_positive")),
        sa.ForeignKeyConstraint(["edit_id"], ["list_edit.id"], name=op.f("fk_list_version_edit_id")),
        sa.PrimaryKeyConstraint("kind", "number", name=op.f("pk_list_version")),
        sa.UniqueConstraint("edit_id", name=op.f("uq_list_version_edit_id")),
    )
    op.create_table(
        "listing",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("product_id", sa.String(), nullable=False),
        sa.Column("provider_id", sa.String(), nullable=False),
        sa.Column(
            "provider_kind",
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
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "submitted",
                "returned",
                "listed",
                "suspended",
                "delisted",
                name="listingstate_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("case_id", sa.String(), nullable=True),
        sa.Column("rules_version", sa.String(), nullable=False),
        sa.Column("standing", JSON_TYPE, nullable=False),
        sa.Column("offer_sha256", sa.String(), nullable=False),
        sa.Column("offer_accepted_by", sa.String(), nullable=False),
        sa.Column("offer_accepted_at", MOMENT, nullable=False),
        sa.Column("submitted_at", MOMENT, nullable=True),
        sa.Column("listed_at", MOMENT, nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column(
            "hold",
            sa.Enum(
                "negative_list",
                "mandate",
                name="hold_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["approval_case.id"], name=op.f("fk_listing_case_id")),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_listing_product_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listing")),
    )
    with op.batch_alter_table("listing", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_listing_product_id"), ["product_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_listing_provider_id"), ["provider_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_listing_state"), ["state"], unique=False)
        batch_op.create_index(
            "uq_listing_living",
            ["product_id"],
            unique=True,
            sqlite_where=sa.text("state <> 'delisted'"),
            postgresql_where=sa.text("state <> 'delisted'"),
        )

    op.create_table(
        "mandate_assessment",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("mandate_id", sa.String(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column(
            "verdict",
            sa.Enum(
                "good",
                "improve",
                "failed",
                name="assessed_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["mandate_id"], ["mandate.id"], name=op.f("fk_mandate_assessment_mandate_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mandate_assessment")),
        sa.UniqueConstraint("mandate_id", "year", name=op.f("uq_mandate_assessment_mandate_id_year")),
    )
    with op.batch_alter_table("mandate_assessment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_mandate_assessment_mandate_id"), ["mandate_id"], unique=False)

    op.create_table(
        "mandated_license",
        sa.Column("license_id", sa.String(), nullable=False),
        sa.Column("product_id", sa.String(), nullable=False),
        sa.Column("mandate_id", sa.String(), nullable=False),
        sa.Column("operator_id", sa.String(), nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.Column("issued_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["mandate_id"], ["mandate.id"], name=op.f("fk_mandated_license_mandate_id")),
        sa.PrimaryKeyConstraint("license_id", name=op.f("pk_mandated_license")),
    )
    with op.batch_alter_table("mandated_license", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_mandated_license_mandate_id"), ["mandate_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_mandated_license_operator_id"), ["operator_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_mandated_license_product_id"), ["product_id"], unique=False)

    op.create_table(
        "plan",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("product_id", sa.String(), nullable=False),
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
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("title_zh", sa.String(), nullable=False),
        sa.Column("title_en", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "free",
                "per_call",
                "per_row",
                "per_download",
                "subscription",
                name="plankind_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("call_fen", BIG, nullable=False),
        sa.Column("row_fen", BIG, nullable=False),
        sa.Column("download_fen", BIG, nullable=False),
        sa.Column("fee_fen", BIG, nullable=False),
        sa.Column("included_calls", BIG, nullable=True),
        sa.Column("included_rows", BIG, nullable=True),
        sa.Column("included_downloads", BIG, nullable=True),
        sa.Column("per_hit", sa.Boolean(), nullable=False),
        sa.Column("tax_rate_bp", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("offer", JSON_TYPE, nullable=True),
        sa.Column("offer_hash", sa.String(), nullable=True),
        sa.Column("offer_accepted_by", sa.String(), nullable=True),
        sa.Column("offer_accepted_at", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("retired_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "(kind = 'free' AND call_fen + row_fen + download_fen + fee_fen = 0) OR (kind <> 'free' AND call_fen + row_fen + download_fen + fee_fen > 0)",
            name=op.f("ck_plan_free_or_priced"),
        ),
        sa.CheckConstraint(
            "tier <> 'public_good' OR (kind = 'free' AND call_fen + row_fen + download_fen + fee_fen = 0)",
            name=op.f("ck_plan_public_good_free"),
        ),
        sa.CheckConstraint(
            "call_fen >= 0 AND row_fen >= 0 AND download_fen >= 0 AND fee_fen >= 0",
            name=op.f("ck_plan_prices_not_negative"),
        ),
        sa.CheckConstraint("tax_rate_bp BETWEEN 0 AND 10000", name=op.f("ck_plan_tax_rate_known")),
        sa.ForeignKeyConstraint(
            ["product_id", "tier"], ["product.id", "product.tier"], name="fk_plan_product"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan")),
        sa.UniqueConstraint("product_id", "code", name=op.f("uq_plan_product_id_code")),
    )
    with op.batch_alter_table("plan", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_plan_product_id"), ["product_id"], unique=False)

    op.create_table(
        "product_version",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("product_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("rows", BIG, nullable=False),
        sa.Column("columns", JSON_TYPE, nullable=False),
        sa.Column("manifest", JSON_TYPE, nullable=False),
        sa.Column("sample", JSON_TYPE, nullable=False),
        sa.Column("dictionary", JSON_TYPE, nullable=False),
        sa.Column("published_by", sa.String(), nullable=False),
        sa.Column("published_at", MOMENT, nullable=False),
        sa.CheckConstraint("number > 0", name=op.f("ck_product_version_number_positive")),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_product_version_product_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product_version")),
        sa.UniqueConstraint("product_id", "number", name=op.f("uq_product_version_product_id_number")),
        sa.UniqueConstraint("product_id", "run_id", name="uq_product_version_run"),
    )
    with op.batch_alter_table("product_version", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_product_version_product_id"), ["product_id"], unique=False)

    op.create_table(
        "public_notice",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("amendment_id", sa.String(), nullable=True),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("opened_by", sa.String(), nullable=False),
        sa.Column("runs_from", MOMENT, nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("ends_at", MOMENT, nullable=False),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.Column("paused_at", MOMENT, nullable=True),
        sa.Column("remaining", sa.Integer(), nullable=True),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["amendment_id"], ["asset_amendment.id"], name=op.f("fk_public_notice_amendment_id")
        ),
        sa.ForeignKeyConstraint(["asset_id"], ["asset.id"], name=op.f("fk_public_notice_asset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_public_notice")),
        sa.UniqueConstraint("number", name=op.f("uq_public_notice_number")),
    )
    with op.batch_alter_table("public_notice", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_public_notice_amendment_id"), ["amendment_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_public_notice_asset_id"), ["asset_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_public_notice_ends_at"), ["ends_at"], unique=False)

    op.create_table(
        "objection",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("notice_id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "raised",
                "answered",
                "sustained",
                "dismissed",
                "moot",
                name="objectionstate_known",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("raised_by", sa.String(), nullable=False),
        sa.Column("raised_org", sa.String(), nullable=True),
        sa.Column("raised_at", MOMENT, nullable=False),
        sa.Column("statement", sa.String(), nullable=False),
        sa.Column("evidence", JSON_TYPE, nullable=False),
        sa.Column("answer_until", MOMENT, nullable=False),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("answered_by", sa.String(), nullable=True),
        sa.Column("answered_at", MOMENT, nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["asset.id"], name=op.f("fk_objection_asset_id")),
        sa.ForeignKeyConstraint(["notice_id"], ["public_notice.id"], name=op.f("fk_objection_notice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_objection")),
    )
    with op.batch_alter_table("objection", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_objection_asset_id"), ["asset_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_objection_notice_id"), ["notice_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_objection_raised_by"), ["raised_by"], unique=False)
        batch_op.create_index(
            "uq_objection_open",
            ["notice_id", "raised_by"],
            unique=True,
            sqlite_where=sa.text("state IN ('raised', 'answered')"),
            postgresql_where=sa.text("state IN ('raised', 'answered')"),
        )
    connection = op.get_bind()
    for statement in BY_HAND[connection.dialect.name]:
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    connection = op.get_bind()
    for statement in BY_HAND_DOWN[connection.dialect.name]:
        connection.exec_driver_sql(statement)
    with op.batch_alter_table("objection", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_objection_open",
            sqlite_where=sa.text("state IN ('raised', 'answered')"),
            postgresql_where=sa.text("state IN ('raised', 'answered')"),
        )
        batch_op.drop_index(batch_op.f("ix_objection_raised_by"))
        batch_op.drop_index(batch_op.f("ix_objection_notice_id"))
        batch_op.drop_index(batch_op.f("ix_objection_asset_id"))

    op.drop_table("objection")
    with op.batch_alter_table("public_notice", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_public_notice_ends_at"))
        batch_op.drop_index(batch_op.f("ix_public_notice_asset_id"))
        batch_op.drop_index(batch_op.f("ix_public_notice_amendment_id"))

    op.drop_table("public_notice")
    with op.batch_alter_table("product_version", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_product_version_product_id"))

    op.drop_table("product_version")
    with op.batch_alter_table("plan", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_plan_product_id"))

    op.drop_table("plan")
    with op.batch_alter_table("mandated_license", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_mandated_license_product_id"))
        batch_op.drop_index(batch_op.f("ix_mandated_license_operator_id"))
        batch_op.drop_index(batch_op.f("ix_mandated_license_mandate_id"))

    op.drop_table("mandated_license")
    with op.batch_alter_table("mandate_assessment", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_mandate_assessment_mandate_id"))

    op.drop_table("mandate_assessment")
    with op.batch_alter_table("listing", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_listing_living",
            sqlite_where=sa.text("state <> 'delisted'"),
            postgresql_where=sa.text("state <> 'delisted'"),
        )
        batch_op.drop_index(batch_op.f("ix_listing_state"))
        batch_op.drop_index(batch_op.f("ix_listing_provider_id"))
        batch_op.drop_index(batch_op.f("ix_listing_product_id"))

    op.drop_table("listing")
    op.drop_table("list_version")
    with op.batch_alter_table("trade_order", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_trade_order_state"))
        batch_op.drop_index(batch_op.f("ix_trade_order_seller_id"))
        batch_op.drop_index(batch_op.f("ix_trade_order_product_id"))
        batch_op.drop_index(batch_op.f("ix_trade_order_expires_at"))
        batch_op.drop_index(batch_op.f("ix_trade_order_buyer_id"))

    op.drop_table("trade_order")
    op.drop_table("shelf_version")
    with op.batch_alter_table("secrecy_review", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_secrecy_review_pending",
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        )
        batch_op.drop_index(batch_op.f("ix_secrecy_review_state"))
        batch_op.drop_index(batch_op.f("ix_secrecy_review_asset_id"))
        batch_op.drop_index(batch_op.f("ix_secrecy_review_asked_org"))

    op.drop_table("secrecy_review")
    with op.batch_alter_table("asset_filing", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_asset_filing_open",
            sqlite_where=sa.text("state IN ('filed', 'in_force')"),
            postgresql_where=sa.text("state IN ('filed', 'in_force')"),
        )
        batch_op.drop_index(batch_op.f("ix_asset_filing_state"))
        batch_op.drop_index(batch_op.f("ix_asset_filing_filed_org"))
        batch_op.drop_index(batch_op.f("ix_asset_filing_asset_id"))

    op.drop_table("asset_filing")
    with op.batch_alter_table("revenue_cap", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_revenue_cap_operator_id"))
        batch_op.drop_index(batch_op.f("ix_revenue_cap_mandator_id"))

    op.drop_table("revenue_cap")
    with op.batch_alter_table("registration_step", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_registration_step_asset_id"))

    op.drop_table("registration_step")
    with op.batch_alter_table("registered_content", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_registered_content_asset_id"))

    op.drop_table("registered_content")
    with op.batch_alter_table("product", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_product_zone"))
        batch_op.drop_index(batch_op.f("ix_product_tier"))
        batch_op.drop_index(batch_op.f("ix_product_state"))
        batch_op.drop_index(batch_op.f("ix_product_provider_id"))
        batch_op.drop_index(batch_op.f("ix_product_listed_at"))
        batch_op.drop_index(batch_op.f("ix_product_asset_id"))

    op.drop_table("product")
    with op.batch_alter_table("price_ceiling", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_price_ceiling_valid_until"))
        batch_op.drop_index(batch_op.f("ix_price_ceiling_product"))
        batch_op.drop_index(batch_op.f("ix_price_ceiling_mandator_id"))

    op.drop_table("price_ceiling")
    with op.batch_alter_table("one_time_link", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_one_time_link_user_id"))

    op.drop_table("one_time_link")
    with op.batch_alter_table("membership", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_membership_user_id"))
        batch_op.drop_index(batch_op.f("ix_membership_party_id"))

    op.drop_table("membership")
    with op.batch_alter_table("mandate", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_mandate_valid_until"))
        batch_op.drop_index(batch_op.f("ix_mandate_state"))
        batch_op.drop_index(batch_op.f("ix_mandate_operator_id"))
        batch_op.drop_index(batch_op.f("ix_mandate_mandator_id"))

    op.drop_table("mandate")
    with op.batch_alter_table("login_session", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_login_session_user_id"))

    op.drop_table("login_session")
    with op.batch_alter_table("list_edit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_list_edit_state"))
        batch_op.drop_index(batch_op.f("ix_list_edit_proposed_org"))
        batch_op.drop_index(batch_op.f("ix_list_edit_kind"))

    op.drop_table("list_edit")
    with op.batch_alter_table("ledger_posting", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_ledger_posting_source"))
        batch_op.drop_index(batch_op.f("ix_ledger_posting_destination"))

    op.drop_table("ledger_posting")
    with op.batch_alter_table("item_source", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_item_source_authoritative",
            sqlite_where=sa.text("authoritative"),
            postgresql_where=sa.text("authoritative"),
        )
        batch_op.drop_index(batch_op.f("ix_item_source_item_id"))
        batch_op.drop_index(batch_op.f("ix_item_source_asset_id"))

    op.drop_table("item_source")
    with op.batch_alter_table("invoice_line", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_invoice_line_license_id"))

    op.drop_table("invoice_line")
    with op.batch_alter_table("cross_check", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_cross_check_right_asset_id"))
        batch_op.drop_index(batch_op.f("ix_cross_check_left_asset_id"))

    op.drop_table("cross_check")
    with op.batch_alter_table("certificate", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_certificate_number"))
        batch_op.drop_index(batch_op.f("ix_certificate_asset_id"))

    op.drop_table("certificate")
    with op.batch_alter_table("asset_grading", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_asset_grading_asset_id"))

    op.drop_table("asset_grading")
    with op.batch_alter_table("asset_file", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_asset_file_sha256"))
        batch_op.drop_index(batch_op.f("ix_asset_file_asset_id"))

    op.drop_table("asset_file")
    with op.batch_alter_table("asset_amendment", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_asset_amendment_open",
            sqlite_where=sa.text(
                "state IN ('offered', 'submitted', 'returned', 'under_review', 'publicity', 'objected')"
            ),
            postgresql_where=sa.text(
                "state IN ('offered', 'submitted', 'returned', 'under_review', 'publicity', 'objected')"
            ),
        )
        batch_op.drop_index(batch_op.f("ix_asset_amendment_to_party"))
        batch_op.drop_index(batch_op.f("ix_asset_amendment_state"))
        batch_op.drop_index(batch_op.f("ix_asset_amendment_registrant_id"))
        batch_op.drop_index(batch_op.f("ix_asset_amendment_asset_id"))

    op.drop_table("asset_amendment")
    with op.batch_alter_table("approval_decision", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_approval_decision_case_id"))

    op.drop_table("approval_decision")
    with op.batch_alter_table("webhook_inbox", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_webhook_inbox_payment_id"))

    op.drop_table("webhook_inbox")
    op.drop_table("user_account")
    op.drop_table("usage_step")
    op.drop_table("usage_seal")
    with op.batch_alter_table("usage_hour", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_usage_hour_product_id"))

    op.drop_table("usage_hour")
    with op.batch_alter_table("usage_event", schema=None) as batch_op:
        batch_op.drop_index("ix_usage_event_license_id_period")

    op.drop_table("usage_event")
    with op.batch_alter_table("usage_anomaly", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_usage_anomaly_provider_id"))

    op.drop_table("usage_anomaly")
    op.drop_table("upstream")
    op.drop_table("token_key")
    with op.batch_alter_table("tier_finding", schema=None) as batch_op:
        batch_op.drop_index("ix_tier_finding_subject_term")

    op.drop_table("tier_finding")
    with op.batch_alter_table("tier_decision", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_tier_decision_subject"))
        batch_op.drop_index(batch_op.f("ix_tier_decision_decision"))

    op.drop_table("tier_decision")
    with op.batch_alter_table("suspense_item", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_suspense_item_state"))
        batch_op.drop_index(batch_op.f("ix_suspense_item_payment_id"))

    op.drop_table("suspense_item")
    with op.batch_alter_table("stripe_checkout", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_stripe_checkout_payment_id"))

    op.drop_table("stripe_checkout")
    op.drop_table("stored_object")
    op.drop_table("shelf_item")
    op.drop_table("sequence")
    with op.batch_alter_table("rule_switch", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rule_switch_rule"))

    op.drop_table("rule_switch")
    with op.batch_alter_table("rule_pack", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rule_pack_adopted_at"))

    op.drop_table("rule_pack")
    with op.batch_alter_table("revoked_token", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_revoked_token_until"))

    op.drop_table("revoked_token")
    with op.batch_alter_table("report_key", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_report_key_org_id"))

    op.drop_table("report_key")
    op.drop_table("refusal_hour")
    with op.batch_alter_table("refund", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_refund_state"))
        batch_op.drop_index(batch_op.f("ix_refund_license_id"))
        batch_op.drop_index(batch_op.f("ix_refund_buyer_id"))

    op.drop_table("refund")
    with op.batch_alter_table("refinery_run", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_refinery_run_org"))
        batch_op.drop_index(batch_op.f("ix_refinery_run_lease_until"))
        batch_op.drop_index(batch_op.f("ix_refinery_run_asset_id"))

    op.drop_table("refinery_run")
    op.drop_table("period")
    with op.batch_alter_table("payment_request", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_payment_request_state"))
        batch_op.drop_index(batch_op.f("ix_payment_request_payer_id"))
        batch_op.drop_index(batch_op.f("ix_payment_request_payee_id"))
        batch_op.drop_index(batch_op.f("ix_payment_request_order_id"))
        batch_op.drop_index(batch_op.f("ix_payment_request_invoice_id"))

    op.drop_table("payment_request")
    op.drop_table("party")
    op.drop_table("open_usage")
    with op.batch_alter_table("mandated_revenue", schema=None) as batch_op:
        batch_op.drop_index("ix_mandated_revenue_operator_period")
        batch_op.drop_index(batch_op.f("ix_mandated_revenue_license_id"))

    op.drop_table("mandated_revenue")
    op.drop_table("mail")
    with op.batch_alter_table("list_entry", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_list_entry_current",
            sqlite_where=sa.text("until_version IS NULL"),
            postgresql_where=sa.text("until_version IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_list_entry_until_version"))
        batch_op.drop_index(batch_op.f("ix_list_entry_resource"))
        batch_op.drop_index(batch_op.f("ix_list_entry_kind"))

    op.drop_table("list_entry")
    with op.batch_alter_table("lineage_edge", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_lineage_edge_to_id"))
        batch_op.drop_index(batch_op.f("ix_lineage_edge_to_hash"))
        batch_op.drop_index(batch_op.f("ix_lineage_edge_run_id"))
        batch_op.drop_index(batch_op.f("ix_lineage_edge_from_id"))

    op.drop_table("lineage_edge")
    with op.batch_alter_table("ledger_transaction", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_ledger_transaction_subject"))

    op.drop_table("ledger_transaction")
    op.drop_table("journal_head")
    with op.batch_alter_table("journal_entry", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_journal_entry_subject"))
        batch_op.drop_index(batch_op.f("ix_journal_entry_kind"))

    op.drop_table("journal_entry")
    op.drop_table("journal_cursor")
    with op.batch_alter_table("invoice", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_invoice_state"))
        batch_op.drop_index(batch_op.f("ix_invoice_period"))
        batch_op.drop_index(batch_op.f("ix_invoice_payee_id"))
        batch_op.drop_index(batch_op.f("ix_invoice_order_id"))
        batch_op.drop_index(batch_op.f("ix_invoice_license_id"))
        batch_op.drop_index(batch_op.f("ix_invoice_buyer_id"))

    op.drop_table("invoice")
    with op.batch_alter_table("license", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_license_state"))
        batch_op.drop_index(batch_op.f("ix_license_serve_until"))
        batch_op.drop_index(batch_op.f("ix_license_seller_id"))
        batch_op.drop_index(batch_op.f("ix_license_product_id"))
        batch_op.drop_index(batch_op.f("ix_license_contract_id"))
        batch_op.drop_index(batch_op.f("ix_license_buyer_id"))

    op.drop_table("license")
    op.drop_table("idempotency_key")
    with op.batch_alter_table("gate", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_gate_product_id"))
        batch_op.drop_index(batch_op.f("ix_gate_buyer_id"))

    op.drop_table("gate")
    op.drop_table("document_key")
    with op.batch_alter_table("directory_import", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_directory_import_org_id"))

    op.drop_table("directory_import")
    with op.batch_alter_table("directory_entry", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_directory_entry_system"))

    op.drop_table("directory_entry")
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_delivery_license_id"))

    op.drop_table("delivery")
    op.drop_table("data_item")
    with op.batch_alter_table("credential", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_credential_org_id"))
        batch_op.drop_index(batch_op.f("ix_credential_kept_by"))

    op.drop_table("credential")
    with op.batch_alter_table("contract", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_contract_seller_id"))
        batch_op.drop_index(batch_op.f("ix_contract_content_hash"))
        batch_op.drop_index(batch_op.f("ix_contract_buyer_id"))

    op.drop_table("contract")
    op.drop_table("billing_period")
    with op.batch_alter_table("asset", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_asset_state"))
        batch_op.drop_index(batch_op.f("ix_asset_registrant_id"))

    op.drop_table("asset")
    with op.batch_alter_table("legal_hold", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_legal_hold_subject"))

    op.drop_table("legal_hold")
    op.drop_table("journal_signed_head")
    op.drop_table("approval_rule_switch")
    with op.batch_alter_table("approval_delegation", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_approval_delegation_person"))
        batch_op.drop_index(batch_op.f("ix_approval_delegation_deputy"))

    op.drop_table("approval_delegation")
    with op.batch_alter_table("approval_case", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_approval_case_open",
            sqlite_where=sa.text("state IN ('waiting', 'returned')"),
            postgresql_where=sa.text("state IN ('waiting', 'returned')"),
        )
        batch_op.drop_index(batch_op.f("ix_approval_case_submitted_org"))
        batch_op.drop_index(batch_op.f("ix_approval_case_subject"))
        batch_op.drop_index(batch_op.f("ix_approval_case_state"))
        batch_op.drop_index(batch_op.f("ix_approval_case_kind"))
        batch_op.drop_index(batch_op.f("ix_approval_case_expires_at"))
        batch_op.drop_index(batch_op.f("ix_approval_case_assigned_to"))

    op.drop_table("approval_case")
    with op.batch_alter_table("account_balance", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_account_balance_owner"))

    op.drop_table("account_balance")
