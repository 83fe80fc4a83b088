from enrich.steps.domain import split_entity_id


def test_state_change(make):
    """The part before the first dot is the domain, the part behind it the object id."""
    enriched = make.run(split_entity_id, on=make.change("1"))
    assert (enriched.domain, enriched.object_id) == ("sensor", "kitchen_temperature")


def test_other_type_with_entity(make):
    """Another event type has a domain where it is of one entity."""
    event = make.event({"data": {}}, "automation_triggered", "automation.blinds")
    enriched = make.run(split_entity_id, on=event)
    assert (enriched.domain, enriched.object_id) == ("automation", "blinds")


def test_other_type_without_entity(make):
    """Another event type has no domain where it is of no entity."""
    for entity_id in ("", "all"):
        enriched = make.run(split_entity_id, on=make.event({"data": {}}, "any", entity_id))
        assert (enriched.domain, enriched.object_id) == (None, None)
