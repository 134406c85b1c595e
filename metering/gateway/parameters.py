"""The parameters of a query string, read strictly: what is not understood is refused, not guessed and charged."""

from urllib.parse import unquote_plus

from storage.kernel.problem import Invalid, invalid


def pairs(text: bytes) -> list[tuple[str, str]]:
    """What `urllib.parse.parse_qsl` reads, blank values, too; it costs as much as the rest of a short question.

    Raises Invalid naming the first parameter that is not percent-encoded UTF-8.
    """
    try:
        parts = [pair.partition("=") for pair in text.decode("ascii").split("&") if pair]
        return [(_plain(name), _plain(value)) for name, _, value in parts]
    except UnicodeDecodeError:
        raise _unreadable(text) from None


def _plain(text: str) -> str:
    return unquote_plus(text, errors="strict") if "%" in text or "+" in text else text


def _unreadable(text: bytes) -> Invalid:
    name = next(pair.partition(b"=")[0] for pair in text.split(b"&") if not _is_readable(pair))
    return invalid(
        unquote_plus(name.decode("ascii", "replace"))[:80],
        "encoding",
        "参数须为百分号编码的 UTF-8。",
        "Parameters are percent-encoded UTF-8.",
    )


def _is_readable(pair: bytes) -> bool:
    try:
        _plain(pair.decode("ascii"))
    except UnicodeDecodeError:
        return False
    return True
