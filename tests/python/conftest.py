# SPDX-License-Identifier: Apache-2.0
"""What every Python test finds when it starts."""

import signal

# A shell starts background jobs with SIGINT ignored, and every child inherits that: tests of Ctrl-C
# would then wait for an interrupt that never comes.
signal.signal(signal.SIGINT, signal.default_int_handler)
