"""Mutants of enrich, store and the sinks."""

from tests.mutants.mutant import Mutant

_INFLUX = "tests/integration/test_influx.py::"
_LINE = "tests/unit/common/sink/test_line.py::"
_ANSWERS = "tests/unit/common/sink/test_answers.py::"
_WORKER = "tests/unit/store/test_worker.py::"
_REFUSALS = "tests/unit/store/test_refusals.py::"

MUTANTS = (
    Mutant(
        "store acknowledges before it writes",
        "store/worker.py",
        "        refused = await write(points, sink, heartbeat, stop, portions)\n",
        """        await enriched.settle(batch, refusals, stop)
        refused = await write(points, sink, heartbeat, stop, portions)
""",
        (_WORKER + "test_nothing_is_settled_before_it_is_written",),
    ),
    Mutant(
        "an idle store does not look after its sink",
        "store/worker.py",
        "            await reach(sink, heartbeat, stop)\n            continue\n",
        "            continue\n",
        (_WORKER + "test_an_idle_store_looks_after_its_sink",),
    ),
    Mutant(
        "halving a refused batch drops the other half",
        "store/refusals.py",
        "parts += ((middle, end), (start, middle))",
        "parts += ((start, middle),)",
        (_REFUSALS + "test_exactly_the_bad_points_are_refused",),
    ),
    Mutant(
        "a refused batch is buried whole",
        "store/refusals.py",
        "        if end - start == 1:\n            refusals[start] = refusal\n",
        "        if end:\n            refusals |= dict.fromkeys(range(start, end), refusal)\n",
        (_REFUSALS + "test_exactly_the_bad_points_are_refused",),
    ),
    Mutant(
        "an outage of the sink starts the batch anew",
        "store/worker.py",
        "                await _waiting(some, heartbeat, stop)\n",
        "                await some()\n",
        (_WORKER + "test_an_outage_of_the_sink_is_waited_out_and_said",),
    ),
    Mutant(
        "points are blamed without a look whether the sink is well",
        "store/worker.py",
        "        await sink.prove(points)\n",
        "",
        (_WORKER + "test_while_the_sink_cannot_prove_itself_nothing_is_refused",),
    ),
    Mutant(
        "a healthy shard speaks for a broken one",
        "common/sink/influx.py",
        '        first = next(filter(None, points), b"")\n',
        '        first = b""\n',
        (
            _INFLUX + "test_a_proof_stands_beside_the_first_of_the_points",
            "tests/integration/test_store.py::test_a_shard_that_is_broken_alone_is_waited_out",
        ),
    ),
    Mutant(
        "a batch that takes too long is repeated whole",
        "store/worker.py",
        "        portions.shrink(len(points))\n",
        "",
        (_WORKER + "test_a_sink_too_slow_for_a_whole_batch_gets_it_in_portions",),
    ),
    Mutant(
        "an outage of the sink is a refusal of the points",
        "common/sink/answers.py",
        "_ABOUT_POINTS = (400, 422)",
        "_ABOUT_POINTS = (400, 422, 503)",
        (_ANSWERS + "test_everything_else_waits_and_says_what_to_change",),
    ),
    Mutant(
        "a wrong token buries events",
        "common/sink/answers.py",
        "_ABOUT_POINTS = (400, 422)",
        "_ABOUT_POINTS = (400, 401, 422)",
        (_ANSWERS + "test_everything_else_waits_and_says_what_to_change",),
    ),
    Mutant(
        "a proxy's page buries events",
        "common/sink/answers.py",
        "is_influxdbs = bool(error.error or (error.code and error.message))",
        "is_influxdbs = True",
        (_ANSWERS + "test_everything_else_waits_and_says_what_to_change",),
    ),
    Mutant(
        "200 counts as written",
        "common/sink/answers.py",
        "return self.status == WRITTEN and",
        "return self.status in {200, WRITTEN} and",
        (
            _INFLUX + "test_only_204_is_success",
            _ANSWERS + "test_204_without_a_body_alone_is_success",
        ),
    ),
    Mutant(
        "nobody hands on how long InfluxDB asks to wait",
        "common/sink/answers.py",
        "        retry_after_s(answer.retry_after, now),\n",
        "        None,\n",
        (_INFLUX + "test_a_pause_that_the_server_asks_for_is_handed_on",),
    ),
    Mutant(
        "nobody waits as long as InfluxDB asks",
        "common/lifecycle.py",
        "return max(next(self._delays), min(asked, LONGEST_WAIT_S))",
        "return next(self._delays)",
        ("tests/unit/common/test_lifecycle.py::test_waits_as_long_as_it_is_asked_to",),
    ),
    Mutant(
        "a slow drip is waited for as long as it drips",
        "common/sink/influx.py",
        "return await in_thread(lambda: self._answer(call), self._timeout_s)",
        "return await in_thread(lambda: self._answer(call), 3600.0)",
        (_INFLUX + "test_a_request_ends_at_its_deadline_however_it_goes_on",),
    ),
    Mutant(
        "the client library writes again by itself",
        "common/sink/influx.py",
        "timeout=timeout_s * 1000, retries=False)",
        'timeout=timeout_s * 1000, retries=__import__("urllib3").Retry(3, allowed_methods=None))',
        (_INFLUX + "test_no_stray_answer_counts_as_written_or_loses_its_status",),
    ),
    Mutant(
        "a line feed in a name begins a line",
        "common/sink/line.py",
        "text.translate(_VISIBLE))",
        "text)",
        (_LINE + "test_no_text_can_forge_anything",),
    ),
    Mutant(
        "how an event came is a tag",
        "common/sink/line.py",
        '"entity_id": entity_id,',
        '"entity_id": entity_id, "source": "live",',
        (_LINE + "test_a_number_is_a_value_and_no_state",),
    ),
    Mutant(
        "a number without a fraction is an integer",
        "common/sink/line.py",
        'fields += f",value={_number(known.value)}"',
        "fields += f\",value={_number(known.value).removesuffix('.0')}i\"",
        (_LINE + "test_a_number_is_a_value_and_no_state",),
    ),
    Mutant(
        "points are in milliseconds",
        "common/sink/line.py",
        'return f"{fields} {timestamp(event)}"',
        'return f"{fields} {timestamp(event) // 1000}"',
        (_LINE + "test_a_number_is_a_value_and_no_state",),
    ),
    Mutant(
        "what is infinite is a value",
        "enrich/steps/value.py",
        "    if isfinite(value):\n",
        "    if isfinite(value) or True:\n",
        ("tests/unit/enrich/steps/test_value.py::test_not_finite",),
    ),
    Mutant(
        "a step that raises ends the worker",
        "enrich/chain.py",
        "        except Exception as error:\n            raise _failed(step, error) from error\n",
        "        except ZeroDivisionError:\n            raise\n",
        ("tests/unit/enrich/test_chain.py::test_unforeseen_exception",),
    ),
    Mutant(
        "one bad event takes its batch along",
        "enrich/worker.py",
        "            except PoisonError as error:\n                outcome = error\n",
        "            except PoisonError as error:\n                return [error] * len(batch)\n",
        ("tests/unit/enrich/test_worker.py::test_one_bad_event_costs_nothing_but_itself",),
    ),
    Mutant(
        "the sink that is a file does not wait for the disk",
        "common/sink/sqlite.py",
        'db.execute("PRAGMA synchronous = FULL")',
        'db.execute("PRAGMA synchronous = OFF")',
        ("tests/integration/test_sqlite_sink.py::test_a_commit_waits_for_the_disk",),
    ),
    Mutant(
        "the sink that is a file keeps doubles",
        "common/sink/sqlite.py",
        '"INSERT OR REPLACE INTO events',
        '"INSERT OR IGNORE INTO events',
        ("tests/integration/test_sqlite_sink.py::test_the_same_event_stands_once",),
    ),
)
