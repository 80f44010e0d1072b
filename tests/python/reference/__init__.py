"""The NumPy float64 oracle: every formula of gdcore once more, written to be read.

Nothing here is fast, and nothing is shared with the library. Formulas are textbook forms; where two
are usual, the one of PyTorch's documentation.
"""

from . import activations, initializers, losses, rules, whole_rules
from .network import Layer, ReferenceNetwork

__all__ = [
    "Layer",
    "ReferenceNetwork",
    "activations",
    "initializers",
    "losses",
    "rules",
    "whole_rules",
]
