"""The commands by name, and the way in: a refusal is printed in both languages, never as a stack trace."""

import atexit
import gc
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command

from market.cli.terminal import refusals


class Place(NamedTuple):
    """Where a command's function is."""

    module: str  # below market.cli
    function: str
    settings: dict[str, Any] = {}  # noqa: RUF012  # read only


class Group(NamedTuple):
    """Commands under one word."""

    help: str
    commands: dict[str, Place]


# A command is imported when it is named: neither a gateway nor a check holds the market.
COMMANDS: dict[str, Place | Group] = {
    "serve": Place("processes", "serve"),
    "gateway": Place("data_plane", "gateway"),
    "worker": Place("processes", "worker"),
    "demo": Place("showing", "demo"),
    "import": Place("importing", "import_file"),
    "backup": Place("keeping", "back_up"),
    "restore": Place("keeping", "restore"),
    "reconcile": Place("keeping", "reconcile_all"),
    "close": Place("keeping", "close"),
    "purge": Place("keeping", "purge"),
    "db": Group("数据库 The database.", {"upgrade": Place("keeping", "db_upgrade")}),
    "user": Group(
        "用户 People.", {"create": Place("keeping", "user_create"), "erase": Place("keeping", "erase")}
    ),
    "keys": Group(
        "密钥 Keys.",
        {
            "export": Place("witnessing", "export_keys"),
            "list": Place("token_keys", "list_keys"),
            "rotate": Place("token_keys", "rotate"),
            # A key may begin with a hyphen, and is no option for it.
            "drop": Place("token_keys", "drop", {"context_settings": {"ignore_unknown_options": True}}),
        },
    ),
    "journal": Group(
        "流水 The journal.",
        {"export": Place("witnessing", "export_journal"), "head": Place("keeping", "journal_head")},
    ),
    "verify": Group(
        "核验 Check what was issued, without trusting the server.",
        {
            "journal": Place("witnessing", "verify_journal"),
            "contract": Place("verifying", "verify_contract"),
            "certificate": Place("verifying", "verify_certificate"),
            "invoice": Place("verifying", "verify_invoice"),
            "statement": Place("verifying", "verify_usage"),
        },
    ),
}


class _Named(Mapping[str, Any]):
    """Commands that are imported when they are asked for by name, and only then."""

    def __init__(self, commands: Mapping[str, Place | Group]) -> None:
        self._commands = commands

    def __getitem__(self, name: str) -> Any:
        found = self._commands[name]
        if isinstance(found, Group):
            return _Commands(found.commands, name=name, help=found.help, no_args_is_help=True)
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(name, **found.settings)(
            getattr(_imported(f"market.cli.{found.module}"), found.function)
        )
        return get_command(alone)

    def get(self, name: str, default: Any = None) -> Any:
        """The command; what fails while it is imported is no missing command."""
        if name not in self:
            return default
        return self[name]

    def __contains__(self, name: object) -> bool:
        return name in self._commands

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)


class _Commands(TyperGroup):
    """Commands under one word."""

    def __init__(self, places: Mapping[str, Place | Group], **given: Any) -> None:
        super().__init__(**given)
        self.commands = _Named(places)  # type: ignore[assignment]  # nobody changes them


class _Shugang(_Commands):
    """All of them."""

    def __init__(self, **given: Any) -> None:
        super().__init__(COMMANDS, **given)


def _imported(module: str) -> Any:
    """A module; what it imports is never garbage: looking through it would be a tenth of the start."""
    if module in sys.modules:
        return sys.modules[module]
    with uncollected():
        return import_module(module)


@contextmanager
def uncollected() -> Iterator[None]:
    """Let nobody look for garbage in what is imported inside; `thaw` it at the end of the program."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def thaw() -> None:
    """Let go of everything at the end, as the interpreter expects."""
    gc.unfreeze()  # or extensions complain of what they find left at the end
    gc.disable()  # which the interpreter looks through once more all the same


cli = typer.Typer(pretty_exceptions_enable=False)


@cli.callback(cls=_Shugang, no_args_is_help=True, help="数港 Shugang — 数据资产市场 data market")
def _shugang() -> None:
    """Stand before every command."""


def main() -> None:
    """The command's way in."""
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    atexit.register(thaw)
    with refusals(as_json="--json" in sys.argv[1:]):
        cli()
