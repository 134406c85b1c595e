"""The commands by name, and the way in: a refusal is printed in both languages, never as a stack trace."""

import os
import sys

import typer
from sqlalchemy.exc import SQLAlchemyError

from market.cli import importing, keeping, processes, showing, token_keys, verifying
from market.cli.problems import DatabaseAway, FileRefused
from market.cli.terminal import refuse
from storage.kernel.problem import Problem

cli = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="数港 Shugang — 数据资产市场 data market"
)
db = typer.Typer(no_args_is_help=True, help="数据库 The database.")
user = typer.Typer(no_args_is_help=True, help="用户 People.")
keys = typer.Typer(no_args_is_help=True, help="密钥 Keys.")
verify = typer.Typer(no_args_is_help=True, help="核验 Check what was issued, without trusting the server.")
for group, name in ((db, "db"), (user, "user"), (keys, "keys"), (verify, "verify")):
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
keys.command("export")(verifying.export_keys)
keys.command("list")(token_keys.list_keys)
keys.command("rotate")(token_keys.rotate)
keys.command("drop")(token_keys.drop)
verify.command("journal")(verifying.verify_journal)
verify.command("contract")(verifying.verify_contract)
verify.command("certificate")(verifying.verify_certificate)
verify.command("statement")(verifying.verify_usage)


def main() -> None:
    """The command's way in."""
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    as_json = "--json" in sys.argv[1:]
    try:
        cli()
    except Problem as problem:
        refuse(problem, as_json=as_json)
    except SQLAlchemyError as error:
        # The driver's first line; the statement and its values stay out of sight.
        reason = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
        refuse(DatabaseAway(reason=reason), as_json=as_json)
    except OSError as error:
        refuse(FileRefused(path=str(error.filename or ""), reason=error.strerror), as_json=as_json)
    sys.exit(1)
