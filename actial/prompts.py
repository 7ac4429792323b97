"""From a question to the text a model is asked with. Used by the mix, by GRPO and by evaluation, so that they cannot drift apart."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from actial.params import Prompt
from actial.records import LETTERS, Message, Mode, Question

IMAGE_MARK = "<image>"
THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
ANSWER_OPEN, ANSWER_CLOSE = "<answer>", "</answer>"


def prompt_messages(prompt: Prompt, question: Question, mode: Mode) -> tuple[Message, ...]:
    """System turn and user turn for one question; the pictures come first, each named by its place."""
    system = {"think": prompt.think, "direct": prompt.direct, "describe": prompt.describe}[mode]
    pictures = "".join(f"{prompt.picture.format(number=i + 1)}{IMAGE_MARK}" for i in range(len(question.view_ids)))
    body = prompt.describe_request if mode == "describe" else prompt.question.format(question=question.text, options=option_lines(question))
    return Message("system", system), Message("user", pictures + body)


def option_lines(question: Question) -> str:
    return "\n".join(f"{LETTERS[i]}. {text}" for i, text in enumerate(question.options))


def completion_text(mode: Mode, answer: str, reasoning: str = "") -> str:
    """What a model is taught to write: the reasoning in tags (think), the answer in tags (think, direct), or a bare description."""
    if mode == "describe":
        return reasoning
    thought = f"{THINK_OPEN}{reasoning}{THINK_CLOSE}" if mode == "think" else ""
    return f"{thought}{ANSWER_OPEN}{answer}{ANSWER_CLOSE}"


def content_parts(content: str) -> list[dict[str, str]]:
    """A turn's text with `<image>` marks as the parts that chat templates take: text, and a placeholder for each picture."""
    parts: list[dict[str, str]] = []
    for i, text in enumerate(content.split(IMAGE_MARK)):
        parts += [{"type": "image"}] * (i > 0) + [{"type": "text", "text": text}] * bool(text)
    return parts


def prompt_sha(prompt: Prompt) -> str:
    """Twelve hex digits that name the prompt section's content."""
    return hashlib.sha256(json.dumps(asdict(prompt), sort_keys=True).encode()).hexdigest()[:12]
