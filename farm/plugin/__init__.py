"""What the pytest plug-in is made of; farm/pytest_plugin.py is its face."""
