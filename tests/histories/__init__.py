"""Stored histories of real workflows, and the proof that today's code still replays them. See README.md."""

import base64
from pathlib import Path

FOLDER = Path(__file__).parent / "stored"

KEYS = f"histories:{base64.b64encode(bytes(range(32))).decode()}"
"""The key ring under which the histories are sealed. It protects nothing: their patients are invented."""
