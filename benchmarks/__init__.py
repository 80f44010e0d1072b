"""Measures gdcore beside its peers: `python -m benchmarks.run --help`."""
