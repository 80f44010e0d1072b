"""gdcore.river: streams of dicts, whose features and classes come and go."""

from __future__ import annotations

import copy
import importlib
import pickle
import random
from collections import Counter
from itertools import islice
from typing import Any

import numpy as np
import pytest
from support import ROOT

import gdcore as gd

pytest.importorskip("river.utils.dataframe", reason="river 0.26 is not installed")
pytest.importorskip("pandas", reason="pandas is not installed")

import pandas as pd
from river import checks, compose, datasets, drift, evaluate, metrics, preprocessing

from gdcore.river import MLPClassifier, MLPRegressor
from gdcore.river._replay import Reservoir


def stream(count: int, names: str = "abcd", seed: int = 0) -> list[tuple[dict[str, float], bool]]:
    """Samples by feature, and whether a weighted sum of them is above 0."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, len(names))).round(3)
    plane = np.arange(len(names)) - 1.5
    return [(dict(zip(names, row.tolist(), strict=True)), bool(row @ plane > 0)) for row in rows]


def taught(model: Any, samples: Any) -> Any:
    for x, y in samples:
        model.learn_one(x, y)
    return model


def told(model: Any) -> Any:
    """All that a model has learnt, to compare: pickles also tell what is one object."""
    state = model._learner.__getstate__()
    arrays = [state["parameters"], *state["states"]]
    kept = model._reservoir
    return (
        [{key: array.tobytes() for key, array in each.items()} for each in arrays],
        [state[key] for key in ("columns", "outputs", "room", "position")],
        getattr(model, "classes", None),
        model._scaler and [each.tolist() for each in model._scaler.__getstate__()],
        kept and (kept._state, [(a.tolist(), b.tolist(), y) for (a, b), y in kept.items]),
        model._watch and {**vars(model._watch), "detector": None},
    )


def inside(model: Any) -> tuple[Any, list[dict[str, np.ndarray]]]:
    """Parameters, and with them the optimizer's states."""
    _, parameters, states = model._learner.trainer._native.copy()
    return parameters, [parameters, *states]


MODELS = [
    MLPClassifier((8,)),
    MLPClassifier(
        (8, gd.LayerNorm(), 4), "tanh", scale=True, replay_size=10, drift_detector=drift.ADWIN()
    ),
    MLPRegressor((8,), scale=True, dtype="float64"),
]


def checked() -> list[Any]:
    """river's own checks of the models, but those over streams of thousands of samples."""
    return [
        pytest.param(model, check, id=f"{type(model).__name__}{i}-{check.__name__}-{k}")
        for i, model in enumerate(MODELS)
        for k, check in enumerate(checks.yield_checks(model))
        if check.__name__ not in model._unit_test_skips()
        and (i == 0 or check.__name__ != "check_bounded_memory_growth")
    ]


@pytest.mark.parametrize(("model", "check"), checked())
def test_rivers_own_checks(model: Any, check: Any) -> None:
    random.seed(0)
    check(model.clone())


def test_phishing_is_learnt_in_a_pipeline_and_by_the_own_scaler() -> None:
    found = {}
    for name, model in {
        "pipeline": preprocessing.StandardScaler() | MLPClassifier((32,)),
        "own": MLPClassifier((32,), scale=True),
        "selected": compose.Select("long_url", "age_of_domain") | MLPClassifier((32,)),
    }.items():
        metric = evaluate.progressive_val_score(datasets.Phishing(), model, metrics.Accuracy())
        found[name] = metric.get()
    assert found["own"] > 0.87
    assert found["pipeline"] == pytest.approx(found["own"], abs=0.01)
    assert found["selected"] < 0.8


def test_numbers_are_learnt() -> None:
    model = preprocessing.TargetStandardScaler(MLPRegressor((16,), scale=True))
    error = evaluate.progressive_val_score(datasets.TrumpApproval(), model, metrics.MAE())
    assert error.get() < 1.0  # the standard deviation is 1.8


