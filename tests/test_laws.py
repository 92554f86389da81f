"""The laws of the house: pure rooms touch nothing, imports point one way, one room prints, one reads the environment.

Read from the syntax of every file, so that a law holds on lines no test runs. Each law is also shown a package that
breaks it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import eelogger

PACKAGE = Path(eelogger.__file__).parent

ORDER = (
    ("cli",),
    ("commands",),
    ("report",),
    ("service",),
    ("instrument",),
    ("history", "replay", "views"),
    ("past", "reconnect"),
    ("recorder",),
    ("handler", "upkeep"),
    ("cameras", "day", "logdir", "screen", "stream"),
    ("net", "stats", "writer"),
    ("clock", "figures", "lines", "paths", "settings"),
    ("env", "text", "wire", "writing"),
    ("backoff", "dedup", "errors", "model", "simulator", "thread", "version"),
)
"""The whole house, from the door to the foundations, a folder being one part: nothing reaches into a line above."""

BACK_REFERENCES: dict[tuple[str, str], str] = {}
"""What points the other way, and why it may."""

PURE = set(
    """
    backoff day dedup errors figures.histogram figures.observation figures.quantiles handler lines logdir.rejects
    logdir.space model stats text.logfmt text.times text.units views.summary wire
    """.split()  # noqa: SIM905
)
"""Rooms that decide and do not touch: what they are given is all they know."""

TOUCHING = set(
    """
    aiofiles aiohttp asyncio concurrent http io logging multiprocessing os pathlib select selectors shutil signal socket
    ssl subprocess tempfile threading urllib websockets
    """.split()  # noqa: SIM905
)
"""What reaches a network, a disk, a thread or a terminal."""
CLOCKS = {"time", "clock"}
"""What knows the time; `clock` also has values that may be spoken of, so a pure room may reach it, not import it."""

OPENING = {"open", "fdopen", "read_text", "read_bytes", "write_text", "write_bytes"}
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv", "getproxies"}
PRINTING = {"print", "input", "pprint", "stdout", "stderr"}

READ_THE_ENVIRONMENT = {"settings", "env.env_file"}
PRINT = {"cli", "simulator.__main__"}
START_THE_CLOUD = {"cli", "commands.selftest"}
"""The demo and the self-test, in a function: no run on an account needs the simulator."""

PACKAGES = {"aiofiles", "aiohttp", "dotenv", "websockets", "yarl"}
"""What may be installed, yarl being aiohttp's own type for addresses."""
OPTIONAL = {"matplotlib"}
"""Extras, imported where they are used."""


class Import(NamedTuple):
    """One imported module: a room of ours by its name within the package, or another by its full name."""

    name: str
    ours: bool
    deferred: bool
    """Inside a function, or for types alone: it is not imported with the room."""


class Room(NamedTuple):
    """What a file imports, and every name and attribute it speaks of."""

    imports: list[Import]
    names: set[str]


Rooms = dict[str, Room]
"""All rooms by name: `wire`, `simulator.cloud`; the package itself is "" and no room, it only shows names lazily."""


def read_rooms(sources: dict[str, str]) -> Rooms:
    """The rooms of a package, from the text of each file by its path within the package."""
    trees = {
        path.removesuffix(".py").removesuffix("__init__").rstrip("/"): (path, text) for path, text in sources.items()
    }
    known = {name.replace("/", ".") for name in trees}
    return {name.replace("/", "."): _read_room(path, text, known) for name, (path, text) in trees.items()}


