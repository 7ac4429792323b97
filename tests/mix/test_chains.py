"""Chains of thought: written from geometry, read back by other code; what is edited to be false is found out."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from toy_scenes import REPO, at, toy_settings, toy_views, write_toy_views

from actial.mix.conversations import Scribe, written_chains
from actial.mix.reasoning import NoChain, tell
from actial.mix.verification import Claims, FalseClaim, claims_of, share_of_true_claims, verify
from actial.mix.wording import in_words
from actial.params import ColdStartMix, load_params
from actial.questions.build import build_questions
from actial.questions.scan import scan_scenes
from actial.questions.sight import hidden_by_others, sightings, spoken_names
from actial.records import Question, SceneObject, View
from actial.rng import generator_for
from actial.shards import ViewStore
from actial.tables import read_questions

PARAMS = load_params(REPO / "profiles/tiny.yaml")
WORDINGS = ("short", "full")
GRID = PARAMS.cold_start_mix.grid
Made = tuple[ViewStore, list[Question], dict[str, list[tuple[Question, str]]]]


def settings(wording: str) -> ColdStartMix:
    return replace(PARAMS.cold_start_mix, wording=wording, chains=None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Views, training questions, and the chains in both wordings."""
    folder = tmp_path_factory.mktemp("toy")
    write_toy_views(folder / "views", 30)
    build_questions(scan_scenes(folder / "views"), folder / "out", toy_settings(), 7)
    store, questions = ViewStore(folder / "views"), read_questions(folder / "out/train.parquet")
    chains = {w: written_chains(Scribe(PARAMS.prompt, settings(w), store.__getitem__, None, 7), questions, len(questions)) for w in WORDINGS}
    assert all(not written.refused["chains: not verified"] for written in chains.values())
    return store, questions, {w: written.told for w, written in chains.items()}


def views_of(store: ViewStore, question: Question) -> tuple[View, View]:
    return store[question.view_ids[0]], store[question.view_ids[1]]


@pytest.mark.parametrize("wording", ["short", "full"])
def test_about_half_of_all_questions_get_a_true_chain_that_ends_in_the_truth(made: Made, wording: str) -> None:
    store, questions, chains = made
    rows = chains[wording]
    assert len(rows) > 0.45 * len(questions)
    for question, chain in rows:
        verify(chain, question, *views_of(store, question), GRID)
    counts = {sort: sum((q.kind, q.label_of(q.truth)) == sort for q, _ in rows) for sort in {(q.kind, q.label_of(q.truth)) for q, _ in rows}}
    assert len(counts) == 12
    assert all(counts[kind, "left"] == counts[kind, "right"] == counts[kind, "none"] for kind, _ in counts)


SWAPPED = {"left": "right", "right": "left", "near": "far", "far": "near", "nearer": "farther", "farther": "nearer"}


@pytest.mark.parametrize("wording", ["short", "full"])
def test_every_single_word_turned_round_is_found_out(made: Made, wording: str) -> None:
    """Left for right or near for far, at each place of each chain: never a true chain again."""
    store, _, chains = made
    tried = 0
    for question, chain in chains[wording][::7]:
        for match in re.finditer(r"\b(left|right|near|far|nearer|farther)\b", chain):
            edited = chain[: match.start()] + SWAPPED[match[0]] + chain[match.end() :]
            with pytest.raises(FalseClaim):
                verify(edited, question, *views_of(store, question), GRID)
            tried += 1
    assert tried > 100


@pytest.mark.parametrize("wording", ["short", "full"])
@pytest.mark.parametrize(
    ("pattern", "other"),
    [
        (r"\bless\b", "more"),
        (r"\bas much\b", "less"),
        (r"counter-clockwise", "clockwise"),
        (r"(?<!counter-)\bclockwise", "counter-clockwise"),
        (r"camera still", "camera left"),
        (r"\bno turn\b", "turned left"),
        (r"did not turn", "turned right"),
        (r"\.$", ", probably."),
    ],
)
def test_other_edits_are_found_out(made: Made, wording: str, pattern: str, other: str) -> None:
    store, _, chains = made
    for question, chain in chains[wording]:
        if re.search(pattern, chain):
            with pytest.raises(FalseClaim):
                verify(re.sub(pattern, other, chain, count=1), question, *views_of(store, question), GRID)


def test_a_chain_of_another_pair_or_another_truth_is_false(made: Made) -> None:
    store, _, chains = made
    directed = [(q, c) for q, c in chains["short"] if q.label_of(q.truth) != "none"]
    for question, chain in directed[::5]:
        first, second = views_of(store, question)
        with pytest.raises(FalseClaim):
            verify(chain, question, second, first, GRID)
        none = question.letter_of("none")
        with pytest.raises(FalseClaim, match="concludes"):
            verify(chain, replace(question, truth=none), first, second, GRID)


