"""What a stage's program may import, read from its source: `python tests/contracts/closure.py [STAGE …]` prints the `deps` lines dvc.yaml needs."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("actial", "tasks", "flows")
EXEMPT = {
    "actial/errors.py",
    "actial/jobs.py",
    "actial/machine.py",
    "actial/params.py",
    "actial/params_evaluation.py",
    "actial/params_external.py",
    "actial/params_questions.py",
    "actial/params_views.py",
    "actial/typed_yaml.py",
    "tasks/tracking.py",
}
EXEMPT |= {"actial/views/carried.py", "actial/views/launcher.py", "actial/views/memory.py", "actial/views/ray_launcher.py", "actial/views/worker_log.py"}
EXEMPT |= {"actial/cluster/crew.py", "actial/cluster/entry.py", "actial/cluster/folders.py", "actial/evaluation/ray_asking.py"}
"""They can refuse, start, stop, split or log work; they can never change a byte of an output. What only they import counts as little."""
_MODULE_NAME = re.compile(rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+")


def closure(stage: str, root: Path = ROOT) -> set[str]:
    """The project's source files that `python -m tasks.<stage>` may load, as paths from the project's folder.

    Follows every import, also inside functions, and module names in strings (programs started as jobs). Leaves out what only a type checker
    reads, `__init__.py` files that hold nothing but a docstring, and the exempt files.
    """
    found: set[str] = set()
    waiting = [f"tasks.{stage}"]
    while waiting:
        for path in _files(waiting.pop(), root):
            name = path.relative_to(root).as_posix()
            if name in found or name in EXEMPT:
                continue
            tree = ast.parse(path.read_text(encoding="utf-8"))
            if path.name != "__init__.py" or not _is_only_a_docstring(tree):
                found.add(name)
            waiting += _named(tree, name)
    return found


def _files(module: str, root: Path) -> Iterator[Path]:
    """A module's file and the `__init__.py` files above it; nothing for a name that is no module."""
    parts = module.split(".")
    for n in range(1, len(parts) + 1):
        package, file = root.joinpath(*parts[:n], "__init__.py"), root.joinpath(*parts[:n]).with_suffix(".py")
        if file.exists():
            yield file
        elif package.exists():
            yield package
        else:
            return


def _named(tree: ast.Module, path: str) -> list[str]:
    """Project modules that a file names: in imports, and in strings."""
    _drop_type_checking(tree)
    package = path.removesuffix(".py").split("/")[:-1]
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])] if node.level else [node.module or ""])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _MODULE_NAME.fullmatch(node.value):
            names.append(node.value)
    return [name for name in names if name.split(".")[0] in PACKAGES]


def _drop_type_checking(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []


def _is_only_a_docstring(tree: ast.Module) -> bool:
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in tree.body)


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(p.stem for p in (ROOT / "tasks").glob("*.py")):
        print(f"{name}:\n" + "\n".join(f"      - {path}" for path in sorted(closure(name))))
