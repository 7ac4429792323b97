"""The schooling of `assets/tiny-base`: it learns to read pictures and the form of question and answer, and nothing about cameras.

    python -m actial.models.pretraining FOLDER --views VIEWS

Rows are dense descriptions of rendered pairs (which part is where in each picture) and 2D questions about them, thought out and answered directly, in the
prompts of a profile. In which words viewpoint questions are asked and answered it learns from rows whose answers are drawn by lot, whatever the pictures
show. Half of all pairs are mirrored, pictures and words alike, and tones vary. The scenes are of a seed of their own, so no scene of any profile is among
them.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from actial.errors import UserError, exit_on_user_error
from actial.mirror import mirrored_view
from actial.mix.descriptions import describe_pair, reason_2d
from actial.models import tiny
from actial.models.load import folder_sha256, load_model, load_processor
from actial.models.muon import MuonAdamW
from actial.models.processor import PairProcessor
from actial.params import Params, load_params
from actial.prompts import THINK_CLOSE, completion_text, content_parts, prompt_messages
from actial.questions.kinds import KINDS
from actial.questions.kinds_2d import DRIFT, LEAN, ORDER, PLACE, SHIFT, questions_2d
from actial.records import LETTERS, Message, Mode, Question, View
from actial.rng import generator_for
from actial.shards import ViewStore

LOG = "pretraining.json"
PAIRS_PER_SCENE = 12
HELD_OUT_SCENES = 50
BATCH_ROWS = 32
MUON_RATE, ADAMW_RATE, WARMUP_STEPS = 5e-3, 3e-3, 100
GAIN, OFFSET, NOISE = 0.1, 0.1, 0.03
"""How far tones vary, in the processor's normalised units: contrast by a factor near 1, brightness by a sum, each uniform; noise normal."""
LOG_EVERY = 50
LOT = "lot"
"""Viewpoint questions whose answer is drawn by lot."""
LOT_KINDS = ("lateral", "orbit", "turn", "perspective")
"""The kinds whose words they have; with others the same recipe would make another base."""


@dataclass(frozen=True)
class Phase:
    """A stretch of steps with a fresh optimizer: a rise, a plateau, and a linear fall to 0 over the last `decay_share`."""

    name: str
    steps: int
    shares: dict[Mode, float]
    kinds: tuple[str, ...]
    """Questions asked."""
    decay_share: float

    def rate(self, step: int) -> float:
        falls = self.decay_share * self.steps
        return min(1.0, (step + 1) / WARMUP_STEPS, (self.steps - step) / falls if falls else 1.0)


PHASES = (
    Phase("reading", 3600, {"describe": 0.65, "think": 0.25, "direct": 0.1}, (PLACE, ORDER, SHIFT, DRIFT, LEAN), decay_share=0.0),
    Phase("answering", 2600, {"describe": 0.3, "think": 0.5, "direct": 0.2}, (PLACE, ORDER, SHIFT, DRIFT, DRIFT, *[LEAN] * 4, LOT), decay_share=0.5),
)
"""Where things are first; then also what is on which side of what, what moves in the picture against what, the lowest part against the highest above
all, and in which words the camera is asked about."""


@dataclass(frozen=True)
class _Row:
    question: Question
    mode: Mode
    completion: str
    mirrored: bool


@dataclass(frozen=True)
class _Tokens:
    ids: np.ndarray
    n_prompt: int


def pretrain(folder: Path, views: Path, params: Params) -> None:
    """Train the model that stands in `folder` through the phases that its log does not name yet, writing it back with its log.

    Args:
        folder: as `tiny.build` writes it, or as this function left it.
        views: a folder of rendered views with known objects.
        params: the profile whose prompts and grid are used.

    Raises:
        UserError: there are too few scenes to hold any apart.
    """
    torch.set_num_threads(1)
    processor, model = load_processor(folder, params.model), load_model(folder, params.model)
    schooling = _Schooling(processor, ViewStore(views), params)
    path = folder / LOG
    log: dict[str, list[dict[str, float]]] = json.loads(path.read_text(encoding="utf-8"))
    for phase in PHASES:
        if phase.name not in log:
            curve = _train(model, schooling, phase)
            model.save_pretrained(folder)
            log[phase.name] = curve
            path.write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")


