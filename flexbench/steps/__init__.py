"""The steps of the graph: read inputs from the layout, call the layer that works, write a receipt."""
