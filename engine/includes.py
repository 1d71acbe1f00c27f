"""What a C file reads of the files beside it: nothing else changes its object."""

from __future__ import annotations

import re
from collections.abc import Mapping

_INCLUDE = re.compile(r"^\s*#\s*include\s*(.*)", re.MULTILINE)
_NAME = re.compile(r'["<]([^">]+)[">]')


def included(text: str, files: Mapping[str, str]) -> dict[str, str]:
    """Those of `files` (name -> text) that `text` includes, directly or through others.

    All of them where an include names a macro, since only a compiler knows what that says.
    """
    seen: dict[str, str] = {}
    todo = [text]
    while todo:
        for words in _INCLUDE.findall(todo.pop()):
            name = _NAME.match(words)
            if name is None:
                return dict(files)
            if name[1] in files and name[1] not in seen:
                seen[name[1]] = files[name[1]]
                todo.append(files[name[1]])
    return seen
