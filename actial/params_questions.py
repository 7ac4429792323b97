"""Settings of section `build_qa` about more than one pair of views."""

from __future__ import annotations

from dataclasses import dataclass

from actial.errors import UserError
from actial.typed_yaml import setting

THREE_VIEW_KINDS = ("between", "arc_order")
"""Kinds of questions about three views (`actial.questions.three_views`); they are asked in mode direct alone."""


@dataclass(frozen=True)
class ThreeViews:
    """Which three views are asked about: those whose cameras stand on one arc around the subject, clear of one another."""

    min_gap_deg: float = setting("Least angle around the subject between neighbours on the arc, degrees; less is ambiguous, and dropped.", gt=0, le=89)
    max_arc_deg: float = setting("Arcs of this size or larger are not asked about, degrees; below 180 the three have one order alone.", gt=0, le=179)
    triples_per_kind: int = setting("Most triples of views of a scene that a kind asks about, each in one order of the pictures.", ge=1)

    def __post_init__(self) -> None:
        if self.max_arc_deg <= 2 * self.min_gap_deg:
            raise UserError(
                f"build_qa.three_views.max_arc_deg is {self.max_arc_deg:g}; it must be larger than two gaps of min_gap_deg ({self.min_gap_deg:g} degrees each)"
            )
