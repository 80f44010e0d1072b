"""What `import gdcore` loads, and which names are shown."""

from __future__ import annotations

import ast
import builtins
import importlib
import os
import pydoc
import re
from types import ModuleType

import pytest
from support import ROOT, run_json

import gdcore as gd

INIT = ROOT / "python" / "gdcore" / "__init__.py"
PUBLIC = (
    "activations",
    "callbacks",
    "export",
    "files",
    "initializers",
    "layers",
    "losses",
    "metrics",
)
MODULES = [*PUBLIC, "optimizers", "profiling", "schedules", "training", "typing"]


def shown(module: ModuleType) -> list[str]:
    return [name for name in dir(module) if not name.startswith("__")]


def loaded_by(code: str) -> set[str]:
    """The modules that code loads, beyond NumPy's; of ours without their package."""
    loaded = run_json(
        f"import json, sys, numpy; before = set(sys.modules)\n{code}\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    return {name.removeprefix("gdcore.") for name in loaded}


HEAVY = {
    "pathlib",
    "urllib",
    "json",
    "decimal",
    "statistics",
    "html",
    "signal",
    "mmap",
    "threading",
}


def test_an_import_loads_next_to_nothing() -> None:
    """Each module takes a millisecond or so; those of the standard library are the heavy ones."""
    loaded = loaded_by("import gdcore")
    assert loaded & {"training", "network", "layers", "optimizers", "losses"} == set()
    assert not HEAVY & loaded
    assert len(loaded) < 15, loaded


@pytest.mark.parametrize("name", ["Dense", "Network", "Trainer", "Adam", "losses"])
def test_the_first_name_loads_all_that_training_needs(name: str) -> None:
    """A process may lose the right to read files, and a first step need not stop to load."""
    loaded = loaded_by(f"import gdcore; gdcore.{name}")
    assert {"training", "network", "optimizers", "layers", "losses"} <= loaded
    assert not {"profiling", "checks", "files", "persistence", "_live", "_progress", "cli"} & loaded
    assert not HEAVY & loaded


@pytest.mark.parametrize("name", ["matmul", "get_num_threads", "compute_bins"])
def test_what_trains_nothing_loads_no_trainer(name: str) -> None:
    assert "training" not in loaded_by(f"import gdcore; gdcore.{name}")


def test_training_loads_no_profiling() -> None:
    loaded = run_json(
        "import json, sys, gdcore as gd\n"
        "net = gd.Network([gd.Dense(2)], input_size=1)\n"
        "trainer = gd.Trainer(net, 'mse', 'adam')\n"
        "trainer.fit([[1.0]], [[1.0, 2.0]], epochs=1, progress=False)\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    assert not [name for name in loaded if name.startswith(("gdcore.profiling", "gdcore.checks"))]
    assert not {"safetensors", "tqdm", "html", "statistics"} & set(loaded)


def test_the_package_shows_what_it_offers() -> None:
    assert shown(gd) == sorted([*gd.__all__, "range"])
    assert gd.__all__ == sorted(gd.__all__)
    assert not set(gd.__all__) & set(vars(builtins))


def test_type_checkers_see_the_names_that_there_are() -> None:
    """They read what stands under TYPE_CHECKING, which never runs."""
    tree = ast.parse(INIT.read_text())
    branch = next(node for node in tree.body if isinstance(node, ast.If))
    told: dict[str, str] = {}
    for node in (*tree.body, *branch.body):
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            if alias.name == "*":  # a formula stands in its module's __all__ alone
                told |= dict.fromkeys(
                    importlib.import_module(str(node.module)).__all__, node.module
                )
            elif alias.asname == alias.name:
                told[alias.name] = str(node.module)
    assert sorted(told) == sorted([*gd.__all__, "range"])
    for name, module in told.items():
        value = getattr(gd, name)
        if module == "gdcore":
            assert value is importlib.import_module(f"gdcore.{name}")
        else:
            assert value is getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("name", MODULES)
def test_public_modules_show_only_public_names(name: str) -> None:
    module = getattr(gd, name)
    extra = ["range"] if name == "profiling" else []
    assert dir(module) == sorted([*module.__all__, *extra])
    assert all(hasattr(module, each) for each in module.__all__)
    assert not [each for each in module.__all__ if each.startswith("_")]


def test_help_is_an_overview_of_every_name() -> None:
    text = pydoc.plain(pydoc.render_doc(gd))
    assert len(text.splitlines()) < 180
    overview = (gd.__doc__ or "").partition("by topic")[2]
    missing = [name for name in shown(gd) if name not in overview]
    assert missing == []
    assert max(map(len, overview.splitlines())) <= 100
    for name in ("callbacks", "metrics", "schedules"):
        # Up to the next row: its lines after the first stand under what they go on with.
        row = re.split(r"\n\S", overview.partition(f" {name}: ")[2])[0]
        assert sorted(re.split(r",\s+", row.strip())) == sorted(
            each for each in getattr(gd, name).__all__ if each not in ("Metric", "Schedule")
        )


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'gdcore' has no attribute 'Dens'"):
        gd.Dens  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="Dens"):
        from gdcore import Dens  # type: ignore[attr-defined]  # noqa: F401


def test_a_star_import_leaves_python_its_own() -> None:
    space: dict[str, object] = {}
    exec("from gdcore import *", space)  # at module level is the one place that allows it
    assert set(gd.__all__) <= set(space)
    assert "range" not in space


def test_threads_that_load_in_any_order_do_not_wait_for_each_other() -> None:
    """One goes through the package's names, others through modules, as what unpickles does."""
    found = run_json("""
import importlib, json, sys, threading
import gdcore as gd
sys.setswitchinterval(1e-6)
names = ["layers", "optimizers.adam", "persistence", "training", "losses", "many", "profiling"]
ways = [lambda name=name: importlib.import_module("gdcore." + name) for name in names]
ways += [lambda: gd.Dense(2), lambda: gd.Trainer, lambda: gd.fit_many, lambda: gd.profile]
begin = threading.Barrier(len(ways))
def go(way):
    begin.wait()
    way()
threads = [threading.Thread(target=go, args=(way,), daemon=True) for way in ways]
for each in threads: each.start()
for each in threads: each.join(30)
print(json.dumps(sum(each.is_alive() for each in threads)))
""")
    assert found == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_that_forks_while_a_thread_loads_leaves_nothing_locked() -> None:
    """What the thread has locked, the child would wait for for ever."""
    found = run_json("""
import json, os, signal, sys, threading, time
import gdcore as gd
begun = threading.Event()
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "gdcore.profiling.advice":  # in the midst
            begun.set()
            time.sleep(0.5)
sys.meta_path.insert(0, Slow())
thread = threading.Thread(target=lambda: gd.profile)
thread.start()
begun.wait()
child = os.fork()
if child == 0:
    signal.alarm(20)
    gd.profile
    os._exit(0)
status = os.waitpid(child, 0)[1]
thread.join()
print(json.dumps(status))
""")
    assert found == 0
