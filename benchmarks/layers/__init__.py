"""Training steps of networks with other layers than dense ones.

A case is an entry of a module here: our layers, PyTorch's, and a function for JAX. `case.chain`
makes one of layers in a row; what is none builds a `LayerCase` of its own steps. It then goes into
`LAYER_CASES`, and is measured by `python -m benchmarks.run layers [--layer-cases NAMES]`.
"""

from benchmarks.layers.case import LayerCase
from benchmarks.layers.embeddings import EMBEDDING, SPARSE_EMBEDDING
from benchmarks.layers.norms import BATCH_NORM, GHOST_NORM, LAYER_NORM
from benchmarks.layers.residuals import RESIDUAL
from benchmarks.layers.tabular import REALMLP, TABM

__all__ = ["LAYER_CASES"]

LAYER_CASES: dict[str, LayerCase] = {
    case.name: case
    for case in (
        BATCH_NORM,
        GHOST_NORM,
        LAYER_NORM,
        RESIDUAL,
        REALMLP,
        TABM,
        EMBEDDING,
        SPARSE_EMBEDDING,
    )
}
