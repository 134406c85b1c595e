"""The open and the negative list as pages: published with versions and differences; edited at a desk."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from contracts.terms import DeliveryMode, Purpose
from market.http.render import page
from market.http.who import ActorDep, HouseDep, VisitorDep, allow
from market.identity.queries import parties
from market.identity.rules import Permission
from market.lists import actions, queries
from market.lists.rules import (
    TESTS,
    Bar,
    Change,
    ChangeKind,
    Condition,
    EditState,
    Entry,
    ListKind,
)
from market.lists.tables import ListEntry
from market.policy.inputs import DataGrade, OpenAttr, PersonalInfo, SourceKind, SupplyKind
from market.web.forms import GUARDED, Form, FormDep, again, leave, once
from market.web.values import build, picked, words_of
from storage.kernel.problem import Invalid, NotFound
from storage.kernel.words import Words
from storage.unit import Unit, View

router = APIRouter(prefix="/lists", dependencies=GUARDED)
EDIT = allow(Permission.LIST_EDIT)
READ_EDITS = allow(Permission.LIST_EDIT, Permission.JOURNAL_READ)
# The tests of a condition that people choose from, and those they write as words.
CHOSEN: dict[str, Any] = {
    "grades": DataGrade,
    "sources": SourceKind,
    "supplies": SupplyKind,
    "open_attrs": OpenAttr,
    "personal": PersonalInfo,
    "delivery": DeliveryMode,
}
WRITTEN = ("words", "categories", "industries", "fields", "codes")
SIMPLE = (
    "title_zh", "title_en", "reason_zh", "reason_en", "law", "article", "effective_from", "effective_until",
    "review_on", "bar", "unit_name", "resource", "open_attr", "terms",
)  # fmt: skip
# What an entry's fields are called where two versions are compared.
FIELDS: dict[str, Words] = {
    "title_zh": Words("中文名称", "Title in Chinese"),
    "title_en": Words("英文名称", "Title in English"),
    "reason_zh": Words("中文理由", "Reason in Chinese"),
    "reason_en": Words("英文理由", "Reason in English"),
    "law": Words("法律依据", "Law"),
    "article": Words("条款", "Article"),
    "effective_from": Words("生效日期", "In force from"),
    "effective_until": Words("失效日期", "In force until"),
    "review_on": Words("复审日期", "Review"),
    "bar": Words("禁止程度", "Bars"),
    "condition": Words("匹配条件", "Condition"),
    "unit_name": Words("供数单位", "Supplying unit"),
    "resource": Words("资源代码", "Resource"),
    "open_attr": Words("开放属性", "Open attribute"),
    "terms": Words("开放条件", "Conditions"),
    "purposes": Words("免费目的", "Free for"),
}


def said(condition: Condition | None) -> list[tuple[Words, str, str]]:
    """A condition line by line: what is tested, and its values in both languages."""
    if condition is None:
        return []
    lines = []
    for name, words in TESTS.items():
        asked = getattr(condition, name)
        if not asked:
            continue
        if name in CHOSEN:
            lines.append(
                (
                    words,
                    "、".join(each.words.zh for each in asked),
                    ", ".join(each.words.en for each in asked),
                )
            )
        else:
            text = "" if asked is True else "、".join(asked)
            lines.append((words, text, text))
    return lines


def _kind(text: str) -> ListKind:
    kind = picked(ListKind, text)
    if kind is None:
        raise NotFound(list=text)
    return kind


def _shown(rows: Sequence[ListEntry]) -> list[dict[str, Any]]:
    day = queries.today()
    shown = []
    for row in rows:
        entry = row.entry()
        shown.append(
            {
                "row": row,
                "entry": entry,
                "in_force": row.until_version is None and entry.holds_on(day),
                "said": said(entry.condition),
            }
        )
    return shown


def _page(request: Request, view: View, kind: ListKind, number: int | None) -> Response:
    versions = queries.versions(view, kind)
    newest = versions[0].number if versions else 0
    return page(
        request,
        "lists.html",
        kind=kind,
        kinds=list(ListKind),
        entries=_shown(queries.entries(view, kind, number)),
        version=next((row for row in versions if row.number == (number or newest)), None),
        versions=versions,
        newest=newest,
    )


@router.get("")
def open_list(request: Request, house: HouseDep) -> Response:
    """开放清单 · What society may have, and why; no account needed."""
    with house.store.view() as view:
        return _page(request, view, ListKind.OPEN, None)


@router.get("/edits", dependencies=[READ_EDITS])
def edits(request: Request, house: HouseDep, actor: ActorDep) -> Response:
    """清单修订 · Edits that wait and edits decided."""
    with house.store.view() as view:
        rows = queries.edits(view, actor)
        people = parties(view, {row.proposed_org for row in rows})
        late = queries.due_for_review(view)
    return page(request, "list_edits.html", rows=rows, people=people, late=_shown(late), kinds=list(ListKind))


@router.get("/edits/{edit_id}", dependencies=[READ_EDITS])
def edit(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, edit_id: str) -> Response:
    """一次修订 · What is asked, by whom, and what became of it."""
    with house.store.view() as view:
        row = queries.edit(view, actor, edit_id)
        people = parties(view, {row.proposed_org})
        changes = changes_shown(view, row.changes)
    return page(
        request,
        "list_edit_shown.html",
        form=form,
        edit=row,
        people=people,
        changes=changes,
        fields=FIELDS,
        can_withdraw=row.state is EditState.SUBMITTED and actor.org == row.proposed_org,
    )


def changes_shown(view: View, changes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every change of an edit beside what stands on the list now."""
    shown = []
    for plain in changes:
        change = Change.model_validate(plain)
        before = queries.history(view, change.code)[-1].entry() if change.code else None
        shown.append(
            {
                "change": change,
                "before": before,
                "said": said(change.entry.condition if change.entry else None),
                "said_before": said(before.condition if before else None),
            }
        )
    return shown


