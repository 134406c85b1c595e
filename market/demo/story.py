"""The demo's story: assets registered, cleansed and listed, one deal active, others waiting for a click."""

from collections.abc import Callable
from datetime import date

from contracts.queries import one_contract
from contracts.terms import Purpose, RightKind, Tier
from market.billing import actions as billing
from market.catalogue import actions as catalogue
from market.catalogue import listing, offers
from market.catalogue import queries as catalogue_queries
from market.catalogue.publishing import output_of
from market.catalogue.rules import Meaning, PlanKind, Price, Profile, Standing
from market.demo.cast import acting, organization
from market.demo.governing import govern
from market.demo.pieces import BEACHES, HOLIDAYS, PARKS, PORTS, ROADS, Piece
from market.house import House
from market.identity.rules import Actor
from market.policy.inputs import OpenAttr, SupplyKind
from market.refinery import actions as refinery
from market.refinery.cleanse import cleanse
from market.refinery.rules import parse
from market.registry import actions as registry
from market.registry.queries import files_of
from market.registry.rules import Description, FormatKind, Item, Right, ShareType, UpdateCycle
from market.screening import actions as screening
from market.screening import filings
from market.screening.rules import FilingKind
from market.trading import actions as trading
from market.trading import queries as trading_queries
from market.trading.rules import RULES_VERSION
from market.trading.tables import Order
from storage.kernel.numbers import make_uscc
from storage.tabular.apart import inspect_here
from storage.tabular.kinds import Column

REASON = "演示：材料齐全 demo: complete"


def tell(house: House, say: Callable[[str], None]) -> None:
    """Play the whole story. `say` is told each step."""
    say("清单与授权 lists and mandate")
    govern(house)
    for piece in (HOLIDAYS, BEACHES, ROADS, PORTS):
        say(f"{piece.title_zh} {piece.title_en}")
        put(house, piece)
    _leave_waiting(house)
    say("订单与付款 orders and payments")
    order = _order(house, "buyer", "road-speeds", prepay_fen=100_000)
    _approve_order(house, order)
    _pay(house, order)
    _order(house, "buyer2", "port-index", prepay_fen=800_000)
    house.pulse.beat()


def put(house: House, piece: Piece) -> None:
    """Register, cleanse and list one piece, through everybody it takes."""
    _list(house, piece, registered(house, piece, submitted(house, piece)))


def _describe(piece: Piece) -> Description:
    columns = [word[0] for word in piece.words]
    owner = organization({"provider": "company"}.get(piece.owner, piece.owner))
    return Description(
        title_zh=piece.title_zh,
        title_en=piece.title_en,
        abstract_zh=piece.summary_zh,
        abstract_en=piece.summary_en,
        provider_name=piece.unit or owner.name,
        provider_code=make_uscc(owner.body),
        code=f"370200-demo-{piece.slug}",
        category="演示/示例/数据",
        format_kind=FormatKind.SHEET,
        format="csv",
        share_type=ShareType.UNCONDITIONAL,
        open_attr=piece.open_attr,
        open_condition="" if piece.open_attr is OpenAttr.UNCONDITIONAL else "签订合同后使用",
        update_cycle=UpdateCycle.YEARLY,
        published_on=date(2026, 11, 1),
        keywords=(piece.title_zh[:8], "演示"),
        area="370200",
        coverage_from=date(2024, 1, 1),
        coverage_until=date(2026, 12, 31),
        industry="I65",
        system="演示系统",
        items=tuple(Item(name=name, type="text") for name in columns),
        source_kind=piece.source,
        source_statement="演示数据：按固定规则虚构，或来自自由许可的软件包。",
        rights=(
            Right(kind=RightKind.HOLD, scope="持有"),
            Right(kind=RightKind.USE, scope="加工使用"),
            Right(kind=RightKind.OPERATE, scope="对外提供"),
        ),
        grade=piece.grade,
        grade_basis="参照 GB/T 43697 附录 H",
        supply=piece.supply,
        contains_pi=bool(piece.pi_basis),
        contains_spi=bool(piece.pi_basis),
        pi_basis=piece.pi_basis,
        committed=True,
    )


def submitted(house: House, piece: Piece) -> str:
    """Described, uploaded and handed to the registrar. Raises Invalid where the register refuses."""
    actor = acting(house, piece.owner)
    path = house.incoming / f"demo-{piece.slug}"
    path.write_bytes(piece.content())
    found = inspect_here(path, piece.file_name, house.workshop.limits)
    stored = house.objects.put_file(path)
    path.unlink()
    paper = house.objects.put_bytes(f"来源说明 {piece.slug}".encode())
    with house.store.unit(actor.id, actor.org) as unit:
        asset = registry.draft_asset(unit, actor, description=_describe(piece))
        registry.attach_file(
            unit,
            actor,
            asset.id,
            stored=stored,
            name=piece.file_name,
            format=found["format"],
            encoding=found["encoding"],
            rows=found["profile"]["rows"],
            profile=found["profile"],
        )
        registry.attach_evidence(unit, actor, asset.id, stored=paper, name="来源说明.txt")
    with house.store.unit(actor.id, actor.org) as unit:
        registry.submit_asset(unit, actor, asset.id)
    return asset.id


