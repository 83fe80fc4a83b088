"""The settings that count."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from admin.desk import TheDesk
from admin.effective import Setting

router = APIRouter(tags=["health"])


class Config(BaseModel):
    """The settings that count, by name."""

    read_only: bool = Field(description="ADMIN_READ_ONLY: nothing can be changed here.")
    settings: list[Setting]


@router.get("/config", operation_id="getConfig")
async def config(desk: TheDesk) -> Config:
    """The settings of this process as they count, and where each came from; no secret is told.

    A worker that runs by itself reads its own environment, and is not known here.
    """
    return Config(read_only=desk.read_only, settings=list(desk.settings))
