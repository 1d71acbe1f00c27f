"""Results of a lease that somebody else has had since are refused."""

import pytest

from farm.errors import BenchError, FencedError
from farm.leases.fencing import Fence
from farm.store import Store


def test_an_older_lease_stores_nothing(store, measurement):
    store.announce(Fence("u", 5))
    with pytest.raises(FencedError, match=r"a newer lease of f412-01 \(token 5\) exists; .* not"):
        store.add(measurement(), fence=Fence("u", 4))
    assert store.all() == []
    assert store.entries() == []


def test_the_lease_itself_and_newer_ones_store(store, measurement):
    store.announce(Fence("u", 5))
    assert store.add(measurement(), fence=Fence("u", 5)) == 1
    assert store.add(measurement(), fence=Fence("u", 9)) == 2


def test_a_stored_result_is_an_announcement_too(store, measurement):
    store.add(measurement(), fence=Fence("u", 7))
    with pytest.raises(BenchError):
        store.add(measurement(), fence=Fence("u", 6))


def test_a_late_announcement_of_an_old_lease_changes_nothing(store, measurement):
    store.announce(Fence("u", 5))
    store.announce(Fence("u", 3))
    with pytest.raises(FencedError):
        store.add(measurement(), fence=Fence("u", 4))


def test_probes_have_fences_of_their_own(store, measurement):
    store.announce(Fence("u", 5))
    store.add(measurement(), fence=Fence("v", 1))
    assert len(store.all()) == 1


def test_another_process_sees_the_fence(where, measurement):
    with Store(where) as one, Store(where) as other:
        one.announce(Fence("u", 2))
        with pytest.raises(FencedError):
            other.add(measurement(), fence=Fence("u", 1))
