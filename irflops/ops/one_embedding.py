"""OneEmbedding: tables of rows outside the graph, whose ids are made unique, sent to the devices that hold them, looked up, and updated.

How many of a batch's ids are different is in the data: results have room for all of them, and counts are those of all being different,
or of all being one where that takes more. What moves between devices is communication, and what is read from a table's store, files'.
"""

from __future__ import annotations

from irflops.ir.graph import DType, TensorType
from irflops.ops.costs import WorkRule, no_work
from irflops.ops.facts import Effect
from irflops.ops.op_view import OpView
from irflops.ops.rule import Example, OpRule
from irflops.ops.shapes import Inferred, ShapeRule, no_result_shape, shaped_like
from irflops.ops.traffic import Traffic, TrafficRule, moves, touch_all
from irflops.ops.work import Work

_HASHES = "no arithmetic: ids are hashed and moved"


def _checked_tables(op: OpView, ids: str, others: str) -> tuple[int, ...]:
    """The shape of the ids; of several tables without ids of their own each has a column."""
    shape, tables = op.shape(ids), op.integer("num_tables", least=1)
    if op.inputs(others):
        if op.shape(others) != shape:
            raise ValueError(f"{ids} {shape} and {others} {op.shape(others)} are not of one shape")
    elif tables > 1 and (len(shape) != 2 or shape[1] != tables):
        raise ValueError(f"{ids} {shape} are not {tables} columns")
    return shape


def unique_shape(op: OpView) -> Inferred:
    """How many there are, room for all, and which of them each id is."""
    shape = _checked_tables(op, "keys", "values")
    n = op.numel("keys")
    values = op.input("values").dtype if op.inputs("values") else DType.UINT8
    return {
        "num_unique": TensorType((1,), DType.INT32),
        "unique_keys": TensorType((n,), op.input("keys").dtype),
        "unique_values": TensorType((n,), values),
        "inverse_indices": TensorType(shape, DType.INT32),
    }


def shuffle_shape(op: OpView) -> Inferred:
    """What each device asks each other for; room for the ids of all devices, whose number is in the placement."""
    shape = _checked_tables(op, "ids", "table_ids")
    tables = op.input("table_ids").dtype if op.inputs("table_ids") else DType.UINT8
    return {
        "num_unique_matrix": TensorType((None,), DType.UINT32),
        "inverse_unique_partition_indices": TensorType(shape, DType.UINT32),
        "cur_rank_num_unique": TensorType((1,), DType.UINT32),
        "cur_rank_unique_ids": TensorType((None,), op.input("ids").dtype),
        "cur_rank_unique_table_ids": TensorType((None,), tables),
        "cur_rank_inverse_indices": TensorType((None,), DType.UINT32),
    }


def copied_out_shape(op: OpView) -> Inferred:
    """Each result like the operand of its name."""
    return {f"out_{arg}": op.input(arg) for arg in op.input_args}


def rows_shape(result: str, like: str, dtype_of: str, size: str = "embedding_size") -> ShapeRule:
    """A shape rule: a row of `size` numbers for each id of an operand."""

    def shape(op: OpView) -> Inferred:
        return {result: TensorType((*op.shape(like), op.integer(size, least=1)), op.input(dtype_of).dtype)}

    return shape


