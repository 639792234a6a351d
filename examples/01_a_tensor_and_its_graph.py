"""Chapter 1: a tensor, the graph it records, and the gradient.

Run it: python examples/01_a_tensor_and_its_graph.py [graph.svg]
"""

import sys

import minigrad
from minigrad import study

# A tensor is an array. With requires_grad=True it is also the beginning of a graph.
x = minigrad.ones(2, 2, requires_grad=True)
print("x is a leaf:", x.is_leaf, "- nothing made it, so grad_fn is", x.grad_fn)

# Each op that touches it leaves a node behind: what was done, and edges to what it was done with.
y = x + 2
z = y * y * 3
loss = z.mean()
print("loss =", loss.item(), "made by", loss.grad_fn)

# Here is the whole graph, each line a leaf, a recorded op or the result, with its shape and where it comes from.
drawing = study.draw(loss, names={"x": x, "y": y, "loss": loss})
print(drawing)

# The same as a picture, if you gave the name of a file for it.
if len(sys.argv) > 1:
    drawing.save(sys.argv[1])
    print("drawn in", sys.argv[1])


# You can walk the graph yourself. A node keeps what its rule will need and nothing else: adding 2 keeps nothing, since
# the gradient of x + 2 is the same for every x; y * y keeps y.
def show(node, indent=1):
    """Print the nodes behind a node, one line each, down to the leaves."""
    for parent, _ in node.next_functions:
        saved = f", keeps {len(parent.saved)} value(s) for its gradient" if parent.saved else ""
        print("   " * indent + parent.name() + saved)
        show(parent, indent + 1)


print(loss.grad_fn.name())
show(loss.grad_fn)

# backward() walks that graph from the end to the leaves. By hand: d mean(3 (x+2)^2) / dx = 6 (x+2) / 4 = 4.5 at x = 1.
loss.backward()
print("x.grad =", x.grad.tolist())
assert (x.grad == 4.5).all()

# What the rules had saved is freed as the gradient passes, so a second walk through the same graph is refused.
try:
    loss.backward()
except RuntimeError as error:
    print("again:", error)

# A gradient is itself a computation. With create_graph=True it is recorded, and can be differentiated again:
# the second derivative of x^3 is 6 x, the third is 6.
x = minigrad.tensor(2.0, requires_grad=True)
(first,) = minigrad.grad(x**3, x, create_graph=True)
(second,) = minigrad.grad(first, x, create_graph=True)
(third,) = minigrad.grad(second, x)
print("x^3 at 2, differentiated once, twice, three times:", first.item(), second.item(), third.item())
assert (first.item(), second.item(), third.item()) == (12.0, 12.0, 6.0)

# What the engine recorded for the first derivative is a graph like any other.
print(study.draw(first, names={"x": x}))
