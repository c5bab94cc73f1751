# Every target sets up .venv first; a second time that costs next to nothing. On Windows call the same commands as
# `py packaging/bootstrap.py run|test|check`.
PYTHON ?= python3
BOOTSTRAP = $(PYTHON) packaging/bootstrap.py

.PHONY: run test check bench lock install

run: ## Open the window; with no display, answer about a sample document in the terminal. ARGS="ask --file a.pdf 'Why?'"
	@$(BOOTSTRAP) run $(ARGS)

install:
	@$(BOOTSTRAP) install

test: ## All tests. ARGS="tests/ingest -k pdf" picks some
	@$(BOOTSTRAP) test $(ARGS)

check: ## ruff, mypy, the layers, the dependencies
	@$(BOOTSTRAP) check

bench: ## Measurements, printed side by side with what they are compared to
	@$(BOOTSTRAP) bench $(ARGS)

lock: ## Write the lock files anew from pyproject.toml. ARGS=--upgrade takes the newest versions
	@$(PYTHON) packaging/lock.py $(ARGS)
