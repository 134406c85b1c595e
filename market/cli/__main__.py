"""`python -m market.cli` is `shugang`."""

from market.cli.program import main

main()
