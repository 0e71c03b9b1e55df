# SPDX-License-Identifier: GPL-3.0-or-later
# Two commands matter: `make demo` deploys a small cluster and shows it at work, `make test` proves everything.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo demo-down test lint unit build scenario bench test-classic test-local-engine clean

NAME ?=
PART ?=
# What a recipe that calls Python or Ansible itself begins with.
ENV := eval "$$(tests/bin/env)"; export PYTHONUNBUFFERED=1;

help: ## show this list
	@echo "make TARGET, where TARGET is one of:"
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: ## install the pinned tools into .venv
	@tests/bin/setup

demo: setup ## deploy a small cluster in the lab and send it requests
	@tests/bin/demo up

demo-down: setup ## take the demo down and stop its engine
	@tests/bin/demo down

test: setup ## lint, unit, build, scenarios: everything must pass
	@tests/bin/test

lint: setup ## run all linters and type checks
	@echo "lint:"; tests/bin/lint

unit: setup ## run the unit tests
	@$(ENV) python -m pytest tests/unit

build: setup ## build the collection, install it elsewhere and look at what is there
	@echo "build:"; tests/bin/build

scenario: setup ## run one scenario of molecule/, for example: make scenario NAME=dr
	@if [ ! -f "molecule/$(NAME)/molecule.yml" ]; then \
		echo "make scenario NAME=..., one of:" $$(cd molecule; printf '%s\n' */molecule.yml | xargs -n 1 dirname) >&2; exit 2; \
	fi
	@$(ENV) tests/bin/lab prepare; python -m pytest -v "tests/scenarios/test_scenarios.py::test_scenario[$(NAME)]"

bench: setup ## measure how quick it is, beside the floors; PART=site, model or table for one part
	@tests/bin/lab prepare; tests/bin/bench $(PART)

test-classic: setup ## run the scenarios with heartbeat (slow, no part of test)
	@$(ENV) tests/bin/lab prepare; python -m pytest -v -m classic tests/scenarios

test-local-engine: setup ## run one scenario with the local engine inside the lab's machine (slow, no part of test)
	@tests/bin/lab prepare; tests/bin/test-local-engine $(NAME)

clean: ## stop and remove all this checkout has started; keeps .venv and the lab's images
	@tests/bin/clean
