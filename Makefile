# Checkpointing with Keras, by example. `make` alone lists the targets.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

KERAS_BACKEND ?= tensorflow
export KERAS_BACKEND
unexport CHECKPOINT_DIR

# The environment: a finished one is used as it is, unless PYTHON asks for another version.
PYTHON ?= $(if $(wildcard .venv/installed-*),.venv/bin/python,python3)
SUPPORTED := 3.11 3.12 3.13
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
LOCK := $(if $(filter tensorflow,$(KERAS_BACKEND)),scripts,beyond)
ENVIRONMENT := .venv/installed-$(VERSION)-$(LOCK)
BEYOND_ENVIRONMENT := .venv/installed-$(VERSION)-beyond
TORCH_ENVIRONMENT := .venv/installed-$(VERSION)-torch

SCRIPTS := $(basename $(sort $(wildcard [0-9][0-9]_*.py)))
BEYOND := $(basename $(notdir $(sort $(wildcard beyond/[0-9][0-9]_*.py))))
RESULTS := $(SCRIPTS:%=out/%/result.json)
BEYOND_RESULTS := $(BEYOND:%=out/%/result.json)
NUMBERS := $(foreach script,$(SCRIPTS) $(BEYOND),$(firstword $(subst _, ,$(script))))

# A result that another backend or another Python left behind counts as missing. These scripts
# choose their backend themselves.
ALWAYS_JAX := $(patsubst beyond/%.py,out/%/result.json,$(shell \
	grep -sl '"KERAS_BACKEND"\] = "jax"' beyond/[0-9]*.py))
PRESENT := $(wildcard $(RESULTS) $(BEYOND_RESULTS))
OF_BACKEND := $(filter-out $(ALWAYS_JAX),$(PRESENT))
STALE := $(sort \
	$(if $(OF_BACKEND),$(shell grep -L '"backend": "$(KERAS_BACKEND)"' $(OF_BACKEND))) \
	$(if $(PRESENT),$(shell grep -L '"python": "$(VERSION)\.' $(PRESENT))))

.PHONY: help all test beyond torch test-beyond pitfalls torture bench sweep figures lock audit clean distclean check-settings check-data stale $(NUMBERS)

help:
	@echo "make all        make the environment, run scripts 01 to 10, show their results"
	@echo "make 04         run one script (and what it reads from others)"
	@echo "make test       make all, then prove the results"
	@echo "make beyond     run the scripts in beyond/"
	@echo "make torch      install PyTorch too, for script 14; on Linux its usual build is for CUDA, and large"
	@echo "make test-beyond  make beyond, then prove it: kills, full disks, damage, pitfalls (14 minutes)"
	@echo "make pitfalls   only the tests of docs/PITFALLS.md (2 to 3 minutes)"
	@echo "make torture    1000 kills in mid-save of each kind, and 20 of workers: docs/data/torture*.csv (1 to 2 hours)"
	@echo "make bench      time 01, 02 and 04 against Keras 2, and saving against stock Keras"
	@echo "make sweep      run the scripts for 20 seeds, derive tests/expected.json (1 to 2 hours)"
	@echo "make figures    renew README's tables and figures, from make all and make beyond with PyTorch"
	@echo "make lock       resolve the lock files from pyproject.toml (LOCK_FLAGS=--upgrade: newest)"
	@echo "make audit      ask PyPI for advisories about what the lock files pin (needs a network)"
	@echo "make clean      remove out/; make distclean removes the environment too"
	@echo
	@echo "KERAS_BACKEND=jax make all    the same on JAX instead of TensorFlow"
	@echo "PYTHON=python3.12 make all    with another Python ($(SUPPORTED))"

all: $(RESULTS)
	@.venv/bin/python tools/results_table.py

$(NUMBERS): %: $(ENVIRONMENT)
	@.venv/bin/python tools/results_table.py $@
$(foreach script,$(SCRIPTS) $(BEYOND),$(eval $(firstword $(subst _, ,$(script))): out/$(script)/result.json))

beyond: $(BEYOND_RESULTS)
	@.venv/bin/python tools/results_table.py --beyond

test: all
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	$(PYTEST) --ignore tests/durability --ignore tests/pitfalls tests

test-beyond: beyond
	$(PYTEST) tests/durability tests/pitfalls

pitfalls: $(BEYOND_ENVIRONMENT)
	$(PYTEST) tests/pitfalls

PYTEST := .venv/bin/python -m pytest --numprocesses 2 --dist worksteal

out/%/result.json: %.py requirements/$(LOCK).txt | $(ENVIRONMENT) check-data
	.venv/bin/python $<

out/%/result.json: beyond/%.py beyond/durable_checkpoint.py requirements/beyond.txt | $(BEYOND_ENVIRONMENT) check-data
	.venv/bin/python $<

