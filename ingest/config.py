"""Settings of ingest."""

import re
import ssl
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from common.config import HomeSettings, Lower, Names, Token, WorkerSettings, every

WEBSOCKET_PATH = "/api/websocket"
"""Source: https://developers.home-assistant.io/docs/api/websocket"""


def websocket_url(address: str) -> str:
    """Complete the address of Home Assistant to that of its WebSocket API.

    `http://host:8123` becomes `ws://host:8123/api/websocket`; an address that names a path to a
    WebSocket, such as the Supervisor's `ws://supervisor/core/websocket`, stays as it is.

    Raises:
        ValueError: When it is no such address.
    """
    try:
        url = urlsplit(address)
        _ = url.port
    except ValueError as error:
        raise ValueError("is no address") from error
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(url.scheme)
    if scheme is None or not url.hostname:
        raise ValueError("is no address: it starts with http://, https://, ws:// or wss://")
    if "@" in url.netloc:
        raise ValueError("holds a password; the token belongs into HA_ACCESS_TOKEN")
    path = url.path.rstrip("/") or WEBSOCKET_PATH
    if not path.endswith("/websocket") or url.query or url.fragment or " " in address:
        raise ValueError("is more than host and port")
    return f"{scheme}://{url.netloc}{path}"


def _authorities(file: Path) -> Path:
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:
        raise ValueError(f"cannot be used as certificates in PEM format ({error})") from error
    return file


def _is_glob(name: str) -> bool:
    """Whether an entity id could match: its plain characters are those of ids, one dot at most."""
    plain = re.sub(r"\[!?\]?[^\]]*\]|[*?]", "", name)
    if plain == name:
        return _entity_id.fullmatch(name) is not None
    return re.fullmatch(r"[a-z0-9_]*\.?[a-z0-9_]*", plain) is not None


_domain = re.compile(r"[a-z0-9_]+")
_entity_id = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")

Domains = Annotated[Names, Lower, every(_domain.fullmatch, "domain")]
Entities = Annotated[
    Names,
    Lower,
    every(_entity_id.fullmatch, "entity id (a pattern belongs into the …_ENTITY_GLOBS beside it)"),
]
Globs = Annotated[Names, Lower, every(_is_glob, "pattern that an entity id could match")]


class Settings(WorkerSettings, HomeSettings):
    """Settings of ingest."""

    ha_websocket_url: Annotated[str, AfterValidator(websocket_url)] = Field(
        default="ws://homeassistant.local:8123/api/websocket",
        examples=["http://homeassistant.local:8123"],
        description="Home Assistant; `http(s)://host:8123` is accepted and completed.",
    )
    ha_access_token: Token = Field(
        min_length=1,
        examples=["a-long-lived-access-token"],
        description="Long-lived access token: your profile in Home Assistant, tab Security.",
    )
    ha_ca_file: Annotated[Path, AfterValidator(_authorities)] | None = Field(
        default=None,
        examples=["/run/secrets/my-ca.pem"],
        description="Certificate authority of your own for `wss://`, a PEM file.",
    )
    ha_event_types: Names = Field(
        default=("state_changed",),
        min_length=1,
        examples=["state_changed,call_service"],
        description="Event types to capture, comma-separated; as are the lists below.",
    )
    ha_backfill_hours: float = Field(
        default=24.0,
        ge=0.0,
        le=8760.0,
        examples=["24"],
        description="Hours of history fetched at the very first start; 0: none.",
    )
    ha_include_domains: Domains = Field(
        default=(), examples=["sensor,light"], description="Domains to capture."
    )
    ha_include_entities: Entities = Field(
        default=(), examples=["sensor.kitchen_temperature"], description="Entities to capture."
    )
    ha_include_entity_globs: Globs = Field(
        default=(), examples=["sensor.*_power"], description="Patterns of entities to capture."
    )
    ha_exclude_domains: Domains = Field(
        default=(), examples=["automation,update"], description="Domains to leave out."
    )
    ha_exclude_entities: Entities = Field(
        default=(), examples=["sensor.time"], description="Entities to leave out."
    )
    ha_exclude_entity_globs: Globs = Field(
        default=(), examples=["sensor.*_rssi"], description="Patterns of entities to leave out."
    )
    ingest_spool_path: Path = Field(
        default=Path("data/spool.db"), description="SQLite file of the spool."
    )
    ingest_spool_retention_hours: float = Field(
        default=6,
        ge=0,
        le=24 * 366,
        description="Hours that events stay in the spool after they were sent.",
    )
    ingest_spool_max_mb: int = Field(
        default=2048, ge=16, description="Megabytes of spool beyond which sent events go first."
    )
    ingest_queue_mb: int = Field(
        default=64,
        ge=1,
        le=4096,
        description="Megabytes of memory between socket and spool; beyond it a gap opens.",
    )
