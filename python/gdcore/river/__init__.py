"""Neural networks for streams, with river's interface and gdcore at work in them.

>>> from gdcore.river import MLPClassifier
>>> model = river.preprocessing.StandardScaler() | MLPClassifier((64,), seed=0)
>>> river.evaluate.progressive_val_score(river.datasets.Phishing(), model, river.metrics.Accuracy())

Samples are dicts. Features and classes may appear and vanish at any time; what was learnt of the
others stays. It needs the extra ``gdcore[river]``.
"""

from __future__ import annotations

try:
    import river.utils.dataframe  # noqa: F401
except ModuleNotFoundError as error:
    if (error.name or "").startswith("river."):
        raise ImportError(
            "gdcore.river needs river 0.26 or newer. Install it with: "
            'python -m pip install "gdcore[river]"'
        ) from None
    raise ImportError(
        f"gdcore.river needs {error.name}, which is not installed. Install it with: "
        'python -m pip install "gdcore[river]"'
    ) from None

from gdcore.river._base import MLP
from gdcore.river.classifier import MLPClassifier
from gdcore.river.regressor import MLPRegressor

__all__ = ["MLP", "MLPClassifier", "MLPRegressor"]


def __dir__() -> list[str]:
    return __all__
