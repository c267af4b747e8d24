"""Operations on the tokens of transformers: one file each. Imports what `runtime/ops/` imports."""
