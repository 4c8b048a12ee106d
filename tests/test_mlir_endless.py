"""Functions of MLIR that call themselves, or each other without end; modules of many functions, calls and names."""

from __future__ import annotations

import time

import pytest
from hostile import check_error, outcome
from modules import function, job, launch, relu, whole

import irflops
from irflops import Graph, IrflopsError
from irflops.errors import Source
from irflops.readers.mlir.mlir_calls import BadCall, Calls
from irflops.readers.mlir.mlir_functions import functions_of


def load(text: str, graph: str | int | None = None) -> Graph:
    return irflops.loads(text, graph, name="model.mlir")


def fault(text: str, graph: str | int | None = None) -> IrflopsError:
    with pytest.raises(IrflopsError) as caught:
        load(text, graph)
    check_error(caught.value)
    return caught.value


# Calls that never end


def test_function_that_calls_itself() -> None:
    error = fault(whole(function("f", launch("%0", "f", "%arg0")), job(launch("%0", "f", "%x"))))
    assert (error.message, error.line) == ("@f calls itself", 3)
    assert fault(whole(function("f", launch("%0", "f", "%arg0")))).message == "@f calls itself"


def test_functions_that_call_each_other() -> None:
    f, g = function("f", launch("%0", "g", "%arg0")), function("g", launch("%0", "f", "%arg0"))
    error = fault(whole(f, g, job(launch("%0", "f", "%x"))))
    assert (error.message, error.line) == ("@f calls itself, through @g", 7)
    assert fault(whole(f, g), "g").message == "@g calls itself, through @f"
    assert "2 different graphs are in this file" in fault(whole(f, g)).message


def chain(length: int, times: int, last: str) -> str:
    """Functions, each of which calls the next so many times."""
    calls = [[launch(f"%{k}", f"f{n + 1}", f"%{k - 1}" if k else "%arg0") for k in range(times)] for n in range(length)]
    functions = [function(f"f{n}", *lines, returned=f"%{times - 1}") for n, lines in enumerate(calls)]
    return whole(*functions, function(f"f{length}", last, returned="%0" if last else "%arg0"), job(launch("%0", "f0", "%x")))


@pytest.mark.drawn
@pytest.mark.parametrize("last", [relu("%0", "%arg0"), ""])
@pytest.mark.parametrize(("length", "times"), [(40, 2), (10, 10), (2, 400)])
def test_calls_that_stand_for_more_than_any_graph(length: int, times: int, last: str) -> None:
    start = time.process_time()
    error = fault(chain(length, times, last))
    assert "calls that stand for more than 100,000 operations in all" in error.message
    assert error.line is not None
    assert time.process_time() - start < 20


def test_the_graph_itself_is_no_call() -> None:
    """Its own operators are as many as its file holds, and only what calls add to them is bounded."""
    functions = functions_of(Source("model.mlir", whole(function("f", relu("%0", "%arg0")), job(launch("%0", "f", "%x")))))
    calls = Calls(functions, left=0)
    with calls.work(functions.by_name["G_0"]), pytest.raises(BadCall), calls.work(functions.by_name["f"]):
        pass


def test_calls_too_deep() -> None:
    assert "functions call each other more than 50 deep" in fault(chain(3000, 1, relu("%0", "%arg0"))).message
    assert len(load(chain(40, 1, relu("%0", "%arg0"))).ops) == 3


MANY = {
    "functions": whole(*[function(f"f{n}", relu("%0", "%arg0")) for n in range(3000)]),
    "functions of one name": whole(*[function("f", relu("%0", "%arg0")) for _ in range(3000)]),
    "functions that call the next": whole(*[function(f"f{n}", launch("%0", f"f{(n + 1) % 3000}", "%arg0")) for n in range(3000)]),
    "functions that call one": whole(
        *[function(f"f{n}", launch("%0", "f", "%arg0")) for n in range(3000)], function("f", relu("%0", "%arg0"))
    ),
    "calls of nothing": whole(function("f", *[launch(f"%{n}", f"g{n}", "%arg0") for n in range(3000)])),
    "operators without a name": whole(job(*[relu(f"%{n}", "%x", "") for n in range(3000)])),
    "operators of one name": whole(job(*[relu(f"%{n}", "%x", "a") for n in range(3000)])),
    "operators of names that are made up": whole(job(*[relu(f"%{n}", "%x", f"a#{n}") + relu(f"%b{n}", "%x", "a") for n in range(1500)])),
    "modules": "module {\n" * 90 + job(relu("%0", "%x")) + "}\n" * 90,
    "foreign lines": whole(function("f", "    %c = arith.constant 1 : index\n" * 30_000, relu("%0", "%arg0"))),
    "foreign lines between operations": whole(function("f", ('    "a.b"() : () -> ()\n    %c = arith.constant 1 : index\n') * 3000)),
    "a long foreign line": whole(function("f", relu("%0", "%arg0") + "    memref.store " + "%a, " * 100_000 + "%b : memref<1xf32>\n")),
    "results on lines of their own": whole(function("f", relu("%0", "%arg0") + "    a.b\n" + "%a,\n" * 50_000 + "%b\n")),
    "foreign regions": whole(function("f", "    scf.for %i = %a to %b {\n" * 90 + "    }\n" * 90 + relu("%0", "%arg0"))),
    "lines behind a declaration": "func.func private @f()" + "\n" * 200_000 + "\n a" * 50_000,
    "comments": "// a\n" * 20_000 + "func.func",
    "comments in a comment": whole(job(relu("%0", "%x"))) + "// a " * 100_000 + "\n}",
    "comments in a comment of a module": "module {\n" + "// a " * 100_000 + "\n, }",
    "comments in a comment alone": "// a " * 100_000,
    "comments in a comment before a word": "// a " * 100_000 + "\nb",
    "aliases": "#a = #b\n" * 10_000 + "func @",
}


@pytest.mark.parametrize("name", MANY)
def test_many_of_everything(name: str) -> None:
    start = time.process_time()
    outcome(MANY[name])
    assert time.process_time() - start < 20
