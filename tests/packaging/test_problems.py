"""Causes recognised in what the tools print."""

from __future__ import annotations

from pathlib import Path

import pytest
from installer import problems
from installer.problems import from_output

LOG = Path("bootstrap.log")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("OSError: [Errno 28] No space left on device", problems.NO_SPACE),
        ("E: You don't have enough free space in /var/cache/apt/archives/.", problems.NO_SPACE),
        ("Failed to establish a new connection: [Errno -3] Temporary failure in name resolution", problems.NO_NETWORK),
        ("ERROR: No matching distribution found for pip==26.3", problems.NO_NETWORK),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", problems.WRONG_HASH),
        ("CMake Error: CMAKE_CXX_COMPILER not set, after EnableLanguage", problems.NO_COMPILER),
        ("ERROR: No matching distribution found for faiss-cpu==1.15.1", problems.NO_WHEEL),
        ("  No CMAKE_C_COMPILER could be found.", problems.NO_COMPILER),
        ("c++: fatal error: Killed signal terminated program cc1plus", problems.NO_MEMORY),
    ],
)
def test_known_cause_becomes_its_sentence(line: str, sentence: str) -> None:
    assert str(from_output(["before", line, "after"], "Installing", LOG)) == sentence


def test_full_disk_is_named_although_the_compiler_failed_of_it() -> None:
    lines = ["fatal error: error writing to a.o: No space left on device", "CMAKE_CXX_COMPILER not set"]
    assert str(from_output(lines, "Building", LOG)) == problems.NO_SPACE


def test_unreachable_registry_is_not_taken_for_an_unsupported_system() -> None:
    lines = ["Retrying after NewConnectionError", "ERROR: No matching distribution found for pip==26.3"]
    assert str(from_output(lines, "Updating pip", LOG)) == problems.NO_NETWORK


def test_unknown_cause_points_at_the_log() -> None:
    assert str(from_output(["?"], "Building the engine", LOG)) == (
        "Building the engine failed; the reason is at the end of bootstrap.log."
    )


def test_failure_before_the_first_file_is_written_leaves_the_environment_trusted() -> None:
    assert not from_output(["Collecting numpy", "NewConnectionError"], "Installing", LOG).left_half_done
    assert from_output(["Installing collected packages: numpy", "Errno 28"], "Installing", LOG).left_half_done
