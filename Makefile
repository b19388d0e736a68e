# The tasks of the repository. `make demo` and `make test` need Python 3.11, make and a C compiler;
# they make the environment .venv themselves and are quick once it is there. `make PYTHON=python3.13 demo` takes another
# Python, 3.12 or 3.13: without the engine tflite-runtime, which has no wheel for them.
#
#   make demo    the main job: train on MNIST, quantise, export, check every logit, run an emulated board
#                (torch without CUDA, from PyTorch's own index; for a GPU: make TORCH_INDEX= demo)
#   make test    every test, with every engine and board (installs tensorflow, and Debian's packages as root)
#   make check   lint, types, unit tests and the site of docs/; no torch needed
#   make tools   install the compilers and emulators of Debian (as root; NO_APT=1 leaves that out)
#   make docs    the site of docs/, in build/site: open build/site/index.html
#   make golden  write the golden files of tests/golden again
#   make fuzz    100,000 damaged inputs for every reader
#   make flips   every single-bit flip of whole models, judged by the runtimes; takes hours
#   make graphs  5,000 random graphs of all operators: the C, with sanitizers, against TFLM
#   make benchmarks  count the instructions of every board again, for the records of benchmarks/
#   make estimates  build and run models on every kind of processor again, for what `fits` estimates from
#   make accuracy  train and quantise with five seeds, for benchmarks/accuracy/ and the docs' table; takes hours
#   make pictures  draw the pictures of docs/pictures again
#   make board-table  build every board again, for the table of flash and RAM in docs/reference/boards.md
#   make clean   remove build/; make distclean also removes .venv

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INPUTS := pyproject.toml constraints.txt
# A worker on every core. Each begins with tests that follow one another, so that what they share is made once, not by
# every worker; who is done takes from the end of another's.
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal
# PyTorch's own index of builds without CUDA: an environment of 1.8 GB, where PyPI's torch for Linux makes 5.5 GB of it.
# For a GPU, or to leave it out: make TORCH_INDEX= demo.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

.DEFAULT_GOAL := help
.PHONY: help demo test prepare check lint types types-and-docs unit kernels pages parity targets tools golden fuzz flips graphs benchmarks estimates accuracy pictures board-table docs clean distclean

# GCC and QEMU for Arm (with its C library), AArch64 and RISC-V, avr-gcc and simavr, GCC and clang for C++ with sanitizers and
# libFuzzer; CMake, and Arduino's builder with its core for AVR, with which the exported projects are built; a browser for
# the pages that are written; a database server for sweeps. What a package only recommends is not installed, so what is
# needed of that is named here.
DEBIAN := gcc-arm-none-eabi libnewlib-arm-none-eabi gcc-riscv64-unknown-elf gcc-avr avr-libc \
	qemu-system-arm qemu-system-misc gdb-multiarch libsimavr-dev libelf-dev g++ clang libclang-rt-14-dev \
	gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user cmake arduino-builder arduino-core-avr chromium postgresql

# The comment at the top of this file, up to its first line that is not a comment.
help:
	@sed -n '/^#/!q; s/^# \{0,1\}//; p' Makefile

# What the commands need: the pipeline and its engines, without tensorflow.
$(STAMP)-base: $(INPUTS)
	@echo "== making the environment $(VENV), once"
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing; name another, 3.12 or 3.13: make PYTHON=python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -c constraints.txt setuptools
	@if [ "$$(uname -s)" = Linux ] && [ -n "$(TORCH_INDEX)" ]; then \
		echo "== torch without CUDA, from $(TORCH_INDEX) (TORCH_INDEX= leaves this out)"; \
		$(PIP) install --retries 0 --timeout 10 -c constraints.txt --no-deps --index-url $(TORCH_INDEX) torch \
			2>/dev/null || echo "== not to be had there; going on with PyPI's, which is 4 GB larger for its CUDA"; \
	fi
	$(PIP) install -c constraints.txt --editable '.[boards,report,page]'
	@touch $@

# A separate environment for tflite-runtime 2.14, which needs numpy 1 (see engines/tflite_runtime.py).
$(STAMP)-tflite-runtime: $(STAMP)-base constraints-tflite-runtime.txt
	@if $(PYTHON) -c 'import sys; sys.exit(sys.version_info >= (3, 12))'; then \
		echo "== making the environment of tflite-runtime"; \
		$(PYTHON) -m venv $(VENV)/tflite-runtime && $(VENV)/tflite-runtime/bin/python -m pip \
			--disable-pip-version-check --quiet install -r constraints-tflite-runtime.txt; \
	else \
		echo "== without tflite-runtime: it has no wheel for $(PYTHON)"; \
	fi
	@touch $@