@pytest.mark.parametrize("optimizer", ["adam", gd.SGD(0.05, momentum=0.9), "adagrad", "lion"])
def test_what_was_learnt_stays_bit_for_bit_as_features_come(optimizer: Any) -> None:
    """17 features and more ask for room; weights and states there were stay."""
    model = taught(MLPClassifier((8, 4), optimizer=optimizer), stream(30))
    _, before = inside(model)
    steps = model.samples
    names = [f"new{i}" for i in range(40)]
    model._learner.add_features(names)
    _, after = inside(model)
    assert model.features[:4] == list("abcd")
    assert after[0]["0.weight"].shape == (8, 64)
    assert model.samples == steps
    for old, new in zip(before, after, strict=True):
        for key, array in old.items():
            part = new[key][tuple(map(slice, array.shape))]
            assert part.tobytes() == array.tobytes(), key
    for state in after[1:]:
        assert not state["0.weight"][:, 16:].any()


def test_what_a_sample_lacks_stays_bit_for_bit() -> None:
    model = taught(MLPClassifier((8,)), stream(50))
    _, before = inside(model)
    taught(model, [({"b": x["b"], "d": x["d"]}, y) for x, y in stream(50, seed=1)])
    _, after = inside(model)
    for old, new in zip(before, after, strict=True):
        for column, changes in enumerate([False, True, False, True]):
            same = np.array_equal(old["0.weight"][:, column], new["0.weight"][:, column])
            assert same is not changes
        assert not np.array_equal(old["1.weight"], new["1.weight"])


def test_what_was_learnt_stays_bit_for_bit_as_classes_come() -> None:
    model = taught(MLPClassifier((8,)), stream(30))
    _, before = inside(model)
    model._learn_new({"a": 0.0}, "third")
    fresh = taught(MLPClassifier((8,)), [({"a": 0.0}, label) for label in (False, True)])
    fresh._add("third")
    row = fresh.network.state_dict()["1.weight"][2]
    grown = MLPClassifier((8,))
    taught(grown, stream(30))
    grown._add("third")
    _, after = inside(grown)
    assert np.array_equal(after[0]["1.weight"][2], row), "of seed and number alone"
    for old, new in zip(before, after, strict=True):
        for key, array in old.items():
            assert new[key][: len(array)].tobytes() == array.tobytes(), key
    assert list(model.predict_proba_one({"a": 1.0})) == [*grown.classes[:2], "third"]


def test_the_output_that_stood_for_no_class_begins_anew() -> None:
    """Of the first samples, all of one class, the second output has learnt that it is none."""
    model = taught(MLPClassifier((8,)), [(x, "one") for x, _ in stream(40)])
    assert model.predict_proba_one({"a": 1.0}) == {"one": 1.0}
    model._add("two")
    first = MLPClassifier((8,)).network.state_dict()
    parameters, (_, *states) = inside(model)
    assert np.array_equal(parameters["1.weight"][1], first["1.weight"][1])
    assert not np.array_equal(parameters["1.weight"][0], first["1.weight"][0])
    assert all(not state["1.weight"][1].any() for state in states)


def test_first_values_depend_on_seed_and_place_alone() -> None:
    def first(names: list[Any], seed: int = 0) -> np.ndarray:
        model = MLPClassifier((8,), seed=seed)
        model._learner.add_features(names)
        return model.network.state_dict()["0.weight"]

    many = first([f"f{i:03}" for i in range(100)])
    assert np.array_equal(first([f"f{i:03}" for i in range(5)]), many[:, :5])
    assert not np.array_equal(first(["f000"], seed=1), many[:, :1])
    assert many.std() == pytest.approx(8**-0.5, rel=0.1)


def test_no_order_of_a_dict_counts() -> None:
    samples = stream(60)
    turned = [(dict(reversed(x.items())), y) for x, y in samples]
    one, other = (taught(MLPClassifier((8,), scale=True), each) for each in (samples, turned))
    assert told(one) == told(other)
    mixed = MLPClassifier((8,))
    mixed.learn_one({1: 0.5, "a": 1, (2, 3): np.float32(2)}, 1)
    assert mixed.features == [1, "a", (2, 3)]


def test_a_model_goes_on_from_its_pickle_with_the_same_bits() -> None:
    model = MLPClassifier(
        (8, gd.Dropout(0.2), 4),
        scale=True,
        replay_size=20,
        replays=2,
        drift_detector=drift.ADWIN(),
        seed=3,
    )
    taught(model, stream(100))
    for copied in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        both = [
            taught(each, stream(50, "abcxyz", seed=1))
            for each in (copied, model.clone(include_attributes=True))
        ]
        assert told(both[0]) == told(both[1])
        x = stream(1, seed=2)[0][0]
        assert both[0].predict_proba_one(x) == both[1].predict_proba_one(x)
        assert copied.samples == 100 + 99 * 2 + 50 * 3


