"""Draw which part of the program imports from which: images/architecture.svg, from the code.

    python docs/draw_architecture.py

A room is a folder of ``src/napari_unsupseg``, or modules beside the folders. Every room stands
below those that it imports from. An arrow is the thicker the more pairs of modules are behind it;
one that points down, against the order, is red. All rooms import from the first, the basis: these
arrows are left out, since they would hide the others.
"""

import ast
import textwrap
from collections import Counter
from html import escape
from pathlib import Path

SOURCES = Path(__file__).parents[1] / "src" / "napari_unsupseg"
DRAWING = Path(__file__).parent / "images" / "architecture.svg"

BASIS = "settings, errors and types"  # the modules beside the folders that need no folder
BASIS_SENTENCE = "What every room imports from; the arrows to it are not drawn."
WIDTH, MARGIN, LEFT = 980, 16, 310  # of the drawing; the arrows are left of LEFT
LINE, GAP = 19, 22  # between lines of text, and between rooms
CHARACTERS = 98  # of a line of module names
COLOURS = (
    "#1b6ca8",
    "#2a8f6d",
    "#8a5a9e",
    "#b5651d",
    "#4d6472",
    "#a23b6a",
    "#6b7d1e",
    "#2f4b9b",
    "#555555",
)
AGAINST = "#d00000"


def main() -> None:
    """Read the sources and write the drawing."""
    modules = find_modules(SOURCES)
    imports = {name: find_imports(name, path, set(modules)) for name, path in modules.items()}
    rooms = assign_rooms(imports)
    arrows = Counter(
        (rooms[name], rooms[other])
        for name, others in imports.items()
        for other in others
        if rooms[name] != rooms[other]
    )
    names: dict[str, list[str]] = {}
    for module, room in sorted(rooms.items()):
        names.setdefault(room, []).append(module)
    texts = {}
    for room in sort_rooms(names, arrows):
        path = modules.get(room.removesuffix("/").removesuffix(".py"))
        docstring = (ast.get_docstring(parse(path)) or "") if path else BASIS_SENTENCE
        sentence = docstring.split("\n")[0]
        texts[room] = [
            *filter(None, [sentence.replace("`", "")]),
            *list_modules(room, names[room]),
        ]
    drawn = Counter({arrow: count for arrow, count in arrows.items() if arrow[1] != BASIS})
    DRAWING.write_text(draw(texts, drawn), encoding="utf-8")


def parse(path: Path) -> ast.Module:
    """Parse a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def find_modules(folder: Path) -> dict[str, Path]:
    """Find every module that people wrote, by its dotted name within the package."""
    modules = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if parts and parts[-1] not in {"__main__", "_version"}:
            modules[".".join(parts)] = path
    return modules


def find_imports(name: str, path: Path, modules: set[str]) -> set[str]:
    """Find the modules of the package that one imports, at the top or within a function."""
    package = SOURCES.name
    here = [package, *name.split(".")]
    if path.stem != "__init__":
        here = here[:-1]
    found = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = here[: len(here) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            targets = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for target in targets:
            inner = target.removeprefix(f"{package}.")
            parent = inner.rpartition(".")[0]  # of what is a name of a module, not a module
            found |= {inner} & modules or {parent} & modules if inner != target else set()
    return found - {name}


def assign_rooms(imports: dict[str, set[str]]) -> dict[str, str]:
    """Say which room each module is in."""
    folders = {name.partition(".")[0] for name in imports if "." in name}
    rooms = {}
    for name in imports:
        first = name.partition(".")[0]
        helped = [other for other in imports if name.startswith(f"{other}_")]
        if first in folders:
            rooms[name] = f"{first}/"
        elif helped:
            rooms[name] = f"{helped[0]}.py"
        elif any(other.partition(".")[0] in folders for other in imports[name]):
            rooms[name] = f"{name}.py"
        else:
            rooms[name] = BASIS
    return rooms


def sort_rooms(rooms: dict[str, list[str]], arrows: Counter[tuple[str, str]]) -> list[str]:
    """Put every room after those that it imports from, as far as that can be."""
    order: list[str] = []
    while len(order) < len(rooms):
        waiting = [room for room in sorted(rooms) if room not in order]
        needed = {
            room: sum(arrows[room, other] for other in waiting if other != room) for room in waiting
        }
        # of several modules before folders, so that those of the library stand together
        order.append(min(waiting, key=lambda room: (needed[room], room.endswith("/"))))
    return order


def list_modules(room: str, modules: list[str]) -> list[str]:
    """List a room's modules in lines of text, those of a folder within it on lines of their own."""
    folders: dict[str, list[str]] = {}
    for module in modules:
        parts = module.split(".")
        if room.endswith("/"):
            parts = parts[1:]
        if parts and not any(other.startswith(f"{module}.") for other in modules):
            folders.setdefault("/".join(parts[:-1]), []).append(parts[-1])
    lines = []
    for folder, names in sorted(folders.items()):
        text = (f"{folder}/:  " if folder else "") + ",  ".join(names)
        lines += textwrap.wrap(text, CHARACTERS)
    return [] if len(modules) == 1 and not room.endswith("/") else lines


