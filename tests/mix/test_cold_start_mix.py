"""The stage: rows of three modes, prompts for GRPO, tokens counted, bad input refused."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from toy_scenes import REPO, make_project, run_stage

from actial.mirror import mirrored_question, original_id
from actial.mix.descriptions import describe_pair
from actial.mix.lengths import TokenCounter, token_counter
from actial.params import load_params
from actial.prompts import IMAGE_MARK, prompt_sha
from actial.questions.kinds_2d import questions_2d
from actial.questions.sight import sightings
from actial.records import Conversation, Message, Question, is_viewpoint
from actial.shards import ViewStore
from actial.tables import read_conversations, read_questions

MODES = {"think": 0.5, "direct": 0.3, "describe": 0.2}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    mix = {"cold_start_mix__n_rows": 600, "cold_start_mix__modes": MODES, "cold_start_mix__share_2d": 0.2}
    root = make_project(tmp_path_factory.mktemp("mix") / "project", 24, **mix, prompt__answer="letter")
    for stage in ("build_qa", "cold_start_mix"):
        done = run_stage(root, stage)
        assert done.returncode == 0, done.stderr
    return root


@pytest.fixture(scope="module")
def sft(project: Path) -> list[Conversation]:
    return read_conversations(project / "outputs/cold_start_mix/sft.parquet")


def sort_of(c: Conversation) -> str:
    return c.mode + ("" if is_viewpoint(c.kind) else " 2d")


def test_shares_and_repeats_are_as_stated(project: Path, sft: list[Conversation]) -> None:
    sorts = {"think": 240, "think 2d": 60, "direct": 144, "direct 2d": 36, "describe": 120}
    assert Counter(sort_of(c) for c in sft) == sorts
    made = json.loads((project / "outputs/cold_start_mix/manifest.json").read_text())["made"]
    for sort in sorts:
        often = Counter(c.question_id for c in sft if sort_of(c) == sort)
        rounds, extra = divmod(made[f"{sort} rows"], made[f"distinct {sort} rows"])
        expected = {rounds + 1: extra} | ({rounds: made[f"distinct {sort} rows"] - extra} if rounds else {})
        assert Counter(often.values()) == {k: n for k, n in expected.items() if n}


def test_rows_say_what_their_questions_say(project: Path, sft: list[Conversation]) -> None:
    params = load_params(project / "params.yaml")
    train = read_questions(project / "outputs/build_qa/train.parquet")
    questions = {q.question_id: q for q in (*train, *map(mirrored_question, train))}
    store = ViewStore(project / "outputs/render_views/views")
    mirrored = [c.scene_id for c in sft if original_id(c.scene_id)]
    assert 0.4 * len(sft) < len(mirrored) < 0.6 * len(sft) and set(map(original_id, mirrored)) <= {q.scene_id for q in train}
    for c in sft:
        assert [m.role for m in c.messages] == ["system", "user", "assistant"]
        assert c.prompt_sha == prompt_sha(params.prompt) and c.messages[1].content.count(IMAGE_MARK) == 2
        if c.mode == "describe":
            assert c.kind == "describe" and c.truth == "" and "<" not in c.messages[2].content
            continue
        q = questions[c.question_id] if is_viewpoint(c.kind) else asked_2d(store, c)
        assert (c.view_ids, c.kind, c.options, c.labels, c.truth, c.scene_id) == (q.view_ids, q.kind, q.options, q.labels, q.truth, q.scene_id)
        assert all(f"{letter}. {text}" in c.messages[1].content for letter, text in zip("ABC", q.options, strict=True))
        pattern = r"<think>[^<>]+</think><answer>(.)</answer>" if c.mode == "think" else r"<answer>(.)</answer>"
        match = re.fullmatch(pattern, c.messages[2].content)
        assert match and match[1] == q.truth


def asked_2d(store: ViewStore, c: Conversation) -> Question:
    first, second = (store[v] for v in c.view_ids)
    return next(a.question for a in questions_2d(first, second, 7) if a.question.question_id == c.question_id)


def test_prompts_for_grpo_are_of_fresh_scenes_and_unanswered(project: Path, sft: list[Conversation]) -> None:
    rl = read_conversations(project / "outputs/cold_start_mix/rl.parquet")
    questions = read_questions(project / "outputs/build_qa/rl.parquet")
    assert sorted(c.question_id for c in rl) == sorted(q.question_id for q in (*questions, *map(mirrored_question, questions)))
    assert all([m.role for m in c.messages] == ["system", "user"] and c.mode == "think" for c in rl)
    scenes = [{original_id(c.scene_id) or c.scene_id for c in rows} for rows in (rl, sft)]
    assert not scenes[0] & scenes[1]


def test_descriptions_place_parts_where_they_are(project: Path) -> None:
    store = ViewStore(project / "outputs/render_views/views")
    first, second = store["scene-000000.v00"], store["scene-000000.v01"]
    short, full = (describe_pair(first, second, wording, (12, 6), sides=True) for wording in ("short", "full"))
    said = re.findall(r"([a-z]+) ([a-z])[A-Z]", short.split(" 2: ")[0])
    expected = [(s.part.color, chr(ord("a") + int(s.pixel[0] // 7))) for s in sightings(first).values()]
    assert said[0][0] == "middle" and said[1:] == expected and len(expected) >= 2
    assert all(f"the {color} box at {column}" in full for color, column in expected)


def test_the_same_params_are_the_same_bytes(project: Path, tmp_path: Path) -> None:
    before = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (project / "outputs/cold_start_mix").iterdir()}
    assert run_stage(project, "cold_start_mix").returncode == 0
    assert before == {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (project / "outputs/cold_start_mix").iterdir()}


def test_datasets_opens_the_rows(project: Path, tmp_path: Path) -> None:
    import datasets

    rows = datasets.load_dataset(str(project / "outputs/cold_start_mix"), "sft", cache_dir=str(tmp_path))["train"]
    assert rows.num_rows == 600 and rows[0]["messages"][0]["role"] == "system"
    assert datasets.load_dataset(str(project / "outputs/cold_start_mix"), "rl", cache_dir=str(tmp_path))["train"].num_rows > 0


def test_answers_may_be_option_texts(tmp_path: Path) -> None:
    root = make_project(
        tmp_path / "project", 24, cold_start_mix__n_rows=50, cold_start_mix__modes={"think": 0.1, "direct": 0.9, "describe": 0.0}, prompt__answer="text"
    )
    assert run_stage(root, "build_qa").returncode == 0
    assert run_stage(root, "cold_start_mix").returncode == 0
    for c in read_conversations(root / "outputs/cold_start_mix/sft.parquet"):
        assert c.messages[2].content.endswith(f"<answer>{c.options['ABC'.index(c.truth)]}</answer>")
        assert c.mode != "describe"


def test_a_store_that_lacks_a_view_is_refused_in_one_sentence(project: Path, tmp_path: Path) -> None:
    root = make_project(tmp_path / "project", 2)
    (root / "outputs/build_qa").symlink_to(project / "outputs/build_qa")
    done = run_stage(root, "cold_start_mix")
    assert done.returncode == 2 and "is not in" in done.stderr and "Traceback" not in done.stderr
    assert not (root / "outputs/cold_start_mix").exists()


def with_limit(project: Path, root: Path, max_tokens: int, **changes: object) -> Path:
    """The project with cold_start_mix.max_tokens."""
    mix = {"cold_start_mix__n_rows": 600, "cold_start_mix__modes": MODES, "cold_start_mix__share_2d": 0.2, "cold_start_mix__max_tokens": max_tokens}
    made = make_project(root, 0, **mix, prompt__answer="letter", **changes)
    (made / "outputs").mkdir()
    for stage in ("render_views", "build_qa"):
        (made / "outputs" / stage).symlink_to(project / "outputs" / stage)
    return made


def test_rows_and_prompts_that_are_too_long_are_left_out_whole_and_counted(project: Path, sft: list[Conversation], tmp_path: Path) -> None:
    rl = read_conversations(project / "outputs/cold_start_mix/rl.parquet")
    limit = int(np.median([c.n_tokens for c in sft if sort_of(c) == "think"]))
    root = with_limit(project, tmp_path / "project", limit)
    done = run_stage(root, "cold_start_mix")
    assert done.returncode == 0, done.stderr
    short, prompts = (read_conversations(root / f"outputs/cold_start_mix/{name}.parquet") for name in ("sft", "rl"))
    assert Counter(map(sort_of, short)) == Counter(map(sort_of, sft)), "the shares stay"
    assert max(c.n_tokens for c in (*short, *prompts)) <= limit < max(c.n_tokens for c in sft)
    untouched = {(c.question_id, c.mode): c for c in sft}
    assert all(c == untouched.get((c.question_id, c.mode), c) for c in short), "no row is cut"
    refused = json.loads((root / "outputs/cold_start_mix/manifest.json").read_text())["refused"]
    made = json.loads((project / "outputs/cold_start_mix/manifest.json").read_text())["made"]
    made_short = json.loads((root / "outputs/cold_start_mix/manifest.json").read_text())["made"]
    n_distinct = lambda counts: sum(n for what, n in counts.items() if what.startswith("distinct "))
    assert refused[f"rows: longer than {limit} tokens"] == n_distinct(made) - n_distinct(made_short) > 0
    assert refused.get(f"prompts: longer than {limit} tokens", 0) == len(rl) - len(prompts) == sum(c.n_tokens > limit for c in rl)
    assert f"rows: longer than {limit} tokens" in (root / "outputs/cold_start_mix/README.md").read_text()


def test_a_limit_that_cannot_be_checked_or_leaves_nothing_is_one_sentence(project: Path, tmp_path: Path) -> None:
    hub = with_limit(project, tmp_path / "hub", 100, model__base="Qwen/Qwen2.5-VL-7B-Instruct", model__sha256=None, model__revision="main")
    strict = with_limit(project, tmp_path / "strict", 20)
    for root, said in ((hub, "set it to null, or give the model's folder"), (strict, "rows: longer than 20 tokens")):
        done = run_stage(root, "cold_start_mix")
        assert done.returncode == 2 and said in done.stderr and done.stderr.count("actial: error") == 1 and "Traceback" not in done.stderr
        assert not (root / "outputs/cold_start_mix").exists()


def word_counter(min_pixels: int, max_pixels: int) -> TokenCounter:
    """Every character run is a token: enough to see what is counted."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return TokenCounter(tokenizer, 28, min_pixels, max_pixels)


