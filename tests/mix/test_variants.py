"""Variants of reasoning: the rows of the mixture, their order and their numbers stay; what stands for the chain is what the variant says."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from toy_scenes import REPO, make_project, run_stage, toy_settings, write_toy_views

from actial.answers import Answer, read_answer
from actial.errors import UserError
from actial.mix.conversations import Scribe, written_chains
from actial.mix.lengths import token_counter
from actial.mix.variants import ROWS_NAMED, facts_of, opposite, varied
from actial.mix.verification import FalseClaim, verify
from actial.params import load_params
from actial.questions.build import build_questions
from actial.questions.scan import scan_scenes
from actial.records import Conversation, Message, Question, is_viewpoint
from actial.shards import ViewStore
from actial.tables import read_conversations, read_questions

MODES = {"think": 0.5, "direct": 0.3, "describe": 0.2}
VARIANTS = ("chain", "auxiliary", "after", "filler", "shuffled")
Rows = dict[str, list[Conversation]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_project(tmp_path_factory.mktemp("variants") / "project", 16, cold_start_mix__n_rows=800, cold_start_mix__modes=MODES, prompt__answer="letter")
    assert run_stage(root, "build_qa").returncode == 0
    return root


@pytest.fixture(scope="module")
def rows(project: Path) -> Rows:
    """sft.parquet of every variant, with `rl`-prompts' modes and the manifest looked at on the way."""
    made = {}
    params = yaml.safe_load((project / "params.yaml").read_text())
    for variant in VARIANTS:
        params["cold_start_mix"]["reasoning"] = variant
        (project / "params.yaml").write_text(yaml.safe_dump(params))
        done = run_stage(project, "cold_start_mix")
        assert done.returncode == 0, done.stderr
        out = project / "outputs/cold_start_mix"
        counts = json.loads((out / "manifest.json").read_text())["made"]
        assert {name: n for name, n in counts.items() if name in ROWS_NAMED.values()} == ({} if variant == "chain" else {ROWS_NAMED[variant]: 400})
        assert {c.mode for c in read_conversations(out / "rl.parquet")} == {"direct" if variant == "auxiliary" else "think"}
        made[variant] = read_conversations(out / "sft.parquet")
    return made


def think_rows(rows: Rows, variant: str) -> list[tuple[Conversation, Conversation]]:
    """The think rows of the mixture with chains, each with the row that stands in its place in a variant."""
    return [(true, other) for true, other in zip(rows["chain"], rows[variant], strict=True) if true.mode == "think"]


def thought(row: Conversation) -> str:
    return re.sub(r"<answer>.</answer>|</?think>", "", row.messages[2].content)


def asked(i: int, kind: str) -> Question:
    fields = {f.name: "" for f in dataclasses.fields(Question)} | {"question_id": f"q{i}", "kind": kind}
    return Question(**fields)  # type: ignore[arg-type]  # nothing else is looked at


@pytest.mark.parametrize("variant", VARIANTS[1:])
def test_only_the_replies_of_think_rows_differ(rows: Rows, variant: str) -> None:
    assert [(r.question_id, r.kind, r.truth, r.messages[1]) for r in rows["chain"]] == [(r.question_id, r.kind, r.truth, r.messages[1]) for r in rows[variant]]
    assert all(a == b for a, b in zip(rows["chain"], rows[variant], strict=True) if a.mode != "think")
    unlike = [a.messages[2] != b.messages[2] for a, b in think_rows(rows, variant)]
    assert all(unlike) or (variant == "shuffled" and sum(unlike) > 0.9 * len(unlike))  # two questions may have the same chain


def test_facts_alone_are_described_in_reply_to_the_question(rows: Rows) -> None:
    for true, facts in think_rows(rows, "auxiliary"):
        said = facts.messages[2].content
        assert facts.mode == "describe" and facts.messages[0] != true.messages[0]
        assert said and said == facts_of(thought(true), true.kind)
        if is_viewpoint(true.kind):
            assert not re.search(r"camera|clockwise|object|turn|\bso\b", said), said
    assert not any("<think>" in row.messages[2].content for row in rows["auxiliary"])


def test_facts_end_where_conclusions_about_the_camera_begin() -> None:
    facts = "near red cM fN, far blue kI dH, apart -8 +2 right 10"
    assert facts_of(f"{facts}: camera left, clockwise.", "orbit") == f"{facts}."
    assert facts_of("red c.", "place_2d") == "red c."
    part, went = (
        "The red box is on the near side of the object and slides left against its middle.",
        "So the camera kept to its line of sight and did not move.",
    )
    assert facts_of(f"{part} {part} {went}", "lateral") == f"{part} {part}"
    assert facts_of(f"{part} {part} {went} It went neither way around the object.", "orbit") == f"{part} {part}"


def test_the_answer_first_is_the_same_text_turned_round_and_is_read(rows: Rows) -> None:
    for true, after in think_rows(rows, "after"):
        text = after.messages[2].content
        assert text == f"<answer>{true.truth}</answer><think>{thought(true)}</think>" and after.n_tokens == true.n_tokens
        for cut in (len(text), len(text) - 12):  # finished, and cut off in the middle of the rationale
            reading = read_answer(text[:cut], after.options)
            assert isinstance(reading, Answer) and reading.letter == true.truth


