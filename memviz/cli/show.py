"""`memviz serve` and `memviz replay`: traces in a browser or in Visdom."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import click

from memviz.cli.common import announce_listening, note, require, say_errors, serve_pages, server_options, visdom_options


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--models",
    multiple=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    envvar="MEMVIZ_MODELS",
    help="Folder with trained networks for the Playground, beside those that come with memviz; may be repeated.",
)
@click.option("--listen", is_flag=True, help="Take traces that recorders on other machines send, into the first PATH.")
@visdom_options
@server_options
@say_errors
def serve(
    paths: tuple[Path, ...],
    visdom: str | None,
    offline_log: Path | None,
    listen: bool,
    models: tuple[Path, ...],
    **options: Any,
) -> None:
    """Serve the traces under PATHS (default: runs/) to a browser, live while they are written.

    \b
    Example: memviz serve runs/
             memviz serve runs/ --visdom http://localhost:8097
             memviz serve runs/ --models networks/
             memviz serve runs/ --listen --host 0.0.0.0
    """
    for folder in models:
        if not folder.exists():
            raise click.ClickException(f"--models: there is no {folder}; give a folder that holds .safetensors files")
    options["settings"] = {"MEMVIZ_MODELS": [str(folder) for folder in models]}
    if listen:
        options |= {"listen": True, "on_listen": announce_listening}
    else:
        require(paths)
    paths = paths or (Path("runs"),)
    if visdom or offline_log:
        from memviz.dashboards.visdom import serve_beside

        page = functools.partial(serve_pages, paths, **options)
        serve_beside(page, paths, visdom=visdom, offline_log=offline_log, say=note)
    else:
        serve_pages(paths, **options)


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--speed", type=click.FloatRange(0.01), help="In Visdom, times as fast as recorded  [default: 1]")
@visdom_options
@server_options
@say_errors
def replay(path: Path, visdom: str | None, offline_log: Path | None, speed: float | None, **options: Any) -> None:
    """Play the trace at PATH from its first record.

    \b
    Example: memviz replay runs/copy
             memviz replay runs/copy --visdom http://localhost:8097 --speed 4
             memviz replay runs/copy --offline-log copy.visdom
    """
    import memviz

    trace = memviz.open(path)
    first = f"?step={int(trace.steps[0])}&t=0&play=1" if len(trace) else ""
    page = functools.partial(serve_pages, (path,), start=f"#/run/{trace.name}{first}", **options)
    if speed is not None and not visdom:
        raise click.UsageError("--speed is the pace of a replay in Visdom and needs --visdom URL")
    if offline_log:
        from memviz.dashboards.visdom import write_log

        note(write_log([path], offline_log).sentence)
    if visdom:
        from memviz.dashboards.visdom import serve_beside

        serve_beside(page, [path], visdom=visdom, speed=speed or 1.0, say=note)
    elif not offline_log:
        page()
