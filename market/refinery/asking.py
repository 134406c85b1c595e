"""申请 An organization asks for a run on a file of its asset; what cannot work is named before anything runs."""

from collections.abc import Sequence

from market.identity.rules import Actor, Permission
from market.refinery import actions
from market.refinery.grammar import Recipe
from market.refinery.tables import Run
from market.registry.queries import files_of, source_of_product
from storage.kernel.problem import NotFound
from storage.tabular.kinds import Column
from storage.unit import Unit


def ask_run(
    unit: Unit, actor: Actor, asset_id: str, *, file_id: str, recipe: Recipe, indexes: Sequence[str] = ()
) -> Run:
    """申请清洗. Queue `recipe` for a file of one's own asset.

    indexes: the columns the rows API finds by. Raises Forbidden, NotFound (asset, file), Invalid
    when the recipe does not suit the file's columns.
    """
    actor.require(Permission.PRODUCT_BUILD)
    asset = source_of_product(unit, asset_id, actor.own_org)
    file = next((row for row in files_of(unit, asset.id) if row.id == file_id), None)
    if file is None:
        raise NotFound(file=file_id)
    return actions.request_run(
        unit,
        asset_id=asset.id,
        asset_file_sha256=file.sha256,
        file_name=file.name,
        recipe=recipe,
        encoding=file.encoding or None,
        indexes=indexes,
        columns=[Column.parse(column) for column in file.profile["schema"]],
    )
