"""What can go wrong while setting up, each as one sentence that says what to do.

`SetupError` is the only exception a user sees; `from_output` recognises the cause in what pip, cmake or apt printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

NO_SPACE = "There is no space left on the disk: free about 3 GB and run the same command again."
NO_NETWORK = (
    "The package registry could not be reached: check the network or the proxy settings and run the same command again."
)
NO_COMPILER = (
    "The engine is compiled on this machine and no C++ compiler was found: install one "
    "(Debian: apt-get install build-essential; macOS: xcode-select --install; "
    "Windows: Visual Studio Build Tools with C++) and run the same command again."
)
WRONG_HASH = (
    "A downloaded package is not the one this project was locked to, so nothing of it was installed: "
    "check the mirror or proxy between this machine and the registry."
)
NO_WHEEL = (
    "One of the packages is not published for this system: Jingyan runs on 64-bit Linux with glibc 2.34 or newer "
    "(Debian 12, Ubuntu 22.04; on ARM glibc 2.39), macOS 14 or newer on Apple silicon, and Windows on x86-64."
)
NO_MEMORY = "The compiler was ended for want of memory: close other programs and run the same command again."

# Order matters: a full disk also makes compilers and downloads fail.
_CAUSES: tuple[tuple[str, str], ...] = (
    (r"No space left on device|Errno 28\b|not enough space on the disk|You don't have enough free space", NO_SPACE),
    (r"DO NOT MATCH THE HASHES", WRONG_HASH),
    (r"is not a supported wheel on this platform", NO_WHEEL),
    (r"Killed signal terminated program|out of memory allocating|cc1plus.*Killed", NO_MEMORY),
    (
        r"No CMAKE_C(XX)?_COMPILER could be found|CMAKE_C(XX)?_COMPILER not set|"
        r"could not find any instance of Visual Studio|is not a full path and was not found in the PATH",
        NO_COMPILER,
    ),
    (
        r"NewConnectionError|NameResolutionError|Temporary failure in name resolution|getaddrinfo failed|"
        r"Failed to establish a new connection|ConnectTimeoutError|ReadTimeoutError|Network is unreachable|"
        r"Temporary failure resolving|Could not resolve host|"
        r"No matching distribution found for pip==",  # pip runs everywhere; told not to retry, it gives no other reason
        NO_NETWORK,
    ),
    # Last: pip says so too when it could not reach the registry.
    (r"No matching distribution found", NO_WHEEL),
)


class SetupError(Exception):
    """Setting up cannot go on. str() is the sentence for the user.

    `left_half_done`: the environment was being written to, so that it is not to be trusted any more.
    """

    def __init__(self, sentence: str, *, left_half_done: bool = False) -> None:
        super().__init__(sentence)
        self.left_half_done = left_half_done


def from_output(lines: Iterable[str], what_failed: str, log: Path) -> SetupError:
    """The SetupError behind the last lines a tool printed; where no cause is recognised, it points at the log."""
    text = "\n".join(lines)
    causes = (sentence for pattern, sentence in _CAUSES if re.search(pattern, text))
    sentence = next(causes, f"{what_failed} failed; the reason is at the end of {log}.")
    # pip downloads and checks everything before it writes the first file, and announces that with these words.
    return SetupError(sentence, left_half_done="Installing collected packages" in text)
