"""The project's own held-out test as benchmarks: what `build_qa` wrote, asked of any model in the same way as the published ones.

- `viewpoint`         how the camera moved (every kind of two and three views but those of consistency_3d)
- `sat_style`         the things in a scene, in the manner of SAT (`records.SAT_KINDS`)
- `consistency_3d`    whether two pictures show the same rigid object, and what was done to it
- `families`          cross-view consistency: questions about the same views whose answers can contradict each other (`questions.contradictions`)

Files: `build_qa/test.parquet`, for families `build_qa/families.jsonl`, and the views of `render_views`, in the project's outputs. The version is what
`manifest.json` beside them says. Prompt: the project's own. Metrics: the share that is right, over all questions and by kind; questions of one tied class
about the same views are one bit and weigh as one. Chance: 1 / number of options.

Of families, which are what counts as one: *consistent* is the share that is answered whole and without contradiction, *contradicting* that of those whose
answers no motion of the cameras makes true together, *all_right* that without a wrong answer; beside it the accuracy of their questions, since whoever
always says that nothing moved hardly contradicts itself. Guessing is consistent now and then, and has no simple formula: compare with blind guesses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from actial.errors import UserError
from actial.evaluation.benchmarks.benchmark import Benchmark, Item, Metric, Refused, Scored, Unit
from actial.evaluation.benchmarks.metrics import all_right, micro, within
from actial.params_questions import QUESTION_KINDS, THREE_VIEW_KINDS
from actial.questions.contradictions import FAMILIES, Family, contradicts, read_families
from actial.questions.external_rows import RefusedRow, refuse_options, size_px
from actial.records import LETTERS, SAT_KINDS, Question
from actial.shards import ViewStore, view_folders
from actial.tables import count_questions, read_questions, stream_questions

TEST = "build_qa/test.parquet"
CONSISTENCY = ("consistency", "alteration")


@dataclass(frozen=True)
class OurTest(Benchmark):
    """Questions of the project's own test. The folder that is asked for is its outputs."""

    kinds: frozenset[str] = frozenset()
    """Of the questions that are the benchmark's."""
    setting: str = ""
    """What makes them in params."""

    def lacking(self, outputs: Path) -> str | None:
        """Why it cannot be asked, a sentence; None where it can.

        Raises:
            UserError: a file is there, but not readable.
        """
        if missing := [outputs / name for name in self.files if not (outputs / name).exists()]:
            return f"{missing[0]} does not exist: run build_qa, with the questions that {self.title} asks"
        if not self._asks_something(outputs):
            return f"{outputs / self.files[-1]} holds nothing that {self.title} asks: give {self.setting} a value that makes some"
        return None

    def _asks_something(self, outputs: Path) -> bool:
        return any(kind in self.kinds for kind, _ in count_questions(outputs / TEST))

    def items(self, folder: Path) -> Iterator[Item | Refused]:
        """The questions in the order of the test.

        Raises:
            UserError: there is no test, no view, or nothing that it asks.
        """
        if why := self.lacking(folder):
            raise UserError(why)
        return self._items(folder, ViewStore(*view_folders(folder)))

    def _items(self, outputs: Path, store: ViewStore) -> Iterator[Item | Refused]:
        return (_item(question, store) for question in stream_questions(outputs / TEST) if question.kind in self.kinds)


@dataclass(frozen=True)
class FamiliesTest(OurTest):
    """Families of questions, one after the other. A question of several families is asked in each: what is asked once is not asked again."""

    def _asks_something(self, outputs: Path) -> bool:
        return bool(read_families(outputs / self.files[-1]))

    def _items(self, outputs: Path, store: ViewStore) -> Iterator[Item | Refused]:
        questions = {question.question_id: question for question in read_questions(outputs / TEST)}
        for family in read_families(outputs / self.files[-1]):
            for question_id in family.claims:
                if question_id not in questions:
                    raise UserError(f"{outputs / self.files[-1]} names {question_id}, which is not in {TEST}: rebuild the questions with build_qa")
                yield _of_family(family, _item(questions[question_id], store))


def _of_family(family: Family, item: Item | Refused) -> Item | Refused:
    if isinstance(item, Refused):
        return item
    strata = {**item.strata, "sort": family.sort}
    return replace(item, row_id=f"{family.family_id}/{item.row_id}", group=family.family_id, family=family, strata=strata)


