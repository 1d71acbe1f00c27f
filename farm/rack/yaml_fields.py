"""YAML read key by key through PyYAML's node tree, so that every error has its file and line.

No tag, anchor or alias is accepted and size and depth are bounded, so a hostile file can
neither construct objects nor blow up; values keep the text that the user wrote.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import yaml

from farm.errors import InventoryError

MAX_FILE_BYTES = 256 * 1024
MAX_DEPTH = 12
MAX_TEXT = 256
_TAG = "tag:yaml.org,2002:"
_TRUE = ("true", "yes", "on")
_NO_CHARACTER = re.compile(r"\\U(?!000|0010)[0-9a-f]{8}", re.IGNORECASE)
_KINDS = {
    "str": "text",
    "int": "a whole number",
    "bool": "true or false",
    "float": "a number with a fraction",
    "null": "nothing",
    "timestamp": "a date",
    "map": "a mapping",
    "seq": "a list",
}


def near_miss(word: str, allowed: Iterable[str]) -> str:
    """'; did you mean X?' when one allowed word is close, else nothing."""
    close = difflib.get_close_matches(word, list(allowed), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def load_fields(path: Path, allowed: Sequence[str]) -> "Fields":
    """Return the mapping at the root of the one document in `path`."""
    node = _load(path)
    if node is None:
        needs = f"; it needs {', '.join(allowed)}" if allowed else ""
        raise InventoryError(f"{path}:1: the file is empty{needs}")
    return Fields(path, node, "the file", allowed)


def load_items(path: Path, allowed: Sequence[str], what: str) -> list["Fields"]:
    """Return the mappings of the list at the root of the one document in `path`."""
    node = _load(path)
    if not isinstance(node, yaml.SequenceNode):
        raise InventoryError(f"{path}:1: the file must be a list, not {_kind(node)}")
    return [Fields(path, item, f"{what} {n}", allowed) for n, item in enumerate(node.value, 1)]


def _load(path: Path) -> yaml.Node | None:
    text = _read_bounded(path)
    try:
        _refuse_tricks(path, text)
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = _mark(error, text)
        raise InventoryError(f"{path}{mark}: not valid YAML: {_problem(error)}") from error
    except (ValueError, OverflowError) as error:  # of PyYAML itself, at such an escape
        found = _NO_CHARACTER.search(text)
        line = text.count("\n", 0, found.start() if found else 0) + 1
        raise InventoryError(
            f"{path}:{line}: not valid YAML: an escape is beyond Unicode, which ends at U0010FFFF"
        ) from error


class Fields:
    """One mapping of the file; each key is taken once, by type, and may have a default."""

    def __init__(self, path: Path, node: yaml.Node, where: str, allowed: Sequence[str]) -> None:
        self.path, self.where, self.node = path, where, node
        self._values: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in self._pairs(node):
            if allowed and key.value not in allowed:
                hint = near_miss(key.value, allowed)
                self.fail(f"unknown key {key.value!r}{hint} (allowed: {', '.join(allowed)})", key)
            if key.value in self._values:
                self.fail(f"key {key.value!r} stands twice", key)
            self._values[key.value] = (key, value)

    def fail(self, problem: str, at: yaml.Node | str | None = None) -> NoReturn:
        """Raise InventoryError at a node, at a key of this mapping, or at the mapping."""
        node = self._values[at][1] if isinstance(at, str) and at in self._values else at
        line = (node if isinstance(node, yaml.Node) else self.node).start_mark.line + 1
        raise InventoryError(f"{self.path}:{line}: {self.where}: {problem}")

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def text(
        self,
        key: str,
        default: str | None = None,
        *,
        allowed: Sequence[str] | None = None,
        pattern: str = "",
        hint: str = "",
    ) -> str:
        """Return the text of `key`; a missing key without a default is refused."""
        node = self._node(key, required=default is None)
        if node is None:
            return default or ""
        value = self._scalar(key, node, ("str",))
        if allowed is not None and value not in allowed:
            miss = near_miss(value, allowed)
            self.fail(f"{key} is {value!r}{miss} (allowed: {', '.join(allowed) or 'none'})", node)
        if pattern and not re.fullmatch(pattern, value):
            self.fail(f"{key} is {value!r}; it must be {hint or pattern}", node)
        return value

    def number(self, key: str, default: int | None = None, *, low: int, high: int) -> int:
        """Return the whole number of `key`, low <= value <= high."""
        node = self._node(key, required=default is None)
        if node is None:
            return default or 0
        value = self._scalar(key, node, ("int",))
        if not re.fullmatch(r"[0-9]{1,18}", value) or not low <= int(value) <= high:
            self.fail(f"{key} is {value}; it must be a whole number from {low} to {high}", node)
        return int(value)

    def word(self, key: str) -> str:
        """Return the text or number of `key` as it is written."""
        node = self._node(key, required=True)
        assert node is not None
        return self._scalar(key, node, ("int", "float", "str"))

    def mapping(
        self, key: str, allowed: Sequence[str], *, required: bool = True
    ) -> "Fields | None":
        """Return the mapping under `key`, whose keys must be among `allowed`."""
        node = self._node(key, required=required)
        return None if node is None else Fields(self.path, node, f"{self.where}: {key}", allowed)

    def named(self, key: str, allowed: Sequence[str], what: str) -> Iterator[tuple[str, "Fields"]]:
        """Return (name, mapping) for each entry of the mapping of mappings under `key`."""
        outer = self.mapping(key, ())
        for name, (_, node) in outer._values.items() if outer else ():
            yield name, Fields(self.path, node, f"{what} {name}", allowed)

    def items(self, key: str, allowed: Sequence[str], what: str) -> Iterator["Fields"]:
        """Return the mappings of the list under `key`."""
        node = self._node(key, required=True)
        if not isinstance(node, yaml.SequenceNode):
            self.fail(f"{key} must be a list, not {_kind(node)}", node)
        for index, item in enumerate(node.value, 1):
            yield Fields(self.path, item, f"{what} {index}", allowed)

    def words(self, key: str) -> dict[str, str]:
        """Return the mapping of plain words under `key` (may be missing): text as written."""
        fields = self.mapping(key, (), required=False)
        pairs = fields._values if fields else {}
        return {k: self._scalar(k, v, ("str", "int", "bool")) for k, (_, v) in pairs.items()}

    def texts(self, key: str, *, least: int = 0, most: int) -> tuple[str, ...]:
        """Return the list of texts under `key`; it may be missing where `least` is 0."""
        node = self._node(key, required=least > 0)
        if node is None:
            return ()
        if not isinstance(node, yaml.SequenceNode):
            self.fail(f"{key} must be a list, not {_kind(node)}", node)
        if not least <= len(node.value) <= most:
            self.fail(f"{key} has {len(node.value)} entries; it must have {least} to {most}", node)
        return tuple(self._scalar(key, item, ("str",)) for item in node.value)

    def first_text(self, key: str) -> str:
        """Return the text of `key`, the first one where it is a list."""
        node = self._node(key, required=True)
        is_list = isinstance(node, yaml.SequenceNode)
        return self.texts(key, least=1, most=64)[0] if is_list else self.text(key)

    def flag(self, key: str, *, default: bool) -> bool:
        """Return whether `key` says true."""
        node = self._node(key, required=False)
        return default if node is None else self._scalar(key, node, ("bool",)).lower() in _TRUE

    def _pairs(self, node: yaml.Node) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self.fail(f"must be a mapping, not {_kind(node)}", node)
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.fail("a key must be a plain word", key)
            yield key, value

    def _node(self, key: str, *, required: bool) -> yaml.Node | None:
        if key not in self._values:
            if required:
                self.fail(f"key {key!r} is missing")
            return None
        return self._values[key][1]

    def _scalar(self, key: str, node: yaml.Node, kinds: Sequence[str]) -> str:
        if node.tag.removeprefix(_TAG) not in kinds:
            wanted = " or ".join(_KINDS[kind] for kind in kinds)
            quote = "; put it in quotes" if isinstance(node, yaml.ScalarNode) else ""
            quote = quote if "str" in kinds else ""
            self.fail(f"{key} must be {wanted}, not {_kind(node)}{quote}", node)
        value = str(node.value)
        if len(value) > MAX_TEXT:
            self.fail(f"{key} has {len(value)} characters; at most {MAX_TEXT} are allowed", node)
        if odd := next((each for each in value if not each.isprintable()), ""):
            self.fail(f"{key} has the character {odd!r}, which cannot be printed", node)
        return value


def _kind(node: yaml.Node | None) -> str:
    tag = node.tag.removeprefix(_TAG) if node is not None else "null"
    return _KINDS.get(tag, tag)


def _read_bounded(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InventoryError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise InventoryError(f"{path}: larger than {MAX_FILE_BYTES // 1024} KiB; is it the rack?")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InventoryError(f"{path}:{line}: not UTF-8 text (byte {error.start})") from error


def _refuse_tricks(path: Path, text: str) -> None:
    """Walk the event stream, which does not recurse, before a node tree is built from it."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        documents += isinstance(event, yaml.DocumentStartEvent)
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if getattr(event, "anchor", None):
            raise InventoryError(
                f"{path}:{line}: anchors and aliases are not allowed; write it out"
            )
        if tag := getattr(event, "tag", None):
            raise InventoryError(f"{path}:{line}: tags such as {tag!r} are not allowed")
        if depth > MAX_DEPTH:
            raise InventoryError(f"{path}:{line}: nested deeper than {MAX_DEPTH} levels")
        if documents > 1:
            raise InventoryError(f"{path}:{line}: a second document; one file holds one rack")


def _mark(error: yaml.YAMLError, text: str) -> str:
    if isinstance(error, yaml.reader.ReaderError):  # it has no line, but counts characters
        return f":{text.count(chr(10), 0, int(error.position)) + 1}"
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}" if mark is not None else ""


def _problem(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or str(error).splitlines()[0])
