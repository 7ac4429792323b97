"""Direction of imports: flows -> tasks -> actial, and the layers inside actial (DESIGN section 3)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASE = {
    "records",
    "mirror",
    "ids",
    "rng",
    "params",
    "params_evaluation",
    "params_external",
    "params_questions",
    "params_views",
    "typed_yaml",
    "machine",
    "shards",
    "passes",
    "tables",
    "stats",
    "comparisons",
    "json_files",
    "errors",
    "prompts",
    "jobs",
}
ALLOWED = {  # what each room of actial may import from, besides itself
    "cluster": BASE,
    "geometry": BASE,
    "views": BASE | {"geometry", "cluster"},
    "questions": BASE | {"geometry", "answers"},  # options that the reader of answers cannot tell apart are none
    "mix": BASE | {"geometry", "views", "questions", "endpoint"},
    "endpoint": BASE,
    "answers": BASE,
    "rewards": BASE | {"answers"},
    "models": BASE | {"questions", "mix"},
    "training": BASE | {"models", "mix", "rewards", "answers"},
    "evaluation": BASE
    | {"answers", "models", "questions", "endpoint", "cluster"},  # benchmarks are rows from outside: questions.external_rows reads and checks those
    "report": BASE | {"geometry"},
    "export": BASE | {"views", "questions", "report"},
    "review": BASE | {"report"},
    "trace": BASE | {"geometry", "report"},  # it reads the outputs as the report does
} | dict.fromkeys(BASE, BASE)


def imported_modules(path: Path) -> set[str]:
    """Every module a file imports, at its head or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names if node.module in ("actial", "tasks", "flows")}
    return found


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", sources("actial"), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_actial_knows_nothing_above_it_and_keeps_its_layers(path: Path) -> None:
    room = path.relative_to(ROOT / "actial").parts[0].removesuffix(".py")
    for module in imported_modules(path):
        package, _, rest = module.partition(".")
        assert package not in ("tasks", "flows"), f"{path.name} imports {module}"
        if package == "actial" and rest and room != "__init__":
            target = rest.split(".")[0]
            assert target == room or target in ALLOWED[room], f"{room} may not import actial.{target} ({path.name})"


@pytest.mark.parametrize("path", sources("tasks"), ids=lambda p: p.name)
def test_tasks_never_import_flows(path: Path) -> None:
    assert not any(module.split(".")[0] == "flows" for module in imported_modules(path))


@pytest.mark.parametrize(
    ("library", "rooms"),
    [
        ("prefect", ("flows/", "tasks/stage.py")),
        ("dvc", ("tasks/versioning.py",)),
        ("mlflow", ("tasks/tracking.py", "tasks/run_log.py")),
        ("bpy", ("actial/views/inside_start.py",)),
        ("blenderproc", ("actial/views/inside_start.py",)),
        ("aiohttp", ("actial/endpoint/client.py",)),
        ("ray", ("actial/cluster/crew.py", "actial/views/ray_launcher.py", "actial/evaluation/ray_asking.py")),
        ("torch", ("actial/models/", "actial/training/", "actial/evaluation/generate.py")),
        ("transformers", ("actial/models/", "actial/training/", "actial/evaluation/generate.py")),
        ("trl", ("actial/training/",)),
        ("peft", ("actial/models/", "actial/training/")),
    ],
)
def test_each_heavy_library_has_one_room(library: str, rooms: tuple[str, ...]) -> None:
    for path in [*sources("actial"), *sources("tasks"), *sources("flows")]:
        if library in {module.split(".")[0] for module in imported_modules(path)}:
            name = path.relative_to(ROOT).as_posix()
            assert name.startswith(rooms), f"{name} imports {library}"


def test_importing_actial_and_its_command_is_instant() -> None:
    heavy = ("torch", "bpy", "ray", "prefect", "mlflow", "dvc", "pyarrow", "aiohttp")
    code = f"import sys, actial, actial.records, actial.params, flows.cli; print([m for m in sys.modules if m in {heavy}])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
