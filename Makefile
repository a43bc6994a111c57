# Two commands matter: `make demo` and `make test`. Each does all its own set-up.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python
IMAGE ?= localhost/medley-operator:dev
CYCLONEDX := 7.5.0

.PHONY: help test demo lint types unit contract fuzz fuzz-prices e2e e2e-gateway e2e-vllm chaos scale controlplane browser crds lock image image-base image-test wheelhouse sbom audit clean plan docs e2e-power version release-check oldest dashboards pictures
.PHONY: bench-engine bench-planner bench-noisy-day bench-day bench-fleet bench-fleet-modes bench-step-time bench-forecast bench-demand
.PHONY: bench-truth bench-capacity bench-plan-truth bench-calibration bench-power bench-power-controller bench-power-boards bench-steps
.PHONY: bench-tilt bench-constants bench-domains bench-advise bench-start

help: ## Show this list
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

test: lint controlplane ## All checks: lint, types, unit and property tests, contract tests, one end-to-end scenario
	@# The end-to-end story mostly waits for traffic, so the unit tests run beside it; types come when it is over, beside
	@# the contract tests.
	@$(MAKE) --no-print-directory --jobs=2 e2e unit contract types

plan: $(STAMP) ## A plan of examples/quickstart, without a cluster
	$(BIN)/medley plan -f examples/quickstart

demo: $(STAMP) ## A plan and a replayed day at once, then the whole product on a real control plane (KEEP=1 leaves it up)
	$(BIN)/python -m e2e.demo $(if $(KEEP),--keep)

lint: $(STAMP) ## ruff, dead code, import contracts, generated files up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/vulture
	$(BIN)/lint-imports
	$(BIN)/python -m medley_operator.api.crdgen --check
	$(BIN)/python -m medley_operator.dashboards --check
	@$(MAKE) --no-print-directory docs

docs: $(STAMP) ## The docs site in build/site; a warning, such as a link that leads nowhere, is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --config-file .ci/mkdocs.yml

types: $(STAMP) ## mypy --strict
	$(BIN)/mypy planner/medley_planner operator/medley_operator e2e tests

unit: $(STAMP) ## Unit, property and golden tests: no control plane
	@$(BIN)/python -m tests.browser.install --or-skip
	$(BIN)/pytest --quiet tests/unit tests/property tests/golden

contract: $(STAMP) controlplane ## Tests against the real API server, Prometheus and helm
	$(BIN)/pytest --quiet tests/contract

fuzz: $(STAMP) ## Plans of drawn problems against an integer program written from the docs alone (N=10000, SEED=0)
	$(BIN)/python -m tests.adversary.fuzz --number $(or $(N),10000) --seed $(or $(SEED),0)

fuzz-prices: $(STAMP) ## Prices of shared limits of drawn fleets against planning anew with one more (N=200, SEED=0)
	$(BIN)/python -m tests.adversary.prices --number $(or $(N),200) --seed $(or $(SEED),0)

e2e: $(STAMP) controlplane ## One scenario: apply, plan, traffic changes, judged from the outside
	$(BIN)/pytest --capture=no --durations=8 e2e

e2e-gateway: $(STAMP) controlplane ## Real requests through a real Envoy Gateway and Envoy while everything changes (LOGS=FOLDER)
	$(BIN)/python -m e2e.gateway $(if $(LOGS),--logs "$(LOGS)")

e2e-power: $(STAMP) controlplane ## Two racks under real controllers and agents of power, with every loss (ONLY=TEXT, LOGS=FOLDER)
	$(BIN)/python -m e2e.power $(if $(ONLY),--only "$(ONLY)") $(if $(LOGS),--logs "$(LOGS)")

e2e-vllm: $(STAMP) ## A real vLLM on this CPU: profile it, predict loads that it was not profiled with (5 GB; JSON=FILE)
	$(BIN)/python -m e2e.vllm $(if $(JSON),--json $(JSON))

