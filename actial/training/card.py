"""The card of a trained model: what it is, what it was made from, with which settings."""

from __future__ import annotations

import yaml

from actial.params import Grpo, Sft
from actial.training.plan import TrainingPlan


def model_card(plan: TrainingPlan) -> str:
    """Markdown with a YAML head, as the hub reads it. The same plan gives the same text."""
    from dataclasses import asdict

    settings: Sft | Grpo = plan.params.sft if plan.stage == "sft" else plan.params.grpo
    what = {
        "sft": "fine-tuned on viewpoint questions, direct answers mixed with chains of thought written from true geometry",
        "grpo": "trained by group-relative policy optimisation on fresh viewpoint questions, from the SFT checkpoint",
    }[plan.stage]
    head = {"library_name": "transformers", "pipeline_tag": "image-text-to-text", "tags": ["actial", "trl", plan.stage]}
    shown = yaml.safe_dump({"seed": plan.params.seed, "model": asdict(plan.params.model), plan.stage: asdict(settings)}, sort_keys=False, width=120)
    prompts = yaml.safe_dump({"prompt": asdict(plan.params.prompt)}, sort_keys=False, width=120)
    merged = "The adapter is merged into these weights and kept beside them in `adapter/`.\n\n" if settings.method == "lora" else ""
    return (
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n# Actial, stage {plan.stage}\n\n"
        f"A Qwen2.5-VL {what}. It started from `{plan.source}`.\n\n{merged}"
        f"Its curve is `curve.csv` of the same stage. Ask it with these prompts, in the words below; two pictures come first.\n\n```yaml\n{prompts}```\n\n"
        f"## Settings\n\n```yaml\n{shown}```\n"
    )
