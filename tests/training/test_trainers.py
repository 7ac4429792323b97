"""Both trainers at work on a few rows, inside this process: what changes, what stays, and that an interruption changes nothing."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from toy_scenes import toy_views, write_toy_views
from training_project import ROOT, make_project, plan_of

from actial.errors import UserError
from actial.models.load import load_model, load_processor
from actial.params import load_params
from actial.prompts import IMAGE_MARK
from actial.records import Message
from actial.shards import ViewStore
from actial.tables import read_conversations, read_rollouts, write_conversations
from actial.training import grpo, sft
from actial.training.checks import check_labels, check_pictures, check_tags
from actial.training.curve import Progress
from actial.training.data import chat_turns, load_rows
from actial.training.plan import TrainingPlan

FAST = {"learning_rate": 3e-3, "warmup_steps": 0}
ADAMW = asdict(load_params(ROOT / "profiles/smoke.yaml").sft.optimizer)
ADAPTERS = {"method": "lora", "lora": {"rank": 4, "alpha": 8, "dropout": 0.0}, "optimizer": ADAMW}


def weights(plan: TrainingPlan) -> dict[str, torch.Tensor]:
    return load_file(Path(plan.out) / "model" / "model.safetensors")


def start_weights() -> dict[str, torch.Tensor]:
    return load_file(ROOT / "assets" / "tiny-base" / "model.safetensors")


def project(folder: Path, stage: str, **changes: Any) -> Path:
    defaults = {"sft": {"max_steps": 8, "epochs": 4.0, "logging_steps": 1}, "grpo": {"max_new_tokens": 6}}[stage]
    made = make_project(folder, **{stage: defaults | changes})
    tiny_params = made / "params.yaml"
    import yaml

    data = yaml.safe_load(tiny_params.read_text())
    data[stage]["optimizer"] |= FAST
    tiny_params.write_text(yaml.safe_dump(data))
    if stage == "grpo":
        shutil.copytree(ROOT / "assets" / "tiny-base", made / "outputs" / "sft" / "model")
    return made


def interrupted(train: Any, plan: TrainingPlan, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train until the given step is logged, then stop as if struck by lightning; checkpoints stand at even steps."""
    with monkeypatch.context() as patched:

        def strike(self: Any, args: Any, state: Any, *_: Any, **__: Any) -> None:
            if state.global_step == step:
                raise KeyboardInterrupt

        patched.setattr(Progress, "on_log", strike)
        with pytest.raises(KeyboardInterrupt):
            train(plan)


def vowels(completions: list[Any], **_: Any) -> list[float]:
    """A reward that a random model earns in part, so that there is something to learn from."""
    return [sum(c in "aeiou" for c in turns[0]["content"]) / max(len(turns[0]["content"]), 1) for turns in completions]


vowels.__name__ = "accuracy_reward"


def test_prompts_answered_all_right_or_all_wrong_are_told() -> None:
    told: dict[str, float] = {}
    answers = {"easy": "BB", "hard": "AC", "mixed": "BA", "described": "BB"}
    asked = [(question, [{"content": f"<answer>{letter}</answer>"}]) for question, letters in answers.items() for letter in letters]
    given = grpo.accuracy_reward(
        completions=[turns for _, turns in asked],
        options=[[] if question == "described" else ["left", "right", "none"] for question, _ in asked],
        truth=["B"] * len(asked),
        question_id=[question for question, _ in asked],
        log_metric=told.__setitem__,
    )
    assert given == [1, 1, 0, 0, 1, 0, None, None]
    assert told == {"dead_groups": pytest.approx(2 / 3)}