chaos: $(STAMP) controlplane ## The whole fault suite on a real control plane (ONLY=TEXT, SHARD=1/4, SAMPLE=20, MINUTES=9, RESUME=FILE)
	$(BIN)/python -m e2e.chaos $(if $(ONLY),--only "$(ONLY)") $(if $(SHARD),--part $(SHARD)) $(if $(SAMPLE),--sample $(SAMPLE)) \
	  $(if $(MINUTES),--minutes $(MINUTES)) $(if $(RESUME),--ledger "$(RESUME)") $(if $(LOGS),--logs "$(LOGS)") \
	  $(if $(ATTACK),--attack-seconds $(ATTACK)) $(if $(SEED),--seed $(SEED))

scale: $(STAMP) controlplane ## The operator beside 1000 nodes, 500 services and 4000 pods, measured (SERVICES=50 REST=120 EVENTS=50 LOADS=10)
	$(BIN)/python -m e2e.scale --services $(or $(SERVICES),500) --rest-seconds $(or $(REST),600) --events $(or $(EVENTS),100) \
	  --loads $(or $(LOADS),20) --calm-seconds $(or $(CALM),75) $(if $(LOGS),--logs "$(LOGS)")

bench-engine: $(STAMP) ## Speed of the engine simulator beside its step-by-step reference, and a measured run (JSON=1 or JSON=FILE)
	$(BIN)/python -m tests.perf.bench_engine $(if $(JSON),--json $(filter-out 1,$(JSON)))

bench-planner: $(STAMP) ## One service: time of a plan; cost and CPU beside the slice program and others (JSON=1 or JSON=FILE)
	$(BIN)/python -m tests.perf.bench_planner $(if $(JSON),--json $(filter-out 1,$(JSON)))

bench-noisy-day: $(STAMP) ## Replica changes and cost over a noisy day, beside an HPA-like rule (JSON=1 or JSON=FILE)
	$(BIN)/python -m tests.perf.bench_noisy_day $(if $(JSON),--json $(filter-out 1,$(JSON)))

bench-day: $(STAMP) ## Six days replayed under Medley and five baselines: cost as billed, attainment, changes (JSON=1 or JSON=FILE)
	$(BIN)/python -m tests.perf.bench_day $(if $(JSON),--json $(filter-out 1,$(JSON)))

bench-steps: $(STAMP) ## Plans that follow random steps of load, beside the cheapest fleets known beforehand (SEEDS=100, JSON=1 or JSON=FILE)
	$(BIN)/python -m tests.perf.bench_steps $(if $(SEEDS),--seeds $(SEEDS)) $(if $(JSON),--json $(filter-out 1,$(JSON)))

bench-constants: $(STAMP) ## What each constant of the decisions costs when halved and when doubled, replayed (ONLY=NAME, JSON=1 or JSON=FILE)
	$(BIN)/python -m tests.perf.bench_constants $(if $(ONLY),--only $(ONLY)) $(if $(JSON),--json $(filter-out 1,$(JSON)))

bench-step-time: $(STAMP) ## Estimated TTFT and TPOT, and TPOT from three points, against measured vLLM, by group (JSON=1 or JSON=FILE)
	$(BIN)/python -m tests.perf.bench_step_time $(if $(JSON),--json $(filter-out 1,$(JSON)))

bench-truth: $(STAMP) ## Predictions against all measured runs; writes docs/accuracy.md (JSON=1 or JSON=FILE)
	$(BIN)/python -m tests.perf.bench_truth $(if $(JSON),--json $(filter-out 1,$(JSON)))

bench-forecast: $(STAMP) ## Rates forecast at 10 to 30 minutes, beside last value and 24 h before (JSON=1 or JSON=FILE)
	$(BIN)/python -m tests.perf.bench_forecast $(if $(JSON),--json $(filter-out 1,$(JSON)))

bench-demand: $(STAMP) ## Error of the load by what is known of sizes: edges, independent, tilted, counted (JSON=1 or JSON=FILE)
	$(BIN)/python -m tests.perf.bench_demand $(if $(JSON),--json $(filter-out 1,$(JSON)))

bench-capacity: $(STAMP) ## Simulated capacity tables: time of a cell and of 60 x 8, and the closed form beside them (JSON=1 or JSON=FILE)
	$(BIN)/python -m tests.perf.bench_capacity $(if $(JSON),--json $(filter-out 1,$(JSON)))

