"""The benchmark record: what every reference network costs, commit by commit (`nox -s bench`)."""
