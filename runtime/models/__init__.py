"""Networks: definitions, loading, adapters and descriptions. Imports runtime/{passes,inputs,cache}."""
