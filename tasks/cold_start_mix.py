"""Stage cold_start_mix: questions -> conversations for SFT and prompts for GRPO. `python -m tasks.cold_start_mix`."""

from __future__ import annotations

from collections import Counter

from actial.mix.conversations import Scribe, written_chains, written_descriptions
from actial.mix.lengths import token_counter
from actial.mix.mixture import mixed
from actial.records import Mode, Question
from actial.rng import generator_for
from actial.shards import ViewStore, read_questions, write_conversations
from tasks import body


def make(job: body.Job) -> body.Made:
    """Write sft.parquet (the mixture of the train split) and rl.parquet (prompts of the rl split, mode think)."""
    params, settings = job.params, job.params.cold_start_mix
    store = ViewStore(job.inputs["render_views"] / "views")
    train, rl = (read_questions(job.inputs["build_qa"] / f"{name}.parquet") for name in ("train", "rl"))
    scribe = Scribe(params.prompt, settings, store.__getitem__, token_counter(params.model), params.seed)

    rows: dict[Mode, list[tuple[Question, str]]] = {"direct": [(q, "") for q in train], "think": [], "describe": []}
    refused = Counter[str]()
    if settings.modes["think"]:
        rows["think"], why = written_chains(scribe, train)
        refused += why
    if settings.modes["describe"]:
        rows["describe"], why = written_descriptions(scribe, train)
        refused += why

    mixture = mixed({mode: len(r) for mode, r in rows.items()}, settings.n_rows, settings.modes, params.seed)
    n_sft = write_conversations(job.out / "sft.parquet", (scribe.conversation(rows[m][i][0], m, rows[m][i][1]) for m, i in mixture))
    order = generator_for(params.seed, "mixture/rl").permutation(len(rl))
    n_rl = write_conversations(job.out / "rl.parquet", (scribe.conversation(rl[i], "think", answered=False) for i in order))

    counts = {"sft rows": n_sft, "rl prompts": n_rl}
    counts |= {f"{mode} rows": n for mode, n in Counter(mode for mode, _ in mixture).items()}
    counts |= {f"distinct {mode} rows": len(r) for mode, r in rows.items() if settings.modes[mode]}
    return body.Made(counts=counts, refused=dict(refused), look="")


if __name__ == "__main__":
    body.main("cold_start_mix", make)
