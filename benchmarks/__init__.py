# SPDX-License-Identifier: Apache-2.0
"""Speed of quarrow against a plain copy of its input and against its fastest peer."""
