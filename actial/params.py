"""`params.yaml`, typed: one frozen dataclass a section, a sentence and a unit per field.

Every profile is a complete file: a missing key is an error, and so is an unknown one (the nearest valid name is given).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from actial.errors import UserError
from actial.params_evaluation import Evaluate
from actial.params_external import check_external
from actial.params_questions import AUDIT_PROBES, BANDS, KINDS_OF_TWO_SIDES, KINDS_WITH_CHAINS, Band, BuildQA
from actial.params_views import RenderViews
from actial.records import SAT_KINDS
from actial.typed_yaml import load_typed, setting

STAGES = ("render_views", "build_qa", "cold_start_mix", "sft", "grpo", "evaluate")
"""The six stage words, in order: task file = params section = DVC stage = Prefect task run = MLflow child run = output folder."""


@dataclass(frozen=True)
class Model:
    """The base model that is trained and compared."""

    base: str = setting("Folder or hub id of a Qwen2.5-VL model.")
    revision: str | None = setting("Commit or tag on the hub; null for a folder.")
    sha256: str | None = setting("Checksum of a folder's files (`python -m actial.models.load FOLDER` prints it); null for a hub id.")
    dtype: str = setting("Number format of weights and activations.", choices=("float32", "bfloat16"))
    attention: str = setting("Attention kernel.", choices=("sdpa", "eager", "flash_attention_2"))
    min_pixels: int = setting("Smallest area a picture is enlarged to, pixels.", ge=784)
    max_pixels: int = setting("Largest area a picture is shrunk to, pixels.", ge=784)


@dataclass(frozen=True)
class Prompt:
    """What models are told; hashed into every record."""

    think: str = setting("System prompt of mode think: reasoning in <think>, then the answer in <answer>.")
    direct: str = setting("System prompt of mode direct: the answer in <answer>, nothing else.")
    describe: str = setting("System prompt of mode describe.")
    describe_request: str = setting("User text of mode describe.")
    picture: str = setting("Text before each picture; {number} is its place, from 1.")
    question: str = setting("User text; {question} and {options} are filled in.")
    answer: str = setting("What stands in <answer>: the option's letter or its text.", choices=("letter", "text"))


@dataclass(frozen=True)
class Teacher:
    """The model that writes chains of thought where source is teacher; where it is asked is a machine setting (`actial/machine.py`)."""

    model: str | None = setting("Its name, as its server knows it; null for none.")
    temperature: float = setting("Sampling temperature.", ge=0, le=2)
    max_tokens: int = setting("Longest reply, tokens; one that is cut off there is not used.", ge=64)
    attempts: int = setting("Times a question may be put to it: after a reply that was not verified, once more with what was wrong.", ge=1, le=8)
    max_requests: int | None = setting(
        "Most replies that are used, also those kept from earlier runs; the chains verified by then are what there is. null for no limit.", ge=1
    )
    max_total_tokens: int | None = setting("Most tokens read and written for them, as its server counts them; null for no limit.", ge=1)
    max_failed_share: float = setting("Share of the requests that may stay without any reply before the stage fails.", ge=0, le=1)


@dataclass(frozen=True)
class ColdStartMix:
    """Conversations for SFT and prompts for GRPO."""

    modes: dict[str, float] = setting("Share of rows in each mode: think, direct, describe.", ge=0, le=1)
    share_2d: float = setting(
        "Share of the think and direct rows that ask about the pictures alone (which part is where, what slid which way), lest reading be forgotten.",
        ge=0,
        le=1,
    )
    n_rows: int = setting("Rows for SFT; a mode with fewer distinct rows than its share repeats them evenly.", ge=1)
    source: str = setting(
        "Who writes the chains of thought: geometry (our own sentences, from the stored cameras), or teacher (another model, which is given the answer). "
        "Either way a chain that is not verified against the cameras is not used.",
        choices=("geometry", "teacher"),
    )
    teacher: Teacher = setting("Settings of the teacher; unused where source is geometry.")
    chains: int | None = setting(
        "Most questions that get a chain of thought, evenly over kinds and labels (at least one of each); null for as many as rows.", ge=1
    )
    mirror_images: bool = setting(
        "Rows and prompts are made of a split's pairs and of their mirror images, where left and right are exchanged: as good as twice the scenes, unless "
        "pictures show writing or other things that have but one right way around."
    )
    reasoning: str = setting(
        "What think rows carry. chain: a true chain of thought, then the answer. auxiliary: the chain's facts without an answer, asked apart, so that nothing "
        "is thought before an answer. after: the answer, then the chain. filler: as many tokens that say nothing, then the answer. shuffled: the chain of "
        "another question of the same kind, then the answer.",
        choices=("chain", "auxiliary", "after", "filler", "shuffled"),
    )
    wording: str = setting(
        "Chains and descriptions in clipped words (short; chains of lateral, orbit, turn, perspective alone) or whole sentences (full; chains of all kinds); "
        "reasons of 2D questions are always clipped.",
        choices=("short", "full"),
    )
    grid_columns: int = setting("Columns, named a, b, c, …, of the grid that descriptions and chains place parts on.", ge=2, le=26)
    grid_rows: int = setting("Rows, named A, B, C, … from the top, of that grid.", ge=1, le=26)
    max_tokens: int | None = setting(
        "Longest row and prompt, tokens of text and pictures together; a longer one is left out whole and counted. null for any; a number needs model.base "
        "to be a folder, whose tokenizer counts.",
        ge=1,
    )
    quote_places: bool = setting(
        "Chains of lateral, orbit, turn and perspective quote where the nearest and the farthest part are in both pictures, and how many columns apart."
    )
    replay: float | None = setting(
        "Share of GRPO's prompts that ask how the camera moved, so that it is not forgotten; the others are about things, or from outside. Whichever are too "
        "many for it are thinned by the seed. null for all there are of both.",
        ge=0,
        le=1,
    )

    @property
    def grid(self) -> tuple[int, int]:
        """Columns and rows."""
        return self.grid_columns, self.grid_rows

    @property
    def kinds_with_chains(self) -> tuple[str, ...]:
        """Kinds of questions that rows can think about."""
        return KINDS_WITH_CHAINS["teacher" if self.source == "teacher" else self.wording]


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters on the language model's linear layers."""

    rank: int = setting("Rank.", ge=1)
    alpha: int = setting("Scale numerator; the update is scaled by alpha / rank.", ge=1)
    dropout: float = setting("Dropout on the adapter's input.", ge=0, le=0.9)


