"""scikit-build-core, after a look at what it would take minutes to find out.

The requirements of a build are marked for the Pythons that gdcore runs on, so that an older one
comes here at once.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036  pip asks before it knows what is required
    sys.exit("gdcore needs Python 3.10 or newer; this is %d.%d." % sys.version_info[:2])  # noqa: UP031

from scikit_build_core.build import *  # noqa: F403