def draw(rooms: dict[str, list[str]], arrows: Counter[tuple[str, str]]) -> str:
    """Draw rooms and the lines of text in them from top to bottom, and the arrows between them."""
    shapes, spans = [], {}
    y = MARGIN
    colours = {room: COLOURS[i % len(COLOURS)] for i, room in enumerate(rooms)}
    for room, lines in rooms.items():
        height = max(34 + LINE * len(lines), 52)
        spans[room] = (y, height)
        shapes.append(
            f'<rect x="{LEFT}" y="{y}" width="{WIDTH - LEFT - MARGIN}" height="{height}" rx="6"'
            f' fill="#f6f8fa" stroke="{colours[room]}" stroke-width="1.5"/>'
        )
        shapes.append(write(LEFT + 14, y + 22, room, 'font-weight="bold" font-size="15"'))
        shapes += [
            write(LEFT + 14, y + 22 + LINE * (i + 1), line, 'font-size="12.5" fill="#444"')
            for i, line in enumerate(lines)
        ]
        y += height + GAP
    order = list(rooms)
    ends = place_ends(order, spans, arrows)
    for room, other in sorted(arrows, key=lambda arrow: -arrows[arrow]):
        steps = order.index(room) - order.index(other)
        colour = colours[room] if steps > 0 else AGAINST
        count = arrows[room, other]
        shapes.append(bow(*ends[room, other], abs(steps) / len(order), count, colour))
    for i, count in enumerate((1, 5, 20)):  # what a thickness means
        line = f'stroke="#666" stroke-width="{thickness(count):.1f}" stroke-opacity="0.7"'
        x, height = LEFT + 14 + 190 * i, y + 8
        shapes.append(f'<line x1="{x}" y1="{height}" x2="{x + 30}" y2="{height}" {line}/>')
        text = f"{count} pair{'s' * (count > 1)} of modules"
        shapes.append(write(x + 40, height + 4, text, 'font-size="12" fill="#444"'))
    y += 2 * MARGIN
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}"'
    font = 'font-family="Helvetica, Arial, sans-serif" fill="#111"'
    back = f'<rect width="{WIDTH}" height="{y}" fill="white"/>'
    return "\n".join([f'{head} height="{y}" {font}>', back, *shapes, "</svg>", ""])


def place_ends(
    order: list[str], spans: dict[str, tuple[int, int]], arrows: Counter[tuple[str, str]]
) -> dict[tuple[str, str], tuple[float, float]]:
    """Find where each arrow leaves its room and where it arrives, so that few bows cross."""
    heights: dict[tuple[str, str], dict[str, float]] = {arrow: {} for arrow in arrows}
    for here, room in enumerate(order):
        # those that lead up above those that lead down; of each, the far ones towards the middle
        ends = [(order.index(other), (room, other)) for start, other in arrows if start == room]
        ends += [(order.index(start), (start, room)) for start, other in arrows if other == room]
        up = sorted((end for end in ends if end[0] < here), reverse=True)
        down = sorted((end for end in ends if end[0] > here), reverse=True)
        y, height = spans[room]
        for i, (_, arrow) in enumerate([*up, *down]):
            heights[arrow][room] = y + height * (i + 1) / (len(ends) + 1)
    return {arrow: (found[arrow[0]], found[arrow[1]]) for arrow, found in heights.items()}


def write(x: float, y: float, text: str, style: str) -> str:
    """Write a line of text."""
    return f'<text x="{x:.0f}" y="{y:.0f}" {style}>{escape(text)}</text>'


def thickness(count: int) -> float:
    """Say how thick an arrow is."""
    return 0.7 + 0.9 * count**0.65


def bow(start: float, end: float, far: float, count: int, colour: str) -> str:
    """Draw an arrow left of the rooms, further out the further it leads."""
    wide = thickness(count)
    tip = 5 + 0.8 * wide
    out = LEFT - 40 - 330 * far  # of the curve's handles
    handles = f"{out:.0f} {start:.1f} {out:.0f} {end:.1f}"
    path = f"M {LEFT} {start:.1f} C {handles} {LEFT - tip:.1f} {end:.1f}"
    line = f'stroke="{colour}" stroke-width="{wide:.1f}" stroke-opacity="0.6"'
    corners = [(LEFT, end), (LEFT - 1.6 * tip, end - tip / 2), (LEFT - 1.6 * tip, end + tip / 2)]
    head = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    return f'<path d="{path}" fill="none" {line}/>\n<polygon points="{head}" fill="{colour}"/>'


if __name__ == "__main__":
    main()
