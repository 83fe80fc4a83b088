import pytest

from ingest.entity_filter import EntityFilter, Rules

# Source: https://www.home-assistant.io/integrations/recorder/#configure-filter
CASES = {
    "nothing is named: everything passes": (Rules(), Rules(), {"light.a": True}),
    "only includes: what is named passes": (
        Rules(("light",), ("sensor.a",), ("*.hall_*",)),
        Rules(),
        {"light.x": True, "sensor.a": True, "switch.hall_1": True, "sensor.b": False},
    ),
    "only excludes: what is not named passes": (
        Rules(),
        Rules(("light",), ("sensor.a",), ("*_rssi",)),
        {"light.x": False, "sensor.a": False, "switch.b_rssi": False, "sensor.b": True},
    ),
    "domains included: excluded globs and entities take from them": (
        Rules(domains=("sensor",)),
        Rules(entities=("sensor.a",), entity_globs=("*_rssi",)),
        {"sensor.a": False, "sensor.b_rssi": False, "sensor.b": True, "light.x": False},
    ),
    "globs included: they win over excluded globs": (
        Rules(entity_globs=("sensor.kitchen_*",)),
        Rules(entity_globs=("*_rssi",)),
        {"sensor.kitchen_rssi": True, "sensor.hall_rssi": False, "sensor.hall": False},
    ),
    "domains or globs included: excluded domains mean nothing": (
        Rules(domains=("sensor",), entity_globs=("light.kitchen*",)),
        Rules(domains=("sensor", "light")),
        {"sensor.a": True, "light.kitchen": True, "light.hall": False, "switch.a": False},
    ),
    "an included entity wins over all excludes, an excluded one over domains and globs": (
        Rules(domains=("sensor",), entities=("light.a", "sensor.a"), entity_globs=("*.b",)),
        Rules(entities=("sensor.a", "sensor.b"), entity_globs=("light.*",)),
        {"light.a": True, "sensor.a": True, "sensor.b": False, "light.b": True},
    ),
    "domains or globs excluded, entities included: these are exceptions": (
        Rules(entities=("light.a", "sensor.b_rssi")),
        Rules(domains=("light",), entities=("switch.a",), entity_globs=("*_rssi",)),
        {
            "light.a": True,
            "light.b": False,
            "sensor.b_rssi": True,
            "sensor.a_rssi": False,
            "switch.a": False,
            "switch.b": True,
        },
    ),
    "entities only, on both sides: what is included passes": (
        Rules(entities=("light.a",)),
        Rules(entities=("light.b",)),
        {"light.a": True, "light.b": False, "light.c": False},
    ),
    "entities excluded only": (Rules(), Rules(entities=("light.b",)), {"light.a": True}),
    "entities included only": (Rules(entities=("light.b",)), Rules(), {"light.a": False}),
}


@pytest.mark.parametrize(("include", "exclude", "decisions"), CASES.values(), ids=CASES)
def test_it_decides_as_home_assistant_does(include, exclude, decisions):
    """The precedence is that of Home Assistant's own filter, case by case as it is documented."""
    passes = EntityFilter(include, exclude).passes
    assert {entity_id: passes(entity_id) for entity_id in decisions} == decisions


@pytest.mark.parametrize(
    ("glob", "matching", "other"),
    [
        ("sensor.?", "sensor.a", "sensor.ab"),
        ("sensor.[ab]*", "sensor.bx", "sensor.cx"),
        ("sensor.[!ab]*", "sensor.cx", "sensor.ax"),
        ("*", "light.a", None),
        ("sensor*", "sensor.a", "light.a"),
        ("sensor.a", "sensor.a", "sensor.ab"),
    ],
)
def test_a_glob_matches_the_whole_entity_id(glob, matching, other):
    """Globs are those of the shell, from the first to the last character."""
    passes = EntityFilter(Rules(entity_globs=(glob,))).passes
    assert passes(matching)
    assert other is None or not passes(other)


def test_an_event_without_an_entity_always_passes():
    """Rules about entities say nothing about other event types."""
    assert EntityFilter(Rules(domains=("sensor",))).passes("")
    assert EntityFilter(Rules(), Rules(entity_globs=("*",))).passes("")


def test_a_decision_is_made_once_and_memory_is_bounded():
    """The answer for an entity id is remembered, of a limited number of them."""
    entity_filter = EntityFilter()
    assert [entity_filter.passes("sensor.a") for _ in range(3)] == [True] * 3
    info = entity_filter.passes.cache_info()
    assert (info.hits, info.misses) == (2, 1)
    assert info.maxsize is not None
