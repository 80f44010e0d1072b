"""Networks of several inputs and outputs: what they compute, what they refuse, beside PyTorch."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import nets
import numpy as np
import pytest
from graphs import KIND, LOSS, PRICE, RNG, WEIGHTS, XA, XB, N, X, Y, network, trainer_of

import gdcore as gd
from gdcore import callbacks


def fitted(net: gd.Network, epochs: int = 3, **arguments: Any) -> tuple[gd.Trainer, gd.History]:
    trainer = trainer_of(net, **arguments)
    options = {"batch_size": 16, "validation_data": (X, Y), "progress": False}
    return trainer, trainer.fit(X, Y, epochs=epochs, **options)


class Twin:
    """The same network in PyTorch."""

    def __init__(self, net: gd.Network) -> None:
        self.torch = torch = pytest.importorskip("torch")
        self.of = {key: torch.tensor(v, requires_grad=True) for key, v in net.state_dict().items()}

    def __call__(self, a: Any, b: Any) -> tuple[Any, Any]:
        functional = self.torch.nn.functional

        def dense(x: Any, key: str) -> Any:
            return functional.linear(x, self.of[f"{key}.weight"], self.of[f"{key}.bias"])

        norm = functional.layer_norm(b, (3,), self.of["1.weight"], self.of["1.bias"])
        h = self.torch.cat([self.torch.tanh(dense(a, "0")), norm], dim=1)
        h = functional.gelu(dense(h, "3")) + self.torch.relu(dense(b, "side"))
        return dense(h, "7"), dense(h, "8")

    def loss(self, price: Any, kind: Any) -> Any:
        functional = self.torch.nn.functional
        return 0.1 * functional.mse_loss(
            price, self.torch.tensor(PRICE)
        ) + functional.cross_entropy(kind, self.torch.tensor(KIND))


class TestAgainstPyTorch:
    def test_outputs_and_gradients_agree(self) -> None:
        net = network()
        twin = Twin(net)
        a, b = (twin.torch.tensor(x, requires_grad=True) for x in (XA, XB))
        price, kind = twin(a, b)
        found = net.forward(X, training=True)
        np.testing.assert_allclose(found["price"], price.detach(), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(found["kind"], kind.detach(), rtol=1e-10, atol=1e-12)
        gradients = [RNG.standard_normal(each.shape) for each in (price, kind)]
        twin.torch.autograd.backward([price, kind], [twin.torch.tensor(g) for g in gradients])
        at_inputs = net.backward({"price": gradients[0], "kind": gradients[1]})
        assert list(at_inputs) == ["a", "b"]
        np.testing.assert_allclose(at_inputs["a"], a.grad, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(at_inputs["b"], b.grad, rtol=1e-10, atol=1e-12)
        for key, value in net.gradients().items():
            np.testing.assert_allclose(value, twin.of[key].grad, rtol=1e-9, atol=1e-12)

    def test_a_hundred_steps_agree(self) -> None:
        net = network()
        twin = Twin(net)
        trainer = trainer_of(net, optimizer=gd.Adam(lr=1e-3))
        optimizer = twin.torch.optim.Adam(twin.of.values(), lr=1e-3)
        for _ in range(100):
            optimizer.zero_grad()
            loss = twin.loss(*twin(twin.torch.tensor(XA), twin.torch.tensor(XB)))
            loss.backward()
            optimizer.step()
            assert trainer.step(X, Y) == pytest.approx(loss.item(), rel=1e-10)
        for key, value in net.state_dict().items():
            np.testing.assert_allclose(value, twin.of[key].detach(), rtol=1e-8, atol=1e-10)


class TestNetwork:
    def test_names_are_places_in_the_order_of_calls(self) -> None:
        net = network()
        assert net.layer_names == ("0", "1", "2", "3", "side", "5", "6", "7", "8")
        assert net.heads == {"price": 1, "kind": 4}
        assert [each.name for each in net.inputs] == ["a", "b"]
        assert (net.input_size, net.output_size) == (8, 5)
        assert repr(net).startswith("Network(a 5 + b 3 -> 9 layers -> price 1, kind 4, float64, ")

    def test_layers_called_in_a_row_are_the_network_of_their_list(self) -> None:
        row = [gd.Dense(7, "relu"), gd.Residual([gd.LayerNorm(), gd.Dense(7)]), gd.Dense(2)]
        x = gd.Input(5)
        h = x
        for layer in row:
            h = layer(h)
        called = gd.Network(inputs=x, outputs=h, seed=1)
        listed = gd.Network(row, input_size=5, seed=1)
        assert repr(called) == repr(listed)
        assert called.state_dict().keys() == listed.state_dict().keys()
        np.testing.assert_array_equal(called.predict(XA), listed.predict(XA))
        chain = gd.Network(row, inputs=gd.Input(5, name="x"), seed=1)
        np.testing.assert_array_equal(chain.predict(XA), listed.predict(XA))

    def test_a_layer_called_twice_has_parameters_twice(self) -> None:
        x = gd.Input(5)
        layer = gd.Dense(3)
        net = gd.Network(inputs=x, outputs=gd.Concat()(layer(x), layer(x)))
        assert net.num_parameters == 2 * (5 * 3 + 3)
        state = net.state_dict()
        assert (state["0.weight"] != state["1.weight"]).any()

    def test_nodes_never_change_and_equal_themselves_alone(self) -> None:
        x = gd.Input(5, name="x")
        node = gd.Dense(3)(x)
        assert node.layer == gd.Dense(3)
        assert node.reads == (x,)
        assert copy.deepcopy(node) is node
        assert gd.Input(5, name="x") != x
        assert repr(gd.Input(categories=[5, 7], name="c")) == "Input(categories=(5, 7), name='c')"
        for call in (
            lambda: setattr(node, "layer", None),
            lambda: delattr(node, "_layer"),
            lambda: setattr(x, "size", 3),
        ):
            with pytest.raises(AttributeError, match="of a node"):
                call()
        with pytest.raises(TypeError, match="pickle the network"):
            pickle.dumps(node)
        with pytest.raises(TypeError, match="calling a layer"):
            gd.Node()

    def test_files_pickles_and_copies_hold_it(self, tmp_path: Path) -> None:
        net = network("float32")
        for again in nets.again(net, tmp_path):
            for key, value in net.predict(X).items():
                np.testing.assert_array_equal(again.predict(X)[key], value)
            again.save(tmp_path / "again.safetensors")
            files = [tmp_path / f"{name}.safetensors" for name in ("net", "again")]
            assert files[0].read_bytes() == files[1].read_bytes()
        lines = str(net.summary()).splitlines()
        assert [line.split()[0] for line in lines[2:5]] == ["a", "b", "0"]
        assert "(outputs)" in lines[-3]

    def test_pickles_of_before_there_were_graphs(self) -> None:
        net = gd.Network([gd.Dense(3, name="d"), "relu"], input_size=5, seed=2)
        state = net.__getstate__()
        old = {key: state[key] for key in ("_dtype", "_seed", "_native")}
        again = gd.Network.__new__(gd.Network)
        again.__setstate__({"_layers": net.layers, "_layer_names": ("d", "1"), **old})
        assert again.layer_names == ("d", "1")
        np.testing.assert_array_equal(again.predict(XA), net.predict(XA))

    def test_probabilities_and_classes_are_of_one_head(self) -> None:
        net = network()
        kind = net.predict(X)["kind"]
        assert (net.predict_classes(X, head="kind") == kind.argmax(axis=1)).all()
        np.testing.assert_allclose(net.predict_proba(X, head="kind").sum(axis=1), 1)
        with pytest.raises(ValueError, match="head must be given where there are several: price"):
            net.predict_proba(X)
        with pytest.raises(ValueError, match="head must be one of price, kind, got 'kinds'"):
            net.predict_classes(X, head="kinds")
        with pytest.raises(ValueError, match="head must be None"):
            gd.Network([gd.Dense(2)], input_size=5).predict_proba(XA, head="kind")

    def test_one_output_by_name_is_a_dict_too(self) -> None:
        x = gd.Input(5)
        net = gd.Network(inputs=x, outputs={"kind": gd.Dense(4)(x)})
        assert net.predict(XA)["kind"].shape == (N, 4)
        assert net.predict_classes(XA).shape == (N,)
        trainer = gd.Trainer(net, {"kind": "cross_entropy"}, "adam")
        plain = gd.Trainer(gd.Network([gd.Dense(4)], input_size=5), "cross_entropy", "adam")
        for _ in range(3):
            assert trainer.step(XA, {"kind": KIND}) == plain.step(XA, KIND)
        for key, value in plain.network.state_dict().items():
            np.testing.assert_array_equal(net.state_dict()[key], value)

    def test_an_ensemble_stands_behind_several_inputs(self, tmp_path: Path) -> None:
        def behind(value: gd.Node) -> gd.Node:
            h = gd.EnsembleDense(8, 3, "tanh", r_init="normal")(value)
            side = gd.Dense(8, "gelu")(h)
            return gd.EnsembleDense(4, 3, shared=False)(gd.Add()(h, gd.BatchNorm(ghost=20)(side)))

        a, b, x = gd.Input(5, name="a"), gd.Input(3, name="b"), gd.Input(8)
        net = gd.Network(inputs=[a, b], outputs=behind(gd.Concat()(a, b)), dtype="float64")
        assert (net.members, net.output_size) == (3, 4)
        alike = gd.Network(inputs=x, outputs=behind(x), dtype="float64", seed=0)
        alike.load_state_dict(dict(zip(alike.state_dict(), net.state_dict().values(), strict=True)))
        joined = np.hstack([XA, XB])
        trainers = [gd.Trainer(each, "cross_entropy", gd.Adam(lr=0.02)) for each in (net, alike)]
        for trainer, given in zip(trainers, (X, joined), strict=True):
            trainer.fit(given, KIND, epochs=3, batch_size=40, shuffle=False, progress=False)
        assert net.forward(X).shape == (N, 3, 4)
        np.testing.assert_array_equal(net.forward(X), alike.forward(joined))
        np.testing.assert_array_equal(net.predict_classes(X), alike.predict_classes(joined))
        told, other = trainers[0].evaluate(X, KIND), trainers[1].evaluate(joined, KIND)
        assert told == other
        net.forward(X, training=True)
        assert {key: v.shape for key, v in net.backward(np.ones((N, 3, 4))).items()} == {
            "a": (N, 5),
            "b": (N, 3),
        }
        net.save(tmp_path / "net.safetensors")
        again = gd.Network.load(tmp_path / "net.safetensors")
        np.testing.assert_array_equal(again.predict_proba(X), net.predict_proba(X))
        for each in (again, pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
            assert each.members == 3
            np.testing.assert_array_equal(each.predict(X), net.predict(X))

    def test_a_head_may_be_read_by_another(self) -> None:
        x = gd.Input(5)
        first = gd.Dense(3)(x)
        net = gd.Network(inputs=x, outputs={"first": first, "second": gd.Dense(2, "tanh")(first)})
        loss = {"first": "mse", "second": "mse"}
        y = {"first": RNG.standard_normal((N, 3)), "second": RNG.standard_normal((N, 2))}
        assert gd.check_gradients(net, loss, XA[:5], {k: v[:5] for k, v in y.items()}).ok


class TestTraining:
    def test_threads_and_batches_change_no_bit(self) -> None:
        found = [fitted(network("float32"), num_threads=t)[0].network for t in (1, 2, 3)]
        for other in found[1:]:
            for key, value in found[0].state_dict().items():
                np.testing.assert_array_equal(value, other.state_dict()[key])
        some = found[0].predict(X, batch_size=7)
        for key, value in found[0].predict(X).items():
            np.testing.assert_array_equal(some[key], value)
        one = found[0].predict({"a": XA[4:5], "b": XB[4:5]})
        np.testing.assert_array_equal(one["kind"][0], found[0].predict(X)["kind"][4])

    def test_the_history_has_each_loss(self) -> None:
        trainer, history = fitted(network())
        figures = ["loss", "price_loss", "kind_loss"]
        wanted = [*figures, *(f"val_{each}" for each in figures), "val_kind_accuracy"]
        assert sorted(history) == sorted(wanted)
        for prefix in ("", "val_"):
            parts = zip(history[f"{prefix}price_loss"], history[f"{prefix}kind_loss"], strict=True)
            want = [0.1 * price + kind for price, kind in parts]
            assert history[f"{prefix}loss"] == pytest.approx(want)
        found = trainer.evaluate(X, Y)
        assert found["kind_loss"] == history["val_kind_loss"][-1]
        output = trainer.network.predict(X)
        assert found["price_loss"] == pytest.approx(((output["price"] - PRICE) ** 2).mean())
        right = (output["kind"].argmax(axis=1) == KIND).mean()
        assert found["kind_accuracy"] == pytest.approx(right)
        some = trainer.evaluate(X, Y, batch_size=7)
        assert some == pytest.approx(found, rel=1e-12)

    def test_an_epoch_is_its_steps(self) -> None:
        one, other = trainer_of(network()), trainer_of(network())
        history = one.fit(X, Y, epochs=1, batch_size=20, shuffle=False, progress=False)
        losses = []
        for begin in range(0, N, 20):
            rows = slice(begin, begin + 20)
            x, y = ({k: v[rows] for k, v in part.items()} for part in (X, Y))
            losses.append(other.step(x, y))
        assert history["loss"][0] == pytest.approx(np.mean(losses))
        for key, value in one.network.state_dict().items():
            np.testing.assert_array_equal(other.network.state_dict()[key], value)

    def test_online_learning_is_steps_of_one(self) -> None:
        one, many, steps = (trainer_of(network()) for _ in range(3))
        rows = [({"a": XA[i], "b": XB[i]}, {"price": PRICE[i], "kind": KIND[i]}) for i in range(9)]
        found = [one.learn_one(x, y) for x, y in rows]
        first = {k: v[:9] for k, v in X.items()}, {k: v[:9] for k, v in Y.items()}
        assert many.learn_many(*first).tolist() == found
        batches = [tuple({k: v[i : i + 1] for k, v in p.items()} for p in first) for i in range(9)]
        assert [steps.step(x, y) for x, y in batches] == found

    def test_weights_labels_that_do_not_count_and_class_weights(self) -> None:
        w = RNG.uniform(0.5, 2, N)
        kind = np.where(np.arange(N) % 3 == 0, -100, KIND)
        loss = {"price": "mse", "kind": gd.CrossEntropy(class_weight=(1, 2, 3, 4))}
        net = network()
        trainer = gd.Trainer(net, loss, gd.SGD(lr=0.1))
        output = net.predict(X)
        log_p = np.log(_softmax(output["kind"]))
        share = np.array([1, 2, 3, 4])[KIND] * (kind >= 0)
        want_kind = -(share * log_p[np.arange(N), KIND]).sum() / share.sum()
        squares = ((output["price"] - PRICE) ** 2)[:, 0]
        y = {"price": PRICE, "kind": kind}
        found = trainer.evaluate(X, y, {"price": w})
        assert found["price_loss"] == pytest.approx((w * squares).sum() / w.sum())
        assert found["kind_loss"] == pytest.approx(want_kind)
        assert trainer.step(X, y, {"price": w}) == pytest.approx(found["loss"])
        both = trainer.evaluate(X, y, w)
        assert both == trainer.evaluate(X, y, {"price": w, "kind": w})
        assert gd.check_gradients(net, loss, X, y, {"price": w}, loss_weights=WEIGHTS).ok

    def test_a_batch_in_which_a_head_does_not_count_trains_the_other(self) -> None:
        kind = np.where(np.arange(N) < 20, -100, KIND)  # none in the first batch
        trainer = trainer_of(network(), optimizer=gd.SGD(lr=0.1))
        before = trainer.network.state_dict()
        trainer.fit(
            X, {"price": PRICE, "kind": kind}, epochs=1, batch_size=20, shuffle=False,
            progress=False, callbacks=[_StopAfterOne()],
        )  # fmt: skip
        after = trainer.network.state_dict()
        np.testing.assert_array_equal(after["8.weight"], before["8.weight"])
        assert (after["7.weight"] != before["7.weight"]).any()

    def test_a_loss_that_weighs_nothing_trains_nothing_of_its_own(self) -> None:
        trainer = trainer_of(network(), loss_weights={"kind": 0})
        before = trainer.network.state_dict()["8.weight"]
        found = trainer.evaluate(X, Y)
        assert trainer.step(X, Y) == pytest.approx(found["price_loss"])
        np.testing.assert_array_equal(trainer.network.state_dict()["8.weight"], before)

    def test_softmax_before_cross_entropy_trains_on_logits(self) -> None:
        logits, softmax = network(), network(last="softmax")
        for _ in range(3):
            assert trainer_of(logits).step(X, Y) == trainer_of(softmax).step(X, Y)
        for key, value in logits.state_dict().items():
            np.testing.assert_array_equal(softmax.state_dict()[key], value)
        np.testing.assert_allclose(softmax.predict(X)["kind"].sum(axis=1), 1)

    def test_a_run_that_goes_on_from_a_file_has_the_same_bits(self, tmp_path: Path) -> None:
        whole, history = fitted(network("float32"), 4)
        half, _ = fitted(network("float32"), 2)
        half.save(tmp_path / "half.safetensors")
        again = gd.Trainer.load(tmp_path / "half.safetensors")
        assert again.loss == half.loss
        assert again.loss_weights == {"price": 0.1, "kind": 1.0}
        assert again.loss.keys() == LOSS.keys()
        options = {"batch_size": 16, "validation_data": (X, Y), "progress": False}
        rest = again.fit(X, Y, epochs=2, **options)
        assert rest["kind_loss"] == history["kind_loss"][2:]
        for key, value in again.network.state_dict().items():
            np.testing.assert_array_equal(whole.network.state_dict()[key], value)
        other = gd.Trainer.load(tmp_path / "half.safetensors", network=network("float32"))
        assert other.network.predict(X).keys() == LOSS.keys()

    def test_metrics_callbacks_and_a_share_held_out(self) -> None:
        trainer = trainer_of(network())
        history = trainer.fit(
            X,
            Y,
            epochs=3,
            validation_split=0.25,
            sample_weight={"price": np.ones(N)},
            metrics={"price": ["rmse"], "kind": [gd.metrics.TopK(2), "accuracy"]},
            callbacks=[callbacks.EarlyStopping("val_kind_accuracy", patience=2)],
            progress=False,
        )
        assert {"val_price_rmse", "val_kind_top2", "val_kind_accuracy"} <= set(history)
        want = np.sqrt(history["val_price_loss"])
        assert history["val_price_rmse"] == pytest.approx(want)
        found = trainer.evaluate(X, Y, metrics={"kind": ["accuracy"]})
        assert "kind_accuracy" in found
        assert "price_rmse" not in found

    def test_gradients_from_outside_and_what_is_told(self) -> None:
        net = network()
        twin = Twin(net)
        trainer = gd.Trainer(net, None, gd.SGD(lr=0.1))
        out = net.forward(X, training=True)
        net.backward({"price": 2 * (out["price"] - PRICE) / N, "kind": np.zeros((N, 4))})
        trainer.apply_gradients()
        loss = ((twin(twin.torch.tensor(XA), twin.torch.tensor(XB))[0] - twin.torch.tensor(PRICE))
                ** 2).mean()  # fmt: skip
        loss.backward()
        want = twin.of["3.weight"] - 0.1 * twin.of["3.weight"].grad
        np.testing.assert_allclose(net.state_dict()["3.weight"], want.detach(), rtol=1e-10)
        told = trainer_of(net)
        zones = [each["zone"] for each in told.operations(32)]
        assert zones.count("loss") == 1
        assert told.memory_plan(32)["total"] > 0
        assert repr(told).count("CrossEntropy") == 1
        with gd.profile() as prof:
            told.step(X, Y)
        assert "(outputs)" in str(prof.table(by="layer"))
        study = gd.scaling_study(told, X, Y, threads=(1, 2), rounds=1, seconds=0.005)
        assert study.batch_sizes == (32,)

    def test_a_function_is_a_loss_over_several_inputs(self) -> None:
        a, b = gd.Input(5, name="a"), gd.Input(3, name="b")
        net = gd.Network(inputs=[a, b], outputs=gd.Dense(1)(gd.Concat()(a, b)), dtype="float64")
        other = copy.deepcopy(net)

        def squares(prediction: Any, target: Any) -> Any:
            return ((prediction - target) ** 2).mean(1), 2 * (prediction - target) / len(target)

        own, ours = gd.Trainer(net, squares, "sgd"), gd.Trainer(other, "mse", "sgd")
        for trainer in (own, ours):
            trainer.fit(X, PRICE, epochs=2, progress=False)
            trainer.learn_one({"a": XA[0], "b": XB[0]}, PRICE[0])
        for key, value in net.state_dict().items():
            np.testing.assert_allclose(other.state_dict()[key], value, rtol=1e-12)
        first = {key: value[:5] for key, value in X.items()}
        assert gd.check_gradients(net, squares, first, PRICE[:5]).ok
        assert own.evaluate(X, PRICE)["loss"] == pytest.approx(ours.evaluate(X, PRICE)["loss"])


class _StopAfterOne(callbacks.Callback):
    def on_batch_end(self, trainer: gd.Trainer, loss: float) -> None:
        trainer.stop()


def _softmax(z: Any) -> Any:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
