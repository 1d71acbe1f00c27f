"""The event loop of a virtual board: its core, its clients, its console, on one thread.

One thread does everything, so nothing needs a lock: it runs the core for a slice, answers whoever
asked something, moves the console's bytes, and sleeps when the core waits or is halted.
"""

from __future__ import annotations

import os
import selectors
import socket
import struct
import time

from farm.virtual.console import Console
from farm.virtual.machine import Machine
from farm.virtual.rpc import MAX_PAYLOAD_BYTES, ProtocolError, take_request
from farm.virtual.service import Caller, Service

_SLICE_S = 0.002  # how long a client or the console waits at most for the core
_SLICE_START_CYCLES = 100_000
_SLICE_MAX_CYCLES = 20_000_000
_NAP_S = 0.05  # how soon a core that begins to wait looks at its own timers again
_REST_S = 1.0
_QUIET_S = 120.0  # after this long unused, a busy core gets a slice a nap and no more
_CLIENT_LIMIT = 16


class Connection:
    """One client's socket with what came in and what has not gone out yet."""

    def __init__(self, sock: socket.socket, pid: int) -> None:
        self.socket = sock
        self.caller = Caller(pid)
        self._inbox = bytearray()
        self._outbox = bytearray()
        self.held_until_s = 0.0  # a slow probe keeps its reply so long, by time.monotonic()

    def receive_if_due(self) -> bool:
        """Take what has arrived, unless replies wait to go out; False when the client hung up."""
        if self._outbox:
            return True
        try:
            data = self.socket.recv(MAX_PAYLOAD_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._inbox += data
        return bool(data)

    def serve(self, service: Service) -> None:
        """Answer what is complete; a client that does not read its replies is not served on."""
        self.send()
        while not self._outbox and (request := take_request(self._inbox)) is not None:
            self._outbox += service.answer(request, self.caller).encode()
            self.held_until_s = time.monotonic() + service.delay_s(request.op)
            self.send()

    def send(self) -> None:
        """Hand waiting replies to the socket."""
        if self._outbox and not self.is_held:
            try:
                del self._outbox[: self.socket.send(self._outbox)]
            except BlockingIOError:
                return

    @property
    def is_held(self) -> bool:
        """Whether a reply has to wait."""
        return bool(self._outbox) and time.monotonic() < self.held_until_s

    @property
    def events(self) -> int:
        """What to wait for: room for replies first, else requests."""
        return selectors.EVENT_WRITE if self._outbox else selectors.EVENT_READ


class EventLoop:
    """The event loop over a machine, its service, its console and its clients."""

    def __init__(
        self,
        machine: Machine,
        service: Service,
        console: Console,
        listener: socket.socket,
        idle_timeout_s: float,
    ) -> None:
        self._machine = machine
        self._service = service
        self._console = console
        self._listener = listener
        self._idle_timeout_s = idle_timeout_s
        self._last_use_s = time.monotonic()
        self._budget_cycles = _SLICE_START_CYCLES
        self._nap_s = _NAP_S  # longer and longer while nothing happens
        self._connections = 0
        self._held: list[Connection] = []
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._console_events = 0
        self._console_moves = False  # the receiver took some input and more is waiting

    def run(self, stop: socket.socket) -> None:
        """Serve until `stop` becomes readable, a client says so, or nobody came for too long."""
        self._selector.register(stop, selectors.EVENT_READ)
        while not self._service.stopping:
            self._watch_console()
            ready = [key for key, _ in self._selector.select(self._patience_s())]
            if any(key.fileobj is stop for key in ready):
                return
            waits = self._machine.idle and not ready
            self._nap_s = min(2 * self._nap_s, _REST_S) if waits else _NAP_S
            self._handle(ready)
            self._service.settle()
            self._feed_console(any(key.fileobj is self._console for key in ready))
            self._run_core()
            self._service.settle()
            self._drain_console()
            if self._forgotten():
                return

    def close(self) -> None:
        """Hang up on every client."""
        self._release_held(anyway=True)
        for connection in self._all_connections():
            self._drop(connection)
        self._selector.close()

    def _handle(self, ready: list[selectors.SelectorKey]) -> None:
        if any(key.fileobj is self._listener for key in ready):
            self._accept()
        connections = [key.data for key in ready if isinstance(key.data, Connection)]
        connections += self._release_held()
        if connections:
            self._last_use_s = time.monotonic()
        # Whoever hung up comes first, so that the next to claim the debug port finds it free,
        # even when the news of it came a moment after the claim.
        others = self._all_connections() if connections and self._connections > 1 else []
        heard = [(each, each.receive_if_due()) for each in dict.fromkeys((*connections, *others))]
        for connection, alive in sorted(heard, key=lambda each: each[1]):
            self._serve(connection, alive)

    def _all_connections(self) -> list[Connection]:
        keys = self._selector.get_map().values()
        return [key.data for key in keys if isinstance(key.data, Connection)]

    def _patience_s(self) -> float:
        running = self._machine.state == "running" and self._service.runs
        if running and (self._console_moves or not (self._machine.idle or self._unwatched())):
            return 0.0
        dues = [self._console.due_s, self._service.due_s, *(c.held_until_s for c in self._held)]
        left = (due_s - time.monotonic() for due_s in dues if due_s is not None)
        return max(0.0, min([self._nap_s if running else _REST_S, *left]))

    def _release_held(self, *, anyway: bool = False) -> list[Connection]:
        """Watch the connections again whose replies a slow probe has kept long enough."""
        free = [each for each in self._held if anyway or not each.is_held]
        self._held = [each for each in self._held if each not in free]
        for connection in free:
            self._selector.register(connection.socket, connection.events, connection)
        return free

    def _run_core(self) -> None:
        if self._machine.state != "running" or not self._service.powered:
            self._budget_cycles = _SLICE_START_CYCLES  # what runs next may be slower
            return
        before_cycles, before_s = self._machine.cycles, time.perf_counter()
        self._machine.run(self._budget_cycles)
        took_s = time.perf_counter() - before_s
        ran_cycles = self._machine.cycles - before_cycles
        if took_s > _SLICE_S or (took_s > 0 and ran_cycles >= self._budget_cycles // 2):
            wanted = int(ran_cycles * _SLICE_S / took_s)
            self._budget_cycles = max(1000, min(wanted, _SLICE_MAX_CYCLES))

    def _watch_console(self) -> None:
        """Read the terminal only while the receiver has taken everything so far."""
        events = 0 if self._console.has_input else selectors.EVENT_READ
        events |= selectors.EVENT_WRITE if self._console.has_output else 0
        if events == self._console_events:
            return
        if self._console_events:
            self._selector.unregister(self._console)
        if events:
            self._selector.register(self._console, events)
        self._console_events = events

    def _feed_console(self, readable: bool) -> None:
        accepted = self._console.feed(self._deliver, readable)
        self._console_moves = bool(accepted) and self._console.has_input
        if accepted:
            self._last_use_s = time.monotonic()

    def _deliver(self, data: bytes) -> int:
        """The host's bytes to the receiver; without power they are lost."""
        if not self._service.powered:
            return len(data)
        taken = self._machine.uart_in(self._service.receivable(data))
        self._service.received(taken)
        return taken

    def _drain_console(self) -> None:
        if self._console.flush():
            self._last_use_s = time.monotonic()

    def _unwatched(self) -> bool:
        return self._unused_s() > _QUIET_S

    def _forgotten(self) -> bool:
        return self._unused_s() > self._idle_timeout_s

    def _unused_s(self) -> float:
        return 0.0 if self._connections else time.monotonic() - self._last_use_s

    def _accept(self) -> None:
        sock, _ = self._listener.accept()
        pid, user, _ = struct.unpack(
            "3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        )
        if user != os.getuid() or self._connections >= _CLIENT_LIMIT:
            sock.close()
            return
        sock.setblocking(False)
        self._connections += 1
        self._selector.register(sock, selectors.EVENT_READ, Connection(sock, pid))

    def _serve(self, connection: Connection, alive: bool) -> None:
        try:
            connection.serve(self._service)
        except (ProtocolError, OSError):
            alive = False
        if alive and connection.is_held:
            self._selector.unregister(connection.socket)
            self._held.append(connection)
        elif alive:
            self._selector.modify(connection.socket, connection.events, connection)
        else:
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        self._selector.unregister(connection.socket)
        connection.socket.close()
        self._connections -= 1
        self._service.hung_up(connection.caller)
