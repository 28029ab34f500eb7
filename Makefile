# Every target sets up what it needs: uv, then two environments, and again only when requirements/ changes.
# A machine needs make and some Python 3; uv finds or fetches the Python that .python-version names.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON3 ?= python3
ifeq ($(shell uv --version >/dev/null 2>&1 && echo yes),yes)
UV := uv
else
UV := .tools/bin/uv
UV_INSTALLED := .tools/.installed
endif
DEVELOPMENT := .venv/.synced
EMULATORS := .emulators/.synced
COMPILE := $(UV) pip compile --quiet --generate-hashes --no-annotate --no-emit-index-url \
	--no-emit-find-links --python-version 3.13 --custom-compile-command "make lock"
# sam build takes the first interpreter on PATH, and it has to be the runtime's minor version.
WITH_SAM := PATH="$(CURDIR)/.venv/bin:$$PATH" SAM_CLI_TELEMETRY=0

.PHONY: help
help:  ## show this list
	@sed -nE 's/^([a-z]+):.*  ## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 10

.PHONY: demo
demo: $(DEVELOPMENT) $(EMULATORS)  ## tell the whole story on a local AWS organization
	@$(WITH_SAM) .venv/bin/python -m local.demo

.PHONY: test
test: $(DEVELOPMENT) $(EMULATORS)  ## run all tests: unit, flow, contract, faults, integration
	@$(WITH_SAM) .venv/bin/pytest

.PHONY: check
check: $(DEVELOPMENT)  ## format, lint, types, imports, templates, generated pages
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/cfn-lint template.yaml member/template.yaml
	.venv/bin/python -m keyward_cli.docs --check
	.venv/bin/python -m local.managed_policies --check

.PHONY: build
build: $(DEVELOPMENT)  ## build the functions and layers
	$(WITH_SAM) .venv/bin/sam build

.PHONY: deploy
deploy: build  ## deploy the hub into the account of your credentials
	$(WITH_SAM) .venv/bin/sam deploy --guided

.PHONY: docs
docs: $(DEVELOPMENT)  ## write the generated pages, schemas and tables again
	.venv/bin/python -m keyward_cli.docs
	.venv/bin/python -m local.managed_policies

.PHONY: lock
lock: $(UV_INSTALLED)  ## compile requirements/*.in again, to the newest that fits
	$(COMPILE) --upgrade requirements/uv.in --output-file requirements/uv.txt
	$(COMPILE) --upgrade requirements/dev.in --output-file requirements/dev.txt
	$(COMPILE) --upgrade requirements/emulators.in --output-file requirements/emulators.txt
	$(COMPILE) --upgrade requirements/layer.in --constraints requirements/dev.txt \
		--no-emit-package boto3 --no-emit-package botocore --no-emit-package jmespath \
		--output-file layers/dependencies/requirements.txt

.PHONY: clean
clean:  ## remove all that can be made again
	rm -rf .tools .venv .emulators .aws-sam .local .mypy_cache .ruff_cache .pytest_cache \
		.import_linter_cache .hypothesis

.tools/.installed: requirements/uv.txt
	$(PYTHON3) -m venv --clear .tools && .tools/bin/python -m pip install --quiet --require-hashes -r $< \
		|| $(PYTHON3) -m pip install --quiet --require-hashes --upgrade --target .tools -r $<
	@touch $@

%/pyvenv.cfg: .python-version | $(UV_INSTALLED)
	$(UV) venv --quiet --clear $*

.venv/.synced: requirements/dev.txt .venv/pyvenv.cfg
	$(UV) pip sync --quiet --require-hashes --python .venv $<
	@printf '%s\n' "$(CURDIR)" "$(CURDIR)/layers/core" "$(CURDIR)/cli" \
		> "$$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/keyward.pth"
	@printf '#!/bin/sh\nexec "%s" -m keyward_cli "$$@"\n' "$(CURDIR)/.venv/bin/python" > .venv/bin/keyward
	@chmod +x .venv/bin/keyward
	@touch $@

.emulators/.synced: requirements/emulators.txt .emulators/pyvenv.cfg
	$(UV) pip sync --quiet --require-hashes --python .emulators $<
	@touch $@
