"""README, `.env.example`, workflow and package say what the code does: held against it word for word where possible."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

from launch import environment

import eelogger
from eelogger import errors
from eelogger.cli import COMMANDS
from eelogger.storage.formats import delay_line, label, parse_delay_line, parse_gap_line, parse_pairs, parse_stream_line
from eelogger.storage.paths import LogPaths
from eelogger.views.summary import _CLOSING

ROOT: Final = Path(__file__).parent.parent
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"^```\w*\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
PROMISES: Final = README[README.index("## What is promised") : README.index("**Not promised.**")]


def lines(start: str) -> list[str]:
    """The lines of all samples that begin so."""
    return [line for block in BLOCKS for line in block.splitlines() if line.startswith(start)]


def test_the_exit_codes_are_those_of_the_code() -> None:
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    tree: list[type[errors.EeloggerError]] = [errors.EeloggerError]
    for error in tree:
        tree += error.__subclasses__()
    # 70 is a defect's and the self-test's; 1 the audit's; Ctrl-C is no error of ours.
    assert documented == {0, 1, 130} | {error.exit_code for error in tree} - {70}


def test_the_delay_samples_are_real_lines_and_each_key_is_explained() -> None:
    table = README[README.index("| `time` |") :].split("\n\n")[0]
    explained = {key for cell in re.findall(r"`([^`]+)`", table) for key in cell.removesuffix("=1").split()}
    shown = [line for line in lines("time=") if " verdict=" in line]
    assert len(shown) > 2
    for line in shown:
        parsed = parse_delay_line(line)
        assert parsed is not None, line
        assert parse_pairs(line).keys() <= explained
        if " -- " not in line:
            verdict, camera = parsed
            assert parse_pairs(delay_line(verdict, label(camera))).items() <= parse_pairs(line).items()


def test_the_other_samples_are_real_lines() -> None:
    assert lines("kind=")
    assert all(parse_gap_line(line) for line in lines("kind="))
    stream = [line for line in lines("2026-") if "+00:00 -- " in line]
    assert stream
    assert all(parse_stream_line(line.encode()) for line in stream)


def test_the_closing_table_has_the_columns_of_the_code() -> None:
    assert any(line.split() == ["camera", *_CLOSING] for line in lines("camera "))
    assert lines("First-seen events: ")


def test_every_file_is_named() -> None:
    paths = LogPaths(Path())
    for name in (*paths.ours, paths.uuids.name, paths.state.name, paths.lock.name, paths.said.name):
        assert f"`{name}`" in README, name


def test_every_promise_names_a_test_that_exists() -> None:
    rows = [row for row in PROMISES.splitlines() if row.startswith("| ")][1:]
    named = [
        re.findall(r"`(?:tests/)?(test_\w+\.py|benchmarks)`", row.rpartition("|")[0].rpartition("|")[2]) for row in rows
    ]
    assert min(map(len, named)) > 0
    assert all((ROOT / "tests" / name).exists() for names in named for name in names)


def test_every_command_is_in_the_readme_and_that_is_short() -> None:
    assert all(f"`{name}" in README or f"app.py {name}" in README for name in COMMANDS)
    assert README.count("\n") <= 380
    assert lines("python3 -m venv .venv && .venv/bin/pip install -r tests/requirements.txt && "), "what `.ci/run` runs"


def test_the_package_takes_version_and_requirements_from_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    dynamic = {"version": {"attr": "eelogger.__version__"}, "dependencies": {"file": ["requirements.txt"]}}
    assert project["tool"]["setuptools"] == {"packages": {"find": {"include": ["eelogger*"]}}, "dynamic": dynamic}
    assert re.fullmatch(r"\d+\.\d+\.\d+", eelogger.__version__)
    assert project["project"]["scripts"] == {"eelogger": "eelogger.cli:main"}


def test_an_installed_package_lives_in_the_current_directory_and_names_itself(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "eelogger", tmp_path / "site" / "eelogger", ignore=shutil.ignore_patterns("__pycache__"))
    code = "import sys; sys.argv[0] = 'eelogger'; from eelogger.cli import main; sys.exit(main())"
    env = environment(None, None, {"PYTHONPATH": str(tmp_path / "site")})
    told = ""
    for arguments, expected in (([], 78), (["--help"], 0), (["--demo", "--seconds", "3"], 0)):
        line = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == expected, done.stderr
        told += done.stdout + done.stderr
    assert (tmp_path / "logs" / "demo" / "summary.log").exists()
    assert "app.py" not in told
    assert all(text in told for text in ("usage: eelogger [", "eelogger audit --until now", "run `eelogger login`"))
