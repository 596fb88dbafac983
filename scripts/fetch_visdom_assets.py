"""Put the web assets of Visdom's server where it looks for them, from npm packages instead of a CDN.

The PyPI package of Visdom holds the server without jQuery, React, Plotly and MathJax; the server downloads these from
five hosts when it starts, and ends when it cannot. This script packs the same files from the npm registry (which every
mirror has), checks them, keeps them under build/visdom-assets, and copies them into the installed package. A server
started after that makes no request.

    .venv/bin/python scripts/fetch_visdom_assets.py            # says what it did; 0 also when npm is missing
    .venv/bin/python scripts/fetch_visdom_assets.py --require  # 1 when the server cannot start offline afterwards
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).parents[1] / "build" / "visdom-assets"
VERSION = "0.2.4"
MATHJAX = "js/mathjax/2.7.5/"


@dataclass(frozen=True)
class Package:
    """One npm package: its exact version, the SHA-256 of its archive, and which file goes where under `static/`."""

    name: str
    version: str
    sha256: str
    files: dict[str, str]

    @property
    def archive(self) -> str:
        """The file name that `npm pack` gives it."""
        return f"{self.name}-{self.version}.tgz"


def _fonts() -> dict[str, str]:
    """Bootstrap's icons; Visdom asks for the SVG under a name with the fragment of its URL in it."""
    name = "glyphicons-halflings-regular"
    files = {f"dist/fonts/{name}.{kind}": f"fonts/{name}.{kind}" for kind in ("eot", "woff", "woff2", "ttf")}
    return files | {f"dist/fonts/{name}.svg": f"fonts/{name}.svg#glyphicons_halflingsregular"}


PACKAGES = (
    Package(
        "jquery",
        "3.1.1",
        "1edfdafd71f26e2730a2029f5c4971598f55f57627fd17c3410914aed2293821",
        {"dist/jquery.min.js": "js/jquery.min.js"},
    ),
    Package(
        "bootstrap",
        "3.3.7",
        "a9de9f9d74b46743821bda60e5f81233c7a2dc83ad4db60d0c0e396dc255fc2a",
        {
            "dist/js/bootstrap.min.js": "js/bootstrap.min.js",
            "dist/css/bootstrap.min.css": "css/bootstrap.min.css",
            **_fonts(),
        },
    ),
    Package(
        "react",
        "16.2.0",
        "c0d1fc3e4157e03898012d3bd6360879a58f1178ab839859a15433aa60ed5499",
        {"umd/react.production.min.js": "js/react-react.min.js"},
    ),
    Package(
        "react-dom",
        "16.2.0",
        "6596694ba625de26e265c4ae5b7a5f568022568573a05bbdb2659792bcc101b6",
        {"umd/react-dom.production.min.js": "js/react-dom.min.js"},
    ),
    Package(
        "react-modal",
        "3.1.10",
        "d656a396f68e2a9b2329087840ea005e5da0408410dd8064e1c30ffeaa9d5133",
        {"dist/react-modal.min.js": "js/react-modal.min.js"},
    ),
    Package(
        "plotly.js-dist-min",
        "2.11.1",
        "25f1ca783c4e71e01c96031fc85ab114aebf931ba563d250d1ec59421cb79113",
        {"plotly.min.js": "js/plotly-plotly.min.js"},
    ),
    Package(
        "sjcl",
        "1.0.7",
        "9fe881f59d05151dd4e38e4eca65821e773f1f8a7eb01f6fdb819008b0ce544e",
        {"sjcl.js": "js/sjcl.js"},
    ),
    Package(
        "layout-bin-packer",
        "1.4.0",
        "f5d72447b16e3a912c5001bbda3b7308dfc48749882c8ff4ce8fc0c265176f7a",
        {
            "dist/layout-bin-packer.js": "js/layout_bin_packer.js",
            "dist/layout-bin-packer.js.map": "js/layout-bin-packer.js.map",
        },
    ),
    Package(
        "d3",
        "3.5.17",
        "da49ebf01f88a039c748eb4aa682fec45672f7c2abca3b363633b8f835065b35",
        {"d3.min.js": "js/d3.v3.min.js"},
    ),
    Package(
        "d3-selection-multi",
        "1.0.1",
        "449fab3b22583c83882bb326857c0be04321cd087162ec1bfe872214bd0b9827",
        {"build/d3-selection-multi.js": "js/d3-selection-multi.v1.js"},
    ),
    Package(
        "save-svg-as-png",
        "1.4.17",
        "639bdcaeb3e945de6282670b88a5d058605431aca7d6890661227c6f7cc3f55a",
        {"lib/saveSvgAsPng.js": "js/saveSvgAsPng.js"},
    ),
    Package(
        "react-resizable",
        "1.4.6",
        "8855b10f7961dfce72bb032575769b40581a61aa716d0f5d426c4d5e184aa622",
        {"css/styles.css": "css/react-resizable-styles.css"},
    ),
    Package(
        "react-grid-layout",
        "0.16.3",
        "b57981208742e5be47a4aa761194103d5c0e3ddd473d7fd8989c608dd9345550",
        {"css/styles.css": "css/react-grid-layout-styles.css"},
    ),
    Package(
        "classnames",
        "2.2.5",
        "38c83d48c787e08af4e79e591bb4e3b519e84c492507b16d593a98f576ea8959",
        {"index.js": "fonts/classnames"},
    ),
    Package(
        "mathjax",
        "2.7.5",
        "7fc8acc02a4930cdc59983ba4003686208af39fc855245fa8ae8d4b27fab781b",
        {
            name: MATHJAX + name
            for name in (
                "MathJax.js",
                "config/Safe.js",
                "config/TeX-AMS-MML_HTMLorMML.js",
                "extensions/Safe.js",
                "jax/output/SVG/config.js",
                "jax/output/SVG/jax.js",
                "jax/output/SVG/fonts/TeX/fontdata.js",
                "jax/output/SVG/fonts/TeX/Size1/Regular/Main.js",
            )
        },
    ),
)


