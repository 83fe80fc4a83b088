"""Lua, run by Redis; what each takes and returns stands on its top."""
