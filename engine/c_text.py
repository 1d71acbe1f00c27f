"""The text of generated C: templates, tables, and names made safe."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

MAX_NAME = 40
BYTES_A_LINE = 24
NUMBERS_A_LINE = 12

SOURCE = """\
/* {name}: made by Tinyrack, not to be edited.
 *
 * {macs} MACs an inference
 * {arena_bytes} bytes of arena (RAM)
 * {const_bytes} bytes of tables (flash)
 */
#include "model.h"

#include "kernels.h"

/* All RAM of the network: inputs, outputs, what lies between layers, scratch memory of kernels.
 * On a Cortex-M7 it belongs into DTCM: -DTINYRACK_ARENA_PLACE='__attribute__((section(".dtcm")))'
 * with a section of that name, not loaded, in the linker script. */
#ifndef TINYRACK_ARENA_PLACE
#define TINYRACK_ARENA_PLACE
#endif
static int8_t arena[TINYRACK_ARENA_BYTES] __attribute__((aligned(8))) TINYRACK_ARENA_PLACE;

{tables}
int8_t *tinyrack_input(uint32_t index)
{{
    switch (index) {{
{inputs}
    default: return 0;
    }}
}}

const int8_t *tinyrack_output(uint32_t index)
{{
    switch (index) {{
{outputs}
    default: return 0;
    }}
}}

static void nothing(uint32_t layer)
{{
    (void)layer;
}}

/* Not inlined, and no question whether to call `after`: there is one copy of all calls. */
static TR_NO_INLINE void run(void (*after)(uint32_t layer))
{{
{calls}
}}

void tinyrack_run(void)
{{
    run(nothing);
}}

void tinyrack_trace(void (*after)(uint32_t layer))
{{
    run(after ? after : nothing);
}}

static void copy(int8_t *restrict to, const int8_t *restrict from, uint32_t count)
{{
    while (count--)
        *to++ = *from++;
}}

void tinyrack_invoke(const int8_t *in, int8_t *out)
{{
{loads}
    tinyrack_run();
{stores}
}}
"""

CASE = """\
    case {index}: return arena + TINYRACK_{side}_{index}_OFFSET;"""

LOAD = """\
    copy(arena + TINYRACK_INPUT_{index}_OFFSET, in + {at}, TINYRACK_INPUT_{index}_BYTES);"""

STORE = """\
    copy(out + {at}, arena + TINYRACK_OUTPUT_{index}_OFFSET, TINYRACK_OUTPUT_{index}_BYTES);"""

CALL = """\
    {kernel}({arguments}); /* {note} */
    after({index});"""

NO_CALL = """\
    /* {note}: the same bytes at the same place */
    after({index});"""


class Names(Mapping[str, str]):
    """Names of a model -> C identifiers, unique and made of letters, digits and underscores."""

    def __init__(self, names: Iterable[str]) -> None:
        self._safe: dict[str, str] = {}
        taken: set[str] = set()
        for name in names:
            base = safe = identifier(name)
            count = 1
            while safe in taken:
                count += 1
                safe = f"{base}_{count}"
            taken.add(safe)
            self._safe[name] = safe

    def __getitem__(self, name: str) -> str:
        return self._safe[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._safe)

    def __len__(self) -> int:
        return len(self._safe)


def identifier(name: str) -> str:
    """A C identifier like ``name``; callers add a suffix, which keeps it from being a keyword.

    Those that begin as the library's own names do get another beginning.
    """
    safe = re.sub(r"[^A-Za-z0-9_]+", "_", name, flags=re.ASCII)[:MAX_NAME]
    return safe if re.match(r"(?!tr(_|$)|tinyrack)[A-Za-z]", safe) else f"l{safe}"


def comment(text: str) -> str:
    """``text`` without anything that could end a comment or a line."""
    return re.sub(r"[^A-Za-z0-9_.+ -]+", "_", text, flags=re.ASCII)[:MAX_NAME]


def shape(sizes: Sequence[int]) -> str:
    """``8x8x16``."""
    return "x".join(map(str, sizes))


def bytes_table(name: str, rows: NDArray[np.int8]) -> str:
    """An int8 array, filled to word alignment so that rows can be loaded as words."""
    flat = rows.reshape(-1).tolist()
    lines = [flat[at : at + BYTES_A_LINE] for at in range(0, len(flat), BYTES_A_LINE)]
    body = ",\n".join("    " + ", ".join(map(str, line)) for line in lines)
    head = f"static const int8_t {name}[{len(flat)}] __attribute__((aligned(4))) = {{"
    return f"{head}\n{body}\n}};\n"


def numbers_table(name: str, c_type: str, values: Sequence[int]) -> str:
    """An array of integers."""
    lines = [values[at : at + NUMBERS_A_LINE] for at in range(0, len(values), NUMBERS_A_LINE)]
    body = ",\n".join("    " + ", ".join(map(_int32, line)) for line in lines)
    return f"static const {c_type} {name}[{len(values)}] = {{\n{body}\n}};\n"


def channel_table(name: str, columns: Sequence[NDArray[np.int64]]) -> str:
    """An array of tr_channel; columns: bias, multiplier, shift, addend, each [Cout]."""
    rows = zip(*(column.tolist() for column in columns), strict=True)
    body = ",\n".join("    {" + ", ".join(map(_int32, row)) + "}" for row in rows)
    return f"static const tr_channel {name}[{len(columns[0])}] = {{\n{body}\n}};\n"


def pointer_table(name: str, places: Sequence[str]) -> str:
    """An array of pointers to constant int8."""
    return f"static const int8_t *const {name}[{len(places)}] = {{{', '.join(places)}}};\n"


def struct(c_type: str, name: str, fields: Mapping[str, int | str]) -> str:
    """A constant struct ``<name>_op`` with named fields."""
    body = "\n".join(f"    .{field} = {value}," for field, value in fields.items())
    return f"static const {c_type} {name}_op = {{\n{body}\n}};\n"


def _int32(value: int) -> str:
    """A literal of type int: -2147483648 would be a long."""
    return "-2147483647 - 1" if value == -(1 << 31) else str(value)


def float_literal(value: float) -> str:
    """A C literal of type float; nine digits tell any two of them apart."""
    return f"{float(f'{value:.9g}')!r}f"


def zero_point(value: int) -> str:
    """A zero point that stays one operand wherever it is pasted."""
    return f"({value})" if value < 0 else str(value)
