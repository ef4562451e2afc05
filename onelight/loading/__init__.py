"""Files become arrays, tables and Bunches; which repository they came from is not known here.

Importing this package imports neither NumPy nor pandas nor pyarrow: each reader brings its own library, when the
first file of its kind is read.
"""

from onelight.loading.bunch import Bunch
from onelight.loading.registry import load_file, register_reader

__all__ = ["Bunch", "load_file", "register_reader"]
