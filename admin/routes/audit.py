"""Who did what to dead letters."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from admin.desk import TheDesk
from admin.failure import failures
from admin.routes.asked import Cursor, PageLimit
from admin.routes.letters import AuditLine, audit_line
from common.bus.entry import none_before

router = APIRouter(tags=["dead letters"])


class AuditPage(BaseModel):
    """A page of the audit, newest first."""

    audit: list[AuditLine]
    next_cursor: str | None = Field(
        description="Ask for the next page with it; null: this was the last.", examples=[None]
    )


@router.get("/audit", operation_id="listAudit", responses=failures(503))
async def audit(desk: TheDesk, limit: PageLimit = 50, cursor: Cursor = None) -> AuditPage:
    """Who replayed, edited or purged what, newest first; some 10,000 lines are kept."""
    if none_before(cursor):
        return AuditPage(audit=[], next_cursor=None)
    lines = await desk.audit.newest(limit + 1, before=cursor)
    return AuditPage(
        audit=[audit_line(line) for line in lines[:limit]],
        next_cursor=lines[limit - 1].id if len(lines) > limit else None,
    )