def static_folder() -> Path | None:
    """The `static` folder of the installed Visdom, found without importing it (that would import torch)."""
    spec = importlib.util.find_spec("visdom")
    return Path(spec.origin).parent / "static" if spec and spec.origin else None


def is_complete(static: Path) -> bool:
    """Whether a server that starts now would download nothing."""
    built = static / "version.built"
    if not built.exists() or built.read_text().strip() != VERSION:
        return False
    return all((static / target).exists() for package in PACKAGES for target in package.files.values())


def fetch(cache: Path) -> None:
    """Bring every archive that is missing or damaged into `cache` with one `npm pack`.

    Raises:
        SystemExit: npm fails, or an archive is not the one expected.
    """
    cache.mkdir(parents=True, exist_ok=True)
    wanted = [package for package in PACKAGES if not _is_good(cache / package.archive, package)]
    if not wanted:
        return
    names = [f"{package.name}@{package.version}" for package in wanted]
    done = subprocess.run(["npm", "pack", "--silent", *names], cwd=cache, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"npm pack failed: {(done.stderr or done.stdout).strip()[-500:]}")
    for package in wanted:
        if not _is_good(cache / package.archive, package):
            raise SystemExit(f"{package.archive} from the npm registry is not the archive expected (SHA-256 differs)")


def install(cache: Path, static: Path) -> None:
    """Unpack the files that the server needs; `version.built` comes last, as it says that all are there."""
    for package in PACKAGES:
        with tarfile.open(cache / package.archive) as archive:
            # Archives disagree on the name of their outermost folder.
            members = {member.name.split("/", 1)[-1]: member for member in archive.getmembers() if member.isfile()}
            for source, target in package.files.items():
                file = archive.extractfile(members[source])
                assert file is not None, source
                (static / target).parent.mkdir(parents=True, exist_ok=True)
                (static / target).write_bytes(file.read())
    (static / "version.built").write_text(VERSION)


def _is_good(path: Path, package: Package) -> bool:
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == package.sha256


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--require", action="store_true", help="fail when the assets cannot be put in place")
    options = parser.parse_args()
    failure = 1 if options.require else 0
    static = static_folder()
    if static is None:
        print(
            "Visdom is not installed: PIP_BUILD_CONSTRAINT=build-constraints.txt pip install 'memviz[visdom]'",
            file=sys.stderr,
        )
        return failure
    if is_complete(static):
        return 0
    if shutil.which("npm") is None:
        print(
            "npm is missing, so Visdom will fetch its web assets from the internet when it starts. Install npm "
            "(Debian: sudo apt-get install npm) and run this again for a server that works offline.",
            file=sys.stderr,
        )
        return failure
    fetch(CACHE)
    install(CACHE, static)
    print(f"Visdom's web assets are in {static}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
