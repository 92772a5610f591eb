"""Precision ``int8``, for screening: products of a network's linear layers in whole numbers of eight bits, on a CPU.

Like autocast it is a property of a pass and not of the network, whose weights stay as they are: while a pass runs, each
product with a matrix of the network's parameters is taken over, whoever asks for it, be it a layer or code that uses
the weights of one. Weights are rounded once, symmetrically, with a scale for each output; what is multiplied with them
is rounded in every pass with a scale for each row, so that no vector depends on the other frames of its batch. Sums are
exact, in 32 bits. Convolutions, norms and the products within attention stay in float32.

The product itself is torch's own, ``_int_mm``. ``benchmarks/int8.py`` measures speed, cosine and the effect on figures.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from usbench.errors import UsbenchError

# Matrices with a side shorter than this stay in float32: rounding their rows takes as long as the product saves.
SMALLEST = 192
# Rows multiplied at a time, so that what is in between stays in the cache.
_ROWS = 256
# The largest of 8 bits, the same on both sides of zero.
_TOP = 127
_INSTRUCTIONS = ("avx512_vnni", "avx_vnni", "amx_int8")

_here = threading.local()


def multiplies_int8() -> bool:
    """Say whether the CPU has instructions that multiply whole numbers of eight bits and add them up in 32.

    Returns:
        ``False`` also on Arm, where torch's product has not been measured, and where torch is too old to tell.
    """
    found: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return hasattr(torch, "_int_mm") and any(found.get(name) for name in _INSTRUCTIONS)


def require(name: str, device: str) -> None:
    """Raise unless a device multiplies in int8.

    Args:
        name: Name of the encoder, for the message.
        device: As torch names it.

    Raises:
        UsbenchError: It is no CPU, or a CPU without the instructions.
    """
    if device.partition(":")[0] != "cpu":
        raise UsbenchError(
            f"{name}: precision int8 runs on CPUs only, and the device is {device}. Use --device cpu, or --precision "
            "bf16."
        )
    if not multiplies_int8():
        raise UsbenchError(
            f"{name}: precision int8 needs an x86 CPU with instructions for it ({', '.join(_INSTRUCTIONS)}), and torch "
            "finds none here. Leave --precision out."
        )


def active() -> bool:
    """Say whether a pass in int8 runs in this thread, for code that goes around layers where nothing is rounded."""
    return getattr(_here, "depth", 0) > 0


class Products:
    """The rounded weights of one network, made when a pass first multiplies with them.

    Safe to use from several threads at once.

    Args:
        network: The network; its weights must not change afterwards.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        self.network = network
        # The tensors are kept beside their numbers, which would otherwise be given again to others.
        self._own = {id(p): p for p in network.parameters() if _is_large(p)}
        self._rounded: dict[int, _Rounded] = {}
        self._rounding = threading.Lock()

    def __len__(self) -> int:
        """Return how many matrices have been multiplied in int8 so far."""
        return len(self._rounded)

    @contextmanager
    def taken_over(self) -> Iterator[None]:
        """Multiply in int8 in this thread."""
        _here.depth = getattr(_here, "depth", 0) + 1
        try:
            with _TakingOver(self):
                yield
        finally:
            _here.depth -= 1

    def of(self, weight: object) -> _Rounded | None:
        """Return a matrix as rounded, ``None`` where it is none of the network's, or too small to gain by it.

        Args:
            weight: Second factor of a product, ``(outputs, inputs)``.
        """
        key = id(weight)
        own = self._own.get(key)
        if own is None:
            return None
        with self._rounding:
            if key not in self._rounded:
                self._rounded[key] = _Rounded(own)
            return self._rounded[key]


class _Rounded:
    """A matrix of weights in int8, with a scale for each output."""

    def __init__(self, weight: Tensor) -> None:
        full = weight.detach().float()
        self.scales = _scales(full)[:, 0]
        self.values = (full / self.scales[:, None]).round_().to(torch.int8).t().contiguous()

    def product(self, values: Tensor, bias: Tensor | None) -> Tensor:
        """Multiply ``(..., inputs)``, giving float32 ``(..., outputs)``."""
        rows = values.reshape(-1, values.shape[-1]).float()
        answers = torch.empty(len(rows), len(self.scales))
        for first in range(0, len(rows), _ROWS):
            some, out = rows[first : first + _ROWS], answers[first : first + _ROWS]
            scales = _scales(some)
            whole = torch._int_mm((some / scales).round_().to(torch.int8), self.values)
            torch.mul(whole, self.scales, out=out).mul_(scales)
            if bias is not None:
                out.add_(bias)
        shaped: Tensor = answers.view(*values.shape[:-1], len(self.scales))
        return shaped


def _scales(rows: Tensor) -> Tensor:
    """What one step of int8 stands for in each row, ``(rows, 1)``; a row of zeros has any. NaN and infinity remain."""
    largest = torch.linalg.vector_norm(rows, float("inf"), dim=1, keepdim=True)
    step: Tensor = largest.div_(_TOP).clamp_min_(torch.finfo(torch.float32).tiny)
    return step


def _is_large(parameter: Tensor) -> bool:
    return parameter.ndim == 2 and min(parameter.shape) >= SMALLEST and parameter.is_floating_point()


class _TakingOver(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation of a pass; without gradients a product with weights is one operation."""

    def __init__(self, products: Products) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._products = products

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.aten.linear.default and (rounded := self._products.of(args[1])) is not None:
            return rounded.product(args[0], args[2] if len(args) > 2 else None)
        return func(*args, **(kwargs or {}))
