"""What the component exports: the module of `module.py` behind the interface of the contract."""

from hookhost import exported
from module import TheModule

Handler = exported(TheModule)
