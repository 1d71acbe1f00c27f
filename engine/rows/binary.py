"""Kernels of operators on two tensors, element by element: add, sub and mul, with broadcasting."""

from engine import features
from engine.blend import blend
from engine.graph import Graph, Op
from engine.kernel_row import Description, Features, KernelRow, always, in_place
from engine.numerics import add_parameters, mul_multiplier, sub_parameters
from engine.rows.fields import clamped
from engine.rows.strides import Walk, braces, merged, repeated
from engine.tables import FAST_SHIFTS, Factor

LINE_BYTES = 24  # tr_line in kernels.h
SUM_BYTES = 88  # tr_sum in kernels.h
PRODUCT_BYTES = 64  # tr_product in kernels.h
HALF: Factor = (1 << 30, 0)
NEARLY_HALF: Factor = ((1 << 31) - 1, 1)
PARAMETERS = {"add": add_parameters, "sub": sub_parameters}


def describe_line(graph: Graph, op: Op) -> Description:
    """tr_line."""
    line = blend(graph, op)
    assert line is not None
    fields: dict[str, int | str] = {
        "size": graph.tensor(op.output).size,
        "first": line.first,
        "second": line.second,
        "addend": line.addend,
        "clamp_min": op.clamp[0],
        "clamp_max": op.clamp[1],
    }
    return Description("tr_line", fields, LINE_BYTES)


def describe_sum(graph: Graph, op: Op) -> Description:
    """tr_sum."""
    factors = sum_factors(graph, op)
    first, second = _signs(graph, op)
    fields: dict[str, int | str] = {
        "at": _spread(_walk(graph, op, sorted_inputs(graph, op))),
        "sign_a": first,
        "sign_b": second,
        **_zeros(graph, op, sorted_inputs(graph, op)),
        "factor_a": braces(factors[0]),
        "factor_b": braces(factors[1]),
        "factor_out": braces(factors[2]),
        "clamp_min": op.clamp[0],
        "clamp_max": op.clamp[1],
    }
    return Description("tr_sum", fields, SUM_BYTES)


def sorted_inputs(graph: Graph, op: Op) -> tuple[str, ...]:
    """The inputs of a sum by scale, the larger first."""
    return tuple(sorted(op.inputs, key=lambda name: -graph.tensor(name).quant.scale))


def sum_factors(graph: Graph, op: Op) -> tuple[Factor, Factor, Factor]:
    """(multiplier, shift to the right) of the sorted inputs and of the output of a sum.

    Equal scales make both inputs' factor 1/2, whose shift of 0 tr_add does not take. As
    (2**31 - 1) / 2**32 it has a shift of 1, and no input of -255..255 steps, scaled up by 2**20,
    shows the difference.
    """
    first, second, output = (graph.tensor(n).quant for n in (*sorted_inputs(graph, op), op.output))
    parameters = PARAMETERS[op.kind](first, second, output)
    one, two, out = (
        (multiplier, -shift)
        for multiplier, shift in (parameters.input1, parameters.input2, parameters.output)
    )
    return one, NEARLY_HALF if two == HALF else two, out


def _signs(graph: Graph, op: Op) -> tuple[int, int]:
    if op.kind == "add":
        return 1, 1
    return (1, -1) if sorted_inputs(graph, op) == op.inputs else (-1, 1)


def describe_product(graph: Graph, op: Op) -> Description:
    """tr_product."""
    fields: dict[str, int | str] = {
        "at": _spread(_walk(graph, op, wide_first(graph, op))),
        **_zeros(graph, op, wide_first(graph, op)),
        "factor": braces(_product_factor(graph, op)),
        "clamp_min": op.clamp[0],
        "clamp_max": op.clamp[1],
    }
    return Description("tr_product", fields, PRODUCT_BYTES)


def _product_factor(graph: Graph, op: Op) -> Factor:
    """Multiplier and shift to the right."""
    first, second, output = (graph.tensor(name).quant for name in (*op.inputs, op.output))
    multiplier, shift = mul_multiplier(first, second, output)
    return multiplier, -shift


