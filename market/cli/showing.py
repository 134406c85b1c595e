"""The demo: fill an empty market once, and say who can sign in."""

from rich.console import Console
from rich.progress import Progress, TextColumn
from rich.table import Table

from market.cli.opening import opened
from market.cli.terminal import JsonFlag, say
from market.demo.cast import PASSWORD
from market.demo.open import accounts, prepare
from market.house import House

console = Console(highlight=False)


def demo(as_json: JsonFlag = False) -> None:
    """演示数据 Fill an empty market with a cast, products and deals (embedded mode on loopback only)."""
    with opened(schema=False) as house:
        house.migrate()
        made = welcome(house, quiet=as_json)
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
        console.print(f"演示密码 demo password: {PASSWORD}")
        console.print(f"一键登录 one-click sign-in: {house.settings.public_url}/login")
    return made
