"""REST: one subject a file."""
