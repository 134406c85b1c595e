"""The metered call, durable, by one gateway process: the same page again and again, and a different filter each time."""

import json
import sqlite3
import statistics
import sys
from pathlib import Path

import httpx2

from benchmarks.figures import Figure, in_turns
from benchmarks.load import Answered, wrk
from benchmarks.stage import CODES, PRODUCT, Served, Shelf, served
from tests import servers

_PAGE = f"/data/v1/{PRODUCT}/rows?limit=20"
_FILTERS = """
local n = os.time() % 1000000
request = function()
  n = (n * 7921 + 104729) % {filters}
  return wrk.format("GET", string.format("{path}", n % {codes}, n / {codes}))
end
"""
_SINCE = 1000  # with as many codes: so many filters pass before one comes again (the multiplier gives the full period)


def measure(shelf: Shelf, where: str, turns: int, seconds: int) -> list[Figure]:
    """Rows one to three of the table. `where` names the database."""
    folder = shelf.folder
    notes: list[Answered] = []
    plain = folder / "datasette.db"
    if not plain.exists():
        for_datasette(shelf, plain)
    with shelf.gateway() as ours:
        bearer = f"Authorization: Bearer {token(shelf, ours)}"
        page = httpx2.get(ours.url + _PAGE, headers=dict([bearer.split(": ")]), trust_env=False)
        page.raise_for_status()
        (folder / "page").write_bytes(page.content)
        bare_port, theirs_port = servers.free_port(), servers.free_port()
        with (
            served(
                [sys.executable, "-m", "benchmarks.bare", str(bare_port)],
                bare_port,
                "/",
                {"BARE_BODY": str(folder / "page")},
            ) as bare,
            served(
                [sys.executable, "-m", "datasette", "serve", "-i", str(plain), "-p", str(theirs_port)],
                theirs_port,
                "/-/versions.json",
            ) as datasette,
        ):

            def hot() -> float:
                notes.append(wrk(ours.url + _PAGE, seconds, ours.pid, headers=[bearer]))
                return notes[-1].per_second

            same = f"{datasette.url}/datasette/stations.json?_shape=array&_size=20&_nofacet=1&_nocount=1"
            hot()
            notes.clear()
            again, peer, bytes_only = in_turns(
                turns,
                hot,
                lambda: wrk(same, seconds, datasette.pid).per_second,
                lambda: wrk(bare.url, seconds, bare.pid).per_second,
            )
            mine = _script(folder, "ours.lua", f"/data/v1/{PRODUCT}/rows?code=eq.S%05d&id=ge.%d&limit=20")
            other = _script(
                folder,
                "datasette.lua",
                "/datasette/stations.json?_shape=array&_size=20&_nofacet=1&_nocount=1&code=S%05d&id__gte=%d",
            )
            filtered, peer_filtered = in_turns(
                turns,
                lambda: wrk(ours.url, seconds, ours.pid, headers=[bearer], script=mine).per_second,
                lambda: wrk(datasette.url, seconds, datasette.pid, script=other).per_second,
            )
    said = (
        f"p99 {statistics.median(note.p99_ms for note in notes):.0f} ms, "
        f"{statistics.median(note.cpu_share for note in notes):.2f} processors"
    )
    return [
        Figure(f"Metered call, page in cache ({where})", "bare ASGI handler, same server", "/s", again, bytes_only, 0.40, note=said),
        Figure(f"The same ({where})", "Datasette, the same 20 rows", "/s", again, peer, 40),
        Figure(f"Metered call, a new filter each time, {shelf.goods.rows:,} rows ({where})", "Datasette, indexed", "/s", filtered, peer_filtered, 15),
    ]  # fmt: skip


def token(shelf: Shelf, gateway: Served, license_id: str | None = None) -> str:
    """An access token for one license."""
    answer = httpx2.post(
        f"{gateway.url}/oauth/token",
        data={
            "grant_type": "client_credentials",
            "license": license_id or shelf.licenses[0],
            "purpose": "internal_business",
        },
        auth=(shelf.credential.id, shelf.secret),
        trust_env=False,
    )
    answer.raise_for_status()
    said: dict[str, str] = json.loads(answer.content)
    return said["access_token"]


def for_datasette(shelf: Shelf, path: Path) -> None:
    """The same rows in a plain SQLite file with the same indexes."""
    source = sqlite3.connect(f"file:{shelf.goods.serving}?mode=ro", uri=True)
    target = sqlite3.connect(path)
    names = [column["name"] for column in shelf.goods.columns]
    target.execute(f"CREATE TABLE stations ({', '.join(names)})")
    target.executemany(
        f"INSERT INTO stations VALUES ({', '.join('?' * len(names))})",  # our own names
        source.execute(f"SELECT {', '.join(names)} FROM data ORDER BY id"),  # our own names
    )
    target.execute("CREATE INDEX by_id ON stations (id)")
    target.execute("CREATE INDEX by_code ON stations (code)")
    target.execute("ANALYZE")
    target.commit()
    target.close()
    source.close()


def _script(folder: Path, name: str, path: str) -> Path:
    script = folder / name
    script.write_text(_FILTERS.format(filters=CODES * _SINCE, codes=CODES, path=path))
    return script
