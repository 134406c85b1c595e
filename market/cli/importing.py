"""Bring a directory of resources in from a file, in the name of who keeps it."""

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from market.cli.opening import opened
from market.cli.problems import FileRefused
from market.cli.terminal import JsonFlag, bar, say
from market.identity.problems import Forbidden
from market.identity.queries import actor_by_login
from market.identity.rules import Actor, Permission
from market.registry.directory import Outcome, import_directory
from market.registry.directory_files import rows_of
from storage.unit import View

SHOWN = 50


def import_file(
    file: Annotated[Path, typer.Argument(help="目录文件 CSV 或 JSON a directory, UTF-8 or GB18030")],
    by: Annotated[str, typer.Option(help="目录管理人员或供数单位的登录名 login in whose name")],
    as_json: JsonFlag = False,
) -> None:
    """导入资源目录 Import a directory of resources; running it again changes nothing twice."""
    if not file.is_file():
        raise FileRefused(path=str(file))
    rows = list(rows_of(file))
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    with opened() as house, bar("导入 Import", as_json=as_json) as step:
        with house.store.view() as view:
            actor = _keeper(view, by.strip().lower())
        report = import_directory(
            house.store,
            actor,
            rows,
            name=file.name,
            sha256=sha256,
            step=lambda done: step(f"{done}/{len(rows)}", -(-len(rows) // 1000)),
        )
    counts = report.counts()
    lines = [
        f"✗ 第 {row.row} 行 row {row.row} {row.code}: "
        + "；".join(f"{error['message']['zh']} {error['message']['en']}" for error in row.errors)
        for row in report.refused[:SHOWN]
    ]
    if len(report.refused) > SHOWN:
        more = len(report.refused) - SHOWN
        lines.append(f"…… 另有 {more} 行，--json 列出全部 and {more} more; --json lists them all")
    told = "，".join(f"{kind.words.zh} {kind.words.en} {counts[str(kind)]}" for kind in Outcome)
    lines.append(f"共 {counts['rows']} 行 rows：{told}")
    say(
        as_json,
        "\n".join(lines),
        ok=not report.refused,
        id=report.id,
        **counts,
        report=[row.document() for row in report.rows],
    )
    if report.refused:
        raise typer.Exit(1)


def _keeper(view: View, login: str) -> Actor:
    """Who keeps the directory, or else supplies for an organization. Raises NotFound, Forbidden."""
    try:
        return actor_by_login(view, login, Permission.DIRECTORY_KEEP)
    except Forbidden:
        return actor_by_login(view, login, Permission.ASSET_DRAFT)
