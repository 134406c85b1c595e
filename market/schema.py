"""Every table of the house, imported once, so that migrations and tests see the whole schema."""

import storage.idempotency
import storage.journal
import storage.objects
import storage.sequence

TABLE_MODULES = (storage.idempotency, storage.journal, storage.objects, storage.sequence)
