"""Settings: loading never fails, saving loses nothing, every option is declared whole."""

from __future__ import annotations

import threading
import tomllib
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import ErrorCode, JingyanError, Reason
from app.settings import (
    OPTIONS,
    LanguageChoice,
    Settings,
    SettingsFile,
    ThemeChoice,
    changed,
    load_settings,
    save_settings,
)
from app.settings.toml import to_toml

CHOSEN = Settings(LanguageChoice.CHINESE, ThemeChoice.DARK, 'D:\\模型\\"glm".gguf', 4_096, 256, 0.7, 5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "settings.toml"


def write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


# ---- options -------------------------------------------------------------------------------------
def test_every_option_is_declared_whole() -> None:
    assert list(OPTIONS) == list(asdict(Settings()))
    for name, option in OPTIONS.items():
        assert option.name == name
        assert option.default == getattr(Settings(), name)
        assert option.checked(option.default) == option.default
        assert option.sentence.endswith(".")
        if option.kind in (int, float):
            assert option.least < option.most
    assert OPTIONS["theme"].choices == ("system", "light", "dark")
    assert OPTIONS["passages"].choices == ()
    assert not OPTIONS["theme"].needs_restart
    assert OPTIONS["model_path"].needs_restart


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("language", "de"),
        ("language", 1),
        ("theme", ""),
        ("theme", "Dark"),
        ("model_path", "a\0b"),
        ("model_path", "x" * 5_000),
        ("model_path", None),
        ("context_tokens", -1),
        ("context_tokens", 4096.0),
        ("context_tokens", "4096"),
        ("context_tokens", True),
        ("answer_max_tokens", 15),
        ("temperature", 2.1),
        ("temperature", float("nan")),
        ("temperature", False),
        ("passages", 65),
        ("passages", [5]),
        ("no_such_option", 1),
    ],
)
def test_a_value_that_is_not_allowed_changes_nothing(name: str, value: object) -> None:
    with pytest.raises(JingyanError) as error:
        changed(CHOSEN, name, value)
    assert error.value.reason == Reason(ErrorCode.BAD_SETTING, {"setting": name})


def test_an_allowed_value_takes_the_type_of_its_option() -> None:
    assert changed(Settings(), "theme", "dark").theme is ThemeChoice.DARK
    warm = changed(Settings(), "temperature", 1)
    assert warm == replace(Settings(), temperature=1.0)
    assert isinstance(warm.temperature, float)


# ---- file ----------------------------------------------------------------------------------------
def test_no_file_means_the_defaults_and_no_problem(path: Path) -> None:
    loaded = load_settings(path)
    assert loaded.settings == Settings()
    assert loaded.problems == ()
    assert not path.parent.exists()


def test_what_is_saved_is_loaded(path: Path) -> None:
    save_settings(path, CHOSEN)
    assert load_settings(path).settings == CHOSEN
    assert load_settings(path).problems == ()
    assert [file.name for file in path.parent.iterdir()] == ["settings.toml"]


def test_the_file_explains_itself(path: Path) -> None:
    save_settings(path, Settings())
    text = path.read_text("utf-8")
    for name, option in OPTIONS.items():
        assert f"# {option.sentence}\n{name} = " in text


def test_bad_values_become_defaults_and_the_good_ones_stay(path: Path) -> None:
    write(path, 'theme = "dark"\npassages = "many"\ntemperature = 99\nlanguage = "en"\n')
    loaded = load_settings(path)
    assert loaded.settings == Settings(language=LanguageChoice.ENGLISH, theme=ThemeChoice.DARK)
    assert [reason.facts["setting"] for reason in loaded.problems] == ["temperature", "passages"]


def test_keys_of_other_versions_survive_a_change(path: Path) -> None:
    others = (
        '"hot key" = "F9"\nfuture = {a = [1, 2.5, {b = 1979-05-27T07:32:00Z}], c = "é\\u007f\\n"}\n'
        "[plugins.x]\non = true\n"
    )
    write(path, f'theme = "dark"\n{others}')
    save_settings(path, CHOSEN)
    kept = tomllib.loads(path.read_text("utf-8"))
    assert {key: kept[key] for key in kept if key not in OPTIONS} == tomllib.loads(others)
    assert load_settings(path).settings == CHOSEN


