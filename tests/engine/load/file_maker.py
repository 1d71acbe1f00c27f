""".tflite files by hand, right or wrong: tensors and operators exactly as they are asked for."""

import flatbuffers
import numpy as np
import pytest

schema = pytest.importorskip(
    "ai_edge_litert.schema_py_generated", reason="ai-edge-litert (the dev extra) has the schema"
)

CODES, TYPES, FUSED = schema.BuiltinOperator, schema.TensorType, schema.ActivationFunctionType
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
TYPE_OF = {
    np.dtype(np.int8): TYPES.INT8,
    np.dtype(np.int32): TYPES.INT32,
    np.dtype(np.int64): TYPES.INT64,
    np.dtype(np.float32): TYPES.FLOAT32,
}


class FileMaker:
    """Grows a file; each method returns the index of what it adds."""

    def __init__(self):
        self.buffers, self.tensors, self.codes, self.operators = [schema.BufferT()], [], [], []

    def tensor(self, shape, dtype=TYPES.INT8, scale=0.5, zero=0, name=None, **fields):
        """An activation; `scale` None is one without a quantisation."""
        name = f"t{len(self.tensors)}" if name is None else name
        quantization = None if scale is None else quantized(scale, zero)
        fields = {"quantization": quantization, "buffer": 0, **fields}
        self.tensors.append(schema.TensorT(shape=list(shape), type=dtype, name=name, **fields))
        return len(self.tensors) - 1

    def constant(self, values, scale=None, zero=0, axis=0, **fields):
        """A tensor with values; several scales are along `axis`."""
        values = np.asarray(values)
        self.buffers.append(schema.BufferT(data=np.frombuffer(values.tobytes(), np.uint8)))
        quantization = None if scale is None else quantized(scale, zero, axis)
        fields = {"dtype": TYPE_OF[values.dtype], "quantization": quantization, **fields}
        return self.tensor(values.shape, buffer=len(self.buffers) - 1, **fields)

    def integers(self, *values):
        """A constant int32 vector."""
        return self.constant(np.array(values, np.int32))

    def op(self, code, inputs, outputs, options=None, version=1, custom=None):
        """An operator; the type of its options is that of the object."""
        kind = type(options).__name__.removesuffix("T")
        self.codes.append(schema.OperatorCodeT(
            deprecatedBuiltinCode=min(code, 127), builtinCode=code, version=version,
            customCode=custom,
        ))  # fmt: skip
        self.operators.append(schema.OperatorT(
            opcodeIndex=len(self.codes) - 1, inputs=list(inputs), outputs=list(outputs),
            builtinOptionsType=getattr(schema.BuiltinOptions, kind) if options else 0,
            builtinOptions=options,
        ))  # fmt: skip
        return len(self.operators) - 1

    def file(self, inputs, outputs, subgraphs=1, version=3):
        """The bytes of the file."""
        subgraph = schema.SubGraphT(
            tensors=self.tensors, operators=self.operators, name="main",
            inputs=list(inputs), outputs=list(outputs),
        )  # fmt: skip
        model = schema.ModelT(
            version=version, operatorCodes=self.codes, subgraphs=[subgraph] * subgraphs,
            buffers=self.buffers, description="",
        )  # fmt: skip
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def quantized(scale, zero=0, axis=0):
    """Parameters of one scale or of several; `zero` is one number or as many."""
    scales = np.atleast_1d(np.asarray(scale, np.float32))
    zeros = np.broadcast_to(np.asarray(zero, np.int64), scales.shape).copy()
    return schema.QuantizationParametersT(scale=scales, zeroPoint=zeros, quantizedDimension=axis)


def one(code, shape, output, options=None, extra=(), source=None, target=None, **fields):
    """The bytes of a file of one operator; extra: constants that it reads as well."""
    maker = FileMaker()
    inputs = [maker.tensor(shape, **{"name": "in"} | (source or {}))]
    inputs += [maker.constant(*values) if isinstance(values, tuple) else maker.constant(values)
               for values in extra]  # fmt: skip
    made = maker.tensor(output, **{"name": "out"} | (target or {}))
    maker.op(code, inputs, [made], options, **fields)
    return maker.file(inputs[:1], [made])


def conv(weights, scale=0.25, axis=0, bias=True, fused=0, padding=VALID, stride=1, dilation=1):
    """(options, extra) of a CONV_2D for `one`."""
    weights = np.asarray(weights, np.int8)
    options = schema.Conv2DOptionsT(
        padding=padding, strideH=stride, strideW=stride, fusedActivationFunction=fused,
        dilationHFactor=dilation, dilationWFactor=dilation,
    )  # fmt: skip
    extra = [(weights, scale, 0, axis)]
    if bias:
        extra.append(np.arange(weights.shape[0], dtype=np.int32))
    return options, extra
