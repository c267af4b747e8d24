"""Operations on attention heads: one file each. Imports what `runtime/ops/` imports."""
