"""Which board takes which job next, who drives it, and what becomes of the job."""
