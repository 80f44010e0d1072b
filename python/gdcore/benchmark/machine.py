"""What measured: figures say nothing without it."""

from __future__ import annotations

import os
import platform
from datetime import date
from pathlib import Path
from typing import Any

from gdcore.config import show_config

__all__ = ["machine", "machine_line"]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or "unknown processor")


def machine() -> dict[str, Any]:
    """Processor, CPUs, load and date, and what of gdcore runs here."""
    config = show_config()
    return {
        "processor": _processor(),
        "architecture": platform.machine(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "date": date.today().isoformat(),
        "gdcore": config["version"],
        "isa": config["isa"],
        "precision": config["precision"],
        "build_type": config["build_type"],
    }


def machine_line(found: dict[str, Any]) -> str:
    """The same as a line above tables."""
    return (
        f"{found['processor']}, {found['cpus']} CPUs, {found['architecture']}, {found['isa']}, "
        f"load {found['load']:.2f}, {found['date']}"
    )
