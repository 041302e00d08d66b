# SPDX-License-Identifier: Apache-2.0
"""Mutation testing: small changes of the sources that a test should notice.

The mutants are our own (``mutants.py``), and so is the runner. universalmutator also works on lines
of C++, but takes those inside raw strings for code: of the 716 mutants that it makes of
``bindings/bind_metrics.cpp``, most change a docstring. It compiles every mutant before it draws
some, and runs one command for all. mutmut and cosmic-ray know Python alone, which is a tenth of
what is tested here, and neither knows that a program has to be linked first.
"""