@pytest.mark.slow
def test_sft_learns_the_form_and_moves_every_weight_that_is_not_frozen(tmp_path: Path) -> None:
    plan = plan_of(project(tmp_path / "p", "sft", freeze_vision=True), "sft")
    sft.train(plan)
    losses = [float(line.split(",")[1]) for line in (Path(plan.out) / "curve.csv").read_text().splitlines()[1:]]
    assert len(losses) == 8 and losses[-1] < 0.8 * losses[0]
    before, after = start_weights(), weights(plan)
    assert before.keys() == after.keys()
    for name in before:
        assert torch.equal(before[name], after[name]) == name.startswith("visual."), name


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, ADAPTERS], ids=["full", "lora"])
def test_an_interrupted_sft_ends_with_the_weights_of_an_uninterrupted_one(tmp_path: Path, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    whole, broken = (plan_of(project(tmp_path / name, "sft", **changes), "sft", rows_per_device=2) for name in ("whole", "broken"))
    sft.train(whole)
    interrupted(sft.train, broken, 5, monkeypatch)
    torch.manual_seed(99)  # nothing may lean on what is left in this process
    sft.train(broken)
    for name in ("model/model.safetensors", "curve.csv", "curve.json"):
        assert (Path(whole.out) / name).read_bytes() == (Path(broken.out) / name).read_bytes(), name
    before, after = start_weights(), weights(whole)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved and (not changes or all("_proj" in name and name.startswith("model.layers.") for name in moved))


@pytest.mark.slow
def test_a_merged_model_says_what_the_adapter_says(tmp_path: Path) -> None:
    from peft import PeftModel

    plan = plan_of(project(tmp_path / "p", "sft", **ADAPTERS), "sft")
    sft.train(plan)
    model, out = plan.params.model, Path(plan.out)
    processor = load_processor(out / "model", model)
    row, views = load_rows(plan)[0], ViewStore(*plan.views)
    text = processor.apply_chat_template(chat_turns(row.messages[:-1]), tokenize=False, add_generation_prompt=True)
    batch = processor(text=[text], images=[[views.picture(v) for v in row.view_ids]], return_tensors="pt")
    base = load_model(plan.source, model).eval()
    with torch.no_grad():
        plain = base(**batch).logits
        adapted = PeftModel.from_pretrained(base, out / "adapter").eval()(**batch).logits
        merged = load_model(out / "model", model).eval()(**batch).logits
    assert not torch.allclose(plain, merged, atol=1e-2)
    assert torch.allclose(adapted, merged, atol=1e-4)
    assert sorted(p.name for p in (out / "adapter").iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]


def test_thoughts_are_rewarded_by_the_share_of_their_claims_that_the_cameras_bear_out(tmp_path: Path) -> None:
    write_toy_views(tmp_path / "views", 1)
    plan = replace(plan_of(project(tmp_path / "p", "grpo"), "grpo"), views=(str(tmp_path / "views"),))
    first, second = (view.view_id for view in toy_views(0)[:2])
    part = toy_views(0)[0].objects[1].color
    asked = {
        f"<think>near {part}.</think><answer>none</answer>": ("think", "lateral", 1.0),
        f"<think>near {part}, far mauve.</think><answer>none</answer>": ("think", "lateral", 0.5),
        f"near {part}.</think><answer>none</answer>": ("think", "lateral", 0.0),
        f"<think>near {part}.": ("think", "lateral", 0.0),
        "<think></think><answer>none</answer>": ("think", "lateral", 0.0),
        f"<think>{part} aA.</think><answer>none</answer>": ("think", "place_2d", None),
        "<answer>none</answer>": ("direct", "lateral", None),
    }
    modes, kinds, rewards = zip(*asked.values(), strict=True)
    claims_reward = grpo.claims_reward_of(plan)
    assert claims_reward([[{"content": text}] for text in asked], modes, kinds, [[first, second]] * len(asked)) == list(rewards)
    assert claims_reward([[{"content": next(iter(asked))}]], ["think"], ["lateral"], [[first]]) == [None]


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"updates_per_rollout": 2, "beta": 0.04}, ADAPTERS], ids=["full", "lora"])
def test_an_interrupted_grpo_ends_with_the_weights_of_an_uninterrupted_one(tmp_path: Path, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpo, "accuracy_reward", vowels)
    whole, broken = (plan_of(project(tmp_path / name, "grpo", **changes), "grpo") for name in ("whole", "broken"))
    grpo.train(whole)
    interrupted(grpo.train, broken, 6 if "beta" in changes else 3, monkeypatch)
    torch.manual_seed(99)
    grpo.train(broken)
    for name in ("model/model.safetensors", "curve.csv", "rollouts.parquet"):
        assert (Path(whole.out) / name).read_bytes() == (Path(broken.out) / name).read_bytes(), name
    before, after = start_weights(), weights(whole)
    assert any(not torch.equal(before[name], after[name]) for name in before)
    steps = {r.step for r in read_rollouts(Path(whole.out) / "rollouts.parquet")}
    assert steps == ({2, 4, 6, 8} if "beta" in changes else {1, 2, 3, 4})