# A separate environment for PlatformIO, which builds an exported project in the tests.
$(STAMP)-projects: $(STAMP)-base constraints-projects.txt
	@echo "== making the environment of PlatformIO"
	$(PYTHON) -m venv $(VENV)/projects
	$(VENV)/projects/bin/python -m pip --disable-pip-version-check --quiet install -r constraints-projects.txt
	@touch $@

# Lint, types, unit tests and the site.
$(STAMP)-dev: $(STAMP)-base
	@echo "== installing the tools of development"
	$(PIP) install -c constraints.txt --editable '.[boards,report,page,sweep,dev,docs,examples]'
	@touch $@

# Every engine.
$(STAMP)-all: $(STAMP)-dev $(STAMP)-tflite-runtime $(STAMP)-projects
	@echo "== installing tensorflow: 1.9 GB, once"
	$(PIP) install -c constraints.txt --editable '.[tensorflow,boards,report,page,sweep,dev,docs,examples]'
	@touch $@

demo: $(STAMP)-base $(STAMP)-tflite-runtime
	@echo "== train: LeNet-5 on MNIST"
	$(BIN)/lenet-edge train
	@echo "== quantize: int8 on the tie-free grid, with its proof"
	$(BIN)/lenet-edge quantize --int8
	@echo "== export: C arrays for TFLite-Micro, and ONNX"
	$(BIN)/lenet-edge export --target tflm
	$(BIN)/lenet-edge export --target onnx
	@echo "== check: every logit of every engine on the 10,000 test images"
	$(BIN)/lenet-edge check
	@echo "== build and run: the firmware of a Cortex-M4 board, whole, in an emulator"
	$(BIN)/lenet-edge build --board mps2-an386 --toolchain zig
	$(BIN)/lenet-edge run --board mps2-an386 --emulator unicorn

test: prepare check kernels pages parity targets
	@echo "== what was not covered"
	$(BIN)/python tests/not_covered.py

# Downloads of pip and of apt side by side.
prepare:
	@$(MAKE) --no-print-directory --jobs=2 $(STAMP)-all tools

# Where one may: root on Debian. Elsewhere the tests of what is missing are skipped, and named at the end.
tools:
	@if [ -n "$(NO_APT)" ] || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "== not installing compilers and emulators of Debian (NO_APT, or not root on Debian)"; \
	elif dpkg -s $(DEBIAN) >/dev/null 2>&1; then \
		:; \
	else \
		echo "== installing the compilers and emulators of Debian: 2.8 GB, once"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(DEBIAN) >/dev/null; \
	fi

check: lint types-and-docs unit

# Side by side, since each takes one core.
types-and-docs: $(STAMP)-dev
	@$(MAKE) --no-print-directory --jobs=2 types docs

lint: $(STAMP)-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)-dev
	$(BIN)/mypy

unit: $(STAMP)-dev
	$(PYTEST) tests/unit tests/golden tests/regression tests/fuzz

parity: $(STAMP)-all
	$(PYTEST) tests/parity

kernels: $(STAMP)-dev
	$(PYTEST) tests/kernels

pages: $(STAMP)-dev
	$(PYTEST) tests/pages

targets: $(STAMP)-dev
	$(PYTEST) tests/targets

benchmarks: $(STAMP)-dev
	$(BIN)/python benchmarks/measure.py

estimates: $(STAMP)-dev
	$(BIN)/python benchmarks/estimates.py

accuracy: $(STAMP)-base
	nice $(BIN)/python benchmarks/accuracy.py $(CAMPAIGN)

pictures: $(STAMP)-base
	$(BIN)/python docs/pictures/make.py

board-table: $(STAMP)-dev
	$(BIN)/python benchmarks/board_table.py

docs: $(STAMP)-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "== the site: build/site/index.html"

fuzz: $(STAMP)-dev
	nice $(BIN)/python tests/fuzz/readers.py --record $(FUZZ)

flips: $(STAMP)-all
	nice $(BIN)/python tests/fuzz/sweep_bit_flips.py $(FLIPS)

graphs: $(STAMP)-dev
	nice $(BIN)/python tests/kernels/graph_campaign.py --record $(GRAPHS)

golden: $(STAMP)-dev
	$(BIN)/python tests/golden/generate.py

clean:
	rm -rf build

distclean: clean
	rm -rf $(VENV)
