"""The mixing rule: every row as often as stated, the same order on a second build, truly mixed."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actial import ids
from actial.errors import UserError
from actial.mix.mixture import mixed, rows_of_sorts, with_replay
from actial.records import Question

whole = st.integers(1, 50)


@st.composite
def shares(draw: st.DrawFn) -> dict[str, float]:
    think, direct = draw(st.integers(0, 100)), draw(st.integers(0, 100))
    describe = draw(st.integers(0 if think + direct else 1, 100))
    total = think + direct + describe
    return {"think": think / total, "direct": direct / total, "describe": describe / total}


@given(whole, whole, whole, st.integers(1, 400), shares(), st.integers(0, 3))
def test_every_row_stands_as_often_as_stated(think: int, direct: int, describe: int, n_rows: int, share: dict[str, float], seed: int) -> None:
    distinct: dict[str, int] = {"think": think, "direct": direct, "describe": describe}
    rows = mixed(distinct, Counter(), n_rows, share, seed)
    assert len(rows) == n_rows
    often = Counter(rows)
    for mode, n in distinct.items():
        of_mode = [often[mode, i] for i in range(n)]
        assert abs(sum(of_mode) - share[mode] * n_rows) < 1
        assert max(of_mode) - min(of_mode) <= 1
    assert set(often) <= {(mode, i) for mode, n in distinct.items() for i in range(n)}
    assert rows == mixed(distinct, Counter(), n_rows, share, seed)


@given(st.integers(1, 10_000), shares())
def test_the_shares_add_up(n_rows: int, share: dict[str, float]) -> None:
    assert sum(rows_of_sorts(n_rows, share).values()) == n_rows


def test_modes_are_interleaved_and_the_seed_matters() -> None:
    share = {"think": 0.1, "direct": 0.9, "describe": 0.0}
    distinct: dict[str, int] = {"think": 10, "direct": 1000, "describe": 0}
    rows = mixed(distinct, Counter(), 1000, share, 0)
    gaps = [sum(mode == "think" for mode, _ in rows[i : i + 100]) for i in range(0, 1000, 100)]
    assert sum(gaps) == 100 and min(gaps) >= 2 and max(gaps) <= 25
    assert rows != mixed(distinct, Counter(), 1000, share, 1)


def test_rows_that_cannot_be_made_are_the_users_business() -> None:
    refused = Counter({"chains: not verified": 2, "chains: slide of the subject unclear": 7})
    with pytest.raises(UserError, match=r"modes gives rows of think a share of 0.5, .* made; 7 chains: slide of the subject unclear; 2 chains: not verified"):
        mixed({"think": 0, "direct": 3, "describe": 3}, refused, 10, {"think": 0.5, "direct": 0.5, "describe": 0.0}, 0)
    with pytest.raises(UserError, match="share_2d gives rows of think 2d a share"):
        mixed({"think 2d": 0}, refused, 10, {"think 2d": 1.0}, 0)


def question(kind: str, i: int) -> Question:
    scene_id = ids.scene_id(i) if kind != "sat_static" else ids.outside_scene_id("sat", (bytes([i]),))
    shown = ids.group_id(ids.view_id(scene_id, 0), ids.view_id(scene_id, 1))
    name, options = ids.question_id(shown, kind), ("left", "right")
    return Question(name, kind, shown, ids.view_ids_of(name), "?", options, options, "A", "", 0.0, 0.0, scene_id, "", "toy")


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.floats(0, 1), st.integers(0, 3))
def test_replayed_prompts_have_their_share_and_as_many_stay_as_can(turns: int, things: int, outside: int, share: float, seed: int) -> None:
    asked = [question(kind, i) for kind, n in (("turn", turns), ("left_of", things), ("sat_static", outside)) for i in range(n)]
    assert with_replay(asked, None, Counter(), seed) == asked
    others = things + outside
    refused = Counter[str]()
    if (share and not turns) or (share < 1 and not others) or not asked:
        with pytest.raises(UserError, match=rf"split rl has {turns} questions about viewpoints and {others} others"):
            with_replay(asked, share, refused, seed)
        return
    kept = with_replay(asked, share, refused, seed)
    assert [q for q in asked if q in kept] == kept == with_replay(asked, share, Counter(), seed)
    n_turns = sum(q.kind == "turn" for q in kept)
    assert abs(n_turns - share * len(kept)) <= 0.5 + 1e-6 and refused.total() == len(asked) - len(kept)
    larger = len(kept) + 1
    assert share * larger > turns - 1e-6 or (1 - share) * larger > others - 1e-6, "one more would not go"
