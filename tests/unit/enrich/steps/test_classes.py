from enrich.steps.classes import copy_classes


def test_classes(make):
    """Device class and state class are copied."""
    attributes = {"device_class": "energy", "state_class": "total_increasing"}
    enriched = make.run(copy_classes, on=make.change(make.state("1", attributes)))
    assert (enriched.device_class, enriched.state_class) == ("energy", "total_increasing")


def test_no_classes(make):
    """What is absent, empty or no text is unknown."""
    for attributes in ({}, {"device_class": "", "state_class": ""}, {"device_class": ["a"]}):
        enriched = make.run(copy_classes, on=make.change(make.state("1", attributes)))
        assert (enriched.device_class, enriched.state_class) == (None, None)
