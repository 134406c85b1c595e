"""Numbers that carry their own check: registration numbers, document numbers, USCC."""

_MOD36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100-2015: no I, O, S, V, Z


def check_character(text: str) -> str:
    """The ISO 7064 MOD 37,36 check character over the letters and digits of `text`.

    >>> check_character("SG370200P2025000123")
    'Q'
    """
    product = 36
    for char in text.replace("-", "").upper():
        product = (product + _MOD36.index(char)) % 36 or 36
        product = product * 2 % 37
    return _MOD36[(37 - product) % 36]


def with_check(stem: str) -> str:
    """`stem` with its check character after a hyphen."""
    return f"{stem}-{check_character(stem)}"


def has_valid_check(number: str) -> bool:
    """Whether the last character of `number` is the right check character. Never raises."""
    stem, dash, check = number.rpartition("-")
    if not dash or len(check) != 1 or any(c not in _MOD36 for c in stem.replace("-", "").upper()):
        return False
    return bool(stem) and check_character(stem) == check.upper()


def valid_uscc(number: str) -> bool:
    """统一社会信用代码. Whether an 18-character USCC has the right check digit (GB 32100-2015).

    >>> valid_uscc("91370200MA3CERTW8G"), valid_uscc("91370200MA3CERTW8H")
    (False, False)
    """
    if len(number) != 18 or any(c not in _USCC for c in number):
        return False
    return _uscc_digit(number[:17]) == number[17]


def _uscc_digit(body: str) -> str:
    total = sum(_USCC.index(c) * pow(3, i, 31) for i, c in enumerate(body))
    return _USCC[(31 - total % 31) % 31]


def make_uscc(body: str) -> str:
    """A USCC from its first 17 characters, for demo data. Raises ValueError on a bad character."""
    if len(body) != 17:
        raise ValueError("a USCC has 17 characters before its check digit")
    return body + _uscc_digit(body)


def valid_id_card(number: str) -> bool:
    """居民身份证. Whether an 18-digit resident identity number has the right check (GB 11643)."""
    if len(number) != 18 or not number[:17].isdigit() or not number.isascii():
        return False
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(d) * w for d, w in zip(number, weights, strict=False))
    return "10X98765432"[total % 11] == number[17].upper()
