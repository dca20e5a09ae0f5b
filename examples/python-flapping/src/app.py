"""The export of the component: the module in `flapping.py`, as the interface `handler` of the contract."""

from flapping import Flapping
from hookhost import exported

Handler = exported(Flapping)
