import re
from pathlib import Path

import pytest
import yaml

import admin.config
import common
import enrich.config
import ingest.config
import store.config
from common.environment import is_secret

HOUSE = Path(__file__).parents[3]
TEXT = (HOUSE / "compose.yaml").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
OVERRIDE = yaml.safe_load((HOUSE / "tests/containers/compose.override.yaml").read_text())
EXAMPLE = (HOUSE / ".env.example").read_text(encoding="utf-8")
DOCKERFILE = (HOUSE / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
LAST_STAGE = "FROM" + DOCKERFILE.rpartition("\nFROM")[2]

WORKERS = {
    "ingest": ingest.config.Settings,
    "enrich": enrich.config.Settings,
    "store": store.config.Settings,
    "admin": admin.config.Settings,
}
SETTINGS = {name.upper() for settings in WORKERS.values() for name in settings.model_fields}
FOR_COMPOSE_ALONE = {"HABUS_REDIS_MAXMEMORY", "PUID", "PGID"}
NOT_HANDED_ON = {
    "WORKER_NAME": "the host name, which is the stage",
    "ADMIN_HOST": "the image's; compose.yaml publishes there",
    "ADMIN_PORT": "the default; compose.yaml publishes there",
    "STORE_SQLITE_PATH": "the sink is InfluxDB",
}
THREE = {
    "HA_WEBSOCKET_URL": "http://192.168.1.10:8123",
    "HA_ACCESS_TOKEN": "a-token",
    "INFLUXDB_TOKEN": "a-secret-that-i-made-up",
}
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?:(:[-?])([^{}$]*))?\}")

SERVICE_KEYS = {
    "build": str, "cap_drop": list, "command": (str, list), "container_name": str,
    "depends_on": dict, "environment": dict, "healthcheck": dict, "hostname": str, "image": str,
    "logging": dict, "ports": list, "read_only": bool, "restart": str, "security_opt": list,
    "stop_grace_period": str, "tmpfs": list, "user": str, "volumes": list,
}  # fmt: skip
"""What the services may use: all of it is older than Compose 2.20."""


def told_in_example():
    """Name → value of each setting in .env.example, and whether it is commented out."""
    lines = re.findall(r"^(#?)([A-Z_]+)=(.*)$", EXAMPLE, flags=re.MULTILINE)
    return {name: (value, bool(mark)) for mark, name, value in lines}


def resolved(value, given):
    """Put variables in, as Compose does."""

    def put(match):
        name, how, rest = match.groups()
        found = given.get(name, "")
        assert found or how == ":-", f"{name}: {rest}"
        return found or rest

    return VARIABLE.sub(put, value)


def environment_of(service, given):
    return {key: resolved(text, given) for key, text in SERVICES[service]["environment"].items()}


def settings_of(worker, given, tmp_path):
    environ = environment_of(worker, given)
    return WORKERS[worker].from_environment(environ, tmp_path / "no.env")


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()
    return int(number) * {"s": 1, "m": 60}[unit]


def volumes_of(services):
    return [part.split(":") for service in services.values() for part in service.get("volumes", [])]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_uses_only_what_old_compose_knows(name):
    """Compose 2.20 knows every key and every value's kind; NAS makers ship no newer one."""
    service = SERVICES[name]
    for key, value in service.items():
        assert isinstance(value, SERVICE_KEYS[key]), (key, value)
    times = {"interval", "timeout", "start_period"}
    assert service["healthcheck"].keys() <= {"test", "retries", *times}
    assert all(
        seconds(service["healthcheck"][key]) for key in times & service["healthcheck"].keys()
    )
    for told in service.get("depends_on", {}).values():
        assert told == {"condition": "service_healthy"}
    for value in service.get("environment", {}).values():
        assert isinstance(value, str), "a number or a truth is read otherwise by other tools"
    for port in service.get("ports", []):
        assert isinstance(port, str)


