"""The HTTP API: one module per resource over the records and the workflows."""
