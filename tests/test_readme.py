"""README, `.env.example` and `--help` say what the code does: held against it word for word where that is possible."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eelogger import errors, lines
from eelogger.commands.arguments import parser
from eelogger.env.settings_table import SETTINGS, env_example
from eelogger.paths import LogPaths
from eelogger.screen.progress import BROKEN_OFF
from eelogger.text import logfmt

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

COMMANDS = (
    "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/python app.py --demo --seconds 20",
    "python3 -m venv .venv && .venv/bin/pip install -r tests/requirements.txt && .venv/bin/python -m pytest",
)


def sample(start: str) -> list[str]:
    """The lines of the README's code block whose first line begins with `start`."""
    block = re.search(rf"```\n({re.escape(start)}.*?)```", README, re.DOTALL)
    assert block is not None, start
    return block[1].splitlines()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_two_commands_stand_as_they_were_asked_for(command: str) -> None:
    assert f"```\n{command}\n```" in README


def test_the_settings_table_is_the_code_s() -> None:
    for row in SETTINGS:
        default = f"`{row.default}`" if row.default else ""
        assert f"| `{row.name}` | {default} | {row.meaning} |" in README
    assert set(re.findall(r"EEN_[A-Z_]+", README)) == {row.name for row in SETTINGS}
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == env_example()


def test_the_exit_codes_are_the_code_s() -> None:
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    tree = [errors.EeloggerError]
    for error in tree:
        tree += error.__subclasses__()
    # 70 is the root's own: a defect, and what is only raised inside. Ctrl-C is no error of ours.
    assert documented == {0, BROKEN_OFF} | {error.exit_code for error in tree} - {70}


def test_every_option_of_the_help_is_in_the_readme_or_explains_itself() -> None:
    text = parser().format_help()
    assert "exit codes:" in text
    for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE):
        assert re.search(rf"\b{code}\b", text), code


def test_the_delay_sample_is_a_real_line_and_each_key_is_explained() -> None:
    shown = sample("time=")
    for line in shown:
        parsed = lines.parse_delay_line(line)
        assert parsed is not None
        verdict, camera = parsed
        assert lines.delay_line(verdict, lines.label(camera)) == line + "\n"
    table = README[README.index("| `time` |") :].split("\n\n")[0]
    explained = set(re.findall(r"`([^`]+)`", table))
    explained = {key for cell in explained for key in cell.removesuffix("=1").split()}
    for line in shown:
        assert logfmt.parse(line).keys() <= explained


def test_the_other_samples_are_real_lines() -> None:
    assert all(lines.parse_gap_line(line) for line in sample("kind="))
    assert all(lines.parse_stream_line(line) for line in sample("2026-"))
    worst = [block for block in re.findall(r"```\n(time=.*?)```", README, re.DOTALL) if " -- {" in block]
    assert all(lines.parse_delay_line(line) for block in worst for line in block.splitlines())


def test_every_file_is_named() -> None:
    paths = LogPaths(Path())
    for name in (*paths.ours(), paths.uuids.name, paths.state.name, paths.lock.name, paths.said.name):
        assert f"`{name}`" in README, name
