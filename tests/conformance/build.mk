# Upstream's conformance suite against Keelson: make conformance (docs/building.md); the runner's own tests.
SUITES += conformance
.PHONY: suite-conformance conformance conformance-docs
suite-conformance: $(O)/bin/keelson
	@tests/conformance/suite.sh $(O)
conformance: $(O)/bin/keelson $(if $(filter qemu,$(ON)),programs kernel image)
	@deps/host-packages.sh test
	@ON=$(or $(ON),server) tests/conformance/run.sh $(O)
# Written only when it worked.
conformance-docs:
	@tests/conformance/compatibility.sh $(O) >$(O)/conformance/compatibility.md
	@cp $(O)/conformance/compatibility.md docs/compatibility.md
	@{ printf 'result\tpassed runs\truns\tseconds\tground\tspec\n' && \
		awk 'BEGIN { FS = OFS = "\t" } { print $$3, $$4, $$5, $$7, $$2, $$9 }' $(O)/conformance/results.tsv; } >docs/conformance.tsv
