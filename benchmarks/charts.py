"""Pictures of a run: `python -m benchmarks.charts RESULTS.json FOLDER`, or `--charts` of the run.

Each has what the table of its part has; a part that was not measured has no picture.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.steps import BY_DEFAULT, MEAN, TIMES
from gdcore._pictures import STYLE
from gdcore.benchmark.figures import Row

__all__ = ["draw", "main"]

# Colours that the colour-blind can tell apart: Okabe and Ito, "Color universal design", 2008.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#AA4499", "#56B4E9", "#000000")
_GREY = "#777777"


def _axes(columns: int, lines: int, thickness: float) -> tuple[Any, list[Any]]:
    """A figure of axes side by side that share so many lines, each of some inches."""
    from matplotlib.figure import Figure  # not pyplot, which would look for a screen

    height = 1.5 + thickness * lines
    fig = Figure(figsize=(8.5, height), layout="constrained")
    axes = list(fig.subplots(1, columns, sharey=True, squeeze=False)[0])
    axes[0].set_ylim(lines - 0.4, -0.6)  # the first row on top
    for each in axes:
        each.grid(axis="x")
        each.tick_params(axis="y", length=0)
    return fig, axes


def _names(axes: Any, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)


def _plain(axis: Any, subs: tuple[int, ...] = (1, 2, 5)) -> None:
    """Numbers of a logarithmic axis as 0.5, 20 and 3,000, few enough to be read."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(10, subs=subs, numticks=15))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_formatter(NullFormatter())


def _ratios(rows: Sequence[Row]) -> Any | None:
    """How many times as fast as the best peer, by case, from 1 on to either side."""
    rows = [row for row in rows if row.get(TIMES) is not None]
    if not rows:
        return None
    fig, (axes,) = _axes(1, len(rows), 0.5)
    labels = {TIMES: "gdcore's best number of threads", BY_DEFAULT: "the one that it chooses"}
    values = [row[key] for row in rows for key in labels]
    for k, (key, label) in enumerate(labels.items()):
        y = [i + 0.4 * (k - 0.5) for i in range(len(rows))]
        ratios = [row[key] for row in rows]
        widths = [ratio - 1 for ratio in ratios]
        axes.barh(y, widths, 0.36, left=1, color=_COLOURS[(0, 5)[k]], label=label)
        for at, ratio in zip(y, ratios):
            beyond = ratio >= 1
            axes.annotate(
                f"{ratio:.2f}",
                (ratio, at),
                (3 if beyond else -3, 0),
                textcoords="offset points",
                ha="left" if beyond else "right",
                va="center",
                fontsize=8,
            )
    axes.set_xscale("log")
    axes.set_xlim(min(0.8, min(values) / 1.4), max(1.3, max(values) * 1.4))
    _plain(axes.xaxis)
    axes.axvline(1, color=_GREY, linewidth=1)
    _names(axes, [row["case"] for row in rows])
    if rows[-1]["case"] == MEAN:
        axes.axhline(len(rows) - 1.5, color=_GREY, linewidth=0.8, linestyle=":")
    axes.set_xlabel("times as fast as the fastest peer (logarithmic; above 1 is faster)")
    fig.legend(loc="outside upper right", ncols=2)
    fig.suptitle("Training steps", x=0.01, ha="left", fontsize=11)
    return fig


def _step_times(rows: Sequence[Row]) -> Any | None:
    """Microseconds of a step, by case and library, each with its best number of threads."""
    rows = [row for row in rows if row["case"] != MEAN]
    best: dict[str, dict[int, float]] = {}
    for i, row in enumerate(rows):
        for column, value in row.items():
            if column.endswith(", us") and isinstance(value, float):
                library = column.removesuffix(", us").rpartition(" ")[0]
                of_library = best.setdefault(library, {})
                of_library[i] = min(value, of_library.get(i, value))
    if not best:
        return None
    fig, (axes,) = _axes(1, len(rows), 0.36)
    for k, (library, found) in enumerate(best.items()):
        axes.scatter(
            list(found.values()),
            list(found),
            s=55 if k == 0 else 38,
            marker="oDs^v"[k % 5],
            color=_COLOURS[k],
            label=library,
            zorder=3 if k == 0 else 2,
        )
    axes.set_xscale("log")
    _plain(axes.xaxis, subs=(1,))
    axes.grid(axis="y")
    _names(axes, [row["case"] for row in rows])
    axes.set_xlabel("microseconds a step (logarithmic), with the best number of threads")
    fig.legend(loc="outside upper right", ncols=len(best))
    fig.suptitle("Training steps", x=0.01, ha="left", fontsize=11)
    return fig


