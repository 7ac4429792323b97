"""The arms: what is trained under each seed, and from what. Every arm runs real stages in a project of its own.

| arm | what it is |
|---|---|
| base, sft, grpo | the pipeline of the profile |
| continued | the SFT model, trained on by stage sft with the same rows in a fresh order, for as many CPU seconds as GRPO took |
| rejection | the SFT model, trained on by stage sft with its own right answers to GRPO's prompts, for as many CPU seconds as GRPO took, sampling included |
| rejection_gentle | the same rows and steps with GRPO's learning rate |
| auxiliary, after, filler, shuffled | SFT from the base with that `cold_start_mix.reasoning`; the rows, their order and the steps are those of sft |

Equal compute is CPU seconds of whole stages: a rival gets as many optimizer steps as GRPO's seconds, less those of sampling, pay for at the price of a step
of this seed's own SFT. What was really used is in the rows.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import yaml

from learning.projects import Params, Project, as_models, checkpoints_kept, freeze_code, link

PIPELINE = ("base", "sft", "grpo")
RIVALS = ("continued", "rejection", "rejection_gentle")
VARIANTS = ("auxiliary", "after", "filler", "shuffled")
ARMS = (*PIPELINE, *RIVALS, *VARIANTS)

SAMPLED = ("greedy", "mean", "majority", "best")
CURVE_POINTS = {"sft": 6, "grpo": 4}
CURVE_QUESTIONS = 240
CHAIN_QUESTIONS = 400
START = "start"
"""The folder of a rival's project that holds the model it starts from."""
GRPO_PROMPTS = "grpo_prompts"
FRESH_ORDER = 1_000_000
"""Added to the seed under which a rival trains: else it would begin with the rows that the SFT began with."""


class Workshop:
    """Where all seeds are run: frozen code, views rendered once, a folder a seed."""

    def __init__(self, folder: Path, profile: str, workers: int) -> None:
        self.folder, self.workers = folder.resolve(), workers
        self.code = self.folder / "code"
        self.commit = freeze_code(self.code)
        path = Path(profile) if profile.endswith(".yaml") else self.code / "profiles" / f"{profile}.yaml"
        self.profile: Params = yaml.safe_load(path.read_text(encoding="utf-8"))
        self.params_sha = params_sha(self.profile)

    def render(self) -> None:
        """Render the views, once, with the profile's own seed."""
        Project(self.folder / "views", self.code, self.profile, {}, 0).run_stage("render_views")

    def project(self, seed: int, arm: str, changes: dict[str, dict[str, Any]], outputs: dict[str, Path]) -> Project:
        """A project of one arm; `changes` are laid over sections of the profile."""
        params = copy.deepcopy(self.profile) | {"seed": seed}
        for section, values in changes.items():
            params[section] = params[section] | values
        return Project(self.folder / f"seed-{seed}" / arm, self.code, params, outputs, self.workers)


def measured(pipeline: Pipeline, arm: str) -> dict[str, Any]:
    """The row of an arm. Stages that are done already are not run again."""
    return pipeline.row(arm) if arm in PIPELINE else _rival(pipeline, arm) if arm in RIVALS else _variant(pipeline, arm)


