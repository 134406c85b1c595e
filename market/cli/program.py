"""The commands by name, and the way in: a refusal is printed in both languages, never as a stack trace."""

import os
import sys

import typer

from market.cli import importing, keeping, processes, showing, token_keys, verifying
from market.cli.terminal import refusals

cli = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="数港 Shugang — 数据资产市场 data market"
)
db = typer.Typer(no_args_is_help=True, help="数据库 The database.")
user = typer.Typer(no_args_is_help=True, help="用户 People.")
keys = typer.Typer(no_args_is_help=True, help="密钥 Keys.")
kept = typer.Typer(no_args_is_help=True, help="流水 The journal.")
verify = typer.Typer(no_args_is_help=True, help="核验 Check what was issued, without trusting the server.")
for group, name in ((db, "db"), (user, "user"), (keys, "keys"), (verify, "verify"), (kept, "journal")):
    cli.add_typer(group, name=name)
cli.command("serve")(processes.serve)
cli.command("gateway")(processes.gateway)
cli.command("worker")(processes.worker)
cli.command("demo")(showing.demo)
cli.command("import")(importing.import_file)
cli.command("backup")(keeping.back_up)
cli.command("restore")(keeping.restore)
cli.command("reconcile")(keeping.reconcile_all)
cli.command("close")(keeping.close)
db.command("upgrade")(keeping.db_upgrade)
user.command("create")(keeping.user_create)
user.command("erase")(keeping.erase)
cli.command("purge")(keeping.purge)
keys.command("export")(verifying.export_keys)
keys.command("list")(token_keys.list_keys)
keys.command("rotate")(token_keys.rotate)
# A key may begin with a hyphen, and is no option for it.
keys.command("drop", context_settings={"ignore_unknown_options": True})(token_keys.drop)
kept.command("export")(verifying.export_journal)
kept.command("head")(verifying.journal_head)
verify.command("journal")(verifying.verify_journal)
verify.command("contract")(verifying.verify_contract)
verify.command("certificate")(verifying.verify_certificate)
verify.command("invoice")(verifying.verify_invoice)
verify.command("statement")(verifying.verify_usage)


def main() -> None:
    """The command's way in."""
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    with refusals(as_json="--json" in sys.argv[1:]):
        cli()
