"""What Relais is built from: licences of what is installed, images with their versions, and parts that may do little."""

import re
from importlib.metadata import Distribution, distributions
from typing import Any

import pytest
import yaml

from settings import PROJECT_ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "docker-compose.yml").read_text())

ALLOWED = {
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "MIT-0",
    "MIT-CMU",
    "MPL-2.0",
    "PSF-2.0",
    "Unlicense",
}
"""Licences under which a dependency may stand: none asks anything of the code that uses it."""

OLD_NAMES = {
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
"""How licences are called where no SPDX expression is given."""

READ = {"pypdfium2": "BSD-3-Clause AND Apache-2.0", "scim2-tester": "Apache-2.0"}
"""Packages whose own words are no name of a licence; their licence files were read."""


def licence_of(package: Distribution) -> str:
    """Its SPDX expression, as far as it says one."""
    said = "".join(package.metadata.get_all("License-Expression", [])) or READ.get(package.name)
    if said:
        return said
    classifiers = [
        line.rsplit(" :: ", 1)[1] for line in package.metadata.get_all("Classifier", []) if "License ::" in line
    ]
    named = [OLD_NAMES.get(name, name) for name in classifiers if name != "OSI Approved"]
    text = "".join(package.metadata.get_all("License", [])).strip()
    return " AND ".join(named) or OLD_NAMES.get(text, text)


def is_allowed(expression: str) -> bool:
    """Whether every licence of it is allowed, or one where there is a choice."""
    return any(
        all(part.strip(" ()") in ALLOWED for part in re.split(r"\bAND\b", way)) for way in expression.split(" OR ")
    )


def test_every_dependency_has_a_licence_that_asks_nothing_of_ours() -> None:
    found = {package.name: licence_of(package) for package in distributions()}
    assert {"fastapi", "temporalio", "pypdfium2"} <= found.keys()
    assert {name: licence for name, licence in found.items() if not is_allowed(licence)} == {}


@pytest.mark.parametrize("expression", ["GPL-3.0-only", "MIT AND AGPL-3.0-only", "none", "LGPL-2.1-or-later"])
def test_other_licences_are_found(expression: str) -> None:
    assert not is_allowed(expression)


@pytest.mark.parametrize(
    "name",
    [
        "requirements.lock",
        "requirements-production.lock",
        "requirements-audit.lock",
        "tests/description/generator.lock",
    ],
)
def test_every_locked_package_has_its_hashes(name: str) -> None:
    """And no address: whoever installs says from where."""
    text = (PROJECT_ROOT / name).read_text()
    packages = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert packages
    assert [package.split()[0] for package in packages if "--hash=sha256:" not in package] == []
    assert "://" not in re.sub(r"#.*", "", text)


WITHOUT_DIGEST = ("temporalio/ui:",)
"""Of these nobody could say which image the tag meant when the others were pinned."""


def test_every_image_has_its_version_and_its_digest() -> None:
    """The one that is built here is named by whoever builds it."""
    images = [
        service["image"] for service in COMPOSE["services"].values() if not service["image"].startswith("relais:")
    ]
    froms = re.findall(r"^FROM (\S+)", (PROJECT_ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert images
    for image in [*images, *froms]:
        digest = "" if image.startswith(WITHOUT_DIGEST) else "@sha256:[0-9a-f]{64}"
        assert re.search(rf":(\$\{{\w+:-)?[a-z]*\d[\w.-]*{digest}\}}?$", image), image


def test_no_history_and_no_tests_are_in_the_image() -> None:
    left_out = (PROJECT_ROOT / ".dockerignore").read_text().split()
    assert {".git", "tests", ".env", "var"} <= set(left_out)


def test_our_processes_may_do_little() -> None:
    dockerfile = (PROJECT_ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER relais$", dockerfile, re.MULTILINE)
    for name in ("api", "worker", "migrate"):
        service = COMPOSE["services"][name]
        assert service["read_only"] is True
        assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
    for name, service in COMPOSE["services"].items():
        assert "no-new-privileges:true" in service.get("security_opt", []), f"{name} could gain rights"
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), f"{name} is open to everybody"
