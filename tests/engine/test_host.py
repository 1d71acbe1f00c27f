"""HostModel runs a network here, or says why it cannot."""

import numpy as np
import pytest
from engine_nets import inputs_for, seeded

from engine.emit import emit
from engine.errors import EngineError
from engine.host import HostModel
from engine.reference import run


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
