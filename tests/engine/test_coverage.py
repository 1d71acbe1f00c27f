"""Every line of every kernel is run by the cases that the kernels are tested with.

Of arch.h that is the portable half; what cores run in its place, the same cases run on cores.
"""

import json
import shutil
import subprocess
from collections import Counter

import pytest
from kernel_cases import constants_c, every_case, kernel_files
from test_sanitized import END, kernels_main, question

FLAGS = ("-std=c11", "-O0", "--coverage")
TIMEOUT_S = 120
NO_CODE = {"kernels.h", "slots.h", "sweep.h", "tile_end.h"}

pytestmark = pytest.mark.skipif(
    not (shutil.which("gcc") and shutil.which("gcov")), reason="gcc and gcov are not both here"
)


def tool(folder, *command, data=b""):
    done = subprocess.run(
        command, cwd=folder, input=data, capture_output=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[:4000]
    return done.stdout


@pytest.fixture(scope="module")
def counts(tmp_path_factory):
    """{(file, line): how often it ran} of the kernels' files."""
    folder = tmp_path_factory.mktemp("coverage")
    files = {**kernel_files(), "cases.c": constants_c(every_case()), "main.c": kernels_main()}
    for name, text in files.items():
        (folder / name).write_text(text)
    sources = [name for name in files if name.endswith(".c")]
    for name in sources:
        tool(folder, "gcc", *FLAGS, "-c", name)
    objects = [f"{name[:-2]}.o" for name in sources]
    tool(folder, "gcc", "--coverage", *objects, "-o", "program")
    questions = b"".join(question(index, case) for index, case in enumerate(every_case()))
    tool(folder, "./program", data=questions + END)
    found = Counter()
    for name in kernel_files():
        if name.endswith(".c"):
            add_counts(found, tool(folder, "gcov", "--json-format", "--stdout", name))
    return found


def add_counts(found, text):
    for file in json.loads(text)["files"]:
        for line in file["lines"]:
            found[file["file"], line["line_number"]] += line["count"]


@pytest.mark.parametrize("name", sorted(kernel_files().keys() - NO_CODE))
def test_every_line_of_a_kernel_is_run(name, counts):
    text = kernel_files()[name].splitlines()
    mine = {line: count for (file, line), count in counts.items() if file == name}
    assert mine, "no code was found"
    missed = [f"{name}:{line}: {text[line - 1]}" for line, count in mine.items() if not count]
    assert not missed
