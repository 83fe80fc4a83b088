from typing import Literal

import pytest
from pydantic import Field

import admin.config
import enrich.config
import ingest.config
import store.config
from common.config import Names, Settings
from common.environment import NAMES
from common.settings_table import settings_table

ROOMS = {
    "ingest": ingest.config.Settings,
    "enrich": enrich.config.Settings,
    "store": store.config.Settings,
    "admin": admin.config.Settings,
}


def row(name):
    found = [line for line in settings_table(ROOMS).splitlines() if line.startswith(f"| `{name}`")]
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("HA_ACCESS_TOKEN", ["`HA_ACCESS_TOKEN`, `HA_ACCESS_TOKEN_FILE`", "required", "ingest"]),
        ("HA_EVENT_TYPES", ["`state_changed`"]),
        ("HA_INCLUDE_DOMAINS", ["| – |"]),
        ("HA_CA_FILE", ["| – |"]),
        ("WORKER_NAME", ["host name", "| – | all |"]),
        ("INFLUXDB_TOKEN", ["`INFLUXDB_TOKEN_FILE`", "| – | store, admin |"]),
        ("REDIS_URL", ["`REDIS_URL_FILE`", "`redis://127.0.0.1:6379/0`", "| all |"]),
        ("INGEST_SPOOL_PATH", ["`data/spool.db`"]),
        ("STORE_BATCH_SIZE", ["`5000`", "| store |"]),
    ],
)
def test_a_row_says_name_default_and_readers(name, cells):
    """Each setting has one row, with its file, its default and the rooms that read it."""
    assert all(cell in row(name) for cell in cells), row(name)


def test_every_setting_is_there_and_explained():
    """No setting of any room is missing, and none is without a meaning."""
    rows = settings_table(ROOMS).splitlines()[2:]
    names = [line.split("`")[1] for line in rows]
    assert names == sorted(NAMES)
    assert all(len(line.split(" | ")[1]) > 5 for line in rows)


def test_a_pipe_does_not_break_the_table():
    """A description may hold what Markdown would take for a column, or a line break."""

    class Odd(Settings):
        odd_list: Names = Field(default=("a", "b"), description="one|two\n three")
        odd_word: Literal["x"] = "x"

    assert settings_table({"odd": Odd}).splitlines()[2:] == [
        r"| `ODD_LIST` | one\|two three | `a,b` | all |",
        "| `ODD_WORD` |  | `x` | all |",
    ]
