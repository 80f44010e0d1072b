"""What limits gradients before an update; the argument ``clip`` of `gdcore.Trainer`.

>>> trainer = gdcore.Trainer(net, "mse", "sgd", clip=gdcore.ClipNorm(1.0, per="parameter"))

It sees the gradient of the batch's loss over what trains; weight decay of an optimizer comes later,
in the update. The bits do not depend on threads or on how a step is shared.
"""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar, Literal

from gdcore._check import real, real_field
from gdcore._formula import Formula, formula
from gdcore._names import choice

__all__ = ["AdaptiveClip", "Clip", "ClipNorm", "ClipValue"]


def __dir__() -> list[str]:
    return __all__


ClipPer = Literal["all", "layer", "parameter"]
_PER: tuple[ClipPer, ...] = ("all", "layer", "parameter")


def _per(argument: str, value: object) -> ClipPer:
    return choice(argument, value, _PER)


def _limit(argument: str, value: object) -> float:
    return real(argument, value, above=0)


class Clip(Formula, family="a clip"):
    """Base of what limits gradients."""

    def native(self) -> tuple[str, float, float]:
        """What is limited together, by how much, and what a unit's weights count at least."""
        raise NotImplementedError


@formula
class ClipNorm(Clip):
    """Limits the Euclidean norm of the gradient: of all parameters together, or part by part.

    g <- g min(1, max_norm / (|g| + 1e-6)), as PyTorch's ``clip_grad_norm_``

    ``ClipNorm(c)`` is the trainer's ``clip_grad_norm=c``; ``per="parameter"`` is what Keras calls
    clipnorm.

    Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks",
    ICML 2013, arXiv:1211.5063.

    Args:
        max_norm: The largest norm, finite and above 0.
        per: What g is: the gradient of ``"all"`` parameters, of those of a ``"layer"``, or of one
            ``"parameter"``, as `gdcore.Network.state_dict` has them.

    Raises:
        TypeError: max_norm is no number, or per no string.
        ValueError: An argument is out of its domain.
    """

    name: ClassVar[str] = "clip_norm"
    max_norm: float = field(metadata={"check": _limit})
    per: ClipPer = field(default="all", metadata={"check": _per})

    def native(self) -> tuple[str, float, float]:
        """See `Clip.native`."""
        return self.per, self.max_norm, 0.0


@formula
class ClipValue(Clip):
    """Limits each element of the gradient.

    g <- min(max(g, -max_value), max_value), as PyTorch's ``clip_grad_value_``

    Args:
        max_value: The largest absolute value, finite and above 0.

    Raises:
        TypeError: max_value is no number.
        ValueError: It is not finite or not above 0.
    """

    name: ClassVar[str] = "clip_value"
    max_value: float = field(metadata={"check": _limit})

    def native(self) -> tuple[str, float, float]:
        """See `Clip.native`."""
        return "value", self.max_value, 0.0


@formula
class AdaptiveClip(Clip):
    """Limits the gradient of each unit to a share of its weights' norm.

    g_i <- g_i min(1, clipping max(|w_i|, eps) / |g_i|)

    for the weights w_i that lead to unit i: a row of a weight, which is (units, inputs); of an
    Embedding one code's row; a bias is one w_i as a whole. The form is that of optax's
    ``adaptive_grad_clip``.

    Source: Brock et al., "High-performance large-scale image recognition without normalization",
    ICML 2021, arXiv:2102.06171.

    Args:
        clipping: The largest share, finite and above 0.
        eps: What |w_i| counts at least, so that weights can leave 0; at least 0.

    Raises:
        TypeError: An argument is no number.
        ValueError: An argument is not finite or out of its domain.
    """

    name: ClassVar[str] = "clip_adaptive"
    clipping: float = real_field(0.01, above=0)
    eps: float = real_field(1e-3, at_least=0)

    def native(self) -> tuple[str, float, float]:
        """See `Clip.native`."""
        return "unit", self.clipping, self.eps


def resolve_clip(clip: object, clip_grad_norm: object) -> Clip | None:
    """The trainer's arguments of both names.

    Raises:
        TypeError: clip is none, or clip_grad_norm no number.
        ValueError: Both are given, or clip_grad_norm is out of its domain.
    """
    if clip_grad_norm is not None:
        norm = ClipNorm(real("clip_grad_norm", clip_grad_norm, above=0))
        if clip is not None:
            raise ValueError(
                "clip and clip_grad_norm must not be given together: clip_grad_norm=c is "
                "clip=gdcore.ClipNorm(c)"
            )
        return norm
    if clip is None:
        return None
    if isinstance(clip, type) and issubclass(clip, Clip):
        raise TypeError(f"clip must be an object, got the class: write {clip.__name__}(...)")
    if not isinstance(clip, Clip):
        raise TypeError(
            "clip must be None or such as gdcore.ClipNorm(1.0, per='parameter'), got "
            f"{type(clip).__name__}"
        )
    return clip
