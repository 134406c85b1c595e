"""Cleansing runs: ask for one, follow it."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from market.http.who import ActorDep, HouseDep, allow
from market.http.work import Work
from market.identity.rules import Permission
from market.refinery import queries
from market.refinery.asking import ask_run
from market.refinery.rules import RunState, parse
from market.refinery.tables import Run
from market.registry.queries import source_of_product
from storage.unit import Unit

router = APIRouter(tags=["runs"])
BUILD = allow(Permission.PRODUCT_BUILD)


class RunForm(BaseModel, extra="forbid"):
    file_id: str = Field(max_length=40)
    recipe: dict[str, Any] = Field(examples=[{"steps": [{"step": "drop", "columns": ["secret"]}]}])
    indexes: list[Annotated[str, Field(max_length=120)]] = Field(
        [], max_length=16, description="查询字段 columns the rows API finds by"
    )


class RunView(BaseModel, from_attributes=True):
    id: str
    state: RunState
    asset_id: str
    asset_file_sha256: str
    recipe: dict[str, Any]
    recipe_hash: str
    indexes: list[str]
    attempt: int
    requested_at: datetime
    finished_at: datetime | None
    input_rows: int | None
    output_rows: int | None
    dropped: list[int] | None
    outputs: list[dict[str, Any]] | None
    columns: list[dict[str, Any]] | None = Field(None, validation_alias="schema_")
    profile: dict[str, Any] | None
    problem: dict[str, Any] | None


def run_view(run: Run) -> RunView:
    """What the API shows of a run."""
    return RunView.model_validate(run)


@router.post("/assets/{asset_id}/runs", status_code=202, dependencies=[BUILD])
def request(work: Work, asset_id: str, body: RunForm) -> RunView:
    """申请清洗 · Queue a recipe; a missing column or a wrong type is named before anything runs."""
    recipe = parse(body.recipe)

    def act(unit: Unit) -> RunView:
        return run_view(
            ask_run(unit, work.actor, asset_id, file_id=body.file_id, recipe=recipe, indexes=body.indexes)
        )

    return work.once(RunView, act)


@router.get("/assets/{asset_id}/runs", dependencies=[BUILD])
def runs(house: HouseDep, actor: ActorDep, asset_id: str) -> list[RunView]:
    """清洗记录 · The runs of an asset, newest first."""
    with house.store.view() as view:
        asset = source_of_product(view, asset_id, actor.own_org)
        return [run_view(row) for row in queries.runs_of(view, asset.id)]


@router.get("/runs/{run_id}", dependencies=[BUILD])
def run(house: HouseDep, actor: ActorDep, run_id: str) -> RunView:
    """清洗详情 · One run: rows in, rows out, what each step dropped, or why it failed."""
    with house.store.view() as view:
        return run_view(queries.run(view, run_id, org=actor.own_org))