@pytest.mark.parametrize(
    "content",
    [
        "theme = ",
        b"\xff\xfe\x00\x01",
        "theme = 'dark'\n" * 2,
        f"x = {'[' * 100_000}",
        f"x = {'9' * 5_000}",
        "# " + "x" * 300_000,
        b"\0" * 100,
    ],
    ids=["cut", "not utf-8", "twice", "deep", "long number", "too long", "zeros"],
)
def test_a_damaged_file_is_put_aside_and_the_program_starts(path: Path, content: str | bytes) -> None:
    write(path, content)
    before = path.read_bytes()
    loaded = load_settings(path)
    assert loaded.settings == Settings()
    assert loaded.problems == (Reason(ErrorCode.BAD_INPUT_FILE, {"name": "settings.toml"}),)
    assert path.with_name("settings.toml.damaged").read_bytes() == before
    save_settings(path, CHOSEN)
    assert load_settings(path).settings == CHOSEN


def test_a_file_damaged_while_the_program_runs_is_put_aside_too(path: Path) -> None:
    save_settings(path, Settings())
    write(path, "theme = ")
    save_settings(path, CHOSEN)
    assert load_settings(path).settings == CHOSEN
    assert path.with_name("settings.toml.damaged").read_text() == "theme = "


def test_a_byte_order_mark_and_windows_line_ends_are_read(path: Path) -> None:
    write(path, b'\xef\xbb\xbftheme = "dark"\r\npassages = 3\r\n')
    assert load_settings(path).settings == Settings(theme=ThemeChoice.DARK, passages=3)


def test_a_folder_in_its_place_is_reported_and_stays(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "mine.txt").write_text("keep me")
    loaded = load_settings(path)
    assert loaded.settings == Settings()
    assert loaded.problems == (Reason(ErrorCode.FILE_UNREADABLE, {"name": "settings.toml"}),)
    with pytest.raises(JingyanError) as error:
        save_settings(path, CHOSEN)
    assert error.value.code is ErrorCode.FILE_UNREADABLE
    assert (path / "mine.txt").read_text() == "keep me"


# ---- a running program ---------------------------------------------------------------------------
def test_a_change_is_on_the_disk_at_once(path: Path) -> None:
    file = SettingsFile(path)
    file.put("theme", "dark")
    assert file.get("theme") == "dark"
    assert file.settings.theme is ThemeChoice.DARK
    assert SettingsFile(path).get("theme") == "dark"
    assert file.get("no_such_option") == ""


def test_a_bad_change_leaves_the_setting_from_before(path: Path) -> None:
    file = SettingsFile(path)
    file.put("passages", 3)
    before = path.read_bytes()
    with pytest.raises(JingyanError):
        file.put("passages", 0)
    assert file.settings.passages == 3
    assert path.read_bytes() == before


def test_a_change_that_cannot_be_saved_is_not_in_use(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"a file where the folder should be")
    file = SettingsFile(tmp_path / "data" / "settings.toml")
    assert file.settings == Settings()
    with pytest.raises(JingyanError):
        file.put("theme", "dark")
    assert file.get("theme") == "system"


def test_changes_from_several_threads_all_arrive(path: Path) -> None:
    file = SettingsFile(path)
    changes = {"theme": "dark", "language": "en", "passages": 3, "temperature": 0.5, "context_tokens": 512}
    threads = [threading.Thread(target=file.put, args=change) for change in changes.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    saved = asdict(load_settings(path).settings)
    assert {name: saved[name] for name in changes} == changes


# ---- TOML ----------------------------------------------------------------------------------------
SCALARS = (
    st.text(st.characters(exclude_categories=["Cs"]))
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.booleans()
    | st.datetimes()
    | st.dates()
    | st.times()
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=12)


@given(st.dictionaries(KEYS, VALUES))
def test_every_table_comes_back(table: dict[str, object]) -> None:
    assert tomllib.loads(to_toml(table)) == table
