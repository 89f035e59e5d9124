# `make help` lists the verbs. Nothing here needs an activated environment: the scripts find their own.
.DEFAULT_GOAL := help
.PHONY: help controller setup demo demo-down test lint unit sanity molecule scenarios docs bench-site bench-inventory bench-load bench-deploy cloud

help: ## List the verbs
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r verb text; do printf '  %-12s %s\n' "$$verb" "$$text"; done

controller: ## Install what the playbooks need on this machine
	@tests/bin/setup run

setup: ## Install what the demo and the tests need: packages, Docker, Python environment, host images
	@tests/bin/setup test bookworm trixie

demo: ## Build the medical staff system on Docker hosts with the real site.yml, and say how to reach it
	@tests/bin/demo up

demo-down: ## Remove the demo's hosts and networks
	@tests/bin/demo down

cloud: ## Serve the emulated cloud in the foreground: make cloud [FLEET=file.yml] [PORT=5000]
	@tests/bin/setup test
	@tests/bin/cloud --port $(or $(PORT),5000) $(if $(FLEET),--fleet $(FLEET))

test: ## Run every check: lint, unit, sanity, all scenarios
	@tests/bin/test

lint: ## YAML, Ansible, Python and shell linters, types, and the rules of the house
	@tests/bin/setup test
	@tests/bin/lint

unit: ## Unit tests and strictly rendered templates: seconds, no container
	@tests/bin/setup test
	@tests/bin/unit

sanity: ## ansible-test sanity, with nothing ignored
	@tests/bin/setup test
	@tests/bin/sanity

molecule: ## One scenario from bare host to verified: make molecule ROLE=nginx [IMAGE=minato-host:trixie]
	@tests/bin/scenarios $(or $(ROLE),$(error Name the scenario: make molecule ROLE=nginx)) $(IMAGE)

scenarios: ## Every scenario on Debian 12 and 13, some at a time
	@tests/bin/scenarios

docs: ## Regenerate the tables in the READMEs and docs/apps.md from specs and schema
	@tests/bin/setup test
	@tests/bin/docs

bench-site: ## Count and time the module calls of a run that changes nothing
	@tests/bin/bench-site

bench-inventory: ## Time the inventory plugin beside amazon.aws's, on recorded answers
	@tests/bin/bench-inventory

bench-load: ## Load both systems of S2, on one host and on two: make bench-load [USERS=20] [RATE=200] [MINUTES=2]
	@tests/bin/bench-load

bench-deploy: ## Deploy both kinds of app while they are used, beside other ways of deploying: make bench-deploy [DEPLOYS=20] [ROLLBACKS=5] [RIVALS=5]
	@tests/bin/bench-deploy
