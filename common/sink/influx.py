"""The sink that is InfluxDB 1.8, 2.x or 3.x."""

import contextlib
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec
from urllib3 import Timeout
from urllib3 import exceptions as http

from common.errors import PointRejected, SinkTooSlow, SinkUnavailable
from common.event import GAP, Event
from common.lean import hollow
from common.logs import hide, logger
from common.sink import line, line_gap, line_ha
from common.sink.answers import Answer, Target, error_of
from common.sink.deadline import POOLS, DeadlinePassed, in_thread
from common.sink.influxql import Schema, question, stored_events
from common.sink.promise import StoredEvent

# The models of InfluxDB's management API, which we never call: 5 MB.
with hollow("influxdb_client.domain", but=["write_precision"]):
    from influxdb_client.client.influxdb_client import InfluxDBClient

CANARY: Final = b"habus_canary written=true"
"""A point of our own: whoever keeps it can write."""

MOST_OF_A_REFUSAL: Final = 1024 * 1024
"""Bytes that are read of an answer to a write; a refusal repeats every bad line."""

MOST_OF_AN_ANSWER: Final = 64 * 1024 * 1024
"""Bytes that are read of an answer to a question."""

_NEW_TOKEN_HELPS: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

log = logger(__name__)


class InfluxSink:
    """Keeps events in a bucket of InfluxDB; a point is a line of line protocol.

    Args:
        url: `http://host:8086`.
        token: API token; for InfluxDB 1.8 `user:password`; empty for none.
        token_file: Where the token came from; read again when the token is refused.
        org: Organisation; only InfluxDB 2.x asks for it.
        bucket: Bucket; for InfluxDB 1.8 `database` or `database/retention_policy`.
        schema: `clean`, or `ha` for the lines that Home Assistant itself would write. In `ha` an
            event without a point, such as `unavailable`, is written as nothing.
        timeout_s: Seconds after which a request is given up, however it goes on.
    """

    def __init__(  # noqa: PLR0913 - one for each setting
        self,
        url: str,
        *,
        token: str,
        token_file: Path | None = None,
        org: str,
        bucket: str,
        schema: Schema = "clean",
        timeout_s: float = 10.0,
    ) -> None:
        self._target = Target(_without_password(url), org, bucket)
        self._token = token
        self._token_file = token_file
        self._schema = schema
        self._timeout_s = timeout_s
        # Of influxdb-client, which has no types, we use its connections, and not its requests:
        # it reads an answer whole however long, and of one that is no UTF-8 loses the status.
        self._client: Any = InfluxDBClient(url, token, timeout=timeout_s * 1000, retries=False)
        self._api: Any = self._client.api_client
        self._pool: Any = self._api.rest_client.pool_manager
        self._pool.pool_classes_by_scheme = POOLS
        self._line = line_ha.line if schema == "ha" else line.line
        self._gap_line = line_ha.line if schema == "ha" else line_gap.line

    async def check(self) -> str:
        """Return one line about the InfluxDB; an empty write proves token, organisation, bucket.

        Raises:
            SinkUnavailable: The message says what to change.
        """
        pong = await self._ask(lambda: self._get("/ping"))
        # InfluxDB 1 and 3 may answer 400 to a write of nothing, but only after the same checks.
        with contextlib.suppress(PointRejected):
            await self._post(b"")
        version = (pong.version or "of unknown version").removeprefix("v")
        where = f"bucket {self._target.bucket!r} of organisation {self._target.org!r}"
        return f"InfluxDB {version} at {self._target.url}, {where}"

    def point(self, event: Event) -> bytes:
        """Turn an enriched event into one line.

        Raises:
            PointRejected: When no line can be made of it.
            MalformedEvent: When its data is no enriched event.
        """
        return self._line(event) if event.type != GAP else self._gap_line(event)

    async def write(self, points: Sequence[bytes]) -> None:
        """Store all points in one request; when this returns, every one of them stands.

        Raises:
            SinkUnavailable: When nothing can be said; write the same again later.
            PointRejected: When at least one of them is refused; of the others nothing is known.
        """
        body = b"\n".join(filter(None, points))
        if body:
            await self._post(body)

    async def prove(self, points: Sequence[bytes]) -> None:
        """Write one point of our own, `CANARY`, at the time of the first of these.

        InfluxDB keeps each day or week in a shard of its own, and one may be broken alone.

        Raises:
            SinkUnavailable: When it does not stand; then the fault is not that of other points.
        """
        first = next(filter(None, points), b"")
        try:
            await self._post(b"%s %s" % (CANARY, _time_in(first)))
        except PointRejected as error:
            if error.reason != "outside_retention":  # it looks at points, and finds it too old
                raise SinkUnavailable(str(error)) from None

    async def events(
        self, start: datetime, end: datetime, entity_id: str | None = None, limit: int = 100
    ) -> list[StoredEvent]:
        """The newest `limit` events with start ≤ time < end, newest first.

        Raises:
            SinkUnavailable: When InfluxDB does not answer.
        """
        return await self._query(start, end, entity_id, limit, newest_first=True)

    async def history(
        self, entity_id: str, start: datetime, end: datetime, limit: int = 1000
    ) -> list[StoredEvent]:
        """The first `limit` events of one entity with start ≤ time < end, oldest first.

        Raises:
            SinkUnavailable: When InfluxDB does not answer.
        """
        return await self._query(start, end, entity_id, limit, newest_first=False)

    async def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    async def _post(self, body: bytes) -> None:
        answer = await self._ask(lambda: self._write(body))
        if not answer.is_written:
            raise error_of(answer, self._target, datetime.now(UTC))

    async def _query(
        self,
        start: datetime,
        end: datetime,
        entity_id: str | None,
        limit: int,
        *,
        newest_first: bool,
    ) -> list[StoredEvent]:
        database, _, policy = self._target.bucket.partition("/")
        query = [("db", database), *([("rp", policy)] if policy else [])]
        ask = question(self._schema, start, end, entity_id, limit, newest_first=newest_first)
        answer = await self._ask(lambda: self._get("/query", [*query, ("q", ask)]))
        if answer.status != HTTPStatus.OK:
            raise self._transient(answer)
        try:
            return stored_events(self._schema, answer.body, limit, newest_first=newest_first)
        except SinkUnavailable as error:
            raise SinkUnavailable(self._hidden(str(error))) from None

    def _transient(self, answer: Answer) -> SinkUnavailable:
        error = error_of(answer, self._target, datetime.now(UTC))
        return error if isinstance(error, SinkUnavailable) else SinkUnavailable(str(error))

    def _write(self, body: bytes) -> Answer:
        query = {"org": self._target.org, "bucket": self._target.bucket, "precision": "us"}
        return self._request("POST", "/api/v2/write", list(query.items()), MOST_OF_A_REFUSAL, body)

    def _get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Answer:
        return self._request("GET", path, query, MOST_OF_AN_ANSWER)

    def _request(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        most: int,
        body: bytes | None = None,
    ) -> Answer:
        headers = {"Content-Type": "text/plain; charset=utf-8", **self._api.default_headers}
        if self._token:
            headers["Authorization"] = f"Token {self._token}"
        response = self._pool.request(
            method,
            f"{self._api.configuration.host}{path}?{urlencode(query)}",
            body=body,
            headers=headers,
            timeout=Timeout(total=self._timeout_s),
            redirect=False,
            preload_content=False,
        )
        try:
            read = response.read(most, decode_content=True)
        finally:
            if not response.closed:  # there is more than we want
                response.close()
        return Answer(
            response.status,
            read,
            response.headers.get("Retry-After"),
            response.headers.get("X-Influxdb-Version"),
            response.headers.get("Content-Length"),
        )

    async def _ask(self, call: Callable[[], Answer]) -> Answer:
        """Make a request in a thread of its own; past the deadline cut its connection."""
        try:
            return await in_thread(lambda: self._answer(call), self._timeout_s)
        except DeadlinePassed:
            raise SinkTooSlow(self._too_late()) from None

    def _answer(self, call: Callable[[], Answer]) -> Answer:
        """Call, and put what goes wrong in plain words without our token.

        What is raised has no cause: those of the libraries hold headers and thus the token.
        """
        url = self._target.url
        try:
            answer = call()
            if answer.status in _NEW_TOKEN_HELPS:
                self._read_token_again()
            # What was stored may hold the same text, and must come back as it is.
            return answer if answer.status == HTTPStatus.OK else self._without_token(answer)
        except http.SSLError as error:
            said = f"TLS with InfluxDB at {url} failed: {_last_line(error)}"
        except http.NameResolutionError:
            said = f"no host has the name in INFLUXDB_URL ({url}); check it, and the DNS"
        except http.NewConnectionError as error:
            said = f"nothing listens at {url} (INFLUXDB_URL): {_last_line(error)}"
        except http.TimeoutError:
            raise SinkTooSlow(self._too_late()) from None
        except (http.HTTPError, HTTPException, OSError) as error:
            said = f"InfluxDB at {url} broke the connection: {_last_line(error)}"
        except ValueError:
            said = "INFLUXDB_TOKEN holds a character that no HTTP header can carry; copy it anew"
        raise SinkUnavailable(self._hidden(said))

    def _hidden(self, said: str) -> str:
        return said.replace(self._token or "\0", "***")

    def _without_token(self, answer: Answer) -> Answer:
        token = self._token.encode(errors="replace")
        if not token or token not in answer.body:
            return answer
        return msgspec.structs.replace(answer, body=answer.body.replace(token, b"***"))

    def _read_token_again(self) -> None:
        """Take the token that now stands in its file: somebody may have changed it there."""
        if self._token_file is None:
            return
        try:
            token = self._token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):  # it is being written; the next refusal reads again
            return
        if token and token != self._token:
            hide(token)
            self._token = token
            log.info("Took the new token", file=str(self._token_file))

    def _too_late(self) -> str:
        within = f"within {self._timeout_s:g} s (INFLUXDB_TIMEOUT_S)"
        return f"InfluxDB at {self._target.url} did not answer {within}"


def _time_in(point: bytes) -> bytes:
    """The time of a line, in digits; nothing where it has none, which means now."""
    time_us = point.rpartition(b" ")[2]
    return time_us if time_us.removeprefix(b"-").isdigit() else b""


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _last_line(error: object) -> str:
    """What the innermost library says, without the names and addresses of its objects."""
    return re.sub(r"^.*([>)]: |\n)", "", str(error).strip(), flags=re.DOTALL)
