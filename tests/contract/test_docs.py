"""README and docs name only what is there, and their snippets are those of the samples."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from opssc_operator.api.conditions import ConditionType, Reason
from opssc_operator.api.group import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
HELP_SECONDS = 60
DATED = re.compile(r"^Accepted, \w+ \d{4}\.$", re.MULTILINE)
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "config/**/*.md", "*/README.md")
    for page in ROOT.glob(pattern)
    if not page.relative_to(ROOT).parts[0].startswith(".")
)
PROGRAMS = {
    "-m opssc_operator.definition": ("-m", "opssc_operator.definition"),
    "-m opssc_operator": ("-m", "opssc_operator"),
    "-m opssc_chaincode": ("-m", "opssc_chaincode"),
    "-m opssc_tools.demo": ("-m", "opssc_tools.demo"),
    "make demo": ("-m", "opssc_tools.demo"),
    "fabric-devnet up": ("-m", "fabric_devnet", "up"),
    "fabric-devnet describe": ("-m", "fabric_devnet", "describe"),
}
"""How a command in a document begins, and the Python arguments that run the program itself."""


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, *languages: str) -> Iterator[str]:
    """The fenced code blocks of a page in one of these languages."""
    for language, body in re.findall(r"^```(\w*)\n(.*?)^```$", read(page), re.MULTILINE | re.DOTALL):
        if language in languages:
            yield body


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", read(page), flags=re.MULTILINE | re.DOTALL)


def code_spans(page: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(page))


def commands(page: Path) -> list[str]:
    """Every command a page shows: shell blocks, indented lines that begin like one, code spans."""
    shell = [line for body in blocks(page, "sh") for line in body.splitlines() if line and not line.startswith("#")]
    indented = re.findall(r"^ {4}((?:make|fabric-devnet|python|\.venv|kubectl) ?.*)$", prose(page), re.MULTILINE)
    return [*shell, *indented, *code_spans(page)]


def heading_anchor(heading: str) -> str:
    """The anchor GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def without_comments(text: str) -> str:
    lines = (line for line in textwrap.dedent(text).splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return textwrap.dedent("\n".join(lines))


def parts_of_samples() -> Iterator[str]:
    """Every run of lines of every sample, without comments, moved to the left."""
    for sample in sorted((ROOT / "config").rglob("*.yaml")):
        lines = without_comments(read(sample)).splitlines()
        for start, end in itertools.combinations(range(len(lines) + 1), 2):
            yield textwrap.dedent("\n".join(lines[start:end]))


def field_paths(schema: dict[str, Any], path: str) -> Iterator[str]:
    """The dotted paths of a structural schema, `[]` after the name of a list."""
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from field_paths(field, f"{path}.{name}")
        if "items" in field:
            yield f"{path}.{name}[]"
            yield from field_paths(field["items"], f"{path}.{name}[]")


@pytest.fixture(scope="session")
def fields(schema: Callable[[Kind], dict[str, Any]]) -> set[str]:
    """Every field of every kind, `spec.peers.explicit[].address`."""
    schemas = [schema(kind)["properties"] for kind in Kind]
    return {path for known in schemas for part in ("spec", "status") for path in field_paths(known[part], part)}


@pytest.fixture(scope="session")
def samples() -> set[str]:
    return set(parts_of_samples())


@pytest.fixture(scope="session")
def targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+):", read(ROOT / "Makefile"), re.MULTILINE))


@pytest.fixture(scope="session")
def options() -> Callable[[str], set[str]]:
    """The options of a program by how its command begins, as its own help names them."""
    known: dict[str, set[str]] = {}

    def ask(program: str) -> set[str]:
        if program not in known:
            shown = subprocess.run(
                [sys.executable, *PROGRAMS[program], "--help"],
                capture_output=True,
                text=True,
                check=True,
                timeout=HELP_SECONDS,
                env={"COLUMNS": "240", "NO_COLOR": "1", "TERM": "dumb"},
            )
            known[program] = set(re.findall(r"--[a-z][a-z-]*", shown.stdout))
        return known[program]

    return ask


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    broken = []

    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", prose(page)):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        headings = (
            re.findall(r"^#+ (.*)$", read(target), re.MULTILINE) if target.suffix == ".md" and target.exists() else []
        )
        if not target.exists() or (anchor and anchor not in map(heading_anchor, headings)):
            broken.append(link)

    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_yaml_snippets_are_parts_of_samples(page: Path, samples: set[str]) -> None:
    foreign = [body for body in blocks(page, "yaml") if without_comments(body) not in samples]

    assert not foreign


