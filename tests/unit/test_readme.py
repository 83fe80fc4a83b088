import re
from importlib.util import find_spec

import pytest
import typer.main
import yaml
from typer.testing import CliRunner

from admin.cli.app import app as cli
from common.bus import Keys
from common.config import SinkSettings
from common.environment import known
from common.sink.line import line as line_of
from tests.fakes.enriched import other, state_change
from tests.fakes.line_protocol import parse_line
from tests.fakes.readme import README, ROOT, blocks, containers, inline, section, words_after
from tests.readme_settings import renewed

COMMANDS = typer.main.get_command(cli)


def test_the_table_of_settings_is_of_today():
    """It is what the settings classes say."""
    assert renewed(README) == README, "the table of settings is old: run `make settings`"


@pytest.mark.parametrize("line", sorted({" ".join(words) for words in words_after("habus")} - {""}))
def test_every_command_exists_and_takes_its_options(line):
    """A subcommand that the README names is there, with the arguments that it shows."""
    words = line.split()
    command, rest = COMMANDS, list(words)
    while hasattr(command, "commands"):
        assert rest[0] in command.commands, words
        command = command.commands[rest.pop(0)]
    subcommand = words[: len(words) - len(rest)]
    assert command.make_context("habus", rest)
    assert CliRunner().invoke(cli, [*subcommand, "--help"]).exit_code == 0


@pytest.mark.parametrize("name", ["streams", "tail", "events", "ledger", "doctor", "dead list"])
def test_every_listing_takes_json(name):
    """A program can read whatever a person can."""
    command = COMMANDS
    for word in name.split():
        command = command.commands[word]
    assert "--json" in [option for one in command.params for option in one.opts]


def test_every_room_has_the_files_that_it_should():
    """The rooms and modules that are named can be imported, and all have the same files."""
    rooms = [words[1] for words in words_after("python")]
    assert rooms == ["ingest", "enrich", "store", "admin"]
    files = [code for code in inline() if re.fullmatch(r"\w+\.py", code)]
    assert len(files) == 3
    for room in rooms:
        for file in files:
            assert find_spec(f"{room}.{file.removesuffix('.py')}"), (room, file)


def test_every_variable_is_known():
    """A variable is a setting, or of the containers, of an option of `habus`, or of `make`."""
    names = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", README))
    assert len(names) > 30
    files = (".env.example", "compose.yaml", "Makefile")
    elsewhere = "".join((ROOT / file).read_text() for file in files)
    options = {option.envvar for command in COMMANDS.commands.values() for option in command.params}
    for name in names:
        assert known(name) or name in options or re.search(rf"\b{name}\b", elsewhere), name


def test_every_key_of_redis_is_one_of_ours():
    """The keys that are named are those that the workers use."""
    keys = Keys()
    ours = {value for name in dir(keys) if isinstance(value := getattr(keys, name), str)}
    named = set(re.findall(r"\bha:[a-z]+\b", README))
    assert len(named) >= 5
    assert named <= ours


def test_every_container_is_one_of_the_stack():
    """The services into which the README sends the reader are in compose.yaml."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert {"admin", "redis"} <= containers() <= services.keys()


def temperature(value, **more):
    """A change of a thermometer in the kitchen."""
    event = state_change(state=value, device_class="temperature", area="Kitchen", **more)
    return parse_line(line_of(event).decode())


def test_the_point_looks_as_described():
    """The tags and fields of the table are those of the line that is written."""
    table = section("Your data in InfluxDB").partition("```")[0]
    tags = re.findall(r"`(\w+)`", re.search(r"\| tags \| ([^;]*);", table)[1])
    fields = re.findall(r"`(\w+)`", " ".join(re.findall(r"(?m)^\| fields? ([^|]*)\|", table)))
    full = {"unit": "°C", "device": "Aqara T1", "previous_duration_s": 61.4}
    number = temperature("21.4", **full)
    text = temperature("warm")
    event = parse_line(line_of(other()).decode())
    assert {tag for tag in tags if tag != "sensor"} == number.tags.keys()
    assert set(fields) == number.fields.keys() | text.fields.keys() | event.fields.keys()
    more = re.findall(r"`(\w+)`", re.search(r"\| tags \| .*unknown; ([^|]*)\|", table)[1])
    assert set(more) == {event.measurement} | event.tags.keys() - number.tags.keys()


def test_the_queries_name_what_there_is():
    """All three queries ask the measurement, the tag, the field and the bucket that we write."""
    [influxql, sql] = blocks("sql")
    [flux] = [text for text in blocks("") if "from(bucket" in text]
    bucket = SinkSettings.model_fields["influxdb_bucket"].default
    assert f'bucket: "{bucket}"' in flux
    written = temperature("21.4")
    assert (written.measurement, "value" in written.fields) == ("sensor", True)
    for query in (influxql, flux, sql):
        for name in ("sensor", "value", "device_class", "area"):
            assert re.search(rf"\b{name}\b", query), (name, query)
        assert "device_class" in written.tags
        assert "area" in written.tags