def test_claims_about_parts_that_are_not_there_or_not_seen_are_false(made: Made) -> None:
    store, _, chains = made
    question, chain = next((q, c) for q, c in chains["short"] if q.kind == "turn" and "still" not in c)
    first, second = views_of(store, question)
    quoted = re.findall(r"([a-z]+) ([a-z][A-Z]) ([a-z][A-Z])", chain)
    assert [name for name, *_ in quoted][2:] == ["middle"]
    for name, *places in quoted:
        for i, (column, row) in enumerate(places):
            for edited in (chr(ord(column) + 1) + row, column + chr(ord(row) - 1)):
                said = [*places[:i], edited, *places[i + 1 :]]
                with pytest.raises(FalseClaim, match="not so"):
                    verify(chain.replace(" ".join([name, *places]), " ".join([name, *said])), question, first, second, GRID)
    for match in re.finditer(r"[+-]\d+", chain):
        with pytest.raises(FalseClaim, match="not so"):
            verify(f"{chain[: match.start()]}{int(match[0]) + 1:+d}{chain[match.end() :]}", question, first, second, GRID)
    assert re.search(r"all \w+ \d+ against \d+", chain)
    with pytest.raises(FalseClaim, match="names 0 parts"):
        verify(chain.replace(quoted[0][0], "mauve"), question, first, second, GRID)
    unquoted = re.sub(r" [a-z][A-Z]| apart [+-]\d+ [+-]\d+|(?<=left|ight) \d+(?=:)", "", chain).replace(", middle,", ",")
    verify(unquoted, question, first, second, GRID)
    narrow = replace(first, camera=replace(first.camera, width_px=1))
    with pytest.raises(FalseClaim, match="outside the picture"):
        verify(unquoted, question, narrow, second, GRID)
    slid = re.search(r", (left|right):", unquoted)
    assert slid
    for edited in (unquoted.replace(slid[0], ":"), unquoted.replace(slid[0], f", {slid[1]}, {slid[1]}:")):
        with pytest.raises(FalseClaim):
            verify(edited, question, first, second, GRID)


@pytest.mark.parametrize(
    ("wording", "counts"),
    [
        ("short", r"all \w+ (\d+) against (\d+)"),
        ("short", r"apart [+-]\d+ [+-]\d+ \w+ (\d+)"),
        ("full", r"moves (\d+), and the [a-z ]+ moves (\d+) against"),
    ],
)
def test_columns_counted_wrongly_are_false(made: Made, wording: str, counts: str) -> None:
    store, _, chains = made
    edited = 0
    for question, chain in chains[wording]:
        for match in re.finditer(counts, chain):
            assert question.kind == "turn" or "apart" in counts
            for n in range(1, match.re.groups + 1):
                with pytest.raises(FalseClaim, match="not so"):
                    verify(f"{chain[: match.start(n)]}{int(match[n]) + 1}{chain[match.end(n) :]}", question, *views_of(store, question), GRID)
                edited += 1
    assert edited > 20


@pytest.mark.parametrize("wording", ["short", "full"])
def test_the_share_of_true_claims_falls_by_each_that_is_made_false(made: Made, wording: str) -> None:
    store, _, chains = made
    lowered = 0
    for question, chain in chains[wording][::5]:
        share = lambda text, slack=0, asked=question: share_of_true_claims(text, asked.kind, *views_of(store, asked), GRID, slack)
        assert share(chain) == share(chain, 1) == 1.0
        n = len(re.split(r"(?<=\.)\s+" if wording == "full" else r", |: ", chain))
        assert share(f"{chain} {chain}" if wording == "full" else f"{chain[:-1]}, {chain}") == 0.5, "what was said before counts nothing"
        assert share(f"{chain} Quite so." if wording == "full" else f"{chain[:-1]}, quite so.") == pytest.approx(n / (n + 1))
        strange = f"{chain} Quite so." if wording == "full" else f"{chain[:-1]}, quite so."
        assert claims_of(strange, question.kind, *views_of(store, question), GRID) == Claims(n + 1, n, n)
        turned = re.sub(r"(?:left|right)(?=\W*$)", lambda m: SWAPPED[m[0]], chain)
        if turned != chain:
            assert share(turned) == pytest.approx((n - 1) / n)
            lowered += 1
        column, row = (quoted := re.search(r"\b([b-y])([B-Y])\b", chain)) and quoted.groups()
        moved = chain.replace(column + row, chr(ord(column) + 1) + chr(ord(row) - 1), 1)
        assert share(moved) == pytest.approx((n - 1) / n) and share(moved, 1) == 1.0
        assert share("") == share("left left left") == 0.0
    assert lowered > 3


def test_true_claims_are_asked_of_kinds_with_chains_and_of_views_with_a_camera_and_an_object(made: Made) -> None:
    store, _, chains = made
    question, chain = chains["short"][0]
    first, second = views_of(store, question)
    assert share_of_true_claims(chain, "shift_2d", first, second, GRID) is None
    assert share_of_true_claims(chain, question.kind, replace(first, objects=()), second, GRID) is None
    assert share_of_true_claims(chain, question.kind, first, replace(second, camera=replace(second.camera, T_world_cam=None)), GRID) is None


