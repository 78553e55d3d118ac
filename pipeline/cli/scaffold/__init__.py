"""What `etendue new plugin` makes: a package with one processor, its test, and the entry point.

The templates lie beside this file; ``$name`` and the like are filled in by :class:`string.Template`.
"""

import keyword
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from string import Template

from ...errors import ConfigError

FILES = {
    "pyproject.toml": "pyproject.toml.tmpl",
    "README.md": "readme.md.tmpl",
    "{name}/__init__.py": "package.py.tmpl",
    "{name}/{module}.py": "processor.py.tmpl",
    "tests/test_{module}.py": "test_processor.py.tmpl",
    "{name}.yaml": "chain.yaml.tmpl",
}
"""Files of a plugin, and the templates that they are made from."""


def write_plugin(name: str, folder: Path) -> Path:
    """Write a plugin package.

    Parameters
    ----------
    name : str
        Name of the Python package: lower case, an identifier.
    folder : Path
        Where the plugin's own folder is made.

    Returns
    -------
    Path
        The plugin's folder, ``folder/name``.

    Raises
    ------
    ConfigError
        The name cannot be that of a package, is taken, or the folder exists.
    """
    target = folder / name
    _check_name(name)
    if target.exists():
        raise ConfigError(f"{target} exists; choose another name, or another folder with -o")
    words = {
        "name": name,
        "distribution": name.replace("_", "-"),
        "class_name": class_name(name),
        "module": f"{name}_step",
        "version": metadata.version("etendue"),
    }
    for pattern, template in FILES.items():
        path = target / pattern.format(**words)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = Path(__file__).with_name(template).read_text(encoding="utf-8")
        path.write_text(Template(text).substitute(words), encoding="utf-8")
    return target


def class_name(name: str) -> str:
    """``remove_fringes`` -> ``RemoveFringes``."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_") if part)


def _check_name(name: str) -> None:
    if not name.isidentifier() or not name.isascii() or keyword.iskeyword(name) or not class_name(name).isidentifier():
        raise ConfigError(
            f"{name!r} cannot be the name of a Python package; use lower-case letters, digits and _, "
            "for example remove_fringes"
        )
    if name != name.lower():
        raise ConfigError(f"{name!r}: packages are written in lower case, for example {name.lower()!r}")
    if name in sys.stdlib_module_names or name == "etendue" or find_spec(name) is not None:
        raise ConfigError(f"a module called {name!r} exists already; choose another name")
    from ....processors import processors

    if class_name(name) in processors():
        raise ConfigError(f"a processor called {class_name(name)} exists already; choose another name")
