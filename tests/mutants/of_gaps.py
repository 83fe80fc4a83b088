"""Mutants of what is fetched later: gaps, history, the watermark."""

from tests.mutants.mutant import Mutant

_MISSING = "tests/integration/test_missing.py::"
_BACKFILL = "tests/integration/test_backfill.py::"
_GAP = "tests/unit/ingest/test_gap.py::"

MUTANTS = (
    Mutant(
        "what a damaged spool had not sent is not missed",
        "ingest/missing.py",
        "        is_held = self._spool.fact(HELD) == IN_DOUBT\n",
        "        is_held = False\n",
        (_BACKFILL + "test_what_a_damaged_spool_lost_is_fetched_or_told",),
    ),
    Mutant(
        "where Redis is complete moves on though the spool is damaged",
        "ingest/spool.py",
        "        self._facts[HELD] = IN_DOUBT\n",
        "",
        (_BACKFILL + "test_what_a_damaged_spool_lost_is_fetched_or_told",),
    ),
    Mutant(
        "what is missed within the very first backfill is nobody's gap",
        "ingest/missing.py",
        "replace(self.span, is_first=False, promised=promised)",
        "replace(self.span, promised=promised)",
        (_MISSING + "test_a_first_span_that_is_interrupted_is_first_no_more",),
    ),
    Mutant(
        "what was missed is not fetched",
        "ingest/backfill.py",
        "                await self._fill(span, subscribed, stop)\n",
        "                await self._missing.close((), heard)\n",
        (_BACKFILL + "test_what_happened_while_ingest_was_down_is_fetched_once",),
    ),
    Mutant(
        "the watermark moves on before the gap is filled",
        "ingest/spool.py",
        "return max(self.live_until, live_until) if held is None else held",
        "return max(self.live_until, live_until) if held != 0 else held",
        (_BACKFILL + "test_the_watermark_stands_still_until_the_gap_is_filled",),
    ),
    Mutant(
        "a gap that is being filled is forgotten by a restart",
        "ingest/missing.py",
        'self.span: Span | None = _span.decode(spool.fact(SPAN) or "null")',
        "self.span: Span | None = None",
        (_BACKFILL + "test_a_backfill_that_was_killed_goes_on",),
    ),
    Mutant(
        "what the recorder commits late is not asked for again",
        "ingest/backfill.py",
        "for number in range(SETTLINGS):",
        "for number in range(0):",
        (_BACKFILL + "test_what_is_committed_late_comes_with_the_second_pass",),
    ),
    Mutant(
        "a quiet home is not waited for",
        "ingest/backfill.py",
        "        return found.confirmed >= changed | self._vanished()\n",
        "        return True\n",
        (_BACKFILL + "test_a_quiet_home_that_commits_late_is_waited_for",),
    ),
    Mutant(
        "history is asked for significant changes only",
        "ingest/history.py",
        "significant_changes_only=False",
        "significant_changes_only=True",
        (
            "tests/unit/ingest/test_history.py::test_history_is_asked_for_every_row_and_for_no_row_twice",
        ),
    ),
    Mutant(
        "history is asked for the state at the start, too",
        "ingest/history.py",
        "include_start_time_state=False",
        "include_start_time_state=True",
        (
            "tests/unit/ingest/test_history.py::test_history_is_asked_for_every_row_and_for_no_row_twice",
        ),
    ),
    Mutant(
        "the bounds of a question are taken as inclusive",
        "ingest/gap.py",
        "return time_of(start - 1), time_of(end)",
        "return time_of(start), time_of(end)",
        (_GAP + "test_bounds_are_exclusive",),
    ),
    Mutant(
        "what was purged long ago is no gap where it is short",
        "ingest/gap.py",
        "is_old = max(end, now) - start > SHORTEST_RETENTION",
        "is_old = end - start > SHORTEST_RETENTION",
        (_GAP + "test_a_short_time_that_is_long_ago_may_be_purged",),
    ),
    Mutant(
        "a name that nobody bears is fetched without a word",
        "ingest/on_request.py",
        "names = {name.lower() for name in job.entities}.difference(known)",
        "names: set[str] = set()",
        (_BACKFILL + "test_what_cannot_be_had_on_request_is_said",),
    ),
    Mutant(
        "a history that fails leaves no gap",
        "ingest/fetch.py",
        "            span = span.without(*reply.failed)\n",
        "",
        (_BACKFILL + "test_a_history_that_fails_is_a_gap_in_the_end",),
    ),
    Mutant(
        "a gap that stays is not kept",
        "ingest/backfill.py",
        "kept = () if span.is_first else gaps",
        "kept = ()",
        (_BACKFILL + "test_an_entity_that_is_not_recorded_is_a_gap_of_its_own",),
    ),
    Mutant(
        "an entity that is not recorded is no gap",
        "ingest/fetch.py",
        "(late if has_row else lost).append(entity_id)",
        "late.append(entity_id)",
        (_BACKFILL + "test_an_entity_that_is_not_recorded_is_a_gap_of_its_own",),
    ),
    Mutant(
        "who was removed live is missed later",
        "ingest/missing.py",
        "            self.present -= gone\n",
        "",
        (_MISSING + "test_which_entities_there_are_outlives_a_kill",),
    ),
    Mutant(
        "who is removed live while a span is being filled is missed in it",
        "ingest/missing.py",
        "            self.before -= gone\n",
        "",
        (_MISSING + "test_within_a_batch_the_last_change_of_an_entity_counts",),
    ),
    Mutant(
        "what was spooled after the entities were kept is not looked at",
        "ingest/missing.py",
        "reversed(events if last > as_of else ())",
        "reversed(())",
        (
            _MISSING + "test_which_entities_there_are_outlives_a_kill",
            _BACKFILL + "test_what_came_after_the_connect_and_vanished_is_a_gap",
        ),
    ),
    Mutant(
        "what vanished is missed again and again",
        "ingest/missing.py",
        "if last > as_of else ()",
        "if last else ()",
        (_MISSING + "test_what_vanished_is_not_taken_from_the_spool_again",),
    ),
    Mutant(
        "an entity that vanished without a trace is no gap",
        "ingest/gap.py",
        "((NOT_RECORDED, unseen), (REMOVED, gone))",
        "((NOT_RECORDED, unseen), (REMOVED, ()))",
        (_GAP + "test_what_left_no_trace_stays_missing",),
    ),
)
