"""Print docstrings of the program, drawn at random with a fixed seed, to read them critically.

python -m docs.docstrings --n 100 --seed 7
"""

from __future__ import annotations

import argparse
import ast
import random
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
MOST_LINES = 10  # of code, printed below a docstring
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def documented() -> Iterator[tuple[Path, Documented]]:
    """Each module, class and function of the program that has a docstring, with its file."""
    for path in sorted((REPOSITORY / "warptui").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, Documented) and ast.get_docstring(node):
                yield path, node


def shown(path: Path, node: Documented) -> str:
    """A docstring with its place and the first lines of its code."""
    lines = path.read_text(encoding="utf-8").splitlines()
    first, last = 1, len(lines)
    if not isinstance(node, ast.Module):
        first, last = node.lineno, node.end_lineno or node.lineno
    end = node.body[0].end_lineno or first
    code = lines[first - 1 : min(last, end + MOST_LINES)]
    return "\n".join([f"{path.relative_to(REPOSITORY)}:{first}", *code])


def main() -> None:
    """Print the docstrings that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=100, help="number of docstrings")
    parser.add_argument("--seed", type=int, default=7, help="another seed draws others")
    arguments = parser.parse_args()
    found = list(documented())
    drawn = random.Random(arguments.seed).sample(found, min(arguments.n, len(found)))
    print("\n\n".join(shown(path, node) for path, node in drawn))


if __name__ == "__main__":
    main()
