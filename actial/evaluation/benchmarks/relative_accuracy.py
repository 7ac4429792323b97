"""Mean relative accuracy (MRA): what a number earns by how far it is from the truth. VSI-Bench (arXiv 2412.14171) introduced it, SPAR-Bench took it over.

For each of the ten thresholds θ = .50, .55, …, .95 a relative error |answer - truth| / |truth| earns one tenth where it is at most 1 - θ: 1 for an error of at
most 5 %, 0 for one beyond 50 %.

*Thresholds.* The authors' code asks for (.95 - .50) / .05 + 2 points and drops the fraction; VLMEvalKit took it over with a doubt whether that is one too
many. It is not: in floating point the sum is 10.999…, so that ten points are made, those of the paper.

*Ties.* The paper writes "below 1 - θ", the code of its authors and of both kits "at most", in floating point. It matters where an error falls on a threshold:
with 3 told of 4 (error .25) the code gives .6, the paper's words .5. `mean_relative_accuracy` is what the code gives, bit by bit, since every published number
was made with it (errors of .20 and .45 earn nothing at their own threshold there, as 1 - .80 is a little less than .20 in floating point);
`mean_relative_accuracy_as_written` is the paper's formula, exactly.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

_ALLOWED = 1 - np.linspace(0.5, 0.95, 10)
_ALLOWED_AS_WRITTEN = tuple(Fraction(percent, 100) for percent in range(50, 0, -5))


def relative_error(answer: float, truth: float) -> float:
    """|answer - truth| / |truth|; for a truth of 0 the absolute error, as SPAR-Bench has it (VSI-Bench has no such truth)."""
    return abs(answer - truth) / abs(truth) if truth else abs(answer)


def mean_relative_accuracy(answer: float, truth: float) -> float:
    """What the code of the authors and of both kits gives, from 0 to 1; not a number earns 0."""
    return float((relative_error(answer, truth) <= _ALLOWED).mean())


def mean_relative_accuracy_as_written(answer: float, truth: float) -> float:
    """What the paper's formula gives, from 0 to 1, in exact arithmetic on the decimal numbers as they are written."""
    told, right = Fraction(str(answer)), Fraction(str(truth))
    error = abs(told - right) / (abs(right) or 1)
    return sum(error < allowed for allowed in _ALLOWED_AS_WRITTEN) / len(_ALLOWED_AS_WRITTEN)
