"""命令行 `shugang`: run the market and its parts, keep it, and check what it issued."""

from market.cli.program import main

__all__ = ["main"]
