# The commands of this project, one line each; the work is done by dev/ and tests/. `make help` lists them.

.PHONY: help setup build run test faults fuzz bench bench-scale lint docs sql package clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' Makefile | awk -F '|' '{ printf "%-14s %s\n", $$1, $$2 }'

setup: ## install what is missing on this machine
	@dev/setup

build: setup ## build all in release and install the extension
	@dev/build

run: build ## a private database and the proxy, with a demo campaign to tap
	@dev/run

test: build ## everything that must hold; `tests/run STAGE...` runs a part
	@tests/run

faults: build ## kill, stop and freeze database and proxy under load, break disks and network, each kill twenty times
	@POSTBACK_FAULT_SEEDS=20 tests/run faults

fuzz: build ## every target of fuzz/ for SECONDS=60 seconds, with a private database behind
	@SECONDS_PER_TARGET=$(or $(SECONDS),60) dev/fuzz

bench: build ## load, compared with what the machine could do at best: target/bench/results.jsonl
	@python3 -B tests/bench/run.py

bench-scale: build ## reports and taps on ten times the data and more: an hour, 60 GB of disk, removed at the end
	@python3 -B tests/bench/scale.py

lint: setup ## formatting, clippy, and the shell and Python files
	@tests/run lint

docs: build ## write docs/sql-api.md, networks.md and the answers in analyst.md from a database
	@python3 -B dev/sql_api.py
	@python3 -B dev/networks_doc.py
	@python3 -B dev/analyst_doc.py

sql: ## reload the functions and views of sql/ into the database of `make run`
	@dev/reload

package: setup ## the files of a release in target/package
	@dev/package

clean: ## delete build products; the database of `make run` in .postback/ stays
	@cargo clean
