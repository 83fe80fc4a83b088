"""Settings of admin."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from common.config import (
    HomeSettings,
    Names,
    SinkSettings,
    Token,
    WorkerSettings,
    every,
    http_url,
)

SHORTEST_TOKEN = 16
"""Characters."""


def _address(url: SecretStr) -> SecretStr:
    if url:
        http_url(url.get_secret_value())
    return url


def _hard_to_guess(token: SecretStr) -> SecretStr:
    if token and len(token) < SHORTEST_TOKEN:
        raise ValueError(f"is too short: at least {SHORTEST_TOKEN} characters are hard to guess")
    return token


def _root_path(path: str) -> str:
    path = path.strip().rstrip("/")
    if path and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", path):
        raise ValueError("is no path: it starts with / and has no spaces")
    return path


_host = re.compile(r"[A-Za-z0-9._-]+")
_origin = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+")


class Settings(WorkerSettings, HomeSettings, SinkSettings):
    """Settings of admin."""

    admin_host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on; `0.0.0.0` for the whole network.",
    )
    admin_port: int = Field(
        default=8003, ge=0, le=65535, description="Port to listen on; 0 for any that is free."
    )
    admin_token: Annotated[Token, AfterValidator(_hard_to_guess)] = Field(
        default=SecretStr(""),
        examples=["leave-it-out-and-habus-makes-one"],
        description="Bearer token for every route but `/healthz` and `/readyz`, 16 characters or "
        "more; where none is set, habus generates one.",
    )
    admin_token_path: Path = Field(
        default=Path("data/admin_token"), description="File that keeps the generated token."
    )
    admin_read_only: bool = Field(
        default=False,
        description="REST and page show everything and change nothing: changes are answered 405.",
    )
    admin_root_path: Annotated[str, AfterValidator(_root_path)] = Field(
        default="",
        examples=["/habus"],
        description="Path under which a reverse proxy serves habus, as `/habus`.",
    )
    admin_cors_origins: Annotated[Names, every(_origin.fullmatch, "origin")] = Field(
        default=(),
        examples=["https://panel.example.org"],
        description="Origins, comma-separated, whose pages may call with the token; none else can.",
    )
    admin_allowed_hosts: Annotated[
        Names, every(_host.fullmatch, "host name (it has neither scheme nor port)")
    ] = Field(
        default=(),
        examples=["habus.example.org"],
        description="More host names, comma-separated, under which habus may be called; addresses, "
        "names without a dot, `.local`, `.lan` and their like always work.",
    )
    alert_webhook_url: Annotated[SecretStr, AfterValidator(_address)] = Field(
        default=SecretStr(""),
        examples=["http://homeassistant.local:8123/api/webhook/a-name-that-is-hard-to-guess"],
        description="Where alerts are POSTed as JSON: a webhook of Home Assistant, ntfy, a chat.",
    )
    alert_lag_s: float = Field(
        default=300, gt=0, description="Seconds that a stage may be behind without an alert."
    )
    alert_buffer_hours: float = Field(
        default=24,
        ge=0,
        description="Hours until Redis and then the spool are full, at the present rate, below "
        "which there is an alert.",
    )
    dead_retention_days: float = Field(
        default=0,
        ge=0,
        le=36_500,
        description="Days after which dead letters are deleted for good; 0: they stay for ever.",
    )
