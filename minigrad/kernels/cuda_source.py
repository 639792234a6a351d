"""The CUDA kernels' bodies: what happens at one index, as text; nothing here needs CuPy, a card or a compiler.

A body runs once for each index `i` of the broadcast shape of its plain arrays, and names each array's element there. A
`raw` array it indexes itself. So `Body` is what cupy.ElementwiseKernel takes, with the numbers kept apart from the
arrays; a test can wrap it in a loop for another compiler.
"""

from dataclasses import dataclass

# tanh cannot overflow, exp(-x) can.
PREAMBLE = """
template <typename T> __device__ inline T sigmoid(T x) { return T(0.5) * tanh(T(0.5) * x) + T(0.5); }
"""


@dataclass(frozen=True)
class Body:
    """One elementwise kernel: parameters as "type name, raw type name", T being float or double."""

    name: str
    inputs: str
    numbers: str  # what is one number for all indices
    outputs: str  # may also be read: they come in with what they held
    text: str


@dataclass(frozen=True)
class Sum:
    """The sum of `text` over an axis, or over everything."""

    name: str
    inputs: str
    text: str


def parameters(text: str) -> list[tuple[bool, str, str]]:
    """(raw, type, name) for each of "raw T x, int64 H"."""
    words = [parameter.split() for parameter in text.split(",") if parameter.strip()]
    return [(len(each) == 3, each[-2], each[-1]) for each in words]


SUM_EXP = Sum("minigrad_sum_exp", "T z, T top", "exp(z - top)")
SUM_OF_SQUARES = Sum("minigrad_sum_of_squares", "T x", "x * x")

LSTM_FORWARD = Body(
    "minigrad_lstm_forward",
    "T c_before, raw T recurrent",  # B, H; B, 4H
    "int64 H",
    "T c_after, T h, raw T gates",  # B, H; B, H; B, 4H
    """
    const long long at = (i / H) * 4 * H + i % H;
    const T in = sigmoid(gates[at] + recurrent[at]);
    const T forget = sigmoid(gates[at + H] + recurrent[at + H]);
    const T cell = tanh(gates[at + 2 * H] + recurrent[at + 2 * H]);
    const T out = sigmoid(gates[at + 3 * H] + recurrent[at + 3 * H]);
    gates[at] = in;
    gates[at + H] = forget;
    gates[at + 2 * H] = cell;
    gates[at + 3 * H] = out;
    const T c = forget * c_before + in * cell;
    c_after = c;
    h = out * tanh(c);
    """,
)

LSTM_BACKWARD = Body(
    "minigrad_lstm_backward",
    "T g_output, T d_h, T c_before, T c_after, raw T gates",
    "int64 H",
    "T d_c, raw T d_gates",
    """
    const long long at = (i / H) * 4 * H + i % H;
    const T in = gates[at], forget = gates[at + H], cell = gates[at + 2 * H], out = gates[at + 3 * H];
    const T flow = d_h + g_output;
    const T squashed = tanh(c_after);
    const T d = d_c + flow * out * (1 - squashed * squashed);
    d_gates[at] = d * cell * in * (1 - in);
    d_gates[at + H] = d * c_before * forget * (1 - forget);
    d_gates[at + 2 * H] = d * in * (1 - cell * cell);
    d_gates[at + 3 * H] = flow * squashed * out * (1 - out);
    d_c = d * forget;
    """,
)

GRU_FORWARD = Body(
    "minigrad_gru_forward",
    "T before, raw T recurrent, raw T bias",  # B, H; B, 3H; 3H
    "int64 H",
    "T h, T hidden_n, raw T gates",  # B, H; B, H; B, 3H
    """
    const long long unit = i % H, at = (i / H) * 3 * H + unit;
    const T r = sigmoid(gates[at] + (recurrent[at] + bias[unit]));
    const T z = sigmoid(gates[at + H] + (recurrent[at + H] + bias[unit + H]));
    const T hn = recurrent[at + 2 * H] + bias[unit + 2 * H];
    const T fresh = tanh(gates[at + 2 * H] + r * hn);
    gates[at] = r;
    gates[at + H] = z;
    gates[at + 2 * H] = fresh;
    hidden_n = hn;
    h = fresh + z * (before - fresh);
    """,
)

