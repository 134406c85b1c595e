"""命令行 `shugang`: run the market and its parts, keep it, and check what it issued."""

import gc

gc.disable()  # what a program imports is never garbage: looking through it is a tenth of the start

from market.cli.program import main  # noqa: E402  # the line above must come first

gc.enable()

__all__ = ["main"]
