"""The table of what exists in which target of an export."""

from __future__ import annotations

from gdcore import export
from gdcore.activations import Activation

TITLES = {
    "torch": "PyTorch",
    "onnx": "ONNX",
    "c": "C",
    "keras": "Keras",
    "sklearn": "scikit-learn",
}


def targets() -> str:
    """A row for each layer; activations that go to the same ones share a row."""
    rows = [
        "| layer or activation | " + " | ".join(TITLES.values()) + " |",
        "|---" * (1 + len(TITLES)) + "|",
    ]
    activations = {each.__name__ for each in Activation.members.values()}
    shared: dict[tuple[str, ...], list[str]] = {}
    for name, there in export.targets().items():
        if name in activations:
            shared.setdefault(there, []).append(name)
        else:
            rows.append(_row([name], there))
    rows += [_row(names, there) for there, names in shared.items()]
    return "\n".join(rows)


def _row(names: list[str], there: tuple[str, ...]) -> str:
    cells = ["yes" if target in there else "" for target in TITLES]
    return f"| {', '.join(f'`{name}`' for name in names)} | " + " | ".join(cells) + " |"