def test_the_readme_shows_whole_samples() -> None:
    shown = list(blocks(ROOT / "README.md", "yaml"))

    assert shown == [read(ROOT / "config/samples" / name) for name in ("chaincodeproposal.yaml", "vote-agree.yaml")]


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_make_targets_are_in_the_makefile(page: Path, targets: set[str]) -> None:
    named = {name for line in commands(page) for name in re.findall(r"^make ([a-z][a-z0-9-]*)", line)}

    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_options_are_in_the_help_of_their_program(page: Path, options: Callable[[str], set[str]]) -> None:
    unknown = []

    for line in commands(page):
        program = next((begin for begin in PROGRAMS if begin in line), None)
        given = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", line)) - {"--help"}
        if program is not None and given:
            unknown.extend(sorted(given - options(program)))

    assert not unknown


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_files_named_in_commands_and_text_exist(page: Path) -> None:
    tracked = ("config", "crds", "docs", "tests", "tools", "fabric", "chaincode", "operator", "devnet", "requirements")
    named = {
        path.rstrip("/.,")
        for line in commands(page)
        for path in re.findall(rf"(?<![\w./-])(?:{'|'.join(tracked)})/[\w./-]*", line)
    }

    missing = sorted(path for path in named if not (ROOT / path).exists() and not (page.parent / path).exists())

    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_fields_named_in_text_are_in_the_crds(page: Path, fields: set[str]) -> None:
    named = {span for span in code_spans(page) if re.fullmatch(r"(spec|status)(\.[A-Za-z]+(\[\])?)+", span)}

    assert sorted(named - fields) == []


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_first_word_of_a_table_of_reasons_is_a_reason(page: Path) -> None:
    tables = re.findall(r"^\| reason[^\n]*\n\|[-|]+\n((?:\|[^\n]*\n)+)", read(page), re.MULTILINE)
    first_cells = [row.split("|")[1] for table in tables for row in table.splitlines()]

    named = {word for cell in first_cells for word in re.findall(r"`(\w+)`", cell)}

    assert sorted(named - set(Reason)) == []


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_conditions_in_kubectl_wait_are_condition_types(page: Path) -> None:
    named = {name for line in commands(page) for name in re.findall(r"--for=condition=(\w+)", line)}

    assert sorted(named - set(ConditionType)) == []


@pytest.mark.parametrize("folder", ["docs", "docs/adr"])
def test_every_page_is_in_the_index_of_its_folder(folder: str) -> None:
    index = read(ROOT / folder / "README.md")

    missing = [page.name for page in sorted((ROOT / folder).glob("*.md")) if f"({page.name})" not in index]

    assert missing in ([], ["README.md"])


def test_records_are_numbered_without_gaps_and_dated() -> None:
    records = sorted((ROOT / "docs/adr").glob("0*.md"))

    numbers = [int(record.name[:4]) for record in records]
    undated = [record.name for record in records if not DATED.search(read(record))]

    assert numbers == list(range(1, len(records) + 1))
    assert not undated


def test_python_in_documents_says_what_it_shows() -> None:
    examples = [body for page in PAGES for body in blocks(page, "python")]

    for example in examples:
        shown = example.rstrip().splitlines()[-1].removeprefix("# ")
        *statements, expression = [line for line in example.splitlines() if line and not line.startswith("#")]
        program = "\n".join([*statements, f"print({expression})"])
        printed = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=HELP_SECONDS
        )
        assert printed.stdout.strip() == shown

    assert examples


def test_samples_in_documents_parse() -> None:
    bodies = [body for page in PAGES for body in blocks(page, "yaml")]

    assert all(yaml.safe_load(body) for body in bodies)


def test_the_security_model_names_everything_the_operator_may_do() -> None:
    # Given
    section = read(ROOT / "docs/security-model.md").partition("## What the operator may do in Kubernetes\n")[2]
    paragraph = " ".join(section.partition("\n\n")[0].split())
    role = yaml.safe_load(read(ROOT / "config/rbac/operator.yaml"))

    # When
    written = {
        resource
        for rule in role["rules"]
        for resource in rule["resources"]
        if not resource.endswith("/status") and not set(rule["verbs"]) <= {"get", "list", "watch"}
    }
    others = {
        resource for rule in role["rules"] if "opssc.dev" not in rule["apiGroups"] for resource in rule["resources"]
    }

    # Then
    named = set(re.findall(r"`(\w+)`", paragraph))
    assert sorted((written | others) - named) == []


def test_the_concepts_list_every_kind() -> None:
    table = read(ROOT / "docs/concepts.md").partition("## Objects\n")[2]

    assert {Kind(name) for name in re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)} == set(Kind)


@pytest.mark.parametrize("page", ["docs/development.md", "CONTRIBUTING.md"])
def test_the_layers_are_those_that_are_checked(page: str) -> None:
    # Given
    contracts = tomllib.loads(read(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each["id"] == "operator-layers")
    modules = {module for layer in layers for module in layer.split(" | ")}

    # Then
    assert sorted(module for module in modules if not re.search(rf"\b{module}\b", read(ROOT / page))) == []


def test_no_text_names_a_document_that_is_not_in_the_tree() -> None:
    sources = [path for pattern in ("*/opssc_*/**/*.py", "*/fabric_*/**/*.py") for path in ROOT.glob(pattern)]
    named = {name for path in sources for name in re.findall(r"[\w-]+\.md\b", read(path))}

    assert named
    assert sorted(named - {page.name for page in PAGES}) == []
