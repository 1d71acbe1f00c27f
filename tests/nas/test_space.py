import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import SpaceError
from nas.space import Arch, Block, SearchSpace, Stage, arch_from_json, default_space
from nas.vary import crossover, depth_variants, fitted, mutate, width_variants

SPACE = default_space(16, 1, 10)
SMALL = SearchSpace(1, 3, (8,), 8, (Stage(8, 1, (1, 2)),), 8, (0.5, 1.0), (3, 5), (2,))
seeds = st.integers(0, 2**32 - 1)


def sample(seed, space=SPACE):
    return space.sample(np.random.default_rng(seed))


@given(seeds)
def test_sampled_architectures_are_in_the_space_and_survive_json(seed):
    arch = sample(seed)
    SPACE.check(arch)
    twin = arch_from_json(json.loads(json.dumps(arch.to_json())))
    assert twin == arch
    assert (hash(twin), twin.id) == (hash(arch), arch.id)


@given(seeds, seeds)
def test_changed_architectures_stay_in_the_space(one, two):
    rng = np.random.default_rng(one)
    a, b = sample(one), sample(two)
    SPACE.check(mutate(SPACE, a, rng))
    SPACE.check(crossover(SPACE, a, b, rng))
    for arch in (*depth_variants(SPACE, a), *width_variants(SPACE, a)):
        SPACE.check(arch)


@given(seeds, seeds)
def test_architectures_are_fitted_into_a_narrower_space(one, two):
    best = sample(two)
    narrow = SPACE.narrowed([best.width], [16], [[depth] for depth in best.depths])
    narrow.check(fitted(narrow, sample(one)))
    narrow.check(mutate(narrow, sample(one), np.random.default_rng(two)))
    assert fitted(narrow, best) == best


def test_mutation_reaches_every_gene():
    arch = SPACE.max_arch
    children = [mutate(SPACE, arch, np.random.default_rng(seed), rate=0.0) for seed in range(200)]
    assert any(child.width != arch.width for child in children)
    assert any(child.depths != arch.depths for child in children)
    blocks = {block for child in children for stage in child.stages for block in stage}
    assert {b.kernel for b in blocks} == {3, 5, 7}
    assert {b.expansion for b in blocks} == {3, 4, 6}


def test_count_is_the_number_of_distinct_architectures():
    found = {sample(seed, SMALL).id for seed in range(3000)}
    # 2 widths x (one block: 2 kernels, skip or not; two blocks: that squared)
    assert SMALL.count() == 2 * (4 + 16)
    assert len(found) == SMALL.count()


def test_min_and_max_are_the_ends_of_the_space():
    assert (SPACE.min_arch.width, SPACE.max_arch.width) == (0.25, 1.0)
    assert (SPACE.min_arch.depths, SPACE.max_arch.depths) == ((1, 1), (4, 4))
    SPACE.check(SPACE.min_arch)
    SPACE.check(SPACE.max_arch)


def test_depth_variants_keep_the_genes_of_the_blocks():
    arch = sample(5)
    variants = depth_variants(SPACE, arch)
    assert arch in variants
    assert len(set(variants)) == 16
    for variant in variants:
        for old, new in zip(arch.stages, variant.stages, strict=True):
            shared = min(len(old), len(new))
            assert old[:shared] == new[:shared]


def test_a_skip_over_differing_shapes_does_not_exist():
    assert not SPACE.max_arch.stages[0][0].skip
    stages = ((Block(3, 3, True),), *SPACE.min_arch.stages[1:])
    with pytest.raises(SpaceError, match="skip of stage 0 block 0"):
        SPACE.check(replace(SPACE.min_arch, stages=stages))


@pytest.mark.parametrize(
    ("change", "gene"),
    [({"width": 0.3}, "width"), ({"resolution": 15}, "resolution"), ({"stages": ()}, "stages")],
)
def test_check_names_the_gene(change, gene):
    with pytest.raises(SpaceError, match=gene):
        SPACE.check(replace(SPACE.min_arch, **change))


@pytest.mark.parametrize(
    "change",
    [
        {"widths": ()}, {"widths": (1.0, 0.5)}, {"kernels": (2, 3)}, {"stages": ()},
        {"expansions": (0, 3)}, {"resolutions": (2,)}, {"stages": (Stage(8, 1, (0, 1)),)},
    ],
)  # fmt: skip
def test_malformed_spaces_are_refused(change):
    with pytest.raises(SpaceError):
        replace(SPACE, **change)


@pytest.mark.parametrize("value", [None, [], {}, {"resolution": 8, "width": 1, "stages": [[1]]}])
def test_malformed_architectures_are_refused(value):
    with pytest.raises(SpaceError):
        arch_from_json(value)


def test_channels_are_multiples_of_four():
    assert [SPACE.channels(16, width) for width in (0.25, 0.5, 0.75, 1.0)] == [4, 8, 12, 16]
    assert SPACE.channels(3, 0.1) == 4


def test_equal_genes_make_equal_values():
    block = Block(3, 3, False)
    assert len({Arch(8, 1.0, ((block,),)), Arch(8, 1.0, ((Block(3, 3, False),),))}) == 1
