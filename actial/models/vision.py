"""What a model's vision tower makes of pictures, each encoded once however many questions are about it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from transformers.modeling_outputs import BaseModelOutputWithPooling

if TYPE_CHECKING:
    from PIL import Image

KEPT_BYTES = 1_000_000_000
"""Features that are kept for questions to come, those used longest ago go first: 200 pictures of 500,000 pixels for a model of 7 billion parameters."""


class Seen:
    """The features of pictures, by name, as `generate` takes them in place of the pictures.

    They stand in the main memory until a batch needs them. Beyond rounding they are what the model makes of the pictures itself.
    """

    def __init__(self, model: Any, processor: Any, open_picture: Callable[[Any], Image.Image], kept_bytes: int = KEPT_BYTES) -> None:
        """`open_picture` gives the picture of a name."""
        self.model, self.processor, self.open_picture, self.kept_bytes = model, processor, open_picture, kept_bytes
        self.n_encoded = 0
        self._found: OrderedDict[Hashable, tuple[torch.Tensor, torch.Tensor]] = OrderedDict()
        """(tokens, width) features and (3,) grid of a picture."""
        self._bytes = 0

    def inputs(self, texts: Sequence[str], names: Sequence[Hashable]) -> dict[str, Any]:
        """What `generate` takes for prompts and the pictures in them.

        Args:
            texts: prompts with one placeholder a picture.
            names: the pictures of all of them, in order.
        """
        seen = self._encoded(names)
        mark, per_token = self.processor.image_token, self.processor.image_processor.merge_size**2
        grids = iter([grid for _, grid in seen])
        expanded = []
        for text in texts:
            first, *others = text.split(mark)
            expanded.append(first + "".join(mark * (int(next(grids).prod()) // per_token) + other for other in others))
        inputs = dict(self.processor.tokenizer(expanded, padding=True, return_tensors="pt").to(self.model.device))
        inputs["mm_token_type_ids"] = (inputs["input_ids"] == self.processor.image_token_id).int()
        if seen:
            features = tuple(features.to(self.model.device) for features, _ in seen)
            inputs["image_grid_thw"] = torch.stack([grid for _, grid in seen]).to(self.model.device)
            inputs["mm_encoder_outputs"] = {"image": BaseModelOutputWithPooling(pooler_output=features)}
        return inputs

    def _encoded(self, names: Sequence[Hashable]) -> list[tuple[torch.Tensor, torch.Tensor]]:
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
