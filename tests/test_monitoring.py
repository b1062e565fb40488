"""Alert rules and dashboard: each alert fires on its fault alone, and all they name is really exported."""

from __future__ import annotations

import enum
import json
import re
import shutil
import signal
import subprocess
import time
import types
import typing
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from baking import PROJECT, ROOT
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from loading import Clients, Serving, Slow, known, served
from running import SLUG, command, copy_of, free_port, run, set_param, works

FOLDER = ROOT / PROJECT / "monitoring"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]  # fmt: skip
CASES: dict[str, Any] = yaml.safe_load((FOLDER / "alerts_test.yml").read_text(encoding="utf-8"))
BOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
ROWS = ["Latency", "Traffic", "Errors", "Saturation", "Predictions", "Drift", "Quality", "Model and log"]
#: What Prometheus adds by itself: a metric, and labels of all of them.
UP, TARGET = {"up": set[str]()}, {"job", "instance"}
COMPARISON = re.compile(r"(?<=\s)(>=|<=|==|!=|>|<)(?=\s)")
OPPOSITE = {">": "<", "<": ">", ">=": "<", "<=": ">", "==": "!=", "!=": "=="}
LIMIT = re.compile(r"(?<=[<>=] )[\d.]+|[\d.]+(?= \*)")
#: Asks the server at a port for all test rows.
EVERY = f"""
import json, sys, urllib.request
import pandas as pd
from {SLUG} import schema
from {SLUG}.serving.version import requested
contract = schema.load()
asked = requested(pd.read_parquet("data/test.parquet")[[*contract.key, *contract.inputs]])
for first in range(0, len(asked), 1000):
    body = json.dumps(asked[first:first + 1000], default=lambda time: time.isoformat()).encode()
    request = urllib.request.Request("http://127.0.0.1:" + sys.argv[1] + "/predict", body)
    request.add_header("content-type", "application/json")
    urllib.request.urlopen(request).read()
"""
#: What the monitor's report says, where all is well.
REPORT: dict[str, Any] = {
    "decision": "healthy",
    "concerns": [],
    "windows": [{"rows": 1600, "verdict": "quiet", "alarms": [],
                 "aspects": [{"aspect": "visib", "distance": 0.1, "threshold": 0.2, "p": 0.3, "alarm": False}]}],
    "labels": {"due": 6000, "arrived": 5990, "share": 0.998, "verdict": "arrive"},
    "quality": {"verdict": "good", "loss": {"value": 0.17, "low": 0.16, "high": 0.18}, "reference": 0.17},
}  # fmt: skip


