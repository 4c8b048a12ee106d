"""Every serialized form that is read: what it is called, how to make it from a graph that was called once, what it holds and lacks."""

from __future__ import annotations

from dataclasses import dataclass, replace

from irflops.ir.holds import Holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A serialized form."""

    name: str
    """As in `Graph.format`; forms of one syntax share it."""
    title: str
    make: str
    """The line of Python that makes it, of a `graph` that was called once, with `oneflow` and `irflops` imported."""
    has: str
    """What it holds and lacks, in words for people."""
    lacks: str
    holds: Holds
    """The same for programs: what it tells whatever the graph, as its reader sets it in `Graph.holds`."""

    def row(self) -> dict[str, str]:
        """The form as `irflops formats` lists it."""
        return {"name": self.name, "title": self.title, "make": self.make, "holds": self.has, "lacks": self.lacks}


CAPTURE = Form(
    name="capture",
    title="capture",
    make='irflops.capture(graph, "graph.zip")',
    has="the full job and the printed graph: attributes and all shapes of the one, classes and declared parameters of the other",
    lacks="the values of variables; the boxing operators of the print are left out",
    holds=Holds(declarations=True),
)

PRINTED = Form(
    name="repr",
    title="printed graph",
    make='print(graph, file=open("graph.txt", "w"))',
    has="modules with class and text, declared parameters and buffers, operators up to the optimizer's, all shapes, sbp, placement",
    lacks="attributes, and op types but in names: both are recovered where shapes, names or the modules' texts tell",
    holds=Holds(attrs=False, declarations=True, boxing=True, added_operands=False),
)

FULL_JOB = Form(
    name="job_text",
    title="full job, text",
    make='print(graph._full_graph_proto, file=open("graph.job.txt", "w"))',
    has="operators up to the optimizer's with type and attributes, all shapes, sbp, placement, lines of Python",
    lacks="classes and texts of modules, which variables are buffers and which are frozen, boxing operators",
    holds=Holds(),
)

FULL_JOB_BINARY = Form(
    name="job_binary",
    title="full job, binary",
    make='open("graph.job.pb", "wb").write(graph._full_graph_proto.SerializeToString())',
    has="the same in protobuf's wire format",
    lacks="the same",
    holds=Holds(),
)

FORWARD_JOB = Form(
    name="job_text",
    title="forward job, text",
    make='print(graph._graph_proto, file=open("graph.forward.txt", "w"))',
    has="operators with type and attributes, of a training graph forward and backward; shapes of inputs and variables",
    lacks="what a full job lacks, shapes of computed tensors (inference supplies them), the optimizer",
    holds=Holds(result_types=False, result_sbp=False, operand_sbp=False, passes=False, recompute=False, optimizer=False),
)

_SAVED = Holds(
    result_sbp=False, operand_sbp=False, dead_ops=False, passes=False, backward=False, recompute=False, optimizer=False
)  # oneflow.save writes the forward job

SAVED_FOLDER = Form(
    name="saved_graph",
    title="saved graph, the folder",
    make='oneflow.save(graph, "graph")',
    has="the graph as MLIR, operators with type and attributes, all shapes; beside it the variables, of which their shapes are read",
    lacks="what a full job lacks, the sbp that consumers want, operators whose results nobody uses, backward and optimizer",
    holds=_SAVED,
)

SAVED_MLIR = Form(
    name="mlir",
    title="saved graph, its model.mlir",
    make='oneflow.save(graph, "graph")',
    has="the same from that file alone, without the folders of the variables",
    lacks="the same",
    holds=_SAVED,
)

SAVED_STEP = replace(_SAVED, passes=True, backward=True, recompute=True, optimizer=True)
"""What a saved graph tells that was made from the full job, after OneFlow's passes."""

FORMS = (CAPTURE, PRINTED, FULL_JOB, FULL_JOB_BINARY, FORWARD_JOB, SAVED_FOLDER, SAVED_MLIR)
"""In the order of what they tell, forms of one kind together."""
