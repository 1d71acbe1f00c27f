"""A CModel's hash says whether two libraries are the same."""

from engine.cmodel import files_sha256


def test_hash_ignores_the_order_of_files():
    assert files_sha256({"a.c": "1", "b.c": "2"}) == files_sha256({"b.c": "2", "a.c": "1"})


def test_hash_sees_names_texts_and_where_they_end():
    variants = [
        {"a.c": "12", "b.c": ""},
        {"a.c": "1", "b.c": "2"},
        {"a.c": "1"},
        {"a.c1": ""},
        {"c.c": "1"},
    ]
    assert len({files_sha256(files) for files in variants}) == len(variants)
