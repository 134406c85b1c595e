"""Every table of the house, imported once, so that migrations and tests see the whole schema."""

import contracts.keyring
import contracts.tables
import market.identity.tables
import market.refinery.tables
import market.trading.tables
import storage.idempotency
import storage.journal
import storage.objects
import storage.sequence

TABLE_MODULES = (
    contracts.tables,
    market.refinery.tables,
    market.trading.tables,
    market.identity.tables,
    storage.idempotency,
    storage.journal,
    storage.objects,
    storage.sequence,
)
