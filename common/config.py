"""Settings: read once, at the door, into a typed thing; here are those that several rooms share."""

import os
import re
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from common.environment import DEFAULT, MayComeFromFile, Variables, is_secret, problems_of
from common.errors import InvalidSetting

REDIS_OPTIONS: Mapping[str, str] = {
    "db": r"\d+",
    "ssl_ca_certs": ".+",
    "ssl_certfile": ".+",
    "ssl_keyfile": ".+",
    "ssl_cert_reqs": "none|optional|required",
    "ssl_check_hostname": "true|false",
}
"""What may stand after the `?` of a Redis' address, and its values: `ssl_…` with `rediss://` only.

All else is refused: some of it would change how the bus speaks, such as `decode_responses`.
Source: https://redis.readthedocs.io/en/stable/connections.html
"""


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))


def _word(value: str) -> str:
    if not value.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise ValueError("may hold letters, digits, '-', '_' and '.' only")
    return value


def _redis_url(value: str) -> str:
    try:
        url = urlsplit(value)
        _ = url.port
    except ValueError as error:
        hint = ": in a password / is written %2F, ? %3F and # %23" if "@" in value else ""
        raise ValueError(f"is no address of a Redis{hint}") from error
    if not (url.scheme in {"redis", "rediss"} and url.hostname) and not (
        url.scheme == "unix" and url.path
    ):
        raise ValueError("is no address of a Redis: it starts with redis://, rediss:// or unix://")
    if url.scheme != "unix" and not re.fullmatch(r"(/\d*)?", url.path):
        raise ValueError("is no address of a Redis: after / stands the number of a database")
    for name, text in parse_qsl(url.query, keep_blank_values=True):
        may_stand = url.scheme == "rediss" or not name.startswith("ssl_")
        if not (may_stand and re.fullmatch(REDIS_OPTIONS.get(name, "(?!)"), text)):
            known = ", ".join(REDIS_OPTIONS)
            raise ValueError(f"has {name!r} after its ?; {known} are known, ssl_… for rediss://")
    return value


def _token(token: SecretStr) -> SecretStr:
    text = token.get_secret_value()
    if not (text.isascii() and text.isprintable()):
        raise ValueError("holds a character that no token has: copy it anew, in one line")
    return token


def _schema_of_sink(value: str, others: ValidationInfo) -> str:
    if value == "ha" and others.data.get("store_sink") == "sqlite":
        raise ValueError(
            "is a shape for InfluxDB, and STORE_SINK is sqlite; leave STORE_SCHEMA out, or set"
            " STORE_SINK=influxdb"
        )
    return value


def http_url(value: str) -> str:
    """Return the address without a slash at its end.

    Raises:
        ValueError: When it is none of HTTP.
    """
    try:
        url = urlsplit(value)
        _ = url.port
    except ValueError as error:
        raise ValueError("is no address") from error
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise ValueError("is no address: it starts with http:// or https://")
    return value.rstrip("/")


