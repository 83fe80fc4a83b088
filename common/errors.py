"""Every error that habus raises, chosen by the reaction it asks for.

PipelineError
├── TransientError              wait and try again; nothing is lost meanwhile
│   ├── BusUnavailable          Redis is away, loading, read-only or full
│   ├── HomeAssistantUnavailable    the socket could not be opened, or closed
│   ├── SinkUnavailable         InfluxDB is away, overloaded, or refuses our token
│   │   ├── WriteFailed         it answers, but fails at this very write
│   │   └── SinkTooSlow         it takes too long, perhaps for so much at once
│   └── SpoolUnavailable        the disk under the spool refuses a write
├── PoisonError                 bury this one event with its cause
│   ├── MalformedEvent          it cannot be read
│   ├── StepFailed              an enrichment step raised
│   ├── PointRejected           the sink refuses what it says
│   └── DeliveredTooOften       its worker died too often while holding it
├── FatalError                  stop; a person must act
│   ├── AuthenticationFailed    Home Assistant refused the access token
│   ├── InvalidSetting          a setting is missing or wrong
│   └── SpoolInUse              another ingest holds the spool or writes the stream
├── DeadLetterNotFound          answer 404
├── ReplayNotFound              answer 404
├── LetterExpired               answer 409
├── BackfillNotFound            answer 404
└── CountChanged                answer 409
"""

from collections.abc import Mapping


class PipelineError(Exception):
    """Anything that goes wrong in habus and has a name."""


class TransientError(PipelineError):
    """Something that passes: wait, and do the same again."""


class BusUnavailable(TransientError):
    """Redis is away, loading, read-only or full."""


class HomeAssistantUnavailable(TransientError):
    """The connection to Home Assistant could not be opened, or it ended."""


class SinkUnavailable(TransientError):
    """The sink is away, overloaded or misconfigured; what is to be written waits.

    Attributes:
        retry_after: Seconds the sink asked us to wait, or None where it did not say.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class WriteFailed(SinkUnavailable):
    """The sink answers, but fails at this very write: it may be the points', or its own fault."""


class SinkTooSlow(SinkUnavailable):
    """The sink did not end in time what it was to do; it may be able to do less at once."""


class SpoolUnavailable(TransientError):
    """The disk under the spool refuses a write; what is in memory is kept."""


class PoisonError(PipelineError):
    """This one event can never go on; bury it, and go on with the others.

    Attributes:
        reason: Code for the dead letter's `dead_reason`.
        detail: What helps to understand it; becomes the dead letter's `dead_detail`.
    """

    reason = "poison"

    def __init__(self, message: str, detail: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.detail: dict[str, object] = dict(detail or {})


class MalformedEvent(PoisonError):
    """The event or entry cannot be read as what it should be."""

    reason = "malformed_event"


class StepFailed(PoisonError):
    """An enrichment step raised; `detail` holds `step` and `traceback`."""

    reason = "enrich_failed"


class PointRejected(PoisonError):
    """The sink refuses what the points say: not the connection, not the token.

    Raised for a batch it means that at least one point in it is refused.

    Args:
        message: The sink's own words.
        reason: `point_rejected`, `field_type_conflict`, `outside_retention` or `too_large`.
    """

    def __init__(
        self,
        message: str,
        reason: str = "point_rejected",
        detail: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message, detail)
        self.reason = reason


class DeliveredTooOften(PoisonError):
    """The worker died too often while it held this entry."""

    reason = "delivery_limit"


class FatalError(PipelineError):
    """No waiting helps: stop with a message that says what to change."""


class AuthenticationFailed(FatalError):
    """Home Assistant refused the access token; trying again could get our address banned."""


class InvalidSetting(FatalError):
    """One or more settings are missing or wrong; the message names each."""


class SpoolInUse(FatalError):
    """Another ingest holds this spool, or writes to this stream."""


class DeadLetterNotFound(PipelineError):
    """No dead letter has this id: it was replayed, purged, or never existed."""


class ReplayNotFound(PipelineError):
    """No replay job has this name: it was forgotten, or never existed."""


class LetterExpired(PipelineError):
    """The sink keeps nothing as old as this letter's event; a replay would bury it again."""


class BackfillNotFound(PipelineError):
    """No backfill has this id: it was cancelled, or never asked for."""


class CountChanged(PipelineError):
    """What a filter matches is not what the person saw.

    Attributes:
        count: How many it matches now.
    """

    def __init__(self, count: int) -> None:
        super().__init__(
            f"the filter matches {count} dead letters now; look again, and confirm with"
            f" `expected_count`: {count}"
        )
        self.count = count
