"""The alert rules for Prometheus speak of numbers that there are."""

import re
from pathlib import Path

import pytest
import yaml

from tests.unit.admin.test_metrics import everything, numbers

RULES = yaml.safe_load(Path("admin/alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
KNOWN = {key[0] for key in numbers(everything())}
FATES = {dict(key[1:])["fate"] for key in numbers(everything()) if key[0] == "habus_events_total"}
HOPS = {"spooled_to_raw", "raw_to_enriched", "enriched_to_stored", "total"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_metric_and_label_of_a_rule_exists(rule):
    """A rule on a metric that nobody writes would never fire."""
    names = set(re.findall(r"\bhabus_\w+", rule["expr"]))
    assert names
    assert names <= KNOWN
    assert set(re.findall(r'fate="(\w+)"', rule["expr"])) <= FATES
    assert set(re.findall(r'hop="(\w+)"', rule["expr"])) <= HOPS
    assert rule["expr"].count("(") == rule["expr"].count(")")
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert set(rule["annotations"]) == {"summary", "description"}


def test_every_rule_has_its_own_name():
    """No rule hides another."""
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names)) >= 10


@pytest.mark.parametrize("hop", HOPS)
def test_the_hops_are_those_that_workers_count(hop):
    """The names of hops are those that the workers write into their heartbeat."""
    sources = ("ingest/deliver.py", "enrich/worker.py", "store/worker.py")
    assert any(f'"{hop}"' in Path(path).read_text(encoding="utf-8") for path in sources)
