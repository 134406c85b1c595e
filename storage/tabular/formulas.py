"""Texts that spreadsheet programs would run as formulas, and how they are shown instead; pure.

The rule: a text that begins with = + - @, a tab or a carriage return gets a leading apostrophe.
"""

STARTS = "=+-@\t\r"


def guarded(text: str) -> str:
    """The text as it may stand in a CSV file or a workbook.

    >>> guarded("=1+1"), guarded("-甲"), guarded("甲=1"), guarded("")
    ("'=1+1", "'-甲", '甲=1', '')
    """
    return f"'{text}" if text.startswith(tuple(STARTS)) else text
