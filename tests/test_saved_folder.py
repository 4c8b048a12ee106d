"""The folder that `oneflow.save(graph, DIR)` writes: model.mlir, and `meta` and `out` of each variable."""

from __future__ import annotations

import gzip
import os
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from modules import TYPE, W, X, module, op, read

from irflops.errors import IrflopsError, NotAGraphError
from irflops.ir.graph import DType, Graph, TensorType
from irflops.readers.mlir.saved_folder import REPORTED, read_folder

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
MATMUL = op("matmul", name="m-matmul-0", operands="%x, %w", types=f"({TYPE}, tensor<4x8xf32>) -> tensor<2x4xf32>")
MODEL = module(X, W, MATMUL)
META = "shape {\n  dim: 4\n  dim: 8\n}\ndata_type: kFloat\n"
WORDS = {DType.FLOAT32: "kFloat", DType.INT64: "kInt64", DType.BOOL: "kBool"}

posix = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes of POSIX")


def save(folder: Path, *, model: str = MODEL, meta: str | None = META, size: int | None = 128, name: str = "m.w") -> Path:
    """A folder as OneFlow writes it, with one variable; None leaves a file out."""
    (folder / name).mkdir(parents=True)
    (folder / "model.mlir").write_text(model, encoding="utf-8")
    if meta is not None:
        (folder / name / "meta").write_text(meta, encoding="utf-8")
    if size is not None:
        (folder / name / "out").write_bytes(bytes(size))
    return folder


def add(folder: Path, name: str, type_: TensorType) -> None:
    """A variable's files; `out` is as large as it should be and takes no space."""
    assert type_.shape is not None
    assert type_.dtype is not None
    assert type_.nbytes is not None
    (folder / name).mkdir()
    dims = "".join(f"  dim: {extent}\n" for extent in type_.shape)
    (folder / name / "meta").write_text(f"shape {{\n{dims}}}\ndata_type: {WORDS[type_.dtype]}\n")
    with (folder / name / "out").open("wb") as stream:
        stream.truncate(type_.nbytes)


def texts(graph: Graph) -> list[str]:
    return [note.text for note in graph.notes if note.code == "variable-file"]


def fault(folder: Path) -> IrflopsError:
    with pytest.raises(IrflopsError) as caught:
        read_folder(folder)
    return caught.value


def test_folder_is_its_model(tmp_path: Path) -> None:
    graph = read_folder(save(tmp_path / "saved"))
    alone = read(MODEL)
    assert (graph.format, graph.ops, graph.modules, graph.notes) == ("saved_graph", alone.ops, alone.modules, ())
    assert graph.source.name == str(tmp_path / "saved" / "model.mlir")


@pytest.mark.parametrize("stem", ["basic_block", "gpt_train"])
def test_whole_models(tmp_path: Path, stem: str) -> None:
    data = gzip.decompress((FIXTURES / f"{stem}.mlir.gz").read_bytes())
    (tmp_path / "model.mlir").write_bytes(data)
    graph = read(data.decode())
    variables = [found for found in graph.ops if found.type == "variable"]
    for variable in variables:
        add(tmp_path, variable.name, variable.outputs[0].type)
    assert texts(read_folder(tmp_path)) == []
    (tmp_path / variables[0].name / "out").write_bytes(b"")
    (note,) = read_folder(tmp_path).notes[-1:]
    assert variables[0].name in note.text
    assert note.span == variables[0].span


@pytest.mark.parametrize(
    "meta",
    [
        "shape{dim:4 dim:8}data_type:kFloat",
        "shape { dim: [4, 8] } data_type: 2",
        "# saved\nshape < dim: 4; dim: 8 >, data_type: kFloat later: { a: 1 }",
        "data_type: kFloat shape { dim: 4 dim: 8 }",
    ],
)
def test_meta_in_many_ways(tmp_path: Path, meta: str) -> None:
    assert texts(read_folder(save(tmp_path / "saved", meta=meta))) == []


