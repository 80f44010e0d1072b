"""Where labels of points have room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Label", "Segment", "placed"]

Segment = tuple[float, float, float, float]  # x and y of both ends

_FAR = (1.0, 1.8, 2.8, 4.0, 5.5, 7.5)  # gaps to try, in heights of a label
_DIRECTIONS = 16
_MARGIN = 2.0


@dataclass(frozen=True)
class Label:
    """What is to be placed, in any unit, `y` upwards.

    Attributes:
        anchors: Places that it can stand beside; the first that has room is taken.
        gap: How far it stays from its anchor at least, such as a point's radius.
        width: Of the text.
        height: Likewise.
        reach: How many of the distances to try, the nearest first.
    """

    anchors: Sequence[tuple[float, float]]
    gap: float
    width: float
    height: float
    reach: int = len(_FAR)


def placed(
    labels: Sequence[Label],
    size: tuple[float, float],
    lines: Sequence[Segment] = (),
    discs: Sequence[tuple[float, float, float]] = (),
) -> list[tuple[float, float] | None]:
    """Puts each label beside its anchor, the first ones before others.

    Args:
        labels: The most important first.
        size: Of the picture, whose lower left corner is at (0, 0).
        lines: What no label may cross.
        discs: x, y and radius of what no label should cover.

    Returns:
        The lower left corner of each; None where there is no place within the picture that is on
        no line and on no other label.
    """
    taken: list[tuple[float, float, float, float]] = []
    segments = np.array(lines, float).reshape(-1, 4)
    covered = np.array(discs, float).reshape(-1, 3)
    found: list[tuple[float, float] | None] = []
    for label in labels:
        place = _free(label, size, segments, covered, taken)
        if place is not None:
            taken.append((*place, place[0] + label.width, place[1] + label.height))
        found.append(place)
    return found


def _free(
    label: Label,
    size: tuple[float, float],
    segments: NDArray[np.float64],
    discs: NDArray[np.float64],
    taken: list[tuple[float, float, float, float]],
) -> tuple[float, float] | None:
    corners = _candidates(label)
    boxes = np.column_stack([corners, corners + np.array([label.width, label.height])])
    grown = boxes + np.array([-_MARGIN, -_MARGIN, _MARGIN, _MARGIN])
    allowed = (grown[:, :2] >= 0).all(axis=1) & (grown[:, 2:] <= size).all(axis=1)
    for other in taken:
        allowed &= ~_overlap(grown, np.array(other))
    for segment in segments:
        allowed &= ~_crossed(grown, segment)
    if not allowed.any():
        return None
    # Of places on points, those on the fewest; candidates are in the order of their distance.
    hidden = np.zeros(len(boxes))
    for x, y, radius in discs:
        near_x, near_y = np.clip(x, boxes[:, 0], boxes[:, 2]), np.clip(y, boxes[:, 1], boxes[:, 3])
        hidden += (near_x - x) ** 2 + (near_y - y) ** 2 < radius**2
    best = int(np.flatnonzero(allowed)[np.argmin(hidden[allowed])])
    return float(corners[best, 0]), float(corners[best, 1])


def _candidates(label: Label) -> NDArray[np.float64]:
    """Lower left corners around the anchors, the nearest first, to the right before others."""
    places = []
    for far in _FAR[: label.reach]:
        # The nearest edge or corner of the label is at that distance from the anchor.
        gap = label.gap + (far - 1) * label.height
        for x, y in label.anchors:
            for k in range(_DIRECTIONS):
                turn = (k + 1) // 2 * (1 if k % 2 else -1) * 2 * np.pi / _DIRECTIONS
                right, up = float(np.cos(turn)), float(np.sin(turn))
                left = x + right * gap + (right - 1) / 2 * label.width
                places.append((left, y + up * gap + (up - 1) / 2 * label.height))
    return np.array(places)


def _overlap(boxes: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.bool_]:
    left, bottom, right, top = boxes.T
    apart: NDArray[np.bool_] = (left >= other[2]) | (right <= other[0])
    apart |= (bottom >= other[3]) | (top <= other[1])
    return ~apart


def _crossed(boxes: NDArray[np.float64], segment: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which boxes a segment goes through: it is cut to each, and something is left.

    Source: Liang and Barsky, "A new concept and method for line clipping", ACM Transactions on
    Graphics 3(1), 1984.
    """
    x, y, to_x, to_y = segment
    enters, leaves = np.zeros(len(boxes)), np.ones(len(boxes))
    outside: NDArray[np.bool_] = np.zeros(len(boxes), bool)
    for start, step, low, high in (
        (x, to_x - x, boxes[:, 0], boxes[:, 2]),
        (y, to_y - y, boxes[:, 1], boxes[:, 3]),
    ):
        if step == 0:
            outside = outside | (low > start) | (high < start)
            continue
        first, second = (low - start) / step, (high - start) / step
        enters = np.maximum(enters, np.minimum(first, second))
        leaves = np.minimum(leaves, np.maximum(first, second))
    found: NDArray[np.bool_] = ~outside & (enters <= leaves)
    return found
