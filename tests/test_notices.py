"""Cron is told each trouble once a day, by directory and by reason; damage makes the program talk more, never less."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

from eelogger.storage.notices import DAY_S, HOUR_S, forget, is_news
from eelogger.storage.paths import LogPaths

NOW_S = 1_795_348_800.0


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary directory of the system for this test alone."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(params=["writable", "not writable"])
def paths(request: pytest.FixtureRequest, tmp_path: Path) -> LogPaths:
    if request.param == "not writable":
        (tmp_path / "file").touch()
        return LogPaths(tmp_path / "file" / "logs")
    return LogPaths(tmp_path / "logs")


def test_a_reason_is_news_once_a_day_in_each_directory(paths: LogPaths, tmp_path: Path) -> None:
    assert is_news(paths, "settings", NOW_S)
    assert not is_news(paths, "settings", NOW_S + DAY_S - 1)
    assert is_news(paths, "key-refused", NOW_S)
    assert is_news(LogPaths(tmp_path / "other"), "settings", NOW_S)
    assert is_news(paths, "settings", NOW_S + HOUR_S, HOUR_S)
    assert is_news(paths, "settings", NOW_S + HOUR_S + DAY_S)
    assert is_news(paths, "settings", NOW_S), "the clock was put back"
    forget(paths)
    assert is_news(paths, "settings", NOW_S + 1), "a run worked meanwhile"


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 9000, '{"settings": %s}' % ("9" * 400), '{"settings": NaN}'])
def test_damage_is_passed_over(paths: LogPaths, content: str, temporary: Path) -> None:
    assert is_news(paths, "settings", NOW_S)
    said = paths.said if paths.said.exists() else next(temporary.iterdir())
    said.write_text(content)
    assert is_news(paths, "settings", NOW_S + 1)
    assert not is_news(paths, "settings", NOW_S + 2)
    forget(paths)


def test_a_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    paths = LogPaths(tmp_path)
    paths.said.mkdir()
    assert is_news(paths, "settings", NOW_S)
    assert not is_news(paths, "settings", NOW_S + 1), "it is kept in the temporary directory"


def test_nobody_elses_file_silences_us(tmp_path: Path, temporary: Path) -> None:
    (tmp_path / "file").touch()
    paths = LogPaths(tmp_path / "file" / "logs")
    assert is_news(paths, "settings", NOW_S)
    (ours,) = temporary.iterdir()
    assert ours.stat().st_mode & 0o777 == 0o600
    target = tmp_path / "target"
    target.write_text(json.dumps({"settings": NOW_S}))
    ours.unlink()
    ours.symlink_to(target)
    assert is_news(paths, "settings", NOW_S + 1)
    assert json.loads(target.read_text()) == {"settings": NOW_S}, "a link is not followed"
    if os.getuid() == 0:
        ours.unlink()
        ours.write_text(json.dumps({"settings": NOW_S}))
        os.chown(ours, 65534, 65534)
        assert is_news(paths, "settings", NOW_S + 1)
