from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from toy_evaluation import ROOT, toy_questions, write_views

from actial.errors import UserError
from actial.evaluation.completions import CompletionLog, Sampling, ask
from actial.params import load_params
from actial.prompts import prompt_messages
from actial.shards import ViewStore


@pytest.fixture(scope="module")
def asked(checkpoints, tmp_path_factory):
    """A random tiny model with its processor, and some questions in both modes about noise."""
    import torch

    from actial.models.load import load_model, load_processor

    torch.set_num_threads(1)
    params = load_params(ROOT / "profiles" / "tiny.yaml")
    folder: Path = tmp_path_factory.mktemp("generate")
    write_views(folder, 5)
    views = ViewStore(folder)
    asks = [ask(q, mode, prompt_messages(params.prompt, q, mode), views, n) for q in toy_questions(5) for mode, n in (("think", 16), ("direct", 4))]
    source = checkpoints["base"]
    asks.append(ask(toy_questions(1)[0], "think", prompt_messages(params.prompt, toy_questions(1)[0], "think"), views, 16, hidden=(1,)))
    blind = [replace(q, view_ids=()) for q in toy_questions(1)[:2]]  # in batches with others, and in one of their own
    asks += [ask(q, "think", prompt_messages(params.prompt, q, "think"), views, 16) for q in blind]
    return SimpleNamespace(
        folder=folder,
        base=source,
        model=load_model(source, params.model).eval(),
        processor=load_processor(source, params.model),
        asks=asks,
        views=views,
        params=params,
    )


def write(asked, folder: Path, rows: int, asks=None) -> dict:
    from actial.evaluation.generate import complete

    log = CompletionLog(folder / "log.jsonl")
    complete(asked.model, asked.processor, asked.asks if asks is None else asks, asked.views, log.append, rows, "base")
    return log.known


def test_a_completion_does_not_depend_on_its_neighbours_in_the_batch(asked, tmp_path):
    alone, sevens, together = (write(asked, tmp_path / str(rows), rows) for rows in (1, 7, 64))
    assert alone == sevens == together
    assert len(alone) == len({a.key for a in asked.asks})
    assert all(c.n_tokens <= {a.key: a.max_new_tokens for a in asked.asks}[c.key] for c in alone.values())
    assert len({c.text for c in alone.values()}) > 3, "the model writes the same whatever it is asked: this test would show nothing"


def test_generation_is_greedy_whatever_the_checkpoint_prefers(asked, tmp_path):
    from transformers import GenerationConfig

    plain = write(asked, tmp_path / "plain", 8)
    ends = asked.model.generation_config.eos_token_id
    asked.model.generation_config = GenerationConfig(do_sample=True, temperature=3.0, repetition_penalty=5.0, num_beams=2, max_length=3, eos_token_id=ends)
    assert write(asked, tmp_path / "sampling", 8) == plain


def test_generation_stops_at_the_end_token_and_counts_what_stands_before_it(asked, tmp_path):
    from transformers import GenerationConfig

    from actial.evaluation.generate import chat_text

    some, ends = asked.asks[0], asked.model.generation_config
    pictures = [asked.views.picture(v) for v in some.view_ids]
    inputs = asked.processor(text=[chat_text(asked.processor, some.messages)], images=pictures, return_tensors="pt")
    full = asked.model.generate(**inputs, do_sample=False, max_new_tokens=some.max_new_tokens)[0, inputs["input_ids"].shape[1] :].tolist()
    assert len(full) == some.max_new_tokens
    end = next((token for token in full if token != full[0]), full[0])
    asked.model.generation_config = GenerationConfig(eos_token_id=[asked.processor.tokenizer.eos_token_id, end])
    stopped = write(asked, tmp_path / "stopped", 8, [some])[some.key]
    asked.model.generation_config = ends
    assert stopped.n_tokens == full.index(end) < some.max_new_tokens
    assert stopped.text == asked.processor.tokenizer.decode(full[: full.index(end)], skip_special_tokens=True)


