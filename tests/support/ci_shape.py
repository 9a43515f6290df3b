#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the pipelines of examples/ promise, read from the files: which of them have secrets, what they
may do, and that every command line of kbuild in them parses. Usage: ci_shape.py REPOSITORY KBUILD"""
import glob
import os
import re
import shlex
import subprocess
import sys

import yaml

SECRETS = re.compile(r"secrets\b|KBUILD_SIGNING_KEY|CI_REGISTRY_PASSWORD|CI_JOB_TOKEN|SE_SEAL_SECRET")


def load(path):
    with open(path) as f:
        return yaml.safe_load(f)


def script_of(job):
    """All that a GitHub step or a GitLab job runs, as one text."""
    parts = [job["run"]] if "run" in job else []
    for key in ("before_script", "script", "after_script"):
        parts += job.get(key, [])
    return "\n".join(parts).replace("\\\n", " ")


def commands(text):
    """The words after each `kbuild`, with a value for each variable."""
    for line in text.splitlines():
        for m in re.finditer(r"(?:^|[;&|(]|\bdo|\bthen|=\S*)\s*kbuild ([^;|&>)]*(?:\$\([^)]*\)[^;|&>)]*)*)", line):
            yield [re.sub(r"\$\{?[A-Za-z_]+\}?|\$@", "value", word) for word in shlex.split(m[1], comments=True)]


def check_commands(kbuild, path, text):
    n = 0
    for words in commands(text):
        # With --help the words are parsed, and nothing is run.
        ran = subprocess.run([kbuild, *words, "--help"], capture_output=True, text=True)
        assert ran.returncode == 0 and ran.stdout.startswith("usage: kbuild"), (path, words, ran.stderr)
        # A first word that is no verb would be a target, which only docs/ci.md may name.
        verb = words[0].startswith(("-", "value")) or ran.stdout.startswith(f"usage: kbuild {words[0]}")
        assert verb or path == "docs/ci.md", (path, words)
        n += 1
    return n


def has_key_only_where_it_signs(path, env_of_steps, env_of_all):
    assert not SECRETS.search(str(env_of_all)), (path, env_of_all)
    with_key = [s for s in env_of_steps if SECRETS.search(str(s))]
    assert len(with_key) == 1, (path, with_key)


def check_github(path, kbuild):
    flow = load(path)
    events = flow.get("on", flow.get(True))  # YAML 1.1 reads the word as true
    steps = [s for job in flow["jobs"].values() for s in job["steps"]]
    n = sum(check_commands(kbuild, path, script_of(s)) for s in steps)
    assert "pull_request_target" not in str(events) and flow["permissions"], path
    for s in steps:
        assert ("uses" in s) != ("run" in s), (path, s)
        assert re.fullmatch(r"actions/(checkout|upload-artifact|download-artifact)@v\d+", s.get("uses", "actions/checkout@v0"))
        # What others can choose (a branch's name, say) reaches no script as text.
        assert "${{" not in s.get("run", "") or "matrix.tries" in s["run"], (path, s["run"])
        assert not re.search(r"set -[a-z]*x", s.get("run", "")), (path, s)
    name = os.path.basename(path)
    if name == "pull-request.yml":
        assert events == ["pull_request"] and not SECRETS.search(str(flow)), path
        assert flow["permissions"] == {"contents": "read", "packages": "read"}, path
        assert flow["env"]["PUSH_TO_REGISTRY"] == "no" and flow["env"]["KBUILD_TRUSTED_KEYS"], path
    elif name in ("main.yml", "release.yml"):
        others = {k: v for k, v in flow.items() if k != "jobs"}
        has_key_only_where_it_signs(path, [s for s in flow["jobs"]["build"]["steps"]], others)
        assert flow["env"]["PUSH_TO_REGISTRY"] == "yes", path
        assert "pull_request" not in str(events), path
    return n


def check_gitlab(path, kbuild):
    flow = load(path)
    jobs = {k: v for k, v in flow.items() if k not in ("stages", "variables")}
    n = sum(check_commands(kbuild, path, script_of(j)) for j in jobs.values())
    for name, job in jobs.items():
        assert "script" in job or "trigger" in job or name.startswith("."), (path, name)
    text = str(flow)
    if os.path.basename(path) == "merge-request.yml":
        (job,) = jobs.values()
        assert job["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'}], path
        assert job["variables"]["PUSH_TO_REGISTRY"] == "no" and job["variables"]["KBUILD_TRUSTED_KEYS"], path
        assert not SECRETS.search(text), path
    elif "PUSH_TO_REGISTRY" in text:
        rules = [j["rules"] for j in jobs.values() if "rules" in j]
        assert rules in ([[{"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"}]], [[{"if": "$CI_COMMIT_TAG"}]]), (path, rules)
    return n


def main(repository, kbuild):
    pages = {}
    for page in ("ci", "spread"):
        with open(f"{repository}/docs/{page}.md") as f:
            pages[page] = f.read()
    found = 0
    for path in sorted(glob.glob(f"{repository}/examples/git*/*.yml")):
        with open(path) as f:
            text = f.read()
        n = (check_github if "/github/" in path else check_gitlab)(path, kbuild)
        assert n >= 1 or path.endswith("gitlab/spread.yml"), path
        found += n
        # All that somebody has to set, or may, is on a page.
        for name in set(re.findall(r"vars\.([A-Z_]+)|secrets\.([A-Z_]+)|\$(KBUILD_IMAGE)\b", text)):
            assert "".join(name) in "".join(pages.values()), (path, name)
        assert "/".join(path.split("/")[-2:]) in pages["ci"], path
    indented = "\n".join(line.strip() for line in pages["ci"].splitlines() if line.startswith("    "))
    found += check_commands(kbuild, "docs/ci.md", indented)
    assert found >= 20, found


main(*sys.argv[1:])
