"""The texts of the gallery, as a package: so `bbi examples` finds them in an installed wheel."""
