"""Operations that ask for the training examples behind a number. Imports runtime/influence."""
