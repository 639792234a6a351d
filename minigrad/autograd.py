"""PyTorch's names for what the engine does, and `Function`: an op of your own as a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad.core import engine
from minigrad.core.call import record
from minigrad.core.engine import Node, backward, grad
from minigrad.core.modes import (
    _Switch,
    detect_anomaly,
    enable_grad,
    inference_mode,
    mode,
    no_grad,
    set_grad_enabled,
)
from minigrad.core.plan import attach
from minigrad.core.tensor import Tensor, wrap

__all__ = [
    "Function", "FunctionContext", "Variable", "backward", "detect_anomaly", "enable_grad", "grad", "inference_mode",
    "no_grad", "set_grad_enabled",
]  # fmt: skip


def Variable(data: Tensor, requires_grad: bool = False) -> Tensor:  # noqa: N802 - the name old programs use
    """`data` itself, asked for gradients if wanted: since PyTorch 0.4 a Variable is a Tensor."""
    return data.requires_grad_() if requires_grad else data


class FunctionContext:
    """What `forward` hands to `backward`: tensors by `save_for_backward`, anything else as an attribute."""

    needs_input_grad: tuple[bool, ...]

    def __init__(self) -> None:
        self._to_save: tuple[Tensor | None, ...] = ()
        self._saved: tuple[Tensor | None, ...] | None = None
        self._constant: set[int] = set()
        self._materialize = True

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs or outputs for `backward`, watched for writes in place; call it once."""
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """What `save_for_backward` kept, inside `backward`."""
        if self._saved is None:
            raise RuntimeError("saved_tensors exist inside backward only")
        return self._saved

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """Say that no gradient flows into these outputs."""
        self._constant.update(id(output) for output in outputs)

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` is given zeros (the default) or None for an output that nothing used."""
        self._materialize = value


class _FunctionPlan:
    """Calls a Function's `backward`."""

    def __init__(
        self, function: type[Function], outputs: int, needs: tuple[bool, ...], context: FunctionContext, inputs: Any
    ) -> None:
        self.name, self.function, self.outputs, self.needs = function.__name__, function, outputs, needs
        self.materialize = context._materialize
        self.inputs: list[Any] = [
            (one._array.shape, one._array.dtype) if isinstance(one, Tensor) else None for one in inputs
        ]

    def saved_name(self, position: int) -> str:
        """Saved tensors have no names in a Function; they are counted."""
        return f"saved_tensors[{position}]"

    def backward(self, node: Node, g: Any, create_graph: bool) -> Sequence[Any]:
        context, arrays, places = engine.unpack(node)
        flowing = g if isinstance(g, list) else [g]
        given = [self._tensor(one, node, index) for index, one in enumerate(flowing)]
        counters = iter(engine.watching(node))
        context._saved = tuple(
            [
                None
                if array is None
                else attach(array, (node, place) if isinstance(place, int) else place, next(counters))
                for array, place in zip(arrays, places, strict=True)
            ]
        )
        try:
            with _Switch(grad=create_graph):
                gradients = self.function.backward(context, *given)
        finally:
            context._saved = None
        gradients = gradients if isinstance(gradients, tuple) else (gradients,)
        if len(gradients) < len(self.needs) or any(one is not None for one in gradients[len(self.needs) :]):
            raise RuntimeError(
                f"{self.name}.backward returned {len(gradients)} gradients for {len(self.needs)} inputs: return one "
                f"for each argument of forward, None for those that are no tensors"
            )
        wanted = [
            self._checked(one, place)
            for place, one in enumerate(gradients)
            if place < len(self.needs) and self.needs[place]
        ]
        return wanted if create_graph else [None if one is None else one._array for one in wanted]

    def _checked(self, gradient: Any, place: int) -> Any:
        """What `backward` returned for one input, in that input's dtype."""
        if gradient is None:
            return None
        shape, dtype = self.inputs[place]
        if not isinstance(gradient, Tensor):
            raise TypeError(
                f"{self.name}.backward must return Tensors or None, for input {place} it returned "
                f"{type(gradient).__name__}"
            )
        if tuple(gradient.shape) != shape:
            raise RuntimeError(
                f"{self.name}.backward returned shape {tuple(gradient.shape)} for input {place} of shape {shape}"
            )
        return gradient if gradient.dtype == dtype else gradient.to(dtype)

    def _tensor(self, gradient: Any, node: Node, index: int) -> Any:
        if gradient is None and self.materialize:
            like = node.saved[0]._like
            zeros = engine.namespace(like).zeros(node.shapes[index], like.dtype)
            return wrap(zeros)
        if isinstance(gradient, engine.Rows):
            return gradient.to_dense()
        return gradient if gradient is None or isinstance(gradient, Tensor) else wrap(gradient)


class Function:
    """An op as a class with `forward(ctx, *inputs)` and `backward(ctx, *gradients)`; use it by `apply`.

    `backward` is written in Tensors and returns a gradient for each argument of `forward`; written in differentiable
    ops it has derivatives of every order. `forward` may also be `forward(*inputs)` beside a
    `setup_context(ctx, inputs, output)`.
    """

    @staticmethod
    def forward(*args: Any, **settings: Any) -> Any:
        """Compute the outputs."""
        raise NotImplementedError("a Function needs a static method forward(ctx, *inputs)")

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Compute the inputs' gradients."""
        raise NotImplementedError("a Function needs a static method backward(ctx, *gradients)")

    @classmethod
    def apply(cls, *inputs: Any) -> Any:
        """Run `forward`, and record a node that runs `backward`."""
        context = FunctionContext()
        edges = [one._current_edge() if isinstance(one, Tensor) else None for one in inputs]
        needs = context.needs_input_grad = tuple([edge is not None for edge in edges])
        recording = mode.grad and any(needs)
        with _Switch(grad=False):
            if hasattr(cls, "setup_context"):
                result = cls.forward(*inputs)
                cls.setup_context(context, inputs, result)
            else:
                result = cls.forward(context, *inputs)
        outputs = result if isinstance(result, tuple) else (result,)
        if not all(isinstance(output, Tensor) for output in outputs):
            raise TypeError(f"{cls.__name__}.forward must return a Tensor or a tuple of Tensors")
        if not recording:
            return result
        # An output that is an input as well is a result of its own: the input stays what it was.
        own = [wrap(output._array) if any(output is one for one in inputs) else output for output in outputs]
        plan = _FunctionPlan(cls, len(own), needs, context, inputs)
        saved, context._to_save = context._to_save, ()
        place_of = {id(output): index for index, output in enumerate(outputs)}
        places = [place_of.get(id(one), None if one is None else one._current_edge()) for one in saved]
        kept = [one for one in saved if one is not None]
        context._like = own[0]._array[:0] if own[0].ndim else own[0]._array  # type: ignore[attr-defined]
        node = record(
            plan,
            tuple([edge for edge in edges if edge is not None]),
            (context, [None if one is None else one._array for one in saved], places),
            tuple([one._counter for one in kept]),
            tuple([output._array.shape for output in own]),
        )
        for index, (output, original) in enumerate(zip(own, outputs, strict=True)):
            if id(original) not in context._constant and engine.floating(output._array):
                output._edge = (node, index)
        return tuple(own) if isinstance(result, tuple) else own[0]