@dataclass(frozen=True)
class Optimizer:
    """The optimizer and its learning rate: a linear rise, a plateau, a fall to 0."""

    name: str = setting(
        "adamw; or muon, which moves the layers' matrices by Muon and the rest by AdamW (method full, weights unsharded): a small model learns faster by it.",
        choices=("adamw", "muon"),
    )
    learning_rate: float = setting("Learning rate of the plateau.", gt=0, le=1)
    warmup_steps: int = setting("Steps over which the learning rate rises from 0.", ge=0)
    decay_share: float = setting("Share of the steps after the rise over which the learning rate falls to 0, at the end; 0 keeps it constant.", ge=0, le=1)
    decay_shape: str = setting("Shape of that fall.", choices=("linear", "cosine"))
    adam_beta2: float = setting("Decay rate of AdamW's second moment.", gt=0, le=0.99999)
    weight_decay: float = setting("Decoupled weight decay.", ge=0)
    max_grad_norm: float = setting("Norm to which gradients are clipped.", gt=0)


@dataclass(frozen=True)
class Sft:
    """Supervised fine-tuning."""

    method: str = setting("full: all weights; lora: adapters, merged afterwards.", choices=("full", "lora"))
    freeze_vision: bool = setting("Leave the vision tower and its projection as they are (method full; lora never touches them).")
    lora: Lora = setting("Adapters, used by method lora.")
    optimizer: Optimizer = setting("Optimizer and learning rate.")
    batch_rows: int = setting("Conversations of one optimizer step, over all processes.", ge=1)
    epochs: float = setting("Passes over the conversations; the last step is filled up from the next pass.", gt=0)
    max_steps: int | None = setting("Optimizer steps after which training ends before its epochs do; null for no such limit.", ge=1)
    logging_steps: int = setting("Optimizer steps of one point of the curve.", ge=1)
    max_refused_share: float = setting("Share of conversations that may be set aside for unreadable pictures before the stage fails.", ge=0, le=1)


@dataclass(frozen=True)
class Grpo:
    """Group-relative policy optimisation from the SFT checkpoint."""

    method: str = setting("full: all weights; lora: adapters, merged afterwards.", choices=("full", "lora"))
    freeze_vision: bool = setting("Leave the vision tower and its projection as they are (method full; lora never touches them).")
    lora: Lora = setting("Adapters, used by method lora.")
    optimizer: Optimizer = setting("Optimizer and learning rate.")
    rollouts: int = setting("Times that completions are sampled from the present model.", ge=1)
    prompts_per_rollout: int = setting("Prompts of one rollout, over all processes.", ge=1)
    n_generations: int = setting("Completions sampled for each prompt: the group.", ge=2)
    updates_per_rollout: int = setting("Optimizer steps that the completions of one rollout are split into.", ge=1)
    max_new_tokens: int = setting("Longest completion, tokens.", ge=1)
    temperature: float = setting("Sampling temperature.", gt=0)
    loss_type: str = setting("How the loss is averaged: grpo (paper), dapo, dr_grpo or bnpo, as TRL names them.", choices=("grpo", "dapo", "dr_grpo", "bnpo"))
    scale_rewards: str = setting("Whose standard deviation divides advantages.", choices=("group", "batch", "none"))
    epsilon: float = setting("Clip range of the probability ratio.", gt=0, le=1)
    beta: float = setting("Weight of the KL divergence from the SFT checkpoint; 0 for none, which also saves that model's memory.", ge=0)
    reward_weights: dict[str, float] = setting(
        "Weight of each reward: format; accuracy, of the answer; claims, the share of a thought's claims that are true by the cameras (0: not checked).", ge=0
    )
    max_refused_share: float = setting("Share of prompts that may be set aside for unreadable pictures before the stage fails.", ge=0, le=1)