def wide_first(graph: Graph, op: Op) -> tuple[str, ...]:
    """The inputs of a mul: first one that goes on along the last axis that is left."""
    first, second = op.inputs
    step = _walk(graph, op, op.inputs).steps[0][2]
    return (first, second) if step else (second, first)


def _walk(graph: Graph, op: Op, inputs: tuple[str, ...]) -> Walk:
    sizes = graph.tensor(op.output).shape
    return merged(sizes, *(repeated(graph.tensor(name).shape, sizes) for name in inputs))


def _spread(walk: Walk) -> str:
    """tr_spread."""
    return f"{{{', '.join(braces(part) for part in (walk.sizes, *walk.steps))}}}"


def _zeros(graph: Graph, op: Op, inputs: tuple[str, ...]) -> dict[str, int]:
    places = zip(("zero_a", "zero_b", "out_zero"), (*inputs, op.output), strict=True)
    return {field: graph.tensor(name).quant.zero_point for field, name in places}


def _is_fast_sum(graph: Graph, op: Op) -> bool:
    """Whether tr_add rounds exactly: its second input and the sum are shifted by 1 to 30, 22."""
    shapes = {graph.tensor(name).shape for name in op.inputs}
    _, second, output = sum_factors(graph, op)
    return len(shapes) == 1 and second[1] in range(1, 31) and output[1] in FAST_SHIFTS


def _is_line(graph: Graph, op: Op) -> bool:
    """Whether tr_add takes it: equal shapes, and a line that is right on all pairs of values."""
    shapes = {graph.tensor(name).shape for name in op.inputs}
    return len(shapes) == 1 and blend(graph, op) is not None


def line_features(graph: Graph, op: Op) -> Features:
    """tr_add: four elements at a time, then one."""
    fours, rest = divmod(graph.tensor(op.output).size, 4)
    return {"calls": 1, "fours": fours, "rest": rest, "clamped": clamped(graph, op)}


def _is_fast_product(graph: Graph, op: Op) -> bool:
    return _product_factor(graph, op)[1] in FAST_SHIFTS


def product_features(graph: Graph, op: Op) -> Features:
    """tr_mul: rows, one element at a time."""
    walk = _walk(graph, op, op.inputs)
    return {
        "calls": 1,
        "rows": walk.sizes[0] * walk.sizes[1],
        "elements": graph.tensor(op.output).size,
        "clamped": clamped(graph, op),
    }


# fmt: off
ROWS: tuple[KernelRow, ...] = (
    KernelRow("tr_add", "add", "blend.c", _is_line, line_features, describe_line,
              lead_bytes=in_place),
    KernelRow("tr_add", "sub", "blend.c", _is_line, line_features, describe_line,
              lead_bytes=in_place),
    KernelRow("tr_add_scaled", "add", "add.c", _is_fast_sum, features.add, describe_sum,
              lead_bytes=in_place, inputs=sorted_inputs, headers=("spread.h",)),
    KernelRow("tr_sub_scaled", "sub", "add.c", _is_fast_sum, features.add, describe_sum,
              lead_bytes=in_place, inputs=sorted_inputs, headers=("spread.h",)),
    KernelRow("tr_mul", "mul", "mul.c", _is_fast_product, product_features, describe_product,
              lead_bytes=in_place, inputs=wide_first, headers=("spread.h",)),
    KernelRow("tr_add_plain", "add", "add.c", always, features.plain, describe_sum,
              lead_bytes=in_place, inputs=sorted_inputs, plain=True, headers=("spread.h",)),
    KernelRow("tr_add_plain", "sub", "add.c", always, features.plain, describe_sum,
              lead_bytes=in_place, inputs=sorted_inputs, plain=True, headers=("spread.h",)),
    KernelRow("tr_mul_plain", "mul", "mul.c", always, features.plain, describe_product,
              lead_bytes=in_place, inputs=wide_first, plain=True, headers=("spread.h",)),
)
# fmt: on
