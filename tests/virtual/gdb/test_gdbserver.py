"""`pyocd gdbserver`, unmodified, in front of a virtual board: what gdb needs of it works."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from gdb_remote import Remote, escaped, unescaped

SECTOR_BYTES = 16384
INTERRUPT, TRAP, SEGV = 2, 5, 11
TO_TASK = 0xFFFFFFED  # EXC_RETURN: thread mode, process stack, FP registers in the frame
SVC, HARD_FAULT = 11, 3
NOWHERE = 0x60000000  # external memory that the board does not have
HERE = Path(__file__).parent
GDB = next(filter(None, map(shutil.which, ("gdb-multiarch", "arm-none-eabi-gdb"))), None)


@pytest.fixture(scope="module")
def client(server) -> Iterator[Remote]:
    with Remote(server.port) as made:
        assert b"QStartNoAckMode+" in made.ask("qSupported:swbreak+").split(b";")
        made.without_acks()
        yield made


@pytest.fixture
def remote(server, client: Remote) -> Remote:
    """A client of the board, reset and halted, with the program in flash."""
    client.command("reset halt")
    if any(client.read(at, len(data)) != data for at, data in server.program.segments):
        client.load(server.program.segments, SECTOR_BYTES)
        client.command("reset halt")
    return client


def run_to(remote: Remote, address: int) -> None:
    """Behind a hardware breakpoint that is taken away again."""
    remote.tell(f"Z1,{address & ~1:x},2")
    stop = remote.go()
    assert (stop.signal, stop.pc) == (TRAP, address & ~1)
    remote.tell(f"z1,{address & ~1:x},2")


def test_binary_data_survives_its_escapes() -> None:
    data = bytes(range(256))
    assert unescaped(escaped(data)) == data
    assert not {*b"#$"} & {*escaped(data)}


def test_server_describes_the_core_and_its_memories(remote: Remote) -> None:
    features = remote.ask("qSupported:swbreak+").split(b";")
    assert b"qXfer:features:read+" in features
    assert b"qXfer:memory-map:read+" in features
    target = ElementTree.fromstring(remote.object("features", "target.xml"))
    names = {r.get("name") for r in target.iter("reg")}
    assert {"r0", "sp", "lr", "pc", "xpsr", "msp", "psp", "control", "d15"} <= names
    memories = ElementTree.fromstring(remote.object("memory-map", ""))
    flash = [m for m in memories if m.get("type") == "flash"]
    assert int(flash[0].get("start"), 0) == 0x08000000
    assert int(flash[0].findtext("property"), 0) == SECTOR_BYTES


def test_load_programs_flash_and_nothing_but_the_program(server, remote: Remote) -> None:
    ((base, data),) = server.program.segments
    assert len(data) > SECTOR_BYTES
    assert {*b"#$}*"} <= set(data)  # what must be escaped on the way
    spoiled = bytes(b ^ 0xFF for b in data[:256]) + data[256:]
    remote.load([(base, spoiled)], SECTOR_BYTES)
    assert remote.read(base, len(data)) == spoiled
    remote.load([(base, data)], SECTOR_BYTES)
    assert remote.read(base, len(data)) == data
    rest = 2 * SECTOR_BYTES - len(data)
    assert remote.read(base + len(data), rest) == b"\xff" * rest


def test_reset_and_halt_leaves_the_core_at_its_first_instruction(server, remote: Remote) -> None:
    assert remote.register("pc") == server.program.symbols["Reset_Handler"] & ~1
    assert remote.register("sp") == 0x20010000


def test_breakpoint_stops_before_a_function_with_its_arguments(server, remote: Remote) -> None:
    run_to(remote, server.program.symbols["spread"])
    assert remote.register("r0") == 10
    assert server.program.holds("run", remote.register("lr") & ~1)


def test_steps_go_into_a_call_round_a_loop_and_back(server, remote: Remote) -> None:
    symbols, holds = server.program.symbols, server.program.holds
    run_to(remote, symbols["spread"])
    pcs = [remote.step().pc for _ in range(40)]
    spots = ["twice" if holds("twice", pc) else "spread" for pc in pcs]
    assert all(holds(spot, pc) for spot, pc in zip(spots, pcs, strict=True))
    entries = [i for i in range(1, 40) if spots[i - 1 : i + 1] == ["spread", "twice"]]
    assert len(entries) > 2
    assert {pcs[i] for i in entries} == {symbols["twice"] & ~1}
    own = [pc for pc in pcs if holds("spread", pc)]
    assert any(now < before for before, now in itertools.pairwise(own))  # the loop goes back


def test_a_call_is_stepped_over_by_a_breakpoint_behind_it(server, remote: Remote) -> None:
    run_to(remote, server.program.symbols["twice"])
    assert remote.register("r0") == 0
    run_to(remote, remote.register("lr"))
    assert server.program.holds("spread", remote.register("pc"))
    assert remote.register("r0") == 0
    run_to(remote, server.program.symbols["twice"])
    assert remote.register("r0") == 1


def test_registers_and_memory_that_are_set_change_what_runs(server, remote: Remote) -> None:
    symbols = server.program.symbols
    run_to(remote, symbols["spread"])
    remote.set_register("r0", 3)
    assert remote.register("r0") == 3
    run_to(remote, symbols["on_svc"])
    assert remote.words(symbols["sum"]) == (0 + 2 + 4,)
    data = bytes(range(256)) * 5
    remote.write(0x20004000, data)
    assert remote.read(0x20004000, len(data)) == data


def test_access_to_no_memory_is_an_error_and_the_next_one_works(remote: Remote) -> None:
    assert remote.ask(f"m{NOWHERE:x},4")[:1] == b"E"
    assert remote.words(0x08000000) == (0x20010000,)


def test_watchpoint_stops_behind_the_store(server, remote: Remote) -> None:
    symbols = server.program.symbols
    run_to(remote, symbols["on_svc"])
    before = remote.words(symbols["rounds"])[0]
    remote.tell(f"Z2,{symbols['rounds']:x},4")
    stop = remote.go()
    remote.tell(f"z2,{symbols['rounds']:x},4")
    assert stop.signal == TRAP
    assert server.program.holds("on_svc", stop.pc)
    assert remote.words(symbols["rounds"]) == (before + 1,)


def test_running_program_is_interrupted_and_goes_on(server, remote: Remote) -> None:
    rounds = server.program.symbols["rounds"]
    seen = []
    for _ in range(2):
        remote.start()
        assert remote.interrupt().signal == INTERRUPT
        seen.append(remote.words(rounds)[0])
    assert seen[0] < seen[1]


def test_frame_in_a_handler_names_what_it_interrupted(server, remote: Remote) -> None:
    symbols, holds = server.program.symbols, server.program.holds
    run_to(remote, symbols["on_svc"])
    assert remote.register("xpsr") & 0x1FF == SVC
    assert remote.register("lr") == TO_TASK
    frame = remote.words(remote.register("psp"), 8)
    assert frame[6] == symbols["behind_svc"] & ~1
    assert holds("interrupted", frame[6])
    assert holds("run", frame[5] & ~1)  # the caller of what was interrupted
    run_to(remote, frame[6])
    assert remote.register("xpsr") & 0x1FF == 0


def test_fault_is_caught_at_its_handler_and_leads_to_its_cause(server, remote: Remote) -> None:
    symbols, holds = server.program.symbols, server.program.holds
    run_to(remote, symbols["on_svc"])
    remote.write(symbols["wanted"], NOWHERE.to_bytes(4, "little"))
    stop = remote.go()
    assert (stop.signal, stop.pc) == (SEGV, symbols["on_hard_fault"] & ~1)
    assert remote.register("xpsr") & 0x1FF == HARD_FAULT
    frame = remote.words(remote.register("psp"), 8)
    assert frame[0] == NOWHERE
    assert holds("faulty", frame[6])
    assert remote.words(0xE000ED38) == (NOWHERE,)  # BFAR


SCRIPT = """
set pagination off
set mem inaccessible-by-default off
directory {sources}
target extended-remote :{port}
monitor reset halt
load
monitor reset halt
hbreak spread
continue
step
backtrace
delete
tbreak handler_body
continue
backtrace
info registers
finish
set var wanted = {nowhere}
continue
backtrace
detach
"""
IN_ORDER = (
    r"Loading section \.text, size",
    r"Breakpoint 1, spread \(count=10\) at debuggee\.c:\d+",
    r"total \+= twice\(i\);",  # the line that the step ends at
    r"#0  spread \(count=10\)",
    r"#1  0x[0-9a-f]+ in run \(\)",
    r"Temporary breakpoint 2, handler_body \(\)",
    r"#0  handler_body \(\)",
    r"#1  0x[0-9a-f]+ in on_svc \(\)",
    r"#2  <signal handler called>",
    r"#3  0x[0-9a-f]+ in interrupted \(\)",
    r"#4  0x[0-9a-f]+ in run \(\)",
    r"xpsr +0x6100000b +\[ Z C GE=0 EXC=11 T \]",
    r"msp +0x2000f",
    r"\n\d+\s+rounds\+\+;",  # where `finish` comes out
    r"received signal SIGSEGV",
    r"#0  on_hard_fault \(\)",
    r"#1  <signal handler called>",
    rf"#2  faulty \(address={NOWHERE}\)",
    r"#3  0x[0-9a-f]+ in run \(\)",
    r"detached",
)


@pytest.mark.skipif(GDB is None, reason="no gdb for ARM on the path")
def test_gdb_loads_breaks_steps_and_unwinds_exceptions(server, remote: Remote, tmp_path) -> None:
    ((base, data),) = server.program.segments
    remote.load([(base, b"\0" * len(data))], SECTOR_BYTES)
    script = tmp_path / "script"
    script.write_text(SCRIPT.format(port=server.port, sources=HERE, nowhere=NOWHERE))
    command = [str(GDB), "-nx", "-batch", "-x", str(script), str(server.program.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    at = 0
    for wanted in IN_ORDER:
        found = re.compile(wanted).search(done.stdout, at)
        assert found, (wanted, done.stdout, done.stderr)
        at = found.end()
