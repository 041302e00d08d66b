# SPDX-License-Identifier: Apache-2.0
"""`python -m quarrow.cli`: the `quarrow` command where its script is not installed."""

from quarrow.cli import main

main()
