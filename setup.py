"""Map the four top-level rooms of the repository onto the import package `memviz`.

`memviz/`, `recorders/`, `dashboards/` and `demos/` stay visible at the top level and install as `memviz`,
`memviz.recorders`, `memviz.dashboards` and `memviz.demos`. All other metadata is in pyproject.toml.
"""

from setuptools import find_packages, setup

ROOMS = ("recorders", "dashboards", "demos")

setup(
    package_dir={"memviz": "memviz", **{f"memviz.{room}": room for room in ROOMS}},
    packages=find_packages(include=["memviz", "memviz.*"])
    + [name for room in ROOMS for name in (f"memviz.{room}", *(f"memviz.{room}.{sub}" for sub in find_packages(room)))],
)
