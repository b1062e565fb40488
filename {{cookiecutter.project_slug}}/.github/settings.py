"""Say how this repository's settings on GitHub differ from what its workflows rely on, or set them.

`nox -s settings` looks; `-- --apply --owner @ORG/TEAM` sets. It asks GitHub's own client, as whoever ran
`gh auth login`: the settings take an administrator. Exit code 1 when something differs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

CODEOWNERS = Path(".github/CODEOWNERS")
#: What decides: numbers and thresholds, the data contract, the gates, their faults, and what runs all of it.
OWNED = ("/params.yaml", "/schema.yaml", "/dvc.yaml", "/noxfile.py", "/pyproject.toml", "/requirements.lock",
         "/requirements-serve.lock", "/*/gates/", "/*/monitoring/", "/*/stages/", "/*/registry/", "/tests/pretrain/",
         "/tests/posttrain/", "/tests/faults/", "/.github/", "/infra/", "/Dockerfile")  # fmt: skip
RULES: dict[str, dict[str, Any]] = {
    "deletion": {},
    "non_fast_forward": {},
    "pull_request": {
        "required_approving_review_count": 1,
        "dismiss_stale_reviews_on_push": True,
        "require_code_owner_review": True,
        "require_last_push_approval": False,
        "required_review_thread_resolution": True,
    },
    "required_status_checks": {
        "strict_required_status_checks_policy": True,
        "required_status_checks": [{"context": "pass"}],
    },
}
#: What a workflow's token may do where it says nothing else; the second lets `monitor` open its pull request.
TOKEN = {"default_workflow_permissions": "read", "can_approve_pull_request_reviews": True}
#: What cd writes to, from main alone, and whether somebody must approve it.
ENVIRONMENTS = {"registry": False, "staging": False, "production": True}
NAMED = {"protected_branches": False, "custom_branch_policies": True}
RULESET: dict[str, Any] = {
    "name": "main",
    "target": "branch",
    "enforcement": "active",
    "bypass_actors": [],
    "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
    "rules": [{"type": name, "parameters": values} if values else {"type": name} for name, values in RULES.items()],
}


class Refused(Exception):
    """GitHub did not do what was asked; the message is what it said."""


def gh(path: str, method: str = "GET", body: dict[str, Any] | None = None) -> Any:
    """What GitHub answers to a call, about this repository unless it begins with a slash. Raises Refused."""
    address = path.removeprefix("/") if path.startswith("/") else f"repos/{{owner}}/{{repo}}/{path}".rstrip("/")
    command = ["gh", "api", "--method", method, address]
    try:
        done = subprocess.run(command + ["--input", "-"] * (body is not None), input=json.dumps(body) if body else None,
                              capture_output=True, text=True, check=False)  # fmt: skip
    except FileNotFoundError:
        sys.exit("settings: gh is not installed: https://cli.github.com, then gh auth login")
    if done.returncode:
        raise Refused(
            f"{method} {path or 'repository'}: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}"
        )
    return json.loads(done.stdout or "null")


def differences(wanted: Any, found: Any, name: str = "") -> Iterator[str]:
    """What of `found` is not as wanted, by its dotted name; what is found besides does not matter, but in lists."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            yield from differences(value, found.get(key), f"{name}.{key}" if name else key)
    elif wanted != found:
        yield f"{name} is {json.dumps(found)}, not {json.dumps(wanted)}"


def by_type(ruleset: dict[str, Any]) -> dict[str, Any]:
    """A ruleset with its rules by their type; of a required check the name alone, since GitHub adds who reports it."""
    rules = {rule["type"]: rule.get("parameters", {}) for rule in ruleset.get("rules", ())}
    checks = rules.get("required_status_checks", {})
    if checks:
        named = [{"context": check["context"]} for check in checks["required_status_checks"]]
        rules["required_status_checks"] = checks | {"required_status_checks": named}
    return ruleset | {"rules": rules}


def ruleset(apply: bool) -> list[str]:
    """What of the main branch's protection differs, after it was set if asked to."""
    known = [one["id"] for one in gh("rulesets?includes_parents=false") if one["name"] == RULESET["name"]]
    if apply:
        gh(f"rulesets/{known[0]}" if known else "rulesets", "PUT" if known else "POST", RULESET)
        return ruleset(apply=False)
    if not known:
        return [f"there is no ruleset {RULESET['name']!r}: the main branch takes any push"]
    return [f"ruleset: {one}" for one in differences(by_type(RULESET), by_type(gh(f"rulesets/{known[0]}")))]


def owners(owner: str | None) -> list[str]:
    """What of the code owners differs, after they were written if an owner is given."""
    if owner:
        CODEOWNERS.write_text("".join(f"{path} {owner}\n" for path in OWNED), encoding="utf-8")
        print(f"{CODEOWNERS}: written; commit it")
    lines = CODEOWNERS.read_text(encoding="utf-8").splitlines() if CODEOWNERS.exists() else []
    owned = {line.split()[0] for line in lines if len(line.split()) > 1}
    missing = [f"{CODEOWNERS}: nobody owns {path}: --apply --owner @ORG/TEAM" for path in OWNED if path not in owned]
    try:
        wrong = [f"{CODEOWNERS}: {one['message'].splitlines()[0]}" for one in gh("codeowners/errors")["errors"]]
    except Refused as error:
        wrong = [f"{CODEOWNERS} is not on the main branch yet ({error})"]
    return missing + wrong


