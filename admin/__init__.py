"""Admin: the operator's desk."""
