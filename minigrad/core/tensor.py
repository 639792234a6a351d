"""A tensor: an array, and the place in the graph it came from.

Four things make a Tensor:

- `_array`, the values: a `numpy.ndarray` or a `cupy.ndarray`;
- `_edge`, where a gradient for it goes: `(node, output index)`, or None when nothing asked for gradients;
- `_counter`, how often the memory was written: shared by everything that looks at the same memory;
- `_view`, for a tensor that shares memory with another one: with which, and how it was taken (`views.py`).

A leaf's edge ends in a `Leaf`, the node that collects `.grad`. Nodes hold arrays and edges, never Tensors, so a graph
has no reference cycles and is freed the moment its last tensor is.

Operators and methods such as `x + y` or `x.sum()` are the functions of `minigrad.ops`, put here by `ops.method`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad import backend
from minigrad.core import dtypes, engine, views
from minigrad.core.modes import mode

Array = Any  # numpy.ndarray, cupy.ndarray: anything `backend` knows


class VersionCounter:
    """How often a piece of memory was written; one object for all tensors that share the memory."""

    count = 0  # an instance gets its own count with the first write


class _Unwatched(VersionCounter):
    """The counter of tensors made in inference mode: their writes are not counted, so a graph cannot keep them."""

    @property
    def count(self) -> int:  # type: ignore[override]
        raise RuntimeError(
            "an inference tensor cannot be saved for backward, because its writes are not counted: make it outside "
            "inference_mode(), or clone() it there"
        )


UNWATCHED = _Unwatched()


class Size(tuple[int, ...]):
    """A shape: a tuple of ints that also has `numel()`."""

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements of a tensor of this shape."""
        return int(np.prod(self, dtype=np.int64))

    def __repr__(self) -> str:
        return f"minigrad.Size({list(self)})"


