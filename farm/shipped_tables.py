"""The YAML tables that come with the package, read by libyaml where PyYAML has it.

Every process of the farm reads some, and the parser in Python takes 10 ms for each. Not for files
of users: libyaml recurses without a bound, so one that is nested deeply would end the process.
"""

from pathlib import Path
from typing import Any

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_table(path: Path) -> Any:
    """The content of one file of ours; yaml.YAMLError when it is no YAML."""
    loader = _LOADER(path.read_bytes())
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()
