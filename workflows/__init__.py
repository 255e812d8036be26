"""The durable processes: what runs inside Temporal's sandbox."""