bench-fleet: $(STAMP) ## Time, gap and memory of fleets of 10 to 1000 services beside the targets (JSON=1 or JSON=FILE)
	$(BIN)/python -m tests.perf.bench_fleet $(if $(JSON),--json $(filter-out 1,$(JSON)))

bench-fleet-modes: $(STAMP) ## Fleets of each routing mode and of all, and of too little stock, beside HiGHS and CP-SAT (JSON=1 or JSON=FILE)
	$(BIN)/python -m tests.perf.bench_fleet_modes $(if $(JSON),--json $(filter-out 1,$(JSON)))

bench-domains: $(STAMP) ## CPU time of fleets with three levels of power domains beside the same without (JSON=1 or JSON=FILE)
	$(BIN)/python -m tests.perf.bench_domains $(if $(JSON),--json $(filter-out 1,$(JSON)))

bench-plan-truth: $(STAMP) ## Plans from half of a trace, the other half replayed on them: attainment and cost (JSON=1 or JSON=FILE)
	$(BIN)/python -m tests.perf.bench_plan_truth $(if $(JSON),--json $(filter-out 1,$(JSON)))

bench-calibration: $(STAMP) ## Peak predicted from low load: calibration beside a scalar factor (JSON=1 or JSON=FILE)
	$(BIN)/python -m tests.perf.bench_calibration $(if $(JSON),--json $(filter-out 1,$(JSON)))

bench-power: $(STAMP) ## Weeks of a row with more servers than its budget was planned for, by capping preset (JSON=1 or JSON=FILE)
	$(BIN)/python -m tests.perf.bench_power $(if $(JSON),--json $(filter-out 1,$(JSON)))

bench-power-controller: $(STAMP) controlplane ## The controller of power beside nodes on a real API server: memory, CPU, writes (NODES=1000)
	$(BIN)/python -m tests.perf.bench_power_controller --nodes $(or $(NODES),1000)

bench-power-boards: $(STAMP) controlplane ## From a meter that crosses to the registers of the boards of 100 nodes, with real agents (ROUNDS=3)
	$(BIN)/python -m tests.perf.bench_power_boards --rounds $(or $(ROUNDS),3)

bench-tilt: $(STAMP) ## Joint sizes of a fleet's services: CPU time beside plain bisection, and equality (JSON=1 or JSON=FILE)
	$(BIN)/python -m tests.perf.bench_tilt $(if $(JSON),--json $(filter-out 1,$(JSON)))

bench-advise: $(STAMP) ## `medley advise` on a cluster of 1,000 engine pods, beside one of 100 (JSON=1 or JSON=FILE)
	$(BIN)/python -m tests.perf.bench_advise $(if $(JSON),--json $(filter-out 1,$(JSON)))

bench-start: $(STAMP) ## CPU and wall time of `medley --help` and of a plan of the quickstart beside a bare Python (JSON=1 or JSON=FILE)
	$(BIN)/python -m tests.perf.bench_start $(if $(JSON),--json $(filter-out 1,$(JSON)))

controlplane: $(STAMP) ## Build, or find, the control plane's binaries
	$(BIN)/python -m e2e.controlplane build

browser: $(STAMP) ## Find Chromium, in which tests look at pages and reports, or install Debian's (as root)
	@$(BIN)/python -m tests.browser.install

crds: $(STAMP) ## Write crds/, the chart's copy and the schema of its values anew from the models and settings
	$(BIN)/python -m medley_operator.api.crdgen --output crds
	$(BIN)/python -m medley_operator.api.crdgen --output helm/medley/files/crds
	$(BIN)/python -m medley_operator.chart_schema helm/medley

version: $(STAMP) ## Write the version of pyproject.toml into the chart
	@version=$$($(BIN)/python -c 'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["project"]["version"])'); \
	  sed -i -E "s/^(version|appVersion): .*/\1: $$version/" helm/medley/Chart.yaml

release-check: $(STAMP) ## Wheel, chart, CRDs and krew plugin as users get them: built, installed outside of the tree, run, compared; and the workflows (OUT=FOLDER, TAG=v1.2.3, KREW_URL=https://...)
	$(BIN)/python -m e2e.release $(if $(OUT),--out $(OUT)) $(if $(TAG),--tag $(TAG)) $(if $(KREW_URL),--krew-url $(KREW_URL))

