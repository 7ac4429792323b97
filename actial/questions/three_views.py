"""The kinds of questions about three views whose cameras stand on one arc around the subject, each a declaration.

`between` asks which camera stands between the other two. `arc_order` asks for the order along the arc; as an arc can be walked both ways, it asks for the
counter-clockwise one as seen from above, which is unique: an order and its reverse are different answers, and one is right.

In a mirror image the camera in the middle is the same, and the order is the reverse (`records.MIRRORED`). How the truth is computed is in `triples`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actial.params_questions import BuildQA
from actial.records import Label

PLACES: tuple[Label, ...] = ("first", "second", "third")
ORDERS: tuple[Label, ...] = ("1-2-3", "1-3-2", "2-1-3", "2-3-1", "3-1-2", "3-2-1")


@dataclass(frozen=True)
class ThreeViewKind:
    """One kind of question about three views, in the order of their pictures."""

    name: str
    labels: tuple[Label, ...]
    options: tuple[str, ...]
    """Texts of the labels."""
    texts: tuple[str, ...]
    """Wordings of the question; the first is the shortest."""
    quantity: str = "least_gap_deg"
    """What is stored with a question: the smaller of the two angles around the subject between neighbours on the arc."""

    @property
    def asked_labels(self) -> tuple[Label, ...]:
        """What the options of a question mean."""
        return self.labels

    def option_texts(self, _: Sequence[int]) -> tuple[str, ...]:
        """Texts of `asked_labels`."""
        return self.options


BETWEEN = ThreeViewKind(
    "between",
    labels=PLACES,
    options=("picture 1", "picture 2", "picture 3"),
    texts=(
        "Around the object, which camera stood between the other two?",
        "The object stood still. Of the three places of the camera, the shortest way around it past all of them has one in its middle: which picture's?",
        "On a map with the object at its middle, draw a line from it to each place of the camera. In that fan, which picture's line lies between the others?",
        "Three people around the object took a picture each. On the shortest way around it past all of them, which is that of the one in the middle?",
    ),
)
ARC_ORDER = ThreeViewKind(
    "arc_order",
    labels=ORDERS,
    options=tuple(order.replace("-", ", ") for order in ORDERS),
    texts=(
        "Counter-clockwise from above, in which order do the cameras stand on their arc around the object?",
        "The object stood still. Seen from above, walk counter-clockwise past the camera's three places, by the shortest arc: in which order do they come?",
        "On a map with the object at its middle, the camera's three places lie within less than half a circle. Against the clock, in which order?",
        "Looking down on the object as on a dial, three marks within half of it are the camera's places. Name their pictures, beginning furthest clockwise.",
    ),
)
THREE_VIEWS: dict[str, ThreeViewKind] = {kind.name: kind for kind in (BETWEEN, ARC_ORDER)}


def three_view_kinds_of(settings: BuildQA) -> Sequence[ThreeViewKind]:
    """The kinds about three views that are asked."""
    return [kind for name, kind in THREE_VIEWS.items() if name in settings.kinds]