class Tensor:
    """An n-dimensional array that remembers how it was computed. Build one with `minigrad.tensor(data)`.

    `Tensor([[1, 2]])` makes float32 of its data, and `Tensor(2, 3)` a tensor of that size filled with zeros.
    """

    __slots__ = ("__weakref__", "_array", "_counter", "_edge", "_leaf", "_view")
    __array_ufunc__ = None  # so that numpy_array * tensor asks the tensor, not NumPy

    _array: Array
    _edge: engine.Edge | None
    _counter: VersionCounter
    _view: views.View | None
    _leaf: engine.Leaf | None

    def __new__(cls, *data: Any) -> Tensor:
        if not data:
            data = (0,)
        sizes = len(data) != 1 or isinstance(data[0], int)
        array = np.zeros(data, dtypes.get_default_dtype()) if sizes else _to_array(data[0], dtypes.get_default_dtype())
        return wrap(array, cls)

    # ---- what it is -------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """The sizes of the dimensions."""
        return Size(self._array.shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._array.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """The element type, e.g. `minigrad.float32`."""
        return self._array.dtype

    @property
    def device(self) -> backend.Device:
        """Where the memory is: `device(type='cpu')` or a CUDA device."""
        return backend.device_of(self._array)

    @property
    def is_cuda(self) -> bool:
        """Whether the memory is on a CUDA device."""
        return self.device.type == "cuda"

    def size(self, dim: int | None = None) -> Any:
        """All sizes, or that of one dimension."""
        if dim is not None and not -self.ndim <= dim < self.ndim:
            raise IndexError(f"size: dim {dim} is out of range for a tensor of {self.ndim} dimensions")
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """The number of dimensions."""
        return self._array.ndim

    def numel(self) -> int:
        """The number of elements."""
        return self._array.size

    nelement = numel

    def element_size(self) -> int:
        """Bytes of one element."""
        return self._array.dtype.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """How many elements to step in memory for one step in a dimension."""
        steps = tuple(step // self._array.itemsize for step in self._array.strides)
        return steps if dim is None else steps[dim]

    def is_contiguous(self) -> bool:
        """Whether the elements lie in memory in row-major order without gaps."""
        return bool(self._array.flags.c_contiguous)

    def is_floating_point(self) -> bool:
        """Whether the elements are real floating point numbers."""
        return self._array.dtype.kind == "f"

    def is_complex(self) -> bool:
        """Whether the elements are complex numbers."""
        return self._array.dtype.kind == "c"

    def data_ptr(self) -> int:
        """The address of the first element on the CPU."""
        return self._array.ctypes.data if isinstance(self._array, np.ndarray) else self._array.data.ptr

    # ---- its place in the graph -------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow into this tensor. Set it on leaves only."""
        return self._current_edge() is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for gradients of this tensor, or stop asking. Floating point leaves only."""
        if not self.is_leaf:
            if requires_grad:
                return self
            raise RuntimeError("only a leaf can stop requiring grad; use .detach() for a tensor outside the graph")
        if self._leaf is not None:
            self._leaf.wanted = requires_grad  # graphs that are there already lead to it, too
        if not requires_grad:
            self._edge = None
        elif self._edge is None:
            if not dtypes.is_floating(self.dtype):
                raise RuntimeError(
                    f"only floating point tensors can require grad, this one is {self.dtype}: convert it with .float()"
                )
            if self._counter is UNWATCHED and not mode.inference:
                raise RuntimeError("an inference tensor cannot require grad outside inference_mode(): clone() it first")
            self._edge = (self._own_leaf(), 0)
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded op made this tensor: a parameter, an input, or a tensor that needs no gradient."""
        edge = self._current_edge()
        return edge is None or edge[0].plan is None

    @property
    def grad_fn(self) -> engine.Node | None:
        """The graph node that made this tensor; None for a leaf."""
        edge = self._current_edge()
        return None if edge is None or edge[0].plan is None else edge[0]

    @property
    def output_nr(self) -> int:
        """Which of its node's outputs this tensor is."""
        return self._edge[1] if self._edge else 0

    @property
    def grad(self) -> Any:
        """The gradient that `backward()` added up, or None. Kept for leaves, and after `retain_grad()`."""
        node = self.grad_fn
        if node is not None and node.extras is not None:
            kept = node.extras.retained.get(self.output_nr)
            if kept is not None:
                return kept
        return None if self._leaf is None else self._leaf.grad  # also of what was a leaf, and has been written since

    @grad.setter
    def grad(self, value: Any) -> None:
        if not self.is_leaf:
            raise RuntimeError(".grad can be set on a leaf only; retain_grad() keeps the gradient of a result")
        if value is not None:
            if not isinstance(value, (Tensor, engine.Rows)):
                raise TypeError(f".grad must be a Tensor or None, got {type(value).__name__}")
            if tuple(value.shape) != self._array.shape:
                raise RuntimeError(f".grad must have the tensor's shape {self._array.shape}, got {tuple(value.shape)}")
            if value.dtype != self._array.dtype:
                raise RuntimeError(f".grad must have the tensor's dtype {self._array.dtype}, got {value.dtype}")
        self._own_leaf().held = value

    @grad.deleter
    def grad(self) -> None:
        self.grad = None

    def _own_leaf(self) -> engine.Leaf:
        if self._leaf is None:
            self._leaf = engine.Leaf(self._array.shape)
        return self._leaf

    def _current_edge(self) -> engine.Edge | None:
        """The edge, re-derived first if this is a view of something that was written."""
        if self._view is not None:
            views.refresh(self)
        return self._edge

    def backward(
        self,
        gradient: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Add the gradient of this tensor with respect to every leaf it was computed from to that leaf's `.grad`.

        Args:
            gradient: what flows in from outside, of this tensor's shape; not needed for a single number.
            retain_graph: keep what the graph saved, so that it can be run through again.
            create_graph: record the gradients' own computation; `minigrad.grad` is the better way to higher orders.
            inputs: only these tensors' `.grad` is added to.

        Raises RuntimeError for a tensor that needs no gradient, has several elements and no `gradient`, or whose graph
        was freed by an earlier `backward()`.
        """
        engine.backward([self], [gradient], retain_graph=retain_graph, create_graph=create_graph, inputs=inputs)

    def retain_grad(self) -> None:
        """Keep the gradient of this result in `.grad` when `backward()` passes it."""
        edge = self._current_edge()
        if edge is None:
            raise RuntimeError("retain_grad() needs a tensor that requires grad")
        if edge[0].plan is not None:
            engine.extras_of(edge[0]).retained.setdefault(edge[1], None)

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad()` was asked of this result."""
        edge = self._current_edge()
        extras = None if edge is None or edge[0].plan is None else edge[0].extras
        return extras is not None and self.output_nr in extras.retained

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> engine.RemovableHandle:
        """Call `hook(gradient)` when this tensor's gradient is complete; what it returns replaces the gradient."""
        edge = self._current_edge()
        if edge is None:
            raise RuntimeError("register_hook() needs a tensor that requires grad")
        return engine.add_hook(edge, hook)

    def detach(self) -> Tensor:
        """The same memory outside the graph: needs no gradient; writing to it counts as writing to this tensor."""
        result = wrap(self._array)
        result._counter = self._counter
        return result

    def detach_(self) -> Tensor:
        """Cut this tensor off the graph that made it."""
        if self._view is not None:
            raise RuntimeError("detach_() of a view would leave its base in the graph: use detach()")
        self._edge = None
        return self

    @property
    def data(self) -> Tensor:
        """The same memory outside the graph, and unwatched: writing to it is not noticed by the graph."""
        return wrap(self._array)

    @data.setter
    def data(self, value: Tensor) -> None:
        self._array = value._array
        if self._leaf is not None:
            self._leaf.shapes = (value._array.shape,)

    @property
    def _version(self) -> int:
        return self._counter.count

    # ---- out of the graph -------------------------------------------------------------------------------------------

    def numpy(self) -> np.ndarray[Any, Any]:
        """The values as a NumPy array that shares the tensor's memory. CPU tensors that need no gradient only."""
        if self.requires_grad:
            raise RuntimeError("a tensor that requires grad has no .numpy(): use .detach().numpy()")
        if not isinstance(self._array, np.ndarray):
            raise TypeError(f"a tensor on {self.device} has no .numpy(): use .cpu().numpy()")
        return self._array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        array = self.numpy()
        return np.array(array, dtype=dtype, copy=copy)

    def item(self) -> Any:
        """The single element as a Python number. On a GPU this waits for the device."""
        if self._array.size != 1:
            raise RuntimeError(f"item() needs a tensor of one element, this one has shape {tuple(self.shape)}")
        return self._array.item()

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self._array.tolist()

    def __bool__(self) -> bool:
        if self._array.size != 1:
            raise RuntimeError(f"the truth of a tensor of shape {tuple(self.shape)} is ambiguous: use .any() or .all()")
        return bool(self._array.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self._array.dtype.kind not in "iub" or self._array.size != 1:
            raise TypeError(
                f"only an integer tensor of one element can be an index, this one is {self.dtype} of shape "
                f"{tuple(self.shape)}"
            )
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __len__(self) -> int:
        if not self._array.ndim:
            raise TypeError("a 0-d tensor has no length")
        return self._array.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self._array.ndim:
            raise TypeError("a 0-d tensor cannot be iterated")
        return iter([self[i] for i in range(self._array.shape[0])])

    def __hash__(self) -> int:
        return id(self)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if not self._array.ndim else object.__format__(self, spec)

    def __contains__(self, element: Any) -> bool:
        return bool((self._array == (element._array if isinstance(element, Tensor) else element)).any())

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf:
            raise RuntimeError("only leaves can be deep-copied: .detach() this tensor first")
        result = wrap(self._array.copy(), type(self))
        if self.requires_grad:
            result.requires_grad_()
        if self.grad is not None:
            result.grad = self.grad.clone()
        memo[id(self)] = result
        return result

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("tensors are not pickled: minigrad.save writes them as safetensors")

    def __repr__(self) -> str:
        values = np.array2string(
            backend.to_host(self._array),
            separator=", ",
            precision=4,
            threshold=1000,
            suppress_small=False,
            prefix="tensor(",
        )
        parts = [values]
        if self.device.type != "cpu":
            parts.append(f"device='{self.device}'")
        if self.dtype not in (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool):
            parts.append(f"dtype={self.dtype}")
        node = self.grad_fn
        if node is not None:
            parts.append(f"grad_fn=<{node.name()}>")
        elif self.requires_grad:
            parts.append("requires_grad=True")
        return f"tensor({', '.join(parts)})"

    if TYPE_CHECKING:  # what `ops.method` attaches

        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def __setitem__(self, index: Any, value: Any) -> None: ...
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __invert__(self) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...


_new = object.__new__


def wrap(array: Array, cls: type[Tensor] = Tensor) -> Tensor:
    """A leaf around `array` that needs no gradient. Shares the array's memory."""
    tensor = _new(cls)
    tensor._array = array
    tensor._edge = tensor._view = tensor._leaf = None
    tensor._counter = UNWATCHED if mode.inference else VersionCounter()
    return tensor


def _to_array(data: Any, dtype: np.dtype[Any] | None) -> Array:
    """A new array of nested lists, numbers, an array or a tensor; Python floats and lists of them get float32."""
    if isinstance(data, Tensor):
        data = data._array
    if backend.is_array(data):
        return data.astype(dtype or data.dtype, copy=True)
    try:
        array = np.array(_plain(data))
    except (ValueError, TypeError) as error:
        raise ValueError(f"a tensor needs numbers in a regular nesting, this data is not: {error}") from error
    if array.dtype == object or array.dtype.kind not in "biufc":
        raise TypeError(f"a tensor holds numbers, got {array.dtype} data such as {str(data)[:40]!r}")
    if dtype is None and not isinstance(data, np.generic):
        default = dtypes.get_default_dtype()
        dtype = {"f": default, "c": np.result_type(default, np.complex64)}.get(array.dtype.kind)
        if array.size == 0:
            dtype = default
    return array.astype(dtype or array.dtype, copy=False)


def _plain(data: Any) -> Any:
    """Nested lists with the tensors in them replaced by their values."""
    if isinstance(data, Tensor):
        return data.tolist()
    if isinstance(data, (list, tuple)):
        return [_plain(item) for item in data]
    return data


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A new leaf with a copy of `data`: numbers in nested lists, a NumPy array, or a tensor.

    Python floats and lists of them give float32, ints int64; NumPy arrays keep their dtype.
    """
    array = _to_array(data, None if dtype is None else np.dtype(dtype))
    if device is not None or not isinstance(array, np.ndarray):
        array = backend.transfer(array, backend.device_of(array) if device is None else device)
    result = wrap(array)
    return result.requires_grad_() if requires_grad else result