@pytest.mark.parametrize(
    ("meta", "size", "text"),
    [
        (META, 127, "its out has 127 bytes, and f32[4,8] takes 128"),
        (META, None, "its out is missing"),
        (None, 128, "its meta is missing"),
        (META.replace("4", "5"), 160, "its meta says f32[5,8], and model.mlir f32[4,8]"),
        (META.replace("  dim: 8\n", ""), 16, "its meta says f32[4], and model.mlir f32[4,8]"),
        (META.replace("kFloat", "kDouble"), 256, "its meta says f64[4,8], and model.mlir f32[4,8]"),
        (META.replace("4", "-4"), 128, "its meta does not read: an extent is no count"),
        (META.replace("4", "9" * 5000), 128, "its meta does not read: an extent is no count"),
        (META.replace("4", "4.5"), 128, "its meta does not read: "),
        ("dim: 4 " * 50_000, 128, "its meta has more than 65,536 bytes, and some hundred are usual"),
        ("shape {", 128, "its meta does not read: "),
        ("\0\1\2", 128, "its meta does not read: "),
        ("shape { " * 5000, 128, "its meta does not read: "),
        (f"shape {{ {'dim: 1 ' * 100} }}", 128, "its meta does not read: 100 dimensions"),
    ],
)
def test_variable_that_does_not_fit(tmp_path: Path, meta: str | None, size: int | None, text: str) -> None:
    (found,) = texts(read_folder(save(tmp_path / "saved", meta=meta, size=size)))
    assert found.startswith(f"variable 'm.w': {text}")


def test_variable_without_a_folder(tmp_path: Path) -> None:
    save(tmp_path, name="other")
    assert texts(read_folder(tmp_path)) == ["variable 'm.w': it has no files here"]
    free = MODEL.replace("m.w", "m-FreeEagerTensor-3")
    (tmp_path / "model.mlir").write_text(free, encoding="utf-8")
    (text,) = texts(read_folder(tmp_path))
    assert text.endswith("it has no files here, for OneFlow saves no tensor that is outside the modules")


def test_many_variables_without_files(tmp_path: Path) -> None:
    count = 50
    variables = [W.replace("%w", f"%w{number}").replace("m.w", f"m.w{number}") for number in range(count)]
    save(tmp_path, model=module(X, *variables), name="m.w0")
    found = texts(read_folder(tmp_path))
    assert len(found) == REPORTED + 1
    assert found[-1] == f"the files of {count - 1 - REPORTED} more variables are missing or do not fit"
    (tmp_path / "m.w0").rename(tmp_path / "other")
    assert texts(read_folder(tmp_path)) == [f"the folder holds files of none of the {count} variables"]


@pytest.mark.parametrize("name", ["../m", "/etc", "a/b", "..", ".", "a\\\\b", "m" * 300])
def test_variable_whose_name_is_no_folders(tmp_path: Path, name: str) -> None:
    (text,) = texts(read_folder(save(tmp_path / "saved", model=MODEL.replace("m.w", name))))
    assert text.endswith("its name is no folder's")


def test_shapes_of_no_extent_and_of_none(tmp_path: Path) -> None:
    model = module(X, W.replace("tensor<4x8xf32>", "tensor<f32>").replace("[4 : si64, 8 : si64]", "[]"))
    assert texts(read_folder(save(tmp_path / "a", model=model, meta="shape {\n}\ndata_type: kFloat\n", size=4))) == []
    empty = module(X, W.replace("tensor<4x8xf32>", "tensor<0x8xf32>"))
    assert texts(read_folder(save(tmp_path / "b", model=empty, meta=META.replace("4", "0"), size=0))) == []


