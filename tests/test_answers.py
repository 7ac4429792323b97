"""Reading answers. Every completion of the table says where it comes from: `observed` ones are strings that models or harness issues are
reported with (the first capital letter, the article, echoed options, a number of tags), `made` ones are made up to reach a rule."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actial.answers import (
    AMBIGUOUS,
    DISAGREE,
    EMPTY,
    EMPTY_TAG,
    NOT_AN_OPTION,
    NOT_FOUND,
    STRICT_RULES,
    UNFINISHED,
    Answer,
    Unparsed,
    is_well_formed,
    read_answer,
)
from actial.prompts import completion_text

WORDS = ("left", "right", "none")
SENTENCES = ("It moved to the left.", "It moved to the right.", "It did not move.")
ANGLES = ("-84", "+84", "+0", "+38.5")
LETTERS_AS_TEXTS = ("B", "A", "C")
SAME = ("left", "Left!", "right")
OVERLAP = ("left", "left and up", "up")
SHUFFLED = ("none", "right", "left")


def A(letter: str, rule: str) -> Answer:
    return Answer(letter, rule)


TABLE = [
    # a tag, as asked
    ("observed", WORDS, "<answer>B</answer>", A("B", "tag_letter")),
    ("observed", WORDS, "<think>It shifts right.</think><answer>B</answer>", A("B", "tag_letter")),
    ("observed", WORDS, "<think>A or B</think><answer>B</answer>", A("B", "tag_letter")),
    ("observed", WORDS, "<think>\nFirst.\n</think>\n\n<answer>\nC\n</answer>\n", A("C", "tag_letter")),
    ("observed", SENTENCES, "<answer>It moved to the left.</answer>", A("A", "tag_text")),
    ("observed", SENTENCES, "<answer>it moved to the LEFT</answer>", A("A", "tag_worded")),
    ("made", SENTENCES, "<answer>It did not move.</answer>", A("C", "tag_text")),
    ("made", SHUFFLED, "<answer>left</answer>", A("C", "tag_text")),
    ("observed", ANGLES, "<answer>-84</answer>", A("A", "tag_text")),
    ("made", ANGLES, "<answer>−84</answer>", A("A", "tag_worded")),
    ("made", ANGLES, "<answer>+84</answer>", A("B", "tag_text")),
    ("made", ANGLES, "<answer>+38.5</answer>", A("D", "tag_text")),
    # a tag, with more in it than asked
    ("observed", WORDS, "<answer>b</answer>", A("B", "tag_lettered")),
    ("observed", WORDS, "<answer>(B)</answer>", A("B", "tag_lettered")),
    ("observed", WORDS, "<answer>B.</answer>", A("B", "tag_lettered")),
    ("observed", WORDS, "<answer>B)</answer>", A("B", "tag_lettered")),
    ("observed", WORDS, "<answer>**B**</answer>", A("B", "tag_lettered")),
    ("observed", WORDS, "<answer>`B`</answer>", A("B", "tag_lettered")),
    ("observed", WORDS, "<answer>B. right</answer>", A("B", "tag_lettered")),
    ("observed", SENTENCES, "<answer>B. It moved to the right.</answer>", A("B", "tag_lettered")),
    ("observed", WORDS, "<answer>Option B</answer>", A("B", "tag_lettered")),
    ("observed", WORDS, "<answer>\\boxed{B}</answer>", A("B", "boxed")),
    ("observed", WORDS, "<answer>The answer is B.</answer>", A("B", "declared")),
    ("observed", WORDS, "<answer>moved left</answer>", A("A", "tag_phrase")),
    ("made", WORDS, "<answer>The camera turned to the right, clearly</answer>", A("B", "tag_phrase")),
    ("made", SENTENCES, "<answer>I think it did not move</answer>", A("C", "tag_phrase")),
    ("observed", WORDS, "<Answer>B</Answer>", A("B", "tag_letter")),
    ("made", WORDS, "<answer >B</ answer>", A("B", "tag_letter")),
    # several tags
    ("observed", WORDS, "<answer>A</answer> wait, no. <answer>B</answer>", A("B", "tag_letter")),
    ("observed", WORDS, "<answer><answer>B</answer></answer>", A("B", "tag_letter")),
    ("observed", WORDS, "<answer>B</answer></answer>", A("B", "tag_letter")),
    ("observed", WORDS, "<answer>B</answer><answer>", A("B", "tag_letter")),
    ("made", WORDS, "<think><answer>A</answer></think><answer>B</answer>", A("B", "tag_letter")),
    ("made", WORDS, "<think>So <answer>A</answer></think>", A("A", "thought_tag_letter")),
    ("made", WORDS, "<think><answer>A</answer></think> The answer is B.", A("B", "declared")),
    ("observed", WORDS, "<think>never closed <answer>C</answer>", A("C", "thought_tag_letter")),
    ("observed", WORDS, "<think>never closed, so the answer is C", UNFINISHED),
    ("observed", WORDS, "<think>red near right, red near", UNFINISHED),
    ("made", WORDS, "<think>a</think>b</think><answer>C</answer>", A("C", "tag_letter")),
    # a tag cut off
    ("observed", WORDS, "<think>x</think><answer>B", A("B", "open_tag_letter")),
    ("made", SENTENCES, "<answer>It moved to the left.", A("A", "open_tag_text")),
    ("made", SENTENCES, "<answer>It moved to the", NOT_AN_OPTION),
    ("observed", WORDS, "<think>x</think><answer>", EMPTY_TAG),
    # a tag that says nothing usable
    ("observed", WORDS, "<answer></answer>", EMPTY_TAG),
    ("observed", WORDS, "<answer> \n </answer>", EMPTY_TAG),
    ("observed", WORDS, "<answer>D</answer>", NOT_AN_OPTION),
    ("observed", WORDS, "<answer>ABC</answer>", NOT_AN_OPTION),
    ("observed", WORDS, "<answer>A, B, C</answer>", AMBIGUOUS),
    ("observed", WORDS, "<answer>A or B</answer>", AMBIGUOUS),
    ("made", WORDS, "<answer>B and C</answer>", AMBIGUOUS),
    ("observed", WORDS, "<answer>left or right</answer>", AMBIGUOUS),
    ("made", WORDS, "<answer>not left</answer>", NOT_AN_OPTION),
    ("made", WORDS, "<answer>it isn't left</answer>", NOT_AN_OPTION),
    ("made", WORDS, "<answer>B. left</answer>", DISAGREE),
    ("made", WORDS, "<answer>42</answer>", NOT_AN_OPTION),
    ("made", WORDS, "<answer>A right</answer>", AMBIGUOUS),
    ("made", WORDS, "<answer>B - right</answer>", A("B", "tag_phrase")),
    ("observed", WORDS, "<answer>$\\boxed{\\text{C}}$</answer>", A("C", "boxed")),
    ("observed", WORDS, '```json\n{"answer": "B"}\n```', A("B", "declared")),
    ("made", WORDS, "<answer>upwards</answer>", NOT_AN_OPTION),
    ("made", ANGLES, "<answer>84</answer>", NOT_AN_OPTION),
    ("made", WORDS, "<answer>D</answer> so the answer is B", NOT_AN_OPTION),
    ("made", LETTERS_AS_TEXTS, "<answer>A</answer>", AMBIGUOUS),
    ("made", LETTERS_AS_TEXTS, "<answer>C</answer>", A("C", "tag_letter")),
    ("made", SAME, "<answer>left</answer>", AMBIGUOUS),
    ("made", SAME, "<answer>A</answer>", A("A", "tag_letter")),
    ("made", OVERLAP, "<answer>left and up</answer>", A("B", "tag_text")),
    ("made", OVERLAP, "<answer>to the left and up</answer>", AMBIGUOUS),
    # no tag: the whole text
    ("observed", WORDS, "B", A("B", "whole_letter")),
    ("observed", WORDS, "(b)", A("B", "whole_lettered")),
    ("observed", WORDS, "B.", A("B", "whole_lettered")),
    ("observed", WORDS, "**B. right**", A("B", "whole_lettered")),
    ("observed", SENTENCES, "It moved to the right.", A("B", "whole_text")),
    ("observed", WORDS, "<think>turns</think>\nRight", A("B", "whole_worded")),
    ("observed", WORDS, "Answer: B", A("B", "whole_lettered")),
    # no tag: declared
    ("observed", WORDS, "The answer is B", A("B", "declared")),
    ("observed", WORDS, "The answer is B.", A("B", "declared")),
    ("observed", WORDS, "the correct answer is (b).", A("B", "declared")),
    ("observed", WORDS, "So the final answer is: **B**", A("B", "declared")),
    ("observed", WORDS, "**Answer:** B", A("B", "declared")),
    ("observed", WORDS, "The boxes shift.\n\nTherefore $\\boxed{B}$.", A("B", "boxed")),
    ("observed", WORDS, "The answer is A because the boxes shift right.", A("A", "declared")),
    ("observed", WORDS, "The correct option is C, none of them moved.", A("C", "declared")),
    ("observed", WORDS, "Option B is correct, since option A would need a shift.", A("B", "declared")),
    ("observed", WORDS, "I would choose option C.", A("C", "declared")),
    ("observed", SENTENCES, "The correct answer is: It moved to the left.", A("A", "declared")),
    ("observed", SENTENCES, "The answer is B. It moved to the right.", A("B", "declared")),
    ("observed", WORDS, "The answer is A. Wait, I look again: the answer is B.", A("B", "declared")),
    ("made", WORDS, "The answer is right.", A("B", "declared")),
    # no tag: hedged, asked, taken back
    ("observed", WORDS, "The answer is A or B", AMBIGUOUS),
    ("observed", WORDS, "The answer is either A or B.", NOT_FOUND),
    ("observed", WORDS, "The answer is not A.", NOT_FOUND),
    ("made", WORDS, "If the answer is A, the boxes shift right.", NOT_FOUND),
    ("made", WORDS, "Is the answer B?", NOT_FOUND),
    ("made", WORDS, "I do not think the answer is A.", NOT_FOUND),
    ("made", WORDS, "Maybe the answer is A.", NOT_FOUND),
    ("made", WORDS, "The answer is D.", NOT_AN_OPTION),
    ("made", WORDS, "The answer is B, or perhaps C.", AMBIGUOUS),
    ("made", WORDS, "The answer is B, not A.", A("B", "declared")),
    ("made", WORDS, "Saying the answer is B is wrong.", NOT_FOUND),
    ("observed", WORDS, "Choose the answer: A. left B. right C. none", AMBIGUOUS),
    ("observed", SENTENCES, "Answer: A. It moved to the left. B. It moved to the right. C. It did not move.", AMBIGUOUS),
    ("made", SENTENCES, "The answer is B. It moved to the left.", DISAGREE),
    ("observed", WORDS, "So the answer is option A (left).", A("A", "declared")),
    ("made", SENTENCES, "The answer is B (It moved to the left).", DISAGREE),
    # no tag: lines and starts
    ("observed", WORDS, "The boxes shift to one side.\n\nB", A("B", "line")),
    ("observed", WORDS, "B. right\nThe near box moved more than the far one.", A("B", "line")),
    ("observed", WORDS, "A. left\nB. right\nC. none", AMBIGUOUS),
    ("observed", WORDS, "A. left B. right C. none", AMBIGUOUS),
    ("observed", WORDS, "B, because the camera went the other way.", A("B", "leading")),
    ("observed", SENTENCES, "(C) The boxes stay where they were.", A("C", "leading")),
    ("made", WORDS, "B. The left one.", DISAGREE),
    # letters that are no answers
    ("observed", WORDS, "A chair stands next to a table.", NOT_FOUND),
    ("observed", WORDS, "The camera turned.", NOT_FOUND),
    ("observed", WORDS, "A", A("A", "whole_letter")),
    ("observed", WORDS, "The answer is a chair.", NOT_FOUND),
    ("made", WORDS, "The answer is A left turn", NOT_FOUND),
    ("observed", WORDS, "Both pictures show a red box.", NOT_FOUND),
    ("observed", WORDS, "I cannot tell.", NOT_FOUND),
    ("observed", WORDS, "1211211211211211", NOT_FOUND),
    ("observed", WORDS, "red near right, blue far left.", NOT_FOUND),
    ("observed", WORDS, "", EMPTY),
    ("observed", WORDS, " \n\t ", EMPTY),
    ("observed", WORDS, "<think>only a thought</think>", NOT_FOUND),
    ("observed", WORDS, "<think>the answer is B</think>", NOT_FOUND),
    ("made", WORDS, "</answer></think></answer>", NOT_FOUND),
]


@pytest.mark.parametrize(("origin", "options", "completion", "reading"), TABLE, ids=lambda v: v if isinstance(v, str) else "")
def test_the_table_of_completions(origin, options, completion, reading):
    assert origin in ("observed", "made")
    assert read_answer(completion, options) == reading


def test_the_table_is_large_and_reaches_every_outcome():
    assert len(TABLE) >= 80
    outcomes = {reading.rule if isinstance(reading, Answer) else reading.reason for *_, reading in TABLE}
    assert outcomes >= STRICT_RULES - {"tag_number"} | {
        "tag_lettered",
        "tag_worded",
        "tag_phrase",
        "boxed",
        "declared",
        "line",
        "leading",
        "whole_letter",
        "whole_text",
        "whole_lettered",
    }
    assert outcomes >= {u.reason for u in (AMBIGUOUS, DISAGREE, EMPTY, EMPTY_TAG, NOT_AN_OPTION, NOT_FOUND, UNFINISHED)}


option_texts = st.lists(st.from_regex(r"[c-h]{2,6}( [c-h0-9+.-]{1,6})?", fullmatch=True), min_size=2, max_size=6, unique_by=str.casefold)
noise = st.lists(
    st.sampled_from(["<", ">", "/", "<answer>", "</answer>", "<think>", "</think>", "A", "b", " ", "\n", "the answer is ", "left", ".", "é", "\\boxed{"])
).map("".join)


@given(option_texts, st.data(), noise, st.text("\n \t.!", max_size=5))
def test_a_well_formed_final_answer_is_read_whatever_stands_before_it(options, data, before, after):
    letter = data.draw(st.sampled_from("ABCDEF"[: len(options)]))
    reading = read_answer(f"{before}<answer>{letter}</answer>{after}", options)
    assert reading in (Answer(letter, "tag_letter"), Answer(letter, "thought_tag_letter"))


@given(st.sampled_from(["A", "B", "C"]), noise.filter(lambda text: "answer" not in text and "think" not in text), st.sampled_from(["think", "direct"]))
def test_what_models_are_taught_to_write_is_well_formed_and_read_strictly(letter, reasoning, mode):
    completion = completion_text(mode, letter, reasoning or "x")
    if (reasoning or "x").strip():
        assert is_well_formed(completion, mode)
    reading = read_answer(completion, WORDS)
    assert reading == Answer(letter, "tag_letter")
    assert reading.rule in STRICT_RULES


@given(st.text() | noise, option_texts)
def test_any_text_is_read_as_an_option_or_as_a_stated_reason(completion, options):
    reading = read_answer(completion, options)
    if isinstance(reading, Answer):
        assert reading.letter in "ABCDEF"[: len(options)]
        assert reading.rule
    else:
        assert reading in {AMBIGUOUS, DISAGREE, EMPTY, EMPTY_TAG, NOT_AN_OPTION, NOT_FOUND, UNFINISHED}


@given(noise, st.permutations(SENTENCES))
def test_the_order_of_the_options_moves_the_letter_and_nothing_else(before, options):
    reading = read_answer(f"{before}<answer>It did not move.</answer>", options)
    assert isinstance(reading, Answer)
    assert reading.letter == "ABC"[list(options).index("It did not move.")]
    assert reading.rule in ("tag_text", "thought_tag_text")


ADVERSARIAL = {
    "open tags": "<answer>",
    "closed tags": "<answer></answer>",
    "closing tags": "</answer></think>",
    "brackets": "<",
    "brackets and spaces": "<  / ",
    "spaces": " ",
    "lines": "\n",
    "letters": "A ",
    "options": "A. left\n",
    "declarations": "the answer is ",
    "declared letters": "the answer is B or ",
    "declared choices": "I'd go with option ",
    "correct options": "option B is correct ",
    "boxes": "\\boxed{",
    "full boxes": "\\boxed{B}",
    "stars": "**_`",
    "signs": "+-1.1",
    "apostrophes": "a'b",
    "words": "left right none ",
    "no spaces": "left",
    "clauses": "if not. ",
}


@pytest.mark.parametrize("unit", ADVERSARIAL.values(), ids=ADVERSARIAL.keys())
@pytest.mark.parametrize("frame", ["{}", "<answer>{}</answer>", "B. {}", "<answer>{}"])
def test_reading_time_is_linear_on_adversarial_texts(unit, frame):
    def seconds(n_chars: int) -> float:
        text = frame.format(unit * (n_chars // len(unit)))
        best = float("inf")
        for _ in range(2):
            start = time.process_time()
            read_answer(text, WORDS)
            is_well_formed(text, "think")
            best = min(best, time.process_time() - start)
        return best

    small, large = seconds(5_000), seconds(40_000)
    assert large < 25 * max(small, 0.0004), f"8 times the text took {large / small:.0f} times as long"


@pytest.mark.parametrize(
    ("mode", "completion", "expected"),
    [
        ("think", "<think>a</think><answer>A</answer>", True),
        ("think", " <think>a</think>\n <answer>A</answer>\n", True),
        ("think", "<think>a</think>x<answer>A</answer>", False),
        ("think", "x<think>a</think><answer>A</answer>", False),
        ("think", "<think>a</think><answer>A</answer>x", False),
        ("think", "<think></think><answer>A</answer>", False),
        ("think", "<think>a</think><answer> </answer>", False),
        ("think", "<think>a<think>b</think></think><answer>A</answer>", False),
        ("think", "<think>a</think><answer>A</answer><answer>B</answer>", False),
        ("think", "<answer>A</answer><think>a</think>", False),
        ("think", "<answer>A</answer>", False),
        ("think", "<Think>a</Think><Answer>A</Answer>", False),
        ("think", "", False),
        ("direct", "<answer>A</answer>", True),
        ("direct", "\n<answer>left</answer> ", True),
        ("direct", "<think>a</think><answer>A</answer>", False),
        ("direct", "<answer>A</answer>.", False),
        ("direct", "</answer>A<answer>", False),
        ("direct", "A", False),
        ("describe", "red at b3", True),
        ("describe", "", False),
        ("describe", "<answer>A</answer>", False),
    ],
)
def test_the_form_that_each_mode_asks_for(mode, completion, expected):
    assert is_well_formed(completion, mode) is expected


@pytest.mark.parametrize("options", [(), ("x",) * 27])
def test_a_question_without_options_or_with_more_than_letters_is_a_bug(options):
    with pytest.raises(ValueError, match="1 to 26"):
        read_answer("B", options)


def test_unparsed_has_no_letter():
    assert not hasattr(Unparsed("ambiguous"), "letter")
