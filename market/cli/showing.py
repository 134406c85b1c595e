"""The demo: fill an empty market once, and say who can sign in."""

from rich.console import Console
from rich.progress import Progress, TextColumn
from rich.table import Table

from market.cli.opening import opened
from market.cli.terminal import JsonFlag, say
from market.demo.cast import PASSWORD
from market.demo.open import accounts, prepare, refusals, stock
from market.house import House

console = Console(highlight=False)


def demo(as_json: JsonFlag = False) -> None:
    """演示数据 Fill an empty market with a cast, forty products and deals (embedded mode on loopback only).

    Tries six more that must be refused, and tells by which rule. Run again, it adds what is missing.
    """
    with opened(schema=False) as house:
        house.migrate()
        made = welcome(house, quiet=as_json)
        stocked = fill(house, quiet=as_json)
        refused = refusals(house)
    if as_json:
        told = {each.title.en: {"stage": each.stage.en, "rules": each.rule_ids} for each in refused}
        logins = [login for login, _name, _roles in accounts()]
        say(as_json, "", made=made, stocked=stocked, refused=told, accounts=logins)
        return
    console.print(f"新上架产品 products put on the shelf: {stocked}")
    console.print("以下六项已实际申请并被市场拒绝 these six were applied for and the market refused them:")
    for each in refused:
        console.print(f"✗ {each.title.zh} {each.title.en} — {each.stage.zh} {each.stage.en}")
        for ground in each.grounds:
            console.print(f"   {ground.rule} {ground.words.zh} {ground.words.en}")
            if ground.sources:
                sources = [f"{source.zh} {source.en}" for source in ground.sources]
                console.print(f"      依据 source: {'; '.join(sources)}")
                console.print(f"      办法 way out: {ground.remedy.zh} {ground.remedy.en}")


def fill(house: House, *, quiet: bool = False) -> int:
    """Put the demo's forty products on the shelf, those that are not there yet."""
    with Progress(
        TextColumn("{task.description}"), console=console, disable=quiet, transient=True
    ) as progress:
        task = progress.add_task("上架演示产品 stocking the demo market", total=None)
        return stock(house, lambda step: progress.update(task, description=step))


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
