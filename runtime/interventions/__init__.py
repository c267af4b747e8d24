"""Change atoms of a layer and run the network above it. Imports runtime/{attribution,passes,fields,inputs,data}."""
