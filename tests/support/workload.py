# SPDX-License-Identifier: Apache-2.0
"""How much some tests do (little by default, all in `.ci/run --full`), and how long they wait."""

import os

# How often a job is killed half way.
KILLS = int(os.environ.get("QUARROW_TEST_KILLS", "20"))
# Write files of gigabytes (3 GB of disk) instead of hundreds of megabytes.
LARGE_FILES = os.environ.get("QUARROW_TEST_LARGE_FILES", "0") == "1"
# Whoever waits this long waits for something that hangs, however busy the machine is.
HANG_SECONDS = 900
