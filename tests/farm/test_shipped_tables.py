"""Our own tables mean the same to libyaml and to the parser in Python."""

from pathlib import Path

import pytest
import yaml

from farm import mcus
from farm.shipped_tables import load_table

TABLES = sorted(Path(mcus.__file__).parents[1].glob("*/**/*.yaml"))


@pytest.mark.parametrize("path", TABLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_table_is_read_as_the_parser_in_python_reads_it(path: Path) -> None:
    assert load_table(path) == yaml.safe_load(path.read_bytes())


def test_what_is_no_yaml_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    for text in (b"a: [", b"\xff", b"!!python/object/apply:os.system ['true']"):
        path.write_bytes(text)
        with pytest.raises(yaml.YAMLError):
            load_table(path)
