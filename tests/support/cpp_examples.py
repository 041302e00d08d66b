# SPDX-License-Identifier: Apache-2.0
"""What README says of the examples in C++, and tests/install holds them to."""

ARRAY_EXAMPLE_PRINTS = "262144 bytes of codes, 8192 scales, 8192 zero points\nlargest error 3.20\n"
