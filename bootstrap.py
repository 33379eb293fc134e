"""From a fresh clone to a result, with nothing but Python: sets up .venv, then runs.

python3 bootstrap.py demo    segment a built-in image, show where the result is
python3 bootstrap.py test    run every check: tests, real windows, types, docs
"""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
BIN = ENVIRONMENT / ("Scripts" if sys.platform == "win32" else "bin")

# what napari's window and a screen to show it on need, on Debian and its kin
WINDOW_PACKAGES = [
    "xvfb",
    "xauth",
    "libgl1",
    "libegl1",
    "libgl1-mesa-dri",
    "libxkbcommon-x11-0",
    "libdbus-1-3",
    "libfontconfig1",
    "libglib2.0-0",
    "libxcb-cursor0",
    "libxcb-icccm4",
    "libxcb-image0",
    "libxcb-keysyms1",
    "libxcb-randr0",
    "libxcb-render-util0",
    "libxcb-shape0",
    "libxcb-xkb1",
]


def main() -> int:
    """Run the command that the first argument names."""
    commands = {"demo": demo, "test": test}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        print(__doc__)
        return 2
    if sys.version_info < (3, 11):
        print(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}")
        return 1
    return commands[sys.argv[1]](sys.argv[2:])


def demo(options: list[str]) -> int:
    """Install the package, with napari where there is a display, and run its demo."""
    extra = "[all]" if has_display() else ""
    install(f"{ROOT}{extra}")
    return subprocess.call([BIN / "napari-unsupseg", "demo", *options])


def test(options: list[str]) -> int:
    """Install tox, and run every check once windows can be opened."""
    if sys.platform == "linux":
        require_windows()
    install("tox")
    return subprocess.call([BIN / "tox", "run-parallel", "--root", ROOT, *options])


def install(*requirements: str) -> None:
    """Install into the environment, made first if it is not there."""
    if not BIN.exists():
        venv.create(ENVIRONMENT, with_pip=True)
    constraints = ROOT / "constraints.txt"
    pip = [BIN / "python", "-m", "pip", "install", "--quiet", "--constraint", constraints]
    print(f"installing {' '.join(requirements)} into {ENVIRONMENT}", flush=True)
    subprocess.run([*pip, *requirements], check=True)


def require_windows() -> None:
    """Make sure of a screen and the libraries of a window: as root install them, or exit."""
    if shutil.which("dpkg-query") is None:
        if shutil.which("Xvfb") is None and not has_display():
            sys.exit("the tests open windows: install Xvfb first")
        return
    missing = [package for package in WINDOW_PACKAGES if not is_installed(package)]
    if not missing:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if os.geteuid() != 0:  # what is installed on a machine is for its owner to decide
        sys.exit(f"the tests open windows, which need: sudo {' '.join(command)}")
    print(f"installing {' '.join(missing)}, for the windows of the tests", flush=True)
    quiet = {"stdout": subprocess.DEVNULL, "check": True}
    settings = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update"], env=settings, **quiet)
    subprocess.run(command, env=settings, **quiet)


def is_installed(package: str) -> bool:
    """Tell whether a Debian package is installed."""
    query = ["dpkg-query", "--show", "--showformat", "${db:Status-Status}", package]
    result = subprocess.run(query, capture_output=True, text=True, check=False)
    return result.stdout == "installed"


def has_display() -> bool:
    """Tell whether a window could be seen."""
    return sys.platform != "linux" or bool({"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ))


if __name__ == "__main__":
    sys.exit(main())
