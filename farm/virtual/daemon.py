"""The process behind one virtual board: what it opens, publishes and cleans up."""

from __future__ import annotations

import mmap
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass

from farm.virtual import registry
from farm.virtual.console import Console
from farm.virtual.dap import DebugPort, ids_of
from farm.virtual.event_loop import EventLoop
from farm.virtual.faults_begin import BEGIN
from farm.virtual.faults_engine import FaultEngine
from farm.virtual.faults_line import Line
from farm.virtual.faults_link import ProbeState
from farm.virtual.machine import Machine
from farm.virtual.parts import Part, load_part
from farm.virtual.service import Service

IDLE_TIMEOUT_S = 3600.0
_LOCK_TRIES = 20


@dataclass(frozen=True)
class Settings:
    """What one daemon is started with."""

    uid: str
    mcu: str
    target: str
    idle_timeout_s: float = IDLE_TIMEOUT_S


class AlreadyRunningError(Exception):
    """Another daemon holds the board."""


def serve(settings: Settings, on_ready: Callable[[], None] = lambda: None) -> None:
    """Be the board until told to stop; AlreadyRunningError when another daemon is it."""
    os.umask(0o077)
    code = registry.code_hash(settings.mcu)
    with ExitStack() as stack:
        stack.enter_context(_board_lock(settings.uid))
        stop = stack.enter_context(_stop_signals())
        part = load_part(settings.mcu)
        flash = stack.enter_context(_flash_file(settings.uid, part))
        line, probe = Line(), ProbeState()
        console = Console(registry.tty_path(settings.uid), line)
        stack.callback(console.close)
        machine = Machine(part, flash, lambda data: console.write(faults.sent(data)))
        faults = FaultEngine(machine, line, probe, BEGIN)
        machine.host_baud = lambda: console.host_baud() / faults.drift
        listener = stack.enter_context(_listening(settings.uid))
        record = registry.Record(
            uid=settings.uid,
            pid=os.getpid(),
            socket=listener.getsockname(),
            tty=str(registry.tty_path(settings.uid)),
            mcu=settings.mcu,
            target=settings.target,
            timing_model=machine.timing_model,
            code=code,
        )
        port = DebugPort(ids_of(part), machine)
        service = Service(machine, port, asdict(record), console.drop_input, probe, faults)
        faults.cut_power, faults.give_power = service.power_off, service.power_on
        loop = EventLoop(machine, service, console, listener, settings.idle_timeout_s)
        stack.callback(loop.close)
        registry.write_record(record)
        stack.callback(registry.remove_record, settings.uid)
        on_ready()
        loop.run(stop)


@contextmanager
def _board_lock(uid: str) -> Iterator[None]:
    lock = registry.take_lock(uid, tries=_LOCK_TRIES)
    if lock is None:
        raise AlreadyRunningError(f"a daemon for {uid} runs already")
    try:
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        registry.sweep(uid)
        yield
    finally:
        os.close(lock)


@contextmanager
def _stop_signals() -> Iterator[socket.socket]:
    """A socket that becomes readable on SIGTERM or SIGINT."""
    inside, outside = socket.socketpair()
    inside.setblocking(False)
    outside.setblocking(False)
    signal.set_wakeup_fd(inside.fileno())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # the wake-up byte is what counts
    try:
        yield outside
    finally:
        signal.set_wakeup_fd(-1)
        inside.close()
        outside.close()


@contextmanager
def _flash_file(uid: str, part: Part) -> Iterator[mmap.mmap]:
    """The board's flash, kept in a file; erased when the file is new or of another part."""
    path = registry.state_file(uid, "flash")
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file:
        if os.fstat(file.fileno()).st_size != part.flash_bytes:
            file.truncate(0)
            file.write(b"\xff" * part.flash_bytes)
            file.flush()
        flash = mmap.mmap(file.fileno(), part.flash_bytes)
    # Not closed: the emulated core maps the same pages until the process ends.
    yield flash
    flash.flush()


@contextmanager
def _listening(uid: str) -> Iterator[socket.socket]:
    """A listening socket in a private directory of its own."""
    try:
        path = registry.make_home(uid) / registry.SOCKET
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as listener:
            listener.bind(str(path))  # OSError if TMPDIR is longer than sun_path allows
            path.chmod(0o600)
            listener.listen()
            listener.setblocking(False)
            yield listener
    finally:
        registry.remove_home(uid)
