"""The room `store`: `ha:enriched` → sink."""