def test_a_loss_that_is_no_number_ends_training_with_a_sentence(tmp_path: Path) -> None:
    made = project(tmp_path / "p", "sft")
    plan = plan_of(made, "sft")
    optimizer = replace(plan.params.sft.optimizer, name="adamw", learning_rate=1.0, max_grad_norm=1e30)
    hot = replace(plan, params=replace(plan.params, sft=replace(plan.params.sft, optimizer=optimizer, max_steps=30)))
    weights_path = tmp_path / "base"
    shutil.copytree(ROOT / "assets" / "tiny-base", weights_path)
    from safetensors.torch import save_file

    tensors = load_file(weights_path / "model.safetensors")
    tensors["model.norm.weight"] *= float("nan")
    save_file(tensors, weights_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"sft: the loss is nan at step 1: lower sft\.optimizer\.learning_rate"):
        sft.train(replace(hot, source=str(weights_path)))


def first_batch(tmp_path: Path) -> tuple[Any, Any, Any, Any]:
    plan = plan_of(project(tmp_path / "p", "sft"), "sft")
    rows, model, processor = load_rows(plan)[:6], load_model(plan.source, plan.params.model), load_processor(plan.source, plan.params.model)
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    dataset = sft.sft_dataset(plan, range(6))
    collate = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
    return rows, model, processor, collate([dataset[i] for i in range(6)])


def test_the_loss_falls_on_the_assistants_turn_alone(tmp_path: Path) -> None:
    rows, model, processor, batch = first_batch(tmp_path)
    check_labels(processor, batch, rows)
    check_pictures(processor, model, batch, 12)
    check_tags(processor)
    for row, ids, labels in zip(rows, batch["input_ids"], batch["labels"], strict=True):
        assert processor.tokenizer.decode(ids[labels != -100]) == row.messages[-1].content + "<|im_end|>\n"


def test_a_label_too_many_or_too_few_is_refused(tmp_path: Path) -> None:
    rows, model, processor, batch = first_batch(tmp_path)
    wider = {**batch, "labels": batch["input_ids"].clone()}
    with pytest.raises(UserError, match="the loss would fall on"):
        check_labels(processor, wider, rows)
    other = [replace(row, messages=(*row.messages[:-1], Message("assistant", "No"))) for row in rows]
    with pytest.raises(UserError, match="not on the assistant's turn 'No'"):
        check_labels(processor, batch, other)
    with pytest.raises(UserError, match="prepared 12 pictures and 192 picture tokens, but the conversations show 11 pictures"):
        check_pictures(processor, model, batch, 11)


def test_tags_that_decoding_drops_are_refused(tmp_path: Path) -> None:
    _, _, processor, _ = first_batch(tmp_path)
    processor.tokenizer.add_special_tokens({"additional_special_tokens": ["<think>"]}, replace_extra_special_tokens=False)
    with pytest.raises(UserError, match="holds <think> as a special token"):
        check_tags(processor)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_refused(tmp_path: Path) -> None:
    plan = plan_of(project(tmp_path / "p", "sft"), "sft", device="cuda")
    with pytest.raises(UserError, match=r"device of machine\.yaml is cuda, but torch sees no GPU here"):
        sft.train(plan)


@pytest.mark.parametrize(("stage", "train"), [("sft", sft.train), ("grpo", grpo.train)])
def test_rows_of_one_and_of_two_pictures_are_trained_on_together(tmp_path: Path, stage: str, train: Any) -> None:
    """In one batch."""
    made = project(tmp_path / "project", stage)
    plan = plan_of(made, stage)
    rows = read_conversations(plan.rows)
    of_one = lambda c: replace(c, view_ids=c.view_ids[:1], messages=tuple(replace(m, content=m.content.replace(IMAGE_MARK, "", 1)) for m in c.messages))
    write_conversations(Path(plan.rows), [of_one(c) if i % 2 else c for i, c in enumerate(rows)])
    train(plan)
    assert all(torch.isfinite(w).all() for w in weights(plan).values())
    if stage == "grpo":
        shown = {c.question_id: len(c.view_ids) for c in load_rows(plan)}
        assert {shown[rollout.question_id] for rollout in read_rollouts(Path(plan.out) / "rollouts.parquet")} == {1, 2}
