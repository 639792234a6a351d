"""Chapter 2: backpropagation by hand, and the engine beside it.

One neuron layer and a score, s = u^T f(W x + b), as lectures on neural networks begin with:

    z = W x + b        x has n numbers, z, b and u have m, W is m x n
    h = f(z)           f is tanh, element by element
    s = u^T h          one number

Each step has a Jacobian: row i holds the derivatives of output i with respect to all inputs. The chain rule multiplies
them, and backpropagation is this product taken from the left, so that there is always a row vector and never a matrix
times a matrix.

Run it: python examples/02_backpropagation_by_hand.py
"""

import numpy as np

import minigrad

np.set_printoptions(precision=4, suppress=True)
rng = np.random.default_rng(0)
n, m = 3, 2
values = {"W": rng.normal(size=(m, n)), "x": rng.normal(size=n), "b": rng.normal(size=m), "u": rng.normal(size=m)}
W, x, b, u = values.values()


def show(title, array):
    """Print a matrix under its title, moved in a little."""
    print(title)
    print("   " + str(np.asarray(array)).replace("\n", "\n   "))


# ---- forward, in NumPy ----------------------------------------------------------------------------------------------

z = W @ x + b
h = np.tanh(z)
s = u @ h
print(f"s = {s:.6f}\n")

# ---- the Jacobian of every step -------------------------------------------------------------------------------------

ds_dh = u  # s = sum u_i h_i
ds_du = h
dh_dz = np.diag(1 - h**2)  # h_i depends on z_i alone: a diagonal, with tanh'(z) = 1 - tanh(z)^2
dz_dx = W  # z_i = sum W_ij x_j + b_i
dz_db = np.eye(m)
dz_dW = np.einsum("ik,j->ikj", np.eye(m), x)  # noqa: N816 - dz_i / dW_kj = x_j if i is k, else 0

show("ds/dh = u^T", ds_dh)
show("ds/du = h^T", ds_du)
show("dh/dz = diag(f'(z))", dh_dz)
show("dz/dx = W", dz_dx)
show("dz/db = I", dz_db)
show("dz/dW, a matrix for each z_i: x in row i, zeros elsewhere", dz_dW)

# ---- backward -------------------------------------------------------------------------------------------------------

# What reaches z is wanted three times, and computed once. It is called the error signal, delta.
delta = ds_dh @ dh_dz
by_hand = {
    "u": ds_du,
    "b": delta @ dz_db,
    "x": delta @ dz_dx,
    "W": np.einsum("i,ikj->kj", delta, dz_dW),
}
show("\ndelta = ds/dz = ds/dh dh/dz", delta)
show("ds/db = delta dz/db = delta", by_hand["b"])
show("ds/dx = delta W", by_hand["x"])
show("ds/dW = delta dz/dW", by_hand["W"])

# dz/dW is nearly all zeros. Written out, the product needs no such thing: ds/dW_kj = delta_k x_j, an outer product of
# the signal from above and the input from below. This is what the engine's rule for a matrix product does.
assert np.allclose(by_hand["W"], np.outer(delta, x))
print("which is the outer product delta x^T\n")

# ---- the engine -----------------------------------------------------------------------------------------------------

tensors = {name: minigrad.tensor(array, requires_grad=True) for name, array in values.items()}
W, x, b, u = tensors.values()
z = W @ x + b
h = z.tanh()
s = u @ h
z.retain_grad()  # results in between do not keep their gradient unless asked
s.backward(retain_graph=True)

for name, gradient in by_hand.items():
    difference = np.abs(tensors[name].grad.numpy() - gradient).max()
    print(f"ds/d{name}: by hand and by the engine differ by at most {difference:.0e}")
    assert difference < 1e-12
assert np.allclose(z.grad.numpy(), delta)
print("and z.grad is delta\n")

# ---- and the Jacobians of the steps, from the engine ----------------------------------------------------------------


def jacobian(output, input):
    """A backward pass for each output: sending in a one at position i and zeros elsewhere gives row i."""
    rows = [
        minigrad.grad(output, input, grad_outputs=one, retain_graph=True)[0].numpy()
        for one in minigrad.eye(len(output), dtype=output.dtype)
    ]
    return np.stack(rows)


for name, output, input, expected in [
    ("dh/dz", h, z, dh_dz),
    ("dz/dx", z, x, dz_dx),
    ("dz/db", z, b, dz_db),
    ("dz/dW", z, W, dz_dW),
]:
    assert np.allclose(jacobian(output, input), expected)
    print(f"{name} from the engine, row by row: as above")

# Last, with no rule at all: move one number a little and see how far s moves.
step = 1e-6
numeric = np.zeros((m, n))
for place in np.ndindex(m, n):
    moved = values["W"].copy()
    moved[place] += step
    up = values["u"] @ np.tanh(moved @ values["x"] + values["b"])
    moved[place] -= 2 * step
    down = values["u"] @ np.tanh(moved @ values["x"] + values["b"])
    numeric[place] = (up - down) / (2 * step)
show("\nds/dW by moving each weight a little", numeric)
assert np.allclose(numeric, by_hand["W"], atol=1e-8)
