"""View to Vega-Lite specifications. Imports runtime/view and below."""