GRU_BACKWARD = Body(
    "minigrad_gru_backward",
    "T g_output, T through, T before, T hidden_n, raw T gates",  # through: what came back through W_hh a step ago
    "int64 H",
    "T d_h, raw T d_gates, raw T d_hidden",  # d_h comes in and out as the part that goes past the gates
    """
    const long long at = (i / H) * 3 * H + i % H;
    const T r = gates[at], z = gates[at + H], fresh = gates[at + 2 * H];
    const T flow = d_h + through + g_output;
    const T d_n = flow * (1 - z) * (1 - fresh * fresh);
    const T d_r = d_n * hidden_n * r * (1 - r);
    const T d_z = flow * (before - fresh) * z * (1 - z);
    d_gates[at] = d_r;
    d_gates[at + H] = d_z;
    d_gates[at + 2 * H] = d_n;
    d_hidden[at] = d_r;
    d_hidden[at + H] = d_z;
    d_hidden[at + 2 * H] = d_n * r;
    d_h = flow * z;
    """,
)

RNN_FORWARD = Body(
    "minigrad_rnn_forward",
    "T projected, T recurrent",
    "bool relu",
    "T h",
    """
    const T z = projected + recurrent;
    h = relu ? (z < 0 ? T(0) : z) : tanh(z);
    """,
)

RNN_BACKWARD = Body(
    "minigrad_rnn_backward",
    "T g_output, T d_h, T h",
    "bool relu",
    "T d_gates",
    "d_gates = (d_h + g_output) * (relu ? T(h > 0) : 1 - h * h);",
)

# Logits in, their gradient out: scale ((a + sum b) p - a [c = y] - b[c]) as in reference_loss, 0 in an ignored row.
CROSS_ENTROPY_BACKWARD = Body(
    "minigrad_cross_entropy_backward",
    "T logit, raw T top, raw T mass, raw T hit, raw T scale, raw int64 target, raw bool counts, raw T spread",
    "int64 V, bool smoothed",
    "T d_logit",
    """
    const long long row = i / V, column = i % V;
    if (!counts[row]) {
        d_logit = 0;
    } else {
        T d = mass[row] * exp(logit - top[row]);
        if (column == target[row]) d -= hit[row];
        if (smoothed) d -= scale[row] * spread[column];
        d_logit = d;
    }
    """,
)

SGD = Body(
    "minigrad_sgd",
    "T g",
    "T lr, T weight_decay, bool maximize",
    "T p",
    "p -= lr * ((maximize ? -g : g) + weight_decay * p);",
)

SGD_MOMENTUM = Body(
    "minigrad_sgd_momentum",
    "T g",
    "T lr, T momentum, T dampening, T weight_decay, bool nesterov, bool maximize, bool first",
    "T p, T buf",
    """
    const T d = (maximize ? -g : g) + weight_decay * p;
    const T b = first ? d : momentum * buf + (1 - dampening) * d;
    buf = b;
    p -= lr * (nesterov ? d + momentum * b : b);
    """,
)

ADAGRAD = Body(
    "minigrad_adagrad",
    "T g",
    "T lr, T weight_decay, T eps, bool maximize",
    "T p, T state_sum",
    """
    const T d = (maximize ? -g : g) + weight_decay * p;
    state_sum += d * d;
    p -= lr * d / (sqrt(state_sum) + eps);
    """,
)

