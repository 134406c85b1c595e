"""发布 A finished run of the refinery becomes a version of a product."""

from collections.abc import Sequence

from market.catalogue import actions
from market.catalogue.rules import Column, File, Meaning, Output
from market.catalogue.tables import Version
from market.identity.rules import Actor
from market.refinery import queries as refinery
from market.refinery.rules import RunState
from market.refinery.tables import Run
from storage.unit import Unit


def output_of(run: Run) -> Output:
    """What a finished run hands to the catalogue, as plain values."""
    columns = run.schema_ or []
    profile = run.profile or {}
    names = [column["name"] for column in columns]
    return Output(
        run_id=run.id,
        asset_id=run.asset_id,
        succeeded=run.state is RunState.SUCCEEDED,
        rows=run.output_rows or 0,
        columns=tuple(Column(name=column["name"], type=column["kind"]) for column in columns),
        query_columns=tuple(run.indexes),
        files={
            made["kind"]: File(**{k: made[k] for k in ("sha256", "size", "name")})
            for made in run.outputs or []
        },
        sample=tuple(dict(zip(names, row, strict=True)) for row in profile.get("sample", [])),
    )


def publish_run(
    unit: Unit, actor: Actor, product_id: str, *, run_id: str, dictionary: Sequence[Meaning] | None
) -> Version:
    """发布版本. Publish one's own run as a version. Raises RunNotFound, and what `publish_version` raises."""
    run = refinery.run(unit, run_id, org=actor.own_org)
    return actions.publish_version(unit, actor, product_id, output=output_of(run), dictionary=dictionary)
