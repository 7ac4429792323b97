"""Muon and AdamW as one optimizer: what each moves, and that a saved state goes on as if nothing had been between."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from torch import nn

from actial.models.muon import MuonAdamW


def model() -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict({"embed": nn.Embedding(5, 4), "layer": nn.Linear(4, 3), "norm": nn.LayerNorm(3)})


def optimizer(of: nn.Module) -> MuonAdamW:
    return MuonAdamW(of, learning_rate=0.1, weight_decay=0.0, beta2=0.98)


def step(of: Any, by: torch.optim.Optimizer) -> None:
    by.zero_grad()
    of["norm"](of["layer"](of["embed"](torch.arange(5)))).square().sum(dim=-1).sub(torch.arange(5.0)).abs().sum().backward()
    by.step()


def test_matrices_of_layers_are_moved_by_muon_and_all_else_by_adamw() -> None:
    muon, adamw = optimizer(model()).parts
    assert [p.shape for p in muon.param_groups[0]["params"]] == [(3, 4)]
    assert sorted(p.ndim for p in adamw.param_groups[0]["params"]) == [1, 1, 1, 2]


def test_a_matrix_moves_by_an_orthogonal_step_of_adamws_size() -> None:
    """Its singular values are alike: 0.2 x the learning rate x the root of the longer side (Liu et al. 2025), times 0.6 to 1.3 for the iteration."""
    trained = model()
    weight = trained.get_parameter("layer.weight")
    before = weight.detach().clone()
    step(trained, optimizer(trained))
    moved = weight.detach() - before
    singular = torch.linalg.svdvals(moved) / (0.2 * 0.1 * max(moved.shape) ** 0.5)
    assert singular[1] > 0.6 and singular[0] < 1.3, "two of them: the norm that follows takes away the mean"


def test_frozen_weights_are_left_out() -> None:
    trained = model()
    trained["layer"].requires_grad_(False)
    trained["after"] = nn.Linear(3, 3)
    assert all(p.requires_grad for group in optimizer(trained).param_groups for p in group["params"])


def test_a_schedule_reaches_both_and_a_saved_state_goes_on_bit_for_bit() -> None:
    straight, first = model(), model()
    whole, half = optimizer(straight), optimizer(first)
    rates = torch.optim.lr_scheduler.LambdaLR(whole, lambda n: 1 / (n + 1))
    halved = torch.optim.lr_scheduler.LambdaLR(half, lambda n: 1 / (n + 1))
    for _ in range(4):
        step(straight, whole)
        rates.step()
    assert [group["lr"] for part in whole.parts for group in part.param_groups] == pytest.approx([0.02, 0.02])
    for _ in range(2):
        step(first, half)
        halved.step()
    file = io.BytesIO()
    torch.save((first.state_dict(), half.state_dict(), halved.state_dict()), file)
    file.seek(0)
    weights, of_optimizer, of_schedule = torch.load(file)
    second = model()
    resumed = optimizer(second)
    again = torch.optim.lr_scheduler.LambdaLR(resumed, lambda n: 1 / (n + 1))
    second.load_state_dict(weights)
    resumed.load_state_dict(of_optimizer)
    again.load_state_dict(of_schedule)
    for _ in range(2):
        step(second, resumed)
        again.step()
    assert all(torch.equal(a, b) for a, b in zip(straight.parameters(), second.parameters(), strict=True))
