"""What the layers' makefiles build, imported with nothing on the path but what a function has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# One worker builds them, once.
pytestmark = pytest.mark.xdist_group("layers")

PROJECT = Path(__file__).parents[2]
# What the runtime of Lambda brings, as far as we import it.
# Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html#python-sdk-included
RUNTIME_HAS = ["boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"]

# PEP 552: the second word of a .pyc is 1 where byte-code is trusted without a look at the source.
UNCHECKED_HASH = 1


def built(layer: str, target: str, into: Path) -> Path:
    """Return the `python` folder of a layer, built as sam build does."""
    interpreter = Path(sys.executable).parent
    subprocess.run(  # noqa: S603  our own makefile
        ["/usr/bin/make", "--silent", "--directory", PROJECT / "layers" / layer, f"build-{target}"],
        env={
            **os.environ,
            "ARTIFACTS_DIR": str(into),
            "PATH": f"{interpreter}:{os.environ['PATH']}",
        },
        check=True,
        timeout=120,
    )
    return into / "python"


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("core", "CoreLayer", tmp_path_factory.mktemp("core"))


@pytest.fixture(scope="module")
def dependencies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("dependencies", "DependenciesLayer", tmp_path_factory.mktemp("dependencies"))


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the packages that the runtime brings, and no others."""
    folder = tmp_path_factory.mktemp("runtime")
    for distribution in RUNTIME_HAS:
        for top in {file.parts[0] for file in files(distribution) or [] if ".." not in file.parts}:
            if top != "__pycache__" and not top.endswith(".dist-info"):
                installed = next(file for file in files(distribution) or [] if file.parts[0] == top)
                whole = Path(str(installed.locate())).parents[len(installed.parts) - 1] / top
                (folder / top).symlink_to(whole)
    return folder


def byte_code(layer: Path) -> Iterator[Path]:
    return layer.rglob("*.pyc")


def test_the_core_layer_is_small(core: Path, tmp_path: Path) -> None:
    archive = tmp_path / "core.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for file in core.rglob("*"):
            zipped.write(file, file.relative_to(core.parent))
    assert archive.stat().st_size < 1_800_000


def test_every_module_has_byte_code_and_its_source(core: Path, dependencies: Path) -> None:
    for layer in (core, dependencies):
        sources = {file.relative_to(layer) for file in layer.rglob("*.py")}
        compiled = {
            (file.parent.parent / f"{file.name.split('.')[0]}.py").relative_to(layer)
            for file in byte_code(layer)
        }
        assert sources
        assert sources == compiled


def test_byte_code_is_never_checked_against_a_time_stamp(core: Path, dependencies: Path) -> None:
    for layer in (core, dependencies):
        for file in byte_code(layer):
            flags = int.from_bytes(file.read_bytes()[4:8], "little")
            assert flags == UNCHECKED_HASH, file


def test_the_compiled_package_is_there_for_both_architectures(dependencies: Path) -> None:
    found = {file.name.split(".")[1] for file in dependencies.rglob("*.so")}
    assert found == {"cpython-313-aarch64-linux-gnu", "cpython-313-x86_64-linux-gnu"}


def test_no_layer_holds_what_the_runtime_has(core: Path, dependencies: Path) -> None:
    held = {file.name for layer in (core, dependencies) for file in layer.iterdir()}
    assert not held & {"boto3", "botocore", "jmespath", "dateutil", "s3transfer", "urllib3", "bin"}


HANDLERS = sorted(path.parent.name for path in PROJECT.glob("functions/*/handler.py"))


@pytest.mark.parametrize("function", HANDLERS)
def test_a_function_imports_with_nothing_but_the_layers_and_the_runtime(
    function: str, core: Path, dependencies: Path, runtime: Path
) -> None:
    path = [str(PROJECT / "functions" / function), str(core), str(dependencies), str(runtime)]
    # -I and -S: no environment, no site-packages.
    script = (
        "import sys, json; sys.path[:0] = json.loads(sys.argv[1]); import handler, keyward; "
        "print(json.dumps([callable(handler.handler), keyward.__file__]))"
    )
    ran = subprocess.run(  # noqa: S603  our own interpreter
        [sys.executable, "-I", "-S", "-W", "ignore", "-c", script, json.dumps(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    is_callable, where = json.loads(ran.stdout)
    assert is_callable
    assert where.startswith(str(core))