def test_the_file_uses_only_what_old_compose_knows():
    """Nothing but services and volumes at the top, and no anchor is a service by mistake."""
    anchors = {key for key in COMPOSE if key.startswith("x-")}
    assert COMPOSE.keys() - anchors == {"name", "services", "volumes"}
    assert "!" not in re.sub(r"#.*|\"[^\"]*\"", "", TEXT), "a tag such as !override"


def test_variables_are_written_so_that_every_compose_reads_them():
    """Variables have braces, are not nested, and their messages hold plain words only."""
    outside = VARIABLE.sub("", TEXT)
    assert "$" not in outside
    for _, how, rest in VARIABLE.findall(TEXT):
        assert how != ":?" or re.fullmatch(r"[a-z. ]+", rest), rest


def test_every_variable_is_a_setting_or_explained():
    """What compose.yaml reads is a setting of habus, or named in .env.example; and all is named."""
    read = {name for name, _, _ in VARIABLE.findall(TEXT)} - {"COMPOSE_PROJECT_NAME"}
    assert read <= SETTINGS | FOR_COMPOSE_ALONE
    assert read == told_in_example().keys()


def test_three_values_are_asked_for():
    """Exactly what compose.yaml cannot do without stands uncommented in .env.example, and empty."""
    required = {name for name, how, _ in VARIABLE.findall(TEXT) if how == ":?"}
    asked = {name: value for name, (value, mark) in told_in_example().items() if not mark}
    assert asked == dict.fromkeys(THREE, "")
    assert required == set(THREE)


def test_a_missing_value_is_asked_for():
    """The check of this file's own interpolation: without its three values nothing starts."""
    with pytest.raises(AssertionError, match="INFLUXDB_TOKEN: set it in"):
        environment_of("store", {})


@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_is_handed_what_it_reads_and_no_more(worker):
    """Every setting of the room can be set in .env, and no worker sees another's secrets."""
    read = {name.upper() for name in WORKERS[worker].model_fields}
    assert SERVICES[worker]["environment"].keys() == read - NOT_HANDED_ON.keys()


@pytest.mark.parametrize("worker", WORKERS)
def test_three_values_are_enough(worker, tmp_path):
    """With .env.example and three values the settings are good, and nobody warns."""
    assert settings_of(worker, THREE, tmp_path).warnings == []


@pytest.mark.parametrize("worker", WORKERS)
def test_the_defaults_in_the_example_are_the_defaults(worker, tmp_path):
    """Whoever only removes the `#` of a line changes nothing."""
    commented = {name: value for name, (value, mark) in told_in_example().items() if mark}
    default = settings_of(worker, THREE, tmp_path).model_dump()
    assert settings_of(worker, THREE | commented, tmp_path).model_dump() == default
    for name, value in commented.items():
        for text in VARIABLE.findall(TEXT):
            assert text[0] != name or text[2] in {"", value}, f"{name} is {value} in .env.example"


@pytest.mark.parametrize("worker", WORKERS)
def test_each_setting_in_the_example_reaches_its_worker(worker):
    """A line of .env changes the setting of that name, and only that."""
    given = {name: f"'{name}'" for name in SETTINGS}
    fixed = {"REDIS_URL", "STORE_SINK", "INFLUXDB_URL", "INGEST_SPOOL_PATH", "ADMIN_TOKEN_PATH"}
    for name, value in environment_of(worker, given).items():
        assert value == given[name] or name in fixed, name


def test_workers_find_redis_and_influxdb(tmp_path):
    """The fixed addresses name services of this file."""
    settings = settings_of("store", THREE, tmp_path)
    assert settings.redis_url == "redis://redis:6379/0"
    assert settings.influxdb_url == "http://influxdb:8086"
    assert {"redis", "influxdb"} <= SERVICES.keys()


