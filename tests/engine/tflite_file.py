"""The parts of a .tflite file in the making: buffers, tensors, operators."""

import flatbuffers
import numpy as np
import pytest

schema = pytest.importorskip(
    "ai_edge_litert.schema_py_generated", reason="ai-edge-litert (the dev extra) has the schema"
)

KINDS = {
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.uint8): schema.TensorType.UINT8,
    np.dtype(np.float32): schema.TensorType.FLOAT32,
}


class Writer:
    """The parts of a .tflite file while they grow; tensors are known by their index."""

    def __init__(self, graph):
        self.graph = graph
        self.buffers, self.tensors, self.codes, self.operators = [schema.BufferT()], [], [], []
        self.index = {tensor.name: self._activation(tensor) for tensor in graph.tensors}
        self.borders = {}  # the tensor that stands for an input or output of the graph, if another

    def _activation(self, tensor):
        constant = self.graph.constants.get(tensor.name)
        if constant is not None:
            return self.constant(constant[np.newaxis], tensor.name, tensor.quant)
        return self.temporary(tensor.shape, tensor.quant, tensor.name)

    def temporary(self, shape, quant, name="", dtype=np.int8):
        """A new activation [1, *shape]."""
        return self._tensor((1, *shape), dtype, 0, name, quantization(quant))

    def border(self, tensor, dtype):
        """A new tensor of another type (uint8, float32) that stands for an input or output."""
        quant = tensor.quant
        parameters = scales([quant.scale], quant.zero_point + 128) if dtype is np.uint8 else None
        made = self._tensor((1, *tensor.shape), dtype, 0, f"{tensor.name} outside", parameters)
        self.borders[tensor.name] = made
        return made

    def constant(self, values, name="", quant=None, parameters=None):
        """A new tensor with values; `parameters` are those of weights, one scale a channel."""
        data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.buffers.append(schema.BufferT(data=data))
        parameters = parameters or (quantization(quant) if quant else None)
        return self._tensor(
            values.shape, values.dtype, len(self.buffers) - 1, name, parameters
        )  # fmt: skip

    def integers(self, values):
        """A new int32 vector: axes, paddings, sizes."""
        return self.constant(np.array(values, np.int32))

    def _tensor(self, shape, dtype, buffer, name, parameters):
        self.tensors.append(schema.TensorT(
            shape=list(shape), type=KINDS[np.dtype(dtype)], buffer=buffer,
            name=name or f"helper {len(self.tensors)}", quantization=parameters,
        ))  # fmt: skip
        return len(self.tensors) - 1

    def operator(self, code, inputs, output, options=None):
        """One more operator; its options' type names the member of the union."""
        kind = type(options).__name__.removesuffix("T")
        self.operators.append(schema.OperatorT(
            opcodeIndex=self._code(code), inputs=list(inputs), outputs=[output],
            builtinOptionsType=getattr(schema.BuiltinOptions, kind) if options else 0,
            builtinOptions=options,
        ))  # fmt: skip

    def _code(self, code):
        if code not in self.codes:
            self.codes.append(code)
        return self.codes.index(code)

    def inputs(self, op):
        """The indices of what `op` reads."""
        return [self.index[name] for name in op.inputs]

    def source(self, op):
        """The first input of `op`."""
        return self.graph.tensor(op.inputs[0])

    def output(self, op):
        """What `op` writes."""
        return self.graph.tensor(op.output)

    def _ends(self, names):
        return [self.borders.get(name, self.index[name]) for name in names]

    def packed(self):
        """The file."""
        codes = [
            schema.OperatorCodeT(deprecatedBuiltinCode=min(code, 127), builtinCode=code)
            for code in self.codes
        ]
        subgraph = schema.SubGraphT(
            tensors=self.tensors, operators=self.operators, name=self.graph.name,
            inputs=self._ends(self.graph.inputs), outputs=self._ends(self.graph.outputs),
        )  # fmt: skip
        model = schema.ModelT(
            version=3, operatorCodes=codes, subgraphs=[subgraph], buffers=self.buffers,
            description="",
        )  # fmt: skip
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def quantization(quant):
    """The parameters of an activation; `ValueError` for a scale that the file would round."""
    return scales([quant.scale], quant.zero_point)


def scales(values, zero_point=0, axis=0):
    """The parameters of one tensor or, with several values, of each channel along `axis`."""
    if any(float(np.float32(value)) != value for value in values):
        raise ValueError(f"a scale of {values} is not one of single precision")
    return schema.QuantizationParametersT(
        scale=np.array(values, np.float32), quantizedDimension=axis,
        zeroPoint=np.full(len(values), zero_point, np.int64),
    )  # fmt: skip
