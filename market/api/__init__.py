"""The control API: one file per room; parse, call one action, show."""
