"""Stripe's messages: raw bytes and signature to the rail; the answer says only that it arrived."""

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from market.billing import checkout
from market.billing.rules import RailKind, WebhookEffect
from market.http.who import HouseDep

router = APIRouter(tags=["webhooks"])


class Taken(BaseModel):
    effect: WebhookEffect


@router.post("/webhooks/stripe")
async def stripe(request: Request, house: HouseDep) -> Taken:
    """Stripe 回调 · Signed by Stripe; a message that comes twice changes nothing the second time."""
    raw = await request.body()
    signature = request.headers.get("stripe-signature", "")
    rail = house.rail(RailKind.STRIPE)
    return Taken(effect=await run_in_threadpool(checkout.take_webhook, house.store, rail, raw, signature))