def _without_query(url: str) -> str:
    if "?" in url or "#" in url:
        raise ValueError("is more than an address: neither ? nor # belongs there")
    return url


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Comma-separated in the environment."""


def every(is_one: Callable[[str], object], kind: str) -> AfterValidator:
    """Check each of the `Names`; all that are wrong are told at once.

    Args:
        is_one: Tells whether a name is right.
        kind: What it is then, as `domain`.
    """

    def checked(names: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [name for name in names if not is_one(name)]:
            raise ValueError(f"names what is no {kind}: {', '.join(map(repr, wrong))}")
        return names

    return AfterValidator(checked)


Token = Annotated[SecretStr, AfterValidator(_token)]
"""Can be sent in a header of HTTP."""

Word = Annotated[str, AfterValidator(_word)]
"""A name that can be part of a Redis key."""

Lower = BeforeValidator(_lower)
"""Makes a choice indifferent to upper case."""


class Settings(BaseSettings):
    """What every settings class can do. `REDIS_URL` is the attribute `redis_url`, and so on.

    Only `from_environment` reads the environment; `Settings(redis_url=…)` does not, for tests.
    """

    model_config = SettingsConfigDict(
        alias_generator=str.upper,
        validate_by_name=True,
        validate_by_alias=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    _variables: Variables | None = PrivateAttr(default=None)

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str] | None = None, env_file: Path = Path(".env")
    ) -> Self:
        """Read and check all settings of this class.

        Args:
            environ: Instead of the environment.
            env_file: Read where the environment says nothing; need not exist.

        Raises:
            InvalidSetting: When any is wrong; the message has a line for each, and what to do.
        """
        variables = Variables(cls, os.environ if environ is None else environ, env_file)
        problems = list(variables.problems)
        try:
            settings = cls(**variables.values)  # type: ignore[arg-type] # texts: pydantic reads them
        except ValidationError as error:
            problems += problems_of(error, cls.model_fields, problems)
        if problems:
            lines = "\n".join(f"  {line}" for line in problems + variables.warnings)
            raise InvalidSetting(f"habus cannot start with these settings:\n{lines}")
        settings._variables = variables
        return settings

    @property
    def warnings(self) -> list[str]:
        """What to say at start: a line for each unknown variable."""
        return self._variables.warnings if self._variables else []

    def origins(self) -> dict[str, str]:
        """Name of each setting → `default`, `environment`, `.env` or `file`."""
        found = self._variables.origins if self._variables else {}
        names = map(str.upper, type(self).model_fields)
        return {name: found.get(name, DEFAULT) for name in names}

    def file_of(self, name: str) -> Path | None:
        """The file that holds the setting NAME; None where it stands elsewhere."""
        return self._variables.files.get(name) if self._variables else None

    def secrets(self) -> set[str]:
        """Texts that must never be seen: secrets, and passwords within URLs."""
        texts = {
            getattr(self, name).get_secret_value()
            for name, field in type(self).model_fields.items()
            if is_secret(field)
        }
        for name in type(self).model_fields:
            url = getattr(self, name)
            if name.endswith("_url") and isinstance(url, str):
                password = urlsplit(url).password or ""
                texts |= {password, unquote(password)}
        return texts - {""}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave only what is handed in: the environment is read by `from_environment` alone."""
        return (init_settings,)


class WorkerSettings(Settings):
    """What every worker needs."""

    redis_url: Annotated[str, AfterValidator(_redis_url), MayComeFromFile()] = Field(
        default="redis://127.0.0.1:6379/0",
        description="Redis; `redis://`, `rediss://` and `unix://` work; `?db=1` may "
        "follow, and for TLS `?ssl_ca_certs=/ca.pem`.",
    )
    bus_prefix: Word = Field(default="ha", description="First part of every Redis key.")
    bus_max_deliveries: int = Field(
        default=3,
        ge=2,  # the first death is that of a whole batch
        le=1000,
        description="Process deaths after which an entry is buried; 2 or more.",
    )
    bus_retention_hours: float = Field(
        default=24,
        ge=0,
        le=24 * 366,
        description="Hours that entries everyone has acknowledged stay for inspection.",
    )
    worker_name: Word = Field(
        default_factory=socket.gethostname,
        examples=["attic"],
        description="Name of this worker among those of its stage (host name where not set).",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error", "critical"], Lower] = Field(
        default="info", description="The least severe lines that are logged."
    )
    log_format: Annotated[Literal["console", "json"], Lower] = Field(
        default="console", description="`console` for people, `json` for machines."
    )


class HomeSettings(Settings):
    """What identifies the home; part of every event's id."""

    ha_home_name: str = Field(
        default="home",
        min_length=1,
        description="Name of the home; part of every event's id, so do not change it later.",
    )


class SinkSettings(Settings):
    """Where events come to rest."""

    store_sink: Annotated[Literal["influxdb", "sqlite"], Lower] = Field(
        default="influxdb", description="`influxdb` or `sqlite`."
    )
    store_sqlite_path: Path = Field(
        default=Path("data/events.db"), description="File of the sink `sqlite`."
    )
    store_schema: Annotated[Literal["clean", "ha"], Lower, AfterValidator(_schema_of_sink)] = Field(
        default="clean",
        description="Shape of the points in InfluxDB: habus's own, or that of Home Assistant's "
        "`influxdb`.",
    )
    influxdb_url: Annotated[str, AfterValidator(http_url), AfterValidator(_without_query)] = Field(
        default="http://127.0.0.1:8086", description="InfluxDB."
    )
    influxdb_token: Token = Field(
        default=SecretStr(""),
        examples=["the-token-that-InfluxDB-showed-you"],
        description="Token that may write to, and read, the bucket.",
    )
    influxdb_org: str = Field(default="home", description="Organisation of InfluxDB 2.x.")
    influxdb_bucket: str = Field(default="home_assistant", description="Bucket to write to.")
    influxdb_timeout_s: float = Field(
        default=10, gt=0, le=600, description="Seconds after which an answer is given up."
    )