def test_a_table_is_learnt_as_its_rows_are() -> None:
    samples = stream(40)
    one, many = (MLPClassifier((8,), scale=True, replay_size=5) for _ in range(2))
    taught(one, samples)
    frame, labels = pd.DataFrame([x for x, _ in samples]), pd.Series([y for _, y in samples])
    many.learn_many(frame[["c", "a", "d", "b"]], labels)
    assert told(one) == told(many)
    frame["z"] = 1.0  # which no sample had
    shares = many.predict_proba_many(frame)
    for i, (x, _) in enumerate(samples):
        expected = one.predict_proba_one(x)
        assert shares.iloc[i].to_dict() == pytest.approx(expected, abs=1e-6)
        assert many.predict_many(frame)[i] == one.predict_one({**x, "z": 1.0})
    polars = pytest.importorskip("polars", reason="polars is not installed")
    taken = polars.DataFrame([x for x, _ in samples])
    assert many.predict_many(taken).to_list() == many.predict_many(frame).tolist()


def test_the_network_is_one_of_the_features() -> None:
    samples = stream(200)
    model = taught(MLPClassifier((8,)), samples)
    net = model.network
    assert net.input_size == 4
    assert net.feature_names == ("a", "b", "c", "d")
    x = np.array([list(x.values()) for x, _ in samples], np.float32)
    assert [model.classes[i] for i in net.predict(x).argmax(axis=1)] == [
        model.predict_one(x) for x, _ in samples
    ]


def test_numbers_of_any_kind_are_features() -> None:
    one, other = MLPRegressor((4,)), MLPRegressor((4,))
    one.learn_one({"a": 1.0, "b": 2.0, "c": 1.0}, 1.0)
    other.learn_one(Counter({"a": True, "b": np.int8(2), "c": np.float64(1)}), np.float32(1))
    assert told(one) == told(other)


def test_replays_learn_the_same_samples_again() -> None:
    model = taught(MLPClassifier((8,), replay_size=50, replays=3), stream(100))
    assert model.samples == 100 + 99 * 3
    assert len(model._reservoir.items) == 50
    again = MLPClassifier((8,), replay_size=50, replays=3, seed=1)
    assert told(taught(again, stream(100))) != told(model)


def test_a_reservoir_keeps_each_item_as_likely() -> None:
    kept = Counter[int]()
    for seed in range(400):
        reservoir = Reservoir(10, seed)
        for i in range(40):
            reservoir.offer(i)
        kept.update(reservoir.items)
    expected = 400 * 10 / 40
    assert sum((kept[i] - expected) ** 2 / expected for i in range(40)) < 70  # chi squared of 39
    drawn = Counter(reservoir.drawn(4000))
    assert set(drawn) == set(reservoir.items)
    assert max(drawn.values()) < 500


