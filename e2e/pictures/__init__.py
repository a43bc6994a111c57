"""Pictures of the chart's dashboards for docs: `python -m e2e.pictures`.

It runs the product, asks its Prometheus the queries of every panel, draws the panels as the dashboards' JSON describes
them, and has headless Chromium take the pictures.
"""
