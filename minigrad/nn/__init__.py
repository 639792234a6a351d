"""Layers and networks, with PyTorch's names: `from minigrad import nn`.

Read `module.py` first; every other file holds one family of layers. `nn.functional` has the functions behind them,
`nn.init` the initial weights, `nn.utils` what is done with all gradients at once.
"""

from minigrad.nn import functional, init, utils
from minigrad.nn.activation import (
    CELU,
    ELU,
    GELU,
    GLU,
    SELU,
    Arctan,
    Hardshrink,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softmin,
    Softplus,
    Softshrink,
    Softsign,
    Tanh,
    Tanhshrink,
    Threshold,
)
from minigrad.nn.adaptive import AdaptiveLogSoftmaxWithLoss
from minigrad.nn.cell import GRUCell, LSTMCell, RNNCell
from minigrad.nn.containers import ModuleDict, ModuleList, ParameterList, Sequential
from minigrad.nn.dropout import Dropout, EmbeddingDropout, LockedDropout
from minigrad.nn.embedding import Embedding
from minigrad.nn.linear import Bilinear, Flatten, Identity, Linear
from minigrad.nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    LinearCrossEntropyLoss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from minigrad.nn.margin_loss import (
    CosineEmbeddingLoss,
    HingeEmbeddingLoss,
    HingeLoss,
    MarginRankingLoss,
    MultiLabelMarginLoss,
    MultiLabelSoftMarginLoss,
    MultiMarginLoss,
    SoftMarginLoss,
    TripletMarginLoss,
)
from minigrad.nn.module import Module
from minigrad.nn.norm import LayerNorm, RMSNorm
from minigrad.nn.parameter import Parameter
from minigrad.nn.recurrent import GRU, LSTM, RNN, RNNBase

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "GRU", "LSTM", "RNN", "SELU", "AdaptiveLogSoftmaxWithLoss", "Arctan", "BCELoss",
    "BCEWithLogitsLoss", "Bilinear", "CosineEmbeddingLoss", "CrossEntropyLoss", "Dropout", "Embedding",
    "EmbeddingDropout", "Flatten", "GRUCell", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh",
    "HingeEmbeddingLoss", "HingeLoss", "HuberLoss", "Identity", "KLDivLoss", "L1Loss", "LSTMCell", "LayerNorm",
    "LeakyReLU", "Linear", "LinearCrossEntropyLoss", "LockedDropout", "LogSigmoid", "LogSoftmax", "MSELoss",
    "MarginRankingLoss", "Mish", "Module", "ModuleDict", "ModuleList", "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss", "MultiMarginLoss", "NLLLoss", "PReLU", "Parameter", "ParameterList", "RMSNorm",
    "RNNBase", "RNNCell", "ReLU", "ReLU6", "Sequential", "SiLU", "Sigmoid", "SmoothL1Loss", "SoftMarginLoss", "Softmax",
    "Softmin", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold", "TripletMarginLoss",
    "functional", "init", "utils",
]  # fmt: skip
