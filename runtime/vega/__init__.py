"""View to Vega-Lite specifications."""