def _read_room(path: str, text: str, known: set[str]) -> Room:
    folders = path.split("/")[:-1]
    imports: list[Import] = []
    names: set[str] = set()
    deferred: set[ast.AST] = set()
    for node in ast.walk(ast.parse(text, path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or _is_for_types(node):
            deferred.update(ast.walk(node))
        if isinstance(node, ast.Import):
            imports += [_import(alias.name, known, node in deferred) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.update(alias.name for alias in node.names)
            above = ["eelogger", *folders[: len(folders) + 1 - node.level]] if node.level else []
            home = ".".join([*above, *filter(None, [node.module])])
            imports += [_import(f"{home}.{alias.name}", known, node in deferred) for alias in node.names]
        elif isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
    return Room(imports, names)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def _import(full: str, known: set[str], deferred: bool) -> Import:
    """Where `full` leads: a module of ours, or a name in one, or a package of others."""
    first, _, rest = full.partition(".")
    if first != "eelogger":
        return Import(first, False, deferred)
    return Import(rest if rest in known else rest.rpartition(".")[0], True, deferred)


def rooms_of(package: Path) -> Rooms:
    """The rooms of the package on disk."""
    return read_rooms({str(path.relative_to(package)): path.read_text("utf-8") for path in package.rglob("*.py")})


def ours(rooms: Rooms, name: str) -> list[str]:
    """The other rooms a room imports; the package itself is none."""
    found = {entry.name for entry in rooms[name].imports if entry.ours and entry.name in rooms}
    return sorted(found - {"", name} - {to for of, to in BACK_REFERENCES if of == name})


def ways(rooms: Rooms, start: str) -> Iterator[list[str]]:
    """A shortest way from a room to each room it reaches."""
    waiting, reached = [[start]], {start}
    for way in waiting:
        yield way
        onward = [name for name in ours(rooms, way[-1]) if name not in reached]
        reached.update(onward)
        waiting += [[*way, name] for name in onward]


# The laws: each says where it is broken


def pure_rooms_touch_nothing(rooms: Rooms) -> list[str]:
    """Neither a pure room nor what it imports of ours imports what touches the world, or opens a file."""
    broken = []
    for name in sorted(PURE & rooms.keys()):
        broken += [f"{name} imports {entry.name}" for entry in rooms[name].imports if entry.name in CLOCKS]
        for way in ways(rooms, name):
            room = rooms[way[-1]]
            broken += [f"{' > '.join(way)} imports {entry.name}" for entry in room.imports if entry.name in TOUCHING]
            broken += [f"{' > '.join(way)} calls {word}" for word in sorted(room.names & OPENING)]
    return broken


def no_import_comes_back(rooms: Rooms) -> list[str]:
    """There is no way from a room to itself."""
    return [
        " > ".join([*way, name]) for name in sorted(rooms) for way in ways(rooms, name) if name in ours(rooms, way[-1])
    ]


def imports_point_down(rooms: Rooms) -> list[str]:
    """A room reaches only what stands in its own line of `ORDER` or in one below."""
    line = {name: number for number, names in enumerate(ORDER) for name in names}
    return [
        " > ".join(way)
        for name in sorted(rooms)
        for way in ways(rooms, name)
        if line.get(part(way[-1]), len(ORDER)) < line.get(part(name), 0)
    ]


def part(name: str) -> str:
    """The room or, for a file of a folder, the folder: `report.cells` is a part of `report`."""
    return name.partition(".")[0]


def the_simulator_stands_alone(rooms: Rooms) -> list[str]:
    """It imports nothing of ours, so that no misreading is shared; only demo and self-test import it, when run."""
    broken = []
    for name, room in rooms.items():
        for entry in room.imports:
            if not entry.ours or (part(name) == "simulator") is (part(entry.name) == "simulator"):
                continue
            if part(name) == "simulator" or name not in START_THE_CLOUD or not entry.deferred:
                broken.append(f"{name} > {entry.name or 'the package'}")
    return broken


def one_room_reads_the_environment(rooms: Rooms) -> list[str]:
    """Everything else is told by `Settings`."""
    return speaking(rooms, ENVIRONMENT, READ_THE_ENVIRONMENT)


def one_room_prints(rooms: Rooms) -> list[str]:
    """Everything else returns text or raises."""
    return speaking(rooms, PRINTING, PRINT)


def speaking(rooms: Rooms, words: set[str], allowed: set[str]) -> list[str]:
    """Where one of the words is used by a room that may not."""
    return [
        f"{name}: {word}" for name, room in rooms.items() if name not in allowed for word in sorted(room.names & words)
    ]


def nothing_else_is_installed(rooms: Rooms) -> list[str]:
    """Only the standard library and the packages of `requirements.txt`; extras where they are used."""
    return [
        f"{name} > {entry.name}"
        for name, room in rooms.items()
        for entry in room.imports
        if not entry.ours and entry.name not in sys.stdlib_module_names | PACKAGES
        if not (entry.name in OPTIONAL and entry.deferred)
    ]


LAWS: list[Callable[[Rooms], list[str]]] = [
    pure_rooms_touch_nothing,
    no_import_comes_back,
    imports_point_down,
    the_simulator_stands_alone,
    one_room_reads_the_environment,
    one_room_prints,
    nothing_else_is_installed,
]


@pytest.fixture(scope="module")
def rooms() -> Rooms:
    """The package as it stands."""
    return rooms_of(PACKAGE)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_the_law_holds(law: Callable[[Rooms], list[str]], rooms: Rooms) -> None:
    assert law(rooms) == []


def test_the_rooms_named_here_are_there(rooms: Rooms) -> None:
    assert rooms.keys() >= PURE
    assert {part(name) for name in rooms} - {""} == {name for names in ORDER for name in names}
    assert {"cli", "service", "handler", "writer", "wire", "model", "simulator.cloud"} <= rooms.keys()
    for name, to in BACK_REFERENCES:
        assert to in {entry.name for entry in rooms[name].imports}, "an exception nobody needs any more"


def test_the_imports_are_understood(rooms: Rooms) -> None:
    assert {"lines", "wire", "day", "dedup", "model"} <= set(ours(rooms, "handler"))
    assert ours(rooms, "errors") == []
    assert "simulator.state" in ours(rooms, "simulator.rest"), "its own rest, not ours"
    assert Import("websockets", False, False) in rooms["net.connection"].imports


BREAKS: dict[Callable[[Rooms], list[str]], list[tuple[dict[str, str], list[str]]]] = {
    pure_rooms_touch_nothing: [
        ({"wire.py": "import asyncio"}, ["wire imports asyncio"]),
        ({"wire.py": "import asyncio.queues as q"}, ["wire imports asyncio"]),
        ({"wire.py": "def f():\n    from websockets.frames import Frame"}, ["wire imports websockets"]),
        ({"wire.py": "from time import time_ns"}, ["wire imports time"]),
        ({"wire.py": "from .clock import now_us", "clock.py": ""}, ["wire imports clock"]),
        ({"wire.py": "def f(p):\n    return open(p)"}, ["wire calls open"]),
        ({"wire.py": "def f(p):\n    return p.read_text()"}, ["wire calls read_text"]),
        (
            {"wire.py": "from .a import x", "a.py": "from eelogger import b", "b.py": "import aiohttp"},
            ["wire > a > b imports aiohttp"],
        ),
        ({"wire.py": "from .a import x", "a.py": "", "b.py": "import aiohttp"}, []),
    ],
    no_import_comes_back: [
        ({"a.py": "from . import b", "b.py": "import eelogger.a"}, ["a > b > a", "b > a > b"]),
        ({"a.py": "from .b import x", "b.py": "def f():\n    from .a import y"}, ["a > b > a", "b > a > b"]),
        ({"a.py": "from . import b, __version__", "b.py": "", "__init__.py": "from . import a"}, []),
        ({"a/x.py": "from ..b import q", "b.py": "from .a.x import z"}, ["a.x > b > a.x", "b > a.x > b"]),
    ],
    imports_point_down: [
        ({"wire.py": "from .handler import x", "handler.py": ""}, ["wire > handler"]),
        ({"wire.py": "from .a import x", "a.py": "from . import cli", "cli.py": ""}, ["wire > a > cli"]),
        ({"service.py": "from .report.cells import x", "report/cells.py": ""}, ["service > report.cells"]),
        ({"handler.py": "from .wire import x", "wire.py": "", "a.py": "from . import handler"}, []),
    ],
    the_simulator_stands_alone: [
        ({"simulator/a.py": "from ..wire import x", "wire.py": ""}, ["simulator.a > wire"]),
        ({"simulator/a.py": "from eelogger import wire", "wire.py": ""}, ["simulator.a > wire"]),
        ({"simulator/a.py": "from .. import __version__"}, ["simulator.a > the package"]),
        ({"simulator/a.py": "from .b import x", "simulator/b.py": ""}, []),
        ({"rest.py": "from .simulator import Cloud", "simulator/__init__.py": ""}, ["rest > simulator"]),
        ({"cli.py": "from .simulator import Cloud", "simulator/__init__.py": ""}, ["cli > simulator"]),
        ({"cli.py": "def f():\n    from .simulator import Cloud", "simulator/__init__.py": ""}, []),
    ],
    one_room_reads_the_environment: [
        ({"rest.py": "import os\nx = os.environ['A']"}, ["rest: environ"]),
        ({"rest.py": "from os import getenv as g"}, ["rest: getenv"]),
        ({"settings.py": "import os\nx = os.environ['A']"}, []),
    ],
    one_room_prints: [
        ({"rest.py": "print(1)"}, ["rest: print"]),
        ({"rest.py": "import sys\nsys.stdout.write('x')"}, ["rest: stdout"]),
        ({"cli.py": "print(1)", "simulator/__main__.py": "print(1)"}, []),
    ],
    nothing_else_is_installed: [
        ({"rest.py": "import requests.adapters"}, ["rest > requests"]),
        ({"report/plots.py": "import matplotlib"}, ["report.plots > matplotlib"]),
        ({"a.py": "if TYPE_CHECKING:\n    from matplotlib.axes import Axes"}, []),
        ({"a.py": "import typing\nif typing.TYPE_CHECKING:\n    import pandas"}, ["a > pandas"]),
        ({"report/plots.py": "def f():\n    import matplotlib.pyplot", "a.py": "import aiohttp, json"}, []),
    ],
}


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_a_break_is_seen_and_nothing_else(law: Callable[[Rooms], list[str]]) -> None:
    for sources, broken in BREAKS[law]:
        assert law(read_rooms(sources)) == broken
