"""A module imports only from lower levels or from its own sub-package."""

import ast
from pathlib import Path

import pytest

import spikewise

ROOT = Path(spikewise.__file__).parent
LEVELS = [
    {"exact", "lazy", "memory", "parsing", "processes", "threads", "types"},
    {"shell"},
    {"errors"},
    {"files", "config", "extension"},
    {"randomness", "reading"},
    {"surrogates", "encoders", "readouts", "initial", "ties"},
    {"dynamics", "losses", "data"},
    {"layers"},
    {"graph"},
    {"modelling"},
    {"resnet"},
    {"engine", "models"},
    {"network"},
    {"evaluation"},
    {"training"},
    {"viz"},
    {"report"},
    {"interop", "conversion", "executors"},
    {"experiments"},
    {"tracking"},
    {"estimator", "api"},
    {"collection"},
    {"serving"},
    {"cli"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}


def imports(path: Path) -> set[str]:
    """First part below `spikewise` of everything a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {
                node.module,
                *(f"{node.module}.{alias.name}" for alias in node.names if node.module == "spikewise"),
            }
    return {name.split(".")[1] for name in found if name.startswith("spikewise.")} - {"__version__"}


def test_a_module_imports_only_from_lower_levels_or_its_own_sub_package():
    assert {path.stem for path in ROOT.iterdir()} >= LEVEL.keys()  # no level is kept for what is not there
    wrong = []
    for path in sorted(ROOT.rglob("*.py")):
        own = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if own == "__init__":
            continue  # the front door re-exports from every level
        assert own in LEVEL, f"give {own} a level"
        wrong += [
            f"{path.relative_to(ROOT)} imports {other}"
            for other in imports(path) - {own}
            if LEVEL.get(other, 99) >= LEVEL[own]
        ]
    assert not wrong


@pytest.mark.parametrize("package", [path.parent for path in sorted(ROOT.rglob("__init__.py"))], ids=lambda p: p.name)
def test_a_lazy_export_is_not_hidden_by_a_module_of_its_name(package):
    exports = {
        key.value
        for node in ast.walk(ast.parse((package / "__init__.py").read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "lazy_exports"
        for key in ast.walk(node)
        if isinstance(key, ast.Constant)
    }
    modules = {path.stem for path in package.iterdir()}
    assert not exports & modules  # once the module is imported, its package has it as an attribute of that name


def bound(init: Path) -> set[str]:
    """Names that an `__init__.py` binds to something else than a module of its own package."""
    package = "spikewise." + ".".join(init.parent.relative_to(ROOT).parts)
    found = set()
    for node in ast.parse(init.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module != package.rstrip("."):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def test_no_module_is_hidden_by_a_name_of_its_package():
    """Where `package.module` is a function, the module can neither be patched nor reached by its path."""
    hidden = [
        f"{init.parent.relative_to(ROOT)}/{name}"
        for init in sorted(ROOT.rglob("__init__.py"))
        for name in bound(init) & {path.stem for path in init.parent.iterdir() if path.name != "__init__.py"}
    ]
    assert not hidden


def test_a_name_of_a_class_stands_for_one_thing():
    """Whoever searches for it finds one. Private classes may share a name."""
    places: dict[str, list[str]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(place)
    assert not {name: where for name, where in places.items() if len(where) > 1}


def test_no_generator_hands_on_a_setting_of_torch():
    """What stands around a `yield` holds for the caller's code, too, and for all that follows if it stops there."""
    settings = {"no_grad", "enable_grad", "inference_mode", "set_grad_enabled", "autocast", "exact_arithmetic"}
    wrong = []
    for path in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.With):
                named = {one.id for item in node.items for one in ast.walk(item) if isinstance(one, ast.Name)}
                named |= {one.attr for item in node.items for one in ast.walk(item) if isinstance(one, ast.Attribute)}
                gives = any(isinstance(one, ast.Yield | ast.YieldFrom) for one in ast.walk(node))
                manages = path.name == "exact.py"  # a context manager is meant to
                if named & settings and gives and not manages:
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not wrong


def test_what_a_signature_may_say_can_be_checked_as_it_runs():
    wrong = []
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and any(alias.name == "Self" for alias in node.names):
                wrong.append(f"{path.name}: Self is unknown where single methods are checked; write the class")
            if not isinstance(node, ast.ClassDef) or "Protocol" not in map(ast.unparse, node.bases):
                continue
            if "runtime_checkable" not in map(ast.unparse, node.decorator_list):
                wrong.append(f"{path.name}: {node.name} lacks @runtime_checkable")
    assert not wrong
