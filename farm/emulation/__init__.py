"""What virtual boards cost the computer that runs them: `nox -s emulation`."""
