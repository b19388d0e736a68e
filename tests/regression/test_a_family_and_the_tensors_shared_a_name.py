"""A tie-free model with a sum did not compile with the kernels for x86: both had a `le_add`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

KERNELS = Path(__file__).parents[2] / "firmware" / "kernels"
FAMILIES = sorted(folder.name for folder in KERNELS.iterdir() if folder.name not in ("shared", "prepare"))
DEFINED = (
    r"^\} (\w+);$",  # a structure
    r"^typedef [^{;]*?\b(\w+);$",
    r"^(?:static inline |LE_\w+ )?[\w ]+[ *](le_\w+)\([^;]*$",  # a function with its body
)


def names_in(folder: str) -> set[str]:
    """What the headers of a folder define."""
    texts = [header.read_text(encoding="utf-8") for header in sorted((KERNELS / folder).glob("*.h"))]
    return {name for text in texts for pattern in DEFINED for name in re.findall(pattern, text, re.MULTILINE)}


@pytest.mark.parametrize("family", FAMILIES)
def test_no_name_of_a_family_is_one_that_all_share(family):
    shared = names_in("shared")
    assert {"le_add", "le_multiply", "le_shape"} <= shared
    assert not names_in(family) & shared


def test_functions_are_found():
    assert {"le_sum", "le_lanes"} <= names_in("x86")
