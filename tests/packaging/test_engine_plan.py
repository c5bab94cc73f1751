"""Which engine is built on which machine."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
from installer import engine
from installer.engine import Backend
from installer.problems import SetupError

CMAKE_FILE = Path("/a folder/engine.cmake")
posix = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="uses shell scripts; macOS means Metal")


def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **programs: str) -> None:
    """A PATH on which only `programs` exist, each a shell script."""
    for name, script in programs.items():
        program = tmp_path / name.replace("_", "-")
        program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(engine, "CUDA_FOLDER", str(tmp_path))


@posix
@pytest.mark.parametrize(
    ("programs", "backend"),
    [
        ({}, Backend.CPU),
        ({"nvcc": "exit 0"}, Backend.CPU),
        ({"nvidia_smi": "echo 'GPU 0: a card'"}, Backend.CPU),
        ({"nvcc": "exit 0", "nvidia_smi": "echo 'No devices found'; exit 6"}, Backend.CPU),
        ({"nvcc": "exit 0", "nvidia_smi": "echo 'GPU 0: a card'"}, Backend.CUDA),
    ],
)
def test_cuda_is_chosen_only_where_a_compiler_and_a_gpu_are_both_there(
    programs: dict[str, str], backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(tmp_path, monkeypatch, **programs)
    assert engine.choose({}, CMAKE_FILE).backend is backend


@posix
def test_wish_overrules_what_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path, monkeypatch, nvcc="exit 0", nvidia_smi="echo 'GPU 0: a card'")
    assert engine.choose({"JINGYAN_BACKEND": "cpu"}, CMAKE_FILE).backend is Backend.CPU


def test_unknown_wish_is_refused() -> None:
    with pytest.raises(SetupError, match="must be one of"):
        engine.choose({"JINGYAN_BACKEND": "abacus"}, CMAKE_FILE)


def test_cpu_build_is_portable_and_leaves_the_unused_library_out() -> None:
    arguments = shlex.split(engine.choose({"JINGYAN_BACKEND": "cpu"}, CMAKE_FILE).cmake_args)
    assert "-DGGML_NATIVE=OFF" in arguments
    assert "-DCMAKE_PROJECT_llama.cpp_INCLUDE=/a folder/engine.cmake" in arguments


def test_cuda_build_is_asked_for_by_name() -> None:
    assert "-DGGML_CUDA=on" in shlex.split(engine.choose({"JINGYAN_BACKEND": "cuda"}, CMAKE_FILE).cmake_args)


def test_cuda_wheels_never_come_from_the_cache_that_cpu_wheels_are_in() -> None:
    assert None in engine.caches_for(Backend.CPU, Path("pip"))
    assert None not in engine.caches_for(Backend.CUDA, Path("pip"))
    assert not set(engine.caches_for(Backend.CUDA, Path("pip"))) & set(engine.caches_for(Backend.CPU, Path("pip")))
