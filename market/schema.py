"""Every table of the house, imported once, so that migrations and tests see the whole schema."""

import market.billing.tables
import storage.idempotency
import storage.journal
import storage.objects
import storage.sequence

TABLE_MODULES = (
    market.billing.tables,
    storage.idempotency,
    storage.journal,
    storage.objects,
    storage.sequence,
)
