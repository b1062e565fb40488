"""The command table: `python -m <package> COMMAND`. Heavy imports happen inside the commands."""

from __future__ import annotations

import argparse
import errno
import importlib
import json
import os
import sys
from pathlib import Path

from . import workspace
from .errors import GateClosed, InputError

PACKAGE = Path(__file__).resolve().parent
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
ENVIRONMENT = "run `nox -s dev`, then `source .venv/bin/activate`"
VERSION = "champion (default), challenger, previous, or a version's number"
#: How long a training's threads spin before they sleep: for long, and 2 s become 60 on a machine with other work (so
#: seen); not at all, and waking them takes longer than the work (3.6 s instead of 1.3). GNU's OpenMP counts spins.
WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}
#: Whose threads would change the last digits of a sum, and so the bytes of what a stage writes.
BLAS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
STAGES = {
    "ingest": "snapshot the source's rows into data/raw.parquet",
    "validate": "hold the rows against schema.yaml, quarantine what breaks it",
    "split": "divide the valid rows into train and test",
    "pretrain": "run the gates before training",
    "train": "fit the model and tune its decision threshold",
    "evaluate": "predict the test rows, write metrics and plots",
    "posttrain": "run the gates after training",
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog=f"python -m {PACKAGE.name}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in STAGES.items():
        commands.add_parser(name, help=f"stage: {text}")
    commands.add_parser("register", help="put this workspace's model into the registry, as challenger")
    promote = commands.add_parser("promote", help="challenger against champion: move the alias (0) or refuse (3)")
    when = promote.add_mutually_exclusive_group()
    when.add_argument("--dry-run", action="store_true", help="judge, and move no champion")
    when.add_argument("--judged", action="store_true", help="move it as the last --dry-run decided")
    promote.add_argument("--reset", metavar="REASON", help="no comparison: baselines alone decide; the reason is kept")
    promote.add_argument("--production", action="store_true", help="refuse unless docs/model_card.md is written")
    commands.add_parser("rollback", help="swap champion and previous")
    lineage = commands.add_parser("lineage", help="where a version comes from")
    lineage.add_argument("version", nargs="?", default="champion", help=VERSION)
    lineage.add_argument("--json", action="store_true", help="as JSON")
    export = commands.add_parser("export", help="write a version's bundle to a folder: all that serving it takes")
    export.add_argument("version", help=VERSION)
    export.add_argument("folder", type=Path)
    report = commands.add_parser("report", help="write reports/report.html and fill docs/model_card.md from the run")
    report.add_argument("--against", metavar="COMMIT", help="also reports/change.md: this run beside a committed one")
    serve = commands.add_parser("serve", help="answer predictions over HTTP, following the champion")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=os.environ.get("PORT", "8000"))
    serve.add_argument("--bundle", type=Path, help="an exported bundle to serve instead of the registry's champion")
    smoke = commands.add_parser("smoke", help="ask a server for a bundle's golden rows: equal (0) or not (1)")
    smoke.add_argument("url", metavar="URL", help="where it listens, as http://HOST:PORT")
    smoke.add_argument("--bundle", type=Path, required=True, help="the exported bundle that it should serve")
    reproduce = commands.add_parser("reproduce", help="train a version anew from its own commit: equal (0) or not (1)")
    reproduce.add_argument("version", nargs="?", default="champion", help=VERSION)
    batch = commands.add_parser("batch", help="score files of rows, with the numbers that the server would give")
    batch.add_argument("source", metavar="IN", help="a file, folder or glob of .parquet, .csv or .jsonl (or .gz)")
    batch.add_argument("out", metavar="OUT", type=Path, help="a folder for the predictions; goes on where it was left")
    batch.add_argument("--version", default="champion", help=VERSION)
    batch.add_argument("--bundle", type=Path, help="an exported bundle instead of a version of the registry")
    monitor = commands.add_parser("monitor", help="the prediction log against the champion's reference: retrain is 3")
    monitor.add_argument("--until", metavar="TIME", help="look at rows before it; default: the log's last whole day")
    monitor.add_argument("--reset", metavar="REASON", help="retrainings that brought no champion count no more")
    window = commands.add_parser("window", help="let newer rows in: move ingest.end, as a retraining begins")
    window.add_argument("end", metavar="END", help="as 2013-10-01: rows before it are in")
    loop = commands.add_parser("loop", help="back-test the whole loop on the months of the table, in a scratch clone")
    loop.add_argument("--quick", action="store_true", help="only the three months after the window of params.yaml")
    loop.add_argument("--faults", action="store_true", help="the same with things broken: 1 if no gate names one")
    forget = commands.add_parser("forget", help="delete predictions from the log, by their ids")
    forget.add_argument("ids", nargs="+", metavar="ID")
    return top


def require_place() -> None:
    """Raise InputError unless this is the code of the folder we stand in: a copy must not run its original's code."""
    here = Path.cwd().resolve()
    if PACKAGE.parent != here:
        raise InputError(f"this is the code of {PACKAGE.parent}, not of {here}: change into the project's folder")


