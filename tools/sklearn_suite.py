"""scikit-learn's own tests of its MLP, with gdcore's estimators in the place of its own.

    python -m tools.sklearn_suite              # all of sklearn/neural_network/tests/test_mlp.py
    python -m tools.sklearn_suite -k warm      # what comes behind is pytest's

No test is left out.
"""

from __future__ import annotations

import sys

import pytest

TESTS = "sklearn.neural_network.tests.test_mlp"


class Replacing:
    """Puts the estimators into scikit-learn before its tests look for them, and checks that."""

    def __init__(self) -> None:
        from sklearn import neural_network

        from gdcore.sklearn import MLPClassifier, MLPRegressor

        self.ours = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}
        for name, ours in self.ours.items():
            setattr(neural_network, name, ours)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            module = item.module  # type: ignore[attr-defined]
            assert all(getattr(module, name) is ours for name, ours in self.ours.items())


def main(arguments: list[str]) -> int:
    """Runs them; pytest's exit status."""
    # This project's settings, errors for warnings among them, are not scikit-learn's.
    own = ["-c", "/dev/null", "--rootdir", "/", "-p", "no:cacheprovider", "-q"]
    return int(pytest.main([*own, "--pyargs", TESTS, *arguments], plugins=[Replacing()]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
