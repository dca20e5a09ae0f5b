"""The export of the component: the module in `module.py`, as the interface `handler` of the contract."""

from hookhost import exported
from module import TheModule

Handler = exported(TheModule)
