"""The rules of a teleconsultation request: pure Python, no input or output, no clock of its own."""
