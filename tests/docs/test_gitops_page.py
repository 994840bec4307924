"""The page on GitOps: its recipes are YAML of the shape that each tool reads, and their commands are meshc's."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from meshc.cli.arguments import read_arguments

PAGE = (Path(__file__).parents[2] / "docs" / "gitops.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^```yaml file=(\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
COMMAND = re.compile(r"\bmeshc (?:check|test|compile|diff|fmt)\b[^`|&>\n]*")


def commands() -> Iterator[str]:
    for found in COMMAND.finditer(PAGE):
        yield found[0].rstrip(" '\"").replace('"', "") if found[0].count('"') % 2 else found[0].strip(" '")


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipes_are_yaml(name: str) -> None:
    documents = list(yaml.safe_load_all(RECIPES[name]))
    assert all(isinstance(one, dict) for one in documents)


@pytest.mark.parametrize("name", [one for one in sorted(RECIPES) if one.startswith(".github")])
def test_workflows_have_the_shape_of_workflows(name: str) -> None:
    workflow = yaml.safe_load(RECIPES[name])
    # YAML 1.1 reads the key `on` as a boolean.
    assert set(workflow) == {"name", True, "permissions", "jobs"}
    for job in workflow["jobs"].values():
        assert set(job) == {"runs-on", "steps"}
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert set(step) <= {"name", "if", "uses", "with", "run", "env", "working-directory"}


@pytest.mark.parametrize("name", ["argocd/policy.yaml", "flux/policy.yaml"])
def test_objects_of_controllers_follow_a_compiled_folder(name: str) -> None:
    objects = list(yaml.safe_load_all(RECIPES[name]))
    assert all({"apiVersion", "kind", "metadata", "spec"} <= one.keys() for one in objects)
    assert any("deploy/istio" in str(one["spec"]) for one in objects)


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_commands_are_understood(command: str) -> None:
    words = shlex.split(command)
    assert words[0] == "meshc"
    assert read_arguments(words[1:]).command == words[1]
