"""What the pictures of a profile share: their colours."""

from __future__ import annotations

from gdcore._pictures import Picture, drawn
from gdcore.profiling.records import Operation

__all__ = ["COLOURS", "GREY", "HATCHED", "NOTHING", "OTHER", "Picture", "drawn", "family", "ink"]

# Colours that the colour-blind can tell apart: Okabe and Ito, "Color universal design", 2008. Those
# from validation to checks, exchange, gil, recorder, yield and other were searched for so as to be
# far from all others in CIELAB, also as seen by the colour-blind.
# In the order of legends; waiting is grey, so that work stands out.
COLOURS = {
    "forward": "#0072B2",
    "loss": "#AA4499",
    "backward": "#D55E00",
    "update": "#009E73",
    "data": "#E69F00",
    "validation": "#62FF7D",
    "inference": "#A2E0A2",
    "matmul": "#5B00FF",
    "checks": "#503C12",
    "callback": "#F0E442",
    "step": "#56B4E9",
    "exchange": "#8888F0",
    "caller": "#8C6D31",
    "gil": "#5B00A5",
    "recorder": "#AF54FF",
    "wait": "#E4E4E4",
    "sleep": "#A0A0A0",
    "yield": "#6E6671",
    "other": "#35423A",
}
OTHER = "other"
HATCHED = "wait"
GREY = "#777777"
NOTHING = "Nothing was recorded."


def family(operation: Operation) -> str:
    """The key of an operation's colour: its phase, and of waiting its op."""
    name = operation.op if operation.phase == "wait" else operation.phase
    return name if name in COLOURS else OTHER


def ink(colour: str) -> str:
    """Black or white, whichever can be read on a colour such as ``"#0072B2"``."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#FFFFFF"
