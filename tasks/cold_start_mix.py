"""Stage cold_start_mix: questions -> conversations for SFT and prompts for GRPO. `python -m tasks.cold_start_mix`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from actial import ids
from actial.errors import UserError
from actial.mirror import mirrored_question
from actial.mix.card import write_card
from actial.mix.conversations import Scribe, written_2d, written_chains, written_descriptions
from actial.mix.lengths import TokenCounter, token_counter
from actial.mix.mixture import OF_PICTURES, mixed, mode_of, rows_of_sorts, shares_of
from actial.mix.variants import ROWS_NAMED, Told, varied
from actial.params import KINDS_WITH_CHAINS, ColdStartMix, Params
from actial.records import Mode, Question
from actial.rng import generator_for
from actial.shards import ViewStore
from actial.tables import read_questions, write_conversations
from tasks import body


def make(job: body.Job) -> body.Made:
    """Write sft.parquet (the mixture of the train split), rl.parquet (prompts of the rl split: think, or direct where no row of the kind thinks) and the card.

    Raises:
        UserError: rows that have a share cannot be made, or they speak of parts where no object has any.
    """
    params, settings = job.params, job.params.cold_start_mix
    store = ViewStore(job.inputs["render_views"] / "views", job.inputs["build_qa"] / "views")
    train, rl = (read_questions(job.inputs["build_qa"] / f"{name}.parquet") for name in ("train", "rl"))
    if settings.mirror_images:
        train, rl = ([*asked, *map(mirrored_question, _made_here(asked))] for asked in (train, rl))
    scribe = Scribe(params.prompt, settings, store.__getitem__, _counter(params), params.seed)

    shares = shares_of(settings)
    _check_named_parts(store, train, shares)
    texts, refused = _distinct_rows(scribe, train, rows_of_sorts(settings.n_rows, shares))
    texts = _short_enough(scribe, texts, refused)
    distinct = {sort: len(rows) for sort, rows in texts.items()}
    mixture = mixed(distinct, refused, settings.n_rows, shares, params.seed)
    rows = Counter(sort for sort, _ in mixture)
    n_sft = write_conversations(job.out / "sft.parquet", (scribe.conversation(texts[s][i][0], mode_of(s), texts[s][i][1]) for s, i in mixture))
    asked = [question for question in rl if scribe.fits(question, _rl_mode(question, settings), answered=False)]
    _count_long(refused, "prompts", settings, len(rl) - len(asked))
    rl, order = asked, generator_for(params.seed, "mixture/rl").permutation(len(asked))
    n_rl = write_conversations(job.out / "rl.parquet", (scribe.conversation(rl[i], _rl_mode(rl[i], settings), answered=False) for i in order))

    samples = [scribe.conversation(texts[sort][0][0], mode_of(sort), texts[sort][0][1]) for sort in rows]
    untold = sorted({q.kind for q in _made_here(train)} - set(KINDS_WITH_CHAINS))
    write_card(job.out / "README.md", settings, params.seed, shares, rows, distinct, n_rl, untold, refused, samples)
    counts = {"sft rows": n_sft, "rl prompts": n_rl}
    counts |= {f"{sort} rows": n for sort, n in rows.items()} | {f"distinct {sort} rows": distinct[sort] for sort in rows}
    counts |= {name: rows["think"] + rows[f"think{OF_PICTURES}"] for variant, name in ROWS_NAMED.items() if variant == settings.reasoning}
    return body.Made(counts=counts, refused=dict(refused), look="README.md")


def _counter(params: Params) -> TokenCounter | None:
    counter, limit = token_counter(params.model), params.cold_start_mix.max_tokens
    if limit is not None and counter is None:
        raise UserError(
            f"cold_start_mix.max_tokens is {limit}, but only the tokenizer of a folder counts, and model.base {params.model.base} is none: "
            "set it to null, or give the model's folder"
        )
    return counter


def _made_here(questions: Sequence[Question]) -> list[Question]:
    """Those whose answers are computed from cameras: what comes from outside can neither be mirrored nor told in chains."""
    return [question for question in questions if not ids.is_external(question.question_id)]


def _rl_mode(question: Question, settings: ColdStartMix) -> Mode:
    """A prompt asks for thought where rows of its kind think; from outside where any rows think, since they are there to carry thinking further."""
    thinks = question.kind in KINDS_WITH_CHAINS or ids.is_external(question.question_id)
    return "think" if settings.modes["think"] and settings.reasoning != "auxiliary" and thinks else "direct"


def _check_named_parts(store: ViewStore, train: list[Question], shares: Mapping[str, float]) -> None:
    told = [sort for sort, share in shares.items() if share and sort != "direct"]
    if told and not any(o.part_of for question in train for view_id in question.view_ids for o in store[view_id].objects):
        raise UserError(
            f"rows of {', '.join(told)} speak of an object's named parts, and no picture of the train split shows any (captures have none): "
            "set cold_start_mix.modes to {think: 0.0, direct: 1.0, describe: 0.0} and cold_start_mix.share_2d to 0.0"
        )


def _distinct_rows(scribe: Scribe, train: list[Question], most: Mapping[str, int]) -> tuple[dict[str, list[Told]], Counter[str]]:
    """Rows of each sort before mixing, about as many as are needed: a question and what is written besides its answer; and why some have none."""
    ours = _made_here(train)
    chains, no_chain = written_chains(scribe, ours, most["think"])
    descriptions, no_description = written_descriptions(scribe, ours, most["describe"])
    of_pictures = written_2d(scribe, ours, sum(n for sort, n in most.items() if sort.endswith(OF_PICTURES)))
    thought, thought_2d = (varied(scribe.settings.reasoning, told, scribe.text_tokens, scribe.seed) for told in (chains, of_pictures))
    direct = {"direct": train, f"direct{OF_PICTURES}": [question for question, _ in of_pictures]}
    rows = {"think": thought, "describe": descriptions, f"think{OF_PICTURES}": thought_2d}
    rows |= {sort: [(question, "") for question in questions] for sort, questions in direct.items()}
    return {sort: rows[sort] for sort in most}, no_chain + no_description


def _short_enough(scribe: Scribe, texts: Mapping[str, list[Told]], refused: Counter[str]) -> dict[str, list[Told]]:
    """The rows that are no longer than cold_start_mix.max_tokens; the others are counted. A cut row would be worse than none."""
    short = {sort: [told for told in rows if scribe.fits(told[0], mode_of(sort), told[1])] for sort, rows in texts.items()}
    _count_long(refused, "rows", scribe.settings, sum(len(texts[sort]) - len(rows) for sort, rows in short.items()))
    return short


def _count_long(refused: Counter[str], what: str, settings: ColdStartMix, n: int) -> None:
    if n:
        refused[f"{what}: longer than {settings.max_tokens} tokens"] += n


if __name__ == "__main__":
    body.main("cold_start_mix", make)