@dataclass(frozen=True)
class Params:
    """A whole experiment."""

    seed: int = setting("Root of all randomness.", ge=0)
    model: Model = setting("")
    prompt: Prompt = setting("")
    render_views: RenderViews = setting("")
    build_qa: BuildQA = setting("")
    cold_start_mix: ColdStartMix = setting("")
    sft: Sft = setting("")
    grpo: Grpo = setting("")
    evaluate: Evaluate = setting("")

    def __post_init__(self) -> None:
        for rule in _CROSS_FIELD_RULES:
            rule(self)


def load_params(path: str | Path) -> Params:
    """Read and check a params file.

    Raises:
        UserError: the file is missing, is not YAML, or a key is unknown, missing, of a wrong type or out of range.
    """
    return load_typed(Params, path)


def _shares_sum_to_one(params: Params) -> None:
    for key, shares, names in (
        ("build_qa.splits", params.build_qa.splits, ("train", "rl", "val", "test")),
        ("cold_start_mix.modes", params.cold_start_mix.modes, ("think", "direct", "describe")),
    ):
        if set(shares) != set(names):
            raise UserError(f"{key} names {', '.join(shares)}; it must name exactly {', '.join(names)}")
        if abs(sum(shares.values()) - 1) > 1e-6:
            raise UserError(f"{key} adds up to {sum(shares.values()):g}; the shares must add up to 1")


def _bands_in_order(params: Params) -> None:
    for name in BANDS:
        band: Band = getattr(params.build_qa, name)
        if not band.none_below < band.asked_from < (band.asked_to or float("inf")):
            raise UserError(f"build_qa.{name} has none_below {band.none_below:g}, asked_from {band.asked_from:g}, asked_to {band.asked_to}; they must ascend")
    if params.build_qa.radial.none_below <= 1:
        raise UserError(f"build_qa.radial has none_below {params.build_qa.radial.none_below:g}; it is a ratio of the larger distance to the smaller, above 1")


def _named_once(params: Params) -> None:
    for key, names in (("build_qa.kinds", params.build_qa.kinds), ("evaluate.controls.conditions", params.evaluate.controls.conditions)):
        if twice := [name for name in names if names.count(name) > 1]:
            raise UserError(f"{key} names {twice[0]} twice; name each once")
    if not params.build_qa.kinds:
        raise UserError("build_qa.kinds is empty; name at least one kind")
    if params.build_qa.none == "never" and (others := [name for name in params.build_qa.kinds if name not in KINDS_OF_TWO_SIDES]):
        raise UserError(
            f"build_qa.none is never, and build_qa.kinds names {others[0]}; it must name kinds of two sides and none: {', '.join(KINDS_OF_TWO_SIDES)}"
        )


def _asked_in_some_split(params: Params) -> None:
    qa = params.build_qa
    of_things = [name for name in qa.kinds if name in SAT_KINDS]
    if of_things and not qa.sat_splits:
        raise UserError(f"build_qa.kinds names {of_things[0]}, and build_qa.sat_splits is empty; name the splits in which it is asked, or leave out the kind")
    empty = [name for name, share in qa.splits.items() if share > 0 and name not in qa.sat_splits]
    if len(of_things) == len(qa.kinds) and empty:
        raise UserError(f"build_qa.sat_splits leaves out {empty[0]}, and build_qa.kinds names nothing else to ask there: add {empty[0]}, or another kind")


def _audited_by_known_probes(params: Params) -> None:
    for name in params.build_qa.audit.probes:
        if name not in AUDIT_PROBES:
            raise UserError(f"build_qa.audit.probes names {name}; it must name some of {', '.join(AUDIT_PROBES)}")
    if params.build_qa.audit.probes and not params.build_qa.audit.learners:
        raise UserError("build_qa.audit.learners is empty; name linear, trees or both, or empty build_qa.audit.probes for no audit")


def _thinks_of_something(params: Params) -> None:
    mix = params.cold_start_mix
    told = mix.kinds_with_chains
    if mix.modes["think"] > 0 and not set(params.build_qa.kinds) & set(told):
        raise UserError(
            f"cold_start_mix.modes gives think a share of {mix.modes['think']:g}, but build_qa.kinds names only kinds without chains of thought in wording "
            f"{mix.wording} ({', '.join(params.build_qa.kinds)}): set think to 0.0, or add one of {', '.join(told)}"
        )


