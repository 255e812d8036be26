"""Plays the stories on the real system and stores their histories: ``python -m tests.histories.record [part of a name]``."""

import sys
from pathlib import Path

import pytest

from tests.histories import FOLDER


def main() -> int:
    """Everything that pytest needs to know; its exit code."""
    FOLDER.mkdir(exist_ok=True)
    stories = str(Path(__file__).with_name("stories.py"))
    chosen = ["-k", sys.argv[1]] if len(sys.argv) > 1 else []
    return pytest.main([stories, "-o", "python_functions=play_*", *chosen])


if __name__ == "__main__":
    sys.exit(main())
