import sys
from pathlib import Path

HERE = Path(__file__).parent
for folder in (HERE, HERE.parents[1] / "engine"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))  # for what is imported here, and engine_nets
