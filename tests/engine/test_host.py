"""HostModel runs a network here, or says why it cannot."""

import numpy as np
import pytest
from engine_nets import inputs_for, seeded

from engine.emit import emit
from engine.errors import EngineError
from engine.graph import Graph, Op, Quant, Tensor
from engine.host import HostModel
from engine.reference import run, run_all


def test_output_is_the_references():
    graph = seeded(5)
    x = inputs_for(graph, 4)
    with HostModel(emit(graph)) as model:
        for image in x:
            np.testing.assert_array_equal(model.run(image), run(graph, image))


def test_wrong_shape_or_type_is_refused():
    graph = seeded(5)
    x = inputs_for(graph, 2)[0]
    with HostModel(emit(graph)) as model:
        with pytest.raises(EngineError, match="takes int8 of shape"):
            model.run(x[np.newaxis])
        with pytest.raises(EngineError, match="uint8"):
            model.run(x.view(np.uint8))


def two_ended():
    shapes = {"a": (2, 3, 4), "b": (2, 3, 4), "c": (2, 3, 4), "d": (2, 3, 4)}
    tensors = tuple(Tensor(name, shape, Quant(0.1, 3)) for name, shape in shapes.items())
    ops = (Op("add", "first", ("a", "b"), "c"), Op("add", "second", ("c", "a"), "d"))
    return Graph("two", tensors, ops, ("a", "b"), ("d", "c"))


def test_several_inputs_and_outputs_go_by_name():
    graph = two_ended()
    rng = np.random.default_rng(3)
    x = {name: rng.integers(-128, 128, (2, 3, 4)).astype(np.int8) for name in "ba"}
    wanted = run_all(graph, x)
    with HostModel(emit(graph)) as model:
        got = model.run_all(x)
        assert list(got) == ["d", "c"]
        for name in got:
            np.testing.assert_array_equal(got[name], wanted[name])
        with pytest.raises(EngineError, match="several outputs"):
            model.run(x)
        for wrong in ({"a": x["a"]}, x | {"c": x["a"]}, x["a"]):
            with pytest.raises(EngineError, match="takes the inputs a, b"):
                model.run_all(wrong)
        with pytest.raises(EngineError, match=r"as b, not int8 of \(1, 3, 4\)"):
            model.run_all(x | {"b": x["b"][:1]})


def test_use_outside_of_the_with_block_is_refused():
    graph = seeded(5)
    x = inputs_for(graph, 2)[0]
    model = HostModel(emit(graph))
    with pytest.raises(EngineError, match="with block"):
        model.run(x)
    with model:
        model.run(x)
    with pytest.raises(EngineError, match="with block"):
        model.run(x)
