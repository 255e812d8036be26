"""Writes the part of the description that is for clinics' systems, from which the client in `examples/python` is made:
``python -m api.for_systems FILE``.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from api.docs import DESCRIPTION_FILE

Part = dict[str, Any]

SCHEME = "ServiceAccount"
METHODS = {"get", "put", "post", "delete", "patch"}
"""Methods of operations that a client needs: the others are made by its library, or are the same operation."""

_REFERENCE = re.compile(r'"#/components/(\w+)/([^"]+)"')


def for_systems(document: Part) -> Part:
    """The same without operations that no scope opens, and without what only these name."""
    paths: Part = {}
    for path, operations in document["paths"].items():
        opened = {name: one for name, one in operations.items() if name in METHODS and _is_opened(one)}
        if opened:
            paths[path] = opened
    kept: dict[str, Part] = {"securitySchemes": {SCHEME: document["components"]["securitySchemes"][SCHEME]}}
    to_follow = [json.dumps(paths)]
    while to_follow:
        for kind, name in _REFERENCE.findall(to_follow.pop()):
            if name not in kept.setdefault(kind, {}):
                kept[kind][name] = document["components"][kind][name]
                to_follow.append(json.dumps(kept[kind][name]))
    components = {kind: dict(sorted(parts.items())) for kind, parts in sorted(kept.items())}
    return {**document, "paths": paths, "components": components}


def _is_opened(operation: Part) -> bool:
    return any(SCHEME in way for way in operation.get("security", []))


if __name__ == "__main__":
    made = for_systems(json.loads(DESCRIPTION_FILE.read_text()))
    Path(sys.argv[1]).write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n")
