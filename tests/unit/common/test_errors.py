import re

import pytest

from common import errors
from common.errors import CountChanged, PointRejected, PoisonError, SinkUnavailable

REASONS = {
    errors.PoisonError: "poison",
    errors.MalformedEvent: "malformed_event",
    errors.StepFailed: "enrich_failed",
    errors.PointRejected: "point_rejected",
    errors.DeliveredTooOften: "delivery_limit",
}


def every_error(root=errors.PipelineError):
    return {root}.union(*map(every_error, root.__subclasses__()))


def test_the_tree_in_the_docstring_is_the_tree():
    """The picture on top of the file shows every error, and nothing else."""
    drawn = set(re.findall(r"── (\w+)", errors.__doc__)) | {"PipelineError"}
    assert drawn == {
        error.__name__ for error in every_error() if error.__module__ == "common.errors"
    }


@pytest.mark.parametrize(("error", "reason"), REASONS.items())
def test_poison_says_its_reason_and_detail(error, reason):
    """What is buried carries the code and the detail of its dead letter."""
    raised = error("no JSON", detail={"line": 1})
    assert (str(raised), raised.reason, raised.detail) == ("no JSON", reason, {"line": 1})
    assert error("no JSON").detail == {}


def test_every_poison_has_a_reason():
    """No two kinds of poison share a code."""
    kinds = {kind for kind in every_error(PoisonError) if kind.__module__ == errors.__name__}
    assert kinds == set(REASONS)
    assert len({kind.reason for kind in kinds} | {"point_rejected"}) == len(kinds)


def test_detail_is_a_copy():
    """What the raiser changes later does not change the error."""
    detail = {"a": 1}
    raised = PointRejected("no", detail=detail)
    detail["a"] = 2
    assert raised.detail == {"a": 1}


def test_a_point_is_rejected_for_one_of_several_reasons():
    """A refusal of the sink says which kind it is."""
    assert PointRejected("float, not string", "field_type_conflict").reason == "field_type_conflict"


@pytest.mark.parametrize("seconds", [None, 0, 2.5])
def test_a_sink_may_say_when_to_come_back(seconds):
    """An overloaded sink's Retry-After travels with the error."""
    assert SinkUnavailable("busy", retry_after=seconds).retry_after == seconds


def test_a_changed_count_says_the_new_one():
    """The person who confirmed too late sees what the filter matches now."""
    raised = CountChanged(7)
    assert raised.count == 7
    assert "matches 7 dead letters now" in str(raised)
