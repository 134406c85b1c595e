"""Every table of the house, imported once, so that migrations and tests see the whole schema."""

import contracts.keyring
import contracts.tables
import market.approvals.tables
import market.audit.tables
import market.billing.tables
import market.catalogue.tables
import market.identity.tables
import market.lists.tables
import market.mandates.tables
import market.policy.tables
import market.refinery.tables
import market.registry.tables
import market.screening.tables
import market.trading.tables
import metering.tables
import storage.idempotency
import storage.journal
import storage.objects
import storage.sequence

TABLE_MODULES = (
    contracts.keyring,
    contracts.tables,
    market.approvals.tables,
    market.audit.tables,
    market.billing.tables,
    market.catalogue.tables,
    market.identity.tables,
    market.lists.tables,
    market.mandates.tables,
    market.policy.tables,
    market.refinery.tables,
    market.registry.tables,
    market.screening.tables,
    market.trading.tables,
    metering.tables,
    storage.idempotency,
    storage.journal,
    storage.objects,
    storage.sequence,
)
