"""What an op should compute, and on which arguments: one `OpSpec` for each op, from which every check follows.

OpSpec("exp", np.exp)
OpSpec("log", np.log, domain=(0, 5))
OpSpec(my_op, lambda x, n: x**n, st.tuples(arrays(shapes()), st.just({"n": 3})).map(...), smooth=2)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad import backend
from minigrad.core import dtypes
from minigrad.core.fused import FusedOp
from minigrad.core.primitive import Op, registry
from minigrad.core.tensor import Tensor, wrap
from minigrad.testing.corners import OpCorners
from minigrad.testing.drawing import Arguments, Manner
from minigrad.testing.example import code_of_property
from minigrad.testing.families import families
from minigrad.testing.jacobians import as_called
from minigrad.testing.signature import Places, one_each, read
from minigrad.testing.strategies import Host, Interval
from minigrad.testing.trying import Spec


@dataclass(frozen=True)
class Case:
    """One call: the inputs in order (NumPy arrays, numbers or None), and the settings."""

    inputs: tuple[Any, ...]
    settings: dict[str, Any]

    def __post_init__(self) -> None:
        for place, one in enumerate(self.inputs):
            if isinstance(one, (Tensor, list)):
                raise TypeError(
                    f"input {place} of a case is a {type(one).__name__}: give NumPy arrays, of which each property "
                    f"makes the Tensors that it needs"
                )

    def with_inputs(self, inputs: Sequence[Any]) -> Case:
        """The same call on other inputs."""
        return Case(tuple(inputs), self.settings)

    def copy(self) -> Case:
        """The same call with arrays and settings of its own."""
        return Case(tuple(_own(one) for one in self.inputs), {word: _own(one) for word, one in self.settings.items()})

    def numbers(self) -> int:
        """How many numbers its arrays have, counting each array for one more."""
        return sum(one.size + 1 for one in self.inputs if isinstance(one, np.ndarray))

    def floating(self) -> list[int]:
        """The positions of the inputs that can carry a gradient."""
        return [place for place, one in enumerate(self.inputs) if isinstance(one, np.ndarray) and one.dtype.kind == "f"]

    def cast(self, dtype: Any) -> Case:
        """Every floating point input as `dtype`."""
        floating = self.floating()
        return self.with_inputs([one.astype(dtype) if at in floating else one for at, one in enumerate(self.inputs)])

    def tensors(self, needs: Sequence[int] = (), device: str = "cpu") -> list[Any]:
        """The inputs as Tensors around the very arrays (copied if on another device); those in `needs` require grad."""
        result: list[Any] = []
        for place, one in enumerate(self.inputs):
            value = wrap(backend.transfer(one, device)) if isinstance(one, np.ndarray) else one
            result.append(value.requires_grad_() if place in needs else value)
        return result

    def settings_on(self, device: str) -> dict[str, Any]:
        """The settings with the arrays in them, such as those of an index, on `device`."""
        return {name: _moved(value, device) for name, value in self.settings.items()}


def _own(value: Any) -> Any:
    """A copy of what can be written to: arrays, and lists, sets and dictionaries, as settings are."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) is dict:
        return {key: _own(one) for key, one in value.items()}
    return type(value)(_own(one) for one in value) if type(value) in (list, tuple, set) else value


def _moved(value: Any, device: str) -> Any:
    if isinstance(value, (tuple, list)):
        return type(value)(_moved(part, device) for part in value)
    return backend.transfer(value, device) if isinstance(value, np.ndarray) else value