def test_influxdb_is_set_up_for_those_who_write_to_it():
    """Organisation, bucket and token made at the first start are those that store uses."""
    for given in (THREE, THREE | {"INFLUXDB_ORG": "o", "INFLUXDB_BUCKET": "b"}):
        made = environment_of("influxdb", given)
        used = environment_of("store", given)
        for key, setting in {"ADMIN_TOKEN": "TOKEN", "ORG": "ORG", "BUCKET": "BUCKET"}.items():
            assert made[f"DOCKER_INFLUXDB_INIT_{key}"] == used[f"INFLUXDB_{setting}"]
        assert made["DOCKER_INFLUXDB_INIT_MODE"] == "setup"
        assert made["DOCKER_INFLUXDB_INIT_USERNAME"]
        assert made["DOCKER_INFLUXDB_INIT_PASSWORD"] == given["INFLUXDB_TOKEN"]


@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_is_hardened(worker):
    """No worker is root, may gain rights, or may write outside /tmp and its volume."""
    service = SERVICES[worker]
    assert resolved(service["user"], {}) == "1000:1000"
    assert resolved(service["user"], {"PUID": "7", "PGID": "8"}) == "7:8"
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]  # noqa: S108 - the container's own
    assert service["cap_drop"] == ["ALL"]
    assert all(part.endswith(":/habus/data") for part in service.get("volumes", []))


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_comes_back_and_stays_small(name):
    """All services restart, gain no rights, have a healthcheck, and their logs have an end."""
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["healthcheck"]["test"]
    assert service["logging"]["driver"] == "json-file"
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    assert seconds(service["stop_grace_period"]) >= 30


@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_is_itself_again(worker):
    """Made anew, a worker has the same name, so that it finds its entries; and it has no twin."""
    service = SERVICES[worker]
    assert service["command"] == ["python", "-m", worker]
    assert service["healthcheck"]["test"] == ["CMD", "habus", "healthcheck", worker]
    assert service["hostname"] == worker
    assert resolved(service["container_name"], {}) == f"habus-{worker}"
    assert service["image"] == "habus:local"
    assert service["build"] == "."
    assert (HOUSE / worker / "__main__.py").exists()


def test_workers_wait_for_what_they_need():
    """Nobody starts before Redis is healthy, and store not before InfluxDB."""
    for worker in WORKERS:
        needed = {"redis", "influxdb"} if worker == "store" else {"redis"}
        assert SERVICES[worker]["depends_on"].keys() == needed


def test_only_admin_is_published_and_only_here():
    """No other port leaves the network; admin's is bound to this machine until .env says else."""
    published = {name: s["ports"] for name, s in SERVICES.items() if "ports" in s}
    assert published.keys() == {"admin"}
    (port,) = published["admin"]
    assert resolved(port, {}) == "127.0.0.1:8003:8003"
    assert resolved(port, {"ADMIN_HOST": "0.0.0.0", "ADMIN_PORT": "80"}) == "0.0.0.0:80:8003"  # noqa: S104
    # podman-compose puts a service's own environment into the rest of the service.
    assert not {"ADMIN_HOST", "ADMIN_PORT"} & SERVICES["admin"]["environment"].keys()


def test_redis_keeps_everything():
    """Redis writes each event to the disk at once, evicts none, and its memory has an end."""
    command = resolved(SERVICES["redis"]["command"], {})
    assert command.startswith("redis-server ")
    for option in ("appendonly yes", "appendfsync always", "maxmemory-policy noeviction"):
        assert f"--{option}" in command
    assert re.search(r"--maxmemory \d+mb", command)
    assert SERVICES["redis"]["volumes"] == ["redis:/data"]


def test_images_are_pinned():
    """No image moves to another major version by itself."""
    tags = {service["image"] for service in SERVICES.values()}
    assert {tag.partition(":")[0] for tag in tags} == {"habus", "redis", "influxdb"}
    for tag in tags - {"habus:local"}:
        assert re.fullmatch(r"[a-z]+:\d+(\.\d+)*", tag), tag
    assert re.fullmatch(r"influxdb:2\.\d+(\.\d+)?", SERVICES["influxdb"]["image"])