def test_the_prompt_has_one_placeholder_a_picture_and_is_open_for_the_answer(asked):
    from actial.evaluation.generate import chat_text

    text = chat_text(asked.processor, asked.asks[0].messages)
    assert text.count("<|image_pad|>") == 2
    assert "<image>" not in text
    assert text.endswith("<|im_start|>assistant\n")
    assert text.index(asked.params.prompt.think) < text.index("<|image_pad|>") < text.index("How did the camera move?")


def test_each_picture_is_encoded_once_and_what_is_written_is_what_the_model_writes_of_the_pictures_themselves(asked, tmp_path):
    import torch

    from actial.evaluation.generate import _opened, chat_text
    from actial.models.vision import Seen

    written = write(asked, tmp_path, 8)
    with torch.inference_mode():
        for kept_bytes in (10**9, 0):
            seen = Seen(asked.model, asked.processor, lambda shown: _opened(asked.views, *shown), kept_bytes)
            names = [(v, i in a.hidden) for a in asked.asks for i, v in enumerate(a.view_ids)]
            for a in asked.asks:
                inputs = seen.inputs([chat_text(asked.processor, a.messages)], [(v, i in a.hidden) for i, v in enumerate(a.view_ids)])
            assert seen.n_encoded == (len(set(names)) if kept_bytes else len(names))
        for a in asked.asks:
            pictures = [_opened(asked.views, v, i in a.hidden) for i, v in enumerate(a.view_ids)]
            inputs = asked.processor(text=[chat_text(asked.processor, a.messages)], images=pictures or None, return_tensors="pt")
            plain = asked.model.generate(**inputs, do_sample=False, max_new_tokens=a.max_new_tokens)[0, inputs["input_ids"].shape[1] :]
            assert written[a.key].text == asked.processor.tokenizer.decode(plain, skip_special_tokens=True)
            assert written[a.key].finish == ("length" if len(plain) == a.max_new_tokens else "stop")


def test_what_prompts_have_in_common_up_to_their_last_picture_is_computed_once(asked, tmp_path):
    """Two pairs, six questions about each whose texts are of several lengths, four samples of each question."""
    short = toy_questions(2)
    longer = [replace(q, question_id=f"{q.question_id}-b", text=f"Look at both pictures, and then say: {q.text}") for q in short]
    asks = [a for q in (*short, *longer) for a in sampled(asked, 4, of=[q])]
    shapes: list[tuple[int, ...]] = []
    hook = asked.model.model.language_model.register_forward_pre_hook(
        lambda module, args, given: shapes.append(tuple(given["inputs_embeds"].shape[:2])), with_kwargs=True
    )
    together = write(asked, tmp_path / "together", 64, asks)
    hook.remove()
    beginning, rest = shapes[:2]
    assert (beginning[0], rest[0]) == (2, 48) and beginning[1] > rest[1] > 8
    assert together == write(asked, tmp_path / "alone", 1, asks)
    assert len({c.text for c in together.values()}) > 8


