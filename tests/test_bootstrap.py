import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has no users by number")


@pytest.fixture
def bootstrap():
    file = Path(__file__).parents[1] / "bootstrap.py"
    specification = importlib.util.spec_from_file_location("bootstrap", file)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def commands(bootstrap, monkeypatch) -> list[list[str]]:
    """Have a Debian machine lack xvfb alone; return the commands that would change it."""
    commands = []

    def run(command, **_options):
        status = "not-installed" if command[-1] == "xvfb" else "installed"
        if command[0] != "dpkg-query":
            commands.append(command)
        return subprocess.CompletedProcess(command, 0, stdout=status)

    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(bootstrap.subprocess, "run", run)
    return commands


def test_without_root_it_says_the_command_and_runs_none(bootstrap, commands, monkeypatch):
    monkeypatch.setattr(bootstrap.os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit, match=r"sudo apt-get install .*--no-install-recommends xvfb$"):
        bootstrap.require_windows()
    assert commands == []


def test_as_root_it_installs_what_is_missing(bootstrap, commands, monkeypatch):
    monkeypatch.setattr(bootstrap.os, "geteuid", lambda: 0)
    bootstrap.require_windows()
    assert [command[:2] for command in commands] == [["apt-get", "update"], ["apt-get", "install"]]
    assert commands[1][-1] == "xvfb"
    assert "libgl1" not in commands[1]
