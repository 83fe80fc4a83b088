"""Names of the keys."""

import pytest

from common.bus.keys import ENRICH, INGEST, STORE, Keys


def test_the_keys_of_the_default_prefix():
    """With the default prefix the keys are those of the contract."""
    keys = Keys()
    assert (keys.raw, keys.inbox, keys.enriched, keys.dead) == (
        "ha:raw",
        "ha:inbox",
        "ha:enriched",
        "ha:dead",
    )
    assert (keys.registry, keys.ledger, keys.watermark, keys.audit) == (
        "ha:registry",
        "ha:ledger",
        "ha:watermark",
        "ha:audit",
    )
    assert keys.worker(INGEST, "attic") == "ha:worker:ingest:attic"


def test_streams_are_found_by_their_short_names():
    """The four streams are named as the routes name them."""
    keys = Keys("my-home")
    assert keys.streams == {
        "raw": "my-home:raw",
        "inbox": "my-home:inbox",
        "enriched": "my-home:enriched",
        "dead": "my-home:dead",
    }


def test_each_group_reads_its_streams():
    """`enrich` reads what was captured and handed in, `store` what was enriched."""
    keys = Keys()
    assert keys.group_inputs(ENRICH) == ("ha:raw", "ha:inbox")
    assert keys.group_inputs(STORE) == ("ha:enriched",)
    with pytest.raises(KeyError):
        keys.group_inputs(INGEST)
