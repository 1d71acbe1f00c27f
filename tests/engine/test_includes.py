"""What a file includes, and that an object depends on nothing else."""

import pytest

from engine.includes import included
from engine.toolchain import build_shared, compile_object

FILES = {"a.h": '#include "b.h"\n', "b.h": '#include "a.h"\nint b;\n', "c.h": "int c;\n"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("int x;", set()),
        ('#include "c.h"', {"c.h"}),
        ('int x;\n  #  include "a.h"  // of a, b and back\n', {"a.h", "b.h"}),
        ("#include <c.h>\n#include <stdint.h>\n", {"c.h"}),
        ("#define HEADER <c.h>\n#include HEADER\n", set(FILES)),
        ('#include "../a.h"\n', set()),
    ],
)
def test_headers_are_found_through_headers(text, names):
    assert included(text, FILES) == {name: FILES[name] for name in names}


def test_an_object_is_the_same_whatever_lies_beside_what_it_includes():
    text = '#include "a.h"\nint sum(void) { return b; }\n'
    guarded = {"a.h": '#include "b.h"\n', "b.h": "static const int b = 3;\n"}
    alone = compile_object("sum.c", text, guarded, "cortex-m4")
    assert compile_object("sum.c", text, guarded | {"c.h": "int c;"}, "cortex-m4") == alone
    changed = guarded | {"b.h": "static const int b = 4;\n"}
    assert compile_object("sum.c", text, changed, "cortex-m4") != alone


def test_models_share_the_objects_of_their_kernels():
    kernel = {"kernel.c": "int kernel(void) { return 5; }\n"}
    first, second = (
        build_shared(kernel | {"model.h": f"#define MODEL {index}\n"}, "model")
        for index in range(2)
    )
    assert first == second
