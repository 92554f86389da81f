"""`app.py`: which Python and packages it needs, from wherever it is started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from launch import APP

from eelogger import __version__


def app(*arguments: str | Path, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env={**os.environ, **env})


def test_an_older_python_is_told_in_one_sentence(tmp_path: Path) -> None:
    text = APP.read_text().replace("sys.version_info < (3, 11)", "sys.version_info < (9, 0)")
    (tmp_path / "app.py").write_text(text)
    done = app(tmp_path / "app.py")
    assert done.returncode == 1
    assert done.stderr.startswith("eelogger needs Python ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("package", ["aiohttp", "dotenv"])
def test_a_package_that_is_missing_is_named(tmp_path: Path, package: str) -> None:
    (tmp_path / f"{package}.py").write_text(f"raise ModuleNotFoundError(name={package!r})\n")
    done = app(APP, "--demo", "--seconds", "1", "--log-dir", tmp_path / "logs", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert f"eelogger needs the package {package}, which is not installed here.\n" in done.stderr
    assert "-m pip install -r requirements.txt" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_while_it_is_loaded_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "dotenv").mkdir()
    (tmp_path / "dotenv" / "__init__.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    done = app(APP, "status", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize(("options", "env"), [(["-I"], {}), ([], {"PYTHONSAFEPATH": "1"}), ([], {})])
def test_it_starts_from_anywhere_in_any_mode(tmp_path: Path, options: list[str], env: dict[str, str]) -> None:
    done = app(*options, APP, "--version", cwd=tmp_path, **env)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"eelogger {__version__}\n", "")


def test_the_help_waits_for_no_network_library() -> None:
    code = (
        "import sys; from eelogger.cli import main; code = main(['--help'])\n"
        "sys.exit(code or len({'aiohttp', 'websockets', 'matplotlib'} & sys.modules.keys()))"
    )
    done = app("-c", code, cwd=APP.parent)
    assert (done.returncode, done.stderr) == (0, "")
