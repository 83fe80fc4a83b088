"""Mutants of the bus: groups, deliveries, scripts, dead letters, trimming."""

from tests.mutants.mutant import Mutant

_CONSUMER = "tests/integration/test_consumer.py::"
_LEFT_BEHIND = "tests/integration/test_left_behind.py::"
_RAW = "tests/integration/test_raw_stream.py::"
_LETTERS = "tests/integration/test_dead_letters.py::"
_TRIM = "tests/integration/test_trim.py::"
_BUS = "tests/integration/test_bus.py::"
_SCRIPTS = "common/bus/scripts/"

MUTANTS = (
    Mutant(
        "a full batch is followed by a pause",
        "common/bus/consumer.py",
        "came = len(batch)",
        "came = 1",
        (_CONSUMER + "test_a_full_batch_is_followed_at_once_by_the_next",),
    ),
    Mutant(
        "a batch is kept while the next is read",
        "common/bus/consumer.py",
        "            batch.clear()\n",
        "",
        (_CONSUMER + "test_a_batch_is_let_go_of_before_the_next_is_read",),
    ),
    Mutant(
        "what is sent again after a DEL is captured again",
        "common/bus/scripts/append.lua",
        "local captured = appended - repeated",
        "local captured = appended",
        ("tests/integration/test_ledger.py::test_what_ingest_sends_again_is_not_lost",),
    ),
    Mutant(
        "what ingest has yet to send again is told as lost",
        "common/bus/scripts/ledger.lua",
        "in_flight and not awaits then",
        "in_flight then",
        ("tests/integration/test_ledger.py::test_what_ingest_sends_again_is_not_lost",),
    ),
    Mutant(
        "a stream that stands aside counts as empty",
        "common/bus/scripts/ledger.lua",
        "    unread = -1  -- of a wrong type",
        "    -- of a wrong type",
        ("tests/integration/test_ledger.py::test_a_stream_that_stands_aside_is_not_lost",),
    ),
    Mutant(
        "the move acknowledges before it appends",
        _SCRIPTS + "move.lua",
        "  if holds(id) then\n    local reply\n",
        "  if holds(id) then\n    local reply\n    redis.call('XACK', source, group, id)\n",
        (_CONSUMER + "test_a_target_that_refuses_acknowledges_nothing",),
    ),
    Mutant(
        "MULTI instead of the script that moves",
        "common/bus/consumer.py",
        """        _, buried, strange = await self._bus.run(
            *("overfill" if overfill else "move", keys),
            *(self._group, self._name, first, last, len(pairs)),
            many=args,
        )
""",
        """        moves: list[tuple[Field, ...]] = []
        for held, outcome in pairs:
            dies = isinstance(outcome, PoisonError)
            flat = (
                letter(held.flat, outcome, self._burial(held, at)) if dies else fields_of(outcome)
            )
            moves.append(("XADD", self._bus.keys.dead if dies else target, "*", *flat))
        acknowledge = ("XACK", stream, self._group, *(held.entry_id for held, _ in pairs))
        buried, strange = sum(isinstance(outcome, PoisonError) for _, outcome in pairs), 0
        await self._bus.commands(
            *moves,
            acknowledge,
            ("HINCRBY", self._bus.keys.ledger, "enriched", len(pairs) - buried),
            ("HINCRBY", self._bus.keys.ledger, "dead", buried),
            ("HINCRBY", self._bus.keys.ledger, "buried", buried),
            atomic=True,
        )
""",
        (
            _CONSUMER + "test_a_target_that_refuses_acknowledges_nothing",
            _CONSUMER + "test_an_answer_lost_after_a_settlement_changes_nothing",
        ),
    ),
    Mutant(
        "raw is cut off at a length",
        _SCRIPTS + "append.lua",
        "redis.pcall('XADD', raw, id,",
        "redis.pcall('XADD', raw, 'MAXLEN', '~', 100000, id,",
        ("tests/unit/common/bus/test_script.py::test_no_stream_of_events_is_cut_off_at_a_length",),
    ),
    Mutant(
        "enriched is cut off at a length",
        _SCRIPTS + "move.lua",
        "redis.pcall('XADD', next_stream, '*',",
        "redis.pcall('XADD', next_stream, 'MAXLEN', '~', 100000, '*',",
        ("tests/unit/common/bus/test_script.py::test_no_stream_of_events_is_cut_off_at_a_length",),
    ),
    Mutant(
        "a group begins at the newest entry",
        _SCRIPTS + "make_group.lua",
        "ARGV[1], '0', 'MKSTREAM')",
        "ARGV[1], '$', 'MKSTREAM')",
        (_CONSUMER + "test_groups_begin_at_the_first_entry",),
    ),
    Mutant(
        "suspects are claimed all at once",
        "common/bus/left_behind.py",
        """            for entry_id, count in counts.items():
                if stop.is_set():
                    return
                if count > 1 and (batch := await take([entry_id], count)):
                    yield batch
""",
        """            suspects = [entry_id for entry_id, count in counts.items() if count > 1]
            if suspects and (batch := await take(suspects, max(counts.values()))):
                yield batch
""",
        (
            _LEFT_BEHIND + "test_what_a_dead_process_held_comes_one_at_a_time",
            _LEFT_BEHIND + "test_several_killers_in_one_batch_condemn_no_innocent",
        ),
    ),
    Mutant(
        "suspects count as innocent",
        "common/bus/left_behind.py",
        "counts = {entry_id: times + died for entry_id, times in rows}",
        "counts = {entry_id: 1 for entry_id, times in rows}",
        (_LEFT_BEHIND + "test_an_entry_that_kills_is_buried_and_no_other",),
    ),
    Mutant(
        "redis-py sends commands again by itself",
        "common/bus/connection.py",
        "retry=Retry(NoBackoff(), 0),",
        "retry=Retry(NoBackoff(), 3),",
        (_BUS + "test_a_command_is_sent_once",),
    ),
    Mutant(
        "the move does not ask whose the entry is",
        _SCRIPTS + "move.lua",
        "  if holds(id) then\n",
        "  if holds(id) or true then\n",
        (
            _CONSUMER + "test_an_entry_that_another_took_is_left_alone",
            _CONSUMER + "test_a_zombie_buries_nothing_that_another_holds",
        ),
    ),
    Mutant(
        "acknowledging counts nothing",
        _SCRIPTS + "acknowledge.lua",
        "redis.call('HINCRBY', KEYS[2], ARGV[2], acknowledged)",
        "redis.call('HINCRBY', KEYS[2], ARGV[2], 0)",
        (_CONSUMER + "test_settling_acknowledges_the_stored_and_buries_the_refused",),
    ),
    Mutant(
        "acknowledging counts what was no longer pending",
        _SCRIPTS + "acknowledge.lua",
        "if acknowledged > 0 then redis.call('HINCRBY', KEYS[2], ARGV[2], acknowledged) end",
        "redis.call('HINCRBY', KEYS[2], ARGV[2], #ARGV - 2)",
        (_CONSUMER + "test_an_answer_lost_after_a_settlement_changes_nothing",),
    ),
    Mutant(
        "acknowledging is refused by a full Redis",
        _SCRIPTS + "acknowledge.lua",
        "#!lua flags=allow-oom",
        "#!lua",
        (_BUS + "test_a_full_redis_drains",),
    ),
    Mutant(
        "burying is refused by a full Redis",
        "common/bus/script.py",
        'return f"#!lua flags=allow-oom\\n{text}"',
        'return f"#!lua\\n{text}"',
        (_BUS + "test_a_full_redis_drains",),
    ),
    Mutant(
        "a full Redis ends the worker",
        "common/bus/connection.py",
        """OutOfMemoryError | redis_errors.ReadOnlyError) or any(
            word in text for word in _WAITS
        ):""",
        """ReadOnlyError) or any(
            word in text for word in _WAITS if word != "OOM"
        ):""",
        (_BUS + "test_a_stop_while_redis_is_full_is_in_order",),
    ),
    Mutant(
        "no death is ever enough",
        "common/bus/consumer.py",
        "if batch and batch[0].deaths >= self._max_deaths:",
        "if batch and batch[0].deaths < 0:",
        (_LEFT_BEHIND + "test_an_entry_that_kills_is_buried_and_no_other",),
    ),
    Mutant(
        "nobody hears that nothing comes",
        "common/bus/consumer.py",
        "elif time.monotonic() >= idle_at:",
        "elif False:",
        (_CONSUMER + "test_an_empty_batch_says_that_nothing_came",),
    ),
    Mutant(
        "a lost answer counts as a death",
        "common/bus/consumer.py",
        "async for batch in self._of_mine(stop, died=False):",
        "async for batch in self._of_mine(stop, died=True):",
        (_LEFT_BEHIND + "test_entries_of_an_answer_that_was_lost_come_back_innocent",),
    ),
    Mutant(
        "a stop counts as a death",
        "common/bus/consumer.py",
        "await self._left_behind.give_back(stream, ids, deaths)",
        "await self._left_behind.give_back(stream, ids, deaths + 1)",
        (
            _CONSUMER + "test_a_stop_gives_the_batch_back",
            _CONSUMER + "test_a_stop_keeps_the_deaths_counted_before",
        ),
    ),
    Mutant(
        "entries of a worker that is gone stay with it",
        "common/bus/left_behind.py",
        'if not await self._bus.command("EXISTS", self._bus.keys.worker(self._group, consumer))',
        "if not consumer",
        (_LEFT_BEHIND + "test_entries_of_a_worker_that_is_gone_are_taken_over",),
    ),
    Mutant(
        "entries are taken from a worker that lives",
        "common/bus/left_behind.py",
        'if not await self._bus.command("EXISTS", self._bus.keys.worker(self._group, consumer))',
        "if consumer",
        (_LEFT_BEHIND + "test_entries_of_a_worker_that_is_alive_are_left_to_it",),
    ),
    Mutant(
        "entries that were deleted unsettled are acknowledged without a word",
        "common/bus/left_behind.py",
        'self._group, "lost", *ghosts)',
        'self._group, "stored", *ghosts)',
        (_LEFT_BEHIND + "test_pending_entries_that_were_deleted_are_counted_as_lost",),
    ),
    Mutant(
        "trimming does not look at the groups",
        _SCRIPTS + "trim.lua",
        "  if below(needed, limit) then limit = needed end\n",
        "",
        (_TRIM + "test_no_entry_that_a_group_needs_is_ever_trimmed",),
    ),
    Mutant(
        "trimming looks at what was read, not at what was acknowledged",
        _SCRIPTS + "trim.lua",
        "if pending[1] > 0 and below(pending[2], needed) then",
        "if pending[1] < 0 then",
        (_TRIM + "test_no_entry_that_a_group_needs_is_ever_trimmed",),
    ),
    Mutant(
        "a replay leaves the letter where it is",
        _SCRIPTS + "replay.lua",
        "redis.call('XDEL', KEYS[1], ARGV[1])\n",
        "",
        (_LETTERS + "test_eight_people_replay_each_letter_once",),
    ),
    Mutant(
        "a replay deletes the letter before it is appended",
        _SCRIPTS + "replay.lua",
        "local id = redis.call('XADD',",
        "redis.call('XDEL', KEYS[1], ARGV[1])\nlocal id = redis.call('XADD',",
        (_LETTERS + "test_a_replay_that_cannot_be_appended_keeps_the_letter",),
    ),
    Mutant(
        "a purge is not counted",
        _SCRIPTS + "purge.lua",
        "redis.call('HINCRBY', KEYS[2], 'purged', purged)",
        "redis.call('HINCRBY', KEYS[2], 'purged', 0)",
        (_LETTERS + "test_a_purge_deletes_and_counts",),
    ),
    Mutant(
        "a letter does not carry the entry's own fields",
        "common/bus/letter.py",
        "return [*without_burial(flat), *causes]",
        "return [*causes]",
        (
            "tests/unit/common/bus/test_letter.py::test_a_letter_is_the_entry_and_beside_it_the_cause",
        ),
    ),
    Mutant(
        "what was appended is appended again after a lost answer",
        _SCRIPTS + "append.lua",
        "  is_new = is_new or above(id, position)\n",
        "  is_new = true\n",
        (_RAW + "test_the_same_rows_are_appended_once",),
    ),
    Mutant(
        "entry ids are made by Redis",
        _SCRIPTS + "append.lua",
        "redis.pcall('XADD', raw, id,",
        "redis.pcall('XADD', raw, '*',",
        (_RAW + "test_rows_get_the_entry_ids_of_the_spool",),
    ),
    Mutant(
        "nobody notices that Redis lost its tail",
        _SCRIPTS + "append.lua",
        "if ARGV[2] ~= '' and ARGV[2] ~= position then",
        "if false then",
        (_RAW + "test_a_stream_that_lost_its_tail_is_found_out",),
    ),
    Mutant(
        "an entry of somebody else hides ours",
        _SCRIPTS + "append.lua",
        "if ARGV[2] ~= '' and ARGV[2] ~= position then",
        "if ARGV[2] ~= '' and above(ARGV[2], position) then",
        ("tests/integration/test_deliver.py::test_an_entry_of_somebody_else_hides_nothing",),
    ),
    Mutant(
        "two spools may write one stream",
        _SCRIPTS + "append.lua",
        "if owner ~= ARGV[1] then",
        "if false then",
        (_RAW + "test_one_spool_writes_a_stream",),
    ),
    Mutant(
        "what a rule leaves out is counted each time it is told",
        _SCRIPTS + "append.lua",
        "math.max(0, total - told)",
        "total",
        (_RAW + "test_counts_are_totals_so_that_repeating_them_is_harmless",),
    ),
    Mutant(
        "the ledger forgets what is in a worker's hands",
        _SCRIPTS + "ledger.lua",
        "pending = group['pending']",
        "pending = 0",
        ("tests/integration/test_ledger.py::test_what_is_in_a_workers_hands_is_in_flight",),
    ),
)
