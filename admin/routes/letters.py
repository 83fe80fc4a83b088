"""The shapes in which dead letters are answered, and the filter that a body may hold."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from admin.hints import hint
from admin.passage import as_json
from admin.routes.asked import ENTRY_ID, Time
from common.bus import DeadLetter, Filter, Group, Line
from common.event import Event, format_time

if TYPE_CHECKING:
    from admin.preview import Outcome


class Letter(BaseModel):
    """An event that could not go on, and why."""

    id: str = Field(description="Entry id in `ha:dead`.", examples=["1795189957539-0"])
    stage: str = Field(examples=["enrich"])
    reason: str = Field(examples=["malformed_event"])
    error: str = Field(examples=["not an event: it has no time that can be read"])
    detail: Any = Field(description="Traceback, step, line protocol.", examples=[{"step": "value"}])
    at: str = Field(description="When it was buried.", examples=["2026-11-20T15:44:33.4+00:00"])
    fingerprint: str = Field(description="The same for the same cause.", examples=["3f6b1c2e4a90"])
    origin: str = Field(description="Stream it fell from.", examples=["ha:raw"])
    origin_id: str = Field(description="Its entry id there.", examples=["1795189957538-4"])
    deliveries: int = Field(examples=[1])
    worker: str = Field(examples=["attic"])
    replays: int = Field(description="How often it was put back before.", examples=[0])
    expired: bool = Field(description="A replay as it is would only bury it again.")
    hint: str = Field(description="What to do.", examples=[hint("malformed_event")])
    event: dict[str, Any] = Field(
        description="The entry's own fields, `data` as JSON.",
        examples=[{"type": "state_changed", "entity_id": "sensor.kitchen", "data": {}}],
    )


class AuditLine(BaseModel):
    """Somebody did something to dead letters."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(description="Entry id in `ha:audit`.", examples=["1795189957539-0"])
    at: str = Field(examples=["2026-11-20T15:44:33.435789+00:00"])
    who: str = Field(description="`token`, `session`, or a user's name.", examples=["token"])
    via: str = Field(description="`rest`, `page`, `cli`, or `habus` itself.", examples=["rest"])
    address: str = Field(examples=["192.168.1.7"])
    action: str = Field(examples=["replay_edited"])
    count: int = Field(description="Letters it was for.", examples=[1])
    what: Any = Field(description="Which letters.", examples=[{"id": "1795189957539-0"}])
    original: Any = Field(
        default=None, description="The `data` that an edit replaced.", examples=[None]
    )


class LetterWithHistory(Letter):
    """A dead letter, and what was done to its event before."""

    history: list[AuditLine] = Field(description="Replays of the same event, newest first.")


class LetterPage(BaseModel):
    """A page of dead letters, newest first."""

    dead_letters: list[Letter]
    next_cursor: str | None = Field(
        description="Ask for the next page with it; null: this was the last. A page may hold"
        " fewer than `limit`, even none, and still have a next one.",
        examples=[None],
    )
    total: int = Field(description="Letters there are, whatever the filter.", examples=[412])
    matching: int | None = Field(
        description="Letters that match; null with `text`: only reading all would tell.",
        examples=[12],
    )
    scanned: int = Field(description="Letters that were read for this page.", examples=[51])


class LetterGroup(BaseModel):
    """Letters of one cause."""

    fingerprint: str = Field(examples=["3f6b1c2e4a90"])
    stage: str = Field(examples=["store"])
    reason: str = Field(examples=["field_type_conflict"])
    count: int = Field(examples=[412])
    first_at: str | None = Field(description="When the oldest was buried.", examples=[None])
    last_at: str | None = Field(description="When the newest was buried.", examples=[None])
    error: str = Field(description="Of the newest.", examples=["field type conflict"])
    hint: str = Field(description="What to do.", examples=[hint("field_type_conflict")])
    example: Letter | None = Field(description="The newest; null: it went this moment.")


class Retention(BaseModel):
    """What DEAD_RETENTION_DAYS will do."""

    model_config = ConfigDict(from_attributes=True)

    days: float = Field(description="Days that letters stay; 0: for ever.", examples=[0])
    going: int = Field(description="Letters that go within a week.", examples=[0])
    next_at: str | None = Field(description="When the oldest goes.", examples=[None])


class LetterGroups(BaseModel):
    """Dead letters by cause, the largest group first."""

    groups: list[LetterGroup]
    total_groups: int = Field(description="Groups that match.", examples=[3])
    matching: int = Field(description="Letters that match.", examples=[412])
    total: int = Field(description="Letters there are, whatever the filter.", examples=[412])
    retention: Retention