def test_the_probability_of_an_answer_is_what_the_model_gives_it_when_it_is_shown_the_whole(asked, tmp_path, monkeypatch):
    """A random model writes no tags: the whole completion is taken for its answer, and put before the model at once."""
    import torch

    from actial.evaluation.generate import _opened, chat_text

    assert all(c.answer_logprob is None for c in write(asked, tmp_path / "untagged", 8).values())
    monkeypatch.setattr("actial.evaluation.generate.answer_span", lambda text: (0, len(text)))
    written = write(asked, tmp_path / "tagged", 8, [*asked.asks, *sampled(asked, 1)])
    assert {key for key, c in written.items() if c.answer_logprob is None} == {a.key for a in sampled(asked, 1)}, "samples have none"
    for a in [a for a in asked.asks if a.mode == "direct" or a.hidden or not a.view_ids]:
        pictures = [_opened(asked.views, v, i in a.hidden) for i, v in enumerate(a.view_ids)]
        prompt = asked.processor(text=[chat_text(asked.processor, a.messages)], images=pictures or None, return_tensors="pt")
        n_prompt = prompt["input_ids"].shape[1]
        tokens = asked.model.generate(**prompt, do_sample=False, max_new_tokens=a.max_new_tokens)
        whole = prompt | {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
        if "mm_token_type_ids" in prompt:
            whole["mm_token_type_ids"] = (tokens == asked.processor.image_token_id).int()
        with torch.inference_mode():
            logprobs = torch.log_softmax(asked.model(**whole).logits[0, n_prompt - 1 : -1].double(), dim=-1)
        n = written[a.key].n_tokens
        expected = logprobs.gather(1, tokens[0, n_prompt:, None])[:n].sum()
        assert written[a.key].answer_logprob == pytest.approx(float(expected), abs=2e-3)


def test_the_tokens_of_an_answer_are_those_that_it_stands_in(asked):
    from actial.evaluation.generate import answer_logprob

    tokenizer = asked.processor.tokenizer
    for text, answer in (
        ("<think>A or B.</think><answer>B</answer>", "B"),
        ("<think>So é.</think>\n<answer> It moved to the left. </answer>", "It moved to the left."),
        ("<answer>A", "A"),
    ):
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        text = tokenizer.decode(tokens, skip_special_tokens=True)
        ends = [len(tokenizer.decode(tokens[: n + 1], skip_special_tokens=True)) for n in range(len(tokens))]
        start = text.rindex(answer)
        inside = [n for n, (begins, ends_at) in enumerate(zip([0, *ends], ends, strict=False)) if begins < start + len(answer) and ends_at > start]
        assert inside and answer_logprob(asked.processor, tokens, text, [-float(2**n) for n in range(len(tokens) + 3)]) == -sum(2.0**n for n in inside)
    for text in ("<think>A or B.</think>B", "<answer> </answer>", "", "<think><answer>A</answer></think>So?"):
        assert answer_logprob(asked.processor, tokenizer(text, add_special_tokens=False)["input_ids"], text, [-1.0] * 99) is None


def test_questions_about_the_same_pictures_are_dealt_to_one_process(asked):
    from actial.evaluation.generate import _dealt

    shares = _dealt([*asked.asks, *sampled(asked, 3)], 2)
    assert sorted(a.key for share in shares for a in share) == sorted(a.key for a in [*asked.asks, *sampled(asked, 3)])
    assert not {a.view_ids for a in shares[0]} & {a.view_ids for a in shares[1]}
    assert min(map(len, shares)) > 8


def test_right_padding_is_refused(asked, tmp_path):
    asked.processor.tokenizer.padding_side = "right"
    try:
        with pytest.raises(ValueError, match="pads on the left"):
            write(asked, tmp_path, 8)
    finally:
        asked.processor.tokenizer.padding_side = "left"


def test_the_log_is_named_by_content_and_settings_and_not_by_place(checkpoints, tmp_path):
    import shutil

    from actial.evaluation.completions import log_name
    from actial.models.load import folder_sha256

    model = replace(load_params(ROOT / "profiles" / "tiny.yaml").model, base=str(checkpoints["base"]), sha256=folder_sha256(checkpoints["base"]))
    name = log_name(model.base, model)
    copy = shutil.copytree(checkpoints["base"], tmp_path / "copy")
    assert log_name(str(copy), model) == name
    assert log_name(str(checkpoints["sft"]), model) != name
    assert log_name(str(copy), replace(model, max_pixels=model.max_pixels * 2)) != name
    with pytest.raises(UserError, match="holds no model"):
        log_name(str(tmp_path), model)


def sampled(asked, n: int, temperature: float = 1.0, seed: int = 7, limit: int = 8, of=None) -> list:
    """`n` asks of each of three questions, or of others."""
    messages = [(q, prompt_messages(asked.params.prompt, q, "think")) for q in of or toy_questions(1)]
    return [ask(q, "think", m, asked.views, limit, sampling=Sampling(temperature, i, seed)) for q, m in messages for i in range(n)]


def test_a_sampled_completion_depends_on_its_seed_and_number_only(asked, tmp_path):
    asks = sampled(asked, 4)
    alone, fives, together = (write(asked, tmp_path / f"s{rows}", rows, asks) for rows in (1, 5, 64))
    assert alone == fives == together
    assert write(asked, tmp_path / "some", 64, asks[5:7]) == {a.key: alone[a.key] for a in asks[5:7]}
    assert len({c.text for c in alone.values()}) > 8
    others = write(asked, tmp_path / "seed", 64, sampled(asked, 4, seed=8))
    assert not set(others) & set(alone) and {c.text for c in others.values()} != {c.text for c in alone.values()}


def test_greedy_and_sampled_asks_live_in_one_log(asked, tmp_path):
    both = write(asked, tmp_path / "both", 8, [*asked.asks, *sampled(asked, 2)])
    assert {key: both[key] for key in (a.key for a in asked.asks)} == write(asked, tmp_path / "greedy", 8)


def test_a_cold_sample_is_the_greedy_completion(asked, tmp_path):
    q = toy_questions(1)[0]
    greedy = ask(q, "think", prompt_messages(asked.params.prompt, q, "think"), asked.views, 8)
    cold = sampled(asked, 1, temperature=1e-4)[0]
    written = write(asked, tmp_path / "cold", 8, [greedy, cold])
    assert written[cold.key].text == written[greedy.key].text


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_samples_follow_the_models_own_probabilities(asked, temperature):
    """First tokens drawn 4,000 times against softmax(logits / temperature), by a chi-square test."""
    import torch
    from scipy.stats import chisquare

    from actial.evaluation.generate import _Sampler, chat_text

    some = sampled(asked, 4000, temperature, limit=1)[:4000]
    pictures = [asked.views.picture(v) for v in some[0].view_ids]
    inputs = asked.processor(text=[chat_text(asked.processor, some[0].messages)], images=pictures, return_tensors="pt")
    with torch.inference_mode():
        logits = asked.model(**inputs).logits[0, -1] * 3  # a random model is nearly even over the whole vocabulary: sharper, as a trained one is
    drawn = _Sampler(some, 1, "cpu")(torch.zeros((4000, 1), dtype=torch.long), logits.expand(4000, -1)).argmax(dim=1)
    p = torch.softmax(logits.double() / temperature, 0).numpy()
    counts = torch.bincount(drawn, minlength=len(p)).numpy()
    frequent = p * 4000 >= 5
    observed, expected = [*counts[frequent], counts[~frequent].sum()], [*p[frequent] * 4000, p[~frequent].sum() * 4000]
    kept = [(o, e) for o, e in zip(observed, expected, strict=True) if e > 1e-9]
    assert len(kept) > 3
    observed, expected = zip(*kept, strict=True)
    assert chisquare(observed, [e * sum(observed) / sum(expected) for e in expected]).pvalue > 0.001


def test_a_hidden_picture_is_gray_and_of_its_size(asked):
    from actial.evaluation.conditions import GRAY
    from actial.evaluation.generate import _opened

    hidden = next(a for a in asked.asks if a.hidden)
    assert _opened(asked.views, hidden.view_ids[0], hidden=False).tobytes() == asked.views.picture(hidden.view_ids[0]).tobytes()
    second = _opened(asked.views, hidden.view_ids[1], hidden=True)
    assert second.size == asked.views.picture(hidden.view_ids[1]).size
    assert second.getcolors() == [(second.size[0] * second.size[1], GRAY)]
    assert len(asked.views.picture(hidden.view_ids[1]).getcolors(84 * 84)) > 1000, "the stored picture is as it was"


@pytest.mark.slow
def test_two_processes_write_what_one_writes(asked, tmp_path):
    from actial.evaluation.generate import Interview, hold
    from actial.machine import load_machine

    machine = replace(load_machine(tmp_path), workers=2, device="cpu", threads=1, generate_rows=4)
    asks = [*asked.asks, *sampled(asked, 3)]
    written = []
    for at_least in (4, 10_000):
        interviews = [Interview(name, str(asked.base), tmp_path / f"{name}-{at_least}.jsonl", asks) for name in ("one", "two")]
        hold(interviews, asked.params.model, machine, [asked.folder], asks_per_process=at_least)
        written.append([CompletionLog(i.log).known for i in interviews])
    assert written[0] == written[1]
    assert set(written[0][0]) == {a.key for a in asks}
