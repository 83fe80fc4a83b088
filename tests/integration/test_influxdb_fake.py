"""The fake InfluxDB as a process, as faults and benchmarks use it."""

import gzip
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
WRITE = "/api/v2/write?org=home&bucket=home_assistant&precision=us"


@pytest.fixture
def start():
    running = []

    def run(*options):
        command = [sys.executable, "-m", "tests.fakes.influxdb", *map(str, options)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        running.append(process)
        return process.stdout.readline().strip()

    yield run
    for process in running:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def send(url, body=b"", **headers):
    request = Request(url, body, {"Authorization": "Token token", **headers}, method="POST")  # noqa: S310 - our own server
    try:
        with urlopen(request, timeout=10) as reply:  # noqa: S310 - our own server
            return reply.status
    except HTTPError as error:
        with error:
            return error.code


def counts(url):
    with urlopen(f"{url}/fake/counts", timeout=10) as reply:  # noqa: S310 - our own server
        return json.load(reply)


def test_each_write_of_each_point_is_counted_in_a_file(start, tmp_path):
    """Doubles can be seen from outside, over HTTP and in the file."""
    url = start("--file", tmp_path / "points.db")
    body = b"m,a=b value=1 1\nm,a=b value=2 2"
    assert send(url + WRITE, body) == 204
    assert send(url + WRITE, gzip.compress(body[:15]), **{"Content-Encoding": "gzip"}) == 204
    found = counts(url)
    assert (found["points"], found["writes"], found["doubles"]) == (2, 3, 1)
    db = sqlite3.connect(tmp_path / "points.db")
    rows = db.execute("SELECT series, time, fields, writes FROM points").fetchall()
    db.close()
    assert rows == [("m,a=b", 1000, '{"value":1.0}', 2), ("m,a=b", 2000, '{"value":2.0}', 1)]


def test_it_can_be_told_over_http_to_misbehave(start):
    """Another process orders a fault, and ends it."""
    url = start()
    assert send(url + "/fake/status?code=503&retry_after=1&times=1") == 204
    assert send(url + WRITE, b"m,a=b value=1 1") == 503
    assert send(url + WRITE, b"m,a=b value=1 1") == 204
    assert send(url + "/fake/unauthorized") == 204
    assert send(url + WRITE, b"m,a=b value=1 1") == 401
    assert send(url + "/fake/behave") == 204
    assert send(url + WRITE, b"m,a=b value=1 1") == 204
    assert send(url + "/fake/nonsense") == 404


def test_half_of_a_write_is_at_least_one_point(start):
    """The half of one point is that point: or nothing would be written twice."""
    url = start()
    assert send(url + "/fake/half_written_then_500?times=2") == 204
    assert send(url + WRITE, b"m,a=b value=1 1") == 500
    assert counts(url)["points"] == 1
    assert send(url + WRITE, b"m,a=b value=1 1\nm,a=b value=2 2\nm,a=b value=3 3") == 500
    assert (counts(url)["points"], counts(url)["doubles"]) == (2, 1)


def test_the_fast_one_counts_lines_and_keeps_bodies(start, tmp_path):
    """For benchmarks nothing is read, but the lines are counted and kept as they came."""
    url = start("--fast", "--file", tmp_path / "bodies")
    assert send(url + WRITE, b"m,a=b value=1 1\nm,a=b value=2 2") == 204
    assert send(url + WRITE, b"") == 204
    assert counts(url)["points"] == 2
    assert (tmp_path / "bodies").read_bytes().split() == b"m,a=b value=1 1\nm,a=b value=2 2".split()