def promtool(folder: Path, *arguments: str, typed: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run promtool in a folder."""
    assert shutil.which("promtool"), "promtool is not installed: apt-get install prometheus"
    command = ["promtool", *arguments]
    return subprocess.run(command, cwd=folder, input=typed, capture_output=True, check=False, encoding="utf-8")


def accepted(done: subprocess.CompletedProcess[str]) -> str:
    """Return what promtool said; it must have found nothing wrong."""
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def queries() -> list[str]:
    """Return every expression of the dashboard, as Grafana would send it."""
    found = [target["expr"] for panel in BOARD["panels"] for target in panel.get("targets", [])]
    return [expr.replace("$__rate_interval", "5m").replace("$instance", ".*") for expr in found]


def used(expr: str) -> dict[str, set[str]]:
    """Return the metrics that an expression reads, each with the labels it selects by."""
    bare = re.sub(r'"[^"]*"', '""', expr)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)|\[[^]]*\]|\boffset\s+\w+", " ", bare)
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"\b([a-zA-Z_:][\w:]*)\b(?!\s*\()(?:\s*\{([^}]*)\})?", re.sub(r"{\s*}", "", bare)):
        if name not in ("and", "or", "unless", "bool"):
            found.setdefault(name, set()).update(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", labels))
    return found


def missing(expr: str, exported: dict[str, set[str]]) -> list[str]:
    """Return the metrics and labels of an expression that nobody exports."""
    found = []
    for name, labels in used(expr).items():
        found += [name] if name not in exported else [f"{name}{{{one}}}" for one in labels - exported[name] - TARGET]
    return found


def samples(page: str) -> dict[str, set[str]]:
    """Return the names of a page's samples, each with its labels."""
    found: dict[str, set[str]] = dict(UP)
    for name, labels in re.findall(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$", page, re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


def expected(case: dict[str, Any]) -> set[str]:
    """Return the alerts that a case of alerts_test.yml has fire."""
    wanted = [one["labels"] for test in case["promql_expr_test"] for one in test.get("exp_samples", [])]
    return {re.findall('alertname="([^"]+)"', labels)[0] for labels in wanted}


def shell(folder: Path) -> list[str]:
    """Return the commands of the folder's README: the token's file, the checks, the server."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    return text.partition("```sh\n")[2].partition("```")[0].splitlines()


def test_promtool_accepts_rules_configuration_and_cases(project: Path, tmp_path: Path) -> None:
    """The README's first two commands: what ships is valid, the token's file being there, and every case holds."""
    folder = tmp_path / "monitoring"
    shutil.copytree(project / "monitoring", folder)
    assert f"{len(RULES)} rules found" in accepted(promtool(folder, "check", "rules", "alerts.yml"))
    token, checks, _ = shell(folder)
    assert subprocess.run(["bash", "-euc", checks], cwd=folder, capture_output=True, check=False).returncode == 1
    accepted(subprocess.run(["bash", "-euc", f"{token}\n{checks}"], cwd=folder, capture_output=True, check=False,
                            encoding="utf-8"))  # fmt: skip
    assert (folder / "token").stat().st_mode & 0o077 == 0
    assert "/monitoring/token" in (project / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_every_alert_says_how_bad_what_and_where_to_read_on(project: Path) -> None:
    """Severity, summary, description, and a section of the runbook that says what to do; no section without one."""
    runbook = (project / "docs/runbook.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^#|\Z)", runbook.split("\n## Alerts\n")[1], re.M | re.S))
    assert list(sections) == [rule["alert"] for rule in RULES]
    for rule in RULES:
        assert rule["labels"]["severity"] in ("critical", "warning")
        about = rule["annotations"]
        assert about["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert min(len(about["summary"]), len(about["description"])) > 10
        assert all(word in sections[rule["alert"]] for word in ("\n- Look at: ", "\n- Do: "))


def test_every_alert_is_seen_to_fire_and_to_rest() -> None:
    """Each fires in a case of its own; and the healthy case, which fires none, has every metric that a rule reads."""
    healthy, *faults = CASES["tests"]
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names) == 17
    assert expected(healthy) == set()
    assert sorted(set().union(*map(expected, faults))) == sorted(names)
    assert all(len(expected(case)) == 1 for case in faults)
    given = {one["series"].partition("{")[0] for one in healthy["input_series"]}
    assert set().union(*(used(rule["expr"]) for rule in RULES)) == given


def breaks(rule: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rule with one thing wrong: a comparison turned round, a limit halved or doubled, at once, or never."""
    expr = rule["expr"]
    for found in COMPARISON.finditer(expr):
        yield rule | {"expr": expr[: found.start()] + OPPOSITE[found[0]] + expr[found.end() :]}
    for found in LIMIT.finditer(expr):
        if float(found[0]):
            for factor in (0.5, 2):
                yield rule | {"expr": f"{expr[: found.start()]}{float(found[0]) * factor}{expr[found.end() :]}"}
    if "for" in rule:
        yield {key: value for key, value in rule.items() if key != "for"}
    yield rule | {"for": "1000h"}


def hold(rule: dict[str, Any], folder: Path) -> bool:
    """Say whether the cases with a metric of this rule hold, as far as they are about it."""
    name, cases = rule["alert"], []
    for case in CASES["tests"]:
        if {one["series"].partition("{")[0] for one in case["input_series"]} & set(used(rule["expr"])):
            mine = [(test, [one for one in test.get("exp_samples", []) if f'"{name}"' in one["labels"]])
                    for test in case["promql_expr_test"]]  # fmt: skip
            tests = [test | {"exp_samples": wanted} for test, wanted in mine]
            cases.append(case | {"promql_expr_test": tests})
    (folder / "alerts.yml").write_text(json.dumps({"groups": [{"name": "one", "rules": [rule]}]}), encoding="utf-8")
    (folder / "cases.yml").write_text(json.dumps(CASES | {"tests": cases}), encoding="utf-8")
    accepted(promtool(folder, "check", "rules", "alerts.yml"))
    return promtool(folder, "test", "rules", "cases.yml").returncode == 0


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_a_rule_that_is_wrong_is_seen(rule: dict[str, Any], tmp_path: Path) -> None:
    """The cases hold for the rule that ships and for none that differs a little."""
    assert hold(rule, tmp_path)
    wrong = list(breaks(rule))
    assert len(wrong) >= 2
    assert [one for one in wrong if hold(one, tmp_path)] == []


def test_metrics_and_labels_are_read_from_expressions() -> None:
    """What `used` finds in an expression, and what is missing on a page is named."""
    expr = 'sum by (a) (rate(x_total{job="y", b=~"c{1}"}[5m] offset 1w)) / on (a) group_left () z > 0.1 and time() < 3'
    assert used(expr) == {"x_total": {"job", "b"}, "z": set()}
    page = 'x_total{b="c d",e="f"} 1.0\n# HELP z what\n'
    assert missing(expr, samples(page)) == ["z"]
    assert missing('x_total{g="h"}', samples(page)) == ["x_total{g}"]
    assert missing('x_total{e="h"} + up', samples(page)) == []


def page_of(server: Serving, project: Path) -> str:
    """Return the metrics of a server that has answered, refused, seen a null and a new category."""
    row = known(project)[0]
    connection = server.connection()
    for body in (row, row | {"dest": "XXX", "wind_gust": None, "visib": None}, {}):
        connection.request("POST", "/predict", json.dumps(body), {"content-type": "application/json"})
        connection.getresponse().read()
    return server.get("/metrics")[1]


def test_every_metric_of_rules_and_panels_is_exported(started: Path, tmp_path: Path) -> None:
    """By a champion that is served and monitored, labels and all; promtool finds no fault with the page."""
    project = copy_of(started, tmp_path)
    with served(project) as server:
        works(run(project, "python", "-c", EVERY, str(server.port)))
        server.until(lambda: server.metric("prediction_log_waiting_rows") == 0, 20)
        without = samples(page_of(server, project))
        done = command(project, "monitor")
        page = server.get("/metrics")[1]
    assert done.returncode in (0, 3), done.stderr
    report, exported = json.loads((project / "reports/monitor.json").read_text(encoding="utf-8")), samples(page)
    assert f'monitor_decision{{decision="{report["decision"]}"}} 1.0' in page
    assert f"monitor_quality_loss {report['quality']['loss']['value']}" in page
    aspects = {one["aspect"]: one["distance"] for one in report["windows"][-1]["aspects"]}
    assert len(aspects) > 10
    assert all(f'monitor_drift_distance{{aspect="{name}"}} {value}' in page for name, value in aspects.items())
    assert accepted(promtool(project, "check", "metrics", typed=page)) == ""
    expressions = [*(rule["expr"] for rule in RULES), *queries()]
    assert len(expressions) > 50
    assert {expr: missing(expr, exported) for expr in expressions if missing(expr, exported)} == {}
    gone = set(exported) - set(without)
    assert len(gone) == 14
    assert all(name.startswith("monitor_") for name in gone)


def test_every_expression_of_the_dashboard_parses(tmp_path: Path) -> None:
    """As a rule, which promtool reads; one that lacks a parenthesis is named."""
    groups: dict[str, Any] = {"groups": [{"name": "all", "rules": []}]}
    groups["groups"][0]["rules"] = [{"record": f"panel:{i}", "expr": expr} for i, expr in enumerate(queries())]
    (tmp_path / "panels.yml").write_text(json.dumps(groups), encoding="utf-8")
    assert f"{len(queries())} rules found" in accepted(promtool(tmp_path, "check", "rules", "panels.yml"))
    groups["groups"][0]["rules"][7]["expr"] += "("
    (tmp_path / "panels.yml").write_text(json.dumps(groups), encoding="utf-8")
    done = promtool(tmp_path, "check", "rules", "panels.yml")
    assert done.returncode == 1
    assert "panel:7" in done.stderr


def lost(ours: Any, theirs: Any, where: str = "") -> Iterator[str]:
    """Yield the paths of what `ours` holds and `theirs` does not."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            yield from lost(value, theirs[key], f"{where}.{key}") if key in theirs else [f"{where}.{key}"]
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for place, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from lost(*pair, f"{where}[{place}]")
    elif ours != theirs or type(ours) is not type(theirs):
        yield where


def misfits(value: Any, hint: Any, where: str) -> Iterator[str]:
    """Yield the paths of values that are not what Grafana's models say of them, below a model or a value."""
    kind, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind in (typing.Union, types.UnionType):
        found = [list(misfits(value, one, where)) for one in inner]
        yield from [] if [] in found else found[0]
    elif kind is list and isinstance(value, list):
        for place, one in enumerate(value):
            yield from misfits(one, inner[0], f"{where}[{place}]")
    elif kind is typing.Literal:
        yield from [] if value in inner else [where]
    elif isinstance(kind, type) and issubclass(kind, enum.Enum):
        yield from [] if value in [one.value for one in kind] else [where]
    elif hasattr(value, "to_json"):
        yield from [] if kind in (Any, object) or isinstance(value, kind) else [where]
        for name, of in typing.get_type_hints(type(value)).items():
            yield from misfits(getattr(value, name), of, f"{where}.{name}")
    elif isinstance(kind, type) and kind is not object:
        right = (int, float) if kind is float else kind
        yield from [] if isinstance(value, right) and isinstance(value, bool) <= (kind is bool) else [where]


def faults_of(board: dict[str, Any]) -> list[str]:
    """Return what Grafana's models do not know or do not take in a dashboard."""
    register_default_plugins()
    model = Dashboard.from_json(board)
    return [*lost(board, json.loads(json.dumps(model, cls=JSONEncoder))), *misfits(model, Dashboard, "")]


def test_the_dashboard_is_one_of_grafanas() -> None:
    """Grafana's own models take every key and value of it, down to the options of each kind of panel and query."""
    assert faults_of(BOARD) == []
    panel = next(place for place, panel in enumerate(BOARD["panels"]) if panel["type"] == "timeseries")
    for path, wrong in {
        ("titel",): "x",
        ("refresh",): 60,
        ("graphTooltip",): 7,
        ("panels", panel, "gridpos"): {},
        ("panels", panel, "gridPos", "h"): "8",
        ("panels", panel, "fieldConfig", "defaults", "custom", "drawStyle"): "wavy",
        ("panels", panel, "options", "legend", "placement"): "left",
        ("panels", panel, "options", "legend", "colour"): "red",
        ("panels", panel, "targets", 0, "expression"): "up",
        ("panels", panel, "targets", 0, "editorMode"): "prose",
        ("templating", "list", 0, "type"): "database",
    }.items():
        board = json.loads(json.dumps(BOARD))
        node = board
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = wrong
        assert len(faults_of(board)) == 1, path


def test_the_dashboard_has_a_row_for_each_concern_and_any_source() -> None:
    """Rows in their order with panels, none over another, each described and read from the source that is chosen."""
    rows = [panel["title"] for panel in BOARD["panels"] if panel["type"] == "row"]
    assert rows == ROWS
    kinds = [panel["type"] for panel in BOARD["panels"]]
    assert not re.search("row row|row$", " ".join(kinds))
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(kinds)
    taken = [(x, y) for panel in BOARD["panels"] for at in [panel["gridPos"]]
             for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]  # fmt: skip
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) == 23
    source = {"type": "prometheus", "uid": "${datasource}"}
    shown = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
    assert all(panel["datasource"] == source and panel["description"] for panel in shown)
    assert all(target["datasource"] == source for panel in shown for target in panel["targets"])
    assert [one["type"] for one in BOARD["templating"]["list"]] == ["datasource", "query"]
    named = set(re.findall(r"raises? (\w+)", json.dumps(BOARD))) | set(re.findall(r"ones (\w+) at", json.dumps(BOARD)))
    assert len(named) > 5
    assert named <= {rule["alert"] for rule in RULES}


@dataclass
class Live:
    """A Prometheus at work."""

    port: int

    def ask(self, path: str, **query: str) -> Any:
        """Return what it answers."""
        address = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return json.load(answer)["data"]

    def firing(self) -> set[str]:
        """Return the alerts that fire."""
        return {one["labels"]["alertname"] for one in self.ask("alerts")["alerts"] if one["state"] == "firing"}

    def fires(self, name: str, seconds: float = 60) -> None:
        """Wait until an alert fires."""
        waited(lambda: name in self.firing(), seconds, name)

    def rests(self, name: str, seconds: float = 60) -> None:
        """Wait until it does not."""
        waited(lambda: name not in self.firing(), seconds, f"the end of {name}")


def waited(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until something holds; fail when it takes too long."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.2)


@contextmanager
def prometheus(folder: Path, target: int, token: str) -> Iterator[Live]:
    """What ships, and the README's command for the token, at work on a server; all waits shortened to a second."""
    shutil.copytree(FOLDER, folder)
    environment = {"SERVE_TOKEN": token, "PATH": "/bin"}
    subprocess.run(["bash", "-euc", shell(folder)[0]], cwd=folder, env=environment, check=True)
    for name, changes in {
        "prometheus.yml": {r"_interval: \d+s": "_interval: 1s"},
        "targets.yml": {"localhost:8000": f"127.0.0.1:{target}"},
        "alerts.yml": {r"for: \w+": "for: 1s"},
    }.items():
        text = (folder / name).read_text(encoding="utf-8")
        for old, new in changes.items():
            text, count = re.subn(old, new, text)
            assert count
        (folder / name).write_text(text, encoding="utf-8")
    live = Live(free_port())
    assert shutil.which("prometheus"), "prometheus is not installed: apt-get install prometheus"
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
                                    f"--web.listen-address=127.0.0.1:{live.port}"],
                                   cwd=folder, stdout=said, stderr=said)  # fmt: skip
    try:
        waited(lambda: "Server is ready" in (folder / "said").read_text(encoding="utf-8"), 30, "a start")
        yield live
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.mark.slow
def test_a_live_prometheus_tells_of_what_goes_wrong(copy: Path, tmp_path: Path) -> None:
    """It scrapes a real server: nothing fires and every panel shows something, until each fault is told of."""
    set_param(copy, "serve.max_requests", 1)
    report, log, rows = copy / "reports/monitor.json", copy / "predictions", known(copy)
    report.write_text(json.dumps(REPORT), encoding="utf-8")
    server = Serving(copy, {"SERVE_TOKEN": "sesame"})
    try:
        server.start()
        with prometheus(tmp_path / "monitoring", server.port, "mellon") as live:
            live.fires("ServerDown")  # for the token is another one
            (tmp_path / "monitoring/token").write_text("sesame", encoding="utf-8")
            live.rests("ServerDown")
            server.end()
            server.variables.clear()
            server.start()
            with Clients(server, rows, threads=1):
                page_of(server, copy)
                waited(lambda: not unanswered(live), 30, "every panel")
                live.rests("ServerDown")
                assert live.firing() == set()
                report.write_text(json.dumps(REPORT | {"concerns": [{"gate": "drift", "said": "far", "asks": True}]}))
                live.fires("Drift")
                report.write_text("{", encoding="utf-8")
                live.fires("MonitorReportUnreadable")
                live.rests("Drift")
                report.write_text(json.dumps(REPORT), encoding="utf-8")
                live.rests("MonitorReportUnreadable")
                log.rename(copy / "kept")
                log.write_text("a file, where a folder should be", encoding="utf-8")
                live.fires("PredictionLogFailing")
                assert live.firing() == {"PredictionLogFailing"}
                log.unlink()
                slow = Slow(server, rows[:2])  # which takes the one place there is
                live.fires("ErrorsServed")
                assert slow.end().status == 200
            server.end(signal.SIGKILL)
            live.fires("ServerDown")
            server.variables["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{free_port()}"
            server.start()
            live.fires("RegistryUnreachable")
            live.rests("ServerDown")
    finally:
        server.end(signal.SIGKILL)


def unanswered(live: Live) -> list[str]:
    """Return the dashboard's queries that give no series."""
    return [query for query in queries() if not live.ask("query", query=query)["result"]]
