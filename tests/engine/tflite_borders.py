"""Files whose inputs and outputs are uint8 or float32, as most converters leave them."""

import numpy as np
from tflite_file import schema
from tflite_writer import CODES, written


def to_bordered(graph, dtype):
    """`to_tflite` with a QUANTIZE behind each input, and QUANTIZE or DEQUANTIZE at each output."""
    writer = written(graph)
    last = {
        np.uint8: (CODES.QUANTIZE, schema.QuantizeOptionsT()),
        np.float32: (CODES.DEQUANTIZE, schema.DequantizeOptionsT()),
    }
    body, writer.operators = writer.operators, []
    for name in graph.inputs:
        outside = writer.border(graph.tensor(name), dtype)
        writer.operator(CODES.QUANTIZE, [outside], writer.index[name], schema.QuantizeOptionsT())
    writer.operators += body
    for name in graph.outputs:
        code, options = last[dtype]
        writer.operator(
            code, [writer.index[name]], writer.border(graph.tensor(name), dtype), options
        )
    return writer.packed()


def outside(graph, name, values, dtype):
    """int8 `values` of an input or output as such a file has them."""
    quant = graph.tensor(name).quant
    if dtype is np.uint8:
        return (values.astype(np.int16) + 128).astype(np.uint8)
    return np.float32(quant.scale) * (values.astype(np.float32) - np.float32(quant.zero_point))
