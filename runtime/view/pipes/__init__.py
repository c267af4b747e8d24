"""Texts that ask about one atom, which a page copies. Imports runtime/fields, the compiler and the view model."""