class Pipeline:
    """The pipeline of one seed: its questions are built when it is made, its models when something first needs them. The views must have been rendered."""

    def __init__(self, shop: Workshop, seed: int) -> None:
        self.shop, self.seed = shop, seed
        self.views = shop.folder / "views" / "outputs" / "render_views"
        self.project = shop.project(seed, "pipeline", {}, {"render_views": self.views})
        self.cpu_s, self.steps = dict[str, float](), {"sft": sft_steps(shop.profile), "grpo": grpo_steps(shop.profile)}
        self.project.run_stage("build_qa")

    def train(self) -> None:
        """Make the SFT and the GRPO model, which variants do without."""
        self.project.run_stage("cold_start_mix")
        for stage in ("sft", "grpo"):
            with checkpoints_kept(self.project, stage):
                self.cpu_s[stage] = self.project.run_stage(stage, checkpoint_steps=math.ceil(self.steps[stage] / CURVE_POINTS[stage]))

    def output(self, stage: str) -> Path:
        return self.project.output(stage)

    def sft_cpu_s_per_step(self) -> float:
        return self.cpu_s["sft"] / self.steps["sft"]

    def row(self, arm: str) -> dict[str, Any]:
        self.train()
        row = _measured(self.shop, self.project, self.seed, arm, arm)
        if arm == "base":
            return row
        self.project.run_inside("curve", "curve", models=self._curve_models(), n_questions=CURVE_QUESTIONS)
        models = {name: f"outputs/{name}/model" for name in ("sft", "grpo")}
        self.project.run_inside("given_chains", "given_chains", models=models, n_questions=CHAIN_QUESTIONS)
        points = {name.split("/")[1]: at for name, at in self.project.made_inside("curve").items() if name.split("/")[0] == arm}
        return row | {
            "cpu_s": {arm: self.cpu_s[arm]},
            "steps": self.steps[arm],
            "curve": [{"step": int(step)} | points[step] for step in sorted(points, key=int)],
            "training": _thinned(json.loads((self.output(arm) / "curve.json").read_text(encoding="utf-8"))),
            "given_chains": self.project.made_inside("given_chains")[arm],
        }

    def _curve_models(self) -> dict[str, str]:
        """Folders of the models along both curves; GRPO's begins where SFT's ends."""
        models = {"sft/0": self.shop.profile["model"]["base"], "grpo/0": "outputs/sft/model"}
        for stage in ("sft", "grpo"):
            for step, folder in as_models(self.project.folder / "kept" / stage, self.output(stage) / "model").items():
                models[f"{stage}/{step}"] = str(folder.relative_to(self.project.folder))
            models[f"{stage}/{self.steps[stage]}"] = f"outputs/{stage}/model"
        return models


