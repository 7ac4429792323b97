from __future__ import annotations

import pytest

from actial.answers import read_answer
from actial.rewards import accuracy_reward, format_reward

OPTIONS = ("left", "right", "none")


@pytest.mark.parametrize(
    ("completion", "truth", "reward"),
    [
        ("<think>x</think><answer>B</answer>", "B", 1.0),
        ("<think>x</think><answer>right</answer>", "B", 1.0),
        ("<think>x</think><answer>A</answer>", "B", 0.0),
        ("The answer is B.", "B", 1.0),
        # what a policy might try instead of answering
        ("", "B", 0.0),
        ("<answer></answer>", "B", 0.0),
        ("<answer>A B C</answer>", "B", 0.0),
        ("<answer>left right none</answer>", "B", 0.0),
        ("<answer>A</answer><answer>B</answer><answer>C</answer>", "B", 0.0),
        ("A. left B. right C. none", "B", 0.0),
        ("BBBBBBBB", "B", 0.0),
    ],
)
def test_only_a_right_answer_that_can_be_read_is_rewarded(completion, truth, reward):
    assert accuracy_reward(completion, OPTIONS, truth) == reward


def test_no_options_is_no_reward_and_no_zero():
    assert accuracy_reward("red at b3", (), "") is None


@pytest.mark.parametrize("truth", ["", "D", "b", "AB", "right"])
def test_a_truth_that_is_no_option_is_a_bug_and_raises(truth):
    with pytest.raises(ValueError, match="none of the letters A, B, C"):
        accuracy_reward("<answer>B</answer>", OPTIONS, truth)


def test_no_completion_is_right_for_two_truths():
    for completion in ("<answer>A or B</answer>", "A", "<answer>right</answer>", "The answer is C", "left, right"):
        assert sum(accuracy_reward(completion, OPTIONS, truth) or 0.0 for truth in "ABC") <= 1.0, read_answer(completion, OPTIONS)


def test_the_form_is_rewarded_by_mode():
    assert format_reward("<think>x</think><answer>B</answer>", "think") == 1.0
    assert format_reward("<think>x</think><answer>B</answer>", "direct") == 0.0
    assert format_reward("<answer>B</answer>", "direct") == 1.0
    assert format_reward("The answer is B", "direct") == 0.0
