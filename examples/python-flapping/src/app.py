"""What the component exports: the module of `flapping.py` behind the interface of the contract."""

from flapping import Flapping
from hookhost import exported

Handler = exported(Flapping)
