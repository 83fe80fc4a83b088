"""The private Redis of the tests does what the tests rely on."""

import pytest

from tests.fakes.redis_server import RedisServer

pytestmark = pytest.mark.integration


def test_answers_while_it_runs_and_not_after(tmp_path):
    """A started server answers PONG, a stopped one nothing."""
    with RedisServer(tmp_path) as server:
        assert server.ask("PING") == "+PONG"
    assert server.ask("PING") == ""


def test_keeps_data_over_a_kill_with_appendonly(tmp_path):
    """With the options of production, what was acknowledged survives SIGKILL."""
    with RedisServer(tmp_path, appendonly="yes", appendfsync="always") as server:
        assert server.ask("SET", "a", "ä") == "+OK"
        server.kill()
        server.start()
        assert server.ask("STRLEN", "a") == ":2"


def test_hangs_while_paused(tmp_path):
    """A paused server answers nothing until it is resumed."""
    with RedisServer(tmp_path) as server:
        server.pause()
        assert server.ask("PING", timeout_s=0.05) == ""
        server.resume()
        assert server.ask("PING") == "+PONG"


def test_takes_options(tmp_path):
    """Options reach the server, and a wrong one fails with the server's own words."""
    with RedisServer(tmp_path, maxmemory="1", maxmemory_policy="noeviction") as server:
        assert server.ask("SET", "a", "b").startswith("-OOM")
    with pytest.raises(AssertionError, match="no-such-option"):
        RedisServer(tmp_path, no_such_option="1").start()


def test_redis_url_is_empty(redis_server, redis_url):
    """What an earlier test left is gone."""
    assert redis_url == redis_server.url
    assert redis_server.ask("DBSIZE") == ":0"
    assert redis_server.ask("SET", "left", "over") == "+OK"


def test_redis_url_is_empty_again(redis_server, redis_url):
    """What the test before left is gone."""
    assert redis_url
    assert redis_server.ask("DBSIZE") == ":0"
