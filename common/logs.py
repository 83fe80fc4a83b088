"""Logs: one pipeline for our lines and those of the libraries, without secrets."""

import logging
import sys
import time
from collections.abc import Callable

from common.config import WorkerSettings
from common.lean import hidden
from common.redaction import Redaction

with hidden("rich"):  # structlog loads it for coloured tracebacks: 3.5 MB in every worker
    import structlog
    from structlog.typing import EventDict, Processor, WrappedLogger

PERIOD_S = 60.0
"""Seconds in which the same cause is said once."""

_MOST_CAUSES = 1000
_redaction = Redaction()
_QUIET = ("asyncio", "websockets", "urllib3", "uvicorn.access", "tenacity")
"""Libraries that say at INFO and DEBUG what we say ourselves."""


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of one file; what varies is a keyword: `log.info("connected", host=host)`.

    Args:
        name: `__name__`.
    """
    found: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return found


def start_logging(settings: WorkerSettings | None = None) -> None:
    """Log to stderr from now on, as the settings say; may be called again.

    Args:
        settings: Level, format, and the secrets to hide; without them `info` for people.
    """
    as_json = settings is not None and settings.log_format == "json"
    handler = _ToStderr()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_about_the_line(),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _without_secrets,
                _json() if as_json else _console(colors=sys.stderr.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _ToStderr)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.log_level.upper() if settings else logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    for name in ("uvicorn", "uvicorn.error"):  # uvicorn brings handlers of its own
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            *_about_the_line(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    if settings is not None:
        hide(*settings.secrets())
        for warning in settings.warnings:
            logger(__name__).warning(warning)


def hide(*secrets: str) -> None:
    """Never show these texts in a log line; for secrets that no setting holds."""
    _redaction.learn(secrets)


class OncePerMinute:
    """Says the same cause once a minute, with the count of what it kept to itself.

    Args:
        say: `log.warning` or another such method.
        clock: Seconds of a clock that never goes back.
    """

    def __init__(
        self, say: Callable[..., object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say = say
        self._clock = clock
        self._said: dict[str, tuple[float, int]] = {}

    def __call__(self, cause: str, sentence: str, **fields: object) -> None:
        """Say the sentence now, or count it.

        Args:
            cause: What makes two lines the same.
            sentence: As for a logger.
            fields: As for a logger; `times` is added when more than one line became this one.
        """
        now = self._clock()
        last, silent = self._said.pop(cause, (now - PERIOD_S, 0))
        if now - last < PERIOD_S:
            self._said[cause] = (last, silent + 1)
            return
        if len(self._said) >= _MOST_CAUSES:
            del self._said[next(iter(self._said))]
        self._said[cause] = (now, 0)
        times = {"times": silent + 1} if silent else {}
        self._say(sentence, **fields, **times)


class _ToStderr(logging.Handler):
    """Writes to what stderr is at the time of the line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a stderr that is gone is no reason to stop."""
        try:
            sys.stderr.write(self.format(record) + "\n")
        except (OSError, ValueError):
            self.handleError(record)


def _about_the_line() -> list[Processor]:
    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _without_secrets(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Clean every value; a traceback keeps its lines, each marked as belonging to it."""
    traceback = line.pop("exception", None)
    clean: EventDict = {name: _redaction.value(value, name) for name, value in line.items()}
    if traceback:
        lines = str(traceback).splitlines()
        clean["exception"] = "\n".join(f"  | {_redaction.text(text)}" for text in lines)
    return clean


def _json() -> Processor:
    return structlog.processors.JSONRenderer(ensure_ascii=False, sort_keys=False)


def _console(*, colors: bool) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=colors,
        pad_event_to=0,
        sort_keys=False,
        exception_formatter=structlog.dev.plain_traceback,
    )
