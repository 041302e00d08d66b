# Every target does all its set-up first (tools/setup); a second call finds it done.
PYTEST = .venv/bin/python -m pytest -q -n auto --maxprocesses=8 --dist worksteal

.PHONY: help demo example-input test test-quick bench bench-peers format lint clean

# Not Make's own rules: these are commands, not files, and none may run beside another.
.NOTPARALLEL:
.SUFFIXES:

help:
	@echo 'make demo    write blocks of Flux and a LoRA, quantize both, show size, time and error'
	@echo 'make example-input'
	@echo '             write demo-out/flux.safetensors, with which the examples of README begin'
	@echo 'make test    build everything and run every C++ and Python test'
	@echo 'make test-quick'
	@echo '             the same without what takes long, and with fewer examples of each property'
	@echo 'make bench   measure everything that is installed, write build/benchmarks/report'
	@echo 'make bench-peers'
	@echo '             the same in .venv-peers, with the other libraries, which it installs there'
	@echo 'make format  format the C++ and the Python sources'
	@echo 'make lint    formatters, linters and type checker, without changing a file'
	@echo 'make clean   remove everything that these commands made'
	@echo
	@echo 'BENCH=...    options of the benchmarks: make bench BENCH=--quick'
	@echo 'NO_APT=1     list the system packages that are missing instead of installing them'
	@echo 'PYTHON=...   the Python to use, 3.11 or newer (default: python3)'

demo:
	@tools/setup package
	@.venv/bin/python examples/demo.py

example-input:
	@tools/setup package
	@.venv/bin/python examples/demo.py --only-input

test:
	@tools/setup package cpp-tests benchmarks
	@tools/run_ctest release
	@$(PYTEST)

test-quick:
	@tools/setup package cpp-tests benchmarks
	@tools/run_ctest release
	@$(PYTEST) -m 'not slow' --hypothesis-profile=quick

bench:
	@tools/setup package benchmarks kernels
	@.venv/bin/python -m benchmarks $(BENCH)

# torch comes by itself first, so that the others accept that build of it.
bench-peers:
	@tools/setup package benchmarks kernels
	@test -d .venv-peers || $${PYTHON:-python3} -m venv .venv-peers
	@.venv-peers/bin/pip install -q "$$(grep '^torch==' requirements/oracles.txt)"
	@.venv-peers/bin/pip install -q -r requirements/peers.txt .
	@.venv-peers/bin/python -m benchmarks $(BENCH)

format:
	@tools/setup lint
	@tools/lint --fix

lint:
	@tools/setup lint
	@tools/lint

clean:
	rm -rf build .venv .venv-oracles demo-out .mypy_cache .ruff_cache .pytest_cache .hypothesis
