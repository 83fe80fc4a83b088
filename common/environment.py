"""Where settings come from, and how wrong ones are said in plain words."""

import difflib
import re
from collections.abc import Iterable, Mapping
from io import StringIO
from pathlib import Path

from dotenv.parser import parse_stream
from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings

from common.redaction import Redaction

NAMES = (
    "ADMIN_ALLOWED_HOSTS", "ADMIN_CORS_ORIGINS", "ADMIN_HOST", "ADMIN_PORT", "ADMIN_READ_ONLY",
    "ADMIN_ROOT_PATH", "ADMIN_TOKEN", "ADMIN_TOKEN_PATH",
    "ALERT_BUFFER_HOURS", "ALERT_LAG_S", "ALERT_WEBHOOK_URL",
    "BUS_MAX_DELIVERIES", "BUS_PREFIX", "BUS_RETENTION_HOURS",
    "DEAD_RETENTION_DAYS",
    "HA_ACCESS_TOKEN", "HA_BACKFILL_HOURS", "HA_CA_FILE", "HA_EVENT_TYPES", "HA_EXCLUDE_DOMAINS",
    "HA_EXCLUDE_ENTITIES", "HA_EXCLUDE_ENTITY_GLOBS", "HA_HOME_NAME", "HA_INCLUDE_DOMAINS",
    "HA_INCLUDE_ENTITIES", "HA_INCLUDE_ENTITY_GLOBS", "HA_WEBSOCKET_URL",
    "INFLUXDB_BUCKET", "INFLUXDB_ORG", "INFLUXDB_TIMEOUT_S", "INFLUXDB_TOKEN", "INFLUXDB_URL",
    "INGEST_QUEUE_MB", "INGEST_SPOOL_MAX_MB", "INGEST_SPOOL_PATH", "INGEST_SPOOL_RETENTION_HOURS",
    "LOG_FORMAT", "LOG_LEVEL",
    "REDIS_URL",
    "STORE_BATCH_SIZE", "STORE_LINGER_MS", "STORE_SCHEMA", "STORE_SINK", "STORE_SQLITE_PATH",
    "WORKER_NAME",
)  # fmt: skip
"""Every setting of every room: one `.env` serves all, and each room knows the others' names."""

FROM_FILES = ("ADMIN_TOKEN", "ALERT_WEBHOOK_URL", "HA_ACCESS_TOKEN", "INFLUXDB_TOKEN", "REDIS_URL")
"""Settings that may stand in a file that NAME_FILE names."""

PREFIXES = tuple({name.partition("_")[0] + "_" for name in NAMES} | {"ENRICH_"})
"""A variable that starts so is meant for habus."""

_SAME = {
    **dict.fromkeys(("HOST", "ADDRESS", "SERVER", "URI"), "URL"),
    **dict.fromkeys(("BIND", "LISTEN"), "HOST"),
    **dict.fromkeys(("DATABASE", "DB"), "BUCKET"),
    **dict.fromkeys(("PASSWORD", "KEY", "SECRET"), "TOKEN"),
}
"""Last word of a name as other programs have it → as habus has it."""

DEFAULT, ENVIRONMENT, DOTENV, FILE = "default", "environment", ".env", "file"
"""Where the value of a setting came from."""


class MayComeFromFile:
    """Marks a setting that may hold a secret without being one, such as a URL with a password."""


class Variables:
    """The variables that concern one settings class; reads each place once.

    The environment comes before `.env`. An empty variable counts as not set.
    A secret NAME may stand in a file that the variable NAME_FILE names.

    Args:
        environ: The environment.
        env_file: Path of `.env`; it need not exist.

    Attributes:
        values: Name → text, of the settings of the class that are set.
        origins: Name → `environment`, `.env` or `file`, of the same settings.
        files: Name → the file that holds it, of those that stand in one.
        problems: A line for each variable that could not be read.
        warnings: A line for each variable that is meant for habus but unknown.
    """

    def __init__(
        self, settings: type[BaseSettings], environ: Mapping[str, str], env_file: Path
    ) -> None:
        self.values: dict[str, str] = {}
        self.origins: dict[str, str] = {}
        self.files: dict[str, Path] = {}
        self.problems: list[str] = []
        found = self._dotenv(env_file) | {
            name: (text.strip(), ENVIRONMENT) for name, text in environ.items() if text.strip()
        }
        self.warnings = [
            unknown(name) for name in sorted(found) if name.startswith(PREFIXES) and not known(name)
        ]
        for field_name, field in settings.model_fields.items():
            name = field_name.upper()
            if may_come_from_file(field):
                self._file(name, found)
            if name in found:
                self.values[name], self.origins[name] = found[name]

    def _dotenv(self, path: Path) -> dict[str, tuple[str, str]]:
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            self.problems.append(f"{path}: cannot be read: {_words(error)}")
            return {}
        found = {}
        for line in parse_stream(StringIO(text)):
            if line.error:
                self.problems.append(
                    f"{path}: line {line.original.line} cannot be read; write NAME=value, and"
                    " close every quote"
                )
            elif line.key is not None and line.value and line.value.strip():
                found[line.key] = (line.value.strip(), DOTENV)
        return found

    def _file(self, name: str, found: dict[str, tuple[str, str]]) -> None:
        named = found.get(f"{name}_FILE")
        if named is None:
            return
        if name in found:
            self.problems.append(f"{name} and {name}_FILE are both set; keep one of them")
            return
        try:
            text = Path(named[0]).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            self.problems.append(f"{name}_FILE: cannot read {named[0]}: {_words(error)}")
            return
        if text:
            found[name] = (text, FILE)
            self.files[name] = Path(named[0])
        else:
            self.problems.append(f"{name}_FILE: {named[0]} is empty; write the secret into it")


