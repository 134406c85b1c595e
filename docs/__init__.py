"""Documentation; the pages marked as generated come from the code itself."""
