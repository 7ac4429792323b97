"""The nouns of the project, as frozen dataclasses. `shards.py` and `tables.py` write and read them as Parquet rows.

*view* (a picture with a camera), *pair* (two views of one scene), *question* (text, options, truth, kind, margin),
*conversation* (what SFT sees), *completion* (raw model text), *answer* (extracted), *verdict* (scored).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # loaded where it is used: the doors and the stages' own start do without it
    import numpy as np

Floats = tuple[float, ...]
Mode = Literal["think", "direct", "describe"]
"""How a model is asked: reasoning then answer, answer only, or tell what the pictures show."""

Label = Literal[
    "none",
    "no",
    "yes",
    "left",
    "right",
    "forward",
    "back",
    "up",
    "down",
    "clockwise",
    "counter-clockwise",
    "closer",
    "farther",
    "left_small",
    "left_middle",
    "left_large",
    "right_small",
    "right_middle",
    "right_large",
    "first",
    "second",
    "third",
    "behind",
    "one",
    "two",
    "three",
    "left_left",
    "left_right",
    "right_left",
    "right_right",
    "1-2-3",
    "1-3-2",
    "2-1-3",
    "2-3-1",
    "3-1-2",
    "3-2-1",
    "altered",
    "part_moved",
    "mirrored",
    "resized",
    "skewed",
    "same",
]
"""What an option means, in one canonical word for all kinds: angles offered by side and rank of size; pictures, or things, by their places or the order in
which they are named; two sides by the first and the second; orders of three pictures; what was done to an object."""
Cue = Literal["aligned", "conflict", "none"]
"""Whether what the pictures suggest without depth agrees with the truth; none where either has no direction."""

SUBJECT_IN_MASK = 255
"""In masks: a subject that has no parts. Else a pixel has the place in `View.objects` of what it shows, 0 where that is none of them."""
MESH = "mesh"
"""`SceneObject.shape` of an asset; the view's `source` is then the asset's name."""
ZERO_LABELS: tuple[Label, ...] = ("none", "no", "same")
"""That nothing changed: right of two equal pictures."""
_SIDES: tuple[tuple[Label, Label], ...] = (
    ("left", "right"),
    ("clockwise", "counter-clockwise"),
    ("left_small", "right_small"),
    ("left_middle", "right_middle"),
    ("left_large", "right_large"),
    ("left_left", "right_right"),
    ("left_right", "right_left"),
    ("1-2-3", "3-2-1"),
    ("1-3-2", "2-3-1"),
    ("2-1-3", "3-1-2"),
)
_WAYS: tuple[tuple[Label, Label], ...] = (("forward", "back"), ("up", "down"), ("closer", "farther"))
MIRRORED: dict[str, Label] = {a: b for one, other in _SIDES for a, b in ((one, other), (other, one))}
"""What a label becomes in the mirror image of its scene; labels that are not named stay."""
OPPOSITE: dict[str, Label] = MIRRORED | {a: b for one, other in _WAYS for a, b in ((one, other), (other, one))}
"""The other end of a label's axis; labels that are not named have no direction."""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SUFFIX_2D = "_2d"
"""Every kind of question about the pictures alone ends with it; see `is_viewpoint`."""
STRICT_RULES = frozenset({"tag_letter", "tag_text", "tag_number"})
"""Rules of `answers` that accept only what the prompt asked for: the bare capital letter, the option's text to the character, or bare digits, in a closed
tag. All others are lenient."""
SAT_KINDS = (
    *("left_of", "above", "in_front", "depth", "distance", "count", "goal_aim", "from_object", "action_step", "action_turn"),
    *("ego_movement", "object_moved", "goal_out_of_sight"),
)
"""Kinds of questions about the things in a scene, in the manner of SAT (`questions.sat_kinds`); all but the last three are about one picture."""


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera. Axes: +X right, +Y up, looks along -Z. Pixel (0, 0)'s centre is (0.5, 0.5)."""

    width_px: int
    height_px: int
    K: Floats
    """Row-major 3x3 intrinsics in pixels (OpenCV form: x right, y down, z forward)."""
    T_world_cam: Floats | None
    """Row-major 4x4: camera coordinates to world coordinates, metres; None where the camera is unknown."""

    def intrinsics(self) -> np.ndarray:
        """(3, 3) float64."""
        import numpy as np

        return np.array(self.K, dtype=np.float64).reshape(3, 3)

    def pose(self) -> np.ndarray:
        """(4, 4) float64 `T_world_cam`.

        Raises:
            ValueError: this camera has no pose.
        """
        if self.T_world_cam is None:
            raise ValueError("this view has no camera pose")
        import numpy as np

        return np.array(self.T_world_cam, dtype=np.float64).reshape(4, 4)