PIMA := $(filter 01_% 02_% 03_% 06_% 07_% 11_% 14_% 16_% 17_%,$(SCRIPTS) $(BEYOND))
MNIST := $(filter 04_% 05_% 12_% 14_% 15_%,$(SCRIPTS) $(BEYOND))
AUTO_MPG := $(filter 08_% 09_% 10_%,$(SCRIPTS))
$(PIMA:%=out/%/result.json): data/pima-indians-diabetes.csv
$(MNIST:%=out/%/result.json): data/mnist.npz
$(AUTO_MPG:%=out/%/result.json): data/auto-mpg.csv
out/03_load_checkpoint/result.json: out/02_checkpoint_best_only/result.json
out/17_how_typical/result.json: out/01_checkpoint_improvements/result.json
out/14_switch_backend/result.json: $(wildcard $(TORCH_ENVIRONMENT))

ifneq ($(STALE),)
$(STALE): stale
endif

check-data: | $(ENVIRONMENT) check-settings
	@.venv/bin/python tools/verify_data.py

data/%:
	@echo "$@ is missing. Restore it: git checkout -- $@" >&2; exit 1

check-settings:
	@case "$(KERAS_BACKEND)" in tensorflow|jax) ;; *) \
		echo "KERAS_BACKEND=$(KERAS_BACKEND) is not supported: use tensorflow or jax" >&2; exit 1;; esac
	@case " $(SUPPORTED) " in *" $(VERSION) "*) ;; *) \
		echo "$(if $(VERSION),$(PYTHON) is Python $(VERSION),$(PYTHON) cannot be run): use one of $(SUPPORTED), as in PYTHON=python3.12 make all" >&2; \
		exit 1;; esac

.venv/installed-$(VERSION)-%: requirements/%.txt | check-settings
	@ls .venv/installed-$(VERSION)-* >/dev/null 2>&1 || rm -rf .venv
	@if command -v uv >/dev/null; then \
		test -d .venv || uv venv --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .venv; \
		uv pip install --quiet --compile-bytecode --require-hashes --python .venv/bin/python -r $<; \
	else \
		test -d .venv || $(PYTHON) -m venv .venv; \
		.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<; \
	fi
	@touch $@

torch: $(TORCH_ENVIRONMENT)

# Without hashes, so that any build of this version will do: for a processor, for CUDA, for ROCm.
$(TORCH_ENVIRONMENT): requirements/torch.txt | $(BEYOND_ENVIRONMENT)
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

bench: $(BEYOND_ENVIRONMENT) check-data
	.venv/bin/python beyond/benchmarks/against_keras_2.py
	KERAS_BACKEND=tensorflow .venv/bin/python beyond/benchmarks/saving.py
	KERAS_BACKEND=jax .venv/bin/python beyond/benchmarks/saving.py
	KERAS_BACKEND=tensorflow .venv/bin/python beyond/benchmarks/shuffled_batches.py
	KERAS_BACKEND=jax .venv/bin/python beyond/benchmarks/shuffled_batches.py

torture: $(BEYOND_ENVIRONMENT)
	for backend in tensorflow jax; do for what in files exact; do \
	KERAS_BACKEND=$$backend .venv/bin/python tests/durability/torture.py $$what || exit; done; done
	KERAS_BACKEND=jax .venv/bin/python tests/durability/torture.py workers

sweep: $(BEYOND_ENVIRONMENT) check-data
	KERAS_BACKEND=tensorflow .venv/bin/python tools/sweep.py run
	KERAS_BACKEND=jax .venv/bin/python tools/sweep.py run
	.venv/bin/python tools/sweep.py expect
	$(MAKE) 17
	.venv/bin/python tools/sweep.py typical
	.venv/bin/python tools/reproduction.py

figures: torch
	$(MAKE) all beyond
	.venv/bin/python tools/results_table.py --write-readme
	.venv/bin/python tools/reproduction.py

lock: $(BEYOND_ENVIRONMENT)
	UV="$$(.venv/bin/python -c 'import uv; print(uv.find_uv_bin())')" && \
	LOCK="$$UV pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --no-header $(LOCK_FLAGS)" && \
	$$LOCK --generate-hashes --extra scripts --extra test -o requirements/scripts.txt pyproject.toml && \
	$$LOCK --generate-hashes --extra scripts --extra test --extra beyond -c requirements/scripts.txt -o requirements/beyond.txt pyproject.toml && \
	$$LOCK --extra torch -c requirements/beyond.txt -o requirements/torch.txt pyproject.toml

# --strict: a package that could not be looked up fails the audit, it does not pass it.
audit: $(BEYOND_ENVIRONMENT)
	.venv/bin/python -m pip_audit --strict --disable-pip --require-hashes --progress-spinner off \
		-r requirements/scripts.txt -r requirements/beyond.txt
	.venv/bin/python -m pip_audit --strict --disable-pip --no-deps --progress-spinner off \
		-r requirements/torch.txt

clean:
	rm -rf out

distclean: clean
	rm -rf .venv
