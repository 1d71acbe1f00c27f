"""Programs of C files, made by this system's compiler with its sanitizers."""

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

FLAGS = (
    "-std=c11", "-O0", "-Wall", "-Wextra", "-Werror",
    "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
)  # fmt: skip
TIMEOUT_S = 120
COMMON = """\
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0"; /* needs rights that containers lack */
}

static int32_t number(void)
{
    int32_t value;
    if (fread(&value, sizeof value, 1, stdin) != 1)
        exit(2);
    return value;
}

static int8_t *bytes(int32_t count)
{
    int8_t *block = malloc((size_t)count);
    if (!block)
        exit(3);
    return block;
}

static int8_t *given(int32_t count)
{
    int8_t *block = bytes(count);
    if (fread(block, 1, (size_t)count, stdin) != (size_t)count)
        exit(4);
    return block;
}

static void answer(int8_t *block, int32_t count)
{
    if (fwrite(block, 1, (size_t)count, stdout) != (size_t)count)
        exit(5);
    free(block);
}
"""
"""What a program needs to read questions and write answers; blocks are as large as they say."""

PROBE = "int main(void) { return 0; }\n"


@functools.cache
def compiler():
    """The first of gcc and clang that makes a sanitized program which runs; None without any."""
    for name in ("gcc", "clang"):
        if shutil.which(name) and _works(name):
            return name
    return None


def _works(name):
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "probe"
        program.with_suffix(".c").write_text(PROBE)
        command = [name, *FLAGS, "probe.c", "-o", "probe"]
        made = subprocess.run(
            command, cwd=folder, capture_output=True, timeout=TIMEOUT_S, check=False
        )
        if made.returncode:
            return False
        done = subprocess.run([program], capture_output=True, timeout=TIMEOUT_S, check=False)
        return done.returncode == 0


def build(files, folder, objects=()):
    """The program that the .c files and objects make; an AssertionError with the compiler's words.

    objects: paths of what `compiled` made.
    """
    sources = [name for name in _written(files, folder) if name.endswith(".c")]
    _told(folder, *sources, *map(str, objects), "-o", "program")
    return folder / "program"


def compiled(files, folder):
    """Objects of the .c files, for several programs."""
    sources = [name for name in _written(files, folder) if name.endswith(".c")]
    _told(folder, "-c", *sources)
    return [folder / f"{name[:-2]}.o" for name in sources]


def _written(files, folder):
    for name, text in files.items():
        (folder / name).write_text(text)
    return files


def _told(folder, *arguments):
    command = [compiler(), *FLAGS, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr.decode()[:4000]


def run(program, data):
    """What the program writes for `data`; an AssertionError with the sanitizers' report."""
    done = subprocess.run(
        [program], input=data, capture_output=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[:4000]
    return done.stdout
