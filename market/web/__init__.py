"""Pages for people: one file per room."""