def gradients_shape(op: OpView) -> Inferred:
    """A row for each id that this device may be sent."""
    ids, numbers = op.numel("inverse_unique_partition_indices"), op.numel("embedding_grad")
    if not ids or numbers % ids:
        raise ValueError(f"embedding_grad {op.shape('embedding_grad')} has no row for each of {ids} ids")
    shape = (*op.shape("cur_rank_inverse_indices"), numbers // ids)
    return {"cur_rank_unique_embedding_grad": TensorType(shape, op.input("embedding_grad").dtype)}


def gradients_cost(op: OpView) -> Work:
    """Gradients of one id are added: at the most all of them, to one row."""
    ids, numbers = op.numel("inverse_unique_partition_indices"), op.numel("embedding_grad")
    return Work(arithmetic=numbers - numbers // ids if ids else 0)


def lookup_shape(op: OpView) -> Inferred:
    """A line of weights and states for each id, and the weights alone where they are asked for."""
    ids = op.shape("unique_ids")
    lines = TensorType((*ids, op.integer("line_size", least=1)), op.dtype_attr())
    if not op.outputs("embeddings"):
        return {"unique_values": lines}
    weights = TensorType((*ids, op.integer("embedding_size", least=1)), op.dtype_attr("embeddings_dtype"))
    return {"unique_values": lines, "embeddings": weights}


def smart_decay_cost(op: OpView) -> Work:
    """Adam, whose decay catches up on the steps in which a row had no gradient."""
    rows, size = op.shape("embedding_grad", rank=2)
    scaled = 1 if op.inputs("scale_by_tensor") or op.inputs("down_scale_by_tensor") else 0
    return Work(arithmetic=rows * 4 + rows * size * (13 + scaled), transcendentals=rows * 3 + rows * size)


def sgd_put_cost(op: OpView) -> Work:
    """w - lr * g."""
    return Work(arithmetic=2 * op.numel("embedding_grad"))


def updated_shape(op: OpView) -> Inferred:
    """The rows with their states, updated."""
    return {"updated_unique_embeddings": op.input("unique_embeddings")}


def looked_up_traffic(op: OpView) -> Traffic:
    """Ids are read; shadow stands for the table and gives a dtype alone."""
    reads = {arg: 0 if arg == "shadow" else op.nbytes(arg) for arg in op.input_args}
    return Traffic(reads=reads, writes={"embeddings": op.nbytes("embeddings")})


def categories_traffic(op: OpView) -> Traffic:
    """A pair of the table for each category, no more than it has, read and, where it is new, written; so is its size."""
    pairs = op.dtype("table").nbytes(min(2 * op.numel("in"), op.numel("table")))
    size = op.nbytes("size")
    return Traffic(
        reads={"table": pairs, "size": size, "in": op.nbytes("in")}, writes={"table": pairs, "size": size, "out": op.nbytes("out")}
    )


def _rule(
    op_types: tuple[str, ...],
    summary: str,
    formula: str,
    shape: ShapeRule,
    example: Example,
    *,
    cost: WorkRule = no_work,
    traffic: TrafficRule = touch_all,
    stateful: bool = False,
    at_most: bool = True,
    source: str = "OneFlow's data_shuffle_op.cpp",
    ignores: str = "",
) -> OpRule:
    return OpRule(
        op_types=op_types,
        effects=frozenset({Effect.STATEFUL}) if stateful else frozenset(),
        summary=summary,
        formula=formula,
        shape=shape,
        cost=cost,
        traffic=traffic,
        upper_bound=at_most,
        source=source,
        ignores=ignores,
        examples=(example,),
    )


_TABLES = "OneFlow's one_embedding_ops.cpp"

RULES: tuple[OpRule, ...] = (
    _rule(
        ("unique_key_value_pair",),
        "Each different id once, with its table, and which of them each id is.",
        f"{_HASHES}; reads ids and tables, writes room for all of them",
        unique_shape,
        Example(
            call="unique_key_value_pair(keys: i64[4,2], num_tables=2) -> num_unique: i32[1], unique_keys: i64[8], unique_values: u8[8], "
            "inverse_indices: i32[4,2]",
            because="8 ids of 8 bytes in; 4 + 64 + 8 + 32 bytes out",
            flops=0,
            bytes_read=64,
            bytes_written=108,
        ),
    ),
    _rule(
        ("id_shuffle",),
        "Ids made unique and sent to the devices that hold their rows.",
        f"{_HASHES}; what moves between devices is communication; reads ids and tables, writes room for the ids of all devices",
        shuffle_shape,
        Example(
            call="id_shuffle(ids: i64[4,2], table_ids: u8[4,2], num_tables=2) -> num_unique_matrix: u32[?], "
            "inverse_unique_partition_indices: u32[4,2], cur_rank_num_unique: u32[1], cur_rank_unique_ids: i64[?], "
            "cur_rank_unique_table_ids: u8[?], cur_rank_inverse_indices: u32[?]",
            because="room that goes by the number of devices",
            flops=0,
            bytes_read="unknown",
        ),
    ),
    _rule(
        ("id_shuffle_copy_out",),
        "What an id_shuffle found, copied so that the next one may begin.",
        "no arithmetic; reads and writes each element once",
        copied_out_shape,
        Example(
            call="id_shuffle_copy_out(num_unique_matrix: u32[1], inverse_unique_partition_indices: u32[4], cur_rank_num_unique: u32[1], "
            "cur_rank_unique_ids: i64[4], cur_rank_unique_table_ids: u8[4], cur_rank_inverse_indices: u32[4]) -> "
            "out_num_unique_matrix: u32[1], out_inverse_unique_partition_indices: u32[4], out_cur_rank_num_unique: u32[1], "
            "out_cur_rank_unique_ids: i64[4], out_cur_rank_unique_table_ids: u8[4], out_cur_rank_inverse_indices: u32[4]",
            because="4 + 16 + 4 + 32 + 4 + 16 bytes each way",
            flops=0,
            bytes_read=76,
            bytes_written=76,
        ),
        source=_TABLES,
    ),
    _rule(
        ("embedding_shuffle",),
        "Rows sent from the devices that hold them to those that asked for them.",
        "no arithmetic; what moves between devices is communication; reads rows and indices, writes a row for each id",
        rows_shape("embeddings", "inverse_unique_partition_indices", "cur_rank_embeddings"),
        Example(
            call="embedding_shuffle(cur_rank_embeddings: f32[4,3], num_unique_matrix: u32[1], cur_rank_inverse_indices: u32[4], "
            "inverse_unique_partition_indices: u32[4], embedding_size=3) -> embeddings: f32[4,3]",
            because="12 floats and 1 + 4 + 4 indices in, 12 floats out",
            flops=0,
            bytes_read=84,
            bytes_written=48,
        ),
    ),
    _rule(
        ("embedding_gradient_shuffle",),
        "Gradients sent to the devices that hold their rows, those of one row added.",
        "flops = numel(embedding_grad) less a row: all ids being one; what moves between devices is communication; reads everything once",
        gradients_shape,
        Example(
            call="embedding_gradient_shuffle(embedding_grad: f32[4,3], num_unique_matrix: u32[1], cur_rank_inverse_indices: u32[4], "
            "inverse_unique_partition_indices: u32[4], embedding_size=3) -> cur_rank_unique_embedding_grad: f32[4,3]",
            because="4 rows of 3 numbers made one: 3 additions of 3",
            flops=9,
            bytes_read=84,
            bytes_written=48,
        ),
        cost=gradients_cost,
    ),
    _rule(
        ("one_embedding_gather",),
        "A row for each id out of those that are there once.",
        "no arithmetic; reads numel(out) numbers and the indices, writes out",
        rows_shape("out", "indices", "in"),
        Example(
            call="one_embedding_gather(in: f32[8,3], indices: u32[4], embedding_size=3) -> out: f32[4,3]",
            because="12 of 24 floats and 4 indices in, 12 floats out",
            flops=0,
            bytes_read=64,
            bytes_written=48,
        ),
        traffic=moves(sized_as={"in": "out"}),
        at_most=False,
    ),
    _rule(
        ("embedding_prefetch",),
        "Rows that a step will ask for brought near, and made where there are none.",
        "no arithmetic; reads ids and tables; the store of a table is no memory traffic",
        shaped_like("num_unique_ids", "num_unique_ids", "context"),
        Example(
            call="embedding_prefetch(num_unique_ids: u32[1], unique_ids: i64[4], table_ids: u8[4], line_size=3, embedding_size=3) -> "
            "context: u32[1]",
            because="4 + 32 + 4 bytes in, a number out",
            flops=0,
            bytes_read=40,
            bytes_written=4,
        ),
        stateful=True,
        source=_TABLES,
    ),
    _rule(
        ("embedding_lookup",),
        "Rows of tables outside the graph, with their states.",
        "no arithmetic; reads ids and tables, writes a line for each id; the store of a table is no memory traffic",
        lookup_shape,
        Example(
            call="embedding_lookup(num_unique_ids: u32[1], unique_ids: i64[4], table_ids: u8[4], context: u32[1], "
            'dtype="float32", embeddings_dtype="float16", line_size=6, embedding_size=3) -> unique_values: f32[4,6], embeddings: f16[4,3]',
            because="4 + 32 + 4 + 4 bytes in; 24 floats and 12 of 2 bytes out",
            flops=0,
            bytes_read=44,
            bytes_written=120,
        ),
        stateful=True,
        source=_TABLES,
    ),
    _rule(
        ("one_embedding_fused_lookup", "embedding_lookup_placeholder"),
        "A row of a table outside the graph for each id. OneFlow's passes make a shuffle, a lookup and a gather of it.",
        "no arithmetic; reads ids and tables, writes a row for each id; shadow gives a dtype alone",
        rows_shape("embeddings", "ids", "shadow"),
        Example(
            call='one_embedding_fused_lookup(shadow: f32[1], ids: i64[4,2], dtype="float32", embedding_size=3) -> embeddings: f32[4,2,3]',
            because="8 ids of 8 bytes in, 24 floats out",
            flops=0,
            bytes_read=64,
            bytes_written=96,
        ),
        traffic=looked_up_traffic,
        stateful=True,
        at_most=False,
        source=f"{_TABLES}; embedding_lookup_placeholder is its name in 0.8.0",
    ),
    _rule(
        ("one_embedding_fused_lookup_grad", "embedding_update_placeholder"),
        "Gradients of rows of a table. OneFlow's passes make a shuffle, an optimizer and a put of it.",
        "no arithmetic of its own: the update is counted where it stands; reads ids and gradients",
        no_result_shape,
        Example(
            call="one_embedding_fused_lookup_grad(ids: i64[4], embedding_grad: f32[4,3], embedding_size=3) -> ()",
            because="4 ids of 8 bytes and 12 floats",
            flops=0,
            bytes_read=80,
            bytes_written=0,
        ),
        stateful=True,
        at_most=False,
        source=f"{_TABLES}; embedding_update_placeholder is its name in 0.8.0",
    ),
    _rule(
        ("embedding_put",),
        "Rows with their states, written to their table outside the graph.",
        "no arithmetic; reads ids and rows; the store of a table is no memory traffic",
        no_result_shape,
        Example(
            call="embedding_put(num_unique_ids: u32[1], unique_ids: i64[4], unique_embeddings: f32[4,3], line_size=3) -> ()",
            because="4 + 32 + 48 bytes",
            flops=0,
            bytes_read=84,
            bytes_written=0,
        ),
        stateful=True,
        source=_TABLES,
    ),
    _rule(
        ("one_embedding_fused_sgd_update_put",),
        "Stochastic gradient descent on rows of a table outside the graph, written back.",
        "flops = 2 per element of embedding_grad: w - lr * g; reads everything; the store of a table is no memory traffic",
        no_result_shape,
        Example(
            call="one_embedding_fused_sgd_update_put(num_unique_ids: u32[1], unique_ids: i64[4], unique_embeddings: f32[4,3], "
            "embedding_grad: f32[4,3], learning_rate: f32[1], line_size=3, embedding_size=3) -> ()",
            because="12 numbers of a product and a difference; 4 + 32 + 48 + 48 + 4 bytes",
            flops=24,
            bytes_read=136,
            bytes_written=0,
        ),
        cost=sgd_put_cost,
        stateful=True,
        source=_TABLES,
        ignores="the scale, which is one number with the learning rate",
    ),
    _rule(
        ("one_embedding_smart_decay_sparse_adam_update",),
        "Adam on rows of a table; the decay of a row's moments catches up on the steps without it.",
        "per row: k and k - 1 steps, 1 - beta1^(k-1), times beta1 / (1 - beta1): 4, and 3 pow; per element of embedding_grad: m * "
        "catch-up 1, m 3, "
        "v 4, w - lr * (m + catch-up) / (sqrt(v) + eps) 5, and a sqrt; 1 more where a scale is a tensor; reads and writes everything",
        updated_shape,
        Example(
            call="one_embedding_smart_decay_sparse_adam_update(num_unique_ids: u32[1], unique_embeddings: f32[2,14], "
            "embedding_grad: f32[2,4], train_step: i64[1], learning_rate: f32[1], line_size=14, embedding_size=4) -> "
            "updated_unique_embeddings: f32[2,14]",
            because="2 rows of 4; 8 elements of 13; 6 pow and 8 sqrt; reads 4 + 112 + 32 + 8 + 4 bytes",
            flops=112,
            transcendentals=14,
            bytes_read=160,
            bytes_written=112,
        ),
        cost=smart_decay_cost,
        source="OneFlow's one_embedding_update_kernels.cu, after Caffe2's",
        ignores="l1 and l2, which can be fused into an update as attributes; that skip_if may skip it",
    ),
    OpRule(
        op_types=("CategoricalOrdinalEncode",),
        updates=("table", "size"),
        summary="A number for each different category, by a table that grows.",
        formula="no arithmetic: categories are hashed; reads in and as many entries of the table, writes the numbers and the table's "
        "new entries",
        shape=shaped_like("in", "in"),
        cost=no_work,
        traffic=categories_traffic,
        upper_bound=True,
        source="OneFlow's categorical_ordinal_encode_op.cpp",
        examples=(
            Example(
                call="CategoricalOrdinalEncode(table: i64[32], size: i64[1], in: i64[4], hash_precomputed=true) -> out: i64[4]",
                because="4 categories, 4 pairs of the table and its size in; the same pairs and size, all being new, and 4 numbers out",
                flops=0,
                bytes_read=32 + 64 + 8,
                bytes_written=64 + 8 + 32,
            ),
        ),
    ),
)
