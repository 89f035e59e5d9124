"""Python reads this at its start, where tests/bin/scenarios says so.

A run of Ansible makes some hundred thousand objects, which it needs until its end a second later, and each of its tasks
is a fork that shares their memory until somebody writes to it, as the garbage collector does. Looking through them less
often takes a tenth off a run.
"""

import gc

gc.set_threshold(100_000, 50, 50)
