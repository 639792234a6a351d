"""Chapter 4: a network is trained to tell two half moons apart, in the loop every PyTorch program has.

Run it: python examples/04_a_network_trained.py
"""

import math

import minigrad
from minigrad import nn, optim

minigrad.manual_seed(1)


def moons(count):
    """Points (count, 2) on two half circles that reach into each other, and which one each is on (count, 1)."""
    angle = math.pi * minigrad.rand(count)
    label = (minigrad.rand(count) > 0.5).float()
    across = minigrad.where(label > 0, 1 - angle.cos(), angle.cos())
    up = minigrad.where(label > 0, 0.5 - angle.sin(), angle.sin())
    return minigrad.stack([across, up], dim=1) + 0.1 * minigrad.randn(count, 2), label.unsqueeze(1)


inputs, targets = moons(512)
held_out, held_out_targets = moons(256)

# No straight line tells the moons apart, so the network needs a hidden layer: each of its 16 units is a soft step
# across a line of its own, and the last layer adds them up to a score. Above zero means the second moon.
model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
criterion = nn.BCEWithLogitsLoss()
optimizer = optim.Adam(model.parameters(), lr=0.05)


def accuracy(points, labels):
    """The part of the points that is put on the right moon."""
    with minigrad.no_grad():
        return ((model(points) > 0) == (labels > 0.5)).float().mean().item()


B = 64  # points in a batch
print(f"before training: {accuracy(held_out, held_out_targets):.0%} of the held-out points are right")
for epoch in range(1, 41):
    order = minigrad.randperm(len(inputs))
    total = 0.0
    for start in range(0, len(inputs), B):
        batch = order[start : start + B]
        optimizer.zero_grad()  # gradients add up, so each step begins by forgetting the last one's
        loss = criterion(model(inputs[batch]), targets[batch])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    if epoch % 8 == 0:
        print(f"epoch {epoch:2d}  loss {total / len(inputs):.4f}  held out {accuracy(held_out, held_out_targets):.1%}")

# The map the network has drawn: its score at every place, # where it sees the second moon.
across, up = minigrad.linspace(-1.5, 2.5, 56), minigrad.linspace(1.5, -1.0, 18)
places = minigrad.stack([across.expand(18, 56), up.unsqueeze(1).expand(18, 56)], dim=2)
with minigrad.no_grad():
    scores = model(places).squeeze(2)
for row in scores.tolist():
    print("".join("#" if score > 0 else "." for score in row))

assert accuracy(held_out, held_out_targets) > 0.97
