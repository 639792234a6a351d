"""Chapter 4: a network learns XOR, in the loop every PyTorch program has.

Run it: python examples/04_a_network_trained.py
"""

import minigrad
from minigrad import nn, optim

minigrad.manual_seed(1)
inputs = minigrad.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
targets = minigrad.tensor([[0.0], [1.0], [1.0], [0.0]])

model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid())
criterion = nn.MSELoss()
optimizer = optim.SGD(model.parameters(), lr=0.5, momentum=0.9)

for step in range(1000):
    optimizer.zero_grad()
    loss = criterion(model(inputs), targets)
    loss.backward()
    optimizer.step()
    if step % 200 == 0:
        print(f"step {step:4d}  loss {loss.item():.4f}")

predictions = model(inputs).detach()
print("xor:", [round(value, 2) for value in predictions.flatten().tolist()])
assert ((predictions > 0.5) == (targets > 0.5)).all()
