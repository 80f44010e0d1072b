"""Wheels for people's machines: built, repaired and tried, see `python -m tools.wheels --help`."""
