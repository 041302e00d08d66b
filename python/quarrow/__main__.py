# SPDX-License-Identifier: Apache-2.0
"""`python -m quarrow`: the `quarrow` command where its script is not on the path."""

from quarrow.cli import main

main()