def known(name: str) -> bool:
    """Is it a setting of any room, or a file for one?"""
    return name in NAMES or (name.endswith("_FILE") and name.removesuffix("_FILE") in FROM_FILES)


def unknown(name: str) -> str:
    """Say that a variable is unknown, and which one was probably meant."""
    base = name.removesuffix("_FILE")
    close = _ending_alike(base) or _looking_alike(base)
    if close and base != name and close in FROM_FILES:
        close += "_FILE"
    hint = f"did you mean {close}?" if close else "see the README's table of settings"
    return f"{name} is no setting of habus; {hint}"


def _ending_alike(name: str) -> str:
    """The one setting of its family that is called so at other programs; or nothing."""
    last = name.rpartition("_")[2]
    endings = [f"_{word}" for word in (_SAME.get(last, last), last)]
    found = [other for end in endings for other in _family(name) if other.endswith(end)]
    return found[0] if len(set(found)) == 1 else ""


def _looking_alike(name: str) -> str:
    close = difflib.get_close_matches(name, _family(name), n=1)
    return next(iter(close or difflib.get_close_matches(name, NAMES)), "")


def _family(name: str) -> list[str]:
    return [other for other in NAMES if other.startswith(name.partition("_")[0] + "_")]


def is_secret(field: FieldInfo) -> bool:
    """Is its value never to be shown?"""
    return field.annotation is SecretStr


def may_come_from_file(field: FieldInfo) -> bool:
    """May NAME_FILE be used for it?"""
    return is_secret(field) or any(isinstance(mark, MayComeFromFile) for mark in field.metadata)


def problems_of(
    error: ValidationError, fields: Mapping[str, FieldInfo], already: Iterable[str]
) -> list[str]:
    """Return a line for each setting: its name, what is wrong, and what to write instead.

    Args:
        error: What pydantic found.
        fields: The fields of the settings class.
        already: Lines that stand already; of a setting named there nothing more is said.
    """
    lines = []
    said = " ".join(already)
    for detail in error.errors(include_url=False):
        name = str(detail["loc"][0]).upper()
        if not re.search(rf"\b{name}(_FILE)?\b", said):
            lines.append(f"{name}: {_plain(detail, name, fields[name.lower()])}")
    return lines


def _plain(detail: ErrorDetails, name: str, field: FieldInfo) -> str:
    context = detail.get("ctx", {})
    given = "the value" if is_secret(field) else _shown(detail["input"])
    bounds = {
        "greater_than": ("too small", "more than {gt:g}"),
        "greater_than_equal": ("too small", "{ge:g} or more"),
        "less_than": ("too large", "less than {lt:g}"),
        "less_than_equal": ("too large", "{le:g} or less"),
    }
    match kind := detail["type"]:
        case "missing":
            problem = "is not set"
        case "too_short" | "string_too_short":
            problem = "is empty"
        case "int_parsing" | "int_from_float":
            problem = f"{given} is no whole number"
        case "float_parsing" | "finite_number":
            problem = f"{given} is no number"
        case "literal_error":
            return f"{given} is unknown; write one of {context['expected']}"
        case "value_error":
            problem = f"{given} {context['error']}"
        case _ if kind in bounds:
            verdict, rule = bounds[kind]
            return f"{given} is {verdict}; write {rule.format(**context)}"
        case _:
            problem = f"{given} cannot be used"
    examples = field.examples or [field.get_default(call_default_factory=False)]
    return f"{problem}; write for example {name}={examples[0]}"


def _shown(value: object) -> str:
    without_password = re.sub(r"//\S*@", "//***@", str(value))  # one with a / in it, too
    return repr(Redaction().text(without_password)[:80])


def _words(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is not UTF-8"
