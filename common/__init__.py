"""The hall: what two or more rooms share, and nothing that only one uses."""

__version__ = "0.1.0"
