import os
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field
from redis.asyncio import ConnectionPool

import admin.config
import ingest.config
import store.config
from common.config import REDIS_OPTIONS, Settings, WorkerSettings
from common.errors import InvalidSetting
from ingest.config import websocket_url

TOKEN = {"HA_ACCESS_TOKEN": "a-token-of-home-assistant"}


@pytest.fixture
def env_file(tmp_path):
    """Path of a `.env` that is not there yet."""
    return tmp_path / ".env"


def refusal(settings, environ, env_file=Path("/nowhere/.env")):
    with pytest.raises(InvalidSetting) as caught:
        settings.from_environment(environ, env_file)
    first, *lines = str(caught.value).splitlines()
    assert first == "habus cannot start with these settings:"
    return [line.strip() for line in lines]


def read(settings, environ, env_file=Path("/nowhere/.env")):
    return settings.from_environment(environ, env_file)


def test_defaults_need_only_the_token():
    """Out of the box one variable is enough, and every default is valid."""
    settings = read(ingest.config.Settings, TOKEN)
    assert settings.ha_websocket_url == "ws://homeassistant.local:8123/api/websocket"
    assert settings.ha_access_token.get_secret_value() == TOKEN["HA_ACCESS_TOKEN"]
    assert settings.ha_event_types == ("state_changed",)
    assert settings.redis_url == "redis://127.0.0.1:6379/0"
    assert settings.bus_prefix == "ha"
    assert settings.worker_name
    assert read(store.config.Settings, {}).store_batch_size == 5000
    assert read(admin.config.Settings, {}).admin_port == 8003


