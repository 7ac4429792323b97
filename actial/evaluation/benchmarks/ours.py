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

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
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
from actial.tables import read_questions, stream_questions

TEST = "build_qa/test.parquet"
CONSISTENCY = ("consistency", "alteration")


@dataclass(frozen=True)
class OurTest(Benchmark):
    """Questions of the project's own test. The folder that is asked for is its outputs."""

    asks: Callable[[Question], bool] = field(default=lambda question: True, kw_only=True)
    """Which questions of the test are the benchmark's."""

    def items(self, folder: Path) -> Iterator[Item | Refused]:
        """The questions in the order of the test.

        Raises:
            UserError: there is no test, no view, or a question that is the benchmark's.
        """
        store, n = ViewStore(*view_folders(folder)), 0
        for question in stream_questions(folder / TEST):
            if self.asks(question):
                n += 1
                yield _item(question, store)
        if not n:
            raise UserError(f"{folder / TEST} holds no question that {self.title} asks: give build_qa.kinds some of them")


@dataclass(frozen=True)
class FamiliesTest(Benchmark):
    """Families of questions. A question of several families is asked in each: what is asked once is not asked again."""

    def items(self, folder: Path) -> Iterator[Item | Refused]:
        """The questions of each family, one family after the other.

        Raises:
            UserError: there is no family, no view, or a family names a question that is not in the test.
        """
        store, families = ViewStore(*view_folders(folder)), read_families(folder / "build_qa" / FAMILIES)
        questions = {question.question_id: question for question in read_questions(folder / TEST)}
        if not families:
            raise UserError(f"{folder / 'build_qa' / FAMILIES} holds no family: give build_qa.n_families a value above 0")
        for family in families:
            for question_id in family.claims:
                if question_id not in questions:
                    raise UserError(f"{folder / 'build_qa' / FAMILIES} names {question_id}, which is not in {TEST}: rebuild the questions with build_qa")
                item = _item(questions[question_id], store)
                yield (
                    item
                    if isinstance(item, Refused)
                    else replace(
                        item, row_id=f"{family.family_id}/{question_id}", group=family.family_id, family=family, strata={**item.strata, "sort": family.sort}
                    )
                )


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


def _test(name: str, title: str, kinds: Sequence[str], asks: Callable[[Question], bool]) -> OurTest:
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
        asks=asks,
    )


def _unread(*_: object) -> NoReturn:
    raise NotImplementedError("its rows are questions already")


VIEWPOINT = _test(
    "viewpoint",
    "our viewpoint test",
    tuple(kind for kind in (*QUESTION_KINDS, *THREE_VIEW_KINDS) if kind not in CONSISTENCY),
    lambda question: question.kind in (*QUESTION_KINDS, *THREE_VIEW_KINDS) and question.kind not in CONSISTENCY,
)
SAT_STYLE = _test("sat_style", "our SAT-style test", SAT_KINDS, lambda question: question.kind in SAT_KINDS)
CONSISTENCY_3D = _test("consistency_3d", "our 3D-consistency test", CONSISTENCY, lambda question: question.kind in CONSISTENCY)
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
)
OURS = {benchmark.name: benchmark for benchmark in (VIEWPOINT, SAT_STYLE, CONSISTENCY_3D, FAMILIES_TEST)}
