"""A data root to practise with: made-up recordings in the form of the dataset of Steinmetz et al. 2019.

Names, types, shapes, units and relations between the files are those of the published dataset, with its quirks; the
numbers are drawn from a seed. So a search, an upload, a download and a plot can be rehearsed without 16 GB of data, and
nobody mistakes the result for a mouse: neither the spikes nor the choices of these sessions ever happened.

Form: Steinmetz, Zatka-Haas, Carandini & Harris, Nature 576, 266-273 (2019); figshare articles 9598406 and 9974357;
DANDI:000017 for types and shapes; trial timing and rates as in its public tables.
"""

from onelight.synthetic.dataset import write_dataset
from onelight.synthetic.sessions import DEMO, STEINMETZ, SessionSpec

__all__ = ["DEMO", "STEINMETZ", "SessionSpec", "write_dataset"]
