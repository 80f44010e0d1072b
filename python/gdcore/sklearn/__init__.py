"""scikit-learn's estimators of neural networks, with gdcore at work in them.

>>> from gdcore.sklearn import MLPClassifier
>>> MLPClassifier((64,), random_state=0).fit(x, y).score(xt, yt)

`MLPClassifier` and `MLPRegressor` are subclasses of scikit-learn's own: parameters, attributes,
checks and messages are its, and so are the numbers, up to rounding. RealMLP and TabM are recipes
for tables, with the defaults that their authors published. It needs the extra ``gdcore[sklearn]``.
"""

from __future__ import annotations

try:
    from sklearn.neural_network import _multilayer_perceptron
except ModuleNotFoundError as error:
    raise ImportError(
        f"gdcore.sklearn needs {error.name}, which is not installed. Install it with: "
        'python -m pip install "gdcore[sklearn]"'
    ) from None
if (
    "sample_weight"
    not in _multilayer_perceptron.BaseMultilayerPerceptron._backprop.__code__.co_varnames
):
    raise ImportError(
        "gdcore.sklearn needs scikit-learn 1.7 or newer. Install it with: "
        'python -m pip install "gdcore[sklearn]"'
    )

from gdcore.sklearn._base import MLP
from gdcore.sklearn._converting import from_sklearn, to_sklearn
from gdcore.sklearn.classifier import MLPClassifier
from gdcore.sklearn.realmlp import RealMLPClassifier, RealMLPRegressor
from gdcore.sklearn.regressor import MLPRegressor
from gdcore.sklearn.tabm import TabMClassifier, TabMRegressor

__all__ = [
    "MLP",
    "MLPClassifier",
    "MLPRegressor",
    "RealMLPClassifier",
    "RealMLPRegressor",
    "TabMClassifier",
    "TabMRegressor",
    "from_sklearn",
    "to_sklearn",
]


def __dir__() -> list[str]:
    return __all__
