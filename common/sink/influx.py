"""The sink that is InfluxDB 1.8, 2.x or 3.x."""

import contextlib
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from urllib3 import exceptions as http

from common.errors import PointRejected, SinkUnavailable
from common.event import Event
from common.lean import hollow
from common.sink import line, line_ha
from common.sink.answers import WRITTEN, Answer, Target, error_of
from common.sink.deadline import POOLS, DeadlinePassed, in_thread
from common.sink.influxql import Schema, question, stored_events
from common.sink.promise import StoredEvent

# The models of InfluxDB's management API, which we never call: 5 MB.
with hollow("influxdb_client.domain", but=["write_precision"]):
    from influxdb_client.client.influxdb_client import InfluxDBClient
    from influxdb_client.domain.write_precision import WritePrecision
    from influxdb_client.rest import ApiException
    from influxdb_client.service.write_service import WriteService


class InfluxSink:
    """Keeps events in a bucket of InfluxDB; a point is a line of line protocol.

    Args:
        url: `http://host:8086`.
        token: API token; for InfluxDB 1.8 `user:password`; empty for none.
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
        org: str,
        bucket: str,
        schema: Schema = "clean",
        timeout_s: float = 10.0,
    ) -> None:
        self._target = Target(_without_password(url), org, bucket)
        self._token = token
        self._schema = schema
        self._timeout_s = timeout_s
        # influxdb-client has no types; its own retries are off, and it follows no redirect.
        self._client: Any = InfluxDBClient(url, token, timeout=timeout_s * 1000, retries=False)
        self._api: Any = self._client.api_client
        self._api.rest_client.pool_manager.pool_classes_by_scheme = POOLS
        self._writes: Any = WriteService(self._api)  # type: ignore[no-untyped-call]
        self._line = line_ha.line if schema == "ha" else line.line

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
        return self._line(event)

    async def write(self, points: Sequence[bytes]) -> None:
        """Store all points in one request; when this returns, every one of them stands.

        Raises:
            SinkUnavailable: When nothing can be said; write the same again later.
            PointRejected: When at least one of them is refused; of the others nothing is known.
        """
        body = b"\n".join(filter(None, points))
        if body:
            await self._post(body)

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
        if answer.status != WRITTEN:
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
        if answer.status == HTTPStatus.OK:
            return stored_events(self._schema, answer.body, limit, newest_first=newest_first)
        error = error_of(answer, self._target, datetime.now(UTC))
        raise error if isinstance(error, SinkUnavailable) else SinkUnavailable(str(error))

    def _write(self, body: bytes) -> Answer:
        _, status, _ = self._writes.post_write_with_http_info(
            self._target.org,
            self._target.bucket,
            body,
            precision=WritePrecision.US,
            _return_http_data_only=False,
            urlopen_kw={"redirect": False},
        )
        return Answer(status)

    def _get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Answer:
        response = self._api.request(
            "GET",
            self._api.configuration.host + path,
            query_params=query,
            headers=dict(self._api.default_headers),
            redirect=False,
        )
        version = response.getheader("X-Influxdb-Version")
        return Answer(response.status, response.data.encode(), version=version)

    async def _ask(self, call: Callable[[], Answer]) -> Answer:
        """Make a request in a thread of its own; past the deadline cut its connection."""
        try:
            return await in_thread(lambda: self._answer(call), self._timeout_s)
        except DeadlinePassed:
            raise SinkUnavailable(self._too_late()) from None

    def _answer(self, call: Callable[[], Answer]) -> Answer:
        """Call, and put what goes wrong in plain words without our token.

        What is raised has no cause: those of the libraries hold headers and thus the token.
        """
        url = self._target.url
        try:
            return call()
        except ApiException as error:
            if error.status:
                body = str(error.body or "").replace(self._token or "\0", "***")
                return Answer(error.status, body.encode(), error.retry_after)
            # Without a status it is urllib3's SSLError, by influxdb-client's own hand.
            said = f"TLS with InfluxDB at {url} failed: {_last_line(error.reason)}"
        except http.NameResolutionError:
            said = f"no host has the name in INFLUXDB_URL ({url}); check it, and the DNS"
        except http.NewConnectionError as error:
            said = f"nothing listens at {url} (INFLUXDB_URL): {_last_line(error)}"
        except http.TimeoutError:
            said = self._too_late()
        except UnicodeDecodeError:
            said = f"what answers at {url} is no InfluxDB; check INFLUXDB_URL"
        except (http.HTTPError, HTTPException, OSError) as error:
            said = f"InfluxDB at {url} broke the connection: {_last_line(error)}"
        except ValueError:
            said = "INFLUXDB_TOKEN holds a character that no HTTP header can carry; copy it anew"
        raise SinkUnavailable(said.replace(self._token or "\0", "***"))

    def _too_late(self) -> str:
        return f"InfluxDB at {self._target.url} did not answer within {self._timeout_s:g} s"


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _last_line(error: object) -> str:
    """What the innermost library says, without the names and addresses of its objects."""
    return re.sub(r"^.*(>: |\n)", "", str(error).strip(), flags=re.DOTALL)
