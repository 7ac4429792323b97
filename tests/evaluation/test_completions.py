from __future__ import annotations

from dataclasses import replace

from toy_evaluation import toy_questions, write_views

from actial.evaluation.completions import Completion, CompletionLog, Sampling, append_completions, ask
from actial.mirror import mirrored_question
from actial.records import Message
from actial.shards import ViewStore

DONE = [Completion(f"key{i}", f"text {i}\nwith a line, “quotes” and  ", i) for i in range(5)]


def test_what_is_appended_is_read_back(tmp_path):
    CompletionLog(tmp_path / "a" / "log.jsonl").append(DONE)
    assert CompletionLog(tmp_path / "a" / "log.jsonl").known == {c.key: c for c in DONE}


def test_what_was_logged_before_probabilities_were_kept_is_read(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"key": "a", "text": "<answer>A</answer>", "n_tokens": 3}\n')
    CompletionLog(tmp_path / "log.jsonl").append([Completion("b", "<answer>A</answer>", 3, "stop", -0.125)])
    known = CompletionLog(tmp_path / "log.jsonl").known
    assert {key: c.answer_logprob for key, c in known.items()} == {"a": None, "b": -0.125}


def test_wherever_a_kill_cuts_the_last_line_the_whole_lines_survive_and_the_file_goes_on(tmp_path):
    log = CompletionLog(tmp_path / "whole.jsonl")
    log.append(DONE)
    data = log.path.read_bytes()
    start_of_last = data[:-1].rfind(b"\n") + 1
    for cut in range(start_of_last, len(data)):
        path = tmp_path / f"cut-{cut}.jsonl"
        path.write_bytes(data[:cut])
        opened = CompletionLog(path)
        assert opened.known == {c.key: c for c in DONE[:-1]}
        opened.append(DONE[-1:])
        assert path.read_bytes() == data


def test_a_damaged_line_is_said_and_asked_again(tmp_path, capsys):
    log = CompletionLog(tmp_path / "log.jsonl")
    log.append(DONE)
    lines = log.path.read_bytes().splitlines(keepends=True)
    lines[1], lines[3] = b'{"key": "key1", "text"\n', b"\xff\xfe\n"
    log.path.write_bytes(b"".join(lines))
    assert set(CompletionLog(log.path).known) == {"key0", "key2", "key4"}
    assert "2 lines are unreadable" in capsys.readouterr().out


def test_the_key_names_all_that_a_completion_depends_on(tmp_path):
    write_views(tmp_path / "views", 2)
    write_views(tmp_path / "others", 2, unreadable=("scene-000000.v01",))
    views, others = ViewStore(tmp_path / "views"), ViewStore(tmp_path / "others")
    question, messages = toy_questions(1)[0], (Message("system", "s"), Message("user", "<image><image>u"))
    key = ask(question, "think", messages, views, 16).key
    assert ask(replace(question, truth="B", margin=3.0), "think", messages, views, 16).key == key
    changed = [
        ask(question, "think", (Message("system", "t"), messages[1]), views, 16),
        ask(question, "think", messages, views, 17),
        ask(question, "think", messages, others, 16),
        ask(replace(question, view_ids=question.view_ids[::-1]), "think", messages, views, 16),
        ask(replace(question, view_ids=("scene-000001.v00", "scene-000001.v01")), "think", messages, views, 16),
        ask(mirrored_question(question), "think", messages, views, 16),
        ask(question, "think", messages, views, 16, hidden=(0,)),
        ask(question, "think", messages, views, 16, hidden=(1,)),
        *(
            ask(question, "think", messages, views, 16, sampling=s)
            for s in (Sampling(1.0, 0, 7), Sampling(1.0, 1, 7), Sampling(0.5, 0, 7), Sampling(1.0, 0, 8))
        ),
    ]
    assert len({key, *(a.key for a in changed)}) == 13


def test_keys_are_those_of_logs_from_before_several_pictures_could_be_hidden(tmp_path):
    """What was paid for then is still known: written down from the code of then."""
    write_views(tmp_path / "views", 1)
    question, messages = replace(toy_questions(1)[0], view_ids=()), (Message("system", "s"), Message("user", "u"))
    key = lambda *hidden: ask(question, "think", messages, ViewStore(tmp_path / "views"), 16, hidden=hidden).key
    assert [key(), key(0), key(1)] == ["f7f8c7e4029433ba2d44b1ef", "c6409f502cd4ce662a92d5b7", "cfe2c6da619cee9d71ba85e0"]
    assert len({key(), key(0), key(1), key(0, 1), key(1, 2)}) == 5


def test_only_what_is_missing_is_asked_and_once(tmp_path):
    write_views(tmp_path / "views", 2)
    views = ViewStore(tmp_path / "views")
    asks = [ask(q, "direct", (Message("user", q.question_id),), views, 4) for q in toy_questions(2)]
    log = CompletionLog(tmp_path / "log.jsonl")
    log.append([Completion(a.key, "x", 1) for a in asks[:2]])
    assert CompletionLog(log.path).missing(asks + asks) == asks[2:]


def test_two_processes_append_whole_lines(tmp_path):
    import multiprocessing

    path = tmp_path / "log.jsonl"
    batches = [[[Completion(f"{who}-{i}-{j}", "x" * 2000, 1) for j in range(20)] for i in range(30)] for who in "ab"]
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=lambda of=of: [append_completions(path, batch) for batch in of]) for of in batches]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert set(CompletionLog(path).known) == {c.key for of in batches for batch in of for c in batch}