def test_bool_and_int8_are_told_apart(tmp_path: Path) -> None:
    model = module(X, W.replace("tensor<4x8xf32>", "tensor<4x8xsi8>").replace("data_type = 2", "data_type = 12"))
    folder = save(tmp_path, model=model, meta=META.replace("kFloat", "kBool"), size=32)
    assert texts(read_folder(folder)) == []
    (folder / "m.w" / "meta").write_text(META.replace("kFloat", "kInt8"))
    assert texts(read_folder(folder)) == ["variable 'm.w': its meta says i8[4,8], and model.mlir bool[4,8]"]


# What is no saved graph


def test_checkpoint_is_refused_and_not_read(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return os.abort, ()

    folder = save(tmp_path)
    (folder / "pickled_data").write_bytes(pickle.dumps(Bomb()))
    error = fault(folder)
    assert isinstance(error, NotAGraphError)
    assert "checkpoint" in error.message
    assert "oneflow.save(graph" in str(error.hint)


def test_folders_of_other_things(tmp_path: Path) -> None:
    error = fault(tmp_path)
    assert isinstance(error, NotAGraphError)
    assert error.message == "this folder holds no saved graph: there is no model.mlir"
    (save(tmp_path / "saved") / "model.mlir").unlink()
    assert fault(tmp_path / "saved").message == "this folder holds variables and no graph: there is no model.mlir"
    (tmp_path / "file").write_text("x")
    assert fault(tmp_path / "file").message == "this is no folder"
    assert fault(tmp_path / "missing").message.startswith("cannot read the folder: ")


def test_limits_on_the_model(tmp_path: Path) -> None:
    save(tmp_path)
    with pytest.raises(IrflopsError, match="larger than 100 bytes"):
        read_folder(tmp_path, max_size=100)


def test_errors_name_the_file(tmp_path: Path) -> None:
    error = fault(save(tmp_path, model=MODEL[:-20]))
    assert error.path == str(tmp_path / "model.mlir")


@posix
def test_links_that_leave_the_folder(tmp_path: Path) -> None:
    outside = save(tmp_path / "outside")
    folder = save(tmp_path / "saved")
    for name in ("meta", "out"):
        (folder / "m.w" / name).unlink()
        (folder / "m.w" / name).symlink_to(outside / "m.w" / name)
        (text,) = texts(read_folder(folder))
        assert text == f"variable 'm.w': its {name} is a link that leaves the folder, and is not followed"
        (folder / "m.w" / name).unlink()
        (folder / "m.w" / name).write_bytes((outside / "m.w" / name).read_bytes())
    (folder / "m.w").rename(folder / "kept")
    (folder / "m.w").symlink_to(outside / "m.w", target_is_directory=True)
    assert "leaves the folder" in texts(read_folder(folder))[0]
    (folder / "m.w").unlink()
    (folder / "m.w").symlink_to("kept", target_is_directory=True)
    assert texts(read_folder(folder)) == []
    (folder / "model.mlir").unlink()
    (folder / "model.mlir").symlink_to(outside / "model.mlir")
    assert fault(folder).message == "its model.mlir is a link that leaves the folder, and is not followed"
    (folder / "model.mlir").unlink()
    (folder / "model.mlir").symlink_to("model.mlir")
    assert fault(folder).message.startswith("its model.mlir cannot be read: ")


@posix
def test_link_to_the_folder_itself_is_the_users(tmp_path: Path) -> None:
    save(tmp_path / "saved")
    (tmp_path / "link").symlink_to("saved", target_is_directory=True)
    graph, same = read_folder(tmp_path / "link"), read_folder(tmp_path / "saved")
    assert replace(graph, source=same.source) == same


@posix
@pytest.mark.parametrize("name", ["model.mlir", "m.w/meta", "m.w/out"])
def test_pipes_are_not_opened(tmp_path: Path, name: str) -> None:
    folder = save(tmp_path)
    (folder / name).unlink()
    os.mkfifo(folder / name)
    if name == "model.mlir":
        assert fault(folder).message == "its model.mlir is no regular file"
    else:
        assert texts(read_folder(folder)) == [f"variable 'm.w': its {name[4:]} is no regular file"]
