"""`%%bbi`: options of a cell, notebook variables, the displayed page, and error output."""

import re

import numpy as np
import pytest

import bbilang

pytest.importorskip("IPython", reason="without the test extra")
PIPE = '"4".channel | attribute(output) | top(3) | present(bars)\n'


@pytest.fixture(scope="module")
def network():
    import torch
    from torch import nn

    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip


@pytest.fixture
def shell(network):
    import torch
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "bbilang")
    torch.manual_seed(1)
    shell.user_ns |= {"net": network, "image": torch.rand(3, 32, 32), "number": 3}

    def run(line, cell=PIPE):
        with capture_output() as captured:
            shell.found = shell.run_cell(f"%%bbi {line}\n{cell}")
        shell.said = captured
        return shell.user_ns.get("_bbi")

    shell.cell = run
    yield shell
    InteractiveShell.clear_instance()


def test_variables_are_the_model_and_the_input(shell, network):
    page = shell.cell("--model net --input image")
    assert shell.found.success and page.data("element-1").values.shape == (3,)
    same = bbilang.run(PIPE, model=network, input=shell.user_ns["image"])
    assert np.array_equal(page.data("element-1").values, same.data("element-1").values)
    assert shell.found.result is None, "the page is shown once"


def test_a_cell_may_name_the_network_itself(shell):
    page = shell.cell("-i image", f"model net\n{PIPE}")
    assert shell.found.success and page.data("element-1").values.shape == (3,)
    shell.user_ns["efficientnet_lite0"] = shell.user_ns["net"]
    shell.cell("-i sample:coffee --name known", "model efficientnet_lite0\ninput | present(image)\n")
    assert "EfficientNet-Lite0" in shell.user_ns["known"].view.provenance.model, "the registry's own comes first"


def test_names_files_and_arrays(shell):
    shell.user_ns["photo"] = "sample:coffee"
    shell.user_ns["pixels"] = np.zeros((40, 50, 3), np.uint8)
    page = shell.cell(
        "--input photo --input sample:chelsea --input pixels --title 'Two words'", "input | present(image)"
    )
    assert [p.name for p in page.results.pictures] == ["coffee.png", "chelsea", "picture 3"] or len(
        page.results.pictures
    ) == 3
    assert page.view.title == "Two words"


def test_another_name(shell):
    shell.user_ns["_bbi"] = "before"
    shell.cell("--model net -i image --name mine")
    assert shell.user_ns["_bbi"] == "before" and shell.user_ns["mine"].data("element-1").values.shape == (3,)


def test_what_is_shown(shell):
    page = shell.cell("--model net --input image", PIPE.replace("top(3)", "top(7)"))  # as no other test asks
    shown = [output.data for output in shell.said.outputs]
    assert "running the network" in shown[0]["text/plain"], "first how far the work is"
    last = shown[-1]
    assert last["text/plain"] == repr(page) and "<iframe" in last["text/html"] and "srcdoc=" in last["text/html"]
    assert 'sandbox="allow-scripts allow-downloads"' in last["text/html"], "no rights in the notebook"
    assert "allow-same-origin" not in last["text/html"]
    assert page._repr_mimebundle_()["text/html"] == last["text/html"]
    shell.cell("--model net --input image --height 333")
    assert "height:333px" in shell.said.outputs[-1].data["text/html"]
    assert "data-fixed" in shell.said.outputs[-1].data["text/html"]


@pytest.mark.parametrize(
    ("line", "cell", "words"),
    [
        (
            "--model net -i image",
            PIPE.replace("channel", "chanel"),
            r"error\[E208\].*\n.*<cell>:1:\d+\n.*\n +\^+\n +help",
        ),
        ("--model net -i image", "a = 3 4\n", r"error\[E125\]"),
        ("--model number -i image", PIPE, r"error\[E408\]: an int is no model"),
        ("--model nothing -i image", PIPE, r"error\[E401\]"),
        ("--model net -i number", PIPE, r"error\[E418\]"),
        ("--model net -i image --set featvis", PIPE, r"error\[E440\]"),
        ("--mode net", PIPE, r"error\[E440\]: %%bbi: unrecognized arguments: --mode net"),
        ("--name 3x", PIPE, r"error\[E440\]: %%bbi: `3x` is not a valid variable name"),
        ("--title 'x", PIPE, r"error\[E440\]: %%bbi: No closing quotation"),
        ("-i cat.jpg", "input | present(image)\n", r"error\[E411\]"),
    ],
)
def test_errors_have_no_traceback(shell, line, cell, words):
    shell.user_ns.pop("_bbi", None)
    assert shell.cell(line, cell) is None
    assert not shell.found.success, "what comes after such a cell does not run"
    assert re.search(words, shell.said.stdout), shell.said.stdout
    assert "Traceback" not in shell.said.stdout and ".py" not in shell.said.stdout


def test_nothing_of_the_cell_steers_the_terminal_or_the_page(shell):
    shell.cell("--model net -i image", '"\x1b[31m<script>alert(1)</script>".channel | present(bars)\n')
    assert "\x1b[31m<script>" not in shell.said.stdout


def test_help(shell):
    assert "--model NAME" in shell.find_cell_magic("bbi").__doc__
