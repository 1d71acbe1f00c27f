"""The smallest network there is, for suites that are run by pytest inside a test."""

from engine.graph import Graph, Op, Quant, Tensor


def network(name: str = "ok") -> Graph:
    """One pooling layer; `scripted.run` does what the name says."""
    tensors = (Tensor("x", (4, 4, 2), Quant(1.0, 0)), Tensor("y", (2, 2, 2), Quant(1.0, 0)))
    op = Op("average_pool2d", "pool", ("x",), "y", kernel=(2, 2), stride=(2, 2))
    return Graph(name, tensors, (op,), ("x",), ("y",))
