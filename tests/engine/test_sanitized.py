"""The C runs without a report of the address and undefined-behaviour sanitizers, and is exact.

Once kernel by kernel, each buffer on the heap and not a byte larger than it says; once as whole
models, as the emitter writes them.
"""

import functools

import numpy as np
import pytest
import sanitizer
from engine_nets import seeded
from graph_strategies import inputs_of
from kernel_cases import constants_c, every_case, kernel_files

from engine import dispatch, reference
from engine.emit import emit
from engine.selection import Selection

pytestmark = pytest.mark.skipif(
    sanitizer.compiler() is None,
    reason="neither gcc nor clang makes sanitized programs here (is libasan installed?)",
)

NAMES = list(dict.fromkeys(row.c_name for row in dispatch.KERNELS))
NETWORKS = range(8)
KERNELS_MAIN = """\
#include "kernels.h"
{common}
#define MOST_INPUTS 64
extern const void *const cases[];

/* Case, kernel, sizes of output and scratch, number of inputs, then each one's size and bytes. */
int main(void)
{{
    for (int32_t index = number(); index >= 0; index = number()) {{
        const void *op = cases[index];
        const int8_t *in[MOST_INPUTS] = {{0}};
        int32_t kernel = number(), out_bytes = number(), scratch_bytes = number();
        int32_t inputs = number();
        for (int32_t i = 0; i < inputs; i++)
            in[i] = given(number());
        int8_t *out = bytes(out_bytes), *scratch = bytes(scratch_bytes);
        switch (kernel) {{
{calls}
        }}
        answer(out, out_bytes);
        free(scratch);
        for (int32_t i = 0; i < inputs; i++)
            free((void *)in[i]);
    }}
    return 0;
}}
"""
MODELS_MAIN = """\
{common}
{declarations}
static void (*const invoke[])(const int8_t *in, int8_t *out) = {{ {names} }};

/* Model, sizes of its output and input, then the input. */
int main(void)
{{
    for (int32_t index = number(); index >= 0; index = number()) {{
        int32_t out_bytes = number();
        int8_t *in = given(number()), *out = bytes(out_bytes);
        invoke[index](in, out);
        answer(out, out_bytes);
        free(in);
    }}
    return 0;
}}
"""
END = np.array([-1], "<i4").tobytes()


def call_of(row, inputs):
    """The C of one call; `inputs`: how many its operator has."""
    sources = ["in"] if row.packs_inputs else [f"in[{i}]" for i in range(inputs)]
    places = [*sources, "out", *(["scratch"] if row.takes_scratch else [])]
    return f"{row.c_name}(op, {', '.join(places)});"


def kernels_main():
    inputs = {case.row.c_name: len(case.sources) for case in every_case()}
    rows = {row.c_name: row for row in dispatch.KERNELS}
    calls = [call_of(rows[name], inputs[name]) for name in NAMES]
    lines = [
        f"        case {i}:\n            {call}\n            break;" for i, call in enumerate(calls)
    ]
    return KERNELS_MAIN.format(common=sanitizer.COMMON, calls="\n".join(lines))


def question(index, case):
    """What the program reads about one case."""
    sources = [case.values[name] for name in case.sources]
    sizes = [len(case.wanted), case.scratch_bytes, len(sources)]
    head = np.array([index, NAMES.index(case.row.c_name), *sizes], "<i4").tobytes()
    parts = [np.array([x.size], "<i4").tobytes() + x.tobytes() for x in sources]
    return head + b"".join(parts)


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """Of every kernel, for both programs."""
    return sanitizer.compiled(kernel_files(), tmp_path_factory.mktemp("objects"))


def headers():
    return {name: text for name, text in kernel_files().items() if name.endswith(".h")}


@pytest.fixture(scope="module")
def kernels(objects, tmp_path_factory):
    files = {**headers(), "cases.c": constants_c(every_case()), "main.c": kernels_main()}
    return sanitizer.build(files, tmp_path_factory.mktemp("kernels"), objects)


@pytest.mark.parametrize("name", NAMES)
def test_kernels_stay_within_their_buffers_and_the_language(name, kernels):
    mine = [(i, case) for i, case in enumerate(every_case()) if case.row.c_name == name]
    data = b"".join(question(index, case) for index, case in mine) + END
    got, wanted = sanitizer.run(kernels, data), [case.wanted for _, case in mine]
    assert got == b"".join(wanted)


def chosen_graph(row):
    """An operator that this row takes."""
    for case in every_case():
        if case.row is row:
            return case.graph
    raise AssertionError(f"no case is for {row.c_name} of {row.kind}")


@functools.cache
def models():
    """[(graph, model)]: an operator for every row of the table, and whole networks."""
    parts = [(chosen_graph(row), Selection((row,))) for row in dispatch.KERNELS]
    nets = [(seeded(seed), seed % 3 == 0) for seed in NETWORKS]
    parts += [(graph, dispatch.first(graph, plain=plain)) for graph, plain in nets]
    return [(graph, emit(graph, selection=selection)) for graph, selection in parts]


def renamed(text, prefix):
    """The text of a model under a name of its own, so that many fit in one program."""
    return text.replace("tinyrack_", f"{prefix}_").replace('"model.h"', f'"{prefix}.h"')


def model_files():
    files, prefixes = headers(), [f"m{index}" for index in range(len(models()))]
    for prefix, (_, model) in zip(prefixes, models(), strict=True):
        files |= {
            name.replace("model", prefix): renamed(model.files[name], prefix)
            for name in ("model.c", "model.h")
        }
    names = [f"{prefix}_invoke" for prefix in prefixes]
    files["main.c"] = MODELS_MAIN.format(
        common=sanitizer.COMMON,
        declarations="".join(f"void {name}(const int8_t *in, int8_t *out);\n" for name in names),
        names=", ".join(names),
    )
    return files


@pytest.fixture(scope="module")
def program(objects, tmp_path_factory):
    return sanitizer.build(model_files(), tmp_path_factory.mktemp("models"), objects)


def test_models_stay_within_their_memory_and_the_language(program):
    data, wanted = b"", b""
    for index, (graph, model) in enumerate(models()):
        values = inputs_of(graph, index)
        source = b"".join(values[name].tobytes() for name in graph.inputs)
        data += np.array([index, model.output_bytes, len(source)], "<i4").tobytes() + source
        result = reference.run_all(graph, values)
        wanted += b"".join(result[name].tobytes() for name in graph.outputs)
    assert sanitizer.run(program, data + END) == wanted


def test_the_models_use_every_kernel():
    used = {(layer.kernel, layer.kind) for _, model in models() for layer in model.layers}
    assert used == {(row.c_name, row.kind) for row in dispatch.KERNELS}


@pytest.mark.parametrize(
    ("body", "words", "report"),
    [
        ("int8_t *block = given(number()); return block[number()];", (4, 0, 4), "AddressSan"),
        ("int32_t a = number(); return a + number();", (0x7FFF_FFFF, 1), "integer overflow"),
    ],
)
def test_the_sanitizers_report(body, words, report, tmp_path):
    """So that silence means something."""
    unused = "(void)bytes, (void)given, (void)answer;"
    main = f"{sanitizer.COMMON}int main(void)\n{{\n    {unused}\n    {body}\n}}\n"
    program = sanitizer.build({"main.c": main}, tmp_path)
    with pytest.raises(AssertionError, match=report):
        sanitizer.run(program, np.array(words, "<i4").tobytes())
