"""Operations, one file each. Imports runtime/{trust,attribution}, the engines and below."""
