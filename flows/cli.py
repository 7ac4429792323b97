"""The `actial` command. Nothing that takes time is imported before a subcommand is chosen."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from actial.errors import exit_on_user_error
from actial.params import STAGES


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0, 1 where a stage failed, 2 after a user's mistake, 130 after Ctrl-C."""
    options = parser().parse_args(arguments)
    try:
        code = exit_on_user_error(lambda: dispatch(options))
    except KeyboardInterrupt:
        print("stopped; what was finished is kept", file=sys.stderr)
        code = 130
    sys.exit(code)


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    actial = argparse.ArgumentParser(prog="actial", description="Teach a multimodal language model to reason about viewpoints, and measure what it learned.")
    commands = actial.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="bring the pipeline up to date (a Prefect flow run)")
    run.add_argument("--only", nargs="+", action="extend", choices=STAGES, metavar="STAGE", help="just these stages")
    run.add_argument("--from", dest="from_stage", choices=STAGES, metavar="STAGE", help="this stage and all after it")
    run.add_argument("--force", nargs="+", action="extend", choices=STAGES, metavar="STAGE", help="run these even when they are fresh")
    commands.add_parser("plan", help="what would run, how long it last took, and why")
    commands.add_parser("why", help="every reason why a stage would run").add_argument("stage", choices=STAGES, metavar="STAGE")
    commands.add_parser("use", help="copy a profile to params.yaml").add_argument("profile", metavar="PROFILE")
    commands.add_parser("trace", help="all that descends from a scene, view, pair or question").add_argument("id", metavar="ID")
    up = commands.add_parser("up", help="Prefect server, deployment full-pipeline and MLflow on localhost")
    up.add_argument("--prefect-port", type=int, default=4200, metavar="PORT")
    up.add_argument("--mlflow-port", type=int, default=5000, metavar="PORT")
    report = commands.add_parser("report", help="write the report on outputs/ anew and print its path")
    report.add_argument("--questions", type=int, default=10_000, metavar="N", help="test questions shown at most (default: 10,000)")
    report.add_argument("--pictures", action="store_true", help="also write the full pictures into a folder beside it, which it links")
    report.add_argument("--tables", metavar="FOLDER", help="also write its tables there, as Markdown, CSV and LaTeX, and its charts, as SVG")
    gallery = commands.add_parser("gallery", help="write a page on the rendered views, with what their cameras say drawn over them, and print its path")
    which = gallery.add_mutually_exclusive_group()
    which.add_argument("--scenes", type=int, default=24, metavar="N", help="scenes shown, drawn by a hash of their ids (default: 24)")
    which.add_argument("--scene", nargs="+", action="extend", default=[], metavar="ID", help="just these scenes")
    gallery.add_argument("--views", type=int, default=12, metavar="N", help="views shown of each scene (default: 12)")
    gallery.add_argument("--out", metavar="FILE", help="file to write (default: runs/gallery/index.html)")
    export = commands.add_parser("export", help="write questions or conversations with their pictures in the form of another tool, and print the folder")
    export.add_argument(
        "--to",
        required=True,
        choices=("hf", "llamafactory", "grpo", "vlmeval"),
        help="Hugging Face datasets; LLaMA-Factory (conversations); TRL and verl (GRPO's prompts); VLMEvalKit (test questions)",
    )
    export.add_argument("--split", nargs="+", action="extend", default=[], metavar="SPLIT", help="just these (default: all; for vlmeval test and test_2d)")
    export.add_argument("--out", metavar="FOLDER", help="folder to make (default: runs/export/ and the form's name)")
    mask = commands.add_parser("mask", help="print a conversation of the SFT mix with the tokens marked that the loss falls on")
    mask.add_argument("id", metavar="QUESTION_ID")
    mask.add_argument("--mode", choices=("think", "direct", "describe"), help="the conversation in this mode (default: the first there is)")
    audit = commands.add_parser("audit", help="probe whether questions can be answered without reasoning about space, and print the table")
    audit.add_argument("questions", nargs="?", default="outputs/build_qa", metavar="FOLDER", help="folder or Parquet file (default: outputs/build_qa)")
    audit.add_argument("--views", default="outputs/render_views/views", metavar="FOLDER", help="the views asked about (default: outputs/render_views/views)")
    audit.add_argument("--probes", nargs="+", metavar="PROBE", help="just these (default: all)")
    audit.add_argument("--ceiling", type=int, metavar="N", help="answer N questions of each kind by matching points, too (default: build_qa.audit.n_ceiling)")
    _add_evaluate(commands)
    review = commands.add_parser("review", help="answer questions on a local page without being told the truth, and keep how far you agree")
    review.add_argument("--split", default="test", metavar="SPLIT", help="whose questions (default: test)")
    review.add_argument("--questions", type=int, default=100, metavar="N", help="how many, drawn evenly over kinds (default: 100)")
    review.add_argument("--seed", type=int, default=0, metavar="N", help="draws them; people with one seed are asked the same (default: 0)")
    review.add_argument("--reviewer", default="reviewer", metavar="NAME", help="who answers, as the dataset card will name them (default: reviewer)")
    review.add_argument("--port", type=int, default=0, metavar="PORT", help="of 127.0.0.1 (default: any that is free)")
    compare = commands.add_parser("compare", help="params, curves, scores and changed answers of two or more MLflow runs")
    compare.add_argument("first", metavar="A", help="id of a run, or its beginning; the others are held against it")
    compare.add_argument("others", nargs="+", metavar="B", help="ids of runs, or their beginnings")
    commands.add_parser("doctor", help="what this machine lacks, with the remedy")
    return actial


