"""A task and a budget in, a deployable network out."""
