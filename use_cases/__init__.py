"""What people and schedules want done, above the effects and below any face: it knows the records and the engine, not HTTP."""
