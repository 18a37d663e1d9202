"""The registry: finding, reading and loading files, and what it says when a file is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from flexbench import registry
from flexbench.errors import FlexbenchError

GOOD = (
    'TASKS = ("superres",)\nWIDTH_STEP = 2\n\n\ndef build(problem, *, width):\n    return width\n'
)


def write(folder: Path, name: str, text: str) -> str:
    (folder / f"{name}.py").write_text(text)
    return str(folder)


def test_the_official_files_are_found():
    found = registry.names()
    assert next(iter(found)) == "flex"
    networks = {name for name in found if not registry.is_formula(name)}
    assert networks >= {"flex", "unet", "fno", "dit", "uvit"}
    assert set(found) - networks >= {"interpolation", "persistence", "extrapolation"}
    assert registry.tasks("persistence") == ("forecast",)
    assert registry.tasks("interpolation") == ("superres",)
    assert set(registry.tasks("unet")) == set(registry.KINDS)


def test_listing_and_reading_import_neither_torch_nor_the_file(tmp_path):
    folder = write(tmp_path, "mine", GOOD + "\nraise RuntimeError('was run')\n")
    code = (
        "import sys; from flexbench import registry;"
        f"extra = [{folder!r}];"
        "facts = [registry.facts(name, extra) for name in registry.names(extra)];"
        "mine = next(fact for fact in facts if fact.name == 'mine');"
        "print('torch' in sys.modules, mine.formula, mine.tasks, mine.width_step)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False False ('superres',) 2"


def test_a_users_file_is_loaded_once(tmp_path):
    extra = [write(tmp_path, "mine", GOOD)]
    module = registry.load("mine", extra)
    assert module.build(None, width=4) == 4
    assert registry.load("mine", extra) is module
    assert Path(registry.names(extra)["mine"]) == tmp_path.resolve() / "mine.py"


def test_hidden_and_foreign_files_are_left_out(tmp_path):
    (tmp_path / "notes.txt").write_text("not Python")
    extra = [write(tmp_path, "_draft", "this is not Python either")]
    assert registry.names(extra) == registry.names()


def test_a_folder_given_twice_counts_once(tmp_path):
    folder = write(tmp_path, "mine", GOOD)
    assert registry.names([folder, folder + "/", str(registry.folders()[0])]).keys() == {
        *registry.names(),
        "mine",
    }


def message(call, *arguments) -> str:
    with pytest.raises(FlexbenchError) as caught:
        call(*arguments)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_unknown_name_lists_the_nearest():
    text = message(registry.load, "unnet")
    assert "'unnet'" in text
    assert "did you mean unet" in text
    assert "persistence" in text


def test_missing_folder():
    assert "baseline_folders: '/no/such' is not a folder" in message(registry.names, ["/no/such"])


def test_two_files_of_one_name(tmp_path):
    text = message(registry.names, [write(tmp_path, "unet", GOOD)])
    assert "two files are named 'unet'" in text
    assert str(tmp_path) in text


def test_flex_cannot_be_shadowed(tmp_path):
    assert "named 'flex'" in message(registry.names, [write(tmp_path, "flex", GOOD)])


def test_name_that_is_no_identifier(tmp_path):
    assert "letters, digits" in message(registry.names, [write(tmp_path, "my-net", GOOD)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TASKS = ('superres',)\n", "found neither"),
        (GOOD + "\ndef predict(example, task):\n    return 0\n", "found both"),
        (GOOD.replace('("superres",)', '("weather",)'), "TASKS must be a tuple out of"),
        (GOOD.replace('TASKS = ("superres",)', ""), "TASKS must be a tuple out of ('forecast'"),
        (GOOD.replace('("superres",)', "tuple(KINDS)"), "mine.py:1: TASKS must be written as"),
        (GOOD.replace("WIDTH_STEP = 2", ""), "WIDTH_STEP must be a positive whole number; it is"),
        (GOOD.replace("WIDTH_STEP = 2", "WIDTH_STEP = 0"), "found 0"),
        (GOOD + "\nx = = 1\n", "mine.py:8: not valid Python"),
    ],
)
def test_a_file_that_breaks_the_contract(tmp_path, text, expected):
    told = message(registry.facts, "mine", [write(tmp_path, "mine", text)])
    assert expected in told
    assert str(tmp_path / "mine.py") in told


def test_failing_import_names_file_and_line(tmp_path):
    text = GOOD + "\nimport no_such_package\n"
    told = message(registry.load, "mine", [write(tmp_path, "mine", text)])
    assert f"{tmp_path / 'mine.py'}:8: ModuleNotFoundError: No module named" in told


def test_failing_code_can_be_mended_and_loaded(tmp_path):
    extra = [write(tmp_path, "mended", GOOD + "\n1 / 0\n")]
    assert ":8: ZeroDivisionError" in message(registry.load, "mended", extra)
    write(tmp_path, "mended", GOOD)
    assert registry.load("mended", extra).WIDTH_STEP == 2
