"""What both faces do with an upload for an asset: read it apart, keep the object, then one Unit."""

import shutil
from pathlib import Path
from tempfile import mkdtemp

from market.http.body import Upload
from market.http.work import Worker
from market.registry import actions, queries, sources
from market.registry.directory import ImportReport, import_directory
from market.registry.directory_files import rows_of
from market.registry.tables import Asset, AssetFile, CrossCheck
from storage.kernel.problem import invalid
from storage.objects import Stored
from storage.tabular.apart import inspect_apart
from storage.tabular.comparing import compare_apart
from storage.tabular.kinds import Encoding

EVIDENCE_BYTES = 50 << 20


def keep_file(work: Worker, asset_id: str, taken: Upload, encoding: Encoding | None = None) -> AssetFile:
    """附加数据文件. Profile an upload apart, keep the object, attach it.

    Raises NotFound, Invalid for an empty file, the UnreadableFile problems, and what `attach_file` raises.
    """
    _refuse_empty(taken)
    with work.house.store.view() as view:
        queries.asset(view, work.actor, asset_id)  # unknown or another's: say so before the work
    found = inspect_apart(taken.path, taken.name, work.house.workshop.limits, encoding)
    stored = work.house.objects.put_file(taken.path, taken.sha256)
    with work.unit() as unit:
        return actions.attach_file(
            unit,
            work.actor,
            asset_id,
            stored=stored,
            name=taken.name,
            format=found["format"],
            encoding=found["encoding"],
            rows=found["profile"]["rows"],
            profile=found["profile"],
        )


def keep_evidence(work: Worker, asset_id: str, taken: Upload) -> Asset:
    """附加来源证明. Keep a proof of source and note it on the asset. Raises what `attach_evidence` raises."""
    _refuse_empty(taken)
    stored = work.house.objects.put_file(taken.path, taken.sha256)
    with work.unit() as unit:
        return actions.attach_evidence(unit, work.actor, asset_id, stored=stored, name=taken.name)


def keep_paper(work: Worker, taken: Upload) -> Stored:
    """存证. Keep a document in the store; whoever names it in a Unit keeps it for ever. Raises Invalid for an empty one."""
    _refuse_empty(taken)
    return work.house.objects.put_file(taken.path, taken.sha256)


def bring_in(work: Worker, taken: Upload) -> ImportReport:
    """导入目录. Read a directory file and bring its rows in. Raises Forbidden, Invalid for what is no directory."""
    rows = rows_of(taken.path)
    return import_directory(work.house.store, work.actor, rows, name=taken.name, sha256=taken.sha256)


def compare_files(
    work: Worker,
    *,
    left: str,
    right: str,
    key: list[tuple[str, str]],
    fields: list[tuple[str, str]],
    item_id: str | None = None,
) -> CrossCheck:
    """多元校核. Fetch two files, compare them apart, keep what was found.

    Raises Forbidden, NotFound, Invalid, and what `compare_apart` raises.
    """
    house = work.house
    with house.store.view() as view:
        one, other = sources.files_to_compare(view, work.actor, left, right)
    folder = Path(mkdtemp(prefix="check-", dir=house.work))
    try:
        for file, place in ((one, folder / "one"), (other, folder / "other")):
            house.objects.fetch(file.sha256, place)
        result = compare_apart(
            (folder / "one", one.name),
            (folder / "other", other.name),
            key=key,
            fields=fields,
            limits=house.workshop.limits,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    with work.unit() as unit:
        return sources.keep_check(unit, work.actor, left=one, right=other, result=result, item_id=item_id)


def _refuse_empty(taken: Upload) -> None:
    if not taken.size:
        raise invalid("file", "file.empty", "文件为空。", "The file is empty.")