class Alarm(drift.DummyDriftDetector):
    """Finds drift once, after 60 samples."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []

    def update(self, x: float) -> None:
        self.seen.append(x)
        self._drift_detected = len(self.seen) == 60


def turned(samples: Any) -> list[Any]:
    return [(x, y if i < 55 else not y) for i, (x, y) in enumerate(samples)]


def test_drift_raises_the_learning_rate_for_a_while() -> None:
    model = MLPClassifier((8,), drift_detector=Alarm(), drift_lr_factor=4, drift_steps=3)
    rates = []
    for x, y in turned(stream(70)):
        rates.append(model.lr)
        model.learn_one(x, y)
    assert rates == [0.01] * 60 + [0.04] * 3 + [0.01] * 7
    assert model.drifts == 1
    seen = model._watch.detector.seen
    assert all(0 <= error <= 1 for error in seen)
    assert np.mean(seen[55:60]) > 0.5 > np.mean(seen[40:55])
    assert model.drift_detector.seen == [], "what was given is cloned"


def test_drift_resets_the_states() -> None:
    model = MLPClassifier((8,), drift_detector=Alarm(), drift_steps=0, drift_reset=True)
    samples = turned(stream(70))
    taught(model, samples[:60])
    parameters, (_, *states) = inside(model)
    assert all(not array.any() for state in states for array in state.values())
    assert model.lr == 0.01
    assert not np.array_equal(
        parameters["0.bias"], MLPClassifier((8,)).network.state_dict()["0.bias"]
    )


def test_a_falling_error_is_no_drift() -> None:
    model = taught(MLPClassifier((8,), drift_detector=Alarm()), stream(70))
    assert model.drifts == 0


def test_a_detector_of_right_and_wrong_is_told_that() -> None:
    class Flags(drift.binary.DDM):
        def update(self, x: bool) -> None:
            super().update(x)
            self.told = [*getattr(self, "told", []), x]

    model, watched = (
        MLPClassifier((8,), scale=True, drift_detector=each) for each in (None, Flags())
    )
    wrong = []
    for x, y in stream(50):
        row = model.predict_one(x)
        wrong.append(row is not None and row != y)
        model.learn_one(x, y)
        watched.learn_one(x, y)
    assert watched._watch.detector.told == wrong
    assert any(wrong[:8])
    with pytest.raises(TypeError, match=r"drift_detector of a regressor .* got DDM"):
        MLPRegressor(drift_detector=drift.binary.DDM())


BAD_SAMPLES = [
    (
        {"a": 1.0, "b": float("nan")},
        True,
        ValueError,
        r"x\['b'\] must be finite in float32, got NaN",
    ),
    ({"a": float("-inf")}, True, ValueError, r"x\['a'\] must be finite in float32, got -inf"),
    ({"a": 1e39}, True, ValueError, r"x\['a'\] must be finite in float32, got 1e\+39"),
    ({"a": 10**400}, True, ValueError, r"x\['a'\] must be finite, got an integer too large"),
    ({"a": 1.0, "new": "red"}, True, TypeError, r"x\['new'\] must be a number, got str 'red'"),
    ({"a": None}, True, TypeError, r"x\['a'\] must be a number, got NoneType None"),
    ({"a": 1j}, True, TypeError, r"x\['a'\] must be a number, got complex 1j"),
    ([1.0, 2.0], True, TypeError, "x must be a dict of numbers by feature, got list"),
    ({"new": 1.0}, None, TypeError, "y must be a class, got None"),
    ({"new": 1.0}, [1], TypeError, r"y must be a class that can be hashed, got \[1\]"),
    ({"new": 1.0}, float("nan"), ValueError, "y must be a class, got NaN"),
    ({"new": float("nan")}, "third", ValueError, r"x\['new'\] must be finite"),
]


@pytest.mark.parametrize(("x", "y", "error", "message"), BAD_SAMPLES)
def test_what_is_wrong_with_a_sample_is_told_and_changes_nothing(
    x: Any, y: Any, error: Any, message: str
) -> None:
    model = taught(MLPClassifier((4,), scale=True, replay_size=5), stream(10))
    before = told(model)
    with pytest.raises(error, match=message):
        model.learn_one(x, y)
    assert told(model) == before
    if error is ValueError and "y must" not in message:
        with pytest.raises(error, match=message):
            model.predict_one(x)


@pytest.mark.parametrize(
    ("y", "error"), [("high", TypeError), (float("nan"), ValueError), (1e39, ValueError)]
)
def test_what_is_wrong_with_a_target_changes_nothing(y: Any, error: Any) -> None:
    model = MLPRegressor((4,), scale=True)
    taught(model, [(x, 1.0) for x, _ in stream(10)])
    before = told(model)
    with pytest.raises(error, match="y must"):
        model.learn_one({"new": 1.0}, y)
    assert told(model) == before


def test_what_is_wrong_with_a_table_is_told() -> None:
    model = MLPRegressor((4,))
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, np.nan], "c": ["x", "y"]})
    y = pd.Series([1.0, 2.0])
    before = told(model)
    with pytest.raises(ValueError, match=r"X\['b'\] must be finite in float32, got NaN in row 1"):
        model.learn_many(frame[["a", "b"]], y)
    with pytest.raises(TypeError, match=r"X\['c'\] must hold numbers"):
        model.learn_many(frame, y)
    with pytest.raises(TypeError, match="X must be a data frame, got list"):
        model.learn_many([[1.0]], y)
    with pytest.raises(ValueError, match="y must have 2 values like X, got 1"):
        model.learn_many(frame[["a"]], y[:1])
    assert told(model) == before


BAD_ARGUMENTS: list[tuple[dict[str, Any], Any, str]] = [
    ({"hidden": 8}, TypeError, "hidden must be a tuple"),
    ({"hidden": (0,)}, ValueError, r"hidden\[0\] must be"),
    ({"hidden": (gd.Dropout(0.5),)}, ValueError, r"hidden\[0\] must be a number of units"),
    ({"activation": "rely"}, ValueError, "activation"),
    ({"loss": "mse"}, ValueError, "loss must be one for multiclass"),
    ({"loss": lambda p, t: (0, 0)}, TypeError, "loss must be one of gdcore.losses"),
    ({"optimizer": "lbfgs"}, ValueError, "optimizer must be one that learns from one sample"),
    ({"scale": 1}, TypeError, "scale must be"),
    ({"drift_detector": "adwin"}, TypeError, "drift_detector must be one of river.drift"),
    ({"drift_lr_factor": 0}, ValueError, "drift_lr_factor"),
    ({"replay_size": -1}, ValueError, "replay_size"),
    ({"dtype": "float16"}, ValueError, "dtype"),
    ({"seed": -1}, ValueError, "seed"),
]


@pytest.mark.parametrize(("given", "error", "message"), BAD_ARGUMENTS)
def test_bad_arguments_are_told(given: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        MLPClassifier(**given)


def test_the_own_scaler_is_rivers() -> None:
    model, rivers = MLPClassifier((4,), scale=True), preprocessing.StandardScaler()
    samples = [(x, y) if i % 3 else ({"b": x["b"]}, y) for i, (x, y) in enumerate(stream(40))]
    for x, y in samples:
        model.learn_one(x, y)
        rivers.learn_one(x)
    x = stream(1, seed=5)[0][0]
    _, values = model._known(x)
    scaled = rivers.transform_one(x)
    np.testing.assert_allclose(values, [scaled[name] for name in model.features], rtol=1e-12)


def test_words_that_keep_coming_are_learnt() -> None:
    """Thousands of features, of which each sample has a few; five tell the class."""
    rng = np.random.default_rng(0)
    model, right = MLPClassifier((8,)), []
    for _ in range(1500):
        y = bool(rng.integers(2))
        x = {f"word{i}": 1 for i in rng.integers(0, 5000, 8).tolist()}
        x |= {f"{y}{i}": 1 for i in rng.integers(0, 5, 2).tolist()}
        right.append(model.predict_one(x) == y)
        model.learn_one(x, y)
    assert len(model.features) > 4000
    assert np.mean(right[-300:]) > 0.9


def test_linear_models_have_no_hidden_layer() -> None:
    model = taught(MLPClassifier(()), stream(200))
    assert list(model.network.state_dict()) == ["0.weight", "0.bias"]
    model.learn_one({"new": 1.0}, "third")
    assert model.network.state_dict()["0.weight"].shape == (3, 5)
    assert MLPClassifier(()).predict_proba_one({"a": 1.0}) == {}
    assert MLPClassifier(()).predict_one({"a": 1.0}) is None


def test_a_regressor_that_has_seen_nothing_says_zero() -> None:
    model, frame = MLPRegressor(), pd.DataFrame({"a": [1.0, 2.0]})
    assert model.predict_one({"a": 1.0}) == 0.0
    assert model.predict_many(frame).tolist() == [0.0, 0.0]
    model.learn_one({"a": 1.0}, 1.0)
    assert model.predict_one({"a": 1.0}) != 0.0


def test_memory_is_told_with_that_of_the_network() -> None:
    small, large = (taught(MLPClassifier((units,)), stream(3)) for units in (8, 512))
    more = 504 * (16 + 1 + 2) * 4 * 3  # parameters, in float32, with both states of Adam
    assert large._raw_memory_usage - small._raw_memory_usage == pytest.approx(more, rel=0.05)


def test_focal_loss_and_several_classes_of_images() -> None:
    model = MLPClassifier((32,), loss="focal", scale=True)
    metric = metrics.Accuracy()
    for x, y in islice(datasets.ImageSegments(), 600):
        if model.classes:
            metric.update(y, model.predict_one(x))
        model.learn_one(x, y)
    assert len(model.classes) == 7
    assert metric.get() > 0.6


def test_the_models_of_the_benchmark_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    models = importlib.import_module("benchmarks.river_worker").MODELS
    for name in ("gdcore", "gdcore-pipeline", "gdcore-replay", "logistic-ovr", "tree"):
        _, make = models[name]
        model = make(0)
        for x, y in datasets.ImageSegments().take(20):
            model.learn_one(x, y)
        assert model.predict_one(x) is not None
