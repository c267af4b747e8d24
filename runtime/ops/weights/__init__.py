"""Operations on weights, which need no input: one file each. Imports what `runtime/ops/` imports."""
