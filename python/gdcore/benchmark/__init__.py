"""What is measured of gdcore itself, for `gdcore bench` and for `benchmarks/`, which adds peers.

Nothing here is part of the library's interface.
"""
