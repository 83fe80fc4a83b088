"""The settings as they are shown."""

from admin.config import Settings
from admin.effective import CHOSEN, effective
from common.redaction import HIDDEN
from store.config import Settings as StoreSettings


def test_each_setting_says_its_value_and_where_it_came_from(tmp_path):
    """Name, value, origin, and who reads it; a secret and a password in a URL are masked."""
    (tmp_path / ".env").write_text("LOG_LEVEL=debug\n")
    (tmp_path / "token").write_text("a-secret-token-of-admin")
    admin = Settings.from_environment(
        {
            "ADMIN_TOKEN_FILE": str(tmp_path / "token"),
            "REDIS_URL": "redis://me:hunter2@redis:6379/0",
            "ADMIN_ALLOWED_HOSTS": "a.example,b.example",
        },
        tmp_path / ".env",
    )
    store = StoreSettings().model_copy(update={"store_batch_size": 7})
    found = {setting.name: setting for setting in effective({"admin": admin, "store": store})}
    assert list(found) == sorted(found)
    assert (found["ADMIN_TOKEN"].value, found["ADMIN_TOKEN"].origin) == (HIDDEN, "file")
    assert found["ADMIN_TOKEN"].is_secret
    assert found["INFLUXDB_TOKEN"].value == ""
    assert "hunter2" not in found["REDIS_URL"].value
    assert found["REDIS_URL"].origin == "environment"
    assert (found["LOG_LEVEL"].value, found["LOG_LEVEL"].origin) == ("debug", ".env")
    assert found["LOG_LEVEL"].read_by == ["admin", "store"]
    assert found["ADMIN_ALLOWED_HOSTS"].value == "a.example,b.example"
    assert (found["ADMIN_READ_ONLY"].value, found["ADMIN_READ_ONLY"].origin) == ("false", "default")
    assert found["ADMIN_READ_ONLY"].is_default
    assert (found["STORE_BATCH_SIZE"].value, found["STORE_BATCH_SIZE"].origin) == ("7", CHOSEN)
    assert found["STORE_BATCH_SIZE"].read_by == ["store"]
