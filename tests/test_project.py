"""What holds for the project as a whole: its walls, its settings and its documents."""

import ast
import functools
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALLOWED = {"engine": {"engine"}, "farm": {"farm", "engine"}, "nas": {"nas", "farm", "engine"}}
NEEDS_NAS_EXTRA = {"torch", "scipy", "sklearn", "PIL", "matplotlib", "jinja2"}
DOCUMENT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


@functools.cache
def imported(path: Path) -> frozenset[str]:
    """Top-level packages that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return frozenset(names)


@pytest.mark.parametrize("package", ALLOWED)
def test_dependencies_point_one_way(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        ours = imported(path) & ALLOWED.keys()
        assert ours <= ALLOWED[package], path


@pytest.mark.parametrize("package", ["engine", "farm"])
def test_a_rack_host_needs_no_packages_of_the_search(package: str) -> None:
    for path in sorted((ROOT / package).rglob("*.py")):
        assert not imported(path) & NEEDS_NAS_EXTRA, path


def test_nothing_is_pickled() -> None:
    for package in ALLOWED:
        for path in sorted((ROOT / package).rglob("*.py")):
            assert not imported(path) & {"pickle", "shelve", "marshal", "dill"}, path


def test_every_dependency_is_pinned_and_says_why() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    extras = project["optional-dependencies"]
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower().replace("_", "-")
    for wanted in [
        *project["dependencies"],
        *(each for extra in extras.values() for each in extra),
    ]:
        name = re.split(r"[<>=\[]", wanted)[0]
        if name == project["name"]:
            continue  # other extras of our own
        assert re.search(rf"^{re.escape(name.lower())}==", pins, re.MULTILINE), name
        line = next(line for line in text.splitlines() if f'"{wanted}"' in line)
        assert len(line.split("#", 1)[1].split()) >= 3, line


def test_the_architecture_names_files_that_exist() -> None:
    names = set(re.findall(r"`([a-z_/]+\.(?:py|c|h|yaml|html))`", DOCUMENT))
    assert len(names) > 50
    known = [path.relative_to(ROOT).as_posix() for path in sources()]
    made = {"model.c", "model.h", "report.html", "config.json"}  # what a search writes
    for name in sorted(names - made):
        assert any(path == name or path.endswith(f"/{name}") for path in known), name


def test_the_architecture_names_functions_that_exist() -> None:
    names = set(re.findall(r"`(?:[A-Z]\w+\.)?([a-z_]+)\(\)`", DOCUMENT))
    assert len(names) > 40
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources())
    known = set(re.findall(r"\b(\w+) *[(=:]", code))
    assert sorted(names - known) == []


def sources() -> list[Path]:
    """Every file of the packages that a person wrote."""
    kinds = {".py", ".c", ".h", ".yaml", ".html"}
    found = [path for package in ALLOWED for path in (ROOT / package).rglob("*")]
    return [ROOT / "boards.yaml", ROOT / "noxfile.py", *(p for p in found if p.suffix in kinds)]
