# Everything a contributor runs. `make` alone lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv

# What is installed is named by what it was installed from: an unchanged checkout installs nothing again.
KEY := $(shell cat pyproject.toml constraints.txt 2>/dev/null | cksum | tr ' ' '-')
INSTALLED := $(VENV)/.installed
DEMO := $(INSTALLED)/demo-$(KEY)
TEST := $(INSTALLED)/test-$(KEY)
MODELS := $(INSTALLED)/models-$(KEY)
LATENCY := $(INSTALLED)/latency-$(KEY)
BENCH := $(INSTALLED)/bench-$(KEY)

# Environments of their own: Daft holds pyarrow back, and onnxruntime-gpu must not lie beside onnxruntime.
# The peers have the package's versions of all that they share but pyarrow.
PEERS_VENV := .venv-peers
GPU_VENV := .venv-gpu
# What onnxruntime-gpu links, libnvinfer.so.10. These wheels fetch the libraries from NVIDIA's own index.
TENSORRT := tensorrt-cu13>=10.13,<11
PEERS := $(PEERS_VENV)/.installed-$(shell cat benchmarks/peers.txt 2>/dev/null | cksum | tr ' ' '-')
GPU := $(GPU_VENV)/.installed-$(shell cat benchmarks/gpu.in constraints.txt pyproject.toml 2>/dev/null | cksum | tr ' ' '-')

# Real weights and the exporters, several gigabytes: only where no test may be skipped, as in CI.
ifeq ($(AIOPT_REQUIRE_ALL),1)
TEST_NEEDS := $(TEST) $(MODELS)
else
TEST_NEEDS := $(TEST)
endif

KEEP ?=
DEMO_ARGS := $(if $(filter-out 0,$(KEEP)),--keep)
PYTEST_ARGS ?=
# Tests wait for servers much of the time. Those of a module stay together, for they share what it starts, and
# modules come in the order that tests/conftest.py gives them.
TEST_WORKERS ?= 2
BENCH_ARGS ?=
FAULT_ARGS ?=
IMAGE_ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SHELLFLAGS := -eu -c

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: $(DEMO) ## Classify six photographs on a real Airflow and say where the time went (KEEP=1: leave it running)
	@$(BIN)/python scripts/demo.py $(DEMO_ARGS)

.PHONY: test
test: $(TEST_NEEDS) ## Run all tests (PYTEST_ARGS="-k name" for some, TEST_WORKERS=0 for one by one; AIOPT_REQUIRE_ALL=1 so that none is skipped)
	@$(BIN)/pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

.PHONY: test-kubernetes
test-kubernetes: $(TEST) ## Run the tests on a real Kubernetes, as root; the first time it is built, in 8 minutes of CPU time
	@$(BIN)/pytest tests/integration/kubernetes/test_cluster.py $(PYTEST_ARGS)

.PHONY: lint
lint: $(TEST) ## Check style, types and the layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/scan_secrets.py

.PHONY: audit
audit: $(TEST) ## Ask for known vulnerabilities of all pins (AIOPT_REQUIRE_AUDIT=1: fail where nobody answers)
	@$(BIN)/python scripts/audit.py

.PHONY: format
format: $(TEST) ## Format the sources and fix what can be fixed
	$(BIN)/ruff check --fix --exit-zero
	$(BIN)/ruff format

.PHONY: bench
bench: bench-throughput bench-cached bench-overhead bench-growth bench-memory ## Run all benchmarks but the GPU one, an hour or two (BENCH_ARGS="--rounds 1" to try)

.PHONY: bench-throughput
bench-throughput: $(BENCH) $(PEERS) ## Compare throughput with the limit and with torch DataLoader, Daft and Ray Data
	@$(BIN)/python -m benchmarks.throughput $(BENCH_ARGS)

.PHONY: bench-cached bench-overhead bench-growth bench-memory
bench-cached bench-overhead bench-growth bench-memory: bench-%: $(BENCH)
	@$(BIN)/python -m benchmarks.$* $(BENCH_ARGS)

.PHONY: bench-gpu
bench-gpu: ## Compare streaming on an NVIDIA GPU with the bare session loop (ONNX Runtime, TensorRT, PyTorch)
	@$(PYTHON) -m benchmarks.nvidia
	@$(MAKE) --no-print-directory install-gpu
	@$(GPU_VENV)/bin/python -m benchmarks.gpu $(BENCH_ARGS)

.PHONY: bench-advisor
bench-advisor: $(BENCH) ## Plant illnesses in pipelines, and compare what the advisor promises with what its cure brings
	@$(BIN)/python -m benchmarks.sick $(BENCH_ARGS)

.PHONY: bench-models
bench-models: $(BENCH) ## Compare the forms of two models, FP32 to pruned, and renew the table of docs/models.md
	@$(BIN)/python -m benchmarks.model_table $(BENCH_ARGS)
	@$(BIN)/python scripts/render_models.py

.PHONY: bench-tune
bench-tune: $(TEST) ## From a bad configuration: what aiopt tune finds of an exhaustive grid's best, and how soon
	@$(BIN)/python -m benchmarks.tuning $(BENCH_ARGS)

.PHONY: bench-compare
bench-compare: $(TEST) ## Check the error rates and the power of aiopt compare by thousands of comparisons
	@$(BIN)/python -m benchmarks.compare $(BENCH_ARGS)

