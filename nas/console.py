"""Progress on standard error: a bar for each stage, plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from farm.job import Event

Advance = Callable[[str], None]
QUIET_S = 15.0  # without a terminal, a stage that takes longer says where it is


class Stages:
    """Shows the stages of a long job, one below the other; a context manager."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Advance]:
        """A bar of `total` steps; call what it gives at each step, with a few words."""
        task = self._progress.add_task(name, total=total, note="")
        started_s = told_s = time.monotonic()
        last = ""

        def advance(note: str) -> None:
            nonlocal last, told_s
            last = note
            self._progress.update(task, advance=1, note=note)
            bar = self._progress.tasks[task]
            if bar.total is not None and bar.completed > bar.total:  # a second attempt, say
                self._progress.update(task, total=bar.completed)
            if not self.console.is_terminal and time.monotonic() - told_s >= QUIET_S:
                told_s = time.monotonic()
                self.say(f"{name}: {bar.completed:.0f} of {bar.total:.0f}, {escape(note)}")

        yield advance
        task_total = self._progress.tasks[task].total
        self._progress.update(task, completed=task_total)
        if not self.console.is_terminal:
            seconds = time.monotonic() - started_s
            self.say(f"{name}: {escape(last or 'done')} ({seconds:.1f} s)")

    @contextmanager
    def counted(self, name: str) -> Iterator[Callable[[int, int, str], None]]:
        """A bar for work that says itself how far it is: (done, total, words)."""
        with self.stage(name, 1) as advance:
            last = 0

            def progress(done: int, total: int, words: str) -> None:
                nonlocal last
                last = done
                self._progress.update(self._progress.task_ids[-1], total=total, completed=done - 1)
                advance(words)

            yield progress
            advance(f"{last} done")

    def event(self, event: Event) -> None:
        """Show what the boards do, beside the bar of the stage that waits for them."""
        if event.kind == "retried":
            self.say(f"again: {escape(event.job)}: {escape(event.detail)}")
        elif event.kind == "stage" and self._progress.task_ids:
            note = escape(f"{event.board}: {event.detail}")
            self._progress.update(self._progress.task_ids[-1], note=note)

    def say(self, line: str) -> None:
        """One line above the bars."""
        self.console.print(line, highlight=False, soft_wrap=True)
