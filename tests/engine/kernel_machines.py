"""Machines that run kernels: this host, and emulated cores."""

import ctypes

import numpy as np
from engine_arm import DATA, Arm
from kernel_cases import constants_c, kernel_files, layout

from engine.host import WARNING_FLAGS
from engine.toolchain import build_shared

MACHINES = ("host", "cortex-m4", "cortex-m7")


class HostMachine:
    """Kernels and the constants of `cases` in one library of this machine."""

    def __init__(self, cases):
        files = {**kernel_files(), "cases.c": constants_c(cases)}
        self.library = ctypes.CDLL(str(build_shared(files, "cases", WARNING_FLAGS)))
        self.constants = (ctypes.c_void_p * len(cases)).in_dll(self.library, "cases")

    def call(self, index, case, memory, places):
        """`memory` after the kernel of the case ran in it."""
        block = np.frombuffer(memory, np.uint8).copy()
        base = block.ctypes.data
        inputs = [ctypes.c_void_p(base + places[name]) for name in case.sources]
        if case.row.packs_inputs:
            inputs = [(ctypes.c_void_p * len(inputs))(*inputs)]
        rest = [ctypes.c_void_p(base + at) for at in behind_inputs(case, places)]
        kernel = getattr(self.library, case.row.c_name)
        kernel(ctypes.c_void_p(self.constants[index]), *inputs, *rest)
        return block.tobytes()


class ArmMachine:
    """The same on an emulated core."""

    def __init__(self, cases, cpu, *build):
        files = {**kernel_files(), "cases.c": constants_c(cases)}
        entries = sorted({case.row.c_name for case in cases})
        self.core = Arm(files, ["cases", *entries], cpu, *build)
        table = self.core.read(self.core.symbols["cases"], 4 * len(cases))
        self.constants = np.frombuffer(table, "<u4").tolist()

    def call(self, index, case, memory, places):
        """`memory` after the kernel of the case ran in it."""
        inputs = [DATA + places[name] for name in case.sources]
        self.core.write(DATA, memory)
        if case.row.packs_inputs:
            at = DATA + len(memory)
            self.core.write(at, np.array(inputs, "<u4").tobytes())
            inputs = [at]
        rest = [DATA + at for at in behind_inputs(case, places)]
        self.core.call(case.row.c_name, self.constants[index], *inputs, *rest)
        return self.core.read(DATA, len(memory))


def behind_inputs(case, places):
    """Offsets of the arguments behind the inputs."""
    scratch = [places["scratch"]] if case.row.takes_scratch else []
    return [places[case.op.output], *scratch]


def machine(name, cases):
    """The machine of that name with the constants of `cases`."""
    return HostMachine(cases) if name == "host" else ArmMachine(cases, name)


def check(runner, index, case):
    """The kernel gives the reference's bytes, apart from its inputs and over those it may."""
    for overlap in ((), *case.overlaps):
        placed = layout(case, *overlap)
        placed.check(case, runner.call(index, case, placed.before, placed.places))