@pytest.mark.parametrize(
    ("size", "budget"),
    [((84, 84), (7056, 7056)), ((640, 480), (3136, 12_845_056)), ((1920, 1080), (3136, 518_400)), ((30, 2000), (784, 50_000)), ((20, 20), (7056, 7056))],
)
def test_picture_tokens_are_those_of_the_real_processor(size: tuple[int, int], budget: tuple[int, int]) -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    height_px, width_px = smart_resize(size[1], size[0], factor=28, min_pixels=budget[0], max_pixels=budget[1])
    assert word_counter(*budget).picture_tokens(*size) == height_px * width_px // 784


def test_text_and_pictures_are_counted() -> None:
    messages = (Message("user", f"one two {IMAGE_MARK} three"),)
    assert word_counter(7056, 7056).conversation_tokens(messages, [(84, 84)]) == 5 + 9


def test_tokens_are_those_of_the_real_processor(project: Path, sft: list[Conversation]) -> None:
    from actial.models.load import load_processor

    model = load_params(project / "params.yaml").model
    processor = load_processor(project / model.base, model)
    store = ViewStore(project / "outputs/render_views/views")
    for conversation in sft[:12]:
        turns = [{"role": m.role, "content": _typed(m.content)} for m in conversation.messages]
        text = processor.apply_chat_template(turns, tokenize=False)
        inputs = processor(text=[text], images=[store.picture(v) for v in conversation.view_ids])
        assert len(inputs["input_ids"][0]) == conversation.n_tokens < 160


def _typed(content: str) -> list[dict[str, str]]:
    """Text with marks, as the processor's chat template takes it."""
    first, *rest = content.split(IMAGE_MARK)
    typed = [{"type": "text", "text": first}]
    for text in rest:
        typed += [{"type": "image"}, {"type": "text", "text": text}]
    return [part for part in typed if part.get("text") != ""]


def test_a_hub_model_has_no_counter() -> None:
    from dataclasses import replace

    assert token_counter(replace(load_params(REPO / "profiles/tiny.yaml").model, base="Qwen/Qwen2.5-VL-7B-Instruct")) is None