def test_what_is_concluded_follows_from_the_places_quoted(made: Made) -> None:
    """The near part stands above the lower ground; columns tell how far apart the two are, which way the near one slid, and how far."""
    _, _, chains = made
    for _, chain in chains["short"]:
        near, far, apart = (clause.split() for clause in chain.split(": ")[0].split(", "))
        assert (near[0], far[0], apart[0]) == ("near", "far", "apart")
        assert sum(ord(place[1]) for place in near[2:]) > sum(ord(place[1]) for place in far[2:])
        columns = [ord(a[0]) - ord(b[0]) for a, b in zip(near[2:], far[2:], strict=True)]
        assert apart[1:3] == [f"{n:+d}" for n in columns]
        slide = columns[1] - columns[0]
        assert apart[3:] == ["still" if abs(slide) < 2 else "right" if slide > 0 else "left", str(abs(slide))]


def test_words_vary_by_question_and_only_by_the_seed(made: Made) -> None:
    store, _, chains = made
    question, chain = next((q, c) for q, c in chains["full"] if "slid" in c)
    story = tell(question, *views_of(store, question), with_shape=True, grid=GRID)
    texts = {in_words(story, "full", generator_for(seed, "words")) for seed in range(20)}
    assert len(texts) > 5
    assert chain == in_words(story, "full", generator_for(7, f"{question.question_id}/chain"))


def test_a_limit_gives_every_kind_and_label_as_many_chains(made: Made) -> None:
    store, questions, _ = made
    limited = replace(settings("short"), chains=24)
    rows = written_chains(Scribe(PARAMS.prompt, limited, store.__getitem__, None, 7), questions, len(questions)).told
    assert len(rows) == 24 and len({(q.kind, q.label_of(q.truth)) for q, _ in rows}) == 12


def test_without_named_parts_there_is_no_chain(made: Made) -> None:
    _, questions, _ = made
    bare = [replace(v, objects=v.objects[:1]) for v in toy_views(0)]
    with pytest.raises(NoChain, match="fewer than two named parts"):
        tell(questions[0], bare[0], bare[1], with_shape=False)
    assert sightings(bare[0]) == {}


def test_a_part_behind_a_companion_is_not_spoken_of() -> None:
    view = toy_views(0)[0]
    name, sighting = next(iter(sightings(view).items()))
    half_way = (view.camera.pose()[:3, 3] + sighting.part.center()) / 2
    before = SceneObject("gray_box", "box", "solid", "gray", at(half_way), (0.05, 0.05, 0.05))
    assert set(sightings(view)) - set(sightings(replace(view, objects=(*view.objects, before)))) == {name}
    aside = replace(before, T_world_obj=at(half_way + np.array([0.0, 0.0, 2.0])))
    assert sightings(replace(view, objects=(*view.objects, aside))) == sightings(view), "nor does it change what else is said"


def test_from_above_there_is_no_chain(made: Made) -> None:
    _, questions, _ = made
    first, second = toy_views(0)[:2]
    above = np.eye(4)
    above[:3, 3] = first.objects[0].center() + np.array([0.0, 0.0, 3.0])
    with pytest.raises(NoChain, match="above or below"):
        tell(questions[0], replace(first, camera=replace(first.camera, T_world_cam=tuple(above.ravel()))), second, with_shape=False)


def part(name: str, x: float, color: str = "", shape: str = "box") -> SceneObject:
    T = (1.0, 0, 0, x, 0, 1.0, 0, 0, 0, 0, 1.0, 0, 0, 0, 0, 1.0)
    return SceneObject(name, shape, "f", color or name, T, (0.5, 0.5, 0.5), part_of="subject")


def test_a_part_behind_another_is_hidden() -> None:
    parts = [part("red", 0.0), part("blue", 1.0), part("green", 2.0)]
    assert hidden_by_others(np.array([-5.0, 0, 0]), parts).tolist() == [False, True, True]
    assert hidden_by_others(np.array([1.0, -5.0, 0]), parts).tolist() == [False, False, False]
    assert hidden_by_others(np.array([5.0, 0, 0]), parts).tolist() == [True, True, False]


def test_parts_are_named_only_where_the_name_is_theirs_alone() -> None:
    subject = SceneObject("subject", "composite", "f", "", part("s", 0.0).T_world_obj, (1.0, 1.0, 1.0))
    objects = (subject, part("a", 0, "red"), part("b", 0, "red", "cone"), part("c", 0, "blue"), part("d", 0, "green"), part("e", 0, "green"))
    assert spoken_names(objects, with_shape=False) == {"a": "red box", "b": "red cone", "c": "blue"}
    assert spoken_names(objects, with_shape=True) == {"a": "red box", "b": "red cone", "c": "blue box"}


def test_nothing_is_shared_between_writer_and_verifier() -> None:
    checkers = {"verification", "checked_scene", "verified_arcs", "verified_claims", "verified_conclusions", "verified_evidence"}
    for name in checkers:
        source = (REPO / f"actial/mix/{name}.py").read_text()
        imported = set(re.findall(r"^(?:from|import) (actial\S*)(?: import (verified\S*))?", source, re.M))
        assert {f"{module}.{name}".rstrip(".") for module, name in imported} <= {"actial.records", *(f"actial.mix.{checker}" for checker in checkers)}