def test_reads_the_environment_and_dotenv_of_the_folder(tmp_path, monkeypatch):
    """Without arguments the process's environment and the folder's `.env` are read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BUS_PREFIX", "home2")
    Path(".env").write_text("BUS_MAX_DELIVERIES=7\n")
    settings = WorkerSettings.from_environment()
    assert (settings.bus_prefix, settings.bus_max_deliveries) == ("home2", 7)


def test_nothing_else_reads_the_environment(monkeypatch):
    """Settings made by hand, as in tests, do not depend on the machine."""
    monkeypatch.setitem(os.environ, "BUS_PREFIX", "home2")
    assert WorkerSettings(bus_max_deliveries=4).bus_prefix == "ha"
    assert WorkerSettings(bus_max_deliveries=4).origins()["BUS_MAX_DELIVERIES"] == "default"
    assert WorkerSettings().warnings == []


def test_environment_comes_before_dotenv(env_file):
    """What the environment says wins; `.env` fills in; `export` and quotes are understood."""
    env_file.write_text("export BUS_PREFIX='a'\nLOG_LEVEL=debug # why\nBUS_RETENTION_HOURS=\n")
    settings = read(WorkerSettings, {"BUS_PREFIX": " b "}, env_file)
    assert (settings.bus_prefix, settings.log_level) == ("b", "debug")
    assert settings.bus_retention_hours == 24
    origins = settings.origins()
    assert origins["BUS_PREFIX"] == "environment"
    assert origins["LOG_LEVEL"] == ".env"
    assert origins["BUS_RETENTION_HOURS"] == "default"


def test_dotenv_is_taken_literally(env_file):
    """A token with a dollar sign stays as it is."""
    env_file.write_text("INFLUXDB_TOKEN=a${HOME}b$c\n")
    settings = read(store.config.Settings, {}, env_file)
    assert settings.influxdb_token.get_secret_value() == "a${HOME}b$c"


def test_empty_counts_as_not_set():
    """Compose hands on unset variables as empty ones; they must not change anything."""
    assert (
        read(store.config.Settings, {"STORE_SINK": "", "LOG_LEVEL": " "}).store_sink == "influxdb"
    )


def test_a_secret_from_a_file(tmp_path, env_file):
    """NAME_FILE is read and stripped, whether the environment or `.env` names it."""
    (tmp_path / "token").write_text("  from-a-file\n")
    named = {"HA_ACCESS_TOKEN_FILE": str(tmp_path / "token")}
    env_file.write_text(f"REDIS_URL_FILE={tmp_path / 'url'}\n")
    (tmp_path / "url").write_text("redis://:pass%20word@h/0\n")
    settings = read(ingest.config.Settings, named, env_file)
    assert settings.ha_access_token.get_secret_value() == "from-a-file"
    assert settings.redis_url == "redis://:pass%20word@h/0"
    assert settings.origins()["HA_ACCESS_TOKEN"] == "file"
    assert settings.origins()["REDIS_URL"] == "file"
    assert settings.file_of("HA_ACCESS_TOKEN") == tmp_path / "token"
    assert settings.file_of("LOG_LEVEL") is None
    assert ingest.config.Settings(ha_access_token="x").file_of("HA_ACCESS_TOKEN") is None
    assert settings.secrets() == {"from-a-file", "pass%20word", "pass word"}


def test_both_at_once_is_an_error(env_file):
    """NAME and NAME_FILE contradict each other, wherever they stand."""
    env_file.write_text("HA_ACCESS_TOKEN=a\n")
    lines = refusal(ingest.config.Settings, {"HA_ACCESS_TOKEN_FILE": "/x"}, env_file)
    assert lines == ["HA_ACCESS_TOKEN and HA_ACCESS_TOKEN_FILE are both set; keep one of them"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot read {path}: No such file or directory"),
        (b"\xff\xfe", "cannot read {path}: it is not UTF-8"),
        (b" \n", "{path} is empty; write the secret into it"),
    ],
)
def test_an_unusable_file_is_named(tmp_path, content, problem):
    """The message names the variable and the file, and says nothing else about that setting."""
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    lines = refusal(ingest.config.Settings, {"HA_ACCESS_TOKEN_FILE": str(path)})
    assert lines == [f"HA_ACCESS_TOKEN_FILE: {problem.format(path=path)}"]


def test_an_unreadable_dotenv_is_named(env_file):
    """A `.env` that is no text, or no file, stops the start instead of being skipped."""
    env_file.write_bytes(b"\xff\xfe=1")
    assert refusal(WorkerSettings, {}, env_file) == [f"{env_file}: cannot be read: it is not UTF-8"]
    env_file.unlink()
    env_file.mkdir()
    assert refusal(WorkerSettings, {}, env_file) == [f"{env_file}: cannot be read: Is a directory"]


def test_a_line_of_dotenv_that_says_nothing_is_named(env_file):
    """A quote that nobody closed must not end as a default."""
    env_file.write_text("# fine\nBUS_PREFIX=a\nFOO BAR\nSTORE_SINK='sqlite\n")
    assert refusal(store.config.Settings, {}, env_file) == [
        f"{env_file}: line {line} cannot be read; write NAME=value, and close every quote"
        for line in (3, 4)
    ]


def test_only_secrets_come_from_files(tmp_path):
    """A file for an ordinary setting is not read."""
    (tmp_path / "sink").write_text("sqlite")
    settings = read(store.config.Settings, {"STORE_SINK_FILE": str(tmp_path / "sink")})
    assert settings.store_sink == "influxdb"


def test_all_errors_at_once():
    """One start shows every mistake: a line each, with what to write, and unknown names."""
    lines = refusal(
        ingest.config.Settings,
        {
            "HA_WEBSOCKET_URL": "homeassistant.local:8123",
            "HA_EVENT_TYPES": " , ",
            "BUS_PREFIX": "a b",
            "BUS_MAX_DELIVERIES": "0",
            "BUS_RETENTION_HOURS": "-1",
            "LOG_LEVEL": "loud",
            "INGEST_QUEUE_MB": "1.5",
            "INGEST_SPOOL_RETENTION_HOURS": "nan",
            "HA_EXCLUDE_DOMAIN": "update",
        },
    )
    assert lines == [
        (
            "BUS_PREFIX: 'a b' may hold letters, digits, '-', '_' and '.' only; "
            "write for example BUS_PREFIX=ha"
        ),
        "BUS_MAX_DELIVERIES: '0' is too small; write 2 or more",
        "BUS_RETENTION_HOURS: '-1' is too small; write 0 or more",
        (
            "LOG_LEVEL: 'loud' is unknown; write one of "
            "'debug', 'info', 'warning', 'error' or 'critical'"
        ),
        (
            "HA_WEBSOCKET_URL: 'homeassistant.local:8123' is no address: it starts with http://, "
            "https://, ws:// or wss://; write for example "
            "HA_WEBSOCKET_URL=http://homeassistant.local:8123"
        ),
        "HA_ACCESS_TOKEN: is not set; write for example HA_ACCESS_TOKEN=a-long-lived-access-token",
        "HA_EVENT_TYPES: is empty; write for example HA_EVENT_TYPES=state_changed,call_service",
        (
            "INGEST_SPOOL_RETENTION_HOURS: 'nan' is no number; "
            "write for example INGEST_SPOOL_RETENTION_HOURS=6"
        ),
        "INGEST_QUEUE_MB: '1.5' is no whole number; write for example INGEST_QUEUE_MB=64",
        "HA_EXCLUDE_DOMAIN is no setting of habus; did you mean HA_EXCLUDE_DOMAINS?",
    ]


@pytest.mark.parametrize(
    ("settings", "environ", "line"),
    [
        (
            store.config.Settings,
            {"STORE_BATCH_SIZE": "50001"},
            "STORE_BATCH_SIZE: '50001' is too large; write 50000 or less",
        ),
        (
            store.config.Settings,
            {"INFLUXDB_TIMEOUT_S": "0"},
            "INFLUXDB_TIMEOUT_S: '0' is too small; write more than 0",
        ),
        (
            store.config.Settings,
            {"STORE_LINGER_MS": "soon"},
            "STORE_LINGER_MS: 'soon' is no number; write for example STORE_LINGER_MS=10",
        ),
        (
            store.config.Settings,
            {"INFLUXDB_URL": "influxdb:8086"},
            (
                "INFLUXDB_URL: 'influxdb:8086' is no address: it starts with http:// or https://; "
                "write for example INFLUXDB_URL=http://127.0.0.1:8086"
            ),
        ),
        (
            store.config.Settings,
            {"INFLUXDB_URL": "http://h:99999"},
            (
                "INFLUXDB_URL: 'http://h:99999' is no address; "
                "write for example INFLUXDB_URL=http://127.0.0.1:8086"
            ),
        ),
        (
            store.config.Settings,
            {"REDIS_URL": "redis://u:s3cr3t@h:x"},
            (
                "REDIS_URL: 'redis://***@h:x' is no address of a Redis: in a password / is written "
                "%2F, ? %3F and # %23; "
                "write for example REDIS_URL=redis://127.0.0.1:6379/0"
            ),
        ),
        (
            admin.config.Settings,
            {"ADMIN_TOKEN": "short"},
            (
                "ADMIN_TOKEN: the value is too short: at least 16 characters are hard to guess; "
                "write for example ADMIN_TOKEN=leave-it-out-and-habus-makes-one"
            ),
        ),
        (
            admin.config.Settings,
            {"ADMIN_ALLOWED_HOSTS": "habus.example.org,https://b.example.org"},
            (
                "ADMIN_ALLOWED_HOSTS: 'habus.example.org,https://b.example.org' names what is no "
                "host name (it has neither scheme nor port): 'https://b.example.org'; "
                "write for example ADMIN_ALLOWED_HOSTS=habus.example.org"
            ),
        ),
        (
            admin.config.Settings,
            {"ADMIN_CORS_ORIGINS": "panel.example.org"},
            (
                "ADMIN_CORS_ORIGINS: 'panel.example.org' names what is no origin: "
                "'panel.example.org'; "
                "write for example ADMIN_CORS_ORIGINS=https://panel.example.org"
            ),
        ),
        (
            store.config.Settings,
            {"INFLUXDB_URL": "http://h:8086/?token=s3cr3t"},
            (
                "INFLUXDB_URL: 'http://h:8086/?token=***' is more than an address: neither ? nor # "
                "belongs there; write for example INFLUXDB_URL=http://127.0.0.1:8086"
            ),
        ),
        (
            admin.config.Settings,
            {"ADMIN_PORT": "http"},
            "ADMIN_PORT: 'http' is no whole number; write for example ADMIN_PORT=8003",
        ),
    ],
)
def test_one_wrong_value(settings, environ, line):
    """Each kind of mistake has words of its own, and shows no secret."""
    assert refusal(settings, environ) == [line]


def test_other_mistakes_have_words_too():
    """A kind of mistake that nobody thought of is still said plainly."""

    class Odd(Settings):
        odd_flag: bool = Field(default=False, examples=["true"])
        odd_pair: int = Field(default=2, lt=10, multiple_of=2)

    assert refusal(Odd, {"ODD_FLAG": "perhaps", "ODD_PAIR": "10"}) == [
        "ODD_FLAG: 'perhaps' cannot be used; write for example ODD_FLAG=true",
        "ODD_PAIR: '10' is too large; write less than 10",
    ]


def test_unknown_names_are_said_at_start(env_file):
    """A name that is meant for habus but unknown is a warning; others are none of our business."""
    env_file.write_text("STORE_LINGER=5\n")
    environ = {"BUS_PREFFIX": "x", "PATH": "/bin", "HA_CA_FILE": "/a", "INGEST_QUEUE_MB": "1"}
    assert read(store.config.Settings, environ, env_file).warnings == [
        "BUS_PREFFIX is no setting of habus; did you mean BUS_PREFIX?",
        "STORE_LINGER is no setting of habus; did you mean STORE_LINGER_MS?",
    ]


def test_a_shape_that_only_influxdb_has_is_not_ignored():
    """STORE_SCHEMA=ha would do nothing with the sink that is a file, and is refused with it."""
    (line,) = refusal(store.config.Settings, {"STORE_SCHEMA": "ha", "STORE_SINK": "sqlite"})
    assert line.startswith("STORE_SCHEMA: 'ha' is a shape for InfluxDB, and STORE_SINK is sqlite")
    assert "STORE_SINK=influxdb" in line
    assert read(store.config.Settings, {"STORE_SCHEMA": "HA"}).store_schema == "ha"
    assert read(store.config.Settings, {"STORE_SCHEMA": "clean", "STORE_SINK": "sqlite"})


def test_choices_and_lists_are_forgiving():
    """Upper case in a choice, blanks and doubles in a list do no harm."""
    settings = read(
        ingest.config.Settings,
        TOKEN | {"LOG_FORMAT": "JSON", "HA_INCLUDE_DOMAINS": "light, sensor,,light "},
    )
    assert settings.log_format == "json"
    assert settings.ha_include_domains == ("light", "sensor")
    assert ingest.config.Settings(ha_access_token="t", ha_event_types=("a",)).ha_event_types


@pytest.mark.parametrize(
    "url",
    [
        "rediss://h",
        "redis://h/",
        "redis://[::1]:6379/2",
        "redis://:pass%2Fword@h?db=3",
        "unix:///run/redis.sock",
        "unix://user:password@/run/redis.sock?db=1",
        "rediss://h/1?ssl_ca_certs=/ca.pem&ssl_cert_reqs=required&ssl_check_hostname=false",
    ],
)
def test_addresses_of_redis(url):
    """TLS, sockets and IPv6 are addresses of a Redis."""
    assert WorkerSettings(redis_url=url).redis_url == url


@pytest.mark.parametrize(
    "url",
    [
        *("http://h", "redis://", "unix://", "redis://h:port", ""),
        *("redis://h/zero", "redis://h/0/1", "redis://:pass/word@h/0"),
    ],
)
def test_no_addresses_of_redis(url):
    """What is no address of a Redis is refused before anything is opened."""
    with pytest.raises(ValueError, match="no address of a Redis"):
        WorkerSettings(redis_url=url)


@pytest.mark.parametrize(
    "query",
    [
        *("foo=1", "db", "db=one", "decode_responses=1", "socket_timeout=1", "password=x"),
        *("ssl_cert_reqs=none", "ssl_ca_certs=/ca.pem"),
    ],
)
def test_options_that_the_bus_could_not_have_are_refused(query):
    """Nothing after the `?` reaches redis-py but what is meant to; the rest is named."""
    name = query.partition("=")[0]
    with pytest.raises(ValueError, match=rf"has '{name}' after its \?; db, ssl_ca_certs, .* known"):
        WorkerSettings(redis_url=f"redis://h?{query}")


@given(
    st.sampled_from(["redis://h", "rediss://h", "unix:///s"]),
    st.sampled_from(["", "/", "/0", "/x", "/1/2"]),
    st.lists(
        st.tuples(
            st.sampled_from([*REDIS_OPTIONS, "timeout"]),
            st.sampled_from(["", "0", "x", "none", "true", "False", "/a b"]),
        ),
        max_size=3,
    ),
)
def test_every_address_that_is_accepted_opens_a_connection(host, path, options):
    """Settings know beforehand what redis-py can do with: it never complains of an address."""
    try:
        url = WorkerSettings(redis_url=f"{host}{path}?{urlencode(options)}").redis_url
    except ValueError:
        assert options or path in {"/x", "/1/2"}
        return
    pool = ConnectionPool.from_url(url)
    pool.connection_class(**pool.connection_kwargs)


@pytest.mark.parametrize("token", ["half-a-\ntoken", "tok\u2026en", "pass\u00fcord-of-16-letters"])
@pytest.mark.parametrize(
    ("room", "name"),
    [
        (ingest.config.Settings, "HA_ACCESS_TOKEN"),
        (store.config.Settings, "INFLUXDB_TOKEN"),
        (admin.config.Settings, "ADMIN_TOKEN"),
    ],
)
def test_a_mangled_token_is_not_used_and_not_shown(room, name, token):
    """A token that no header can carry is asked for anew, in each room that has one."""
    [line] = refusal(room, {name: token})
    assert line.startswith(f"{name}: the value holds a character that no token has: copy it anew")
    assert token not in line


def test_a_password_that_breaks_its_address_is_not_shown():
    """A / in a password ends the host for whoever reads the URL; the message hides it whole."""
    [line] = refusal(WorkerSettings, {"REDIS_URL": "redis://:s3c/r3t@h:6379/0"})
    assert line.startswith("REDIS_URL: 'redis://***@h:6379/0' is no address of a Redis: in a pass")
    [line] = refusal(WorkerSettings, {"REDIS_URL": "unix:///s?password=s3cr3t"})
    assert line.startswith("REDIS_URL: 'unix:///s?password=***' has 'password' after its ?;")


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("http://homeassistant.local:8123", "ws://homeassistant.local:8123/api/websocket"),
        ("https://my.home/", "wss://my.home/api/websocket"),
        ("ws://10.0.0.2:8123", "ws://10.0.0.2:8123/api/websocket"),
        ("wss://my.home/api/websocket", "wss://my.home/api/websocket"),
        ("http://10.0.0.2:8123/api/websocket/", "ws://10.0.0.2:8123/api/websocket"),
        ("ws://supervisor/core/websocket", "ws://supervisor/core/websocket"),
        ("http://[fd00::1]:8123", "ws://[fd00::1]:8123/api/websocket"),
    ],
)
def test_the_address_of_home_assistant_is_completed(address, url):
    """What a person copies from the browser is enough."""
    assert websocket_url(address) == url


@pytest.mark.parametrize(
    "address",
    [
        "homeassistant.local",
        "homeassistant.local:8123",
        "ftp://host",
        "http://",
        "http://host:port",
        "http://host:99999",
        "http://host:8123/lovelace/0",
        "http://host/api/websocket?a=1",
        "http://host/#x",
        "http://user:pass@host",
        "http://my home:8123",
        "http://[::1",
    ],
)
def test_nonsense_is_no_address_of_home_assistant(address):
    """Anything else is refused with an example."""
    line = refusal(ingest.config.Settings, TOKEN | {"HA_WEBSOCKET_URL": address})
    assert len(line) == 1
    assert line[0].endswith("write for example HA_WEBSOCKET_URL=http://homeassistant.local:8123")
    assert "pass@" not in line[0]


@given(st.text())
def test_any_text_is_an_address_or_a_plain_refusal(address):
    """Nothing that a person may type raises anything else than a refusal."""
    try:
        said = websocket_url(address)
    except ValueError as error:
        said = str(error)
    assert said.startswith(("ws://", "wss://", "is ", "holds "))


def test_secrets_do_not_show():
    """Neither the text nor the representation of settings shows a secret."""
    settings = read(ingest.config.Settings, TOKEN)
    assert TOKEN["HA_ACCESS_TOKEN"] not in f"{settings} {settings!r}"


def test_settings_do_not_change():
    """Settings are read once."""
    with pytest.raises(ValueError, match="frozen"):
        WorkerSettings().bus_prefix = "other"
