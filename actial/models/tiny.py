"""The recipe of `assets/tiny-base`: a real Qwen2.5-VL of about a million parameters, its processor, and a tokenizer trained on our own words.

    python -m actial.models.tiny FOLDER

The same torch version writes the same bytes. Outside the pipeline: params name the folder with its checksum, like any other base model.
"""

from __future__ import annotations

import json
import string
import sys
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from actial.errors import UserError, exit_on_user_error
from actial.models.load import folder_sha256
from actial.models.processor import PairProcessor
from actial.prompts import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN
from actial.rng import seed_for

SEED = 7
PICTURE_PX = 112

SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")
TAGS = (THINK_OPEN, THINK_CLOSE, ANSWER_OPEN, ANSWER_CLOSE)
"""Plain added tokens: special ones would vanish when completions are decoded with `skip_special_tokens=True`."""

CHAT_TEMPLATE = """\
{%- macro parts(content) -%}
  {%- if content is string -%}{{ content }}
  {%- else -%}
    {%- for part in content -%}
      {%- if part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>{%- else -%}{{ part.text }}{%- endif -%}
    {%- endfor -%}
  {%- endif -%}
{%- endmacro -%}
{%- for message in messages -%}
  {{- '<|im_start|>' ~ message.role ~ '\\n' -}}
  {%- if message.role == 'assistant' -%}
    {%- generation -%}{{- parts(message.content) ~ '<|im_end|>\\n' -}}{%- endgeneration -%}
  {%- else -%}
    {{- parts(message.content) ~ '<|im_end|>\\n' -}}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""

WORDS = """
a about above across after again against ahead aim all also an and Answer answer apart appears arc arch are around As as aside asked at away back background
ball base be because before behind below beside between black block blue Both both bottom bowl box brown but by came Camera camera camera's cannot
center circle clock clockwise close closer coloured column comes Compare compare compared compass composite cone corner counter covers cube cuboid cup
cyan cylinder dark degrees depth Did did differ direction directions disc disk do does dome down drifts Each each edge either end ended every exactly
except face faced faces facing far farther First first floor for forward From from front further Give give go goes gold gray green grey ground half hand
handle hands has have head hence here higher highest horizontal How how I if image Imagine in inside instead into is It it Its its itself Judged just keeps
kept kind larger last least Leave Left left leg less letter level lid light like line Look look looked looking looks low lower lowest magenta map mast means
middle might more most motion move moved movement moves moving much navy near nearer Neither neither No no None none nor not Nothing nothing now
object object's objects of off olive On on once one only onto opposite option options or orange order other out outside over own part parted parts
path person Picture picture pictures pillar pink place places plate point position positions post prism purple Put put pyramid question reason red
Relative relative Right right ring rise rod roof rotate rotated rotation round same saw scene Second second Seen seen sees sense shelf shift shifted
shifting shorter show shows side sides sideways sight silver since size slab slides slipping small smaller So so Someone sphere stack standing stands
stay stayed step stepped stick still stood straight Suppose suppose swing swung table taken teal tells than that The the their them Then then there
Therefore therefore these they thing third This this those though three through thus tile To to together took top torus towards tower travel tube turn
turned turning turquoise two under up upper us view viewing views violet wall was way wedge went were what wheel when where whether Which which while white
who whole whose wide will wing with without would yellow Yes yes you your
"""
"""Words of our prompts, questions, options, descriptions and chains: each is one token where a space stands before it."""

OPENING_WORDS = """
all Answer As assistant At Between black blue Both both box brown But By Camera camera Choose clockwise closer Compare Compared counter cyan
Describe down Each far farther First first From Give gold gray green grey How I If Image Imagine In It it Its Leave Left left Look Looking lowest magenta
middle near Neither neither No no None none not Nothing nothing Now object olive On Option orange Picture picture pink purple Put Question Reason red Right
right same Say Second second Seen silver Since So Someone subject Suppose system teal That The Their Then There Therefore This To turquoise up user
violet What When Where Which While white yellow Yes yes You
"""
"""Words that also open a line, a tag or a quotation, with no space before them."""

PUNCTUATION = (". , : ; ! ? ' ( ) - + = %", ".\n", ":\n", "?\n", "\n\n")


def train_tokenizer() -> Qwen2Tokenizer:
    """A byte-level BPE of Qwen's kind (its own normaliser and splitting), trained until each of our words is one token."""
    lines = [f" {word}" for word in WORDS.split()] + OPENING_WORDS.split() + [f"{letter}. {letter}" for letter in string.ascii_uppercase] + [*PUNCTUATION]
    lines += [f" {letter}" for letter in string.ascii_lowercase]  # columns, as descriptions name them
    qwen = Qwen2Tokenizer(vocab={"<|endoftext|>": 0}, merges=[]).backend_tokenizer
    trained = Tokenizer(models.BPE())
    trained.normalizer, trained.pre_tokenizer = qwen.normalizer, qwen.pre_tokenizer
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trained.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=100_000, min_frequency=1, initial_alphabet=alphabet, show_progress=False))
    bpe = json.loads(trained.to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab=bpe["vocab"],
        merges=[tuple(pair) for pair in bpe["merges"]],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=list(SPECIAL_TOKENS),
        padding_side="left",
    )
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in TAGS])
    return tokenizer


def build(folder: Path) -> None:
    """Write model, processor and tokenizer to a folder, which must be new or empty.

    Raises:
        UserError: the folder is not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty: remove it, or give another folder")
    tokenizer = train_tokenizer()
    size = {"shortest_edge": PICTURE_PX**2, "longest_edge": PICTURE_PX**2}
    PairProcessor(Qwen2VLImageProcessorPil(size=size), tokenizer, CHAT_TEMPLATE).save_pretrained(folder)
    token = {name: tokenizer.convert_tokens_to_ids(name) for name in SPECIAL_TOKENS}
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "max_position_embeddings": 2048,
            "initializer_range": 0.06,
            "rope_parameters": {"rope_type": "default", "mrope_section": [4, 6, 6], "rope_theta": 10_000.0},
            "bos_token_id": None,
            "eos_token_id": token["<|im_end|>"],
            "pad_token_id": token["<|endoftext|>"],
        },
        vision_config={
            "depth": 2,
            "hidden_size": 96,
            "intermediate_size": 192,
            "num_heads": 4,
            "out_hidden_size": 128,
            "fullatt_block_indexes": [0, 1],
            "initializer_range": 0.06,
        },
        tie_word_embeddings=True,
        image_token_id=token["<|image_pad|>"],
        video_token_id=token["<|video_pad|>"],
        vision_start_token_id=token["<|vision_start|>"],
        vision_end_token_id=token["<|vision_end|>"],
    )
    torch.manual_seed(seed_for(SEED, "tiny-base"))
    model = Qwen2_5_VLForConditionalGeneration(config)
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = token["<|im_end|>"], token["<|endoftext|>"]
    model.save_pretrained(folder)


def main() -> None:
    if len(sys.argv) != 2:
        raise UserError("usage: python -m actial.models.tiny FOLDER")
    build(Path(sys.argv[1]))
    print(f"model.sha256: {folder_sha256(sys.argv[1])}")


if __name__ == "__main__":
    sys.exit(exit_on_user_error(main))
