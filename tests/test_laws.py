"""The layers of the package: who may import whom, and which library is known where."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

PACKAGE: Final = Path(__file__).resolve().parent.parent / "eelogger"

# A room may import those to the right of its arrow, and rooms of its own folder.
BASE: Final = {"model", "errors", "clock", "settings", "setting_types"}
LAWS: Final[dict[str, set[str]]] = {
    "model": set(),
    "errors": set(),
    "clock": {"model"},
    "setting_types": {"errors"},
    "settings": {"setting_types", "errors", "model"},
    "measure": {"model", "errors"},
    "storage": {"measure", *BASE},
    "cloud": {"measure", "storage.daemon_thread", *BASE},
    "views": {"measure", "storage.formats", "storage.paths", "storage.daemon_thread", *BASE},
    "recorder": {"measure", "storage", *BASE},
    "restore": {"recorder", "measure", "storage", *BASE},
    "parts": {"restore", "recorder", "cloud", "storage", "views", "measure", *BASE},
    "run": {"parts", "restore", "storage", "views", "measure", *BASE},
    "report": {"storage", "views", "measure", *BASE},
    "simulator": {"model", "errors"},
    "script": {"run", "cloud", "storage", "measure", *BASE},
    "commands": {"report", "run", "restore", "recorder", "cloud", "storage", "views", "measure", "simulator", *BASE},
    "cli": {"commands", "run", "cloud", "storage", "views", "simulator", *BASE},
}
LIBRARIES: Final[dict[str, set[str]]] = {
    "websockets": {"cloud.connection", "cloud.stream", "cloud.failures", "simulator"},
    "aiohttp": {"cloud.rest", "cloud.failures", "simulator"}, "yarl": {"cloud.rest"}, "aiofiles": {"storage.writer"},
    "dotenv": {"setting_types", "commands.login"}, "matplotlib": {"report.plots"},
}  # fmt: skip


def modules() -> dict[str, ast.Module]:
    """All modules by dotted name inside the package; a folder's `__init__` by the folder's."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): ast.parse(path.read_text())
        for path in PACKAGE.rglob("*.py")
    }


MODULES: Final = modules()


def imports(name: str) -> Iterator[tuple[bool, str]]:
    """What a module imports: whether it is of the package, and the dotted name."""
    is_folder = (PACKAGE / name.replace(".", "/")).is_dir()
    home = name.split(".") if is_folder else name.split(".")[:-1]
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import):
            yield from ((False, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield False, node.module or ""
        elif isinstance(node, ast.ImportFrom):
            base = home[: len(home) - node.level + 1] + (node.module.split(".") if node.module else [])
            for alias in node.names:
                target = ".".join([*base, alias.name])
                yield True, target if target in MODULES else ".".join(base)


def room(name: str) -> str:
    """The folder a module stands in, or the module."""
    return name.partition(".")[0]


def within(name: str, allowed: set[str]) -> bool:
    return room(name) in allowed or name in allowed


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"__init__"}))
def test_arrows_point_down(name: str) -> None:
    allowed = LAWS[room(name)] | {room(name)}
    wrong = {target for ours, target in imports(name) if ours and target and not within(target, allowed)}
    assert not wrong


@pytest.mark.parametrize("name", sorted(MODULES))
def test_libraries_are_known_where_they_belong(name: str) -> None:
    for ours, target in imports(name):
        top = target.partition(".")[0]
        if not ours and top not in sys.stdlib_module_names:
            assert within(name, LIBRARIES[top]), f"{name} imports {top}"


def test_there_is_no_cycle() -> None:
    graph = {name: {target for ours, target in imports(name) if ours} for name in MODULES}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join([*path, name])
        if name not in done:
            for target in graph.get(name, set()):
                visit(target, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_measuring_asks_no_clock_and_no_disk() -> None:
    impure = {"time", "os", "pathlib", "asyncio", "socket", "threading", "random", "logging"}
    for name in MODULES:
        if room(name) == "measure":
            assert not impure & {target for ours, target in imports(name) if not ours}, name


def test_each_stem_exists_once() -> None:
    stems = [name.rpartition(".")[2] for name in MODULES if not name.startswith("commands.")]
    assert len(stems) == len(set(stems))


def test_only_the_settings_know_how_the_program_is_called() -> None:
    assert [path.name for path in PACKAGE.rglob("*.py") if "python app.py" in path.read_text()] == ["settings.py"]