def test_every_volume_is_declared_and_used():
    """A volume that is named twice in different ways would be two, and one of them empty."""
    named = [source for source, *_ in volumes_of(SERVICES)]
    assert sorted(named) == sorted(COMPOSE["volumes"])
    assert all(re.fullmatch(r"[a-z-]+", name) for name in named), "a path on the host"


def test_what_the_override_names_exists():
    """`make containers` replaces a service that is there, and mounts what is there."""
    services = OVERRIDE["services"]
    assert services.keys() - SERVICES.keys() == {"simulator"}
    assert all((HOUSE / source).is_dir() for source, *_ in volumes_of(services))
    for service in services.values():
        module = service["command"][2].replace(".", "/")
        assert (HOUSE / f"{module}.py").exists() or (HOUSE / module / "__main__.py").exists()


def test_the_image_is_pinned_and_not_root():
    """Both stages begin with one pinned Python; the last has a user, and tells its health."""
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.MULTILINE)
    assert bases == ["python:3.13-slim"] * 2
    users = re.findall(r"^USER (\S+)", LAST_STAGE, flags=re.MULTILINE)
    assert users == ["1000:1000"]
    assert "\nHEALTHCHECK" in LAST_STAGE
    assert "habus healthcheck" in LAST_STAGE
    assert "latest" not in DOCKERFILE


def test_no_tool_that_builds_stands_in_the_image():
    """The last stage installs nothing: it copies what the first one made."""
    assert not re.search(r"\b(apt|apt-get|gcc|pip|venv|uv)\b", LAST_STAGE)
    assert "COPY --from=build" in LAST_STAGE
    assert LAST_STAGE.count("COPY") == 1


def test_the_image_says_what_it_is():
    """Its labels are those of the Open Container Initiative, its version that of the code."""
    labels = dict(re.findall(r"org\.opencontainers\.image\.(\w+)=\"([^\"]+)\"", LAST_STAGE))
    assert labels.keys() == {"title", "description", "version", "licenses"}
    assert labels["version"] == common.__version__


def test_the_image_gets_all_it_is_made_of():
    """Every room and every file that pyproject.toml needs is copied, and nothing else is sent."""
    sources = re.findall(r"^COPY (?!--from)(\S+) \S+$", DOCKERFILE, flags=re.MULTILINE)
    assert all((HOUSE / source).exists() for source in sources)
    ignored, *let_through = [
        line
        for line in (HOUSE / ".dockerignore").read_text().splitlines()
        if line and not line.startswith(("#", "**"))
    ]
    assert ignored == "*"
    assert sorted(let_through) == sorted(f"!{source.rstrip('/')}" for source in sources)
    project = (HOUSE / "pyproject.toml").read_text(encoding="utf-8")
    packages = re.search(r"^packages = \[(.*)\]$", project, flags=re.MULTILINE)[1]
    assert {f"{name}/" for name in re.findall(r'"(\w+)"', packages)} <= set(sources)
    readme = re.search(r'^readme = "(.*)"$', project, flags=re.MULTILINE)
    assert readme is None or readme[1] in sources


def test_secrets_are_asked_for_or_made():
    """No secret has a value in a file that everybody has."""
    secret = {
        name.upper()
        for settings in WORKERS.values()
        for name, field in settings.model_fields.items()
        if is_secret(field)
    }
    assert secret == {"HA_ACCESS_TOKEN", "INFLUXDB_TOKEN", "ADMIN_TOKEN", "ALERT_WEBHOOK_URL"}
    assert all(told_in_example()[name][0] == "" for name in secret)
    for name, _, default in VARIABLE.findall(TEXT):
        assert name not in secret or default in {"", "set it in .env"}
