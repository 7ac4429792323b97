"""Muon for the layers' matrices, AdamW for all else, as one optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


class MuonAdamW(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) moves every trainable matrix of a layer by an orthogonalised momentum, scaled so
    that its entries change as much as AdamW's would (Liu et al. 2025, arXiv 2502.16982): one learning rate serves both. Embeddings, convolutions, norms and
    biases are moved by AdamW. For whole weights: a shard of a matrix cannot be orthogonalised.
    """

    def __init__(
        self, model: nn.Module, learning_rate: float, weight_decay: float, beta2: float, other_rate: float | None = None, other_decay: float | None = None
    ) -> None:
        trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
        matrices = [p for name, p in trainable.items() if p.ndim == 2 and "embed" not in name]
        others = [p for name, p in trainable.items() if p.ndim != 2 or "embed" in name]
        self.parts = (
            torch.optim.Muon(matrices, lr=learning_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(
                others,
                lr=learning_rate if other_rate is None else other_rate,
                betas=(0.9, beta2),
                weight_decay=weight_decay if other_decay is None else other_decay,
            ),
        )
        super().__init__([*matrices, *others], {})
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> None:
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]
