"""What the pytest plug-in does once a test needs a board."""

import importlib
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.emit import emit
from engine.graph import Graph
from farm.board_worker import DEFAULT_RUNNER
from farm.errors import InventoryError, NoBoardError
from farm.job import Event
from farm.leases.lease import refuse_quarantined
from farm.manager import BoardManager, Job
from farm.measure import Measurement
from farm.model_file import Inputs, expected_output, input_bytes, load_input
from farm.plugin import facts as pytest_facts
from farm.plugin.choices import meant, selection
from farm.plugin.console import Recorder, recorded
from farm.plugin.keeper import LENT_PRIORITY, Keeper
from farm.plugin.options import setting_of
from farm.plugin.tally import Tally
from farm.plugin.wishes import Wish
from farm.rack.inventory import Board, Rack
from farm.scheduling.crew import Threads


@dataclass
class Use:
    """What the test that runs now holds and did."""

    boards: tuple[Board, ...] = ()
    properties: list[tuple[str, object]] = field(default_factory=list)
    consoles: list[Recorder] = field(default_factory=list)
    counted: set[str] = field(default_factory=set)


class Bench:
    """The boards of one pytest process; what it holds goes back with `close`."""

    def __init__(self, config: pytest.Config, tally: Tally) -> None:
        self._config, self._tally = config, tally
        self._keeper: Keeper | None = None
        self._farm: BoardManager | None = None
        self.used = Use()

    def close(self) -> None:
        """Give everything back."""
        self._let_go()
        if self._farm is not None:
            self._farm.close()
            self._farm = None

    def begin(self) -> None:
        """A new test has used nothing yet."""
        self.used = Use()

    # Which boards there are.

    def selection(self) -> tuple[Rack, tuple[Board, ...]]:
        """The rack and the selected boards; skips or fails the test when there are none."""
        try:
            return selection(self._config)
        except NoBoardError as error:
            self.give_up(str(error))

    def able(self, wish: Wish) -> list[Board]:
        """The boards in service that a wish can have; skips or fails the test for too few."""
        rack, boards = self.selection()
        try:
            matching = meant(rack, boards, wish)
        except NoBoardError as error:
            self.give_up(str(error))
        able = [board for board in matching if _in_service(board)]
        if len(able) < wish.count:
            among = (
                f"{wish.selector or 'any'!r} among --boards {setting_of(self._config, 'boards')}"
            )
            out = f", {len(matching) - len(able)} of them out of service" if matching else ""
            self.give_up(
                f"the test needs {wish.count} boards matching {among}; {len(matching)} there{out}"
            )
        _refuse_mixed(able)
        return able

    def give_up(self, reason: str) -> NoReturn:
        """Skip the test, or end it as an error of the bench."""
        if setting_of(self._config, "boards-required"):
            raise NoBoardError(reason)
        pytest.skip(reason)

    # What a test holds.

    @contextmanager
    def held(self, wish: Wish) -> Iterator[tuple[Board, ...]]:
        """Hold the boards of a wish for one test; they are kept for the next that wants them."""
        able = self.able(wish)
        keeper = self._kept(able, wish.count) or self._taken(able, wish.count)
        self.used.boards = keeper.boards
        self.used.properties += pytest_facts.of_boards(keeper.boards, keeper.tokens)
        began_s = time.monotonic()
        try:
            yield keeper.boards
            keeper.check()
        finally:
            for board in keeper.boards:
                counts = self._tally.of(board.id)
                counts.tests += 1
                counts.seconds += time.monotonic() - began_s
            keeper.use(now=False)

    def _kept(self, able: Sequence[Board], count: int) -> Keeper | None:
        """The boards of the last test, if they will do."""
        keeper = self._keeper
        fits = keeper is not None and len(keeper.boards) == count
        if keeper is not None and fits and {b.id for b in keeper.boards} <= {b.id for b in able}:
            return keeper if keeper.use(now=True) else None
        return None

    def _taken(self, able: Sequence[Board], count: int) -> Keeper:
        self._let_go()
        keeper = Keeper(able, count, setting_of(self._config, "board-timeout")).ready()
        self._keeper = keeper
        for board in keeper.boards:
            self._config.hook.pytest_farm_board_acquired(
                config=self._config, board=board, token=keeper.tokens[board.id]
            )
        return keeper

    def _let_go(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.close()
            for board in keeper.boards:
                self._config.hook.pytest_farm_board_released(config=self._config, board=board)

    @contextmanager
    def console(self, board: Board) -> Iterator[Recorder]:
        """The board's console; what it said is shown when the test fails."""
        with recorded(board) as port:
            self.used.consoles.append(port)
            yield port

    # What a test measures.

    def farm(self) -> BoardManager:
        """The BoardManager over the selected boards, made when it is first asked for."""
        if self._farm is None:
            # Not left to a driver's thread: pytest parses what is imported, to rewrite asserts, and
            # in CPython 3.11 ast.parse() can fail when two threads are in it (gh-106905).
            importlib.import_module("farm.ladder.recovery")
            rack, boards = self.selection()
            checked = setting_of(self._config, "golden") == "auto"
            runner: str | Threads = DEFAULT_RUNNER if checked else Threads(DEFAULT_RUNNER)
            self._farm = BoardManager(
                rack,
                boards,
                wait_s=setting_of(self._config, "board-timeout"),
                retries=setting_of(self._config, "board-retries"),
                progress=self._note,
                runner=runner,
            )
        return self._farm

    def measure(
        self,
        graph: Graph,
        x: NDArray[np.int8] | Inputs | None = None,
        *,
        board_type: str | None = None,
        on: str = "",
        repeats: int = 5,
    ) -> Measurement:
        """One Measurement of a network, now: see the fixture `measure`."""
        farm = self.farm()
        if not on:
            on = self._own(board_type)
        given = {graph.input: x.astype(np.int8)} if isinstance(x, np.ndarray) else x
        inputs = load_input(graph, None, 0) if given is None else given
        io = (input_bytes(graph, inputs), expected_output(graph, inputs))
        job = Job(graph.name, emit(graph), board_type or _type_of(farm, on), *io, repeats)
        with ExitStack() as stack:
            held = on in [board.id for board in self.used.boards]
            if held and self._keeper is not None:
                stack.enter_context(self._keeper.lent(setting_of(self._config, "board-timeout")))
            priority = LENT_PRIORITY if held else 0
            future = farm.submit(job, again=True, on=on, priority=priority)
            m = future.result()  # bounded by the manager's deadlines
        self._count(m, held=held)
        return m

    def _own(self, board_type: str | None) -> str:
        """A board that the test holds, of that type if one is asked for: no other is waited for."""
        own = (b.id for b in self.used.boards if board_type in (None, b.type.name))
        return next(own, "")

    def _count(self, m: Measurement, *, held: bool) -> None:
        self.used.properties += pytest_facts.of_measurement(m)
        counts = self._tally.of(m.board)
        counts.measurements += 1
        counts.cycles += sum(m.samples)
        if not held:
            known = self.used.counted.union(board.id for board in self.used.boards)
            counts.tests += m.board not in known
            self.used.counted.add(m.board)
            counts.seconds += float(m.provenance.get("job_s", 0.0))

    def _note(self, event: Event) -> None:
        """Count what the manager tells, from its threads."""
        if event.kind == "retried":
            self._tally.of(event.board).retries += 1
        elif event.kind == "recovered":
            self._tally.of(event.board).rungs += 1
        elif event.kind == "aside" and "quarantined" in event.detail:
            self._config.hook.pytest_farm_board_quarantined(
                config=self._config, board_id=event.board, why=event.detail
            )

    def sections(self) -> list[tuple[str, str]]:
        """What to show with the failure of the test that runs now."""
        used, keeper = self.used, self._keeper
        own = keeper is not None and keeper.serves
        return list(
            pytest_facts.sections(
                used.boards, used.properties, self._farm, used.consoles, listening=own
            )
        )


def _type_of(farm: BoardManager, board_id: str) -> str:
    boards = [board for board in farm.boards if board_id in ("", board.id)]
    return (boards or farm.boards)[0].type.name


def _refuse_mixed(boards: Sequence[Board]) -> None:
    """A test that would be on silicon or not, by which board is free, says nothing."""
    kinds = [[b.id for b in boards if b.virtual is virtual] for virtual in (False, True)]
    if all(kinds):
        real, virtual = map(", ".join, kinds)
        raise InventoryError(
            f"the test could have a real board ({real}) or a virtual one ({virtual}); name one "
            "kind by --boards or by its marker"
        )


def _in_service(board: Board) -> bool:
    try:
        refuse_quarantined(board)
    except NoBoardError:
        return False
    return True