.PHONY: bench-simulation
bench-simulation: $(TEST) ## Predict makespans on a real Airflow by simulation, then measure them: about ten minutes (BENCH_ARGS=--quick to try)
	@$(BIN)/python -m benchmarks.simulation $(BENCH_ARGS)

.PHONY: bench-latency
bench-latency: $(LATENCY) ## Measure upload to first task and to results beside Airflow's own ways: about an hour
	@$(BIN)/python -m benchmarks.latency $(BENCH_ARGS)

.PHONY: bench-burst
bench-burst: $(LATENCY) ## Upload 10,000 files at once to a running Airflow, with and without a million there before
	@for existing in 0 100000 1000000; do $(BIN)/python -m benchmarks.burst_events --existing $$existing $(BENCH_ARGS); done

.PHONY: fault-events
fault-events: $(TEST) ## Kill parts of an Airflow at random while 2,000 files are uploaded; nothing may be lost or done twice
	@$(BIN)/python -m benchmarks.fault_events $(FAULT_ARGS)

.PHONY: images image-runtime image-airflow
images: image-runtime image-airflow ## Build both images with Docker or Podman

image-runtime: $(TEST) ## Build aiopt-runtime, for pods, without Airflow (IMAGE_ARGS="--variant gpu" for CUDA)
	@$(BIN)/python scripts/build_images.py runtime $(IMAGE_ARGS)

image-airflow: $(TEST) ## Build aiopt-airflow from the official image (IMAGE_ARGS="--base IMAGE": from another)
	@$(BIN)/python scripts/build_images.py airflow $(IMAGE_ARGS)

.PHONY: bench-celery
bench-celery: $(TEST) ## Compare two Celery workers, a core each, with one, on the services of docker-compose.yaml
	@$(BIN)/python -m benchmarks.celery $(BENCH_ARGS)

.PHONY: fault-celery
fault-celery: $(TEST) ## Kill workers, PostgreSQL, Redis and more while they classify; nothing may be lost or done twice
	@$(BIN)/python -m benchmarks.fault_celery $(FAULT_ARGS)

.PHONY: compose-env
compose-env: ## Make .env with new secrets for docker-compose.yaml, unless there is one
	@$(PYTHON) scripts/compose_env.py

.PHONY: install
install: $(TEST) ## Make .venv with everything but the model exporters

.PHONY: install-models
install-models: $(TEST) $(MODELS) ## Add torch, the exporters and the real weights (several gigabytes)

.PHONY: install-peers
install-peers: $(PEERS) ## Make .venv-peers with torch, Daft and Ray Data, which the throughput benchmark compares with

.PHONY: install-gpu
install-gpu: $(GPU) ## Make .venv-gpu with ONNX Runtime, TensorRT and PyTorch for CUDA (several gigabytes)

.PHONY: constraints
constraints: | $(UV) ## Pin the newest versions of all dependencies in constraints.txt, benchmarks/peers.txt and docker/
	@echo '# The versions that development, the demo and CI use. Made by: make constraints' > constraints.new
	@echo '-e .' | $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 \
		--no-header --no-annotate --no-emit-index-url --no-emit-package airflow-provider-aiopt \
		--group demo --group test --group models --group latency - | grep -v '^#' >> constraints.new
	@mv constraints.new constraints.txt
	@grep -v '^pyarrow==' constraints.txt > constraints.new
	@echo '# What make install-peers installs. Made from peers.in by: make constraints' > peers.new
	@$(UV) pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
		-c constraints.new benchmarks/peers.in >> peers.new
	@rm constraints.new && mv peers.new benchmarks/peers.txt
	@$(BIN)/python scripts/render_requirements.py --upgrade

.PHONY: clean
clean: ## Remove .venv, the demo's files and all caches
	rm -rf $(VENV) $(PEERS_VENV) $(GPU_VENV) .cache .demo build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || \
		{ echo "There is no $(PYTHON). Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is $$($(PYTHON) --version 2>&1), but 3.11 or newer is needed: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) has no venv module. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(UV): | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(PEERS): | $(UV)
	@echo "Making $(PEERS_VENV)"
	@$(UV) venv --quiet --clear --python $(BIN)/python $(PEERS_VENV)
	@VIRTUAL_ENV=$(CURDIR)/$(PEERS_VENV) $(UV) pip install --quiet -r benchmarks/peers.txt
	@touch $@

$(GPU): | $(UV)
	@echo "Making $(GPU_VENV)"
	@$(UV) venv --quiet --clear --python $(BIN)/python $(GPU_VENV)
	@VIRTUAL_ENV=$(CURDIR)/$(GPU_VENV) $(UV) pip install --quiet -c constraints.txt -r benchmarks/gpu.in -e '.[gpu,torch]'
	@VIRTUAL_ENV=$(CURDIR)/$(GPU_VENV) $(UV) pip install --quiet '$(TENSORRT)' 2>/dev/null || \
		echo "$(TENSORRT) cannot be installed from here: the benchmark goes without TensorRT" >&2
	@touch $@

$(INSTALLED)/%-$(KEY): | $(UV)
	@test -f constraints.txt || { echo "constraints.txt is missing: git checkout constraints.txt" >&2; exit 1; }
	@echo "Installing the group '$*'"
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(UV) pip install --quiet -c constraints.txt --group $* -e .
	@mkdir -p $(INSTALLED)
	@rm -f $(INSTALLED)/$*-*
	@touch $@