def registered(house: House, piece: Piece, asset_id: str) -> str:
    """Taken through the registrar's desk and the secrecy review."""
    registrar = acting(house, "registrar")
    with house.store.unit(registrar.id, registrar.org) as unit:
        registry.accept_asset(unit, registrar, asset_id)
        registry.review_asset(unit, registrar, asset_id)
        # The demonstration's own days of notice: what it shows was registered before it opened.
        registry.register_asset(
            unit, registrar, asset_id, reason=REASON, office=house.settings.registry.without_notice()
        )
    _screen(house, piece, asset_id)
    return asset_id


def _screen(house: House, piece: Piece, asset_id: str) -> None:
    """The secrecy review, asked for by the provider and given by a compliance officer of another organization."""
    asking, reviewing = acting(house, piece.owner), acting(house, "compliance")
    with house.store.unit(asking.id, asking.org) as unit:
        review = screening.ask_review(
            unit,
            asking,
            asset_id,
            statement="演示数据为虚构内容，自查不涉及国家秘密与工作秘密。",
            personal=bool(piece.pi_basis),
            export=False,
        )
    with house.store.unit(reviewing.id, reviewing.org) as unit:
        screening.review_secrecy(
            unit, reviewing, review.id, passing=True, reason=REASON, evidence="演示审查表 demo form"
        )
    if piece.pi_basis and piece.assessed:
        _assessed(house, asking, reviewing, asset_id, piece.pi_basis)


def _assessed(house: House, asking: Actor, reviewing: Actor, asset_id: str, basis: str) -> None:
    """The impact assessment, shown by the provider and checked by a compliance officer."""
    number = basis.rpartition(" ")[2]
    with house.store.unit(asking.id, asking.org) as unit:
        paper = filings.file_paper(
            unit,
            asking,
            asset_id,
            kind=FilingKind.IMPACT_ASSESSMENT,
            number=number,
            authority="演示评估机构 demo assessor",
            dated=date(2026, 10, 1),
        )
    with house.store.unit(reviewing.id, reviewing.org) as unit:
        filings.check_filing(unit, reviewing, paper.id, accept=True, reason=REASON)


def _list(house: House, piece: Piece, asset_id: str) -> None:
    actor = acting(house, piece.owner)
    product_id = built(house, piece, asset_id, actor)
    standing = standing_of(piece)
    with house.store.view() as view:
        accepted = offers.standing_hash(view, actor, product_id, standing)
    with house.store.unit(actor.id, actor.org) as unit:
        case_id = listing.submit_listing(
            unit, actor, product_id, standing=standing, offer_sha256=accepted
        ).case_id
    assert case_id is not None
    for login in ("approver", "compliance"):
        decider = acting(house, login)
        with house.store.unit(decider.id, decider.org) as unit:
            done = listing.decide_listing(unit, decider, case_id, approve=True, reason=REASON)
        if done.listed_at is not None:
            return


def built(house: House, piece: Piece, asset_id: str, actor: Actor) -> str:
    """A product with a version and a plan, made of a registered asset."""
    with house.store.view() as view:
        file = files_of(view, asset_id)[0]
    with house.store.unit(actor.id, actor.org) as unit:
        run = refinery.request_run(
            unit,
            asset_id=asset_id,
            asset_file_sha256=file.sha256,
            file_name=file.name,
            recipe=parse({"steps": list(piece.steps)}),
            encoding=file.encoding or None,
            indexes=piece.indexes,
            columns=[Column.parse(column) for column in file.profile["schema"]],
        )
    run = cleanse(house.store, house.objects, run.id, house.workshop)
    with house.store.unit(actor.id, actor.org) as unit:
        profile = Profile(
            title_zh=piece.title_zh,
            title_en=piece.title_en,
            summary_zh=piece.summary_zh,
            summary_en=piece.summary_en,
            description=piece.summary_zh,
            zone=piece.zone,
            tier=piece.tier,
            delivery=piece.delivery,
            form=piece.form,
            permit=piece.permit,
            scenarios=("演示",),
            keywords=("演示",),
        )
        product = catalogue.draft_product(unit, actor, slug=piece.slug, asset_id=asset_id, profile=profile)
        words = [Meaning(name=name, zh=zh, en=en) for name, zh, en in piece.words]
        catalogue.publish_version(unit, actor, product.id, output=output_of(run), dictionary=words)
        catalogue.add_plan(
            unit,
            actor,
            product.id,
            code="payg" if piece.price else "free",
            title_zh="按量计费" if piece.price else "免费开放",
            title_en="Pay as you go" if piece.price else "Free and open",
            kind=piece.kind if piece.price else PlanKind.FREE,
            price=piece.price or Price(),
        )
        return product.id


