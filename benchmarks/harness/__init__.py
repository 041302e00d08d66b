# SPDX-License-Identifier: Apache-2.0
"""What runs, stores, compares and shows benchmarks; the suites know nothing of it but `case`."""
