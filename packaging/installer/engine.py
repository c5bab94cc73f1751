"""The engine, llama-cpp-python, compiled on this machine for the hardware it has.

CUDA where a compiler for it and a GPU are both there, Metal on macOS (its own default), otherwise a CPU build that
runs on any CPU of the architecture. pip keeps the finished wheel in its cache, so the next environment gets it in
seconds. pip's cache does not know about build flags, therefore GPU wheels live in a cache of their own, and what is
installed is asked what it can do before it is trusted.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from installer.console import Console
from installer.environment import Environment
from installer.problems import SetupError, from_output

CUDA_FOLDER = "/usr/local/cuda/bin"  # where it is installed, often without being on PATH
_QUESTION = "import llama_cpp; print(int(llama_cpp.llama_supports_gpu_offload()))"


class Backend(StrEnum):
    CPU = "cpu"
    CUDA = "cuda"
    METAL = "metal"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to build: the hardware, and the arguments that make the wheel."""

    backend: Backend
    cmake_args: str
    cuda_compiler: Path | None = None


def choose(environ: Mapping[str, str], cmake_file: Path) -> Plan:
    """The plan for this machine; JINGYAN_BACKEND overrules what is found. Raises SetupError on an unknown name."""
    wish = environ.get("JINGYAN_BACKEND", "")
    if wish and wish not in set(Backend):
        raise SetupError(f"JINGYAN_BACKEND is {wish!r}: it must be one of {', '.join(Backend)}.")
    nvcc = _cuda_compiler()
    backend = Backend(wish) if wish else _found_backend(nvcc)
    # Forward slashes and quotes: the value is split by shell rules on every system.
    arguments = [f'"-DCMAKE_PROJECT_llama.cpp_INCLUDE={cmake_file.as_posix()}"', "-DLLAMA_OPENSSL=OFF"]
    if backend is Backend.CPU:
        arguments.append("-DGGML_NATIVE=OFF")  # a wheel tuned to one CPU dies with SIGILL on another
        if sys.platform == "darwin":
            arguments.append("-DGGML_METAL=OFF")
    if backend is Backend.CUDA:
        arguments += ["-DGGML_NATIVE=OFF", "-DGGML_CUDA=on", "-DCMAKE_CUDA_ARCHITECTURES=native"]
    return Plan(backend, " ".join(arguments), nvcc if backend is Backend.CUDA else None)


def _found_backend(nvcc: Path | None) -> Backend:
    if sys.platform == "darwin":
        return Backend.METAL
    return Backend.CUDA if nvcc and _has_nvidia_gpu() else Backend.CPU


def _cuda_compiler() -> Path | None:
    found = shutil.which("nvcc") or shutil.which("nvcc", path=CUDA_FOLDER)
    return Path(found) if found else None


def _has_nvidia_gpu() -> bool:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return False
    try:
        listing = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listing.returncode == 0 and "GPU " in listing.stdout


def install(console: Console, environment: Environment, plan: Plan, lock: Path, build_lock: Path) -> None:
    """Leaves a working engine for `plan` in the environment. Raises SetupError."""
    for cache in caches_for(plan.backend, _pip_cache(environment)):
        _pip_install(console, environment, plan, lock, build_lock, cache)
        if _works(environment, plan.backend):
            return
        console.say("The engine that was installed does not fit this machine; building it again.")
    raise SetupError(
        f"The engine was built for {plan.backend} and does not start; "
        f"JINGYAN_BACKEND=cpu builds a plain one, and {console.log} says more."
    )


def caches_for(backend: Backend, pip_cache: Path) -> list[Path | None]:
    """Where a finished wheel may be taken from and is kept, in the order to try; None is pip's ordinary cache."""
    own = pip_cache / f"jingyan-{backend}"
    return [own] if backend is Backend.CUDA else [None, own]


def _pip_cache(environment: Environment) -> Path:
    question = [str(environment.python), "-m", "pip", "cache", "dir"]
    answer = subprocess.run(question, capture_output=True, text=True, check=False)
    return Path(answer.stdout.strip()) if answer.returncode == 0 else environment.folder / "pip-cache"


def _pip_install(
    console: Console, environment: Environment, plan: Plan, lock: Path, build_lock: Path, cache: Path | None
) -> None:
    title = f"Installing the engine ({plan.backend}; compiled on the first run, which takes minutes)"
    command = [str(environment.python), "-m", "pip", "install", "-v", "--no-input", "--no-deps", "--force-reinstall"]
    command += ["--no-compile", "--require-hashes", "-r", str(lock), "--build-constraint", str(build_lock)]
    if cache is not None:
        command += ["--cache-dir", str(cache)]
    env = {**os.environ, "CMAKE_ARGS": plan.cmake_args}
    if plan.cuda_compiler is not None:
        env["CUDACXX"] = str(plan.cuda_compiler)
    status, tail = console.run(title, command, env=env, notice=_notice)
    if status != 0:
        hint = "" if plan.backend is Backend.CPU else " (JINGYAN_BACKEND=cpu builds a plain one)"
        what = f"Building the engine for {plan.backend} on {platform.machine()}{hint}"
        raise from_output(tail, what, console.log)


def _notice(line: str) -> str | None:
    if step := re.match(r"\s*\[(\d+)/(\d+)\] ", line):
        return f"compiled {step[1]} of {step[2]}"
    if "Downloading" in line:
        return "downloading"
    return "unpacking and configuring" if "Configuring CMake" in line else None


def _works(environment: Environment, backend: Backend) -> bool:
    """Whether the installed engine starts and has the hardware support of `backend`.

    Raises SetupError when the system lacks a library of its: building again would not help.
    """
    try:
        command = [str(environment.python), "-c", _QUESTION]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    if missing := re.search(r"(lib[\w.+-]+): cannot open shared object file", answer.stderr):
        raise SetupError(
            f"The engine needs {missing[1]}, which this system does not have: install the package it is in "
            "(Debian: apt-get install libgomp1) and run the same command again."
        )
    if answer.returncode != 0:
        return False
    has_gpu_support = answer.stdout.split()[-1:] == ["1"]
    return backend is Backend.METAL or has_gpu_support == (backend is Backend.CUDA)