def standing_of(piece: Piece) -> Standing:
    """What the product is offered under: template, purposes, term."""
    source = {"zh": "演示数据，虚构或自由许可", "en": "demo data, invented or freely licensed"}
    cycle = {"zh": "每年", "en": "yearly"}
    content = {"zh": piece.summary_zh, "en": piece.summary_en}
    if piece.tier is Tier.PUBLIC_GOOD and piece.open_attr is OpenAttr.CONDITIONAL:
        return Standing(
            template_slug="conditional-open",
            template_version="2026.1",
            purposes=(
                Purpose.GOVERNANCE,
                Purpose.PUBLIC_WELFARE,
                Purpose.RESEARCH_NONPROFIT,
                Purpose.PERSONAL,
            ),
            months=12,
            slots={"data_content": content, "data_source": source, "update_cycle": cycle},
        )
    if piece.tier is Tier.PUBLIC_GOOD:
        return Standing(
            template_slug="open-license",
            template_version="2026.1",
            purposes=tuple(purpose for purpose in Purpose if purpose is not Purpose.RESALE),
            months=None,
            slots={"data_source": source, "update_cycle": cycle},
        )
    return Standing(
        template_slug="data-provision",
        template_version="2026.1",
        purposes=_sale(piece),
        months=12,
        min_prepay_fen=0 if piece.kind is PlanKind.SUBSCRIPTION else piece.prepay_fen,
        slots={
            "data_content": content,
            "data_scale": {"zh": "以版本页所列行数为准", "en": "as listed with each version"},
            "data_source": source,
            "time_range": {"zh": "2024 至 2026 年", "en": "2024 to 2026"},
            "update_cycle": cycle,
            "quality": [{"metric": "必填缺失率", "target": "≤1%", "method": "全量统计"}],
            "payee_name": "青岛数据集团有限公司",
            "payee_bank": "示例银行青岛分行",
            "payee_account": "3700 0000 0000 0001",
        },
    )


def _sale(piece: Piece) -> tuple[Purpose, ...]:
    """What it is sold for; public data serves governance and welfare from the same shelf, free, unless it is closed."""
    sale = (Purpose.INDUSTRY, Purpose.SECTOR, Purpose.INTERNAL_BUSINESS)
    shared = piece.supply is SupplyKind.PUBLIC and piece.open_attr is not OpenAttr.CLOSED
    return (Purpose.GOVERNANCE, Purpose.PUBLIC_WELFARE, *sale) if shared else sale


def _leave_waiting(house: House) -> None:
    """An asset on the registrar's desk."""
    submitted(house, PARKS)


def _order(house: House, login: str, slug: str, *, prepay_fen: int) -> Order:
    buyer = acting(house, login)
    zone = house.settings.timezone
    with house.store.unit(buyer.id, buyer.org) as unit:
        page = catalogue_queries.product_page(unit, buyer, slug)
        return trading.place_order(
            unit,
            buyer,
            product_id=page.product.id,
            plan_id=page.plans[0].id,
            purpose=Purpose.INTERNAL_BUSINESS,
            scenario="演示：用于内部运力调度与分析",
            months=3,
            prepay_fen=prepay_fen,
            rules_version=RULES_VERSION,
            zone=zone,
        )


def _approve_order(house: House, order: Order) -> None:
    assert order.case_id is not None
    for login in ("approver", "compliance"):  # two, where public data is sold
        decider = acting(house, login)
        with house.store.unit(decider.id, decider.org) as unit:
            done = trading.decide_order(
                unit,
                decider,
                order.case_id,
                approve=True,
                reason=REASON,
                expected_version=None,
                zone=house.settings.timezone,
            )
        if done.contract_id is not None:
            return


def _pay(house: House, order: Order) -> None:
    """The buyer signs; two finance people see the money arrive."""
    buyer = acting(house, "buyer")
    key = house.document_key()
    with house.store.unit(buyer.id, buyer.org) as unit:
        held = trading_queries.order(unit, buyer, order.id)
        text = one_contract(unit, held.contract_id or "")
        signed = trading.accept_contract(
            unit, buyer, order.id, content_hash=text.content_hash, key=key, zone=house.settings.timezone
        )
    assert signed.payment_id is not None
    first, second = acting(house, "finance"), acting(house, "finance2")
    with house.store.unit(first.id, first.org) as unit:
        billing.report_received(
            unit, first, signed.payment_id, amount_fen=signed.due_fen, bank_reference="DEMO202611220001"
        )
    with house.store.unit(second.id, second.org) as unit:
        billing.confirm_payment(unit, second, signed.payment_id)
