"""What the dataset card says of the kinds about the things in a scene."""

from __future__ import annotations

from actial.params_questions import BuildQA
from actial.questions.sat_kinds import sat_kinds_of
from actial.questions.sat_things import LEAST_SHARE, VISIBLE

_TEXT = """## Kinds about things

Questions about the things in one picture, or in two. Things are called by colour and shape; only those are spoken of whose look no other thing of the scene
has, of which at least {visible:.0%} of the outline is seen (by the instance mask) and which fill at least {share:.2%} of the picture.
Who stands at a thing stands on the ground. Each view, or ordered pair, is asked about once by a kind, at most {most} of a scene; which things it is about is
drawn. Within a split each kind is thinned until no answer goes with a shape, a step or a place in the picture that the question gives away.

{table}
"""


def things_section(settings: BuildQA) -> str:
    """The section of the card."""
    lines = ["| kind | pictures | first wording | options | decided by | asked when |", "| --- | --- | --- | --- | --- | --- |"]
    for kind in sat_kinds_of(settings):
        shown = "two, both orders" if kind.both_orders else ("one", "two, one order")[kind.n_pictures - 1]
        lines.append(f"| {kind.name} | {shown} | {kind.texts[0]} | {' / '.join(kind.options)} | `{kind.quantity}` | {kind.asked} |")
    return _TEXT.format(visible=VISIBLE, share=LEAST_SHARE, most=settings.pairs_per_kind, table="\n".join(lines))
