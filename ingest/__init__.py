"""Home Assistant → spool → `ha:raw`."""
