"""What would become of an event that a person has in mind."""

from datetime import UTC, datetime
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from admin.desk import TheDesk
from admin.failure import failures
from admin.hand_made import event_of
from admin.routes.asked import Time
from admin.routes.events import HandedIn
from admin.routes.letters import Rehearsed, rehearsed
from common.event import format_time

router = APIRouter(tags=["events"])


class InMind(BaseModel):
    """An event as Home Assistant would fire it; without a time: now."""

    model_config = HandedIn.model_config

    event_type: str = Field(min_length=1, max_length=255)
    data: dict[str, Any] = Field(description="Of a `state_changed`: `entity_id`, `new_state`.")
    time_fired: Time | None = Field(default=None, description="ISO 8601 with a zone.")
    origin: Literal["LOCAL", "REMOTE"] = "LOCAL"


@router.post("/enrich/preview", operation_id="previewEvent", responses=failures(413, 503))
async def preview(desk: TheDesk, event: InMind) -> Rehearsed:
    """What would become of this event: enriched, and as line protocol; nothing is written.

    422 when it is no event; an event that would be buried is answered with its cause.
    """
    made = event_of(
        event.event_type,
        event.data,
        format_time(event.time_fired or datetime.now(UTC)),
        origin=event.origin,
        home=desk.home,
        context_id="preview",
    )
    return rehearsed(await desk.preview(made, enriched=False))