def _item(question: Question, store: ViewStore) -> Item | Refused:
    try:
        if question.truth not in tuple(LETTERS[: len(question.options)]):
            raise RefusedRow("an answer that is no option")
        refuse_options(question.options)
        pictures = tuple(store.picture_bytes(view_id) or b"" for view_id in question.view_ids)
        sizes_px = tuple(map(size_px, pictures))
    except RefusedRow as reason:
        return Refused(question.question_id, str(reason))
    group = f"{'-'.join(question.view_ids)}.{question.tied_class}" if question.tied_class else question.question_id
    return Item(question.question_id, question, pictures, sizes_px, group, strata={"kind": question.kind, "cue": question.cue})


@dataclass(frozen=True)
class _OfFamilies(Metric):
    """Of what each family says as a whole: no guess of single questions tells what it comes to."""

    def chance(self, scored: Sequence[Scored]) -> float | None:
        return None


def _of_families(name: str, formula: str, verdict: bool | None, sort: str = "") -> Metric:
    """The share of the families that were asked whole whose answers get this verdict from `contradicts`.

    Args:
        sort: of the families that count; empty for all.
    """

    def units(scored: Sequence[Scored]) -> list[Unit]:
        asked: dict[str, tuple[Family, list[Scored]]] = {}
        for s in scored:
            if s.item.family is not None and sort in ("", s.item.family.sort):
                asked.setdefault(s.item.group, (s.item.family, []))[1].append(s)
        whole = {key: (family, found) for key, (family, found) in asked.items() if len(found) == len(family.claims)}
        return [Unit(key, float(contradicts(family, _labels(found)) is verdict), 1 / len(whole), family.scene_id) for key, (family, found) in whole.items()]

    return _OfFamilies(name, formula, units)


def _labels(found: Sequence[Scored]) -> dict[str, str | None]:
    return {s.item.question.question_id: s.item.question.label_of(s.told) if isinstance(s.told, str) else None for s in found}


def _accuracy_of_families() -> Metric:
    of_all = micro("accuracy", "the share of the families' questions that is right, each once")

    def units(scored: Sequence[Scored]) -> list[Unit]:
        return of_all.units(list({s.item.question.question_id: s for s in scored}.values()))

    return Metric(of_all.name, of_all.formula, units)


def _test(name: str, title: str, kinds: Sequence[str]) -> OurTest:
    return OurTest(
        name=name,
        title=title,
        version="as build_qa wrote it",
        hub=None,
        revision=None,
        files=(TEST,),
        columns=(),
        licence="as its views say",
        url="",
        protocol="The project's own prompt; right is the letter, or the option's text.",
        row_id=_unread,
        read=_unread,
        metrics=(
            micro("overall", "the share of the questions that is right, those of one tied class about the same views being one", variants_share=True),
            *(micro(kind, f"the share of the questions of the kind {kind} that is right", within("kind", kind)) for kind in kinds),
        ),
        primary="overall",
        kinds=frozenset(kinds),
        setting="build_qa.kinds",
    )


def _unread(*_: object) -> NoReturn:
    """Stands where published benchmarks say how a row is read: `OurTest.items` has questions and reads none."""
    raise AssertionError("its rows are questions already")


VIEWPOINT = _test("viewpoint", "our viewpoint test", tuple(kind for kind in (*QUESTION_KINDS, *THREE_VIEW_KINDS) if kind not in CONSISTENCY))
SAT_STYLE = _test("sat_style", "our SAT-style test", SAT_KINDS)
CONSISTENCY_3D = _test("consistency_3d", "our 3D-consistency test", CONSISTENCY)
FAMILIES_TEST = FamiliesTest(
    name="families",
    title="our cross-view-consistency test",
    version="as build_qa wrote it",
    hub=None,
    revision=None,
    files=(TEST, f"build_qa/{FAMILIES}"),
    columns=(),
    licence="as its views say",
    url="",
    protocol="The project's own prompt; a family is consistent where every question is answered and some motion of the cameras makes all answers true.",
    row_id=_unread,
    read=_unread,
    metrics=(
        _of_families("consistent", "the share of the families that is answered whole and without contradiction", False),
        _of_families("contradicting", "the share of the families whose answers no motion of the cameras makes true together", True),
        _of_families("unanswered", "the share of the families where an answer could not be read, and the others do not contradict each other", None),
        all_right("all_right", "the share of the families without a wrong answer", lambda item: item.group),
        _accuracy_of_families(),
        *(_of_families(f"consistent {sort}s", f"the same as consistent, of the {sort}s", False, sort) for sort in ("pair", "cycle")),
    ),
    primary="consistent",
    setting="build_qa.n_families",
)
OURS: dict[str, OurTest] = {benchmark.name: benchmark for benchmark in (VIEWPOINT, SAT_STYLE, CONSISTENCY_3D, FAMILIES_TEST)}
