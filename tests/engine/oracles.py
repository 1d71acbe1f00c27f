"""TFLite's two implementations, run on the bytes of a .tflite file.

Inputs and outputs are lists of int8 arrays in the file's order, without the batch of 1 where
they are [H, W, C]. Where the two differ, `micro` is what the engine follows.
"""

import numpy as np
import pytest

REASON = "a package of the dev extra"
interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason=REASON)
runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason=REASON)

ARENA_BYTES = 1 << 21  # above the activations of every model of the tests


def litert(data, inputs):
    """The outputs of LiteRT's reference kernels."""
    ready = _litert(data, inputs, preserve=False)
    return [_bare(ready.get_tensor(part["index"])) for part in ready.get_output_details()]


def litert_all(data, inputs):
    """Every tensor that LiteRT's reference kernels make, by its name in the file."""
    ready = _litert(data, inputs, preserve=True)
    made = {}
    for part in ready.get_tensor_details():
        if part["dtype"] is np.int8 and part["name"]:
            made[part["name"]] = _bare(ready.get_tensor(part["index"]))
    return made


def _litert(data, inputs, preserve):
    ready = interpreter.Interpreter(
        model_content=data, num_threads=1, experimental_preserve_all_tensors=preserve,
        experimental_op_resolver_type=interpreter.OpResolverType.BUILTIN_REF,
    )  # fmt: skip
    ready.allocate_tensors()
    for part, x in zip(ready.get_input_details(), inputs, strict=True):
        ready.set_tensor(part["index"], x.reshape(part["shape"]))
    ready.invoke()
    return ready


def micro(data, inputs):
    """The outputs of TensorFlow Lite Micro's reference kernels."""
    ready, subgraph = _micro(data, inputs, runtime.InterpreterConfig.kAllocationRecording)
    return [_bare(ready.get_output(index)) for index in range(len(subgraph.outputs))]


def micro_all(data, inputs):
    """Every tensor that TensorFlow Lite Micro's kernels make: {name: array}, in their order."""
    ready, subgraph = _micro(data, inputs, runtime.InterpreterConfig.kPreserveAllTensors)
    made = [index for op in subgraph.operators for index in op.outputs]
    return {
        subgraph.tensors[index].name.decode(): _bare(ready.GetTensor(index, 0)["tensor_data"])
        for index in made
    }


def _micro(data, inputs, config):
    (subgraph,) = runtime.convert_bytearray_to_object(bytearray(data)).subgraphs
    ready = runtime.Interpreter.from_bytes(
        data, arena_size=ARENA_BYTES + len(data), intrepreter_config=config
    )
    for index, x in enumerate(inputs):
        shape = subgraph.tensors[subgraph.inputs[index]].shape
        ready.set_input(x.reshape(shape), index)
    ready.invoke()
    return ready, subgraph


def _bare(array):
    """[1, H, W, C] as [H, W, C]; other ranks as they are."""
    return array[0] if array.ndim == 4 and len(array) == 1 else array
