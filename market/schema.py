"""Every table of the house, imported once, so that migrations and tests see the whole schema."""

import market.identity.tables
import metering.tables
import storage.idempotency
import storage.journal
import storage.objects
import storage.sequence

TABLE_MODULES = (
    market.identity.tables,
    metering.tables,
    storage.idempotency,
    storage.journal,
    storage.objects,
    storage.sequence,
)
