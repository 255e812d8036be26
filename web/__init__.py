"""What every face over HTTP shares: who calls, what the routes work with, the status of a problem, limits, headers."""
