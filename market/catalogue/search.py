"""Chinese full text: words are cut here, kept in FTS5 on SQLite and in a tsvector on PostgreSQL.

The engines index the very same tokens and never cut a text themselves, so both find the same
products. The tables are made by hand for each engine: `create_search` and `drop_search`.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence

import rjieba
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.sql.selectable import Subquery

from storage.unit import Unit, View

MAX_QUERY = 200  # characters of a search that are looked at
MAX_WORDS = 16
MAX_TOKEN = 60
MAX_POSITION = 16_383  # PostgreSQL keeps no more
_APART = re.compile(r"[^\w]|_")

_SQLITE = (
    """CREATE VIRTUAL TABLE IF NOT EXISTS fts_product USING fts5(
        product_id UNINDEXED, title, words, body, tokenize = 'unicode61 remove_diacritics 0')""",
)
_POSTGRES = (
    "CREATE TABLE IF NOT EXISTS fts_product (product_id varchar PRIMARY KEY, tokens tsvector NOT NULL)",
    "CREATE INDEX IF NOT EXISTS fts_product_tokens ON fts_product USING gin (tokens)",
)


def create_search(connection: Connection) -> None:
    """Make the search table of this engine."""
    for statement in _SQLITE if connection.dialect.name == "sqlite" else _POSTGRES:
        connection.exec_driver_sql(statement)


def drop_search(connection: Connection) -> None:
    """Take the search table down."""
    connection.exec_driver_sql("DROP TABLE IF EXISTS fts_product")


def tokens(text: str) -> list[str]:
    """The words a text is found by: overlapping cuts (停车场 gives 停车, 车场, 停车场), folded case.

    >>> tokens("公共停车场 G20!")
    ['公共', '停车', '车场', '停车场', 'g20']
    """
    return _clean(rjieba.cut_for_search(_folded(text)))


def query_words(text: str) -> list[str]:
    """The words of a search, cut once and coarsely, at most 16; marks and emoji fall away.

    >>> query_words('停车场 NEAR("客流"*) 🚗')
    ['停车场', 'near', '客流']
    """
    words = _clean(rjieba.cut(_folded(text[:MAX_QUERY])))
    return list(dict.fromkeys(words))[:MAX_WORDS]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _clean(cuts: Iterable[str]) -> list[str]:
    return [part[:MAX_TOKEN] for cut in cuts for part in _APART.split(cut) if part.isalnum()]


def index_product(unit: Unit, product_id: str, *, title: str, words: str, body: str) -> None:
    """收录. (Re)write what the product is found by, in the Unit that lists it.

    title weighs most, then words (keywords, scenarios, zone), then body.
    """
    remove_product(unit, product_id)
    parts = [tokens(title), tokens(words), tokens(body)]
    if _is_sqlite(unit):
        statement = sa.text(
            "INSERT INTO fts_product (rowid, product_id, title, words, body)"
            " VALUES (:rowid, :product, :title, :words, :body)"
        )
        texts = dict(zip(("title", "words", "body"), (" ".join(part) for part in parts), strict=True))
        unit.session.connection().execute(
            statement, {"rowid": _rowid(product_id), "product": product_id, **texts}
        )
        return
    unit.session.connection().execute(
        sa.text("INSERT INTO fts_product (product_id, tokens) VALUES (:product, CAST(:tokens AS tsvector))"),
        {"product": product_id, "tokens": _vector(parts)},
    )


def remove_product(unit: Unit, product_id: str) -> None:
    """撤出检索. Forget the product; absent is fine."""
    connection = unit.session.connection()
    if _is_sqlite(unit):
        connection.execute(sa.text("DELETE FROM fts_product WHERE rowid = :id"), {"id": _rowid(product_id)})
    else:
        connection.execute(sa.text("DELETE FROM fts_product WHERE product_id = :id"), {"id": product_id})


def hits(view: View, words: Sequence[str], *, every: bool) -> Subquery:
    """Products that have every word (or any of them), with a score that is smaller for a better hit.

    words: from `query_words`, at least one. Words match as beginnings: 客流 finds 客流量.
    """
    if _is_sqlite(view):
        joined = (" " if every else " OR ").join(f'"{word}"{_star(word, "*")}' for word in words)
        statement = sa.text(
            "SELECT product_id, bm25(fts_product, 0.0, 8.0, 4.0, 1.0) AS score"
            " FROM fts_product WHERE fts_product MATCH :query"
        )
    else:
        joined = (" & " if every else " | ").join(f"'{word}'{_star(word, ':*')}" for word in words)
        statement = sa.text(
            "SELECT product_id, -ts_rank('{0, 0.1, 0.4, 1.0}', tokens, CAST(:query AS tsquery)) AS score"
            " FROM fts_product WHERE tokens @@ CAST(:query AS tsquery)"
        )
    found = statement.bindparams(query=joined)
    return found.columns(sa.column("product_id", sa.String), sa.column("score", sa.Float)).subquery("hits")


def _star(word: str, star: str) -> str:
    # One Latin letter as a beginning would match half the catalogue; one Chinese character is a word.
    return "" if len(word) == 1 and word.isascii() else star


def _vector(parts: Sequence[Sequence[str]]) -> str:
    # A literal, not to_tsvector: the server's own parser would cut the words again, and otherwise.
    weighted = [(token, weight) for part, weight in zip(parts, "ABC", strict=True) for token in part]
    return " ".join(
        f"'{token}':{place}{weight}" for place, (token, weight) in enumerate(weighted[:MAX_POSITION], start=1)
    )


def _rowid(product_id: str) -> int:
    # FTS5 finds rows by number only; 63 bits of a hash make the number from the id.
    return int.from_bytes(hashlib.sha256(product_id.encode()).digest()[:8], "big") >> 1


def _is_sqlite(view: View) -> bool:
    return view.session.connection().dialect.name == "sqlite"
