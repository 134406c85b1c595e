"""`shugang`: start the market, prepare its database, create its first administrator, verify what it issued."""

import json
import os
import socket
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn
from rich.console import Console
from rich.progress import Progress, TextColumn
from rich.table import Table

from market.app import Front
from market.demo.cast import PASSWORD
from market.demo.open import accounts, prepare
from market.house import House
from market.identity import actions as identity
from market.identity.actions import PartyForm
from market.identity.rules import OrgKind
from market.settings import Settings
from storage import journal
from storage.kernel.problem import Problem

cli = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="数港 Shugang — 数据资产市场 data market"
)
db = typer.Typer(no_args_is_help=True, help="数据库 The database.")
user = typer.Typer(no_args_is_help=True, help="用户 People.")
verify = typer.Typer(no_args_is_help=True, help="核验 Check what was issued, without trusting the server.")
cli.add_typer(db, name="db")
cli.add_typer(user, name="user")
cli.add_typer(verify, name="verify")
console = Console(stderr=False, highlight=False)
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def say(as_json: bool, text: str, **data: Any) -> None:
    """Print one result, for people or for machines."""
    print(json.dumps(data, ensure_ascii=False) if as_json else text)  # noqa: T201  # this is the output


@cli.command()
def serve() -> None:
    """启动市场 Start pages, API, data plane and (without a broker) the worker, in one process."""
    settings = Settings()
    house = House(settings)
    house.migrate()
    if settings.demo:
        welcome(house)
    run(Front(house), house.settings)
    house.close()


@cli.command()
def demo(as_json: JsonFlag = False) -> None:
    """演示数据 Fill an empty market with a cast, products and deals (embedded mode on loopback only)."""
    house = House(Settings())
    house.migrate()
    made = welcome(house, quiet=as_json)
    house.close()
    if as_json:
        say(as_json, "", made=made, accounts=[login for login, _name, _roles in accounts()])


def welcome(house: House, *, quiet: bool = False) -> bool:
    """Make the demo when it is not there, then say where to go and who can sign in."""
    with Progress(
        TextColumn("{task.description}"), console=console, disable=quiet, transient=True
    ) as progress:
        task = progress.add_task("准备演示市场 preparing the demo market", total=None)
        made = prepare(house, lambda step: progress.update(task, description=step))
    if not quiet:
        table = Table(title=f"数港 Shugang — {house.settings.public_url}", title_justify="left")
        for heading in ("账号 login", "姓名 name", "角色 roles"):
            table.add_column(heading)
        for row in accounts():
            table.add_row(*row)
        console.print(table)
        console.print(
            f"演示密码 demo password: {PASSWORD}   一键登录 one-click sign-in: {house.settings.public_url}/login"
        )
    return made


def run(app: Any, settings: Settings) -> None:
    """Serve until interrupted. Fails in one line when the port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError:
            console.print(f"端口 {settings.port} 已被占用 Port {settings.port} is taken; set SHUGANG_PORT.")
            raise typer.Exit(1) from None
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        lifespan="on",  # a market that cannot start its till or worker must not look alive
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies) or None,
    )


@db.command("upgrade")
def db_upgrade(as_json: JsonFlag = False) -> None:
    """升级数据库结构 Bring the schema to the newest revision."""
    house = House(Settings())
    house.migrate()
    house.close()
    say(as_json, "数据库已是最新 The schema is current.", schema="current")


@user.command("create")
def user_create(
    login: Annotated[str, typer.Argument(help="邮箱 e-mail")],
    name: Annotated[str, typer.Option(help="姓名 name")] = "平台管理员",
    admin: Annotated[bool, typer.Option("--admin", help="平台管理员 platform administrator")] = False,
    operator_name: Annotated[
        str, typer.Option(help="平台运营方名称 market operator's name")
    ] = "数据交易平台运营方",
    operator_uscc: Annotated[str, typer.Option(help="运营方统一社会信用代码 its USCC")] = "",
    as_json: JsonFlag = False,
) -> None:
    """创建管理员 Create an administrator; prints a one-time link, never a password."""
    if not admin:
        raise typer.BadParameter("people are invited by their organization; only --admin is created here")
    house = House(Settings())
    house.migrate()
    form = PartyForm(name=operator_name, id_number=operator_uscc, org_kind=OrgKind.MARKET_OPERATOR)
    with house.store.unit("system:cli") as unit:
        secret = identity.create_first_admin(unit, login=login, name=name, operator=form)
    link = f"{house.settings.public_url}/link/{secret}"
    house.close()
    say(
        as_json,
        f"请在 72 小时内打开此链接设置密码 Open within 72 hours to set a password:\n{link}",
        link=link,
    )


@verify.command("journal")
def verify_journal(
    file: Annotated[
        Path | None, typer.Argument(help="导出的流水（NDJSON） an export; empty checks the database")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """核验流水 Check the hash chain; names the first entry that does not hold."""
    if file:
        with file.open(encoding="utf-8") as lines:
            verdict = journal.verify(json.loads(line) for line in lines if line.strip())
    else:
        house = House(Settings())
        verdict = journal.verify_stored(house.store)
        house.close()
    if verdict.ok:
        say(
            as_json,
            f"流水完整 Journal ok: {verdict.entries} entries, head {verdict.head}",
            ok=True,
            entries=verdict.entries,
        )
        return
    text = f"流水被改动 Journal broken at seq {verdict.broken_at} ({verdict.entry}): {verdict.reason}"
    say(as_json, text, ok=False, broken_at=verdict.broken_at, entry=verdict.entry, reason=verdict.reason)
    raise typer.Exit(1)


def main() -> None:
    """The command's way in: a refusal is printed in both languages, never as a stack trace."""
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    try:
        cli()
    except Problem as problem:
        words = problem.detail or problem.title
        console.print(
            f"✗ {words.zh}\n  {words.en}\n  {problem.remedy.zh}\n  {problem.remedy.en}", style="red"
        )
        for fault in problem.members.get("errors", []):
            console.print(f"  - {fault['field']}: {fault['message']['zh']} {fault['message']['en']}")
        sys.exit(1)


if __name__ == "__main__":
    main()
