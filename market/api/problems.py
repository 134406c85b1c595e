"""`/problems/{slug}`: what a refusal means and what to do, for whoever follows its `type`."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from market.http.render import page
from market.http.shell import wants_page
from storage.kernel.problem import NotFound, Problem

router = APIRouter(tags=["problems"])


def known() -> dict[str, type[Problem]]:
    """Every refusal of the house by its slug."""
    found: dict[str, type[Problem]] = {}
    waiting = [Problem]
    while waiting:
        kind = waiting.pop()
        found[kind.slug()] = kind
        waiting.extend(kind.__subclasses__())
    return found


@router.get(
    "/problems/{slug}", response_class=HTMLResponse, responses={200: {"content": {"application/json": {}}}}
)
def explain(request: Request, slug: str) -> Response:
    """错误说明 · What a refusal means, which status it has, and the way out."""
    kind = known().get(slug)
    if kind is None:
        raise NotFound(problem=slug)
    meaning = (kind.__doc__ or "").strip()
    if wants_page(request):
        return page(request, "problem_kind.html", kind=kind, slug=slug, meaning=meaning)
    return JSONResponse(
        {
            "type": f"/problems/{slug}",
            "status": kind.status,
            "titles": kind.title.both(),
            "remedy": kind.remedy.both(),
            "meaning": meaning,
        }
    )
