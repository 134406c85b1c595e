"""Cleansing runs of a product's asset: ask for one, follow it, publish what it made."""

from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.responses import Response

from market.catalogue import queries
from market.catalogue.publishing import publish_run
from market.catalogue.rules import Meaning
from market.catalogue.tables import Product
from market.http.render import page
from market.http.who import ActorDep, HouseDep, allow
from market.identity.rules import Actor, Permission
from market.refinery import queries as refinery
from market.refinery.asking import ask_run
from market.refinery.problems import RunNotFound
from market.refinery.rules import RunState
from market.refinery.tables import Run
from market.registry import queries as registry
from market.registry.tables import Asset, AssetFile
from market.web.forms import GUARDED, Form, FormDep, again, leave
from market.web.recipes import in_recipe, indexes_of, masks_for, recipe_of, said
from market.web.values import build
from storage.kernel.problem import Fault, Invalid, NotFound
from storage.kernel.words import Words
from storage.tabular.kinds import Column, Kind
from storage.unit import View

router = APIRouter(
    prefix="/products/{product_id}/runs", dependencies=[*GUARDED, allow(Permission.PRODUCT_BUILD)]
)
MOST_INDEXES = 16


def _sources(view: View, actor: Actor, product_id: str) -> tuple[Product, Asset, Sequence[AssetFile]]:
    product = queries.own_product(view, actor, product_id)
    asset = registry.source_of_product(view, product.asset_id, actor.own_org)
    files = [file for file in registry.files_of(view, asset.id) if file.profile.get("schema")]
    return product, asset, files


def _columns(file: AssetFile) -> list[Column]:
    return [Column.parse(column) for column in file.profile["schema"]]


@router.get("")
def runs(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, product_id: str) -> Response:
    """数据清洗 · The runs so far and the form for a new one."""
    with house.store.view() as view:
        product, asset, files = _sources(view, actor, product_id)
        rows = refinery.runs_of(view, asset.id)
    file = next((row for row in files if row.id == form["file"]), files[0] if files else None)
    if request.method == "GET":
        form = form.filled(trim="yes", dedupe="yes")
    return page(
        request,
        "product_runs.html",
        form=form,
        product=product,
        held=asset,
        runs=rows,
        files=files,
        file=file,
        columns=[(column, masks_for(column.kind)) for column in _columns(file)] if file else [],
    )


@router.post("")
@again(runs)
def ask(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, product_id: str) -> Response:
    """申请清洗 · What cannot work is named before anything runs."""
    with house.store.view() as view:
        _product, asset, files = _sources(view, actor, product_id)
    file = next((row for row in files if row.id == form["file"]), None)
    if file is None:
        raise NotFound(file=form["file"])
    columns = _columns(file)
    recipe, indexes = recipe_of(form, columns), indexes_of(form, columns)
    if len(indexes) > MOST_INDEXES:
        words = Words(f"查询字段最多 {MOST_INDEXES} 个。", f"At most {MOST_INDEXES} search columns.")
        raise Invalid(Fault("index", "too_long", words))
    try:
        with house.store.unit(actor.id, actor.org) as unit:
            run = ask_run(unit, actor, asset.id, file_id=file.id, recipe=recipe, indexes=indexes)
    except Invalid as wrong:
        raise Invalid(*in_recipe(wrong.faults)) from wrong
    return leave(f"/products/{product_id}/runs/{run.id}", done="run_asked")


@router.get("/{run_id}")
def run(
    request: Request, house: HouseDep, actor: ActorDep, form: FormDep, product_id: str, run_id: str
) -> Response:
    """清洗进度 · How far it is; when done, what each step dropped and the form that publishes it."""
    with house.store.view() as view:
        product, asset, _files = _sources(view, actor, product_id)
        found = refinery.run(view, run_id, org=actor.own_org)
        if found.asset_id != asset.id:
            raise RunNotFound(run=run_id)
        version = queries.version_of_run(view, product.id, run_id)
        newest = queries.newest_version(view, product.id)
    if request.method == "GET":
        form = _known_words(form, found, asset, newest.dictionary if newest else [])
    return page(
        request,
        "product_run.html",
        form=form,
        product=product,
        run=found,
        version=version,
        working=found.state in {RunState.QUEUED, RunState.RUNNING},
        columns=[
            (index, column["name"], Kind(column["kind"])) for index, column in enumerate(found.schema_ or [])
        ],
        Kind=Kind,
        said=said,
    )


def _known_words(form: Form, found: Run, asset: Asset, dictionary: list[dict[str, str]]) -> Form:
    """The dictionary as far as it is known: from the last version, else from the asset's data items."""
    before = {entry["name"]: entry for entry in dictionary}
    notes = {item["name"]: item.get("note") or "" for item in asset.items}
    values = {}
    for index, column in enumerate(found.schema_ or []):
        name = column["name"]
        entry = before.get(name, {})
        values[f"zh_{index}"] = entry.get("zh") or notes.get(name, "")
        values[f"en_{index}"] = entry.get("en") or ""
    return form.filled(**values)


@router.post("/{run_id}/version")
@again(run)
def publish(
    request: Request, house: HouseDep, actor: ActorDep, form: FormDep, product_id: str, run_id: str
) -> Response:
    """发布版本 · The run becomes the newest version; the dictionary explains every column."""
    with house.store.view() as view:
        found = refinery.run(view, run_id, org=actor.own_org)
    dictionary = [
        build(
            Meaning,
            {
                "name": column["name"],
                "zh": form[f"zh_{index}"],
                "en": form[f"en_{index}"] or column["name"],
                "type": column["kind"],
            },
        )
        for index, column in enumerate(found.schema_ or [])
    ]
    with house.store.unit(actor.id, actor.org) as unit:
        publish_run(unit, actor, product_id, run_id=run_id, dictionary=dictionary)
    return leave(f"/products/{product_id}", done="version_published")
