"""The three modules of kernels are one interface."""

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest

from minigrad import kernels
from minigrad.kernels import cpu, reference


def test_of_picks_by_array_type():
    class Other:
        pass

    assert kernels.of(np.zeros(3)) is cpu
    assert kernels.of(np.float32(1)) is cpu
    assert kernels.of(Other()) is reference


@pytest.mark.parametrize("name", reference.__all__)
def test_cpu_has_the_signature_of_reference(name):
    plain, fast = (inspect.signature(getattr(module, name)).parameters for module in (reference, cpu))
    assert [(p.name, p.kind, p.default) for p in plain.values()] == [(p.name, p.kind, p.default) for p in fast.values()]


def _functions(folder: Path) -> dict[str, list[str]]:
    """The functions written in the cuda files, with their arguments; read, not imported: CuPy may not be here."""
    found = {}
    for path in folder.glob("cuda*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                found[node.name] = [a.arg for a in (*node.args.args, *node.args.kwonlyargs)]
    return found


def test_cuda_has_the_names_and_arguments_of_reference():
    folder = Path(reference.__file__).parent
    written = _functions(folder)
    tree = ast.parse((folder / "cuda.py").read_text())
    imported = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported == set(reference.__all__) == set(cpu.__all__)
    for name in set(reference.__all__) & set(written):
        assert written[name] == list(inspect.signature(getattr(reference, name)).parameters), name
