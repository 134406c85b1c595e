"""What both faces do with an upload for an asset: read it apart, keep the object, then one Unit."""

from market.http.body import Upload
from market.http.work import Worker
from market.registry import actions, queries
from market.registry.tables import Asset, AssetFile
from storage.kernel.problem import invalid
from storage.tabular.apart import inspect_apart
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


def _refuse_empty(taken: Upload) -> None:
    if not taken.size:
        raise invalid("file", "file.empty", "文件为空。", "The file is empty.")
