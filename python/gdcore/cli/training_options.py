"""The options of ``gdcore train`` alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gdcore._native import DTYPES
from gdcore.cli.options import completing
from gdcore.metrics import Metric
from gdcore.schedules import NAMES as SCHEDULES

__all__ = [
    "L1",
    "L2",
    "Accumulate",
    "BestBy",
    "ClassWeight",
    "ClipGradNorm",
    "ClipValue",
    "Dtype",
    "Ema",
    "Epochs",
    "Folds",
    "IdColumn",
    "Lookahead",
    "Metrics",
    "Momentum",
    "Patience",
    "Plot",
    "Profile",
    "Report",
    "Resume",
    "Sam",
    "Save",
    "Schedule",
    "Seeds",
    "Swa",
    "Threads",
    "Validation",
    "ValidationFile",
    "Warmup",
    "WeightDecay",
]

METRICS = (*Metric.members, "f1")

Momentum = Annotated[float | None, typer.Option(help="Of sgd and rmsprop; else the optimizer's.")]
WeightDecay = Annotated[float | None, typer.Option(help="Else the optimizer's.")]
ClipGradNorm = Annotated[
    float | None,
    typer.Option(
        "--clip-grad-norm",
        "--clip-norm",
        metavar="NORM",
        help="The largest norm of a gradient.",
    ),
]
ClipValue = Annotated[
    float | None,
    typer.Option(metavar="VALUE", help="The largest absolute value in a gradient."),
]
L1 = Annotated[
    float | None, typer.Option(metavar="WEIGHT", help="Of a penalty on |w|, without biases.")
]
L2 = Annotated[
    float | None,
    typer.Option(metavar="WEIGHT", help="Of a penalty on w^2 / 2, without biases."),
]
Lookahead = Annotated[
    int | None,
    typer.Option(metavar="K", help="Every K steps goes back half of the way that they went."),
]
Sam = Annotated[
    float | None,
    typer.Option(
        metavar="RHO",
        help="Takes each gradient so far uphill, for wide minima: twice the time.",
    ),
]
Ema = Annotated[
    float | None,
    typer.Option(
        metavar="DECAY",
        help="Keeps the exponential average of the weights, e.g. 0.999, and judges and "
        "predicts by it.",
    ),
]
Swa = Annotated[
    int | None,
    typer.Option(metavar="EPOCH", help="The same with the mean of the weights from that epoch on."),
]
Schedule = Annotated[
    str,
    typer.Option(
        autocompletion=completing([*SCHEDULES, "plateau"]),
        help="Of the learning rate: constant; step, a tenth after each third of the epochs; "
        "exponential, down to a hundredth; cosine and linear, down to 0; one_cycle, up and far "
        "down; flat_cos, down in the last quarter; coslog, up and down in four cycles; plateau, a "
        "tenth where the held-out rows have not become better for 10 epochs.",
    ),
]
Warmup = Annotated[
    int, typer.Option(metavar="EPOCHS", help="First epochs, of a rising learning rate.")
]
Epochs = Annotated[int, typer.Option(help="How often to go over the samples.")]
Accumulate = Annotated[
    int, typer.Option(metavar="N", help="Batches an update: the gradient is that of them all.")
]
Slices = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="In how many slices batches are cut whose sums ranks share: results follow this "
        "number and not that of ranks. 8 on several ranks; else none.",
    ),
]
BestBy = Annotated[
    str | None,
    typer.Option(
        "--metric",
        metavar="NAME",
        autocompletion=completing(("loss", *METRICS)),
        help="What the best epoch is chosen by, and --patience waits for: loss, or one of "
        "--metrics. Without --patience all epochs are done, and the weights of the best taken.",
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        "--patience",
        "--early-stopping",
        metavar="EPOCHS",
        help="Stops where the held-out rows have not been judged better for so many, and takes "
        "the weights of the best.",
    ),
]
Metrics = Annotated[
    str | None,
    typer.Option(
        metavar="A,B",
        autocompletion=completing(METRICS),
        help=f"What else to tell: {', '.join(METRICS)}.",
    ),
]
Dtype = Annotated[
    str,
    typer.Option(autocompletion=completing(DTYPES), help="float32 or float64."),
]
Seeds = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Trains so many networks at once, with the seeds from --seed on, and tells mean "
        "and spread of their figures; --save writes them as one model.",
    ),
]
Folds = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        help="Cuts the rows into so many parts, in place of --validation, and trains a network "
        "(with --seeds several) for each part that is held out.",
    ),
]
Threads = Annotated[int | None, typer.Option(help="How many; else all that are free.")]
Validation = Annotated[
    float,
    typer.Option(
        "--validation", "--validation-split", help="Share of the rows to hold out; 0 for none."
    ),
]
Resume = Annotated[
    Path | None,
    typer.Option(
        metavar="MODEL",
        help="Goes on with a model that --save wrote, for --epochs more: what it says of "
        "columns, network and optimizer holds.",
    ),
]
Save = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Where to write the model (safetensors).")
]
Plot = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Where to draw the losses: .png, .svg, ...")
]
Profile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Records the training: .html, a report; .json, .json.gz or .pftrace, a trace for "
        "Perfetto; .speedscope.json, a flame graph; .png, .svg or .pdf, a timeline; .npz, the "
        "events.",
    ),
]
ClassWeight = Annotated[
    str | None,
    typer.Option(
        metavar="A=1,B=3",
        help="How much rows of a class count in training: balanced, a=1,b=3, or JSON.",
    ),
]
IdColumn = Annotated[
    list[str] | None,
    typer.Option(
        metavar="A,B", help="Columns that are no inputs, and are written beside predictions."
    ),
]
ValidationFile = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Rows to hold out, in place of a share of those of DATA."),
]
Report = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Writes how good predictions are as a page: .html, without network."
    ),
]
