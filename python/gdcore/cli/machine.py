"""The command ``gdcore info``: what runs here and why, as a report of a bug needs it."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from gdcore import show_config
from gdcore.config import Configuration
from gdcore.profiling.records import Machine

__all__ = ["EXTRAS", "machine"]

# The packages of each extra, as in pyproject.toml.
EXTRAS = {
    "cli": ("polars", "rich", "scikit-learn", "typer"),
    "data": ("pyarrow",),
    "keras": ("h5py",),
    "mlflow": ("mlflow-skinny",),
    "mpi": ("mpi4py",),
    "onnx": ("onnx",),
    "plot": ("matplotlib",),
    "profile": ("matplotlib", "pandas", "perfetto", "plotly"),
    "river": ("river",),
    "sklearn": ("scikit-learn",),
    "tensorboard": ("tensorboardX",),
    "torch": ("torch",),
}


def machine() -> Configuration:
    """What `gdcore.show_config` tells, after Python, system and processor, before packages."""
    config = show_config()
    found = {
        "version": config.pop("version"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "numpy": np.__version__,
        "platform": platform.platform(),
        "cpu": Machine.this().cpu or platform.machine(),
        **config,
        "required": {name: _version(name) for name in ("safetensors", "tqdm")},
    }
    for extra, packages in EXTRAS.items():
        found[f"extra {extra}"] = {name: _version(name) for name in packages}
    return Configuration(found)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
