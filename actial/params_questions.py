"""Settings of section `build_qa`: which questions are asked, where they are too close to call, and what audits them."""

from __future__ import annotations

from dataclasses import dataclass

from actial.errors import UserError
from actial.params_external import External
from actial.records import SAT_KINDS
from actial.typed_yaml import setting

_TOLD_BY_PARTS = ("lateral", "orbit", "turn", "perspective")
_TOLD_BY_MEASURES = ("forward", "vertical", "direction", "pitch", "roll", "front", "radial", "orbit_angle", "turn_angle", "moved", "turned")
QUESTION_KINDS = (*_TOLD_BY_PARTS, *_TOLD_BY_MEASURES, "consistency", "alteration")
KINDS_OF_TWO_SIDES = (*_TOLD_BY_PARTS, "forward", "vertical", "pitch", "roll", "front", "radial")
"""Kinds whose options are two sides and none."""
THREE_VIEW_KINDS = ("between", "arc_order")
"""Kinds of questions about three views (`actial.questions.three_views`)."""
KINDS_WITH_CHAINS = {
    "short": _TOLD_BY_PARTS,
    "full": (*_TOLD_BY_PARTS, *_TOLD_BY_MEASURES, *THREE_VIEW_KINDS),
    "teacher": (*_TOLD_BY_PARTS, *_TOLD_BY_MEASURES),
}
"""Kinds of questions about which chains of thought can be written in each wording (`actial.mix.reasoning`, `evidence`, `arc_evidence`), and by a teacher; the
others are asked in mode direct alone."""
BANDS = ("lateral", "turn", "orbit", "forward", "vertical", "direction", "pitch", "roll", "radial", "front", "moved", "turned", "consistency")
"""Fields of the build_qa section that hold thresholds."""


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


@dataclass(frozen=True)
class Band:
    """Sizes of a movement that are asked about. Between "none" and the first size asked a pair is ambiguous, and dropped."""

    none_below: float = setting('Smaller than this counts as "none".', gt=0)
    asked_from: float = setting("Smallest size asked about as left or right.", gt=0)
    asked_to: float | None = setting("Largest size asked about as left or right; null for any.", gt=0)


AUDIT_PROBES = ("text", "alone", "same_twice", "pixels", "colors", "shift", "size", "floor", "flow")
"""What `questions.readings.PROBES` describes."""


@dataclass(frozen=True)
class Audit:
    """What answers the questions without reasoning about space: probes trained afresh on less than what is asked about."""

    probes: dict[str, float] = setting(
        f"Probes that are run ({', '.join(AUDIT_PROBES)}), each with how far above chance it may answer a kind that it has no right to know before the stage "
        "fails, as a share of the questions; none for no audit.",
        ge=0,
        le=1,
    )
    learners: tuple[str, ...] = setting(
        "What is trained on each reading: linear (discriminant analysis), trees (gradient boosting; a hundred times slower).", choices=("linear", "trees")
    )
    n_questions: int = setting(
        "Questions of each kind that are audited, whole scenes drawn by the seed; a kind with fewer than 2,400 gets no verdict.", ge=2400
    )
    bound: float = setting("Largest difference from chance that counts as none, as a share of the questions.", gt=0, le=0.5)
    n_ceiling: int = setting("Questions of each kind that are also answered by matching points and an essential matrix, as a ceiling; slow. 0 for none.", ge=0)


@dataclass(frozen=True)
class BuildQA:
    """Questions about pairs of views, and about three."""

    splits: dict[str, float] = setting("Share of scenes of each split: train, rl, val, test; of the scenes whose geometry family is not held out.", ge=0, le=1)
    held_out_families: tuple[str, ...] = setting("Geometry families whose scenes are asked about in the test alone; the splits share out the others.")
    kinds: tuple[str, ...] = setting(
        "Kinds of questions (`questions.kinds`, `questions.three_views`; `questions.sat_kinds`, which need rendered views).",
        choices=QUESTION_KINDS + THREE_VIEW_KINDS + SAT_KINDS,
    )
    sat_splits: tuple[str, ...] = setting(
        "Splits in which the kinds about things (`questions.sat_kinds`) are asked, such as [rl, test] for GRPO's fresh prompts and for what was never taught.",
        choices=("train", "rl", "val", "test"),
    )
    pairs_per_kind: int = setting(
        'Most pairs of views of a scene that a kind asks about, each in both orders; a third of them are "none", where there are two sides.', ge=3
    )
    none: str = setting(
        'Whether "none" (it stayed in place, it did not turn) is right as often as either side (balanced), or offered and never right (never), as in the '
        "published data; never is for kinds of two sides and none.",
        choices=("balanced", "never"),
    )
    wordings: int = setting("Wordings of each kind that are used.", ge=1, le=4)
    lateral: Band = setting(
        "Sideways movement, shares of the first camera's distance r to the subject; none also needs the whole movement to be below none_below."
    )
    turn: Band = setting("Turn about the vertical, degrees; also for turn_angle.")
    orbit: Band = setting("Movement around the subject, degrees; also for perspective and orbit_angle.")
    forward: Band = setting("Movement along the first camera's level viewing direction, r; none as for lateral.")
    vertical: Band = setting("Movement up or down, r; none as for lateral.")
    direction: Band = setting("Largest of the lateral, forward and vertical parts of a movement, r; none as for lateral.")
    direction_ratio: float = setting("Main direction: the largest part of the movement is at least so many times the next.", ge=1)
    pitch: Band = setting("Change of the viewing direction's elevation, degrees.")
    roll: Band = setting("Change of the horizon's tilt, degrees.")
    radial: Band = setting("The larger of the two distances to the subject as a multiple of the smaller; above 1.")
    front: Band = setting("Movement to the sides of an object that faces out of its own annotated front, r; none as for lateral.")
    moved: Band = setting("Whole movement, r: no below none_below, yes from asked_from on.")
    turned: Band = setting("Angle of the whole rotation, degrees: no below none_below, yes from asked_from on.")
    caliper: float | None = setting(
        "Keep only pairs that have a twin: the same answer with the coarse layouts of the two pictures exchanged, so that no layout tells left from right "
        "(nor up from down, forward from back). Largest distance between twins; 1 is 0.06 picture widths in where the subject sits. Triples and pairs that may "
        "have been altered are evened out by such layouts, too. null: keep all.",
        gt=0,
        le=10,
    )
    consistency: Band = setting(
        "By how much the object's points miss, at the least, what any movement of the camera explains, pixels: the same below none_below, altered from "
        "asked_from on; also for alteration. Asked of pairs whose cameras stand at least moved.asked_from apart."
    )
    option_gap_deg: float = setting("orbit_angle and turn_angle: least difference between the sizes offered as options, degrees.", ge=1, le=45)
    min_level_distance_r: float = setting("Orbit and perspective: least level distance of both cameras from the subject's axis, r.", gt=0, le=1)
    three_views: ThreeViews = setting("Which three views are asked about.")
    n_families: int = setting("Most families of test questions whose answers can contradict each other (`actial.questions.families`); 0 for none.", ge=0)
    n_questions_2d: int = setting(
        "Questions that need no third dimension, about pairs of the test: can a model read pictures and answer at all? 0 for none.", ge=0
    )
    max_pitch_deg: float = setting("Cameras pitched beyond this are not asked about, degrees.", gt=0, le=89)
    audit: Audit = setting("What answers the questions without reasoning about space.")
    external: tuple[External, ...] = setting("Data sets from outside, whose questions join the splits; [] for none.")
