"""Cron is told each trouble once a day, by directory and by reason; damage makes the program talk more, never less."""

from pathlib import Path

import pytest

from eelogger.storage.paths import LogPaths
from eelogger.storage.state import DAY_S, HOUR_S, forget, is_news

NOW_S = 1_795_348_800.0


def test_a_reason_is_news_once_a_day_in_each_directory(tmp_path: Path) -> None:
    paths = LogPaths(tmp_path / "logs")
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
def test_damage_is_passed_over(content: str, tmp_path: Path) -> None:
    paths = LogPaths(tmp_path)
    paths.said.write_text(content)
    assert is_news(paths, "settings", NOW_S)
    assert not is_news(paths, "settings", NOW_S + 1)


def test_what_cannot_be_kept_is_news_again(tmp_path: Path) -> None:
    paths = LogPaths(tmp_path)
    paths.said.mkdir()
    assert is_news(paths, "settings", NOW_S)
    forget(paths)
    assert is_news(paths, "settings", NOW_S + 1)
