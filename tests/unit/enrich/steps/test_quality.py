from enrich.steps.quality import mark_quality


def test_nothing_odd(make):
    """An ordinary event has no mark, and neither has another event type."""
    for event in (make.change("1", "2"), make.event({"data": {}}, "any", "")):
        assert make.run(mark_quality, on=event).quality == ()


def test_removed(make):
    """A removal is marked."""
    assert make.run(mark_quality, on=make.change(None, "1")).quality == ("removed",)


def test_empty(make):
    """An empty state is marked."""
    assert make.run(mark_quality, on=make.change("")).quality == ("empty",)


def test_restored(make):
    """What Home Assistant wrote for an entity that is not loaded is marked."""
    event = make.change(make.state("unavailable", {"restored": True}))
    assert make.run(mark_quality, on=event).quality == ("restored",)
    event = make.change(make.state("unavailable", {"restored": False}))
    assert make.run(mark_quality, on=event).quality == ()


def test_marks_add_up(make):
    """A mark of an earlier step stays."""

    def earlier(_captured, _registry, enriched):
        enriched.quality += ("not_finite",)

    assert make.run(earlier, mark_quality, on=make.change("")).quality == ("not_finite", "empty")
