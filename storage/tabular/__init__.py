"""Tables in files: recognize, read, type, profile, export and index them. The only user of DuckDB."""
