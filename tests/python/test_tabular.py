"""What layers for tables start from, what bins are, what ensembles predict and are judged by."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdcore as gd

RNG = np.random.default_rng(3)
X = RNG.standard_normal((60, 4))
LABELS = (X[:, 0] + X[:, 1] > 0).astype(int) + (X[:, 2] > 1)


class TestStandardize:
    def test_columns_get_mean_0_and_variance_1(self) -> None:
        x = 100 * X + 7
        net = gd.Network([gd.Standardize.of(x)], input_size=4, dtype="float64")
        np.testing.assert_allclose(net.predict(x), (x - x.mean(0)) / x.std(0), rtol=1e-12)
        assert net.num_parameters == 0

    def test_it_stays_as_it_is_and_costs_no_gradient(self) -> None:
        layers = [gd.Standardize.of(X), gd.Dense(3)]
        net = gd.Network(layers, input_size=4)
        before = net.state_dict()
        trainer = gd.Trainer(net, "cross_entropy", "adam")
        trainer.step(X, LABELS)
        after = net.state_dict()
        assert {key for key in before if (before[key] != after[key]).any()} == {
            "1.weight",
            "1.bias",
        }
        # Nothing before the dense layer trains.
        assert "input_gradient" not in {row["zone"] for row in trainer.operations(60)}
        np.testing.assert_allclose(after["0.mean"], X.mean(0), rtol=1e-6)

    def test_a_table_tells_the_column_by_name(self) -> None:
        pandas = pytest.importorskip("pandas")
        table = pandas.DataFrame({"a": [1.0, 2.0], "b": [5, 5]})
        with pytest.raises(ValueError, match="got 5 alone in column 'b': leave it out"):
            gd.Standardize.of(table)
        assert gd.Standardize.of(table[["a"]]).means == (1.5,)

    def test_a_state_may_be_loaded_in_its_place(self) -> None:
        net = gd.Network([gd.Standardize([0, 0], [1, 1])], input_size=2)
        net.load_state_dict({"0.mean": [1.0, 2.0], "0.scale": [2.0, 4.0]})
        np.testing.assert_array_equal(net.predict([[3, 10]]), [[1, 2]])


class TestBins:
    def test_quantiles_are_those_of_rtdl(self) -> None:
        torch = pytest.importorskip("torch")
        rtdl = pytest.importorskip("rtdl_num_embeddings")
        x = np.round(X, 1)  # some numbers several times
        ours = gd.compute_bins(x, 12)
        theirs = rtdl.compute_bins(torch.tensor(x), 12)
        for own, their in zip(ours, theirs):
            # Theirs are at shares that float32 rounds, and split by rounding alone what is one.
            for edge in their.numpy():
                assert np.abs(np.array(own) - edge).min() < 1e-6
        assert all(len(column) <= 13 for column in ours)

    def test_trees_are_those_of_rtdl(self) -> None:
        pytest.importorskip("sklearn")
        torch = pytest.importorskip("torch")
        rtdl = pytest.importorskip("rtdl_num_embeddings")
        options = {"min_samples_leaf": 4, "random_state": 0}
        for task, y in (("classification", LABELS), ("regression", X[:, 0] ** 2)):
            ours = gd.compute_bins(X, 6, y=y, task=task, tree=options)
            theirs = rtdl.compute_bins(
                torch.tensor(X),
                6,
                y=torch.tensor(y),
                regression=task == "regression",
                tree_kwargs=options,
            )
            for own, their in zip(ours, theirs):
                np.testing.assert_allclose(own, their, rtol=1e-6)  # theirs are float32

    @pytest.mark.parametrize(
        ("arguments", "error", "words"),
        [
            ({"n_bins": 60}, ValueError, "n_bins must be at most 59, got 60"),
            ({"n_bins": 1}, ValueError, "n_bins must be at least 2"),
            ({"task": "regression"}, ValueError, "task has no meaning without y"),
            ({"tree": {}}, ValueError, "tree has no meaning without y"),
            ({"y": LABELS}, TypeError, "task must be one of regression, classification, got None"),
            ({"y": LABELS[:5], "task": "regression"}, ValueError, r"y must have shape \(60,\)"),
            ({"y": LABELS, "task": "regression", "tree": 3}, TypeError, "tree must be a mapping"),
            (
                {"y": LABELS, "task": "regression", "tree": {"max_leaf_nodes": 3}},
                ValueError,
                "tree must not hold max_leaf_nodes",
            ),
        ],
    )
    def test_bad_arguments_are_refused(
        self, arguments: Any, error: type[Exception], words: str
    ) -> None:
        with pytest.raises(error, match=words):
            gd.compute_bins(X, **arguments)

    def test_a_column_of_one_number_and_few_rows_are_refused(self) -> None:
        with pytest.raises(ValueError, match="got 1 alone in column 1"):
            gd.compute_bins([[1, 1], [2, 1], [3, 1]], 2)
        with pytest.raises(ValueError, match="x must have at least 3 rows"):
            gd.compute_bins([[1], [2]], 2)

    def test_trees_name_what_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "sklearn.tree", None)
        with pytest.raises(ImportError, match=r"need scikit-learn.*gdcore\[cli\]"):
            gd.compute_bins(X, 4, y=LABELS, task="classification")


class TestFirstValues:
    def test_frequencies_are_not_far_out_and_phases_are(self) -> None:
        net = gd.Network([gd.PeriodicEmbedding(2, frequencies=2000, sigma=0.5)], input_size=4)
        waves = net.state_dict()["0.periodic.weight"]
        assert waves.shape == (4, 2000)
        assert abs(waves).max() <= 1.5
        assert abs(waves.std() / 0.5 - 0.9866) < 0.02  # of the normal cut at 3
        other = gd.Network([gd.PeriodicEmbedding.pbld(frequencies=2000)], input_size=4)
        phases = other.state_dict()["0.periodic.bias"]
        assert 3.1 < abs(phases).max() <= np.float32(np.pi)
        assert abs(other.state_dict()["0.periodic.weight"].std() / 0.1 - 1) < 0.05

    def test_ntk_weights_have_a_spread_of_one(self) -> None:
        net = gd.Network([gd.Dense(400, parametrization="ntk")], input_size=100)
        state = net.state_dict()
        assert abs(state["0.weight"].std() - 1) < 0.02
        assert not state["0.bias"].any()
        drawn = gd.Dense(4, parametrization="ntk", weight_init="zeros")
        assert not gd.Network([drawn], input_size=3).state_dict()["0.weight"].any()

    def test_lengths_are_those_of_the_directions(self) -> None:
        net = gd.Network([gd.Dense(40, weight_norm=True)], input_size=7, seed=4)
        plain = gd.Network([gd.Dense(40)], input_size=7, seed=4)
        state = net.state_dict()
        norms = np.linalg.norm(state["0.weight_v"], axis=1, keepdims=True)
        np.testing.assert_allclose(state["0.weight_g"], norms, rtol=1e-6)
        np.testing.assert_array_equal(state["0.weight_v"], plain.state_dict()["0.weight"])

    def test_pytorch_loads_lengths_and_directions(self) -> None:
        torch = pytest.importorskip("torch")
        net = gd.Network([gd.Dense(5, weight_norm=True)], input_size=7)
        state = {key[2:]: torch.tensor(value) for key, value in net.state_dict().items()}
        norm = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(7, 5))
        norm.load_state_dict(dict(state))
        x = X[:, [0, 1, 2, 3, 0, 1, 2]].astype(np.float32)
        with torch.no_grad():
            np.testing.assert_allclose(net.predict(x), norm(torch.tensor(x)), rtol=1e-5, atol=1e-6)

    def test_members_part_once(self) -> None:
        chunks = (3, 1)
        layers = [gd.EnsembleDense(50, 20, chunks=chunks), gd.EnsembleDense(3, 20)]
        state = gd.Network(layers, input_size=4).state_dict()
        first = state["0.r"]
        assert set(np.unique(first)) == {-1, 1}
        assert (first[:, :3] == first[:, :1]).all()
        assert (first[:, 3] != first[:, 0]).any()
        assert (state["1.r"] == 1).all()
        assert (state["0.s"] == 1).all()
        assert (state["0.bias"] == state["0.bias"][0]).all()
        apart = gd.Network([gd.EnsembleDense(5, 3, shared=False)], input_size=4).state_dict()
        assert apart["0.weight"].shape == (3, 4, 5)
        assert (apart["0.bias"][0] != apart["0.bias"][1]).any()


def test_plain_dense_layers_are_described_as_before(tmp_path: Path) -> None:
    net = gd.Network([gd.Dense(3, "relu"), gd.Dense(2)], input_size=4)
    net.save(tmp_path / "net.safetensors")
    assert b"parametrization" not in (tmp_path / "net.safetensors").read_bytes()
    layers = [gd.Dense(3, "relu", weight_norm=True), gd.Dense(2, parametrization="ntk")]
    gd.Network(layers, input_size=4).save(tmp_path / "net.safetensors")
    assert gd.Network.load(tmp_path / "net.safetensors").layers == tuple(layers)


def ensemble(outputs: int, last: str = "identity", members: int = 5) -> gd.Network:
    layers = [
        gd.EnsembleDense(16, members, "relu", r_init="normal"),
        gd.EnsembleDense(outputs, members, last, shared=False),
    ]
    return gd.Network(layers, input_size=4, seed=2, dtype="float64")


def softmax(p: Any) -> Any:
    e = np.exp(p - p.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class TestEnsembles:
    def test_members_have_a_dimension_of_their_own(self) -> None:
        net = ensemble(3)
        assert (net.members, net.output_size) == (5, 3)
        output = net.forward(X)
        assert output.shape == (60, 5, 3)
        np.testing.assert_allclose(net.predict(X, batch_size=7), output.mean(1), rtol=1e-13)
        net.forward(X, training=True)
        assert net.backward(np.ones((60, 5, 3))).shape == X.shape
        with pytest.raises(ValueError, match=r"grad_output must have shape \(N, 5, 3\), got"):
            net.backward(np.ones((60, 15)))

    def test_the_loss_is_the_mean_over_members(self) -> None:
        net = ensemble(3)
        output, y = net.forward(X), np.resize(X, (60, 3))
        weights = RNG.uniform(1, 2, 60)
        each = ((output - y[:, None]) ** 2).mean(axis=(1, 2))
        want = float((weights * each).sum() / weights.sum())
        trainer = gd.Trainer(net, "mse", "sgd")
        assert trainer.evaluate(X, y, weights)["loss"] == pytest.approx(want, rel=1e-12)
        with pytest.raises(ValueError, match=r"y must have shape \(60, 3\)"):
            trainer.step(X, np.zeros((60, 15)))

    @pytest.mark.parametrize("last", ["identity", "softmax"])
    def test_classes_are_those_of_the_mean_probabilities(self, last: str) -> None:
        net = ensemble(3, last)
        trainer = gd.Trainer(net, "cross_entropy", gd.Adam(lr=0.02))
        for _ in range(3):
            trainer.step(X, LABELS)
        output = net.forward(X)
        shares = (output if last == "softmax" else softmax(output)).mean(1)
        np.testing.assert_allclose(net.predict_proba(X), shares, rtol=1e-12)
        np.testing.assert_array_equal(net.predict_classes(X), shares.argmax(1))
        right = float((shares.argmax(1) == LABELS).mean())
        found = trainer.evaluate(X, LABELS, metrics=["accuracy", gd.metrics.TopK(2)])
        assert found["accuracy"] == pytest.approx(right)
        members = np.log(softmax(output) if last == "identity" else output)
        each = -np.take_along_axis(members, LABELS[:, None, None], 2)
        assert found["loss"] == pytest.approx(float(each.mean()), rel=1e-10)
        ranks = (-shares).argsort(1)[:, :2]
        assert found["top2"] == pytest.approx(float((ranks == LABELS[:, None]).any(1).mean()))

    def test_one_logit_a_member(self) -> None:
        net = ensemble(1)
        y = (LABELS > 0).astype(float)
        trainer = gd.Trainer(net, "bce_with_logits", gd.Adam(lr=0.02))
        history = trainer.fit(
            X, y, epochs=3, validation_data=(X, y), metrics=["auc"], progress=False
        )
        shares = (1 / (1 + np.exp(-net.forward(X)))).mean(1)
        np.testing.assert_allclose(net.predict_proba(X), shares, rtol=1e-12)
        want = float(((shares[:, 0] > 0.5) == (y > 0.5)).mean())
        assert history["val_accuracy"][-1] == pytest.approx(want)
        pairs = shares[y > 0.5] > shares[y < 0.5].T
        assert history["val_auc"][-1] == pytest.approx(float(pairs.mean()))

    def test_margins_are_averaged(self) -> None:
        net = ensemble(1)
        y = np.where(LABELS > 0, 1.0, -1.0)
        found = gd.Trainer(net, "hinge", "sgd").evaluate(X, y)
        want = float(((net.forward(X).mean(1)[:, 0] > 0) == (y > 0)).mean())
        assert found["accuracy"] == pytest.approx(want)

    def test_quantiles_of_each_member(self) -> None:
        net = ensemble(2)
        loss = gd.Quantile((0.1, 0.9))
        assert gd.check_gradients(net, loss, X[:6], X[:6, :1]).ok
        assert gd.Trainer(net, loss, "adam").step(X, X[:, 0]) > 0

    def test_a_loss_of_ones_own_sees_the_members(self) -> None:
        y = np.resize(X, (60, 3))

        def squares(output: Any, target: Any) -> Any:
            assert output.shape[1:] == (5, 3)
            off = output - target[:, None]
            return (off**2).mean(axis=(1, 2)), 2 * off / off.size

        weights = np.linspace(1, 2, 60)
        own, ours = ensemble(3), ensemble(3)
        losses = []
        for net, loss in ((own, squares), (ours, "mse")):
            trainer = gd.Trainer(net, loss, gd.SGD(lr=0.1))
            losses.append([trainer.step(X, y, weights) for _ in range(3)])
            losses[-1].append(trainer.evaluate(X, y, weights)["loss"])
        np.testing.assert_allclose(losses[0], losses[1], rtol=1e-12)
        assert gd.check_gradients(own, squares, X[:5], y[:5]).ok

    def test_more_rows_than_go_through_at_once(self) -> None:
        x, y = RNG.standard_normal((5000, 4)), RNG.standard_normal((5000, 3))
        whole, parts = ensemble(3), ensemble(3)
        gd.Trainer(whole, "mse", gd.SGD(lr=0.5)).step(x, y)
        output = parts.forward(x, training=True)
        parts.backward(2 * (output - y[:, None]) / output.size)
        gd.Trainer(parts, None, gd.SGD(lr=0.5)).apply_gradients()
        for key, value in whole.state_dict().items():
            np.testing.assert_allclose(value, parts.state_dict()[key], rtol=1e-10, atol=1e-13)

    @pytest.mark.parametrize("rule", ["adamw", "adagrad", "sgd"])
    def test_other_rules_and_clipping_train_it(self, rule: Any) -> None:
        net = ensemble(3)
        trainer = gd.Trainer(net, "mse", rule, clip_grad_norm=0.5)
        y = np.resize(X, (60, 3))
        first = trainer.step(X, y)
        for _ in range(5):
            last = trainer.step(X, y)
        assert last < first
