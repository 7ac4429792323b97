"""Stage cold_start_mix: questions -> conversations for SFT and prompts for GRPO. `python -m tasks.cold_start_mix`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from actial import ids
from actial.endpoint.asking import server_of
from actial.endpoint.client import Client
from actial.endpoint.replies import Replies, replies_file
from actial.errors import UserError
from actial.mirror import mirrored_question
from actial.mix.card import write_card
from actial.mix.conversations import Scribe, WrittenChains, written_2d, written_chains, written_descriptions
from actial.mix.lengths import TokenCounter, token_counter
from actial.mix.lessons import School
from actial.mix.mixture import OF_PICTURES, mixed, mode_of, rows_of_sorts, shares_of, with_replay
from actial.mix.variants import ROWS_NAMED, Told, varied
from actial.params import ColdStartMix, Params
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
    with _teacher(job) as client:
        return _mixed(job, client)


NO_SERVER = (
    "cold_start_mix.source is teacher, but teacher_url is not set, so nobody can be asked: give the address of an OpenAI-compatible server in machine.yaml or "
    "ACTIAL_TEACHER_URL, as http://localhost:8000/v1, or set cold_start_mix.source to geometry"
)
REPLIES = body.RUNS / "replies"
"""A file for each teacher: what it answered, to be asked no second time. Survives its stage, unlike scratch."""


@contextmanager
def _teacher(job: body.Job) -> Iterator[Client | None]:
    """The client of the teacher, if there is to be one; checked before any work where nothing it ever answered is kept."""
    settings = job.params.cold_start_mix
    if settings.source != "teacher" or not settings.modes["think"]:
        yield None
        return
    server = server_of(job.machine)
    with Replies(replies_file(REPLIES, settings.teacher.model or "")) as kept:
        if kept.n_unreadable:
            print(f"cold_start_mix: {kept.n_unreadable} damaged lines of {kept.path} are left out; what they answered is asked again", flush=True)
        client = Client(server, kept, NO_SERVER)
        if not len(kept):
            client.check()
        yield client


def _mixed(job: body.Job, client: Client | None) -> body.Made:
    params, settings = job.params, job.params.cold_start_mix
    store = ViewStore(job.inputs["render_views"] / "views", job.inputs["build_qa"] / "views")
    train, rl = (read_questions(job.inputs["build_qa"] / f"{name}.parquet") for name in ("train", "rl"))
    if settings.mirror_images:
        train, rl = ([*asked, *map(mirrored_question, _made_here(asked))] for asked in (train, rl))
    scribe = Scribe(params.prompt, settings, store.__getitem__, _counter(params), params.seed)
    school = School(scribe, store, client) if client else None

    shares = shares_of(settings)
    _check_named_parts(store, train, shares, settings)
    chains_of = school.taught_chains if school else lambda questions, most: written_chains(scribe, questions, most)
    texts, refused, tried = _distinct_rows(scribe, train, rows_of_sorts(settings.n_rows, shares), chains_of)
    texts = _short_enough(scribe, texts, refused)
    distinct = {sort: len(rows) for sort, rows in texts.items()}
    mixture = mixed(distinct, refused, settings.n_rows, shares, params.seed)
    rows = Counter(sort for sort, _ in mixture)
    n_sft = write_conversations(job.out / "sft.parquet", (scribe.conversation(texts[s][i][0], mode_of(s), texts[s][i][1]) for s, i in mixture))
    asked = [question for question in rl if scribe.fits(question, _rl_mode(question, settings), answered=False)]
    _count_long(refused, "prompts", settings, len(rl) - len(asked))
    rl = with_replay(asked, settings.replay, refused, params.seed)
    order = generator_for(params.seed, "mixture/rl").permutation(len(rl))
    n_rl = write_conversations(job.out / "rl.parquet", (scribe.conversation(rl[i], _rl_mode(rl[i], settings), answered=False) for i in order))

    samples = [scribe.conversation(texts[sort][0][0], mode_of(sort), texts[sort][0][1]) for sort in rows]
    untold = sorted({q.kind for q in _made_here(train)} - set(settings.kinds_with_chains))
    write_card(job.out / "README.md", settings, params.seed, shares, rows, distinct, n_rl, untold, tried, refused, samples)
    counts = {"sft rows": n_sft, "rl prompts": n_rl}
    counts |= {f"{sort} rows": n for sort, n in rows.items()} | {f"distinct {sort} rows": distinct[sort] for sort in rows}
    counts |= {name: rows["think"] + rows[f"think{OF_PICTURES}"] for variant, name in ROWS_NAMED.items() if variant == settings.reasoning}
    if school:
        school.lessons.write(job.out / "teacher.parquet")
        counts |= school.lessons.counts(settings.teacher)
    return body.Made(counts=counts, refused=dict(refused), look="README.md", facts=_asked_now(client))


def _asked_now(client: Client | None) -> dict[str, str]:
    """What this run had to ask: of this run alone, so it is printed and tracked, never written into the output."""
    if client is None:
        return {}
    tally = client.tally
    failed = ", ".join(f"{n:,} {why}" for why, n in sorted(tally.failed.items())) or "none"
    print(
        f"cold_start_mix: teacher: {tally.n_asked:,} asked now, {tally.n_kept:,} kept from before, {tally.tokens:,} tokens spent now, "
        f"{tally.n_resent:,} sent again, no reply: {failed}",
        flush=True,
    )
    counts = {"asked": tally.n_asked, "kept": tally.n_kept, "sent_again": tally.n_resent, "tokens": tally.tokens}
    return {f"teacher.{what}": str(n) for what, n in counts.items()} | {"teacher.failed": failed}


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
    thinks = question.kind in settings.kinds_with_chains or ids.is_external(question.question_id)
    return "think" if settings.modes["think"] and settings.reasoning != "auxiliary" and thinks else "direct"


def _check_named_parts(store: ViewStore, train: list[Question], shares: Mapping[str, float], settings: ColdStartMix) -> None:
    without = ("direct", "think") if settings.source == "teacher" else ("direct",)
    told = [sort for sort, share in shares.items() if share and sort not in without]
    if told and not any(o.part_of for question in train for view_id in question.view_ids for o in store[view_id].objects):
        raise UserError(
            f"rows of {', '.join(told)} speak of an object's named parts, and no picture of the train split shows any (captures have none): "
            "set cold_start_mix.modes to {think: 0.0, direct: 1.0, describe: 0.0} and cold_start_mix.share_2d to 0.0, or let a teacher think "
            "(cold_start_mix.source)"
        )


ChainsOf = Callable[[Sequence[Question], int], WrittenChains]
"""Questions with a chain of thought, about as many as asked for; and why others have none."""


def _distinct_rows(
    scribe: Scribe, train: list[Question], most: Mapping[str, int], chains_of: ChainsOf
) -> tuple[dict[str, list[Told]], Counter[str], Mapping[str, Mapping[str, int]]]:
    """Rows of each sort before mixing, about as many as are needed: a question and what is written besides its answer; why some have none; and how the tries
    to write chains of each kind ended."""
    ours = _made_here(train)
    chains, no_chain, tried = chains_of(ours, most["think"])
    descriptions, no_description = written_descriptions(scribe, ours, most["describe"])
    of_pictures = written_2d(scribe, ours, sum(n for sort, n in most.items() if sort.endswith(OF_PICTURES)))
    thought, thought_2d = (varied(scribe.settings.reasoning, told, scribe.text_tokens, scribe.seed) for told in (chains, of_pictures))
    direct = {"direct": train, f"direct{OF_PICTURES}": [question for question, _ in of_pictures]}
    rows = {"think": thought, "describe": descriptions, f"think{OF_PICTURES}": thought_2d}
    rows |= {sort: [(question, "") for question in questions] for sort, questions in direct.items()}
    return {sort: rows[sort] for sort in most}, no_chain + no_description, tried


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
