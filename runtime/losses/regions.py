"""`outside(boxes)` and `inside(boxes)`: the part of a map that a penalty is about."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from bbilang.compiler.contract import TensorField
from bbilang.grammar.frozen import frozen
from bbilang.runtime.inputs.arguments import wrong

BOXES = (
    "bool (example, y, x), True inside; or boxes in pixels (example, 4) or (example, box, 4), each y0, x0, y1, x1, "
    "with y1 and x1 outside"
)


@frozen
class Region:
    """A stage `outside(boxes)` or `inside(boxes)`."""

    inside: bool

    def apply(self, value: TensorField, mask: Tensor) -> TensorField:
        """Weight every position with the share of it that lies in the region. mask: (example, y, x) of the input, 1
        inside of the boxes."""
        y, x = (value.dims.index(axis) + 1 for axis in ("y", "x"))
        share = adaptive_avg_pool2d(mask[:, None], (value.data.shape[y], value.data.shape[x]))[:, 0]
        weight = share if self.inside else 1 - share
        shape = [1] * value.data.dim()
        shape[0], shape[y], shape[x] = weight.shape
        return TensorField(value.dims, value.data * weight.reshape(shape).to(value.data))


def mask_of(boxes: Tensor, images: Tensor) -> Tensor:
    """Return a mask (example, y, x), 1 inside of any box of the example, from a mask or boxes. Raises BbiError E423."""
    if not isinstance(boxes, Tensor):
        wrong("boxes", boxes, f"a tensor: {BOXES}")
    count, size = len(images), tuple(images.shape[-2:])
    boxes = boxes.to(images.device)
    if boxes.dim() == 3 and tuple(boxes.shape) == (count, *size) and not boxes.is_floating_point():
        return boxes.to(images.dtype)
    if boxes.dim() == 2 and tuple(boxes.shape) == (count, 4):
        boxes = boxes[:, None]
    if boxes.dim() != 3 or len(boxes) != count or boxes.shape[2] != 4:
        wrong(
            "boxes",
            boxes,
            f"for {count} examples of {size[0]} x {size[1]} pixels {BOXES}",
            f"its shape is {tuple(boxes.shape)}",
        )
    mask = images.new_zeros(count, *size)
    y = mask.new_tensor(range(size[0]))[None, None, :, None]
    x = mask.new_tensor(range(size[1]))[None, None, None, :]
    y0, x0, y1, x1 = boxes.to(mask)[..., None, None].unbind(2)
    inside = (y >= y0) & (y < y1) & (x >= x0) & (x < x1)
    return inside.any(1).to(mask)
