"""An emulated microcontroller: core, memories, peripherals and debug registers.

Everything is called from one thread. Cycles depend on the executed code alone: not on how the run
is sliced, on the speed of this computer, or on what ran before.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable

from farm.virtual import scs as regs
from farm.virtual.bus import Bus, BusFault, BusFaultError
from farm.virtual.code import Code
from farm.virtual.core import Core
from farm.virtual.debug_control import DebugControl, State
from farm.virtual.debug_parts import BreakpointUnit
from farm.virtual.divisions import Divisions
from farm.virtual.dwt import Dwt
from farm.virtual.exception_native import NativeExceptions
from farm.virtual.exceptions import Exceptions
from farm.virtual.execution import Runner
from farm.virtual.faults_core import CoreFaults
from farm.virtual.fence import Fence
from farm.virtual.hook import NEVER, Edge, EdgeHook
from farm.virtual.line_rate import as_received
from farm.virtual.memory_timing import MemoryTiming
from farm.virtual.nvic import Nvic, SysTick
from farm.virtual.parts import Part
from farm.virtual.peripherals import Peripherals
from farm.virtual.ppb import PrivateBus, add_components
from farm.virtual.pricing import Pricer, load_model
from farm.virtual.protection import Protection
from farm.virtual.sleep import Sleep
from farm.virtual.stops import Stops
from farm.virtual.strict import Strict
from farm.virtual.traps import Traps
from farm.virtual.watchpoints import Watchpoints

__all__ = ["BusFault", "BusFaultError", "Machine"]

_SLICE_HALFWORDS = 1_000_000  # some milliseconds on a desktop computer
_IDLE_READS = 64  # empty status reads in a row that end a slice
_POLL_BLOCKS = 16  # blocks per empty status read up to which a slice only polled


class Machine:
    """One board's microcontroller.

    `flash` holds the cells and is changed in place; `on_uart` gets what the console sends;
    `ram_seed` fills RAM at power-up. `native_hook=False` counts in Python: same cycles, slower.
    """

    def __init__(
        self,
        part: Part,
        flash: bytearray | mmap.mmap,
        on_uart: Callable[[bytes], None],
        ram_seed: int = 0,
        native_hook: bool = True,
    ) -> None:
        if len(flash) != part.flash_bytes:
            raise ValueError(
                f"{part.name} has {part.flash_bytes} bytes of flash, not {len(flash)}."
            )
        self.part = part
        self.idle = False  # the last slice only waited for input
        self._ram_seed, self._power_ups = ram_seed, 0
        self._polled_at = 0  # the block count when polling was last judged
        self._protect = True  # the protection unit or the watchpoints have changed
        self._bus = Bus(self._code_changes)
        self._core = Core(part.core, self._read_frame, self._write_frame)
        model = load_model(part.timing_model)
        self.host_baud: Callable[[], float] = lambda: 0.0  # of the console's other end; 0: any
        self._on_uart = on_uart
        self._hook = EdgeHook(self._core.uc, self._price, self._sent, native_hook)
        self._counters = self._hook.counters
        self._counters.idle_limit = _IDLE_READS
        self.faults = CoreFaults(self._counters)
        self._nvic = Nvic(part.irq_count, self._hook, self._core)
        self._systick = SysTick(self._hook, self._nvic)
        self._scs = regs.SystemControl(part, self._nvic, self._systick, self)
        cycles = model.table["exception"]
        self._exceptions = Exceptions(
            self._core, self._nvic, self._systick, self._scs, self._hook, self._word, cycles
        )
        self._sleep = Sleep(self._core, self._nvic, self._scs)
        debugged = (self._core, self._scs, self._nvic, self._exceptions, self._sleep, self._hook)
        self._debug = DebugControl(*debugged)
        self._exceptions.on_lockup = self._debug.lock_up
        self._exceptions.on_entry = self._debug.exception_enters
        self._shut = False  # flash is taken away: its wait states are too few for the clock
        self._peripherals = Peripherals(
            part, flash, self._hook, self._nvic, self._flash_changes, self._wake
        )
        self.flash, self.clocks = self._peripherals.flash, self._peripherals.clocks
        self.memory = MemoryTiming(model, part, self._core, self._bus, self._peripherals, self._scs)
        self._fpb = BreakpointUnit(part, self._breakpoints_change)
        self._dwt = Dwt(part, self._now, lambda: self._scs.traced, self._breakpoints_change)
        self._runner = Runner(self._core, self._hook, self._nvic.state, self._bus.fetch)
        self._native = NativeExceptions(
            self._nvic.state, self._hook, self._peripherals.memories, cycles
        )
        self._protection = Protection(
            self._core, self._bus, self._nvic, self._scs.mpu, self._runner
        )
        self._watchpoints = Watchpoints(self._core.uc, self._dwt, self._runner)
        timed = Divisions(self._core, self._hook, model.table.get("division"))
        event, control = self._sleep.send_event, self.protection_changes
        traps = Traps(self._core, self._runner, timed, self._scs, event, control)
        pricer = Pricer(model, self._bus.fetch)
        strict = Strict(self._core, self._hook, self._runner, pricer, self._bus.fetch)
        self._code = Code(
            part, pricer, self._hook, traps, strict, self._runner, self._scs, self.memory
        )
        parts = (self._core, self._hook, self._runner, self._code, self._exceptions)
        self._stops = Stops(*parts, self._protection, self._watchpoints, self._debug)
        self._fence = Fence(self._core.uc, self._bus, self._runner, part.rams)
        private = PrivateBus(self._core, self._scs, self._protection)
        for guard in (self._protection, self._watchpoints, private):
            self._fence.add(guard)
        self._connect()
        self.power_cycle()

    def _connect(self) -> None:
        """Everything on the bus, and the bus in front of the core."""
        self._peripherals.put_on(self._bus)
        add_components(self._bus, self.part, self._scs, self._dwt, self._fpb)
        self._bus.map(self._core.uc, self._native.map_control)
        self._peripherals.attach(self._core.uc)

    # -- what the outside does -------------------------------------------------------------

    @property
    def state(self) -> State:
        """Whether the core runs."""
        return self._debug.state

    @property
    def cycles(self) -> int:
        """Core cycles since power-up."""
        return int(self._counters.cycles)

    @property
    def instructions(self) -> int:
        """Instructions retired since power-up, those that an IT block skips included."""
        return int(self._counters.instructions)

    @property
    def baud(self) -> float:
        """Bits a second of the console by its clock and its divisor; 0 when that is not set."""
        return self._peripherals.usart.baud(self.clocks.console_hz())

    @property
    def timing_model(self) -> str:
        """The version of the cycle table."""
        return self.part.timing_model

    @property
    def native(self) -> bool:
        """Whether the native hook counts."""
        return self._hook.native

    def power_cycle(self) -> None:
        """Everything lost but flash; RAM holds noise."""
        self._power_ups += 1
        self._peripherals.fill_rams(f"{self._ram_seed} {self._power_ups}")
        self._in_reset = False
        self._debug.power_up()
        self._fpb.power_up()
        self._dwt.power_up()
        self._counters.cycles = self._counters.instructions = 0
        self.memory.power_up()
        self.system_reset()

    def system_reset(self) -> None:
        """Core and peripherals as after reset; debug registers and RAM stay."""
        self._hook.flush_sent()
        for part in (self._nvic, self._systick, self._scs, self._peripherals, self.memory):
            part.reset()
        self._reset_wanted = self._skip = self.faults.hung = False
        self._sleep.reset()
        self._protection.reset()
        self._protect = True
        self._code.follow()
        self._code.forget()
        self._core.reset(*(self._word_or_ones(self._scs.vtor + at) for at in (0, 4)))
        self._debug.reset()

    def hold_reset(self, asserted: bool) -> None:
        """Drive nRST: while asserted nothing runs; released, the board starts."""
        self._in_reset, self.clocks.reset_by = asserted, "pin"
        self.system_reset()

    def uart_in(self, data: bytes) -> int:
        """Bytes from the host to the console; how many were taken."""
        self.idle = False
        return self._peripherals.usart.receive(as_received(data, self.host_baud(), self.baud))

    def read(self, address: int, size: int) -> int:
        """A debugger's read of 1, 2 or 4 bytes; BusFault."""
        return self._bus.read(address, size)

    def write(self, address: int, size: int, value: int) -> None:
        """A debugger's write of 1, 2 or 4 bytes; acts at once; BusFault."""
        self._bus.write(address, size, value)

    def read_block(self, address: int, size: int) -> bytes:
        """Bytes of plain memory; BusFault when not all lie in one."""
        return self._bus.fetch(address, size)

    def write_block(self, address: int, data: bytes) -> None:
        """Bytes into plain memory; BusFault when not all lie in one."""
        self._bus.write_block(address, data)

    # -- running ---------------------------------------------------------------------------

    def run(self, budget_cycles: int) -> None:
        """One slice of about `budget_cycles`, some milliseconds at most; ends on halt and idle."""
        c = self._counters
        self.idle = self.faults.hung
        self._debug.leave_lockup()
        if self.state != "running" or self._in_reset:
            return
        c.fuel = min(budget_cycles, _SLICE_HALFWORDS)
        while c.fuel > 0 and self.state == "running" and not self.idle:
            self._advance()
            if c.idle_reads >= _IDLE_READS:
                self.idle = c.blocks - self._polled_at <= _POLL_BLOCKS * c.idle_reads
                c.idle_reads, self._polled_at = 0, c.blocks
        self._hook.flush_sent()

    def _advance(self) -> None:
        """Up to the next stop of the core, and what follows from it."""
        self._counters.stop = 0
        if self.faults.strikes(self.cycles):
            return
        self._follow_clock()
        if self._protect:
            self._protect = False
            self._protection.apply()
            self._code.follow_protection()
            self._fence.apply()
        self._systick.tick(self.cycles)
        if self._exceptions.take_pending():
            self._sleep.asleep = False
        if self.state != "running":
            return
        if self._sleep.asleep and not self._sleep.ends():
            self._pass_time()
            return
        self._arm()
        skip, self._skip = self._skip, False
        self._stops.run(skip)
        if self._reset_wanted:
            self.system_reset()

    def _follow_clock(self) -> None:
        """A core that outruns its voltage locks up; flash that it outruns cannot be read."""
        found = self._peripherals.overrun
        if (found == "flash") is not self._shut:
            self._shut = found == "flash"
            self._peripherals.shut_flash(self._core.uc, self._shut)
            self._runner.stale = True
        if found == "core":
            self.lock_up()

    def _arm(self) -> None:
        """Tell the hook when to stop by itself."""
        c, masks = self._counters, self._core.masks
        self._sleep.asleep, self._debug.retired = False, True
        c.stop = c.attention = 0
        self._nvic.state.alarm = self.faults.alarm_at
        guarded = self._scs.mpu.enabled or self._fence.stands
        self._nvic.state.slow = guarded or self._debug.watches_exceptions
        c.event = min(self._systick.next_event, self.faults.alarm_at)
        c.watch, c.masks[:] = self._nvic.masked(masks), masks

    def _pass_time(self) -> None:
        """Nothing runs until the timer's next tick; without one, until input comes."""
        event = min(self._systick.next_event, self.faults.alarm_at)
        if event == NEVER:
            self.idle = True
        else:
            self._counters.cycles = max(self._counters.cycles, event)
            self._counters.fuel -= 1000

    def lock_up(self) -> None:
        """Let the core lock up, as a fault in the fault handler does."""
        self._debug.lock_up()

    # -- debug registers (scs.Control) ---------------------------------------------------------

    def write_debug_control(self, value: int) -> None:
        """DHCSR: halt, go on, or step."""
        if self._debug.write(value):
            self._breakpoints_change()
        if self._in_reset:
            return
        if self._debug.wants_halt:
            if self.state != "halted":
                self._debug.halt(regs.DFSR_HALTED)
        elif self.state == "halted":
            self._resume()

    def _resume(self) -> None:
        self._debug.resume()
        self._skip = True
        if not self._debug.wants_step:
            return
        self._counters.fuel, self._counters.stop = 1, 0
        able = self.state == "running" and not self.faults.hung
        if able and not self._exceptions.take_pending():
            self._stops.step()
        if self._reset_wanted:
            self.system_reset()
        if self.state != "halted":
            self._debug.halt(regs.DFSR_HALTED)

    def debug_status(self) -> int:
        """DHCSR; S_RESET_ST and S_RETIRE_ST clear when read."""
        return self._debug.status(self._in_reset)

    def transfer_register(self, selector: int, value: int | None) -> int:
        """DCRSR."""
        if value is None:
            return self._core.debug_read(selector)
        self._core.debug_write(selector, value)
        self._counters.prev = self._counters.before = 0
        return value

    def request_reset(self, debugger: bool) -> None:
        """AIRCR.SYSRESETREQ: at once for a debugger, at the next block for firmware."""
        if debugger and not self._runner.active:
            self.system_reset()
            return
        self._reset_wanted = True
        self._counters.stop = 1

    def write_trace_enable(self, value: int) -> None:
        """DEMCR; the cycle counter runs only with TRCENA."""
        self._dwt.follow_trace(lambda: setattr(self._scs, "demcr", value & 0x010D07F1))
        self._breakpoints_change()

    def protection_changes(self) -> None:
        """A register of the MPU was written: it acts from the next block on."""
        self._protect = True
        self._counters.stop = 1

    def checks_change(self) -> None:
        """CCR, SCR or CPACR: caches, or other instructions to be watched."""
        self.memory.update()
        if self._code.follow():
            self._wake()

    def _read_frame(self, address: int, size: int, privileged: bool) -> bytes:
        return self._protection.read(address, size, privileged)

    def _write_frame(self, address: int, data: bytes, privileged: bool) -> None:
        self._protection.write(address, data, privileged)

    # -- helpers of the parts -----------------------------------------------------------------

    def _now(self) -> int:
        """Cycles up to the instruction that asks."""
        return self._stops.reader.now() if self._runner.active else self.cycles

    def _price(self, edge: Edge) -> bool:
        self._native.executes(edge.cur & 0xFFFFFFFF, edge.cur >> 32)
        self.flash.executes(edge.cur & 0xFFFFFFFF)
        return self._code.price(edge)

    def _code_changes(self, address: int, size: int) -> None:
        self._code.changes(address, size)

    def _flash_changes(self, offset: int, size: int) -> None:
        self._code.flash_changes(offset, size)

    def _sent(self, data: bytes) -> None:
        self._on_uart(as_received(data, self.baud, self.host_baud()))

    def _wake(self) -> None:
        self._counters.stop = 1

    def _breakpoints_change(self) -> None:
        """Who is hooked follows FPB, DWT and whether a debugger or the monitor listens."""
        heard = self._debug.heard
        self._runner.set_breakpoints(self._fpb.addresses() if heard else set())
        self._watchpoints.apply(heard)
        self._protect = True
        self._wake()

    def _word(self, address: int) -> int:
        return self._bus.read(address, 4)

    def _word_or_ones(self, address: int) -> int:
        try:
            return self._word(address)
        except BusFault:
            return 0xFFFFFFFF