def _taught_by_somebody(params: Params) -> None:
    mix = params.cold_start_mix
    if mix.source == "teacher" and not mix.teacher.model:
        raise UserError("cold_start_mix.source is teacher, but cold_start_mix.teacher.model is null: name the model, or set the source to geometry")
    if mix.source == "teacher" and mix.reasoning == "auxiliary":
        raise UserError("cold_start_mix.reasoning is auxiliary, which takes our own chains apart: choose another, or set cold_start_mix.source to geometry")


def _enough_2d(params: Params) -> None:
    if 0 < params.build_qa.n_questions_2d < 12:
        raise UserError(f"build_qa.n_questions_2d is {params.build_qa.n_questions_2d}; give 0, or at least 12: one for each of three answers of four kinds")


def _pairs_by_threes(params: Params) -> None:
    if params.build_qa.pairs_per_kind % 3:
        raise UserError(f"build_qa.pairs_per_kind is {params.build_qa.pairs_per_kind}; it must be a multiple of 3, one third of it for each answer")


def _prompt_placeholders(params: Params) -> None:
    for name, placeholders in (("picture", {"number": 1}), ("question", {"question": "", "options": ""})):
        text = getattr(params.prompt, name)
        try:
            text.format(**placeholders)
        except (KeyError, IndexError, ValueError):
            raise UserError(f"prompt.{name} is {text!r}; its only placeholders are {', '.join('{' + p + '}' for p in placeholders)}") from None
    for placeholder in ("{question}", "{options}"):
        if placeholder not in params.prompt.question:
            raise UserError(f"prompt.question is {params.prompt.question!r}; it lacks {placeholder}")


def _grpo_divides(params: Params) -> None:
    grpo = params.grpo
    if grpo.prompts_per_rollout * grpo.n_generations % grpo.updates_per_rollout:
        raise UserError(
            f"grpo.updates_per_rollout is {grpo.updates_per_rollout}; it must divide the {grpo.prompts_per_rollout * grpo.n_generations} completions "
            "of a rollout (grpo.prompts_per_rollout x grpo.n_generations)"
        )
    if set(grpo.reward_weights) != {"format", "accuracy", "claims"} or not any(grpo.reward_weights.values()):
        raise UserError(f"grpo.reward_weights is {grpo.reward_weights}; it must give weights to exactly format, accuracy and claims, not all 0")


def _muon_trains_all(params: Params) -> None:
    for name, section in (("sft", params.sft), ("grpo", params.grpo)):
        if section.optimizer.name == "muon" and section.method != "full":
            raise UserError(f"{name}.optimizer.name is muon, which needs {name}.method full; it is {section.method}: choose adamw, or train all weights")


def _pixels_in_order(params: Params) -> None:
    if params.model.min_pixels > params.model.max_pixels:
        raise UserError(f"model.min_pixels is {params.model.min_pixels}; it must not exceed model.max_pixels ({params.model.max_pixels})")


def _evaluated_modes(params: Params) -> None:
    modes, models = params.evaluate.max_new_tokens, params.evaluate.models
    if not modes or not set(modes) <= {"think", "direct"}:
        raise UserError(f"evaluate.max_new_tokens names {', '.join(modes) or 'no mode'}; it must name think, direct or both")
    if not models or len(set(models)) != len(models):
        raise UserError(f"evaluate.models is {list(models)}; it must name at least one checkpoint, each once")
    for name, section in (("controls", params.evaluate.controls), ("sampled", params.evaluate.sampled)):
        if other := [model for model in section.models if model not in models]:
            raise UserError(f"evaluate.{name}.models names {other[0]}; it must name some of evaluate.models, {', '.join(models)}")
        if section.models and "think" not in modes:
            raise UserError(f"evaluate.{name} is asked in mode think: give evaluate.max_new_tokens.think, or empty evaluate.{name}.models")
    if twice := [e for e in params.evaluate.primary if params.evaluate.primary.count(e) > 1]:
        raise UserError(f"evaluate.primary names {twice[0].gain} in mode {twice[0].mode} on {twice[0].group} twice; name each gain once")


_CROSS_FIELD_RULES = (
    _grpo_divides,
    _evaluated_modes,
    _shares_sum_to_one,
    _bands_in_order,
    _named_once,
    _asked_in_some_split,
    _thinks_of_something,
    _taught_by_somebody,
    _enough_2d,
    _audited_by_known_probes,
    lambda params: check_external(params.build_qa.external),
    _pairs_by_threes,
    _prompt_placeholders,
    _pixels_in_order,
    _muon_trains_all,
)
