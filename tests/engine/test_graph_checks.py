"""What a graph may not say is refused when it is made."""

import pytest

from engine.errors import GraphError
from engine.graph import Op
from engine.graph_checks import CLAMPLESS_KINDS
from engine.options import Concat, Pad, Resize, Slice, Softmax, Transpose

CHOICES = {
    "concat": Concat(0),
    "pad": Pad((0, 0, 0), (0, 0, 0), 0),
    "resize_nearest": Resize(),
    "slice": Slice((0, 0, 0)),
    "softmax": Softmax(),
    "transpose": Transpose((1, 1, 1), (0, 1, 2)),
}


@pytest.mark.parametrize("kind", CLAMPLESS_KINDS)
def test_a_kind_that_would_ignore_a_clamp_may_not_have_one(kind):
    assert Op(kind, "op", ("a",), "b", options=CHOICES.get(kind)).clamp == (-128, 127)
    with pytest.raises(GraphError, match="has a clamp"):
        Op(kind, "op", ("a",), "b", options=CHOICES.get(kind), clamp=(-128, 126))
