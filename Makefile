# Everything here runs in a virtual environment that it sets up itself. `make` lists what it does.

VENV := .venv
# The first on the path that TensorFlow has wheels for, or as given: make test PYTHON=python3.12
SUPPORTED := import sys; v = sys.version_info[:2]; \
	print("%d.%d" % v) if (3, 11) <= v <= (3, 13) else sys.exit(1)
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c '$(SUPPORTED)' >/dev/null 2>&1 && echo $$python && break; done)
VERSION := $(shell $(PYTHON) -c '$(SUPPORTED)' 2>/dev/null)
# A person sees pip's progress bars; a log does not.
PIP_INSTALL := $(VENV)/bin/python -m pip install --disable-pip-version-check $(if $(CI),--quiet)

RUN := $(VENV)/bin/python -m
DIGITS := --classifier=runs/demo/classifier --dataset=digits
# The quick ones of the baselines; the others look at every image.
COMPARED := --baselines=centred_box,mean_box,full_image
FIT := $(DIGITS) --split=fit --part=all --dataset_option=count=6000

.DEFAULT_GOAL := help
.PHONY: help install test demo lint format clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## */\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12

install: $(VENV)/installed  ## set up the virtual environment (every target does so by itself)

test: install lint  ## check the code, then run all tests and the examples of the documentation
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile

# ---------------------------------------------------------------------------------------------
demo: install  ## the main job on embedded images: train, measure, export, localize; no network
	@rm -rf runs/demo
	$(RUN) train.classifier --dataset=digits --split=train --dataset_option=count=16000 --epochs=6 \
		--output=runs/demo/classifier
	$(RUN) train.box_regressor $(FIT) --reduction=l2 --output=runs/demo/pixels
	$(RUN) train.box_regressor $(FIT) --layers=auto --reduction=activation \
		--output=runs/demo/layers
	$(RUN) train.export_saved_model --classifier=runs/demo/classifier \
		--localizer=runs/demo/layers --output=runs/demo/serving
	$(RUN) eval.localization --saved_model=runs/demo/serving/sensmap --dataset=digits \
		--split=test --part=all $(COMPARED) --output=runs/demo/served
	$(RUN) eval.localization $(DIGITS) --split=test --part=all \
		--localizer=runs/demo/pixels,runs/demo/layers $(COMPARED) \
		--output=runs/demo/evaluation
# ---------------------------------------------------------------------------------------------

lint: install  ## check style and types
	$(VENV)/bin/python -m ruff check
	$(VENV)/bin/python -m ruff format --check
	$(VENV)/bin/python -m mypy

format: install  ## put the code into shape
	$(VENV)/bin/python -m ruff check --fix
	$(VENV)/bin/python -m ruff format

clean:  ## remove the virtual environment and what checks and builds leave behind
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is touched last: an installation that was interrupted is taken up again. OpenCV comes
# in the build that needs no graphics libraries, unless one that works is already there.
$(VENV)/installed: $(VENV)/python-$(VERSION) setup.py pyproject.toml
	@echo "Installing TensorFlow and the other packages into $(VENV); this takes some minutes."
	$(PIP_INSTALL) --editable ".[test,serving,beam$(shell \
		$(VENV)/bin/python -c 'import cv2' 2>/dev/null || echo ,headless)]"
	@touch $@

# Made anew for another version of Python. Debian packs the part that puts pip into a virtual
# environment apart from Python, so a pip from elsewhere is tried before giving up.
$(VENV)/python-$(VERSION):
	@test -n "$(VERSION)" || { echo >&2 "sensmap needs Python 3.11, 3.12 or 3.13; found:\
	 $$($(or $(PYTHON),python3) --version 2>&1 | tail -n 1). Install one, or say where it is:\
	 make $(MAKECMDGOALS) PYTHON=/path/to/python3.12"; exit 1; }
	@$(VENV)/bin/python -m pip --version 2>/dev/null | grep -qF "(python $(VERSION))" || \
	$(PYTHON) -m venv --clear $(VENV) >/dev/null 2>&1 || { \
	$(PYTHON) -m venv --clear --without-pip $(VENV) && \
	$(PYTHON) -m pip --python $(VENV)/bin/python install --quiet pip; } >/dev/null 2>&1 || { \
	echo >&2 "$(PYTHON) cannot make a virtual environment with pip in it. On Debian and Ubuntu,\
	 as root: apt-get install python3-venv"; exit 1; }
	@touch $@
