"""The update of soft actor-critic that benchmarks/sac.py measures: gdcore's is PyTorch's."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from support import ROOT


def test_both_libraries_compute_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import sac

    ours, theirs = sac.Sac(), sac.TorchSac()
    for batch in sac.batches(4, rows=64) * 3:
        np.testing.assert_allclose(ours.update(batch), theirs.update(batch), rtol=1e-3, atol=1e-4)
    for mine, other in zip([ours.actor, *ours.targets], [theirs.actor, *theirs.targets]):
        for value, tensor in zip(mine.state_dict().values(), other.state_dict().values()):
            np.testing.assert_allclose(value, tensor.numpy(), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(ours.log_alpha, theirs.log_alpha.detach().numpy(), rtol=1e-4)
    assert "benchmarks.sac" in sys.modules
