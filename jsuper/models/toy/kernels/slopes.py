"""C++ of the slope ∂L/∂z of one column of a batch, written from the jaxpr of an activation's error.

There is one definition of an activation, that in JAX. Its operations are written out scalar by
scalar, so that what is elementwise, or goes over the features of one sample as softmax does,
becomes straight-line code. A user's function is covered if it uses the operations below.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from jsuper.models.toy.gradient import error_of

TYPES = {"float32": "float", "int32": "int", "uint32": "unsigned", "bool": "bool"}
TEMPLATES = {
    "add": "{0} + {1}", "add_any": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}",
    "div": "{0} / {1}", "neg": "-{0}", "square": "{0} * {0}", "abs": "fabsf({0})",
    "one_minus_square": "1.0f - {0} * {0}",
    "exp": "expf({0})", "exp2": "exp2f({0})", "expm1": "expm1f({0})", "log": "logf({0})",
    "log1p": "log1pf({0})", "tanh": "tanhf({0})", "logistic": "1.0f / (1.0f + expf(-{0}))",
    "erf": "erff({0})", "erfc": "erfcf({0})", "sqrt": "sqrtf({0})", "rsqrt": "rsqrtf({0})",
    "sin": "sinf({0})", "cos": "cosf({0})", "atan2": "atan2f({0}, {1})", "pow": "powf({0}, {1})",
    "floor": "floorf({0})", "ceil": "ceilf({0})", "round": "rintf({0})", "sign": "sign_of({0})",
    "lt": "{0} < {1}", "le": "{0} <= {1}", "gt": "{0} > {1}", "ge": "{0} >= {1}",
    "eq": "{0} == {1}", "ne": "{0} != {1}", "not": "!{0}", "and": "{0} & {1}", "or": "{0} | {1}",
    "max": "max_nan({0}, {1})", "min": "min_nan({0}, {1})", "is_finite": "isfinite({0})",
    "clamp": "max_nan({0}, min_nan({1}, {2}))", "select_n": "{0} ? {2} : {1}",
    "shift_left": "{0} << {1}", "stop_gradient": "{0}", "copy": "{0}", "copy_p": "{0}",
    "optimization_barrier": "{0}",
}  # fmt: skip
"""Elementwise operation of JAX -> its expression in C++."""
REDUCTIONS = {"reduce_sum": "add", "reduce_max": "max", "reduce_min": "min"}
BITS = {
    ("float32", "int32"): "__float_as_int", ("int32", "float32"): "__int_as_float",
    ("float32", "uint32"): "__float_as_uint", ("uint32", "float32"): "__uint_as_float",
}  # fmt: skip
NAME = re.compile(r"\bt\d+\b")


class NotCoveredError(Exception):
    """Something cannot be trained by the kernel; the message says what."""


class Slope(NamedTuple):
    """The C++ function `slope`.

    Elementwise: float slope(z, x, importance) of one number of a column.
    Otherwise void slope(z, x, importance, dz) of a column's arrays.
    """

    text: str
    is_elementwise: bool


def slope_of(activation: str | Callable, n_features: int) -> Slope:
    """Return the C++ of ∂L/∂z of one column, L the mean over its features.

    It is elementwise if every number depends on its own feature alone, in the same way.

    Parameters
    ----------
    activation
        A name, or a function (n_features, batch) -> the same shape.
    n_features
        Length of a column.

    Raises
    ------
    NotCoveredError
        The activation uses an operation without an expression here.
    """
    lines, outputs = traced(activation, n_features)
    first = of_one(lines, outputs[0], 0)
    if "[" not in first and all(of_one(lines, out, i) == first for i, out in enumerate(outputs)):
        head = "DEVICE float slope(const float z, const float x, const float importance)"
        return Slope(f"{head} {{\n  {first}\n}}\n", True)
    put = [f"dz[{i}] = {out};" for i, out in enumerate(outputs)]
    body = "\n  ".join([*(line.text for line in needed(lines, outputs)), *put])
    head = "DEVICE void slope(const float* z, const float* x, const float* importance, float* dz)"
    return Slope(f"{head} {{\n  {body}\n}}\n", False)


def of_one(lines: Sequence[Line], output: str, feature: int) -> str:
    """Return the statements of one number, with inputs and temporaries by their own names."""
    mine = needed(lines, [output])
    text = "\n  ".join([*(line.text for line in mine), f"return {output};"])
    text = text.replace(f"[{feature}]", "")
    number = {line.name: f"t{i}" for i, line in enumerate(mine)}
    return NAME.sub(lambda found: number[found[0]], text)


class Line(NamedTuple):
    """A statement: const KIND NAME = EXPRESSION."""

    name: str
    kind: str
    expression: str

    @property
    def text(self) -> str:
        """The statement."""
        return f"const {self.kind} {self.name} = {self.expression};"


def traced(activation: str | Callable, size: int) -> tuple[list[Line], list[str]]:
    """Return the lines of the slope of a column of some size, and the names of its numbers."""
    gradient = jax.grad(error_of(activation))

    def column(z: jax.Array, x: jax.Array, importance: jax.Array) -> jax.Array:
        return gradient(z[:, None], x[:, None], importance, None)[:, 0]

    number = jax.ShapeDtypeStruct((size,), jnp.float32)
    jaxpr = jax.make_jaxpr(column)(number, number, number)
    writer = Writer()
    named = ("z", "x", "importance")
    arguments = [np.array([f"{k}[{i}]" for i in range(size)], object) for k in named]
    (found,) = writer.run(jaxpr.jaxpr, jaxpr.consts, arguments)
    return writer.lines, found.tolist()


def needed(lines: Sequence[Line], outputs: Sequence[str]) -> list[Line]:
    """Return the lines that some numbers depend on."""
    wanted, kept = set(outputs), []
    for line in reversed(lines):
        if line.name in wanted:
            wanted.update(NAME.findall(line.expression))
            kept.append(line)
    return kept[::-1]


class Writer:
    """Writes out jaxprs; arrays of numbers are arrays of their names or literals."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def scalar(self, expression: str, dtype: Any) -> str:
        """Write a line, and return the name of its number."""
        if (kind := TYPES.get(str(np.dtype(dtype)))) is None:
            raise NotCoveredError(f"numbers of type {dtype}")
        name = f"t{len(self.lines)}"
        self.lines.append(Line(name, kind, expression))
        return name

    def each(self, template: str, dtype: Any, *arrays: np.ndarray) -> np.ndarray:
        """Write an elementwise operation."""
        whole = np.broadcast_arrays(*arrays)
        found = np.empty(whole[0].shape, object)
        for place in np.ndindex(found.shape):
            found[place] = self.scalar(template.format(*(a[place] for a in whole)), dtype)
        return found

    def run(
        self, jaxpr: core.Jaxpr, consts: Sequence[Any], arguments: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Write a jaxpr, and return its outputs."""
        values = dict(zip(jaxpr.constvars, map(literals, consts), strict=True))
        values |= dict(zip(jaxpr.invars, arguments, strict=True))

        def read(variable: Any) -> np.ndarray:
            is_literal = isinstance(variable, core.Literal)
            return literals(variable.val) if is_literal else values[variable]

        for equation in jaxpr.eqns:
            found = self.equation(equation, [read(v) for v in equation.invars])
            values |= dict(zip(equation.outvars, found, strict=True))
        return [read(v) for v in jaxpr.outvars]

    def equation(self, equation: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Write one operation, and return its outputs."""
        name, params = equation.primitive.name, equation.params
        for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
            if key in params and name != "reduce":
                inner = params[key]
                closed = inner if hasattr(inner, "consts") else None
                return self.run(
                    closed.jaxpr if closed else inner, closed.consts if closed else (), inputs
                )
        if name == "split":
            ends = np.cumsum(params["sizes"])[:-1]
            return list(np.split(inputs[0], ends, params["axis"]))
        out = equation.outvars[0].aval
        if name in TEMPLATES:
            return [self.elementwise(name, out.dtype, inputs)]
        if name in REDUCTIONS or name == "reduce":
            return [self.reduced(equation, inputs).reshape(out.shape)]
        return [self.other(name, params, equation.invars, out, inputs)]

    def elementwise(self, name: str, dtype: Any, inputs: list[np.ndarray]) -> np.ndarray:
        """Write an operation of TEMPLATES."""
        template = TEMPLATES[name]
        if name in ("max", "min") and not np.issubdtype(dtype, np.floating):
            template = f"{name}({{0}}, {{1}})"
        if name == "select_n" and len(inputs) != 3:
            raise NotCoveredError("select_n of more than two cases")
        return self.each(template, dtype, *inputs)

    def reduced(self, equation: Any, inputs: list[np.ndarray]) -> np.ndarray:
        """Return a reduction, from the first number to the last."""
        name, params, dtype = (
            equation.primitive.name,
            equation.params,
            equation.outvars[0].aval.dtype,
        )
        axes = params.get("axes", params.get("dimensions"))
        rows = np.moveaxis(inputs[0], axes, range(len(axes)))
        rows = rows.reshape(-1, *rows.shape[len(axes) :])
        rows = [np.asarray(row, object) for row in rows]
        if name == "reduce":
            inner = params["jaxpr"]
            total = np.broadcast_to(inputs[1], rows[0].shape)
            for row in rows:
                (total,) = self.run(
                    getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), [total, row]
                )
            return total
        total = rows[0]
        for row in rows[1:]:
            total = self.elementwise(REDUCTIONS[name], dtype, [total, row])
        return total

    def other(
        self, name: str, params: Any, given: Any, out: Any, inputs: list[np.ndarray]
    ) -> np.ndarray:
        """Return what is neither elementwise nor a reduction: shapes, types, constants."""
        first = inputs[0] if inputs else np.empty(0, object)
        if name in ("reshape", "squeeze", "expand_dims"):
            return first.reshape(out.shape)
        if name == "broadcast_in_dim":
            shape = np.ones(len(out.shape), int)
            shape[list(params["broadcast_dimensions"])] = first.shape
            return np.broadcast_to(first.reshape(shape), out.shape)
        if name == "transpose":
            return first.transpose(params["permutation"])
        if name == "slice":
            bounds = params["start_indices"], params["limit_indices"]
            strides = params["strides"] or (1,) * first.ndim
            return first[tuple(map(slice, *bounds, strides))]
        if name == "concatenate":
            return np.concatenate(inputs, params["dimension"])
        if name == "pad" and all(inner == 0 for _, _, inner in params["padding_config"]):
            found = np.full(out.shape, inputs[1].item(), object)
            low = (low for low, _, _ in params["padding_config"])
            found[tuple(slice(a, a + n) for a, n in zip(low, first.shape, strict=True))] = first
            return found
        if name == "iota":
            shape = [-1 if d == params["dimension"] else 1 for d in range(len(out.shape))]
            numbers = np.arange(out.shape[params["dimension"]], dtype=out.dtype).reshape(shape)
            return literals(np.broadcast_to(numbers, out.shape))
        source = str(given[0].aval.dtype) if given else ""
        if name == "convert_element_type":
            same = source == str(out.dtype)
            kind = TYPES.get(str(out.dtype), "?")
            return first if same else self.each(f"({kind})({{0}})", out.dtype, first)
        if name == "bitcast_convert_type" and (source, str(out.dtype)) in BITS:
            return self.each(f"{BITS[source, str(out.dtype)]}({{0}})", out.dtype, first)
        if name == "integer_pow":
            return self.each(power(params["y"]), out.dtype, first)
        raise NotCoveredError(f"the operation {name}")


def power(exponent: int) -> str:
    """Return the template of an integer power."""
    if exponent < 0:
        return f"1.0f / ({power(-exponent)})"
    return " * ".join(["{0}"] * exponent) if exponent else "1.0f"


def literals(values: Any) -> np.ndarray:
    """Return the numbers of an array as C++ literals."""
    array = np.asarray(values)
    found = np.empty(array.shape, object)
    for place in np.ndindex(array.shape):
        found[place] = literal(array[place])
    return found


def literal(value: Any) -> str:
    """Return a number as a C++ literal, to the last bit."""
    if value.dtype == np.bool_:
        return "true" if value else "false"
    if not np.issubdtype(value.dtype, np.floating):
        return str(int(value))
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "(-INFINITY)"
    text = f"{float(np.float32(value)):.9g}"
    return f"{text if re.search('[.e]', text) else text + '.0'}f"