def test_filler_is_dots_before_the_true_answer(rows: Rows) -> None:
    for true, filler in think_rows(rows, "filler"):
        assert set(thought(filler)) <= {".", " "} and filler.messages[2].content == f"<think>{thought(filler)}</think><answer>{true.truth}</answer>"


def test_filler_is_as_long_as_chains_are_but_not_as_its_own() -> None:
    counter = token_counter(load_params(REPO / "profiles/tiny.yaml").model)
    assert counter is not None
    n_tokens = lambda text: counter.conversation_tokens((Message("assistant", text),), ())
    chains = [(asked(i, kind), ", ".join(["red near left"] * (i + 1)) + ": clockwise.") for kind in ("orbit", "turn") for i in range(8)]
    filler = varied("filler", chains, n_tokens, 1)
    assert [q for q, _ in filler] == [q for q, _ in chains]
    lengths = [[(q.kind, n_tokens(text)) for q, text in told] for told in (chains, filler)]
    assert Counter(lengths[0]) == Counter(lengths[1])
    assert not any(own == given for own, given in zip(*lengths, strict=True))


def test_shuffled_chains_are_those_of_other_questions_of_the_kind() -> None:
    chains = [(asked(i, kind), f"{kind} {i}") for kind in ("orbit", "turn") for i in range(8)]
    shuffled = varied("shuffled", chains, len, 1)
    assert [q for q, _ in shuffled] == [q for q, _ in chains] and Counter(t for _, t in shuffled) == Counter(t for _, t in chains)
    assert all(text.split()[0] == q.kind and text != own for (q, text), (_, own) in zip(shuffled, chains, strict=True))
    assert shuffled == varied("shuffled", chains, len, 1) != varied("shuffled", chains, len, 2)


def test_shuffled_chains_stand_before_the_true_answer(rows: Rows) -> None:
    assert all(b.messages[2].content == f"<think>{thought(b)}</think><answer>{a.truth}</answer>" for a, b in think_rows(rows, "shuffled"))


words = st.sampled_from(
    [
        "red near left",
        "blue far right",
        "camera left",
        "clockwise",
        "counter-clockwise",
        "all right less",
        "the camera's right is left",
        "red cM fN",
        "apart -2 +11 right 13",
    ]
)


@given(st.lists(words, min_size=1))
def test_the_opposite_of_the_opposite_is_the_chain(clauses: list[str]) -> None:
    chain = ", ".join([*clauses, "camera left"])
    turned = opposite(chain)
    assert turned != chain and opposite(turned) == chain
    assert turned.count("left") == chain.count("right")
    assert turned.count("counter-clockwise") == chain.count("clockwise") - chain.count("counter-clockwise")
    assert [turned.count(word) for word in ("near", "far")] == [chain.count(word) for word in ("near", "far")]


def test_the_opposite_movement_goes_from_the_second_picture_to_the_first() -> None:
    short = "near red {0} {1}, far blue {2} {3}, apart {4} {5} {6} 10: camera {7}, middle {8} {9}, all {6}, turned {6}."
    there, back = ("cM", "fN", "kI", "dH", "-8", "+2", "right", "left", "gK", "hL"), ("fN", "cM", "dH", "kI", "+2", "-8", "left", "right", "hL", "gK")
    assert opposite(short.format(*there)) == short.format(*back)
    full = (
        "The red box is at {0} in the first picture and at {1} in the second. "
        "In columns, the red box less the blue box is {4} in the first picture and {5} in the second. When what is nearer slides {6}, {7}."
    )
    assert opposite(full.format(*there)) == full.format(*back)


@pytest.mark.parametrize("wording", ["short", "full"])
def test_the_opposite_of_every_true_chain_with_a_direction_is_false(tmp_path: Path, wording: str) -> None:
    params = load_params(REPO / "profiles/tiny.yaml")
    write_toy_views(tmp_path / "views", 16)
    build_questions(scan_scenes(tmp_path / "views"), tmp_path / "out", toy_settings(), 7)
    views, settings = ViewStore(tmp_path / "views"), dataclasses.replace(params.cold_start_mix, wording=wording, chains=None)
    train = read_questions(tmp_path / "out/train.parquet")
    chains = written_chains(Scribe(params.prompt, settings, views.__getitem__, None, 7), train, len(train)).told
    directed = [(q, chain) for q, chain in chains if q.label_of(q.truth) != "none" and is_viewpoint(q.kind)]
    assert {q.kind for q, _ in directed} == {"lateral", "orbit", "turn", "perspective"}
    for question, chain in directed:
        assert opposite(opposite(chain)) == chain
        with pytest.raises(FalseClaim):
            verify(opposite(chain), question, *map(views.__getitem__, question.view_ids), settings.grid)


def test_what_names_no_direction_has_no_opposite() -> None:
    with pytest.raises(ValueError, match="no direction"):
        opposite("red still, blue still: camera still.")


def test_one_chain_cannot_change_places() -> None:
    with pytest.raises(UserError, match="two chains of thought of kind orbit"):
        varied("shuffled", [(asked(0, "orbit"), "x")], len, 1)
