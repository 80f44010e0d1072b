"""gdcore's threads among those of other libraries: threadpoolctl sees and limits them."""

from __future__ import annotations

import pytest
from support import run_json

pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")

HEAD = """
import json
def shown():
    own = [each for each in threadpoolctl.threadpool_info() if each["internal_api"] == "gdcore"]
    return [(each["num_threads"], each["user_api"], each["version"]) for each in own]
"""
ORDERS = {
    "before": "import gdcore, threadpoolctl",
    "after": "import threadpoolctl, gdcore",
    "with scikit-learn": "import sklearn, gdcore, threadpoolctl",
}


@pytest.mark.parametrize("order", ORDERS)
def test_threadpoolctl_sees_the_threads(order: str) -> None:
    found = run_json(
        f"{ORDERS[order]}{HEAD}gdcore.set_num_threads(3)\n"
        "print(json.dumps([shown(), gdcore.__version__]))"
    )
    assert found == [[[3, "openmp", found[1]]], found[1]]


def test_limits_count_at_each_call_and_end() -> None:
    code = f"""import gdcore, sys, threadpoolctl{HEAD}
def now():
    config = gdcore.show_config()
    return config["num_threads"], config["num_threads_source"] == "set_num_threads"
found = [now()]
net = gdcore.Network([gdcore.Dense(2)], input_size=2)
with threadpoolctl.threadpool_limits(limits=1):
    found.append(now())
    with threadpoolctl.threadpool_limits(limits=2, user_api="openmp"):
        net.predict([[1.0, 2.0]])
        found.append(now())
    with threadpoolctl.threadpool_limits(limits=3, user_api="blas"):
        found.append(now())
found.append(now())
gdcore.set_num_threads(5)
with threadpoolctl.threadpool_limits(limits=2):
    found.append(now())
found.append(now())
print(json.dumps(found))
"""
    first, *rest = run_json(code)
    assert rest == [[1, True], [2, True], [1, True], first, [2, True], [5, True]]
    assert first[1] is False


def test_a_missing_threadpoolctl_is_missed_by_nobody() -> None:
    code = """
import json, sys
class Hides:
    def find_spec(self, name, path=None, target=None):
        if name == "threadpoolctl":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hides())
import gdcore
try:
    import threadpoolctl
except ModuleNotFoundError:
    print(json.dumps(gdcore.get_num_threads() > 0))
"""
    assert run_json(code) is True


def test_nothing_of_it_is_loaded_by_gdcore() -> None:
    loaded = run_json("import gdcore, json, sys; print(json.dumps(sorted(sys.modules)))")
    assert "threadpoolctl" not in loaded