def _train(model: Any, schooling: _Schooling, phase: Phase) -> list[dict[str, float]]:
    torch.manual_seed(tiny.SEED)
    optimizer = MuonAdamW(model, MUON_RATE, weight_decay=0.05, beta2=0.98, other_rate=ADAMW_RATE, other_decay=0.01)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, phase.rate)
    generator = generator_for(tiny.SEED, f"pretraining/{phase.name}")
    curve: list[dict[str, float]] = []
    model.train()
    for step in range(1, phase.steps + 1):
        loss = model(**schooling.batch([schooling.draw(phase, generator) for _ in range(BATCH_ROWS)], generator)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rate.step()
        optimizer.zero_grad()
        if step % LOG_EVERY == 0:
            curve.append({"step": step, "loss": round(float(loss.detach()), 4)} | schooling.accuracy(model))
            print(phase.name, json.dumps(curve[-1]), flush=True)
    return curve


_Rows = dict[tuple[Mode, str], dict[str, list[_Row]]]
"""By mode and kind of question, then by label."""


class _Schooling:
    """All rows, and the pictures as patches."""

    def __init__(self, processor: PairProcessor, store: ViewStore, params: Params) -> None:
        self.processor, self.params = processor, params
        views_by_id = {view.view_id: view for view in store}
        ids = sorted(views_by_id)
        self.place = {view_id: i for i, view_id in enumerate(ids)}
        first = processor.image_processor(images=[store.picture(ids[0])], return_tensors="np")
        self.grid = torch.tensor(np.asarray(first["image_grid_thw"]))
        self.patches = np.empty((len(ids), *np.asarray(first["pixel_values"]).shape), dtype=np.float16)
        for i, view_id in enumerate(ids):
            self.patches[i] = processor.image_processor(images=[store.picture(view_id)], return_tensors="np")["pixel_values"]
        by_scene: dict[str, list[View]] = {}
        for view_id in ids:
            by_scene.setdefault(views_by_id[view_id].scene_id, []).append(views_by_id[view_id])
        if len(by_scene) <= HELD_OUT_SCENES:
            raise UserError(
                f"the views are of {len(by_scene)} scenes; schooling holds {HELD_OUT_SCENES} apart, so it needs more: render at least a few hundred"
            )
        self.rows: _Rows = {}
        self.held_out: _Rows = {}
        for n, (scene_id, views) in enumerate(by_scene.items()):
            rows = self.held_out if n < HELD_OUT_SCENES else self.rows
            pairs = list(itertools.permutations(views, 2))
            generator = generator_for(tiny.SEED, f"{scene_id}/schooling")
            for i in generator.permutation(len(pairs))[:PAIRS_PER_SCENE]:
                first, second = pairs[i]
                self._add(rows, first, second, bool(generator.integers(2)), generator)
        print(f"{len(ids)} views, rows: { ({'/'.join(sort): sum(map(len, rows.values())) for sort, rows in self.rows.items()}) }", flush=True)

    def _add(self, rows: _Rows, first: View, second: View, mirrored: bool, generator: np.random.Generator) -> None:
        if mirrored:
            first, second = _mirrored(first), _mirrored(second)
        mix = self.params.cold_start_mix
        modes: tuple[Mode, ...] = ("think", "direct")
        asked_2d = questions_2d(first, second, tiny.SEED)
        if not asked_2d:
            return
        questions = [(asked.question, reason_2d(asked, first, second, mix.grid)) for asked in asked_2d]
        for question, reasoning in [*questions, (_by_lot(asked_2d[0].question, generator), "")]:
            answer = question.truth if self.params.prompt.answer == "letter" else question.options[LETTERS.index(question.truth)]
            for mode in modes:
                row = _Row(question, mode, completion_text(mode, answer, (reasoning or f"{answer}.") if mode == "think" else ""), mirrored)
                rows.setdefault((mode, question.kind), {}).setdefault(question.label_of(question.truth), []).append(row)
        if text := describe_pair(first, second, "short", mix.grid, sides=False):
            rows.setdefault(("describe", ""), {}).setdefault("", []).append(_Row(asked_2d[0].question, "describe", text, mirrored))

    @functools.cache  # noqa: B019  # one schooling a process
    def _tokenized(self, row: _Row) -> _Tokens:
        prompt = prompt_messages(self.params.prompt, row.question, row.mode)
        before = self._tokens(prompt, add_generation_prompt=True)
        whole = self._tokens((*prompt, Message("assistant", row.completion)), add_generation_prompt=False)
        assert whole[: len(before)] == before
        return _Tokens(np.array(whole, dtype=np.int32), len(before))

    def _tokens(self, messages: tuple[Message, ...], add_generation_prompt: bool) -> list[int]:
        turns = [{"role": m.role, "content": content_parts(m.content)} for m in messages]
        text = self.processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=add_generation_prompt)
        n_tokens = int(self.grid.prod()) // self.processor.image_processor.merge_size**2
        text = text.replace(self.processor.image_token, self.processor.image_token * n_tokens)
        tokens: list[int] = self.processor.tokenizer(text)["input_ids"]
        return tokens

    def draw(self, phase: Phase, generator: np.random.Generator) -> _Row:
        """A row of the phase's modes and kinds; of a kind every label is equally likely."""
        mode: Mode = generator.choice(list(phase.shares), p=list(phase.shares.values()))
        by_label = self.rows[mode, "" if mode == "describe" else str(generator.choice(phase.kinds))]
        rows = by_label[str(generator.choice(sorted(by_label)))]
        return rows[int(generator.integers(len(rows)))]

    def batch(self, rows: list[_Row], generator: np.random.Generator | None = None) -> dict[str, Any]:
        """What the model takes. Tones vary by the generator, where there is one."""
        tokens = [self._tokenized(row) for row in rows]
        length = max(len(t.ids) for t in tokens)
        ids = np.full((len(rows), length), self.processor.tokenizer.pad_token_id, dtype=np.int64)
        labels = np.full((len(rows), length), -100, dtype=np.int64)
        mask = np.zeros((len(rows), length), dtype=np.int64)
        for i, t in enumerate(tokens):
            n = len(t.ids)
            ids[i, :n], mask[i, :n], labels[i, t.n_prompt : n] = t.ids, 1, t.ids[t.n_prompt :]
        pictures = [self.place[v] for row in rows for v in row.question.view_ids]
        patches = self.patches[pictures].astype(np.float32)
        flipped = np.array([row.mirrored for row in rows for _ in row.question.view_ids])
        patches[flipped] = self._flipped(patches[flipped])
        if generator:
            gain = generator.uniform(1 - GAIN, 1 + GAIN, size=(len(patches), 1, 1))
            offset = generator.uniform(-OFFSET, OFFSET, size=(len(patches), 1, 1))
            patches = (patches * gain + offset + NOISE * generator.standard_normal(patches.shape, dtype=np.float32)).astype(np.float32)
        input_ids = torch.from_numpy(ids)
        return {
            "input_ids": input_ids,
            "attention_mask": torch.from_numpy(mask),
            "labels": torch.from_numpy(labels),
            "pixel_values": torch.from_numpy(patches.reshape(-1, patches.shape[-1])),
            "image_grid_thw": self.grid.repeat(len(pictures), 1),
            "mm_token_type_ids": (input_ids == self.processor.image_token_id).int(),
        }

    def _flipped(self, patches: np.ndarray) -> np.ndarray:
        """(n, patches, values) of pictures as in a mirror. The processor puts the patches of a block of 2 x 2, which become one token, beside one another."""
        processor = self.processor.image_processor
        merge, side = processor.merge_size, processor.patch_size
        _, down, across = (int(n) for n in self.grid[0])
        blocks = patches.reshape(-1, down // merge, across // merge, merge, merge, patches.shape[-1] // side, side)
        return blocks[:, :, ::-1, :, ::-1, :, ::-1].reshape(patches.shape)

    @torch.no_grad()
    def accuracy(self, model: Any) -> dict[str, float]:
        """On scenes held out, teacher-forced: share of right tokens of descriptions; of answers that are right in every token, by mode and kind."""
        model.eval()
        said = {}
        for (mode, kind), by_label in sorted(self.held_out.items()):
            most = 66 // len(by_label)
            batch = self.batch([row for rows in by_label.values() for row in rows[:: max(1, len(rows) // most)][:most]])
            labels = batch.pop("labels")[:, 1:]
            right = model(**batch).logits[:, :-1].argmax(-1) == labels
            told = labels != -100
            if mode == "think":  # the answer alone; its reasons stand before it as they should
                ended = (labels == self.processor.tokenizer.convert_tokens_to_ids(THINK_CLOSE)).cumsum(dim=1) > 0
                told &= ended
            said[f"{mode} {kind}".strip()] = round(float(right[told].float().mean() if mode == "describe" else (right | ~told).all(dim=1).float().mean()), 3)
        model.train()
        return said


def _mirrored(view: View) -> View:
    """The view's mirror image, under the view's own name: patches are stored once, and mirrored when they are used."""
    return replace(mirrored_view(view), view_id=view.view_id, scene_id=view.scene_id)


def _by_lot(question: Question, generator: np.random.Generator) -> Question:
    """A viewpoint question about the pictures of `question`, in the shortest words, with an answer drawn by lot."""
    kind = KINDS[LOT_KINDS[int(generator.integers(len(LOT_KINDS)))]]
    options = tuple(str(text) for text in generator.permutation(kind.options))
    return replace(question, kind=LOT, text=kind.texts[0], options=options, truth=LETTERS[int(generator.integers(len(options)))])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m actial.models.pretraining", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where to write the model; new, empty, or one that was interrupted")
    parser.add_argument(
        "--views", type=Path, required=True, help="folder of rendered views, e.g. outputs/render_views/views of a project with a seed of its own"
    )
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="profile whose prompts and grid are used (default: %(default)s)")
    arguments = parser.parse_args()
    if not (arguments.folder / LOG).exists():
        tiny.build(arguments.folder)
        (arguments.folder / LOG).write_text("{}\n", encoding="utf-8")
    elif json.loads((arguments.folder / LOG).read_text(encoding="utf-8")).keys() >= {phase.name for phase in PHASES}:
        raise UserError(f"{arguments.folder} has been through all phases: give another folder to make a base anew")
    pretrain(arguments.folder, arguments.views, load_params(arguments.params))
    print(f"model.sha256: {folder_sha256(arguments.folder)}")


if __name__ == "__main__":
    sys.exit(exit_on_user_error(main))
