import pytest

import admin.config
import enrich.config
import ingest.config
import store.config
from common.environment import NAMES, PREFIXES, known, unknown


def test_names_are_those_of_all_rooms():
    """The list by which each room knows the others' settings is complete, and holds no more."""
    rooms = (ingest.config, enrich.config, store.config, admin.config)
    read = {name.upper() for room in rooms for name in room.Settings.model_fields}
    assert set(NAMES) == read
    assert len(NAMES) == len(read)


def test_prefixes_cover_what_habus_uses():
    """A misspelt variable of any family is noticed."""
    families = "HA_ REDIS_ BUS_ INGEST_ ENRICH_ STORE_ INFLUXDB_ ADMIN_ LOG_ WORKER_"
    assert set(families.split()) <= set(PREFIXES)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("HA_TOKEN", "did you mean HA_ACCESS_TOKEN?"),
        ("HA_WEBSOCKET", "did you mean HA_WEBSOCKET_URL?"),
        ("HA_TOKEN_FILE", "did you mean HA_ACCESS_TOKEN_FILE?"),
        ("HA_URL", "did you mean HA_WEBSOCKET_URL?"),
        ("INFLUXDB_HOST", "did you mean INFLUXDB_URL?"),
        ("INFLUXDB_DATABASE", "did you mean INFLUXDB_BUCKET?"),
        ("ADMIN_PASSWORD", "did you mean ADMIN_TOKEN?"),
        ("ADMIN_BIND", "did you mean ADMIN_HOST?"),
        ("STORE_LINGER_S", "did you mean STORE_LINGER_MS?"),
        ("LOG_X1Z9Q", "see the README's table of settings"),
    ],
)
def test_unknown_names_are_answered(name, hint):
    """An unknown variable is answered with the one that was probably meant."""
    assert unknown(name) == f"{name} is no setting of habus; {hint}"


def test_a_file_for_a_setting_is_known():
    """NAME_FILE is as known as NAME."""
    assert known("INFLUXDB_TOKEN_FILE")
    assert not known("INFLUXDB_FILE")
