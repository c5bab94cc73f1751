"""Sets the project up and starts it; the one command behind `make run`, `make test` and `make check`.

    python packaging/bootstrap.py [install]      make .venv ready for running the program
    python packaging/bootstrap.py run   [ARG...] the same, then open the program
    python packaging/bootstrap.py test  [ARG...] the same with the test tools, then pytest
    python packaging/bootstrap.py check [ARG...] the same with the test tools, then every static check

Standard library only, on Linux, macOS and Windows. A second run finds the stamps of the first and costs next to
nothing; an interrupted run goes on where it stopped. Environment: JINGYAN_BACKEND=cpu|cuda|metal overrules the
engine's choice of hardware, JINGYAN_VENV=FOLDER puts the environment somewhere else.

This file keeps to syntax that old Pythons read, so that they can say that they are too old; the work is in installer/.
"""

import os
import shutil
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 13)


def find_fitting_python():
    """Path of an installed Python that fits, newest first, or None."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        found = shutil.which("python3." + str(minor))
        if found and answers(found, minor):
            return found
    return None


def answers(python, minor):
    """Whether `python` starts and is 3.`minor`; a launcher for a version that is not installed does not."""
    question = "import sys; sys.exit(0 if sys.version_info[:2] == (3, " + str(minor) + ") else 1)"
    return subprocess.call([python, "-c", question], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


def main():
    version = sys.version_info[:2]
    if OLDEST <= version <= NEWEST:
        from installer.commands import main as installer_main  # not at the top: old Pythons cannot read it

        return installer_main(sys.argv[1:])
    fitting = find_fitting_python()
    if fitting:
        return subprocess.call([fitting, os.path.abspath(__file__)] + sys.argv[1:])  # noqa: PTH100, RUF005
    sys.stderr.write(
        "Jingyan needs Python 3.11, 3.12 or 3.13, and this is Python "
        + ".".join(map(str, version))
        + ": install one of them and run the same command again.\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