def stage(name: str) -> int:
    """Run a stage, alone in this folder; whatever its gates found is then in `reports/gates.md`."""
    from .gates import report

    with workspace.exclusive(name):
        try:
            importlib.import_module(f".stages.{name}", __package__).main()
        except GateClosed:
            report.write(name)
            raise
        report.write(name)
    return 0


def register() -> int:
    """Register this workspace's model and say which version it is."""
    from . import config
    from .registry import tracking, versions

    with versions.exclusive(), tracking.session() as client:
        version = versions.register(client, config.load())
    print(f"version {version.version}: digest {version.tags['digest']}")
    return 0


def rollback() -> int:
    """Swap champion and previous."""
    from .registry import tracking, versions

    with versions.exclusive(), tracking.session() as client:
        champion, previous = versions.rollback(client)
    print(f"champion is version {champion} again; previous is version {previous}")
    return 0


def lineage(name: str, as_json: bool) -> int:
    """Print where a version comes from."""
    from .registry import tracking, versions

    with tracking.session() as client:
        facts = versions.lineage_of(client, name)
    if as_json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        print("\n".join(f"{name:<{max(map(len, facts))}}  {value}" for name, value in facts.items()))
    return 0


def batch(source: str, out: Path, name: str, bundle: Path | None) -> int:
    """Score files with an exported bundle, or with the version that an alias or a number names."""
    from .serving import batch, version

    if bundle:
        return batch.main(source, out, version.load(bundle))
    from .registry import tracking, versions

    with tracking.session() as client:
        found = versions.named(client, name)
        with versions.bundle(client, found) as folder:
            loaded = version.load(folder, found.tags["digest"])
    return batch.main(source, out, loaded)


def forget(ids: list[str]) -> int:
    """Delete predictions from the log; 1 when none of them is there."""
    from . import config
    from .serving import parts

    log = config.load().serve.log
    rows = parts.forget(log.folder, ids, log.seconds)
    if not rows:
        raise InputError(f"{log.folder} holds no prediction with such an id")
    print(f"{rows} predictions deleted from {log.folder}")
    return 0


def run(arguments: argparse.Namespace) -> int:
    """Carry out one command; its exit code."""
    require_place()
    if arguments.command in STAGES:
        workspace.end_with_dvc()
    # These five also run in a container, which has no git.
    if arguments.command == "serve":
        from .serving import serve

        return serve.main(arguments.host, arguments.port, arguments.bundle)
    if arguments.command == "batch":
        return batch(arguments.source, arguments.out, arguments.version, arguments.bundle)
    if arguments.command == "smoke":
        from .serving import smoke

        return smoke.main(arguments.url, arguments.bundle)
    if arguments.command == "forget":
        return forget(arguments.ids)
    if arguments.command == "monitor":
        from .monitoring import monitor

        return monitor.main(arguments.until, arguments.reset)
    from .registry.lineage import require_repository

    require_repository()
    if arguments.command in STAGES:
        return stage(arguments.command)
    if arguments.command == "promote":
        from .registry import promotion

        return promotion.main(arguments.dry_run, arguments.reset, arguments.production, arguments.judged)
    if arguments.command == "window":
        from .monitoring import retrain

        return retrain.main(arguments.end)
    if arguments.command == "report":
        from .report import page

        return page.main(arguments.against)
    if arguments.command == "lineage":
        return lineage(arguments.version, arguments.json)
    if arguments.command == "export":
        from .registry import tracking, versions

        with tracking.session() as client:
            versions.export(client, arguments.version, arguments.folder)
        print(f"{arguments.version} is in {arguments.folder}")
        return 0
    if arguments.command == "loop":
        from .loop import loop

        return loop.main(arguments.quick, arguments.faults)
    if arguments.command == "reproduce":
        from .registry import reproduce, tracking

        with tracking.session() as client:
            return 0 if reproduce.reproduce(client, arguments.version) else 1
    return {"register": register, "rollback": rollback}[arguments.command]()


def main(argv: list[str] | None = None) -> int:
    """Run the command line; bad input and closed gates become one line on stderr and exit code 1."""
    arguments = parser().parse_args(argv)
    for name, value in WAITING.items():
        os.environ.setdefault(name, value)
    os.environ |= dict.fromkeys(BLAS, "1")
    try:
        return run(arguments)
    except (InputError, GateClosed) as error:
        print(f"{arguments.command}: {error}", file=sys.stderr)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == PACKAGE.name:
            raise
        print(f"{arguments.command}: {error.name} is not installed here: {ENVIRONMENT}", file=sys.stderr)
    except OSError as error:
        if error.errno not in FULL and "temporary directory" not in str(error):  # as tempfile says it
            raise
        print(f"{arguments.command}: {error.strerror}: make room, then run it again", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
