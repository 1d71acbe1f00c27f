"""The rack as Prometheus metrics, made anew at each scrape from what is on disk.

Counters come from the results database, so they go on over restarts of this process.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from farm.errors import FarmError
from farm.overview import BoardNow, Overview, overview
from farm.rack.board import Board
from farm.rack.inventory import Rack
from farm.store import Store

_LOG = logging.getLogger(__name__)
STATUSES = ("free", "busy", "hung", "quarantined", "maintenance", "retired")
_WHO = ("board", "board_type", "virtual")


class RackCollector(Collector):
    """Asks leases and store when Prometheus asks."""

    def __init__(self, rack: Rack, boards: Sequence[Board], store: str | None) -> None:
        self._rack, self._boards, self._store = rack, boards, store

    def collect(self) -> Iterator[Metric]:
        """Every metric; `tinyrack_up` alone, and a line in the log, when a read fails."""
        up = GaugeMetricFamily("tinyrack_up", "1: leases and results can be read")
        try:
            found = self._read()
        except FarmError as error:
            _LOG.error("nothing is told to Prometheus: %s", error)
            found = []
        up.add_metric((), float(bool(found)))
        yield from (up, *found)

    def _read(self) -> list[Metric]:
        with Store(self._store, rack=self._rack) as store:
            now = overview(self._boards, store)
            return [*_of_boards(now), *_of_desks(now), *_of_store(store)]


def registry_of(rack: Rack, boards: Sequence[Board], store: str | None = None) -> CollectorRegistry:
    """A registry with the rack alone in it; store: another one than the rack's."""
    registry = CollectorRegistry()
    registry.register(RackCollector(rack, boards, store))
    return registry


def _of_boards(now: Overview) -> Iterator[Metric]:
    status = GaugeMetricFamily(
        "tinyrack_board_status", "1 for the status that the board has", labels=(*_WHO, "status")
    )
    held = GaugeMetricFamily("tinyrack_lease_age_seconds", "How long it is held", labels=_WHO)
    waiting = GaugeMetricFamily("tinyrack_board_waiting", "How many wait for it", labels=_WHO)
    golden = GaugeMetricFamily(
        "tinyrack_golden_ok", "1: the last golden run was right", labels=_WHO
    )
    cycles = GaugeMetricFamily("tinyrack_golden_cycles", "Of its last golden run", labels=_WHO)
    worn = GaugeMetricFamily("tinyrack_flash_worn_ratio", "1: all its rated erases", labels=_WHO)
    for each in now.boards:
        who = _who(each)
        for name in STATUSES:
            status.add_metric((*who, name), float(each.status == name))
        held.add_metric(who, each.holder.seconds if each.holder else 0.0)
        waiting.add_metric(who, each.waiting)
        worn.add_metric(who, each.worn_percent / 100)
        if each.golden is not None:
            golden.add_metric(who, float(each.golden.ok))
            cycles.add_metric(who, each.golden.cycles or 0)
    yield from (status, held, waiting, golden, cycles, worn)


def _of_desks(now: Overview) -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "tinyrack_manager_jobs", "Jobs of a manager at work", labels=("pid", "user", "state")
    )
    for desk in now.desks:
        for state, count in desk.facts.items():
            family.add_metric((str(desk.pid), desk.user, state), count)
    yield family


def _of_store(store: Store) -> Iterator[Metric]:
    rows: dict[tuple[str, ...], float] = defaultdict(float)
    flash_s: dict[tuple[str, ...], float] = defaultdict(float)
    job_s: dict[tuple[str, ...], float] = defaultdict(float)
    rungs: dict[tuple[str, ...], float] = defaultdict(float)
    for row in store.measured():
        kind = "yes" if row.virtual else "no"
        rows[row.board, kind, row.status] += row.rows
        flash_s[row.board, kind] += row.flash_s
        job_s[row.board, kind] += row.job_s
    for climbed in store.recovered():
        rungs[climbed.board, climbed.rung, climbed.outcome] += climbed.rows
    place = ("board", "virtual")
    yield _counter("tinyrack_measurements", "Rows stored", (*place, "status"), rows)
    yield _counter("tinyrack_recoveries", "Rungs climbed", ("board", "rung", "outcome"), rungs)
    yield _counter("tinyrack_flash_seconds", "Time spent flashing", place, flash_s)
    yield _counter("tinyrack_job_seconds", "Time spent on jobs", place, job_s)


def _counter(
    name: str, text: str, labels: Sequence[str], counts: Mapping[tuple[str, ...], float]
) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in sorted(counts.items()):
        family.add_metric(values, count)
    return family


def _who(each: BoardNow) -> tuple[str, str, str]:
    return each.board.id, each.board.type.name, "yes" if each.board.virtual else "no"
