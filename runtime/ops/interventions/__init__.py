"""Operations that change atoms of a layer: one file each. Imports what the other operations do, and interventions."""