@dataclass(frozen=True, slots=True)
class SceneObject:
    """Something that stands in a scene: the subject (always first), one of its parts, or a companion."""

    name: str
    """Unique in its scene; the subject is `subject`."""
    shape: str
    """box, sphere, cylinder, cone, …; `composite` for a subject made of parts; `mesh` for an asset."""
    family: str
    """Geometry family, the unit that can be held out of training."""
    color: str
    """Colour word as a person would say it; empty where there is none."""
    T_world_obj: Floats
    """Row-major 4x4: object coordinates to world coordinates, metres. The origin is the centre of the bounding box. The axes are at right angles, unless the
    object was sheared: then its third is no unit vector, and leans."""
    size_m: Floats
    """Extent of the bounding box along the object's own axes."""
    part_of: str | None = None
    """Name of the object this is a part of."""
    front: Floats | None = None
    """Unit vector in world coordinates that points out of the object's own front, where one is annotated."""

    @property
    def center_m(self) -> tuple[float, float, float]:
        """`center` in plain numbers."""
        return self.T_world_obj[3], self.T_world_obj[7], self.T_world_obj[11]

    def center(self) -> np.ndarray:
        """(3,) float64, world coordinates, metres."""
        import numpy as np

        return np.array(self.T_world_obj, dtype=np.float64).reshape(4, 4)[:3, 3]


@dataclass(frozen=True, slots=True)
class View:
    """A picture with its camera and what stands in it. The picture itself is opened late, by id (`shards.ViewStore`)."""

    view_id: str
    scene_id: str
    camera: Camera
    objects: tuple[SceneObject, ...]
    source: str
    """Where the picture comes from: `blender`, `boxes`, the name of an asset, of a capture or of a data set."""
    licence: str

    def __hash__(self) -> int:
        return hash(self.view_id)  # that of all the numbers would cost more than most of what is kept by view


@dataclass(frozen=True, slots=True)
class ViewPair:
    """Two views of one scene, in order."""

    first: View
    second: View


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a pair of views, or three, with its truth and how clear-cut that truth is."""

    question_id: str
    kind: str
    family_id: str
    """Questions with the same family_id constrain each other's answers."""
    view_ids: tuple[str, ...]
    text: str
    """The question alone: no pictures, no options, no instruction how to answer."""
    options: tuple[str, ...]
    """Option texts in the order shown; option i has the letter LETTERS[i]."""
    labels: tuple[str, ...]
    """What option i means, in one canonical word (a `Label`, for questions made here)."""
    truth: str
    """Letter of the right option."""
    deciding_quantity: str
    deciding_value: float
    margin: float
    """Distance of the deciding value from the nearest boundary of its label, as a share of that boundary."""
    scene_id: str
    tied_class: str
    """Kinds of one tied class ask the same bit of one pair and are counted once; empty where a kind is tied to none."""
    source: str
    cue: Cue = "none"
    """Whether the kind's 2D cue (`questions.cues`) agrees with the truth."""
    held_out: bool = False
    """Whether the subject's geometry family is held out of training."""

    def label_of(self, letter: str) -> str:
        """The canonical word behind an option's letter."""
        return self.labels[LETTERS.index(letter)]

    def letter_of(self, label: str) -> str:
        """The letter of the option that means `label`."""
        return LETTERS[self.labels.index(label)]

    def zero_letter(self) -> str | None:
        """The letter of the option that says that nothing changed; None where there is none."""
        return next((self.letter_of(label) for label in self.labels if label in ZERO_LABELS), None)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `<image>` in the content stands for the next picture."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """What SFT sees, or (without the assistant's turn) what GRPO prompts with."""

    question_id: str
    view_ids: tuple[str, ...]
    kind: str
    mode: Mode
    messages: tuple[Message, ...]
    options: tuple[str, ...]
    labels: tuple[str, ...]
    truth: str
    scene_id: str
    prompt_sha: str
    """Short hash of the prompt section of params."""
    n_tokens: int
    """Text tokens and image tokens with the profile's processor; 0 where they were not counted."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One completion a model wrote, and how it was rewarded."""

    question_id: str
    step: int
    completion: str
    rewards: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One question x model x mode x condition, scored."""

    question_id: str
    scene_id: str
    kind: str
    tied_class: str
    model: str
    mode: Mode
    condition: str
    """`plain`, or the control under which it was asked (first picture only, order swapped, …)."""
    truth: str
    completion: str
    answer: str | None
    """Letter that was read out of the completion; None where none could be."""
    rule: str
    """The rule that read the answer, or the reason why none could be read."""
    correct: bool
    prompt_sha: str
    n_tokens: int
    """Tokens the model wrote."""
    answer_logprob: float | None = None
    """Natural logarithm of the probability that the model gave the tokens of its answer; None where it is not known (`evaluation.completions.Completion`)."""
    n_claims: int | None = None
    """Claims in its thought, see `mix.verification.claims_of`; None, as the next three, where none of them can be checked: there is no thought, none is
    understood, its kind is told by no claims, a view has no camera; and of controls and samples."""
    n_claims_understood: int | None = None
    n_claims_true: int | None = None
    n_claims_near: int | None = None
    """True, if places may be off by a column or a row."""


def subject_in_mask(objects: tuple[SceneObject, ...]) -> tuple[int, ...]:
    """The numbers that a subject's pixels have in masks: its own and those of its parts, but none of its companions."""
    return (SUBJECT_IN_MASK, *(place for place, o in enumerate(objects) if o.part_of == objects[0].name))


def is_viewpoint(kind: str) -> bool:
    """Whether a kind of question asks how the camera moved; those about things (`SAT_KINDS`) have a total of their own, those about the pictures alone none."""
    return not kind.endswith(SUFFIX_2D) and kind not in SAT_KINDS