def _rival(pipeline: Pipeline, arm: str) -> dict[str, Any]:
    """SFT from the SFT model, for what GRPO cost."""
    pipeline.train()
    shop, seed = pipeline.shop, pipeline.seed
    outputs = {"render_views": pipeline.views, "build_qa": pipeline.output("build_qa")}
    cpu_s: dict[str, float] = {}
    more: dict[str, Any] = {}
    if arm == "continued":
        outputs["cold_start_mix"] = pipeline.output("cold_start_mix")
    else:
        samples = _samples(pipeline, outputs)
        outputs["cold_start_mix"] = samples.output("cold_start_mix")
        cpu_s["sampling"], more = samples.run_inside("rejection", "rejection"), samples.made_inside("rejection")
    logging_steps = shop.profile["sft"]["logging_steps"]
    affordable = (pipeline.cpu_s["grpo"] - cpu_s.get("sampling", 0.0)) / pipeline.sft_cpu_s_per_step()
    steps = max(logging_steps, round(affordable))
    optimizer = dict(shop.profile["sft"]["optimizer"])
    optimizer["warmup_steps"] = min(optimizer["warmup_steps"], steps // 10)
    if arm == "rejection_gentle":
        optimizer["learning_rate"] = shop.profile["grpo"]["optimizer"]["learning_rate"]
    changes = {"model": _start_model(pipeline), "sft": {"epochs": 1e6, "max_steps": steps, "optimizer": optimizer}, "evaluate": _alone(shop.profile)}
    project = shop.project(seed, arm, changes, outputs)
    _start_from_sft(project, pipeline)
    cpu_s["sft"] = project.run_stage("sft", seed=seed + FRESH_ORDER)
    return _measured(shop, project, seed, arm, "sft") | {"cpu_s": cpu_s, "steps": steps} | more


def _samples(pipeline: Pipeline, outputs: dict[str, Path]) -> Project:
    """The project in which the SFT model's own answers are drawn, for both arms that use them."""
    project = pipeline.shop.project(pipeline.seed, "samples", {"model": _start_model(pipeline)}, outputs)
    _start_from_sft(project, pipeline)
    link(project.folder / GRPO_PROMPTS, pipeline.output("cold_start_mix"))
    project.run_inside("rejection", "rejection")
    return project


def _start_from_sft(project: Project, pipeline: Pipeline) -> None:
    link(project.folder / START, pipeline.output("sft") / "model")


def _start_model(pipeline: Pipeline) -> Params:
    """Section `model` with the SFT model as the base."""
    from actial.models.load import folder_sha256

    return {"base": START, "revision": None, "sha256": folder_sha256(pipeline.output("sft") / "model")}


def _variant(pipeline: Pipeline, arm: str) -> dict[str, Any]:
    """SFT from the base with other reasoning."""
    shop, seed = pipeline.shop, pipeline.seed
    changes = {"cold_start_mix": {"reasoning": arm}, "evaluate": _alone(shop.profile)}
    project = shop.project(seed, arm, changes, {"render_views": pipeline.views, "build_qa": pipeline.output("build_qa")})
    project.run_stage("cold_start_mix")
    cpu_s = project.run_stage("sft")
    return _measured(shop, project, seed, arm, "sft") | {"cpu_s": {"sft": cpu_s}, "steps": pipeline.steps["sft"]}


def _alone(profile: Params) -> Params:
    """Section `evaluate` that asks one model, plainly."""
    return {"models": ["sft"], **{name: profile["evaluate"][name] | {"models": []} for name in ("controls", "sampled")}}


def _measured(shop: Workshop, project: Project, seed: int, arm: str, model: str) -> dict[str, Any]:
    """Who a row is about, and the answers of `model` to the test questions."""
    if arm not in PIPELINE:
        link(project.folder / "outputs" / "grpo", project.output("sft"))  # the stage wants the folder, though it asks `sft` alone
    project.run_stage("evaluate")
    project.run_inside(f"scenes-{model}", "scenes", model=model)
    scores = json.loads((project.output("evaluate") / "scores.json").read_text(encoding="utf-8"))
    sampled = (scores["sampled"] or {"models": {}})["models"].get(model)
    return {
        "seed": seed,
        "arm": arm,
        "commit": shop.commit,
        "params_sha": shop.params_sha,
        "unparsed": {mode: groups["overall"]["unparsed"] for mode, groups in scores["models"][model].items()},
        "controls": {name: _shown(found["groups"]["overall"]) for name, found in scores["controls"].get(model, {}).items()},
        "sampled": None if sampled is None else {name: cell["accuracy"] for name, cell in sampled["overall"].items() if name in SAMPLED},
        **project.made_inside(f"scenes-{model}"),
    }


def _shown(cell: dict[str, Any]) -> dict[str, Any]:
    return {name: cell[name] for name in ("n", "accuracy", "stderr", "plain")}


def _thinned(curve: list[dict[str, Any]]) -> dict[str, list[float]]:
    """What a person sees in the log of a training, at most 60 points of it."""
    kept = curve[:: max(1, math.ceil(len(curve) / 60))]
    columns = [name for name in ("step", "loss", "mean_token_accuracy", "reward", "accuracy_reward", "dead_groups") if name in curve[0]]
    return {name: [round(float(point[name]), 4) for point in kept] for name in columns}


def params_sha(profile: Params) -> str:
    """Names a profile's content, its seed left out."""
    return hashlib.sha256(json.dumps(profile | {"seed": None}, sort_keys=True).encode()).hexdigest()[:12]


def sft_steps(profile: Params) -> int:
    """Optimizer steps of the profile's SFT, if no row is set aside."""
    sft = profile["sft"]
    steps = math.ceil(sft["epochs"] * profile["cold_start_mix"]["n_rows"] / sft["batch_rows"])
    return steps if sft["max_steps"] is None else min(steps, sft["max_steps"])


def grpo_steps(profile: Params) -> int:
    return profile["grpo"]["rollouts"] * profile["grpo"]["updates_per_rollout"]
