"""The bus: the only place that knows it is Redis."""

from common.bus.audit import Audit, Deed, Line, Who
from common.bus.backfills import BackfillJob, Backfills
from common.bus.connection import Bus, connect
from common.bus.consumer import Consumer
from common.bus.dead_letter import DeadLetter, Filter
from common.bus.dead_letters import DeadLetters, Page, batches
from common.bus.delivery import Delivery
from common.bus.keys import ADMIN, ENRICH, INGEST, STAGES, STORE, Keys
from common.bus.letter_table import Group
from common.bus.raw import RawStream, Row, Tally
from common.bus.replays import Job, Replays
from common.bus.room import Room
from common.bus.stream import Entry, StreamInfo, Streams
from common.bus.trim import keep_trimmed

__all__ = [
    "ADMIN",
    "ENRICH",
    "INGEST",
    "STAGES",
    "STORE",
    "Audit",
    "BackfillJob",
    "Backfills",
    "Bus",
    "Consumer",
    "DeadLetter",
    "DeadLetters",
    "Deed",
    "Delivery",
    "Entry",
    "Filter",
    "Group",
    "Job",
    "Keys",
    "Line",
    "Page",
    "RawStream",
    "Replays",
    "Room",
    "Row",
    "StreamInfo",
    "Streams",
    "Tally",
    "Who",
    "batches",
    "connect",
    "keep_trimmed",
]
