"""A hint to the processor, from inside a CPU kernel, to load what the kernel reads soon.

The hint uses parts of numba that may change in later versions. If they differ from what is
expected, the hint does nothing: kernels are slower then, with equal results.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba.core.errors import NumbaError

log = logging.getLogger(__name__)


def _instruction() -> Callable[..., None]:
    """``prefetch(array, index)`` in a kernel: begin to load ``array.flat[index]``.

    The index may point outside of the array; the hint changes no value.
    """
    from llvmlite import ir
    from numba.core import cgutils, types
    from numba.extending import intrinsic

    def prefetch(typing_context: Any, array: Any, index: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            found = context.make_array(signature.args[0])(context, builder, arguments[0])
            byte = ir.IntType(8).as_pointer()
            number = ir.IntType(32)
            kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
            call = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            place = builder.bitcast(builder.gep(found.data, [arguments[1]]), byte)
            # arguments: a read, of moderate locality, of data
            builder.call(call, [place, number(0), number(2), number(1)])
            return context.get_dummy_value()

        return types.void(array, types.int64), generate

    return intrinsic(prefetch)


@numba.njit(nogil=True)
def _nothing(array: np.ndarray, index: int) -> None:
    """No hint."""


def choose_prefetch(make: Callable[[], Callable[..., None]] = _instruction) -> Callable[..., None]:
    """The hint that ``make`` builds, or one that does nothing where it does not compile."""
    try:
        hint = make()

        @numba.njit(nogil=True)
        def try_it(array: np.ndarray) -> None:
            hint(array, 0)

        try_it(np.zeros(1, np.uint8))
    except (ImportError, AttributeError, TypeError, NumbaError) as problem:
        log.warning("kernels run without prefetching, and slower: %s", problem)
        return _nothing
    return hint


prefetch: Callable[..., None] = choose_prefetch()
