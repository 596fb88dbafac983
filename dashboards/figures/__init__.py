"""Figures for paper: built from a record as a sheet of panels, drawn by Plotly or, without a browser, by matplotlib."""