# Without a mean or a momentum buffer the caller passes square_avg there and says so: one body in place of four.
RMSPROP = Body(
    "minigrad_rmsprop",
    "T g",
    "T lr, T alpha, T eps, T weight_decay, T momentum, bool centered, bool maximize",
    "T p, T square_avg, T grad_avg, T momentum_buffer",
    """
    const T d = (maximize ? -g : g) + weight_decay * p;
    square_avg += (1 - alpha) * (d * d - square_avg);
    T spread = square_avg;
    if (centered) {
        grad_avg += (1 - alpha) * (d - grad_avg);
        spread -= grad_avg * grad_avg;
    }
    T step = d / (sqrt(spread) + eps);
    if (momentum != 0) {
        step += momentum * momentum_buffer;
        momentum_buffer = step;
    }
    p -= lr * step;
    """,
)

# Without a maximum the caller passes exp_avg_sq there.
ADAM = Body(
    "minigrad_adam",
    "T g",
    "T step_size, T correction, T beta1, T beta2, T eps, T weight_decay, T shrink, bool amsgrad, bool maximize",
    "T p, T exp_avg, T exp_avg_sq, T max_exp_avg_sq",
    """
    const T q = p * shrink;
    const T d = (maximize ? -g : g) + weight_decay * q;
    exp_avg += (1 - beta1) * (d - exp_avg);
    exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * d * d;
    T second = exp_avg_sq;
    if (amsgrad) {
        if (second > max_exp_avg_sq) max_exp_avg_sq = second;
        second = max_exp_avg_sq;
    }
    p = q - step_size * exp_avg / (sqrt(second) / correction + eps);
    """,
)

SCALE = Body("minigrad_scale", "raw T factor", "", "T x", "x *= factor[0];")

BODIES = (
    LSTM_FORWARD, LSTM_BACKWARD, GRU_FORWARD, GRU_BACKWARD, RNN_FORWARD, RNN_BACKWARD, CROSS_ENTROPY_BACKWARD,
    SGD, SGD_MOMENTUM, ADAGRAD, RMSPROP, ADAM, SCALE,
)  # fmt: skip
SUMS = (SUM_EXP, SUM_OF_SQUARES)
OVER_MANY = (SGD, SGD_MOMENTUM, ADAGRAD, RMSPROP, ADAM, SCALE, SUM_OF_SQUARES)

MANY = 64  # arrays of a kind in one launch: with five kinds the table has 3 KiB, of 4 that arguments may have together

# The threads of the blocks in row `y` go through the elements of array `y`, a grid's width at a time.
LOOP = """
    const int y = blockIdx.y;
    const long long threads = (long long)gridDim.x * blockDim.x;
    const long long thread = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    for (long long i = thread; i < table.size[y]; i += threads)
"""


def over_many(kernel: Body | Sum, real: str) -> str:
    """A whole kernel, in `real` ("float" or "double"): the body at every index of up to MANY arrays of each kind.

    Its arguments: the table of sizes and addresses, by value; then a Body's numbers, or the array in which each thread
    leaves its Sum, blocks of row y after those of the rows before.
    """
    name = f"{kernel.name}_many_{real}"
    types = {"T": real, "int64": "long long", "bool": "bool"}
    given = [("const T", *parameter) for parameter in parameters(kernel.inputs)]
    if isinstance(kernel, Body):
        given += [("T", *parameter) for parameter in parameters(kernel.outputs)]
        last = "".join(f", const {types[kind]} {number}" for _, kind, number in parameters(kernel.numbers))
        before, at_each, after = "", kernel.text, ""
    else:
        last = f", {real}* totals"
        before, at_each = "T total = 0;", f"total += {kernel.text};"
        after = "totals[y * threads + thread] = total;"
    arrays = []
    for kind, (type, raw, _, array) in enumerate(given):
        first = f"(({type}*)table.array[{kind}][y])"
        arrays.append(f"{type}* {array} = {first};" if raw else f"{type}& {array} = {first}[i];")
    return f"""
typedef struct {{ long long size[{MANY}]; unsigned long long array[{len(arrays)}][{MANY}]; }} {name}_table;
extern "C" __global__ void {name}(const {name}_table table{last}) {{
    typedef {real} T;
    {before}
    {LOOP.strip()} {{
        {" ".join(arrays)}
        {at_each.strip()}
    }}
    {after}
}}
"""
