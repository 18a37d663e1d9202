"""The steps of the graph: each reads from the layout, calls a layer and writes a receipt."""