def reviewer(owner: str) -> dict[str, Any]:
    """A user or a team, as an environment names its reviewer."""
    organisation, _, team = owner.removeprefix("@").partition("/")
    if team:
        return {"type": "Team", "id": gh(f"/orgs/{organisation}/teams/{team}")["id"]}
    return {"type": "User", "id": gh(f"/users/{organisation}")["id"]}


def environment(name: str, approved: bool, main: str) -> list[str]:
    """What of an environment differs: only `main` may deploy to it, and somebody approves where it is `approved`."""
    found = next((one for one in gh("environments?per_page=100")["environments"] if one["name"] == name), None)
    if found is None:
        return [f"there is no environment {name}: any branch could deploy to it"]
    told = [f"environment {name}: {one}" for one in differences({"deployment_branch_policy": NAMED}, found)]
    if not told and (branches := policies(name)) != [main]:
        told.append(f"environment {name}: {', '.join(branches) or 'no branch'} may deploy, not {main} alone")
    rules = [rule for rule in found["protection_rules"] if rule["type"] == "required_reviewers"]
    if approved and not any(rule["reviewers"] for rule in rules):
        told.append(f"environment {name}: nobody has to approve: --apply --owner @ORG/TEAM (where the plan has it)")
    return told


def policies(name: str) -> list[str]:
    """The branches that may deploy to an environment."""
    return [str(one["name"]) for one in gh(f"environments/{name}/deployment-branch-policies")["branch_policies"]]


def restrict(name: str, reviewers: dict[str, Any]) -> None:
    """Let named branches alone deploy, and reviewers approve where the plan takes any (for private ones few do)."""
    policy = {"deployment_branch_policy": NAMED}
    try:
        gh(f"environments/{name}", "PUT", {**policy, **reviewers})
    except Refused as error:
        if "billing plan" not in str(error):
            raise
        gh(f"environments/{name}", "PUT", policy)


def environments(apply: bool, owner: str | None) -> list[str]:
    """What of the environments differs, after they were set if asked to; reviewers only if an owner is given."""
    main = str(gh("")["default_branch"])
    for name, approved in ENVIRONMENTS.items():
        if apply and (owner or not approved):  # what is not given would be taken away
            reviewers = {"reviewers": [reviewer(owner)]} if approved and owner else {}
            restrict(name, reviewers)
            if main not in policies(name):
                gh(f"environments/{name}/deployment-branch-policies", "POST", {"name": main})
    return [one for name, approved in ENVIRONMENTS.items() for one in environment(name, approved, main)]


def token(apply: bool) -> list[str]:
    """What of the rights of workflows differs, after they were set if asked to."""
    if apply:
        gh("actions/permissions/workflow", "PUT", TOKEN)
    return [f"workflows: {one}" for one in differences(TOKEN, gh("actions/permissions/workflow"))]


def releases(apply: bool) -> list[str]:
    """Whether GitHub freezes releases, after that was switched off if asked to: the registry of record is one."""
    try:
        found = gh("immutable-releases")
    except Refused as error:
        if "404" in str(error):  # nobody ever switched it on
            return []
        raise
    if apply and found["enabled"] and not found["enforced_by_owner"]:
        gh("immutable-releases", "DELETE")
        return releases(apply=False)
    return ["releases are immutable: the registry of record could be written once, and never again"] * found["enabled"]


def told(part: Callable[[], list[str]]) -> list[str]:
    """What of a part differs, or that GitHub refused it: what a plan does not include must not keep the rest undone."""
    try:
        return part()
    except Refused as error:
        return [f"GitHub refuses {error} (not an administrator, or not in this plan?)"]


def main() -> int:
    """Look, or set and look; 1 when something differs."""
    parser = argparse.ArgumentParser(prog="nox -s settings --", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--apply", action="store_true", help="set what differs")
    parser.add_argument("--owner", metavar="@ORG/TEAM", help="who approves what decides, and what goes to production")
    asked = parser.parse_args()
    if asked.owner and not (asked.apply and asked.owner.startswith("@")):
        parser.error("--owner takes a @user or @org/team, and --apply")
    try:
        gh("")
    except Refused as error:
        sys.exit(f"settings: {error}")
    parts = (
        lambda: ruleset(asked.apply),
        lambda: token(asked.apply),
        lambda: releases(asked.apply),
        lambda: environments(asked.apply, asked.owner),
        lambda: owners(asked.owner),
    )
    found = [one for part in parts for one in told(part)]
    print("\n".join(found) if found else "settings: as the workflows rely on them")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
