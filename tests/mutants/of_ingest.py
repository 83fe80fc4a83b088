"""Mutants of ingest: the conversation, the event, the spool, the delivery."""

from tests.mutants.mutant import Mutant

_SPOOL = "tests/integration/test_spool.py::"
_DELIVER = "tests/integration/test_deliver.py::"
_PARSE = "tests/unit/ingest/test_parse.py::"
_PROTOCOL = "tests/unit/ingest/test_protocol.py::"

MUTANTS = (
    Mutant(
        "rows of the spool go before they stand in the stream",
        "ingest/rows.py",
        "limit = min(limit, sent, self.end.seq - 1)",
        "limit = min(limit, self.end.seq - 1)",
        (_SPOOL + "test_only_sent_rows_are_deleted",),
    ),
    Mutant(
        "a row counts as sent before Redis has it",
        "ingest/deliver.py",
        "                    await self._raw.append(rows, tally)\n",
        """                    self._sent = rows[-1].seq if rows else self._sent
                    await self._raw.append(rows, tally)
""",
        (_DELIVER + "test_nothing_counts_as_sent_before_redis_has_it",),
    ),
    Mutant(
        "after an outage the sender goes on where it believes to be",
        "ingest/deliver.py",
        "        return sent\n\n    async def _sent_until",
        "        return self._sent\n\n    async def _sent_until",
        ("tests/integration/test_workers.py::test_an_emptied_redis_is_filled_again",),
    ),
    Mutant(
        "what comes twice stands twice",
        "ingest/rows.py",
        "late_ones(keys, self.end.newest)",
        'late_ones(keys, "")',
        (_SPOOL + "test_what_comes_twice_stands_once",),
    ),
    Mutant(
        "what stands of a commit that failed is not known",
        "ingest/spool.py",
        "            adopted = self._adopt()\n",
        "            adopted = 0\n",
        (_SPOOL + "test_others_do_not_take_the_numbers_of_a_commit_that_stands_though_it_failed",),
    ),
    Mutant(
        "a fact is taken as it stands",
        "ingest/fact.py",
        "int(checksum)) if checksum == noted(name, value)[2]:",
        "_):",
        ("tests/integration/test_damaged_spool.py::test_a_fact_of_which_a_bit_flipped_is_damage",),
    ),
    Mutant(
        "what stands is looked for in the next batch only",
        "ingest/known.py",
        "            below = last\n",
        "            break\n",
        ("tests/integration/test_known.py::test_what_stands_is_known_and_nothing_else",),
    ),
    Mutant(
        "ids follow a clock that goes back",
        "ingest/rows.py",
        "ms = max(now_ms, self.end.ms)",
        "ms = now_ms",
        (_SPOOL + "test_a_clock_that_goes_back_does_not_take_ids_back",),
    ),
    Mutant(
        "an older snapshot is news",
        "ingest/rows.py",
        "return not latest or event.time > plain(latest[0][0], str)",
        "return True",
        (_SPOOL + "test_a_snapshot_brings_only_news",),
    ),
    Mutant(
        "the spool does not wait for the disk",
        "ingest/disk.py",
        "PRAGMA synchronous = FULL",
        "PRAGMA synchronous = OFF",
        (_SPOOL + "test_a_commit_waits_for_the_disk",),
    ),
    Mutant(
        "the spool waits for the disk at a checkpoint only",
        "ingest/disk.py",
        "PRAGMA synchronous = FULL",
        "PRAGMA synchronous = NORMAL",
        (_SPOOL + "test_a_commit_waits_for_the_disk",),
    ),
    Mutant(
        "a spool may be open twice",
        "ingest/disk.py",
        "        _lock(lock.fileno(), path)\n",
        "",
        (_SPOOL + "test_a_second_ingest_is_refused",),
    ),
    Mutant(
        "a stream is taken over with ids that are too small",
        "ingest/deliver.py",
        "        await self._spool.lift(sent, position)\n",
        "",
        (_DELIVER + "test_a_stream_of_a_spool_that_is_gone_is_taken_over",),
    ),
    Mutant(
        "a spool from a backup sends everything again",
        "ingest/deliver.py",
        "        while numbers:\n",
        "        while False:\n",
        (_DELIVER + "test_a_spool_from_a_backup_sends_nothing_twice_and_loses_nothing_new",),
    ),
    Mutant(
        "what the stream's position covers counts as sent",
        "ingest/deliver.py",
        "        if self._spool.rows.holds(*position):\n",
        "        if self._spool.rows.end.seq >= position[1]:\n",
        (_DELIVER + "test_an_entry_of_somebody_else_hides_nothing",),
    ),
    Mutant(
        "the heartbeat of another ingest is not heard",
        "ingest/deliver.py",
        "await read_pulses(self._bus, INGEST) if pulse.spool == owner]",
        "await read_pulses(self._bus, INGEST) if pulse is None]",
        (_DELIVER + "test_two_ingests_that_live_are_told",),
    ),
    Mutant(
        "a full queue drops frames",
        "ingest/frames.py",
        "            raise HomeAssistantUnavailable(message)\n",
        "            return\n",
        ("tests/unit/ingest/test_frames.py::test_a_full_queue_asks_to_hang_up",),
    ),
    Mutant(
        "one strange message breaks the frame it came in",
        "ingest/protocol.py",
        "                return list(self._readable_messages(frame))\n",
        "                return []\n",
        (_PROTOCOL + "test_a_message_of_an_unknown_shape_costs_nothing_but_itself",),
    ),
    Mutant(
        "a polite goodbye ends the stream of frames in order",
        "ingest/connection.py",
        """                if self._is_over:
                    return
                raise HomeAssistantUnavailable(_why_closed(error)) from error
            yield frame
""",
        "                return\n            yield frame\n",
        ("tests/integration/test_connection.py::test_a_polite_close_is_no_end_of_the_stream",),
    ),
    Mutant(
        "what is no event is dropped",
        "ingest/capture.py",
        "            heard.unreadable.append(self._buried(raw, error))\n",
        "            self._buried(raw, error)\n",
        ("tests/integration/test_workers.py::test_what_is_no_event_becomes_a_letter_of_ingest",),
    ),
    Mutant(
        "secrets go into the event",
        "ingest/parse.py",
        "data = without_secrets(raw, event_type)",
        "data = raw",
        (_PARSE + "test_secrets_are_gone_before_an_event_exists",),
    ),
    Mutant(
        "the id depends on how the event came",
        "ingest/parse.py",
        "event_id(home, event_type, entity_id, time), event_type",
        "event_id(home + source, event_type, entity_id, time), event_type",
        (
            _PARSE + "test_history_has_the_ids_of_the_live_events",
            _PARSE + "test_a_state_becomes_the_event_that_made_it",
        ),
    ),
    Mutant(
        "a state change is dated by when it was fired",
        "ingest/parse.py",
        "return _normal(new.last_updated) or _normal(header.time_fired)",
        "return _normal(header.time_fired)",
        (_PARSE + "test_a_state_change_is_dated_by_its_new_state",),
    ),
    Mutant(
        "history loses a microsecond",
        "ingest/parse.py",
        "format_time(datetime.fromtimestamp(seconds, UTC))",
        "format_time(datetime.fromtimestamp(int(seconds * 1e6) / 1e6, UTC))",
        (_PARSE + "test_a_time_is_rounded_as_home_assistant_rounds_it",),
    ),
    Mutant(
        "a refused token is tried again and again",
        "ingest/worker.py",
        "except HomeAssistantUnavailable as error:",
        "except Exception as error:",
        ("tests/unit/ingest/test_worker.py::test_a_refused_token_is_never_tried_again",),
    ),
)
