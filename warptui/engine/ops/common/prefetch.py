"""Asking the memory for what a CPU kernel will read soon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic


def _prefetch(typing_context: Any, array: Any, index: Any) -> Any:
    """``prefetch(array, index)`` in a kernel: begin to load ``array.flat[index]``.

    A hint, which may also point outside of the array; it changes no value.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = context.make_array(signature.args[0])(context, builder, arguments[0])
        byte = ir.IntType(8).as_pointer()
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        call = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        place = builder.bitcast(builder.gep(found.data, [arguments[1]]), byte)
        # to be read, soon but not at once, as data
        builder.call(call, [place, number(0), number(2), number(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


prefetch: Callable[..., None] = intrinsic(_prefetch)
