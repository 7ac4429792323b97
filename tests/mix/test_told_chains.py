"""Chains of the kinds that are told in whole sentences alone: sound evidence, read back by other code; whatever is edited to be false is found out."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from toy_scenes import PLAIN_PICTURE, REPO, TOY_SPLIT, toy_views

from actial import ids
from actial.errors import UserError
from actial.geometry.angles import motion_between
from actial.geometry.poses import look_at, rotated_about
from actial.geometry.projection import intrinsics
from actial.mix.conversations import TOLD, Scribe, WrittenChains, written_chains
from actial.mix.evidence import TELLERS, reasoned
from actial.mix.measures import Measures
from actial.mix.reasoning import NoChain
from actial.mix.sentences import in_sentences
from actial.mix.variants import facts_of
from actial.mix.verification import Claims, FalseClaim, claims_of, share_of_true_claims, verify
from actial.mix.verified_claims import sentences_of, tells_what_is_seen
from actial.params import load_params
from actial.params_questions import KINDS_WITH_CHAINS
from actial.questions.build import build_questions
from actial.questions.deciding import decide
from actial.questions.kinds import KINDS, Kind
from actial.questions.scan import scan_scenes
from actial.records import Camera, Question, View
from actial.rng import generator_for
from actial.shards import ViewStore, ViewWriter
from actial.tables import read_questions
from actial.views.committed import Plan, composed

PARAMS = load_params(REPO / "profiles/single-gpu.yaml")
GRID = PARAMS.cold_start_mix.grid
SCENES = 24
SIZES_DEG = (20, 45, 80)


class Made:
    """The scenes and cameras of profile single-gpu, without their pictures; its questions, and their chains."""

    def __init__(self, folder: Path) -> None:
        settings = PARAMS.render_views
        plan = Plan(PARAMS.seed, "boxes", settings.views_per_scene, 84, 84, 1, **asdict(settings.look), **asdict(settings.scenes), moves=settings.moves)
        with ViewWriter(folder / "views", shard_mb=256) as writer:
            for scene_id in map(ids.scene_id, range(SCENES)):
                scene, shots = composed(plan, scene_id)
                for i, shot in enumerate(shots):
                    view = View(ids.view_id(scene_id, i), scene_id, shot.camera, scene.objects(shot.state), "boxes", "CC0-1.0")
                    writer.add(view, PLAIN_PICTURE)
        build_questions(scan_scenes(folder / "views"), folder / "out", replace(PARAMS.build_qa, splits=TOY_SPLIT["splits"], caliper=None), PARAMS.seed)
        self.store = ViewStore(folder / "views")
        self.questions = [q for q in read_questions(folder / "out/train.parquet") if q.kind in TELLERS]

    def views(self, question: Question) -> tuple[View, View]:
        return self.store[question.view_ids[0]], self.store[question.view_ids[1]]

    def verify(self, chain: str, question: Question) -> None:
        verify(chain, question, *self.views(question), GRID)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("claims"))


@pytest.fixture(scope="module")
def written(made: Made) -> WrittenChains:
    settings = replace(PARAMS.cold_start_mix, chains=None)
    return written_chains(Scribe(PARAMS.prompt, settings, made.store.__getitem__, None, 7), made.questions, 10 * len(made.questions))


@pytest.fixture(scope="module")
def some(written: WrittenChains) -> list[tuple[Question, str]]:
    """A few chains of every label of every kind, each of another scene."""
    few: dict[tuple[str, str], dict[str, tuple[Question, str]]] = {}
    for question, chain in written.told:
        of_sort = few.setdefault((question.kind, question.label_of(question.truth)), {})
        if len(of_sort) < 3:
            of_sort.setdefault(question.scene_id, (question, chain))
    assert {kind for kind, _ in few} == set(TELLERS)
    return [row for of_sort in few.values() for row in of_sort.values()]


@pytest.mark.parametrize("kind", TELLERS)
def test_every_label_of_every_kind_gets_chains_and_all_are_true(made: Made, written: WrittenChains, kind: str) -> None:
    ends = written.tried[kind]
    assert not ends["not verified"] and not ends["evidence contradicts the answer"]
    assert ends[TOLD] > 0.35 * ends.total()
    told = [question for question, _ in written.told if question.kind == kind]
    assert {q.label_of(q.truth) for q in told} == set(KINDS[kind].asked_labels)


def test_the_share_of_true_claims_is_counted_sentence_by_sentence(made: Made, some: list[tuple[Question, str]]) -> None:
    for question, chain in some:
        share = lambda text, asked=question: share_of_true_claims(text, asked.kind, *made.views(asked), GRID)
        n = len(sentences_of(chain))
        assert share(chain) == 1.0 and share(f"{chain} Quite so.") == pytest.approx(n / (n + 1)) and share(f"{chain} {chain}") == 0.5
        assert claims_of(f"{chain} Quite so. {chain}", question.kind, *made.views(question), GRID) == Claims(2 * n + 1, 2 * n, n)


def test_every_edit_of_a_number_is_found_out(made: Made, some: list[tuple[Question, str]]) -> None:
    """By two in its last place; what a lens takes in, which is told of both pictures together, by six degrees."""
    tried = Counter[str]()
    for question, chain in some:
        for match in re.finditer(r"\d+(?:\.(\d+))?", chain):
            places, lens = len(match[1] or ""), chain[match.end() :].startswith(" degrees from side")
            for step in (-6, 6) if lens else (-2, 2):
                number = float(match[0]) + step / 10**places
                if number < 0:
                    continue
                with pytest.raises(FalseClaim):
                    made.verify(f"{chain[: match.start()]}{number:.{places}f}{chain[match.end() :]}", question)
                tried[question.kind] += 1
    assert set(tried) == set(TELLERS) and min(tried.values()) >= 8


_OPPOSITES = (
    ("left", "right"),
    ("up", "down"),
    ("upward", "downward"),
    ("higher", "lower"),
    ("forward", "backward"),
    ("nearer", "farther"),
    ("nearer than", "farther away than"),
    ("about as far away as", "nearer than"),
    ("rises", "falls"),
    ("clockwise", "counter-clockwise"),
    ("closer to", "farther from"),
    ("came closer", "went farther"),
    ("ended up closer", "ended up farther away"),
    ("coming nearer", "getting farther"),
    ("came nearer to", "got farther from"),
    ("ahead", "behind"),
    ("first", "second"),
    ("above", "below"),
    ("more", "less"),
    ("neither", "either"),
    ("did not", "did"),
    ("moved", "did not move"),
    ("turned", "did not turn"),
    ("kept", "changed"),
    ("kept its heading", "turned 3 degrees to the left"),
    ("straight at", "straight away from"),
    ("in line with it", "to its left"),
)
_FLIP = {a: b for one, other in _OPPOSITES for a, b in ((one, other), (other, one))}
_FLIPPED = re.compile("|".join(rf"(?<![\w-]){re.escape(word)}(?![\w-])" for word in sorted(_FLIP, key=len, reverse=True)))


def test_every_word_turned_round_is_found_out(made: Made, some: list[tuple[Question, str]]) -> None:
    tried = Counter[str]()
    for question, chain in some:
        for match in _FLIPPED.finditer(chain):
            with pytest.raises(FalseClaim):
                made.verify(f"{chain[: match.start()]}{_FLIP[match[0]]}{chain[match.end() :]}", question)
            tried[question.kind] += 1
    assert set(tried) == set(TELLERS) and min(tried.values()) >= 10


def test_every_sentence_about_the_pictures_is_needed_and_the_answer_too(made: Made, some: list[tuple[Question, str]]) -> None:
    for question, chain in some:
        sentences = sentences_of(chain)
        needed = [sentence for sentence in sentences if tells_what_is_seen(sentence)] + sentences[-1:]
        assert len(needed) >= 2
        for sentence in needed:
            with pytest.raises(FalseClaim):
                made.verify(" ".join(other for other in sentences if other is not sentence), question)
        for more in (sentences[0], sentences[-1], "That is clear."):
            with pytest.raises(FalseClaim):
                made.verify(f"{chain} {more}", question)


def test_parts_that_change_places_are_found_out(made: Made, some: list[tuple[Question, str]]) -> None:
    """Each name of a part for the other one, at each place, and for one that is not there."""
    tried = 0
    for question, chain in some:
        names = {part: f"{part.color} {part.shape}" for part in made.views(question)[0].objects if part.color}
        told = [name for name in names.values() if f"the {name}" in chain.lower()]
        for match in re.finditer("|".join(told) or "(?!)", chain):
            for other in {*told, "mauve box"} - {match[0]}:
                with pytest.raises(FalseClaim):
                    made.verify(f"{chain[: match.start()]}{other}{chain[match.end() :]}", question)
                tried += 1
    assert tried > 300


def test_a_chain_of_the_other_order_or_another_truth_is_false(made: Made, some: list[tuple[Question, str]]) -> None:
    for question, chain in some:
        label = question.label_of(question.truth)
        for other in set(question.labels) - {label}:
            with pytest.raises(FalseClaim, match="concludes"):
                made.verify(chain, replace(question, truth=question.letter_of(other)))
        if label not in ("none", "no", "yes"):
            with pytest.raises(FalseClaim):
                verify(chain, question, *reversed(made.views(question)), GRID)


def test_evidence_of_other_pictures_is_found_out(made: Made, some: list[tuple[Question, str]]) -> None:
    """What is seen is taken from a chain about another scene. Where nothing changed, what is seen may well be true of another."""
    for kind in TELLERS:
        rows = [(q, c) for q, c in some if q.kind == kind and q.label_of(q.truth) not in ("none", "no")]
        found = 0
        for (question, chain), (other, told) in zip(rows, [*rows[1:], rows[0]], strict=True):
            if question.scene_id == other.scene_id:
                continue
            foreign = [sentence for sentence in sentences_of(told) if tells_what_is_seen(sentence)]
            own = [sentence for sentence in sentences_of(chain) if not tells_what_is_seen(sentence)]
            with pytest.raises(FalseClaim):
                made.verify(" ".join([*foreign, *own]), question)
            found += 1
        assert found >= 2, kind


def test_all_wordings_are_read_back(made: Made, some: list[tuple[Question, str]]) -> None:
    for question, chain in some[::5]:
        told = reasoned(question, Measures(*made.views(question)))
        texts = {in_sentences(told, generator_for(seed, "words")) for seed in range(40)}
        assert chain in {in_sentences(told, generator_for(7, f"{question.question_id}/chain"))}
        assert len(texts) >= 8
        for text in texts:
            made.verify(text, question)


def test_facts_are_what_is_seen_alone(some: list[tuple[Question, str]]) -> None:
    for question, chain in some:
        facts = facts_of(chain, question.kind)
        assert facts and chain.startswith(facts) and "camera went" not in facts and "the camera moved" not in facts


def asked(kind: Kind, label: str, sizes_deg: tuple[int, ...] = SIZES_DEG) -> Question:
    """A question of which nothing matters but its options."""
    options = kind.option_texts(sizes_deg)
    truth = "ABCDEFG"[kind.asked_labels.index(label)]  # type: ignore[arg-type]  # compared with labels
    return Question("q", kind.name, "", (), "", options, kind.asked_labels, truth, "", 0.0, 0.0, "s", "", "")


def anywhere(generator: np.random.Generator, view: View) -> tuple[View, View]:
    """Two cameras around a scene: anywhere, or the second close to the first in some ways."""
    center, extent_m = view.objects[0].center(), max(view.objects[0].size_m)

    def pose(azimuth: float, elevation: float, distance_m: float) -> np.ndarray:
        c = np.cos(elevation)
        eye = center + distance_m * np.array([np.cos(azimuth) * c, np.sin(azimuth) * c, np.sin(elevation)])
        return look_at(eye, center + generator.uniform(-0.25, 0.25, 3) * extent_m, np.radians(generator.choice([0.0, generator.uniform(-4, 4)])))

    azimuth, elevation, distance_m = generator.uniform(0, 6.28), generator.uniform(0.0, 1.05), extent_m * generator.uniform(1.1, 3)
    first = pose(azimuth, elevation, distance_m)
    how = generator.integers(4)
    if how == 0:
        second = pose(azimuth + generator.uniform(-3, 3), generator.uniform(0.0, 1.05), extent_m * generator.uniform(1.1, 3))
    elif how == 1:
        second = pose(azimuth + generator.uniform(-0.3, 0.3), elevation + generator.uniform(-0.3, 0.3), distance_m * generator.uniform(0.7, 1.4))
    else:
        second, scale = first.copy(), (0.2, 0.003)[how - 2]
        second[:3, 3] += generator.normal(size=3) * distance_m * scale * generator.integers(0, 2, 3)
        second[:3, :3] = rotated_about(generator.normal(size=3), generator.uniform(-0.3, 0.3)) @ second[:3, :3]
    fov_deg = generator.uniform(50, 75)
    zoomed_deg = fov_deg * generator.choice([1.0, 1.0, generator.uniform(0.7, 1.4)])
    return seen_by(view, first, fov_deg), seen_by(view, second, zoomed_deg)


def seen_by(view: View, T_world_cam: np.ndarray, fov_deg: float = 68.0) -> View:
    return replace(view, camera=Camera(448, 448, tuple(intrinsics(448, 448, fov_deg).ravel()), tuple(T_world_cam.ravel())))


def test_evidence_never_comes_to_a_wrong_answer_wherever_cameras_are(made: Made) -> None:
    """Sound, not only true: a teller is not told the answer, and comes to the true one or to none. What it comes to is verified."""
    generator = generator_for(5, "anywhere")
    told = Counter[str]()
    for index in range(400):
        first, second = anywhere(generator, made.store[ids.view_id(ids.scene_id(index % SCENES), 0)])
        measures = Measures(first, second)
        if not measures.shown or min(v.camera.pose()[2, 3] for v in (first, second)) < 0.05:
            continue
        front = first.objects[0].front
        motion = motion_between(*(v.camera.pose()[None] for v in (first, second)), first.objects[0].center(), None if front is None else np.array(front))
        for name in TELLERS:
            code = decide(KINDS[name], motion, np.array([False]), PARAMS.build_qa)[0]
            if code < 0:
                continue
            label, sizes_deg = KINDS[name].labels[code], SIZES_DEG
            if KINDS[name].asks_angle and label != "none":
                size_deg = round(abs(float(getattr(motion, KINDS[name].quantity)[0])))
                sizes_deg, label = (size_deg, size_deg + 17, size_deg + 40), f"{label}_small"  # type: ignore[assignment]  # a label of an angle
            question = asked(KINDS[name], label, sizes_deg)
            try:
                chain = reasoned(question, measures)
            except NoChain as reason:
                assert "contradicts" not in str(reason), (name, label, motion)
                continue
            verify(in_sentences(chain, generator), question, first, second, GRID)
            told[name] += 1
    assert set(told) == set(TELLERS) and min(told.values()) > 10


def moved(T_world_cam: np.ndarray, step_m: tuple[float, float, float] = (0.0, 0.0, 0.0), up_deg: float = 0.0) -> np.ndarray:
    second = T_world_cam.copy()
    second[:3, 3] += step_m
    second[:3, :3] = rotated_about(second[:3, 0], np.radians(up_deg)) @ second[:3, :3]
    return second


def still_life(made: Made) -> tuple[View, dict[str, View]]:
    """A scene before a nearly level camera, and seen again after each of some motions; its evidence of depth is clear in all."""
    for index in range(SCENES):
        view = made.store[ids.view_id(ids.scene_id(index), 0)]
        eye = view.objects[0].center() * [1.0, 1.0, 0.0] + np.array([1.7 * max(view.objects[0].size_m), 0.0, 1.6])
        T = look_at(eye, eye - np.array([1.0, 0.0, 0.2]))
        cameras = {"dolly": (moved(T, (-0.8, 0, 0)), 68.0), "zoom": (T, 58.0), "rise": (moved(T, (0, 0, 0.6)), 68.0), "tilt": (moved(T, up_deg=9.0), 68.0)}
        first, others = seen_by(view, T), {name: seen_by(view, *camera) for name, camera in cameras.items()}
        depths = [Measures(first, second).depth for second in others.values()]
        if all(depth and depth.gap > 0.2 for depth in depths):
            return first, others
    raise AssertionError("no such scene")


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("forward", {"dolly": "forward", "zoom": "none", "tilt": "none"}),
        ("radial", {"dolly": "closer", "zoom": "none", "tilt": "none"}),
        ("vertical", {"rise": "up", "tilt": "none", "zoom": "none"}),
        ("pitch", {"rise": "none", "tilt": "up", "dolly": "none", "zoom": "none"}),
        ("moved", {"rise": "yes", "tilt": "no", "zoom": "no"}),
    ],
)
def test_what_looks_alike_is_told_apart(made: Made, kind: str, labels: dict[str, str]) -> None:
    """A dolly from a zoom, a rise from a tilt: both of each pair make things larger, or lower, in the picture."""
    first, others = still_life(made)
    for name, label in labels.items():
        question = asked(KINDS[kind], label)
        text = in_sentences(reasoned(question, Measures(first, others[name])), generator_for(1, name))
        verify(text, question, first, others[name], GRID)


def test_nothing_is_told_of_what_pictures_do_not_show(made: Made) -> None:
    view, _ = still_life(made)
    T, center = view.camera.pose(), view.objects[0].center()
    away, rolled = T.copy(), T.copy()
    away[:3, :3] = rotated_about(np.array([0.0, 0.0, 1.0]), np.pi) @ T[:3, :3]
    rolled[:3, :3] = rotated_about(T[:3, 2], 0.2) @ T[:3, :3]
    above = look_at(center + np.array([0.3, 0.0, 4.0]), center)
    bare = replace(view, objects=view.objects[:1])
    for second, shown, why in (
        (away, view, "subject not in both"),
        (above, view, "above or below"),
        (rolled, view, "camera rolled"),
        (T, bare, "fewer than two named parts"),
    ):
        with pytest.raises(NoChain, match=why):
            reasoned(asked(KINDS["forward"], "none"), Measures(seen_by(shown, T), seen_by(shown, second)))
    with pytest.raises(NoChain, match="front not seen"):
        plain = toy_views(0)[0]
        reasoned(asked(KINDS["front"], "none"), Measures(plain, plain))


def test_short_wording_has_no_chains_of_these_kinds(tmp_path: Path) -> None:
    assert not set(KINDS_WITH_CHAINS["short"]) & set(TELLERS) and set(TELLERS) < set(KINDS_WITH_CHAINS["full"])
    tiny = (REPO / "profiles/tiny.yaml").read_text()
    text = re.sub(r"kinds: \[.*\]", "kinds: [pitch, roll]", tiny)
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(UserError, match=r"kinds without chains of thought in wording short \(pitch, roll\)"):
        load_params(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text(text.replace("wording: short", "wording: full"))
    load_params(tmp_path / "params.yaml")
