"""What ingest's own settings refuse, and in which words."""

import subprocess
from pathlib import Path

import pytest

from common.errors import InvalidSetting
from ingest.config import Settings
from tests.fakes.servers import require

NOWHERE = Path("/nowhere/.env")
ENTITY_ID = "entity id (a pattern belongs into the …_ENTITY_GLOBS beside it)"
TOKEN = "a-token-of-home-assistant"


def read(**environ):
    """The settings of an environment."""
    return Settings.from_environment({"HA_ACCESS_TOKEN": TOKEN} | environ, NOWHERE)


def refused(**environ):
    """The lines with which an environment is refused."""
    with pytest.raises(InvalidSetting) as caught:
        read(**environ)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


@pytest.mark.parametrize("side", ["INCLUDE", "EXCLUDE"])
@pytest.mark.parametrize(
    ("kind", "name", "what"),
    [
        ("DOMAINS", "sensor.a", "domain"),
        ("DOMAINS", "küche", "domain"),
        ("ENTITIES", "sensor", ENTITY_ID),
        ("ENTITIES", "a.b.c", ENTITY_ID),
        ("ENTITIES", "sensor.*", ENTITY_ID),
        ("ENTITY_GLOBS", "sensor", "pattern that an entity id could match"),
        ("ENTITY_GLOBS", "sensor.[a", "pattern that an entity id could match"),
        ("ENTITY_GLOBS", "a.b.*", "pattern that an entity id could match"),
        ("ENTITY_GLOBS", "küche.*", "pattern that an entity id could match"),
    ],
)
def test_a_name_that_can_match_nothing_is_refused(side, kind, name, what):
    """A slip of the pen is told at the start, with its setting, instead of capturing nothing."""
    [line] = refused(**{f"HA_{side}_{kind}": name})
    assert line.startswith(f"HA_{side}_{kind}: {name!r} names what is no {what}: {name!r}; write")


def test_every_wrong_name_of_every_list_is_told_at_once():
    """Nobody has to start six times to find six slips, and what is right is not blamed."""
    lines = refused(
        HA_EXCLUDE_DOMAINS="Sen.sor, light, a b",
        HA_INCLUDE_ENTITIES="sensor",
        HA_EXCLUDE_ENTITY_GLOBS="d",
        HA_BACKFILL_HOURS="-1",
    )
    assert lines == [
        "HA_BACKFILL_HOURS: '-1' is too small; write 0 or more",
        (
            "HA_INCLUDE_ENTITIES: 'sensor' names what is no entity id (a pattern belongs into the "
            "…_ENTITY_GLOBS beside it): 'sensor'; "
            "write for example HA_INCLUDE_ENTITIES=sensor.kitchen_temperature"
        ),
        (
            "HA_EXCLUDE_DOMAINS: 'Sen.sor, light, a b' names what is no domain: 'sen.sor', 'a b'; "
            "write for example HA_EXCLUDE_DOMAINS=automation,update"
        ),
        (
            "HA_EXCLUDE_ENTITY_GLOBS: 'd' names what is no pattern that an entity id could match: "
            "'d'; write for example HA_EXCLUDE_ENTITY_GLOBS=sensor.*_rssi"
        ),
    ]


def test_names_are_taken_as_people_write_them():
    """Capitals, blanks and doubles mean nothing: entity ids are lower-case."""
    settings = read(
        HA_INCLUDE_DOMAINS=" Sensor, sensor",
        HA_EXCLUDE_ENTITIES="Light.Desk ",
        HA_INCLUDE_ENTITY_GLOBS="SWITCH.*,*,sensor.[!A-B]?",
    )
    assert settings.ha_include_domains == ("sensor",)
    assert settings.ha_exclude_entities == ("light.desk",)
    assert settings.ha_include_entity_globs == ("switch.*", "*", "sensor.[!a-b]?")


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_file_of_authorities_that_cannot_be_used_is_refused(tmp_path, content):
    """HA_CA_FILE that is not there, or holds no certificate, is told before anything is opened."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    [line] = refused(HA_CA_FILE=str(file))
    assert line.startswith(f"HA_CA_FILE: '{str(file)[:79]}")
    assert "cannot be used as certificates in PEM format (" in line


def test_a_file_of_authorities_is_a_path(tmp_path):
    """A good one is taken as it is, and none is fine, too."""
    file, key = tmp_path / "ca.pem", tmp_path / "key.pem"
    new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=home"
    subprocess.run(
        [require("openssl"), *new.split(), "-keyout", key, "-out", file],
        check=True,
        capture_output=True,
    )
    assert read(HA_CA_FILE=str(file)).ha_ca_file == file
    assert read().ha_ca_file is None
