"""What the commands say: results for people or machines, refusals in both languages, progress on stderr."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from sqlalchemy.exc import SQLAlchemyError

from market.cli.problems import DatabaseAway, FileRefused
from storage.kernel.problem import Problem

JsonFlag = Annotated[bool, typer.Option("--json", help="机器可读 Print JSON for machines.")]
Step = Callable[[str, int], None]


def say(as_json: bool, text: str, **data: Any) -> None:
    """Print one result, for people or for machines."""
    print(json.dumps(data, ensure_ascii=False) if as_json else text, flush=True)  # noqa: T201  # this is the output


def refuse(problem: Problem, *, as_json: bool) -> None:
    """Print a refusal: in both languages with what to do, or as its problem document."""
    if as_json:
        print(json.dumps(problem.document(), ensure_ascii=False, default=str))  # noqa: T201  # this is the output
        return
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    words = problem.detail or problem.title
    lines = [f"✗ {words.zh}", f"  {words.en}", f"  → {problem.remedy.zh}", f"  → {problem.remedy.en}"]
    console.print("\n".join(lines), style="red", markup=False)
    for name, value in problem.members.items():
        if name != "errors":
            console.print(f"  {name}: {value}", markup=False)
    for fault in problem.members.get("errors", []):
        message = fault["message"]
        console.print(f"  - {fault['field']}: {message['zh']} {message['en']}", markup=False)


@contextmanager
def refusals(*, as_json: bool) -> Iterator[None]:
    """Print what is refused in the block, never a stack trace, and end the program with 1."""
    try:
        yield
    except Problem as problem:
        refuse(problem, as_json=as_json)
    except SQLAlchemyError as error:
        # The driver's first line; the statement and its values stay out of sight.
        reason = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
        refuse(DatabaseAway(reason=reason), as_json=as_json)
    except OSError as error:
        refuse(FileRefused(path=str(error.filename or ""), reason=error.strerror), as_json=as_json)
    else:
        return
    sys.exit(1)


@contextmanager
def bar(title: str, *, as_json: bool) -> Iterator[Step]:
    """A progress bar on stderr; call the step with what comes next and how many steps there are."""
    columns = (TextColumn(title), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[now]}"))
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=as_json or not sys.stderr.isatty()
    ) as shown:
        task = shown.add_task(title, total=None, now="")

        def step(now: str, steps: int) -> None:
            shown.update(task, total=steps, advance=1, now=now)

        yield step