class Rehearsed(BaseModel):
    """What would become of an event; nothing was written."""

    outcome: Literal["stored", "dead"]
    stage: str | None = Field(description="Where it would fall.", examples=[None])
    reason: str | None = Field(description="Code of the cause.", examples=[None])
    error: str | None = Field(examples=[None])
    detail: dict[str, Any] = Field(examples=[{}])
    hint: str | None = Field(description="What to do.", examples=[None])
    event: dict[str, Any] | None = Field(
        description="The enriched event, `data` as JSON; null when it would not get so far.",
        examples=[None],
    )
    line_protocol: str | None = Field(
        description="What would be written; null: nothing.",
        examples=["sensor,entity_id=sensor.kitchen value=21.4 1795189957539000"],
    )


def _number(value: object) -> object:
    """Refuse what is no number in JSON; 12.0 is one, and whole.

    Raises:
        ValueError: When it is none.
    """
    if isinstance(value, bool | str):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic takes this one
    return value


class LetterFilter(BaseModel):
    """Which letters are meant; what is absent matches all."""

    model_config = ConfigDict(extra="forbid")

    stage: Literal["ingest", "enrich", "store"] | None = None
    reason: str | None = Field(default=None, max_length=255, examples=["point_rejected"])
    entity_id: str | None = Field(
        default=None, min_length=1, max_length=255, examples=["sensor.kitchen"]
    )
    fingerprint: str | None = Field(default=None, max_length=255, examples=["3f6b1c2e4a90"])
    start_time: Time | None = Field(
        default=None, description="Buried from this time on.", examples=["2026-11-20T15:00:00Z"]
    )
    end_time: Time | None = Field(
        default=None, description="Buried before this time.", examples=["2026-11-20T16:00:00Z"]
    )
    text: str | None = Field(
        default=None, max_length=255, description="In event or error.", examples=["timeout"]
    )

    @property
    def wanted(self) -> Filter:
        """The filter as the bus takes it."""
        return Filter(
            stage=self.stage,
            reason=self.reason,
            entity_id=self.entity_id,
            fingerprint=self.fingerprint,
            since=format_time(self.start_time) if self.start_time else None,
            until=format_time(self.end_time) if self.end_time else None,
            text=self.text or None,
        )


class Choice(LetterFilter):
    """Which letters are meant: by their ids, or by a filter."""

    filter: LetterFilter | None = Field(
        default=None, description="The same parts as an object of their own.", examples=[None]
    )
    ids: list[Annotated[str, Field(pattern=ENTRY_ID)]] | None = Field(
        default=None, max_length=10_000, description="Only these.", examples=[None]
    )
    dry_run: bool = Field(default=False, strict=True, description="Only count them.")
    expected_count: Annotated[int, Field(ge=0), BeforeValidator(_number)] | None = Field(
        default=None,
        description="409 when another number matches.",
        examples=[None],
    )

    @property
    def wanted(self) -> Filter:
        """The filter as the bus takes it; what stands in `filter` counts first."""
        inner = self.filter.wanted if self.filter else Filter()
        mine = super().wanted
        both = {
            name: getattr(inner, name) or getattr(mine, name) for name in Filter.__struct_fields__
        }
        return Filter(**both)


def letter_of(found: DeadLetter) -> Letter:
    """The answer's shape of a dead letter."""
    return Letter(**_parts(found))


def with_history(found: DeadLetter, lines: list[Line]) -> LetterWithHistory:
    """The answer's shape of a dead letter with its history."""
    return LetterWithHistory(**_parts(found), history=[audit_line(line) for line in lines])


def audit_line(line: Line) -> AuditLine:
    """The answer's shape of a line of the audit."""
    original = None if line.original is None else as_json(line.original)
    return AuditLine.model_validate({**msgspec.structs.asdict(line), "original": original})


def group_of(group: Group, example: DeadLetter | None) -> LetterGroup:
    """The answer's shape of a group."""
    return LetterGroup(
        **msgspec.structs.asdict(group.cause),
        count=group.count,
        first_at=group.first_at,
        last_at=group.last_at,
        error=example.error if example else "",
        hint=hint(group.cause.reason),
        example=letter_of(example) if example else None,
    )


def rehearsed(outcome: "Outcome") -> Rehearsed:
    """The answer's shape of a preview."""
    return Rehearsed(
        outcome="stored" if outcome.error is None else "dead",
        stage=outcome.stage,
        reason=outcome.reason,
        error=outcome.error,
        detail=outcome.detail,
        hint=hint(outcome.reason) if outcome.reason else None,
        event=_event(outcome.event) if outcome.event else None,
        line_protocol=outcome.line_protocol,
    )


def _event(event: Event) -> dict[str, Any]:
    fields = {name: getattr(event, name) for name in ("id", "type", "entity_id", "time", "source")}
    return {**fields, "home": event.home, "data": as_json(event.data.decode("utf-8", "replace"))}


def _parts(found: DeadLetter) -> dict[str, Any]:
    event: dict[str, Any] = dict(found.fields)
    if "data" in event:
        event["data"] = as_json(event["data"])
    return {
        **msgspec.structs.asdict(found),
        "detail": as_json(found.detail),
        "replays": found.replays,
        "expired": found.is_expired,
        "hint": hint(found.reason),
        "event": event,
    }