oldest: $(STAMP) ## The chart and engines' Deployments against the schemas of the oldest and newest Kubernetes
	$(BIN)/python -m e2e.oldest

pictures: $(STAMP) controlplane browser ## Draw the dashboards and the live page for docs, from a run of the product (ONLY=demo or power, PIXELS=FOLDER)
	$(BIN)/python -m e2e.pictures $(if $(ONLY),--only "$(ONLY)") $(if $(PIXELS),--pixels "$(PIXELS)")

dashboards: $(STAMP) ## Write the chart's Grafana dashboards anew from their panels
	$(BIN)/python -m medley_operator.dashboards

lock: $(STAMP) ## Write the lock files anew from pyproject.toml: all, what runs, and what builds the image
	$(BIN)/uv pip compile --quiet --generate-hashes --extra dev --python-version 3.11 pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --generate-hashes --extra agent --python-version 3.11 --constraints requirements.lock pyproject.toml -o requirements-runtime.lock
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' | \
	  $(BIN)/uv pip compile --quiet --generate-hashes --python-version 3.11 --constraints requirements.lock - -o requirements-build.lock

image: $(STAMP) wheelhouse ## Build the operator's image with buildah, podman or docker (IMAGE=name:tag, BASE=, RUN_BASE=)
	@builder=$$(command -v buildah || command -v podman || command -v docker) || \
	  { echo "make image needs buildah, podman or docker on the PATH" >&2; exit 1; }; \
	case $$builder in *buildah) build="$$builder $(BUILDAH_FLAGS) bud" ;; *) build="$$builder build" ;; esac; \
	$$build $(if $(BASE),--build-arg BASE=$(BASE)) $(if $(RUN_BASE),--build-arg RUN_BASE=$(RUN_BASE)) --tag $(IMAGE) .

image-test: controlplane ## Build the image from base images of Debian packages, and run it as a cluster would (needs root)
	@$(MAKE) --no-print-directory image-base
	BUILDAH_ISOLATION=chroot $(MAKE) --no-print-directory image BUILDAH_FLAGS=--storage-driver=vfs \
	  BASE=localhost/medley-base:build RUN_BASE=localhost/medley-base:run
	MEDLEY_TEST_IMAGE=$(IMAGE) $(BIN)/pytest --quiet tests/contract/test_image.py

image-base: ## Make base images from Debian packages where no registry can be reached: localhost/medley-base:build and :run
	.ci/image/base.sh localhost/medley-base

wheelhouse: $(STAMP) # The wheels of what runs in the image and of what builds it, each by its hash
	@mkdir -p build/wheelhouse
	$(BIN)/pip download --quiet --disable-pip-version-check --only-binary=:all: --require-hashes --dest build/wheelhouse \
	  --python-version 3.11 --no-deps -r requirements-runtime.lock
	$(BIN)/pip download --quiet --disable-pip-version-check --only-binary=:all: --require-hashes --dest build/wheelhouse \
	  --python-version 3.11 --no-deps -r requirements-build.lock

sbom: $(STAMP) ## Write build/sbom.json (CycloneDX) of what runs in the image
	@mkdir -p build
	$(BIN)/uv tool run --quiet --from cyclonedx-bom==$(CYCLONEDX) cyclonedx-py requirements requirements-runtime.lock \
	  --pyproject pyproject.toml --mc-type application --output-reproducible --output-file build/sbom.json

audit: $(STAMP) ## Ask the vulnerability database about all versions that run in the image (ends with 1: faults, 3: not all checked)
	@$(BIN)/python -m e2e.audit

$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Medley needs Python 3.11 or newer; $(PYTHON) is older. Way out: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Setting up $(VENV)"
	$(PYTHON) -m venv $(VENV)
	@# uv, itself by the lock, takes a tenth of pip's CPU time. Where it does not reach what pip is set up for, pip installs.
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.lock
	$(PIP) --require-hashes -r $(VENV)/uv.lock
	$(UV) --require-hashes -r requirements.lock || $(PIP) --require-hashes -r requirements.lock
	$(UV) --no-deps --no-build-isolation -e . || $(PIP) --no-deps --no-build-isolation -e .
	@touch $(STAMP)

clean: ## Remove the virtual environment and tool caches (the control plane's cache stays)
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
