"""Setting up: a second run costs nothing, an interrupted one goes on, a failure is one sentence."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.fake_house import House, build_house

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake pip is installed the POSIX way")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = build_house(tmp_path / "a house")  # the space is meant
    yield house
    house.end_all()


def test_first_run_installs_pip_packages_and_engine_in_this_order(house: House) -> None:
    assert house.run().returncode == 0
    assert house.take_calls() == ["pip", "run", "engine"]


def test_second_run_installs_nothing_and_says_nothing(house: House) -> None:
    house.run()
    house.take_calls()
    again = house.run()
    assert (again.returncode, again.stderr, house.take_calls()) == (0, "", [])


def test_run_starts_the_app_with_its_arguments(house: House) -> None:
    assert house.run("run", "ask", "why not?").stdout == "app runs ['ask', 'why not?']\n"


def test_exit_status_of_the_app_is_handed_on(house: House) -> None:
    (house.root / "app" / "__main__.py").write_text("raise SystemExit(7)", "utf-8")
    assert house.run("run").returncode == 7


def test_command_jingyan_works_from_another_folder(house: House, tmp_path: Path) -> None:
    house.run()
    output = os.popen(f"cd / && '{house.root}/.venv/bin/jingyan' list").read()
    assert output == "app runs ['list']\n"


def test_tools_for_tests_are_added_without_building_the_engine_again(house: House) -> None:
    house.run()
    house.take_calls()
    house.run("test")
    assert house.take_calls() == ["pip", "dev"]


def test_running_after_testing_installs_nothing(house: House) -> None:
    house.run("test")
    house.take_calls()
    house.run("run")
    assert house.take_calls() == []


def test_changed_lock_installs_its_part_only(house: House) -> None:
    house.run()
    house.take_calls()
    with (house.root / "packaging" / "requirements-engine.lock").open("a", encoding="utf-8") as lock:
        lock.write("# newer\n")
    house.run()
    assert house.take_calls() == ["engine"]


def kill_while_installing(house: House, what: str) -> None:
    """Ends the set-up and its pip the hard way in the middle of writing `what`."""
    process = house.start(order=f"hang at {what}")
    assert process.stderr is not None
    hanging = house.root / "hanging"
    while not hanging.exists():
        assert process.poll() is None, process.stderr.read()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    hanging.unlink()


def test_install_killed_while_writing_packages_starts_from_a_clean_environment(house: House) -> None:
    kill_while_installing(house, "run")
    assert (house.site_packages / "half-written").exists()
    house.take_calls()
    assert house.run().returncode == 0
    assert house.take_calls() == ["pip", "run", "engine"]
    assert not (house.site_packages / "half-written").exists()


def test_install_killed_at_the_engine_keeps_the_packages(house: House) -> None:
    kill_while_installing(house, "engine")
    house.take_calls()
    assert house.run().returncode == 0
    assert house.take_calls() == ["engine"]


def test_interrupted_by_the_keyboard_says_how_to_go_on(house: House) -> None:
    process = house.start(order="hang at run")
    while not (house.root / "hanging").exists():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on from here" in errors


def test_environment_with_a_lost_python_is_made_again(house: House) -> None:
    house.run()
    house.take_calls()
    (house.root / ".venv" / "bin" / "python").unlink()
    assert house.run().returncode == 0
    assert house.take_calls() == ["pip", "run", "engine"]


def test_no_network_is_one_sentence_and_keeps_what_is_installed(house: House) -> None:
    house.run()
    with (house.root / "packaging" / "requirements.lock").open("a", encoding="utf-8") as lock:
        lock.write("# newer\n")
    treasure = house.site_packages / "treasure"
    treasure.touch()
    for _ in range(2):  # the second failure must not take the first for an interruption
        failed = house.run(order="no network")
        assert failed.returncode == 1
        assert "registry could not be reached" in failed.stderr
        assert "Traceback" not in failed.stderr
    assert treasure.exists()


def test_full_disk_while_writing_is_told_and_the_next_run_starts_clean(house: House) -> None:
    failed = house.run(order="no space")
    assert failed.returncode == 1
    assert "no space left on the disk" in failed.stderr
    (house.site_packages / "half-written").touch()
    assert house.run().returncode == 0
    assert not (house.site_packages / "half-written").exists()


def test_engine_from_the_cache_that_does_not_fit_is_built_in_a_cache_of_its_own(house: House) -> None:
    assert house.run(order="cached engine wants a GPU").returncode == 0
    engines = [call["cache"] for call in house.take_calls_with_cache() if call["what"] == "engine"]
    assert engines == ["", "jingyan-cpu"]


def test_missing_system_library_is_named_and_nothing_is_built_twice(house: House) -> None:
    failed = house.run(order="no OpenMP")
    assert failed.returncode == 1
    assert "needs libgomp.so.1" in failed.stderr
    assert house.take_calls() == ["pip", "run", "engine"]


def test_unknown_backend_is_one_sentence(house: House) -> None:
    failed = house.run(JINGYAN_BACKEND="abacus")
    assert failed.returncode == 1
    assert "must be one of cpu, cuda, metal" in failed.stderr


def test_unknown_command_shows_the_usage(house: House) -> None:
    failed = house.run("dance")
    assert failed.returncode == 2
    assert failed.stderr.startswith("usage: ")


def test_interrupted_set_up_leaves_no_pip_behind(house: House) -> None:
    process = house.start(order="hang at run")
    while not (house.root / "hanging").exists():
        assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)  # to the set-up alone, as a service manager does it
    process.communicate(timeout=60)  # the pipes close only when pip has ended too
    assert process.returncode == 130
