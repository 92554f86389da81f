"""Settings: where a value comes from, what each accepts, that every problem is told at once and no secret ever."""

import os
import traceback
from pathlib import Path

import pytest

from eelogger import settings as room
from eelogger.errors import SettingsError
from eelogger.model import Camera
from eelogger.settings import CREDENTIALS, ENV_FILE, ROOT, SETTINGS, demo_settings, load, log_dir_of, proxy_for

KEY = f"c000~{0:032d}"
ACCESS = {"EEN_BRANDING": "c000", "EEN_ACCOUNT_ID": "00012345", "EEN_AUTH_KEY": KEY}
SECRET = "s3cret-and-planted"


def problems(environ: dict[str, str], env_file: Path | None = None) -> dict[str, str]:
    """The message of each problem by the name of its setting."""
    with pytest.raises(SettingsError) as caught:
        load(env_file, environ=environ)
    told = caught.value
    assert all(p.hint for p in told.problems)
    assert SECRET not in f"{told}{told!r}{told.problems}" + "".join(traceback.format_exception(told))
    return {problem.name: problem.message for problem in told.problems}


def env_file(tmp_path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    file = tmp_path / ".env"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    file.chmod(mode)
    return file


def test_each_setting_stands_in_example_file_and_readme_and_takes_its_own_texts(tmp_path: Path) -> None:
    example, readme = ((ROOT / name).read_text(encoding="utf-8") for name in (".env.example", "README.md"))
    assert len(SETTINGS) == 19
    for row in SETTINGS:
        is_open = row.name in CREDENTIALS
        sample = f" (example: {row.example})" if is_open and row.example else ""
        line = f"{row.name}=" if is_open else f"#{row.name}={row.default or row.example}"
        assert f"\n# {row.help}{sample}\n{line}\n" in example
        assert f"| `{row.name}` | {f'`{row.default}`' if row.default else ''} | {row.help} |\n" in readme
        for text in filter(None, (row.default, row.example)):
            row.parse(text)
    told = problems({}, env_file(tmp_path, example))
    assert set(told) == {"EEN_AUTH_KEY", "EEN_ACCOUNT_ID", "EEN_BRANDING"}


def test_environment_wins_and_empty_is_unset(tmp_path: Path) -> None:
    file = env_file(tmp_path, "EEN_KEEP_DAYS=7\nEEN_EVENTS=ALRE\nEEN_CAMERAS=\n")
    settings = load(file, environ=ACCESS | {"EEN_KEEP_DAYS": "9", "EEN_EVENTS": " "})
    assert (settings.keep_days, settings.events, settings.cameras) == (9, ("ALRE",), ())


@pytest.mark.parametrize("content", [f"\ufeffEEN_AUTH_KEY={KEY}\r\n", f"export EEN_AUTH_KEY='{KEY}'  # mine\n"])
def test_file_forms(tmp_path: Path, content: str) -> None:
    environ = {name: ACCESS[name] for name in ("EEN_BRANDING", "EEN_ACCOUNT_ID")}
    assert load(env_file(tmp_path, content), environ=environ).auth_key == KEY


def test_values_are_literal_and_passwords_keep_their_blanks(tmp_path: Path) -> None:
    file = env_file(tmp_path, "EEN_USERNAME= ops \nEEN_PASSWORD=' $HOME ${X}#1 '\n")
    settings = load(file, environ={})
    assert (settings.username, settings.password) == ("ops", " $HOME ${X}#1 ")
    assert settings.has_login


def test_unreadable_files_are_problems_and_a_missing_one_unless_it_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for content, message in [
        (f"EEN_AUTH_KEY={SECRET}".encode("utf-16"), "cannot be read: it is not UTF-8 text"),
        (f"A=1\nEEN_PASSWORD='{SECRET}\n".encode(), "line 2 cannot be read"),
    ]:
        file = env_file(tmp_path, content)
        assert problems(dict(ACCESS), file) == {str(file): message}
    missing = tmp_path / "other.env"
    assert list(problems(dict(ACCESS), missing)) == [str(missing)]
    assert list(problems(dict(ACCESS), tmp_path)) == [str(tmp_path)]
    assert ENV_FILE == ROOT / ".env"
    monkeypatch.setattr(room, "ENV_FILE", missing)
    load(missing, environ=ACCESS)


@pytest.mark.parametrize("mistake", ["EEN_PASSWORD:{}", "EEN_PASSWORD{}", "$env:EEN_API_KEY={}", "EEN_PASSWORD:{}=x"])
def test_a_line_that_names_no_setting_is_told_by_its_number(tmp_path: Path, mistake: str) -> None:
    file = env_file(tmp_path, f"EEN_EVENTS=ANNT\n{mistake.format('hunter2')}\n")
    settings = load(file, environ=ACCESS)
    assert settings.warnings == (f"line 2 of {file} does not count: write NAME=value",)
    assert settings.events == ("ANNT",)


def test_names_that_are_mistakes_are_warned_about(tmp_path: Path) -> None:
    file = env_file(tmp_path, "EEN_EVENT=ANNT\nPATH=/bin\n")
    warnings = load(file, environ=ACCESS | {"EENY": "1", "SCREEN_1": "1", "een_cameras": "x"}).warnings
    assert [text.split("'")[1] for text in warnings] == ["EEN_EVENT", "een_cameras"]


def test_a_file_open_to_others_is_warned_about(tmp_path: Path) -> None:
    for mode, warned in ((0o600, False), (0o640, True), (0o604, True)):
        warnings = load(env_file(tmp_path, f"EEN_AUTH_KEY={KEY}\n", mode), environ=ACCESS).warnings
        assert any("chmod 600" in text for text in warnings) is warned


@pytest.mark.parametrize(
    ("environ", "missing"),
    [
        ({}, {"EEN_AUTH_KEY", "EEN_ACCOUNT_ID", "EEN_BRANDING"}),
        ({"EEN_AUTH_KEY": KEY, "EEN_ACCOUNT_ID": "1"}, {"EEN_BRANDING"}),
        ({"EEN_AUTH_KEY": KEY, "EEN_BASE_URL": "https://x"}, {"EEN_ACCOUNT_ID"}),
        ({"EEN_PASSWORD": SECRET, "EEN_ACCOUNT_ID": "1"}, {"EEN_AUTH_KEY", "EEN_BRANDING"}),
        ({"EEN_AUTH_KEY": f"{SECRET};", "EEN_ACCOUNT_ID": "1"}, {"EEN_AUTH_KEY", "EEN_BRANDING"}),
        ({"EEN_USERNAME": "ops", "EEN_PASSWORD": "x"}, set()),
        ({"EEN_AUTH_KEY": KEY, "EEN_ACCOUNT_ID": "1", "EEN_BASE_URL": "https://x"}, set()),
        (ACCESS | {"EEN_USERNAME": "ops"}, set()),
    ],
)
def test_what_a_run_needs(environ: dict[str, str], missing: set[str]) -> None:
    if missing:
        assert set(problems(environ)) == missing
    else:
        load(environ=environ)


BAD = [
    ("EEN_BRANDING", ["c000.eagleeyenetworks.com", "-a", "a" * 64, "a b", "a/b", "ä"]),
    ("EEN_ACCOUNT_ID", ["1/2", "a" * 21, "1 2", "../x"]),
    ("EEN_AUTH_KEY", ["a b", "a;b", "a,b", 'a"b', "a\\b", "ä", "a\nb"]), ("EEN_API_KEY", ["a b", "ä", "a\r\nX: y"]),
    ("EEN_BASE_URL", ["x", "ftp://x", "http://example.com", "https://x/y", "https://u:p@x", "https://x?q"]),
    ("EEN_BASE_URL", ["https://x:65536", "https://[::zz]", "https://x,y", "https://x:", "https://"]),
    ("EEN_EVENTS", ["ANN", "ANNT,ALRSX", "AN T", ",", "ÄNNT"]),
    ("EEN_RESOURCES", ["thumb", "events", ",", "event;pre"]), ("EEN_NAMESPACE_NAMES", ["300", "300=", "x=GPS"]),
    ("EEN_NAMESPACES", ["a", "1.5", "1" * 5000, "１０３", ","]), ("EEN_CAMERAS", [", ,", "a\x1bb"]),
    ("EEN_KEEP_DAYS", ["0", "-1", "1.5", "99999", "off", "1" * 5000]),
    ("EEN_LOG_MAX_BYTES", ["x", "1.5G", "-1", "10", "64X", "1" * 5000]), ("EEN_DISK_BUFFER_BYTES", ["off", "1K"]),
    ("EEN_LOG_DIR", ["a\x00b", "\udcff"]), ("EEN_CA_FILE", ["/does/not/exist", "/", __file__]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in BAD for text in texts])
def test_malformed(name: str, text: str) -> None:
    assert list(problems(ACCESS | {name: text})) == [name]


def test_all_problems_are_told_at_once() -> None:
    malformed = {name: f"{SECRET}; \x07" for name, _ in BAD} | {"EEN_NAMESPACES": "x", "EEN_LOG_DIR": "\x07"}
    malformed["EEN_BASE_URL"] = f"https://u:{SECRET}@x"
    assert set(problems(malformed)) >= {name for name, _ in BAD}


GOOD = [
    ("EEN_BRANDING", "C000", "c000"), ("EEN_EVENTS", " annt , ALRS,ANNT ,", ("ANNT", "ALRS")),
    ("EEN_RESOURCES", "Event, pre", ("event", "pre")), ("EEN_NAMESPACES", "101, 103", (101, 103)),
    ("EEN_NAMESPACE_NAMES", " 300 = GPS data ;301=a=b;", ((300, "GPS data"), (301, "a=b"))),
    ("EEN_CAMERAS", "100e1e23, Front *", ("100e1e23", "Front *")), ("EEN_LOG_MAX_BYTES", "1048576", 1 << 20),
    ("EEN_LOG_MAX_BYTES", "2g", 2 << 30), *(("EEN_LOG_MAX_BYTES", off, None) for off in ("OFF", "none", "0")),
    ("EEN_DISK_BUFFER_BYTES", "3 MiB", 3 << 20),
    ("EEN_BASE_URL", "https://Gateway.Example:8443/", "https://gateway.example:8443"),
    *(("EEN_BASE_URL", url, url) for url in ("http://127.1.2.3:80", "http://[::1]:65535", "http://localhost:1")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "value"), GOOD)
def test_well_formed(name: str, text: str, value: object) -> None:
    assert getattr(load(environ=ACCESS | {name: text}), name.removeprefix("EEN_").lower()) == value


def test_relative_paths_start_where_they_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.chdir(here)
    file = env_file(there, "EEN_LOG_DIR=out\nEEN_METRICS_FILE=~/m.prom\n")
    settings = load(file, environ=ACCESS)
    assert (settings.log_dir, settings.metrics_file) == (there / "out", Path.home() / "m.prom")
    assert load(file, environ=ACCESS | {"EEN_LOG_DIR": "out"}).log_dir == here / "out"
    assert load(file, Path("cli"), environ=ACCESS).log_dir == here / "cli"


def test_addresses_and_names_of_namespaces() -> None:
    cloud = load(environ=ACCESS)
    assert cloud.rest_base() == "https://c000.eagleeyenetworks.com"
    assert cloud.login_base == "https://login.eagleeyenetworks.com"
    assert cloud.websocket_uri() == "wss://c000.eagleeyenetworks.com/api/v2/Device/00012345/Events"
    local = load(environ=ACCESS | {"EEN_BASE_URL": "http://127.0.0.1:8080"})
    assert local.rest_base() == local.login_base == "http://127.0.0.1:8080"
    assert local.websocket_uri() == "ws://127.0.0.1:8080/api/v2/Device/00012345/Events"
    table = load(environ=ACCESS | {"EEN_NAMESPACE_NAMES": "300=GPS;103=Burglar"}).namespace_table
    assert (table[300], table[103], table[104]) == ("GPS", "Burglar", "Loitering")


@pytest.mark.parametrize(
    ("cameras", "bridges", "kept"),
    [
        ("", "", True), ("100E1E23", "", True), ("Back*, front [1]", "", True), ("Front", "", False),
        ("front ?1?", "", True), ("100e1e24", "", False), ("", "100BB001", True), ("", "site *", True),
        ("f*[1]", "", True), ("*[!2]", "", False), ("Front*", "site b", False),
    ],
)  # fmt: skip
def test_filters(cameras: str, bridges: str, kept: bool) -> None:
    settings = load(environ=ACCESS | {"EEN_CAMERAS": cameras, "EEN_BRIDGES": bridges})
    assert settings.keeps(Camera("100e1e23", "Front [1]", "100bb001"), "Site A") == kept


def test_the_log_directory_is_known_whatever_else_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = env_file(tmp_path, "EEN_LOG_DIR=out\nEEN_KEEP_DAYS=x\n'\n")
    assert log_dir_of(file, tmp_path) == tmp_path
    for text, log_dir in (("", tmp_path / "out"), ("/elsewhere", Path("/elsewhere")), ("\x07", ROOT / "logs")):
        monkeypatch.setenv("EEN_LOG_DIR", text)
        assert log_dir_of(file, None) == log_dir


def test_fingerprint_follows_the_login_only() -> None:
    def mark(**more: str) -> str:
        return load(environ=ACCESS | {"EEN_USERNAME": "ops", "EEN_PASSWORD": "x"} | more).fingerprint()

    assert mark() == mark(EEN_AUTH_KEY="other", EEN_KEEP_DAYS="5")
    assert len({mark(), mark(EEN_PASSWORD="y"), mark(EEN_USERNAME="opx"), mark(EEN_BASE_URL="https://x")}) == 4
    assert len(mark(EEN_PASSWORD="\udcff")) == 4


def test_demo_takes_nothing_but_the_log_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EEN_LOG_DIR", raising=False)
    monkeypatch.setenv("EEN_KEEP_DAYS", "7")
    reach = {"EEN_BASE_URL": "http://127.0.0.1:1", "EEN_ACCOUNT_ID": "1", "EEN_AUTH_KEY": "k"}
    settings = demo_settings(reach, None)
    assert (settings.log_dir, settings.keep_days) == (ROOT / "logs" / "demo", 30)
    monkeypatch.setenv("EEN_LOG_DIR", str(tmp_path))
    assert load(need_credentials=False).log_dir == tmp_path, "the process's environment is the default"
    assert demo_settings(reach, None).log_dir == tmp_path
    assert demo_settings(reach, tmp_path / "x").log_dir == tmp_path / "x"


@pytest.mark.parametrize(
    ("environ", "url", "proxy"),
    [
        ({}, "https://a.example", None),
        ({"https_proxy": "p:3128"}, "wss://a.example/x", "http://p:3128"),
        ({"https_proxy": "http://p:1", "no_proxy": "a.example:443"}, "wss://a.example", None),
        ({"https_proxy": "http://p:1", "no_proxy": "a.example:8443"}, "https://a.example", "http://p:1"),
        ({"http_proxy": "http://p:1", "https_proxy": "http://p:1"}, "http://127.0.0.1:80", None),
        ({"http_proxy": "http://p:1", "https_proxy": "http://p:1"}, "wss://[::1]:80", None),
        ({"ALL_PROXY": "p:1"}, "wss://a.example", "http://p:1"),
        ({"all_proxy": "http://p:1", "https_proxy": "http://q:1"}, "https://a.example", "http://q:1"),
        ({"all_proxy": "http://p:1", "no_proxy": "*"}, "https://a.example", None),
    ],
)
def test_proxy_rules(environ: dict[str, str], url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url) == proxy
