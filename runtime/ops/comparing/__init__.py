"""Operations that compare networks, or layers of one: one file each. Imports what `runtime/ops/` imports."""
