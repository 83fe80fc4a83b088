"""Enrich: `ha:raw` to `ha:enriched`, or buried."""
