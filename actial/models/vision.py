"""What a model makes of pictures, each encoded once however many questions are about it, and of the prompts that begin with them."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from transformers import DynamicCache
from transformers.modeling_outputs import BaseModelOutputWithPooling

if TYPE_CHECKING:
    from PIL import Image

KEPT_BYTES = 1_000_000_000
"""Features that are kept for questions to come, those used longest ago go first: 200 pictures of 500,000 pixels for a model of 7 billion parameters."""


_Picture = tuple[torch.Tensor, torch.Tensor]
"""(tokens, width) features and (3,) grid of a picture."""
_Found = Mapping[Hashable, _Picture]
"""Pictures by name."""
_Beginning = tuple[str, tuple[Hashable, ...]]
"""A prompt up to its last picture, and its pictures."""


class _Prompt(NamedTuple):
    beginning: str
    """Up to the last picture."""
    names: tuple[Hashable, ...]
    """Its pictures."""
    rest: str


class Seen:
    """The features of pictures, by name, as `generate` takes them in place of the pictures.

    They stand in the main memory until a batch needs them. Beyond rounding they are what the model makes of the pictures itself.
    """

    def __init__(self, model: Any, processor: Any, open_picture: Callable[[Any], Image.Image], kept_bytes: int = KEPT_BYTES) -> None:
        """`open_picture` gives the picture of a name."""
        self.model, self.processor, self.open_picture, self.kept_bytes = model, processor, open_picture, kept_bytes
        self.n_encoded = 0
        self._found: OrderedDict[Hashable, _Picture] = OrderedDict()
        self._bytes = 0

    def inputs(self, texts: Sequence[str], names: Sequence[Hashable]) -> dict[str, Any]:
        """What `generate` takes for prompts and the pictures in them.

        Where several prompts are the same up to their last picture, as samples of a question are, and questions about a pair, that much of them is computed
        once, and `generate` goes on from there.

        Args:
            texts: prompts with one placeholder a picture.
            names: the pictures of all of them, in order.
        """
        seen = dict(zip(names, self._encoded(names), strict=True))
        prompts = self._prompts(texts, names, seen)
        beginnings = list(dict.fromkeys((prompt.beginning, prompt.names) for prompt in prompts))
        if len(beginnings) == len(prompts) or not all(shown for _, shown in beginnings):
            return self._whole([prompt.beginning + prompt.rest for prompt in prompts], [seen[name] for name in names])
        return self._continued(beginnings, prompts, seen)

    def _prompts(self, texts: Sequence[str], names: Sequence[Hashable], seen: _Found) -> list[_Prompt]:
        """With as many placeholders for each picture as it has tokens."""
        mark, per_token = self.processor.image_token, self.processor.image_processor.merge_size**2
        left, prompts = iter(names), []
        for text in texts:
            *before, rest = text.split(mark)
            shown = tuple(itertools.islice(left, len(before)))
            n_tokens = [int(seen[name][1].prod()) // per_token for name in shown]
            prompts.append(_Prompt("".join(part + mark * n for part, n in zip(before, n_tokens, strict=True)), shown, rest))
        return prompts

    def _whole(self, texts: Sequence[str], pictures: Sequence[_Picture]) -> dict[str, Any]:
        inputs = self._tokens(texts)
        inputs["mm_token_type_ids"] = (inputs["input_ids"] == self.processor.image_token_id).int()
        if pictures:
            features = tuple(features.to(self.model.device) for features, _ in pictures)
            inputs["image_grid_thw"] = torch.stack([grid for _, grid in pictures]).to(self.model.device)
            inputs["mm_encoder_outputs"] = {"image": BaseModelOutputWithPooling(pooler_output=features)}
        return inputs

    def _continued(self, beginnings: Sequence[_Beginning], prompts: Sequence[_Prompt], seen: _Found) -> dict[str, Any]:
        """With the keys and values of the beginnings, each computed once. Padding between a beginning and its rest is masked, and no position."""
        begun = self._whole([text for text, _ in beginnings], [seen[name] for _, shown in beginnings for name in shown])
        cache = DynamicCache(config=self.model.config)
        self.model.model(**begun, past_key_values=cache, use_cache=True)
        places = {beginning: place for place, beginning in enumerate(beginnings)}
        rows = torch.tensor([places[prompt.beginning, prompt.names] for prompt in prompts], device=self.model.device)
        cache.batch_select_indices(rows)
        self.model.model.rope_deltas = self.model.model.rope_deltas[rows]
        rests = self._tokens([prompt.rest for prompt in prompts])
        return {name: torch.cat([begun[name][rows], rests[name]], dim=1) for name in rests} | {"past_key_values": cache}

    def _tokens(self, texts: Sequence[str]) -> dict[str, Any]:
        return dict(self.processor.tokenizer(texts, padding=True, return_tensors="pt").to(self.model.device))

    def _encoded(self, names: Sequence[Hashable]) -> list[_Picture]:
        new = [name for name in dict.fromkeys(names) if name not in self._found]
        if new:
            shown = self.processor.image_processor(images=[self.open_picture(name) for name in new], return_tensors="pt")
            grids = shown["image_grid_thw"]
            made = self.model.model.get_image_features(shown["pixel_values"].to(self.model.device), grids.to(self.model.device)).pooler_output
            for name, features, grid in zip(new, made, grids, strict=True):
                self._found[name] = (features.cpu(), grid)
                self._bytes += features.nbytes
            self.n_encoded += len(new)
        for name in names:
            self._found.move_to_end(name)
        seen = [self._found[name] for name in names]
        while self._bytes > self.kept_bytes:
            self._bytes -= self._found.popitem(last=False)[1][0].nbytes
        return seen
