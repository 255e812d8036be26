# The front door. Everything below needs Python 3.11 or newer and nothing else.
PYTHON ?= python3
UV_VERSION := 0.13.9
export UV_PYTHON_DOWNLOADS := never

uv := .uv/bin/uv
bin := .venv/bin
generator := $(abspath tests/description/.generator/bin)
sources := $(wildcard *.py) $(dir $(wildcard */__init__.py))

.DEFAULT_GOAL := help
.PHONY: help install run test tested check source rewritten races pages whole story typed mutants audit sbom client lint types floors browser scanner token firefox lock clean

help: ## List the commands.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

run: install ## Start Relais on this machine: engine, database, mail, API, worker, demonstration data.
	@$(bin)/relais up

# Types beside the rest: by themselves they keep one processor for a minute, and leave the other to nobody.
test: browser scanner token ## Check everything: style, types, floors, and every test on the real engines.
	@$(MAKE) --no-print-directory -j2 types tested

# Four at once on two processors: half of a test's time is spent waiting for engines, browsers and clocks.
tested: lint floors rewritten
	@$(bin)/pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder

check: source ## Check in a minute or two what needs no engine: style, types, floors, and the tests in tests/unit but the longest.
	@$(bin)/pytest --numprocesses 2 --dist worksteal -m "not long" tests/unit

races: install ## Play what is left to chance (races, lives of requests, calls and files made up) eight times as long as the tests do.
	@RELAIS_TEST_ROUNDS=8 $(bin)/pytest --numprocesses 2 --dist loadfile \
		tests/api/test_on_their_way.py tests/workflow/test_races.py tests/workflow/test_repair.py tests/unit/domain/test_lifecycle_properties.py \
		tests/api/test_openapi.py tests/api/test_attachments.py tests/webhooks/test_foreign.py

pages: install browser ## Search every page for barriers in both languages, widths and looks, and send every form all that nobody types.
	@RELAIS_TEST_ROUNDS=4 $(bin)/pytest --numprocesses 2 --dist loadfile tests/portal/test_every_page.py tests/portal/test_attacks.py

whole: install scanner ## Look at all of the tables of which the tests take a part: who sees what, at every address; every version of the rules.
	@RELAIS_TEST_ROUNDS=2 $(bin)/pytest --numprocesses 3 --dist loadfile \
		tests/api/test_virus_scans.py tests/api/test_restrictions.py tests/records/test_restrictions.py tests/records/test_visibility.py \
		tests/use_cases/test_to_do.py tests/unit/domain/test_fingerprint.py tests/end_to_end/test_restart.py

firefox: install browser ## Look at every page of the portal in Firefox, where the tests look with Chromium.
	@RELAIS_TEST_BROWSER=firefox $(bin)/pytest --numprocesses 2 --dist loadfile tests/portal

typed: install browser ## Lose every text that people write in every way, in Chromium and in Firefox: half an hour.
	@$(bin)/pytest --numprocesses 2 --dist load tests/portal/whole_typed_table.py

story: install browser ## Count the presses and pages of the whole story in Chromium, Firefox and WebKit.
	@$(bin)/python -m tests.portal.web_driver
	@for browser in chromium firefox webkit; do \
		RELAIS_TEST_BROWSER=$$browser $(bin)/pytest -n0 -q tests/portal/test_clicks_and_loads.py || exit 1; done

mutants: install ## Change the rules and the projection in small ways, one at a time, and count how many of the faults the tests find.
	@for what in rules records; do $(bin)/python -m tests.mutants $$what > mutants.log 2>&1 || { tail -5 mutants.log; exit 1; }; \
		tr '\r' '\n' < mutants.log | grep -E '^not found|% *$$'; done

# Strict: a package of which the service knows nothing counts as a failure, and so does a service that does not answer.
audit: .audit/.installed ## Ask PyPI's advisories about everything that production installs (needs the network).
	@.audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements-production.lock

sbom: .audit/.installed ## Write what production installs, with licences, to sbom.cdx.json (CycloneDX).
	@$(uv) venv --quiet --clear --python $(PYTHON) .audit/production
	@VIRTUAL_ENV=.audit/production $(uv) pip sync --quiet --require-hashes requirements-production.lock
	@.audit/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file sbom.cdx.json .audit/production

client: install ## Make the typed Python client for systems of clinics that the example needs (examples/python/relais_client).
	@test -x $(generator)/openapi-python-client || { $(uv) venv --quiet --clear --python $(PYTHON) $(generator)/.. && \
		$(uv) pip sync --quiet --require-hashes --python $(generator)/python tests/description/generator.lock; }
	@$(bin)/python -m api.for_systems $(generator)/systems.json
	@PATH=$(generator):$$PATH openapi-python-client generate --path $(generator)/systems.json --config examples/python/generator.yaml \
		--meta none --output-path examples/python/relais_client --overwrite --fail-on-warning

.audit/.installed: $(uv) requirements-audit.lock
	@test -x .audit/bin/python || $(uv) venv --quiet --python $(PYTHON) .audit
	@VIRTUAL_ENV=.audit $(uv) pip sync --quiet --require-hashes requirements-audit.lock
	@touch $@

# Two at a time, for each takes one processor.
source: install
	@$(MAKE) --no-print-directory -j2 types lint floors

# The assertions of the tests are rewritten once, for all processes that run them; what can't be read, those say.
rewritten: install
	@PYTHONDONTWRITEBYTECODE= $(bin)/pytest --collect-only -qq > /dev/null 2>&1 || true

lint: install
	@$(bin)/ruff check . && $(bin)/ruff format --check .

types: install
	@$(bin)/mypy

floors: install
	@$(bin)/lint-imports

browser: install # The tests of the portal look at it with a real Chromium and a real Firefox: the system's, else playwright's own.
	@$(bin)/python -m tests.portal.browsers

scanner: install # Virus scanning is tested with a real clamd, where it can be had.
	@$(bin)/python -m tests.scanner

token: install # The tests of signing keys in a token ask a real one, in software.
	@$(bin)/python -m tests.tokens

# Python may be told not to write bytecode: then each start, and the sandbox of each new request, would compile our files anew.
install: .venv/.installed ## Set up the environment in .venv (done by the others as needed).
	@$(bin)/python -m compileall -q -j 0 $(sources)

$(uv):
	@echo "Preparing the installer ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Relais needs Python 3.11 or newer; name it with: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv .uv
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv==$(UV_VERSION)'

.venv/.installed: $(uv) requirements.lock pyproject.toml
	@echo "Installing what Relais needs into .venv ..."
	@test -x $(bin)/python || $(uv) venv --quiet --python $(PYTHON) .venv
	@VIRTUAL_ENV=.venv $(uv) pip sync --quiet --require-hashes --compile-bytecode requirements.lock
	@VIRTUAL_ENV=.venv $(uv) pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

lock: $(uv) ## Choose the newest versions that pyproject.toml allows and write the four lock files.
	@$(uv) pip compile pyproject.toml --extra embedded --extra pkcs11 --group dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --quiet --upgrade --output-file requirements.lock
	@$(uv) pip compile pyproject.toml --extra pkcs11 --constraint requirements.lock --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --quiet --output-file requirements-production.lock
	@$(uv) pip compile --group audit --constraint requirements.lock --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --quiet --output-file requirements-audit.lock
	@$(uv) pip compile --group generator --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --quiet --upgrade --output-file tests/description/generator.lock

clean: ## Remove the environments (the data folder ./var stays).
	@rm -rf .uv .venv .audit tests/description/.generator examples/python/relais_client
