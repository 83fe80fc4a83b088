"""habus on the command line."""

from admin.cli.app import main

__all__ = ["main"]