@router.post("/edits/{edit_id}/withdrawal", dependencies=[EDIT])
@again(edit)
def withdraw(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, edit_id: str) -> Response:
    """撤回修订 · Take an undecided edit back."""
    with house.store.unit(actor.id, actor.org) as unit:
        actions.withdraw_edit(unit, actor, edit_id)
    return leave("/lists/edits", done="edit_withdrawn")


@router.get("/{kind}")
def one_list(request: Request, house: HouseDep, form: FormDep, kind: str) -> Response:
    """清单 · The open or the negative list, now or in one version; no account needed."""
    number = int(form["version"]) if form["version"].isascii() and form["version"][:7].isdigit() else None
    with house.store.view() as view:
        return _page(request, view, _kind(kind), number)


@router.get("/{kind}/difference")
def difference(request: Request, house: HouseDep, form: FormDep, kind: str) -> Response:
    """版本差异 · What changed between two versions; no account needed."""
    numbers = [form["before"], form["after"]]
    if not all(text.isascii() and text.isdigit() and len(text) <= 7 for text in numbers):
        raise NotFound(versions=numbers)
    before, after = (int(text) for text in numbers)
    with house.store.view() as view:
        found = queries.difference(view, _kind(kind), before, after)
        versions = queries.versions(view, _kind(kind))
    return page(
        request,
        "list_difference.html",
        kind=_kind(kind),
        found=found,
        before=before,
        after=after,
        versions=versions,
        fields=FIELDS,
    )


@router.get("/{kind}/entries/{code}")
def entry(request: Request, house: HouseDep, caller: VisitorDep, kind: str, code: str) -> Response:
    """条目 · One entry with every revision it ever had; no account needed."""
    with house.store.view() as view:
        rows = queries.history(view, code)
    if rows[-1].kind is not _kind(kind):
        raise NotFound(entry=code)
    may_edit = caller.actor is not None and caller.actor.may(Permission.LIST_EDIT)
    return page(
        request,
        "list_entry.html",
        kind=_kind(kind),
        entries=_shown(list(reversed(rows))),
        code=code,
        may_edit=may_edit and rows[-1].until_version is None,
    )


@router.get("/{kind}/edit", dependencies=[EDIT])
def edit_form(request: Request, house: HouseDep, form: FormDep, kind: str) -> Response:
    """起草修订 · A new entry, or with `code` one that is there."""
    row = None
    if form["code"]:
        with house.store.view() as view:
            row = queries.history(view, form["code"])[-1]
        if row.kind is not _kind(kind):
            raise NotFound(entry=form["code"])
        if request.method == "GET":
            form = _filled(form, row)
    return page(
        request,
        "list_edit.html",
        form=form,
        kind=_kind(kind),
        row=row,
        bars=Bar,
        purposes=Purpose,
        open_attrs=[OpenAttr.UNCONDITIONAL, OpenAttr.CONDITIONAL],
        chosen=CHOSEN,
        written=WRITTEN,
        tests=TESTS,
    )


def _filled(form: Form, row: ListEntry) -> Form:
    plain = row.content
    condition = plain.get("condition") or {}
    values: dict[str, str | Sequence[str]] = {name: str(plain.get(name) or "") for name in SIMPLE}
    values |= {name: "、".join(condition.get(name, ())) for name in WRITTEN}
    values |= {f"c.{name}": list(condition.get(name, ())) for name in CHOSEN}
    values |= {"purposes": list(plain.get("purposes", ())), "revision": str(row.revision)}
    values["without_basis"] = "yes" if condition.get("without_basis") else ""
    return form.filled(**values)


@router.post("/{kind}/edit", dependencies=[EDIT])
@again(edit_form)
def propose(request: Request, house: HouseDep, actor: ActorDep, form: FormDep, kind: str) -> Response:
    """提出修订 · Ask for it; somebody in another role of another organization decides."""
    found = _kind(kind)
    change = _change(form, found)

    def act(unit: Unit) -> str:
        try:
            made = actions.propose_edit(unit, actor, kind=found, changes=[change], summary=form["summary"])
        except Invalid as wrong:  # the form holds one entry, whose fields stand at its top
            raise Invalid(*(replace(f, field=f.field.rpartition(".")[2]) for f in wrong.faults)) from wrong
        return made.id

    made = once(request, house, actor, form, act)
    return leave(f"/lists/edits/{made}", done="edit_proposed")


def _change(form: Form, kind: ListKind) -> Change:
    revision = form["revision"]
    known = {"code": form["code"], "revision": int(revision)} if form["code"] and revision.isdigit() else {}
    if form["verb"] == "end" and known:
        return build(Change, {"kind": ChangeKind.END, **known})
    values: dict[str, Any] = {name: form[name] for name in SIMPLE if form[name]}
    values["purposes"] = form.all("purposes")
    if kind is ListKind.NEGATIVE:
        condition: dict[str, Any] = {name: words_of(form[name]) for name in WRITTEN}
        condition |= {name: form.all(f"c.{name}") for name in CHOSEN}
        condition["without_basis"] = form["without_basis"] == "yes"
        values["condition"] = build(Condition, condition)
    entry = build(Entry, values)
    verb = ChangeKind.REVISE if known else ChangeKind.ADD
    return build(Change, {"kind": verb, "entry": entry, **known})
