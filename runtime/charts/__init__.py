"""The drawing of each style in Altair, one file each. Imports runtime/{vega,view}; only drawing imports it."""