@dataclass(frozen=True, eq=False)
class OpSpec(Spec):
    """One op's contract.

    Args:
        op: the op, or its name in the registry of primitives.
        reference: the same on NumPy arrays, written independently of the op; called with the inputs in order and the
            settings by keyword; returns an array, or a tuple for several outputs. None leaves values unchecked.
        arguments: draws `(inputs, settings)`, floats as float64. Without it, inputs whose shapes broadcast are drawn
            from `domain` (one interval, or one for each input), away from `kinks`, and no settings: which parameters
            are inputs, the signature says as it does to `check_op`.
        rare: draws more of these, too large or too extreme to be among all others, of which each run tries a few
            (`corners.py`). Without `arguments` they are known by themselves.
        domain: the open interval that the inputs lie in.
        kinks: where the op has no derivative.
        differentiable: the positions of the inputs that get a gradient; by default all that are floating point.
        smooth: how many derivatives are compared with numeric ones; 0 for an op that has none.
        exact: `backward()` and `create_graph` agree to the bit; otherwise to `rtol`.
        rtol: of values in float64 (relative to the largest); in float32 it is at least 2e-5.
        shares_memory: the result may look at an input's memory although the op is no view.
        waits: the op needs a value on the host, and so waits for a device.
        devices: runs on any device; False for what only makes sense on the host.
        floats_keep_dtype: an op on float32 gives float32.
        batched: the dimension of each input that counts the examples of a batch, None for what they share; the batch
            then equals its examples one by one. Known by itself where the reference is a ufunc or `np.vectorize`.
        batched_outputs: the same for the outputs; by default their first dimension.
    """

    op: str | Callable[..., Any]
    reference: Callable[..., Any] | None = None
    arguments: Arguments | None = None
    domain: Interval | Sequence[Interval] = (-3, 3)
    kinks: Sequence[float] = ()
    differentiable: Sequence[int] | None = None
    smooth: int = 2
    exact: bool = True
    rtol: float = 1e-11
    shares_memory: bool = False
    waits: bool = False
    devices: bool = True
    floats_keep_dtype: bool = True
    batched: Sequence[int | None] | None = None
    batched_outputs: Sequence[int] | None = None
    rare: Arguments | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.op, str) and not callable(self.op):
            raise TypeError(f"op is a function of Tensors, or the name of a primitive, and not {self.op!r}")
        if self.arguments is not None and not isinstance(self.arguments, st.SearchStrategy):
            raise TypeError(
                f"arguments is a hypothesis strategy that draws (inputs, settings), e.g. "
                f"st.tuples(st.tuples(arrays((2, 3))), st.just({{}})), and not {type(self.arguments).__name__}"
            )
        if self.reference is not None and not callable(self.reference):
            raise TypeError(f"reference is a function of NumPy arrays, and not {self.reference!r}")
        if isinstance(self.kinks, (int, float)):
            raise TypeError(f"kinks is a list of numbers: kinks=[{self.kinks}]")
        if not all(isinstance(one, (int, float)) for one in self.kinks):
            raise TypeError(f"kinks is a list of numbers, and not {self.kinks!r}")
        _check_domain(self.domain)

    @property
    def name(self) -> str:
        """What messages call the op; a class method by the class it is called of, as `Power.apply`."""
        if isinstance(self.op, str):
            return self.op
        owner, name = getattr(self.call, "__self__", None), getattr(self.call, "__name__", type(self.op).__name__)
        return f"{owner.__name__}.{name}" if isinstance(owner, type) else name

    @property
    def record(self) -> Op | None:
        """What the engine knows of a primitive; None for a function made of primitives."""
        if isinstance(self.op, str):
            if self.op not in registry:
                raise LookupError(f"there is no primitive {self.op!r}: the registry has {', '.join(sorted(registry))}")
            return registry[self.op]
        return getattr(self.op, "op", None)

    @property
    def fused(self) -> bool:
        """Whether the op is a hand-written pair with a composite."""
        return isinstance(self.record, FusedOp)

    @property
    def call(self) -> Callable[..., Any]:
        """The op as users call it."""
        return self.record.call if isinstance(self.op, str) else as_called(self.op)  # type: ignore[union-attr]

    @cached_property
    def _places(self) -> tuple[Places, Places | None]:
        """Where the op's arguments go, and the reference's."""
        return Places(self.call), None if self.reference is None else Places(self.reference)

    def run(self, inputs: Sequence[Any], settings: dict[str, Any]) -> tuple[Tensor, ...]:
        """The outputs, always as a tuple."""
        results = self._places[0].call(inputs, settings)
        return tuple(results) if isinstance(results, (tuple, list)) else (results,)

    def expected(self, case: Case) -> tuple[Host, ...]:
        """The reference's outputs, always as a tuple of arrays."""
        reference = self._places[1]
        if reference is None:
            raise LookupError(f"{self.name} has no reference to compare with: give its OpSpec one")
        with np.errstate(all="ignore"):
            results = reference.call(case.inputs, case.settings)
        results = results if isinstance(results, (tuple, list)) else (results,)
        if any(one is None for one in results):
            raise TypeError(f"{self.name}: the reference gives None: it has to return an array, or a tuple of arrays")
        return tuple(np.asarray(one) for one in results)

    def differentiable_in(self, case: Case) -> list[int]:
        """The positions of the inputs that get a gradient in this call."""
        floating = case.floating()
        return floating if self.differentiable is None else [at for at in floating if at in self.differentiable]

    @property
    def elementwise(self) -> bool:
        """Whether the reference says by its kind that each number of the result comes from one of each input."""
        return isinstance(self.reference, np.ufunc) or (
            isinstance(self.reference, np.vectorize) and self.reference.signature is None
        )

    def batch_of(self, case: Case) -> tuple[int, list[int | None], list[int] | None] | None:
        """How many examples this call has, in which dimension of each input and output; None if it is no batch."""
        shapes = [np.shape(one) for one in case.inputs]
        if self.batched is not None:
            pairs = list(zip(shapes, self.batched, strict=True))
            counts = {shape[dim] if len(shape) > dim else -1 for shape, dim in pairs if dim is not None and shape}
            dims = [dim if shape else None for shape, dim in pairs]
            outputs = None if self.batched_outputs is None else list(self.batched_outputs)
            return (counts.pop(), dims, outputs) if len(counts) == 1 and counts != {-1} else None
        whole = np.broadcast_shapes(*shapes)
        if not whole:
            return None
        stretched = [0 if len(shape) == len(whole) and shape[0] == whole[0] else None for shape in shapes]
        return whole[0], list(stretched), None

    def cases(self) -> st.SearchStrategy[Case]:
        """Calls of the op, as `arguments` draws them; TypeError for what it draws that is no call."""
        return (self._manner().ordinary() if self.arguments is None else self.arguments).map(self._case)

    def rare_cases(self) -> st.SearchStrategy[Case]:
        """Calls that are worth a look or two, if there are any."""
        known = self._manner().rare() if self.arguments is None else st.nothing()
        return (known if self.rare is None else self.rare).map(self._case)

    def corners(self) -> OpCorners:
        """The kinds of calls that each run has to see."""
        return OpCorners(self)

    def code(self, case: Case, prop: str, draws: Sequence[Any]) -> str:
        """A program that tries one property on one call; "" if it is too long to paste."""
        return code_of_property(self, prop, case, draws)

    def _case(self, drawn: Any) -> Case:
        """A drawn call, if it is one that the spec speaks of."""
        if not (isinstance(drawn, (tuple, list)) and len(drawn) == 2 and isinstance(drawn[1], dict)):
            raise TypeError(
                f"{self.name}: arguments= draws {drawn!r:.80}, and not (inputs, settings), e.g. ([x], {{}})"
            )
        inputs, settings = drawn
        if not isinstance(inputs, (tuple, list)):
            raise TypeError(f"{self.name}: arguments= draws inputs that are no list, but {type(inputs).__name__}")
        absent = [at for at in self.differentiable or () if not 0 <= at < len(inputs)]
        if absent:
            raise ValueError(
                f"{self.name}: differentiable={list(self.differentiable or ())} names input {absent[0]}, and the op is "
                f"called with {len(inputs)}, counted from 0"
            )
        return Case(tuple(inputs), settings)

    def _manner(self) -> Manner:
        """How the op is called if nobody says: with inputs that broadcast, and its own settings."""
        call, _ = read(self.call, self.name, {})
        call = call._replace(optional=[], settings={}, dims={})
        intervals = one_each(self.domain, len(call.inputs), self.name)
        return Manner(call, families(len(call.inputs))[0], intervals, self.kinks)

    def expected_dtype(self, reference_dtype: Any, float_dtype: Any) -> Any:
        """The dtype a result should have: the reference's, with float64 standing for the inputs' floating dtype."""
        floats = self.floats_keep_dtype and dtypes.is_floating(reference_dtype)
        return np.dtype(float_dtype) if floats else np.dtype(reference_dtype)


def _check_domain(domain: Any) -> None:
    """A domain is an interval, or several."""
    if not isinstance(domain, (tuple, list)) or not len(domain):
        raise TypeError(f"domain is an open interval, e.g. (-3, 3), or one for each input, and not {domain!r}")
    if not isinstance(domain[0], (int, float)):
        for one in domain:
            _check_domain(one)
    elif len(domain) != 2 or not -np.inf < domain[0] < domain[1] < np.inf:
        raise ValueError(f"domain is an open interval (low, high) of finite numbers, low < high, and not {domain!r}")
