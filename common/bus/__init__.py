"""The bus: the only place that knows it is Redis."""

from common.bus.connection import Bus, connect
from common.bus.consumer import Consumer
from common.bus.dead_letters import DeadLetter, DeadLetters, Filter
from common.bus.delivery import Delivery
from common.bus.keys import ADMIN, ENRICH, INGEST, STAGES, STORE, Keys
from common.bus.raw import RawStream, Row, Tally
from common.bus.stream import Entry, StreamInfo, Streams
from common.bus.trim import keep_trimmed

__all__ = [
    "ADMIN",
    "ENRICH",
    "INGEST",
    "STAGES",
    "STORE",
    "Bus",
    "Consumer",
    "DeadLetter",
    "DeadLetters",
    "Delivery",
    "Entry",
    "Filter",
    "Keys",
    "RawStream",
    "Row",
    "StreamInfo",
    "Streams",
    "Tally",
    "connect",
    "keep_trimmed",
]
