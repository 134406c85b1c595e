"""The process that does one run's work: a folder in, a folder out, no database, no network.

Started as `python -m market.refinery.child FOLDER` with the key of `hash` (hex) on standard input.
Reads `job.json` and `input` in FOLDER; writes `result.json`, or `refusal.json` when the file or the
recipe is at fault. Any other end is a crash.
"""

import itertools
import json
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from market.refinery import rules
from market.refinery.compile import INNER, OUTER, Compiled, compile_recipe
from market.refinery.problems import CastFailed, NothingLeft, RecipeFailed
from storage.kernel.canonical import sha256_hex
from storage.kernel.problem import Problem
from storage.kernel.words import Words
from storage.tabular import engine as db
from storage.tabular.confine import confine
from storage.tabular.exports import to_csv
from storage.tabular.intake import take_in, write_parquet
from storage.tabular.kinds import Encoding, Limits
from storage.tabular.profile import profile
from storage.tabular.serving import to_serving
from storage.tabular.sniffing import sniff

_TAKEN = "taken.parquet"


def main(folder: Path, key: bytes) -> int:
    """Do the job in `folder`. Returns 0, or 2 when it wrote a refusal."""
    job = json.loads((folder / "job.json").read_bytes())
    limits = Limits(**job["limits"])
    seconds = limits.seconds * limits.threads
    confine(parent=job["parent"], memory_bytes=limits.memory_bytes, cpu_seconds=seconds)
    try:
        result = refine(folder, job, limits, key)
    except Problem as problem:
        _write(folder / "refusal.json", json.dumps(_told(problem)).encode())
        return 2
    _write(folder / "result.json", json.dumps(result).encode())
    return 0


def _told(problem: Problem) -> dict[str, Any]:
    """A refusal as JSON: the parent trusts nothing else from a process that read a stranger's file."""
    detail = problem.detail.both() if problem.detail else None
    return {"slug": problem.slug(), "detail": detail, "members": problem.members}


def refine(folder: Path, job: dict[str, Any], limits: Limits, key: bytes) -> dict[str, Any]:
    """清洗. Read, run the recipe, export and profile. Raises UnreadableFile, Invalid and our problems."""
    recipe = rules.parse(job["recipe"])
    source = sniff(
        folder / "input", job["file_name"], encoding=Encoding(job["encoding"]) if job["encoding"] else None
    )
    taken = folder / _TAKEN
    intake = take_in(folder / "input", replace(source, nulls=recipe.nulls), taken, folder, limits)
    compiled = compile_recipe(recipe, intake.columns)
    rules.check_indexes(job["indexes"], compiled.columns)
    product = folder / "data.parquet"
    counts = _run(compiled, product, limits, key)
    taken.unlink()
    to_csv(product, folder / "data.csv", folder, limits)
    to_serving(product, folder / "data.sqlite", folder, limits, indexes=job["indexes"])
    return {
        "input_rows": intake.rows,
        "output_rows": counts[-1],
        "dropped": [before - after for before, after in itertools.pairwise(counts)],
        "outputs": [
            {"kind": "parquet", "name": "data.parquet"},
            {"kind": "csv", "name": "data.csv"},
            {"kind": "serving", "name": "data.sqlite"},
        ],
        "columns": [column.document() for column in compiled.columns],
        "profile": profile(product, folder, limits).document(),
        "engine": db.ENGINE,
    }


def _run(compiled: Compiled, product: Path, limits: Limits, key: bytes) -> list[int]:
    folder, taken = product.parent, product.parent / _TAKEN
    with db.engine(folder, limits) as connection:
        _set_key(connection, key)
        connection.execute(
            "CREATE TEMP VIEW origin AS SELECT * EXCLUDE (file_row_number), file_row_number AS _row "
            f"FROM {db.scan(taken, numbered=True)}"
        )
        try:
            rows = write_parquet(connection, compiled.rows, product)
            counts = connection.execute(compiled.counts).fetchone() or ()
        except db.EngineError as error:
            raise _refusal(error) from None  # the engine's words may quote the data
    if not rows:
        raise NothingLeft(dropped=list(counts))
    return [int(count) for count in counts]


def _refusal(error: Exception) -> Exception:
    words = str(error)
    if "shugang:cast:" in words:
        step = int(words.split("shugang:cast:")[1].split(maxsplit=1)[0].strip("'\"."))
        return CastFailed(
            Words(f"第 {step + 1} 步的类型转换失败。", f"The cast in step {step + 1} failed."),
            field=f"steps.{step}",
        )
    if type(error).__name__ == "OutOfMemoryException":
        return error
    return RecipeFailed(Words("有步骤遇到无法计算的值。", "A step met a value it cannot compute."))


def _set_key(connection: db.Connection, key: bytes) -> None:
    """The two padded keys of HMAC (RFC 2104) for blocks of 64 bytes."""
    block = (bytes.fromhex(sha256_hex(key)) if len(key) > 64 else key).ljust(64, b"\0")
    for variable, pad in ((INNER, 0x36), (OUTER, 0x5C)):
        padded = bytes(byte ^ pad for byte in block).hex()
        connection.execute(f"SET VARIABLE {variable} = unhex('{padded}')")


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    half = path.with_suffix(".half")
    half.write_bytes(content)
    half.rename(path)


def _tell_crash(kind: type[BaseException], _error: BaseException, trace: TracebackType | None) -> None:
    """Where it happened and of what kind; never the message, which may quote the data."""
    sys.stderr.write("".join(traceback.format_tb(trace)) + kind.__name__)


if __name__ == "__main__":
    sys.excepthook = _tell_crash
    sys.exit(main(Path(sys.argv[1]), bytes.fromhex(sys.stdin.readline())))
