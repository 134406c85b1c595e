"""审计 Reading the journal: search, history of a thing, export."""
