"""命令行 `shugang`: run the market and its parts, keep it, and check what it issued."""

import atexit
import gc

gc.disable()  # what a program imports is never garbage: looking through it is a tenth of the start

from market.cli.program import main  # noqa: E402  # the line above must come first

gc.freeze()
gc.enable()
atexit.register(gc.unfreeze)  # or extensions complain of what they find left at the end

__all__ = ["main"]