def _add_evaluate(commands: Any) -> None:
    evaluate = commands.add_parser("evaluate", help="ask any model benchmarks or our own test questions, without the pipeline, and print its scores")
    evaluate.add_argument("--model", required=True, metavar="MODEL", help="folder of a checkpoint, hub id, or with --endpoint its name there")
    evaluate.add_argument("--benchmarks", nargs="+", action="extend", default=[], metavar="NAME", help="just these (default: all; those not there are listed)")
    evaluate.add_argument("--revision", metavar="COMMIT", help="of a hub model: commit, tag or branch (default: its main branch as it is now)")
    evaluate.add_argument("--endpoint", metavar="URL", help="an OpenAI-compatible server that has the model, with its version, as http://localhost:8000/v1")
    evaluate.add_argument("--key-variable", metavar="NAME", help="environment variable that holds that server's key")
    evaluate.add_argument("--concurrency", type=_positive, default=8, metavar="N", help="requests to it under way at once (default: 8)")
    evaluate.add_argument("--requests-per-minute", type=_positive, default=0, metavar="N", help="most requests sent to it a minute (default: no limit)")
    evaluate.add_argument("--timeout-s", type=_positive, default=600, metavar="N", help="longest wait for one reply of it, seconds (default: 600)")
    evaluate.add_argument(
        "--data", default="data/external", metavar="FOLDER", help="benchmarks as published lie in benchmarks/NAME of it (default: data/external)"
    )
    evaluate.add_argument("--profile", metavar="NAME", help="whose prompts, limits and picture sizes hold (default: params.yaml, else single-gpu)")
    evaluate.add_argument("--modes", nargs="+", action="extend", default=[], choices=("think", "direct"), metavar="MODE", help="think, direct (default: both)")
    evaluate.add_argument(
        "--controls",
        nargs="+",
        action="extend",
        default=[],
        choices=("blind", "first_only", "last_only"),
        metavar="CONTROL",
        help="ask all again with less to see: blind (no picture), first_only, last_only (others gray) (default: none)",
    )
    evaluate.add_argument("--max-new-tokens", type=_positive, metavar="N", help="longest completion (default: evaluate.max_new_tokens of each mode)")
    evaluate.add_argument("--n", type=_positive, metavar="N", help="questions of each benchmark, drawn by the seed (default: all)")
    evaluate.add_argument("--samples", type=_positive, metavar="N", help="sample so many completions of each question (default: one, greedy)")
    evaluate.add_argument("--temperature", type=float, default=1.0, metavar="T", help="of samples (default: 1)")
    evaluate.add_argument("--judge", metavar="MODEL", help="served model that reads what no rule could, in columns of its own (default: none)")
    evaluate.add_argument("--judge-endpoint", metavar="URL", help="the OpenAI-compatible server that has the judge")
    evaluate.add_argument("--judge-key-variable", metavar="NAME", help="environment variable that holds that server's key")
    evaluate.add_argument("--out", metavar="FOLDER", help="scores and records; replaced whole (default: runs/evaluate/results/ and the model's name)")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number


def dispatch(options: argparse.Namespace) -> int:
    """Import what a subcommand needs, and do it.

    Returns:
        The exit code.
    """
    match options.command:
        case "run":
            from flows.run import run

            return run(options.only, options.from_stage, options.force)
        case "plan":
            from flows.plan import plan

            return plan()
        case "why":
            from flows.plan import why

            return why(options.stage)
        case "use":
            from flows.plan import use

            return use(options.profile)
        case "trace":
            from pathlib import Path

            from actial.trace import trace

            print(trace(options.id, Path("outputs")))
        case "up":
            from flows.up import up

            return up(options.prefect_port, options.mlflow_port)
        case "report":
            from pathlib import Path

            from actial.report.build import write_report
            from flows.results import REPORT

            tables = Path(options.tables) if options.tables else None
            print(write_report(Path("outputs"), REPORT, options.questions, options.pictures, tables))
        case "gallery":
            from pathlib import Path

            from actial.report.views import write_gallery
            from flows.results import GALLERY

            print(write_gallery(Path("outputs"), Path(options.out or GALLERY), options.scenes, options.scene, options.views))
        case "export":
            from pathlib import Path

            from actial.export.export import export
            from flows.results import EXPORTS
            from tasks.run_facts import commit_in_words

            print(export(Path("outputs"), options.to, options.split, Path(options.out or EXPORTS / options.to), commit_in_words()))
        case "mask":
            from pathlib import Path

            from actial.training.mask import told

            print(told(options.id, options.mode, Path("outputs"), Path("params.yaml"), coloured=sys.stdout.isatty() and not os.environ.get("NO_COLOR")))
        case "audit":
            from flows.audit import audit

            return audit(options.questions, options.views, options.probes, options.ceiling)
        case "evaluate":
            from pathlib import Path

            from flows.evaluate import Wish, evaluate

            wished = {name: value for name, value in vars(options).items() if name != "command"}
            return evaluate(Wish(**wished | {"data": Path(options.data), "out": Path(options.out) if options.out else None}))
        case "review":
            from pathlib import Path

            from flows.review import Asked, review

            return review(Asked(options.split, options.questions, options.seed, options.reviewer, options.port), Path("outputs"))
        case "compare":
            from flows.compare import compare

            compare(options.first, *options.others)
        case "doctor":
            from flows import doctor

            return doctor.main()
    return 0


if __name__ == "__main__":
    main()
