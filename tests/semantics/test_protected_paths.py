"""Paths that are protected, however they are written."""

from __future__ import annotations

from typing import Any

import pytest

from breezeway.semantics.protected_paths import ProtectedPaths


@pytest.mark.parametrize(
    ("protect", "exempt", "inside", "outside"),
    [
        (["/"], [], ["", "/", "/x", "//x", "*", "x"], []),
        (["/"], ["/ping"], ["", "/", "/pings", "//ping/../x", "/ping/../x"], ["/ping", "/ping/x"]),
        (
            ["/admin"],
            [],
            [
                "/admin",
                "/admin/",
                "/admin/x",
                "//admin",
                "/./admin",
                "/x/../admin/",
                "/x//../../admin",
            ],
            ["", "/", "/x", "/administrator", "/x/admin", "/x/..x/"],
        ),
        (["/admin"], ["/admin/css"], ["/admin/x", "/admin/css/../x"], ["/admin/css/x", "/x"]),
        (["/"], ["/ping"], ["*", "x", "ping/../x", "/ping//../../x"], ["ping"]),
        (["/admin"], [], ["admin", "admin/x", "./admin", "x/../admin"], ["administrator"]),
        (["/x/admin"], [], ["/x//../admin", "/x//admin/..", "/x//b/../..//admin"], []),
        (["/admin/"], [], ["/admin", "/admin/", "/admin/x"], ["/administrator"]),
        (["/"], ["/"], [], ["/", "/x", "//x"]),
        ([], [], [], ["/"]),
    ],
)
def test_paths(
    protect: list[str], exempt: list[str], inside: list[str], outside: list[str]
) -> None:
    """What is covered is protected, also when another way of writing it is."""
    paths = ProtectedPaths(protect, exempt)
    assert [path for path in inside if path not in paths] == []
    assert [path for path in outside if path in paths] == []


@pytest.mark.parametrize(
    ("protect", "exempt"),
    [("/x", []), (["x"], []), (["/"], "/x"), (["/"], [1]), (5, []), (["/x"], ["/x"])],
)
def test_options(protect: Any, exempt: Any) -> None:
    """What can be no list of prefixes is refused."""
    with pytest.raises(ValueError, match=r"protect|exempt|prefix"):
        ProtectedPaths(protect, exempt)