def _scaling(rows: Sequence[Row]) -> Any | None:
    """Speed over that of one thread, by case and number of threads."""
    counts = [key for key in rows[0] if key.endswith(", us")]
    fig, (axes,) = _axes(1, len(rows), 0.36)
    for k, key in enumerate(counts):
        name = key.removesuffix(", us")
        chosen = name == "None"
        axes.scatter(
            [row[counts[0]] / row[key] for row in rows],
            range(len(rows)),
            s=120 if chosen else 45,
            facecolors="none" if chosen else _COLOURS[k % len(_COLOURS)],
            edgecolors="#000000" if chosen else "none",
            label="what gdcore chooses" if chosen else f"threads: {name.removeprefix('x')}",
            zorder=3,
        )
    axes.grid(axis="y")
    _names(axes, [row["case"] for row in rows])
    axes.set_xlim(left=0)
    axes.set_xlabel("times as fast as one thread")
    fig.legend(loc="outside upper right", ncols=min(6, len(counts)))
    fig.suptitle("Threads", x=0.01, ha="left", fontsize=11)
    return fig


def _updates(rows: Sequence[Row]) -> Any | None:
    """Bytes a second of each rule on large arrays over those of memory, gdcore and PyTorch."""
    rows = [row for row in rows if row.get("of memory") is not None]
    if not rows:
        return None
    counts = sorted({row["threads"] for row in rows})
    rules = list(dict.fromkeys(row["rule"] for row in rows))
    fig, panels = _axes(len(counts), len(rules), 0.45)
    for axes, count in zip(panels, counts):
        ours = [row for row in rows if row["threads"] == count]
        theirs = [row for row in ours if row.get("times PyTorch")]
        at = {rule: i for i, rule in enumerate(rules)}
        bars = (
            ("gdcore", ours, [row["of memory"] for row in ours]),
            ("PyTorch", theirs, [row["of memory"] / row["times PyTorch"] for row in theirs]),
        )
        for k, (label, those, shares) in enumerate(bars):
            if those:
                y = [at[row["rule"]] + 0.4 * (k - 0.5) for row in those]
                drawn = axes.barh(y, shares, 0.36, color=_COLOURS[k], label=label)
                axes.bar_label(drawn, [f"{share:.0%}" for share in shares], padding=2, fontsize=8)
        axes.axvline(1, color=_GREY, linewidth=1)
        axes.set_xlim(0, max(1.15, axes.get_xlim()[1] * 1.1))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.set_title(f"{count} thread{'s' if count > 1 else ''}")
        axes.set_xlabel("of the memory's speed")
    _names(panels[0], rules)
    fig.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    fig.suptitle(
        f"Update rules, {rows[0]['parameters'] / 1e6:.1f} million parameters",
        x=0.01,
        ha="left",
        fontsize=11,
    )
    return fig


# Which part each picture is of.
_CHARTS: dict[str, tuple[str, Callable[[Sequence[Row]], Any | None]]] = {
    "ratios": ("steps", _ratios),
    "step-times": ("steps", _step_times),
    "scaling": ("scaling", _scaling),
    "updates": ("updates", _updates),
}


def draw(found: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draws what a run has found, as it is in its JSON, and returns the PNG files.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    from matplotlib import rc_context

    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for name, (part, chart) in _CHARTS.items():
        for rows in found["parts"].get(part, {}).values():
            with rc_context(STYLE):
                fig = chart(rows)
                if fig is not None:
                    paths.append(folder / f"{name}.png")
                    fig.savefig(paths[-1], dpi=120)
    return paths


def main() -> None:
    """Draws the results of an earlier run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.charts", description=__doc__)
    parser.add_argument("results", type=Path, metavar="RESULTS.json")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    for path in draw(json.loads(arguments.results.read_text()), arguments.folder):
        print(path)


if __name__ == "__main__":
    main()
